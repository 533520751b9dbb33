// SPDX-License-Identifier: Apache-2.0
//
// LT: a loss-discounted, model-based controller.
//
// How it works. Random loss says nothing about congestion, so the controller does not react to loss
// but keeps a model of the path, as BBR does, and asks whether the losses are more than the path's
// own:
//
//   bw        what the path delivers: highest rate seen at the receiver while we were pushing (in
//             `up`, and in `down`, where its queue still drains) in this probe cycle and the one
//             before. Cruising shows nothing but our own rate and noise, and the highest of many
//             noisy samples drifts above the truth: those are left out, the others averaged.
//   rtt_min   the round trip without queue.
//   p         the path's own loss (loss_baseline.h), learned while the queue is low.
//
//   pacing = 0.99 * gain * bw / (1 - p)        a share p of what we send dies on the way, so bw has
//                                              to be sent 1/(1-p) times over to arrive once
//   cwnd   = G * bw / (1 - p) * rtt_min + 3 quanta
//                                              the lane adds what travels between two feedbacks
//
// The 0.99 makes the loop contract: were p learned from losses of our own making, every round would
// still send a little less than the one before.
//
// Phases:
//   startup    gain 2.77 until three rounds bring less than 25 % growth, or one that also had far
//              more losses than those before, or a queue of a quarter of a round trip stands
//              above what jitter makes. Loss alone does not end it.
//   drain      gain 0.5 until the queue of startup is gone.
//   cruise     gain 1 for two to three seconds, and at least six round trips.
//   up         gain 1.25 as long as bw grows by it: is there more? Ends at a grown queue or at
//              congestion. Growth three times on end means that there is much more: startup again.
//   down       gain 0.9 until the queue of `up` is gone; then cruise.
//   probe_rtt  half a window for 200 ms, only if the queue has not been low for 10 s.
//
// An *interval* is the clock of everything after startup: whole rounds with at least 512 packets in
// sum (128 while probing), so that loss ratios mean something on short paths too. Congestion in an
// interval is
//   - CE marks, or
//   - a queue that never fell below q_cap = max(25 ms, rtt_min / 2), or
//   - more losses than p explains (loss_baseline.h), together with a queue above q_low, or in `up`,
//     where we are pushing, or in three intervals on end.
// In `up` it ends the phase and bounds the window until the next one; elsewhere it lowers bw_short,
// which holds until the next `up`, to what is delivered, by 30 % at most.
//
// Limits. rate_target caps the pacing, and where the model says that the path carries it, the rate
// is the target itself: then there is no queue to stay away from. Samples that we limited ourselves
// (disk, window) never lower the model. Timeouts are not congestion.
//
// What it does not do: be fair to loss-based flows, recognise policers, or share between lanes;
// those are the policies that build on this one.
#include <assert.h>

#include "base/assert.h"
#include "base/math.h"
#include "cc/cc.h"
#include "cc/loss_baseline.h"

#define GAIN_UNIT          1000u
#define GAIN_STARTUP       2770u
#define GAIN_DRAIN         500u
#define GAIN_UP            1250u
#define GAIN_DOWN          900u
#define MARGIN             990u    // of GAIN_UNIT
#define LOSS_CAP           150000u // ppm
#define INTERVAL_PACKETS   512u
#define PROBING_PACKETS    128u
#define INTERVAL_ROUNDS    8u // a slow path need not wait longer for its packets
#define INITIAL_PACKETS    64u
#define WINDOW_PACKETS     4u
#define RTT_UNKNOWN        (100 * LH_MS)
#define CRUISE_MIN         (2 * LH_SECOND)
#define CRUISE_SPREAD      LH_SECOND
#define CRUISE_RTTS        6u
#define DRAIN_ROUNDS_MAX   10u
#define QUEUE_REPORTS      4u
#define PROBE_RTT_AFTER    (10 * LH_SECOND)
#define PROBE_RTT_TIME     (200 * LH_MS)
#define STARTUP_ROUNDS_MIN 3u // what jitter does to the queue must be known first
#define FLAT_ROUNDS        3u
#define STARTUP_LOSS       100000u // ppm above the worst round before
#define UP_ROUNDS          3u      // until growth shows: a round trip, one for the mean, one to act
#define CASCADE_INTERVALS  3u
#define EXCESS_INTERVALS   3u
#define TARGET_DOUBLINGS   4u // startup begins at target / 2^4

