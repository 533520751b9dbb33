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
//   p         the path's own loss (loss_baseline.h), learned while the queue is low. Lasting losses
//             beyond it first lower the rate, and are learned where that does not end them.
//
//   pacing = 0.99 * gain * bw / (1 - p)        a share p of what we send dies on the way, so bw has
//                                              to be sent 1/(1-p) times over to arrive once
//   cwnd   = G * bw / (1 - p) * rtt_min + 3 quanta
//                                              the lane adds what travels in two feedback intervals
//
// The 0.99 makes the loop contract: were p learned from losses of our own making, every round would
// still send a little less than the one before.
//
// Phases:
//   startup    trains of packets that grow until one arrives slower than it was sent; random loss
//              does not end it (lt_startup.c).
//   drain      gain 0.5 until the queue of startup is gone.
//   cruise     gain 1 for two to three seconds, and at least six round trips; after startup four.
//   up         gain 1.25 as long as bw grows by it: is there more? Ends at a grown queue or at
//              congestion. Growth three times on end means that there is much more: startup again.
//   down       gain 0.9 until the queue of `up` is gone; then cruise.
//   probe_rtt  half a window for 200 ms, only if the queue has not been low for 10 s.
//
// An *interval* is the clock of everything after startup: whole rounds with at least 512 packets in
// sum (128 while probing) and four reports, so that loss ratios mean something on short paths too.
// The first two rounds of `cruise` and `up` belong to none: what they report was sent before.
// Congestion in an interval is
//   - CE marks, or
//   - a queue that never fell below q_cap = max(25 ms, rtt_min / 2), or
//   - more losses than p explains (loss_baseline.h), together with a queue above q_low, or in `up`,
//     where we are pushing, or in three intervals on end.
// q_low is 8 % of a round trip, 1.5 to 8 ms, but a third of the queue at most that has come with
// losses: a short buffer that overflows must not pass for a path that loses packets by itself.
// In `up` congestion ends the phase and bounds the window until the next one; elsewhere it lowers
// bw_short, which holds until the next `up`, to what is delivered, by 30 % at most.
//
// Limits. rate_target caps the pacing, and where the model says that the path carries it, the rate
// is the target itself: then there is no queue to stay away from. Samples that we limited ourselves
// (disk, window) never lower the model. Timeouts are not congestion.
//
// Policers. Where two `up`s on end brought losses and neither a queue nor more rate, somebody drops
// what is above a rate. The path's own loss is then learned anew, and for 20 s `up` asks for 5 %
// more only. A marked packet (ECN) in `cruise` or `down` takes 15 % off, once an interval.
//
// What it does not do: be fair to loss-based flows, or share between lanes; those are the policies
// that build on this one.
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "cc/lt_internal.h"

#define INTERVAL_PACKETS  512u
#define PROBING_PACKETS   128u
#define INTERVAL_REPORTS  4u
#define INTERVAL_ROUNDS   8u // a slow path need not wait longer for its packets
#define SETTLING_ROUNDS   2u
#define CRUISE_MIN        (2 * LH_SECOND)
#define CRUISE_SPREAD     LH_SECOND
#define CRUISE_RTTS       6u
#define FIRST_CRUISE_RTTS 4u
#define FIRST_CRUISE      (200 * LH_MS)
#define DRAIN_ROUNDS_MAX  10u
#define PROBE_RTT_AFTER   (10 * LH_SECOND)
#define PROBE_RTT_TIME    (200 * LH_MS)
#define QUEUE_UP_SHARE    125u // of rtt_min, per thousand: so much more queue ends `up`
#define UP_ROUNDS         3u   // until growth shows: a round trip, one for the mean, one to act
#define CASCADE_INTERVALS 3u
#define PUSHED_RATES      4u
#define POLICED_UPS       2u
#define POLICED_TIME      (20 * LH_SECOND)
#define JITTER_TIME       (30 * LH_SECOND)
#define INITIAL_TIME      (10 * LH_MS) // the first window takes so much at least
#define TARGET_DOUBLINGS  4u           // startup begins at target / 2^4

// --- Phases --------------------------------------------------------------------------------------

static void enter(struct lh_lt *lt, enum lh_lt_phase phase, lh_ns now)
{
    lt->phase_before = lt->phase;
    lt->phase = phase;
    lt->phase_start = now;
    lt->phase_rounds = 0;
    lt->interval = (struct lh_lt_interval){.queue_min = LH_NEVER};
}

