// SPDX-License-Identifier: Apache-2.0
//
// The rolling state in a file.
#ifndef LH_WATCHIO_STATEFILE_H
#define LH_WATCHIO_STATEFILE_H

#include "watch/state.h"

// Written whole beside it and renamed, so that a reader finds the old or the new. LH_E_SYS,
// LH_E_NOSPC, LH_E_INVALID.
lh_err lh_statefile_write(const char *path,
                          const struct lh_watch *watch,
                          const struct lh_progress *progress,
                          struct lh_errinfo *info) LH_MUST_CHECK;

// What lh_state_unpack does, from a file. LH_NONE where there is none, or one of another version or
// damaged: then `info` says so, and `watch` is as good as new. LH_E_INVALID for a file that others
// may write, LH_E_SYS.
lh_err lh_statefile_read(const char *path,
                         struct lh_watch *watch,
                         struct lh_progress *out_progress,
                         struct lh_errinfo *info) LH_MUST_CHECK;

#endif
