// SPDX-License-Identifier: Apache-2.0
//
// The session's end of its private socket.
//
// How it works. An epoll set of its own holds the listening socket and a few clients, so the
// session's loop watches one descriptor. A client is read until its newline; the answer goes out in
// one send that never waits (a socket buffer is larger than any answer), and the connection ends. A
// client that sends nothing, too much, or takes no answer loses its place, nothing else.
#include "local/local_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"

LH_DEFINE_FREEP(struct lh_local_server, lh_local_close)

struct client {
    int fd; // -1 = free
    lh_ns since;
    size_t len;
    char text[LH_LOCAL_REQUEST_MAX];
};

struct lh_local_server {
    int epoll_fd, listen_fd, dir_fd;
    char name[LH_LOCAL_NAME_MAX + 1];
    bool is_named; // the socket has its name, and goes with us
    lh_local_answer answer;
    void *user;
    struct client clients[LH_LOCAL_CLIENTS_MAX];
};

#define LISTENER UINT64_MAX

lh_err lh_local_peer(int fd, uid_t *out_uid)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof peer)
        return LH_E_SYS;
    *out_uid = peer.uid;
    return 0;
}

// We ourselves, or root.
static bool is_welcome(int fd)
{
    uid_t uid;
    return lh_local_peer(fd, &uid) == 0 && (uid == geteuid() || uid == 0);
}

// --- Making it -----------------------------------------------------------------------------------

// Binds under a name that nobody looks for, listens, and only then takes the name.
static lh_err bind_in(struct lh_local_server *server, const char *path, struct lh_errinfo *info)
{
    char hidden[LH_LOCAL_NAME_MAX + 8];
    struct sockaddr_un address;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return lh_fail_errno(info, errno, 0, "cannot make %s", path);
    lh_err err = lh_local_open_dir(path, geteuid(), &server->dir_fd);
    if (err != 0)
        return lh_fail(info, err, 0, "%s is not a directory of ours alone", path);
    (void)snprintf(hidden, sizeof hidden, ".%s", server->name);
    (void)unlinkat(server->dir_fd, hidden, 0);
    if (!lh_local_address(server->dir_fd, hidden, &address) ||
        bind(server->listen_fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        fchmodat(server->dir_fd, hidden, 0600, 0) != 0 ||
        listen(server->listen_fd, LH_LOCAL_CLIENTS_MAX) != 0 ||
        renameat(server->dir_fd, hidden, server->dir_fd, server->name) != 0) {
        err = lh_fail_errno(info, errno, 0, "cannot make a socket in %s", path);
        (void)unlinkat(server->dir_fd, hidden, 0);
        return err;
    }
    server->is_named = true;
    return 0;
}

static lh_err find_place(struct lh_local_server *server,
                         const struct lh_local_places *places,
                         struct lh_errinfo *info)
{
    lh_err err = LH_E_PATH;
    for (size_t i = 0; i < places->count; i++) {
        server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (server->listen_fd < 0)
            return lh_fail_errno(info, errno, 0, "cannot make a socket");
        err = bind_in(server, places->paths[i], info);
        if (err == 0)
            return 0;
        (void)close(server->listen_fd);
        if (server->dir_fd >= 0)
            (void)close(server->dir_fd);
        server->listen_fd = server->dir_fd = -1;
    }
    return lh_fail(info, err, 0, "there is no directory for a session's socket");
}

static lh_err watch(struct lh_local_server *server, int fd, uint64_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : LH_E_SYS;
}

lh_err lh_local_listen(const struct lh_local_places *places,
                       const char *name,
                       lh_local_answer answer,
                       void *user,
                       struct lh_local_server **out_server,
                       struct lh_errinfo *info)
{
    LH_ASSERT(lh_local_name_ok(name));
    LH_CLEANUP(lh_local_closep) struct lh_local_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "no memory for the session's socket");
    server->listen_fd = server->dir_fd = -1;
    server->answer = answer;
    server->user = user;
    memcpy(server->name, name, strlen(name) + 1);
    for (size_t i = 0; i < LH_LOCAL_CLIENTS_MAX; i++)
        server->clients[i].fd = -1;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot watch the session's socket");
    lh_err err = find_place(server, places, info);
    if (err != 0)
        return err;
    if (watch(server, server->listen_fd, LISTENER) != 0)
        return lh_fail_errno(info, errno, 0, "cannot watch the session's socket");
    char(*names)[LH_LOCAL_NAME_MAX + 1]; // looking at them removes the dead ones
    (void)lh_local_names(server->dir_fd, true, &names);
    free(names);
    *out_server = lh_steal(&server);
    return 0;
}

