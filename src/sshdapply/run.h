// SPDX-License-Identifier: Apache-2.0
//
// Runs another program to its end and keeps what it said.
#ifndef LH_SSHDAPPLY_RUN_H
#define LH_SSHDAPPLY_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LH_RUN_OUTPUT_MAX ((size_t)4 << 20) // bytes kept of each stream; the rest is dropped

struct lh_run_options {
    const char *const *argv; // argv[0] an absolute path; NULL-terminated
    unsigned timeout_ms;     // then it is killed
    // The child gets a /run of its own that holds an empty /run/sshd, which sshd wants to see as
    // root; nobody else sees it.
    bool private_run;
};

struct lh_run_result {
    int status; // exit status; 128 + signal; 124 where the time ran out
    char *out;  // zero-terminated, owned
    size_t out_len;
    char *err; // zero-terminated, owned
    size_t err_len;
};

// 0 when the program was started and has ended, whatever its status. Its standard input is empty,
// its
// directory is /, its environment holds PATH and LC_ALL=C only. LH_E_SYS where it cannot be
// started, LH_E_NOMEM.
lh_err lh_run(const struct lh_run_options *options,
              struct lh_run_result *out_result,
              struct lh_errinfo *info) LH_MUST_CHECK;
void lh_run_result_fini(struct lh_run_result *result); // idempotent

// The path of a program: in the folder `first` (NULL: none), else in the usual folders of programs.
// False where there is none; then `out` is the name in /usr/bin.
bool lh_run_find(const char *first, const char *name, char *out, size_t room);

#endif
