// SPDX-License-Identifier: Apache-2.0
//
// Steps that partial.c and put.c share. All return an errno, 0 when done, unless said otherwise.
#ifndef LH_FILE_PARTIAL_INTERNAL_H
#define LH_FILE_PARTIAL_INTERNAL_H

#include "file/partial.h"
#include "file/tree_internal.h"

// A new file under a random name, exclusively.
int lh_temp_create(const struct lh_dir *dir,
                   int dir_fd,
                   int extra_flags,
                   mode_t mode,
                   char name[LH_TEMP_NAME_LEN + 1],
                   int *out_fd);
// A new file without a name, 0600, which is gone with its descriptor however the process ends
// (O_TMPFILE). EOPNOTSUPP where the file system has no such thing.
int lh_nameless_create(int dir_fd, int access, int *out_fd);
// Gives it a name that nothing has; EEXIST otherwise.
int lh_nameless_link(int fd, int dir_fd, const char *name);
int lh_write_all(int fd, const void *data, size_t len, uint64_t offset);
// Final mode and times of a file that was made with 0600.
int lh_finish_file(int fd,
                   const struct lh_dir *dir,
                   const mode_t *mode,
                   const struct timespec times[2]);
// The lh_err and text of a failed rename to `name`.
lh_err
lh_rename_fail(struct lh_errinfo *info, int error, const struct lh_dir *dir, const char *name);

#endif