static void enter_cruise(struct lh_lt *lt, lh_ns now)
{
    lt->spread = lt->spread * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    lt->cruise_time = CRUISE_MIN + (lt->spread >> 33) % CRUISE_SPREAD;
    lt->cruise_time = LH_MAX(lt->cruise_time, CRUISE_RTTS * lh_lt_rtt(lt));
    if (lt->is_first_cruise) // startup may have been misled: look again soon
        lt->cruise_time = LH_MAX(FIRST_CRUISE_RTTS * lh_lt_rtt(lt), FIRST_CRUISE);
    lt->is_first_cruise = false;
    enter(lt, LH_LT_CRUISE, now);
}

static void enter_startup(struct lh_lt *lt, lh_ns now)
{
    lt_startup_begin(lt);
    enter(lt, LH_LT_STARTUP, now);
}

// Startup is over: what it found is what the path carries.
static void leave_startup(struct lh_lt *lt, uint64_t rate, lh_ns now)
{
    lt->bw[1] = LH_MAX(lt->bw[1], rate);
    if (lt->bw[0] == 0 && lt->bw[1] == 0) // too little for a sample
        lt->bw[1] = lt->startup.mean;
    lt->is_first_cruise = true;
    enter(lt, LH_LT_DRAIN, now);
}

// A new cycle: the older half of the filter goes, unless this half has nothing that the path
// limited.
static void enter_up(struct lh_lt *lt, lh_ns now)
{
    lt->grown_bw = LH_MAX(lt->bw[0], lt->bw[1]);
    if (lt->bw[1] > 0) {
        lt->bw[0] = lt->bw[1];
        lt->bw[1] = 0;
    }
    lt->queue_top[0] = lt->queue_top[1];
    lt->queue_top[1] = 0;
    lt->bw_short = UINT64_MAX;
    lt->inflight_long = UINT64_MAX;
    lt->grown_intervals = lt->grown_round = 0;
    lt->is_policed = now < lt->policed_until;
    lt->queue_base = lh_lt_queue_standing(lt);
    enter(lt, LH_LT_UP, now);
}

void lh_lt_init(struct lh_lt *lt,
                uint32_t loss_cap_ppm,
                uint32_t packet_size,
                const struct lh_cc_limits *limits,
                lh_ns rtt_hint,
                lh_ns now)
{
    LH_ASSERT(packet_size > 0);
    *lt = (struct lh_lt){
        .limits = *limits,
        .packet_size = packet_size,
        .bw_short = UINT64_MAX,
        .cruise_rate = UINT64_MAX,
        .inflight_long = UINT64_MAX,
        .rtt_min = rtt_hint,
        .low_queue_at = now,
        .spread = now,
        .interval.queue_min = LH_NEVER,
    };
    lh_loss_baseline_init(&lt->loss, loss_cap_ppm);
    lt->initial_rate = lh_muldiv((uint64_t)LT_INITIAL_PACKETS * packet_size, LH_SECOND,
                                 lh_ns_max(lh_lt_rtt(lt), INITIAL_TIME));
    lt->is_blind = lt->initial_rate >= limits->rate_target >> TARGET_DOUBLINGS;
    lt->initial_rate = LH_MAX(lt->initial_rate, limits->rate_target >> TARGET_DOUBLINGS);
    enter(lt, LH_LT_STARTUP, now);
    lt_refresh(lt);
}

void lh_lt_set_limits(struct lh_lt *lt, const struct lh_cc_limits *limits, lh_ns now)
{
    bool may_go_faster = limits->rate_target == 0 || limits->rate_target > lt->limits.rate_target;
    bool was_capped = lt->limits.rate_target > 0;
    lt->limits = *limits;
    if (was_capped && may_go_faster && lt->phase != LH_LT_STARTUP)
        enter_startup(lt, now); // the old cap hid what the path can do
    lt_refresh(lt);
}

void lh_lt_on_path_change(struct lh_lt *lt, lh_ns now)
{
    struct lh_cc_limits limits = lt->limits;
    lh_lt_init(lt, lt->loss.cap, lt->packet_size, &limits, 0, now);
}

