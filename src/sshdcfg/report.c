// SPDX-License-Identifier: Apache-2.0
#include "sshdcfg/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"

// The texts of a finding, in one order for copying, comparing and freeing.
#define TEXTS 6

static char **text_at(struct lh_sshd_finding *finding, size_t index)
{
    char **const texts[TEXTS] = {&finding->is,  &finding->want,  &finding->why,
                                 &finding->who, &finding->where, &finding->mend};
    return texts[index];
}

static void finding_fini(struct lh_sshd_finding *finding)
{
    for (size_t i = 0; i < TEXTS; i++)
        free(*text_at(finding, i));
}

void lh_sshd_report_fini(struct lh_sshd_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        finding_fini(&report->items[i]);
    free(report->items);
    *report = (struct lh_sshd_report){0};
}

static lh_err copy_remark(const struct lh_sshd_remark *remark, struct lh_sshd_finding *out)
{
    const char *const texts[TEXTS] = {remark->is,  remark->want,  remark->why,
                                      remark->who, remark->where, remark->mend};

    *out = (struct lh_sshd_finding){.grade = remark->grade, .rule = remark->rule};
    for (size_t i = 0; i < TEXTS; i++) {
        char *copy = strdup(texts[i] == NULL ? "" : texts[i]);
        if (copy == NULL) {
            finding_fini(out);
            return LH_E_NOMEM;
        }
        *text_at(out, i) = copy;
    }
    return 0;
}

// Whether two findings say the same of different personas.
static bool only_who_differs(const struct lh_sshd_finding *one, const struct lh_sshd_finding *two)
{
    return one->grade == two->grade && strcmp(one->rule, two->rule) == 0 &&
           strcmp(one->is, two->is) == 0 && strcmp(one->want, two->want) == 0 &&
           strcmp(one->where, two->where) == 0 && strcmp(one->mend, two->mend) == 0;
}

// Whether the comma-separated list names `who`.
static bool names(const char *list, const char *who)
{
    size_t len = strlen(who);

    for (const char *at = list; *at != '\0';) {
        size_t part = strcspn(at, ",");
        if (part == len && strncmp(at, who, len) == 0)
            return true;
        at += part;
        at += strspn(at, ", ");
    }
    return false;
}

static lh_err join_who(struct lh_sshd_finding *finding, const char *who)
{
    char *joined;

    if (*finding->who == '\0' || names(finding->who, who))
        return 0;
    size_t room = strlen(finding->who) + strlen(who) + 3;
    joined = malloc(room);
    if (joined == NULL)
        return LH_E_NOMEM;
    (void)snprintf(joined, room, "%s, %s", finding->who, who);
    free(finding->who);
    finding->who = joined;
    return 0;
}

lh_err lh_sshd_report_add(struct lh_sshd_report *report, const struct lh_sshd_remark *remark)
{
    struct lh_sshd_finding finding;

    LH_ASSERT(remark->rule != NULL && remark->grade < LH_SSHD_GRADE_N_);
    lh_err err = copy_remark(remark, &finding);
    if (err != 0)
        return err;
    for (size_t i = 0; i < report->count; i++) {
        if (!only_who_differs(&report->items[i], &finding))
            continue;
        err = join_who(&report->items[i], finding.who);
        finding_fini(&finding);
        return err;
    }
    if (report->count == report->room) {
        size_t room = report->room == 0 ? 64 : 2 * report->room;
        struct lh_sshd_finding *items = realloc(report->items, room * sizeof *items);
        if (items == NULL) {
            finding_fini(&finding);
            return LH_E_NOMEM;
        }
        report->items = items;
        report->room = room;
    }
    report->items[report->count++] = finding;
    return 0;
}

void lh_sshd_report_sort(struct lh_sshd_report *report)
{
    for (size_t i = 1; i < report->count; i++) {
        struct lh_sshd_finding moved = report->items[i];
        size_t to = i;
        for (; to > 0 && report->items[to - 1].grade < moved.grade; to--)
            report->items[to] = report->items[to - 1];
        report->items[to] = moved;
    }
}

size_t lh_sshd_report_count(const struct lh_sshd_report *report, enum lh_sshd_grade grade)
{
    size_t count = 0;
    for (size_t i = 0; i < report->count; i++)
        count += report->items[i].grade == grade;
    return count;
}

const char *lh_sshd_grade_name(enum lh_sshd_grade grade)
{
    static const char *const grade_names[LH_SSHD_GRADE_N_] = {
        [LH_SSHD_GRADE_OK] = "ok",          [LH_SSHD_GRADE_INFO] = "info",
        [LH_SSHD_GRADE_UNKNOWN] = "unseen", [LH_SSHD_GRADE_LOW] = "low",
        [LH_SSHD_GRADE_MEDIUM] = "medium",  [LH_SSHD_GRADE_HIGH] = "high",
    };
    LH_ASSERT(grade < LH_SSHD_GRADE_N_);
    return grade_names[grade];
}
