// SPDX-License-Identifier: Apache-2.0
//
// A set of byte positions kept as sorted, disjoint, non-touching intervals [start, end).
// Adding at the end costs O(1), anywhere else a binary search and a memmove. Two intervals fit
// without an allocation, so a block that arrives in order never allocates.
#ifndef LH_TRANSPORT_RANGES_H
#define LH_TRANSPORT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

// A peer that cuts blocks honestly leaves far fewer holes: 4 MiB in chunks of 1,100 bytes are 3,800
// chunks, which leave at most 1,900.
#define LH_RANGES_MAX    4096
#define LH_RANGES_INLINE 2

struct lh_range {
    uint64_t start, end;
};

// All zeros is the empty set.
struct lh_ranges {
    struct lh_range fixed[LH_RANGES_INLINE];
    struct lh_range *heap; // owned; NULL while `fixed` holds the intervals
    uint32_t count;
    uint32_t capacity; // of `heap`
};

void lh_ranges_fini(struct lh_ranges *ranges);
// Empties the set and keeps its memory for the next use.
void lh_ranges_clear(struct lh_ranges *ranges);
// Bytes of memory that the set has, and that adding one interval may take more.
static inline uint64_t lh_ranges_memory(const struct lh_ranges *ranges)
{
    return ranges->heap == NULL ? 0 : (uint64_t)ranges->capacity * sizeof(struct lh_range);
}
uint64_t lh_ranges_growth(const struct lh_ranges *ranges);

// Adds [start, end) and tells how many positions were new.
// LH_E_NOMEM; LH_E_LIMIT for more than LH_RANGES_MAX intervals: the set is unchanged.
lh_err lh_ranges_add(struct lh_ranges *ranges, uint64_t start, uint64_t end, uint64_t *out_added)
    LH_MUST_CHECK;
// Takes [start, end) out and tells how many positions were there. Errors as lh_ranges_add.
lh_err lh_ranges_remove(struct lh_ranges *ranges,
                        uint64_t start,
                        uint64_t end,
                        uint64_t *out_removed) LH_MUST_CHECK;
// The first part of [start, end) that the set lacks; false where it has all of it.
bool lh_ranges_gap(const struct lh_ranges *ranges,
                   uint64_t start,
                   uint64_t end,
                   struct lh_range *out_gap);
// The first interval that begins at or behind `position`; false where there is none.
bool lh_ranges_run(const struct lh_ranges *ranges, uint64_t position, struct lh_range *out_run);
// The first interval; false for the empty set.
bool lh_ranges_first(const struct lh_ranges *ranges, struct lh_range *out_first);

#endif
