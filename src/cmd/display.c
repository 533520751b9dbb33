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

static void show_problem(void *user, const struct lhcp_problem *problem)
{
    struct lhcp_display *display = user;
    char name[SHOWN_ROOM];
    char text[4 * LH_ERRINFO_TEXT];
    bool failed = problem->kind == LHCP_PROBLEM_FAILED;

    if (display->json)
        lh_json_problem(problem, display->out);
    if (display->quiet && !failed)
        return;
    lh_progress_clear(&display->progress);
    (void)lh_escape(problem->text, strlen(problem->text), text, sizeof text);
    if (problem->name == NULL)
        (void)fprintf(display->err, "%s: %s\n", display->program, text);
    else
        (void)fprintf(display->err, "%s: %s%s: %s\n", display->program,
                      problem->kind == LHCP_PROBLEM_SKIPPED ? "skipped " : "",
                      lh_escape(problem->name, strlen(problem->name), name, sizeof name), text);
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

int lhcp_display_result(struct lhcp_display *display, const struct lhcp_result *result)
{
    if (!display->json)
        lh_progress_clear(&display->progress);
    if (display->json)
        lh_json_result(result, display->out);
    else if (!display->quiet)
        lh_summary_print(result, display->verbose, display->out);
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
