// SPDX-License-Identifier: Apache-2.0
//
// How it works. The state passes through a small buffer, in both directions: it may be as large as
// the tables themselves, and a second copy would double what a run needs.
#include "watchio/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"
#include "watchio/logs.h"

#define BUFFER ((size_t)64 << 10)

struct statefile {
    int fd;
    const char *path;
    struct lh_errinfo *info;
    lh_err err; // of reading
    size_t at;  // of buffer: the first byte not yet given
    size_t used;
    uint8_t buffer[BUFFER];
};

static lh_err flush(struct statefile *file)
{
    for (size_t at = 0; at < file->used;) {
        ssize_t put = write(file->fd, file->buffer + at, file->used - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return lh_fail_errno(file->info, errno, 0, "cannot write %s", file->path);
        at += (size_t)put;
    }
    file->used = 0;
    return 0;
}

static lh_err put(void *context, const void *data, size_t len)
{
    struct statefile *file = context;
    const uint8_t *from = data;
    while (len > 0) {
        size_t part = LH_MIN(len, BUFFER - file->used);
        memcpy(file->buffer + file->used, from, part);
        file->used += part;
        from += part;
        len -= part;
        lh_err err = file->used == BUFFER ? flush(file) : 0;
        if (err != 0)
            return err;
    }
    return 0;
}

// Reads into the empty buffer. False at the end, and where it cannot be read.
static bool fill(struct statefile *file)
{
    ssize_t got;
    do {
        got = read(file->fd, file->buffer, BUFFER);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        file->err = lh_fail_errno(file->info, errno, 0, "cannot read %s", file->path);
    file->at = 0;
    file->used = got > 0 ? (size_t)got : 0;
    return got > 0;
}

static size_t get(void *context, void *out, size_t len)
{
    struct statefile *file = context;
    uint8_t *to = out;
    size_t have = 0;
    while (have < len && (file->at < file->used || fill(file))) {
        size_t part = LH_MIN(len - have, file->used - file->at);
        memcpy(to + have, file->buffer + file->at, part);
        file->at += part;
        have += part;
    }
    return have;
}

static void sync_folder(const char *path)
{
    char folder[LH_PATH_TEXT_MAX];
    lh_folder_of(path, folder, sizeof folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

lh_err lh_statefile_write(const char *path,
                          const struct lh_watch *watch,
                          const struct lh_progress *progress,
                          struct lh_errinfo *info)
{
    char temporary[LH_PATH_TEXT_MAX];
    int used = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (used < 0 || (size_t)used >= sizeof temporary)
        return lh_fail(info, LH_E_INVALID, 0, "the name of the state's file is too long");
    // What a killed run left there is ours to replace.
    (void)unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot write %s", temporary);
    struct statefile file = {.fd = fd, .path = temporary, .info = info};
    struct lh_state_sink sink = {put, &file};
    lh_err err = lh_state_pack(watch, progress, &sink);
    if (err == 0)
        err = flush(&file);
    if (err == 0 && fsync(fd) != 0)
        err = lh_fail_errno(info, errno, 0, "cannot write %s", temporary);
    (void)close(fd);
    if (err == 0 && rename(temporary, path) != 0)
        err = lh_fail_errno(info, errno, 0, "cannot rename %s", temporary);
    if (err != 0)
        (void)unlink(temporary);
    else
        sync_folder(path);
    return err;
}

static lh_err
read_file(struct statefile *file, struct lh_watch *watch, struct lh_progress *out_progress)
{
    struct stat st;
    struct lh_state_source source = {get, file};
    if (fstat(file->fd, &st) != 0)
        return lh_fail_errno(file->info, errno, 0, "cannot read %s", file->path);
    bool ours = S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
    if (LH_GUARD(STATEFILE_OWNER, !ours))
        return lh_fail(file->info, LH_E_INVALID, 0,
                       "%s is not a file that only you may write: it is not believed", file->path);
    lh_err err = lh_state_unpack(watch, out_progress, &source);
    if (err == 0 || file->err != 0)
        return file->err;
    (void)lh_fail(file->info, err, 0, "%s is of another version, or damaged", file->path);
    return LH_NONE;
}

lh_err lh_statefile_read(const char *path,
                         struct lh_watch *watch,
                         struct lh_progress *out_progress,
                         struct lh_errinfo *info)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? LH_NONE : lh_fail_errno(info, errno, 0, "cannot read %s", path);
    struct statefile file = {.fd = fd, .path = path, .info = info};
    lh_err err = read_file(&file, watch, out_progress);
    (void)close(fd);
    return err;
}
