// SPDX-License-Identifier: Apache-2.0
//
// The live line on a terminal, and the summary in words. The rendering is pure: a status and a
// width give a line; only lh_progress_draw and _clear touch the terminal.
#ifndef LH_CMD_PROGRESS_H
#define LH_CMD_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "run/status.h"

#define LH_PROGRESS_LINE     1024 // bytes that a rendered line needs at most
#define LH_PROGRESS_INTERVAL (200 * LH_MS)

// Renders one line of at most `columns` - 1 columns (the last stays free, so that no terminal
// wraps) into `out` (`room` >= LH_PROGRESS_LINE bytes): name, percent, bytes, rate, time left, RTT,
// loss. Narrow terminals get fewer fields, the least wanted leave first. No control byte of a name
// gets through. Returns `out`.
char *lh_progress_line(const struct lhcp_status *status, unsigned columns, char *out, size_t room);

// Columns that `text` (valid UTF-8) takes at most; wide characters count double, some narrow ones
// too.
size_t lh_progress_columns(const char *text);

// What has to be written before a new line is drawn over an old one of `drawn` columns on a
// terminal now `columns` wide: the cursor goes back to the old line's first row even if a narrower
// window broke it into several. `out` needs 32 bytes. Returns `out`.
char *lh_progress_erase(size_t drawn, unsigned columns, char *out);

struct lh_progress {
    int fd;       // the terminal; not owned
    bool enabled; // false: every call is a no-op
    size_t drawn; // columns of the line on screen, 0 = none
    lh_ns next;   // no redraw before
    char last[LH_PROGRESS_LINE];
};

// On when `wanted`, and `fd` is a terminal that understands the usual sequences.
void lh_progress_init(struct lh_progress *progress, int fd, bool wanted);
void lh_progress_draw(struct lh_progress *progress, const struct lhcp_status *status, lh_ns now);
void lh_progress_clear(struct lh_progress *progress); // before anything else is printed
// Leaves the last line on screen and goes to the next.
void lh_progress_finish(struct lh_progress *progress);

// Two to five lines: what was transferred, how fast, which way, what was skipped or failed, and how
// to go on. `verbose` adds what was proved and what was not.
void lh_summary_print(const struct lhcp_result *result, unsigned verbose, FILE *out);
// One line: what a transfer would do.
void lh_summary_print_dry(const struct lhcp_result *result, FILE *out);

#endif
