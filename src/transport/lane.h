// SPDX-License-Identifier: Apache-2.0
//
// One lane: a packet-number space with keys, replay window, loss detection, congestion control,
// pacer, path and probes. This file joins those parts; each has its own header.
//
// States (enum lh_lane_state), and what moves a lane:
//   IDLE    -> UP      an authenticated echo of our PING (the SSH lane: when it is added)
//   UP      -> SILENT  packets outstanding, and nothing authenticated came for lh_lane_patience
//   SILENT  -> UP      an authenticated echo; PINGs go on all the time
//   any     -> DEAD    removed; final. Everything unacknowledged goes back to the queues
// Data is sent in UP only. Feedback, echoes and path answers are sent in every state but DEAD.
#ifndef LH_TRANSPORT_LANE_H
#define LH_TRANSPORT_LANE_H

#include <stdalign.h>

#include "cc/cc.h"
#include "cc/pacer.h"
#include "crypto/keys.h"
#include "crypto/replay.h"
#include "transport/ecn.h"
#include "transport/loss.h"
#include "transport/path.h"
#include "transport/probe.h"
#include "transport/rate.h"
#include "transport/reporter.h"
#include "transport/rtt.h"
#include "transport/sent.h"
#include "transport/transport.h"

#define LH_PTO_PACKETS     2 // packets a probe timeout sends
#define LH_PTO_BACKOFF_MAX 2 // doublings: four times
#define LH_SILENCE_MAX     (3 * LH_SECOND)
#define LH_SILENCE_MIN     LH_SECOND
#define LH_CLOSE_REPEATS   3
#define LH_QUIET_FIRST     LH_SECOND

struct lh_lane {
    uint8_t id;
    bool is_udp;
    enum lh_lane_state state;
    struct lh_lane_config config;
    uint8_t epoch_shift;
    bool keys_taken; // whoever has them seals and opens (sealing.h)

    // What comes in.
    struct lh_lane_keys open_keys; // none where keys_taken
    struct lh_replay replay;
    struct lh_reporter reporter;

    // What goes out.
    struct lh_lane_keys seal_keys; // none where keys_taken
    struct lh_sent sent;
    struct lh_loss loss;
    struct lh_rtt rtt;
    struct lh_rate rate;
    struct lh_pacer pacer;
    alignas(16) uint8_t cc_state[LH_CC_STATE_MAX];
    // Lanes of one session that share a path are one flow to others: they go by the controller of
    // one of them. Their own run on, and take over where that lane falls silent or proves to be on
    // another path.
    struct lh_lane *leader;             // another lane; NULL: this lane goes by its own controller
    uint32_t group;                     // lanes that go by its controller, itself included
    uint64_t others_acked, others_lost; // packets of its followers that its controller must hear of
    bool is_apart;                      // its path is another one: it follows nobody any more
    uint32_t apart_rounds;              // in a row that looked like it
    uint32_t loss_ppm;                  // of the last rounds
    uint64_t skip_at;                   // packet number to leave out
    bool state_due;                     // a STATE frame is to go with the next data

    struct lh_probe probe;
    struct lh_path path;
    struct lh_ecn ecn;

    // Timers; LH_NEVER where not armed.
    lh_ns pto_at, silence_at;
    uint32_t pto_count;    // in a row
    uint32_t free_packets; // may be sent beyond window and pace: the PTO's
    lh_ns last_sent_at, last_loss_at, last_heard_at;
    lh_ns received_at;    // any packet
    lh_ns quiet_asked_at; // when the peer was asked for that reason
    // How long nothing may come before the peer is asked. Short behind content, which ought to go
    // on: a receiver has nothing outstanding and would notice a dead path by its keep-alives only.
    lh_ns quiet_interval;

    // Tail repetition: next packet number to repeat, since when there is nothing new, and how much
    // content was repeated so far.
    uint64_t tail_pn, tail_bytes;
    lh_ns tail_since;

