// SPDX-License-Identifier: Apache-2.0
//
// How it works. Findings as text: the grade and the rule, then what is, what should be and why,
// broken between words; the place; and the command that mends it, broken with backslashes so that
// it can be copied as it stands. Everything that comes from files is escaped.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/sshd/internal.h"

#define INDENT    14
#define TEXT_ROOM 20000

static const struct {
    const char *shown;
    const char *colour;
} grades[LH_SSHD_GRADE_N_] = {
    [LH_SSHD_GRADE_OK] = {"ok", "\033[32m"},          [LH_SSHD_GRADE_INFO] = {"info", ""},
    [LH_SSHD_GRADE_UNKNOWN] = {"unseen", "\033[35m"}, [LH_SSHD_GRADE_LOW] = {"low", "\033[36m"},
    [LH_SSHD_GRADE_MEDIUM] = {"medium", "\033[33m"},  [LH_SSHD_GRADE_HIGH] = {"HIGH", "\033[1;31m"},
};

// Bytes of `text` that fit into `room` columns, up to a blank where there is one; `*out_next` is
// where the next line begins. A character counts as one column.
static size_t fit(const char *text, size_t room, const char **out_next)
{
    size_t columns = 0, len = 0, blank = 0;

    for (; text[len] != '\0' && columns <= room; len++) {
        if (text[len] == ' ')
            blank = len;
        columns += ((unsigned char)text[len] & 0xc0) != 0x80;
    }
    if (text[len] == '\0' && columns <= room)
        blank = len;
    if (blank == 0)
        blank = strcspn(text, " ");
    *out_next = text + blank + (text[blank] == ' ');
    return blank;
}

// Prints `text` behind `lead`, going on below it.
static void put_text(FILE *out, const struct lh_sshd_show *show, const char *lead, const char *text)
{
    bool first = true;
    while (*text != '\0') {
        const char *next;
        size_t len = fit(text, show->columns - INDENT, &next);
        (void)fprintf(out, "%-*s%.*s\n", INDENT, first ? lead : "", (int)len, text);
        text = next;
        first = false;
    }
}

// The same for a command: a line that is not the last one ends in a backslash.
static void put_command(FILE *out, const struct lh_sshd_show *show, const char *text)
{
    bool first = true, quoted = false;

    while (*text != '\0') {
        const char *next;
        size_t len = fit(text, show->columns - INDENT - 2, &next);
        // Not inside of quotes, where a backslash would be part of the word.
        for (;;) {
            quoted = false;
            for (size_t i = 0; i < len; i++)
                quoted ^= text[i] == '\'';
            if (!quoted || *next == '\0')
                break;
            len = (size_t)(next - text) + strcspn(next, " ");
            next = text + len + (text[len] == ' ');
        }
        (void)fprintf(out, "%-*s%.*s%s\n", INDENT, first ? "     mend:" : "", (int)len, text,
                      *next == '\0' ? "" : " \\");
        text = next;
        first = false;
    }
}

static void
put_finding(FILE *out, const struct lh_sshd_show *show, const struct lh_sshd_finding *finding)
{
    char *text = malloc(TEXT_ROOM), *escaped = malloc(TEXT_ROOM);
    char lead[40];

    if (text == NULL || escaped == NULL) {
        free(text);
        free(escaped);
        return;
    }
    (void)snprintf(lead, sizeof lead, "%-7s %-4s", grades[finding->grade].shown, finding->rule);
    (void)snprintf(text, TEXT_ROOM, "%s%s%s%s", finding->is, *finding->who == '\0' ? "" : " (",
                   finding->who, *finding->who == '\0' ? "" : ")");
    (void)fputs(show->colour ? grades[finding->grade].colour : "", out);
    put_text(out, show, lead, lh_escape(text, strlen(text), escaped, TEXT_ROOM));
    (void)fputs(show->colour && *grades[finding->grade].colour != '\0' ? "\033[0m" : "", out);
    if (finding->grade != LH_SSHD_GRADE_OK && (*finding->want != '\0' || *finding->why != '\0')) {
        (void)snprintf(text, TEXT_ROOM, "%s%s%s%s", *finding->want == '\0' ? "" : "want ",
                       finding->want, *finding->want == '\0' || *finding->why == '\0' ? "" : ": ",
                       finding->why);
        put_text(out, show, "", lh_escape(text, strlen(text), escaped, TEXT_ROOM));
    }
    put_text(out, show,
             "     at:", lh_escape(finding->where, strlen(finding->where), escaped, TEXT_ROOM));
    put_command(out, show, lh_escape(finding->mend, strlen(finding->mend), escaped, TEXT_ROOM));
    free(text);
    free(escaped);
}

void lh_sshd_show_text(const struct lh_sshd_report *report,
                       const struct lh_sshd_show *show,
                       FILE *out)
{
    for (size_t i = 0; i < report->count; i++) {
        if (show->all || report->items[i].grade != LH_SSHD_GRADE_OK)
            put_finding(out, show, &report->items[i]);
    }
    if (!show->summary)
        return;
    (void)fprintf(out,
                  "%zu high, %zu medium, %zu low, %zu info; %zu not seen; %zu as it should be\n",
                  lh_sshd_report_count(report, LH_SSHD_GRADE_HIGH),
                  lh_sshd_report_count(report, LH_SSHD_GRADE_MEDIUM),
                  lh_sshd_report_count(report, LH_SSHD_GRADE_LOW),
                  lh_sshd_report_count(report, LH_SSHD_GRADE_INFO),
                  lh_sshd_report_count(report, LH_SSHD_GRADE_UNKNOWN),
                  lh_sshd_report_count(report, LH_SSHD_GRADE_OK));
    if (lh_sshd_exit_status(report) > 0)
        (void)fprintf(out, "lhctl sshd plan shows what would mend all of sshd_config at once, and "
                           "whom it\nwould affect. After a change by hand: sshd -t && systemctl "
                           "reload ssh. Keep this\nsession open until a new login has worked.\n");
}

int lh_sshd_exit_status(const struct lh_sshd_report *report)
{
    if (lh_sshd_report_count(report, LH_SSHD_GRADE_HIGH) > 0)
        return 3;
    if (lh_sshd_report_count(report, LH_SSHD_GRADE_MEDIUM) > 0)
        return 2;
    return lh_sshd_report_count(report, LH_SSHD_GRADE_LOW) > 0 ? 1 : 0;
}
