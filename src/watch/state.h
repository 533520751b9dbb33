// SPDX-License-Identifier: Apache-2.0
//
// The rolling state as bytes, so that `--follow` goes on where it was killed.
//
// Only for the same program on the same machine: entries are stored as they lie in memory, and the
// header names their sizes, so that another version starts afresh instead of misreading them. What
// is read is checked: a digest over all, and every count and index that the code relies on.
#ifndef LH_WATCH_STATE_H
#define LH_WATCH_STATE_H

#include "watch/watch.h"

// How far the inputs were read.
struct lh_progress {
    uint64_t device, inode, offset; // of the log file
    uint64_t line;                  // lines read of it
    uint64_t head, head_len;        // hash of its first bytes, and of how many; 0: not known
    char cursor[256];               // of the journal
};

// Where the bytes go: an error ends the packing and is returned.
struct lh_state_sink {
    lh_err (*put)(void *context, const void *data, size_t len);
    void *context;
};
// Where they come from: fewer than `len` only at the end.
struct lh_state_source {
    size_t (*get)(void *context, void *out, size_t len);
    void *context;
};

// Needs no memory that grows with what is known. Only what the sink returns.
lh_err lh_state_pack(const struct lh_watch *watch,
                     const struct lh_progress *progress,
                     const struct lh_state_sink *sink) LH_MUST_CHECK;

// Replaces what `watch` (initialised) holds. LH_E_VERSION for another version's, LH_E_CORRUPT;
// `watch` is then as good as new.
lh_err lh_state_unpack(struct lh_watch *watch,
                       struct lh_progress *out_progress,
                       const struct lh_state_source *source) LH_MUST_CHECK;

#endif
