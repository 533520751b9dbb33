// SPDX-License-Identifier: Apache-2.0
//
// The controller that is the LT core (lt.h) and nothing else: the yardstick of the policies that
// build on it.
#include <assert.h>

#include "cc/lt.h"

static_assert(sizeof(struct lh_lt) <= LH_CC_STATE_MAX, "LH_CC_STATE_MAX is too small");

static void alone_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    lh_lt_init(state, LH_LT_LOSS_FAIR, packet_size, limits, rtt_hint, now);
}

static void set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    lh_lt_set_limits(state, limits, now);
}

static void on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    (void)lh_lt_on_feedback(state, feedback);
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
    .on_feedback = on_feedback,
    .on_path_change = on_path_change,
    .pacing_rate = pacing_rate,
    .cwnd = cwnd,
    .phase = phase,
    .view = view,
    .go_on = go_on,
};
