// SPDX-License-Identifier: Apache-2.0
//
// Delivery-rate samples of one lane, clocked by the receiver (transport.md 3.5, rule 1):
//
//   sample = min((B_j - B_i) / (T_j - T_i), rate at which the same packets were sent)
//
// over at least one RTT, or four feedbacks while there is no such history. T and B are the
// receiver's clock and byte counter, so a compressed return path cannot inflate it; aggregation on
// the way there is bounded by the send rate.
#ifndef LH_TRANSPORT_RATE_H
#define LH_TRANSPORT_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define LH_RATE_HISTORY 64

struct lh_rate_point {
    uint64_t clock_us;   // receiver's clock
    uint64_t bytes;      // delivered by then, in IP bytes
    lh_ns sent_at;       // when the newest packet delivered was sent
    uint64_t sent_total; // bytes sent before it
    uint64_t pn;         // its number
};

struct lh_rate {
    struct lh_rate_point points[LH_RATE_HISTORY];
    uint32_t count; // points ever added
};

// Adds a point and gives bytes/s, 0 where no sample can be made. `*out_since` is the number of the
// packet at which the sample begins: later gaps in what we sent make it application-limited.
uint64_t lh_rate_add(struct lh_rate *rate,
                     const struct lh_rate_point *point,
                     lh_ns rtt,
                     uint64_t *out_since);

#endif
