// SPDX-License-Identifier: Apache-2.0
//
// A UDP socket for IPv4 or IPv6: batches in, runs of packets out. Never blocks; one thread uses it.
//
// Datagrams never fragment and the kernel's idea of the path MTU is not asked (IP_PMTUDISC_PROBE):
// the transport finds the MTU itself. GRO and GSO are used where the kernel has them; a send that a
// device refuses (EIO) turns GSO off for this socket and goes out packet by packet.
//
// Nothing that the network says is an error here: ICMP can be forged, routes come and go. Such
// sends count as lost packets (lh_udp_stats.send_errors) and the transport's loss detection does
// the rest.
#ifndef LH_UDP_SOCKET_H
#define LH_UDP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "udp/addr.h"

#define LH_UDP_RCVBUF 8388608 // bytes asked for; the kernel may grant less
#define LH_UDP_SNDBUF 4194304

struct lh_udp_socket;

struct lh_udp_config {
    int family; // AF_INET or AF_INET6 (an IPv6 socket never carries IPv4)
    struct lh_udp_addr
        local;               // address and port to bind; none: unbound wildcard, port by the kernel
    struct lh_udp_addr peer; // connected to it; none: unconnected
    bool reuse;              // SO_REUSEADDR: others, of any uid, that ask for it too share the port
    bool no_gso;             // packet by packet from the start
    bool no_gro;
    bool pktinfo; // learn which of our addresses a datagram was sent to, where `local` does not say
    uint8_t ecn;  // ECN bits of what is sent: 0 none, 2 ECT(0), 1 ECT(1)
    uint32_t rcvbuf, sndbuf; // bytes, 0 = LH_UDP_RCVBUF, LH_UDP_SNDBUF
};

// LH_E_SYS with what was tried and the errno in `info`; LH_E_NOMEM.
lh_err lh_udp_open(const struct lh_udp_config *config,
                   struct lh_udp_socket **out_socket,
                   struct lh_errinfo *info) LH_MUST_CHECK;
void lh_udp_close(struct lh_udp_socket *socket); // accepts NULL

// Another descriptor of the same socket, for another thread: both may send and receive, and each
// datagram comes to one of them. Only the kernel's part is shared; the twin counts from zero, and
// its ECN bits and GSO begin as they are now. LH_E_SYS: out of descriptors; LH_E_NOMEM.
lh_err lh_udp_twin(const struct lh_udp_socket *socket,
                   struct lh_udp_socket **out_twin) LH_MUST_CHECK;

int lh_udp_fd(const struct lh_udp_socket *socket); // to poll; stays the socket's
// The bound address with its port.
lh_err lh_udp_local(const struct lh_udp_socket *socket,
                    struct lh_udp_addr *out_addr,
                    struct lh_errinfo *info) LH_MUST_CHECK;
// (Re-)connects; the local port stays. What is queued already may come from elsewhere.
// LH_NONE: no route to that address from here; the socket is as before or unconnected.
lh_err lh_udp_connect(struct lh_udp_socket *socket, const struct lh_udp_addr *peer) LH_MUST_CHECK;
// The peer, or none (family AF_UNSPEC) where unconnected.
const struct lh_udp_addr *lh_udp_peer(const struct lh_udp_socket *socket);

// --- Receiving -----------------------------------------------------------------------------------

#define LH_UDP_RX_BUFFERS    32 // messages of one recvmmsg
#define LH_UDP_RX_LONG       8  // while GRO makes long ones: what stays in a processor's own cache
#define LH_UDP_RX_BUFFER_LEN 65536 // a GRO message may be that long; less would lose packets
#define LH_UDP_SEGMENTS_MAX  128   // packets that a kernel puts into one message at most

struct lh_udp_dgram {
    uint8_t *data; // may be changed (decrypted in place)
    size_t len;
    struct lh_udp_path path; // where it came from; and to which address of ours, where known
    uint8_t ecn;             // low two bits of the TOS or traffic class
    uint8_t lane;            // of the packet header (udp/route.h); 0 where there is none
};

// Memory that receives up to `buffers` messages at once (1 .. LH_UDP_RX_BUFFERS): one can serve any
// number of sockets, one after the other.
struct lh_udp_rx;
lh_err lh_udp_rx_new(size_t buffers, struct lh_udp_rx **out_rx) LH_MUST_CHECK; // LH_E_NOMEM
void lh_udp_rx_free(struct lh_udp_rx *rx);

