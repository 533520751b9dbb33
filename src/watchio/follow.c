// SPDX-License-Identifier: Apache-2.0
//
// How it works. The file is held open and read to its end; inotify on its folder wakes the reader
// for what is written, renamed and made. When the name leads to another file, the held one is read
// once more to its end and then let go: nothing that was written before the rename is lost. A file
// that became shorter (copytruncate) is read from its beginning.
//
// After a restart, and after a rotation, there may be files between the one that was read and the
// one that grows now. Where reading ended is found by content among those that are named like the
// log: the hash of the first bytes, unpacked. A rename and a copy keep them, and so does a packer,
// which makes a new inode; and an inode that was freed is given to the next file. Those that begin
// later than what was read last are whole news, in the order of their first stamps.
#include "watchio/follow.h"

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
#include "base/math.h"
#include "watch/addr.h"

#define HEAD 1024 // bytes by which a file is known again

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

static uint64_t hash_head(const void *head, size_t len)
{
    return lh_watch_hash(head, len, HEAD);
}

// Whether the file begins as the one of `progress` did.
static bool begins_alike(const struct lh_log *log, const struct lh_progress *progress)
{
    uint8_t head[HEAD];
    size_t len = (size_t)LH_MIN(progress->offset, (uint64_t)HEAD);
    if (len == 0)
        return log->device == progress->device && log->inode == progress->inode;
    return lh_log_head(log->path, head, len) == len && hash_head(head, len) == progress->head;
}

// Leaves in `older` those behind the one where reading ended, and that one, oldest first.
static void
choose_older(struct lh_follow *follow, const struct lh_progress *progress, int64_t since)
{
    struct lh_logs *older = &follow->older;
    size_t kept = 0;
    bool found = false;
    for (size_t i = 0; i < older->count && !found; i++)
        found = begins_alike(&older->items[i], progress);
    bool reached = false;
    for (size_t i = 0; i < older->count; i++) {
        struct lh_log log = older->items[i];
        bool same = found && begins_alike(&log, progress);
        bool current = log.device == follow->device && log.inode == follow->inode;
        bool behind = found ? reached && !same : since != 0;
        bool later = behind && lh_log_begin(&log) >= since;
        bool goes_on = same && !reached && !current;
        if (goes_on) {
            follow->older_offset = progress->offset;
            follow->older_line = progress->line;
        }
        if (goes_on || (later && !current))
            older->items[kept++] = log;
        else
            free(log.path);
        reached = reached || same;
    }
    older->count = kept;
}

// What is to be read before the file that is held.
static void find_older(struct lh_follow *follow, const struct lh_progress *progress, int64_t since)
{
    char stem[LH_PATH_TEXT_MAX];
    (void)snprintf(stem, sizeof stem, "%s%s", strchr(follow->path, '/') == NULL ? "./" : "",
                   follow->path);
    lh_logs_fini(&follow->older);
    follow->older_at = 0;
    follow->older_offset = follow->older_line = 0;
    (void)lh_logs_add_family(&follow->older, stem, 0);
    lh_logs_sort(&follow->older);
    choose_older(follow, progress, since);
}

// Whether the file that is held is the one of `progress`, which then goes on there.
static bool hold_on(struct lh_follow *follow, const struct lh_progress *progress)
{
    struct lh_log log = {
        .path = (char *)follow->path, .device = follow->device, .inode = follow->inode};
    struct stat st;
    return follow->fd >= 0 && fstat(follow->fd, &st) == 0 &&
           (uint64_t)st.st_size >= progress->offset && begins_alike(&log, progress) &&
           hold(follow, follow->path, progress->offset, progress->line);
}

lh_err lh_follow_new(const char *path,
                     const struct lh_progress *progress,
                     int64_t since,
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
    if (!hold(follow, path, 0, 0) && errno != ENOENT) {
        lh_err err = lh_fail_errno(info, errno, 0, "cannot read %s", path);
        lh_follow_free(follow);
        return err;
    }
    if (progress->inode != 0 && !hold_on(follow, progress))
        find_older(follow, progress, since);
    *out = follow;
    return 0;
}

void lh_follow_free(struct lh_follow *follow)
{
    if (follow == NULL)
        return;
    let_go(follow);
    lh_logs_fini(&follow->older);
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

static lh_err
read_older(struct lh_follow *follow, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    while (follow->older_at < follow->older.count) {
        const struct lh_log *log = &follow->older.items[follow->older_at++];
        uint64_t offset = follow->older_offset;
        follow->older_offset = 0;
        lh_err err =
            lh_log_read_behind(log->path, offset, offset > 0 ? follow->older_line : 0, sink, info);
        if (err == LH_E_CORRUPT || err == LH_E_LIMIT || err == LH_E_SYS)
            return LH_NONE;
        if (err != 0)
            return err;
    }
    return 0;
}

lh_err lh_follow_read(struct lh_follow *follow,
                      int64_t since,
                      const struct lh_line_sink *sink,
                      struct lh_errinfo *info)
{
    struct lh_progress before = {0};
    lh_err err = read_older(follow, sink, info);
    if (err != 0)
        return err;
    if (follow->fd < 0 && !hold(follow, follow->path, 0, 0))
        return 0; // not there yet
    if (became_shorter(follow) && !hold(follow, follow->path, 0, 0))
        return 0;
    err = drain(follow, sink, info);
    if (err != 0 || !was_replaced(follow))
        return err;
    // What was written between our read and the rename, then what came and went since, then the
    // new file.
    err = drain(follow, sink, info);
    if (err == 0)
        err = lh_lines_end(&follow->lines, sink);
    lh_follow_progress(follow, &before);
    if (err != 0 || !hold(follow, follow->path, 0, 0))
        return err;
    find_older(follow, &before, since);
    err = read_older(follow, sink, info);
    return err != 0 ? err : drain(follow, sink, info);
}

void lh_follow_progress(const struct lh_follow *follow, struct lh_progress *out)
{
    out->device = follow->device;
    out->inode = follow->inode;
    out->offset = follow->lines.offset;
    out->line = follow->lines.number;
    uint8_t head[HEAD];
    size_t len = (size_t)LH_MIN(out->offset, (uint64_t)HEAD);
    bool read = follow->fd >= 0 && pread(follow->fd, head, len, 0) == (ssize_t)len;
    out->head = read ? hash_head(head, len) : 0;
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
