// SPDX-License-Identifier: Apache-2.0
//
// What the values in force should be, for whom, and why. Pure: values in, findings out.
#ifndef LH_SSHDCFG_RULES_H
#define LH_SSHDCFG_RULES_H

#include "base/err.h"
#include "sshdcfg/effective.h"
#include "sshdcfg/report.h"

// Kinds of people for whom a rule may hold.
enum lh_sshd_role {
    LH_SSHD_TRANSFER = 1, // moves files, has no shell
    LH_SSHD_ADMIN = 2,    // looks after the server
    LH_SSHD_ROOT = 4,
    LH_SSHD_STRANGER = 8, // a user who does not exist
    LH_SSHD_EVERYBODY = 15
};

struct lh_sshd_subject {
    struct lh_sshd_persona persona;
    enum lh_sshd_role role;
    const struct lh_sshd_effective *effective; // for this persona
};

struct lh_sshd_rule_input {
    const char *prefix;    // in front of the paths of files in commands: "" or the root
    const char *main_path; // of the main file, below the root
    unsigned port;         // the port that transfers use: 33001
    bool main_empty;       // the main file has no line
    bool no_admin;         // nobody but root looks after the server: no command that needs one
};

// Applies every rule on values to one subject. Rules that hold for the whole server and not for
// people name nobody. LH_E_NOMEM.
lh_err lh_sshd_rules_apply(const struct lh_sshd_rule_input *input,
                           const struct lh_sshd_subject *subject,
                           struct lh_sshd_report *report) LH_MUST_CHECK;

// What is odd about the files (dead lines, obsolete and unknown keywords). LH_E_NOMEM.
lh_err lh_sshd_rules_problems(const struct lh_sshd_rule_input *input,
                              const struct lh_sshd_effective *effective,
                              struct lh_sshd_report *report) LH_MUST_CHECK;

// Whether AllowUsers, DenyUsers, AllowGroups and DenyGroups let this user in. `*out_keyword` names
// the one that does not.
bool lh_sshd_user_admitted(const struct lh_sshd_values *values,
                           const struct lh_sshd_persona *persona,
                           const char **out_keyword);

// The commands that give `keyword` (as people write it) the value `text` where `value` comes from
// (NULL or without a line: at the head of the main file). Writes a shell command to `out`.
void lh_sshd_mend_value(const struct lh_sshd_rule_input *input,
                        const struct lh_sshd_value *value,
                        const char *keyword,
                        const char *text,
                        char *out,
                        size_t room);

// "FILE line N" of a value; "" where it is the default.
void lh_sshd_where(const struct lh_sshd_rule_input *input,
                   const struct lh_sshd_value *value,
                   char *out,
                   size_t room);

#endif
