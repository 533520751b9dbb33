// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each event of events.def becomes one function that writes its fields in order; a
// table finds the function by the event's kind. All words are our own, so nothing needs escaping
// (asserted in debug builds), and snprintf never sees a format from elsewhere.
#include "transport/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"

struct text {
    char *start;
    size_t used, room; // used < room
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->start + text->used, text->room - text->used, format, args);
    va_end(args);
    LH_ASSERT(len >= 0 && text->used + (size_t)len < text->room); // LH_EVENT_LINE is enough
    text->used += (size_t)len;
}

static void put_number(struct text *text, const char *name, uint64_t value)
{
    put(text, ",\"%s\":%" PRIu64, name, value);
}

static void put_word(struct text *text, const char *name, const char *word)
{
    if (word == NULL)
        word = "";
    LH_DASSERT(strcspn(word, "\"\\\n") == strlen(word) && strlen(word) < 32);
    put(text, ",\"%s\":\"%s\"", name, word);
}

#define LH_NUMBER(name, unit, meaning) put_number(text, #name, event->name);
#define LH_WORD(name, meaning)         put_word(text, #name, event->name);
#define LH_EVENT(name, meaning, fields)                                                            \
    static void render_##name(struct text *text, const void *of)                                   \
    {                                                                                              \
        const struct lh_event_##name *event = of;                                                  \
        fields                                                                                     \
    }
#include "transport/events.def"
#undef LH_EVENT
#undef LH_WORD
#undef LH_NUMBER

static const struct {
    const char *name;
    void (*render)(struct text *text, const void *event);
} events[LH_EVENT_N_] = {
#define LH_EVENT(name, meaning, fields) [LH_EVENT_##name] = {#name, render_##name},
#include "transport/events.def"
#undef LH_EVENT
};

const char *lh_event_name(enum lh_event_kind kind)
{
    LH_ASSERT(kind < LH_EVENT_N_);
    return events[kind].name;
}

size_t lh_event_fields(enum lh_event_kind kind, const void *event, char *out, size_t room)
{
    LH_ASSERT(kind < LH_EVENT_N_ && room >= LH_EVENT_LINE);
    struct text text = {.start = out, .room = room};
    put(&text, "\"event\":\"%s\"", events[kind].name);
    events[kind].render(&text, event);
    LH_ASSERT(text.used <= LH_EVENT_FIELDS);
    return text.used;
}

size_t
lh_event_line(lh_ns since, const char *side, const char *fields, size_t len, char *out, size_t room)
{
    LH_ASSERT(room >= LH_EVENT_LINE && strlen(side) <= 8);
    struct text text = {.start = out, .room = room};
    put(&text, "{\"t\":%" PRIu64 ".%06" PRIu64 ",\"side\":\"%s\",%.*s}\n", since / LH_SECOND,
        since % LH_SECOND / LH_US, side, (int)LH_MIN(len, (size_t)LH_EVENT_FIELDS), fields);
    return text.used;
}

size_t lh_event_render(enum lh_event_kind kind,
                       const void *event,
                       lh_ns since,
                       const char *side,
                       char *out,
                       size_t room)
{
    char fields[LH_EVENT_LINE];
    size_t len = lh_event_fields(kind, event, fields, sizeof fields);
    return lh_event_line(since, side, fields, len, out, room);
}
