// SPDX-License-Identifier: Apache-2.0
//
// The transport engine: moves blocks and a control stream over lanes. Sans-IO and deterministic.
//
// What it offers to the layer above, in both directions at once:
//   - a *control stream*: reliable, ordered bytes with a small window (LH_STREAM_WINDOW);
//   - *blocks*: reliable, unordered blobs of 1 .. block_max bytes, numbered by their sender 0,
//   1, 2...
//     A block arrives whole or not at all. The receiver grants a window in bytes (cumulative),
//     which moves when the layer above releases blocks: a slow disk slows the sender, never looks
//     like loss.
//
// What carries it: up to LH_LANES_MAX *lanes*. A lane is a packet-number space with its own keys,
// loss detection, congestion control and pacer. Lane 0 is the SSH channel (a byte pipe that frames
// packets and loses none; null AEAD, since SSH protects it); lanes 1.. are UDP. Anything
// unacknowledged on a lane may be sent again on any other: lanes are interchangeable, and the death
// of one loses nothing.
//
// The contract (style.md, "The engine contract"): bytes, events and `now` come in as arguments;
// packets, deadlines and events go out. Randomness is config.seed. Same inputs, same bytes out.
// The caller must call, whenever it has handled its events:  send() until it yields nothing, then
// sleep until next_deadline(), then on_deadline().
//
// Not thread-safe; one thread drives a session.
#ifndef LH_TRANSPORT_TRANSPORT_H
#define LH_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/time.h"
#include "cc/cc.h"
#include "crypto/keys.h"
#include "transport/stats.h"
#include "transport/trace.h"

struct lh_transport;
struct lh_sealing;

#define LH_LANE_SSH 0 // the lane id of the SSH channel

// What the layer above makes of a block of which only a part is here.
enum lh_early {
    LH_EARLY_NEVER, // it must come whole
    LH_EARLY_LATER, // not now: ask again
    LH_EARLY_TAKEN  // its runs are taken as they come
};

// Events. Called from recv, send (on_writable only), on_deadline, and the functions that change
// state. The callee may call the transport's functions except recv, send, on_deadline and free.
struct lh_transport_events {
    // A whole block arrived. `data` (`len` bytes) stays valid and charged to the window until
    // lh_transport_block_release(transport, block). From then on its bytes are acknowledged for
    // good.
    void (*on_block)(void *user, uint32_t block, uint8_t *data, size_t len);
    // Every byte of a block that we sent has been acknowledged; `data` is the caller's again (NULL:
    // it was unloaded).
    void (*on_block_acked)(void *user, uint32_t block, uint8_t *data, size_t len);
    // In-order bytes of the control stream. `data` is valid during the call only. The callee takes
    // all of it; it reports how much it has dealt with by lh_transport_stream_consumed().
    void (*on_stream)(void *user, const uint8_t *data, size_t len);
    // Credit, stream room or block queue room appeared after LH_AGAIN.
    void (*on_writable)(void *user);
    void (*on_lane_state)(void *user, uint8_t lane, enum lh_lane_state state);
    // The session is over: by the peer's CLOSE (`code` >= 0, `reason` from the peer: unescaped), or
    // by a local finding (`code` is an lh_err < 0). Nothing is sent or delivered afterwards.
    void (*on_closed)(void *user, int code, const char *reason, size_t reason_len);

    // The next three may be NULL, all or none: then every block comes whole.
    // Memory is short, and the first LH_BLOCK_HEAD bytes of a block of `len` (all of a shorter one)
    // are here. If the callee takes it early, it keeps what it needs of `head`, then gets all other
    // bytes once each, in any order, by on_block_run, and then on_block_end. It calls
    // lh_transport_runs_release for bytes that it holds no more, and at last
    // lh_transport_block_release. `head` and `data` are valid during the call only.
    enum lh_early (*on_block_begin)(
        void *user, uint32_t block, const uint8_t *head, size_t head_len, size_t len);
    void (*on_block_run)(
        void *user, uint32_t block, size_t offset, const uint8_t *data, size_t len);
    void (*on_block_end)(void *user, uint32_t block, size_t len);
    // Parts of an unloaded block must be sent again: lh_transport_block_supply is expected, some
    // time. NULL: nothing is ever unloaded.
    void (*on_block_wanted)(void *user, uint32_t block);
};

struct lh_transport_config {
    bool is_client;
    uint32_t session_id;             // stands in every packet header
    const struct lh_aead_type *aead; // of UDP lanes
    struct lh_secret master;         // copied; wiped at free
    uint8_t epoch_shift;             // LH_EPOCH_SHIFT; tests use less
    uint32_t block_max;              // largest block, LH_BLOCK_HEADER_MAX included
    uint32_t block_full;     // length of a full block, the same on both ends: said in no packet
    uint64_t receive_budget; // bytes of blocks that we hold at most
    uint64_t forgery_limit;  // 0 = the AEAD's
    uint64_t seed;           // all randomness of this end; the peer must not be able to guess it
    lh_ns rtt_hint;          // measured during set-up, 0 = unknown
    bool has_ecn; // both sides count ECN marks (LH_FEATURE_ECN): UDP packets may carry them
    const struct lh_transport_events *events;
    void *user;
};

