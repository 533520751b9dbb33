// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd apply, confirm, rollback and timer: the steps are shown as they are done.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/sshd/choices.h"
#include "cmd/sshd/internal.h"
#include "cmd/sshd/rows.h"
#include "sshdritual/ritual.h"

#define COLUMNS        80
#define STATUS_REFUSED 3

// A whole number in [option->low, option->high] (uint64_t).
static lh_err option_number(void *target,
                            const struct lh_option *option,
                            const char *value,
                            struct lh_errinfo *info)
{
    uint64_t *number = (uint64_t *)(void *)((char *)target + option->offset);

    if (lh_parse_number(value, option->low, option->high, number) != 0)
        return lh_fail(info, LH_E_INVALID, 0, "is not a number from %llu to %llu",
                       (unsigned long long)option->low, (unsigned long long)option->high);
    return 0;
}

static const struct lh_choice way_choices[] = {{"auto", LH_RITUAL_AUTO},
                                               {"systemd", LH_RITUAL_SYSTEMD},
                                               {"service", LH_RITUAL_SERVICE},
                                               {"signal", LH_RITUAL_SIGNAL},
                                               {NULL, 0}};

#define STATE_OPTIONS                                                                              \
    {.name = "state",                                                                              \
     .arg = "DIR",                                                                                 \
     .parse = lh_option_text,                                                                      \
     .offset = LH_SSHD_FIELD(state),                                                               \
     .help = "what is kept (" LH_RITUAL_STATE_DIR ")"},                                            \
        {.name = "reload",                                                                         \
         .arg = "WAY",                                                                             \
         .parse = lh_option_choice,                                                                \
         .offset = LH_SSHD_FIELD(way),                                                             \
         .choices = way_choices,                                                                   \
         .help = "systemd, service or signal (auto)"},                                             \
        {.name = "tools",                                                                          \
         .arg = "DIR",                                                                             \
         .parse = lh_option_text,                                                                  \
         .offset = LH_SSHD_FIELD(tools),                                                           \
         .help = "look for programs that are run in DIR first"},                                   \
        LH_SSHD_ROW_HELP

static const struct lh_option apply_options[] = {
    LH_SSHD_ROW_ROOT,
    LH_SSHD_ROW_CONFIG,
    LH_SSHD_ROW_PORT,
    LH_SSHD_ROWS_CHOICES,
    LH_SSHD_ROW_ADMIN,
    LH_SSHD_ROW_TRANSFER_USER,
    LH_SSHD_ROW_FROM,
    {.name = "timer",
     .arg = "SECONDS",
     .parse = option_number,
     .offset = LH_SSHD_FIELD(seconds),
     .low = LH_RITUAL_SECONDS_MIN,
     .high = LH_RITUAL_SECONDS_MAX,
     .help = "then the old state comes back by itself (300)"},
    {.name = "pid",
     .arg = "PID",
     .parse = option_number,
     .offset = LH_SSHD_FIELD(pid),
     .low = 2,
     .high = INT32_MAX,
     .help = "the sshd that is told by SIGHUP (the one that listens)"},
    {.name = "yes",
     .parse = lh_option_flag,
     .offset = LH_SSHD_FIELD(yes),
     .help = "do not ask on a terminal"},
    STATE_OPTIONS,
};

static const struct lh_option confirm_options[] = {STATE_OPTIONS};

static const struct lh_option rollback_options[] = {
    {.name = "force",
     .parse = lh_option_flag,
     .offset = LH_SSHD_FIELD(force),
     .help = "also where files have changed since; those are kept"},
    STATE_OPTIONS,
};

static const struct lh_option timer_options[] = {
    {.name = "id",
     .arg = "ID",
     .parse = lh_option_text,
     .offset = LH_SSHD_FIELD(id),
     .help = "the run that is watched"},
    {.name = "ready-fd",
     .arg = "FD",
     .parse = option_number,
     .offset = LH_SSHD_FIELD(ready_fd),
     .high = 65535,
     .help = "says there that it is armed"},
    STATE_OPTIONS,
};

