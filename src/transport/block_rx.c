// SPDX-License-Identifier: Apache-2.0
//
// How it works. A ring of pointers by block number; a released block leaves a marker there until
// everything before it is released too, so that late copies are known for what they are. The peer
// cannot make the ring longer than LH_BLOCK_SPAN_MAX (grant_block) nor the buffers larger than the
// budget (grant_bytes). Chunks are copied to their place; the set of received intervals tells what
// is new. Memory is allocated when a block begins, never for a packet.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"
#include "transport/block_rx.h"
#include "transport/block_tx.h"

#define TABLE_MIN        64
#define CACHE_MAX        ((uint64_t)16 << 20)
#define BUFFER_MIN_LOG2  6
#define SPARE_RANGES_MAX 64

// Marks released blocks; never read or written through.
static struct lh_rx_block *released_marker(void)
{
    static const struct lh_rx_block marker;
    return (struct lh_rx_block *)(uintptr_t)&marker;
}

// Rounds `len` up to one of four sizes an octave; gives the class's number.
static unsigned size_class(uint32_t len, uint32_t *out_size)
{
    unsigned log2 = BUFFER_MIN_LOG2;
    while (((uint32_t)2 << log2) <= len)
        log2++;
    uint32_t step = ((uint32_t)1 << log2) / 4;
    uint32_t quarters =
        len <= (uint32_t)1 << log2 ? 0 : (len - ((uint32_t)1 << log2) + step - 1) / step;
    *out_size = ((uint32_t)1 << log2) + quarters * step;
    if (quarters == 4) {
        log2++;
        quarters = 0;
    }
    return (log2 - BUFFER_MIN_LOG2) * 4 + quarters;
}

static uint8_t *buffer_get(struct lh_buffer_cache *cache, uint32_t len)
{
    uint32_t size;
    unsigned class = size_class(len, &size);
    struct lh_buffer_spare *spare = cache->spare[class];
    LH_ASSERT(class < LH_BUFFER_CLASSES);
    if (spare == NULL)
        return malloc(size);
    cache->spare[class] = spare->next;
    cache->bytes -= size;
    return (uint8_t *)spare;
}

static void buffer_put(struct lh_buffer_cache *cache, uint8_t *data, uint32_t len)
{
    uint32_t size;
    unsigned class = size_class(len, &size);
    struct lh_buffer_spare *spare = (struct lh_buffer_spare *)(void *)data;
    if (cache->bytes + size > cache->bytes_max) {
        free(data);
        return;
    }
    spare->next = cache->spare[class];
    cache->spare[class] = spare;
    cache->bytes += size;
}

static void cache_fini(struct lh_buffer_cache *cache)
{
    for (unsigned class = 0; class < LH_BUFFER_CLASSES; class ++) {
        while (cache->spare[class] != NULL) {
            struct lh_buffer_spare *spare = cache->spare[class];
            cache->spare[class] = spare->next;
            free(spare);
        }
    }
}

lh_err lh_block_rx_init(struct lh_block_rx *rx, uint32_t block_max, uint64_t budget)
{
    *rx = (struct lh_block_rx){.capacity = TABLE_MIN, .block_max = block_max, .budget = budget};
    rx->cache.bytes_max = LH_MIN(CACHE_MAX, budget);
    lh_list_init(&rx->spare);
    rx->table = calloc(TABLE_MIN, sizeof(void *));
    return rx->table != NULL ? 0 : LH_E_NOMEM;
}

static void free_block(struct lh_rx_block *block)
{
    lh_ranges_fini(&block->ranges);
    free(block->data);
    free(block);
}

static struct lh_rx_block **slot_of(const struct lh_block_rx *rx, uint64_t number)
{
    return &rx->table[number & (rx->capacity - 1)];
}

void lh_block_rx_fini(struct lh_block_rx *rx)
{
    if (rx->table == NULL)
        return;
    for (uint64_t number = rx->base; number < rx->end; number++) {
        struct lh_rx_block *block = *slot_of(rx, number);
        if (block != NULL && block != released_marker())
            free_block(block);
    }
    LH_LIST_FOR_EACH(link, &rx->spare)
    free_block(LH_CONTAINER_OF(link, struct lh_rx_block, spare_link));
    cache_fini(&rx->cache);
    free(rx->table);
    *rx = (struct lh_block_rx){0};
}

uint64_t lh_block_rx_grant_block(const struct lh_block_rx *rx)
{
    return rx->base + LH_BLOCK_SPAN_MAX;
}

