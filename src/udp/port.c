// SPDX-License-Identifier: Apache-2.0
//
// How it works.
//
// Linux hands a unicast UDP datagram to the socket on its port with the highest score: one whose
// connected peer and local address match beats one bound to the local address, which beats a
// wildcard; among equals the socket that was bound last wins. SO_REUSEADDR on all of them lets
// different uids share a port (SO_REUSEPORT would demand one uid). tests/platform proves each of
// these.
//
// So a session needs: `strangers`, unconnected sockets on the wildcards of both families and on the
// address that SSH came in on; and for each lane a socket bound to the lane's local address and
// connected to its peer, which from then on gets the lane's packets whoever else binds the port.
//
//     session opens ----> strangers bound, inbox bound, waiting
//     waiting ----------> all strangers bound afresh every 50 ms .. 1 s (with jitter), so the last
//                         one bound on the machine soon belongs to a session that is alive
//     lane's first packet authenticated --> lh_port_connect(): lane socket; caller ends the waiting
//     lane silent, address changed -------> caller waits again; next connect replaces the lane
//     socket
//
// A replaced socket is not closed at once: datagrams that the kernel queued on it before the new
// one was bound are read for LH_PORT_RETIRE. Between bind and connect a lane socket is itself an
// unconnected one, and for these microseconds strangers may land on it; they stay queued after the
// connect. So every socket's datagrams go through the same sorting (port_recv.c), connected or not.
//
// Not handled: a local user who binds the port more specifically than we do (SO_BINDTODEVICE) or
// connects a socket to a client's address; such a user can take UDP away from others, never read or
// forge it. They go on over SSH.
//
// Reference: Linux net/ipv4/udp.c, compute_score() and udp_lib_get_port().
#include "udp/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "udp/port_internal.h"

#define STRANGER_RCVBUF 1048576 // first packets, and a burst after a NAT rebinding
#define OUTBOX_SNDBUF   1048576

LH_DEFINE_FREEP(struct lh_port, lh_port_close)

// --- Sockets for strangers -----------------------------------------------------------------------

static lh_err open_stranger(const struct lh_port *port,
                            const struct lh_udp_addr *local,
                            struct lh_udp_socket **out_socket,
                            struct lh_errinfo *info)
{
    struct lh_udp_config config = {
        .family = lh_udp_addr_family(local),
        .local = *local,
        .reuse = true,
        .pktinfo = true,
        .no_gso = port->config.no_gso,
        .no_gro = port->config.no_gro,
        .ecn = port->config.ecn,
        .rcvbuf = STRANGER_RCVBUF,
    };

    return lh_udp_open(&config, out_socket, info);
}

static void close_counted(struct lh_port *port, struct lh_udp_socket *socket)
{
    struct lh_udp_stats stats;

    if (socket == NULL)
        return;
    lh_udp_get_stats(socket, &stats);
    port->drops_closed += stats.socket_drops;
    lh_udp_close(socket);
}

// Keeps reading a socket for a while; where the list is full the oldest makes room.
static void retire(struct lh_port *port, struct lh_udp_socket *socket, lh_ns now)
{
    struct lh_port_retired *place = &port->retired[0];

    if (socket == NULL)
        return;
    for (size_t i = 0; i < LH_PORT_RETIRED_MAX; i++) {
        struct lh_port_retired *other = &port->retired[i];
        if (other->socket == NULL) {
            place = other;
            break;
        }
        if (other->until < place->until)
            place = other;
    }
    close_counted(port, place->socket);
    *place = (struct lh_port_retired){.socket = socket, .until = now + LH_PORT_RETIRE};
}

static void rebind_strangers(struct lh_port *port, lh_ns now)
{
    for (size_t i = 0; i < port->stranger_count; i++) {
        struct lh_port_stranger *stranger = &port->strangers[i];
        struct lh_udp_socket *fresh = NULL;
        // A failure (no descriptor left, a holder that does not share) leaves the old one in place.
        if (open_stranger(port, &stranger->local, &fresh, NULL) != LH_OK)
            continue;
        retire(port, stranger->socket, now);
        stranger->socket = fresh;
    }
    port->stats.rebinds++;
    port->generation++;
}

