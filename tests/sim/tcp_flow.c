// SPDX-License-Identifier: Apache-2.0
#include "tcp_flow.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/math.h"

#define REORDERING     3u // later packets that make an earlier one lost
#define DELAYED_ACK    (40 * LH_MS)
#define TIMEOUT_MIN    (200 * LH_MS)
#define BACKOFF_MAX    6u
#define RECEIVE_WINDOW (2 * TCP_RECORDS)
#define PACE_BURST     LH_MS // a paced sender sends what the next millisecond is worth at once

void tcp_flow_init(struct tcp_flow *flow, const struct lh_cc_type *cc, bool is_paced, lh_ns now)
{
    struct lh_cc_limits no_limits = {0};
    *flow = (struct tcp_flow){
        .cc = cc,
        .is_paced = is_paced,
        .records = calloc(TCP_RECORDS, sizeof *flow->records),
        .lost = calloc(TCP_RECORDS, sizeof *flow->lost),
        .arrived = calloc(RECEIVE_WINDOW, 1),
        .delivered_at = now,
        .first_sent_at = now,
        .timeout_at = LH_NEVER,
        .ack_at = LH_NEVER,
        .pace_at = now,
    };
    LH_ASSERT(flow->records != NULL && flow->lost != NULL && flow->arrived != NULL);
    lh_rtt_init(&flow->rtt, 0);
    cc->init(flow->cc_state, TCP_PACKET_IP, &no_limits, 0, now);
}

void tcp_flow_fini(struct tcp_flow *flow)
{
    free(flow->records);
    free(flow->lost);
    free(flow->arrived);
    *flow = (struct tcp_flow){0};
}

static struct tcp_record *record_of(struct tcp_flow *flow, uint64_t number)
{
    return &flow->records[number % TCP_RECORDS];
}

static uint64_t window_of(const struct tcp_flow *flow)
{
    uint64_t packets = flow->cc->cwnd(flow->cc_state) / TCP_PACKET_IP;
    return LH_CLAMP(packets, 1, TCP_RECORDS / 2);
}

static void arm_timeout(struct tcp_flow *flow, lh_ns now)
{
    lh_ns patience = lh_rtt_smoothed(&flow->rtt) + LH_MAX(4 * flow->rtt.variation, TIMEOUT_MIN);
    flow->timeout_at = flow->inflight > 0 ? now + (patience << flow->backoff) : LH_NEVER;
}

// --- Sending -------------------------------------------------------------------------------------

bool tcp_flow_send(struct tcp_flow *flow, struct tcp_packet *out_packet, lh_ns now)
{
    uint64_t window = flow->is_recovering ? flow->prr_window : window_of(flow);
    if (flow->inflight >= window || flow->next_number - flow->oldest >= TCP_RECORDS)
        return false;
    if (flow->next_place - flow->done_place >= TCP_RECORDS && flow->lost_first == flow->lost_end)
        return false;
    if (flow->is_paced) {
        if (flow->pace_at > now + PACE_BURST)
            return false;
        uint64_t rate = flow->cc->pacing_rate(flow->cc_state);
        flow->pace_at = lh_ns_max(flow->pace_at, now) + lh_muldiv(TCP_PACKET_IP, LH_SECOND, rate);
    }
    bool is_repeated = flow->lost_first != flow->lost_end;
    uint64_t place =
        is_repeated ? flow->lost[flow->lost_first++ % TCP_RECORDS] : flow->next_place++;
    if (flow->inflight == 0)
        flow->first_sent_at = flow->delivered_at = now;
    *record_of(flow, flow->next_number) = (struct tcp_record){
        .place = place,
        .sent_at = now,
        .delivered = flow->delivered,
        .delivered_at = flow->delivered_at,
        .first_sent_at = flow->first_sent_at,
        .fate = TCP_OUTSTANDING,
    };
    *out_packet = (struct tcp_packet){flow->next_number++, place};
    flow->inflight++;
    flow->sent++;
    flow->prr_out++;
    if (flow->timeout_at == LH_NEVER)
        arm_timeout(flow, now);
    return true;
}

