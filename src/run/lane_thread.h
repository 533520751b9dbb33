// SPDX-License-Identifier: Apache-2.0
//
// The thread of one UDP lane: seals and sends, receives and opens. The engine with all its state
// stays in the session's thread; what a lane's thread has is the lane's keys, a socket of its own
// (another descriptor of the lane's connected one), and whatever run or catch it works on. Those go
// back and forth through mailboxes:
//
//     session's thread                                lane's thread
//     lh_lane_thread_run    <--- runs that are free ---   packets are out
//     lh_lane_thread_send   --- packets to seal and send --->
//     lh_lane_thread_handed <--- sealed packets that the session must send itself, and failures ---
//     lh_lane_thread_caught <--- packets that came and were opened ---
//     lh_lane_thread_return --- catches that are free --->
//     lh_lane_thread_open   --- packets that came another way, to be opened --->
//
// There are LH_LANE_RUNS runs and LH_LANE_CATCHES catches, so a slow thread makes the other one
// wait: a full socket stops the engine, and an engine that is behind lets packets wait in the
// kernel's buffer. All functions are for the session's thread; `lh_wake` of the configuration wakes
// it. Keys and sockets are orders of their own.
#ifndef LH_RUN_LANE_THREAD_H
#define LH_RUN_LANE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/time.h"
#include "run/mailbox.h"
#include "transport/sealing.h"
#include "transport/transport.h"
#include "udp/socket.h"

#define LH_LANE_RUNS        8 // each of LH_UDP_RUN_BYTES
#define LH_LANE_CATCHES     4 // each of LH_UDP_RX_LONG messages of 64 KiB
#define LH_LANE_STRAYS      4 // each of LH_STRAY_BYTES
#define LH_STRAY_BYTES      65536
#define LH_STRAY_DGRAMS_MAX 64

// A run of packets on its way out.
struct lh_lane_run {
    struct lh_link link;
    struct lh_batch batch; // its buffer is this run's
    size_t sent;           // bytes of it that went out
    bool is_direct;        // by the thread's own socket; else it comes back sealed
    bool has_gso;
    // Why it came back: 0: it is sealed, send it; LH_TOO_LARGE: the first hop does not carry
    // packets of `too_large`, the rest was not sent; < 0: sealing failed.
    lh_err err;
    size_t too_large;
    uint8_t *memory; // owned
};

// Packets that came in.
struct lh_lane_catch {
    struct lh_link link;
    struct lh_udp_dgram *dgrams; // that were opened: lh_transport_recv() may have them
    size_t count;
    lh_ns arrived;
    uint64_t forged, strange; // that were not (lh_transport_note_forged)
    uint64_t drops;           // of the thread's sockets so far (lh_transport_socket_drops)
    lh_ns pto;                // the session's thread says it for the next packets
    struct lh_udp_rx *rx;     // owned; NULL: a stray
    uint8_t *bytes;           // owned, of a stray
    size_t used;              // of `bytes`
};

struct lh_lane_thread;

// Starts the thread of lane `lane` (that is its name, too). `wake` outlives it. LH_E_NOMEM,
// LH_E_SYS (no more threads or descriptors).
lh_err lh_lane_thread_new(uint8_t lane,
                          const struct lh_wake *wake,
                          struct lh_lane_thread **out_thread) LH_MUST_CHECK;
// Takes over the lane's keys, once, before anything else is asked of it.
void lh_lane_thread_take_keys(struct lh_lane_thread *thread, struct lh_sealing *sealing);
// Sends what it was given as far as the socket takes it, and ends the thread. Accepts NULL.
void lh_lane_thread_free(struct lh_lane_thread *thread);

// Sends and receives through `socket` from now on, which it takes over; NULL: through none.
void lh_lane_thread_use(struct lh_lane_thread *thread, struct lh_udp_socket *socket);

// A run to fill, NULL: all are under way. (`wake` tells when one is back.)
struct lh_lane_run *lh_lane_thread_run(struct lh_lane_thread *thread);
void lh_lane_thread_send(struct lh_lane_thread *thread, struct lh_lane_run *run);
// The next run that came back; NULL: none.
struct lh_lane_run *lh_lane_thread_handed(struct lh_lane_thread *thread);
// It is dealt with.
void lh_lane_thread_done(struct lh_lane_thread *thread, struct lh_lane_run *run);

// The next packets that came; NULL: none.
struct lh_lane_catch *lh_lane_thread_caught(struct lh_lane_thread *thread);
void lh_lane_thread_return(struct lh_lane_thread *thread, struct lh_lane_catch *catch);
// Packets of the lane that came through another socket. False: too many are under way; they are
// dropped.
bool lh_lane_thread_open(struct lh_lane_thread *thread,
                         const struct lh_udp_dgram *dgrams,
                         size_t count,
                         lh_ns now) LH_MUST_CHECK;

// Wishes to be woken by the next thing that comes from the thread. False: there is one already.
bool lh_lane_thread_arm(struct lh_lane_thread *thread) LH_MUST_CHECK;

// A run by itself, for those who seal and send in one thread.
lh_err lh_lane_run_new(struct lh_lane_run **out_run) LH_MUST_CHECK; // LH_E_NOMEM
void lh_lane_run_free(struct lh_lane_run *run);                     // accepts NULL
// Empties it for lh_transport_send().
void lh_lane_run_reset(struct lh_lane_run *run);

#endif
