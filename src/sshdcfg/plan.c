// SPDX-License-Identifier: Apache-2.0
//
// How it works. The head of the main file is where a line wins over every other file and line, so
// the settings go there; Match blocks must be last. Two kinds of lines could still beat them: lines
// in Match blocks, and lines of keywords that add up. Both become comments, and so do lines that
// would only be dead, so that each managed keyword is set in one place.
#include "sshdcfg/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdcfg/split.h"

#define MARK_BEGIN "# lhctl sshd: begin. What is between the marks is written anew by every run."
#define MARK_END   "# lhctl sshd: end"
#define MARK_LINE  "#lhctl# "
#define DOCS_MAX   1024

static bool is_mark(const struct lh_sshd_doc *doc, size_t index, const char *mark)
{
    size_t len = strlen(mark), body = lh_sshd_line_body(doc, index);
    const char *text = doc->lines[index].text;

    return body >= len && memcmp(text, mark, len) == 0 &&
           (body == len || (body == len + 1 && text[len] == '\r'));
}

// Takes out what an earlier run wrote. A mark without its partner goes alone: its lines stay, and
// left where it is it could find a partner in the next run.
static void remove_blocks(struct lh_sshd_doc *doc)
{
    for (size_t at = 0; at < doc->count;) {
        size_t end = at + 1;
        bool begins = is_mark(doc, at, MARK_BEGIN);
        while (begins && end < doc->count && !is_mark(doc, end, MARK_END) &&
               !is_mark(doc, end, MARK_BEGIN))
            end++;
        if (begins && end < doc->count && is_mark(doc, end, MARK_END)) {
            for (size_t i = at; i <= end; i++)
                lh_sshd_doc_remove(doc, at);
        } else if (begins || is_mark(doc, at, MARK_END)) {
            lh_sshd_doc_remove(doc, at);
        } else {
            at++;
        }
    }
}

// Whether line `index` sets something that the settings manage.
static lh_err is_managed(const struct lh_sshd_doc *doc,
                         size_t index,
                         const struct lh_sshd_settings *settings,
                         bool *out_managed)
{
    LH_CLEANUP(lh_sshd_statement_fini) struct lh_sshd_statement statement = {0};
    enum lh_sshd_line_kind kind;

    *out_managed = false;
    lh_err err =
        lh_sshd_split(doc->lines[index].text, lh_sshd_line_body(doc, index), &kind, &statement);
    if (err != 0 || kind != LH_SSHD_STATEMENT)
        return err;
    const struct lh_sshd_keyword *keyword = lh_sshd_keyword_find(statement.keyword);
    if (keyword == NULL)
        return 0;
    const char *name = keyword->prints != NULL ? keyword->prints : keyword->name;
    bool other_subsystem = strcmp(name, "subsystem") == 0 &&
                           (statement.count == 0 || strcmp(statement.words[0], "sftp") != 0);
    *out_managed = lh_sshd_settings_manage(settings, name) && !other_subsystem;
    return 0;
}

static lh_err comment_out(struct lh_sshd_doc *doc, const struct lh_sshd_settings *settings)
{
    for (size_t i = 0; i < doc->count; i++) {
        bool managed;
        lh_err err = is_managed(doc, i, settings, &managed);
        if (err == 0 && managed)
            err = lh_sshd_doc_comment(doc, i, MARK_LINE);
        if (err != 0)
            return err;
    }
    return 0;
}

// Inserts the settings of one part (for everybody, or the blocks) at `*index`, which moves on.
static lh_err insert_settings(struct lh_sshd_doc *doc,
                              size_t *index,
                              const struct lh_sshd_settings *settings,
                              bool blocks)
{
    bool in_blocks = false;
    char line[4096];

    for (size_t i = 0; i < settings->count; i++) {
        const struct lh_sshd_setting *setting = &settings->items[i];
        in_blocks = in_blocks || strcmp(setting->keyword, "Match") == 0;
        if (in_blocks != blocks)
            continue;
        int len = snprintf(line, sizeof line, "%s%s %s", setting->in_match ? "    " : "",
                           setting->keyword, setting->value);
        if (len < 0 || (size_t)len >= sizeof line)
            return LH_E_LIMIT;
        lh_err err = lh_sshd_doc_insert(doc, (*index)++, line);
        if (err != 0)
            return err;
    }
    return 0;
}

static bool has_blocks(const struct lh_sshd_settings *settings)
{
    return settings->count > 0 &&
           strcmp(settings->items[settings->count - 1].keyword, "Match") == 0;
}

