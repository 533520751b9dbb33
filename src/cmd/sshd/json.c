// SPDX-License-Identifier: Apache-2.0
//
// Findings as one JSON document:
//   {"format": 1, "findings": [{"grade", "rule", "is", "want", "why", "who": [...], "where",
//   "mend"}], "status": 0..3}
#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/sshd/internal.h"

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

lh_err lh_sshd_show_json(const struct lh_sshd_report *report, FILE *out)
{
    json_t *document = json_object();
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
    (void)json_object_set_new(document, "format", json_integer(FORMAT));
    (void)json_object_set_new(document, "findings", findings);
    int failed = json_object_set_new(document, "status", json_integer(lh_sshd_exit_status(report)));
    if (failed == 0)
        failed = json_dumpf(document, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    json_decref(document);
    return failed == 0 ? 0 : LH_E_NOMEM;
}
