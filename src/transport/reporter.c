// SPDX-License-Identifier: Apache-2.0
//
// How it works. A report begins when the one before is written to its end (`cursor` == `end`): it
// takes in what arrived up to now, from the top of the third last report on, or from the sender's
// floor where it is a snapshot. It is written in as many feedback frames as it needs, one a packet,
// each with the counters of its own moment; while it is unfinished lh_reporter_write goes on where
// it stopped, and what arrives meanwhile waits for the next one. What is due, and when, depends on
// unreported packets alone; duplicates and packets without content want no report.
#include "transport/reporter.h"
#include "base/assert.h"
#include "base/math.h"
#include "transport/report.h"

#define RECORDS_MAX 8192 // bytes of records in one frame

void lh_reporter_init(struct lh_reporter *reporter, uint64_t packets_per_report)
{
    *reporter = (struct lh_reporter){
        .interval = LH_REPORTER_INTERVAL_USUAL,
        .due = LH_NEVER,
        .packets_per_report = packets_per_report,
    };
}

void lh_reporter_on_packet(
    struct lh_reporter *reporter, size_t bytes, bool is_newest, uint8_t ecn, lh_ns now)
{
    reporter->packets++;
    reporter->bytes += bytes;
    reporter->last_at = now;
    if (is_newest)
        reporter->top_at = now;
    reporter->ect1 += ecn == 1;
    reporter->ect0 += ecn == 2;
    reporter->ce += ecn == 3;
}

void lh_reporter_hurry(struct lh_reporter *reporter, lh_ns now)
{
    // A path that marks every packet must not make a report of each.
    lh_ns at = lh_ns_max(now, reporter->written_at + LH_REPORTER_INTERVAL_MIN);
    reporter->due = LH_MIN(reporter->due, at);
}

void lh_reporter_want(struct lh_reporter *reporter, bool at_once, lh_ns now)
{
    reporter->unreported++;
    if (at_once || reporter->unreported >= reporter->packets_per_report)
        reporter->due = LH_MIN(reporter->due, now);
    else if (reporter->due == LH_NEVER)
        reporter->due = now + reporter->interval;
}

void lh_reporter_on_state(struct lh_reporter *reporter, const struct lh_frame_state *state)
{
    reporter->floor = LH_MAX(reporter->floor, state->floor);
    reporter->interval = LH_CLAMP((lh_ns)state->interval_us * LH_US, LH_REPORTER_INTERVAL_MIN,
                                  LH_REPORTER_INTERVAL_MAX);
}

static void begin(struct lh_reporter *reporter, const struct lh_replay *replay)
{
    bool is_snapshot = reporter->number % LH_REPORTER_SNAPSHOT == 0;
    uint64_t from = is_snapshot ? 0 : reporter->tops[LH_REPORTER_REPEATS - 1];
    // What lies below the sender's floor is of no use to it; below ours nothing is known.
    uint64_t known = lh_replay_floor(replay);
    from = LH_MAX(from, LH_MAX(reporter->floor, known == 0 ? 0 : known + 63));
    reporter->end = replay->top;
    reporter->cursor = LH_MIN(from, reporter->end) / 64 * 64;
    for (unsigned i = LH_REPORTER_REPEATS - 1; i > 0; i--)
        reporter->tops[i] = reporter->tops[i - 1];
    reporter->tops[0] = reporter->end;
    reporter->due = LH_NEVER;
    reporter->unreported = 0;
}

static uint64_t us_before(lh_ns now, lh_ns then)
{
    return now / LH_US - LH_MIN(now, then) / LH_US;
}

bool lh_reporter_write(struct lh_reporter *reporter,
                       struct lh_writer *writer,
                       const struct lh_replay *replay,
                       const struct lh_frame_feedback *grants,
                       lh_ns now)
{
    uint8_t records[RECORDS_MAX];
    size_t room = LH_MIN(lh_writer_left(writer), sizeof records);
    if (room < LH_REPORTER_ROOM_MIN)
        return false;
    if (reporter->cursor == reporter->end)
        begin(reporter, replay);
    struct lh_frame_feedback frame = *grants;
    frame.number = reporter->number++;
    reporter->written_at = now;
    frame.top = reporter->end;
    frame.clock_us = now / LH_US;
    frame.top_age_us = us_before(now, reporter->top_at);
    frame.last_age_us = us_before(now, reporter->last_at);
    frame.packets = reporter->packets;
    frame.bytes = reporter->bytes;
    frame.duplicates = reporter->duplicates;
    frame.ce = reporter->ce;
    frame.socket_drops = reporter->socket_drops + reporter->refused;
    frame.start = reporter->cursor;
    struct lh_writer body = lh_writer_of(records, room - LH_FRAME_FEEDBACK_HEADER_MAX);
    lh_report_write(&body, replay, &reporter->cursor, reporter->end);
    frame.records = records;
    frame.records_len = (uint16_t)lh_writer_used(&body);
    lh_frame_write_feedback(writer, &frame);
    LH_ASSERT(!writer->bad);
    return true;
}
