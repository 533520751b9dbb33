// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd plan
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/sshd/internal.h"
#include "sshdapply/plan.h"

#define FIELD(name) offsetof(struct lh_sshd_args, name)
#define COLUMNS     80

static const struct lh_option options[] = {
    {.name = "root",
     .arg = "DIR",
     .parse = lh_option_text,
     .offset = FIELD(root),
     .help = "plan for the files below DIR instead of this machine's"},
    {.name = "config",
     .arg = "FILE",
     .parse = lh_option_text,
     .offset = FIELD(config),
     .help = "the main file, below the root (/etc/ssh/sshd_config)"},
    {.name = "port",
     .arg = "PORT",
     .parse = lh_option_port,
     .offset = FIELD(port),
     .help = "the port to open (33001)"},
    {.name = "keep-port-22",
     .parse = lh_option_flag,
     .offset = FIELD(keep_port_22),
     .help = "keep port 22 open beside it"},
    {.name = "allow-users",
     .arg = "NAME",
     .parse = lh_sshd_option_pattern,
     .offset = FIELD(allow_users),
     .help = "let in these users only; DOMAIN\\user for domains"},
    {.name = "allow-groups",
     .arg = "NAME",
     .parse = lh_sshd_option_pattern,
     .offset = FIELD(allow_groups),
     .help = "let in members of these groups only"},
    {.name = "admin",
     .arg = "NAME",
     .parse = lh_sshd_option_name,
     .offset = FIELD(admins),
     .help = "an administrator (those whom sudo knows)"},
    {.name = "transfer-user",
     .arg = "NAME",
     .parse = lh_sshd_option_name,
     .offset = FIELD(transfer_users),
     .help = "a transfer user (those with a transfer shell)"},
    {.name = "sftp-users",
     .arg = "NAME",
     .parse = lh_sshd_option_name,
     .offset = FIELD(sftp_users),
     .help = "a user who keeps SFTP, and gets nothing else (nobody)"},
    {.name = "passwords",
     .arg = "keep",
     .parse = lh_option_text,
     .offset = FIELD(passwords),
     .help = "\"keep\": go on to accept passwords as now"},
    {.name = "forwarding-group",
     .arg = "GROUP",
     .parse = lh_option_text,
     .offset = FIELD(forwarding_group),
     .help = "its members may forward TCP (nobody)"},
    {.name = "strict",
     .parse = lh_option_flag,
     .offset = FIELD(strict),
     .help = "drop what only older libraries need"},
    {.name = "from",
     .arg = "ADDRESS",
     .parse = lh_option_text,
     .offset = FIELD(from),
     .help = "the client's address, for Match (192.0.2.1)"},
    {.letter = 'h',
     .name = "help",
     .parse = lh_option_flag,
     .offset = FIELD(help),
     .help = "this help"},
};

static const struct lh_option_table table = {
    .program = "lhctl sshd plan",
    .usage = "lhctl sshd plan [OPTION...] [modern|aspera-4|aspera-3|fips]\n",
    .options = options,
    .count = LH_ARRAY_LEN(options),
    .epilogue =
        "It changes nothing. Exit status: 0 the plan can be carried out, 3 it would lock out\n"
        "or would not take effect, 64 usage, 70 failed.\n",
};

// One value behind `lead`, broken at commas and blanks.
static void put_value(const char *lead, const char *value, size_t len)
{
    const char *end = value + len;
    bool first = true;

    if (len == 0)
        (void)printf("%s(nothing)\n", lead);
    while (value < end) {
        size_t room = COLUMNS - strlen(lead), part = (size_t)(end - value);
        if (part > room) {
            part = room;
            while (part > 1 && value[part - 1] != ',' && value[part - 1] != ' ')
                part--;
            if (part == 1)
                part = strcspn(value, ", ") + 1;
        }
        if (part > (size_t)(end - value))
            part = (size_t)(end - value);
        (void)printf("%s%.*s\n", first ? lead : "      ", (int)part, value);
        value += part;
        first = false;
    }
}

static void put_values(const char *lead, const char *values)
{
    char *escaped = malloc(4 * strlen(values) + 1);

    if (escaped == NULL)
        return;
    do {
        size_t len = strcspn(values, "\n");
        (void)lh_escape(values, len, escaped, 4 * len + 1);
        put_value(lead, escaped, strlen(escaped));
        values += len + (values[len] == '\n');
    } while (*values != '\0');
    free(escaped);
}