void lh_lt_go_on(struct lh_lt *lt, uint64_t rate, lh_ns now)
{
    lt->bw[0] = lt->bw[1] = LH_CLAMP(rate, (uint64_t)lt->packet_size, LH_CC_RATE_MAX);
    lt->bw_short = lt->inflight_long = UINT64_MAX;
    lt->low_queue_at = now;
    enter_cruise(lt, now);
    lt_refresh(lt);
}

void lh_lt_take_over(struct lh_lt *lt, const struct lh_cc_known *known, lh_ns now)
{
    if (known->rtt_min > 0)
        lt->rtt_min = known->rtt_min;
    for (unsigned i = 0; i < LH_LOSS_SAMPLES_MIN && known->loss_base_ppm > 0; i++)
        lh_loss_baseline_add(&lt->loss, LH_PPM, LH_MIN(known->loss_base_ppm, LH_PPM));
    lt->is_blind &= known->delivered <= lt->initial_rate;
    lt->initial_rate = LH_MAX(lt->initial_rate, LH_MIN(known->delivered, LH_CC_RATE_MAX));
    if (known->bandwidth > 0)
        lh_lt_go_on(lt, known->bandwidth, now);
    lt_refresh(lt);
}

void lh_lt_note_jitter(struct lh_lt *lt, lh_ns now)
{
    const struct lh_lt_interval *last = &lt->last;
    bool is_lossy = !lh_loss_baseline_is_known(&lt->loss) && last->packets > 0 && last->lost > 0;
    lt->queue_floor = lh_lt_queue_standing(lt);
    lt->queue_floor_until = now + JITTER_TIME;
    lt->low_queue_at = now;
    if (!is_lossy || lt_is_flood(lt, last))
        return;
    // So the losses beside it were not ours either, nor was what they cost us.
    for (unsigned i = 0; i < LH_LOSS_SAMPLES_MIN; i++)
        lh_loss_baseline_add(&lt->loss, last->packets, last->lost);
    lt->excess_run = 0;
    lt->bw_short = UINT64_MAX;
    if (lt->phase == LH_LT_CRUISE || lt->phase == LH_LT_DOWN) {
        lt->is_first_cruise = true; // look soon for what there is
        enter_cruise(lt, now);
    }
}

void lh_lt_freeze_loss(struct lh_lt *lt, bool is_frozen)
{
    lt->is_loss_frozen = is_frozen;
}

// --- Congestion ----------------------------------------------------------------------------------

bool lt_is_flood(const struct lh_lt *lt, const struct lh_lt_interval *seen)
{
    return seen->lost * LH_PPM > 2 * (uint64_t)lt->loss.cap * seen->packets;
}

// Learns the path's own loss from an interval with a low queue. Short runs of excess are its
// bursts, and learned when they are over; lasting excess is learned when a lower rate did not end
// it.
static void learn_loss(struct lh_lt *lt, const struct lh_lt_interval *seen)
{
    uint32_t run = lt->excess_run;
    if (!lh_loss_baseline_is_known(&lt->loss) || run == 0 || run > 2 * LH_LT_EXCESS_RUN) {
        lh_loss_baseline_add(&lt->loss, seen->packets, seen->lost);
    } else if (run < LH_LT_EXCESS_RUN) {
        lt->unlearned[run - 1].packets = seen->packets;
        lt->unlearned[run - 1].lost = seen->lost;
    }
}

static void note_excess(struct lh_lt *lt, const struct lh_lt_interval *seen)
{
    if (lh_loss_is_excess(&lt->loss, seen->packets, seen->lost)) {
        lt->excess_run++;
        return;
    }
    for (uint32_t i = 0; lt->excess_run < LH_LT_EXCESS_RUN && i < lt->excess_run; i++)
        if (lt->unlearned[i].packets > 0)
            lh_loss_baseline_add(&lt->loss, lt->unlearned[i].packets, lt->unlearned[i].lost);
    memset(lt->unlearned, 0, sizeof lt->unlearned);
    lt->excess_run = 0;
}

