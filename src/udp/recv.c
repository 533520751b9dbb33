// SPDX-License-Identifier: Apache-2.0
//
// How it works. One recvmmsg fills up to 32 buffers of 64 KiB. With GRO the kernel
// joins packets of one flow that are equal in size (the last may be shorter) and says their size in
// a control message; each buffer is cut up accordingly. A message whose control data did not fit is
// dropped: without the size, its packets could not be told apart. The pages of a buffer become
// resident only when a message reaches them, so plain small packets do not cost 64 KiB each.
//
// Reference: Linux udp(7), net/ipv4/udp.c (udp_recvmsg), include/linux/udp.h.
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "udp/route.h"
#include "udp/socket.h"
#include "udp/socket_internal.h"

#define LONG_MESSAGE 16384 // bytes on average, above which fewer messages are taken at once

lh_err lh_udp_rx_new(size_t buffers, struct lh_udp_rx **out_rx)
{
    LH_ASSERT(buffers >= 1 && buffers <= LH_UDP_RX_BUFFERS);
    struct lh_udp_rx *rx = calloc(1, sizeof *rx);

    if (rx == NULL)
        return LH_E_NOMEM;
    rx->buffers = rx->wanted = rx->used = buffers;
    rx->memory = malloc(buffers * LH_UDP_RX_BUFFER_LEN);
    rx->dgrams = malloc(sizeof *rx->dgrams * buffers * LH_UDP_SEGMENTS_MAX);
    if (rx->memory == NULL || rx->dgrams == NULL) {
        lh_udp_rx_free(rx);
        return LH_E_NOMEM;
    }
    *out_rx = rx;
    return LH_OK;
}

void lh_udp_rx_free(struct lh_udp_rx *rx)
{
    if (rx == NULL)
        return;
    free(rx->memory);
    free(rx->dgrams);
    free(rx);
}

void lh_udp_rx_arm(struct lh_udp_rx *rx)
{
    for (size_t i = 0; i < rx->used; i++) {
        struct lh_udp_rx_slot *slot = &rx->slots[i];
        slot->iov.iov_base = rx->memory + i * LH_UDP_RX_BUFFER_LEN;
        slot->iov.iov_len = LH_UDP_RX_BUFFER_LEN;
        rx->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &slot->from,
            .msg_namelen = sizeof slot->from,
            .msg_iov = &slot->iov,
            .msg_iovlen = 1,
            .msg_control = slot->control,
            .msg_controllen = sizeof slot->control,
        };
        rx->messages[i].msg_len = 0;
    }
    rx->used = 0;
}

// What the control messages of one message say.
struct control {
    size_t segment_size; // 0: not joined
    uint8_t ecn;
    struct lh_udp_addr local;
};

static void read_drops(struct lh_udp_socket *socket, const struct cmsghdr *cmsg)
{
    uint32_t total;

    memcpy(&total, CMSG_DATA(cmsg), sizeof total);
    socket->stats.socket_drops += (uint32_t)(total - socket->drops_seen);
    socket->drops_seen = total;
}

static void read_v4_pktinfo(const struct cmsghdr *cmsg, struct control *control)
{
    struct in_pktinfo pktinfo;

    memcpy(&pktinfo, CMSG_DATA(cmsg), sizeof pktinfo);
    control->local = lh_udp_addr_any(AF_INET, 0);
    control->local.v4.sin_addr = pktinfo.ipi_addr;
}

static void read_v6_pktinfo(const struct cmsghdr *cmsg, struct control *control)
{
    struct in6_pktinfo pktinfo;

    memcpy(&pktinfo, CMSG_DATA(cmsg), sizeof pktinfo);
    control->local = lh_udp_addr_any(AF_INET6, 0);
    control->local.v6.sin6_addr = pktinfo.ipi6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(&pktinfo.ipi6_addr))
        control->local.v6.sin6_scope_id = pktinfo.ipi6_ifindex;
}

static bool cmsg_is(const struct cmsghdr *cmsg, int level, int type, size_t len)
{
    return cmsg->cmsg_level == level && cmsg->cmsg_type == type && cmsg->cmsg_len >= CMSG_LEN(len);
}

