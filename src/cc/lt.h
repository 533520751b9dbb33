// SPDX-License-Identifier: Apache-2.0
//
// LT, the loss-discounted, model-based core of the controllers: what it does stands in lt.c.
//
// A controller embeds `struct lh_lt`, hands every event on, and answers with what the core answers.
// Policies differ in what they do with the core's notes: a controller may leave the core running as
// a model alone, answer with a rate and window of its own, and later let the core go on from a
// given rate (lh_lt_go_on).
#ifndef LH_CC_LT_H
#define LH_CC_LT_H

#include <stdbool.h>
#include <stdint.h>

#include "cc/cc.h"
#include "cc/loss_baseline.h"

#define LH_LT_QUEUE_REPORTS 4
#define LH_LT_EXCESS_RUN    3 // intervals on end that tell lasting losses from a burst
#define LH_LT_PERMILLE      1000u

// No more loss than this is taken for the path's own, ppm: the one number in which policies differ.
#define LH_LT_LOSS_HIGH 150000u
#define LH_LT_LOSS_FAIR 100000u // while alone on the path
#define LH_LT_LOSS_LOW  50000u

enum lh_lt_phase {
    LH_LT_STARTUP,
    LH_LT_DRAIN,
    LH_LT_CRUISE,
    LH_LT_UP,
    LH_LT_DOWN,
    LH_LT_PROBE_RTT,
    LH_LT_PHASE_N_
};

// What a feedback amounted to: bits of lh_lt_on_feedback's answer.
enum lh_lt_note {
    LH_LT_INTERVAL = 1,   // an interval ended, see `last`
    LH_LT_CONGESTED = 2,  // and it was a congested one
    LH_LT_EXCESS = 4,     // and it had more losses than the path's own explain
    LH_LT_NEW_PHASE = 8,  // `phase` changed; `phase_before` says from where
    LH_LT_QUEUE_LOW = 16, // the interval saw a low queue at least once
};

// What has been seen since the last interval ended.
struct lh_lt_interval {
    uint64_t packets; // acked or lost
    uint64_t lost;
    uint64_t ce_packets;
    uint64_t rate_sum; // of the samples, for their mean
    uint64_t rates, rate_max;
    lh_ns queue_min, queue_top; // lowest report; longest standing queue
    uint32_t rounds, reports;
    bool is_limited; // by us, not by the path
    bool is_dry;     // because nothing was there to be sent, or the receiver's window was full
};

// One feedback's newest arrival, as in struct lh_cc_feedback.
struct lh_lt_point {
    lh_ns arrived_at, sent_at;
    uint64_t sent_total, delivered;
};

// What startup knows of the trains that it sends (lt_startup.c).
struct lh_lt_startup {
    struct lh_lt_point point; // of the report before; arrived_at 0 = none
    uint64_t rate;            // highest that arrived about as fast as it was sent
    uint64_t grown;           // what `rate` must exceed to count as growth
    uint32_t flat_rounds;     // rounds without growth
    uint32_t slow_reports;    // on end that say: the path is full
    uint64_t slow_sent, slow_bytes;
    lh_ns slow_time;
    struct lh_lt_point first; // the first of startup; arrived_at 0 = none
    uint64_t mean;            // bytes/s that have arrived since then; 0 = unknown
    uint64_t acked, lost;     // packets of this round
};

