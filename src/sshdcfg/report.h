// SPDX-License-Identifier: Apache-2.0
//
// What a check found: a list of findings, each with all that a person needs to act on it.
#ifndef LH_SSHDCFG_REPORT_H
#define LH_SSHDCFG_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum lh_sshd_grade {
    LH_SSHD_GRADE_OK,      // as it should be
    LH_SSHD_GRADE_INFO,    // worth knowing; nothing is wrong
    LH_SSHD_GRADE_UNKNOWN, // could not be looked at
    LH_SSHD_GRADE_LOW,     // hygiene
    LH_SSHD_GRADE_MEDIUM,  // weakens the server
    LH_SSHD_GRADE_HIGH,    // lets strangers in, or administrators out
    LH_SSHD_GRADE_N_
};

struct lh_sshd_finding {
    enum lh_sshd_grade grade;
    const char *rule; // "A2"; the list of rules is in lhctl-sshd(8)
    char *is;         // what is
    char *want;       // what should be; "" where nothing is wrong
    char *why;
    char *who;   // names of personas, comma-separated; "" = everybody or the machine
    char *where; // "FILE line N", "" where there is no line
    char *mend;  // a command for a shell; "" where there is none
};

struct lh_sshd_report {
    struct lh_sshd_finding *items;
    size_t count;
    size_t room;
};

void lh_sshd_report_fini(struct lh_sshd_report *report); // idempotent

// What is to be added: texts are copied, NULL stands for "".
struct lh_sshd_remark {
    enum lh_sshd_grade grade;
    const char *rule; // kept as a pointer: a constant
    const char *is;
    const char *want;
    const char *why;
    const char *who;
    const char *where;
    const char *mend;
};

// Appends a finding; one that differs from an earlier one in `who` only is joined to it.
// LH_E_NOMEM.
lh_err lh_sshd_report_add(struct lh_sshd_report *report,
                          const struct lh_sshd_remark *remark) LH_MUST_CHECK;

// Sorts by grade, the worst first, keeping the order within a grade.
void lh_sshd_report_sort(struct lh_sshd_report *report);

size_t lh_sshd_report_count(const struct lh_sshd_report *report, enum lh_sshd_grade grade);

// "high", "medium", ...
const char *lh_sshd_grade_name(enum lh_sshd_grade grade);

#endif
