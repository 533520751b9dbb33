// SPDX-License-Identifier: Apache-2.0
//
// Time in the pure core is a number that comes in as an argument: nanoseconds of a monotonic clock
// whose zero means nothing. sys/clock.h reads the real one; the simulator makes its own.
#ifndef LH_BASE_TIME_H
#define LH_BASE_TIME_H

#include <stdint.h>

typedef uint64_t lh_ns;

#define LH_US     ((lh_ns)1000)
#define LH_MS     (1000 * LH_US)
#define LH_SECOND (1000 * LH_MS)
#define LH_NEVER  UINT64_MAX // a deadline that never comes

static inline lh_ns lh_ns_min(lh_ns a, lh_ns b)
{
    return a < b ? a : b;
}

static inline lh_ns lh_ns_max(lh_ns a, lh_ns b)
{
    return a > b ? a : b;
}

// later - earlier, or 0 where the order is the other way.
static inline lh_ns lh_ns_since(lh_ns later, lh_ns earlier)
{
    return later > earlier ? later - earlier : 0;
}

#endif
