// SPDX-License-Identifier: Apache-2.0
//
// lhctl: for administrators. One table of commands; each is a function of its arguments.
//   attacks.h   who attacks sshd here
//   doctor.h    what this machine lacks for fast transfers
//   sessions.h  transfers that are running
//   sshd.h      the SSH server's configuration
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmd/attacks/attacks.h"
#include "cmd/doctor.h"
#include "cmd/sessions.h"
#include "cmd/sshd/sshd.h"
#include "cmd/version.h"

#define STATUS_USAGE 64 // not a grade of doctor's

struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv); // argv[0] is the command's name; returns the exit status
    bool takes_arguments;              // false: any is refused here
};

static int run_help(int argc, char **argv);

static int run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    lh_version_print("lhctl", stdout);
    return 0;
}

static int run_doctor(int argc, char **argv)
{
    struct lh_doctor_host host;
    char state[LH_PATH_TEXT_MAX];
    (void)argc;
    (void)argv;

    lh_doctor_host_init(&host, state, sizeof state);
    return (int)lh_doctor(&host, stdout);
}

static const struct command commands[] = {
    {"attacks", "who attacks sshd here, from its log; changes nothing", lh_attacks_main, true},
    {"doctor", "look at what this machine lacks for fast transfers; changes nothing", run_doctor,
     false},
    {"help", "this help", run_help, false},
    {"session", "show one running transfer, or change its rate or policy", lh_session_main, true},
    {"sessions", "list the running transfers", lh_sessions_main, true},
    {"sshd", "the SSH server's configuration and host keys (lhctl sshd help)", lh_sshd_main, true},
    {"version", "version", run_version, false},
};

static void print_commands(FILE *out)
{
    (void)fprintf(out, "Usage: lhctl COMMAND\n\nCommands:\n");
    for (size_t i = 0; i < LH_ARRAY_LEN(commands); i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    (void)fprintf(out, "\nMore: lhctl(8).\n");
}

static int run_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    print_commands(stdout);
    return 0;
}

static const char *plain_name(const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return "help";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-A") == 0)
        return "version";
    return word;
}

int main(int argc, char **argv)
{
    char shown[64];

    if (argc < 2) {
        print_commands(stderr);
        return STATUS_USAGE;
    }
    const char *name = plain_name(argv[1]);
    for (size_t i = 0; i < LH_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (argc > 2 && !commands[i].takes_arguments) {
            (void)fprintf(stderr, "lhctl: %s takes no arguments, got \"%s\"\n", name,
                          lh_escape(argv[2], strlen(argv[2]), shown, sizeof shown));
            return STATUS_USAGE;
        }
        return commands[i].run(argc - 1, argv + 1);
    }
    (void)fprintf(stderr, "lhctl: unknown command \"%s\" (lhctl help lists them)\n",
                  lh_escape(argv[1], strlen(argv[1]), shown, sizeof shown));
    return STATUS_USAGE;
}
