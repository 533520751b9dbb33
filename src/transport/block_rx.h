// SPDX-License-Identifier: Apache-2.0
//
// Blocks on their way in: assembled in buffers of their own size and delivered whole; or, while
// memory is short, handed over run by run as they come (early), so that a block in assembly costs
// little.
//
// Two accounts are kept.
//   Memory   what is really held: buffers, bookkeeping, and what was handed over and not released
//            yet. It never exceeds the budget: a packet that would need more is refused before it
//            is acknowledged (lh_block_rx_has_room), whatever was granted.
//   Grants   the peer may begin blocks whose charges (length + LH_BLOCK_CHARGE each) sum up to
//            what was granted, with numbers below grant_block. Going beyond either ends the
//            session. What is granted ahead (the window) is less than the budget, so that nothing
//            is ever refused to a peer; it becomes more only while the layer above takes runs
//            early and keeps up, since then what is under way need not all be held one day.
#ifndef LH_TRANSPORT_BLOCK_RX_H
#define LH_TRANSPORT_BLOCK_RX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "transport/packet.h"
#include "transport/ranges.h"
#include "transport/transport.h"

// Who takes runs early; lh_block_rx_init without one: nobody does.
struct lh_block_rx_sink {
    void *ctx;
    enum lh_early (*begin)(
        void *ctx, uint32_t block, const uint8_t *head, size_t head_len, size_t len);
    void (*run)(void *ctx, uint32_t block, size_t offset, const uint8_t *data, size_t len);
};

struct lh_rx_block {
    struct lh_link spare_link; // while unused
    uint8_t *data;             // owned; from lh_block_rx's cache; NULL: early
    uint32_t number, len, received;
    bool delivered;
    bool is_early; // its runs are handed over as they come
    bool is_kept;  // the layer above never takes it early
    struct lh_ranges ranges;
};

// Buffers come in size classes, four an octave, and wait in one list a class for reuse.
#define LH_BUFFER_CLASSES 64
struct lh_buffer_cache {
    struct lh_buffer_spare {
        struct lh_buffer_spare *next;
    } * spare[LH_BUFFER_CLASSES];
    uint64_t bytes, bytes_max; // waiting
};

struct lh_block_rx {
    struct lh_rx_block **table; // ring by number; NULL: not begun; &released: over
    uint64_t capacity;          // power of two
    uint64_t base;              // lowest number that is not released
    uint64_t end;               // largest number begun + 1
    struct lh_link spare;
    struct lh_buffer_cache cache;
    struct lh_block_rx_sink sink;
    uint32_t block_max;
    uint64_t budget, margin;
    uint64_t held, held_peak;   // memory
    uint64_t backlog;           // of it, in the hands of the layer above
    uint64_t charged, released; // cumulative charges
    uint64_t window;            // granted ahead of `released`
    uint64_t granted;           // in all, so far
    lh_ns round_at;             // when the round trip began that is looked at
    uint64_t round_charged;     // `charged` then
    uint64_t delivered_bytes, duplicate_bytes, early_bytes;
};

// `sink` may be NULL.
lh_err lh_block_rx_init(struct lh_block_rx *rx,
                        uint32_t block_max,
                        uint64_t budget,
                        const struct lh_block_rx_sink *sink) LH_MUST_CHECK;
void lh_block_rx_fini(struct lh_block_rx *rx);

// Asked before a packet is acknowledged. Is there so little memory that a packet might not fit?
// Then each of its chunks is asked what memory it would take (`newest`: UINT64_MAX before the
// first), and the packet may be taken if there is room for the sum. Chunks of blocks that are
// assembled in a buffer always fit: so those that hold the memory can always be completed.
bool lh_block_rx_is_tight(const struct lh_block_rx *rx);
uint64_t
lh_block_rx_need(const struct lh_block_rx *rx, const struct lh_frame_data *chunk, uint64_t *newest);
bool lh_block_rx_has_room(const struct lh_block_rx *rx, uint64_t need);

// Takes a chunk. Gives the block where that made it whole: the caller delivers it; else NULL.
// LH_E_PROTO: beyond the grant, or contradicting what the block's length was. LH_E_NOMEM.
lh_err lh_block_rx_data(struct lh_block_rx *rx,
                        const struct lh_frame_data *chunk,
                        const struct lh_rx_block **out_whole) LH_MUST_CHECK;
// Ends a delivered block's life (asserted).
void lh_block_rx_release(struct lh_block_rx *rx, uint32_t number);
// So many bytes that were handed over as runs are held no more (no more than were: asserted).
void lh_block_rx_release_runs(struct lh_block_rx *rx, uint64_t bytes);

// What the peer may be told now; adapts the window. It only grows. `rtt`: to the peer, 0 = unknown.
uint64_t lh_block_rx_grant(struct lh_block_rx *rx, lh_ns rtt, lh_ns now);
// The same without a change.
static inline uint64_t lh_block_rx_grant_bytes(const struct lh_block_rx *rx)
{
    return rx->released + rx->window;
}
uint64_t lh_block_rx_grant_block(const struct lh_block_rx *rx);
static inline uint64_t lh_block_rx_memory(const struct lh_block_rx *rx)
{
    return rx->held;
}

#endif
