// SPDX-License-Identifier: Apache-2.0
//
// Between the commands of lhctl sshd.
#ifndef LH_CMD_SSHD_INTERNAL_H
#define LH_CMD_SSHD_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cmd/options.h"
#include "sshdcfg/report.h"

#define LH_SSHD_STATUS_USAGE  64
#define LH_SSHD_STATUS_FAILED 70

#define LH_SSHD_NAMES_MAX 64

struct lh_sshd_names {
    const char *items[LH_SSHD_NAMES_MAX + 1]; // NULL-terminated
    size_t count;
};

// The options of all commands; each command's table has those it knows.
struct lh_sshd_args {
    const char *root;
    const char *config;
    const char *from;
    const char *expected; // fingerprint
    const char *host;     // name of the server, for users
    char own_host[256];   // this host's name, where none is given
    uint16_t port;
    bool json;
    bool all;
    bool help;
    struct lh_sshd_names transfer_users;
    struct lh_sshd_names admins;
};

// An option that may be given several times; `option->offset` is of a struct lh_sshd_names.
lh_err lh_sshd_option_name(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info);

// Fills `args` from the command line. -1: go on; else the exit status (help was shown, or the
// command line is wrong and that has been said).
int lh_sshd_parse(const struct lh_option_table *table,
                  int argc,
                  char **argv,
                  struct lh_sshd_args *args);

// Says on standard error what failed and returns LH_SSHD_STATUS_FAILED.
int lh_sshd_fail(const char *text);

// How findings are shown: text in at most `columns` columns, or one JSON document.
struct lh_sshd_show {
    bool all; // what is as it should be, too
    bool colour;
    unsigned columns;
};
void lh_sshd_show_text(const struct lh_sshd_report *report,
                       const struct lh_sshd_show *show,
                       FILE *out);
lh_err lh_sshd_show_json(const struct lh_sshd_report *report, FILE *out) LH_MUST_CHECK;

// 0 nothing or information, 1 low, 2 medium, 3 high.
int lh_sshd_exit_status(const struct lh_sshd_report *report);

// The commands. argv[0] is the command's name.
int lh_sshd_check_main(int argc, char **argv);
int lh_sshd_fingerprint_main(int argc, char **argv);
int lh_sshd_notify_main(int argc, char **argv);

// Whether standard output is a terminal that shows colours.
bool lh_sshd_colour(void);

#endif
