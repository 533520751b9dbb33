// SPDX-License-Identifier: Apache-2.0
//
// How it works. A bundled small file is written without a name and linked into place when complete
// (O_TMPFILE), with the directory pinned over the whole: open, write, chmod, utimens, link, stat
// and close, and a kill leaves nothing behind. Where the name is taken, or the file system has no
// nameless files, it gets a temporary name and is renamed. No preallocation, no truncation, and no
// check of the name's identity, since nobody had the time that a resumed partial gives.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "file/partial_internal.h"

struct putting {
    struct lh_dir *dir;
    int dir_fd;
    const struct lh_put *put;
    int fd;
    char temp[LH_TEMP_NAME_LEN + 1];
    bool is_named; // under `temp`
};

static int create(struct putting *putting)
{
    int error = lh_nameless_create(putting->dir_fd, O_WRONLY, &putting->fd);
    if (error != EOPNOTSUPP)
        return error;
    putting->is_named = true;
    return lh_temp_create(putting->dir, putting->dir_fd, O_WRONLY, 0600, putting->temp,
                          &putting->fd);
}

// The name is new in most cases: then a link does, and a kill can leave nothing behind.
static int put_in_place(struct putting *putting)
{
    int error = EEXIST;
    if (!putting->is_named)
        error = lh_nameless_link(putting->fd, putting->dir_fd, putting->put->name);
    if (error != EEXIST)
        return error;
    if (!putting->is_named) {
        lh_temp_name(putting->dir, putting->temp);
        error = lh_nameless_link(putting->fd, putting->dir_fd, putting->temp);
        if (error != 0)
            return error;
        putting->is_named = true;
    }
    if (renameat(putting->dir_fd, putting->temp, putting->dir_fd, putting->put->name) != 0)
        return errno;
    putting->is_named = false;
    return 0;
}

static lh_err put_below(struct putting *putting, struct stat *out_stat, struct lh_errinfo *info)
{
    const struct lh_put *put = putting->put;
    struct lh_dir *dir = putting->dir;
    lh_err err = LH_OK;
    int error = create(putting);
    if (error != 0)
        return lh_dir_fail(info, error, dir, put->name, "cannot create a file for");
    error = lh_write_all(putting->fd, put->data, put->len, 0);
    if (error == 0)
        error = lh_finish_file(putting->fd, dir, put->mode, put->times);
    if (error != 0)
        err = lh_dir_fail(info, error, dir, put->name, "cannot write");
    else if ((error = put_in_place(putting)) != 0)
        err = lh_rename_fail(info, error, dir, put->name);
    else if (fstat(putting->fd, out_stat) != 0)
        err = lh_dir_fail(info, errno, dir, put->name, "cannot examine");
    if (putting->is_named)
        (void)unlinkat(putting->dir_fd, putting->temp, 0);
    (void)close(putting->fd);
    return err;
}

lh_err lh_file_put(struct lh_dir *dir,
                   const struct lh_put *put,
                   struct stat *out_stat,
                   struct lh_errinfo *info)
{
    struct putting putting = {.dir = dir, .put = put, .fd = -1};
    lh_err err = lh_name_check(put->name, strnlen(put->name, LH_NAME_MAX + 1));
    if (err != 0)
        return lh_fail(info, err, 0, "%.64s: not an acceptable file name", put->name);
    err = lh_dir_pin(dir, &putting.dir_fd, info);
    if (err != 0)
        return err;
    err = put_below(&putting, out_stat, info);
    lh_dir_unpin(dir);
    return err;
}
