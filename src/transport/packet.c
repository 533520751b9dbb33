// SPDX-License-Identifier: Apache-2.0
//
// How it works. One reader function a frame type, found through a table; each checks the ranges
// that need no state (what needs state is checked where the state is). Integers have fixed widths
// in the frames of the hot path, and are varints in FEEDBACK, whose counters are mostly small.
#include "transport/packet.h"
#include "base/assert.h"
#include "base/cleanup.h"

#define TYPE_MASK   0x0f // of a frame's first byte; the rest are flags
#define NUMBER_BITS 24   // of a packet number in the header
#define NUMBER_SPAN ((uint64_t)1 << NUMBER_BITS)

void lh_packet_header_write(const struct lh_packet_header *header, uint8_t out[LH_PACKET_HEADER])
{
    LH_DASSERT(header->pn <= LH_PN_MAX && header->lane < LH_LANES_MAX);
    lh_le64_store(out, LH_PACKET_TYPE << 4 | header->lane | (uint64_t)header->session_id << 8 |
                           header->pn << 40);
}

// The number closest to `next` whose low bits are `low`.
static uint64_t number_near(uint64_t next, uint64_t low)
{
    uint64_t pn = (next & ~(NUMBER_SPAN - 1)) | low;
    if (pn + NUMBER_SPAN / 2 <= next)
        return pn + NUMBER_SPAN;
    if (pn > next + NUMBER_SPAN / 2 && pn >= NUMBER_SPAN)
        return pn - NUMBER_SPAN;
    return pn;
}

lh_err lh_packet_header_read(const uint8_t *data,
                             size_t len,
                             uint64_t next,
                             struct lh_packet_header *out_header)
{
    if (len < LH_PACKET_HEADER + LH_PACKET_TAG)
        return LH_E_AUTH;
    uint64_t header = lh_le64_load(data);
    if ((header >> 4 & 15) != LH_PACKET_TYPE)
        return LH_E_AUTH;
    out_header->lane = header & 15;
    out_header->session_id = (uint32_t)(header >> 8);
    out_header->pn = number_near(next, header >> 40);
    return 0;
}

static bool read_data(struct lh_reader *reader, struct lh_frame *frame)
{
    struct lh_frame_data *data = &frame->data;
    data->block = lh_read_u32(reader);
    data->offset = lh_read_u24(reader);
    bool has_block_len = frame->flags & LH_DATA_HAS_BLOCK_LEN;
    data->block_len = has_block_len ? lh_read_u24(reader) : 0;
    data->to_end = (frame->flags & LH_DATA_HAS_LEN) == 0;
    data->ack_now = frame->flags & LH_DATA_ACK_NOW;
    size_t len = data->to_end ? lh_reader_left(reader) : lh_read_u16(reader);
    if (len == 0 || len > UINT16_MAX)
        return false;
    data->len = (uint16_t)len;
    data->bytes = lh_read_bytes(reader, len);
    return !has_block_len || (uint64_t)data->offset + len <= data->block_len;
}

static bool read_stream(struct lh_reader *reader, struct lh_frame *frame)
{
    frame->stream.offset = lh_read_u48(reader);
    frame->stream.len = lh_read_u16(reader);
    frame->stream.bytes = lh_read_bytes(reader, frame->stream.len);
    return frame->stream.len > 0;
}

// Nanoseconds of it and differences of two fit an int64_t; 285 years.
#define CLOCK_US_MAX (1ull << 53)

static bool read_feedback(struct lh_reader *reader, struct lh_frame *frame)
{
    struct lh_frame_feedback *feedback = &frame->feedback;
    feedback->number = lh_read_u32(reader);
    feedback->top = lh_read_u48(reader);
    uint64_t *const fields[] = {
        &feedback->clock_us,    &feedback->top_age_us,   &feedback->last_age_us,
        &feedback->packets,     &feedback->bytes,        &feedback->duplicates,
        &feedback->ce,          &feedback->socket_drops, &feedback->grant_bytes,
        &feedback->grant_block, &feedback->grant_stream, &feedback->start,
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(fields); i++)
        *fields[i] = lh_read_varint(reader);
    feedback->records_len = lh_read_u16(reader);
    feedback->records = lh_read_bytes(reader, feedback->records_len);
    bool is_past = LH_GUARD(FEEDBACK_CLOCK, feedback->clock_us > CLOCK_US_MAX);
    return !is_past && feedback->start <= feedback->top &&
           feedback->top_age_us <= feedback->clock_us &&
           feedback->last_age_us <= feedback->clock_us;
}

static bool read_token(struct lh_reader *reader, struct lh_frame *frame)
{
    frame->token = lh_read_u64(reader);
    return true;
}

static bool read_close(struct lh_reader *reader, struct lh_frame *frame)
{
    frame->close.code = lh_read_u32(reader);
    frame->close.reason_len = lh_read_u16(reader);
    frame->close.reason = lh_read_bytes(reader, frame->close.reason_len);
    return frame->close.reason_len <= LH_REASON_MAX && frame->close.code <= INT32_MAX;
}

static bool read_state(struct lh_reader *reader, struct lh_frame *frame)
{
    frame->state.floor = lh_read_u48(reader);
    frame->state.interval_us = lh_read_u32(reader);
    return true;
}

