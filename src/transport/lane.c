// SPDX-License-Identifier: Apache-2.0
//
// How it works. Every FEEDBACK is digested in one order: report (acknowledgements), clock (RTT,
// rate sample), loss by time, then one event for the controller, and pacer and timers follow from
// its answer. Timers: `pto_at` runs from the last data packet or acknowledgement and gives up the
// two oldest packets, which then are sent again beyond window and pace; `silence_at` runs from the
// last sign of life. Neither is told to the controller as loss.
//
// The window is the controller's plus what flows during one feedback interval: feedback comes in
// steps, and on paths shorter than a step the controller's window alone would not keep the pipe
// full.
#include <stdlib.h>

#include "base/assert.h"
#include "base/math.h"
#include "cc/loss_baseline.h"
#include "transport/lane.h"

#define SSH_PACKETS_PER_REPORT 2
#define SSH_PROBE_SIZE         64
#define ETHERNET_MTU           1500
#define WINDOW_PACKETS         4  // of the size of the moment
#define BLACK_HOLE_LOSSES      64 // large packets lost in a row while others arrive
// Tail repetition is for the end of a transfer. A source or a receiver that is slow empties our
// queue again and again; without a budget everything would then be sent twice.
#define TAIL_PERCENT         1
#define TAIL_BYTES_MIN       262144
#define SOCKET_SLACK         LH_MS // what the peer's loop may add to a feedback interval
#define FEEDBACKS_BY_DEFAULT 8
// A peer that drops more than it takes for so long (half a round trip) is full; then so many
// packets in flight find out when it takes some again. A receiver that was not scheduled for a
// moment drops as well, but not as long.
#define PEER_FULL_MIN     (50 * LH_MS)
#define PEER_FULL_MAX     (250 * LH_MS)
#define PEER_FULL_PACKETS 32u
#define PEER_FULL_SHARE   32u // of the window, if that is more
#define PEER_ROOM_GROWTH  8u
// What was missed weighs against a part of what is sent: less of it than that part is no matter.
// Where more than two quanta (a millisecond of sending) weigh, we are what limits the rate.
#define LATE_SHARE  32u
#define LATE_QUANTA 2u
#define LATE_MOST   4u
// A lane that loses so much more than the one it follows, for so long, is on another path. (The
// overshoot of a start hits lanes unevenly, for a few round trips.)
#define APART_LOSS_PPM 100000u
#define APART_ROUNDS   32u

static lh_err init_parts(struct lh_lane *lane, const struct lh_transport_config *session)
{
    const struct lh_aead_type *aead = lane->is_udp ? session->aead : &lh_aead_null;
    enum lh_direction out = session->is_client ? LH_DIR_CLIENT_TO_SERVER : LH_DIR_SERVER_TO_CLIENT;
    enum lh_direction in = session->is_client ? LH_DIR_SERVER_TO_CLIENT : LH_DIR_CLIENT_TO_SERVER;
    lh_err err = lh_lane_keys_init(&lane->seal_keys, aead, &session->master, out, lane->id, true,
                                   lane->epoch_shift);
    if (err == 0)
        err = lh_lane_keys_init(&lane->open_keys, aead, &session->master, in, lane->id, false,
                                lane->epoch_shift);
    if (err == 0)
        err = lh_replay_init(&lane->replay);
    if (err == 0)
        err = lh_sent_init(&lane->sent);
    return err;
}

uint32_t lh_lane_usual(const struct lh_lane *lane)
{
    return ETHERNET_MTU - lane->config.ip_overhead;
}

// The size of packets as controllers see it. What an interface with jumbo frames may carry is no
// measure for the first window of a path.
static uint32_t cc_packet(const struct lh_lane *lane)
{
    uint32_t payload = lane->config.payload_max;

    return (lane->is_udp ? LH_MIN(payload, lh_lane_usual(lane)) : payload) +
           lane->config.ip_overhead;
}

