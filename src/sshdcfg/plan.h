// SPDX-License-Identifier: Apache-2.0
//
// Writes settings into the files where they take effect, and shows the difference.
#ifndef LH_SSHDCFG_PLAN_H
#define LH_SSHDCFG_PLAN_H

#include "base/err.h"
#include "sshdcfg/document.h"
#include "sshdcfg/profile.h"

// Rewrites the main file and what it includes:
//   - lines that set a managed keyword become comments with our mark, wherever they stand, Match
//     blocks included; files outside of `folder` ("/etc/ssh/") are left alone
//   - the settings go to the head of the main file, between two marks; their Match blocks to its
//   end
//   - what an earlier run wrote between its marks is taken out first
// Running it again changes nothing. LH_E_NOMEM.
lh_err lh_sshd_plan_edit(struct lh_sshd_doc *main,
                         const char *folder,
                         const struct lh_sshd_settings *settings) LH_MUST_CHECK;

// A file that says nothing but the settings: what is in force with it is what is wanted.
lh_err lh_sshd_plan_ideal(const struct lh_sshd_settings *settings,
                          struct lh_sshd_doc **out_doc) LH_MUST_CHECK;

// Whether `have` gives every managed keyword what `want` gives it, addresses aside: of those, only
// the ports are compared. False with the keyword that differs.
bool lh_sshd_plan_holds(const struct lh_sshd_settings *settings,
                        const struct lh_sshd_values *want,
                        const struct lh_sshd_values *have,
                        const char **out_keyword);

// The difference of two texts as `diff -u` shows it, from the heap; "" where they are the same.
// LH_E_LIMIT where they are too large to be compared line by line, LH_E_NOMEM.
lh_err lh_sshd_text_difference(const char *name,
                               const struct lh_sshd_doc *before,
                               const struct lh_sshd_doc *after,
                               char **out_text) LH_MUST_CHECK;

#endif
