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
#define LH_SSHD_DAYS      30 // of the log, unless told

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
    const char *profile; // of the plan: the operand
    const char *passwords;
    const char *forwarding_group;
    struct lh_sshd_names allow_users;
    struct lh_sshd_names allow_groups;
    struct lh_sshd_names sftp_users;
    bool keep_port_22;
    bool strict;
    bool json;
    bool all;
    bool help;
    unsigned days;     // of the log
    const char *write; // directory
    const char *state; // apply, confirm, rollback, timer
    const char *tools;
    const char *id;
    uint64_t seconds;
    uint64_t pid;
    uint64_t ready_fd;
    int way; // enum lh_ritual_way
    bool force;
    bool yes;
    struct lh_sshd_names transfer_users;
    struct lh_sshd_names admins;
};

// A name of a group or a pattern of users: anything that is not empty and one line.
lh_err lh_sshd_option_pattern(void *target,
                              const struct lh_option *option,
                              const char *value,
                              struct lh_errinfo *info);

// An option that may be given several times; `option->offset` is of a struct lh_sshd_names.
lh_err lh_sshd_option_name(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info);

// A number of days, 0 to 3650; `option->offset` is of an unsigned.
lh_err lh_sshd_option_days(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info);

// Fills `args` from the command line. -1: go on; else the exit status (help was shown, or the
// command line is wrong and that has been said). `takes_profile`: one operand is allowed.
int lh_sshd_parse(const struct lh_option_table *table,
                  int argc,
                  char **argv,
                  bool takes_profile,
                  struct lh_sshd_args *args);

// Says on standard error what failed and returns LH_SSHD_STATUS_FAILED.
int lh_sshd_fail(const char *text);

// How findings are shown: text in at most `columns` columns, or one JSON document.
struct lh_sshd_show {
    bool all;     // what is as it should be, too
    bool summary; // counts and advice at the end
    bool colour;
    unsigned columns;
};
void lh_sshd_show_text(const struct lh_sshd_report *report,
                       const struct lh_sshd_show *show,
                       FILE *out);
lh_err lh_sshd_show_json(const struct lh_sshd_report *report, FILE *out) LH_MUST_CHECK;
struct lh_sshd_plan;
lh_err lh_sshd_plan_json(const struct lh_sshd_plan *plan,
                         const char *profile,
                         int status,
                         FILE *out) LH_MUST_CHECK;

// 0 nothing or information, 1 low, 2 medium, 3 high.
int lh_sshd_exit_status(const struct lh_sshd_report *report);

// The commands. argv[0] is the command's name.
int lh_sshd_check_main(int argc, char **argv);
int lh_sshd_fingerprint_main(int argc, char **argv);
int lh_sshd_notify_main(int argc, char **argv);
int lh_sshd_plan_main(int argc, char **argv);
int lh_sshd_apply_main(int argc, char **argv);
int lh_sshd_confirm_main(int argc, char **argv);
int lh_sshd_rollback_main(int argc, char **argv);
int lh_sshd_timer_main(int argc, char **argv);

// Whether standard output is a terminal that shows colours.
bool lh_sshd_colour(void);

#endif
