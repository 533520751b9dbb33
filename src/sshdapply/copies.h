// SPDX-License-Identifier: Apache-2.0
//
// A copy of a configuration in a folder of its own, for sshd to look at before it is in place.
#ifndef LH_SSHDAPPLY_COPIES_H
#define LH_SSHDAPPLY_COPIES_H

#include "base/err.h"
#include "sshdcfg/document.h"

struct lh_sshd_copies {
    char folder[64];
    char main[80]; // the copy of the main file
    size_t count;
};

// Writes `doc` and what it includes into a new folder; Include lines name the copies. LH_E_SYS with
// `info`; then nothing is left behind.
lh_err lh_sshd_copies_make(struct lh_sshd_copies *copies,
                           const struct lh_sshd_doc *doc,
                           struct lh_errinfo *info) LH_MUST_CHECK;
void lh_sshd_copies_remove(struct lh_sshd_copies *copies); // idempotent

#endif
