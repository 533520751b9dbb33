// SPDX-License-Identifier: Apache-2.0
#include "watchio/lines.h"

#include "base/assert.h"

void lh_lines_init(struct lh_lines *lines)
{
    lines->number = lines->offset = 0;
    lines->used = 0;
    lines->skipping = false;
}

char *lh_lines_room(struct lh_lines *lines, size_t *out_room)
{
    *out_room = LH_LINES_ROOM - lines->used;
    LH_ASSERT(*out_room > 0);
    return lines->buffer + lines->used;
}

lh_err lh_lines_take(struct lh_lines *lines, size_t len, const struct lh_line_sink *sink)
{
    const char *from = lines->buffer;
    const char *end = lines->buffer + lines->used + len;
    const char *look = lines->buffer + lines->used; // no newline stands before
    const char *newline;

    while ((newline = memchr(look, '\n', (size_t)(end - look))) != NULL) {
        struct lh_span line = lh_span_of(from, (size_t)(newline - from));
        lines->offset += line.len + 1;
        from = look = newline + 1;
        if (lines->skipping) {
            lines->skipping = false;
            continue;
        }
        lh_err err = sink->line(sink->context, line, ++lines->number);
        if (err != 0)
            return err;
    }
    lines->used = (size_t)(end - from);
    if (lines->used == LH_LINES_ROOM || lines->skipping) {
        lh_err err = 0;
        if (!lines->skipping)
            err = sink->line(sink->context, lh_span_of(from, lines->used), ++lines->number);
        lines->offset += lines->used;
        lines->skipping = true;
        lines->used = 0;
        return err;
    }
    memmove(lines->buffer, from, lines->used);
    return 0;
}

lh_err lh_lines_end(struct lh_lines *lines, const struct lh_line_sink *sink)
{
    struct lh_span line = lh_span_of(lines->buffer, lines->used);
    if (lines->used == 0 || lines->skipping)
        return 0;
    lines->offset += lines->used;
    lines->used = 0;
    return sink->line(sink->context, line, ++lines->number);
}
