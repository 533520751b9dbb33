// SPDX-License-Identifier: Apache-2.0
//
// A piece of somebody else's text: any bytes, not terminated, not owned.
#ifndef LH_WATCH_SPAN_H
#define LH_WATCH_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct lh_span {
    const char *at;
    size_t len;
};

#define LH_SPAN(literal) ((struct lh_span){"" literal, sizeof(literal) - 1})

static inline struct lh_span lh_span_of(const char *at, size_t len)
{
    return (struct lh_span){at, len};
}

static inline bool lh_span_starts(struct lh_span text, struct lh_span head)
{
    return text.len >= head.len && memcmp(text.at, head.at, head.len) == 0;
}

static inline bool lh_span_ends(struct lh_span text, struct lh_span tail)
{
    return text.len >= tail.len && memcmp(text.at + text.len - tail.len, tail.at, tail.len) == 0;
}

static inline bool lh_span_is(struct lh_span text, struct lh_span other)
{
    return text.len == other.len && memcmp(text.at, other.at, other.len) == 0;
}

// `count` bytes less in front (at most all of them).
static inline struct lh_span lh_span_skip(struct lh_span text, size_t count)
{
    size_t step = count < text.len ? count : text.len;
    return lh_span_of(text.at + step, text.len - step);
}

static inline struct lh_span lh_span_head(struct lh_span text, size_t len)
{
    return lh_span_of(text.at, len < text.len ? len : text.len);
}

// Takes `head` off the front where it stands there.
static inline bool lh_span_take(struct lh_span *text, struct lh_span head)
{
    if (!lh_span_starts(*text, head))
        return false;
    *text = lh_span_skip(*text, head.len);
    return true;
}

// Takes `tail` off the end where it stands there.
static inline bool lh_span_take_end(struct lh_span *text, struct lh_span tail)
{
    if (!lh_span_ends(*text, tail))
        return false;
    text->len -= tail.len;
    return true;
}

#define LH_SPAN_NOWHERE SIZE_MAX

static inline size_t lh_span_find(struct lh_span text, struct lh_span what)
{
    const char *found = memmem(text.at, text.len, what.at, what.len);
    return found == NULL ? LH_SPAN_NOWHERE : (size_t)(found - text.at);
}

// The last place of `what`, found from the end in one pass.
static inline size_t lh_span_find_last(struct lh_span text, struct lh_span what)
{
    for (size_t at = text.len; at >= what.len && at > 0; at--) {
        const char *end = memrchr(text.at, what.at[what.len - 1], at);
        if (end == NULL)
            return LH_SPAN_NOWHERE;
        at = (size_t)(end - text.at) + 1;
        if (at >= what.len && memcmp(text.at + at - what.len, what.at, what.len) == 0)
            return at - what.len;
    }
    return LH_SPAN_NOWHERE;
}

// A decimal number in front, at most `most`; takes it off. False (and nothing taken) for none, or
// for a larger one.
static inline bool lh_span_take_number(struct lh_span *text, uint64_t most, uint64_t *out_number)
{
    uint64_t value = 0;
    size_t digits = 0;
    while (digits < text->len && text->at[digits] >= '0' && text->at[digits] <= '9') {
        uint64_t digit = (uint64_t)(text->at[digits] - '0');
        if (digits >= 19 || value * 10 + digit > most)
            return false;
        value = value * 10 + digit;
        digits++;
    }
    if (digits == 0)
        return false;
    *text = lh_span_skip(*text, digits);
    *out_number = value;
    return true;
}

#endif
