// SPDX-License-Identifier: Apache-2.0
//
// Findings as one JSON document:
//   {"format": 1, "findings": [{"grade", "rule", "is", "want", "why", "who": [...], "where",
//   "mend"}], "status": 0..3}
// A plan:
//   {"format": 1, "profile", "changes": [{"keyword", "before": [...], "after": [...], "who":
//   [...]}], "difference": [lines], "affected": [findings], "status": 0 or 3}
#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/sshd/internal.h"
#include "sshdapply/plan.h"

#define FORMAT 1

static json_t *text_of(const char *text)
{
    char escaped[32768];
    return json_string(lh_escape(text, strlen(text), escaped, sizeof escaped));
}

// "a, b" as an array.
static json_t *list_of(const char *names)
{
    json_t *list = json_array();
    char name[1024];

    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, names);
        (void)json_array_append_new(list, text_of(name));
        names += len;
        names += strspn(names, ", ");
    }
    return list;
}

static json_t *findings_of(const struct lh_sshd_report *report)
{
    json_t *findings = json_array();

    for (size_t i = 0; i < report->count; i++) {
        const struct lh_sshd_finding *finding = &report->items[i];
        const struct {
            const char *key;
            const char *text;
        } members[] = {{"grade", lh_sshd_grade_name(finding->grade)},
                       {"rule", finding->rule},
                       {"is", finding->is},
                       {"want", finding->want},
                       {"why", finding->why},
                       {"where", finding->where},
                       {"mend", finding->mend}};
        json_t *object = json_object();
        for (size_t n = 0; n < LH_ARRAY_LEN(members); n++)
            (void)json_object_set_new(object, members[n].key, text_of(members[n].text));
        (void)json_object_set_new(object, "who", list_of(finding->who));
        (void)json_array_append_new(findings, object);
    }
    return findings;
}

// Adds format and status, writes the document and lets it go.
static lh_err finish(json_t *document, int status, FILE *out)
{
    (void)json_object_set_new(document, "format", json_integer(FORMAT));
    int failed = json_object_set_new(document, "status", json_integer(status));
    if (failed == 0)
        failed = json_dumpf(document, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    json_decref(document);
    return failed == 0 ? 0 : LH_E_NOMEM;
}

lh_err lh_sshd_show_json(const struct lh_sshd_report *report, FILE *out)
{
    json_t *document = json_object();

    (void)json_object_set_new(document, "findings", findings_of(report));
    return finish(document, lh_sshd_exit_status(report), out);
}

// Values of several lines, one a line, as an array.
static json_t *lines_of(const char *text)
{
    json_t *list = json_array();
    char escaped[32768];

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        (void)json_array_append_new(list,
                                    json_string(lh_escape(text, len, escaped, sizeof escaped)));
        text += len + (text[len] == '\n');
    }
    return list;
}

lh_err
lh_sshd_plan_json(const struct lh_sshd_plan *plan, const char *profile, int status, FILE *out)
{
    json_t *document = json_object();
    json_t *changes = json_array();

    for (size_t i = 0; i < plan->change_count; i++) {
        const struct lh_sshd_change *change = &plan->changes[i];
        json_t *object = json_object();
        (void)json_object_set_new(object, "keyword", text_of(change->keyword));
        (void)json_object_set_new(object, "before", lines_of(change->before));
        (void)json_object_set_new(object, "after", lines_of(change->after));
        (void)json_object_set_new(object, "who", list_of(change->who));
        (void)json_array_append_new(changes, object);
    }
    (void)json_object_set_new(document, "profile", text_of(profile));
    (void)json_object_set_new(document, "changes", changes);
    (void)json_object_set_new(document, "difference", lines_of(plan->difference));
    (void)json_object_set_new(document, "affected", findings_of(&plan->affected));
    return finish(document, status, out);
}
