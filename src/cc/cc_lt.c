// SPDX-License-Identifier: Apache-2.0
//
// The parameters of the policies, and the controller that is the LT core (lt.h) and nothing else:
// the yardstick of the policies that build on it.
#include <assert.h>

#include "cc/lt.h"

const struct lh_lt_params lh_lt_params_high = {
    .loss_cap_ppm = 150000,
    .margin = 990,
    .gain_up = 1250,
    .queue_cap_min = 25 * LH_MS,
    .queue_cap_share = 500,
    .queue_up_min = 0,
    .queue_up_share = 125,
    .cruise_min = 2 * LH_SECOND,
};

const struct lh_lt_params lh_lt_params_fair = {
    .loss_cap_ppm = 100000,
    .margin = 990,
    .gain_up = 1250,
    .queue_cap_min = 25 * LH_MS,
    .queue_cap_share = 500,
    .queue_up_min = 0,
    .queue_up_share = 125,
    .cruise_min = 2 * LH_SECOND,
};

const struct lh_lt_params lh_lt_params_low = {
    .loss_cap_ppm = 50000,
    .margin = 990,
    .gain_up = 1250,
    .queue_cap_min = 25 * LH_MS,
    .queue_cap_share = 500,
    .queue_up_min = 0,
    .queue_up_share = 125,
    .cruise_min = 2 * LH_SECOND,
};

static_assert(sizeof(struct lh_lt) <= LH_CC_STATE_MAX, "LH_CC_STATE_MAX is too small");

static void alone_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    lh_lt_init(state, &lh_lt_params_fair, packet_size, limits, rtt_hint, now);
}

static void set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    lh_lt_set_limits(state, limits, now);
}

static void on_sent(void *state, uint64_t bytes, uint64_t inflight, lh_ns now)
{
    (void)state, (void)bytes, (void)inflight, (void)now;
}

static void on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    (void)lh_lt_on_feedback(state, feedback);
}

static void on_timeout(void *state, lh_ns now)
{
    (void)state, (void)now; // silence is no congestion
}

static void on_path_change(void *state, lh_ns now)
{
    lh_lt_on_path_change(state, now);
}

static uint64_t pacing_rate(const void *state)
{
    const struct lh_lt *lt = state;
    return lt->pacing_rate;
}

static uint64_t cwnd(const void *state)
{
    const struct lh_lt *lt = state;
    return lt->cwnd;
}

static const char *phase(const void *state)
{
    return lh_lt_phase_name(state);
}

static void view(const void *state, struct lh_cc_view *out_view)
{
    lh_lt_view(state, out_view);
}

static void go_on(void *state, const struct lh_cc_known *known, lh_ns now)
{
    lh_lt_take_over(state, known, now);
}

const struct lh_cc_type lh_cc_lt = {
    .name = "lt",
    .size = sizeof(struct lh_lt),
    .init = alone_init,
    .set_limits = set_limits,
    .on_sent = on_sent,
    .on_feedback = on_feedback,
    .on_timeout = on_timeout,
    .on_path_change = on_path_change,
    .pacing_rate = pacing_rate,
    .cwnd = cwnd,
    .phase = phase,
    .view = view,
    .go_on = go_on,
};
