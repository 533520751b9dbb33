// SPDX-License-Identifier: Apache-2.0
//
// Cuts the control stream into messages, however its bytes arrive.
#ifndef LH_JOB_INBOX_H
#define LH_JOB_INBOX_H

#include "job/message.h"

struct lh_inbox {
    uint8_t buffer[LH_MESSAGE_MAX]; // a message whose end has not arrived
    size_t used;
};

// Called for every message, in order; the message is valid during the call. An error ends the
// reading.
typedef lh_err (*lh_inbox_handler)(void *ctx, const struct lh_message *message);

void lh_inbox_init(struct lh_inbox *inbox);

// Takes all of `data`. Returns the first error of a message or of the handler; after one the inbox
// must not be used any more. Unknown optional messages are skipped.
lh_err lh_inbox_take(struct lh_inbox *inbox,
                     const uint8_t *data,
                     size_t len,
                     lh_inbox_handler handler,
                     void *ctx) LH_MUST_CHECK;

#endif
