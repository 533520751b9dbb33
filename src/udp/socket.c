// SPDX-License-Identifier: Apache-2.0
//
// How it works: opening and figures; recv.c and send.c do the work.
//
// A socket is made in the order: options that bind() looks at (V6ONLY, REUSEADDR), all other
// options, bind, connect. So no datagram can be queued before the options hold that say how it is
// to be received. Options that only make things faster or tell more (buffers, GRO, drops, TOS) may
// be refused: old kernels and containers do. The options that keep packets whole may not.
#include "udp/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "udp/socket_internal.h"

LH_DEFINE_FREEP(struct lh_udp_socket, lh_udp_close)

static bool set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static uint32_t set_buffer(int fd, int force_option, int option, uint32_t bytes)
{
    int granted = 0;
    socklen_t len = sizeof granted;

    // With CAP_NET_ADMIN beyond the system's limit, else up to it (rmem_max, wmem_max).
    if (!set_int(fd, SOL_SOCKET, force_option, (int)bytes))
        (void)set_int(fd, SOL_SOCKET, option, (int)bytes);
    if (getsockopt(fd, SOL_SOCKET, option, &granted, &len) != 0 || granted < 0)
        return 0;
    return (uint32_t)granted;
}

// Don't-fragment set and the kernel's path MTU cache not asked: a forged ICMP cannot shrink us.
static bool set_mtu_probe(int fd, int family)
{
    if (family == AF_INET)
        return set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    return set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) &&
           set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
}

