// SPDX-License-Identifier: Apache-2.0
//
// A UDP lane: joins a lane of the transport to sockets, the client's own or the server's shared
// port.
#ifndef LH_RUN_UDP_LANE_H
#define LH_RUN_UDP_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "run/loop.h"
#include "transport/transport.h"
#include "udp/client.h"
#include "udp/gso.h"
#include "udp/paths.h"
#include "udp/port.h"

#define LH_UDP_LANE_FDS LH_PORT_FDS_MAX

struct lh_udp_io; // which kind of sockets: a table of functions in udp_lane.c

struct lh_udp_watch { // a descriptor in the loop
    struct lh_udp_lane *lane;
    int fd;
};

struct lh_udp_lane {
    struct lh_loop *loop;
    struct lh_transport *transport; // borrowed
    uint8_t lane;
    uint32_t packet_max; // UDP payload that both sides accept
    const struct lh_udp_io *io;
    struct lh_udp_client *client; // owned; NULL on a server
    uint32_t client_generation;   // grows when the client's descriptors may have changed
    struct lh_port *port;         // owned; NULL on a client
    struct lh_udp_rx *rx;         // owned
    struct lh_udp_paths paths;
    struct lh_udp_watch watches[LH_UDP_LANE_FDS];
    size_t watch_count;
    uint32_t
        generation; // of the descriptors: differs from the sockets' when they must be watched anew
    uint8_t *run_buffer; // owned; one GSO run
    struct lh_batch run; // what of it waits for the socket; run.segments == 0: nothing
    size_t run_sent;     // bytes of it that went out
    lh_ns retry_at;      // when to try the rest, LH_NEVER = nothing waits
    struct lh_gso_health gso;
    struct lh_place_fates fates; // told to `gso` already
    bool is_settled; // the peer's address is known and the lane's socket connected to it
    uint32_t settled_path;
};

// Takes over `client` or `port` (one of them is NULL), also on failure.
lh_err lh_udp_lane_init(struct lh_udp_lane *lane,
                        struct lh_loop *loop,
                        struct lh_udp_client *client,
                        struct lh_port *port,
                        struct lh_errinfo *info) LH_MUST_CHECK;
// Adds the lane that `wanted` describes (lane, cc, limits; payload_max as an upper bound,
// ip_overhead is found out) to the transport and begins.
lh_err lh_udp_lane_start(struct lh_udp_lane *lane,
                         struct lh_transport *transport,
                         const struct lh_lane_config *wanted,
                         lh_ns now) LH_MUST_CHECK;
void lh_udp_lane_fini(struct lh_udp_lane *lane); // harmless twice
void lh_udp_lane_flush(struct lh_udp_lane *lane, lh_ns now);
// The transport says so: connects to the peer, or begins to look for it again.
void lh_udp_lane_on_state(struct lh_udp_lane *lane, enum lh_lane_state state, lh_ns now);
lh_ns lh_udp_lane_next_deadline(const struct lh_udp_lane *lane);
void lh_udp_lane_on_deadline(struct lh_udp_lane *lane, lh_ns now);

#endif
