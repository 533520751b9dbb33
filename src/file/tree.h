// SPDX-License-Identifier: Apache-2.0
//
// Confinement by construction: every name that acts on the file system is ONE path component below
// a held directory descriptor. Peers never send paths, only components and the number of a parent
// directory, so "..", absolute names and symlinked parents cannot be expressed, let alone followed
// (threats T25, T28).
//
// An lh_dir is a node of the tree below one root. It knows its parent and its name; its descriptor
// may be closed by an LRU (LH_DIR_FDS_MAX open at once) and is then reopened from the root by openat2
// (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS), or, where the kernel lacks it, by a
// walk of single components with O_NOFOLLOW | O_DIRECTORY; both check that (dev, ino) is still the
// directory that was opened first, else LH_E_PATH.
//
// Thread-safe: workers of file/ioq.h use it at once; one mutex per tree.
#ifndef LH_FILE_TREE_H
#define LH_FILE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

#define LH_DIR_FDS_MAX 128

struct lh_tree; // one root and its nodes
struct lh_dir;  // a directory below it, reference-counted

// Opens `path` (resolved as the calling user may, symlinks included) as a root. The path must be a
// directory.
lh_err lh_tree_open(const char *path, struct lh_tree **out_tree,
                    struct lh_errinfo *info) LH_MUST_CHECK;
void lh_tree_free(struct lh_tree *tree); // every lh_dir of it must have been released
struct lh_dir *lh_tree_root(struct lh_tree *tree); // a new reference

// LH_E_PATH unless `name` is one plain component: 1 .. LH_NAME_MAX bytes, no '/', no NUL, not "."
// and not "..".
lh_err lh_name_check(const char *name, size_t len) LH_MUST_CHECK;

// The child directory `name` of `parent`, which must exist and be a real directory (a symlink is
// LH_E_PATH). With `make`, creates it first with mode 0700 where nothing is there (LH_OK either way;
// *out_made tells). Takes its own reference on parent.
lh_err lh_dir_open(struct lh_dir *parent, const char *name, bool make, struct lh_dir **out_dir,
                   bool *out_made, struct lh_errinfo *info) LH_MUST_CHECK;
struct lh_dir *lh_dir_ref(struct lh_dir *dir);
void lh_dir_unref(struct lh_dir *dir); // accepts NULL

// A descriptor of `dir`, pinned open until lh_dir_unpin; do not close it.
lh_err lh_dir_pin(struct lh_dir *dir, int *out_fd, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_dir_unpin(struct lh_dir *dir);

// "a/b/c" below the root, for messages only. Cut at the front with "..." where the room does not do.
char *lh_dir_path(const struct lh_dir *dir, const char *name, char *out, size_t room);

// fstatat without following. LH_NONE where nothing has that name.
lh_err lh_dir_stat(struct lh_dir *dir, const char *name, struct stat *out_stat,
                   struct lh_errinfo *info) LH_MUST_CHECK;
// Opens a regular file for reading: O_NOFOLLOW, O_NONBLOCK, then fstat; anything but a regular file is
// LH_E_PATH (a FIFO cannot hang us, T31).
lh_err lh_dir_open_file(struct lh_dir *dir, const char *name, int *out_fd, struct stat *out_stat,
                        struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_dir_symlink(struct lh_dir *dir, const char *name, const char *target,
                      struct lh_errinfo *info) LH_MUST_CHECK; // replaces a symlink or file, atomically
lh_err lh_dir_set_attributes(struct lh_dir *dir, const char *name, const mode_t *mode,
                             const struct timespec times[2],
                             struct lh_errinfo *info) LH_MUST_CHECK; // NULL = leave

#endif
