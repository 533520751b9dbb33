// SPDX-License-Identifier: Apache-2.0
//
// How it works. Both ends use a buffer whose byte for stream offset o lies at o modulo its
// capacity; the window bounds what is in it, so it never needs more than LH_STREAM_WINDOW. Records
// of sent packets hold the low 32 bits of an offset; the window is far smaller than 2^31, so the
// rest follows from `acked`.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"
#include "transport/stream.h"

#define BUFFER_MIN 4096

static_assert((LH_STREAM_WINDOW & (LH_STREAM_WINDOW - 1)) == 0, "buffers grow by doubling");

// Makes room for the window [low, high); `kept` is what must survive from [low, kept).
static lh_err
buffer_grow(struct lh_window_buffer *buffer, uint64_t low, uint64_t kept, uint64_t high)
{
    uint64_t capacity = LH_MAX(buffer->capacity, (uint64_t)BUFFER_MIN);
    while (capacity < high - low)
        capacity *= 2;
    if (capacity == buffer->capacity)
        return 0;
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL)
        return LH_E_NOMEM;
    for (uint64_t at = low; at < kept;) {
        uint64_t from = at & (buffer->capacity - 1), to = at & (capacity - 1);
        uint64_t part = LH_MIN(kept - at, LH_MIN(buffer->capacity - from, capacity - to));
        memcpy(bytes + to, buffer->bytes + from, part);
        at += part;
    }
    free(buffer->bytes);
    *buffer = (struct lh_window_buffer){bytes, capacity};
    return 0;
}

static void
buffer_write(struct lh_window_buffer *buffer, uint64_t at, const uint8_t *data, uint64_t len)
{
    uint64_t index = at & (buffer->capacity - 1);
    uint64_t first = LH_MIN(len, buffer->capacity - index);
    memcpy(buffer->bytes + index, data, first);
    if (len > first)
        memcpy(buffer->bytes, data + first, len - first);
}

void lh_stream_tx_init(struct lh_stream_tx *tx)
{
    *tx = (struct lh_stream_tx){.grant = LH_STREAM_WINDOW};
}

void lh_stream_tx_fini(struct lh_stream_tx *tx)
{
    free(tx->buffer.bytes);
    lh_ranges_fini(&tx->acked_ranges);
    lh_ranges_fini(&tx->lost);
    *tx = (struct lh_stream_tx){0};
}

static bool has_room(const struct lh_stream_tx *tx, size_t len)
{
    return tx->end - tx->acked + len <= LH_STREAM_WINDOW;
}

lh_err lh_stream_tx_write(struct lh_stream_tx *tx, const void *data, size_t len)
{
    if (!has_room(tx, len)) {
        tx->wants_room = true;
        tx->wanted_len = len;
        return LH_AGAIN;
    }
    lh_err err = buffer_grow(&tx->buffer, tx->acked, tx->end, tx->end + len);
    if (err != 0)
        return err;
    buffer_write(&tx->buffer, tx->end, data, len);
    tx->end += len;
    return 0;
}

bool lh_stream_tx_is_writable(const struct lh_stream_tx *tx)
{
    return has_room(tx, tx->wanted_len);
}

void lh_stream_tx_grant(struct lh_stream_tx *tx, uint64_t grant)
{
    tx->grant = LH_MAX(tx->grant, grant);
}

bool lh_stream_tx_has_data(const struct lh_stream_tx *tx)
{
    return tx->lost.count > 0 || tx->sent < LH_MIN(tx->end, tx->grant);
}

// Fills `out_chunk` with [start, end), cut where the buffer wraps.
static void
fill(const struct lh_stream_tx *tx, uint64_t start, uint64_t end, struct lh_frame_stream *out_chunk)
{
    uint64_t index = start & (tx->buffer.capacity - 1);
    uint64_t len = LH_MIN(end - start, tx->buffer.capacity - index);
    out_chunk->offset = start;
    out_chunk->bytes = tx->buffer.bytes + index;
    out_chunk->len = (uint16_t)LH_MIN(len, (uint64_t)UINT16_MAX);
}

bool lh_stream_tx_take(struct lh_stream_tx *tx, uint32_t room, struct lh_frame_stream *out_chunk)
{
    struct lh_range range;
    if (room == 0)
        return false;
    if (lh_ranges_first(&tx->lost, &range)) {
        uint64_t removed;
        fill(tx, range.start, LH_MIN(range.end, range.start + room), out_chunk);
        // Cutting off the front of an interval never needs memory.
        lh_err err =
            lh_ranges_remove(&tx->lost, range.start, range.start + out_chunk->len, &removed);
        LH_ASSERT(err == 0);
        tx->retransmitted_bytes += removed;
        return true;
    }
    uint64_t limit = LH_MIN(tx->end, tx->grant);
    if (tx->sent >= limit)
        return false;
    fill(tx, tx->sent, LH_MIN(limit, tx->sent + room), out_chunk);
    tx->sent += out_chunk->len;
    return true;
}

