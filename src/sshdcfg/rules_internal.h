// SPDX-License-Identifier: Apache-2.0
//
// A rule's row, and the functions that grade values.
#ifndef LH_SSHDCFG_RULES_INTERNAL_H
#define LH_SSHDCFG_RULES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "sshdcfg/report.h"
#include "sshdcfg/values.h"

struct lh_rule {
    const char *id;
    const char *keyword; // as people write it
    int roles;           // enum lh_sshd_role, or 0: not about people
    // Grades `value`, one of `all` that are in force.
    enum lh_sshd_grade (*grade)(const struct lh_rule *rule,
                                const struct lh_sshd_values *all,
                                const char *value);
    const char *wanted;           // words or patterns, separated by blanks
    enum lh_sshd_grade otherwise; // where it is not so
    const char *set;              // the value to set
    const char *why;
    const char *absent; // what it means that sshd has no such keyword; NULL: nothing
};

typedef enum lh_sshd_grade
lh_rule_grade(const struct lh_rule *rule, const struct lh_sshd_values *all, const char *value);

// Whether `list` (separated by blanks) names the word, in any case.
bool lh_rule_names(const char *list, const char *word, size_t len);

lh_rule_grade lh_rule_is_one_of; // the value is one of the words
lh_rule_grade lh_rule_only;      // each algorithm of the list is one of those that are wanted
lh_rule_grade lh_rule_none_of;   // no algorithm of the list is one of those named
lh_rule_grade lh_rule_some_of;   // at least one algorithm is
lh_rule_grade lh_rule_in_range;  // a number in "LOW HIGH"

lh_rule_grade lh_rule_login_grace;
lh_rule_grade lh_rule_root_login;
lh_rule_grade lh_rule_methods;
lh_rule_grade lh_rule_startups;
lh_rule_grade lh_rule_block_sizes;
lh_rule_grade lh_rule_penalties;
lh_rule_grade lh_rule_exempt;
lh_rule_grade lh_rule_rekey;
lh_rule_grade lh_rule_variable;
lh_rule_grade lh_rule_subsystem;
lh_rule_grade lh_rule_command_user;
lh_rule_grade lh_rule_with_hostbased;  // matters where HostbasedAuthentication is on
lh_rule_grade lh_rule_with_forwarding; // matters where TCP forwarding is on
lh_rule_grade lh_rule_keepalive;
lh_rule_grade lh_rule_channel_timeout;
lh_rule_grade lh_rule_unused_timeout;

#endif
