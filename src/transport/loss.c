// SPDX-License-Identifier: Apache-2.0
//
// How it works. A report is read span by span and applied 64 packet numbers at a time: what is
// newly acknowledged is (reported & (outstanding | lost)), so repeated reports cost one AND a word,
// and work is proportional to what is new. Send times grow with packet numbers; hence the packets
// that are too old are the first of those outstanding, and the search ends at the first that is
// not.
//
// Not handled here: timers (the lane's), what to do with content (the sink's).
#include "transport/loss.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/math.h"
#include "transport/report.h"

#define LATER_PACKETS 3
#define LATE_RTTS     16
#define LATE_TIME     LH_SECOND
#define LATE_MAX      (25 * LH_MS) // on paths that are shorter than this

void lh_loss_init(struct lh_loss *loss)
{
    *loss = (struct lh_loss){.ack_delay = LH_PTO_ACK_DELAY};
}

static lh_err tell(const struct lh_sent *sent,
                   const struct lh_sent_record *record,
                   void *ctx,
                   lh_err (*what)(void *, const struct lh_content *))
{
    for (uint32_t i = 0; i < record->content_count; i++) {
        lh_err err = what(ctx, lh_sent_content(sent, record, i));
        if (err != 0)
            return err;
    }
    return 0;
}

static unsigned place_of(const struct lh_sent_record *record)
{
    if (record->flags & LH_SENT_LAST)
        return LH_PLACE_LAST;
    return record->flags & LH_SENT_MIDDLE ? LH_PLACE_MIDDLE : LH_PLACE_FIRST;
}

static lh_err ack_one(struct lh_loss *loss,
                      struct lh_sent *sent,
                      uint64_t pn,
                      const struct lh_loss_sink *sink,
                      struct lh_loss_result *result)
{
    const struct lh_sent_record *record = lh_sent_record(sent, pn);
    bool was_lost = lh_sent_bit(sent, sent->lost, pn);
    if (was_lost && (record->flags & LH_SENT_BY_TIMER) == 0)
        result->spurious_packets++;
    if (!was_lost) {
        result->fates.arrived[place_of(record)]++;
        result->acked_packets++;
        result->acked_bytes += record->bytes;
    }
    if (record->bytes > loss->large_bytes) {
        loss->large_lost = 0;
        loss->large_top = LH_MAX(loss->large_top, pn);
    }
    if ((record->flags & LH_SENT_ECT) != 0 && pn >= loss->ect_from)
        result->acked_ect++;
    if (pn >= loss->covered_from && pn < loss->covered_to)
        loss->late[1] = LH_MAX(loss->late[1], lh_ns_since(loss->newest_sent_at, record->sent_at));
    result->newest_sent_at = LH_MAX(result->newest_sent_at, record->sent_at);
    lh_sent_settle(sent, pn);
    return tell(sent, record, sink->ctx, sink->acked);
}

// Applies up to 64 packet numbers that share a word of the ring: `received` has the bit of each.
static lh_err apply_word(struct lh_loss *loss,
                         struct lh_sent *sent,
                         uint64_t base,
                         uint64_t received,
                         const struct lh_loss_sink *sink,
                         struct lh_loss_result *result)
{
    if (LH_GUARD(ACK_SKIPPED, (received & *lh_sent_word(sent, sent->skipped, base)) != 0))
        return LH_E_PROTO;
    uint64_t fresh = received & (*lh_sent_word(sent, sent->outstanding, base) |
                                 *lh_sent_word(sent, sent->lost, base));
    for (; fresh != 0; fresh &= fresh - 1) {
        lh_err err = ack_one(loss, sent, base + (uint64_t)__builtin_ctzll(fresh), sink, result);
        if (err != 0)
            return err;
    }
    return 0;
}

// 64 bits of the span from packet number `base` (a multiple of 64) on.
static uint64_t span_word(const struct lh_report_span *span, uint64_t base)
{
    uint64_t word = UINT64_MAX;
    uint64_t end = span->start + span->len;
    if (base < span->start)
        word &= UINT64_MAX << (span->start - base);
    if (end - base < 64)
        word &= ((uint64_t)1 << (end - base)) - 1;
    // Mixed spans begin at multiples of 64: lh_loss_on_report saw to it.
    if (span->kind == LH_REPORT_SOME)
        word &= span->bits[(base - span->start) / 64];
    return word;
}

static lh_err apply_span(struct lh_loss *loss,
                         struct lh_sent *sent,
                         const struct lh_report_span *span,
                         const struct lh_loss_sink *sink,
                         struct lh_loss_result *result)
{
    uint64_t end = span->start + span->len;
    uint64_t from = LH_MAX(span->start, sent->floor);
    if (span->kind == LH_REPORT_NONE)
        return 0;
    for (uint64_t base = from / 64 * 64; base < end; base += 64) {
        uint64_t word = span_word(span, base);
        // Words wholly or partly below the floor may belong to later numbers of the ring.
        if (base < sent->floor)
            word &= UINT64_MAX << (sent->floor - base);
        lh_err err = apply_word(loss, sent, base, word, sink, result);
        if (err != 0)
            return err;
    }
    return 0;
}

