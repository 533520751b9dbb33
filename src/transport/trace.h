// SPDX-License-Identifier: Apache-2.0
//
// Events of a session for whoever wants to see it (transport/events.def): structs, names, and their
// form as JSON lines. Pure: the caller gives a function and writes, sends or draws what it gets.
//
// Without a sink an event costs one comparison a batch of packets that came in.
#ifndef LH_TRANSPORT_TRACE_H
#define LH_TRANSPORT_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

#define LH_EVENT_LINE 1280 // bytes that a rendered line needs at most

enum lh_event_kind {
#define LH_EVENT(name, meaning, fields) LH_EVENT_##name,
#include "transport/events.def"
#undef LH_EVENT
    LH_EVENT_N_
};

#define LH_NUMBER(name, unit, meaning) uint64_t name;
#define LH_WORD(name, meaning)         const char *name;
#define LH_EVENT(name, meaning, fields)                                                            \
    struct lh_event_##name {                                                                       \
        fields                                                                                     \
    };
#include "transport/events.def"
#undef LH_EVENT
#undef LH_WORD
#undef LH_NUMBER

// Who gets the events. The owner may change `interval` at any time, also from inside the call.
struct lh_trace {
    // `event` is the struct of `kind`, valid during the call. Called from wherever the transport
    // works: it may not call the transport.
    void (*on_event)(void *user, enum lh_event_kind kind, const void *event, lh_ns now);
    void *user;
    lh_ns
        interval; // samples of a lane are at least so far apart; 0: with every batch that comes in
};

const char *lh_event_name(enum lh_event_kind kind);

// Renders "event":"sent","lane":1,... into `out` (`room` >= LH_EVENT_LINE), terminated; gives its
// length, at most LH_EVENT_FIELDS. Printable ASCII without braces.
#define LH_EVENT_FIELDS (LH_EVENT_LINE - 64)
size_t lh_event_fields(enum lh_event_kind kind, const void *event, char *out, size_t room);

// Makes {"t":SECONDS,"side":"client",FIELDS} and a newline of fields (at most LH_EVENT_FIELDS
// bytes, else they are cut). `since` is the time since the trace began, `side` "client" or
// "server".
size_t lh_event_line(
    lh_ns since, const char *side, const char *fields, size_t len, char *out, size_t room);

// Both at once.
size_t lh_event_render(enum lh_event_kind kind,
                       const void *event,
                       lh_ns since,
                       const char *side,
                       char *out,
                       size_t room);

#endif
