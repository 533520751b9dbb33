// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the check share.
#ifndef LH_SSHDAPPLY_CHECK_INTERNAL_H
#define LH_SSHDAPPLY_CHECK_INTERNAL_H

#include "sshdapply/accounts.h"
#include "sshdapply/check.h"
#include "sshdapply/listeners.h"
#include "sshdapply/sshd.h"
#include "sshdcfg/rules.h"

#define LH_CHECK_SUBJECTS_MAX (2 * LH_CHECK_USERS_MAX + 2)

struct lh_check {
    const struct lh_sshd_check_options *options;
    struct lh_sshd_report *report;
    struct lh_sshd_rule_input rule_input;
    bool live; // the root is this machine
    struct lh_sshd_doc *doc;
    const char *config; // the main file in use
    struct lh_sshd_judge judge;
    bool judged; // there is a sshd to ask
    struct lh_sshd_values no_defaults;
    struct lh_accounts accounts;
    struct lh_listeners listeners;
    bool listeners_seen;
    struct lh_sshd_process process;
    bool running;                     // `process` is filled
    struct lh_sshd_doc *command_line; // its options as lines; NULL: none
    bool ports_from_command_line;
    struct lh_sshd_subject subjects[LH_CHECK_SUBJECTS_MAX];
    struct lh_sshd_effective effective[LH_CHECK_SUBJECTS_MAX];
    size_t subject_count;
    lh_err err; // sticky: LH_E_NOMEM
};

// Adds a finding; the texts are copied.
void lh_check_add(struct lh_check *check, const struct lh_sshd_remark *remark);

// The parts, each of which adds findings.
void lh_check_command_line(struct lh_check *check); // fills command_line (check_host.c)
void lh_check_kernel(struct lh_check *check);       // sockets, process, ports (check_host.c)
void lh_check_network(struct lh_check *check);   // reserved port, SELinux, firewall (check_net.c)
void lh_check_files(struct lh_check *check);     // owners and modes, moduli (check_files.c)
void lh_check_host_keys(struct lh_check *check); // (check_files.c)
void lh_check_people(struct lh_check *check);    // (check_people.c)

// The values that hold for the whole server: those of the first subject.
const struct lh_sshd_values *lh_check_server(const struct lh_check *check);

#endif
