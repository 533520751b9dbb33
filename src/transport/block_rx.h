// SPDX-License-Identifier: Apache-2.0
//
// Blocks on their way in: assembled in buffers of their own size, delivered whole, charged to the
// receive budget from the first byte seen until the layer above releases them.
//
// Grants. The peer may begin blocks whose charges (length + LH_BLOCK_CHARGE each) sum up to
// grant_bytes, with numbers below grant_block. Going beyond either ends the session.
#ifndef LH_TRANSPORT_BLOCK_RX_H
#define LH_TRANSPORT_BLOCK_RX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "transport/packet.h"
#include "transport/ranges.h"

struct lh_rx_block {
    struct lh_link spare_link; // while unused
    uint8_t *data;             // owned; from lh_block_rx's cache
    uint32_t len, received;
    bool delivered;
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
    uint32_t block_max;
    uint64_t budget;
    uint64_t charged, released; // cumulative charges
    uint64_t memory_peak;
    uint64_t delivered_bytes, duplicate_bytes;
};

lh_err lh_block_rx_init(struct lh_block_rx *rx, uint32_t block_max, uint64_t budget) LH_MUST_CHECK;
void lh_block_rx_fini(struct lh_block_rx *rx);

// Takes a chunk. Gives the block where that made it whole: the caller delivers it; else NULL.
// LH_E_PROTO: beyond the grant, or contradicting what the block's length was. LH_E_NOMEM.
lh_err lh_block_rx_data(struct lh_block_rx *rx,
                        const struct lh_frame_data *chunk,
                        const struct lh_rx_block **out_whole) LH_MUST_CHECK;
// Ends a delivered block's life (asserted).
void lh_block_rx_release(struct lh_block_rx *rx, uint32_t number);

static inline uint64_t lh_block_rx_grant_bytes(const struct lh_block_rx *rx)
{
    return rx->released + rx->budget;
}
uint64_t lh_block_rx_grant_block(const struct lh_block_rx *rx);
static inline uint64_t lh_block_rx_memory(const struct lh_block_rx *rx)
{
    return rx->charged - rx->released;
}

#endif
