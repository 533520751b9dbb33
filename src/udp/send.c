// SPDX-License-Identifier: Apache-2.0
//
// How it works. A run goes out with one sendmsg and UDP_SEGMENT while GSO is believed to work, else
// with sendmmsg, a message a packet. A refused GSO send is always tried again packet by packet, so
// that the real reason shows:
//     EIO               the device has no checksum offload: GSO is off for this socket from now on
//     EINVAL            the kernel does not like the batch: off as well when the single packets
//                       pass
//     EMSGSIZE          the single packets tell which one is too large
// On a connected socket the first call after an ICMP error reports that error and sends nothing; it
// is called again. An error that stays is the network's way of losing packets (no route, a
// firewall's EPERM): counted, and the rest of the run is given up, since its packets would fare the
// same.
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "udp/socket.h"
#include "udp/socket_internal.h"

#define SEND_TRIES 3 // an ICMP error may wait in front of the send, and another arrive meanwhile

// Destination, source address and segment size of a message, with the memory they need.
struct envelope {
    _Alignas(struct cmsghdr) uint8_t control[LH_UDP_CONTROL_LEN];
    size_t control_len;
};

static void *add_cmsg(struct envelope *envelope, int level, int type, size_t len)
{
    struct cmsghdr *cmsg = (struct cmsghdr *)(void *)(envelope->control + envelope->control_len);

    LH_ASSERT(envelope->control_len + CMSG_SPACE(len) <= sizeof envelope->control);
    cmsg->cmsg_level = level;
    cmsg->cmsg_type = type;
    cmsg->cmsg_len = CMSG_LEN(len);
    envelope->control_len += CMSG_SPACE(len);
    return CMSG_DATA(cmsg);
}

static void add_source(struct envelope *envelope, const struct lh_udp_addr *local)
{
    if (lh_udp_addr_family(local) == AF_INET) {
        struct in_pktinfo pktinfo = {.ipi_spec_dst = local->v4.sin_addr};
        memcpy(add_cmsg(envelope, IPPROTO_IP, IP_PKTINFO, sizeof pktinfo), &pktinfo,
               sizeof pktinfo);
    } else if (lh_udp_addr_family(local) == AF_INET6) {
        struct in6_pktinfo pktinfo = {.ipi6_addr = local->v6.sin6_addr,
                                      .ipi6_ifindex = local->v6.sin6_scope_id};
        memcpy(add_cmsg(envelope, IPPROTO_IPV6, IPV6_PKTINFO, sizeof pktinfo), &pktinfo,
               sizeof pktinfo);
    }
}

// The parts of a message header that all messages of a run share.
static struct msghdr address_run(const struct lh_udp_run *run, struct envelope *envelope)
{
    struct msghdr header = {0};

    memset(envelope->control, 0, sizeof envelope->control);
    envelope->control_len = 0;
    if (run->path == NULL)
        return header;
    header.msg_name = (void *)&run->path->peer;
    header.msg_namelen = lh_udp_addr_len(&run->path->peer);
    add_source(envelope, &run->path->local);
    return header;
}

static void attach_control(struct msghdr *header, struct envelope *envelope)
{
    header->msg_control = envelope->control_len > 0 ? envelope->control : NULL;
    header->msg_controllen = envelope->control_len;
}

enum verdict { DONE, FULL, TOO_LARGE, REFUSED, LOST, BROKEN };

// What errno says about a send. REFUSED: GSO may be the reason.
static enum verdict judge(int error)
{
    static const struct {
        int error;
        enum verdict verdict;
    } table[] = {
        {EAGAIN, FULL},        {ENOBUFS, FULL},    {ENOMEM, FULL},
        {EMSGSIZE, TOO_LARGE}, {EIO, REFUSED},     {EINVAL, REFUSED},
        {EBADF, BROKEN},       {ENOTSOCK, BROKEN}, {EFAULT, BROKEN},
    };

    for (size_t i = 0; i < LH_ARRAY_LEN(table); i++) {
        if (table[i].error == error)
            return table[i].verdict;
    }
    return LOST;
}

static size_t segments_of(const struct lh_udp_run *run, size_t len)
{
    return (len + run->segment_size - 1) / run->segment_size;
}

static void count_out(struct lh_udp_socket *socket, size_t packets, size_t bytes)
{
    socket->stats.packets_out += packets;
    socket->stats.bytes_out += bytes;
}

