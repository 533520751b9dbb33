// SPDX-License-Identifier: Apache-2.0
#include "watchio/lines.h"

#include "base/assert.h"

void lh_lines_init(struct lh_lines *lines)
{
    lines->number = lines->offset = 0;
    lines->begin = lines->looked = lines->used = 0;
    lines->skipping = false;
}

char *lh_lines_room(struct lh_lines *lines, size_t *out_room)
{
    if (lines->begin > 0) {
        memmove(lines->buffer, lines->buffer + lines->begin, lines->used - lines->begin);
        lines->used -= lines->begin;
        lines->looked -= lines->begin;
        lines->begin = 0;
    }
    *out_room = LH_LINES_ROOM - lines->used;
    LH_ASSERT(*out_room > 0);
    return lines->buffer + lines->used;
}

void lh_lines_add(struct lh_lines *lines, size_t len)
{
    LH_ASSERT(len <= LH_LINES_ROOM - lines->used);
    lines->used += len;
}

// Everything up to `end` is given, or skipped.
static void pass(struct lh_lines *lines, size_t end)
{
    lines->offset += end - lines->begin;
    lines->begin = lines->looked = end;
    if (lines->begin == lines->used)
        lines->begin = lines->looked = lines->used = 0;
}

bool lh_lines_next(struct lh_lines *lines, struct lh_span *out_line)
{
    for (;;) {
        const char *look = lines->buffer + lines->looked;
        const char *newline = memchr(look, '\n', lines->used - lines->looked);
        size_t end = newline == NULL ? lines->used : (size_t)(newline - lines->buffer);
        struct lh_span line = lh_span_of(lines->buffer + lines->begin, end - lines->begin);
        bool was_skipping = lines->skipping;
        if (newline != NULL) {
            lines->skipping = false;
            pass(lines, end + 1);
        } else if (was_skipping || line.len == LH_LINES_ROOM) {
            lines->skipping = true;
            pass(lines, end);
        } else {
            lines->looked = end;
            return false;
        }
        if (!was_skipping) {
            lines->number++;
            *out_line = line;
            return true;
        }
        if (newline == NULL)
            return false;
    }
}

bool lh_lines_last(struct lh_lines *lines, struct lh_span *out_line)
{
    struct lh_span line = lh_span_of(lines->buffer + lines->begin, lines->used - lines->begin);
    if (line.len == 0 || lines->skipping)
        return false;
    pass(lines, lines->used);
    lines->number++;
    *out_line = line;
    return true;
}

lh_err lh_lines_take(struct lh_lines *lines, size_t len, const struct lh_line_sink *sink)
{
    struct lh_span line;
    lh_lines_add(lines, len);
    while (lh_lines_next(lines, &line)) {
        lh_err err = sink->line(sink->context, line, lines->number);
        if (err != 0)
            return err;
    }
    return 0;
}

lh_err lh_lines_end(struct lh_lines *lines, const struct lh_line_sink *sink)
{
    struct lh_span line;
    return lh_lines_last(lines, &line) ? sink->line(sink->context, line, lines->number) : 0;
}
