// SPDX-License-Identifier: Apache-2.0
//
// The receiving side of one lane: counts what arrived and decides when and what to report.
//
// A feedback covers everything since the third last one, so that each interval is told three times;
// every eighth covers the whole window that the sender has not settled. What does not fit in one
// packet continues in the next.
//
// When: `interval` after the first packet that wants it; at once after LH_FRAME_ACK_NOW, a PING, or
// LH_REPORTER_PACKETS_MAX packets; and after a CE mark, LH_REPORTER_INTERVAL_MIN apart.
#ifndef LH_TRANSPORT_REPORTER_H
#define LH_TRANSPORT_REPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/time.h"
#include "crypto/replay.h"
#include "transport/packet.h"
#include "transport/report.h"

#define LH_REPORTER_REPEATS        3
#define LH_REPORTER_SNAPSHOT       8
#define LH_REPORTER_PACKETS_MAX    4096
#define LH_REPORTER_INTERVAL_MIN   (2 * LH_MS)
#define LH_REPORTER_INTERVAL_MAX   (25 * LH_MS)
#define LH_REPORTER_INTERVAL_USUAL (10 * LH_MS) // until the sender says what it wishes

struct lh_reporter {
    uint64_t packets, bytes, duplicates, ect0, ect1, ce, socket_drops;
    uint64_t refused;                   // packets that found no memory
    lh_ns top_at, last_at;              // arrival of the largest number, of the newest packet
    uint64_t tops[LH_REPORTER_REPEATS]; // where the last reports ended, newest first
    uint64_t floor;                     // the sender settled everything below
    lh_ns interval;
    lh_ns due;           // LH_NEVER: nothing to report
    lh_ns written_at;    // the last report
    uint64_t unreported; // packets that want a report, since the last one
    uint64_t packets_per_report;
    uint32_t number;      // of the next feedback
    uint64_t cursor, end; // the report being written; equal: none
};

// `packets_per_report`: at most so many packets go unreported.
void lh_reporter_init(struct lh_reporter *reporter, uint64_t packets_per_report);
// A packet was accepted (and marked in the replay window, whose top it may have moved).
void lh_reporter_on_packet(
    struct lh_reporter *reporter, size_t bytes, bool is_newest, uint8_t ecn, lh_ns now);
// That packet wants an acknowledgement; `at_once`: now.
void lh_reporter_want(struct lh_reporter *reporter, bool at_once, lh_ns now);
// It was marked CE: the sender should know soon.
void lh_reporter_hurry(struct lh_reporter *reporter, lh_ns now);
void lh_reporter_on_state(struct lh_reporter *reporter, const struct lh_frame_state *state);

static inline bool lh_reporter_is_due(const struct lh_reporter *reporter, lh_ns now)
{
    return reporter->cursor != reporter->end || reporter->due <= now;
}

// Writes one FEEDBACK frame where it fits (at least LH_REPORTER_ROOM_MIN bytes of room); the grants
// stand in `grants`. True where it did.
#define LH_REPORTER_ROOM_MIN (LH_FRAME_FEEDBACK_HEADER_MAX + 2 * LH_REPORT_RECORD_MAX)
bool lh_reporter_write(struct lh_reporter *reporter,
                       struct lh_writer *writer,
                       const struct lh_replay *replay,
                       const struct lh_frame_feedback *grants,
                       lh_ns now);

#endif
