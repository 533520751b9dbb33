// SPDX-License-Identifier: Apache-2.0
//
// BBR after draft-ietf-ccwg-bbr (version 3): the reference that the simulator sets beside our own
// controllers. No policy offers it.
//
// How it works. A model of two figures, the highest delivery rate of this probe cycle and the one
// before, and the lowest round trip, bounded by what loss has taught:
//
//   startup    paces at 2.77 of the model until three rounds bring less than 25 % growth, or a
//   round
//              loses more than 2 %
//   drain      0.5 until what is in flight fits the path
//   down       0.9 until it fits, with 15 % of headroom below the long-term bound
//   cruise     1.0 for two to three seconds, or as many rounds as there are packets in flight, 63
//   at
//              most
//   refill     1.0 for a round, the short-term bounds lifted
//   up         1.25 until a round loses more than 2 % (then what was in flight is the long-term
//              bound) or the queue is a quarter of the path
//   probe_rtt  half a window for 200 ms, when the lowest round trip is five seconds old
//
// A round with loss outside probing bounds rate and window by what was delivered, by 0.7 at most.
//
// Left out of the draft: the estimate of aggregation, ECN, undo of spurious losses, and the
// idle-restart rules: a flow without end over a fifo queue meets none of them.
#include <assert.h>

#include "base/math.h"
#include "cc/cc.h"

#define PERMILLE      1000u
#define MARGIN        990u
#define LOSS_PERCENT  2u
#define BETA          700u
#define HEADROOM      850u
#define FLAT_ROUNDS   3u
#define CRUISE_MIN    (2 * LH_SECOND)
#define CRUISE_ROUNDS 63u
#define RTT_STALE     (5 * LH_SECOND)
#define RTT_PROBE     (200 * LH_MS)
#define RTT_UNKNOWN   (100 * LH_MS)
#define FIRST_PACKETS 10u
#define LEAST_PACKETS 4u
#define EXTRA_PACKETS 6u // what leaves the sender at once

enum bbr_phase { STARTUP, DRAIN, DOWN, CRUISE, REFILL, UP, PROBE_RTT, PHASE_N_ };

static const struct {
    const char *name;
    uint32_t pacing, window; // per thousand
} phases[PHASE_N_] = {
    [STARTUP] = {"startup", 2770, 2000},    [DRAIN] = {"drain", 500, 2000},
    [DOWN] = {"down", 900, 2000},           [CRUISE] = {"cruise", 1000, 2000},
    [REFILL] = {"refill", 1000, 2000},      [UP] = {"up", 1250, 2250},
    [PROBE_RTT] = {"probe_rtt", 1000, 500},
};

struct bbr_state {
    struct lh_cc_limits limits;
    uint32_t packet_size;
    enum bbr_phase phase;
    lh_ns phase_start;
    uint32_t phase_rounds;
    lh_ns cruise_time;
    uint64_t bw[2];          // highest of the cycle before and of this one; 0 = none
    uint64_t bw_round;       // highest of this round
    uint64_t bw_short;       // UINT64_MAX: no bound
    uint64_t inflight_short; // likewise
    uint64_t inflight_long;  // likewise
    uint64_t inflight_round; // highest seen in this round
    uint64_t full_bw;        // growth is measured from it
    uint32_t flat_rounds;
    uint64_t up_step; // bytes that the long-term bound may grow by in a round of `up`
    lh_ns rtt_min, rtt_at;
    uint64_t spread;
};

static_assert(sizeof(struct bbr_state) <= LH_CC_STATE_MAX, "LH_CC_STATE_MAX is too small");

static uint64_t bw_of(const struct bbr_state *bbr)
{
    uint64_t bw = LH_MAX(bbr->bw[0], bbr->bw[1]);
    if (bw == 0)
        bw = lh_muldiv((uint64_t)FIRST_PACKETS * bbr->packet_size, LH_SECOND,
                       bbr->rtt_min > 0 ? bbr->rtt_min : RTT_UNKNOWN);
    return LH_MIN(bw, bbr->bw_short);
}

static uint64_t path_of(const struct bbr_state *bbr)
{
    return lh_muldiv(bw_of(bbr), bbr->rtt_min > 0 ? bbr->rtt_min : RTT_UNKNOWN, LH_SECOND);
}

