// SPDX-License-Identifier: Apache-2.0
//
// Explicit congestion notification of one UDP lane, as QUIC does it (RFC 9000, 13.4): we mark what
// we send ECT(0), the peer counts the marks that arrive, and marks count only as long as the counts
// fit. A path that clears, changes or invents marks is found out, and nothing is marked any more.
//
// States, and what moves a lane:
//   OFF      the peer does not count marks (no LH_FEATURE_ECN)
//   IDLE     -> TESTING   the lane is up
//   TESTING  -> CAPABLE   enough marked packets were acknowledged and the counts fit
//   TESTING  -> FAILED    nothing marked gets through (two probe timeouts)
//   TESTING, CAPABLE -> FAILED   the counts do not fit: final
//   CAPABLE  -> TESTING   another path
#ifndef LH_TRANSPORT_ECN_H
#define LH_TRANSPORT_ECN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "transport/packet.h"

#define LH_ECN_NOT_ECT      0u
#define LH_ECN_ECT0         2u
#define LH_ECN_TEST_PACKETS 10u // marked and acknowledged, to trust a path
#define LH_ECN_TEST_LOST    2u  // probe timeouts in a row, to give it up

enum lh_ecn_state {
    LH_ECN_OFF,
    LH_ECN_IDLE,
    LH_ECN_TESTING,
    LH_ECN_CAPABLE,
    LH_ECN_FAILED,
    LH_ECN_STATES_
};

struct lh_ecn {
    enum lh_ecn_state state;
    uint64_t ect0, ect1, ce; // the peer's counts, cumulative
    uint64_t base;           // ect0 + ce when the test of this path began
    uint64_t base_ect0, base_ect1;
    uint64_t acked; // marked packets acknowledged since then
    uint32_t timeouts;
};

void lh_ecn_init(struct lh_ecn *ecn, bool is_agreed);
// The lane is up, or on another path.
void lh_ecn_on_up(struct lh_ecn *ecn);
void lh_ecn_on_path_change(struct lh_ecn *ecn);
// What to mark packets with now.
uint8_t lh_ecn_mark(const struct lh_ecn *ecn);
// The peer's counts; `sent` packets left on this lane at most. LH_E_PROTO for impossible ones.
lh_err lh_ecn_on_counts(struct lh_ecn *ecn,
                        const struct lh_frame_ecn *counts,
                        uint64_t sent) LH_MUST_CHECK;
// `count` marked packets more were acknowledged; the counts that came with that are told already.
void lh_ecn_on_acked(struct lh_ecn *ecn, uint64_t count);
void lh_ecn_on_timeout(struct lh_ecn *ecn);
// Whether CE means anything now.
bool lh_ecn_counts(const struct lh_ecn *ecn);
const char *lh_ecn_name(const struct lh_ecn *ecn);

#endif
