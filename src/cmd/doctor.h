// SPDX-License-Identifier: Apache-2.0
//
// lhctl doctor: looks at what a fast transfer needs of this machine and says, for each thing that
// is missing, what to do. It changes nothing.
#ifndef LH_CMD_DOCTOR_H
#define LH_CMD_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/limits.h"

enum lh_grade {
    LH_GRADE_OK,
    LH_GRADE_WARN, // works, but slower or less surely
    LH_GRADE_FAIL  // does not work
};

struct lh_finding {
    enum lh_grade grade;
    char text[160];   // what was found
    char remedy[256]; // what to do; "" where the grade is OK
};

struct lh_doctor_host {
    const char *sysctl_root; // "/proc/sys"
    const char *search_path; // PATH for programs
    const char *state_home;  // directory that will hold longhaul/; NULL = none known
    uint16_t port;           // LH_UDP_PORT_DEFAULT
};

struct lh_check {
    const char *name;
    void (*run)(const struct lh_doctor_host *host, struct lh_finding *out_finding);
};
extern const struct lh_check lh_doctor_checks[];
extern const size_t lh_doctor_check_count;

// Fills `host` from the environment; `state` (LH_PATH_TEXT_MAX bytes) holds its state_home.
void lh_doctor_host_init(struct lh_doctor_host *host, char *state, size_t room);

// Runs all checks, prints a line for each and a remedy where needed. Returns the worst grade, which
// is lhctl's exit status: 0 all is well, 1 warnings, 2 failures.
enum lh_grade lh_doctor(const struct lh_doctor_host *host, FILE *out);

// --- Here for its test ----
// ----------------------------------------------------------- "OpenSSH_9.2p1 ..." -> 902, 0 where
// that is not what the text says.
unsigned lh_openssh_version(const char *text);

#endif
