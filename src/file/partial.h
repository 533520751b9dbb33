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
    int fd;           // owned; -1 when closed
    bool is_nameless; // `name` is chosen, and not given yet
    dev_t dev;
    ino_t ino;
};
#define LH_PARTIAL_NULL ((struct lh_partial){.fd = -1})

// Creates one and preallocates `size` bytes (fallocate; not for small files, nor where the file
// system cannot, nor on tmpfs, where it would cost as much as the writing). `partial` must be
// LH_PARTIAL_NULL or closed. LH_E_NOSPC says in `info` how many bytes are needed and how many there
// are; nothing is left behind.
lh_err lh_partial_create(struct lh_partial *partial,
                         struct lh_dir *dir,
                         uint64_t size,
                         struct lh_errinfo *info) LH_MUST_CHECK;
// The same in two steps, between which the journal can record the partial: a file without a name is
// gone with its process, so a kill at any moment leaves nothing that the journal does not know.
// Where the file system cannot do that it has its name from the start.
lh_err lh_partial_create_nameless(struct lh_partial *partial,
                                  struct lh_dir *dir,
                                  uint64_t size,
                                  struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_partial_link(struct lh_partial *partial, struct lh_errinfo *info) LH_MUST_CHECK;
// Opens one that a journal names; LH_NONE where it is gone or is not (dev, ino), a regular file of
// ours with one link and mode 0600: then it is foreign and left alone.
lh_err lh_partial_reopen(struct lh_partial *partial,
                         struct lh_dir *dir,
                         const char *name,
                         dev_t dev,
                         ino_t ino,
                         struct lh_errinfo *info) LH_MUST_CHECK;
// All of it or an error. Any thread, any order.
lh_err lh_partial_write(struct lh_partial *partial,
                        const void *data,
                        size_t len,
                        uint64_t offset,
                        struct lh_errinfo *info) LH_MUST_CHECK;
// Reads back exactly `len` bytes, to check resumed blocks by their digest; LH_E_CORRUPT where the
// file is shorter.
lh_err lh_partial_read(struct lh_partial *partial,
                       void *data,
                       size_t len,
                       uint64_t offset,
                       struct lh_errinfo *info) LH_MUST_CHECK;
// Cuts to `size`, sets mode and times, renames to `name` and closes. What has that name is
// replaced, but never a directory (LH_E_PATH). `mode` never carries set-id or sticky bits. NULL =
// what the umask gives / now. LH_E_CHANGED where the partial's name no longer is our file.
// *out_stat is the file in place. On failure the partial stays as it is: discard or close it.
lh_err lh_partial_commit(struct lh_partial *partial,
                         const char *name,
                         uint64_t size,
                         const mode_t *mode,
                         const struct timespec times[2],
                         struct stat *out_stat,
                         struct lh_errinfo *info) LH_MUST_CHECK;
void lh_partial_discard(
    struct lh_partial *partial);                   // unlinks it (only if still dev, ino) and closes
void lh_partial_close(struct lh_partial *partial); // keeps the file, for resume; idempotent

// True for names of the form that partials have.
bool lh_partial_is_name(const char *name);

// A small file in one go: what create, write and commit do, with fewer system calls.
struct lh_put {
    const char *name;
    const void *data;
    size_t len;
    const mode_t *mode;           // NULL = what the umask gives
    const struct timespec *times; // of two (access, modification); NULL = now
};
// Errors as those three. Nothing but the complete file ever has the name; on failure nothing is
// left.
lh_err lh_file_put(struct lh_dir *dir,
                   const struct lh_put *put,
                   struct stat *out_stat,
                   struct lh_errinfo *info) LH_MUST_CHECK;

#endif
