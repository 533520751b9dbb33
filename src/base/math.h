// SPDX-License-Identifier: Apache-2.0
//
// Integer arithmetic that cannot wrap by surprise. Rates are bits or bytes per second in uint64_t.
#ifndef LH_BASE_MATH_H
#define LH_BASE_MATH_H

#include <stdint.h>

#define LH_MIN(a, b)           ((a) < (b) ? (a) : (b))
#define LH_MAX(a, b)           ((a) > (b) ? (a) : (b))
#define LH_CLAMP(x, low, high) LH_MIN(LH_MAX((x), (low)), (high))

// a * b / c rounded down, exact in 128 bits, saturating at UINT64_MAX; c must not be 0.
static inline uint64_t lh_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 wide = (unsigned __int128)a * b;
    if (wide <= UINT64_MAX)
        return (uint64_t)wide / c; // mostly: processors divide 64 bits far faster than 128
    wide /= c;
    return wide > UINT64_MAX ? UINT64_MAX : (uint64_t)wide;
}

static inline uint64_t lh_add_sat(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t lh_sub_sat(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

#endif
