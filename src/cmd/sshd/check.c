// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd check
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmd/sshd/internal.h"
#include "cmd/sshd/log.h"
#include "cmd/sshd/rows.h"
#include "sshdapply/check.h"

static const struct lh_option options[] = {
    LH_SSHD_ROW_ROOT,
    LH_SSHD_ROW_CONFIG,
    LH_SSHD_ROW_PORT,
    LH_SSHD_ROW_TRANSFER_USER,
    LH_SSHD_ROW_ADMIN,
    LH_SSHD_ROW_FROM,
    LH_SSHD_ROW_DAYS,
    LH_SSHD_ROW_JSON,
    {.name = "all",
     .parse = lh_option_flag,
     .offset = LH_SSHD_FIELD(all),
     .help = "name what is as it should be, too"},
    LH_SSHD_ROW_HELP,
};

static const struct lh_option_table table = {
    .program = "lhctl sshd check",
    .usage = "lhctl sshd check [OPTION...]\n",
    .options = options,
    .count = LH_ARRAY_LEN(options),
    .epilogue = "It changes nothing. Exit status: 0 all is well, 1 hygiene, 2 weaknesses,\n"
                "3 strangers may get in or administrators are locked out, 64 usage, 70 failed.\n",
};

static int run(const struct lh_sshd_args *args)
{
    LH_CLEANUP(lh_sshd_report_fini) struct lh_sshd_report report = {0};
    struct lh_errinfo info = {0};
    struct lh_sshd_check_options check = {
        .root = args->root,
        .config = args->config,
        .proc = "/proc",
        .sys = "/sys",
        .from = args->from,
        .transfer_users = args->transfer_users.count == 0 ? NULL : args->transfer_users.items,
        .admins = args->admins.count == 0 ? NULL : args->admins.items,
        .port = args->port,
    };

    lh_err err = lh_sshd_check(&check, &report, &info);
    if (err == 0)
        err = lh_sshd_log_check(args, &report);
    if (err != 0)
        return lh_sshd_fail(*info.text == '\0' ? lh_err_name(err) : info.text);
    lh_sshd_report_sort(&report);
    if (args->json)
        err = lh_sshd_show_json(&report, stdout);
    else
        lh_sshd_show_text(
            &report,
            &(struct lh_sshd_show){
                .all = args->all, .summary = true, .colour = lh_sshd_colour(), .columns = 80},
            stdout);
    if (err != 0 || fflush(stdout) != 0)
        return lh_sshd_fail("cannot write the findings");
    return lh_sshd_exit_status(&report);
}

int lh_sshd_check_main(int argc, char **argv)
{
    struct lh_sshd_args args;

    int status = lh_sshd_parse(&table, argc, argv, false, &args);
    return status >= 0 ? status : run(&args);
}