static lh_err make_room(struct lh_block_rx *rx, uint64_t number)
{
    uint64_t capacity = rx->capacity;
    while (number - rx->base >= capacity)
        capacity *= 2;
    if (capacity == rx->capacity)
        return 0;
    struct lh_rx_block **bigger = calloc(capacity, sizeof(void *));
    if (bigger == NULL)
        return LH_E_NOMEM;
    for (uint64_t i = rx->base; i < rx->end; i++)
        bigger[i & (capacity - 1)] = *slot_of(rx, i);
    free(rx->table);
    rx->table = bigger;
    rx->capacity = capacity;
    return 0;
}

static struct lh_rx_block *new_block(struct lh_block_rx *rx, uint32_t len)
{
    struct lh_link *link = lh_list_first(&rx->spare);
    struct lh_rx_block *block;
    if (link != NULL) {
        lh_list_remove(link);
        block = LH_CONTAINER_OF(link, struct lh_rx_block, spare_link);
    } else {
        block = calloc(1, sizeof *block);
        if (block == NULL)
            return NULL;
        lh_list_init(&block->spare_link);
    }
    block->data = buffer_get(&rx->cache, len);
    if (block->data == NULL) {
        lh_list_append(&rx->spare, &block->spare_link);
        return NULL;
    }
    block->len = len;
    block->received = 0;
    block->delivered = false;
    return block;
}

static lh_err begin(struct lh_block_rx *rx, uint64_t number, uint32_t len)
{
    if (len > rx->block_max || len == 0)
        return LH_E_PROTO;
    if (LH_GUARD(BLOCK_GRANT, rx->charged + len + LH_BLOCK_CHARGE > lh_block_rx_grant_bytes(rx)))
        return LH_E_PROTO;
    if (number >= lh_block_rx_grant_block(rx))
        return LH_E_PROTO;
    lh_err err = make_room(rx, number);
    if (err != 0)
        return err;
    struct lh_rx_block *block = new_block(rx, len);
    if (block == NULL)
        return LH_E_NOMEM;
    // Slots in [end, number) may hold markers of a former turn of the ring.
    for (; rx->end <= number; rx->end++)
        *slot_of(rx, rx->end) = NULL;
    *slot_of(rx, number) = block;
    rx->charged += len + LH_BLOCK_CHARGE;
    rx->memory_peak = LH_MAX(rx->memory_peak, lh_block_rx_memory(rx));
    return 0;
}

lh_err lh_block_rx_data(struct lh_block_rx *rx,
                        const struct lh_frame_data *chunk,
                        const struct lh_rx_block **out_whole)
{
    uint64_t number = chunk->block, added;
    *out_whole = NULL;
    if (number < rx->base) {
        rx->duplicate_bytes += chunk->len;
        return 0;
    }
    if (number >= rx->end || *slot_of(rx, number) == NULL) {
        lh_err err = begin(rx, number, chunk->block_len);
        if (err != 0)
            return err;
    }
    struct lh_rx_block *block = *slot_of(rx, number);
    if (block == released_marker()) {
        rx->duplicate_bytes += chunk->len;
        return 0;
    }
    if (LH_GUARD(BLOCK_LENGTH, block->len != chunk->block_len))
        return LH_E_PROTO;
    if (block->delivered) {
        rx->duplicate_bytes += chunk->len;
        return 0;
    }
    lh_err err =
        lh_ranges_add(&block->ranges, chunk->offset, (uint64_t)chunk->offset + chunk->len, &added);
    if (err != 0)
        return err == LH_E_LIMIT ? LH_E_PROTO : err;
    memcpy(block->data + chunk->offset, chunk->bytes, chunk->len);
    rx->duplicate_bytes += chunk->len - added;
    block->received += (uint32_t)added;
    if (block->received == block->len) {
        block->delivered = true;
        rx->delivered_bytes += block->len;
        *out_whole = block;
    }
    return 0;
}

void lh_block_rx_release(struct lh_block_rx *rx, uint32_t number)
{
    LH_ASSERT(number >= rx->base && number < rx->end);
    struct lh_rx_block *block = *slot_of(rx, number);
    LH_ASSERT(block != NULL && block != released_marker() && block->delivered);
    rx->released += block->len + LH_BLOCK_CHARGE;
    buffer_put(&rx->cache, block->data, block->len);
    block->data = NULL;
    if (block->ranges.capacity > SPARE_RANGES_MAX)
        lh_ranges_fini(&block->ranges);
    else
        lh_ranges_clear(&block->ranges);
    lh_list_append(&rx->spare, &block->spare_link);
    *slot_of(rx, number) = released_marker();
    while (rx->base < rx->end && *slot_of(rx, rx->base) == released_marker()) {
        *slot_of(rx, rx->base) = NULL;
        rx->base++;
    }
}