static void
read_cmsg(struct lh_udp_socket *socket, const struct cmsghdr *cmsg, struct control *control)
{
    int value;

    if (cmsg_is(cmsg, SOL_UDP, UDP_GRO, sizeof value)) {
        memcpy(&value, CMSG_DATA(cmsg), sizeof value);
        control->segment_size = value > 0 ? (size_t)value : 0;
    } else if (cmsg_is(cmsg, IPPROTO_IP, IP_TOS, 1)) {
        control->ecn = *CMSG_DATA(cmsg) & 3; // one byte, unlike the IPv6 one
    } else if (cmsg_is(cmsg, IPPROTO_IPV6, IPV6_TCLASS, sizeof value)) {
        memcpy(&value, CMSG_DATA(cmsg), sizeof value);
        control->ecn = (uint8_t)(value & 3);
    } else if (cmsg_is(cmsg, IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo))) {
        read_v4_pktinfo(cmsg, control);
    } else if (cmsg_is(cmsg, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo))) {
        read_v6_pktinfo(cmsg, control);
    } else if (cmsg_is(cmsg, SOL_SOCKET, SO_RXQ_OVFL, sizeof(uint32_t))) {
        read_drops(socket, cmsg);
    }
}

// Cuts one message into packets behind `dgrams`; returns how many.
static size_t split_message(struct lh_udp_socket *socket,
                            struct lh_udp_rx *rx,
                            size_t index,
                            struct lh_udp_dgram *dgrams)
{
    struct lh_udp_rx_slot *slot = &rx->slots[index];
    struct msghdr *header = &rx->messages[index].msg_hdr;
    struct control control = {.local = socket->bound};
    size_t left = rx->messages[index].msg_len;
    uint8_t *at = slot->iov.iov_base;
    struct lh_udp_path path = {0};
    size_t count = 0;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
         cmsg = CMSG_NXTHDR(header, cmsg))
        read_cmsg(socket, cmsg, &control);
    if ((header->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        lh_udp_addr_from(&slot->from.any, header->msg_namelen, &path.peer) != LH_OK) {
        socket->stats.malformed++;
        return 0;
    }
    path.local = control.local;
    socket->stats.bytes_in += left;
    for (; left > 0 && count < LH_UDP_SEGMENTS_MAX; count++) {
        size_t len =
            control.segment_size == 0 || control.segment_size > left ? left : control.segment_size;
        dgrams[count] = (struct lh_udp_dgram){.data = at,
                                              .len = len,
                                              .path = path,
                                              .ecn = control.ecn,
                                              .lane = lh_route_lane(at, len)};
        at += len;
        left -= len;
    }
    if (left > 0)
        socket->stats.malformed++;
    socket->stats.packets_in += count;
    return count;
}

// What a failed recvmmsg means.
static lh_err recv_failed(struct lh_udp_socket *socket, int error)
{
    if (error == EAGAIN || error == EWOULDBLOCK || error == ENOMEM || error == ENOBUFS)
        return LH_AGAIN;
    if (lh_udp_errno_is_broken(error))
        return LH_E_SYS;
    if (error != EINTR)
        socket->stats.icmp_errors++;
    return LH_OK;
}

lh_err
lh_udp_recv(struct lh_udp_socket *socket, struct lh_udp_rx *rx, struct lh_udp_batch *out_batch)
{
    size_t wanted = rx->wanted, count = 0, bytes = 0;
    int got;

    *out_batch = (struct lh_udp_batch){.dgrams = rx->dgrams, .more = true};
    lh_udp_rx_arm(rx);
    got = recvmmsg(socket->fd, rx->messages, (unsigned)wanted, MSG_DONTWAIT, NULL);
    socket->stats.calls_in++;
    if (got < 0)
        return recv_failed(socket, errno);
    LH_ASSERT((size_t)got <= wanted);
    rx->used = (size_t)got;
    for (size_t i = 0; i < (size_t)got; i++) {
        bytes += rx->messages[i].msg_len;
        count += split_message(socket, rx, i, rx->dgrams + count);
    }
    // Packets are opened where they lie: they should not be pushed out of the cache before that.
    rx->wanted =
        bytes > (size_t)got * LONG_MESSAGE ? LH_MIN(rx->buffers, LH_UDP_RX_LONG) : rx->buffers;
    out_batch->count = count;
    out_batch->more = (size_t)got == wanted;
    return LH_OK;
}
