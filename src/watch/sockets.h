// SPDX-License-Identifier: Apache-2.0
//
// The kernel's table of TCP connections, looked at twice, and what it says of each peer of sshd's.
//
// A state is never an accusation: monitors, NAT gateways and our own parallel sessions look like
// attackers here. TIME_WAIT stands on the side that closed first, so a pile of it means that sshd
// closed.
#ifndef LH_WATCH_SOCKETS_H
#define LH_WATCH_SOCKETS_H

#include "base/err.h"
#include "watch/message.h"

#define LH_SOCKETS_MAX 65536 // of one look; more are only counted

// States as the kernel numbers them.
enum lh_tcp_state {
    LH_TCP_ESTABLISHED = 1,
    LH_TCP_SYN_SENT,
    LH_TCP_SYN_RECV,
    LH_TCP_FIN_WAIT1,
    LH_TCP_FIN_WAIT2,
    LH_TCP_TIME_WAIT,
    LH_TCP_CLOSE,
    LH_TCP_CLOSE_WAIT,
    LH_TCP_LAST_ACK,
    LH_TCP_LISTEN,
    LH_TCP_CLOSING,
    LH_TCP_NEW_SYN_RECV,
    LH_TCP_N_
};

struct lh_socket {
    struct lh_endpoint local, peer;
    uint8_t state; // enum lh_tcp_state
};

// One line of /proc/net/tcp or tcp6. False for the head and for anything else.
bool lh_socket_parse(struct lh_span line, struct lh_socket *out_socket);

// One look: sockets of sshd's, in the order of peer and port once lh_look_sort was called.
struct lh_look {
    struct lh_socket *items; // owned
    size_t count;
    uint64_t dropped; // beyond LH_SOCKETS_MAX
};
lh_err lh_look_add(struct lh_look *look,
                   const struct lh_socket *socket) LH_MUST_CHECK; // LH_E_NOMEM
void lh_look_sort(struct lh_look *look);
void lh_look_fini(struct lh_look *look);

// What both looks say of one peer.
struct lh_peer_sockets {
    struct lh_watch_addr addr;
    uint32_t states[LH_TCP_N_]; // in the second look
    uint32_t total;
    uint32_t fresh;    // that the first look did not have
    uint32_t staying;  // ESTABLISHED in both
    uint32_t port_run; // most ports in a row, with gaps of at most 2
    uint16_t port_low; // where that run begins
};

// The next peer at `*at` (0 to begin) of two sorted looks; false at the end. Peers that only the
// first look has are left out.
bool lh_look_next(const struct lh_look *first,
                  const struct lh_look *second,
                  size_t *at,
                  struct lh_peer_sockets *out_peer);

const char *lh_tcp_state_name(unsigned state); // "TIME_WAIT"

#endif