static bool read_ecn(struct lh_reader *reader, struct lh_frame *frame)
{
    frame->ecn.ect0 = lh_read_varint(reader);
    frame->ecn.ect1 = lh_read_varint(reader);
    frame->ecn.ce = lh_read_varint(reader);
    return frame->ecn.ect0 <= LH_PN_MAX && frame->ecn.ect1 <= LH_PN_MAX &&
           frame->ecn.ce <= LH_PN_MAX;
}

static bool read_nothing(struct lh_reader *reader, struct lh_frame *frame)
{
    (void)reader;
    (void)frame;
    return true;
}

static const uint8_t frame_flags[LH_FRAME_N_] = {
    [LH_FRAME_DATA] = LH_DATA_HAS_LEN | LH_DATA_HAS_BLOCK_LEN | LH_DATA_ACK_NOW,
};

static bool (*const frame_readers[LH_FRAME_N_])(struct lh_reader *, struct lh_frame *) = {
    [LH_FRAME_DATA] = read_data,
    [LH_FRAME_STREAM] = read_stream,
    [LH_FRAME_FEEDBACK] = read_feedback,
    [LH_FRAME_PING] = read_token,
    [LH_FRAME_PONG] = read_token,
    [LH_FRAME_PATH_CHALLENGE] = read_token,
    [LH_FRAME_PATH_RESPONSE] = read_token,
    [LH_FRAME_CLOSE] = read_close,
    [LH_FRAME_STATE] = read_state,
    [LH_FRAME_ACK_NOW] = read_nothing,
    [LH_FRAME_ECN] = read_ecn,
};

lh_err lh_frame_read(struct lh_reader *reader, struct lh_frame *out_frame)
{
    if (lh_reader_left(reader) == 0)
        return LH_EOF;
    uint8_t first = lh_read_u8(reader), type = first & TYPE_MASK;
    if (first == LH_FRAME_PAD)
        return LH_EOF;
    if (type == LH_FRAME_PAD || type >= LH_FRAME_N_ ||
        (first & ~TYPE_MASK & ~frame_flags[type]) != 0)
        return LH_E_PROTO;
    out_frame->flags = first & (uint8_t)~TYPE_MASK;
    out_frame->type = (enum lh_frame_type)type;
    bool good = frame_readers[type](reader, out_frame);
    return good && !reader->bad ? 0 : LH_E_PROTO;
}

void lh_frame_write_data(struct lh_writer *writer, const struct lh_frame_data *frame)
{
    LH_DASSERT(frame->block_len < 1u << 24);
    lh_write_u8(writer, (uint8_t)(LH_FRAME_DATA | (frame->to_end ? 0 : LH_DATA_HAS_LEN) |
                                  (frame->block_len == 0 ? 0 : LH_DATA_HAS_BLOCK_LEN) |
                                  (frame->ack_now ? LH_DATA_ACK_NOW : 0)));
    lh_write_u32(writer, frame->block);
    lh_write_u24(writer, frame->offset);
    if (frame->block_len != 0)
        lh_write_u24(writer, frame->block_len);
    if (!frame->to_end)
        lh_write_u16(writer, frame->len);
    lh_write_bytes(writer, frame->bytes, frame->len);
}

void lh_frame_write_stream(struct lh_writer *writer, const struct lh_frame_stream *frame)
{
    lh_write_u8(writer, LH_FRAME_STREAM);
    lh_write_u48(writer, frame->offset);
    lh_write_u16(writer, frame->len);
    lh_write_bytes(writer, frame->bytes, frame->len);
}

void lh_frame_write_feedback(struct lh_writer *writer, const struct lh_frame_feedback *frame)
{
    const uint64_t fields[] = {
        frame->clock_us,    frame->top_age_us,  frame->last_age_us,  frame->packets,
        frame->bytes,       frame->duplicates,  frame->ce,           frame->socket_drops,
        frame->grant_bytes, frame->grant_block, frame->grant_stream, frame->start,
    };
    lh_write_u8(writer, LH_FRAME_FEEDBACK);
    lh_write_u32(writer, frame->number);
    lh_write_u48(writer, frame->top);
    for (size_t i = 0; i < LH_ARRAY_LEN(fields); i++)
        lh_write_varint(writer, fields[i]);
    lh_write_u16(writer, frame->records_len);
    lh_write_bytes(writer, frame->records, frame->records_len);
}

void lh_frame_write_token(struct lh_writer *writer, enum lh_frame_type type, uint64_t token)
{
    lh_write_u8(writer, (uint8_t)type);
    lh_write_u64(writer, token);
}

void lh_frame_write_close(struct lh_writer *writer, const struct lh_frame_close *frame)
{
    lh_write_u8(writer, LH_FRAME_CLOSE);
    lh_write_u32(writer, frame->code);
    lh_write_u16(writer, frame->reason_len);
    lh_write_bytes(writer, frame->reason, frame->reason_len);
}

void lh_frame_write_state(struct lh_writer *writer, const struct lh_frame_state *frame)
{
    lh_write_u8(writer, LH_FRAME_STATE);
    lh_write_u48(writer, frame->floor);
    lh_write_u32(writer, frame->interval_us);
}

void lh_frame_write_ecn(struct lh_writer *writer, const struct lh_frame_ecn *frame)
{
    lh_write_u8(writer, LH_FRAME_ECN);
    lh_write_varint(writer, frame->ect0);
    lh_write_varint(writer, frame->ect1);
    lh_write_varint(writer, frame->ce);
}
