// SPDX-License-Identifier: Apache-2.0
//
// The window function of CUBIC (RFC 9438) by itself: how it grows with time and acknowledgements
// and what a congestion event does to it. Who decides what an event is builds on it: cc_cubic.c
// (any loss) and cc_fair.c (classified losses).
//
// A weight w makes it behave as w flows together would: it grows as w windows of a w-th do, and an
// event takes what one of them would give. A part of a flow (a weight below one) grows as a part of
// its window would, and gives as much of it as the whole.
#ifndef LH_CC_CUBIC_H
#define LH_CC_CUBIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define LH_CUBIC_WEIGHT_ONE 1000u

struct lh_cubic {
    uint32_t unit;        // bytes that grow as one segment does: packet size x weight
    uint32_t beta;        // what an event leaves, per thousand
    uint64_t window_min;  // bytes; events leave no less
    uint64_t window;      // bytes
    uint64_t threshold;   // bytes; below it the window doubles each round trip
    uint64_t window_max;  // bytes, W_max; 0 = no event yet
    uint64_t prior;       // bytes, the window before the last event
    uint64_t friendly;    // bytes, W_est: what Reno would have
    uint64_t origin;      // bytes, the plateau of the present curve
    lh_ns epoch;          // when the present curve began, 0 = with the next acknowledgement
    uint64_t plateau_ms;  // K: when the curve reaches its origin, after `epoch`
    uint64_t growth_rest; // of divisions, so that tiny steps add up
    uint64_t friendly_rest;
};

// `weight` in thousandths, more than 0.
void lh_cubic_init(struct lh_cubic *cubic, uint32_t packet_size, uint32_t weight);
// Goes on from a window, as after an idle time: no slow start, the curve begins here.
void lh_cubic_start_at(struct lh_cubic *cubic, uint64_t window);
// `acked` bytes arrived while the window was in full use. `rtt` smoothed.
void lh_cubic_on_ack(struct lh_cubic *cubic, uint64_t acked, lh_ns rtt, lh_ns now);
// One congestion event; `inflight` bytes at the time.
void lh_cubic_on_event(struct lh_cubic *cubic, uint64_t inflight, lh_ns now);
// The whole curve, `permille` of what it was.
void lh_cubic_scale(struct lh_cubic *cubic, uint32_t permille);
bool lh_cubic_is_slow_start(const struct lh_cubic *cubic);

// Cube root, rounded down.
uint64_t lh_cube_root(unsigned __int128 value);

#endif
