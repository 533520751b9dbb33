// SPDX-License-Identifier: Apache-2.0
//
// `low`: takes what nobody else wants, and gives it back at once.
//
// How it works. After LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus): a window holds the queue's
// delay q at a target tau = clamp(rtt / 10, 3 ms, 15 ms). Whoever fills queues pushes q beyond it,
// and then we shrink to next to nothing. What is different: steps are in proportion to the window,
// so that a fast link is taken in dozens of round trips and not in thousands, and random loss does
// not count, which LT's baseline (lt.h) takes out of the account here as for the other policies.
//
// Once a round trip, with the lowest q of that round (which tells a queue from jitter):
//
//   q <= tau      window x (1 + g (1 - q / tau));  g = 0.4 tau / rtt, so that one step corrects
//                 less than half of the error; it doubles up to 1/4 where no queue was seen for
//                 long
//   q <= 2 tau    window x (1 - g (q / tau - 1))
//   q > 2 tau     window x rtt_min / (rtt_min + q), by half at most: what would drain the queue if
//                 it were ours alone
//   event         window / 2: CE marks, or more losses than the path's own, twice or at a queue
//
// and never below four packets. The start doubles each round trip until q is near the target.
//
// A queue that others keep filled looks like the path itself to whoever comes later, and our own
// like it to ourselves. So the window falls to the least for two and a half round trips when the
// start is over, and every ten seconds (or sixty round trips): the lowest delay, which the lane
// remembers for ten seconds and more, is then one without us, and beside others q never holds more
// of ours than tau.
#include <assert.h>

#include "base/math.h"
#include "cc/lt.h"

#define TARGET_MIN      (3 * LH_MS)
#define TARGET_MAX      (15 * LH_MS)
#define GAIN_PERCENT    40u // of tau / rtt
#define GAIN_LEAST      (LH_PPM / 100)
#define GAIN_MOST       (LH_PPM / 10)
#define GAIN_FREE       (LH_PPM / 4)
#define FREE_ROUNDS     8u // without a queue before the gain doubles
#define PACKETS_FIRST   32u
#define PACKETS_LEAST   4u
#define FLAT_ROUNDS     3u
#define SLOW_EVERY      (10 * LH_SECOND)
#define SLOW_EVERY_RTTS 60u
#define EVENT_RUN       2u // intervals with too many losses, where no queue is seen
#define USED_PERCENT    70u
#define WINDOW_MOST     (UINT64_C(1) << 50)

struct low_state {
    struct lh_lt lt; // for its baseline of losses, and what it makes of feedback
    lh_ns rtt;       // smoothed, 0 = unknown
    uint64_t window; // bytes
    uint64_t rate;   // delivered, bytes/s
    bool is_starting;
    uint64_t grown_rate; // start: what the rate must exceed to count as growth
    uint32_t flat_rounds;
    uint32_t gain; // ppm a round
    uint32_t free_rounds;
    lh_ns queue_round; // lowest of this round
    bool is_used;      // the window was, in this round
    bool is_event;     // and this happened
    lh_ns slow_until;  // 0: not slowed down
    lh_ns slow_next;
    uint64_t events;
    uint64_t pacing_rate, cwnd; // the answers
};

static_assert(sizeof(struct low_state) <= LH_CC_STATE_MAX, "LH_CC_STATE_MAX is too small");

static uint64_t least_window(const struct low_state *low)
{
    return (uint64_t)PACKETS_LEAST * low->lt.packet_size;
}

static lh_ns target_of(const struct low_state *low)
{
    return LH_CLAMP(lh_lt_rtt(&low->lt) / 10, TARGET_MIN, TARGET_MAX);
}

static void refresh(struct low_state *low)
{
    const struct lh_lt *lt = &low->lt;
    lh_ns rtt = low->rtt > 0 ? low->rtt : lh_lt_rtt(lt);
    uint64_t window = low->slow_until > 0 ? least_window(low) : lh_lt_with_loss(lt, low->window);
    uint64_t rate = lh_muldiv(window, LH_SECOND, rtt);
    low->pacing_rate = lh_lt_within_limits(lt, rate);
    if (low->pacing_rate > rate) // a person's minimum
        window = lh_muldiv(low->pacing_rate, rtt, LH_SECOND);
    low->cwnd = LH_MAX(window, least_window(low));
}

static uint32_t usual_gain(const struct low_state *low)
{
    uint64_t gain =
        lh_muldiv(target_of(low), (uint64_t)LH_PPM * GAIN_PERCENT / 100, lh_lt_rtt(&low->lt));
    return (uint32_t)LH_CLAMP(gain, GAIN_LEAST, GAIN_MOST);
}

static void set_window(struct low_state *low, uint64_t window)
{
    low->window = LH_CLAMP(window, least_window(low), WINDOW_MOST);
}

static void slow_down(struct low_state *low, lh_ns now)
{
    low->slow_until = now + low->rtt * 5 / 2;
    low->slow_next = low->slow_until + lh_ns_max(SLOW_EVERY, SLOW_EVERY_RTTS * low->rtt);
}

// --- Once a round trip ---------------------------------------------------------------------------

