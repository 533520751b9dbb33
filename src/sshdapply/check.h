// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd check: looks at everything that decides who can log in and what they can do, and
// changes nothing.
#ifndef LH_SSHDAPPLY_CHECK_H
#define LH_SSHDAPPLY_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sshdcfg/report.h"

#define LH_CHECK_USERS_MAX 64 // users looked at one by one, of each kind

struct lh_sshd_check_options {
    const char *root;    // "/" is this machine; another root is judged by its files alone
    const char *config;  // of the main file, below the root
    const char *program; // sshd; NULL: the usual one
    const char *proc;    // "/proc"
    const char *sys;     // "/sys"
    const char *from;    // address of the client that is imagined
    const char *const *transfer_users; // NULL-terminated; none: users with a transfer shell
    const char *const *admins;         // NULL-terminated; none: users whom sudo knows
    uint16_t port;                     // that transfers use
};

// Fills the report, sorted. 0 also where much could not be seen: findings of the grade UNKNOWN say
// what. Negative where not even the main file could be read, or memory is short; `info` says why.
lh_err lh_sshd_check(const struct lh_sshd_check_options *options,
                     struct lh_sshd_report *out_report,
                     struct lh_errinfo *info) LH_MUST_CHECK;

#endif