// Draft-ietf-ccwg-bbr, "delivery rate samples": the slower of how it was sent and acknowledged.
static uint64_t rate_of(const struct tcp_flow *flow, const struct tcp_record *record, lh_ns now)
{
    lh_ns sending = lh_ns_since(record->sent_at, record->first_sent_at);
    lh_ns arriving = lh_ns_since(now, record->delivered_at);
    lh_ns span = lh_ns_max(sending, arriving);
    if (span < lh_rtt_min(&flow->rtt) || span == 0)
        return 0;
    return lh_muldiv(flow->delivered - record->delivered, LH_SECOND, span);
}

static void take_ack(struct tcp_flow *flow,
                     const struct tcp_ack *ack,
                     struct lh_cc_feedback *feedback,
                     lh_ns now)
{
    struct tcp_record newest = {0};
    uint64_t newest_number = 0;
    for (uint32_t i = 0; i < ack->count; i++) {
        uint64_t number = ack->numbers[i];
        struct tcp_record *record = record_of(flow, number);
        if (number < flow->oldest || record->fate != TCP_OUTSTANDING)
            continue;
        record->fate = TCP_GONE;
        flow->inflight--;
        flow->delivered += TCP_PACKET_IP;
        feedback->acked_packets++;
        if (newest.sent_at == 0 || number > newest_number) {
            newest = *record;
            newest_number = number;
        }
    }
    feedback->acked_bytes = feedback->acked_packets * TCP_PACKET_IP;
    if (feedback->acked_packets == 0)
        return;
    flow->delivered_at = now;
    flow->largest_acked = LH_MAX(flow->largest_acked, newest_number);
    feedback->rtt_sample = now - newest.sent_at;
    lh_rtt_sample(&flow->rtt, feedback->rtt_sample, now);
    flow->first_sent_at = newest.sent_at;
    feedback->rate_sample = rate_of(flow, &newest, now);
    feedback->round_ended = newest_number >= flow->round_end;
}

static void find_losses(struct tcp_flow *flow, struct lh_cc_feedback *feedback)
{
    for (; flow->oldest < flow->next_number; flow->oldest++) {
        struct tcp_record *record = record_of(flow, flow->oldest);
        if (record->fate == TCP_GONE)
            continue;
        if (flow->oldest + REORDERING > flow->largest_acked)
            break;
        record->fate = TCP_GONE;
        flow->lost[flow->lost_end++ % TCP_RECORDS] = record->place;
        flow->inflight--;
        flow->lost_total++;
        feedback->lost_packets++;
    }
    feedback->lost_bytes = feedback->lost_packets * TCP_PACKET_IP;
}

static void count_round(struct tcp_flow *flow, struct lh_cc_feedback *feedback)
{
    flow->round_resolved += feedback->acked_packets + feedback->lost_packets;
    flow->round_lost += feedback->lost_packets;
    if (feedback->round_ended) {
        flow->round++;
        flow->round_end = flow->next_number;
        feedback->round_sent_packets = flow->round_resolved;
        feedback->round_lost_packets = flow->round_lost;
        flow->round_resolved = flow->round_lost = 0;
    }
    feedback->round = flow->round;
}

// RFC 6937: what may leave now so that the window shrinks evenly over one round trip.
static void reduce(struct tcp_flow *flow, const struct lh_cc_feedback *feedback)
{
    uint64_t wanted = window_of(flow), room;
    flow->prr_delivered += feedback->acked_packets;
    if (flow->inflight > wanted) {
        uint64_t due = (flow->prr_delivered * wanted + flow->prr_flight - 1) / flow->prr_flight;
        room = lh_sub_sat(due, flow->prr_out);
    } else {
        uint64_t limit = lh_sub_sat(flow->prr_delivered, flow->prr_out);
        limit = LH_MAX(limit, feedback->acked_packets) + 1;
        room = LH_MIN(wanted - flow->inflight, limit);
    }
    if (flow->prr_out == 0)
        room = LH_MAX(room, 1); // the first repetition goes at once
    flow->prr_window = flow->inflight + room;
}

