// SPDX-License-Identifier: Apache-2.0
//
// `fair` and `high`: LT while alone on the path, a classified CUBIC in company.
//
// How it works. LT (lt.h) keeps queues short and fills what it finds. Beside a flow that fills
// queues, as TCP does, that is either too much or too little: LT takes what a CUBIC flow gives up
// at each loss, and in deep queues it is itself pushed aside. So when somebody else keeps the queue
// filled, we do as he does.
//
// Company is suspected while the queue stands for whole intervals of a cruise, in which we send a
// little less than what arrives; a low queue takes the suspicion back as fast. A second of it (or
// ten round trips) leads to a trial: the window stands still and probes (share_probe.h) ask whose
// queue it is. Two on end that find a part of it to be ours, and not all, confirm company. All of
// it is a queue that we made ourselves; a delay that does not answer at all is jitter, unless it is
// longer than any jitter: then we are being squeezed. A delay that falls by no more than jitter
// makes it fall anyhow answers nothing.
//
// In company the window is CUBIC's (cubic.h), paced evenly over the round trip. An event is what
// TCP would have seen too, once a round trip: CE marks, and losses while the queue is above half of
// its highest, as far as they are more than the path's own (with a baseline of nothing: any). The
// baseline is not learned meanwhile. The model goes on running, with nobody asking it.
//
// Every few seconds a probe measures our share of the link. CUBIC flows take
// minutes to meet; a share that is off the policy's moves the whole curve by up to 15 % at once.
// That is weak enough for a fourth flow beside three others to end at a third.
//
// Company is over when the queue was low for three seconds (or ten round trips), when two probes
// on end find nobody else or no queue, or when we have given way to an eighth of our window and the
// delay stands where it stood: LT goes on from the rate that arrives.
//
// Several lanes of a session follow one controller (transport/lane.h): all send as it says, and cut
// together where it probes. So what a probe finds is the session's share, and a window that grows
// as a part of a flow's does makes one flow of all of them.
//
// What it does not do: recognise a competitor behind a queue too short to be seen (below
// lh_lt_queue_low).
#include <assert.h>

#include "base/math.h"
#include "cc/cubic.h"
#include "cc/lt.h"
#include "cc/share_probe.h"

#define SUSPECT_TIME      LH_SECOND
#define LEAVE_TIME        (3 * LH_SECOND)
#define PATIENCE_RTTS     10u
#define INTERVAL_MOST     LH_SECOND // of suspicion from one interval
#define QUEUE_BUCKET      (5 * LH_SECOND)
#define PROBE_EVERY       (4 * LH_SECOND)
#define PROBE_RTTS        30u // or so many round trips: a probe costs up to three tenths of 2.5
#define TRIAL_EVERY       (50 * LH_MS)
#define TRIAL_RTTS        2u
#define TRIAL_PROBES      2u   // on end that must agree
#define TRIAL_NOISE       2u   // times what jitter does, for an answer to count
#define TRIAL_RTTS_MAX    40u  // then it is over without an answer
#define SHARE_ALONE       950u // per thousand: nobody else gives way to what we send
#define SHARE_TRIAL       120u // and here no queue answers to us, or we are lost in a crowd
#define SHARE_SURE        200u // mean of a trial: less may be what jitter makes of two probes
#define SHARE_OVER        900u // the same in company,
#define SHARE_NOBODY      50u
#define LEAVE_PROBES      2u
#define VAIN_PART         8u   // of the window that company began with
#define LANES_WEIGHT      130u // per cent
#define PROBE_QUEUE_LEAST (2 * LH_MS)
#define OVERDUE           2u // pauses without a probe
#define NUDGE_QUEUE       3u // times a low queue: what a shorter one says is too rough to steer by
#define NUDGE_FAR         280u // per thousand: who came late to a full queue would need minutes
#define NUDGE_PERCENT     60u  // of what the share is off by
#define RATE_SMOOTHING    8u
#define USED_PERCENT      70u // of the window, for it to grow
#define LOSSES_SLACK      2u

struct company_policy {
    uint32_t loss_cap_ppm; // of lh_lt_init
    uint32_t weight;       // of lh_cubic_init
    uint32_t share;        // of the link that the probes steer to, per thousand
    uint32_t nudge;        // by so much at most, per thousand
};

// The weight makes up for what pacing and probes cost beside a flow that does neither.
static const struct company_policy fair_policy = {LH_LT_LOSS_FAIR, 1200, 500, 150};
static const struct company_policy high_policy = {LH_LT_LOSS_HIGH, 2000, 640, 250};

