// SPDX-License-Identifier: Apache-2.0
//
// The forwarded-datagram parser: whatever it takes lies inside the message, has plausible
// addresses, and writes back to the same bytes.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "udp/route.h"

#define SESSION 0x04030201u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t header[LH_ROUTE_HEADER_MAX];
    struct lh_udp_dgram dgram;
    struct lh_route_header route;
    uint8_t *message = malloc(len + 1); // a buffer of its own, so that ASan sees every overrun

    LH_ASSERT(message != NULL);
    memcpy(message, data, len);
    if (lh_route_forward_parse(message, len, SESSION, &dgram)) {
        LH_ASSERT(dgram.data >= message && dgram.data + dgram.len == message + len);
        LH_ASSERT(lh_route_parse(dgram.data, dgram.len, &route));
        LH_ASSERT(route.session_id == SESSION && route.lane == dgram.lane);
        LH_ASSERT(lh_udp_addr_is_unicast(&dgram.path.peer));
        size_t head = lh_route_forward_header(&dgram, header);
        LH_ASSERT(head + dgram.len == len);
        LH_ASSERT(memcmp(header, message, head) == 0);
    }
    free(message);
    return 0;
}