static void enter(struct bbr_state *bbr, enum bbr_phase phase, lh_ns now)
{
    bbr->phase = phase;
    bbr->phase_start = now;
    bbr->phase_rounds = 0;
    if (phase == CRUISE) {
        bbr->spread = bbr->spread * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bbr->cruise_time = CRUISE_MIN + (bbr->spread >> 33) % LH_SECOND;
    } else if (phase == REFILL) {
        bbr->bw_short = bbr->inflight_short = UINT64_MAX;
        if (bbr->bw[1] > 0) {
            bbr->bw[0] = bbr->bw[1];
            bbr->bw[1] = 0;
        }
        bbr->up_step = bbr->packet_size;
    } else if (phase == UP) {
        bbr->full_bw = LH_MAX(bbr->bw[0], bbr->bw[1]);
        bbr->flat_rounds = 0;
    }
}

static bool is_flat(struct bbr_state *bbr)
{
    if (bbr->bw[1] >= bbr->full_bw / 4 * 5) {
        bbr->full_bw = bbr->bw[1];
        bbr->flat_rounds = 0;
        return false;
    }
    return ++bbr->flat_rounds >= FLAT_ROUNDS;
}

// A round that lost, outside probing.
static void adapt(struct bbr_state *bbr)
{
    uint64_t bw = LH_MIN(bbr->bw_short, LH_MAX(bbr->bw[0], bbr->bw[1]));
    uint64_t inflight = LH_MIN(bbr->inflight_short, 2 * path_of(bbr));
    uint64_t delivered = lh_muldiv(bbr->bw_round, bbr->rtt_min, LH_SECOND);
    bbr->bw_short = LH_MAX(bbr->bw_round, lh_muldiv(bw, BETA, PERMILLE));
    bbr->inflight_short = LH_MAX(delivered, lh_muldiv(inflight, BETA, PERMILLE));
}

static void end_round(struct bbr_state *bbr, const struct lh_cc_feedback *feedback)
{
    lh_ns now = feedback->now;
    bool is_lossy =
        feedback->round_lost_packets * 100 > feedback->round_sent_packets * LOSS_PERCENT;
    bbr->phase_rounds++;
    if (bbr->phase == STARTUP) {
        bool is_full = is_flat(bbr);
        if (is_lossy)
            bbr->inflight_long = LH_MAX(path_of(bbr), bbr->inflight_round);
        if (is_full || is_lossy)
            enter(bbr, DRAIN, now);
    } else if (bbr->phase == UP) {
        if (is_lossy) {
            uint64_t target = lh_muldiv(path_of(bbr), BETA, PERMILLE);
            bbr->inflight_long = LH_MAX(bbr->inflight_round, target);
            enter(bbr, DOWN, now);
        } else if (bbr->inflight_long != UINT64_MAX) {
            bbr->inflight_long += bbr->up_step;
            bbr->up_step *= 2;
        }
    } else if (bbr->phase == REFILL) {
        enter(bbr, UP, now);
    } else if (feedback->round_lost_packets > 0 && bbr->phase != DRAIN) {
        adapt(bbr);
    }
    bbr->bw_round = bbr->inflight_round = 0;
}

static void step(struct bbr_state *bbr, const struct lh_cc_feedback *feedback)
{
    lh_ns now = feedback->now, span = lh_ns_since(now, bbr->phase_start);
    uint64_t path = path_of(bbr);
    uint64_t fits = bbr->inflight_long == UINT64_MAX
                        ? path
                        : LH_MIN(path, lh_muldiv(bbr->inflight_long, HEADROOM, PERMILLE));
    switch (bbr->phase) {
    case DRAIN:
        if (feedback->inflight <= path)
            enter(bbr, DOWN, now);
        break;
    case DOWN:
        if (feedback->inflight <= fits)
            enter(bbr, CRUISE, now);
        break;
    case CRUISE: {
        uint64_t rounds = LH_MIN(path / bbr->packet_size, (uint64_t)CRUISE_ROUNDS);
        if (span >= bbr->cruise_time || bbr->phase_rounds >= LH_MAX(rounds, 1))
            enter(bbr, REFILL, now);
        break;
    }
    case UP:
        if (span > bbr->rtt_min && bbr->phase_rounds >= 1 && feedback->inflight > path / 4 * 5)
            enter(bbr, DOWN, now);
        break;
    case PROBE_RTT:
        if (span >= LH_MAX(RTT_PROBE, bbr->rtt_min)) {
            bbr->rtt_at = now;
            enter(bbr, CRUISE, now);
        }
        break;
    default:
        break;
    }
    bool may_probe = bbr->phase != STARTUP && bbr->phase != DRAIN && bbr->phase != PROBE_RTT;
    if (may_probe && lh_ns_since(now, bbr->rtt_at) > RTT_STALE)
        enter(bbr, PROBE_RTT, now);
}