enum lt_phase { LT_STARTUP, LT_DRAIN, LT_CRUISE, LT_UP, LT_DOWN, LT_PROBE_RTT, LT_PHASE_N_ };

static const struct {
    const char *name;
    uint32_t gain;   // of pacing, per thousand
    uint32_t window; // of cwnd, per thousand
} phases[LT_PHASE_N_] = {
    [LT_STARTUP] = {"startup", GAIN_STARTUP, 2000}, [LT_DRAIN] = {"drain", GAIN_DRAIN, 2000},
    [LT_CRUISE] = {"cruise", GAIN_UNIT, 2000},      [LT_UP] = {"up", GAIN_UP, 2250},
    [LT_DOWN] = {"down", GAIN_DOWN, 2000},          [LT_PROBE_RTT] = {"probe_rtt", GAIN_UNIT, 500},
};

// What has been seen since the last interval ended.
struct lt_interval {
    uint64_t packets; // acked or lost
    uint64_t lost;
    uint64_t ce_packets;
    uint64_t rate_sum; // of the samples, for their mean
    uint64_t rates;
    lh_ns queue_min;
    uint32_t rounds;
    bool is_limited; // by us, not by the path
};

struct lt_state {
    struct lh_cc_limits limits;
    uint32_t packet_size;
    enum lt_phase phase;
    lh_ns phase_start;
    lh_ns cruise_time;
    uint32_t phase_rounds;
    uint64_t initial_rate;
    uint64_t bw[2];           // highest of the last cycle and of this one; 0 = none
    uint64_t bw_recent;       // startup: highest over a quarter of a round trip
    uint64_t bw_short;        // bound since the last congestion, UINT64_MAX = none
    uint64_t inflight_long;   // the same for the window, from congestion in `up`
    uint64_t grown_bw;        // what bw must exceed to count as growth
    uint32_t grown_intervals; // up: intervals with growth
    uint32_t grown_round;     // and when the last of them ended
    uint32_t flat_rounds;     // startup: rounds without growth
    uint32_t excess_run;      // intervals on end with excess losses
    lh_ns rtt_min;            // 0 = unknown
    lh_ns queue_latest;
    lh_ns queues[QUEUE_REPORTS]; // of the last reports; their lowest tells a queue from jitter
    uint64_t queues_count;
    lh_ns queue_base;  // before we pushed: what jitter and others make
    lh_ns queue_round; // startup: highest standing queue of this round
    lh_ns low_queue_at;
    uint64_t pacing_rate, cwnd; // the answers
    uint64_t spread;            // a counter that spreads the lengths of cruises
    struct lt_interval interval;
    struct lh_loss_baseline loss;
};

static_assert(sizeof(struct lt_state) <= LH_CC_STATE_MAX, "LH_CC_STATE_MAX is too small");

// --- The model -----------------------------------------------------------------------------------

static uint64_t lt_bw(const struct lt_state *lt)
{
    uint64_t bw = LH_MAX(lt->bw[0], lt->bw[1]);
    if (lt->phase == LT_STARTUP)
        bw = LH_MAX(bw, lt->bw_recent); // a whole round trip's mean lags behind the growth
    if (bw == 0)
        bw = lt->initial_rate;
    return LH_MIN(bw, lt->bw_short);
}

// The rate to send at for `bw` to arrive.
static uint64_t lt_with_loss(const struct lt_state *lt, uint64_t rate)
{
    return lh_muldiv(rate, LH_PPM, LH_PPM - lt->loss.ppm);
}

static lh_ns lt_rtt(const struct lt_state *lt)
{
    return lt->rtt_min > 0 ? lt->rtt_min : RTT_UNKNOWN;
}

static lh_ns lt_queue_low(const struct lt_state *lt)
{
    lh_ns two_packets = lh_muldiv(2 * (uint64_t)lt->packet_size, LH_SECOND, lt_bw(lt));
    return LH_MAX(LH_CLAMP(lt_rtt(lt) * 8 / 100, 1500 * LH_US, 8 * LH_MS), two_packets);
}