lh_err lh_lane_new(const struct lh_lane_config *config,
                   const struct lh_transport_config *session,
                   struct lh_random *random,
                   lh_ns now,
                   struct lh_lane **out_lane)
{
    struct lh_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return LH_E_NOMEM;
    lane->id = config->lane;
    lane->is_udp = config->lane != LH_LANE_SSH;
    lane->config = *config;
    lane->epoch_shift = lane->is_udp ? session->epoch_shift : LH_EPOCH_SHIFT;
    lh_err err = init_parts(lane, session);
    if (err != 0) {
        lh_lane_free(lane);
        return err;
    }
    lh_reporter_init(&lane->reporter,
                     lane->is_udp ? LH_REPORTER_PACKETS_MAX : SSH_PACKETS_PER_REPORT);
    lh_loss_init(&lane->loss);
    lane->loss.large_bytes = LH_PACKET_MIN_MTU + config->ip_overhead;
    lh_rtt_init(&lane->rtt, session->rtt_hint);
    uint32_t packet = cc_packet(lane);
    config->cc->init(lane->cc_state, packet, &config->limits, session->rtt_hint, now);
    lh_pacer_init(&lane->pacer, packet, now);
    lh_pacer_set_rate(&lane->pacer, config->cc->pacing_rate(lane->cc_state), now);
    lh_probe_init(&lane->probe, lane->is_udp ? config->payload_max : SSH_PROBE_SIZE,
                  lh_lane_usual(lane), now);
    lh_path_init(&lane->path);
    lh_ecn_init(&lane->ecn, lane->is_udp && session->has_ecn);
    if (!lane->is_udp || session->is_client)
        lh_path_set(&lane->path, 0, true);
    lane->skip_at = 8 + lh_random_below(random, 56);
    lane->pto_at = lane->silence_at = LH_NEVER;
    lane->peer_room = UINT64_MAX;
    lane->last_sent_at = lane->tail_since = lane->received_at = now;
    lane->quiet_interval = LH_KEEPALIVE;
    lane->state = LH_LANE_IDLE;
    *out_lane = lane;
    return 0;
}

void lh_lane_free(struct lh_lane *lane)
{
    if (lane == NULL)
        return;
    lh_lane_keys_fini(&lane->seal_keys);
    lh_lane_keys_fini(&lane->open_keys);
    lh_replay_fini(&lane->replay);
    lh_sent_fini(&lane->sent);
    free(lane);
}

uint32_t lh_lane_payload(const struct lh_lane *lane)
{
    return lane->is_udp ? lane->probe.good : lane->config.payload_max;
}

lh_ns lh_lane_interval(const struct lh_lane *lane)
{
    return LH_CLAMP(lh_rtt_smoothed(&lane->rtt) / 8, LH_REPORTER_INTERVAL_MIN,
                    LH_REPORTER_INTERVAL_MAX);
}

lh_ns lh_lane_patience(const struct lh_lane *lane)
{
    return LH_CLAMP(3 * lh_rtt_pto(&lane->rtt), LH_SILENCE_MIN, LH_SILENCE_MAX);
}

uint64_t lh_lane_rate(const struct lh_lane *lane)
{
    const struct lh_lane *leader = lane->leader != NULL ? lane->leader : lane;
    return leader->config.cc->pacing_rate(leader->cc_state);
}

static uint64_t lane_cwnd(const struct lh_lane *lane)
{
    const struct lh_lane *leader = lane->leader != NULL ? lane->leader : lane;
    return leader->config.cc->cwnd(leader->cc_state);
}

uint64_t lh_lane_window(const struct lh_lane *lane)
{
    uint64_t window = lane_cwnd(lane);
    if (lane->is_udp) {
        window = LH_MAX(window, (uint64_t)WINDOW_PACKETS * lh_lane_payload(lane));
        // One report may be lost.
        lh_ns step = 2 * lh_lane_interval(lane) + SOCKET_SLACK;
        uint64_t rate = lh_lane_rate(lane);
        rate = LH_MIN(rate, lh_muldiv(window, LH_SECOND, lh_rtt_smoothed(&lane->rtt)));
        window += lh_muldiv(rate, step, LH_SECOND);
    }
    if (lane->config.inflight_max != 0)
        window = LH_MIN(window, lane->config.inflight_max);
    window = LH_MIN(window, lane->peer_room);
    return lh_sub_sat(window, lane->sent.inflight);
}

bool lh_lane_may_repeat(const struct lh_lane *lane)
{
    return lane->tail_bytes < TAIL_BYTES_MIN + lane->stats.block_bytes_sent / 100 * TAIL_PERCENT;
}

