// SPDX-License-Identifier: Apache-2.0
//
// How it works. A process that is killed between making a temporary file and telling its journal
// leaves a file that nobody knows. Its name says whose it was: a mark that stands for the job. The
// job holds its journal's lock, so no other process makes files with this mark, and those that the
// journal does not know may go.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "file/partial.h"
#include "file/tree_internal.h"

static bool is_ours(int dir_fd, const char *name, struct stat *out_found)
{
    if (fstatat(dir_fd, name, out_found, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    bool is_kind =
        S_ISLNK(out_found->st_mode) || (S_ISREG(out_found->st_mode) && out_found->st_nlink == 1);
    return is_kind && out_found->st_uid == geteuid();
}

lh_err lh_dir_sweep(struct lh_dir *dir,
                    const char *mark,
                    bool (*keep)(void *context, const char *name, const struct stat *found),
                    void *context,
                    struct lh_errinfo *info)
{
    int dir_fd;
    size_t mark_len = strlen(mark);
    LH_ASSERT(mark_len > 0 && mark_len <= LH_TEMP_MARK_MAX);
    lh_err err = lh_dir_pin(dir, &dir_fd, info);
    if (err != 0)
        return err;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        err = lh_dir_fail(info, errno, dir, NULL, "cannot list");
        if (fd >= 0)
            (void)close(fd);
    }
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        const char *name = entry->d_name;
        struct stat found;
        if (!lh_partial_is_name(name) || strncmp(name + 4, mark, mark_len) != 0)
            continue;
        if (is_ours(dir_fd, name, &found) && !keep(context, name, &found))
            (void)unlinkat(dir_fd, name, 0);
    }
    if (stream != NULL)
        (void)closedir(stream);
    lh_dir_unpin(dir);
    return err;
}
