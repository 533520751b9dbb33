// SPDX-License-Identifier: Apache-2.0
//
// Blocks on their way out: a queue in the order given, each block's first transmission sequential,
// what was lost before what is new. Which lane carries a chunk is nobody's business here.
//
// The bytes of a block that was sent once may be taken away (unload). When some of them are lost it
// is asked for once, and takes part again when they are back (supply).
//
// A block's life: pushed -> (chunks taken, lost, acknowledged) -> wholly acknowledged and gone.
#ifndef LH_TRANSPORT_BLOCK_TX_H
#define LH_TRANSPORT_BLOCK_TX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "transport/packet.h"
#include "transport/ranges.h"

// Blocks between the oldest unfinished one and the newest, on either side.
#define LH_BLOCK_SPAN_MAX ((uint64_t)1 << 18)
// Blocks may queue up to this many bytes even where they are more than LH_BLOCKS_QUEUED_MAX.
#define LH_BLOCK_QUEUED_BYTES 262144

struct lh_tx_block {
    struct lh_link lost_link; // in lh_block_tx.lost, or .wanted, while `lost` is not empty
    uint8_t *data;            // the caller's; NULL: unloaded
    uint32_t len, number;
    uint32_t sent; // first transmission: bytes taken so far
    uint32_t acked_bytes;
    bool is_wanted; // unloaded, and asked for
    struct lh_ranges acked;
    struct lh_ranges lost; // to be sent again
};

struct lh_block_tx {
    struct lh_tx_block **table; // ring by number; NULL: finished
    uint64_t capacity;          // power of two
    uint64_t base, fresh, next; // oldest unfinished; first with unsent bytes; next to be given out
    struct lh_link lost;        // blocks with lost ranges, longest waiting first
    struct lh_link wanted;      // the same of those that are unloaded, and not asked for yet
    struct lh_link spare;       // finished blocks' structs, for reuse
    uint64_t unsent_blocks, unsent_bytes;
    uint64_t charged;                  // of all blocks pushed
    uint64_t grant_bytes, grant_block; // the peer's newest
    uint64_t acked_bytes;
    uint64_t retransmitted_bytes;
    uint32_t full_len;   // of a full block, whose length its chunks need not say; 0 at first
    bool wants_room;     // a push was refused; whoever tells the caller clears it
    uint32_t wanted_len; // its length
    bool window_limited; // and it was the peer's window
};

lh_err lh_block_tx_init(struct lh_block_tx *tx) LH_MUST_CHECK;
void lh_block_tx_fini(struct lh_block_tx *tx);

// LH_AGAIN: no window or LH_BLOCKS_QUEUED_MAX; LH_E_NOMEM; LH_E_LIMIT after 2^32 blocks.
lh_err lh_block_tx_push(struct lh_block_tx *tx, uint8_t *data, uint32_t len, uint32_t *out_number)
    LH_MUST_CHECK;
void lh_block_tx_grant(struct lh_block_tx *tx, uint64_t grant_bytes, uint64_t grant_block);
// Would the block that was refused last be taken now?
bool lh_block_tx_is_writable(const struct lh_block_tx *tx);

static inline bool lh_block_tx_has_data(const struct lh_block_tx *tx)
{
    return tx->unsent_blocks > 0 || !lh_list_empty(&tx->lost);
}
static inline bool lh_block_tx_is_flushed(const struct lh_block_tx *tx)
{
    return tx->base == tx->next;
}

// False: not all of it was sent, something waits to be sent again, or it is finished.
bool lh_block_tx_unload(struct lh_block_tx *tx, uint32_t number);
// False: it is finished, and has no use for the bytes.
bool lh_block_tx_supply(struct lh_block_tx *tx, uint32_t number, uint8_t *data);
// The next block that has to be supplied, each once; false where there is none.
bool lh_block_tx_wanted(struct lh_block_tx *tx, uint32_t *out_number);

// The next chunk of at most `room` content bytes, less LH_FRAME_DATA_BLOCK_LEN where its block is
// not a full one; false where there is none.
bool lh_block_tx_take(struct lh_block_tx *tx, uint32_t room, struct lh_frame_data *out_chunk);
// The chunk once more (a precaution), where it still is unacknowledged.
bool lh_block_tx_again(struct lh_block_tx *tx,
                       uint32_t number,
                       uint32_t offset,
                       uint16_t len,
                       struct lh_frame_data *out_chunk);

struct lh_block_tx_done {
    bool is_whole; // a block was finished
    uint8_t *data; // NULL: it is unloaded
    uint32_t len, number;
};
lh_err lh_block_tx_acked(struct lh_block_tx *tx,
                         uint32_t number,
                         uint32_t offset,
                         uint16_t len,
                         struct lh_block_tx_done *out_done) LH_MUST_CHECK;
lh_err lh_block_tx_lost(struct lh_block_tx *tx, uint32_t number, uint32_t offset, uint16_t len)
    LH_MUST_CHECK;

#endif
