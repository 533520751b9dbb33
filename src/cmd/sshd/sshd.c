// SPDX-License-Identifier: Apache-2.0
#include "cmd/sshd/sshd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmd/sshd/internal.h"

static const struct {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"check", "look at what decides who can log in and what they can do", lh_sshd_check_main},
    {"fingerprint", "print the host keys' fingerprints in forms to paste",
     lh_sshd_fingerprint_main},
    {"plan", "show what a profile would change, and whom", lh_sshd_plan_main},
    {"apply", "carry a plan out, to be confirmed over the new port", lh_sshd_apply_main},
    {"confirm", "from a session on the new port: close the old one", lh_sshd_confirm_main},
    {"rollback", "put back, byte for byte, what the last apply changed", lh_sshd_rollback_main},
    {"timer", "wait, and put the old state back (started by apply)", lh_sshd_timer_main},
    {"notify", "write the note to users about port and fingerprint", lh_sshd_notify_main},
};

static void print_help(FILE *out)
{
    (void)fprintf(out, "Usage: lhctl sshd COMMAND [OPTION...]\n\nCommands:\n");
    for (size_t i = 0; i < LH_ARRAY_LEN(commands); i++)
        (void)fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
    (void)fprintf(out, "\nOptions of a command: lhctl sshd COMMAND --help. More: lhctl-sshd(8).\n");
}

int lh_sshd_main(int argc, char **argv)
{
    char shown[64];

    if (argc < 2) {
        print_help(stderr);
        return LH_SSHD_STATUS_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    (void)fprintf(stderr, "lhctl: unknown command \"sshd %s\" (lhctl sshd help lists them)\n",
                  lh_escape(argv[1], strlen(argv[1]), shown, sizeof shown));
    return LH_SSHD_STATUS_USAGE;
}

static lh_err add_name(struct lh_sshd_names *names, const char *value, struct lh_errinfo *info)
{
    if (names->count == LH_SSHD_NAMES_MAX)
        return lh_fail(info, LH_E_LIMIT, 0, "at most %d times", LH_SSHD_NAMES_MAX);
    names->items[names->count++] = value;
    return 0;
}

lh_err lh_sshd_option_name(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info)
{
    struct lh_sshd_names *names = (struct lh_sshd_names *)(void *)((char *)target + option->offset);

    if (*value == '\0' || strpbrk(value, ",\n/") != NULL)
        return lh_fail(info, LH_E_INVALID, 0, "is not the name of a user");
    return add_name(names, value, info);
}

lh_err lh_sshd_option_pattern(void *target,
                              const struct lh_option *option,
                              const char *value,
                              struct lh_errinfo *info)
{
    struct lh_sshd_names *names = (struct lh_sshd_names *)(void *)((char *)target + option->offset);

    if (*value == '\0' || strpbrk(value, "\r\n\f\"'") != NULL)
        return lh_fail(info, LH_E_INVALID, 0, "is not a name that sshd_config can hold");
    return add_name(names, value, info);
}

lh_err lh_sshd_option_days(void *target,
                           const struct lh_option *option,
                           const char *value,
                           struct lh_errinfo *info)
{
    unsigned *days = (unsigned *)(void *)((char *)target + option->offset);
    uint64_t number;

    if (lh_parse_number(value, 0, 3650, &number) != 0)
        return lh_fail(info, LH_E_INVALID, 0, "wants a number of days, at most 3650");
    *days = (unsigned)number;
    return 0;
}

bool lh_sshd_colour(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL && term != NULL &&
           strcmp(term, "dumb") != 0;
}

int lh_sshd_fail(const char *text)
{
    char shown[2 * LH_ERRINFO_TEXT];
    (void)fprintf(stderr, "lhctl: %s\n", lh_escape(text, strlen(text), shown, sizeof shown));
    return LH_SSHD_STATUS_FAILED;
}

// What is wrong with the options as a whole.
static lh_err check_args(const struct lh_sshd_args *args, size_t operands, struct lh_errinfo *info)
{
    if (operands > 0)
        return lh_fail(info, LH_E_INVALID, 0, "more operands than it takes");
    if (*args->root != '/' || *args->config != '/')
        return lh_fail(info, LH_E_INVALID, 0, "--root and --config want absolute paths");
    if (args->host != NULL && strpbrk(args->host, " \t\n[],\"'\\") != NULL)
        return lh_fail(info, LH_E_INVALID, 0, "--host is not the name of a host");
    return 0;
}

int lh_sshd_parse(const struct lh_option_table *table,
                  int argc,
                  char **argv,
                  bool takes_profile,
                  struct lh_sshd_args *args)
{
    struct lh_errinfo info = {0};
    const char **words = calloc((size_t)argc, sizeof *words);
    struct lh_operands operands = {.words = words};

    *args = (struct lh_sshd_args){.root = "/",
                                  .config = "/etc/ssh/sshd_config",
                                  .from = "192.0.2.1",
                                  .days = LH_SSHD_DAYS,
                                  .port = LH_SSH_PORT_DEFAULT};
    if (words == NULL)
        return lh_sshd_fail("no memory");
    lh_err err = lh_options_parse(table, argc, argv, args, &operands, &info);
    bool profile = err == 0 && takes_profile && operands.count == 1;
    if (profile)
        args->profile = words[0];
    free((void *)words);
    if (err == 0 && args->help) {
        lh_options_help(table, false, stdout);
        return 0;
    }
    if (err == 0)
        err = check_args(args, operands.count - (profile ? 1 : 0), &info);
    if (err != 0) {
        (void)lh_sshd_fail(info.text);
        return LH_SSHD_STATUS_USAGE;
    }
    if (args->host == NULL) {
        if (gethostname(args->own_host, sizeof args->own_host - 1) != 0)
            (void)snprintf(args->own_host, sizeof args->own_host, "SERVER");
        args->host = args->own_host;
    }
    return -1;
}
