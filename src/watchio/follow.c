// SPDX-License-Identifier: Apache-2.0
//
// How it works. The file is held open and read to its end; inotify on its folder wakes the reader
// for what is written, renamed and made. When the name leads to another file, the held one is kept
// until that has its first bytes: a log daemon writes into the renamed file until it is told to
// open the new one. Then the held one is read once more to its end and let go. A file that became
// shorter, or begins otherwise than it did, was copied and emptied (copytruncate): what had not
// been read yet is looked for in the copy, and the file is read from its beginning.
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

#define HEAD       1024 // bytes by which a file is known again
#define DISORDER   60   // seconds by which a log's lines may go back
#define LOOKS      20   // for files that are being renamed
#define LOOK_PAUSE 20   // milliseconds between two

static void let_go(struct lh_follow *follow)
{
    if (follow->fd >= 0)
        (void)close(follow->fd);
    follow->fd = -1;
}

static uint64_t hash_head(const void *head, size_t len)
{
    return lh_watch_hash(head, len, HEAD);
}

// Remembers how the file begins, as far as it was read.
static void note_head(struct lh_follow *follow)
{
    uint8_t head[HEAD];
    size_t len = (size_t)LH_MIN(follow->lines.offset, (uint64_t)HEAD);
    if (len <= follow->head_len || pread(follow->fd, head, len, 0) != (ssize_t)len)
        return;
    follow->head = hash_head(head, len);
    follow->head_len = len;
}

// Reads on from `fd`, which it takes over, at `offset`, or at 0 where it is shorter. LH_E_SYS.
static lh_err
hold_open(struct lh_follow *follow, int fd, uint64_t offset, uint64_t line, struct lh_errinfo *info)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return lh_fail(info, LH_E_SYS, 0,
                       "%s is not a regular file: only a file that grows can be followed",
                       follow->path);
    }
    let_go(follow);
    lh_lines_init(&follow->lines);
    follow->head_len = 0;
    if (offset <= (uint64_t)st.st_size && lseek(fd, (off_t)offset, SEEK_SET) == (off_t)offset) {
        follow->lines.offset = offset;
        follow->lines.number = line;
    }
    follow->fd = fd;
    follow->device = st.st_dev;
    follow->inode = st.st_ino;
    follow->troubled = false;
    note_head(follow);
    return 0;
}

// The same of the file that has the name now. LH_NONE where there is none, LH_E_SYS.
static lh_err
hold(struct lh_follow *follow, uint64_t offset, uint64_t line, struct lh_errinfo *info)
{
    const char *path = follow->path;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? LH_NONE : lh_fail_errno(info, errno, 0, "cannot read %s", path);
    return hold_open(follow, fd, offset, line, info);
}

// Whether the file begins as the one of `progress` did.
static bool begins_alike(const struct lh_log *log, const struct lh_progress *progress)
{
    uint8_t head[HEAD];
    size_t len = (size_t)LH_MIN(progress->head_len, (uint64_t)HEAD);
    if (len == 0)
        return log->device == progress->device && log->inode == progress->inode;
    return lh_log_head(log->path, head, len) == len && hash_head(head, len) == progress->head;
}

// A file that a packer has just begun: the log is still there beside it.
static bool is_empty_pack(const struct lh_log *log)
{
    char head[HEAD];
    return log->packed && log->first == 0 &&
           memchr(head, '\n', lh_log_head(log->path, head, sizeof head)) == NULL;
}

// Leaves in `older` those behind the one where reading ended, and that one, oldest first. Returns
// whether that one is there.
static bool choose_older(struct lh_follow *follow,
                         const char *stem,
                         const struct lh_progress *progress,
                         int64_t since)
{
    struct lh_logs *older = &follow->older;
    size_t kept = 0;
    bool found = false;
    for (size_t i = 0; i < older->count && !found; i++)
        found = begins_alike(&older->items[i], progress);
    bool reached = false;
    bool over = false; // what comes behind the file that is held is not older
    int64_t earliest = found ? since - DISORDER : since;
    for (size_t i = 0; i < older->count; i++) {
        struct lh_log log = older->items[i];
        bool same = found && begins_alike(&log, progress);
        bool behind = found ? reached && !same : since != 0;
        // A file that took the name since then is the next one to be held.
        over = over || log.held;
        bool next = (over && log.first != 0) || strcmp(log.path, stem) == 0;
        bool later = behind && lh_log_begin(&log) >= earliest && !is_empty_pack(&log);
        bool goes_on = same && !reached;
        if (goes_on) {
            follow->older_place = (struct lh_log_place){progress->offset, progress->line};
        }
        if (!next && (goes_on || later))
            older->items[kept++] = log;
        else
            free(log.path);
        reached = reached || same;
    }
    older->count = kept;
    return found;
}

