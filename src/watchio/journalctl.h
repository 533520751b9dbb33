// SPDX-License-Identifier: Apache-2.0
//
// Lines of `journalctl -o json`, which is run for them.
#ifndef LH_WATCHIO_JOURNALCTL_H
#define LH_WATCHIO_JOURNALCTL_H

#include <sys/types.h>

#include "watchio/lines.h"

struct lh_journalctl {
    pid_t pid; // 0: not running
    int fd;    // its output; close it through lh_journalctl_stop
};

// Starts it for sshd's entries since `since` (seconds since 1970; 0: all), or behind `cursor` where
// that is not NULL; with `follow` it goes on with new ones. LH_E_SYS.
lh_err lh_journalctl_start(struct lh_journalctl *journal,
                           int64_t since,
                           const char *cursor,
                           bool follow,
                           struct lh_errinfo *info) LH_MUST_CHECK;

// Closes its output and waits for it. LH_E_SYS where it failed before.
lh_err lh_journalctl_stop(struct lh_journalctl *journal, struct lh_errinfo *info);

// All entries since `since`.
lh_err lh_journalctl_read(int64_t since,
                          const struct lh_line_sink *sink,
                          struct lh_errinfo *info) LH_MUST_CHECK;

// Whether there is a journal to be read here.
bool lh_journalctl_usable(void);

#endif