// LH_E_NOMEM, LH_E_CRYPTO, LH_E_INVALID.
lh_err lh_transport_new(const struct lh_transport_config *config,
                        lh_ns now,
                        struct lh_transport **out_transport) LH_MUST_CHECK;
void lh_transport_free(struct lh_transport *transport);

// --- Lanes ---------------------------------------------------------------------------------------
struct lh_lane_config {
    uint8_t lane;                // LH_LANE_SSH or 1 .. LH_LANES_MAX-1
    const struct lh_cc_type *cc; // lh_cc_pipe for the SSH lane
    struct lh_cc_limits limits;
    uint32_t payload_max;  // UDP payload of a full packet; LH_SSH_FRAME_MAX for SSH
    uint8_t ip_overhead;   // bytes IP and UDP add: 28 (IPv4), 48 (IPv6), 0 (SSH)
    uint64_t inflight_max; // bytes in flight at most; 0 = no cap (SSH: LH_SSH_PIPE_EARLY)
};
// LH_E_INVALID for numbers out of range and for an id that was used before (its keys are used up);
// the SSH lane may be added again after it was removed, by both ends. LH_E_NOMEM, LH_E_CRYPTO.
lh_err lh_transport_add_lane(struct lh_transport *transport,
                             const struct lh_lane_config *config,
                             lh_ns now) LH_MUST_CHECK;
void lh_transport_remove_lane(struct lh_transport *transport, uint8_t lane, lh_ns now);
enum lh_lane_state lh_transport_lane_state(const struct lh_transport *transport, uint8_t lane);
// The session's limits; UDP lanes that are up share them in equal parts. (Those of lh_lane_config
// are the session's too: the last ones given hold.)
void lh_transport_set_limits(struct lh_transport *transport,
                             const struct lh_cc_limits *limits,
                             lh_ns now);
// Other limits, and for the UDP lanes another controller, which goes on from what its predecessor
// knew of the path. Lanes added later are as their configuration says.
void lh_transport_set_policy(struct lh_transport *transport,
                             const struct lh_cc_type *cc,
                             const struct lh_cc_limits *limits,
                             lh_ns now);
void lh_transport_set_inflight_max(struct lh_transport *transport, uint8_t lane, uint64_t bytes);
// While a lane is blocked (its socket or pipe takes nothing) nothing waits for it: next_deadline
// leaves out what it could send. The caller ends it when the descriptor is writable again, and
// calls send.
void lh_transport_set_blocked(struct lh_transport *transport, uint8_t lane, bool blocked);
// New largest UDP payload (another path, or the first hop refused one): probing finds out how much
// of it the path carries. `ip_overhead` as in lh_lane_config.
void lh_transport_set_packet_size(struct lh_transport *transport,
                                  uint8_t lane,
                                  uint32_t payload_max,
                                  uint8_t ip_overhead);

// --- Packets in and out --------------------------------------------------------------------------
struct lh_dgram {
    uint8_t *data; // decrypted in place
    size_t len;
    uint32_t path; // the caller's number for the peer address it came from
    uint8_t ecn;   // low two bits of the IP TOS, 0 where unknown
};
// Takes `count` packets that arrived on `lane`. What does not authenticate is counted and dropped
// silently. A packet from another path than the lane's that authenticates and is newest makes us
// challenge that path (a batch with that `path`); the lane moves when the answer comes: ask
// lh_transport_lane_path. While a client's lane is IDLE, its packets may be sent to several
// addresses at once, each with a path number of its own: the first echo decides.
void lh_transport_recv(
    struct lh_transport *transport, uint8_t lane, struct lh_dgram *dgrams, size_t count, lh_ns now);
// Asks the peer for a sign of life on this lane.
void lh_transport_ping(struct lh_transport *transport, uint8_t lane, lh_ns now);
// Where packets of this lane are to be sent now; UINT32_MAX: nobody was heard yet (server).
uint32_t lh_transport_lane_path(const struct lh_transport *transport, uint8_t lane);
// Other paths whose numbers must keep their meaning for now: under challenge, or known for a
// copier's. Returns how many.
#define LH_LANE_ASKED_MAX 3
size_t lh_transport_lane_asked(const struct lh_transport *transport,
                               uint8_t lane,
                               uint32_t out_paths[LH_LANE_ASKED_MAX]);
void lh_transport_set_lane_path(struct lh_transport *transport, uint8_t lane, uint32_t path);
// Datagrams dropped by our own socket (SO_RXQ_OVFL, cumulative): reported to the sender as receiver
// limit, not as congestion.
void lh_transport_socket_drops(struct lh_transport *transport, uint8_t lane, uint64_t total);

