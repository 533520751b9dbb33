// SPDX-License-Identifier: Apache-2.0
//
// lhserver: the other end of a session. sshd starts it as the authenticated user, by its one
// constant command word; standard input and output are the control channel, so nothing else may be
// printed there.
//   run/server.h  the session
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd/options.h"
#include "cmd/version.h"
#include "run/server.h"

struct lhserver_args {
    bool help;
    bool version;
};

static const struct lh_option options[] = {
    {.letter = 'h',
     .name = "help",
     .parse = lh_option_flag,
     .offset = offsetof(struct lhserver_args, help),
     .help = "this help"},
    {.letter = 'A',
     .name = "version",
     .parse = lh_option_flag,
     .offset = offsetof(struct lhserver_args, version),
     .help = "version"},
};

static const struct lh_option_table table = {
    .program = "lhserver",
    .usage = "lhserver\n",
    .options = options,
    .count = LH_ARRAY_LEN(options),
    .epilogue =
        "Started by sshd for lhcp, which speaks to it over the SSH channel. See lhserver(8).\n",
};

int main(int argc, char **argv)
{
    struct lhserver_args args = {.help = false};
    struct lh_errinfo info = {0};
    const char *words[8];
    struct lh_operands operands = {.words = words};

    if (argc > (int)LH_ARRAY_LEN(words)) {
        (void)fprintf(stderr, "lhserver: error 8: too many arguments\n");
        return 1;
    }
    if (lh_options_parse(&table, argc, argv, &args, &operands, &info) != 0) {
        (void)fprintf(stderr, "lhserver: error 8: %s\n", info.text);
        return 1;
    }
    if (operands.count > 0) {
        (void)fprintf(stderr, "lhserver: error 8: it takes no operands (lhserver --help)\n");
        return 1;
    }
    if (args.help) {
        lh_options_help(&table, false, stdout);
        return 0;
    }
    if (args.version) {
        lh_version_print("lhserver", stdout);
        return 0;
    }
    if (isatty(STDIN_FILENO) == 1 || isatty(STDOUT_FILENO) == 1) {
        (void)fprintf(stderr,
                      "lhserver: error 8: sshd starts this program for lhcp; it is of no use "
                      "on a terminal (see lhserver(8))\n");
        return 1;
    }
    return lh_server_run();
}