static bool is_congested(const struct lh_lt *lt, const struct lh_lt_interval *seen)
{
    if (seen->ce_packets > 0 || seen->queue_min > lh_lt_queue_cap(lt))
        return true;
    if (lt->excess_run == 0)
        return false;
    if (seen->queue_min > lh_lt_queue_calm(lt) || lt->phase == LH_LT_UP || lt_is_flood(lt, seen))
        return true;
    // Lasting losses without a queue: once they are taken for ours, and where a lower rate does
    // not help, for the path's.
    uint64_t ppm = lh_muldiv(seen->lost, LH_PPM, seen->packets);
    return lh_loss_baseline_is_known(&lt->loss) &&
           (lt->excess_run == LH_LT_EXCESS_RUN ||
            (lt->excess_run >= 2 * LH_LT_EXCESS_RUN && ppm < lt->excess_ppm / 4 * 3));
}

// `up` brought losses and neither a queue nor more rate: a policer drops what is too much, or a
// buffer so short that it is the same to us. What was learned as the path's own loss may have been
// its doing, so that is learned anew, below its rate.
static void note_policer(struct lh_lt *lt, const struct lh_lt_interval *seen, lh_ns now)
{
    if (seen->ce_packets > 0 || seen->queue_top > lt->queue_base + lh_lt_queue_low(lt)) {
        lt->policed_ups = 0;
        return;
    }
    if (++lt->policed_ups < POLICED_UPS)
        return;
    if (!lt->is_policed)
        lh_loss_baseline_init(&lt->loss, lt->loss.cap);
    uint64_t mean = seen->rates > 0 ? seen->rate_sum / seen->rates : lt->bw[1];
    lt->bw[0] = 0; // a full bucket lets more through
    lt->bw[1] = LH_MIN(lt->bw[1], LH_MIN(mean, lt->cruise_rate));
    lt->policed_until = now + POLICED_TIME;
    lt->is_policed = true;
}

static void not_policed(struct lh_lt *lt)
{
    lt->policed_ups = 0;
    lt->policed_until = 0;
    lt->is_policed = false;
}

static void
on_congestion(struct lh_lt *lt, const struct lh_lt_interval *seen, uint64_t inflight, lh_ns now)
{
    uint64_t bw = lh_lt_bw(lt);
    lt->congestions++;
    if (lt_is_flood(lt, seen) && seen->rates > 0 && lt->phase != LH_LT_STARTUP &&
        lt->phase != LH_LT_UP) {
        lt->bw[0] = 0; // what arrives is all that the path carries
        lt->bw[1] = LH_MIN(bw, seen->rate_sum / seen->rates);
        lt->bw_short = UINT64_MAX;
        return;
    }
    switch (lt->phase) {
    case LH_LT_STARTUP:
        if (seen->ce_packets > 0)
            leave_startup(lt, 0, now);
        break;
    case LH_LT_UP:
        lt->inflight_long = LH_MAX(inflight, lh_lt_inflight_target(lt) * 7 / 10);
        note_policer(lt, seen, now);
        enter(lt, LH_LT_DOWN, now);
        break;
    case LH_LT_CRUISE:
    case LH_LT_DOWN: {
        lt->bw_short = LH_MAX(LH_MIN(seen->rate_max, bw), bw * 7 / 10);
        lt->excess_ppm = lh_muldiv(seen->lost, LH_PPM, seen->packets);
        if (seen->ce_packets > 0)
            lt->bw_short = LH_MAX(bw * 85 / 100, LH_MAX(lt->bw[0], lt->bw[1]) * 7 / 10);
        if (lt->phase == LH_LT_CRUISE && seen->queue_min > lh_lt_queue_cap(lt))
            enter(lt, LH_LT_DOWN, now);
        break;
    }
    default:
        break;
    }
}

// --- What feedback says --------------------------------------------------------------------------

static void note_rate(struct lh_lt *lt, const struct lh_cc_feedback *feedback)
{
    uint64_t rate = feedback->rate_sample;
    if (rate == 0)
        return;
    bool is_limited = feedback->rate_is_app_limited || feedback->window_limited;
    if (is_limited)
        lt->interval.is_limited = true;
    if (is_limited && (feedback->window_limited || !feedback->is_late))
        lt->interval.is_dry = true;
    // Startup's own rate is of moments; what was delivered over a round trip counts all the same.
    uint64_t known = lt->phase == LH_LT_STARTUP ? LH_MAX(lt->bw[0], lt->bw[1]) : lh_lt_bw(lt);
    if (is_limited && rate <= known)
        return;
    lt->interval.rate_sum += rate;
    lt->interval.rates++;
    lt->interval.rate_max = LH_MAX(lt->interval.rate_max, rate);
    if (lt->phase == LH_LT_STARTUP)
        lt->bw[1] = LH_MAX(lt->bw[1], rate);
}