// One run of packets, equal in size but for the last: what one UDP_SEGMENT send takes.
struct lh_batch {
    uint8_t *buffer; // caller's, `room` bytes
    size_t room;
    uint32_t segments_max; // at most so many packets
    size_t len;            // out: bytes used
    uint32_t segment_size; // out: size of every packet but the last, which may be shorter
    uint32_t segments;     // out
    uint32_t path;         // out: where it goes
    uint8_t ecn;           // out: the mark that all of them must carry: 0 none, 2 ECT(0)
};
// Fills `batch` for `lane` with what may be sent at `now`; segments == 0: nothing (more). On the
// SSH lane every packet is its own segment; the caller frames it by length.
void lh_transport_send(struct lh_transport *transport,
                       uint8_t lane,
                       struct lh_batch *batch,
                       lh_ns now);

// Takes the keys of a UDP lane out of the transport, before it has sent anything: from now on
// send() leaves the lane's packets unsealed (with room for their tags), and recv() takes packets
// that were opened. sealing.h does both, in another thread too. The caller wipes them
// (lh_sealing_fini).
void lh_transport_take_keys(struct lh_transport *transport,
                            uint8_t lane,
                            struct lh_sealing *out_sealing);
// What whoever has the keys found: packets whose tag was wrong, and such that had no good header.
void lh_transport_note_forged(struct lh_transport *transport,
                              uint8_t lane,
                              uint64_t forged,
                              uint64_t strange);
// Sealing failed (`err` < 0): ends the session.
void lh_transport_fail(struct lh_transport *transport, lh_err err);
// The lane's probe timeout, which lh_sealing_open asks for.
lh_ns lh_transport_lane_pto(const struct lh_transport *transport, uint8_t lane);

lh_ns lh_transport_next_deadline(const struct lh_transport *transport);
void lh_transport_on_deadline(struct lh_transport *transport, lh_ns now);

// --- Blocks --------------------------------------------------------------------------------------

// Hands `data` (`len` bytes, 1 .. block_max) over for sending; it must stay unchanged until
// on_block_acked or lh_transport_free (after which the caller frees it). Blocks are sent in the
// order given, first transmission before any later block's. LH_AGAIN: the peer's window has no
// room, or LH_BLOCKS_QUEUED_MAX wait unsent; on_writable follows.
#define LH_BLOCKS_QUEUED_MAX 4
lh_err lh_transport_send_block(struct lh_transport *transport,
                               uint8_t *data,
                               size_t len,
                               uint32_t *out_block) LH_MUST_CHECK;
// Gives back the memory of a block of which all was sent and nothing waits to be sent again: `data`
// is the caller's. False: that is not so (now). What is lost of it later is asked for by
// on_block_wanted.
bool lh_transport_block_unload(struct lh_transport *transport, uint32_t block);
// `data` holds the same bytes as before. False: the block is acknowledged meanwhile, and `data`
// stays the caller's.
bool lh_transport_block_supply(struct lh_transport *transport, uint32_t block, uint8_t *data);
// Returns a delivered block and opens the window by its charge.
void lh_transport_block_release(struct lh_transport *transport, uint32_t block);
// So many bytes of runs are held no more; of whichever blocks.
void lh_transport_runs_release(struct lh_transport *transport, size_t bytes);

// --- Control stream ------------------------------------------------------------------------------

// Copies `len` bytes (at most LH_MESSAGE_MAX) behind what was written before, all or nothing.
// LH_AGAIN: no room; on_writable follows.
lh_err lh_transport_stream_write(struct lh_transport *transport,
                                 const void *data,
                                 size_t len) LH_MUST_CHECK;
void lh_transport_stream_consumed(struct lh_transport *transport, size_t len);
// True where blocks go over SSH as well although UDP is up, because UDP is crippled.
bool lh_transport_is_detoured(const struct lh_transport *transport);
// True when every byte of stream and blocks handed over has been acknowledged.
bool lh_transport_is_flushed(const struct lh_transport *transport);

// --- End and figures
// -------------------------------------------------------------------------------------- Sends
// CLOSE on every lane (repeated a few times) and ends the session. `code` >= 0.
void lh_transport_close(struct lh_transport *transport, int code, const char *reason, lh_ns now);

void lh_transport_lane_stats(const struct lh_transport *transport,
                             uint8_t lane,
                             struct lh_lane_stats *out_stats);

void lh_transport_lane_fates(const struct lh_transport *transport,
                             uint8_t lane,
                             struct lh_place_fates *out_fates);

void lh_transport_stats(const struct lh_transport *transport, struct lh_transport_stats *out_stats);

// What keeps more content from leaving at this moment.
enum lh_held_by {
    LH_HELD_BY_NOTHING, // there is content, room and time: whoever drives us has not sent it yet
    LH_HELD_BY_NETWORK, // the controller's window or pace
    LH_HELD_BY_POLICY,  // the pace is the target rate
    LH_HELD_BY_WINDOW,  // the peer grants no more: its memory is full
    LH_HELD_BY_SOURCE,  // no content is queued
    LH_HELD_BY_SOCKET,  // the socket or pipe takes nothing now
    LH_HELD_BY_N_
};
enum lh_held_by lh_transport_held_by(const struct lh_transport *transport);

// Events from now on, beginning with `begin` and a `state` for each lane; NULL ends them. `trace`
// must stay valid until then, or until lh_transport_free.
void lh_transport_set_trace(struct lh_transport *transport, const struct lh_trace *trace);

#endif
