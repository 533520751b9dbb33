// SPDX-License-Identifier: Apache-2.0
//
// What port.c (the sockets' lives) and port_recv.c (whose datagram is it) share.
#ifndef LH_UDP_PORT_INTERNAL_H
#define LH_UDP_PORT_INTERNAL_H

#include "base/prng.h"
#include "udp/port.h"

#define LH_PORT_STRANGERS_MAX (2 + LH_PORT_LOCALS_MAX)

// A place for strangers: an address that is bound, and bound anew while the session waits.
struct lh_port_stranger {
    struct lh_udp_addr local;
    struct lh_udp_socket *socket; // NULL where the last attempt to bind failed
};

struct lh_port_lane {
    struct lh_udp_socket *socket; // NULL: not connected
    struct lh_udp_path path;
};

// A replaced socket: what the kernel had queued on it is still read for a while.
struct lh_port_retired {
    struct lh_udp_socket *socket;
    lh_ns until;
};

struct lh_port {
    struct lh_port_config config;
    struct lh_port_stranger strangers[LH_PORT_STRANGERS_MAX];
    size_t stranger_count;
    struct lh_port_lane lanes[LH_LANES_MAX];
    struct lh_port_retired retired[LH_PORT_RETIRED_MAX];
    int inbox;  // abstract Unix datagram socket, bound to our name
    int outbox; // unbound one that passes datagrams on; -1 where it could not be made
    uint32_t generation;

    bool waiting;
    lh_ns rebind_at;
    lh_ns rebind_interval;
    struct lh_prng jitter;

    // Bucket of datagrams that may be passed on.
    uint64_t pass_tokens;
    lh_ns pass_tokens_at;

    uint64_t drops_closed; // socket drops of sockets that are closed
    struct lh_port_stats stats;
};

// Makes the unbound socket that passes datagrams on; the earlier one is closed. What it had sent
// stays in the inboxes.
void lh_port_renew_outbox(struct lh_port *port);

struct sockaddr_un;
// The name of a session's inbox; returns the length for bind() and sendto().
unsigned lh_port_inbox_name(uint16_t port, uint32_t session_id, struct sockaddr_un *out_name);

#endif
