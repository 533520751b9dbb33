// SPDX-License-Identifier: Apache-2.0
#include "cmd/display.h"

#include <string.h>

#include "base/text.h"
#include "cmd/report_json.h"

#define EXIT_CODE_INTERNAL 11
#define SHOWN_ROOM         (4 * LH_PATH_TEXT_MAX + 1)

static void show_status(void *user, const struct lhcp_status *status, lh_ns now)
{
    struct lhcp_display *display = user;

    if (display->json) {
        if (now < display->next_json)
            return;
        display->next_json = now + LH_SECOND;
        lh_json_status(status, display->out);
        return;
    }
    lh_progress_draw(&display->progress, status, now);
}

// Results of --check and -n are what was asked for: they go to standard output. Problems of a
// transfer go to standard error, notices and what was skipped on purpose only where nobody asked
// for silence.
static void show_problem(void *user, const struct lhcp_problem *problem)
{
    struct lhcp_display *display = user;
    char name[SHOWN_ROOM];
    char text[4 * LH_ERRINFO_TEXT];
    bool failed = problem->kind == LHCP_PROBLEM_FAILED;
    bool is_answer = !failed && display->action != LHCP_TRANSFER;

    if (display->json)
        lh_json_problem(problem, display->out);
    if (!failed && (display->json || (display->quiet && !is_answer)))
        return;
    lh_progress_clear(&display->progress);
    (void)lh_escape(problem->text, strlen(problem->text), text, sizeof text);
    if (!is_answer)
        (void)fprintf(display->err, "%s: ", display->program);
    (void)fprintf(is_answer ? display->out : display->err, "%s%s%s%s\n",
                  problem->kind == LHCP_PROBLEM_SKIPPED ? "skipped " : "",
                  problem->name == NULL
                      ? ""
                      : lh_escape(problem->name, strlen(problem->name), name, sizeof name),
                  problem->name == NULL ? "" : ": ", text);
}

void lhcp_display_init(struct lhcp_display *display,
                       const struct lhcp_options *options,
                       FILE *out,
                       FILE *err)
{
    *display = (struct lhcp_display){
        .program = options->program,
        .out = out,
        .err = err,
        .action = options->action,
        .quiet = options->quiet,
        .json = options->json,
        .verbose = options->verbose,
        .report = {.user = display, .status = show_status, .problem = show_problem},
    };
    lh_progress_init(&display->progress, fileno(out), !options->quiet && !options->json);
}

void lhcp_display_notices(struct lhcp_display *display, const struct lhcp_notices *notices)
{
    for (size_t i = 0; i < notices->count && !display->quiet; i++)
        (void)fprintf(display->err, "%s: %s\n", display->program, notices->lines[i]);
}

static void print_error(const struct lhcp_display *display, uint16_t code, const char *text)
{
    char escaped[4 * LH_ERRINFO_TEXT];
    (void)fflush(display->out);
    (void)fprintf(display->err, "%s: error %u: %s\n", display->program,
                  code != 0 ? code : EXIT_CODE_INTERNAL,
                  lh_escape(text, strlen(text), escaped, sizeof escaped));
}

static void print_summary(const struct lhcp_display *display, const struct lhcp_result *result)
{
    const struct lhcp_status *status = &result->status;
    bool nothing_happened = status->files_total == 0 && status->files_failed == 0;

    if (display->action == LHCP_CHECK || (result->exit_code != 0 && nothing_happened))
        return;
    if (display->action == LHCP_DRY_RUN)
        lh_summary_print_dry(result, display->out);
    else
        lh_summary_print(result, display->verbose, display->out);
}

int lhcp_display_result(struct lhcp_display *display, const struct lhcp_result *result)
{
    if (!display->json)
        lh_progress_clear(&display->progress);
    if (display->json)
        lh_json_result(result, display->out);
    else if (!display->quiet)
        print_summary(display, result);
    if (result->exit_code == 0)
        return 0;
    print_error(display, result->exit_code, result->text);
    return 1;
}

int lhcp_display_error(struct lhcp_display *display, const struct lh_errinfo *info)
{
    struct lhcp_result result = {.exit_code = info->exit_code};

    if (display->json) {
        (void)snprintf(result.text, sizeof result.text, "%s", info->text);
        lh_json_result(&result, display->out);
    }
    print_error(display, info->exit_code, info->text);
    return 1;
}