void tcp_flow_on_ack(struct tcp_flow *flow, const struct tcp_ack *ack, lh_ns now)
{
    struct lh_cc_feedback feedback = {.now = now};
    uint64_t flight_before = flow->inflight;
    flow->done_place = LH_MAX(flow->done_place, ack->first_missing);
    take_ack(flow, ack, &feedback, now);
    find_losses(flow, &feedback);
    count_round(flow, &feedback);
    if (flow->is_recovering && ack->first_missing >= flow->recovery_end)
        flow->is_recovering = false;
    bool was_recovering = flow->is_recovering;
    if (feedback.lost_packets > 0 && !flow->is_recovering && !flow->is_paced) {
        flow->is_recovering = true;
        flow->recovery_end = flow->next_place;
        flow->prr_delivered = flow->prr_out = 0;
        flow->prr_flight = LH_MAX(flight_before, 1);
    }
    struct lh_cc_feedback told = feedback;
    if (was_recovering) // one reduction an episode, as the kernel has it
        told.lost_packets = told.lost_bytes = 0;
    told.inflight = flow->inflight * TCP_PACKET_IP;
    told.delivered = flow->delivered;
    told.rtt_min = lh_rtt_min(&flow->rtt);
    told.rtt_smoothed = lh_rtt_smoothed(&flow->rtt);
    told.queue_delay = lh_ns_since(told.rtt_sample, told.rtt_min);
    if (feedback.acked_packets > 0)
        flow->backoff = 0;
    flow->cc->on_feedback(flow->cc_state, &told);
    if (flow->is_recovering)
        reduce(flow, &feedback);
    if (feedback.acked_packets + feedback.lost_packets > 0)
        arm_timeout(flow, now);
}

static void on_timeout(struct tcp_flow *flow, lh_ns now)
{
    for (; flow->oldest < flow->next_number; flow->oldest++) {
        struct tcp_record *record = record_of(flow, flow->oldest);
        if (record->fate == TCP_OUTSTANDING)
            flow->lost[flow->lost_end++ % TCP_RECORDS] = record->place;
        record->fate = TCP_GONE;
    }
    flow->inflight = 0;
    flow->is_recovering = false;
    flow->backoff = LH_MIN(flow->backoff + 1, BACKOFF_MAX);
    if (flow->cc->on_timeout != NULL)
        flow->cc->on_timeout(flow->cc_state, now);
    flow->timeout_at = LH_NEVER;
    flow->pace_at = now;
}

// --- Receiving -----------------------------------------------------------------------------------

static struct tcp_ack make_ack(struct tcp_flow *flow)
{
    struct tcp_ack ack = {.first_missing = flow->first_missing,
                          .count = LH_MIN(flow->recent_count, TCP_ACK_REPEATS)};
    for (uint32_t i = 0; i < ack.count; i++)
        ack.numbers[i] = flow->recent[(flow->recent_count - 1 - i) % TCP_ACK_REPEATS];
    flow->unacknowledged = 0;
    flow->ack_at = LH_NEVER;
    return ack;
}

bool tcp_flow_on_packet(struct tcp_flow *flow,
                        const struct tcp_packet *packet,
                        struct tcp_ack *out_ack,
                        lh_ns now)
{
    flow->recent[flow->recent_count++ % TCP_ACK_REPEATS] = packet->number;
    bool had_hole = flow->highest > flow->first_missing;
    if (packet->place >= flow->first_missing && !flow->arrived[packet->place % RECEIVE_WINDOW]) {
        flow->arrived[packet->place % RECEIVE_WINDOW] = 1;
        flow->received_bytes += TCP_PAYLOAD;
        flow->highest = LH_MAX(flow->highest, packet->place + 1);
    }
    for (; flow->arrived[flow->first_missing % RECEIVE_WINDOW] != 0; flow->first_missing++)
        flow->arrived[flow->first_missing % RECEIVE_WINDOW] = 0;
    bool has_hole = flow->highest > flow->first_missing;
    if (++flow->unacknowledged >= 2 || had_hole || has_hole) {
        *out_ack = make_ack(flow);
        return true;
    }
    flow->ack_at = now + DELAYED_ACK;
    return false;
}

// --- Time ----------------------------------------------------------------------------------------

lh_ns tcp_flow_next(const struct tcp_flow *flow)
{
    lh_ns next = lh_ns_min(flow->timeout_at, flow->ack_at);
    if (flow->is_paced && flow->inflight < window_of(flow))
        next = lh_ns_min(next, lh_ns_since(flow->pace_at, PACE_BURST));
    return next;
}

bool tcp_flow_on_timer(struct tcp_flow *flow, struct tcp_ack *out_ack, lh_ns now)
{
    if (flow->timeout_at <= now)
        on_timeout(flow, now);
    if (flow->ack_at > now)
        return false;
    *out_ack = make_ack(flow);
    return true;
}
