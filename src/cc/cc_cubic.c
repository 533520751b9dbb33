// SPDX-License-Identifier: Apache-2.0
//
// CUBIC as servers on the Internet run it: the reference that the simulator sets beside our own
// controllers. No policy offers it.
//
// How it works. The window is cubic.h's; every loss is an event, once a round trip: after one,
// nothing counts until what was in flight then is acknowledged or lost. Slow start ends by loss or
// by HyStart's delay test, as in Linux: when the lowest of the first eight round trips of a round
// is an eighth (4 to 16 ms) above the path's own. A timeout leaves one packet. Acknowledgements
// clock it; the pace, which Linux takes where the sender paces, is well above that.
#include <assert.h>

#include "base/math.h"
#include "cc/cc.h"
#include "cc/cubic.h"

#define HYSTART_SAMPLES 8u
#define HYSTART_PACKETS 16u // below, the delay says nothing
#define HYSTART_MIN     (4 * LH_MS)
#define HYSTART_MAX     (16 * LH_MS)
#define RTT_UNKNOWN     (100 * LH_MS)

struct cubic_state {
    struct lh_cubic cubic;
    struct lh_cc_limits limits;
    uint32_t packet_size;
    lh_ns rtt;            // smoothed, 0 = unknown
    uint64_t resolved;    // bytes acknowledged or lost so far
    uint64_t quiet_until; // in `resolved`: losses before it belong to the last event
    lh_ns round_rtt;      // lowest of this round
    uint32_t round_samples;
};

static_assert(sizeof(struct cubic_state) <= LH_CC_STATE_MAX, "LH_CC_STATE_MAX is too small");

static void cubic_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    struct cubic_state *self = state;
    (void)rtt_hint, (void)now;
    *self =
        (struct cubic_state){.limits = *limits, .packet_size = packet_size, .round_rtt = LH_NEVER};
    lh_cubic_init(&self->cubic, packet_size, LH_CUBIC_WEIGHT_ONE);
}

static void cubic_set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    struct cubic_state *self = state;
    (void)now;
    self->limits = *limits;
}

static void hystart(struct cubic_state *self, const struct lh_cc_feedback *feedback)
{
    if (feedback->round_ended) {
        self->round_rtt = LH_NEVER;
        self->round_samples = 0;
    }
    if (feedback->rtt_sample == 0 || ++self->round_samples > HYSTART_SAMPLES)
        return;
    self->round_rtt = lh_ns_min(self->round_rtt, feedback->rtt_sample);
    lh_ns slack = LH_CLAMP(feedback->rtt_min / 8, HYSTART_MIN, HYSTART_MAX);
    if (self->round_samples == HYSTART_SAMPLES &&
        self->cubic.window >= (uint64_t)HYSTART_PACKETS * self->packet_size &&
        self->round_rtt >= feedback->rtt_min + slack)
        self->cubic.threshold = self->cubic.window;
}

static void cubic_on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    struct cubic_state *self = state;
    self->rtt = feedback->rtt_smoothed;
    uint64_t before = feedback->inflight + feedback->acked_bytes + feedback->lost_bytes;
    bool is_quiet = self->resolved < self->quiet_until;
    self->resolved += feedback->acked_bytes + feedback->lost_bytes;
    if ((feedback->lost_packets > 0 || feedback->ce_packets > 0) && !is_quiet) {
        lh_cubic_on_event(&self->cubic, before, feedback->now);
        self->quiet_until = self->resolved + feedback->inflight;
        return;
    }
    if (is_quiet)
        return;
    if (lh_cubic_is_slow_start(&self->cubic))
        hystart(self, feedback);
    bool is_used = before + (uint64_t)2 * self->packet_size >= self->cubic.window / 2;
    if (feedback->acked_bytes > 0 && is_used && !feedback->rate_is_app_limited)
        lh_cubic_on_ack(&self->cubic, feedback->acked_bytes, feedback->rtt_smoothed, feedback->now);
}

static void cubic_on_timeout(void *state, lh_ns now)
{
    struct cubic_state *self = state;
    lh_cubic_on_event(&self->cubic, 0, now);
    self->cubic.window = self->packet_size;
    self->quiet_until = self->resolved;
}

static void cubic_on_path_change(void *state, lh_ns now)
{
    struct cubic_state *self = state;
    struct lh_cc_limits limits = self->limits;
    cubic_init(self, self->packet_size, &limits, 0, now);
}

static uint64_t cubic_pacing_rate(const void *state)
{
    const struct cubic_state *self = state;
    uint64_t target = self->limits.rate_target > 0 ? self->limits.rate_target : LH_CC_RATE_MAX;
    lh_ns rtt = self->rtt > 0 ? self->rtt : RTT_UNKNOWN;
    uint64_t spread = lh_cubic_is_slow_start(&self->cubic) ? 200 : 120; // percent, as Linux has it
    uint64_t rate = lh_muldiv(self->cubic.window * spread / 100, LH_SECOND, rtt);
    return LH_CLAMP(rate, self->packet_size, target);
}

static uint64_t cubic_cwnd(const void *state)
{
    const struct cubic_state *self = state;
    return self->cubic.window;
}

static const char *cubic_phase(const void *state)
{
    const struct cubic_state *self = state;
    return lh_cubic_is_slow_start(&self->cubic) ? "slow start" : "avoidance";
}

const struct lh_cc_type lh_cc_cubic = {
    .name = "cubic",
    .size = sizeof(struct cubic_state),
    .init = cubic_init,
    .set_limits = cubic_set_limits,
    .on_feedback = cubic_on_feedback,
    .on_timeout = cubic_on_timeout,
    .on_path_change = cubic_on_path_change,
    .pacing_rate = cubic_pacing_rate,
    .cwnd = cubic_cwnd,
    .phase = cubic_phase,
};
