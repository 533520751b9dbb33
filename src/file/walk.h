// SPDX-License-Identifier: Apache-2.0
//
// Walks a source tree without recursion and without ever following a symlink below its root; at
// most LH_DEPTH_MAX deep. Entries come parents first; each directory's entries are read in one go
// and sorted by name (bytes), files before directories, so that two walks of the same tree give the
// same order.
#ifndef LH_FILE_WALK_H
#define LH_FILE_WALK_H

#include "base/err.h"
#include "file/tree.h"

enum lh_walk_kind {
    LH_WALK_DIR, // entering a directory; `self` is its node
    LH_WALK_FILE,
    LH_WALK_SYMLINK, // `link_target` is filled
    LH_WALK_SPECIAL, // device, FIFO, socket: to be skipped with a notice
    LH_WALK_ERROR    // `info` says what could not be read; the walk goes on
};

struct lh_walk_entry {
    enum lh_walk_kind kind;
    // The directory that holds the entry, borrowed: lh_dir_ref it to keep it. NULL for a root that
    // is a directory; for a root that is a file, the directory the file really lies in.
    struct lh_dir *parent;
    struct lh_dir *self;    // borrowed; LH_WALK_DIR only
    uint64_t dir_number;    // LH_WALK_DIR: the walk's own number of it, from 1
    uint64_t parent_number; // number of the parent, 0 for the root entry (and only for it)
    const char *name; // one component; valid until the next call. Root: its real name ("" for /)
    struct stat stat; // not followed; all zero where LH_WALK_ERROR says it could not be had
    const char *link_target; // LH_WALK_SYMLINK; valid until the next call
    struct lh_errinfo info;  // LH_WALK_ERROR
};

struct lh_walk;

// `path` names a file, a directory or (as ascp does for arguments) a symlink to one, which is
// followed. LH_E_SYS where it does not exist, LH_E_PATH where it is something else.
lh_err
lh_walk_open(const char *path, struct lh_walk **out_walk, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_walk_free(struct lh_walk *walk); // NULL is fine; referenced directories live on
// LH_EOF at the end. May block on disk: call it from a task. LH_E_NOMEM ends the walk.
// A directory that cannot be read comes as LH_WALK_DIR and then, with the same name, LH_WALK_ERROR.
lh_err lh_walk_next(struct lh_walk *walk, struct lh_walk_entry *out_entry) LH_MUST_CHECK;

#endif
