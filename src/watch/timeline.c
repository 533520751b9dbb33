// SPDX-License-Identifier: Apache-2.0
#include "watch/timeline.h"

#include "base/assert.h"
#include "base/math.h"

// Two buckets become one, and the upper half is free.
static void halve(struct lh_timeline *line)
{
    for (unsigned i = 0; i < LH_TIMELINE_BUCKETS / 2; i++)
        line->counts[i] = (uint32_t)LH_MIN((uint64_t)line->counts[2 * i] + line->counts[2 * i + 1],
                                           (uint64_t)UINT32_MAX);
    for (unsigned i = LH_TIMELINE_BUCKETS / 2; i < LH_TIMELINE_BUCKETS; i++)
        line->counts[i] = 0;
    line->width *= 2;
}

void lh_timeline_add(struct lh_timeline *line, int64_t time, uint32_t count)
{
    if (line->width == 0) {
        line->start = time;
        line->width = 1;
    }
    uint64_t offset = time > line->start ? (uint64_t)(time - line->start) : 0;
    while (offset / line->width >= LH_TIMELINE_BUCKETS && line->width < UINT32_MAX / 2)
        halve(line);
    uint64_t bucket = LH_MIN(offset / line->width, (uint64_t)LH_TIMELINE_BUCKETS - 1);
    line->counts[bucket] =
        (uint32_t)LH_MIN((uint64_t)line->counts[bucket] + count, (uint64_t)UINT32_MAX);
}

static uint64_t column_of(int64_t time, int64_t from, uint64_t span, unsigned columns)
{
    uint64_t offset = time > from ? (uint64_t)(time - from) : 0;
    return LH_MIN(lh_muldiv(offset, columns, span), (uint64_t)columns - 1);
}

void lh_timeline_columns(
    const struct lh_timeline *line, int64_t from, int64_t to, uint64_t *out, unsigned columns)
{
    LH_ASSERT(columns > 0);
    uint64_t span = to > from ? (uint64_t)(to - from) + 1 : 1;
    for (unsigned i = 0; i < columns; i++)
        out[i] = 0;
    // A bucket that is wider than a column is spread over those that it covers.
    for (unsigned i = 0; i < LH_TIMELINE_BUCKETS && line->width > 0; i++) {
        int64_t begin = line->start + (int64_t)i * line->width;
        uint64_t low = column_of(begin, from, span, columns);
        uint64_t high = column_of(begin + line->width - 1, from, span, columns);
        uint64_t share = line->counts[i] / (high - low + 1);
        for (uint64_t column = low; column <= high; column++)
            out[column] += share;
        out[low] += line->counts[i] - share * (high - low + 1);
    }
}
