// SPDX-License-Identifier: Apache-2.0
//
// How it works. SOCK_SEQPACKET: one message is one read, and descriptors come with it.
//
//   new lhserver                        lhserver of the session
//   connect; is the listener our user?  accept; is it our user?
//   offer, two descriptors  ----------> proof right, count higher than any before?
//   prints its HELLO  <---------------- answer, with a proof of its own
//   go  ------------------------------> the channel becomes lane 0
//   waits for the end  <--------------- closes when that lane is gone
//
// Whatever is not exactly that ends the connection. Between offer and go the descriptors lie here,
// unused, for LH_ATTACH_PATIENCE at most; where two proved themselves, only the later one may go.
// What a connection may cost is bounded: LH_ATTACH_PENDING of them, LH_ATTACH_FDS descriptors each.
#include "run/attach.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "control/attach.h"
#include "job/code.h"
#include "sys/clock.h"

#define LH_ATTACH_FDS 2

struct pending {
    int fd; // -1 = free
    lh_ns until;
    bool is_proven; // waits for "go"
    uint32_t count;
    int channel[LH_ATTACH_FDS]; // held since the proof
};

struct lh_attach_point {
    struct lh_attach_config config;
    struct lh_secret secret;
    int listener;
    struct pending pending[LH_ATTACH_PENDING];
    uint32_t count; // highest that was proven
    int keeper;     // connection to the lhserver whose channel is in use; -1 = none
};

unsigned lh_attach_address(const uint8_t name[LH_ATTACH_NAME_LEN], struct sockaddr_un *out_address)
{
    static const char prefix[] = "longhaul-attach-";
    char *at;

    *out_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    // A leading NUL makes the name abstract: no file, gone with its socket.
    at = out_address->sun_path + 1;
    memcpy(at, prefix, sizeof prefix - 1);
    at += sizeof prefix - 1;
    for (size_t i = 0; i < LH_ATTACH_NAME_LEN; i++)
        at += snprintf(at, 3, "%02x", name[i]);
    return (unsigned)(at - (char *)out_address);
}

static bool is_owner(int fd, uid_t owner)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == owner;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

// --- Messages with descriptors ---

struct message {
    uint8_t bytes[LH_ATTACH_MESSAGE_MAX];
    size_t len;
    int fds[LH_ATTACH_FDS]; // -1 = none; the caller's
    size_t fd_count;        // that came, those closed at once included
};

static void take_descriptors(const struct cmsghdr *cmsg, struct message *message)
{
    size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
        if (message->fd_count < LH_ATTACH_FDS)
            message->fds[message->fd_count] = fd;
        else
            close_fd(&fd);
        message->fd_count++;
    }
}

// LH_AGAIN: nothing is there. LH_E_CLOSED: the end, an error, or more than any message is.
static lh_err receive(int fd, struct message *out_message)
{
    // Room for more than is wanted: what does not fit is lost silently, and would not be noticed.
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 2 * LH_ATTACH_FDS)];
    struct iovec iov = {.iov_base = out_message->bytes, .iov_len = sizeof out_message->bytes};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    out_message->fd_count = 0;
    for (size_t i = 0; i < LH_ATTACH_FDS; i++)
        out_message->fds[i] = -1;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? LH_AGAIN : LH_E_CLOSED;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header); cmsg != NULL;
         cmsg = CMSG_NXTHDR(&header, cmsg)) {
        if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
            take_descriptors(cmsg, out_message);
    }
    out_message->len = (size_t)got;
    return got == 0 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? LH_E_CLOSED : 0;
}

static void drop_descriptors(struct message *message)
{
    for (size_t i = 0; i < LH_ATTACH_FDS; i++)
        close_fd(&message->fds[i]);
}

static bool send_message(int fd, const void *bytes, size_t len, const int channel[LH_ATTACH_FDS])
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * LH_ATTACH_FDS)] = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    if (channel != NULL) {
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * LH_ATTACH_FDS);
        memcpy(CMSG_DATA(cmsg), channel, sizeof(int) * LH_ATTACH_FDS);
    }
    return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

// --- Where the session lives ---

static void drop(struct lh_attach_point *point, struct pending *pending)
{
    if (pending->fd >= 0)
        lh_loop_remove(point->config.loop, pending->fd);
    close_fd(&pending->fd);
    for (size_t i = 0; i < LH_ATTACH_FDS; i++)
        close_fd(&pending->channel[i]);
    pending->is_proven = false;
}

