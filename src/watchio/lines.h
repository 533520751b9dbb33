// SPDX-License-Identifier: Apache-2.0
//
// Bytes become lines, of any length, in a buffer of fixed size.
#ifndef LH_WATCHIO_LINES_H
#define LH_WATCHIO_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "watch/span.h"

#define LH_LINES_ROOM ((size_t)256 << 10)

// Called with each line without its newline, and its number from 1. A line longer than the buffer
// comes as its first LH_LINES_ROOM bytes. An error ends the reading and is returned.
struct lh_line_sink {
    lh_err (*line)(void *context, struct lh_span line, uint64_t number);
    void *context;
};

struct lh_lines {
    uint64_t number; // of lines begun
    uint64_t offset; // bytes of complete lines
    size_t used;     // of buffer: a line that is not complete yet
    bool skipping;   // the rest of a line that was too long
    char buffer[LH_LINES_ROOM];
};

void lh_lines_init(struct lh_lines *lines);

// Where the next bytes may be written, and how many (never 0).
char *lh_lines_room(struct lh_lines *lines, size_t *out_room);

// `len` bytes were written there.
lh_err
lh_lines_take(struct lh_lines *lines, size_t len, const struct lh_line_sink *sink) LH_MUST_CHECK;

// The input is at its end: what is left without a newline is a line too.
lh_err lh_lines_end(struct lh_lines *lines, const struct lh_line_sink *sink) LH_MUST_CHECK;

#endif