static lh_ns lt_queue_cap(const struct lt_state *lt)
{
    return LH_MAX(25 * LH_MS, lt_rtt(lt) / 2);
}

// What is in flight while everything runs well and nothing queues: the path itself, and what waits
// for the next feedback.
static uint64_t lt_inflight_target(const struct lt_state *lt)
{
    lh_ns feedback = LH_CLAMP(lt_rtt(lt) / 8, 2 * LH_MS, 25 * LH_MS);
    uint64_t rate = lt_with_loss(lt, lt_bw(lt));
    return lh_muldiv(rate, lt_rtt(lt) + feedback, LH_SECOND) + 2 * (uint64_t)lt->packet_size;
}

// The lowest of the last few reports.
static lh_ns lt_queue_standing(const struct lt_state *lt)
{
    lh_ns lowest = LH_NEVER;
    if (lt->queues_count < QUEUE_REPORTS)
        return 0;
    for (uint32_t i = 0; i < QUEUE_REPORTS; i++)
        lowest = lh_ns_min(lowest, lt->queues[i]);
    return lowest;
}

static uint64_t lt_quantum(const struct lt_state *lt)
{
    uint64_t bytes = lh_muldiv(lt_bw(lt), LH_US * 500, LH_SECOND);
    return LH_CLAMP(bytes, lt->packet_size, 65536);
}

static uint64_t compute_pacing_rate(const struct lt_state *lt)
{
    uint64_t target = lt->limits.rate_target > 0 ? LH_MIN(lt->limits.rate_target, LH_CC_RATE_MAX)
                                                 : LH_CC_RATE_MAX;
    uint64_t full = lt_with_loss(lt, lt_bw(lt));
    uint64_t rate =
        lh_muldiv(full, (uint64_t)phases[lt->phase].gain * MARGIN, (uint64_t)GAIN_UNIT * GAIN_UNIT);
    if (phases[lt->phase].gain >= GAIN_UNIT && full >= target / 100 * 97 &&
        lt->queue_latest <= lt_queue_low(lt))
        rate = target;
    rate = LH_MAX(rate, lt->limits.rate_min);
    return LH_CLAMP(rate, lt->packet_size, target);
}

static uint64_t compute_cwnd(const struct lt_state *lt)
{
    uint64_t gain = phases[lt->phase].window;
    if (lt->phase == LT_STARTUP && lt->queue_latest < lt_queue_low(lt))
        gain = GAIN_STARTUP; // until a queue shows, the window may grow as fast as the pacing
    uint64_t rate = LH_MAX(lt_with_loss(lt, lt_bw(lt)), lt->limits.rate_min);
    uint64_t window = lh_muldiv(lh_muldiv(rate, lt_rtt(lt), LH_SECOND), gain, GAIN_UNIT);
    if (lt->phase != LT_UP)
        window = LH_MIN(window, lt->inflight_long);
    window += 3 * lt_quantum(lt);
    bool is_new = lt->bw[0] == 0 && lt->bw[1] == 0;
    return LH_MAX(window, (uint64_t)lt->packet_size * (is_new ? INITIAL_PACKETS : WINDOW_PACKETS));
}

// Both answers are asked for with every packet, and change with events only.
static void lt_refresh(struct lt_state *lt)
{
    lt->pacing_rate = compute_pacing_rate(lt);
    lt->cwnd = compute_cwnd(lt);
}

// --- Phases --------------------------------------------------------------------------------------

static void lt_enter(struct lt_state *lt, enum lt_phase phase, lh_ns now)
{
    lt->phase = phase;
    lt->phase_start = now;
    lt->phase_rounds = 0;
}

static void lt_enter_cruise(struct lt_state *lt, lh_ns now)
{
    lt->spread = lt->spread * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    lt->cruise_time = CRUISE_MIN + (lt->spread >> 33) % CRUISE_SPREAD;
    lt->cruise_time = LH_MAX(lt->cruise_time, CRUISE_RTTS * lt_rtt(lt));
    lt_enter(lt, LT_CRUISE, now);
}