    // What the peer's feedback said.
    uint32_t feedback_next; // number expected at least
    uint64_t peer_bytes, peer_packets, peer_ce, peer_drops;
    lh_ns peer_full_since; // since then it has dropped more than it took; 0 = it takes what comes
    uint64_t peer_room;   // bytes that may be in flight because of that; UINT64_MAX: as many as may
    uint64_t rate_latest; // bytes/s delivered, 0 = unknown
    uint64_t drops_to_forgive; // losses that the receiver's socket caused, at most what is underway
    uint64_t round_drops;      // of those, reported in this round
    uint64_t round, round_end, round_resolved, round_lost;
    uint64_t app_limited_pn; // the send queue was empty when this number was next
    // Sending that the pace allowed and that nobody came to do in time: what the pacer had missed
    // when it was looked at last, what weighs of it, in bytes, and the number that was next when
    // that was too much (lh_lane_note_late).
    uint64_t missed_seen, late, late_pn;
    bool was_blocked; // by its socket, since the last look
    bool was_window_limited;

    struct lh_place_fates fates;
    bool is_blocked;  // by its socket or pipe: what it could send sets no deadline
    lh_ns full_until; // no packet could be recorded: tried again then, or when something comes
    uint32_t close_sent;
    lh_ns close_at;
    lh_ns sent_traced_at, received_traced_at;
    struct lh_lane_stats stats; // counters only; the rest is filled on demand
};

// LH_E_NOMEM, LH_E_CRYPTO, LH_E_INVALID.
lh_err lh_lane_new(const struct lh_lane_config *config,
                   const struct lh_transport_config *session,
                   struct lh_random *random,
                   lh_ns now,
                   struct lh_lane **out_lane) LH_MUST_CHECK;
void lh_lane_free(struct lh_lane *lane);

uint32_t lh_lane_usual(const struct lh_lane *lane);   // payload of an Ethernet's packet
uint32_t lh_lane_payload(const struct lh_lane *lane); // of a full packet now
lh_ns lh_lane_interval(const struct lh_lane *lane);   // feedback interval wished from the peer
lh_ns lh_lane_patience(const struct lh_lane *lane);   // silence that an UP lane survives
uint64_t lh_lane_rate(const struct lh_lane *lane);    // pace, of the controller it goes by
uint64_t lh_lane_window(const struct lh_lane *lane);  // bytes that may enter flight now
bool lh_lane_may_number(const struct lh_lane *lane);  // the epoch allows another data packet
bool lh_lane_may_repeat(const struct lh_lane *lane);  // tail repetition has budget left

// An authenticated packet came in.
void lh_lane_on_receive(struct lh_lane *lane);
// The peer has shown that packets of ours arrive.
void lh_lane_on_echo(struct lh_lane *lane, lh_ns now);
// After sending. Where the lane could not send as fast as its controller allowed, because its
// thread did not get to it, its samples of the path's rate are limited by us. `is_idle`: there was
// nothing to send, so nothing was missed.
void lh_lane_note_late(struct lh_lane *lane, bool is_idle);
// The packet `sent.next - 1` went out.
void lh_lane_on_sent(struct lh_lane *lane, uint32_t ip_bytes, bool tracked, lh_ns now);
// Applies a FEEDBACK frame. LH_E_PROTO, and what the sink returns.
lh_err lh_lane_on_feedback(struct lh_lane *lane,
                           const struct lh_frame_feedback *feedback,
                           const struct lh_loss_sink *sink,
                           lh_ns now) LH_MUST_CHECK;
// Loss and probe timers.
lh_err
lh_lane_on_timers(struct lh_lane *lane, const struct lh_loss_sink *sink, lh_ns now) LH_MUST_CHECK;
lh_ns lh_lane_timer(const struct lh_lane *lane);
// Gives up everything outstanding: the lane fell silent or died.
lh_err lh_lane_give_up_all(struct lh_lane *lane, const struct lh_loss_sink *sink) LH_MUST_CHECK;
// Goes by its own controller from now on, beginning with what `other` (it may be itself) knew.
void lh_lane_succeed(struct lh_lane *lane, const struct lh_lane *other, lh_ns now);
// Has it just turned out to be on another path than the lane that it follows?
bool lh_lane_drifts(const struct lh_lane *lane);
// Another controller, or other limits for the same one. It goes on from what is known of the path.
void lh_lane_set_policy(struct lh_lane *lane,
                        const struct lh_cc_type *cc,
                        const struct lh_cc_limits *limits,
                        lh_ns now);
void lh_lane_on_path_change(struct lh_lane *lane, lh_ns now);
struct lh_cc_view lh_lane_view(const struct lh_lane *lane); // what its controller thinks
void lh_lane_get_stats(const struct lh_lane *lane, struct lh_lane_stats *out_stats);

#endif
