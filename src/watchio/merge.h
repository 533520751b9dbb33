// SPDX-License-Identifier: Apache-2.0
//
// Log files read as one, in the order of time: those of several hosts, and what was rotated away.
#ifndef LH_WATCHIO_MERGE_H
#define LH_WATCHIO_MERGE_H

#include "watch/feed.h"
#include "watchio/logs.h"

// So many files that cover the same time are read side by side, and so many of them that need
// megabytes to be unpacked; more wait until one of these is read to its end.
#define LH_MERGE_MAX   8
#define LH_MERGE_ROOMY 2

// Feeds all lines of `logs`, which are sorted, to feed->watch; numbers of files are indices.
// `feed` itself is only the pattern of those of the files. A file that cannot be read (to its end)
// is told to `damaged`, with `info`: it returns what then to do, 0 for going on.
// What `damaged` returns, LH_E_NOMEM.
lh_err lh_merge_read(const struct lh_logs *logs,
                     const struct lh_feed *feed,
                     lh_err (*damaged)(void *context, const struct lh_log *log, lh_err err),
                     void *context,
                     struct lh_errinfo *info) LH_MUST_CHECK;

#endif
