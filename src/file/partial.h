// SPDX-License-Identifier: Apache-2.0
//
// A file on its way: written under ".lh-" + 22 random characters beside its target (0600, O_EXCL),
// renamed when complete and verified. Under the final name there is at every instant the old file,
// the new file or nothing (promise N2).
#ifndef LH_FILE_PARTIAL_H
#define LH_FILE_PARTIAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "file/tree.h"

#define LH_PARTIAL_NAME_LEN 26 // ".lh-" and 22 characters of base64url, without the NUL

struct lh_partial {
    struct lh_dir *dir; // owned reference
    char name[LH_PARTIAL_NAME_LEN + 1];
    int fd; // owned; -1 when closed
    dev_t dev;
    ino_t ino;
};
#define LH_PARTIAL_NULL ((struct lh_partial){.fd = -1})

// Creates one and preallocates `size` bytes (fallocate; skipped where the file system cannot).
// LH_E_NOSPC says in `info` how many bytes are needed and how many there are.
lh_err lh_partial_create(struct lh_partial *partial, struct lh_dir *dir, uint64_t size,
                         struct lh_errinfo *info) LH_MUST_CHECK;
// Opens one that a journal names; LH_NONE where it is gone or is not (dev, ino), a regular file of
// ours with one link and mode 0600: then it is foreign and left alone.
lh_err lh_partial_reopen(struct lh_partial *partial, struct lh_dir *dir, const char *name, dev_t dev,
                         ino_t ino, struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_partial_write(struct lh_partial *partial, const void *data, size_t len, uint64_t offset,
                        struct lh_errinfo *info) LH_MUST_CHECK; // all of it or an error
// Sets mode and times, cuts to `size`, renames to `name`; directories are never replaced (LH_E_PATH).
// `mode` never carries set-id or sticky bits. NULL = what the umask gives / now.
lh_err lh_partial_commit(struct lh_partial *partial, const char *name, uint64_t size,
                         const mode_t *mode, const struct timespec times[2],
                         struct stat *out_stat, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_partial_discard(struct lh_partial *partial); // unlinks it (only if still dev, ino) and closes
void lh_partial_close(struct lh_partial *partial);   // keeps the file, for resume

#endif
