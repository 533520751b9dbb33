// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd plan: what a profile would change, and whom. Changes nothing.
#ifndef LH_SSHDAPPLY_PLAN_H
#define LH_SSHDAPPLY_PLAN_H

#include <sys/types.h>

#include "base/err.h"
#include "sshdapply/check.h"
#include "sshdcfg/profile.h"

struct lh_sshd_plan_options {
    struct lh_sshd_check_options check;
    struct lh_sshd_choices choices; // host_keys are found by the plan
    // It is to be carried out: whatever stands in the way of that is a finding of the grade HIGH.
    bool carry_out;
    const char *tools; // folder in which sudo and ssh are looked for first; NULL: none
    pid_t pid;         // of the sshd that listens; 0: it is looked for
};

#define LH_SSHD_PLAN_PORTS_MAX 16

// One keyword whose value would change.
struct lh_sshd_change {
    char *keyword;
    char *before; // values of several lines, one a line
    char *after;
    char *who; // "everybody", or names of personas
};

// A file as the plan would leave it, changed or not.
struct lh_sshd_planned {
    char *path; // below the root
    char *text;
    size_t len;
    char *before;
    size_t before_len;
    bool changed;
};

struct lh_sshd_plan {
    struct lh_sshd_change *changes;
    size_t change_count;
    struct lh_sshd_planned *files; // the main file first, then what it includes
    size_t file_count;
    char *difference; // of the texts, as diff -u prints it; "" where nothing changes
    char *config;     // the main file in use
    uint16_t ports[LH_SSHD_PLAN_PORTS_MAX]; // that the files open now
    size_t port_count;
    bool ipv4; // they open some port over it
    bool ipv6;
    // With carry_out: the server that runs, and who can prove that logins work.
    pid_t pid;       // 0 where none was found
    char admin[256]; // an administrator with sudo and a key, "" where there is none
    char mover[256]; // a transfer user with a key, "" where there is none
    // Who is affected, and what stands in the way (grade HIGH: this plan must not be carried out).
    struct lh_sshd_report affected;
};

// LH_NONE where the profile cannot be had (`info` says why); negative where the files cannot be
// read.
lh_err lh_sshd_plan_make(const struct lh_sshd_plan_options *options,
                         struct lh_sshd_plan *out_plan,
                         struct lh_errinfo *info) LH_MUST_CHECK;
void lh_sshd_plan_fini(struct lh_sshd_plan *plan); // idempotent

#endif
