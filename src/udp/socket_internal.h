// SPDX-License-Identifier: Apache-2.0
//
// What socket.c, recv.c, send.c and port.c share.
#ifndef LH_UDP_SOCKET_INTERNAL_H
#define LH_UDP_SOCKET_INTERNAL_H

#include <sys/socket.h>

#include "udp/socket.h"

struct lh_udp_socket {
    int fd;
    int family;
    struct lh_udp_addr bound; // the address asked for, port 0; none where it is the wildcard
    struct lh_udp_addr peer;  // none where unconnected
    bool gso_wanted;          // switched by config and lh_udp_set_gso()
    bool gso_refused;         // EIO latch: never again on this socket
    uint8_t ecn;              // marks what is sent
    uint32_t drops_seen;      // last SO_RXQ_OVFL value, which wraps
    struct lh_udp_stats stats;
};

#define LH_UDP_CONTROL_LEN 192 // room for every cmsg asked for, and some

// One slot of recvmmsg with everything it points to.
struct lh_udp_rx_slot {
    struct iovec iov;
    struct lh_udp_addr from;
    _Alignas(struct cmsghdr) uint8_t control[LH_UDP_CONTROL_LEN];
};

struct lh_udp_rx {
    struct mmsghdr messages[LH_UDP_RX_BUFFERS];
    struct lh_udp_rx_slot slots[LH_UDP_RX_BUFFERS];
    size_t buffers;              // how many slots have memory
    uint8_t *memory;             // buffers * LH_UDP_RX_BUFFER_LEN bytes
    size_t used;                 // slots that the last recvmmsg has changed, from the first on
    size_t wanted;               // messages to take next: all, or LH_UDP_RX_LONG
    struct lh_udp_dgram *dgrams; // buffers * LH_UDP_SEGMENTS_MAX
};

// Makes all slots ready for a recvmmsg with names and control data.
void lh_udp_rx_arm(struct lh_udp_rx *rx);

// Errors of a socket call that mean a bad descriptor or pointer: a mistake in this program. All
// others come from the network, its queues, or policy.
bool lh_udp_errno_is_broken(int error);

#endif