// The difference holds what files hold, line by line: each is escaped.
static void put_difference(const char *text)
{
    bool colour = lh_sshd_colour();

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char *escaped = malloc(4 * len + 1);
        const char *shade = !colour        ? ""
                            : *text == '+' ? "\033[32m"
                            : *text == '-' ? "\033[31m"
                            : *text == '@' ? "\033[36m"
                                           : "";
        if (escaped == NULL)
            return;
        // Tabs and backslashes do no harm and must stay for the text to be usable: they are put as
        // they are, what is between them is escaped.
        (void)fputs(shade, stdout);
        for (size_t at = 0; at < len;) {
            size_t part = 0;
            while (at + part < len && text[at + part] != '\t' && text[at + part] != '\\')
                part++;
            (void)fputs(lh_escape(text + at, part, escaped, 4 * len + 1), stdout);
            at += part;
            if (at < len)
                (void)fputc(text[at++], stdout);
        }
        (void)fputs(*shade == '\0' ? "\n" : "\033[0m\n", stdout);
        free(escaped);
        text += len + (text[len] == '\n');
    }
}

static int print_plan(const struct lh_sshd_plan *plan, const char *profile)
{
    struct lh_sshd_show show = {.colour = lh_sshd_colour(), .columns = COLUMNS};

    (void)printf("Profile %s. Values that change:\n", profile);
    for (size_t i = 0; i < plan->change_count; i++) {
        (void)printf("  %s (%s)\n", plan->changes[i].keyword, plan->changes[i].who);
        put_values("    - ", plan->changes[i].before);
        put_values("    + ", plan->changes[i].after);
    }
    if (plan->change_count == 0)
        (void)printf("  none\n");
    (void)printf("\nText that changes:\n");
    put_difference(*plan->difference == '\0' ? "none\n" : plan->difference);
    (void)printf("\nWho is affected, and what stands in the way:\n");
    lh_sshd_show_text(&plan->affected, &show, stdout);
    bool barred = lh_sshd_report_count(&plan->affected, LH_SSHD_GRADE_HIGH) > 0;
    (void)printf("\n%s\n", barred ? "This plan must not be carried out as it is: see HIGH above."
                                  : "Nothing stands in the way.");
    return fflush(stdout) != 0 ? lh_sshd_fail("cannot write the plan") : barred ? 3 : 0;
}

static const char *const *names_or_null(const struct lh_sshd_names *names)
{
    return names->count == 0 ? NULL : names->items;
}

int lh_sshd_plan_main(int argc, char **argv)
{
    LH_CLEANUP(lh_sshd_plan_fini) struct lh_sshd_plan plan = {0};
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;

    int status = lh_sshd_parse(&table, argc, argv, true, &args);
    if (status >= 0)
        return status;
    const char *name = args.profile == NULL ? "modern" : args.profile;
    struct lh_sshd_plan_options plan_options = {
        .check = {.root = args.root,
                  .config = args.config,
                  .proc = "/proc",
                  .sys = "/sys",
                  .from = args.from,
                  .transfer_users = names_or_null(&args.transfer_users),
                  .admins = names_or_null(&args.admins),
                  .port = args.port},
        .choices = {.profile = lh_sshd_profile_find(name),
                    .port = args.port,
                    .keep_port_22 = args.keep_port_22,
                    .strict = args.strict,
                    .keep_passwords = args.passwords != NULL,
                    .allow_users = names_or_null(&args.allow_users),
                    .allow_groups = names_or_null(&args.allow_groups),
                    .sftp_users = names_or_null(&args.sftp_users),
                    .forwarding_group = args.forwarding_group},
    };
    if (plan_options.choices.profile == LH_SSHD_PROFILE_N_ ||
        (args.passwords != NULL && strcmp(args.passwords, "keep") != 0)) {
        (void)lh_sshd_fail(plan_options.choices.profile == LH_SSHD_PROFILE_N_
                               ? "there is no such profile: modern, aspera-4, aspera-3, fips"
                               : "--passwords knows \"keep\" only");
        return LH_SSHD_STATUS_USAGE;
    }
    lh_err err = lh_sshd_plan_make(&plan_options, &plan, &info);
    if (err != 0)
        return lh_sshd_fail(*info.text == '\0' ? lh_err_name(err) : info.text);
    return print_plan(&plan, name);
}
