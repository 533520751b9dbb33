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

// Reads the files, finds the running sshd, asks the installed one for its defaults, and finds the
// subjects. Ended by lh_check_end, which accepts what is half done. As lh_sshd_check fails.
lh_err lh_check_begin(const struct lh_sshd_check_options *options,
                      struct lh_sshd_report *report,
                      struct lh_check **out_check,
                      struct lh_errinfo *info) LH_MUST_CHECK;
void lh_check_end(struct lh_check *check);

// What is in force with `doc` for the subject `index`. Sets check->err on failure.
void lh_check_evaluate(struct lh_check *check,
                       const struct lh_sshd_doc *doc,
                       size_t index,
                       struct lh_sshd_effective *out_effective);

// Has sshd look at a copy of check->doc with what it includes. False, and a finding, where it
// refuses them.
bool lh_check_judge_copies(struct lh_check *check);

// Keys with which an account could log in under these values, and keys that would be refused.
void lh_check_count_keys(struct lh_check *check,
                         const struct lh_sshd_values *values,
                         const struct lh_account *account,
                         unsigned *out_good,
                         unsigned *out_refused);

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
