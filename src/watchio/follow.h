// SPDX-License-Identifier: Apache-2.0
//
// A log file that grows and is rotated away, followed.
#ifndef LH_WATCHIO_FOLLOW_H
#define LH_WATCHIO_FOLLOW_H

#include "watch/state.h"
#include "watchio/lines.h"

struct lh_follow {
    const char *path; // not owned
    int fd;           // of the file as it was opened; -1: not there (yet)
    int notify;       // inotify, or -1: then only time wakes
    uint64_t device, inode;
    struct lh_lines lines;
};

// Begins at `progress` where its file is still there, under its name or a rotated one, else at the
// beginning of the file. `path` must outlive it. LH_E_SYS, LH_E_NOMEM.
lh_err lh_follow_new(const char *path,
                     const struct lh_progress *progress,
                     struct lh_follow **out,
                     struct lh_errinfo *info) LH_MUST_CHECK;
void lh_follow_free(struct lh_follow *follow); // accepts NULL

// Gives all complete lines that are there now to `sink`; goes over to the new file when the old one
// was rotated away and is read to its end. LH_E_SYS, or what the sink returns.
lh_err lh_follow_read(struct lh_follow *follow,
                      const struct lh_line_sink *sink,
                      struct lh_errinfo *info) LH_MUST_CHECK;

// How far the complete lines reach.
void lh_follow_progress(const struct lh_follow *follow, struct lh_progress *out);

// Waits until something happened to the file, or `milliseconds` passed, or a signal came.
void lh_follow_wait(struct lh_follow *follow, int milliseconds);

#endif
