// SPDX-License-Identifier: Apache-2.0
//
// lhcp: the transfer client.
//   lhcp_args.h   the command line
//   display.h     what the user sees
//   run/client.h  the transfer
//   ssh/helper.h  what ssh runs of us: askpass and the check of host keys
#include <stdio.h>

#include "base/cleanup.h"
#include "cmd/display.h"
#include "cmd/lhcp_args.h"
#include "cmd/version.h"
#include "run/client.h"
#include "ssh/helper.h"

static int transfer(const struct lhcp_options *options, const struct lhcp_notices *notices)
{
    static struct lhcp_result result;
    static struct lhcp_display display;

    lhcp_display_init(&display, options, stdout, stderr);
    lhcp_display_notices(&display, notices);
    (void)lh_client_run(options, &display.report, &result);
    return lhcp_display_result(&display, &result);
}

int main(int argc, char **argv)
{
    LH_CLEANUP(lhcp_options_fini) struct lhcp_options options;
    struct lhcp_notices notices;
    struct lh_errinfo info = {0};
    int helper_status;

    options.sources = NULL;
    if (lh_ssh_helper_main(argc, argv, &helper_status))
        return helper_status;
    if (lhcp_args_parse(argc, argv, &options, &notices, &info) != 0) {
        static struct lhcp_display display;
        lhcp_display_init(&display, &options, stdout, stderr);
        return lhcp_display_error(&display, &info);
    }
    switch (options.action) {
    case LHCP_HELP:
        lhcp_args_help(options.verbose > 0, stdout);
        return 0;
    case LHCP_VERSION:
        lh_version_print("lhcp", stdout);
        return 0;
    default:
        return transfer(&options, &notices);
    }
}
