// SPDX-License-Identifier: Apache-2.0
//
// The client's end of UDP: one socket an address family, towards every candidate address of the
// server at first, then connected to the one whose authenticated echo came first.
#ifndef LH_UDP_CLIENT_H
#define LH_UDP_CLIENT_H

#include "base/err.h"
#include "udp/socket.h"

#define LH_CLIENT_CANDIDATES_MAX 16 // addresses tried at most (names with more are cut)
#define LH_CLIENT_FDS_MAX        2

struct lh_udp_client;

struct lh_client_config {
    const struct lh_udp_addr
        *candidates; // with ports, in order of preference; doubles are left out
    size_t candidate_count;
    bool no_gso, no_gro;
    uint8_t ecn;
};

// Opens a socket for each family among the candidates. A family that this machine lacks only takes
// its candidates away. LH_E_SYS: no socket at all, or no candidate; the session then runs over SSH.
lh_err lh_udp_client_open(const struct lh_client_config *config,
                          struct lh_udp_client **out_client,
                          struct lh_errinfo *info) LH_MUST_CHECK;
// Another one towards the same addresses, with sockets and ports of its own. As lh_udp_client_open.
lh_err lh_udp_client_like(const struct lh_udp_client *client,
                          struct lh_udp_client **out_client) LH_MUST_CHECK;
void lh_udp_client_close(struct lh_udp_client *client); // accepts NULL

// The candidates that are left, each a path whose `local` is none.
size_t lh_udp_client_candidates(const struct lh_udp_client *client,
                                const struct lh_udp_path **out_paths);
size_t lh_udp_client_fds(const struct lh_udp_client *client, int fds[LH_CLIENT_FDS_MAX]);

// Takes what waits on `fd`. After settle() only what the peer sent. As lh_udp_recv().
lh_err lh_udp_client_recv(struct lh_udp_client *client,
                          int fd,
                          struct lh_udp_rx *rx,
                          struct lh_udp_batch *out_batch) LH_MUST_CHECK;
// Sends to run->path (must not be NULL). As lh_udp_send(); LH_NONE: no socket of that family.
lh_err lh_udp_client_send(struct lh_udp_client *client,
                          const struct lh_udp_run *run,
                          struct lh_udp_sent *out_sent) LH_MUST_CHECK;

// The echo of `peer` authenticated: connects the socket (the local port, and with it the NAT's
// mapping, stays) and closes the other family's. LH_NONE: no route any more; nothing changed.
lh_err lh_udp_client_settle(struct lh_udp_client *client,
                            const struct lh_udp_addr *peer) LH_MUST_CHECK;
// The settled socket, or NULL before.
struct lh_udp_socket *lh_udp_client_socket(const struct lh_udp_client *client);

// This machine's address may have changed (the lane fell silent): fresh, unconnected sockets from
// new ports towards all candidates again. LH_E_SYS: none could be opened; the old ones stay.
lh_err lh_udp_client_restart(struct lh_udp_client *client, struct lh_errinfo *info) LH_MUST_CHECK;

void lh_udp_client_get_stats(const struct lh_udp_client *client, struct lh_udp_stats *out_stats);

#endif