// A batch of datagrams; `dgrams` belongs to the rx and is valid until its next use.
struct lh_udp_batch {
    struct lh_udp_dgram *dgrams;
    size_t count;
    bool more; // the batch was full: more may wait
};

// Takes what waits: one recvmmsg, GRO messages split into packets. Empty datagrams are left out.
// LH_AGAIN: nothing waits (poll for POLLIN). LH_E_SYS: the descriptor is broken.
// 0 may come with an empty batch (pending ICMP errors were cleared): call again where `more`.
lh_err lh_udp_recv(struct lh_udp_socket *socket,
                   struct lh_udp_rx *rx,
                   struct lh_udp_batch *out_batch) LH_MUST_CHECK;

// --- Sending -------------------------------------------------------------------------------------

#define LH_UDP_RUN_SEGMENTS 64    // packets of one run at most
#define LH_UDP_RUN_BYTES    65000 // and bytes (an IP datagram's limit less headers)

// Packets back to back in one buffer, all of `segment_size` bytes but the last, which may be
// shorter.
struct lh_udp_run {
    const uint8_t *data;
    size_t len;
    size_t segment_size;
    const struct lh_udp_path *path; // destination and source; NULL on a connected socket
};

struct lh_udp_sent {
    size_t segments;  // packets dealt with (sent or lost): go on behind them
    size_t too_large; // with LH_TOO_LARGE: the size that the first hop does not carry
};

// Sends a run: with one sendmsg where GSO works, else with sendmmsg.
// 0             all packets are out (or lost in a way that the network may lose them)
// LH_AGAIN      the socket buffer or the device queue is full after out_sent->segments packets:
// call
//               again with the rest at POLLOUT, but not sooner than 1 ms (a full device queue does
//               not show in poll)
// LH_TOO_LARGE  the packet behind out_sent->segments is larger than the interface's MTU: make
// smaller
//               packets; the rest of the run was not sent
// LH_E_SYS      the descriptor is broken
// A run beyond the limits above is a programmer's error.
lh_err lh_udp_send(struct lh_udp_socket *socket,
                   const struct lh_udp_run *run,
                   struct lh_udp_sent *out_sent) LH_MUST_CHECK;

// ECN bits of what is sent from now on. One call of the kernel where they change, none otherwise.
void lh_udp_set_ecn(struct lh_udp_socket *socket, uint8_t ecn);
// GSO of this socket: off by config, by the kernel's refusal, or switched here (udp/gso.h).
void lh_udp_set_gso(struct lh_udp_socket *socket, bool on); // on has no effect where EIO came
bool lh_udp_gso_is_on(const struct lh_udp_socket *socket);

// --- Figures -------------------------------------------------------------------------------------

struct lh_udp_stats {
    uint64_t packets_in, bytes_in;   // UDP payload
    uint64_t packets_out, bytes_out; // dealt with by the kernel
    uint64_t calls_in, calls_out;    // recvmmsg, sendmsg and sendmmsg
    uint64_t socket_drops; // messages that found the receive buffer full (SO_RXQ_OVFL), cumulative
    uint64_t icmp_errors;  // ECONNREFUSED and the like, ignored
    uint64_t send_errors;  // packets that the kernel refused to send for other reasons: lost
    uint64_t malformed;    // messages cut by MSG_TRUNC or with more packets than a kernel makes
    int last_send_errno;   // of send_errors, for a person
    bool gso, gro;         // in use
    uint32_t rcvbuf, sndbuf; // bytes granted (as getsockopt says, bookkeeping included)
};
void lh_udp_get_stats(const struct lh_udp_socket *socket, struct lh_udp_stats *out_stats);

// --- MTU -----------------------------------------------------------------------------------------

// Payload sizes to start with towards `peer`, from the MTU of the route's interface. No packet is
// sent.
struct lh_udp_payload {
    uint32_t start;   // for an MTU of at most 1,500: 1,472 (IPv4) or 1,452 (IPv6) on Ethernet
    uint32_t most;    // what the interface itself carries, at most LH_PACKET_MAX: bound of probing
    uint8_t overhead; // bytes of IP and UDP header: 28 or 48
};
// Where nothing can be learned: LH_PACKET_MIN_MTU.
struct lh_udp_payload lh_udp_payload_towards(const struct lh_udp_addr *peer);

#endif
