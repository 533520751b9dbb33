// SPDX-License-Identifier: Apache-2.0
//
// How it works: whose datagram is it?
//
//     from the network, our session id  -> to the caller
//     from the network, another's       -> to that session's inbox, once, without waiting
//     from the inbox, our session id    -> to the caller, as if from the network
//     from the inbox, another's         -> dropped: nothing is passed on twice
//     no packet at all                  -> dropped
//
// Passing on is bounded everywhere. The kernel holds net.unix.max_dgram_qlen messages for an inbox
// (11 by default) and refuses more. A token bucket limits how much of this session's time strangers
// can take. Within a batch a refused session id is not tried again.
//
// One trap: what lies in an inbox is charged to the *sender's* socket buffer. The inboxes of a few
// stopped sessions could so use up our buffer and stop us from passing on to healthy ones. When a
// send fails and much of our buffer is out, the outbox is replaced by a fresh one: what was sent
// stays where it is, and no longer counts against us. The system's total stays bounded by inboxes
// times their length.
//
// Whoever sends to an inbox may be any local user; nothing is trusted, and no credentials are asked
// for: the packet itself is authenticated by the transport. Descriptors that someone attaches are
// never accepted, since no room for them is offered.
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/assert.h"
#include "base/math.h"
#include "udp/port_internal.h"
#include "udp/route.h"
#include "udp/socket_internal.h"

// --- Passing on ----------------------------------------------------------------------------------

// Takes one token where there is one.
static bool take_token(struct lh_port *port, lh_ns now)
{
    uint64_t gained =
        lh_muldiv(lh_ns_since(now, port->pass_tokens_at), LH_PORT_FORWARD_RATE, LH_SECOND);

    if (gained > 0) {
        port->pass_tokens = LH_MIN(lh_add_sat(port->pass_tokens, gained), LH_PORT_FORWARD_BURST);
        port->pass_tokens_at = now;
    }
    if (port->pass_tokens == 0)
        return false;
    port->pass_tokens--;
    return true;
}

// Does so much of our send buffer lie in others' inboxes that it may be the reason for EAGAIN?
static bool outbox_is_used_up(const struct lh_port *port)
{
    int out = 0;
    int size = 0;
    socklen_t len = sizeof size;

    if (ioctl(port->outbox, SIOCOUTQ, &out) != 0 ||
        getsockopt(port->outbox, SOL_SOCKET, SO_SNDBUF, &size, &len) != 0)
        return false;
    return out >= size / 2;
}

