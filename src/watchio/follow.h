// SPDX-License-Identifier: Apache-2.0
//
// A log file that grows and is rotated away, followed.
#ifndef LH_WATCHIO_FOLLOW_H
#define LH_WATCHIO_FOLLOW_H

#include "watch/state.h"
#include "watchio/lines.h"
#include "watchio/logs.h"

struct lh_follow {
    const char *path; // not owned
    int fd;           // of the file as it was opened; -1: not there (yet)
    int notify;       // inotify, or -1: then only time wakes
    uint64_t device, inode;
    struct lh_lines lines;
    uint64_t head;                   // hash of its first bytes
    size_t head_len;                 // of how many
    bool troubled;                   // it could not be opened, which was told
    struct lh_progress last;         // of the file before, for as long as this one gave no line
    struct lh_logs older;            // rotated away, to be read first, in this order
    int *older_fds;                  // owned: they are open, since packers remove what they packed
    size_t older_at;                 // the next of them
    struct lh_log_place older_place; // where in the next
};

// Begins at `progress` where its file is still there, under its name or a rotated one, packed or
// not, and goes on with what was rotated away after it: the files that begin at `since` (seconds
// since 1970, of the latest line that was read; 0: not known) or later. A `progress` of zeros is
// the beginning of the file as it is. `path` must outlive it. LH_E_SYS, LH_E_NOMEM.
lh_err lh_follow_new(const char *path,
                     const struct lh_progress *progress,
                     int64_t since,
                     struct lh_follow **out,
                     struct lh_errinfo *info) LH_MUST_CHECK;
void lh_follow_free(struct lh_follow *follow); // accepts NULL

// Gives all complete lines that are there now to `sink`; goes over to the new file when the old one
// was rotated away, is read to its end and the new one has its first bytes. LH_NONE where a rotated
// file cannot be read (to its end), or the new one not be opened, which `info` tells: call it
// again, it goes on behind that file. LH_E_SYS, or what the sink returns.
lh_err lh_follow_read(struct lh_follow *follow,
                      int64_t since,
                      const struct lh_line_sink *sink,
                      struct lh_errinfo *info) LH_MUST_CHECK;

// How far the complete lines reach.
void lh_follow_progress(const struct lh_follow *follow, struct lh_progress *out);

// Waits until something happened to the file, or `milliseconds` passed, or a signal came.
void lh_follow_wait(struct lh_follow *follow, int milliseconds);

#endif