#define EPILOGUE                                                                                   \
    "Exit status: 0 done, 3 refused and nothing changed, 64 usage, 70 failed: what holds then\n"   \
    "is said.\n"

static const struct lh_option_table tables[] = {
    {.program = "lhctl sshd apply",
     .usage = "lhctl sshd apply [OPTION...] [modern|aspera-4|aspera-3|fips]\n",
     .options = apply_options,
     .count = LH_ARRAY_LEN(apply_options),
     .epilogue = EPILOGUE},
    {.program = "lhctl sshd confirm",
     .usage = "lhctl sshd confirm [OPTION...]\n",
     .options = confirm_options,
     .count = LH_ARRAY_LEN(confirm_options),
     .epilogue = EPILOGUE},
    {.program = "lhctl sshd rollback",
     .usage = "lhctl sshd rollback [OPTION...]\n",
     .options = rollback_options,
     .count = LH_ARRAY_LEN(rollback_options),
     .epilogue = EPILOGUE},
    {.program = "lhctl sshd timer",
     .usage = "lhctl sshd timer [OPTION...]\n",
     .options = timer_options,
     .count = LH_ARRAY_LEN(timer_options),
     .epilogue = "Started by apply; ends by itself.\n"},
};

// --- What is shown ---

// Prints `text` behind `lead`, broken at blanks.
static void put_wrapped(const char *lead, const char *text)
{
    size_t indent = strlen(lead);
    bool first = true;

    while (*text != '\0') {
        size_t room = COLUMNS - indent, len = strlen(text), part = len;
        if (len > room) {
            part = room;
            while (part > 0 && text[part] != ' ')
                part--;
            if (part == 0)
                part = strcspn(text, " ");
        }
        (void)printf("%-*s%.*s\n", (int)indent, first ? lead : "", (int)part, text);
        text += part + (text[part] == ' ');
        first = false;
    }
}

static void say(void *context, enum lh_ritual_news news, const char *text)
{
    static const struct {
        const char *lead;
        const char *colour;
    } kinds[] = {[LH_RITUAL_STEP] = {"done    ", "\033[32m"},
                 [LH_RITUAL_BAD] = {"FAILED  ", "\033[31;1m"},
                 [LH_RITUAL_NOTE] = {"        ", ""}};

    (void)context;
    if (news != LH_RITUAL_TEXT && lh_sshd_colour())
        (void)fputs(kinds[news].colour, stdout);
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        char *escaped = malloc(4 * len + 1);
        if (escaped != NULL && news == LH_RITUAL_TEXT)
            (void)printf("%s\n", lh_escape(line, len, escaped, 4 * len + 1));
        else if (escaped != NULL)
            put_wrapped(kinds[news].lead, lh_escape(line, len, escaped, 4 * len + 1));
        free(escaped);
        line += len + (line[len] == '\n');
    }
    if (news != LH_RITUAL_TEXT && lh_sshd_colour())
        (void)fputs("\033[0m", stdout);
    (void)fflush(stdout);
}

static int
finish(enum lh_ritual_result result, struct lh_sshd_report *report, const struct lh_errinfo *info)
{
    struct lh_sshd_show show = {.colour = lh_sshd_colour(), .columns = COLUMNS};

    lh_sshd_report_sort(report);
    if (result == LH_RITUAL_REFUSED)
        lh_sshd_show_text(report, &show, stdout);
    (void)fflush(stdout);
    if (result != LH_RITUAL_OK && *info->text != '\0')
        (void)lh_sshd_fail(info->text);
    if (result == LH_RITUAL_REFUSED)
        (void)fputs("lhctl: refused; nothing was changed\n", stderr);
    lh_sshd_report_fini(report);
    return result == LH_RITUAL_OK        ? 0
           : result == LH_RITUAL_REFUSED ? STATUS_REFUSED
                                         : LH_SSHD_STATUS_FAILED;
}

