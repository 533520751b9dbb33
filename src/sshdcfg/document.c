// SPDX-License-Identifier: Apache-2.0
//
// How it works. A document is an array of lines, each a private copy of its bytes; nothing is
// normalised, so printing is concatenation. Meaning is found anew from a line's bytes whenever it
// is needed (sshdcfg/split.h): there is no second representation that could disagree with the
// text. Edits replace whole lines and keep the kind of line end the file uses.
#include "sshdcfg/document.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void line_fini(struct lh_sshd_line *line)
{
    free((void *)line->includes);
    free(line->text);
    *line = (struct lh_sshd_line){0};
}

// Frees without recursion, from the last line of the innermost document outwards. Whoever attaches
// documents keeps to LH_SSHD_DEPTH_MAX.
void lh_sshd_doc_free(struct lh_sshd_doc *doc)
{
    struct lh_sshd_doc *stack[LH_SSHD_DEPTH_MAX + 2];
    size_t depth = 0;

    if (doc == NULL)
        return;
    stack[depth++] = doc;
    while (depth > 0) {
        struct lh_sshd_doc *top = stack[depth - 1];
        struct lh_sshd_line *last = top->count > 0 ? &top->lines[top->count - 1] : NULL;
        if (last != NULL && last->include_count > 0) {
            LH_ASSERT(depth < LH_ARRAY_LEN(stack));
            stack[depth++] = last->includes[--last->include_count];
        } else if (last != NULL) {
            line_fini(last);
            top->count--;
        } else {
            free(top->lines);
            free(top->path);
            free(top);
            depth--;
        }
    }
}

// Room for one more line at `index`, zeroed.
static lh_err open_gap(struct lh_sshd_doc *doc, size_t index)
{
    if (doc->count == doc->room) {
        size_t room = doc->room == 0 ? 64 : 2 * doc->room;
        struct lh_sshd_line *lines = realloc(doc->lines, room * sizeof *lines);
        if (lines == NULL)
            return LH_E_NOMEM;
        doc->lines = lines;
        doc->room = room;
    }
    memmove(&doc->lines[index + 1], &doc->lines[index], (doc->count - index) * sizeof *doc->lines);
    doc->lines[index] = (struct lh_sshd_line){0};
    doc->count++;
    return 0;
}

static lh_err set_text(struct lh_sshd_line *line, const char *text, size_t len, const char *end)
{
    size_t end_len = strlen(end);
    char *copy = malloc(len + end_len + 1);

    if (copy == NULL)
        return LH_E_NOMEM;
    if (len > 0)
        memcpy(copy, text, len);
    memcpy(copy + len, end, end_len + 1);
    free(line->text);
    line->text = copy;
    line->len = len + end_len;
    return 0;
}

static lh_err split_lines(struct lh_sshd_doc *doc, const char *text, size_t len)
{
    size_t crlf = 0;

    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t part = newline == NULL ? len : (size_t)(newline - text) + 1;
        lh_err err = open_gap(doc, doc->count);
        if (err == 0)
            err = set_text(&doc->lines[doc->count - 1], text, part, "");
        if (err != 0)
            return err;
        crlf += part >= 2 && newline != NULL && text[part - 2] == '\r';
        text += part;
        len -= part;
    }
    doc->crlf = 2 * crlf > doc->count;
    return 0;
}

lh_err
lh_sshd_doc_parse(const char *path, const void *text, size_t len, struct lh_sshd_doc **out_doc)
{
    if (len > LH_SSHD_FILE_MAX)
        return LH_E_LIMIT;
    if (LH_GUARD(SSHD_ZERO_BYTE, len > 0 && memchr(text, '\0', len) != NULL))
        return LH_E_INVALID;
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = calloc(1, sizeof *doc);
    if (doc == NULL || (doc->path = strdup(path)) == NULL)
        return LH_E_NOMEM;
    lh_err err = split_lines(doc, text, len);
    if (err != 0)
        return err;
    *out_doc = lh_steal(&doc);
    return 0;
}