static lh_err insert_part(struct lh_sshd_doc *doc,
                          size_t index,
                          const struct lh_sshd_settings *settings,
                          bool blocks)
{
    lh_err err = lh_sshd_doc_insert(doc, index++, MARK_BEGIN);
    if (err == 0)
        err = insert_settings(doc, &index, settings, blocks);
    if (err == 0)
        err = lh_sshd_doc_insert(doc, index, MARK_END);
    return err;
}

lh_err lh_sshd_plan_edit(struct lh_sshd_doc *main,
                         const char *folder,
                         const struct lh_sshd_settings *settings)
{
    struct lh_sshd_doc *docs[DOCS_MAX] = {main};
    size_t count = 1;
    lh_err err = 0;

    remove_blocks(main);
    for (size_t done = 0; err == 0 && done < count; done++) {
        struct lh_sshd_doc *doc = docs[done];
        for (size_t i = 0; i < doc->count; i++) {
            const struct lh_sshd_line *line = &doc->lines[i];
            for (size_t n = 0; n < line->include_count && count < DOCS_MAX; n++)
                docs[count++] = line->includes[n];
        }
        if (done == 0 || strncmp(doc->path, folder, strlen(folder)) == 0)
            err = comment_out(doc, settings);
    }
    if (err == 0)
        err = insert_part(main, 0, settings, false);
    if (err == 0 && has_blocks(settings))
        err = insert_part(main, main->count, settings, true);
    return err;
}

lh_err lh_sshd_plan_ideal(const struct lh_sshd_settings *settings, struct lh_sshd_doc **out_doc)
{
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = NULL;
    size_t index = 0;

    lh_err err = lh_sshd_doc_parse("the plan", "", 0, &doc);
    if (err == 0)
        err = insert_settings(doc, &index, settings, false);
    if (err == 0)
        err = insert_settings(doc, &index, settings, true);
    if (err == 0)
        *out_doc = lh_steal(&doc);
    return err;
}

// --- Does it hold? ---

static const char *port_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    return colon == NULL ? "" : colon + 1;
}

static bool has_port(const struct lh_sshd_values *values, const char *port)
{
    const struct lh_sshd_value *value;
    for (size_t i = 0; (value = lh_sshd_values_find(values, "listenaddress", i)) != NULL; i++) {
        if (strcmp(port_of(value->text), port) == 0)
            return true;
    }
    return false;
}

// Whether each of the ports of one is a port of the other.
static bool ports_within(const struct lh_sshd_values *one, const struct lh_sshd_values *other)
{
    const struct lh_sshd_value *value;
    for (size_t i = 0; (value = lh_sshd_values_find(one, "listenaddress", i)) != NULL; i++) {
        if (!has_port(other, port_of(value->text)))
            return false;
    }
    return true;
}

static bool same_values(const struct lh_sshd_values *want,
                        const struct lh_sshd_values *have,
                        const char *keyword)
{
    const struct lh_sshd_value *ours, *theirs;

    for (size_t i = 0;; i++) {
        ours = lh_sshd_values_find(want, keyword, i);
        theirs = lh_sshd_values_find(have, keyword, i);
        if (ours == NULL || theirs == NULL)
            return ours == theirs;
        if (strcasecmp(ours->text, theirs->text) != 0)
            return false;
    }
}

static bool has_sftp(const struct lh_sshd_values *values)
{
    const struct lh_sshd_value *value;
    for (size_t i = 0; (value = lh_sshd_values_find(values, "subsystem", i)) != NULL; i++) {
        if (strncmp(value->text, "sftp ", 5) == 0)
            return true;
    }
    return false;
}

bool lh_sshd_plan_holds(const struct lh_sshd_settings *settings,
                        const struct lh_sshd_values *want,
                        const struct lh_sshd_values *have,
                        const char **out_keyword)
{
    for (size_t i = 0; i < settings->count; i++) {
        *out_keyword = settings->items[i].keyword;
        if (strcmp(settings->items[i].keyword, "Match") != 0 &&
            strcmp(settings->items[i].keyword, "Subsystem") != 0 &&
            !same_values(want, have, settings->items[i].keyword))
            return false;
    }
    *out_keyword = "Subsystem";
    if (has_sftp(want) != has_sftp(have))
        return false;
    *out_keyword = "ListenAddress";
    return ports_within(have, want) && ports_within(want, have);
}
