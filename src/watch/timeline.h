// SPDX-License-Identifier: Apache-2.0
//
// How many over time, in a fixed number of buckets whose width doubles as the time covered grows.
#ifndef LH_WATCH_TIMELINE_H
#define LH_WATCH_TIMELINE_H

#include <stdint.h>

#define LH_TIMELINE_BUCKETS 48

struct lh_timeline {
    int64_t start;  // of the first bucket
    uint32_t width; // seconds of a bucket; 0: nothing was added yet
    uint32_t counts[LH_TIMELINE_BUCKETS];
};

// Adds `count` at `time`. What lies before the start (clocks of several hosts) goes to the first
// bucket.
void lh_timeline_add(struct lh_timeline *line, int64_t time, uint32_t count);

// Spreads the counts over `columns` equal columns that cover [from, to]; out has room for them.
void lh_timeline_columns(
    const struct lh_timeline *line, int64_t from, int64_t to, uint64_t *out, unsigned columns);

#endif
