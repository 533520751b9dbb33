// SPDX-License-Identifier: Apache-2.0
//
// How it works. The file is held open and read to its end; inotify on its folder wakes the reader
// for what is written, renamed and made. When the name leads to another file, the held one is read
// once more to its end and then let go: nothing that was written before the rename is lost. A file
// that became shorter (copytruncate) is read from its beginning. After a restart the file is found
// by its inode, which a rename keeps, among those whose names begin like the log's; what was
// rotated away is read first.
#include "watchio/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "watchio/logs.h"

static void let_go(struct lh_follow *follow)
{
    if (follow->fd >= 0)
        (void)close(follow->fd);
    follow->fd = -1;
}

// Opens `path` at `offset`, or at 0 where it is shorter. False where it cannot be opened.
static bool hold(struct lh_follow *follow, const char *path, uint64_t offset, uint64_t line)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return false;
    }
    let_go(follow);
    lh_lines_init(&follow->lines);
    if (offset <= (uint64_t)st.st_size && lseek(fd, (off_t)offset, SEEK_SET) == (off_t)offset) {
        follow->lines.offset = offset;
        follow->lines.number = line;
    }
    follow->fd = fd;
    follow->device = st.st_dev;
    follow->inode = st.st_ino;
    return true;
}

// Looks for the file that `progress` names among the log's rotated ones.
static bool hold_rotated(struct lh_follow *follow, const struct lh_progress *progress)
{
    char folder[LH_PATH_TEXT_MAX];
    char path[LH_PATH_TEXT_MAX + NAME_MAX + 2];
    const char *slash = strrchr(follow->path, '/');
    const char *base = slash != NULL ? slash + 1 : follow->path;
    bool found = false;

    lh_folder_of(follow->path, folder, sizeof folder);
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return false;
    for (const struct dirent *entry; !found && (entry = readdir(directory)) != NULL;) {
        struct stat st;
        if (strncmp(entry->d_name, base, strlen(base)) != 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &st) == 0 && st.st_dev == progress->device && st.st_ino == progress->inode &&
            (uint64_t)st.st_size >= progress->offset)
            found = hold(follow, path, progress->offset, progress->line);
    }
    (void)closedir(directory);
    return found;
}

lh_err lh_follow_new(const char *path,
                     const struct lh_progress *progress,
                     struct lh_follow **out,
                     struct lh_errinfo *info)
{
    char folder[LH_PATH_TEXT_MAX];
    struct lh_follow *follow = calloc(1, sizeof *follow);
    if (follow == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    follow->path = path;
    follow->fd = -1;
    lh_folder_of(path, folder, sizeof folder);
    follow->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (follow->notify >= 0)
        (void)inotify_add_watch(follow->notify, folder,
                                IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB);
    bool found = progress->inode != 0 && hold_rotated(follow, progress);
    if (!found && !hold(follow, path, 0, 0) && errno != ENOENT) {
        lh_err err = lh_fail_errno(info, errno, 0, "cannot read %s", path);
        lh_follow_free(follow);
        return err;
    }
    *out = follow;
    return 0;
}

void lh_follow_free(struct lh_follow *follow)
{
    if (follow == NULL)
        return;
    let_go(follow);
    if (follow->notify >= 0)
        (void)close(follow->notify);
    free(follow);
}

static lh_err
drain(struct lh_follow *follow, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    for (;;) {
        size_t room;
        char *at = lh_lines_room(&follow->lines, &room);
        ssize_t got = read(follow->fd, at, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lh_fail_errno(info, errno, 0, "cannot read %s", follow->path);
        if (got == 0)
            return 0;
        lh_err err = lh_lines_take(&follow->lines, (size_t)got, sink);
        if (err != 0)
            return err;
    }
}

static bool became_shorter(const struct lh_follow *follow)
{
    struct stat st;
    return fstat(follow->fd, &st) == 0 && (uint64_t)st.st_size < follow->lines.offset;
}

static bool was_replaced(const struct lh_follow *follow)
{
    struct stat st;
    return stat(follow->path, &st) == 0 &&
           (st.st_dev != follow->device || st.st_ino != follow->inode);
}

lh_err
lh_follow_read(struct lh_follow *follow, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    if (follow->fd < 0 && !hold(follow, follow->path, 0, 0))
        return 0; // not there yet
    if (became_shorter(follow) && !hold(follow, follow->path, 0, 0))
        return 0;
    lh_err err = drain(follow, sink, info);
    if (err != 0 || !was_replaced(follow))
        return err;
    // What was written between our read and the rename, then the new file.
    err = drain(follow, sink, info);
    if (err == 0)
        err = lh_lines_end(&follow->lines, sink);
    if (err != 0 || !hold(follow, follow->path, 0, 0))
        return err;
    return drain(follow, sink, info);
}

void lh_follow_progress(const struct lh_follow *follow, struct lh_progress *out)
{
    out->device = follow->device;
    out->inode = follow->inode;
    out->offset = follow->lines.offset;
    out->line = follow->lines.number;
}

void lh_follow_wait(struct lh_follow *follow, int milliseconds)
{
    char events[4096];
    struct pollfd poll_fd = {.fd = follow->notify, .events = POLLIN};
    (void)poll(&poll_fd, follow->notify >= 0 ? 1 : 0, milliseconds);
    while (follow->notify >= 0 && read(follow->notify, events, sizeof events) > 0) {
        // that something happened is all we want to know
    }
}
