// SPDX-License-Identifier: Apache-2.0
//
// The messages on the socket where SSH channels are attached: what is taken writes back to the same
// bytes.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "control/attach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lh_attach_offer offer;
    struct lh_attach_answer answer;
    uint8_t again[LH_ATTACH_MESSAGE_MAX];
    uint8_t *message = malloc(len + 1); // a buffer of its own, so that ASan sees every overrun

    LH_ASSERT(message != NULL);
    memcpy(message, data, len);
    if (lh_attach_offer_read(message, len, &offer)) {
        lh_attach_offer_write(&offer, again);
        LH_ASSERT(len == LH_ATTACH_OFFER_LEN && memcmp(again, message, len) == 0);
    }
    if (lh_attach_answer_read(message, len, &answer)) {
        lh_attach_answer_write(&answer, again);
        LH_ASSERT(len == LH_ATTACH_ANSWER_LEN && memcmp(again, message, len) == 0);
    }
    if (lh_attach_go_read(message, len)) {
        lh_attach_go_write(again);
        LH_ASSERT(len == LH_ATTACH_GO_LEN && memcmp(again, message, len) == 0);
    }
    free(message);
    return 0;
}
