// SPDX-License-Identifier: Apache-2.0
//
// Turns counters of a session into the figures a person sees: rate and loss over about the last
// second.
#ifndef LH_RUN_METER_H
#define LH_RUN_METER_H

#include "run/session.h"
#include "run/status.h"

#define LH_METER_SLOTS 8
#define LH_METER_STEP  (LH_SECOND / 5) // between two readings

// A reading of what only grows.
struct lh_meter_reading {
    lh_ns at;
    uint64_t bytes;        // content sent or received
    uint64_t packets_sent; // data packets of the UDP lane, as the sending side counts them
    uint64_t packets_lost;
};

struct lh_meter {
    struct lh_meter_reading readings[LH_METER_SLOTS]; // a ring
    size_t count;
    // Of sessions before this one, which broke.
    struct lhcp_status before;
};

// Reads the session and fills what it knows of `out_status` (all but phase, elapsed, retries).
// `is_sender`: this side sends the data. Call it at most every LH_METER_STEP.
void lh_meter_read(struct lh_meter *meter,
                   const struct lh_session *session,
                   bool is_sender,
                   lh_ns now,
                   struct lhcp_status *out_status);
// The session is over: what it moved counts as "before" from now on.
void lh_meter_end_session(struct lh_meter *meter, const struct lhcp_status *last);

#endif
