// SPDX-License-Identifier: Apache-2.0
//
// The UDP lanes of a session: joins lanes of the transport to sockets. A client has sockets of its
// own for every lane, so that each comes from another port: what spreads flows by ports (several
// links, several queues of a network card, limits a flow) spreads the lanes. A server serves them
// all from the one shared port, with a connected socket a lane.
//
// One lane lives in the session's thread. Several have a thread each, which seals and sends,
// receives and opens (run/lane_thread.h); the engine and all that it knows stay in the session's.
#ifndef LH_RUN_UDP_LANE_H
#define LH_RUN_UDP_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "run/lane_thread.h"
#include "run/loop.h"
#include "run/rest.h"
#include "transport/transport.h"
#include "udp/client.h"
#include "udp/gso.h"
#include "udp/paths.h"
#include "udp/port.h"

#define LH_UDP_LANES_MAX (LH_LANES_MAX - 1)
#define LH_UDP_FDS_MAX                                                                             \
    (LH_PORT_FDS_MAX > LH_CLIENT_FDS_MAX * LH_UDP_LANES_MAX                                        \
         ? LH_PORT_FDS_MAX                                                                         \
         : LH_CLIENT_FDS_MAX * LH_UDP_LANES_MAX)

struct lh_udp_io; // which kind of sockets: a table of functions in udp_lane.c
struct lh_udp_lanes;

struct lh_udp_watch {         // a descriptor in the loop
    struct lh_udp_lane *lane; // that it belongs to; a server's may bring packets of any lane.
                              // NULL = the place is free
    int fd;
};

struct lh_udp_lane {
    struct lh_udp_lanes *all;
    uint8_t id;
    struct lh_udp_client *client; // owned; NULL on a server
    // What waits for the socket: batch.segments == 0: nothing. Owned; the thread's where there is
    // one, and then empty or NULL: all are under way.
    struct lh_lane_run *run;
    lh_ns retry_at; // when to try the rest, LH_NEVER = nothing waits
    struct lh_gso_health gso;
    bool has_gso;
    struct lh_place_fates fates; // told to `gso` already
    bool is_settled;             // the peer's address is known and the socket connected to it
    uint32_t settled_path;
    unsigned settle_failures; // in a row, on this path
    lh_ns settle_again_at;    // after a failure

    struct lh_lane_thread *thread;    // NULL: the session's thread does it all
    struct lh_link handed;            // runs that came back sealed
    const struct lh_udp_socket *lent; // whose twin the thread has; NULL: it has none
    struct lh_udp_path lent_path;     // that it is connected to
    lh_ns caught_at;                  // time of the newest packets that the transport has seen
    // Packets lost at the sockets it has had, and what the present one had counted when it was
    // asked last; at the thread's socket; on the way to the thread.
    uint64_t socket_drops, drops_seen;
    uint64_t thread_drops, own_drops;
};

struct lh_udp_lanes {
    struct lh_loop *loop;
    struct lh_transport *transport; // borrowed
    uint32_t packet_max;            // UDP payload that both sides accept
    const struct lh_udp_io *io;
    uint32_t changes;     // of descriptors that the port does not count
    struct lh_port *port; // owned; NULL on a client
    struct lh_udp_rx *rx; // owned
    struct lh_udp_paths paths;
    struct lh_udp_watch watches[LH_UDP_FDS_MAX];
    bool is_watching;     // since lh_udp_lanes_start
    uint32_t generation;  // of what is watched: differs from the sockets' when some came or went
    lh_ns watch_again_at; // some could not be watched; LH_NEVER = all are
    struct lh_udp_lane lanes[LH_UDP_LANES_MAX]; // of ids 1, 2...
    struct lh_wake wake;                        // what threads say is there
    size_t count;
    size_t first; // whose turn it is to send first
    struct lh_rest rest;
};

// Takes over `client` or `port` (one of them is NULL), also on failure.
lh_err lh_udp_lanes_init(struct lh_udp_lanes *lanes,
                         struct lh_loop *loop,
                         struct lh_udp_client *client,
                         struct lh_port *port,
                         struct lh_errinfo *info) LH_MUST_CHECK;
// Adds lanes 1 .. `count` (1 .. LH_UDP_LANES_MAX) to the transport and begins; `wanted` describes
// each of them (cc, limits; payload_max as an upper bound, ip_overhead is found out).
lh_err lh_udp_lanes_start(struct lh_udp_lanes *lanes,
                          struct lh_transport *transport,
                          const struct lh_lane_config *wanted,
                          size_t count,
                          lh_ns now) LH_MUST_CHECK;
void lh_udp_lanes_fini(struct lh_udp_lanes *lanes); // harmless twice
void lh_udp_lanes_flush(struct lh_udp_lanes *lanes, lh_ns now);
// The transport says so: connects to the peer, or begins to look for it again. Other lanes than UDP
// ones are ignored.
void lh_udp_lanes_on_state(struct lh_udp_lanes *lanes,
                           uint8_t lane,
                           enum lh_lane_state state,
                           lh_ns now);
lh_ns lh_udp_lanes_next_deadline(const struct lh_udp_lanes *lanes);
void lh_udp_lanes_on_deadline(struct lh_udp_lanes *lanes, lh_ns now);

// Is any of them up?
bool lh_udp_lanes_are_up(const struct lh_udp_lanes *lanes);
// Counters and rates of all of them together; state, times, packet size and phase are those of the
// first that is up, else of the first.
void lh_udp_lanes_stats(const struct lh_udp_lanes *lanes, struct lh_lane_stats *out_stats);

#endif
