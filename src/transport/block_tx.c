// SPDX-License-Identifier: Apache-2.0
//
// How it works. Blocks are numbered in the order given, so a ring of pointers finds them. `fresh`
// walks through it once: first transmission. A lost chunk is added to its block's `lost` set, minus
// what was acknowledged meanwhile, and the block queues in a list; takers serve that list first.
// A chunk may be in flight several times; whichever copy is acknowledged first counts, and takes
// the chunk out of `lost`. Acknowledgements of finished blocks find nothing and do nothing.
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"
#include "transport/block_tx.h"
#include "transport/transport.h"

#define TABLE_MIN        64
#define SPARE_RANGES_MAX 64 // a spare block keeps its sets' memory up to this many intervals

lh_err lh_block_tx_init(struct lh_block_tx *tx)
{
    *tx = (struct lh_block_tx){.capacity = TABLE_MIN};
    lh_list_init(&tx->lost);
    lh_list_init(&tx->wanted);
    lh_list_init(&tx->spare);
    tx->table = calloc(TABLE_MIN, sizeof(void *));
    return tx->table != NULL ? 0 : LH_E_NOMEM;
}

static void free_block(struct lh_tx_block *block)
{
    lh_ranges_fini(&block->acked);
    lh_ranges_fini(&block->lost);
    free(block);
}

void lh_block_tx_fini(struct lh_block_tx *tx)
{
    if (tx->table == NULL)
        return;
    for (uint64_t number = tx->base; number < tx->next; number++) {
        struct lh_tx_block *block = tx->table[number & (tx->capacity - 1)];
        if (block != NULL)
            free_block(block);
    }
    LH_LIST_FOR_EACH(link, &tx->spare)
    free_block(LH_CONTAINER_OF(link, struct lh_tx_block, lost_link));
    free(tx->table);
    *tx = (struct lh_block_tx){0};
}

static lh_err make_room(struct lh_block_tx *tx)
{
    if (tx->next - tx->base < tx->capacity)
        return 0;
    struct lh_tx_block **bigger = calloc(tx->capacity * 2, sizeof(void *));
    if (bigger == NULL)
        return LH_E_NOMEM;
    for (uint64_t number = tx->base; number < tx->next; number++)
        bigger[number & (tx->capacity * 2 - 1)] = tx->table[number & (tx->capacity - 1)];
    free(tx->table);
    tx->table = bigger;
    tx->capacity *= 2;
    return 0;
}

static bool queue_is_full(const struct lh_block_tx *tx)
{
    return tx->unsent_blocks >= LH_BLOCKS_QUEUED_MAX && tx->unsent_bytes >= LH_BLOCK_QUEUED_BYTES;
}

static bool window_is_closed(const struct lh_block_tx *tx, uint64_t len)
{
    return tx->next >= tx->grant_block || tx->next - tx->base >= LH_BLOCK_SPAN_MAX ||
           tx->charged + len + LH_BLOCK_CHARGE > tx->grant_bytes;
}

static struct lh_tx_block *new_block(struct lh_block_tx *tx)
{
    struct lh_link *link = lh_list_first(&tx->spare);
    struct lh_tx_block *block;
    if (link != NULL) {
        lh_list_remove(link);
        block = LH_CONTAINER_OF(link, struct lh_tx_block, lost_link);
    } else {
        block = calloc(1, sizeof *block);
        if (block != NULL)
            lh_list_init(&block->lost_link);
    }
    return block;
}

lh_err lh_block_tx_push(struct lh_block_tx *tx, uint8_t *data, uint32_t len, uint32_t *out_number)
{
    if (tx->next > UINT32_MAX)
        return LH_E_LIMIT;
    tx->window_limited = window_is_closed(tx, len);
    if (tx->window_limited || queue_is_full(tx)) {
        tx->wants_room = true;
        tx->wanted_len = len;
        return LH_AGAIN;
    }
    lh_err err = make_room(tx);
    if (err != 0)
        return err;
    struct lh_tx_block *block = new_block(tx);
    if (block == NULL)
        return LH_E_NOMEM;
    block->data = data;
    block->len = len;
    block->number = (uint32_t)tx->next;
    block->sent = 0;
    block->acked_bytes = 0;
    block->is_wanted = false;
    tx->table[tx->next & (tx->capacity - 1)] = block;
    tx->next++;
    tx->unsent_blocks++;
    tx->unsent_bytes += len;
    tx->charged += len + LH_BLOCK_CHARGE;
    *out_number = block->number;
    return 0;
}

