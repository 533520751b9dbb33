// SPDX-License-Identifier: Apache-2.0
//
// Startup of the LT core: from nothing to what the path carries.
//
// How it works. Each round trip sends a train: a window's worth of packets at several times the
// rate that is known to arrive, then silence. What the train looks like at its arrival, by the
// receiver's clock, tells the rate of the path without filling its queue with more than the train:
//
//   - it arrives as fast as it was sent: the path carries that rate; the next train is that much
//     longer and faster. Four times a round trip and a quarter; no slower for random loss.
//   - it arrives much more slowly than it was sent, in two reports on end and for TRAIN_LEAST
//     packets: it came through a full bottleneck, and the rate of its arrival is the bottleneck's
//     own. Startup ends with it.
//   - more of it is lost than arrives: startup ends at once with the rate of what arrived.
//
// "Much more slowly" leaves room for as much random loss as any policy discounts, and for bursts
// of it. Where reports are not much finer than the round trip (below SHORT_RTT) the train cannot be
// told from the silence, and the gain is gentler.
//
// Other ends: the target is reached; three rounds without growth (a sender that cannot do more, a
// path that spreads trains); a queue that stands; a marked packet.
#include "base/math.h"
#include "cc/lt_internal.h"

#define SHORT_RTT    (16 * LH_MS)
#define SLOW         660u // of the rate it was sent at, per thousand: the path is full
#define SLOW_REPORTS 2u
#define TRAIN_LEAST  64u
#define FLOOD_LEAST  32u // packets
#define SPAN_LEAST   LH_MS
#define REPORT_LEAST                                                                               \
    UINT64_C(8) // packets: fewer tell more of the receiver's timers than of the path
#define FLAT_ROUNDS 3u
#define ROUNDS_MIN  3u // what jitter does to the queue must be known first
#define QUEUE_SHARE 250u

static bool is_short(const struct lh_lt *lt)
{
    return lh_lt_rtt(lt) < SHORT_RTT;
}

uint32_t lt_startup_gain(const struct lh_lt *lt)
{
    return is_short(lt) ? 2000 : 4000;
}

void lt_startup_begin(struct lh_lt *lt)
{
    lt->startup = (struct lh_lt_startup){0};
    lt->queue_base = LH_MAX(lh_lt_queue_standing(lt), lt->queue_base);
}

// The rate of a train that came through a full bottleneck, in bytes/s; 0 while there is none.
static uint64_t slow_train(const struct lh_lt_startup *startup, uint32_t packet_size)
{
    if (startup->slow_reports < SLOW_REPORTS ||
        startup->slow_sent < (uint64_t)TRAIN_LEAST * packet_size)
        return 0;
    return lh_muldiv(startup->slow_bytes, LH_SECOND, startup->slow_time);
}

// More of this round is lost than arrives: no path does that by itself.
static bool is_flood(struct lh_lt_startup *startup,
                     const struct lh_cc_feedback *feedback,
                     const struct lh_lt_point *is)
{
    startup->acked += feedback->acked_packets;
    startup->lost += feedback->lost_packets;
    bool is_too_much =
        startup->acked + startup->lost >= FLOOD_LEAST && startup->lost > startup->acked;
    if (feedback->round_ended)
        startup->acked = startup->lost = 0;
    if (is->arrived_at > startup->first.arrived_at)
        startup->mean = lh_muldiv(is->delivered - startup->first.delivered, LH_SECOND,
                                  is->arrived_at - startup->first.arrived_at);
    return is_too_much;
}

uint64_t lt_startup_report(struct lh_lt *lt, const struct lh_cc_feedback *feedback)
{
    struct lh_lt_startup *startup = &lt->startup;
    const struct lh_lt_point was = startup->point;
    const struct lh_lt_point is = {feedback->arrived_at, feedback->sent_at, feedback->sent_total,
                                   feedback->delivered};
    if (is.arrived_at == 0)
        return 0;
    if (was.arrived_at == 0 || is.delivered < was.delivered || is.sent_total < was.sent_total) {
        startup->point = startup->first = is;
        return 0;
    }
    lh_ns arriving = lh_ns_since(is.arrived_at, was.arrived_at);
    if (is_flood(startup, feedback, &is) && arriving >= SPAN_LEAST) // the train up to now
        return LH_MAX(startup->mean, lh_muldiv(startup->slow_bytes + is.delivered - was.delivered,
                                               LH_SECOND, startup->slow_time + arriving));
    lh_ns sending = lh_ns_since(is.sent_at, was.sent_at);
    if (arriving < SPAN_LEAST || is.delivered - was.delivered < REPORT_LEAST * lt->packet_size)
        return 0; // with the next report
    startup->point = is;
    uint64_t bytes = is.delivered - was.delivered, sent = is.sent_total - was.sent_total;
    uint64_t arrives = lh_muldiv(bytes, LH_SECOND, arriving);
    uint64_t left = sending == 0 ? LH_CC_RATE_MAX : lh_muldiv(sent, LH_SECOND, sending);
    if (arrives >= lh_muldiv(left, SLOW, LH_LT_PERMILLE)) {
        startup->slow_reports = 0;
        startup->slow_sent = startup->slow_bytes = 0;
        startup->slow_time = 0;
        startup->rate = LH_MAX(startup->rate, LH_MIN(arrives, left));
        return 0;
    }
    // The silence before a train makes both rates low: it says nothing of the path.
    if (left < lt->pacing_rate / 4 * 3)
        return 0;
    if (startup->slow_reports++ == 0)
        return 0; // it may have begun in the silence before the train
    startup->slow_sent += sent;
    startup->slow_bytes += bytes;
    startup->slow_time += arriving;
    return slow_train(startup, lt->packet_size);
}

bool lt_startup_round(struct lh_lt *lt, const struct lh_lt_interval *seen)
{
    struct lh_lt_startup *startup = &lt->startup;
    uint64_t rate = LH_MAX(startup->rate, lt->bw[1]);
    if (seen->packets >= TRAIN_LEAST / 2 && startup->slow_reports == 0 && !lt_is_flood(lt, seen))
        lh_loss_baseline_add(&lt->loss, seen->packets, seen->lost); // there is room: its own
    if (seen->is_dry || rate == 0)
        return false;
    if (rate >= startup->grown / 4 * 5) {
        startup->grown = rate;
        startup->flat_rounds = 0;
        return false;
    }
    return ++startup->flat_rounds >= FLAT_ROUNDS;
}

bool lt_startup_has_queue(const struct lh_lt *lt)
{
    lh_ns share = lh_muldiv(lh_lt_rtt(lt), QUEUE_SHARE, LH_LT_PERMILLE);
    return lt->phase_rounds >= ROUNDS_MIN &&
           lh_lt_queue_standing(lt) > lt->queue_base + LH_MAX(2 * lh_lt_queue_low(lt), share);
}