// --- The commands ---

// Everything that is wrong before a command begins. -1: nothing.
static int parse(size_t table,
                 int argc,
                 char **argv,
                 bool takes_profile,
                 struct lh_sshd_args *args,
                 struct lh_ritual_options *out_options)
{
    int status = lh_sshd_parse(&tables[table], argc, argv, takes_profile, args);

    if (status >= 0)
        return status;
    *out_options = (struct lh_ritual_options){
        .state = args->state == NULL ? LH_RITUAL_STATE_DIR : args->state,
        .tools = args->tools,
        .seconds = args->seconds == 0 ? LH_RITUAL_SECONDS : (unsigned)args->seconds,
        .way = (enum lh_ritual_way)args->way,
        .force = args->force,
        .id = args->id,
        .ready_fd = args->ready_fd == 0 ? -1 : (int)args->ready_fd,
        .say = say,
    };
    if (*out_options->state != '/' || strlen(out_options->state) > 512 ||
        (args->tools != NULL && *args->tools != '/')) {
        (void)lh_sshd_fail("--state and --tools want absolute paths");
        return LH_SSHD_STATUS_USAGE;
    }
    if (strcmp(args->root, "/") != 0) {
        (void)lh_sshd_fail("--root: only a plan can be made for another root; this changes a "
                           "running server");
        return LH_SSHD_STATUS_USAGE;
    }
    if (geteuid() != 0) {
        (void)lh_sshd_fail("only root can do this: run it with sudo; nothing was changed");
        return STATUS_REFUSED;
    }
    // What the clock of the programs that we run shows is the clock that sshd sees.
    (void)unsetenv("TZ");
    return -1;
}

static bool agreed(const struct lh_sshd_args *args)
{
    char line[16];

    if (args->yes || isatty(STDIN_FILENO) != 1)
        return true;
    (void)printf("This changes how the running SSH server lets people in (lhctl sshd plan shows "
                 "it).\nGo on? [y/N] ");
    (void)fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL && (*line == 'y' || *line == 'Y');
}

int lh_sshd_apply_main(int argc, char **argv)
{
    struct lh_sshd_report report = {0};
    struct lh_sshd_plan_options plan;
    struct lh_ritual_options options;
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;

    int status = parse(0, argc, argv, true, &args, &options);
    if (status >= 0)
        return status;
    if (!lh_sshd_plan_options_of(&args, &plan))
        return LH_SSHD_STATUS_USAGE;
    plan.pid = (pid_t)args.pid;
    if (!agreed(&args)) {
        (void)fputs("lhctl: nothing was changed\n", stderr);
        return STATUS_REFUSED;
    }
    enum lh_ritual_result result = lh_ritual_apply(&options, &plan, &report, &info);
    return finish(result, &report, &info);
}

int lh_sshd_confirm_main(int argc, char **argv)
{
    struct lh_sshd_report report = {0};
    struct lh_ritual_options options;
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;

    int status = parse(1, argc, argv, false, &args, &options);
    if (status >= 0)
        return status;
    enum lh_ritual_result result = lh_ritual_confirm(&options, &report, &info);
    return finish(result, &report, &info);
}

int lh_sshd_rollback_main(int argc, char **argv)
{
    struct lh_sshd_report report = {0};
    struct lh_ritual_options options;
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;

    int status = parse(2, argc, argv, false, &args, &options);
    if (status >= 0)
        return status;
    enum lh_ritual_result result = lh_ritual_rollback(&options, &report, &info);
    return finish(result, &report, &info);
}

int lh_sshd_timer_main(int argc, char **argv)
{
    struct lh_ritual_options options;
    struct lh_errinfo info = {0};
    struct lh_sshd_args args;

    int status = parse(3, argc, argv, false, &args, &options);
    if (status >= 0)
        return status;
    return lh_ritual_watch(&options, &info) == LH_RITUAL_OK ? 0 : LH_SSHD_STATUS_FAILED;
}
