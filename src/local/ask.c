// SPDX-License-Identifier: Apache-2.0
//
// The asking end of a session's private socket.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "local/local_internal.h"
#include "sys/clock.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

// LH_E_TIMEOUT where nothing happens until `deadline`.
static lh_err await(int fd, lh_ns deadline)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    lh_ns left = lh_ns_since(deadline, lh_clock_now());
    int count = poll(&ready, 1, (int)(left / LH_MS));
    return count > 0 ? 0 : LH_E_TIMEOUT;
}

// One that is alive may have its queue full for a moment.
static int connect_patiently(int dir_fd, const char *name)
{
    const struct timespec moment = {.tv_nsec = 10 * LH_MS};
    lh_ns deadline = lh_clock_now() + LH_LOCAL_PATIENCE;
    for (;;) {
        int fd = lh_local_connect(dir_fd, name);
        if (fd >= 0 || errno != EAGAIN || lh_clock_now() >= deadline)
            return fd;
        (void)nanosleep(&moment, NULL);
    }
}

static lh_err take_line(int fd, char *reply, size_t room)
{
    lh_ns deadline = lh_clock_now() + LH_LOCAL_PATIENCE;
    for (size_t len = 0; len + 1 < room;) {
        lh_err err = await(fd, deadline);
        if (err != 0)
            return err;
        ssize_t got = recv(fd, reply + len, room - 1 - len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return LH_E_CLOSED;
        char *end = memchr(reply + len, '\n', (size_t)got);
        len += (size_t)got;
        if (end != NULL) {
            *end = '\0';
            return 0;
        }
    }
    return LH_E_LIMIT;
}

lh_err lh_local_ask(const struct lh_local_socket *socket,
                    const char *request,
                    char *reply,
                    size_t room,
                    struct lh_errinfo *info)
{
    LH_CLEANUP(close_fd) int dir_fd = -1;
    LH_CLEANUP(close_fd) int fd = -1;
    LH_ASSERT(room > LH_LOCAL_REPLY_MAX && strchr(request, '\n') == NULL);
    lh_err err = lh_local_open_dir(socket->directory, socket->owner, &dir_fd);
    if (err != 0)
        return lh_fail(info, err, 0, "%s is not that user's directory any more", socket->directory);
    fd = connect_patiently(dir_fd, socket->name);
    if (fd < 0)
        return lh_fail_errno(info, errno, 0, "session %s does not answer", socket->name);
    // What lies in another user's directory may lead to somebody else's service.
    uid_t peer;
    err = lh_local_peer(fd, &peer);
    if (err != 0)
        return lh_fail_errno(info, errno, 0, "who listens at %s is not known", socket->name);
    if (LH_GUARD(LOCAL_OWNER, peer != socket->owner))
        return lh_fail(info, LH_E_AUTH, 0, "who listens at %s is not its owner", socket->name);
    size_t len = strlen(request);
    if (send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len ||
        send(fd, "\n", 1, MSG_NOSIGNAL) != 1)
        return lh_fail_errno(info, errno, 0, "session %s does not take the request", socket->name);
    err = take_line(fd, reply, room);
    if (err != 0)
        return lh_fail(info, err, 0, "session %s gives no answer (%s)", socket->name,
                       lh_err_name(err));
    return 0;
}
