// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the check share.
#ifndef LH_SSHDAPPLY_CHECK_INTERNAL_H
#define LH_SSHDAPPLY_CHECK_INTERNAL_H

#include <time.h>

#include "sshdapply/accounts.h"
#include "sshdapply/check.h"
#include "sshdapply/listeners.h"
#include "sshdapply/offered.h"
#include "sshdapply/sshd.h"
#include "sshdcfg/profile.h"
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
// A finding that stands in the way of a plan: grade HIGH. `mend` may be NULL.
void lh_check_refuse(struct lh_check *check,
                     const char *rule,
                     const char *is,
                     const char *want,
                     const char *why,
                     const char *mend);

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

// One pattern with %h, %u, %U and %% expanded, below the home where it is relative. False where it
// does not fit.
bool lh_check_expand(
    const char *pattern, size_t len, const struct lh_account *account, char *out, size_t room);

// A file and every folder above it: owned by root, written by nobody else. `forbidden` are the bits
// of the mode that the file itself may not have.
void lh_check_owned_by_root(struct lh_check *check, const char *path, unsigned forbidden);

// Calls `take` with the path of each *.conf file of a folder, in the order of their names.
void lh_check_each_conf(struct lh_check *check,
                        const char *folder,
                        void (*take)(struct lh_check *check, const char *path, void *context),
                        void *context);

// What a program prints, from the heap; NULL where it is not there or fails.
char *lh_check_output(const char *const *argv);
// A plan that is to be carried out, while check->effective holds what would be in force.
struct lh_sshd_plan;
struct lh_sshd_plan_options;
struct lh_check_intent {
    const struct lh_sshd_plan_options *options;
    const struct lh_sshd_settings *settings;
    const struct lh_sshd_doc *ideal; // a file that says nothing but the settings
    struct lh_sshd_plan *plan;       // pid, admin and mover are filled
};
// Adds a finding of the grade HIGH for whatever stands in the way (ready.c, ready_host.c).
void lh_check_ready(struct lh_check *check, const struct lh_check_intent *intent);
void lh_check_ready_host(struct lh_check *check, const struct lh_check_intent *intent);

// When the running sshd (check->process) last read its files, as far as that can be seen.
struct timespec lh_check_last_read(const struct lh_check *check);
// Whether one of the files has changed since. Names the first.
bool lh_check_younger(const struct lh_check *check,
                      const struct lh_sshd_doc *doc,
                      char *out,
                      size_t room);

// The parts, each of which adds findings.
void lh_check_command_line(struct lh_check *check); // fills command_line (check_host.c)
void lh_check_kernel(struct lh_check *check);       // sockets, process, ports (check_host.c)
void lh_check_network(struct lh_check *check);     // reserved port, SELinux, firewall (check_net.c)
void lh_check_files(struct lh_check *check);       // owners and modes, moduli (check_files.c)
void lh_check_host_keys(struct lh_check *check);   // (check_files.c)
void lh_check_people(struct lh_check *check);      // (check_people.c)
void lh_check_confinement(struct lh_check *check); // of transfer users (check_people.c)
void lh_check_release(struct lh_check *check);     // known flaws (check_release.c)
void lh_check_start(struct lh_check *check);       // what else decides (check_start.c)
void lh_check_node(struct lh_check *check);        // HSTS's daemon (check_docroot.c)
void lh_check_docroot(struct lh_check *check,
                      const struct lh_sshd_subject *subject,
                      const struct lh_account *account); // of one transfer user (check_docroot.c)

// The values that hold for the whole server: those of the first subject.
const struct lh_sshd_values *lh_check_server(const struct lh_check *check);

#endif
