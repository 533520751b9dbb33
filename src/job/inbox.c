// SPDX-License-Identifier: Apache-2.0
#include "job/inbox.h"

#include "base/assert.h"
#include "base/math.h"

void lh_inbox_init(struct lh_inbox *inbox)
{
    inbox->used = 0;
}

// The whole length of the message that begins at `bytes`, 0 while its header is incomplete.
static size_t message_length(const uint8_t *bytes, size_t len)
{
    if (len < LH_MESSAGE_HEADER)
        return 0;
    return LH_MESSAGE_HEADER + ((size_t)bytes[2] | (size_t)bytes[3] << 8);
}

static lh_err handle(const uint8_t *bytes, size_t len, lh_inbox_handler handler, void *ctx)
{
    struct lh_message message;
    lh_err err = lh_message_read(bytes[0], bytes[1], bytes + LH_MESSAGE_HEADER,
                                 len - LH_MESSAGE_HEADER, &message);
    if (err == LH_NONE)
        return LH_OK;
    return err != LH_OK ? err : handler(ctx, &message);
}

lh_err lh_inbox_take(
    struct lh_inbox *inbox, const uint8_t *data, size_t len, lh_inbox_handler handler, void *ctx)
{
    while (len > 0) {
        // Whole messages are read where they are; only a cut one is copied together.
        size_t whole = inbox->used == 0 ? message_length(data, len) : 0;
        if (whole > LH_MESSAGE_MAX)
            return LH_E_PROTO;
        if (whole > 0 && whole <= len) {
            lh_err err = handle(data, whole, handler, ctx);
            if (err != LH_OK)
                return err;
            data += whole;
            len -= whole;
            continue;
        }
        whole = message_length(inbox->buffer, inbox->used);
        size_t wanted = whole == 0 ? LH_MESSAGE_HEADER : whole;
        if (wanted > sizeof inbox->buffer)
            return LH_E_PROTO;
        size_t part = LH_MIN(wanted - inbox->used, len);
        memcpy(inbox->buffer + inbox->used, data, part);
        inbox->used += part;
        data += part;
        len -= part;
        if (inbox->used != message_length(inbox->buffer, inbox->used))
            continue;
        lh_err err = handle(inbox->buffer, inbox->used, handler, ctx);
        if (err != LH_OK)
            return err;
        inbox->used = 0;
    }
    return LH_OK;
}
