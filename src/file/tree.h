// SPDX-License-Identifier: Apache-2.0
//
// Confinement by construction: every name that acts on the file system is ONE path component below
// a held directory descriptor. Peers never send paths, only components and the number of a parent
// directory, so "..", absolute names and symlinked parents cannot be expressed, let alone followed
// (threats T25, T28).
//
// An lh_dir is a node of the tree below one root. It knows its parent and its name; its descriptor
// may be closed by an LRU (LH_DIR_FDS_MAX open at once, at most a quarter of RLIMIT_NOFILE) and is
// then reopened from its nearest open ancestor by openat2 (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
// RESOLVE_NO_MAGICLINKS), or, where the kernel lacks it, by a walk of single components with
// O_NOFOLLOW | O_DIRECTORY; both check that (dev, ino) is still the directory that was opened
// first, else LH_E_PATH.
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
// directory. Reads the process's umask, once.
lh_err
lh_tree_open(const char *path, struct lh_tree **out_tree, struct lh_errinfo *info) LH_MUST_CHECK;
// Releases the tree; it lives on until the last lh_dir of it is released too. NULL is fine.
void lh_tree_free(struct lh_tree *tree);
struct lh_dir *lh_tree_root(struct lh_tree *tree); // a new reference

// Temporary names made below the tree from now on begin with ".lh-" and `mark` (at most so many
// characters of base64url), so that lh_dir_sweep can tell a job's own from others'. Not while other
// threads use the tree.
#define LH_TEMP_MARK_MAX 10
void lh_tree_mark_temps(struct lh_tree *tree, const char *mark);

// LH_E_PATH unless `name` is one plain component: 1 .. LH_NAME_MAX bytes, no '/', no NUL, not "."
// and not "..". Every function below that takes a name checks it so.
lh_err lh_name_check(const char *name, size_t len) LH_MUST_CHECK;

// The child directory `name` of `parent`, which must exist and be a real directory (a symlink is
// LH_E_PATH). With `make`, creates it first with mode 0700 where nothing is there (LH_OK either
// way; *out_made, which may be NULL, tells). Takes its own reference on parent. LH_E_SYS with
// ENOENT where it is missing, LH_E_LIMIT below LH_DEPTH_MAX.
lh_err lh_dir_open(struct lh_dir *parent,
                   const char *name,
                   bool make,
                   struct lh_dir **out_dir,
                   bool *out_made,
                   struct lh_errinfo *info) LH_MUST_CHECK;
struct lh_dir *lh_dir_ref(struct lh_dir *dir);
void lh_dir_unref(struct lh_dir *dir); // accepts NULL

// A descriptor of `dir` (O_PATH: for the *at() calls only), pinned open until lh_dir_unpin; do not
// close it.
lh_err lh_dir_pin(struct lh_dir *dir, int *out_fd, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_dir_unpin(struct lh_dir *dir);

// The umask found when the tree was opened: a new directory without a mode of its own gets
// 0777 & ~umask, a new file 0666 & ~umask.
mode_t lh_dir_umask(const struct lh_dir *dir);
// How many directories lie between the root (0) and `dir`.
unsigned lh_dir_depth(const struct lh_dir *dir);
// Which directory it is, for comparing nodes (two names of one directory on a folding file system).
void lh_dir_identity(const struct lh_dir *dir, dev_t *out_dev, ino_t *out_ino);

// "a/b/c" below the root, for messages only; `name` may be NULL for the directory itself ("." for
// the root). Cut at the front with "..." where the room (>= 8, three of it kept for them) does
// not do. Returns `out`.
char *lh_dir_path(const struct lh_dir *dir, const char *name, char *out, size_t room);

// fstatat without following. LH_NONE where nothing has that name.
lh_err lh_dir_stat(struct lh_dir *dir,
                   const char *name,
                   struct stat *out_stat,
                   struct lh_errinfo *info) LH_MUST_CHECK;
// The same for `dir` itself.
lh_err
lh_dir_stat_self(struct lh_dir *dir, struct stat *out_stat, struct lh_errinfo *info) LH_MUST_CHECK;
// Opens a regular file for reading: O_NOFOLLOW, O_NONBLOCK, then fstat; anything but a regular file
// is LH_E_PATH (a FIFO cannot hang us, T31). LH_E_SYS with ENOENT where it is missing. The
// descriptor is the caller's.
lh_err lh_dir_open_file(struct lh_dir *dir,
                        const char *name,
                        int *out_fd,
                        struct stat *out_stat,
                        struct lh_errinfo *info) LH_MUST_CHECK;
// Makes a symlink; replaces what has that name, atomically, but never a directory (LH_E_PATH).
lh_err lh_dir_symlink(struct lh_dir *dir,
                      const char *name,
                      const char *target,
                      struct lh_errinfo *info) LH_MUST_CHECK;
// Text of a symlink, terminated. LH_E_PATH where `name` is none, LH_E_LIMIT where it does not fit.
lh_err lh_dir_read_link(struct lh_dir *dir,
                        const char *name,
                        char *out,
                        size_t room,
                        struct lh_errinfo *info) LH_MUST_CHECK;
// Removes a file, symlink or special file. LH_NONE where nothing has that name, LH_E_PATH for a
// directory.
lh_err lh_dir_unlink(struct lh_dir *dir, const char *name, struct lh_errinfo *info) LH_MUST_CHECK;
// Removes the temporary files that a killed process left in `dir`: those whose names begin with
// ".lh-" and `mark`, that are ours (owner; a regular file with one link, or a symlink), and that
// `keep` does not want to stay. What cannot be removed stays.
lh_err lh_dir_sweep(struct lh_dir *dir,
                    const char *mark,
                    bool (*keep)(void *context, const char *name, const struct stat *found),
                    void *context,
                    struct lh_errinfo *info) LH_MUST_CHECK;
// Sets mode and times (access, modification); NULL = leave. `name` NULL means `dir` itself, by its
// descriptor: the way for directories. Follows nothing: a symlink gets the times only. Set-id and
// sticky bits are never set; a directory keeps those it has. LH_E_PATH for special files.
lh_err lh_dir_set_attributes(struct lh_dir *dir,
                             const char *name,
                             const mode_t *mode,
                             const struct timespec times[2],
                             struct lh_errinfo *info) LH_MUST_CHECK;

#endif
