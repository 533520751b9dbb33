// SPDX-License-Identifier: Apache-2.0
#include "file/source.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"

lh_err lh_source_open(struct lh_source *source,
                      struct lh_dir *dir,
                      const char *name,
                      struct lh_errinfo *info)
{
    struct lh_source opened = LH_SOURCE_NULL;
    LH_ASSERT(source->fd < 0);
    lh_err err = lh_dir_open_file(dir, name, &opened.fd, &opened.opened, info);
    if (err != 0)
        return err;
    if (opened.opened.st_size > LH_SMALL_FILE_MAX) // advice only: a refusal does no harm
        (void)posix_fadvise(opened.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *source = opened;
    return LH_OK;
}

lh_err lh_source_read(const struct lh_source *source,
                      void *data,
                      size_t len,
                      uint64_t offset,
                      struct lh_errinfo *info)
{
    uint8_t *at = data;
    LH_ASSERT(source->fd >= 0);
    while (len > 0) {
        ssize_t got = pread(source->fd, at, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lh_fail_errno(info, errno, 0, "cannot read at byte %llu",
                                 (unsigned long long)offset);
        if (got == 0)
            return lh_fail(info, LH_E_CHANGED, 0, "the file became shorter while it was read");
        at += got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return LH_OK;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
           same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

bool lh_source_is(const struct lh_source *source, const struct stat *announced)
{
    return same_state(&source->opened, announced);
}

lh_err lh_source_check(const struct lh_source *source, struct lh_errinfo *info)
{
    struct stat now;
    LH_ASSERT(source->fd >= 0);
    if (fstat(source->fd, &now) != 0)
        return lh_fail_errno(info, errno, 0, "cannot examine the file again");
    if (LH_GUARD(SOURCE_CHANGED, !same_state(&now, &source->opened)))
        return lh_fail(info, LH_E_CHANGED, 0, "the file changed while it was read");
    return LH_OK;
}

void lh_source_close(struct lh_source *source)
{
    if (source->fd >= 0)
        (void)close(source->fd);
    source->fd = -1;
}