struct fair_state {
    const struct company_policy *policy;
    struct lh_lt lt;
    enum { ALONE, TRIAL, COMPANY } mode;
    uint64_t rate;     // delivered, smoothed, bytes/s
    lh_ns rtt;         // smoothed
    uint32_t lanes;    // that follow us, and send as much each
    lh_ns suspicion;   // time of a standing queue
    lh_ns interval_at; // when the last interval ended

    struct lh_cubic cubic;
    struct lh_share_probe probe;
    uint32_t answers; // probes on end that agree: on company in the trial, on its end in company
    lh_ns trial_end;
    uint64_t trial_window;  // when it began
    uint32_t trial_share;   // mean of its answers
    lh_ns trial_queue;      // that stood then
    int64_t jitter;         // delay that stood, of one way, when a trial found it to be nobody's
    lh_ns low_since;        // 0: the queue is not low
    lh_ns queue_highest[2]; // of this bucket of time and the one before
    lh_ns bucket_at;        // when this one began
    lh_ns queue_lately;     // highest of about the last two round trips
    lh_ns queue_lately_at;
    uint64_t resolved;        // bytes acknowledged or lost
    uint64_t quiet_until;     // in `resolved`: losses before it belong to the last event
    uint64_t packets, losses; // of this round
    uint64_t events;
    uint64_t pacing_rate, cwnd; // the answers
};

static_assert(sizeof(struct fair_state) <= LH_CC_STATE_MAX, "LH_CC_STATE_MAX is too small");

static void refresh(struct fair_state *fair)
{
    const struct lh_lt *lt = &fair->lt;
    fair->pacing_rate = lt->pacing_rate;
    fair->cwnd = lt->cwnd;
    if (fair->mode == ALONE)
        return;
    uint64_t window = lh_lt_with_loss(lt, fair->cubic.window);
    window = lh_muldiv(window, fair->probe.window_share, LH_SHARE_ONE);
    uint64_t rate = lh_muldiv(window, LH_SECOND, lh_ns_max(fair->rtt, LH_US));
    fair->pacing_rate = lh_lt_within_limits(lt, rate);
    if (fair->pacing_rate > rate) // a person's minimum
        window = lh_muldiv(fair->pacing_rate, fair->rtt, LH_SECOND);
    fair->cwnd = LH_MAX(window, (uint64_t)4 * lt->packet_size);
}

// --- Coming and going ----------------------------------------------------------------------------

static lh_ns patience(const struct fair_state *fair, lh_ns least)
{
    return lh_ns_max(least, PATIENCE_RTTS * fair->rtt);
}

// No jitter does this: whatever part of it is ours, somebody fills the queue.
static bool is_queue_high(const struct fair_state *fair)
{
    return lh_lt_queue_standing(&fair->lt) > lh_lt_queue_cap(&fair->lt);
}

// Lanes hear of each other's losses late and cut at once: together they get a little less.
static uint32_t weight_of(const struct fair_state *fair)
{
    uint32_t weight = fair->policy->weight;
    return fair->lanes == 1 ? weight : weight * LANES_WEIGHT / 100 / fair->lanes;
}

static void enter_trial(struct fair_state *fair, lh_ns now)
{
    uint64_t rate = fair->rate > 0 ? fair->rate : lh_lt_bw(&fair->lt);
    const struct lh_lt_interval *last = &fair->lt.last;
    // What is on its way to be lost is in flight too, whatever is known of the path's own loss.
    uint64_t lost = last->packets == 0 || is_queue_high(fair)
                        ? 0
                        : lh_muldiv(last->lost, LH_PPM, last->packets);
    lost = LH_CLAMP(lost, (uint64_t)fair->lt.loss.ppm, (uint64_t)fair->lt.loss.cap);
    rate = lh_muldiv(rate, LH_PPM - fair->lt.loss.ppm, LH_PPM - lost);
    fair->mode = TRIAL;
    fair->answers = 0;
    fair->trial_end = now + TRIAL_RTTS_MAX * fair->rtt;
    lh_cubic_init(&fair->cubic, fair->lt.packet_size, weight_of(fair));
    lh_cubic_start_at(&fair->cubic, lh_muldiv(rate, fair->rtt, LH_SECOND));
    fair->trial_window = fair->cubic.window;
    fair->trial_share = 0;
    fair->trial_queue = lh_lt_queue_standing(&fair->lt);
    lh_share_probe_init(&fair->probe, TRIAL_RTTS * fair->rtt, TRIAL_EVERY, TRIAL_RTTS, now);
}

