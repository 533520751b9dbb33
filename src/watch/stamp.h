// SPDX-License-Identifier: Apache-2.0
//
// Time stamps of log lines.
#ifndef LH_WATCH_STAMP_H
#define LH_WATCH_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "watch/civil.h"
#include "watch/span.h"

// What stamps without year or zone are read by.
struct lh_watch_zone {
    // Seconds since 1970 of a local time. NULL: the log's clock is UTC.
    int64_t (*to_utc)(void *context, const struct lh_civil *local);
    void *context;
    int64_t latest; // the log was last written then: stamps without a year are not later than a day
                    // after it
};

// Remembers the last stamp: most lines share theirs with the line before.
struct lh_stamp_reader {
    struct lh_watch_zone zone;
    char last[48];
    uint8_t last_len;
    int64_t last_time;
    // The local hour last asked for, and what to take off for UTC: asking is dear.
    int64_t hour;
    int64_t hour_offset;
    bool hour_known;
};

// Takes the stamp off the front of `line`, with the blank behind it:
//   Mar 10 18:48:02    Mar 10 2026 18:48:02    2026-03-10T18:48:02[.123456][Z|+01:00|+0100]
//   2026-03-10 18:48:02[,123][ +0100]    1773168482[.123456]
// False, and nothing taken, where there is none.
bool lh_stamp_take(struct lh_stamp_reader *reader, struct lh_span *line, int64_t *out_time);

#endif