static bool stranger_is_listed(const struct lh_port *port, const struct lh_udp_addr *local)
{
    for (size_t i = 0; i < port->stranger_count; i++) {
        if (lh_udp_addr_equal(&port->strangers[i].local, local))
            return true;
    }
    return false;
}

static void list_strangers(struct lh_port *port)
{
    const struct lh_port_config *config = &port->config;

    port->strangers[0].local = lh_udp_addr_any(AF_INET, config->port);
    port->strangers[1].local = lh_udp_addr_any(AF_INET6, config->port);
    port->stranger_count = 2;
    for (size_t i = 0; i < config->local_count; i++) {
        struct lh_udp_addr local = config->locals[i];
        lh_udp_addr_set_port(&local, config->port);
        if (lh_udp_addr_family(&local) != AF_UNSPEC && !stranger_is_listed(port, &local))
            port->strangers[port->stranger_count++].local = local;
    }
}

static lh_err open_strangers(struct lh_port *port, struct lh_errinfo *info)
{
    struct lh_errinfo first = {0}; // keeps the first failure, which is IPv4's
    size_t opened = 0;

    list_strangers(port);
    for (size_t i = 0; i < port->stranger_count; i++) {
        struct lh_port_stranger *stranger = &port->strangers[i];
        if (open_stranger(port, &stranger->local, &stranger->socket, &first) == LH_OK)
            opened++;
    }
    if (opened > 0)
        return LH_OK;
    if (first.sys_errno == EADDRINUSE)
        return lh_fail(info, LH_E_SYS, 0,
                       "UDP port %u is held by another program that does not share it "
                       "(ss -ulpn 'sport = :%u' names it); stop it, or choose another with -O",
                       (unsigned)port->config.port, (unsigned)port->config.port);
    if (info != NULL && info->code == 0)
        *info = first;
    return LH_E_SYS;
}

// --- Inbox and outbox ----------------------------------------------------------------------------

