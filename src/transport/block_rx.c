// SPDX-License-Identifier: Apache-2.0
//
// How it works. A ring of pointers by block number; a released block leaves a marker there until
// everything before it is released too, so that late copies are known for what they are. The peer
// cannot make the ring longer than LH_BLOCK_SPAN_MAX (grant_block). Chunks are copied to their
// place; the set of received intervals tells what is new. Memory is allocated when a block begins,
// never for a packet.
//
// Early. While more than a quarter of the budget is held, a block whose first bytes are here is
// offered to the layer above. If it takes it, the buffer is handed over run by run and freed (or
// never allocated), and what comes later is handed over at once: of such a block only the
// bookkeeping is held, and what the layer above has not written yet. A block whose first bytes were
// lost waits for them in a buffer.
//
// The window. At first a little less than the budget: what is refused to nobody who keeps to it.
// Paths with more under way than that need more, and while runs are written as fast as they come it
// costs nothing: the window then grows to half as much again as the peer begins in a round trip.
// When the layer above falls behind, the window falls back; what was granted stays granted, and
// what then finds no memory is refused and comes again.
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
#define RANGES_FREE      1024 // bytes of a block's intervals that its charge covers
#define PACKET_MAX       65536

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
    cache->bytes = 0;
    for (unsigned class = 0; class < LH_BUFFER_CLASSES; class ++) {
        while (cache->spare[class] != NULL) {
            struct lh_buffer_spare *spare = cache->spare[class];
            cache->spare[class] = spare->next;
            free(spare);
        }
    }
}

lh_err lh_block_rx_init(struct lh_block_rx *rx,
                        uint32_t block_max,
                        uint64_t budget,
                        const struct lh_block_rx_sink *sink)
{
    *rx = (struct lh_block_rx){.capacity = TABLE_MIN, .block_max = block_max, .budget = budget};
    if (sink != NULL)
        rx->sink = *sink;
    // The largest block must fit beside the margins.
    rx->margin = LH_MIN(budget / 64, lh_sub_sat(budget, block_max + LH_BLOCK_CHARGE) / 2);
    rx->window = rx->granted = budget - 2 * rx->margin;
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

// --- Memory --------------------------------------------------------------------------------------

static void hold(struct lh_block_rx *rx, uint64_t bytes)
{
    rx->held += bytes;
    rx->held_peak = LH_MAX(rx->held_peak, rx->held);
    if (rx->held + rx->cache.bytes > rx->budget)
        cache_fini(&rx->cache);
}

static void let_go(struct lh_block_rx *rx, uint64_t bytes)
{
    LH_ASSERT(rx->held >= bytes);
    rx->held -= bytes;
}

// What the intervals of a block cost beyond what its charge covers.
static uint64_t ranges_cost(const struct lh_ranges *ranges, uint64_t growth)
{
    return lh_sub_sat(lh_ranges_memory(ranges) + growth, RANGES_FREE);
}

bool lh_block_rx_is_tight(const struct lh_block_rx *rx)
{
    // The most that a packet could take: new blocks in all its chunks are found out by adding up.
    return rx->held + 2 * ((uint64_t)rx->block_max + LH_BLOCK_CHARGE) + PACKET_MAX + rx->margin >
           rx->budget;
}

bool lh_block_rx_has_room(const struct lh_block_rx *rx, uint64_t need)
{
    return need == 0 || rx->held + need <= rx->budget - rx->margin;
}

static bool is_short(const struct lh_block_rx *rx)
{
    return rx->sink.begin != NULL && rx->held > rx->budget / 4;
}

static struct lh_rx_block *find(const struct lh_block_rx *rx, uint64_t number)
{
    return number < rx->end ? *slot_of(rx, number) : NULL;
}

uint64_t
lh_block_rx_need(const struct lh_block_rx *rx, const struct lh_frame_data *chunk, uint64_t *newest)
{
    if (chunk->block < rx->base)
        return 0;
    const struct lh_rx_block *block = find(rx, chunk->block);
    if (block == NULL && rx->charged + chunk->block_len + LH_BLOCK_CHARGE > rx->granted)
        return 0; // a breach: to be taken, and found out
    if (block == NULL) {
        bool is_counted = *newest == chunk->block;
        *newest = chunk->block;
        return is_counted ? 0 : (uint64_t)chunk->block_len + LH_BLOCK_CHARGE;
    }
    if (block == released_marker() || block->delivered || !block->is_early)
        return 0;
    return chunk->len;
}

// --- The window ----------------------------------------------------------------------------------

// What the path needs under way, from what the peer began during one round trip.
static void widen(struct lh_block_rx *rx, lh_ns rtt, lh_ns now)
{
    bool keeps_up =
        rx->early_bytes > 0 && rx->held < rx->budget / 2 && rx->backlog < rx->budget / 8;
    if (rtt == 0 || now < rx->round_at + rtt)
        return;
    uint64_t began = lh_muldiv(rx->charged - rx->round_charged, rtt, now - rx->round_at);
    uint64_t wanted = LH_MIN(began + began / 2 + rx->budget / 2, LH_WINDOW_TIMES * rx->budget);
    rx->round_at = now;
    rx->round_charged = rx->charged;
    if (keeps_up)
        rx->window = LH_MAX(rx->window, wanted);
}

uint64_t lh_block_rx_grant(struct lh_block_rx *rx, lh_ns rtt, lh_ns now)
{
    widen(rx, rtt, now);
    if (rx->backlog > rx->budget / 4)
        rx->window = rx->budget - 2 * rx->margin;
    rx->granted = LH_MAX(rx->granted, lh_block_rx_grant_bytes(rx));
    return rx->granted;
}

// --- Blocks --------------------------------------------------------------------------------------

static struct lh_rx_block *new_block(struct lh_block_rx *rx, uint32_t len, bool is_early)
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
    block->data = is_early ? NULL : buffer_get(&rx->cache, len);
    if (block->data == NULL && !is_early) {
        lh_list_append(&rx->spare, &block->spare_link);
        return NULL;
    }
    block->len = len;
    block->received = 0;
    block->delivered = false;
    block->is_early = is_early;
    block->is_kept = false;
    return block;
}

