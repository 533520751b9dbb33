// SPDX-License-Identifier: Apache-2.0
//
// Where the sockets of sessions lie, and who may put them there.
//
// How it works. A directory is used only where it belongs to the user in question and nobody else
// may write to it; it is held open, and everything below it is named through that descriptor
// (/proc/self/fd/N/NAME), which also frees us from the 108 bytes that a socket's address may have.
// A socket is bound under a name that nobody looks for and renamed once it listens: so one at which
// nobody answers is stale for sure, and may be removed.
#include "local/local_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"

static void add_place(struct lh_local_places *places, const char *base, const char *last)
{
    char *path = places->paths[places->count];
    if (base == NULL || base[0] != '/')
        return;
    int len = snprintf(path, LH_LOCAL_PATH_MAX, "%s/%s", base, last);
    if (len < 0 || len >= LH_LOCAL_PATH_MAX)
        return;
    for (size_t i = 0; i < places->count; i++) {
        if (strcmp(places->paths[i], path) == 0)
            return;
    }
    places->count++;
}

void lh_local_places(struct lh_local_places *places,
                     uid_t uid,
                     const char *runtime_dir,
                     const char *state_dir)
{
    char run_user[64];
    places->count = 0;
    (void)snprintf(run_user, sizeof run_user, "/run/user/%u", (unsigned)uid);
    add_place(places, runtime_dir, "longhaul");
    add_place(places, run_user, "longhaul");
    add_place(places, state_dir, "run");
}

lh_err lh_local_open_dir(const char *path, uid_t uid, int *out_fd)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return LH_E_SYS;
    if (fstat(fd, &found) != 0 ||
        LH_GUARD(LOCAL_DIRECTORY, found.st_uid != uid || (found.st_mode & 022) != 0)) {
        (void)close(fd);
        return LH_E_PATH;
    }
    *out_fd = fd;
    return 0;
}

bool lh_local_address(int dir_fd, const char *name, struct sockaddr_un *out_address)
{
    *out_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(out_address->sun_path, sizeof out_address->sun_path, "/proc/self/fd/%d/%s",
                       dir_fd, name);
    return len > 0 && (size_t)len < sizeof out_address->sun_path;
}

int lh_local_connect(int dir_fd, const char *name)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (lh_local_address(dir_fd, name, &address) &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

bool lh_local_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= LH_LOCAL_NAME_MAX && name[0] != '.' &&
           strspn(name, "0123456789abcdef.") == len;
}

static bool is_socket(int dir_fd, const char *name)
{
    struct stat found;
    return lh_local_name_ok(name) && fstatat(dir_fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISSOCK(found.st_mode);
}

// Somebody listens at it. One that refuses is left over from a session that was killed: a full
// queue (EAGAIN) is not that.
static bool is_alive(int dir_fd, const char *name, bool is_ours)
{
    int fd = lh_local_connect(dir_fd, name);
    if (fd >= 0) {
        (void)close(fd);
        return true;
    }
    if (errno == ECONNREFUSED && is_ours)
        (void)unlinkat(dir_fd, name, 0);
    return errno == EAGAIN;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t lh_local_names(int dir_fd, bool is_ours, char (**out_names)[LH_LOCAL_NAME_MAX + 1])
{
    int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    size_t count = 0;
    *out_names = NULL;
    if (dir == NULL) {
        if (copy >= 0)
            (void)close(copy);
        return 0;
    }
    char(*names)[LH_LOCAL_NAME_MAX + 1] = calloc(LH_LOCAL_LIST_MAX, sizeof *names);
    for (struct dirent *entry; names != NULL && (entry = readdir(dir)) != NULL;) {
        if (count == LH_LOCAL_LIST_MAX)
            break;
        if (is_socket(dir_fd, entry->d_name) && is_alive(dir_fd, entry->d_name, is_ours))
            memcpy(names[count++], entry->d_name, strlen(entry->d_name) + 1);
    }
    (void)closedir(dir);
    if (count > 0)
        qsort(names, count, sizeof *names, by_name);
    *out_names = names;
    return count;
}

void lh_local_list(const struct lh_local_places *places,
                   uid_t uid,
                   bool (*found)(void *user, const struct lh_local_socket *socket),
                   void *user)
{
    struct lh_local_socket *socket = calloc(1, sizeof *socket);
    bool goes_on = socket != NULL;
    for (size_t i = 0; i < places->count && goes_on; i++) {
        char(*names)[LH_LOCAL_NAME_MAX + 1];
        int dir_fd;
        if (lh_local_open_dir(places->paths[i], uid, &dir_fd) != 0)
            continue;
        size_t count = lh_local_names(dir_fd, uid == geteuid(), &names);
        socket->owner = uid;
        memcpy(socket->directory, places->paths[i], sizeof socket->directory);
        for (size_t n = 0; n < count && goes_on; n++) {
            memcpy(socket->name, names[n], sizeof socket->name);
            goes_on = found(user, socket);
        }
        free(names);
        (void)close(dir_fd);
    }
    free(socket);
}
