// SPDX-License-Identifier: Apache-2.0
//
// How it works. The longest common subsequence of lines, by the usual table, after the lines that
// both texts begin and end with are set aside; then hunks with three lines around each change, as
// `diff -u` prints them. The table is bounded, which is enough for configuration files.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "sshdcfg/plan.h"

#define CELLS_MAX ((size_t)16 << 20)
#define CONTEXT   3

struct text {
    char *bytes;
    size_t len;
    size_t room;
    bool bad;
};

static void put(struct text *text, const void *bytes, size_t len)
{
    if (text->len + len + 1 > text->room) {
        size_t room = 2 * (text->len + len) + 256;
        char *larger = realloc(text->bytes, room);
        if (larger == NULL) {
            text->bad = true;
            return;
        }
        text->bytes = larger;
        text->room = room;
    }
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
}

static bool same_line(const struct lh_sshd_line *one, const struct lh_sshd_line *two)
{
    return one->len == two->len && memcmp(one->text, two->text, one->len) == 0;
}

// Marks which lines are common: `keep_old[i]` and `keep_new[j]`.
static lh_err find_common(const struct lh_sshd_doc *old_doc,
                          const struct lh_sshd_doc *new_doc,
                          bool *keep_old,
                          bool *keep_new)
{
    size_t head = 0, old_end = old_doc->count, new_end = new_doc->count;

    while (head < old_end && head < new_end &&
           same_line(&old_doc->lines[head], &new_doc->lines[head])) {
        keep_old[head] = keep_new[head] = true;
        head++;
    }
    while (old_end > head && new_end > head &&
           same_line(&old_doc->lines[old_end - 1], &new_doc->lines[new_end - 1]))
        keep_old[--old_end] = keep_new[--new_end] = true;
    size_t rows = old_end - head + 1, columns = new_end - head + 1;
    if (rows > CELLS_MAX / columns)
        return LH_E_LIMIT;
    uint32_t *table = calloc(rows * columns, sizeof *table); // lengths from (i, j) to the end
    if (table == NULL)
        return LH_E_NOMEM;
    for (size_t i = rows - 1; i-- > 0;) {
        for (size_t j = columns - 1; j-- > 0;) {
            bool same = same_line(&old_doc->lines[head + i], &new_doc->lines[head + j]);
            uint32_t below = table[(i + 1) * columns + j], right = table[i * columns + j + 1];
            table[i * columns + j] =
                same ? table[(i + 1) * columns + j + 1] + 1 : LH_MAX(below, right);
        }
    }
    for (size_t i = 0, j = 0; i + 1 < rows && j + 1 < columns;) {
        if (same_line(&old_doc->lines[head + i], &new_doc->lines[head + j]))
            keep_old[head + i++] = keep_new[head + j++] = true;
        else if (table[(i + 1) * columns + j] >= table[i * columns + j + 1])
            i++;
        else
            j++;
    }
    free(table);
    return 0;
}

static void put_line(struct text *text, char sign, const struct lh_sshd_line *line)
{
    put(text, &sign, 1);
    put(text, line->text, line->len);
    if (line->text[line->len - 1] != '\n')
        put(text, "\n\\ No newline at end of file\n", 29);
}

struct walk {
    const struct lh_sshd_doc *old_doc, *new_doc;
    const bool *keep_old, *keep_new;
};

// Where the change that begins at (i, j) with its context ends: behind the last changed line that
// is not more than two contexts away from the one before, plus one context.
static void find_end(const struct walk *walk, size_t i, size_t j, size_t *out_i, size_t *out_j)
{
    size_t kept = 0;

    while (i < walk->old_doc->count || j < walk->new_doc->count) {
        if (i < walk->old_doc->count && !walk->keep_old[i]) {
            i++;
            kept = 0;
        } else if (j < walk->new_doc->count && !walk->keep_new[j]) {
            j++;
            kept = 0;
        } else {
            i++;
            j++;
            if (++kept > 2 * CONTEXT)
                break;
        }
    }
    size_t back = kept > CONTEXT ? kept - CONTEXT : 0;
    *out_i = i - back;
    *out_j = j - back;
}

static void put_hunk(struct text *text, const struct walk *walk, size_t at[2], const size_t end[2])
{
    char header[96];
    size_t i = at[0], j = at[1];
    size_t olds = end[0] - i, news = end[1] - j;
    int len = snprintf(header, sizeof header, "@@ -%zu,%zu +%zu,%zu @@\n", olds == 0 ? i : i + 1,
                       olds, news == 0 ? j : j + 1, news);

    put(text, header, (size_t)len);
    while (i < end[0] || j < end[1]) {
        if (i < end[0] && !walk->keep_old[i])
            put_line(text, '-', &walk->old_doc->lines[i++]);
        else if (j < end[1] && !walk->keep_new[j])
            put_line(text, '+', &walk->new_doc->lines[j++]);
        else {
            put_line(text, ' ', &walk->old_doc->lines[i++]);
            j++;
        }
    }
    at[0] = end[0];
    at[1] = end[1];
}

static void put_hunks(struct text *text, const struct walk *walk)
{
    size_t at[2] = {0, 0}; // lines of each that are done

    for (;;) {
        size_t i = at[0], j = at[1];
        while (i < walk->old_doc->count && j < walk->new_doc->count && walk->keep_old[i] &&
               walk->keep_new[j]) {
            i++;
            j++;
        }
        if (i == walk->old_doc->count && j == walk->new_doc->count)
            return;
        size_t back = LH_MIN(i - at[0], (size_t)CONTEXT), end[2];
        at[0] = i - back;
        at[1] = j - back;
        find_end(walk, i, j, &end[0], &end[1]);
        put_hunk(text, walk, at, end);
    }
}

lh_err lh_sshd_text_difference(const char *name,
                               const struct lh_sshd_doc *before,
                               const struct lh_sshd_doc *after,
                               char **out_text)
{
    bool *keep = calloc(before->count + after->count + 1, sizeof *keep);
    struct walk walk = {.old_doc = before,
                        .new_doc = after,
                        .keep_old = keep,
                        .keep_new = keep == NULL ? NULL : keep + before->count};
    struct text text = {0};
    char header[4200];

    if (keep == NULL)
        return LH_E_NOMEM;
    lh_err err = find_common(before, after, keep, keep + before->count);
    put(&text, "", 0);
    if (err == 0 && memchr(keep, false, before->count + after->count) != NULL) {
        int len = snprintf(header, sizeof header, "--- %.2000s\n+++ %.2000s\n", name, name);
        put(&text, header, (size_t)len);
        put_hunks(&text, &walk);
    }
    free(keep);
    if (err == 0 && (text.bad || text.bytes == NULL))
        err = LH_E_NOMEM;
    if (err != 0) {
        free(text.bytes);
        return err;
    }
    *out_text = text.bytes;
    return 0;
}