static void enter_company(struct fair_state *fair, lh_ns now)
{
    fair->mode = COMPANY;
    fair->low_since = 0;
    fair->answers = 0;
    fair->quiet_until = fair->resolved;
    fair->packets = fair->losses = 0;
    lh_share_probe_init(&fair->probe, PROBE_EVERY / 4, PROBE_EVERY, PROBE_RTTS, now);
    lh_lt_freeze_loss(&fair->lt, true);
}

static void leave_company(struct fair_state *fair, lh_ns now)
{
    fair->mode = ALONE;
    fair->suspicion = 0;
    fair->interval_at = now;
    lh_lt_freeze_loss(&fair->lt, false);
    lh_lt_go_on(&fair->lt, fair->rate, now);
}

// Alone so far: `notes` of the model.
static void look_for_company(struct fair_state *fair, uint32_t notes, lh_ns now)
{
    enum lh_lt_phase phase = fair->lt.phase;
    if ((notes & LH_LT_INTERVAL) == 0)
        return;
    lh_ns span = lh_ns_min(lh_ns_since(now, fair->interval_at), INTERVAL_MOST);
    fair->interval_at = now;
    if (phase != LH_LT_CRUISE && phase != LH_LT_DOWN && phase != LH_LT_PROBE_RTT)
        return; // the queue may be ours
    if ((notes & LH_LT_QUEUE_LOW) != 0)
        fair->suspicion = lh_ns_since(fair->suspicion, span);
    else
        fair->suspicion += span;
    // What is left of our own queue and a delay that answers to nobody would look like a part.
    bool is_clear = phase == LH_LT_CRUISE || is_queue_high(fair);
    if (fair->suspicion > patience(fair, SUSPECT_TIME) && is_clear)
        enter_trial(fair, now);
}

// --- In company ----------------------------------------------------------------------------------

static void note_queue(struct fair_state *fair, lh_ns queue, lh_ns now)
{
    if (now > fair->bucket_at + QUEUE_BUCKET) {
        fair->queue_highest[1] = fair->queue_highest[0];
        fair->queue_highest[0] = 0;
        fair->bucket_at = now;
    }
    fair->queue_highest[0] = lh_ns_max(fair->queue_highest[0], queue);
    // A loss is reported a round trip after the queue that made it.
    if (queue >= fair->queue_lately || now > fair->queue_lately_at + 2 * fair->rtt) {
        fair->queue_lately = queue;
        fair->queue_lately_at = now;
    }
}

// Losses of this round beyond the path's own: two standard deviations and two packets, in
// millionths of a packet and with squares instead of the root.
static bool has_lost_more(const struct fair_state *fair)
{
    uint64_t p = fair->lt.loss.ppm;
    if (fair->losses == 0 || p == 0)
        return fair->losses > 0;
    unsigned __int128 expected = (unsigned __int128)fair->packets * p;
    unsigned __int128 actual = (unsigned __int128)fair->losses * LH_PPM;
    unsigned __int128 slack = (unsigned __int128)LOSSES_SLACK * LH_PPM;
    if (actual <= expected + slack)
        return false;
    unsigned __int128 beyond = actual - expected - slack;
    return beyond * beyond > 4 * expected * (LH_PPM - p);
}

static bool is_event(const struct fair_state *fair, const struct lh_cc_feedback *feedback)
{
    lh_ns highest = lh_ns_max(fair->queue_highest[0], fair->queue_highest[1]);
    if (feedback->ce_packets > 0)
        return true;
    return feedback->lost_packets > 0 && fair->queue_lately > highest / 2 && has_lost_more(fair);
}

static void move_window(struct fair_state *fair, const struct lh_cc_feedback *feedback)
{
    bool is_quiet = fair->resolved < fair->quiet_until;
    fair->resolved += feedback->acked_bytes + feedback->lost_bytes;
    if (is_quiet)
        return;
    fair->packets += feedback->acked_packets + feedback->lost_packets;
    fair->losses += feedback->lost_packets;
    if (is_event(fair, feedback)) {
        lh_cubic_on_event(&fair->cubic, 0, feedback->now);
        lh_share_probe_spoil(&fair->probe);
        fair->quiet_until = fair->resolved + feedback->inflight;
        fair->packets = fair->losses = 0;
        fair->events++;
        return;
    }
    if (feedback->round_ended)
        fair->packets = fair->losses = 0;
    bool is_limited = feedback->rate_is_app_limited || feedback->window_limited;
    bool is_used =
        feedback->inflight + feedback->acked_bytes >= fair->cubic.window / 100 * USED_PERCENT;
    if (feedback->acked_bytes > 0 && is_used && !is_limited && !fair->probe.is_probing)
        lh_cubic_on_ack(&fair->cubic, feedback->acked_bytes, fair->rtt, feedback->now);
}