static void lt_enter_startup(struct lt_state *lt, lh_ns now)
{
    lt->grown_bw = 0;
    lt->bw_recent = 0;
    lt->flat_rounds = 0;
    lt->queue_base = lt->queue_round = LH_MAX(lt_queue_standing(lt), lt->queue_base);
    lt_enter(lt, LT_STARTUP, now);
}

// A new cycle: the older half of the filter goes, unless this half has nothing that the path
// limited.
static void lt_enter_up(struct lt_state *lt, lh_ns now)
{
    lt->grown_bw = LH_MAX(lt->bw[0], lt->bw[1]);
    if (lt->bw[1] > 0) {
        lt->bw[0] = lt->bw[1];
        lt->bw[1] = 0;
    }
    lt->bw_short = UINT64_MAX;
    lt->inflight_long = UINT64_MAX;
    lt->grown_intervals = lt->grown_round = 0;
    lt->queue_base = lt_queue_standing(lt);
    lt_enter(lt, LT_UP, now);
}

static void lt_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    struct lt_state *lt = state;
    LH_ASSERT(packet_size > 0);
    *lt = (struct lt_state){
        .limits = *limits,
        .packet_size = packet_size,
        .bw_short = UINT64_MAX,
        .inflight_long = UINT64_MAX,
        .rtt_min = rtt_hint,
        .low_queue_at = now,
        .spread = now,
        .interval.queue_min = LH_NEVER,
    };
    lh_loss_baseline_init(&lt->loss, LOSS_CAP);
    lt->initial_rate = lh_muldiv((uint64_t)INITIAL_PACKETS * packet_size, LH_SECOND, lt_rtt(lt));
    lt->initial_rate = LH_MAX(lt->initial_rate, limits->rate_target >> TARGET_DOUBLINGS);
    lt_enter(lt, LT_STARTUP, now);
    lt_refresh(lt);
}

static void lt_set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    struct lt_state *lt = state;
    bool may_go_faster = limits->rate_target == 0 || limits->rate_target > lt->limits.rate_target;
    bool was_capped = lt->limits.rate_target > 0;
    lt->limits = *limits;
    if (was_capped && may_go_faster && lt->phase != LT_STARTUP) {
        // The old cap hid what the path can do.
        lt_enter_startup(lt, now);
    }
    lt_refresh(lt);
}

static void lt_on_path_change(void *state, lh_ns now)
{
    struct lt_state *lt = state;
    struct lh_cc_limits limits = lt->limits;
    lt_init(lt, lt->packet_size, &limits, 0, now);
}

// The rate is at the target and the path delivers it: there is nothing more to find out.
static bool lt_reached_target(const struct lt_state *lt)
{
    uint64_t bw = LH_MAX(lt->bw[0], lt->bw[1]);
    return lt->limits.rate_target > 0 && bw > 0 &&
           lt_with_loss(lt, bw) >= lt->limits.rate_target / 100 * 97;
}

// --- Congestion ----------------------------------------------------------------------------------

static bool lt_is_congested(struct lt_state *lt, const struct lt_interval *seen)
{
    if (seen->ce_packets > 0 || seen->queue_min > lt_queue_cap(lt))
        return true;
    if (!lh_loss_is_excess(&lt->loss, seen->packets, seen->lost)) {
        lt->excess_run = 0;
        return false;
    }
    lt->excess_run++;
    return seen->queue_min > lt_queue_low(lt) || lt->phase == LT_UP ||
           (lt->excess_run >= EXCESS_INTERVALS && lh_loss_baseline_is_known(&lt->loss));
}

static void
lt_on_congestion(struct lt_state *lt, const struct lt_interval *seen, uint64_t inflight, lh_ns now)
{
    switch (lt->phase) {
    case LT_STARTUP:
        if (seen->queue_min > lt_queue_low(lt))
            lt_enter(lt, LT_DRAIN, now);
        break;
    case LT_UP:
        lt->inflight_long = LH_MAX(inflight, lt_inflight_target(lt) * 7 / 10);
        lt_enter(lt, LT_DOWN, now);
        break;
    case LT_CRUISE:
    case LT_DOWN: {
        if (lt->phase_rounds < 2)
            break; // what is reported now was caused by the phase before
        uint64_t delivered = seen->rates > 0 ? seen->rate_sum / seen->rates : 0;
        lt->bw_short = LH_MAX(delivered, lt_bw(lt) * 7 / 10);
        if (lt->phase == LT_CRUISE && seen->queue_min > lt_queue_cap(lt))
            lt_enter(lt, LT_DOWN, now);
        break;
    }
    default:
        break;
    }
}