static void bbr_on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    struct bbr_state *bbr = state;
    uint64_t before = feedback->inflight + feedback->acked_bytes + feedback->lost_bytes;
    if (feedback->rtt_min > 0 && feedback->rtt_min != bbr->rtt_min) {
        bbr->rtt_at =
            feedback->rtt_min < bbr->rtt_min || bbr->rtt_min == 0 ? feedback->now : bbr->rtt_at;
        bbr->rtt_min = feedback->rtt_min;
    }
    if (feedback->rtt_sample > 0 && feedback->rtt_sample <= bbr->rtt_min)
        bbr->rtt_at = feedback->now;
    bool is_limited = feedback->rate_is_app_limited || feedback->window_limited;
    if (feedback->rate_sample > 0 && (!is_limited || feedback->rate_sample > bw_of(bbr))) {
        bbr->bw[1] = LH_MAX(bbr->bw[1], feedback->rate_sample);
        bbr->bw_round = LH_MAX(bbr->bw_round, feedback->rate_sample);
    }
    bbr->inflight_round = LH_MAX(bbr->inflight_round, before);
    if (feedback->round_ended)
        end_round(bbr, feedback);
    step(bbr, feedback);
}

static void bbr_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    struct bbr_state *bbr = state;
    *bbr = (struct bbr_state){
        .limits = *limits,
        .packet_size = packet_size,
        .bw_short = UINT64_MAX,
        .inflight_short = UINT64_MAX,
        .inflight_long = UINT64_MAX,
        .rtt_min = rtt_hint,
        .rtt_at = now,
        .spread = now,
    };
    enter(bbr, STARTUP, now);
}

static void bbr_set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    struct bbr_state *bbr = state;
    (void)now;
    bbr->limits = *limits;
}

static void bbr_on_path_change(void *state, lh_ns now)
{
    struct bbr_state *bbr = state;
    struct lh_cc_limits limits = bbr->limits;
    bbr_init(bbr, bbr->packet_size, &limits, 0, now);
}

static uint64_t bbr_pacing_rate(const void *state)
{
    const struct bbr_state *bbr = state;
    uint64_t target = bbr->limits.rate_target > 0 ? bbr->limits.rate_target : LH_CC_RATE_MAX;
    uint64_t rate = lh_muldiv(bw_of(bbr), (uint64_t)phases[bbr->phase].pacing * MARGIN,
                              (uint64_t)PERMILLE * PERMILLE);
    return LH_CLAMP(rate, bbr->packet_size, target);
}

static uint64_t bbr_cwnd(const void *state)
{
    const struct bbr_state *bbr = state;
    uint64_t window = lh_muldiv(path_of(bbr), phases[bbr->phase].window, PERMILLE) +
                      (uint64_t)EXTRA_PACKETS * bbr->packet_size;
    window = LH_MIN(window, bbr->inflight_short);
    if (bbr->phase == CRUISE && bbr->inflight_long != UINT64_MAX)
        window = LH_MIN(window, lh_muldiv(bbr->inflight_long, HEADROOM, PERMILLE));
    else
        window = LH_MIN(window, bbr->inflight_long);
    return LH_MAX(window, (uint64_t)LEAST_PACKETS * bbr->packet_size);
}

static const char *bbr_phase(const void *state)
{
    const struct bbr_state *bbr = state;
    return phases[bbr->phase].name;
}

const struct lh_cc_type lh_cc_bbr = {
    .name = "bbr",
    .size = sizeof(struct bbr_state),
    .init = bbr_init,
    .set_limits = bbr_set_limits,
    .on_feedback = bbr_on_feedback,
    .on_path_change = bbr_on_path_change,
    .pacing_rate = bbr_pacing_rate,
    .cwnd = bbr_cwnd,
    .phase = bbr_phase,
};