static void nudge(struct fair_state *fair, uint32_t share)
{
    uint32_t wanted = fair->policy->share;
    uint32_t away = share > wanted ? share - wanted : wanted - share;
    uint32_t most = away > NUDGE_FAR ? 2 * fair->policy->nudge : fair->policy->nudge;
    uint32_t by = LH_MIN(away * NUDGE_PERCENT / 100, most);
    lh_cubic_scale(&fair->cubic, share > wanted ? LH_LT_PERMILLE - by : LH_LT_PERMILLE + by);
}

// A probe in company is for steering, unless the queue has long been too short for that: then it
// asks whether anybody is there at all.
static lh_ns queue_needed(const struct fair_state *fair, lh_ns now)
{
    lh_ns low = lh_lt_queue_low(&fair->lt);
    lh_ns often = lh_ns_max(PROBE_EVERY, PROBE_RTTS * fair->rtt);
    if (fair->mode == COMPANY && now < fair->probe.began_at + OVERDUE * often)
        return NUDGE_QUEUE * low;
    return lh_ns_max(low * 5 / 4, PROBE_QUEUE_LEAST);
}

static enum lh_share_answer
probe_share(struct fair_state *fair, const struct lh_cc_feedback *feedback, uint32_t *out_share)
{
    struct lh_share_seen seen = {
        .now = feedback->now,
        .rtt = fair->rtt,
        .inflight = feedback->inflight,
        .delay = feedback->one_way,
        .queue_stands = lh_lt_queue_standing(&fair->lt),
        .queue_needed = queue_needed(fair, feedback->now),
    };
    if (feedback->rate_is_app_limited || feedback->window_limited)
        lh_share_probe_spoil(&fair->probe);
    return lh_share_probe_step(&fair->probe, &seen, out_share);
}

// A trial found that nobody's window moves the delay. Others' windows move, and hide what ours
// does: so two trials must say so, at the same delay.
static void note_jitter(struct fair_state *fair, const struct lh_cc_feedback *feedback)
{
    int64_t stands = (int64_t)lh_lt_queue_standing(&fair->lt);
    int64_t delay = feedback->one_way - (int64_t)feedback->queue_delay + stands;
    int64_t away = delay - fair->jitter;
    fair->jitter = delay;
    if (LH_MAX(away, -away) < stands / 4)
        lh_lt_note_jitter(&fair->lt, feedback->now);
}

// The window stands still but for the probes.
static void trial_step(struct fair_state *fair, const struct lh_cc_feedback *feedback)
{
    uint32_t share = 0;
    bool is_over = feedback->now > fair->trial_end, is_jitter = false;
    fair->resolved += feedback->acked_bytes + feedback->lost_bytes;
    if (probe_share(fair, feedback, &share) == LH_SHARE_MEASURED) {
        is_jitter = share < SHARE_TRIAL && !is_queue_high(fair);
        if (is_jitter)
            note_jitter(fair, feedback);
        is_over |= share > SHARE_ALONE || is_jitter;
        if (fair->probe.drop > TRIAL_NOISE * fair->probe.noise || is_queue_high(fair)) {
            fair->answers++;
            fair->trial_share += share / TRIAL_PROBES;
        }
    }
    if (!is_over && fair->answers < TRIAL_PROBES)
        return;
    if (!is_over && (fair->trial_share >= SHARE_SURE || is_queue_high(fair))) {
        enter_company(fair, feedback->now);
        return;
    }
    fair->mode = ALONE;
    fair->suspicion = is_jitter ? patience(fair, SUSPECT_TIME) / 3 * 2 : 0; // to be sure of it soon
    fair->interval_at = feedback->now;
}

// We have given way to next to nothing, and the delay stays where it was: it is nobody's queue.
static bool is_in_vain(const struct fair_state *fair)
{
    return fair->cubic.window < fair->trial_window / VAIN_PART && !is_queue_high(fair) &&
           lh_lt_queue_standing(&fair->lt) > fair->trial_queue / 4 * 3;
}