bool lh_lane_may_number(const struct lh_lane *lane)
{
    // The receiver follows one epoch at a time, so it must not miss a whole one.
    uint64_t oldest = lh_sent_oldest(&lane->sent);
    return lane->sent.next >> lane->epoch_shift <= (oldest >> lane->epoch_shift) + 1;
}

static void expect_life(struct lh_lane *lane, lh_ns now)
{
    if (lane->silence_at == LH_NEVER && lane->is_udp && lane->state == LH_LANE_UP)
        lane->silence_at = now + lh_lane_patience(lane);
}

void lh_lane_on_receive(struct lh_lane *lane)
{
    // While packets are outstanding, only what proves that ours arrive counts: the path may be dead
    // in one direction alone.
    if (lane->sent.count_outstanding == 0)
        lane->silence_at = LH_NEVER;
}

void lh_lane_on_echo(struct lh_lane *lane, lh_ns now)
{
    lane->silence_at = LH_NEVER;
    lane->last_heard_at = now;
    if (lane->sent.count_outstanding > 0)
        expect_life(lane, now);
}

static void arm_pto(struct lh_lane *lane, lh_ns now)
{
    lane->pto_at = LH_NEVER;
    if (lane->is_udp && lane->sent.count_outstanding > 0)
        lane->pto_at =
            now + (lh_rtt_pto(&lane->rtt) << LH_MIN(lane->pto_count, (uint32_t)LH_PTO_BACKOFF_MAX));
}

void lh_lane_note_late(struct lh_lane *lane, bool is_idle)
{
    uint64_t quantum = lh_pacer_quantum(&lane->pacer);
    uint64_t missed = lane->pacer.missed - lane->missed_seen;
    lane->missed_seen = lane->pacer.missed;
    // A socket that takes no more is the path's first bottleneck.
    if (!is_idle && !lane->was_blocked && lane->is_udp)
        lane->late = LH_MIN(lane->late + missed, LATE_MOST * quantum);
    lane->was_blocked = false;
    if (missed > 0 && lane->late > LATE_QUANTA * quantum)
        lane->late_pn = lane->sent.next;
}

void lh_lane_on_sent(struct lh_lane *lane, uint32_t ip_bytes, bool tracked, lh_ns now)
{
    lane->last_sent_at = now;
    if (!tracked)
        return;
    lh_pacer_consume(&lane->pacer, ip_bytes);
    lane->late = lh_sub_sat(lane->late, ip_bytes / LATE_SHARE);
    if (lane->free_packets > 0)
        lane->free_packets--;
    arm_pto(lane, now);
    expect_life(lane, now);
}

// Round-trip time, one-way delay and delivery rate from the newest feedback.
static void sample(struct lh_lane *lane,
                   const struct lh_frame_feedback *feedback,
                   bool largest_grew,
                   lh_ns now,
                   struct lh_cc_feedback *out)
{
    uint64_t newest = feedback->top - 1;
    if (feedback->top == 0 || newest < lane->sent.floor)
        return;
    const struct lh_sent_record *record = lh_sent_record(&lane->sent, newest);
    lh_ns age = LH_MIN(feedback->top_age_us * LH_US, LH_SECOND);
    // A peer whose clock reading was late may say that the packet is older than its round trip.
    if (largest_grew && record->sent_at + age < now) {
        out->rtt_sample = now - (record->sent_at + age);
        lh_rtt_sample(&lane->rtt, out->rtt_sample, now);
        uint64_t arrival = (feedback->clock_us - feedback->top_age_us) * LH_US;
        lh_rtt_one_way(&lane->rtt, (int64_t)(arrival - record->sent_at), now);
    }
    struct lh_rate_point point = {
        .clock_us = feedback->clock_us - feedback->last_age_us,
        .bytes = lane->peer_bytes,
        .sent_at = record->sent_at,
        .sent_total = lane->sent.bytes_total -
                      (uint32_t)((uint32_t)lane->sent.bytes_total - record->sent_total),
        .pn = newest,
    };
    uint64_t since = 0;
    out->rate_sample = lh_rate_add(&lane->rate, &point, lh_rtt_min(&lane->rtt), &since);
    bool was_idle = lane->app_limited_pn > since;
    out->is_late = lane->late_pn > since && !was_idle;
    out->rate_is_app_limited = out->is_late || was_idle;
    lane->stats.delivery_rate = out->rate_sample;
    out->arrived_at = point.clock_us * LH_US;
    out->sent_at = point.sent_at;
    out->sent_total = point.sent_total;
}

