// SPDX-License-Identifier: Apache-2.0
//
// What the three files of the UDP lanes share: udp_lane.c (the coordinator, and lanes that live in
// the session's thread), udp_lane_io.c (which sockets they have), udp_lane_thread.c (lanes with a
// thread of their own).
#ifndef LH_RUN_UDP_LANE_INTERNAL_H
#define LH_RUN_UDP_LANE_INTERNAL_H

#include "run/udp_lane.h"

#define LH_LANE_BATCHES_PER_EVENT 4 // taken before others get their turn

struct lh_udp_io {
    // Fills `watches`; returns how many.
    size_t (*watches)(struct lh_udp_lanes *lanes, struct lh_udp_watch *watches);
    lh_err (*recv)(const struct lh_udp_watch *watch, lh_ns now, struct lh_udp_batch *out_batch);
    lh_err (*send)(struct lh_udp_lane *lane,
                   const struct lh_udp_run *run,
                   struct lh_udp_sent *out_sent);
    void (*settle)(struct lh_udp_lane *lane, const struct lh_udp_path *path, lh_ns now);
    void (*unsettle)(struct lh_udp_lane *lane, lh_ns now);
    uint64_t (*socket_drops)(const struct lh_udp_lane *lane);
    uint32_t (*generation)(const struct lh_udp_lanes *lanes); // changes with the descriptors
    // The socket that data leaves by; NULL = none yet.
    struct lh_udp_socket *(*socket)(const struct lh_udp_lane *lane);
};

// A client's own sockets, and a server's shared port.
extern const struct lh_udp_io lh_udp_io_client, lh_udp_io_port;

// --- udp_lane.c, for lanes with a thread ---

// Gives packets of `lane`, which need no opening any more, to the transport.
void lh_udp_lane_deliver(struct lh_udp_lane *lane,
                         const struct lh_udp_dgram *dgrams,
                         size_t count,
                         lh_ns now);
// Sends what is left of the run. False when it must wait.
bool lh_udp_lane_push(struct lh_udp_lane *lane, struct lh_lane_run *run, lh_ns now);
// Packets towards `path` as large as its first hop carries, and smaller than `too_large`, which it
// did not carry. The transport's probing finds what the rest of the path carries.
void lh_udp_lane_size_packets(struct lh_udp_lane *lane,
                              const struct lh_udp_path *path,
                              size_t too_large);
// After packets were received: what the transport, the sockets and the loop must know.
void lh_udp_lanes_after_receiving(struct lh_udp_lanes *lanes, lh_ns now);

// --- udp_lane_thread.c ---

// Gives the lane, which is new to the transport, a thread. Where the machine has none left, it
// stays in the session's.
void lh_udp_lane_start_thread(struct lh_udp_lane *lane);
// Watches what the threads say. LH_E_LIMIT, LH_E_SYS.
lh_err lh_udp_lanes_watch_threads(struct lh_udp_lanes *lanes) LH_MUST_CHECK;
// The lane's socket may have changed: the thread gets the one that is connected, or none.
void lh_udp_lane_lend(struct lh_udp_lane *lane);
// Is this descriptor the thread's to read?
bool lh_udp_lane_has_lent(const struct lh_udp_lane *lane, int fd);
// Packets that the session's thread received.
void lh_udp_lane_pass(struct lh_udp_lane *lane,
                      const struct lh_udp_dgram *dgrams,
                      size_t count,
                      lh_ns now);
// One run for the thread; false when there is nothing more to send, or it must wait.
bool lh_udp_lane_flush_thread(struct lh_udp_lane *lane, lh_ns now);
void lh_udp_lane_end_thread(struct lh_udp_lane *lane);

#endif