static void set_optional(struct lh_udp_socket *socket, const struct lh_udp_config *config)
{
    bool v4 = config->family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;

    socket->stats.rcvbuf = set_buffer(socket->fd, SO_RCVBUFFORCE, SO_RCVBUF,
                                      config->rcvbuf != 0 ? config->rcvbuf : LH_UDP_RCVBUF);
    socket->stats.sndbuf = set_buffer(socket->fd, SO_SNDBUFFORCE, SO_SNDBUF,
                                      config->sndbuf != 0 ? config->sndbuf : LH_UDP_SNDBUF);
    (void)set_int(socket->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    (void)set_int(socket->fd, level, v4 ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
    lh_udp_set_ecn(socket, config->ecn);
    if (!config->no_gro)
        socket->stats.gro = set_int(socket->fd, SOL_UDP, UDP_GRO, 1);
    // Setting 0 changes nothing and says whether the kernel knows GSO.
    socket->gso_wanted = !config->no_gso;
    socket->gso_refused = !set_int(socket->fd, SOL_UDP, UDP_SEGMENT, 0);
}

static lh_err set_required(struct lh_udp_socket *socket,
                           const struct lh_udp_config *config,
                           struct lh_errinfo *info)
{
    int fd = socket->fd;
    bool v4 = config->family == AF_INET;

    if (!v4 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
        return lh_fail_errno(info, errno, 0, "cannot make a UDP socket IPv6-only");
    if (config->reuse && !set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        return lh_fail_errno(info, errno, 0, "cannot share a UDP port (SO_REUSEADDR)");
    if (!set_mtu_probe(fd, config->family))
        return lh_fail_errno(info, errno, 0, "cannot forbid fragments on a UDP socket");
    if (config->pktinfo &&
        !set_int(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1))
        return lh_fail_errno(info, errno, 0, "cannot learn the destination of UDP packets");
    return LH_OK;
}

static lh_err bind_and_connect(struct lh_udp_socket *socket,
                               const struct lh_udp_config *config,
                               struct lh_errinfo *info)
{
    char text[LH_UDP_ADDR_TEXT];

    if (lh_udp_addr_family(&config->local) != AF_UNSPEC) {
        LH_ASSERT(lh_udp_addr_family(&config->local) == config->family);
        if (bind(socket->fd, &config->local.any, lh_udp_addr_len(&config->local)) != 0)
            return lh_fail_errno(info, errno, 0, "cannot bind UDP %s",
                                 lh_udp_addr_format(&config->local, text, sizeof text));
        if (!lh_udp_addr_is_wildcard(&config->local)) {
            socket->bound = config->local;
            lh_udp_addr_set_port(&socket->bound, 0);
        }
    }
    if (lh_udp_addr_family(&config->peer) != AF_UNSPEC) {
        LH_ASSERT(lh_udp_addr_family(&config->peer) == config->family);
        if (connect(socket->fd, &config->peer.any, lh_udp_addr_len(&config->peer)) != 0)
            return lh_fail_errno(info, errno, 0, "cannot reach UDP %s",
                                 lh_udp_addr_format(&config->peer, text, sizeof text));
        socket->peer = config->peer;
    }
    return LH_OK;
}

lh_err lh_udp_open(const struct lh_udp_config *config,
                   struct lh_udp_socket **out_socket,
                   struct lh_errinfo *info)
{
    LH_CLEANUP(lh_udp_closep) struct lh_udp_socket *made = NULL;
    lh_err err;

    LH_ASSERT(config->family == AF_INET || config->family == AF_INET6);
    LH_ASSERT(config->ecn <= 3);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "no memory for a UDP socket");
    made->family = config->family;
    made->fd = socket(config->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (made->fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot make a UDP socket for IPv%d",
                             config->family == AF_INET ? 4 : 6);
    err = set_required(made, config, info);
    if (err != LH_OK)
        return err;
    set_optional(made, config);
    err = bind_and_connect(made, config, info);
    if (err != LH_OK)
        return err;
    *out_socket = lh_steal(&made);
    return LH_OK;
}

void lh_udp_close(struct lh_udp_socket *socket)
{
    if (socket == NULL)
        return;
    if (socket->fd >= 0)
        (void)close(socket->fd);
    free(socket);
}

lh_err lh_udp_twin(const struct lh_udp_socket *socket, struct lh_udp_socket **out_twin)
{
    struct lh_udp_socket *twin = malloc(sizeof *twin);

    if (twin == NULL)
        return LH_E_NOMEM;
    *twin = *socket;
    twin->stats = (struct lh_udp_stats){.gso = socket->stats.gso,
                                        .gro = socket->stats.gro,
                                        .rcvbuf = socket->stats.rcvbuf,
                                        .sndbuf = socket->stats.sndbuf};
    twin->fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
    if (twin->fd < 0) {
        free(twin);
        return LH_E_SYS;
    }
    *out_twin = twin;
    return LH_OK;
}

int lh_udp_fd(const struct lh_udp_socket *socket)
{
    return socket->fd;
}

const struct lh_udp_addr *lh_udp_peer(const struct lh_udp_socket *socket)
{
    return &socket->peer;
}

lh_err lh_udp_local(const struct lh_udp_socket *socket,
                    struct lh_udp_addr *out_addr,
                    struct lh_errinfo *info)
{
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof storage;

    if (getsockname(socket->fd, (struct sockaddr *)&storage, &len) != 0)
        return lh_fail_errno(info, errno, 0, "cannot read a UDP socket's address");
    return lh_udp_addr_from((struct sockaddr *)&storage, len, out_addr);
}

lh_err lh_udp_connect(struct lh_udp_socket *socket, const struct lh_udp_addr *peer)
{
    LH_ASSERT(lh_udp_addr_family(peer) == socket->family);
    if (!lh_udp_addr_is_unicast(peer))
        return LH_NONE;
    if (connect(socket->fd, &peer->any, lh_udp_addr_len(peer)) != 0)
        return lh_udp_errno_is_broken(errno) ? LH_E_SYS : LH_NONE;
    socket->peer = *peer;
    return LH_OK;
}

void lh_udp_set_ecn(struct lh_udp_socket *socket, uint8_t ecn)
{
    bool v4 = socket->family == AF_INET;

    LH_ASSERT(ecn <= 3);
    if (socket->ecn == ecn)
        return;
    socket->ecn = ecn; // a kernel that refuses would refuse again: validation finds it out
    (void)set_int(socket->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, ecn);
}

void lh_udp_set_gso(struct lh_udp_socket *socket, bool on)
{
    socket->gso_wanted = on;
}

bool lh_udp_gso_is_on(const struct lh_udp_socket *socket)
{
    return socket->gso_wanted && !socket->gso_refused;
}

void lh_udp_get_stats(const struct lh_udp_socket *socket, struct lh_udp_stats *out_stats)
{
    *out_stats = socket->stats;
    out_stats->gso = lh_udp_gso_is_on(socket);
}

bool lh_udp_errno_is_broken(int error)
{
    return error == EBADF || error == ENOTSOCK || error == EFAULT;
}

// The MTU of the route to `peer`, 0 where unknown.
static uint32_t route_mtu(const struct lh_udp_addr *peer)
{
    bool v4 = lh_udp_addr_family(peer) == AF_INET;
    int mtu = 0;
    socklen_t len = sizeof mtu;
    int fd = socket(lh_udp_addr_family(peer), SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);

    if (fd < 0)
        return 0;
    if (connect(fd, &peer->any, lh_udp_addr_len(peer)) != 0 ||
        getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu, &len) != 0)
        mtu = 0;
    (void)close(fd);
    return mtu < 0 ? 0 : (uint32_t)mtu;
}

struct lh_udp_payload lh_udp_payload_towards(const struct lh_udp_addr *peer)
{
    uint8_t overhead = lh_udp_addr_family(peer) == AF_INET ? 28 : 48;
    uint32_t mtu = route_mtu(peer);
    uint32_t most = mtu > overhead ? mtu - overhead : 0;

    return (struct lh_udp_payload){
        .start = LH_CLAMP(LH_MIN(most, 1500u - overhead), LH_PACKET_MIN_MTU, LH_PACKET_MAX),
        .most = LH_CLAMP(most, LH_PACKET_MIN_MTU, LH_PACKET_MAX),
        .overhead = overhead,
    };
}