// A lane that keeps losing much more than the one that it follows is on another path, which carries
// less. (One that carries more, or is longer, is only used less than it could be.)
static void watch_leader(struct lh_lane *lane)
{
    uint64_t ppm =
        lane->round_resolved == 0 ? 0 : lh_muldiv(lane->round_lost, LH_PPM, lane->round_resolved);
    lane->loss_ppm = (uint32_t)((lane->loss_ppm * 3 + LH_MIN(ppm, (uint64_t)LH_PPM)) / 4);
    bool is_worse =
        lane->leader != NULL && lane->loss_ppm > lane->leader->loss_ppm + APART_LOSS_PPM;
    lane->apart_rounds = is_worse ? lane->apart_rounds + 1 : 0;
}

bool lh_lane_drifts(const struct lh_lane *lane)
{
    return lane->apart_rounds >= APART_ROUNDS;
}

static void
count_round(struct lh_lane *lane, const struct lh_loss_result *result, struct lh_cc_feedback *out)
{
    lane->round_resolved += result->acked_packets + result->lost_packets;
    lane->round_lost += out->lost_packets;
    out->round_ended = lane->loss.largest > lane->round_end;
    if (out->round_ended) {
        lane->round++;
        lane->round_end = lane->sent.next;
        out->round_sent_packets = lane->round_resolved;
        out->round_lost_packets = lane->round_lost;
        watch_leader(lane);
        lane->round_resolved = lane->round_lost = 0;
        // What was dropped a round ago has been found lost by now, or had not been ours.
        lane->drops_to_forgive = LH_MIN(lane->drops_to_forgive, lane->round_drops);
        lane->round_drops = 0;
    }
    out->round = lane->round;
}

// Losses that the receiver's own socket caused are the receiver's limit, not the path's.
static uint64_t forgive(struct lh_lane *lane, uint64_t lost)
{
    uint64_t forgiven = LH_MIN(lost, lane->drops_to_forgive);
    lane->drops_to_forgive -= forgiven;
    return lost - forgiven;
}

// Of the losses that one flow would see, each lane sees a part: a leader hears of those of all.
static void share_losses(struct lh_lane *lane, struct lh_cc_feedback *event)
{
    if (lane->leader != NULL) {
        lane->leader->others_acked += event->acked_packets;
        lane->leader->others_lost += event->lost_packets;
        return;
    }
    event->acked_packets += lane->others_acked;
    event->lost_packets += lane->others_lost;
    lane->others_acked = lane->others_lost = 0;
}

static void tell_controller(struct lh_lane *lane,
                            const struct lh_frame_feedback *feedback,
                            const struct lh_loss_result *result,
                            struct lh_cc_feedback *event,
                            lh_ns now)
{
    event->now = now;
    event->acked_bytes = result->acked_bytes;
    event->acked_packets = result->acked_packets;
    event->lost_packets = forgive(lane, result->lost_packets);
    lane->stats.packets_lost_receiver += result->lost_packets - event->lost_packets;
    event->lost_bytes = result->lost_packets == 0
                            ? 0
                            : result->lost_bytes * event->lost_packets / result->lost_packets;
    event->inflight = lane->sent.inflight;
    event->delivered = lane->peer_bytes;
    event->rtt_min = lh_rtt_min(&lane->rtt);
    event->rtt_smoothed = lh_rtt_smoothed(&lane->rtt);
    event->queue_delay = lane->rtt.queue_delay;
    event->one_way = lane->rtt.one_way;
    event->ce_packets = lh_ecn_counts(&lane->ecn) ? lh_sub_sat(feedback->ce, lane->peer_ce) : 0;
    event->lanes = lane->group;
    event->window_limited = lane->was_window_limited || lane->peer_room != UINT64_MAX;
    lane->peer_ce = LH_MAX(lane->peer_ce, feedback->ce);
    if (event->rate_sample > 0)
        lane->rate_latest = event->rate_sample;
    count_round(lane, result, event);
    share_losses(lane, event);
    lane->config.cc->on_feedback(lane->cc_state, event);
    lh_pacer_set_rtt(&lane->pacer, event->rtt_min);
    lh_pacer_set_rate(&lane->pacer, lh_lane_rate(lane), now);
}