static void forget_older(struct lh_follow *follow)
{
    for (size_t i = follow->older_at; i < follow->older.count; i++)
        (void)close(follow->older_fds[i]);
    free(follow->older_fds);
    follow->older_fds = NULL;
    lh_logs_fini(&follow->older);
    follow->older_at = 0;
    follow->older_place = (struct lh_log_place){0};
}

// Opens all of `older`. False where one is no longer what it was when it was looked at: it was
// renamed, or packed.
static bool open_older(struct lh_follow *follow)
{
    size_t count = follow->older.count;
    follow->older_fds = calloc(count + 1, sizeof *follow->older_fds);
    follow->older.count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct lh_log *log = &follow->older.items[i];
        struct stat st;
        int fd = follow->older_fds == NULL ? -1 : open(log->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        bool same =
            fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == log->device && st.st_ino == log->inode;
        if (same) {
            follow->older_fds[follow->older.count++] = fd;
            continue;
        }
        if (fd >= 0)
            (void)close(fd);
        for (size_t k = i; k < count; k++)
            free(follow->older.items[k].path);
        return false;
    }
    return true;
}

// Says which of `older` is the file that is held, under whatever name, and which a copy of it: it
// may be packed, and removed, while it is held.
static void mark_held(struct lh_follow *follow)
{
    struct lh_progress held = {.device = follow->device, .inode = follow->inode};
    uint8_t head[HEAD];
    ssize_t len = follow->fd >= 0 ? pread(follow->fd, head, sizeof head, 0) : -1;
    if (follow->fd < 0)
        return;
    if (len > 0) {
        held.head_len = (uint64_t)len;
        held.head = hash_head(head, (size_t)len);
    }
    for (size_t i = 0; i < follow->older.count; i++) {
        struct lh_log *log = &follow->older.items[i];
        bool same = log->device == follow->device && log->inode == follow->inode;
        log->held = same || (len > 0 && begins_alike(log, &held));
    }
}

// One look at what is to be read before the file that is held. False where it is to be repeated.
static bool
look_for_older(struct lh_follow *follow, const struct lh_progress *progress, int64_t since)
{
    char stem[LH_PATH_TEXT_MAX];
    (void)snprintf(stem, sizeof stem, "%s%s", strchr(follow->path, '/') == NULL ? "./" : "",
                   follow->path);
    forget_older(follow);
    uint64_t mark = lh_logs_family_mark(stem);
    (void)lh_logs_add_family(&follow->older, stem, 0);
    mark_held(follow);
    lh_logs_sort(&follow->older);
    lh_logs_drop_copies(&follow->older, NULL);
    bool found = choose_older(follow, stem, progress, since);
    return open_older(follow) && found && lh_logs_family_mark(stem) == mark;
}

// Files are renamed and packed while they are looked for; and the one that is looked for may be
// gone for good.
static void find_older(struct lh_follow *follow, const struct lh_progress *progress, int64_t since)
{
    for (unsigned i = 0; i < LOOKS && !look_for_older(follow, progress, since); i++)
        (void)poll(NULL, 0, LOOK_PAUSE);
}

// Whether the file that is held is the one of `progress`, which then goes on there.
static bool hold_on(struct lh_follow *follow, const struct lh_progress *progress)
{
    struct lh_log log = {
        .path = (char *)follow->path, .device = follow->device, .inode = follow->inode};
    struct stat st;
    return follow->fd >= 0 && fstat(follow->fd, &st) == 0 &&
           (uint64_t)st.st_size >= progress->offset && begins_alike(&log, progress) &&
           hold(follow, progress->offset, progress->line, NULL) == 0;
}

// Where the new file has nothing yet, the log daemon may still write into the one before: that is
// held, and read on.
static void hold_renamed(struct lh_follow *follow)
{
    struct stat st;
    struct lh_logs *older = &follow->older;
    if (older->count == 0 || older->items[older->count - 1].packed ||
        (follow->fd >= 0 && fstat(follow->fd, &st) == 0 && st.st_size > 0))
        return;
    bool first = older->count == 1;
    int fd = follow->older_fds[--older->count];
    free(older->items[older->count].path);
    // It was a regular file that can be read when it was looked for.
    (void)!hold_open(follow, fd, first ? follow->older_place.offset : 0,
                     first ? follow->older_place.line : 0, NULL);
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
    lh_err err = hold(follow, 0, 0, info);
    if (err != 0 && err != LH_NONE) {
        lh_follow_free(follow);
        return err;
    }
    if (progress->inode != 0 && !hold_on(follow, progress)) {
        follow->last = *progress;
        find_older(follow, progress, since);
        hold_renamed(follow);
    }
    *out = follow;
    return 0;
}

void lh_follow_free(struct lh_follow *follow)
{
    if (follow == NULL)
        return;
    let_go(follow);
    forget_older(follow);
    if (follow->notify >= 0)
        (void)close(follow->notify);
    free(follow);
}

static size_t pending(const struct lh_follow *follow)
{
    return follow->lines.used - follow->lines.begin;
}