static size_t head_len(uint32_t len)
{
    return LH_MIN(len, (uint32_t)LH_BLOCK_HEAD);
}

// The layer above has the block from here on: its first bytes are its own copy already.
static void give_early(struct lh_block_rx *rx, uint32_t len)
{
    rx->released += head_len(len);
    rx->early_bytes += len;
}

static void give_run(struct lh_block_rx *rx,
                     const struct lh_rx_block *block,
                     struct lh_range run,
                     const uint8_t *data)
{
    uint64_t skipped = lh_sub_sat(head_len(block->len), run.start);
    if (run.start + skipped >= run.end)
        return;
    uint64_t bytes = run.end - run.start - skipped;
    rx->backlog += bytes;
    hold(rx, bytes);
    rx->sink.run(rx->sink.ctx, block->number, run.start + skipped, data + skipped, bytes);
}

// Offers a block in a buffer to the layer above, and hands over what has come of it.
static void offer(struct lh_block_rx *rx, struct lh_rx_block *block)
{
    struct lh_range run;
    size_t head = head_len(block->len);
    if (block->is_kept || !lh_ranges_first(&block->ranges, &run) || run.start > 0 ||
        run.end < head || !lh_block_rx_has_room(rx, block->received))
        return;
    switch (rx->sink.begin(rx->sink.ctx, block->number, block->data, head, block->len)) {
    case LH_EARLY_NEVER:
        block->is_kept = true;
        return;
    case LH_EARLY_LATER:
        return;
    case LH_EARLY_TAKEN:
        break;
    }
    block->is_early = true;
    give_early(rx, block->len);
    for (uint64_t at = 0; lh_ranges_run(&block->ranges, at, &run); at = run.end)
        give_run(rx, block, run, block->data + run.start);
    let_go(rx, block->len);
    buffer_put(&rx->cache, block->data, block->len);
    block->data = NULL;
}