static void after_losses(struct lh_lane *lane, const struct lh_loss_result *result, lh_ns now)
{
    lane->stats.packets_lost += result->lost_packets;
    lane->stats.packets_lost_spurious += result->spurious_packets;
    if (result->lost_packets > 0)
        lane->last_loss_at = now;
    for (unsigned place = 0; place < LH_PLACES_; place++) {
        lane->fates.arrived[place] += result->fates.arrived[place];
        lane->fates.lost[place] += result->fates.lost[place];
    }
    if (lane->is_udp && lane->loss.large_lost >= BLACK_HOLE_LOSSES) {
        lane->loss.large_lost = 0;
        lh_probe_black_hole(&lane->probe, now);
    }
    lh_ns kept = lh_rtt_smoothed(&lane->rtt) * 3 / 2 + LH_PTO_ACK_DELAY;
    lh_sent_advance_floor(&lane->sent, lh_ns_since(now, kept));
}

static lh_err give_up(struct lh_lane *lane, uint64_t count, const struct lh_loss_sink *sink)
{
    uint64_t before = lane->sent.count_outstanding;
    lh_err err = lh_loss_give_up(&lane->sent, count, sink);
    lane->stats.packets_given_up += before - lane->sent.count_outstanding;
    return err;
}

// What the peer dropped had arrived, and found no room: its disk stands still, and it holds all
// that it may. Until that is over everything sent would have to be sent again.
static lh_err note_drops(struct lh_lane *lane,
                         const struct lh_frame_feedback *feedback,
                         const struct lh_loss_sink *sink,
                         lh_ns now)
{
    uint64_t dropped = lh_sub_sat(feedback->socket_drops, lane->peer_drops);
    uint64_t taken = lh_sub_sat(feedback->packets, lane->peer_packets);
    uint64_t cwnd = lane_cwnd(lane);
    lane->drops_to_forgive =
        LH_MIN(lane->drops_to_forgive + dropped, (uint64_t)lane->sent.count_outstanding);
    lane->round_drops = LH_MIN(lane->round_drops + dropped, lane->drops_to_forgive);
    lane->peer_drops += dropped;
    lane->peer_packets += taken;
    if (dropped > 0) {
        lane->loss.large_lost = 0; // no matter of size
        lh_lane_on_echo(lane, now);
    }
    if (taken == 0 && dropped == 0)
        return 0;
    if (dropped <= taken && taken > 0)
        lane->peer_full_since = 0;
    else if (dropped > taken && lane->peer_full_since == 0)
        lane->peer_full_since = now;
    lh_ns patience = LH_CLAMP(lh_rtt_smoothed(&lane->rtt) / 2, PEER_FULL_MIN, PEER_FULL_MAX);
    bool is_full = lane->peer_full_since != 0 && now >= lane->peer_full_since + patience;
    if (is_full && (lane->peer_room == UINT64_MAX || taken < dropped / PEER_FULL_SHARE))
        lane->peer_room =
            LH_MAX((uint64_t)PEER_FULL_PACKETS * lh_lane_payload(lane), cwnd / PEER_FULL_SHARE);
    else if (lane->peer_room != UINT64_MAX)
        lane->peer_room += PEER_ROOM_GROWTH * taken * lh_lane_payload(lane);
    if (lane->peer_room >= cwnd)
        lane->peer_room = UINT64_MAX;
    if (lane->peer_room == UINT64_MAX || dropped == 0)
        return 0;
    // The oldest: nothing behind them is acknowledged that would show them lost.
    uint64_t given_up = lane->stats.packets_given_up;
    lh_err err = give_up(lane, dropped, sink);
    lane->drops_to_forgive =
        lh_sub_sat(lane->drops_to_forgive, lane->stats.packets_given_up - given_up);
    return err;
}