// --- What feedback says --------------------------------------------------------------------------

static void lt_note_rate(struct lt_state *lt, const struct lh_cc_feedback *feedback)
{
    uint64_t rate = feedback->rate_sample;
    if (lt->phase == LT_STARTUP)
        lt->bw_recent = LH_MAX(lt->bw_recent, feedback->rate_recent);
    if (rate == 0)
        return;
    bool is_limited = feedback->rate_is_app_limited || feedback->window_limited;
    if (is_limited)
        lt->interval.is_limited = true;
    if (is_limited && rate <= lt_bw(lt))
        return;
    lt->interval.rate_sum += rate;
    lt->interval.rates++;
    if (lt->phase == LT_STARTUP)
        lt->bw[1] = LH_MAX(lt->bw[1], rate);
}

static void lt_startup_round(struct lt_state *lt, const struct lt_interval *seen, lh_ns now)
{
    if (lt_reached_target(lt)) {
        lt_enter(lt, LT_DRAIN, now);
        return;
    }
    if (seen->is_limited || lt->bw[1] == 0)
        return;
    lt->queue_base = lh_ns_max(lt->queue_base, lt->queue_round);
    lt->queue_round = 0;
    if (lt->bw[1] >= lt->grown_bw / 4 * 5) {
        lt->grown_bw = lt->bw[1];
        lt->flat_rounds = 0;
        if (seen->packets > 0) // there is room on the path: these losses are its own
            lh_loss_baseline_add(&lt->loss, seen->packets, seen->lost);
        return;
    }
    // A shallow queue shows as losses, not as delay.
    bool is_lossy = lh_loss_baseline_is_known(&lt->loss) &&
                    seen->lost > lh_muldiv(seen->packets, lt->loss.high_ppm + STARTUP_LOSS, LH_PPM);
    if (++lt->flat_rounds >= FLAT_ROUNDS || is_lossy)
        lt_enter(lt, LT_DRAIN, now);
}

static void lt_up_interval(struct lt_state *lt, lh_ns now)
{
    if (lt->phase_rounds < 2)
        return; // what comes back was sent before
    if (lt->bw[1] >= lt->grown_bw / 100 * 105) {
        lt->grown_bw = lt->bw[1];
        lt->grown_round = lt->phase_rounds;
        if (++lt->grown_intervals >= CASCADE_INTERVALS)
            lt_enter_startup(lt, now);
    } else if (lt->phase_rounds >= lt->grown_round + UP_ROUNDS) {
        lt_enter(lt, LT_DOWN, now);
    }
}

static void lt_end_interval(struct lt_state *lt, const struct lh_cc_feedback *feedback)
{
    struct lt_interval seen = lt->interval;
    lh_ns now = feedback->now;
    lt->interval = (struct lt_interval){.queue_min = LH_NEVER};
    bool is_queue_low = seen.queue_min < lt_queue_low(lt);
    if (is_queue_low)
        lt->low_queue_at = now;
    bool is_pushing = lt->phase == LT_UP || lt->phase == LT_DOWN || lt->phase == LT_DRAIN;
    if (seen.rates > 0 && is_pushing)
        lt->bw[1] = LH_MAX(lt->bw[1], seen.rate_sum / seen.rates);

    bool is_congested = seen.packets > 0 && lt_is_congested(lt, &seen);
    bool is_quiet = lt->phase == LT_CRUISE || lt->phase == LT_DOWN;
    if (is_quiet && is_queue_low && seen.packets > 0)
        lh_loss_baseline_add(&lt->loss, seen.packets, seen.lost);
    if (is_congested)
        lt_on_congestion(lt, &seen, feedback->inflight, now);
    if (lt->phase == LT_STARTUP)
        lt_startup_round(lt, &seen, now);
    else if (lt->phase == LT_UP)
        lt_up_interval(lt, now);
}

