// SPDX-License-Identifier: Apache-2.0
#include "sshdcfg/values.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void lh_sshd_values_fini(struct lh_sshd_values *values)
{
    for (size_t i = 0; i < values->count; i++)
        free(values->items[i].text);
    free(values->items);
    *values = (struct lh_sshd_values){0};
}

static lh_err add_spans(struct lh_sshd_values *values,
                        const char *keyword,
                        size_t keyword_len,
                        const char *text,
                        size_t text_len)
{
    if (values->count == values->room) {
        size_t room = values->room == 0 ? 128 : 2 * values->room;
        struct lh_sshd_value *items = realloc(values->items, room * sizeof *items);
        if (items == NULL)
            return LH_E_NOMEM;
        values->items = items;
        values->room = room;
    }
    char *copy = malloc(text_len + keyword_len + 2); // the text, then the keyword
    if (copy == NULL)
        return LH_E_NOMEM;
    memcpy(copy, text, text_len);
    copy[text_len] = '\0';
    char *name = copy + text_len + 1;
    for (size_t i = 0; i < keyword_len; i++)
        name[i] = (char)tolower((unsigned char)keyword[i]);
    name[keyword_len] = '\0';
    values->items[values->count++] = (struct lh_sshd_value){.keyword = name, .text = copy};
    return 0;
}

lh_err lh_sshd_values_add(struct lh_sshd_values *values,
                          const char *keyword,
                          const char *text,
                          const struct lh_sshd_doc *doc,
                          size_t line)
{
    lh_err err = add_spans(values, keyword, strlen(keyword), text, strlen(text));
    if (err != 0)
        return err;
    values->items[values->count - 1].doc = doc;
    values->items[values->count - 1].line = line;
    return 0;
}

lh_err lh_sshd_values_read(struct lh_sshd_values *values, const char *text, size_t len)
{
    const char *end = text + len;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline == NULL ? end : newline;
        const char *blank = memchr(text, ' ', (size_t)(stop - text));
        const char *value = blank == NULL ? stop : blank + 1;
        size_t keyword_len = (size_t)((blank == NULL ? stop : blank) - text);
        lh_err err = 0;
        if (keyword_len > 0)
            err = add_spans(values, text, keyword_len, value, (size_t)(stop - value));
        if (err != 0)
            return err;
        text = newline == NULL ? end : newline + 1;
    }
    return 0;
}

const struct lh_sshd_value *
lh_sshd_values_find(const struct lh_sshd_values *values, const char *keyword, size_t index)
{
    for (size_t i = 0; i < values->count; i++) {
        if (strcasecmp(values->items[i].keyword, keyword) == 0 && index-- == 0)
            return &values->items[i];
    }
    return NULL;
}

const char *lh_sshd_values_text(const struct lh_sshd_values *values, const char *keyword)
{
    const struct lh_sshd_value *value = lh_sshd_values_find(values, keyword, 0);
    return value == NULL ? "" : value->text;
}

bool lh_sshd_values_cover(const struct lh_sshd_values *have,
                          const struct lh_sshd_values *want,
                          const char **out_keyword)
{
    for (size_t i = 0; i < want->count; i++) {
        const char *keyword = want->items[i].keyword;
        const struct lh_sshd_value *ours = NULL, *theirs = NULL;
        *out_keyword = keyword;
        for (size_t n = 0; n == 0 || theirs != NULL; n++) {
            ours = lh_sshd_values_find(have, keyword, n);
            theirs = lh_sshd_values_find(want, keyword, n);
            if ((ours == NULL) != (theirs == NULL) ||
                (ours != NULL && strcasecmp(ours->text, theirs->text) != 0))
                return false;
        }
    }
    return true;
}
