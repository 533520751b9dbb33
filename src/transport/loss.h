// SPDX-License-Identifier: Apache-2.0
//
// Acknowledgement and loss of one lane's packets: applies the peer's reports to the ring of sent
// packets and finds what is lost, by time (RFC 8985's idea).
//
// A packet is lost when it was sent more than the reorder window before the newest packet delivered
// and at least three later ones arrived; or, while nothing newer is sent, when a round trip plus
// that window has passed since. The window is RTT/8, or more where packets overtake each other: a
// quarter more than the latest that one came behind others that were sent after it, in the last 16
// to 32 RTTs (one to two seconds at least), up to one RTT (25 ms at least).
#ifndef LH_TRANSPORT_LOSS_H
#define LH_TRANSPORT_LOSS_H

#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "transport/packet.h"
#include "transport/rtt.h"
#include "transport/sent.h"
#include "transport/transport.h"

// Who is told about the content of packets. Errors end the session and are forwarded.
struct lh_loss_sink {
    void *ctx;
    lh_err (*acked)(void *ctx, const struct lh_content *content);
    lh_err (*lost)(void *ctx, const struct lh_content *content);
};

struct lh_loss {
    uint64_t largest; // largest packet number reported + 1; 0 = none
    lh_ns newest_sent_at;
    // Packet numbers that reports have covered: what arrives among them later is late.
    uint64_t covered_from, covered_to;
    lh_ns late[2]; // most lateness of the span before and of this one, by send times
    lh_ns late_since;
    lh_ns ack_delay; // a report comes so much after what it reports, at most
    // Packets above this size (IP bytes), how many of them were lost that were sent after the last
    // one that arrived, and the number of that one.
    uint32_t large_bytes, large_lost;
    uint64_t large_top;
    uint64_t ect_from; // packet number from which on marked packets are counted
};

struct lh_loss_result {
    uint64_t acked_packets, acked_bytes;
    uint64_t lost_packets, lost_bytes;
    uint64_t spurious_packets;
    lh_ns newest_sent_at; // of the packets newly acknowledged
    uint64_t acked_ect;   // packets that left marked ECT(0), from loss->ect_from on
    bool largest_grew;
    uint64_t reported; // where the report ended
    struct lh_place_fates fates;
};

void lh_loss_init(struct lh_loss *loss);

// Applies the report of one FEEDBACK frame, adding to `result`.
// LH_E_PROTO for a malformed report and for one that acknowledges what was never sent.
lh_err lh_loss_on_report(struct lh_loss *loss,
                         struct lh_sent *sent,
                         const struct lh_frame_feedback *feedback,
                         const struct lh_loss_sink *sink,
                         struct lh_loss_result *result) LH_MUST_CHECK;
// On a pipe, which loses nothing: what the report just applied passed over was refused by the peer.
lh_err lh_loss_refused(struct lh_sent *sent,
                       const struct lh_loss_result *result,
                       const struct lh_loss_sink *sink) LH_MUST_CHECK;
// Gives up what is lost by now, adding to `result`.
lh_err lh_loss_detect(struct lh_loss *loss,
                      struct lh_sent *sent,
                      const struct lh_rtt *rtt,
                      lh_ns now,
                      const struct lh_loss_sink *sink,
                      struct lh_loss_result *result) LH_MUST_CHECK;
// When lh_loss_detect will find something although no report comes; LH_NEVER.
lh_ns lh_loss_deadline(const struct lh_loss *loss,
                       const struct lh_sent *sent,
                       const struct lh_rtt *rtt);
// Gives up at most `count` of the oldest outstanding packets without calling them lost by the path.
lh_err lh_loss_give_up(struct lh_sent *sent,
                       uint64_t count,
                       const struct lh_loss_sink *sink) LH_MUST_CHECK;

#endif
