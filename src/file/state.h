// SPDX-License-Identifier: Apache-2.0
//
// Directories of our own: where the journals are, and whatever else outlives a run.
#ifndef LH_FILE_STATE_H
#define LH_FILE_STATE_H

#include <stddef.h>

#include "base/err.h"

// ${XDG_STATE_HOME:-$HOME/.local/state}/longhaul, made (0700) where missing and checked as below.
// Without HOME the password database tells. `room` of LH_PATH_TEXT_MAX always does.
lh_err lh_state_dir(char *out, size_t room, struct lh_errinfo *info) LH_MUST_CHECK;

// Opens the directory `path` (absolute), making what is missing with mode 0700. On the way a
// symlink is followed only when root or we own it, so that nobody else can lead us elsewhere (T29).
// The last directory must be ours; where others may write into it, that is taken from them.
// LH_E_PATH where that does not hold, LH_E_SYS. The descriptor (O_RDONLY) is the caller's.
lh_err lh_owned_dir_open(const char *path, int *out_fd, struct lh_errinfo *info) LH_MUST_CHECK;

#endif
