// SPDX-License-Identifier: Apache-2.0
#include "cmd/sshd/choices.h"

#include <string.h>

static const char *const *names_or_null(const struct lh_sshd_names *names)
{
    return names->count == 0 ? NULL : names->items;
}

bool lh_sshd_plan_options_of(const struct lh_sshd_args *args,
                             struct lh_sshd_plan_options *out_options)
{
    const char *name = args->profile == NULL ? "modern" : args->profile;

    *out_options = (struct lh_sshd_plan_options){
        .check = {.root = args->root,
                  .config = args->config,
                  .proc = "/proc",
                  .sys = "/sys",
                  .from = args->from,
                  .transfer_users = names_or_null(&args->transfer_users),
                  .admins = names_or_null(&args->admins),
                  .port = args->port},
        .choices = {.profile = lh_sshd_profile_find(name),
                    .port = args->port,
                    .keep_port_22 = args->keep_port_22,
                    .strict = args->strict,
                    .keep_passwords = args->passwords != NULL,
                    .allow_users = names_or_null(&args->allow_users),
                    .allow_groups = names_or_null(&args->allow_groups),
                    .sftp_users = names_or_null(&args->sftp_users),
                    .forwarding_group = args->forwarding_group},
    };
    if (out_options->choices.profile == LH_SSHD_PROFILE_N_)
        (void)lh_sshd_fail("there is no such profile: modern, aspera-4, aspera-3, fips");
    else if (args->passwords != NULL && strcmp(args->passwords, "keep") != 0)
        (void)lh_sshd_fail("--passwords knows \"keep\" only");
    else
        return true;
    return false;
}
