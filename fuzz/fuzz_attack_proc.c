// SPDX-License-Identifier: Apache-2.0
//
// Lines of /proc/net/tcp: two looks at whatever they hold add up.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "watch/sockets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lh_look looks[2] = {{0}, {0}};
    struct lh_peer_sockets peer;
    size_t number = 0;
    size_t total = 0;
    char *text = malloc(len + 1);
    LH_ASSERT(text != NULL);
    memcpy(text, data, len);
    struct lh_span rest = lh_span_of(text, len);
    while (rest.len > 0) {
        const char *newline = memchr(rest.at, '\n', rest.len);
        size_t part = newline == NULL ? rest.len : (size_t)(newline - rest.at);
        struct lh_socket socket;
        if (lh_socket_parse(lh_span_head(rest, part), &socket)) {
            LH_ASSERT(socket.state > 0 && socket.state < LH_TCP_N_);
            LH_ASSERT(lh_look_add(&looks[number++ % 3 == 0], &socket) == 0);
        }
        rest = lh_span_skip(rest, part + 1);
    }
    lh_look_sort(&looks[0]);
    lh_look_sort(&looks[1]);
    for (size_t at = 0; lh_look_next(&looks[0], &looks[1], &at, &peer);) {
        LH_ASSERT(peer.fresh + peer.staying <= peer.total && peer.port_run <= peer.total);
        total += peer.total;
    }
    LH_ASSERT(total == looks[1].count);
    lh_look_fini(&looks[0]);
    lh_look_fini(&looks[1]);
    free(text);
    return 0;
}