// Whether it was emptied, and perhaps written anew, since it was read up to `more` bytes behind
// what is in the buffer.
static bool was_rewritten(const struct lh_follow *follow, size_t more)
{
    struct stat st;
    uint8_t head[HEAD];
    if (fstat(follow->fd, &st) != 0)
        return false;
    if ((uint64_t)st.st_size < follow->lines.offset + pending(follow) + more)
        return true;
    size_t len = follow->head_len;
    return pread(follow->fd, head, len, 0) == (ssize_t)len && len > 0 &&
           hash_head(head, len) != follow->head;
}

// LH_AGAIN where it was rewritten.
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
        // Asked after reading: what was read before it was rewritten is what stood there.
        if (was_rewritten(follow, (size_t)got))
            return LH_AGAIN;
        if (got == 0)
            return 0;
        // The beginning of the file is at hand as it was read, whatever becomes of the file.
        size_t len = LH_MIN(pending(follow) + (size_t)got, (size_t)HEAD);
        if (follow->lines.offset == 0 && len > follow->head_len) {
            follow->head = hash_head(at - pending(follow), len);
            follow->head_len = len;
        }
        lh_err err = lh_lines_take(&follow->lines, (size_t)got, sink);
        note_head(follow);
        if (err != 0)
            return err;
    }
}

// Whether the name leads to another file, which is in use.
static bool was_replaced(const struct lh_follow *follow)
{
    struct stat st;
    return stat(follow->path, &st) == 0 &&
           (st.st_dev != follow->device || st.st_ino != follow->inode) &&
           (st.st_size > 0 || !S_ISREG(st.st_mode));
}

// Reads the next of `older`, and remembers how far.
static lh_err
read_one(struct lh_follow *follow, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    size_t at = follow->older_at++;
    const struct lh_log *log = &follow->older.items[at];
    struct lh_log_place place = follow->older_place;
    uint8_t head[HEAD];
    char name[32];

    follow->older_place = (struct lh_log_place){0};
    // By this name it is the file that is open, whatever was renamed since.
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", follow->older_fds[at]);
    size_t len = lh_log_head(name, head, sizeof head);
    lh_err err = lh_log_read_open(follow->older_fds[at], log->path, &place, sink, info);
    len = LH_MIN(len, (size_t)LH_MIN(place.offset, (uint64_t)HEAD));
    follow->last = (struct lh_progress){.device = log->device,
                                        .inode = log->inode,
                                        .offset = place.offset,
                                        .line = place.line,
                                        .head = hash_head(head, len),
                                        .head_len = len};
    return err;
}

static lh_err
read_older(struct lh_follow *follow, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    while (follow->older_at < follow->older.count) {
        lh_err err = read_one(follow, sink, info);
        if (err == LH_E_CORRUPT || err == LH_E_LIMIT || err == LH_E_SYS)
            return LH_NONE;
        if (err != 0)
            return err;
    }
    return 0;
}

// Goes over from the file that was read up to `before` to the one that has the name now, through
// what came and went between.
static lh_err go_over(struct lh_follow *follow,
                      const struct lh_progress *before,
                      int64_t since,
                      const struct lh_line_sink *sink,
                      struct lh_errinfo *info)
{
    struct lh_errinfo why = {0};
    lh_err err = hold(follow, 0, 0, &why);
    if (err == LH_NONE)
        return 0; // not there yet
    if (err != 0 && follow->troubled)
        return 0;
    if (err != 0) {
        follow->troubled = true;
        *info = why;
        return LH_NONE;
    }
    if (before != NULL) {
        follow->last = *before;
        find_older(follow, before, since);
    }
    err = read_older(follow, sink, info);
    if (err == 0)
        err = drain(follow, sink, info);
    return err == LH_AGAIN ? 0 : err; // rewritten once more: the next call sees to it
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
    if (follow->fd < 0)
        return go_over(follow, NULL, since, sink, info);
    err = drain(follow, sink, info);
    if (err == 0 && !was_replaced(follow))
        return 0;
    // What was written between our read and the first line of the new file.
    if (err == 0)
        err = drain(follow, sink, info);
    if (err == 0)
        err = lh_lines_end(&follow->lines, sink);
    if (err != 0 && err != LH_AGAIN)
        return err;
    lh_follow_progress(follow, &before);
    return go_over(follow, &before, since, sink, info);
}

// A file that gave no line yet is not known again by its content: then it is "behind the one
// before".
void lh_follow_progress(const struct lh_follow *follow, struct lh_progress *out)
{
    bool last = follow->lines.offset == 0 && follow->last.offset > 0;
    out->device = last ? follow->last.device : follow->device;
    out->inode = last ? follow->last.inode : follow->inode;
    out->offset = last ? follow->last.offset : follow->lines.offset;
    out->line = last ? follow->last.line : follow->lines.number;
    out->head = last ? follow->last.head : follow->head;
    out->head_len = last ? follow->last.head_len : follow->head_len;
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
