// SPDX-License-Identifier: Apache-2.0
//
// How it works. A bundled small file is written under a temporary name and renamed at once, with
// the directory pinned over the whole. That is open, write, chmod, utimens, rename, stat and close:
// no preallocation, no truncation, and no check of the name's identity, since nobody had the time
// that a resumed partial gives.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "file/partial_internal.h"

static lh_err put_below(int dir_fd,
                        struct lh_dir *dir,
                        const struct lh_put *put,
                        struct stat *out_stat,
                        struct lh_errinfo *info)
{
    char temp[LH_TEMP_NAME_LEN + 1];
    int fd = -1;
    lh_err err = LH_OK;
    int error = lh_temp_create(dir, dir_fd, O_WRONLY, 0600, temp, &fd);
    if (error != 0)
        return lh_dir_fail(info, error, dir, put->name, "cannot create a file for");
    error = lh_write_all(fd, put->data, put->len, 0);
    if (error == 0)
        error = lh_finish_file(fd, dir, put->mode, put->times);
    if (error != 0)
        err = lh_dir_fail(info, error, dir, put->name, "cannot write");
    else if (renameat(dir_fd, temp, dir_fd, put->name) != 0)
        err = lh_rename_fail(info, errno, dir, put->name);
    if (err != 0)
        (void)unlinkat(dir_fd, temp, 0);
    else if (fstat(fd, out_stat) != 0)
        err = lh_dir_fail(info, errno, dir, put->name, "cannot examine");
    (void)close(fd);
    return err;
}

lh_err lh_file_put(struct lh_dir *dir,
                   const struct lh_put *put,
                   struct stat *out_stat,
                   struct lh_errinfo *info)
{
    int dir_fd;
    lh_err err = lh_name_check(put->name, strnlen(put->name, LH_NAME_MAX + 1));
    if (err != 0)
        return lh_fail(info, err, 0, "%.64s: not an acceptable file name", put->name);
    err = lh_dir_pin(dir, &dir_fd, info);
    if (err != 0)
        return err;
    err = put_below(dir_fd, dir, put, out_stat, info);
    lh_dir_unpin(dir);
    return err;
}