static void up_interval(struct lh_lt *lt, lh_ns now)
{
    if (lt->bw[1] >= lt->grown_bw / 100 * (lt->is_policed ? 103 : 105)) {
        if (lt->grown_intervals > 0) // the first growth may be a full bucket
            not_policed(lt);
        lt->grown_bw = lt->bw[1];
        lt->grown_round = lt->phase_rounds;
        if (++lt->grown_intervals >= CASCADE_INTERVALS)
            enter_startup(lt, now);
    } else if (lt->phase_rounds >= lt->grown_round + UP_ROUNDS) {
        enter(lt, LH_LT_DOWN, now);
    }
}

// What an interval shows that ends before its time, because we pushed enough. Only on a thin line,
// where no interval would ever come to its end: its noise raises the model.
static void note_pushed(struct lh_lt *lt)
{
    bool is_thin = lh_lt_inflight_target(lt) < (uint64_t)PROBING_PACKETS * lt->packet_size;
    if (is_thin && lt->interval.rates >= PUSHED_RATES)
        lt->bw[1] = LH_MAX(lt->bw[1], lt->interval.rate_sum / lt->interval.rates);
}

// Gives the notes of the interval.
static uint32_t end_interval(struct lh_lt *lt, const struct lh_cc_feedback *feedback)
{
    const struct lh_lt_interval seen = lt->interval;
    lh_ns now = feedback->now;
    uint32_t notes = LH_LT_INTERVAL;
    if (lt->phase == LH_LT_CRUISE)
        lt->cruise_rate =
            seen.rates > 0 && !seen.is_limited ? seen.rate_sum / seen.rates : UINT64_MAX;
    lt->last = seen;
    lt->interval = (struct lh_lt_interval){.queue_min = LH_NEVER};
    if (now >= lt->queue_floor_until || seen.queue_min < lt->queue_floor / 8 * 5)
        lt->queue_floor = 0; // what drains is a queue
    bool is_queue_low = seen.queue_min < lh_lt_queue_calm(lt);
    if (is_queue_low)
        lt->low_queue_at = now;
    bool is_pushing = lt->phase == LH_LT_UP || lt->phase == LH_LT_DOWN || lt->phase == LH_LT_DRAIN;
    if (seen.rates > 0 && is_pushing)
        lt->bw[1] = LH_MAX(lt->bw[1], seen.rate_sum / seen.rates);

    if (seen.packets > 0)
        note_excess(lt, &seen);
    bool is_congested_now = seen.packets > 0 && is_congested(lt, &seen);
    if (lt->excess_run == 0)
        lt->queue_usual += seen.queue_min / 8 - lt->queue_usual / 8;
    else if (lh_loss_baseline_is_known(&lt->loss))
        lt->queue_top[1] = lh_ns_max(lt->queue_top[1], seen.queue_top);
    bool is_quiet = lt->phase == LH_LT_CRUISE || lt->phase == LH_LT_DOWN;
    if (is_quiet && is_queue_low && seen.packets > 0 && !lt->is_loss_frozen &&
        !lt_is_flood(lt, &seen))
        learn_loss(lt, &seen);
    if (is_congested_now)
        on_congestion(lt, &seen, feedback->inflight, now);
    if (lt->phase == LH_LT_STARTUP && (lt_has_reached_target(lt) || lt_startup_round(lt, &seen)))
        leave_startup(lt, 0, now);
    else if (lt->phase == LH_LT_UP)
        up_interval(lt, now);
    notes |= is_queue_low ? LH_LT_QUEUE_LOW : 0u;
    notes |= is_congested_now ? LH_LT_CONGESTED : 0u;
    return lt->excess_run > 0 ? notes | LH_LT_EXCESS : notes;
}

// A queue stands that we made in `up`.
static bool has_grown_queue(const struct lh_lt *lt)
{
    lh_ns share = lh_muldiv(lh_lt_rtt(lt), QUEUE_UP_SHARE, LH_LT_PERMILLE);
    return lh_lt_queue_standing(lt) > lt->queue_base + lh_ns_max(share, 2 * lh_lt_queue_low(lt));
}

