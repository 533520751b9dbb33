// SPDX-License-Identifier: Apache-2.0
//
// A source file being read, block by block and in any order, and the proof that it did not change
// meanwhile (promise N7).
#ifndef LH_FILE_SOURCE_H
#define LH_FILE_SOURCE_H

#include <sys/stat.h>

#include "base/err.h"
#include "file/tree.h"

struct lh_source {
    int fd;             // owned; -1 when closed
    struct stat opened; // as it was when opened
};
#define LH_SOURCE_NULL ((struct lh_source){.fd = -1})

// Errors as lh_dir_open_file.
lh_err lh_source_open(struct lh_source *source,
                      struct lh_dir *dir,
                      const char *name,
                      struct lh_errinfo *info) LH_MUST_CHECK;
// Exactly `len` bytes from `offset`. LH_E_CHANGED where the file has become shorter. Any thread.
lh_err lh_source_read(const struct lh_source *source,
                      void *data,
                      size_t len,
                      uint64_t offset,
                      struct lh_errinfo *info) LH_MUST_CHECK;
// LH_E_CHANGED unless size, mtime, ctime and inode are what they were when it was opened. Call it
// after the last read: what was read before then is one state of the file.
lh_err lh_source_check(const struct lh_source *source, struct lh_errinfo *info) LH_MUST_CHECK;
// The same for the state that was announced earlier (LH_WALK_FILE) against what was opened.
bool lh_source_is(const struct lh_source *source, const struct stat *announced);
void lh_source_close(struct lh_source *source); // idempotent

#endif
