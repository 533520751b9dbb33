// SPDX-License-Identifier: Apache-2.0
//
// A small model of one sender over one droptail queue, for tests of controllers alone: packets are
// numbers, feedback comes every max(rtt / 8, 2 ms), nothing is reordered and feedback is never
// lost. The simulator (tests/sim) runs the real engine; this runs a controller in milliseconds.
#ifndef LH_TESTS_TOY_LINK_H
#define LH_TESTS_TOY_LINK_H

#include "base/math.h"
#include "base/prng.h"
#include "cc/cc.h"
#include "cc/pacer.h"
#include "check.h"

#define TOY_PACKET  1500u
#define TOY_RING    ((uint64_t)1 << 20) // packets in flight at most
#define TOY_REPORTS 256u

struct toy_link {
    // Conditions; may change while running.
    uint64_t capacity;    // bytes/s
    lh_ns rtt;            // without queue
    uint64_t queue_bytes; // buffer of the bottleneck
    uint32_t loss_ppm;    // after the bottleneck
    lh_ns burst;          // loss comes in runs of this length; 0 = independent
    uint64_t app_rate;    // what the application offers, bytes/s; 0 = as much as goes
    uint64_t ce_packets;  // reported as marked, with every feedback
    uint64_t rival;       // bytes that another sender keeps in flight through the same queue

    const struct lh_cc_type *cc;
    uint64_t state[LH_CC_STATE_MAX / 8];
    struct lh_pacer pacer;
    struct lh_prng prng;
    lh_ns now, queue_free; // when the bottleneck will have sent all it has
    lh_ns burst_until, burst_next, last_sent;
    struct {
        lh_ns sent, arrived; // LH_NEVER = lost
        uint64_t round;      // when it was sent
        uint64_t sent_before;
    } * packets;
    uint64_t next, acked_to; // packet numbers
    uint64_t inflight, delivered, lost, sent_bytes;
    uint64_t round, round_packets, round_lost, app_credit;
    bool was_app_limited;
    lh_ns next_feedback, queue_peak;
    struct {
        lh_ns time;
        uint64_t delivered, sent;
        lh_ns sent_time;
    } reports[TOY_REPORTS];
    uint64_t reports_count;
};

static inline void toy_init(struct toy_link *link,
                            const struct lh_cc_type *cc,
                            const struct lh_cc_limits *limits,
                            uint64_t seed)
{
    link->cc = cc;
    link->prng.state = seed;
    link->packets = calloc(TOY_RING, sizeof *link->packets);
    assert_non_null(link->packets);
    link->now = LH_SECOND;
    link->next_feedback = link->now;
    lh_pacer_init(&link->pacer, TOY_PACKET, link->now);
    cc->init(link->state, TOY_PACKET, limits, link->rtt, link->now);
}

static inline void toy_fini(struct toy_link *link)
{
    free(link->packets);
}

static inline bool toy_is_lost(struct toy_link *link, lh_ns now)
{
    if (link->burst == 0)
        return lh_prng_below(&link->prng, 1000000) < link->loss_ppm;
    while (link->loss_ppm > 0 && now >= link->burst_next) { // the next burst begins
        lh_ns gap = lh_muldiv(link->burst, 1000000, link->loss_ppm);
        link->burst_until = link->burst_next + link->burst;
        link->burst_next += gap / 2 + lh_prng_below(&link->prng, gap);
    }
    return now < link->burst_until;
}

static inline lh_ns toy_interval(const struct toy_link *link)
{
    return LH_CLAMP(link->rtt / 8, 2 * LH_MS, 25 * LH_MS);
}

static inline void toy_send(struct toy_link *link)
{
    lh_pacer_set_rate(&link->pacer, link->cc->pacing_rate(link->state), link->now);
    uint64_t room = lh_pacer_available(&link->pacer, link->now);
    uint64_t cwnd = link->cc->cwnd(link->state);
    uint64_t step_rate =
        LH_MIN(link->cc->pacing_rate(link->state), lh_muldiv(cwnd, LH_SECOND, link->rtt));
    cwnd += lh_muldiv(step_rate, 2 * toy_interval(link) + LH_MS, LH_SECOND);    // as the lane does
    bool is_probing = link->now > link->last_sent + 3 * link->rtt + 20 * LH_MS; // as a PTO does
    while (room >= TOY_PACKET && (link->inflight + TOY_PACKET <= cwnd || is_probing)) {
        is_probing = false;
        link->last_sent = link->now;
        if (link->app_rate > 0 && link->app_credit < TOY_PACKET) {
            link->was_app_limited = true;
            break;
        }
        if (link->app_rate > 0)
            link->app_credit -= TOY_PACKET;
        uint64_t slot = link->next % TOY_RING;
        lh_ns start = lh_ns_max(link->now, link->queue_free);
        lh_ns waits = start - link->now;
        assert_true(link->next - link->acked_to < TOY_RING);
        link->packets[slot].sent = link->now;
        link->packets[slot].round = link->round;
        link->packets[slot].sent_before = link->sent_bytes;
        link->packets[slot].arrived = LH_NEVER;
        if (lh_muldiv(waits, link->capacity, LH_SECOND) <= link->queue_bytes) {
            link->queue_free = start + lh_muldiv(TOY_PACKET, LH_SECOND, link->capacity);
            link->queue_peak = lh_ns_max(link->queue_peak, waits);
            if (!toy_is_lost(link, link->now))
                link->packets[slot].arrived = link->queue_free + link->rtt / 2;
        }
        link->next++;
        link->inflight += TOY_PACKET;
        link->sent_bytes += TOY_PACKET;
        room -= TOY_PACKET;
        lh_pacer_consume(&link->pacer, TOY_PACKET);
    }
}

