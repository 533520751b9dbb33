// SPDX-License-Identifier: Apache-2.0
//
// Round-trip time of one lane (RFC 6298's estimator), and the queueing delay of its forward path by
// the receiver's clock. Minimums are over the last 10 to 15 s, so that drifting clocks and changed
// routes are forgotten.
#ifndef LH_TRANSPORT_RTT_H
#define LH_TRANSPORT_RTT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define LH_RTT_INITIAL   (100 * LH_MS) // assumed while nothing is known
#define LH_PTO_ACK_DELAY (25 * LH_MS)  // longest feedback interval

// The minimum over a sliding window made of three buckets of 5 s.
struct lh_windowed_min {
    int64_t buckets[3];
    uint64_t period; // number of the 5 s period of buckets[0]
    bool used;
};

void lh_windowed_min_add(struct lh_windowed_min *min, int64_t value, lh_ns now);
// INT64_MAX where nothing was added.
int64_t lh_windowed_min_get(const struct lh_windowed_min *min);

struct lh_rtt {
    lh_ns smoothed, variation, latest; // 0 = no sample yet
    lh_ns queue_delay;
    int64_t one_way; // the delay itself, between two clocks
    struct lh_windowed_min min, owd_min;
};

// `hint`: measured elsewhere, 0 = unknown.
void lh_rtt_init(struct lh_rtt *rtt, lh_ns hint);
void lh_rtt_sample(struct lh_rtt *rtt, lh_ns sample, lh_ns now);
// One-way delay of a packet: difference of two clocks, so only its changes mean anything.
void lh_rtt_one_way(struct lh_rtt *rtt, int64_t delay, lh_ns now);
lh_ns lh_rtt_min(const struct lh_rtt *rtt);      // 0 = unknown
lh_ns lh_rtt_smoothed(const struct lh_rtt *rtt); // never 0
lh_ns lh_rtt_pto(const struct lh_rtt *rtt);

#endif
