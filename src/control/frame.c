// SPDX-License-Identifier: Apache-2.0
#include "control/frame.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

void lh_frame_reader_init(struct lh_frame_reader *reader, uint8_t *buffer, size_t room)
{
    LH_ASSERT(room >= LH_FRAME_MAX);
    *reader = (struct lh_frame_reader){.buffer = buffer, .room = room};
}

uint8_t *lh_frame_reader_space(struct lh_frame_reader *reader, size_t *out_room)
{
    size_t unread = reader->end - reader->start;

    // Compact only when the tail could not take a whole frame: then at most one frame moves.
    if (unread == 0 || reader->room - reader->start < LH_FRAME_MAX) {
        memmove(reader->buffer, reader->buffer + reader->start, unread);
        reader->start = 0;
        reader->end = unread;
    }
    *out_room = reader->room - reader->end;
    return reader->buffer + reader->end;
}

void lh_frame_reader_added(struct lh_frame_reader *reader, size_t len)
{
    LH_ASSERT(len <= reader->room - reader->end);
    reader->end += len;
}

lh_err lh_frame_reader_put(struct lh_frame_reader *reader, const void *data, size_t len)
{
    size_t room;
    uint8_t *to = lh_frame_reader_space(reader, &room);

    if (len > room)
        return LH_E_LIMIT;
    if (len > 0)
        memcpy(to, data, len);
    lh_frame_reader_added(reader, len);
    return 0;
}

lh_err lh_frame_reader_next(struct lh_frame_reader *reader, uint8_t **out_packet, size_t *out_len)
{
    struct lh_reader bytes =
        lh_reader_of(reader->buffer + reader->start, reader->end - reader->start);
    uint32_t len = lh_read_u32(&bytes);

    if (bytes.bad)
        return LH_AGAIN;
    if (LH_GUARD(FRAME_LENGTH, len == 0 || len > LH_SSH_FRAME_MAX))
        return LH_E_PROTO;
    if (lh_reader_left(&bytes) < len)
        return LH_AGAIN;
    *out_packet = reader->buffer + reader->start + LH_FRAME_HEADER;
    *out_len = len;
    reader->start += LH_FRAME_HEADER + len;
    return 0;
}

void lh_frame_writer_init(struct lh_frame_writer *writer, uint8_t *buffer, size_t room)
{
    LH_ASSERT(room >= LH_FRAME_MAX);
    *writer = (struct lh_frame_writer){.buffer = buffer, .room = room};
}

// Room for `len` more bytes at the end, or LH_AGAIN.
static lh_err make_room(struct lh_frame_writer *writer, size_t len)
{
    size_t waiting = writer->end - writer->start;

    if (writer->room - waiting < len)
        return LH_AGAIN;
    if (waiting == 0 || writer->room - writer->end < len) {
        memmove(writer->buffer, writer->buffer + writer->start, waiting);
        writer->start = 0;
        writer->end = waiting;
    }
    return 0;
}

lh_err lh_frame_writer_reserve(struct lh_frame_writer *writer, uint8_t **out_packet)
{
    if (make_room(writer, LH_FRAME_MAX) != 0)
        return LH_AGAIN;
    *out_packet = writer->buffer + writer->end + LH_FRAME_HEADER;
    return 0;
}

void lh_frame_writer_commit(struct lh_frame_writer *writer, size_t len)
{
    struct lh_writer header = lh_writer_of(writer->buffer + writer->end, LH_FRAME_HEADER);

    LH_ASSERT(len <= LH_SSH_FRAME_MAX);
    LH_ASSERT(writer->room - writer->end >= LH_FRAME_MAX);
    if (len == 0)
        return;
    lh_write_u32(&header, (uint32_t)len);
    writer->end += LH_FRAME_HEADER + len;
}

lh_err lh_frame_writer_put(struct lh_frame_writer *writer, const void *data, size_t len)
{
    if (make_room(writer, len) != 0)
        return LH_AGAIN;
    if (len > 0)
        memcpy(writer->buffer + writer->end, data, len);
    writer->end += len;
    return 0;
}

const uint8_t *lh_frame_writer_pending(const struct lh_frame_writer *writer, size_t *out_len)
{
    *out_len = writer->end - writer->start;
    return writer->buffer + writer->start;
}

void lh_frame_writer_sent(struct lh_frame_writer *writer, size_t len)
{
    LH_ASSERT(len <= writer->end - writer->start);
    writer->start += len;
}