static lh_err begin(struct lh_block_rx *rx, const struct lh_frame_data *chunk)
{
    uint64_t number = chunk->block;
    uint32_t len = chunk->block_len;
    if (len > rx->block_max || len == 0)
        return LH_E_PROTO;
    if (LH_GUARD(BLOCK_GRANT, rx->charged + len + LH_BLOCK_CHARGE > rx->granted))
        return LH_E_PROTO;
    if (number >= lh_block_rx_grant_block(rx))
        return LH_E_PROTO;
    // A packet of an honest peer begins one large block at most, and that was looked at before.
    if (LH_GUARD(BLOCK_MEMORY, rx->held + len + LH_BLOCK_CHARGE > rx->budget))
        return LH_E_PROTO;
    lh_err err = make_room(rx, number);
    if (err != 0)
        return err;
    enum lh_early early = LH_EARLY_LATER;
    if (is_short(rx) && chunk->offset == 0 && chunk->len >= head_len(len))
        early = rx->sink.begin(rx->sink.ctx, (uint32_t)number, chunk->bytes, head_len(len), len);
    struct lh_rx_block *block = new_block(rx, len, early == LH_EARLY_TAKEN);
    if (block == NULL)
        return LH_E_NOMEM;
    block->number = (uint32_t)number;
    block->is_kept = early == LH_EARLY_NEVER;
    // Slots in [end, number) may hold markers of a former turn of the ring.
    for (; rx->end <= number; rx->end++)
        *slot_of(rx, rx->end) = NULL;
    *slot_of(rx, number) = block;
    rx->charged += len + LH_BLOCK_CHARGE;
    hold(rx, LH_BLOCK_CHARGE + (block->is_early ? 0 : (uint64_t)len));
    if (block->is_early)
        give_early(rx, len);
    return 0;
}

// Hands over what is new of a chunk. The set of intervals is changed by the caller.
static void
give_new(struct lh_block_rx *rx, const struct lh_rx_block *block, const struct lh_frame_data *chunk)
{
    uint64_t at = chunk->offset, end = (uint64_t)chunk->offset + chunk->len;
    struct lh_range gap;
    for (; lh_ranges_gap(&block->ranges, at, end, &gap); at = gap.end)
        give_run(rx, block, gap, chunk->bytes + (gap.start - chunk->offset));
}

static lh_err
place(struct lh_block_rx *rx, struct lh_rx_block *block, const struct lh_frame_data *chunk)
{
    uint64_t added, cost = ranges_cost(&block->ranges, 0);
    if (block->is_early)
        give_new(rx, block, chunk);
    lh_err err =
        lh_ranges_add(&block->ranges, chunk->offset, (uint64_t)chunk->offset + chunk->len, &added);
    if (err != 0)
        return err == LH_E_LIMIT ? LH_E_PROTO : err;
    if (!block->is_early)
        memcpy(block->data + chunk->offset, chunk->bytes, chunk->len);
    rx->duplicate_bytes += chunk->len - added;
    block->received += (uint32_t)added;
    hold(rx, ranges_cost(&block->ranges, 0) - cost);
    return 0;
}

lh_err lh_block_rx_data(struct lh_block_rx *rx,
                        const struct lh_frame_data *chunk,
                        const struct lh_rx_block **out_whole)
{
    uint64_t number = chunk->block;
    *out_whole = NULL;
    if (number < rx->base) {
        rx->duplicate_bytes += chunk->len;
        return 0;
    }
    if (find(rx, number) == NULL) {
        lh_err err = begin(rx, chunk);
        if (err != 0)
            return err;
    }
    struct lh_rx_block *block = find(rx, number);
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
    lh_err err = place(rx, block, chunk);
    if (err != 0)
        return err;
    if (block->received == block->len) {
        block->delivered = true;
        rx->delivered_bytes += block->len;
        rx->backlog += block->is_early ? 0 : block->len;
        *out_whole = block;
    } else if (!block->is_early && is_short(rx)) {
        offer(rx, block);
    }
    return 0;
}

void lh_block_rx_release_runs(struct lh_block_rx *rx, uint64_t bytes)
{
    LH_ASSERT(bytes <= rx->backlog);
    rx->backlog -= bytes;
    rx->released += bytes;
    let_go(rx, bytes);
}

void lh_block_rx_release(struct lh_block_rx *rx, uint32_t number)
{
    LH_ASSERT(number >= rx->base && number < rx->end);
    struct lh_rx_block *block = *slot_of(rx, number);
    LH_ASSERT(block != NULL && block != released_marker() && block->delivered);
    uint64_t buffer = block->is_early ? 0 : block->len;
    rx->released += buffer + LH_BLOCK_CHARGE;
    rx->backlog -= buffer;
    let_go(rx, buffer + LH_BLOCK_CHARGE + ranges_cost(&block->ranges, 0));
    if (block->data != NULL)
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
