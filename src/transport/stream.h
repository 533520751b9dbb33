// SPDX-License-Identifier: Apache-2.0
//
// The control stream, one end each: reliable, ordered bytes with a window of LH_STREAM_WINDOW
// beyond what the receiving layer has consumed. The sender keeps a copy until it is acknowledged;
// the receiver keeps only what came out of order.
#ifndef LH_TRANSPORT_STREAM_H
#define LH_TRANSPORT_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "transport/packet.h"
#include "transport/ranges.h"

// Bytes of a sliding window, addressed by stream offset; grows by doubling.
struct lh_window_buffer {
    uint8_t *bytes;
    uint64_t capacity; // power of two
};

struct lh_stream_tx {
    struct lh_window_buffer buffer;
    uint64_t acked; // everything below is acknowledged
    uint64_t sent;  // everything below was sent once
    uint64_t end;   // written so far
    uint64_t grant;
    struct lh_ranges acked_ranges, lost; // above `acked`
    uint64_t retransmitted_bytes;
    bool wants_room; // a write was refused; whoever tells the caller clears it
    size_t wanted_len;
};

void lh_stream_tx_init(struct lh_stream_tx *tx);
void lh_stream_tx_fini(struct lh_stream_tx *tx);
// LH_AGAIN: no room; LH_E_NOMEM.
lh_err lh_stream_tx_write(struct lh_stream_tx *tx, const void *data, size_t len) LH_MUST_CHECK;
bool lh_stream_tx_is_writable(const struct lh_stream_tx *tx);
void lh_stream_tx_grant(struct lh_stream_tx *tx, uint64_t grant);
bool lh_stream_tx_has_data(const struct lh_stream_tx *tx);
static inline bool lh_stream_tx_is_flushed(const struct lh_stream_tx *tx)
{
    return tx->acked == tx->end;
}
// The next bytes, at most `room`; they stay valid until the next call. False where there are none.
bool lh_stream_tx_take(struct lh_stream_tx *tx, uint32_t room, struct lh_frame_stream *out_chunk);
// The same stretch once more, as far as it is unacknowledged and contiguous in memory.
bool lh_stream_tx_again(struct lh_stream_tx *tx,
                        uint32_t offset_low,
                        uint16_t len,
                        struct lh_frame_stream *out_chunk);
lh_err lh_stream_tx_acked(struct lh_stream_tx *tx, uint32_t offset_low, uint16_t len) LH_MUST_CHECK;
lh_err lh_stream_tx_lost(struct lh_stream_tx *tx, uint32_t offset_low, uint16_t len) LH_MUST_CHECK;

struct lh_stream_rx {
    struct lh_window_buffer buffer;
    uint64_t delivered;      // handed to the layer above
    uint64_t consumed;       // dealt with by it
    struct lh_ranges ranges; // received above `delivered`
};

void lh_stream_rx_init(struct lh_stream_rx *rx);
void lh_stream_rx_fini(struct lh_stream_rx *rx);
// Takes a chunk. Then lh_stream_rx_next until it gives nothing.
// LH_E_PROTO: beyond the grant; LH_E_NOMEM.
lh_err lh_stream_rx_data(struct lh_stream_rx *rx,
                         const struct lh_frame_stream *chunk) LH_MUST_CHECK;
// In-order bytes, in one or two pieces; they count as delivered and stay valid until the next call.
bool lh_stream_rx_next(struct lh_stream_rx *rx, const uint8_t **out_data, size_t *out_len);
void lh_stream_rx_consumed(struct lh_stream_rx *rx, size_t len);
uint64_t lh_stream_rx_grant(const struct lh_stream_rx *rx);

#endif
