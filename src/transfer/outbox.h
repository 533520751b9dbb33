// SPDX-License-Identifier: Apache-2.0
//
// Messages on their way into the control stream: what the stream has no room for waits here.
#ifndef LH_TRANSFER_OUTBOX_H
#define LH_TRANSFER_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/message.h"
#include "transfer/channel.h"

struct lh_outbox {
    uint8_t *bytes; // owned
    size_t room, head, tail;
};
#define LH_OUTBOX_NULL ((struct lh_outbox){0})

void lh_outbox_fini(struct lh_outbox *outbox);

// LH_E_NOMEM; LH_E_LIMIT beyond LH_OUTBOX_MAX (the peer does not read its answers).
lh_err lh_outbox_put(struct lh_outbox *outbox, const struct lh_message *message) LH_MUST_CHECK;

// Writes as much as the stream takes. A failure is the channel's.
lh_err lh_outbox_flush(struct lh_outbox *outbox, const struct lh_channel *channel) LH_MUST_CHECK;

static inline size_t lh_outbox_waiting(const struct lh_outbox *outbox)
{
    return outbox->tail - outbox->head;
}

#endif