static bool is_right(struct lh_attach_point *point, const struct message *message, uint32_t *count)
{
    struct lh_attach_offer offer;
    uint8_t proof[LH_ATTACH_PROOF_LEN];

    if (!lh_attach_offer_read(message->bytes, message->len, &offer) ||
        offer.session_id != point->config.session_id ||
        LH_GUARD(ATTACH_FDS, message->fd_count != LH_ATTACH_FDS))
        return false;
    if (lh_attach_proof(&point->secret, true, offer.count, proof) != 0 ||
        LH_GUARD(ATTACH_PROOF, !lh_attach_proof_equal(proof, offer.proof)))
        return false;
    if (LH_GUARD(ATTACH_COUNT, offer.count <= point->count))
        return false;
    *count = offer.count;
    return true;
}

// An offer came. False where it is none that we take.
static bool
take_offer(struct lh_attach_point *point, struct pending *pending, struct message *message)
{
    struct lh_attach_answer answer = {.verdict = LH_ATTACH_REFUSED};
    uint8_t bytes[LH_ATTACH_ANSWER_LEN];
    bool is_good = is_right(point, message, &pending->count) &&
                   lh_attach_proof(&point->secret, false, pending->count, answer.proof) == 0;

    if (is_good)
        answer.verdict = LH_ATTACH_TAKEN;
    lh_attach_answer_write(&answer, bytes);
    if (!send_message(pending->fd, bytes, sizeof bytes, NULL) || !is_good)
        return false;
    point->count = pending->count;
    pending->is_proven = true;
    memcpy(pending->channel, message->fds, sizeof pending->channel);
    message->fds[0] = message->fds[1] = -1;
    return true;
}

// The client knows: the channel is the session's from now on.
static void take_channel(struct lh_attach_point *point, struct pending *pending, lh_ns now)
{
    struct pending taken = *pending;

    *pending = (struct pending){.fd = -1, .channel = {-1, -1}};
    lh_loop_remove(point->config.loop, taken.fd);
    point->config.on_channel(point->config.user, taken.channel[0], taken.channel[1], now);
    close_fd(&point->keeper); // of the channel before
    point->keeper = taken.fd;
}

static void serve(struct lh_attach_point *point, struct pending *pending, lh_ns now)
{
    struct message message;
    lh_err err = receive(pending->fd, &message);
    bool goes_on = err == LH_AGAIN;

    if (err == 0 && !pending->is_proven)
        goes_on = take_offer(point, pending, &message);
    else if (err == 0 && message.fd_count == 0 && pending->count == point->count &&
             lh_attach_go_read(message.bytes, message.len)) {
        take_channel(point, pending, now);
        return;
    }
    drop_descriptors(&message);
    if (!goes_on)
        drop(point, pending);
}

static void on_message(void *user, uint32_t events, lh_ns now)
{
    struct lh_attach_point *point = user;

    (void)events;
    // Any of them may be ready; asking all of them is cheap, there are few.
    for (size_t i = 0; i < LH_ATTACH_PENDING; i++) {
        if (point->pending[i].fd >= 0)
            serve(point, &point->pending[i], now);
    }
}

