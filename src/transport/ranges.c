// SPDX-License-Identifier: Apache-2.0
//
// How it works. Intervals are sorted by start and never touch, so their ends are sorted too. A new
// interval swallows every one that it overlaps or touches: the run [low, high) of them is found by
// binary search on the ends and then walked; the walk is paid for by the intervals that disappear.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "transport/ranges.h"

static const struct lh_range *items_of(const struct lh_ranges *ranges)
{
    return ranges->heap != NULL ? ranges->heap : ranges->fixed;
}

static struct lh_range *items_to_change(struct lh_ranges *ranges)
{
    return ranges->heap != NULL ? ranges->heap : ranges->fixed;
}

void lh_ranges_fini(struct lh_ranges *ranges)
{
    free(ranges->heap);
    *ranges = (struct lh_ranges){0};
}

void lh_ranges_clear(struct lh_ranges *ranges)
{
    ranges->count = 0;
}

// Index of the first interval that ends at or after `position` (touching counts), or `count`.
static uint32_t first_ending_from(const struct lh_ranges *ranges, uint64_t position)
{
    const struct lh_range *items = items_of(ranges);
    uint32_t low = 0, high = ranges->count;
    if (high > 0 && items[high - 1].end < position)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (items[middle].end < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t room_of(const struct lh_ranges *ranges)
{
    return ranges->heap != NULL ? ranges->capacity : LH_RANGES_INLINE;
}

static uint32_t next_room(uint32_t capacity)
{
    return LH_MAX(capacity * 2, 8);
}

uint64_t lh_ranges_growth(const struct lh_ranges *ranges)
{
    if (ranges->count < room_of(ranges) || ranges->count >= LH_RANGES_MAX)
        return 0;
    return next_room(room_of(ranges)) * sizeof(struct lh_range) - lh_ranges_memory(ranges);
}

static lh_err make_room(struct lh_ranges *ranges)
{
    uint32_t capacity = room_of(ranges);
    if (ranges->count < capacity)
        return 0;
    if (ranges->count >= LH_RANGES_MAX)
        return LH_E_LIMIT;
    capacity = next_room(capacity);
    struct lh_range *heap = realloc(ranges->heap, capacity * sizeof *heap);
    if (heap == NULL)
        return LH_E_NOMEM;
    if (ranges->heap == NULL)
        memcpy(heap, ranges->fixed, ranges->count * sizeof *heap);
    ranges->heap = heap;
    ranges->capacity = capacity;
    return 0;
}

static lh_err insert_at(struct lh_ranges *ranges, uint32_t index, struct lh_range range)
{
    lh_err err = make_room(ranges);
    if (err != 0)
        return err;
    struct lh_range *items = items_to_change(ranges);
    memmove(items + index + 1, items + index, (ranges->count - index) * sizeof *items);
    items[index] = range;
    ranges->count++;
    return 0;
}

static void erase(struct lh_ranges *ranges, uint32_t from, uint32_t to)
{
    struct lh_range *items = items_to_change(ranges);
    memmove(items + from, items + to, (ranges->count - to) * sizeof *items);
    ranges->count -= to - from;
}

lh_err lh_ranges_add(struct lh_ranges *ranges, uint64_t start, uint64_t end, uint64_t *out_added)
{
    LH_ASSERT(start <= end);
    if (start == end) {
        *out_added = 0;
        return 0;
    }
    struct lh_range *items = items_to_change(ranges);
    if (ranges->count > 0 && items[ranges->count - 1].end == start) { // in order, as mostly
        items[ranges->count - 1].end = end;
        *out_added = end - start;
        return 0;
    }
    uint32_t low = first_ending_from(ranges, start);
    if (low == ranges->count || items[low].start > end) {
        lh_err err = insert_at(ranges, low, (struct lh_range){start, end});
        if (err == 0)
            *out_added = end - start;
        return err;
    }
    struct lh_range merged = {LH_MIN(start, items[low].start), end};
    uint64_t covered = 0;
    uint32_t high = low;
    for (; high < ranges->count && items[high].start <= end; high++) {
        uint64_t from = LH_MAX(start, items[high].start), to = LH_MIN(end, items[high].end);
        covered += lh_sub_sat(to, from);
        merged.end = LH_MAX(merged.end, items[high].end);
    }
    items[low] = merged;
    if (high > low + 1)
        erase(ranges, low + 1, high);
    *out_added = end - start - covered;
    return 0;
}

lh_err
lh_ranges_remove(struct lh_ranges *ranges, uint64_t start, uint64_t end, uint64_t *out_removed)
{
    LH_ASSERT(start <= end);
    uint64_t removed = 0;
    uint32_t low = start == end ? ranges->count : first_ending_from(ranges, start + 1);
    struct lh_range *items = items_to_change(ranges);
    if (low < ranges->count && items[low].start < start && items[low].end > end) {
        struct lh_range rest = {end, items[low].end};
        lh_err err = insert_at(ranges, low + 1, rest);
        if (err != 0)
            return err;
        items_to_change(ranges)[low].end = start;
        *out_removed = end - start;
        return 0;
    }
    if (low < ranges->count && items[low].start < start) {
        removed += items[low].end - start;
        items[low].end = start;
        low++;
    }
    uint32_t high = low;
    for (; high < ranges->count && items[high].end <= end; high++)
        removed += items[high].end - items[high].start;
    if (high < ranges->count && items[high].start < end) {
        removed += end - items[high].start;
        items[high].start = end;
    }
    if (high > low)
        erase(ranges, low, high);
    *out_removed = removed;
    return 0;
}

bool lh_ranges_gap(const struct lh_ranges *ranges,
                   uint64_t start,
                   uint64_t end,
                   struct lh_range *out_gap)
{
    const struct lh_range *items = items_of(ranges);
    if (start >= end)
        return false;
    uint32_t index = first_ending_from(ranges, start + 1);
    if (index < ranges->count && items[index].start <= start) {
        start = items[index].end;
        index++;
    }
    if (start >= end)
        return false;
    *out_gap = (struct lh_range){start, end};
    if (index < ranges->count)
        out_gap->end = LH_MIN(end, items[index].start);
    return true;
}

bool lh_ranges_run(const struct lh_ranges *ranges, uint64_t position, struct lh_range *out_run)
{
    const struct lh_range *items = items_of(ranges);
    uint32_t index = first_ending_from(ranges, position);
    while (index < ranges->count && items[index].start < position)
        index++;
    if (index == ranges->count)
        return false;
    *out_run = items[index];
    return true;
}

bool lh_ranges_first(const struct lh_ranges *ranges, struct lh_range *out_first)
{
    if (ranges->count == 0)
        return false;
    *out_first = items_of(ranges)[0];
    return true;
}
