// SPDX-License-Identifier: Apache-2.0
//
// Days and clock times without a C library's time zone: the calendar is arithmetic.
#ifndef LH_WATCH_CIVIL_H
#define LH_WATCH_CIVIL_H

#include <stddef.h>
#include <stdint.h>

#define LH_WATCH_MINUTE INT64_C(60)
#define LH_WATCH_HOUR   INT64_C(3600)
#define LH_WATCH_DAY    INT64_C(86400)

struct lh_civil {
    int year;  // 1970 ..
    int month; // 1 .. 12
    int day;   // 1 .. 31
    int hour, minute, second;
};

// Seconds since 1970 of a UTC date. Out-of-range fields give a wrong number, not a fault.
int64_t lh_civil_to_utc(const struct lh_civil *civil);
struct lh_civil lh_civil_from_utc(int64_t seconds);

#define LH_CIVIL_TEXT 24
// "2026-11-23T04:34:01Z"; `out` needs LH_CIVIL_TEXT bytes.
char *lh_civil_format(int64_t seconds, char *out);

#endif
