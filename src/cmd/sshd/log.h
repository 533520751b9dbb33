// SPDX-License-Identifier: Apache-2.0
//
// What sshd's log says that matters to a check and to a plan.
#ifndef LH_CMD_SSHD_LOG_H
#define LH_CMD_SSHD_LOG_H

#include "cmd/sshd/internal.h"

#define LH_SSHD_LOG_NAMES 16 // users that are named; more are only counted

struct lh_sshd_log_users {
    char names[LH_SSHD_LOG_NAMES][64];
    unsigned named;
    uint64_t lines;
};

struct lh_sshd_log {
    char searched[256]; // "/var/log/auth.log and 3 older files"; "" where nothing could be read
    uint64_t lines;     // of sshd's, within the days
    uint64_t ansible;
    struct lh_sshd_log_users sftp;
    struct lh_sshd_log_users passwords; // logged in with one
    size_t attackers;                   // sources, networks and users under attack
    size_t alarms;                      // of which possible breaches
    char worst[160];                    // the gravest in words, "" where there is none
};

// Reads the log of the last `days` days: the journal of this machine, or the usual files with what
// was rotated away, packed or not. LH_NONE where none can be read; LH_E_NOMEM.
lh_err lh_sshd_log_read(const char *root, unsigned days, struct lh_sshd_log *out_log) LH_MUST_CHECK;

// Adds what the log says of attacks (rule L1) to the findings of a check. LH_E_NOMEM.
lh_err lh_sshd_log_check(const struct lh_sshd_args *args,
                         struct lh_sshd_report *report) LH_MUST_CHECK;

// Adds whom the log shows using what a plan takes away (B2, B3). LH_E_NOMEM.
lh_err lh_sshd_log_affected(const struct lh_sshd_args *args,
                            struct lh_sshd_report *report) LH_MUST_CHECK;

#endif