unsigned lh_port_inbox_name(uint16_t port, uint32_t session_id, struct sockaddr_un *out_name)
{
    int len;

    *out_name = (struct sockaddr_un){.sun_family = AF_UNIX};
    // A leading NUL makes the name abstract: no file, gone with its socket.
    len = snprintf(out_name->sun_path + 1, sizeof out_name->sun_path - 1, "longhaul-udp-%u-%08x",
                   (unsigned)port, (unsigned)session_id);
    LH_ASSERT(len > 0);
    return (unsigned)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static lh_err open_inbox(struct lh_port *port, struct lh_errinfo *info)
{
    struct sockaddr_un name;
    unsigned len = lh_port_inbox_name(port->config.port, port->config.session_id, &name);

    port->inbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (port->inbox < 0)
        return lh_fail_errno(info, errno, 0, "cannot make a Unix datagram socket");
    if (bind(port->inbox, (struct sockaddr *)&name, len) == 0)
        return LH_OK;
    if (errno == EADDRINUSE)
        return LH_AGAIN;
    return lh_fail_errno(info, errno, 0, "cannot name the session's inbox");
}

void lh_port_renew_outbox(struct lh_port *port)
{
    int size = OUTBOX_SNDBUF;

    if (port->outbox >= 0)
        (void)close(port->outbox);
    port->outbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (port->outbox >= 0)
        (void)setsockopt(port->outbox, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

// --- Life ----------------------------------------------------------------------------------------

lh_err lh_port_open(const struct lh_port_config *config,
                    lh_ns now,
                    struct lh_port **out_port,
                    struct lh_errinfo *info)
{
    LH_CLEANUP(lh_port_closep) struct lh_port *port = NULL;
    lh_err err;

    LH_ASSERT(config->port != 0);
    LH_ASSERT(config->local_count <= LH_PORT_LOCALS_MAX);
    port = calloc(1, sizeof *port);
    if (port == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "no memory for the UDP port");
    port->config = *config;
    port->inbox = -1;
    port->outbox = -1;
    port->jitter.state = config->session_id;
    port->pass_tokens = LH_PORT_FORWARD_BURST;
    port->pass_tokens_at = now;
    err = open_inbox(port, info);
    if (err != LH_OK)
        return err;
    err = open_strangers(port, info);
    if (err != LH_OK)
        return err;
    lh_port_renew_outbox(port);
    lh_port_set_waiting(port, true, now);
    *out_port = lh_steal(&port);
    return LH_OK;
}

void lh_port_close(struct lh_port *port)
{
    if (port == NULL)
        return;
    for (size_t i = 0; i < LH_PORT_STRANGERS_MAX; i++)
        lh_udp_close(port->strangers[i].socket);
    for (size_t i = 0; i < LH_LANES_MAX; i++)
        lh_udp_close(port->lanes[i].socket);
    for (size_t i = 0; i < LH_PORT_RETIRED_MAX; i++)
        lh_udp_close(port->retired[i].socket);
    if (port->inbox >= 0)
        (void)close(port->inbox);
    if (port->outbox >= 0)
        (void)close(port->outbox);
    free(port);
}

bool lh_port_hears(const struct lh_port *port, int family)
{
    for (size_t i = 0; i < port->stranger_count; i++) {
        const struct lh_port_stranger *stranger = &port->strangers[i];
        if (stranger->socket != NULL && lh_udp_addr_family(&stranger->local) == family)
            return true;
    }
    return false;
}

size_t lh_port_fds(const struct lh_port *port, int fds[LH_PORT_FDS_MAX])
{
    size_t count = 0;

    fds[count++] = port->inbox;
    for (size_t i = 0; i < port->stranger_count; i++) {
        if (port->strangers[i].socket != NULL)
            fds[count++] = lh_udp_fd(port->strangers[i].socket);
    }
    for (size_t i = 0; i < LH_LANES_MAX; i++) {
        if (port->lanes[i].socket != NULL)
            fds[count++] = lh_udp_fd(port->lanes[i].socket);
    }
    for (size_t i = 0; i < LH_PORT_RETIRED_MAX; i++) {
        if (port->retired[i].socket != NULL)
            fds[count++] = lh_udp_fd(port->retired[i].socket);
    }
    LH_ASSERT(count <= LH_PORT_FDS_MAX);
    return count;
}

uint32_t lh_port_generation(const struct lh_port *port)
{
    return port->generation;
}

// --- Lanes ---------------------------------------------------------------------------------------

lh_err lh_port_connect(struct lh_port *port,
                       uint8_t lane,
                       const struct lh_udp_path *path,
                       lh_ns now,
                       struct lh_errinfo *info)
{
    LH_ASSERT(lane > 0 && lane < LH_LANES_MAX);
    struct lh_port_lane *slot = &port->lanes[lane];
    struct lh_udp_socket *fresh = NULL;
    struct lh_errinfo why = {0};
    struct lh_udp_config config = {
        .family = lh_udp_addr_family(&path->peer),
        .local = path->local,
        .reuse = true,
        .pktinfo = lh_udp_addr_is_wildcard(&path->local),
        .no_gso = port->config.no_gso,
        .no_gro = port->config.no_gro,
        .ecn = port->config.ecn,
    };
    lh_err err;

    if (slot->socket != NULL && lh_udp_path_equal(&slot->path, path))
        return LH_OK;
    if (!lh_udp_addr_is_unicast(&path->peer))
        return LH_NONE;
    if (lh_udp_addr_family(&path->local) != config.family)
        config.local = lh_udp_addr_any(config.family, 0);
    lh_udp_addr_set_port(&config.local, port->config.port);
    err = lh_udp_open(&config, &fresh, &why);
    // The path's addresses are what others say; that they do not fit is not this machine's failure.
    if (err != LH_OK && (why.sys_errno == EADDRNOTAVAIL || why.sys_errno == EADDRINUSE ||
                         why.sys_errno == EINVAL || why.sys_errno == ENODEV))
        return LH_NONE;
    if (err != LH_OK) {
        if (info != NULL && info->code == 0)
            *info = why;
        return err;
    }
    err = lh_udp_connect(fresh, &path->peer);
    if (err != LH_OK) {
        lh_udp_close(fresh);
        return err;
    }
    retire(port, slot->socket, now);
    *slot = (struct lh_port_lane){.socket = fresh, .path = *path};
    port->generation++;
    return LH_OK;
}

void lh_port_disconnect(struct lh_port *port, uint8_t lane, lh_ns now)
{
    LH_ASSERT(lane > 0 && lane < LH_LANES_MAX);
    if (port->lanes[lane].socket == NULL)
        return;
    retire(port, port->lanes[lane].socket, now);
    port->lanes[lane] = (struct lh_port_lane){0};
    port->generation++;
}

struct lh_udp_socket *lh_port_lane(const struct lh_port *port, uint8_t lane)
{
    LH_ASSERT(lane < LH_LANES_MAX);
    return port->lanes[lane].socket;
}

lh_err lh_port_send(struct lh_port *port,
                    uint8_t lane,
                    const struct lh_udp_run *run,
                    struct lh_udp_sent *out_sent)
{
    LH_ASSERT(run->path != NULL);
    LH_ASSERT(lane < LH_LANES_MAX);
    const struct lh_port_lane *slot = &port->lanes[lane];

    if (slot->socket != NULL && lh_udp_path_equal(&slot->path, run->path)) {
        struct lh_udp_run connected = *run;
        connected.path = NULL;
        return lh_udp_send(slot->socket, &connected, out_sent);
    }
    for (size_t i = 0; i < port->stranger_count; i++) {
        const struct lh_port_stranger *stranger = &port->strangers[i];
        if (stranger->socket != NULL &&
            lh_udp_addr_family(&stranger->local) == lh_udp_addr_family(&run->path->peer))
            return lh_udp_send(stranger->socket, run, out_sent);
    }
    *out_sent = (struct lh_udp_sent){0};
    return LH_NONE;
}

// --- Time ----------------------------------------------------------------------------------------

static void plan_rebind(struct lh_port *port, lh_ns now)
{
    lh_ns jitter = lh_prng_below(&port->jitter, port->rebind_interval / 2);

    port->rebind_at = lh_add_sat(now, port->rebind_interval + jitter);
    port->rebind_interval = LH_MIN(port->rebind_interval * 3 / 2, LH_PORT_REBIND_MAX);
}

void lh_port_set_waiting(struct lh_port *port, bool waiting, lh_ns now)
{
    if (waiting == port->waiting)
        return;
    port->waiting = waiting;
    port->rebind_interval = LH_PORT_REBIND_FIRST;
    if (waiting)
        plan_rebind(port, now);
}

lh_ns lh_port_next_deadline(const struct lh_port *port)
{
    lh_ns deadline = port->waiting ? port->rebind_at : LH_NEVER;

    for (size_t i = 0; i < LH_PORT_RETIRED_MAX; i++) {
        if (port->retired[i].socket != NULL)
            deadline = lh_ns_min(deadline, port->retired[i].until);
    }
    return deadline;
}

void lh_port_on_deadline(struct lh_port *port, lh_ns now)
{
    for (size_t i = 0; i < LH_PORT_RETIRED_MAX; i++) {
        struct lh_port_retired *retired = &port->retired[i];
        if (retired->socket == NULL || now < retired->until)
            continue;
        close_counted(port, retired->socket);
        retired->socket = NULL;
        port->generation++;
    }
    if (!port->waiting || now < port->rebind_at)
        return;
    rebind_strangers(port, now);
    plan_rebind(port, now);
}

// --- Figures -------------------------------------------------------------------------------------

static void add_drops(const struct lh_udp_socket *socket, uint64_t *sum)
{
    struct lh_udp_stats stats;

    if (socket == NULL)
        return;
    lh_udp_get_stats(socket, &stats);
    *sum += stats.socket_drops;
}

void lh_port_get_stats(const struct lh_port *port, struct lh_port_stats *out_stats)
{
    *out_stats = port->stats;
    out_stats->socket_drops = port->drops_closed;
    for (size_t i = 0; i < port->stranger_count; i++)
        add_drops(port->strangers[i].socket, &out_stats->socket_drops);
    for (size_t i = 0; i < LH_LANES_MAX; i++)
        add_drops(port->lanes[i].socket, &out_stats->socket_drops);
    for (size_t i = 0; i < LH_PORT_RETIRED_MAX; i++)
        add_drops(port->retired[i].socket, &out_stats->socket_drops);
}