lh_err lh_sshd_doc_print(const struct lh_sshd_doc *doc, char **out_text, size_t *out_len)
{
    size_t len = 0;

    for (size_t i = 0; i < doc->count; i++)
        len += doc->lines[i].len;
    char *text = malloc(len + 1);
    if (text == NULL)
        return LH_E_NOMEM;
    char *to = text;
    for (size_t i = 0; i < doc->count; i++) {
        memcpy(to, doc->lines[i].text, doc->lines[i].len);
        to += doc->lines[i].len;
    }
    *to = '\0';
    *out_text = text;
    *out_len = len;
    return 0;
}

size_t lh_sshd_line_body(const struct lh_sshd_doc *doc, size_t index)
{
    LH_ASSERT(index < doc->count);
    const struct lh_sshd_line *line = &doc->lines[index];
    return line->text[line->len - 1] == '\n' ? line->len - 1 : line->len;
}

lh_err lh_sshd_doc_attach(struct lh_sshd_doc *doc, size_t index, struct lh_sshd_doc *child)
{
    LH_ASSERT(index < doc->count);
    struct lh_sshd_line *line = &doc->lines[index];
    struct lh_sshd_doc **includes =
        realloc((void *)line->includes, (line->include_count + 1) * sizeof(struct lh_sshd_doc *));

    if (includes == NULL) {
        lh_sshd_doc_free(child);
        return LH_E_NOMEM;
    }
    includes[line->include_count++] = child;
    line->includes = includes;
    return 0;
}

static const char *line_end(const struct lh_sshd_doc *doc)
{
    return doc->crlf ? "\r\n" : "\n";
}

lh_err lh_sshd_doc_insert(struct lh_sshd_doc *doc, size_t index, const char *text)
{
    LH_ASSERT(index <= doc->count);
    if (LH_GUARD(SSHD_EDIT_LINE, strchr(text, '\n') != NULL))
        return LH_E_INVALID;
    if (index == doc->count && index > 0) {
        struct lh_sshd_line *last = &doc->lines[index - 1];
        lh_err err = 0;
        if (last->text[last->len - 1] != '\n')
            err = set_text(last, last->text, last->len, line_end(doc));
        if (err != 0)
            return err;
    }
    struct lh_sshd_line fresh = {0};
    lh_err err = set_text(&fresh, text, strlen(text), line_end(doc));
    if (err == 0 && (err = open_gap(doc, index)) != 0)
        free(fresh.text);
    if (err == 0)
        doc->lines[index] = fresh;
    return err;
}

// What ends line `index`: "\r\n", "\n" or nothing.
static const char *end_of(const struct lh_sshd_doc *doc, size_t index)
{
    const struct lh_sshd_line *line = &doc->lines[index];

    if (line->text[line->len - 1] != '\n')
        return "";
    return line->len >= 2 && line->text[line->len - 2] == '\r' ? "\r\n" : "\n";
}

lh_err lh_sshd_doc_replace(struct lh_sshd_doc *doc, size_t index, const char *text)
{
    LH_ASSERT(index < doc->count);
    if (strchr(text, '\n') != NULL || *text == '\0')
        return LH_E_INVALID;
    return set_text(&doc->lines[index], text, strlen(text), end_of(doc, index));
}

void lh_sshd_doc_remove(struct lh_sshd_doc *doc, size_t index)
{
    LH_ASSERT(index < doc->count);
    struct lh_sshd_line *line = &doc->lines[index];
    while (line->include_count > 0)
        lh_sshd_doc_free(line->includes[--line->include_count]);
    line_fini(line);
    memmove(line, line + 1, (doc->count - index - 1) * sizeof *line);
    doc->count--;
}

lh_err lh_sshd_doc_comment(struct lh_sshd_doc *doc, size_t index, const char *mark)
{
    LH_ASSERT(index < doc->count && *mark == '#');
    if (strchr(mark, '\n') != NULL)
        return LH_E_INVALID;
    const struct lh_sshd_line *line = &doc->lines[index];
    size_t mark_len = strlen(mark);
    char *text = malloc(mark_len + line->len + 1);
    if (text == NULL)
        return LH_E_NOMEM;
    memcpy(text, mark, mark_len);
    memcpy(text + mark_len, line->text, line->len + 1);
    lh_err err = set_text(&doc->lines[index], text, mark_len + line->len, "");
    free(text);
    return err;
}