lh_err lh_lane_on_feedback(struct lh_lane *lane,
                           const struct lh_frame_feedback *feedback,
                           const struct lh_loss_sink *sink,
                           lh_ns now)
{
    struct lh_loss_result result = {0};
    struct lh_cc_feedback event = {0};
    if (LH_GUARD(ACK_COUNTERS, feedback->packets > lane->stats.packets_sent ||
                                   feedback->bytes > lane->stats.bytes_sent))
        return LH_E_PROTO; // more than was ever sent: it would set our pace
    lh_err err = lh_loss_on_report(&lane->loss, &lane->sent, feedback, sink, &result);
    if (err != 0)
        return err;
    if (feedback->number >= lane->feedback_next) {
        err = note_drops(lane, feedback, sink, now);
        if (err != 0)
            return err;
        lane->feedback_next = feedback->number + 1;
        lane->peer_bytes = feedback->bytes + feedback->packets * lane->config.ip_overhead;
        sample(lane, feedback, result.largest_grew, now, &event);
        lane->state_due = true;
    }
    lh_ecn_on_acked(&lane->ecn, result.acked_ect);
    if (lane->feedback_next > FEEDBACKS_BY_DEFAULT) // the peer follows our wish by now
        lane->loss.ack_delay = 3 * lh_lane_interval(lane) + 2 * SOCKET_SLACK; // two may be lost
    if (lane->is_udp)
        err = lh_loss_detect(&lane->loss, &lane->sent, &lane->rtt, now, sink, &result);
    else
        err = lh_loss_refused(&lane->sent, &result, sink);
    if (err != 0)
        return err;
    if (result.acked_packets + result.spurious_packets > 0) {
        lane->pto_count = 0;
        arm_pto(lane, now);
        lh_lane_on_echo(lane, now);
    }
    tell_controller(lane, feedback, &result, &event, now);
    after_losses(lane, &result, now);
    return 0;
}

static lh_err on_pto(struct lh_lane *lane, const struct lh_loss_sink *sink, lh_ns now)
{
    lane->pto_count++;
    // Small packets pass and large ones do not: the path's MTU may have fallen.
    if (lane->pto_count == 2)
        lh_probe_black_hole(&lane->probe, now);
    lh_ecn_on_timeout(&lane->ecn);
    lh_err err = give_up(lane, LH_PTO_PACKETS, sink);
    lane->free_packets = LH_PTO_PACKETS;
    if (lane->config.cc->on_timeout != NULL)
        lane->config.cc->on_timeout(lane->cc_state, now);
    arm_pto(lane, now);
    if (lane->pto_at == LH_NEVER)
        lane->pto_at = now + (lh_rtt_pto(&lane->rtt) << LH_PTO_BACKOFF_MAX);
    return err;
}

lh_err lh_lane_on_timers(struct lh_lane *lane, const struct lh_loss_sink *sink, lh_ns now)
{
    struct lh_loss_result result = {0};
    lh_err err = 0;
    lh_lane_keys_expire(&lane->open_keys, now);
    if (!lane->is_udp || lane->state != LH_LANE_UP)
        return 0;
    if (lh_loss_deadline(&lane->loss, &lane->sent, &lane->rtt) <= now) {
        err = lh_loss_detect(&lane->loss, &lane->sent, &lane->rtt, now, sink, &result);
        lane->round_resolved += result.lost_packets;
        lane->round_lost += result.lost_packets;
        after_losses(lane, &result, now);
    }
    if (err == 0 && lane->pto_at <= now) {
        if (lane->sent.count_outstanding > 0)
            err = on_pto(lane, sink, now);
        else
            lane->pto_at = LH_NEVER;
    }
    return err;
}

lh_ns lh_lane_timer(const struct lh_lane *lane)
{
    lh_ns at = lane->open_keys.previous.ctx != NULL ? lane->open_keys.previous_until : LH_NEVER;
    if (!lane->is_udp || lane->state != LH_LANE_UP)
        return at;
    at = lh_ns_min(at, lh_loss_deadline(&lane->loss, &lane->sent, &lane->rtt));
    return lh_ns_min(at, lh_ns_min(lane->pto_at, lane->silence_at));
}

lh_err lh_lane_give_up_all(struct lh_lane *lane, const struct lh_loss_sink *sink)
{
    lane->pto_at = lane->silence_at = LH_NEVER;
    lane->pto_count = lane->free_packets = 0;
    return give_up(lane, UINT64_MAX, sink);
}