// A report covered these numbers. What lies between it and those before may have been in a report
// that was lost: then nothing is known of it.
static void note_covered(struct lh_loss *loss, uint64_t start, uint64_t end)
{
    if (start > loss->covered_to || end < loss->covered_from)
        loss->covered_from = start;
    loss->covered_from = LH_MIN(loss->covered_from, start);
    loss->covered_to = LH_MAX(loss->covered_to, end);
}

lh_err lh_loss_on_report(struct lh_loss *loss,
                         struct lh_sent *sent,
                         const struct lh_frame_feedback *feedback,
                         const struct lh_loss_sink *sink,
                         struct lh_loss_result *result)
{
    struct lh_reader reader = lh_reader_of(feedback->records, feedback->records_len);
    uint64_t at = feedback->start;
    if (LH_GUARD(ACK_UNSENT, feedback->top > sent->next))
        return LH_E_PROTO;
    // The newest number is claimed as received, whether a record says so or not.
    if (feedback->top > sent->floor && lh_sent_bit(sent, sent->skipped, feedback->top - 1))
        return LH_E_PROTO;
    for (;;) {
        struct lh_report_span span;
        lh_err err = lh_report_read(&reader, at, &span);
        if (err == LH_EOF)
            break;
        if (err != 0)
            return err;
        if (span.start % 64 != 0 || span.len > feedback->top - span.start)
            return LH_E_PROTO;
        err = apply_span(loss, sent, &span, sink, result);
        if (err != 0)
            return err;
        at += span.len;
    }
    result->reported = at;
    note_covered(loss, feedback->start, at);
    loss->newest_sent_at = LH_MAX(loss->newest_sent_at, result->newest_sent_at);
    result->largest_grew = feedback->top > loss->largest;
    loss->largest = LH_MAX(loss->largest, feedback->top);
    return 0;
}

static lh_ns reorder_window(const struct lh_loss *loss, const struct lh_rtt *rtt)
{
    lh_ns late = LH_MAX(loss->late[0], loss->late[1]), smoothed = lh_rtt_smoothed(rtt);
    late = LH_MIN(late + late / 4, LH_MAX(smoothed, LATE_MAX));
    return LH_MAX(LH_MAX(smoothed / 8, LH_MS / 4), late);
}

static void forget_lateness(struct lh_loss *loss, const struct lh_rtt *rtt, lh_ns now)
{
    if (lh_ns_since(now, loss->late_since) < LH_MAX(LATE_RTTS * lh_rtt_smoothed(rtt), LATE_TIME))
        return;
    loss->late[0] = loss->late[1];
    loss->late[1] = 0;
    loss->late_since = now;
}

lh_err lh_loss_detect(struct lh_loss *loss,
                      struct lh_sent *sent,
                      const struct lh_rtt *rtt,
                      lh_ns now,
                      const struct lh_loss_sink *sink,
                      struct lh_loss_result *result)
{
    forget_lateness(loss, rtt, now);
    lh_ns window = reorder_window(loss, rtt);
    lh_ns latest = LH_MAX(rtt->latest, lh_rtt_smoothed(rtt));
    for (;;) {
        uint64_t pn = lh_sent_oldest(sent);
        if (pn + LATER_PACKETS >= loss->largest)
            return 0;
        const struct lh_sent_record *record = lh_sent_record(sent, pn);
        bool is_passed = record->sent_at + window < loss->newest_sent_at;
        bool is_old = record->sent_at + latest + window + loss->ack_delay <= now;
        if (!is_passed && !is_old)
            return 0;
        result->fates.lost[place_of(record)]++;
        result->lost_packets++;
        result->lost_bytes += record->bytes;
        loss->large_lost += record->bytes > loss->large_bytes && pn > loss->large_top;
        lh_sent_give_up(sent, pn, 0);
        lh_err err = tell(sent, record, sink->ctx, sink->lost);
        if (err != 0)
            return err;
    }
}

lh_ns lh_loss_deadline(const struct lh_loss *loss,
                       const struct lh_sent *sent,
                       const struct lh_rtt *rtt)
{
    uint64_t pn = lh_sent_oldest(sent);
    if (pn + LATER_PACKETS >= loss->largest)
        return LH_NEVER;
    lh_ns latest = LH_MAX(rtt->latest, lh_rtt_smoothed(rtt));
    return lh_sent_record(sent, pn)->sent_at + latest + reorder_window(loss, rtt) + loss->ack_delay;
}

lh_err lh_loss_give_up(struct lh_sent *sent, uint64_t count, const struct lh_loss_sink *sink)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t pn = lh_sent_oldest(sent);
        if (pn == sent->next)
            return 0;
        lh_sent_give_up(sent, pn, LH_SENT_BY_TIMER);
        lh_err err = tell(sent, lh_sent_record(sent, pn), sink->ctx, sink->lost);
        if (err != 0)
            return err;
    }
    return 0;
}

lh_err lh_loss_refused(struct lh_sent *sent,
                       const struct lh_loss_result *result,
                       const struct lh_loss_sink *sink)
{
    while (lh_sent_oldest(sent) < LH_MIN(result->reported, sent->next)) {
        lh_err err = lh_loss_give_up(sent, 1, sink);
        if (err != 0)
            return err;
    }
    return 0;
}