// The rate over a span of time, and at least four reports.
static inline uint64_t toy_rate(const struct toy_link *link, lh_ns over)
{
    uint64_t last = link->reports_count - 1;
    for (uint64_t back = 4; back <= LH_MIN(last, TOY_REPORTS - 1); back++) {
        lh_ns span = link->reports[last % TOY_REPORTS].time -
                     link->reports[(last - back) % TOY_REPORTS].time;
        if (span < over)
            continue;
        uint64_t bytes = link->reports[last % TOY_REPORTS].delivered -
                         link->reports[(last - back) % TOY_REPORTS].delivered;
        uint64_t sent = link->reports[last % TOY_REPORTS].sent -
                        link->reports[(last - back) % TOY_REPORTS].sent;
        lh_ns sent_span = link->reports[last % TOY_REPORTS].sent_time -
                          link->reports[(last - back) % TOY_REPORTS].sent_time;
        if (sent_span == 0)
            return 0;
        return LH_MIN(lh_muldiv(bytes, LH_SECOND, span), lh_muldiv(sent, LH_SECOND, sent_span));
    }
    return 0;
}

// Everything that arrived by now - rtt / 2 is known to the sender now.
static inline void toy_feedback(struct toy_link *link)
{
    struct lh_cc_feedback feedback = {.now = link->now};
    lh_ns seen = link->now - link->rtt / 2;
    uint64_t newest = link->acked_to;
    for (uint64_t pn = link->acked_to; pn < link->next; pn++) {
        if (link->packets[pn % TOY_RING].arrived <= seen)
            newest = pn + 1;
        else if (link->packets[pn % TOY_RING].arrived != LH_NEVER)
            break;
    }
    if (newest == link->acked_to)
        return;
    bool round_ended = false;
    for (uint64_t pn = link->acked_to; pn < newest; pn++) {
        bool is_lost = link->packets[pn % TOY_RING].arrived == LH_NEVER;
        feedback.acked_packets += !is_lost;
        feedback.lost_packets += is_lost;
        round_ended |= !is_lost && link->packets[pn % TOY_RING].round == link->round;
    }
    uint64_t last = (newest - 1) % TOY_RING;
    feedback.acked_bytes = feedback.acked_packets * TOY_PACKET;
    feedback.lost_bytes = feedback.lost_packets * TOY_PACKET;
    link->inflight -= feedback.acked_bytes + feedback.lost_bytes;
    link->delivered += feedback.acked_bytes;
    link->lost += feedback.lost_bytes;
    link->acked_to = newest;
    link->round_packets += feedback.acked_packets + feedback.lost_packets;
    link->round_lost += feedback.lost_packets;

    uint64_t slot = link->reports_count++ % TOY_REPORTS;
    link->reports[slot].time = seen;
    link->reports[slot].delivered = link->delivered;
    link->reports[slot].sent = link->packets[last].sent_before;
    link->reports[slot].sent_time = link->packets[last].sent;

    feedback.ce_packets = link->ce_packets;
    feedback.inflight = link->inflight;
    feedback.delivered = link->delivered;
    feedback.rate_sample = toy_rate(link, link->rtt);
    feedback.arrived_at = seen;
    feedback.sent_at = link->packets[last].sent;
    feedback.sent_total = link->packets[last].sent_before;
    feedback.rate_is_app_limited = link->was_app_limited;
    feedback.rtt_sample = link->packets[last].arrived - link->packets[last].sent + link->rtt / 2;
    feedback.rtt_min = link->rtt;
    feedback.rtt_smoothed = feedback.rtt_sample;
    feedback.queue_delay = feedback.rtt_sample - link->rtt;
    feedback.one_way = (int64_t)feedback.rtt_sample;
    feedback.round_ended = round_ended;
    if (round_ended) {
        feedback.round_sent_packets = link->round_packets;
        feedback.round_lost_packets = link->round_lost;
        link->round_packets = link->round_lost = 0;
        link->round++;
        link->was_app_limited = false;
    }
    feedback.round = link->round;
    link->cc->on_feedback(link->state, &feedback);
}

// The other sender's part of a tick: its window every round trip, queue included.
static inline void toy_rival(struct toy_link *link, lh_ns tick)
{
    lh_ns waits = lh_ns_since(link->queue_free, link->now);
    uint64_t bytes = lh_muldiv(link->rival, tick, link->rtt + waits);
    if (lh_muldiv(waits, link->capacity, LH_SECOND) <= link->queue_bytes)
        link->queue_free =
            lh_ns_max(link->now, link->queue_free) + lh_muldiv(bytes, LH_SECOND, link->capacity);
}

// Runs for `span`; returns what was delivered in it, bytes.
static inline uint64_t toy_run(struct toy_link *link, lh_ns span)
{
    uint64_t before = link->delivered;
    lh_ns until = link->now + span;
    lh_ns interval = toy_interval(link);
    lh_ns tick = LH_CLAMP(link->rtt / 50, 50 * LH_US, LH_MS);
    for (; link->now < until; link->now += tick) {
        link->app_credit =
            LH_MIN(link->app_credit + lh_muldiv(link->app_rate, tick, LH_SECOND), link->app_rate);
        if (link->now >= link->next_feedback) {
            toy_feedback(link);
            link->next_feedback = link->now + interval;
        }
        if (link->rival > 0)
            toy_rival(link, tick);
        toy_send(link);
    }
    return link->delivered - before;
}

#endif
