// SPDX-License-Identifier: Apache-2.0
//
// The server's UDP port, shared by all sessions of all users of a machine without a daemon.
//
// Every session binds the port with SO_REUSEADDR: unconnected sockets for strangers, and one
// connected socket a lane once the lane's peer is known. The kernel gives a datagram to the socket
// connected to its sender, else to the unconnected one that was bound last - perhaps another
// session's, of another user. A session passes such a datagram on to its owner through the owner's
// inbox, an abstract Unix datagram socket named by port and session id: bounded, never waited for,
// never passed on twice. What arrives there is as untrusted as what arrives from the network; the
// transport authenticates it.
//
// A session that waits for a stranger binds a fresh socket from time to time, so that a session
// which is stopped, or an unrelated program that shares the port, keeps strangers from it only for
// a moment. A hostile local user can still keep all UDP away from others; they go on over SSH.
//
// Whatever changes the descriptors (open, connect, disconnect, on_deadline) changes
// lh_port_generation(). Not thread-safe; one thread drives a port.
#ifndef LH_UDP_PORT_H
#define LH_UDP_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/time.h"
#include "udp/addr.h"
#include "udp/socket.h"

#define LH_PORT_LOCALS_MAX  2 // addresses bound beside the wildcards
#define LH_PORT_RETIRED_MAX 8 // replaced sockets that are still read
#define LH_PORT_FDS_MAX     (2 + LH_PORT_LOCALS_MAX + LH_PORT_RETIRED_MAX + 1 + LH_LANES_MAX)

#define LH_PORT_REBIND_FIRST                                                                       \
    (50 * LH_MS) // waiting sessions re-bind after this, then ever less often
#define LH_PORT_REBIND_MAX    LH_SECOND
#define LH_PORT_RETIRE        (50 * LH_MS) // a replaced socket is read for so long
#define LH_PORT_FORWARD_RATE  20000        // datagrams passed on in a second at most
#define LH_PORT_FORWARD_BURST 1024

struct lh_port;

struct lh_port_config {
    uint16_t port;
    uint32_t session_id;
    // Addresses bound beside the wildcards: the one that SSH came in on (SSH_CONNECTION). The
    // kernel prefers a socket bound to the address to every wildcard, whoever holds it.
    struct lh_udp_addr locals[LH_PORT_LOCALS_MAX];
    size_t local_count;
    bool no_gso, no_gro;
    uint8_t ecn;
};

// Opens the port and the inbox. Succeeds when at least one address could be bound.
// LH_AGAIN: the session id is taken on this port: choose another one and call again.
// LH_E_SYS: nothing could be bound; `info` says why (who holds the port without SO_REUSEADDR, and
// that another port may be chosen). The session then runs over SSH. LH_E_NOMEM.
lh_err lh_port_open(const struct lh_port_config *config,
                    lh_ns now,
                    struct lh_port **out_port,
                    struct lh_errinfo *info) LH_MUST_CHECK;
void lh_port_close(struct lh_port *port); // accepts NULL

// Is there a socket for strangers of AF_INET or AF_INET6?
bool lh_port_hears(const struct lh_port *port, int family);

// The descriptors to poll for POLLIN; at most LH_PORT_FDS_MAX. Returns how many.
size_t lh_port_fds(const struct lh_port *port, int fds[LH_PORT_FDS_MAX]);
uint32_t lh_port_generation(const struct lh_port *port);

// Takes what waits on `fd`, one of lh_port_fds(): the datagrams of this session, whichever way they
// came. Others are passed on or dropped here. `dgram.lane` is valid (1 .. LH_LANES_MAX-1).
// LH_AGAIN: nothing waits, or `fd` is gone meanwhile. 0 may come with an empty batch.
// LH_E_SYS: a descriptor is broken.
lh_err lh_port_recv(struct lh_port *port,
                    int fd,
                    struct lh_udp_rx *rx,
                    lh_ns now,
                    struct lh_udp_batch *out_batch) LH_MUST_CHECK;

// Gives `lane` a socket connected to `path` (of an authenticated packet), in place of its earlier
// one. The same path again: nothing happens. LH_NONE: that address cannot be reached or used; all
// is as before. LH_E_SYS, LH_E_NOMEM: out of descriptors or memory.
lh_err lh_port_connect(struct lh_port *port,
                       uint8_t lane,
                       const struct lh_udp_path *path,
                       lh_ns now,
                       struct lh_errinfo *info) LH_MUST_CHECK;
void lh_port_disconnect(struct lh_port *port, uint8_t lane, lh_ns now);
// The lane's connected socket or NULL; stays the port's.
struct lh_udp_socket *lh_port_lane(const struct lh_port *port, uint8_t lane);

// Sends a run of `lane` to run->path (must not be NULL): through the lane's socket where that is
// its path, else through a socket for strangers (challenges of a new path). Outcomes as
// lh_udp_send(); LH_NONE: there is no socket of that family.
lh_err lh_port_send(struct lh_port *port,
                    uint8_t lane,
                    const struct lh_udp_run *run,
                    struct lh_udp_sent *out_sent) LH_MUST_CHECK;

// Says whether the session waits for a stranger: its lanes' first packets, or a lane that fell
// silent. A port begins waiting.
void lh_port_set_waiting(struct lh_port *port, bool waiting, lh_ns now);
lh_ns lh_port_next_deadline(const struct lh_port *port);
void lh_port_on_deadline(struct lh_port *port, lh_ns now);

struct lh_port_stats {
    uint64_t mine_direct;    // packets of this session from connected sockets
    uint64_t mine_stranger;  // from sockets for strangers
    uint64_t mine_forwarded; // from the inbox
    uint64_t passed_on;      // to another session
    uint64_t pass_no_owner;  // nobody has that session id
    uint64_t pass_full;      // the owner's inbox was full
    uint64_t pass_limited;   // beyond LH_PORT_FORWARD_RATE
    uint64_t malformed;      // not a packet of ours at all
    uint64_t inbox_malformed;
    uint64_t rebinds;
    uint64_t socket_drops; // of all its sockets, cumulative
};
void lh_port_get_stats(const struct lh_port *port, struct lh_port_stats *out_stats);

#endif