static void on_connection(void *user, uint32_t events, lh_ns now)
{
    struct lh_attach_point *point = user;
    struct pending *place = NULL;
    int fd = accept4(point->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    for (size_t i = 0; i < LH_ATTACH_PENDING && place == NULL; i++)
        place = point->pending[i].fd < 0 ? &point->pending[i] : NULL;
    if (fd < 0)
        return;
    if (LH_GUARD(ATTACH_UID, !is_owner(fd, point->config.owner)) || place == NULL ||
        lh_loop_add(point->config.loop, fd, EPOLLIN, on_message, point) != 0) {
        (void)close(fd);
        return;
    }
    *place = (struct pending){.fd = fd, .until = now + LH_ATTACH_PATIENCE, .channel = {-1, -1}};
}

static lh_err listen_there(struct lh_attach_point *point, struct lh_errinfo *info)
{
    struct sockaddr_un address;
    uint8_t name[LH_ATTACH_NAME_LEN];
    lh_err err = lh_attach_name(&point->secret, name);

    if (err != 0)
        return err;
    unsigned len = lh_attach_address(name, &address);
    point->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (point->listener < 0 || bind(point->listener, (const struct sockaddr *)&address, len) != 0 ||
        listen(point->listener, LH_ATTACH_PENDING) != 0)
        return lh_fail_errno(info, errno, LH_CODE_SOCKET,
                             "cannot wait for the client's next login");
    return lh_loop_add(point->config.loop, point->listener, EPOLLIN, on_connection, point);
}

lh_err lh_attach_point_open(const struct lh_attach_config *config,
                            struct lh_attach_point **out_point,
                            struct lh_errinfo *info)
{
    struct lh_attach_point *point = calloc(1, sizeof *point);
    lh_err err;

    if (point == NULL)
        return LH_E_NOMEM;
    point->config = *config;
    point->secret = *config->secret;
    point->config.secret = NULL;
    point->listener = point->keeper = -1;
    for (size_t i = 0; i < LH_ATTACH_PENDING; i++)
        point->pending[i] = (struct pending){.fd = -1, .channel = {-1, -1}};
    err = listen_there(point, info);
    if (err != 0) {
        lh_attach_point_close(point);
        return err;
    }
    *out_point = point;
    return 0;
}

void lh_attach_point_close(struct lh_attach_point *point)
{
    if (point == NULL)
        return;
    for (size_t i = 0; i < LH_ATTACH_PENDING; i++)
        drop(point, &point->pending[i]);
    if (point->listener >= 0)
        lh_loop_remove(point->config.loop, point->listener);
    close_fd(&point->listener);
    close_fd(&point->keeper);
    lh_secret_fini(&point->secret);
    free(point);
}

void lh_attach_point_dismiss(struct lh_attach_point *point)
{
    close_fd(&point->keeper);
}

lh_ns lh_attach_point_deadline(const struct lh_attach_point *point)
{
    lh_ns deadline = LH_NEVER;

    for (size_t i = 0; i < LH_ATTACH_PENDING; i++) {
        if (point->pending[i].fd >= 0)
            deadline = lh_ns_min(deadline, point->pending[i].until);
    }
    return deadline;
}

void lh_attach_point_on_deadline(struct lh_attach_point *point, lh_ns now)
{
    for (size_t i = 0; i < LH_ATTACH_PENDING; i++) {
        if (point->pending[i].fd >= 0 && point->pending[i].until <= now)
            drop(point, &point->pending[i]);
    }
}

// --- Where the channel comes from ---

static lh_err connect_to_owner(const struct lh_hello_attach *attach,
                               uid_t owner,
                               int *out_fd,
                               struct lh_errinfo *info)
{
    struct sockaddr_un address;
    unsigned len = lh_attach_address(attach->name, &address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return lh_fail_errno(info, errno, LH_CODE_SOCKET, "cannot make a Unix socket");
    if (connect(fd, (const struct sockaddr *)&address, len) != 0) {
        (void)close(fd);
        return lh_fail(info, LH_E_CLOSED, LH_CODE_CONNECTION_LOST,
                       "the session is not there any more");
    }
    if (LH_GUARD(ATTACH_OWNER, !is_owner(fd, owner))) {
        (void)close(fd);
        return lh_fail(info, LH_E_AUTH, LH_CODE_CONNECTION_LOST,
                       "somebody else has taken the session's place");
    }
    *out_fd = fd;
    return 0;
}

static lh_err await_answer(int fd, uint8_t out_proof[LH_ATTACH_PROOF_LEN], struct lh_errinfo *info)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    struct lh_attach_answer answer;
    struct message message;
    lh_err err;

    if (poll(&polled, 1, (int)(LH_ATTACH_PATIENCE / LH_MS)) <= 0)
        return lh_fail(info, LH_E_TIMEOUT, LH_CODE_TIMEOUT, "the session does not answer");
    err = receive(fd, &message);
    drop_descriptors(&message);
    if (err != 0 || !lh_attach_answer_read(message.bytes, message.len, &answer) ||
        answer.verdict != LH_ATTACH_TAKEN)
        return lh_fail(info, LH_E_CLOSED, LH_CODE_CONNECTION_LOST, "the session refused");
    memcpy(out_proof, answer.proof, LH_ATTACH_PROOF_LEN);
    return 0;
}

lh_err lh_attach_offer_channel(const struct lh_hello_attach *attach,
                               const int channel[2],
                               uid_t owner,
                               int *out_fd,
                               uint8_t out_proof[LH_ATTACH_PROOF_LEN],
                               struct lh_errinfo *info)
{
    struct lh_attach_offer offer = {.session_id = attach->session_id, .count = attach->count};
    uint8_t bytes[LH_ATTACH_OFFER_LEN];
    int fd = -1;
    lh_err err = connect_to_owner(attach, owner, &fd, info);

    if (err != 0)
        return err;
    memcpy(offer.proof, attach->proof, sizeof offer.proof);
    lh_attach_offer_write(&offer, bytes);
    if (send_message(fd, bytes, sizeof bytes, channel))
        err = await_answer(fd, out_proof, info);
    else
        err = lh_fail(info, LH_E_CLOSED, LH_CODE_CONNECTION_LOST, "the session hung up");
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    *out_fd = fd;
    return 0;
}

void lh_attach_keep(int fd)
{
    uint8_t go[LH_ATTACH_GO_LEN];
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    lh_attach_go_write(go);
    if (!send_message(fd, go, sizeof go, NULL))
        return;
    while (poll(&polled, 1, -1) < 0 && errno == EINTR)
        ;
}