struct lh_cc_view lh_lane_view(const struct lh_lane *lane)
{
    struct lh_cc_view view = {0};
    if (lane->config.cc->view != NULL)
        lane->config.cc->view(lane->cc_state, &view);
    return view;
}

static struct lh_cc_known known_of(const struct lh_lane *lane)
{
    struct lh_cc_view view = lh_lane_view(lane);
    uint64_t target = lane->config.limits.rate_target;
    // What the old target hid is still to be found.
    bool is_capped = target > 0 && view.bandwidth >= target / 10 * 9;
    return (struct lh_cc_known){
        .bandwidth = is_capped || lane->rate_latest == 0 ? 0 : view.bandwidth,
        .delivered = lane->rate_latest,
        .loss_base_ppm = view.loss_base_ppm,
        .rtt_min = lh_rtt_min(&lane->rtt),
    };
}

// Starts `cc` with what `other` knew of the path.
static void start_controller(struct lh_lane *lane,
                             const struct lh_cc_type *cc,
                             const struct lh_lane *other,
                             const struct lh_cc_limits *limits,
                             lh_ns now)
{
    struct lh_cc_known known = known_of(other);
    cc->init(lane->cc_state, cc_packet(lane), limits, other->rtt.smoothed, now);
    if (cc->go_on != NULL)
        cc->go_on(lane->cc_state, &known, now);
}

void lh_lane_succeed(struct lh_lane *lane, const struct lh_lane *other, lh_ns now)
{
    start_controller(lane, lane->config.cc, other, &lane->config.limits, now);
    lane->leader = NULL;
    lane->apart_rounds = 0;
    lh_pacer_set_rate(&lane->pacer, lh_lane_rate(lane), now);
}

void lh_lane_set_policy(struct lh_lane *lane,
                        const struct lh_cc_type *cc,
                        const struct lh_cc_limits *limits,
                        lh_ns now)
{
    if (cc == lane->config.cc) {
        cc->set_limits(lane->cc_state, limits, now);
    } else {
        start_controller(lane, cc, lane, limits, now);
        lane->config.cc = cc;
    }
    lane->config.limits = *limits;
    lh_pacer_set_rate(&lane->pacer, lh_lane_rate(lane), now);
}

void lh_lane_on_path_change(struct lh_lane *lane, lh_ns now)
{
    lane->config.cc->on_path_change(lane->cc_state, now);
    lh_pacer_set_rate(&lane->pacer, lh_lane_rate(lane), now);
    lh_ecn_on_path_change(&lane->ecn);
    lane->loss.ect_from = lane->sent.next;
    lh_rtt_init(&lane->rtt, lane->rtt.smoothed);
    lane->rate = (struct lh_rate){0};
    lane->rate_latest = 0;
}

void lh_lane_get_stats(const struct lh_lane *lane, struct lh_lane_stats *out_stats)
{
    const struct lh_cc_type *cc = lane->config.cc;
    *out_stats = lane->stats;
    out_stats->state = lane->state;
    out_stats->duplicate_packets = lane->reporter.duplicates;
    out_stats->packets_received = lane->reporter.packets;
    out_stats->bytes_received = lane->reporter.bytes;
    out_stats->socket_drops = lane->reporter.socket_drops;
    out_stats->ce_packets = lane->reporter.ce;
    out_stats->ce_reported = lane->ecn.ce;
    out_stats->ecn = lh_ecn_name(&lane->ecn);
    out_stats->epoch = lane->keys_taken ? lh_sub_sat(lane->sent.next, 1) >> lane->epoch_shift
                                        : lane->seal_keys.epoch;
    out_stats->rtt_smoothed = lane->rtt.latest == 0 ? 0 : lane->rtt.smoothed;
    out_stats->rtt_min = lh_rtt_min(&lane->rtt);
    out_stats->queue_delay = lane->rtt.queue_delay;
    out_stats->pacing_rate = lh_lane_rate(lane);
    out_stats->cwnd = lane_cwnd(lane);
    out_stats->inflight = lane->sent.inflight;
    out_stats->payload_max = lh_lane_payload(lane);
    out_stats->cc_phase = cc->phase(lane->cc_state);
}