// Phases that end by time, by what is in flight or by the queue do so with any feedback.
static void step(struct lh_lt *lt, const struct lh_cc_feedback *feedback)
{
    lh_ns now = feedback->now, in_phase = lh_ns_since(now, lt->phase_start);
    uint64_t rate;
    switch (lt->phase) {
    case LH_LT_STARTUP:
        rate = lt_startup_report(lt, feedback);
        if (rate > 0 || lt_startup_has_queue(lt))
            leave_startup(lt, rate, now);
        break;
    case LH_LT_DRAIN:
    case LH_LT_DOWN:
        if (feedback->inflight <= lt_drained(lt) || lt->phase_rounds >= DRAIN_ROUNDS_MAX)
            enter_cruise(lt, now);
        break;
    case LH_LT_CRUISE:
        if (in_phase >= lt->cruise_time)
            enter_up(lt, now);
        else if (lh_ns_since(now, lt->low_queue_at) > PROBE_RTT_AFTER)
            enter(lt, LH_LT_PROBE_RTT, now);
        break;
    case LH_LT_UP:
        if (has_grown_queue(lt)) {
            note_pushed(lt);
            not_policed(lt);
            enter(lt, LH_LT_DOWN, now);
        }
        break;
    case LH_LT_PROBE_RTT:
        if (in_phase >= LH_MAX(PROBE_RTT_TIME, lh_lt_rtt(lt))) {
            lt->low_queue_at = now;
            enter_cruise(lt, now);
        }
        break;
    default:
        break;
    }
}

// What is reported so long was caused by the phase before.
static uint32_t settling_rounds(const struct lh_lt *lt)
{
    return lt->phase == LH_LT_CRUISE || lt->phase == LH_LT_UP ? SETTLING_ROUNDS : 0;
}

uint32_t lh_lt_on_feedback(struct lh_lt *lt, const struct lh_cc_feedback *feedback)
{
    struct lh_lt_interval *interval = &lt->interval;
    enum lh_lt_phase phase = lt->phase;
    uint32_t notes = 0;
    if (feedback->rtt_min > 0)
        lt->rtt_min = feedback->rtt_min;
    lt->queue_latest = feedback->queue_delay;
    lt->queues[lt->queues_count++ % LH_LT_QUEUE_REPORTS] = feedback->queue_delay;
    interval->queue_top = lh_ns_max(interval->queue_top, lh_lt_queue_standing(lt));
    interval->reports++;
    interval->queue_min = lh_ns_min(interval->queue_min, feedback->queue_delay);
    interval->ce_packets += feedback->ce_packets;
    note_rate(lt, feedback);
    if (feedback->round_ended && ++lt->phase_rounds <= settling_rounds(lt)) {
        *interval = (struct lh_lt_interval){.queue_min = LH_NEVER}; // sent in the phase before
    } else if (feedback->round_ended) {
        interval->packets += feedback->round_sent_packets;
        interval->lost += feedback->round_lost_packets;
        interval->rounds++;
        uint64_t enough = lt->phase == LH_LT_CRUISE ? INTERVAL_PACKETS : PROBING_PACKETS;
        if (lt->phase == LH_LT_STARTUP || interval->rounds >= INTERVAL_ROUNDS ||
            (interval->packets >= enough && interval->reports >= INTERVAL_REPORTS))
            notes |= end_interval(lt, feedback);
    }
    step(lt, feedback);
    lt_refresh(lt);
    return lt->phase != phase ? notes | LH_LT_NEW_PHASE : notes;
}

const char *lh_lt_phase_name(const struct lh_lt *lt)
{
    static const char *const names[LH_LT_PHASE_N_] = {
        [LH_LT_STARTUP] = "startup", [LH_LT_DRAIN] = "drain", [LH_LT_CRUISE] = "cruise",
        [LH_LT_UP] = "up",           [LH_LT_DOWN] = "down",   [LH_LT_PROBE_RTT] = "probe_rtt",
    };
    return names[lt->phase];
}

void lh_lt_view(const struct lh_lt *lt, struct lh_cc_view *out_view)
{
    *out_view = (struct lh_cc_view){
        .bandwidth = lh_lt_bw(lt), .loss_base_ppm = lt->loss.ppm, .congestions = lt->congestions};
}
