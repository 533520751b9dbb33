// SPDX-License-Identifier: Apache-2.0
#include "transfer/outbox.h"

#include <stdlib.h>

#include "base/math.h"

#define WRITE_MAX ((size_t)16384) // bytes of one stream_write: all or nothing, so not too many

void lh_outbox_fini(struct lh_outbox *outbox)
{
    free(outbox->bytes);
    *outbox = LH_OUTBOX_NULL;
}

// Makes room for one more message of any length.
static lh_err make_room(struct lh_outbox *outbox)
{
    if (outbox->head == outbox->tail)
        outbox->head = outbox->tail = 0;
    if (outbox->room - outbox->tail >= LH_MESSAGE_MAX)
        return LH_OK;
    size_t waiting = lh_outbox_waiting(outbox);
    if (outbox->head >= waiting && outbox->room - waiting >= LH_MESSAGE_MAX) {
        memcpy(outbox->bytes, outbox->bytes + outbox->head, waiting);
        outbox->head = 0;
        outbox->tail = waiting;
        return LH_OK;
    }
    if (waiting > LH_OUTBOX_MAX)
        return LH_E_LIMIT;
    size_t room = LH_MAX(2 * outbox->room, (size_t)4 * LH_MESSAGE_MAX);
    uint8_t *bytes = realloc(outbox->bytes, room);
    if (bytes == NULL)
        return LH_E_NOMEM;
    outbox->bytes = bytes;
    outbox->room = room;
    return LH_OK;
}

lh_err lh_outbox_put(struct lh_outbox *outbox, const struct lh_message *message)
{
    lh_err err = make_room(outbox);
    if (err != LH_OK)
        return err;
    struct lh_writer writer = lh_writer_of(outbox->bytes + outbox->tail, LH_MESSAGE_MAX);
    lh_message_write(&writer, message);
    if (writer.bad)
        return LH_E_LIMIT;
    outbox->tail += lh_writer_used(&writer);
    return LH_OK;
}

lh_err lh_outbox_flush(struct lh_outbox *outbox, const struct lh_channel *channel)
{
    while (outbox->head < outbox->tail) {
        size_t part = LH_MIN(lh_outbox_waiting(outbox), WRITE_MAX);
        lh_err err = channel->stream_write(channel->ctx, outbox->bytes + outbox->head, part);
        if (err == LH_AGAIN)
            return LH_OK;
        if (err < 0)
            return err;
        outbox->head += part;
    }
    return LH_OK;
}
