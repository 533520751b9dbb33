// SPDX-License-Identifier: Apache-2.0
//
// The controller of `--policy fixed`. How it works: it sends at the target rate whatever happens
// and keeps two round trips of it in flight, so that a silent path stops it soon. People choose it
// for links that are theirs alone; it is unfair to everybody else by design.
//
// The target is what is sent, not target / (1 - loss) for it to arrive: where the target is the
// link's own rate, the latter fills the queue and drops there what it adds (1 Gbit/s, 100 ms, 10 %:
// 100 ms of queue and E 0.987 instead of 1.7 ms and 1.000).
//
// One brake: where less than half of what was sent has arrived for 10 s, the rate is halved, again
// and again if need be. It comes back by doubling when three quarters of the reduced rate arrive,
// at first after one such interval, after twice as many each time that this turns out to be too
// much.
#include "base/math.h"
#include "cc/cc.h"

#define FIXED_RATE_DEFAULT (10 * UINT64_C(1000000) / 8) // without a target: ascp's 10 Mbit/s
#define FIXED_RTT_MIN      (20 * LH_MS) // covers timers and feedback intervals on short paths
#define FIXED_RTT_UNKNOWN  (200 * LH_MS)
#define FIXED_BRAKE_TIME   (10 * LH_SECOND)
#define FIXED_BRAKE_MAX    16u
#define FIXED_WAIT_MAX     16u

struct fixed_state {
    struct lh_cc_limits limits;
    uint32_t packet_size;
    unsigned brake;          // the target is divided by 2^brake
    lh_ns rtt;               // smoothed, 0 = unknown
    lh_ns interval_start;    // of the interval that the brake looks at
    uint64_t delivered_then; // feedback's `delivered` at its start,
    uint64_t sent_then;      // its `sent_total`,
    uint64_t sent;           // and the newest of those
    bool was_limited;        // the receiver held us back meanwhile
    bool is_begun;           // the interval is
    uint32_t good, wait;     // intervals on end that went well, and how many it takes
    bool is_trial;           // the rate was just doubled
};

static uint64_t fixed_rate(const struct fixed_state *fixed)
{
    uint64_t target =
        fixed->limits.rate_target > 0 ? fixed->limits.rate_target : FIXED_RATE_DEFAULT;
    uint64_t rate = LH_MAX(LH_MIN(target, LH_CC_RATE_MAX) >> fixed->brake, fixed->limits.rate_min);
    return LH_CLAMP(rate, fixed->packet_size, LH_CC_RATE_MAX);
}

static void fixed_restart(struct fixed_state *fixed, lh_ns now)
{
    fixed->brake = 0;
    fixed->interval_start = now;
    fixed->is_begun = fixed->is_trial = false;
    fixed->good = 0;
    fixed->wait = 1;
}

static void fixed_judge(struct fixed_state *fixed, uint64_t asked, uint64_t sent, uint64_t arrived)
{
    bool is_bad = !fixed->was_limited && sent > asked / 4 && arrived < sent / 2;
    fixed->good = arrived > asked / 4 * 3 ? fixed->good + 1 : 0;
    if (is_bad && fixed->brake < FIXED_BRAKE_MAX) {
        fixed->brake++;
        if (fixed->is_trial)
            fixed->wait = LH_MIN(2 * fixed->wait, FIXED_WAIT_MAX);
        fixed->is_trial = false;
    } else if (fixed->brake > 0 && fixed->good >= fixed->wait) {
        fixed->brake--;
        fixed->good = 0;
        fixed->is_trial = true;
    }
}

static void fixed_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    struct fixed_state *fixed = state;
    *fixed = (struct fixed_state){
        .limits = *limits,
        .packet_size = packet_size,
        .rtt = rtt_hint,
    };
    fixed_restart(fixed, now);
}

static void fixed_set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    struct fixed_state *fixed = state;
    fixed->limits = *limits;
    fixed_restart(fixed, now);
}

static void fixed_on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    struct fixed_state *fixed = state;
    if (feedback->rtt_smoothed > 0)
        fixed->rtt = feedback->rtt_smoothed;
    fixed->was_limited |= feedback->window_limited;
    fixed->sent = LH_MAX(fixed->sent, feedback->sent_total);
    lh_ns elapsed = lh_ns_since(feedback->now, fixed->interval_start);
    if (fixed->is_begun && elapsed < FIXED_BRAKE_TIME)
        return;
    if (fixed->is_begun)
        fixed_judge(fixed, lh_muldiv(fixed_rate(fixed), elapsed, LH_SECOND),
                    fixed->sent - fixed->sent_then,
                    lh_sub_sat(feedback->delivered, fixed->delivered_then));
    fixed->is_begun = true;
    fixed->interval_start = feedback->now;
    fixed->delivered_then = feedback->delivered;
    fixed->sent_then = fixed->sent;
    fixed->was_limited = false;
}

static void fixed_on_path_change(void *state, lh_ns now)
{
    struct fixed_state *fixed = state;
    fixed->rtt = 0;
    fixed_restart(fixed, now);
}

static uint64_t fixed_pacing_rate(const void *state)
{
    return fixed_rate(state);
}

static uint64_t fixed_cwnd(const void *state)
{
    const struct fixed_state *fixed = state;
    lh_ns rtt = fixed->rtt > 0 ? LH_MAX(fixed->rtt, FIXED_RTT_MIN) : FIXED_RTT_UNKNOWN;
    uint64_t window = lh_muldiv(fixed_rate(fixed), 2 * rtt, LH_SECOND);
    return LH_MAX(window, (uint64_t)4 * fixed->packet_size);
}

static void fixed_view(const void *state, struct lh_cc_view *out_view)
{
    const struct fixed_state *fixed = state;
    *out_view = (struct lh_cc_view){.is_braked = fixed->brake > 0};
}

static const char *fixed_phase(const void *state)
{
    const struct fixed_state *fixed = state;
    return fixed->brake > 0 ? "brake" : "fixed";
}

const struct lh_cc_type lh_cc_fixed = {
    .name = "fixed",
    .size = sizeof(struct fixed_state),
    .init = fixed_init,
    .set_limits = fixed_set_limits,
    .on_feedback = fixed_on_feedback,
    .on_path_change = fixed_on_path_change,
    .pacing_rate = fixed_pacing_rate,
    .cwnd = fixed_cwnd,
    .phase = fixed_phase,
    .view = fixed_view,
};