void lh_block_tx_grant(struct lh_block_tx *tx, uint64_t grant_bytes, uint64_t grant_block)
{
    tx->grant_bytes = LH_MAX(tx->grant_bytes, grant_bytes);
    tx->grant_block = LH_MAX(tx->grant_block, grant_block);
}

bool lh_block_tx_is_writable(const struct lh_block_tx *tx)
{
    return !queue_is_full(tx) && !window_is_closed(tx, tx->wanted_len);
}

static struct lh_tx_block *find(const struct lh_block_tx *tx, uint64_t number)
{
    if (number < tx->base || number >= tx->next)
        return NULL;
    return tx->table[number & (tx->capacity - 1)];
}

static void fill(const struct lh_tx_block *block,
                 uint32_t offset,
                 uint32_t len,
                 struct lh_frame_data *out_chunk)
{
    *out_chunk = (struct lh_frame_data){
        .block = block->number,
        .offset = offset,
        .block_len = block->len,
        .bytes = block->data + offset,
        .len = (uint16_t)len,
    };
}

// What of `room` is left for content.
static uint32_t
room_of(const struct lh_block_tx *tx, const struct lh_tx_block *block, uint32_t room)
{
    uint64_t left = block->len == tx->full_len ? room : lh_sub_sat(room, LH_FRAME_DATA_BLOCK_LEN);
    return (uint32_t)LH_MIN(left, (uint64_t)UINT16_MAX);
}

static bool take_lost(struct lh_block_tx *tx,
                      struct lh_tx_block *block,
                      uint32_t room,
                      struct lh_frame_data *out_chunk)
{
    struct lh_range range;
    room = room_of(tx, block, room);
    if (room == 0)
        return false;
    bool any = lh_ranges_first(&block->lost, &range);
    LH_ASSERT(any);
    uint64_t removed = 0;
    uint64_t end = LH_MIN(range.end, range.start + room);
    // Cutting off the front of an interval never needs memory.
    lh_err err = lh_ranges_remove(&block->lost, range.start, end, &removed);
    LH_ASSERT(err == 0);
    if (block->lost.count == 0)
        lh_list_remove(&block->lost_link);
    tx->retransmitted_bytes += removed;
    fill(block, (uint32_t)range.start, (uint32_t)(end - range.start), out_chunk);
    return true;
}

bool lh_block_tx_take(struct lh_block_tx *tx, uint32_t room, struct lh_frame_data *out_chunk)
{
    struct lh_link *link = lh_list_first(&tx->lost);
    if (link != NULL)
        return take_lost(tx, LH_CONTAINER_OF(link, struct lh_tx_block, lost_link), room, out_chunk);
    if (tx->unsent_blocks == 0)
        return false;
    struct lh_tx_block *block = find(tx, tx->fresh);
    LH_ASSERT(block != NULL && block->sent < block->len);
    uint32_t len = LH_MIN(room_of(tx, block, room), block->len - block->sent);
    if (len == 0)
        return false;
    fill(block, block->sent, len, out_chunk);
    block->sent += len;
    tx->unsent_bytes -= len;
    if (block->sent == block->len) {
        tx->unsent_blocks--;
        tx->fresh++;
    }
    return true;
}

bool lh_block_tx_unload(struct lh_block_tx *tx, uint32_t number)
{
    struct lh_tx_block *block = find(tx, number);
    if (block == NULL || block->sent < block->len || block->lost.count > 0)
        return false;
    block->data = NULL;
    return true;
}

bool lh_block_tx_supply(struct lh_block_tx *tx, uint32_t number, uint8_t *data)
{
    struct lh_tx_block *block = find(tx, number);
    if (block == NULL)
        return false;
    LH_ASSERT(block->data == NULL && data != NULL);
    block->data = data;
    block->is_wanted = false;
    if (block->lost.count > 0) {
        lh_list_remove(&block->lost_link);
        lh_list_append(&tx->lost, &block->lost_link);
    }
    return true;
}

