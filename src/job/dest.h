// SPDX-License-Identifier: Apache-2.0
//
// Where things go: the destination-name rule of `ascp`, as a pure function of what was asked and
// what is there. It is often got wrong; the tests hold its whole table.
//
//   DEST is the new item's own name only if all of these hold: one source, no -d, DEST is not an
//   existing directory, its parent is one. Otherwise DEST is a directory to put the items in: it
//   must exist, or -d makes it with its parents.
#ifndef LH_JOB_DEST_H
#define LH_JOB_DEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/limits.h"

enum lh_dest_is {
    LH_DEST_IS_MISSING,
    LH_DEST_IS_DIRECTORY, // or a symlink to one
    LH_DEST_IS_OTHER      // a file or anything else
};

struct lh_dest_facts {
    size_t source_count;
    bool make_directory; // -d, or a source list
    enum lh_dest_is dest;
    bool parent_is_directory; // of DEST without trailing "/" and "/."
};

enum lh_dest_plan {
    LH_DEST_RENAME,         // the item gets DEST's last component as its name, in DEST's parent
    LH_DEST_INTO,           // items go below the existing directory DEST under their own names
    LH_DEST_MAKE_AND_INTO,  // the same, after making DEST and its missing parents
    LH_DEST_NO_PARENT,      // refused: the parent directory is missing; -d would make it
    LH_DEST_NOT_THERE,      // refused: several sources need a directory; -d would make it
    LH_DEST_NOT_A_DIRECTORY // refused: something else has that name
};

enum lh_dest_plan lh_dest_plan(const struct lh_dest_facts *facts);

// DEST as a path split into parent and last component, trailing slashes and "/." removed:
// "d/f/." is parent "d", name "f"; "f" is parent "." name "f"; "", ".", "..", "/" and "d/.." have
// no name: they can only be directories, and `name` is empty, parent all of it.
struct lh_dest_split {
    char parent[LH_PATH_TEXT_MAX + 1];
    char name[LH_NAME_MAX + 1];
};
// LH_E_PATH: too long, or holds NUL.
lh_err lh_dest_split(const char *dest, size_t len, struct lh_dest_split *out_split) LH_MUST_CHECK;

// The path below DEST under which a source's content goes when its name is kept: its last
// component;
// "" (the content itself) where it has none ("." ".." "/" "d/."), as `cp -r` does. With `base` (the
// option --src-base, NULL = none) everything behind it: "d1/d2/f2" with base "d1" is "d2/f2".
// LH_E_PATH: too long, or not below `base`, or with ".." behind it.
lh_err lh_source_name(const char *source,
                      size_t len,
                      const char *base,
                      char out_name[LH_PATH_TEXT_MAX + 1]) LH_MUST_CHECK;

// True for "" and for one or more plain components joined by single slashes.
bool lh_relative_path_ok(const char *path, size_t len);

#endif