// The state. Others may read all of it, and write nothing.
struct lh_lt {
    struct lh_cc_limits limits;
    uint32_t packet_size;
    enum lh_lt_phase phase, phase_before;
    lh_ns phase_start;
    lh_ns cruise_time;
    bool is_first_cruise; // since startup
    uint32_t phase_rounds;
    uint64_t initial_rate;
    bool is_blind;  // initial_rate is LT_INITIAL_PACKETS a round trip: nothing is known of the path
    uint64_t bw[2]; // highest of the last cycle and of this one; 0 = none
    uint64_t congestions;     // intervals that were congested
    uint64_t bw_short;        // bound since the last congestion, UINT64_MAX = none
    uint64_t cruise_rate;     // what arrived in the last interval of `cruise`; UINT64_MAX = unknown
    uint64_t inflight_long;   // the same for the window, from congestion in `up`
    uint64_t grown_bw;        // what bw must exceed to count as growth
    uint32_t grown_intervals; // up: intervals with growth
    uint32_t grown_round;     // and when the last of them ended
    uint32_t excess_run;      // intervals on end with excess losses
    uint64_t excess_ppm;      // the losses that the rate was last lowered for
    struct {
        uint64_t packets, lost;
    } unlearned[LH_LT_EXCESS_RUN - 1]; // intervals of the run, not yet judged
    uint32_t policed_ups;              // `up`s on end that brought losses alone
    lh_ns policed_until;               // taken for policed until then
    bool is_policed;                   // in this cycle
    lh_ns rtt_min;                     // 0 = unknown
    lh_ns queue_latest;
    lh_ns queues[LH_LT_QUEUE_REPORTS]; // of the last reports; their lowest tells a queue from
                                       // jitter
    uint64_t queues_count;
    lh_ns queue_base;   // before we pushed: what jitter and others make
    lh_ns queue_top[2]; // longest queue that came with losses, in the last cycle and in this one
    lh_ns queue_usual;  // mean of the lowest of intervals without losses beyond the path's own
    lh_ns low_queue_at;
    lh_ns queue_floor; // delay that stands and is nobody's queue (lh_lt_note_jitter)
    lh_ns queue_floor_until;
    uint64_t pacing_rate, cwnd; // the answers
    uint64_t spread;            // a counter that spreads the lengths of cruises
    struct lh_lt_startup startup;
    struct lh_lt_interval interval, last;
    struct lh_loss_baseline loss;
    bool is_loss_frozen; // nothing is learned about the path's own loss
};

// As the functions of struct lh_cc_type. `loss_cap_ppm`: LH_LT_LOSS_...
void lh_lt_init(struct lh_lt *lt,
                uint32_t loss_cap_ppm,
                uint32_t packet_size,
                const struct lh_cc_limits *limits,
                lh_ns rtt_hint,
                lh_ns now);
void lh_lt_set_limits(struct lh_lt *lt, const struct lh_cc_limits *limits, lh_ns now);
// Gives bits of enum lh_lt_note.
uint32_t lh_lt_on_feedback(struct lh_lt *lt, const struct lh_cc_feedback *feedback);
void lh_lt_on_path_change(struct lh_lt *lt, lh_ns now);
const char *lh_lt_phase_name(const struct lh_lt *lt);
void lh_lt_view(const struct lh_lt *lt, struct lh_cc_view *out_view);

// Cruises from now on at what is needed for `rate` bytes/s to arrive: the model starts from it.
void lh_lt_go_on(struct lh_lt *lt, uint64_t rate, lh_ns now);
// Right after lh_lt_init: what another controller knew. Startup begins at what was delivered where
// the bandwidth is unknown.
void lh_lt_take_over(struct lh_lt *lt, const struct lh_cc_known *known, lh_ns now);

// Keeps the baseline of losses as it is: somebody else makes losses now.
void lh_lt_freeze_loss(struct lh_lt *lt, bool is_frozen);

// The delay that stands now does not answer to what is sent: for some time, as much of it counts as
// no queue.
void lh_lt_note_jitter(struct lh_lt *lt, lh_ns now);

// What the model says. Rates are of arrival unless said, in bytes/s.
uint64_t lh_lt_bw(const struct lh_lt *lt);
// The rate to send at for `rate` to arrive.
uint64_t lh_lt_with_loss(const struct lh_lt *lt, uint64_t rate);
lh_ns lh_lt_rtt(const struct lh_lt *lt);       // never 0
lh_ns lh_lt_queue_low(const struct lh_lt *lt); // below: no queue worth mentioning
// Below: a queue as low as it gets, where a part of the delay may be none at all.
lh_ns lh_lt_queue_calm(const struct lh_lt *lt);
lh_ns lh_lt_queue_cap(const struct lh_lt *lt); // above, for a whole interval: congestion
// The lowest of the last few reports: a queue that stands, whatever jitter does.
lh_ns lh_lt_queue_standing(const struct lh_lt *lt);
// In flight while everything runs well and nothing queues, bytes.
uint64_t lh_lt_inflight_target(const struct lh_lt *lt);
// Pacing within the limits that a person set: at least the minimum, at most the target.
uint64_t lh_lt_within_limits(const struct lh_lt *lt, uint64_t rate);

#endif
