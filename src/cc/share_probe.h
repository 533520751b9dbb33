// SPDX-License-Identifier: Apache-2.0
//
// How much of a busy link is ours? While a queue stands, whoever keeps it full, the window is cut
// for two and a half round trips, and the queue answers:
//
//   What is in flight in all is rate x (path + queue), of the link's whole rate. Of it, we take
//   away dL of our L bytes; others, whose windows stand still for so short a time, keep theirs. So
//   the queue's delay falls by dL / rate, and our own rate is L / rtt:
//
//     our share = (L / rtt) / rate = (dq / rtt) / (dL / L)
//
// Neither the link's rate nor the true length of the queue need be known, only how it changes. A
// share of one says that nobody else is there who would give way and take back: traffic that sends
// whatever happens counts as a smaller link.
//
// The cut is three tenths, or less where the queue is shorter: were it ours alone it must not run
// empty, for what falls no further says nothing.
#ifndef LH_CC_SHARE_PROBE_H
#define LH_CC_SHARE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define LH_SHARE_ONE 1000u // shares are per thousand

struct lh_share_seen {
    lh_ns now;
    lh_ns rtt;          // smoothed
    uint64_t inflight;  // bytes
    int64_t delay;      // newest; only differences mean anything
    lh_ns queue_stands; // lowest of the last few
    lh_ns queue_needed; // below: too short to be measured
};

struct lh_share_probe {
    lh_ns next_at, began_at;
    lh_ns between; // two probes, at least
    uint32_t between_rtts;
    uint64_t spread; // a counter that spreads the pauses: two that probe at once see too much fall
    bool is_probing, is_spoilt;
    uint32_t window_share; // of the window that may be used now
    int64_t delay;         // smoothed; 0 = unknown
    uint64_t inflight;     // smoothed
    lh_ns rtt_before;
    lh_ns queue_before; // that stood
    int64_t delay_before;
    lh_ns noise; // mean distance of `delay` from what is seen
    lh_ns drop;  // of the delay, in the last probe
    uint64_t inflight_before;
};

enum lh_share_answer {
    LH_SHARE_NONE,    // nothing new
    LH_SHARE_UNKNOWN, // a probe ended and says nothing
    LH_SHARE_MEASURED // a probe ended: *out_share
};

// The first probe comes after `wait`, the next one `between` or `between_rtts` round trips after
// the end of the one before, whichever is longer.
void lh_share_probe_init(
    struct lh_share_probe *probe, lh_ns wait, lh_ns between, uint32_t between_rtts, lh_ns now);
// With every feedback. `*out_share` is LH_SHARE_ONE at most.
enum lh_share_answer lh_share_probe_step(struct lh_share_probe *probe,
                                         const struct lh_share_seen *seen,
                                         uint32_t *out_share);
// The window changed for another reason: what runs now will say nothing.
void lh_share_probe_spoil(struct lh_share_probe *probe);

#endif
