// SPDX-License-Identifier: Apache-2.0
//
// What the options of a plan mean.
#ifndef LH_CMD_SSHD_CHOICES_H
#define LH_CMD_SSHD_CHOICES_H

#include "cmd/sshd/internal.h"
#include "sshdapply/plan.h"

// Fills the options of a plan from the command line. False where they are wrong, which is said.
bool lh_sshd_plan_options_of(const struct lh_sshd_args *args,
                             struct lh_sshd_plan_options *out_options);

#endif