static void start_round(struct low_state *low, lh_ns queue, lh_ns now)
{
    if (low->rate >= low->grown_rate / 4 * 5) {
        low->grown_rate = low->rate;
        low->flat_rounds = 0;
    } else if (low->is_used) {
        low->flat_rounds++;
    }
    if (queue <= target_of(low) * 3 / 4 && low->flat_rounds < FLAT_ROUNDS) {
        if (low->is_used)
            set_window(low, 2 * low->window);
        return;
    }
    low->is_starting = false;
    set_window(low, lh_muldiv(low->rate, lh_lt_rtt(&low->lt), LH_SECOND));
    slow_down(low, now);
}

static void grow(struct low_state *low, lh_ns queue)
{
    lh_ns target = target_of(low);
    low->free_rounds = queue < target / 4 ? low->free_rounds + 1 : 0;
    if (low->free_rounds == 0)
        low->gain = usual_gain(low);
    else if (low->free_rounds > FREE_ROUNDS)
        low->gain = LH_MIN(2 * low->gain, GAIN_FREE);
    if (low->is_used)
        set_window(low, low->window +
                            lh_muldiv(low->window, low->gain * (target - queue) / target, LH_PPM));
}

static void shrink(struct low_state *low, lh_ns queue)
{
    lh_ns target = target_of(low), path = lh_lt_rtt(&low->lt);
    uint64_t less = lh_muldiv(low->window, path, path + queue);
    low->gain = usual_gain(low);
    low->free_rounds = 0;
    if (low->is_event)
        less = low->window / 2;
    else if (queue <= 2 * target)
        less = low->window - lh_muldiv(low->window, low->gain * (queue - target) / target, LH_PPM);
    set_window(low, LH_MAX(less, low->window / 2));
    low->events += low->is_event;
}

static void end_round(struct low_state *low, lh_ns now)
{
    lh_ns queue = low->queue_round;
    if (low->slow_until > 0) {
        if (now >= low->slow_until)
            low->slow_until = 0;
    } else if (low->is_starting) {
        start_round(low, queue, now);
    } else if (low->is_event || queue > target_of(low)) {
        shrink(low, queue);
    } else {
        grow(low, queue);
        if (now >= low->slow_next)
            slow_down(low, now);
    }
    low->queue_round = LH_NEVER;
    low->is_used = low->is_event = false;
}

static void on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    struct low_state *low = state;
    uint32_t notes = lh_lt_on_feedback(&low->lt, feedback);
    low->rtt = feedback->rtt_smoothed;
    low->queue_round = lh_ns_min(low->queue_round, feedback->queue_delay);
    bool is_limited = feedback->rate_is_app_limited || feedback->window_limited;
    bool is_full = feedback->inflight + feedback->acked_bytes >= low->window / 100 * USED_PERCENT;
    low->is_used |= is_full && !is_limited;
    if (feedback->rate_sample > 0 && low->slow_until == 0)
        low->rate = feedback->rate_sample;
    bool is_queued = low->lt.last.queue_min > target_of(low) / 2;
    bool is_excess = (notes & LH_LT_EXCESS) != 0 && (is_queued || low->lt.excess_run >= EVENT_RUN);
    low->is_event |= is_excess || feedback->ce_packets > 0;
    if (feedback->round_ended)
        end_round(low, feedback->now);
    refresh(low);
}

// --- The controller ------------------------------------------------------------------------------

static void init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    struct low_state *low = state;
    *low = (struct low_state){
        .rtt = rtt_hint, .is_starting = true, .queue_round = LH_NEVER, .slow_next = LH_NEVER};
    lh_lt_init(&low->lt, LH_LT_LOSS_LOW, packet_size, limits, rtt_hint, now);
    set_window(low, (uint64_t)PACKETS_FIRST * packet_size);
    low->gain = usual_gain(low);
    refresh(low);
}

static void go_on(void *state, const struct lh_cc_known *known, lh_ns now)
{
    struct low_state *low = state;
    lh_lt_take_over(&low->lt, known, now);
    low->rate = known->bandwidth > 0 ? known->bandwidth : known->delivered;
    uint64_t window = lh_muldiv(low->rate, lh_lt_rtt(&low->lt), LH_SECOND);
    set_window(low, LH_MAX(window, low->window));
    refresh(low);
}

static void set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    struct low_state *low = state;
    lh_lt_set_limits(&low->lt, limits, now);
    refresh(low);
}

static void on_path_change(void *state, lh_ns now)
{
    struct low_state *low = state;
    struct lh_cc_limits limits = low->lt.limits;
    init(low, low->lt.packet_size, &limits, 0, now);
}

static uint64_t pacing_rate(const void *state)
{
    const struct low_state *low = state;
    return low->pacing_rate;
}

static uint64_t cwnd(const void *state)
{
    const struct low_state *low = state;
    return low->cwnd;
}

static const char *phase(const void *state)
{
    const struct low_state *low = state;
    if (low->slow_until > 0)
        return "slowdown";
    return low->is_starting ? "startup" : "low";
}

static void view(const void *state, struct lh_cc_view *out_view)
{
    const struct low_state *low = state;
    *out_view = (struct lh_cc_view){
        .bandwidth = low->rate, .loss_base_ppm = low->lt.loss.ppm, .congestions = low->events};
}

const struct lh_cc_type lh_cc_low = {
    .name = "low",
    .size = sizeof(struct low_state),
    .init = init,
    .set_limits = set_limits,
    .on_feedback = on_feedback,
    .on_path_change = on_path_change,
    .pacing_rate = pacing_rate,
    .cwnd = cwnd,
    .phase = phase,
    .view = view,
    .yields = true,
    .go_on = go_on,
};
