// SPDX-License-Identifier: Apache-2.0
//
// What src/file and its unit tests share of the tree: the two ways to resolve a path below a
// descriptor, and temporary names.
#ifndef LH_FILE_TREE_INTERNAL_H
#define LH_FILE_TREE_INTERNAL_H

#include "base/cleanup.h"
#include "base/err.h"
#include "file/tree.h"

// Opens the directory "a/b/c" (plain components only) below `base_fd` with O_PATH. Return an errno,
// 0 when done. The first needs openat2 (ENOSYS and the like where it is missing); the second holds
// on every kernel, and is the reference that the first is tested against.
int lh_resolve_openat2(int base_fd, const char *path, int *out_fd);
int lh_resolve_walk(int base_fd, const char *path, int *out_fd);

// From now on this tree reopens by the walk only.
void lh_tree_force_walk(struct lh_tree *tree);
// Closes every descriptor that may be closed, as if the LRU had.
void lh_tree_drop_fds(struct lh_tree *tree);
// Descriptors of the tree's directories open now, the root's included.
size_t lh_tree_open_fds(struct lh_tree *tree);

// ".lh-" and 22 characters of base64url, terminated: the mark of the directory's tree, if it has
// one, then random ones.
#define LH_TEMP_NAME_LEN 26
void lh_temp_name(const struct lh_dir *dir, char out[LH_TEMP_NAME_LEN + 1]);

LH_DEFINE_FREEP(struct lh_dir, lh_dir_unref)
LH_DEFINE_FREEP(struct lh_tree, lh_tree_free)

// Leaves with `what` and the path in `info`: a failed system call on dir/name.
lh_err lh_dir_fail(struct lh_errinfo *info,
                   int saved_errno,
                   const struct lh_dir *dir,
                   const char *name,
                   const char *what);

#endif
