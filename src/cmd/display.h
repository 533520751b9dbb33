// SPDX-License-Identifier: Apache-2.0
//
// What the user of lhcp sees while it runs and at the end: a live line and a summary, or JSON, or
// nothing but errors. Implements struct lhcp_report for run/.
#ifndef LH_CMD_DISPLAY_H
#define LH_CMD_DISPLAY_H

#include <stdio.h>

#include "cmd/lhcp_args.h"
#include "cmd/progress.h"
#include "run/status.h"

struct lhcp_display {
    const char *program;
    FILE *out; // progress, summary, JSON
    FILE *err; // problems and the error
    enum lhcp_action action;
    bool quiet;
    bool json;
    unsigned verbose;
    lh_ns next_json; // no progress object before
    struct lh_progress progress;
    struct lhcp_report report; // hand this to lh_client_run
};

// `out` and `err` stay the caller's. `options` is only read here.
void lhcp_display_init(struct lhcp_display *display,
                       const struct lhcp_options *options,
                       FILE *out,
                       FILE *err);
// Lines of the option parser; silent with -q.
void lhcp_display_notices(struct lhcp_display *display, const struct lhcp_notices *notices);
// The summary, and, where the run failed, "lhcp: error CODE: TEXT" as the last line on `err`.
// Returns the program's exit status: 0 or 1.
int lhcp_display_result(struct lhcp_display *display, const struct lhcp_result *result);
// An error before anything ran. Returns 1.
int lhcp_display_error(struct lhcp_display *display, const struct lh_errinfo *info);

#endif
