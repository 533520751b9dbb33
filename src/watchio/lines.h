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
    size_t begin;    // of buffer: what was not yet given
    size_t looked;   // of buffer: no newline stands between `begin` and here
    size_t used;     // of buffer
    bool skipping;   // the rest of a line that was too long
    char buffer[LH_LINES_ROOM];
};

void lh_lines_init(struct lh_lines *lines);

// Where the next bytes may be written, and how many (never 0, once lh_lines_next has given all).
char *lh_lines_room(struct lh_lines *lines, size_t *out_room);

// `len` bytes were written there.
void lh_lines_add(struct lh_lines *lines, size_t len);

// The next line, which lies in the buffer until more bytes are asked for. False: there is none,
// yet.
bool lh_lines_next(struct lh_lines *lines, struct lh_span *out_line);

// The input is at its end: what is left without a newline is a line too.
bool lh_lines_last(struct lh_lines *lines, struct lh_span *out_line);

// `len` bytes were written: all complete lines go to the sink.
lh_err
lh_lines_take(struct lh_lines *lines, size_t len, const struct lh_line_sink *sink) LH_MUST_CHECK;

// What lh_lines_last gives goes to the sink.
lh_err lh_lines_end(struct lh_lines *lines, const struct lh_line_sink *sink) LH_MUST_CHECK;

#endif