static void drop(struct client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd); // which takes it out of the epoll set too
    client->fd = -1;
}

void lh_local_close(struct lh_local_server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < LH_LOCAL_CLIENTS_MAX; i++)
        drop(&server->clients[i]);
    if (server->is_named)
        (void)unlinkat(server->dir_fd, server->name, 0);
    const int fds[] = {server->listen_fd, server->dir_fd, server->epoll_fd};
    for (size_t i = 0; i < LH_ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    free(server);
}

// --- Serving -------------------------------------------------------------------------------------

// Gives the new client a place: a free one, or that of the oldest.
static void on_client(struct lh_local_server *server, int fd, lh_ns now)
{
    if (LH_GUARD(LOCAL_PEER, !is_welcome(fd))) {
        (void)close(fd);
        return;
    }
    struct client *place = &server->clients[0];
    for (size_t i = 0; i < LH_LOCAL_CLIENTS_MAX && place->fd >= 0; i++) {
        if (server->clients[i].fd < 0 || server->clients[i].since < place->since)
            place = &server->clients[i];
    }
    drop(place);
    place->fd = fd;
    place->since = now;
    place->len = 0;
    if (watch(server, fd, (uint64_t)(place - server->clients)) != 0)
        drop(place);
}

static void reply(struct lh_local_server *server, struct client *client, size_t len)
{
    char out[LH_LOCAL_REPLY_MAX];
    size_t made = server->answer(server->user, client->text, len, out, sizeof out - 1);
    LH_ASSERT(made < sizeof out);
    out[made] = '\n';
    ssize_t sent = send(client->fd, out, made + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; // one that takes no answer gets none
    drop(client);
}

static void on_readable(struct lh_local_server *server, struct client *client)
{
    ssize_t got =
        recv(client->fd, client->text + client->len, sizeof client->text - client->len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        drop(client);
        return;
    }
    const char *end = memchr(client->text + client->len, '\n', (size_t)got);
    client->len += (size_t)got;
    if (end != NULL)
        reply(server, client, (size_t)(end - client->text));
    else if (client->len == sizeof client->text)
        drop(client); // no request is so long
}

void lh_local_ready(struct lh_local_server *server, lh_ns now)
{
    struct epoll_event events[LH_LOCAL_CLIENTS_MAX + 1];
    int count = epoll_wait(server->epoll_fd, events, LH_ARRAY_LEN(events), 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == LISTENER)
            continue;
        struct client *client = &server->clients[events[i].data.u64];
        if (client->fd >= 0)
            on_readable(server, client);
    }
    for (size_t i = 0; i < LH_LOCAL_CLIENTS_MAX; i++) {
        struct client *client = &server->clients[i];
        if (client->fd >= 0 && LH_GUARD(LOCAL_PATIENCE, now >= client->since + LH_LOCAL_PATIENCE))
            drop(client);
    }
    // Last, so that no event above can be one of an earlier holder of the same place.
    for (size_t i = 0; i < LH_LOCAL_CLIENTS_MAX; i++) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            break;
        on_client(server, fd, now);
    }
}

int lh_local_fd(const struct lh_local_server *server)
{
    return server->epoll_fd;
}

lh_ns lh_local_deadline(const struct lh_local_server *server)
{
    lh_ns at = LH_NEVER;
    for (size_t i = 0; i < LH_LOCAL_CLIENTS_MAX; i++) {
        if (server->clients[i].fd >= 0)
            at = lh_ns_min(at, server->clients[i].since + LH_LOCAL_PATIENCE);
    }
    return at;
}