// The stretch of a record, without what lies below `acked`; false where nothing is left.
static bool stretch_of(const struct lh_stream_tx *tx,
                       uint32_t offset_low,
                       uint16_t len,
                       struct lh_range *out_range)
{
    int64_t distance = (int32_t)(offset_low - (uint32_t)tx->acked);
    if (distance + len <= 0 || (distance < 0 && tx->acked < (uint64_t)-distance))
        return false;
    uint64_t start = distance < 0 ? tx->acked : tx->acked + (uint64_t)distance;
    *out_range = (struct lh_range){start, tx->acked + (uint64_t)(distance + len)};
    return out_range->end <= tx->sent;
}

bool lh_stream_tx_again(struct lh_stream_tx *tx,
                        uint32_t offset_low,
                        uint16_t len,
                        struct lh_frame_stream *out_chunk)
{
    struct lh_range range, gap;
    if (!stretch_of(tx, offset_low, len, &range) ||
        !lh_ranges_gap(&tx->acked_ranges, range.start, range.end, &gap))
        return false;
    fill(tx, gap.start, gap.end, out_chunk);
    tx->retransmitted_bytes += out_chunk->len;
    return true;
}

lh_err lh_stream_tx_acked(struct lh_stream_tx *tx, uint32_t offset_low, uint16_t len)
{
    struct lh_range range, first;
    uint64_t changed;
    if (!stretch_of(tx, offset_low, len, &range))
        return 0;
    lh_err err = lh_ranges_add(&tx->acked_ranges, range.start, range.end, &changed);
    if (err == 0)
        err = lh_ranges_remove(&tx->lost, range.start, range.end, &changed);
    if (err != 0)
        return err;
    if (!lh_ranges_first(&tx->acked_ranges, &first) || first.start > tx->acked)
        return 0;
    tx->acked = first.end;
    return lh_ranges_remove(&tx->acked_ranges, first.start, first.end, &changed);
}

lh_err lh_stream_tx_lost(struct lh_stream_tx *tx, uint32_t offset_low, uint16_t len)
{
    struct lh_range range, gap;
    uint64_t added;
    if (!stretch_of(tx, offset_low, len, &range))
        return 0;
    while (lh_ranges_gap(&tx->acked_ranges, range.start, range.end, &gap)) {
        lh_err err = lh_ranges_add(&tx->lost, gap.start, gap.end, &added);
        if (err != 0)
            return err;
        range.start = gap.end;
    }
    return 0;
}

void lh_stream_rx_init(struct lh_stream_rx *rx)
{
    *rx = (struct lh_stream_rx){0};
}

void lh_stream_rx_fini(struct lh_stream_rx *rx)
{
    free(rx->buffer.bytes);
    lh_ranges_fini(&rx->ranges);
    *rx = (struct lh_stream_rx){0};
}

uint64_t lh_stream_rx_grant(const struct lh_stream_rx *rx)
{
    return rx->consumed + LH_STREAM_WINDOW;
}

lh_err lh_stream_rx_data(struct lh_stream_rx *rx, const struct lh_frame_stream *chunk)
{
    uint64_t start = chunk->offset, end = chunk->offset + chunk->len, added;
    const uint8_t *bytes = chunk->bytes;
    if (LH_GUARD(STREAM_GRANT, end > lh_stream_rx_grant(rx)))
        return LH_E_PROTO;
    if (end <= rx->delivered)
        return 0;
    if (start < rx->delivered) {
        bytes += rx->delivered - start;
        start = rx->delivered;
    }
    // The whole old content may matter: out-of-order bytes lie anywhere in the window.
    lh_err err = buffer_grow(&rx->buffer, rx->delivered, rx->delivered + rx->buffer.capacity, end);
    if (err == 0)
        err = lh_ranges_add(&rx->ranges, start, end, &added);
    if (err != 0)
        return err == LH_E_LIMIT ? LH_E_PROTO : err;
    buffer_write(&rx->buffer, start, bytes, end - start);
    return 0;
}

bool lh_stream_rx_next(struct lh_stream_rx *rx, const uint8_t **out_data, size_t *out_len)
{
    struct lh_range first;
    uint64_t removed;
    if (!lh_ranges_first(&rx->ranges, &first) || first.start > rx->delivered)
        return false;
    LH_ASSERT(first.start == rx->delivered);
    uint64_t index = first.start & (rx->buffer.capacity - 1);
    uint64_t len = LH_MIN(first.end - first.start, rx->buffer.capacity - index);
    // Cutting off the front of an interval never needs memory.
    lh_err err = lh_ranges_remove(&rx->ranges, first.start, first.start + len, &removed);
    LH_ASSERT(err == 0);
    rx->delivered += len;
    *out_data = rx->buffer.bytes + index;
    *out_len = len;
    return true;
}

void lh_stream_rx_consumed(struct lh_stream_rx *rx, size_t len)
{
    LH_ASSERT(rx->consumed + len <= rx->delivered);
    rx->consumed += len;
}