// The whole run in one call. DONE, or why not (errno is in stats.last_send_errno for LOST).
static enum verdict send_gso(struct lh_udp_socket *socket, const struct lh_udp_run *run)
{
    struct envelope envelope;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)run->data, .iov_len = run->len};
    uint16_t segment_size = (uint16_t)run->segment_size;
    struct msghdr header = address_run(run, &envelope);
    enum verdict verdict = LOST;

    header.msg_iov = &iov;
    header.msg_iovlen = 1;
    memcpy(add_cmsg(&envelope, SOL_UDP, UDP_SEGMENT, sizeof segment_size), &segment_size,
           sizeof segment_size);
    attach_control(&header, &envelope);
    for (int tries = 0; tries < SEND_TRIES && verdict == LOST; tries++) {
        socket->stats.calls_out++;
        if (sendmsg(socket->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            count_out(socket, segments_of(run, run->len), run->len);
            return DONE;
        }
        verdict = judge(errno);
        socket->gso_refused = socket->gso_refused || errno == EIO;
        socket->stats.icmp_errors += verdict == LOST;
        socket->stats.last_send_errno = verdict == LOST ? errno : socket->stats.last_send_errno;
    }
    return verdict;
}

// One sendmmsg of the packets behind `*from`, which it moves. DONE: some went out; call again.
static enum verdict send_some(struct lh_udp_socket *socket,
                              const struct lh_udp_run *run,
                              const struct msghdr *shared,
                              size_t *from)
{
    struct mmsghdr messages[LH_UDP_RUN_SEGMENTS];
    struct iovec iovs[LH_UDP_RUN_SEGMENTS];
    size_t total = segments_of(run, run->len);
    size_t count = 0;
    int sent;

    for (size_t i = *from; i < total; i++, count++) {
        size_t offset = i * run->segment_size;
        iovs[count].iov_base = (void *)(uintptr_t)(run->data + offset);
        iovs[count].iov_len = LH_MIN(run->segment_size, run->len - offset);
        messages[count].msg_hdr = *shared;
        messages[count].msg_hdr.msg_iov = &iovs[count];
        messages[count].msg_hdr.msg_iovlen = 1;
        messages[count].msg_len = 0;
    }
    socket->stats.calls_out++;
    sent = sendmmsg(socket->fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return judge(errno);
    LH_ASSERT((size_t)sent <= count);
    for (int i = 0; i < sent; i++)
        count_out(socket, 1, messages[i].msg_len);
    *from += (size_t)sent;
    return DONE;
}

static lh_err send_singles(struct lh_udp_socket *socket,
                           const struct lh_udp_run *run,
                           struct lh_udp_sent *out_sent)
{
    struct envelope envelope;
    struct msghdr shared = address_run(run, &envelope);
    size_t total = segments_of(run, run->len);
    int tries = 0;

    attach_control(&shared, &envelope);
    while (out_sent->segments < total) {
        enum verdict verdict = send_some(socket, run, &shared, &out_sent->segments);
        if (verdict == DONE)
            continue;
        if (verdict == FULL)
            return LH_AGAIN;
        if (verdict == BROKEN)
            return LH_E_SYS;
        if (verdict == TOO_LARGE) {
            size_t offset = out_sent->segments * run->segment_size;
            out_sent->too_large = LH_MIN(run->segment_size, run->len - offset);
            return LH_TOO_LARGE;
        }
        socket->stats.last_send_errno = errno;
        if (++tries < SEND_TRIES) {
            socket->stats.icmp_errors++;
            continue;
        }
        socket->stats.send_errors += total - out_sent->segments;
        out_sent->segments = total;
    }
    return LH_OK;
}

lh_err lh_udp_send(struct lh_udp_socket *socket,
                   const struct lh_udp_run *run,
                   struct lh_udp_sent *out_sent)
{
    enum verdict verdict = REFUSED;
    uint64_t errors = socket->stats.send_errors;
    lh_err err;

    LH_ASSERT(run->len > 0);
    LH_ASSERT(run->len <= LH_UDP_RUN_BYTES);
    LH_ASSERT(run->segment_size > 0);
    LH_ASSERT(segments_of(run, run->len) <= LH_UDP_RUN_SEGMENTS);
    LH_ASSERT(run->path != NULL || lh_udp_addr_family(&socket->peer) != AF_UNSPEC);
    *out_sent = (struct lh_udp_sent){0};
    if (run->len <= run->segment_size || !lh_udp_gso_is_on(socket))
        return send_singles(socket, run, out_sent);

    verdict = send_gso(socket, run);
    if (verdict == FULL)
        return LH_AGAIN;
    if (verdict == BROKEN)
        return LH_E_SYS;
    if (verdict == DONE || verdict == LOST) {
        out_sent->segments = segments_of(run, run->len);
        socket->stats.send_errors += verdict == LOST ? out_sent->segments : 0;
        return LH_OK;
    }
    err = send_singles(socket, run, out_sent);
    // The packets pass one by one where the batch did not: it is GSO that is not wanted here.
    if (err == LH_OK && socket->stats.send_errors == errors)
        socket->gso_refused = true;
    return err;
}