// Sends `message` to the owner's inbox; returns 0 or errno.
static int post(struct lh_port *port, uint32_t session_id, const struct msghdr *content)
{
    struct sockaddr_un name;
    struct msghdr message = *content;

    message.msg_namelen = lh_port_inbox_name(port->config.port, session_id, &name);
    message.msg_name = &name;
    for (int tries = 0; tries < 2; tries++) {
        int error;
        if (port->outbox < 0)
            lh_port_renew_outbox(port);
        if (sendmsg(port->outbox, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        error = errno;
        if (error != EAGAIN || !outbox_is_used_up(port))
            return error;
        lh_port_renew_outbox(port);
    }
    return EAGAIN;
}

// What passing on has learned within a batch: packets of one session come in rows.
struct pass_batch {
    uint32_t refused_id;
    bool refused;
};

static void pass_on(struct lh_port *port,
                    const struct lh_udp_dgram *dgram,
                    uint32_t session_id,
                    struct pass_batch *batch,
                    lh_ns now)
{
    uint8_t header[LH_ROUTE_HEADER_MAX];
    struct iovec parts[2] = {
        {.iov_base = header, .iov_len = lh_route_forward_header(dgram, header)},
        {.iov_base = dgram->data, .iov_len = dgram->len},
    };
    struct msghdr content = {.msg_iov = parts, .msg_iovlen = 2};
    int error;

    if (parts[0].iov_len == 0) {
        port->stats.malformed++;
        return;
    }
    if (batch->refused && batch->refused_id == session_id) {
        port->stats.pass_full++;
        return;
    }
    if (LH_GUARD(ROUTE_RATE, !take_token(port, now))) {
        port->stats.pass_limited++;
        return;
    }
    error = post(port, session_id, &content);
    if (error == 0) {
        port->stats.passed_on++;
        return;
    }
    if (error == ECONNREFUSED)
        port->stats.pass_no_owner++;
    else
        port->stats.pass_full++;
    *batch = (struct pass_batch){.refused_id = session_id, .refused = true};
}

// --- From the network ----------------------------------------------------------------------------

// Keeps this session's datagrams in `batch`, in order, and passes on the others.
static void sort(struct lh_port *port, struct lh_udp_batch *batch, uint64_t *mine, lh_ns now)
{
    struct pass_batch passing = {0};
    size_t kept = 0;

    for (size_t i = 0; i < batch->count; i++) {
        struct lh_udp_dgram *dgram = &batch->dgrams[i];
        struct lh_route_header header;
        if (!lh_route_parse(dgram->data, dgram->len, &header)) {
            port->stats.malformed++;
        } else if (header.session_id != port->config.session_id) {
            pass_on(port, dgram, header.session_id, &passing, now);
        } else {
            if (kept != i)
                batch->dgrams[kept] = *dgram;
            kept++;
        }
    }
    *mine += kept;
    batch->count = kept;
}

// --- From the inbox ------------------------------------------------------------------------------

static lh_err recv_inbox(struct lh_port *port, struct lh_udp_rx *rx, struct lh_udp_batch *out_batch)
{
    size_t count = 0;
    int got;

    lh_udp_rx_arm(rx);
    rx->used = rx->buffers;
    for (size_t i = 0; i < rx->buffers; i++) {
        rx->messages[i].msg_hdr.msg_name = NULL;
        rx->messages[i].msg_hdr.msg_namelen = 0;
        rx->messages[i].msg_hdr.msg_control = NULL;
        rx->messages[i].msg_hdr.msg_controllen = 0;
    }
    got = recvmmsg(port->inbox, rx->messages, (unsigned)rx->buffers, MSG_DONTWAIT, NULL);
    if (got < 0)
        return lh_udp_errno_is_broken(errno) ? LH_E_SYS : LH_AGAIN;
    for (size_t i = 0; i < (size_t)got; i++) {
        bool cut = (rx->messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
        if (!cut && lh_route_forward_parse(rx->slots[i].iov.iov_base, rx->messages[i].msg_len,
                                           port->config.session_id, &rx->dgrams[count]))
            count++;
        else
            port->stats.inbox_malformed++;
    }
    port->stats.mine_forwarded += count;
    out_batch->count = count;
    out_batch->more = (size_t)got == rx->buffers;
    return LH_OK;
}

// --- Both ----------------------------------------------------------------------------------------

static struct lh_udp_socket *if_fd(struct lh_udp_socket *socket, int fd)
{
    return socket != NULL && lh_udp_fd(socket) == fd ? socket : NULL;
}

// The socket behind `fd`, or NULL; *out_mine is the counter for its packets.
static struct lh_udp_socket *find_socket(struct lh_port *port, int fd, uint64_t **out_mine)
{
    struct lh_udp_socket *found = NULL;

    *out_mine = &port->stats.mine_direct;
    for (size_t i = 0; found == NULL && i < LH_LANES_MAX; i++)
        found = if_fd(port->lanes[i].socket, fd);
    if (found != NULL)
        return found;
    *out_mine = &port->stats.mine_stranger;
    for (size_t i = 0; found == NULL && i < port->stranger_count; i++)
        found = if_fd(port->strangers[i].socket, fd);
    for (size_t i = 0; found == NULL && i < LH_PORT_RETIRED_MAX; i++)
        found = if_fd(port->retired[i].socket, fd);
    return found;
}

lh_err lh_port_recv(
    struct lh_port *port, int fd, struct lh_udp_rx *rx, lh_ns now, struct lh_udp_batch *out_batch)
{
    struct lh_udp_socket *socket;
    uint64_t *mine;
    lh_err err;

    *out_batch = (struct lh_udp_batch){.dgrams = rx->dgrams};
    if (fd == port->inbox)
        return recv_inbox(port, rx, out_batch);
    socket = find_socket(port, fd, &mine);
    if (socket == NULL)
        return LH_AGAIN;
    err = lh_udp_recv(socket, rx, out_batch);
    if (err == LH_OK)
        sort(port, out_batch, mine, now);
    return err;
}