bool lh_block_tx_wanted(struct lh_block_tx *tx, uint32_t *out_number)
{
    struct lh_link *link = lh_list_first(&tx->wanted);
    if (link == NULL)
        return false;
    lh_list_remove(link);
    struct lh_tx_block *block = LH_CONTAINER_OF(link, struct lh_tx_block, lost_link);
    block->is_wanted = true;
    *out_number = block->number;
    return true;
}

bool lh_block_tx_again(struct lh_block_tx *tx,
                       uint32_t number,
                       uint32_t offset,
                       uint16_t len,
                       struct lh_frame_data *out_chunk)
{
    struct lh_tx_block *block = find(tx, number);
    struct lh_range gap;
    if (block == NULL || block->data == NULL ||
        !lh_ranges_gap(&block->acked, offset, (uint64_t)offset + len, &gap))
        return false;
    tx->retransmitted_bytes += gap.end - gap.start;
    fill(block, (uint32_t)gap.start, (uint32_t)(gap.end - gap.start), out_chunk);
    return true;
}

// Empties a set, and gives its memory back where an unusually torn block had made it large.
static void reset_ranges(struct lh_ranges *ranges)
{
    if (ranges->capacity > SPARE_RANGES_MAX)
        lh_ranges_fini(ranges);
    else
        lh_ranges_clear(ranges);
}

static void finish(struct lh_block_tx *tx, struct lh_tx_block *block)
{
    LH_ASSERT(block->sent == block->len);
    lh_list_remove(&block->lost_link);
    reset_ranges(&block->acked);
    reset_ranges(&block->lost);
    tx->table[block->number & (tx->capacity - 1)] = NULL;
    lh_list_prepend(&tx->spare, &block->lost_link);
    while (tx->base < tx->next && tx->table[tx->base & (tx->capacity - 1)] == NULL)
        tx->base++;
}

lh_err lh_block_tx_acked(struct lh_block_tx *tx,
                         uint32_t number,
                         uint32_t offset,
                         uint16_t len,
                         struct lh_block_tx_done *out_done)
{
    struct lh_tx_block *block = find(tx, number);
    uint64_t added = 0, removed = 0;
    *out_done = (struct lh_block_tx_done){0};
    if (block == NULL)
        return 0;
    lh_err err = lh_ranges_add(&block->acked, offset, (uint64_t)offset + len, &added);
    if (err == 0 && block->lost.count > 0)
        err = lh_ranges_remove(&block->lost, offset, (uint64_t)offset + len, &removed);
    if (err != 0)
        return err;
    if (removed > 0 && block->lost.count == 0)
        lh_list_remove(&block->lost_link);
    block->acked_bytes += (uint32_t)added;
    tx->acked_bytes += added;
    if (block->acked_bytes == block->len) {
        *out_done = (struct lh_block_tx_done){true, block->data, block->len, block->number};
        finish(tx, block);
    }
    return 0;
}

static void list_lost(struct lh_block_tx *tx, struct lh_tx_block *block)
{
    if (block->data != NULL)
        lh_list_append(&tx->lost, &block->lost_link);
    else if (!block->is_wanted)
        lh_list_append(&tx->wanted, &block->lost_link);
}

lh_err lh_block_tx_lost(struct lh_block_tx *tx, uint32_t number, uint32_t offset, uint16_t len)
{
    struct lh_tx_block *block = find(tx, number);
    if (block == NULL)
        return 0;
    uint64_t at = offset, end = (uint64_t)offset + len, added;
    bool was_listed = block->lost.count > 0;
    struct lh_range gap;
    while (lh_ranges_gap(&block->acked, at, end, &gap)) {
        lh_err err = lh_ranges_add(&block->lost, gap.start, gap.end, &added);
        if (err != 0)
            return err;
        at = gap.end;
    }
    if (!was_listed && block->lost.count > 0)
        list_lost(tx, block);
    return 0;
}