// Phases that end by time, by what is in flight or by the queue do so with any feedback.
static void lt_step(struct lt_state *lt, const struct lh_cc_feedback *feedback)
{
    lh_ns now = feedback->now, in_phase = lh_ns_since(now, lt->phase_start);
    switch (lt->phase) {
    case LT_STARTUP:
        lt->queue_round = lh_ns_max(lt->queue_round, lt_queue_standing(lt));
        if (lt->phase_rounds >= STARTUP_ROUNDS_MIN &&
            lt_queue_standing(lt) > lt->queue_base + LH_MAX(2 * lt_queue_low(lt), lt_rtt(lt) / 4))
            lt_enter(lt, LT_DRAIN, now);
        break;
    case LT_DRAIN:
    case LT_DOWN:
        if (feedback->inflight <= lt_inflight_target(lt) || lt->phase_rounds >= DRAIN_ROUNDS_MAX)
            lt_enter_cruise(lt, now);
        break;
    case LT_CRUISE:
        if (in_phase >= lt->cruise_time)
            lt_enter_up(lt, now);
        else if (lh_ns_since(now, lt->low_queue_at) > PROBE_RTT_AFTER)
            lt_enter(lt, LT_PROBE_RTT, now);
        break;
    case LT_UP:
        if (lt_queue_standing(lt) > lt->queue_base + LH_MAX(2 * lt_queue_low(lt), lt_rtt(lt) / 8))
            lt_enter(lt, LT_DOWN, now);
        break;
    case LT_PROBE_RTT:
        if (in_phase >= LH_MAX(PROBE_RTT_TIME, lt_rtt(lt))) {
            lt->low_queue_at = now;
            lt_enter_cruise(lt, now);
        }
        break;
    default:
        break;
    }
}

static void lt_on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    struct lt_state *lt = state;
    struct lt_interval *interval = &lt->interval;
    if (feedback->rtt_min > 0)
        lt->rtt_min = feedback->rtt_min;
    lt->queue_latest = feedback->queue_delay;
    lt->queues[lt->queues_count++ % QUEUE_REPORTS] = feedback->queue_delay;
    interval->queue_min = lh_ns_min(interval->queue_min, feedback->queue_delay);
    interval->ce_packets += feedback->ce_packets;
    lt_note_rate(lt, feedback);
    if (feedback->round_ended) {
        interval->packets += feedback->round_sent_packets;
        interval->lost += feedback->round_lost_packets;
        interval->rounds++;
        lt->phase_rounds++;
        uint64_t enough = lt->phase == LT_CRUISE ? INTERVAL_PACKETS : PROBING_PACKETS;
        if (lt->phase == LT_STARTUP || interval->packets >= enough ||
            interval->rounds >= INTERVAL_ROUNDS)
            lt_end_interval(lt, feedback);
    }
    lt_step(lt, feedback);
    lt_refresh(lt);
}

static void lt_on_sent(void *state, uint64_t bytes, uint64_t inflight, lh_ns now)
{
    (void)state, (void)bytes, (void)inflight, (void)now;
}

static void lt_on_timeout(void *state, lh_ns now)
{
    (void)state, (void)now;
}

// --- Answers -------------------------------------------------------------------------------------

static uint64_t lt_pacing_rate(const void *state)
{
    const struct lt_state *lt = state;
    return lt->pacing_rate;
}

static uint64_t lt_cwnd(const void *state)
{
    const struct lt_state *lt = state;
    return lt->cwnd;
}

static const char *lt_phase_name(const void *state)
{
    const struct lt_state *lt = state;
    return phases[lt->phase].name;
}

const struct lh_cc_type lh_cc_lt = {
    .name = "lt",
    .size = sizeof(struct lt_state),
    .init = lt_init,
    .set_limits = lt_set_limits,
    .on_sent = lt_on_sent,
    .on_feedback = lt_on_feedback,
    .on_timeout = lt_on_timeout,
    .on_path_change = lt_on_path_change,
    .pacing_rate = lt_pacing_rate,
    .cwnd = lt_cwnd,
    .phase = lt_phase_name,
};