static void company_step(struct fair_state *fair, const struct lh_cc_feedback *feedback)
{
    lh_ns now = feedback->now;
    uint32_t share = 0;
    move_window(fair, feedback);
    enum lh_share_answer answer = probe_share(fair, feedback, &share);
    if (answer == LH_SHARE_MEASURED) {
        if (fair->probe.queue_before >= NUDGE_QUEUE * lh_lt_queue_low(&fair->lt))
            nudge(fair, share);
        bool is_over = share > SHARE_OVER || (share < SHARE_NOBODY && !is_queue_high(fair));
        fair->answers = is_over ? fair->answers + 1 : 0;
        // Whom two probes at once would mislead waits its turn; what answers to nobody need not.
        if (is_over && share < SHARE_NOBODY)
            fair->probe.next_at = lh_ns_min(fair->probe.next_at, now + TRIAL_RTTS * fair->rtt);
    }
    if (lh_lt_queue_standing(&fair->lt) >= lh_lt_queue_low(&fair->lt))
        fair->low_since = 0;
    else if (fair->low_since == 0)
        fair->low_since = now;
    bool is_drained = fair->low_since != 0 && now > fair->low_since + patience(fair, LEAVE_TIME);
    bool is_vain = is_in_vain(fair);
    if (is_vain)
        note_jitter(fair, feedback);
    if (is_drained || is_vain || fair->answers >= LEAVE_PROBES)
        leave_company(fair, now);
}

// --- The controller ------------------------------------------------------------------------------

static void on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    struct fair_state *fair = state;
    uint32_t notes = lh_lt_on_feedback(&fair->lt, feedback);
    fair->rtt = feedback->rtt_smoothed;
    fair->lanes = LH_MAX(feedback->lanes, 1u);
    if (feedback->rate_sample > 0)
        fair->rate = fair->rate == 0 ? feedback->rate_sample
                                     : (fair->rate * (RATE_SMOOTHING - 1) + feedback->rate_sample) /
                                           RATE_SMOOTHING;
    note_queue(fair, feedback->queue_delay, feedback->now);
    if (fair->mode == COMPANY)
        company_step(fair, feedback);
    else if (fair->mode == TRIAL)
        trial_step(fair, feedback);
    else
        look_for_company(fair, notes, feedback->now);
    refresh(fair);
}

static void init(struct fair_state *fair,
                 const struct company_policy *policy,
                 uint32_t packet_size,
                 const struct lh_cc_limits *limits,
                 lh_ns rtt_hint,
                 lh_ns now)
{
    *fair = (struct fair_state){
        .policy = policy, .lanes = 1, .rtt = rtt_hint, .interval_at = now, .bucket_at = now};
    lh_lt_init(&fair->lt, policy->loss_cap_ppm, packet_size, limits, rtt_hint, now);
    refresh(fair);
}

static void fair_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    init(state, &fair_policy, packet_size, limits, rtt_hint, now);
}

static void high_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    init(state, &high_policy, packet_size, limits, rtt_hint, now);
}

static void go_on(void *state, const struct lh_cc_known *known, lh_ns now)
{
    struct fair_state *fair = state;
    lh_lt_take_over(&fair->lt, known, now);
    refresh(fair);
}

static void set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    struct fair_state *fair = state;
    lh_lt_set_limits(&fair->lt, limits, now);
    refresh(fair);
}

static void on_path_change(void *state, lh_ns now)
{
    struct fair_state *fair = state;
    struct lh_cc_limits limits = fair->lt.limits;
    init(fair, fair->policy, fair->lt.packet_size, &limits, 0, now);
}

static uint64_t pacing_rate(const void *state)
{
    const struct fair_state *fair = state;
    return fair->pacing_rate;
}

static uint64_t cwnd(const void *state)
{
    const struct fair_state *fair = state;
    return fair->cwnd;
}

static const char *phase(const void *state)
{
    const struct fair_state *fair = state;
    if (fair->mode == ALONE)
        return lh_lt_phase_name(&fair->lt);
    if (fair->mode == TRIAL)
        return "trial";
    return fair->probe.is_probing ? "company_probe" : "company";
}

static void view(const void *state, struct lh_cc_view *out_view)
{
    const struct fair_state *fair = state;
    lh_lt_view(&fair->lt, out_view);
    if (fair->mode == COMPANY)
        out_view->bandwidth = fair->rate;
    out_view->congestions += fair->events;
}

const struct lh_cc_type lh_cc_fair = {
    .name = "fair",
    .size = sizeof(struct fair_state),
    .init = fair_init,
    .set_limits = set_limits,
    .on_feedback = on_feedback,
    .on_path_change = on_path_change,
    .pacing_rate = pacing_rate,
    .cwnd = cwnd,
    .phase = phase,
    .view = view,
    .is_coupled = true,
    .go_on = go_on,
};

const struct lh_cc_type lh_cc_high = {
    .name = "high",
    .size = sizeof(struct fair_state),
    .init = high_init,
    .set_limits = set_limits,
    .on_feedback = on_feedback,
    .on_path_change = on_path_change,
    .pacing_rate = pacing_rate,
    .cwnd = cwnd,
    .phase = phase,
    .view = view,
    .is_coupled = true,
    .go_on = go_on,
};
