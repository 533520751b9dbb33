// SPDX-License-Identifier: Apache-2.0
//
// How it works. One pass over the members of the object: a name and a value, which is a string,
// null, or a list (of byte values where the text is not UTF-8, of strings where a field came
// several times). The few fields that matter are copied, unescaped, to places of their own; all
// others are skipped. The grammar is a subset of JSON's: no nested objects occur, so one that does
// ends the entry as foreign. Threat: a user logs with SYSLOG_IDENTIFIER=sshd and a text like
// sshd's; test watch_journal, guard JOURNAL_TRUST.
#include "watch/journal.h"

#include "base/assert.h"
#include "watch/addr.h"

// Where a value goes. A value that does not fit, or is of another form, leaves `bad`.
struct field {
    char *at;
    size_t room;
    size_t len;
    bool seen;
    bool bad;
};

static void field_put(struct field *field, unsigned byte)
{
    if (field == NULL)
        return;
    if (field->len == field->room)
        field->bad = true;
    else
        field->at[field->len++] = (char)byte;
}

static void field_put_utf8(struct field *field, uint32_t c)
{
    if (c < 0x80) {
        field_put(field, c);
    } else if (c < 0x800) {
        field_put(field, 0xc0 | c >> 6);
        field_put(field, 0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        field_put(field, 0xe0 | c >> 12);
        field_put(field, 0x80 | (c >> 6 & 0x3f));
        field_put(field, 0x80 | (c & 0x3f));
    } else {
        field_put(field, 0xf0 | c >> 18);
        field_put(field, 0x80 | (c >> 12 & 0x3f));
        field_put(field, 0x80 | (c >> 6 & 0x3f));
        field_put(field, 0x80 | (c & 0x3f));
    }
}

static void skip_blanks(struct lh_span *text)
{
    while (text->len > 0 && (text->at[0] == ' ' || text->at[0] == '\t'))
        *text = lh_span_skip(*text, 1);
}

static bool take_mark(struct lh_span *text, char mark)
{
    skip_blanks(text);
    if (text->len == 0 || text->at[0] != mark)
        return false;
    *text = lh_span_skip(*text, 1);
    return true;
}

static bool take_hex4(struct lh_span *text, uint32_t *out_code)
{
    uint32_t code = 0;
    if (text->len < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        char c = text->at[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return false;
        code = code << 4 | digit;
    }
    *text = lh_span_skip(*text, 4);
    *out_code = code;
    return true;
}

// What follows a backslash.
static bool take_escape(struct lh_span *text, struct field *field)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    uint32_t code;
    uint32_t low;

    if (text->len == 0)
        return false;
    const char *name = memchr(names, text->at[0], sizeof names - 1);
    if (name != NULL) {
        *text = lh_span_skip(*text, 1);
        field_put(field, (unsigned char)values[name - names]);
        return true;
    }
    if (!lh_span_take(text, LH_SPAN("u")) || !take_hex4(text, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (!lh_span_take(text, LH_SPAN("\\u")) || !take_hex4(text, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    field_put_utf8(field, code);
    return true;
}

// The rest of a string whose opening quote is taken; `field` may be NULL.
static bool take_string(struct lh_span *text, struct field *field)
{
    while (text->len > 0) {
        size_t plain = 0;
        while (plain < text->len && text->at[plain] != '"' && text->at[plain] != '\\')
            plain++;
        if (field != NULL && plain > field->room - field->len) {
            field->bad = true;
        } else if (field != NULL && plain > 0) {
            memcpy(field->at + field->len, text->at, plain);
            field->len += plain;
        }
        *text = lh_span_skip(*text, plain);
        if (lh_span_take(text, LH_SPAN("\"")))
            return true;
        if (!lh_span_take(text, LH_SPAN("\\")) || !take_escape(text, field))
            return false;
    }
    return false;
}

// The rest of a list: byte values make a text; strings mean that the field came several times.
static bool take_list(struct lh_span *text, struct field *field)
{
    uint64_t byte;
    if (take_mark(text, ']'))
        return true;
    do {
        skip_blanks(text);
        if (lh_span_take_number(text, 255, &byte)) {
            field_put(field, (unsigned)byte);
        } else if (lh_span_take(text, LH_SPAN("\"")) && take_string(text, NULL)) {
            if (field != NULL)
                field->bad = true;
        } else {
            return false;
        }
    } while (take_mark(text, ','));
    return take_mark(text, ']');
}

static bool take_value(struct lh_span *text, struct field *field)
{
    uint64_t number;
    skip_blanks(text);
    if (lh_span_take(text, LH_SPAN("\"")))
        return take_string(text, field);
    if (lh_span_take(text, LH_SPAN("[")))
        return take_list(text, field);
    if (field != NULL)
        field->bad = true;
    return lh_span_take(text, LH_SPAN("null")) || lh_span_take(text, LH_SPAN("true")) ||
           lh_span_take(text, LH_SPAN("false")) ||
           lh_span_take_number(text, UINT64_MAX / 16, &number);
}

enum { F_MESSAGE, F_PID, F_UID, F_COMM, F_EXE, F_TIME, F_MACHINE, F_CURSOR, F_N_ };

static struct field *field_named(struct field *fields, struct lh_span name)
{
    static const struct lh_span names[F_N_] = {
        [F_MESSAGE] = {"MESSAGE", 7},
        [F_PID] = {"_PID", 4},
        [F_UID] = {"_UID", 4},
        [F_COMM] = {"_COMM", 5},
        [F_EXE] = {"_EXE", 4},
        [F_TIME] = {"__REALTIME_TIMESTAMP", 20},
        [F_MACHINE] = {"_MACHINE_ID", 11},
        [F_CURSOR] = {"__CURSOR", 8},
    };
    for (size_t i = 0; i < F_N_; i++) {
        if (lh_span_is(name, names[i]))
            return &fields[i];
    }
    return NULL;
}

// All members of the object; false where the text is not one.
static bool read_members(struct lh_span text, struct field *fields)
{
    char name_text[32];
    if (!take_mark(&text, '{'))
        return false;
    do {
        struct field name = {.at = name_text, .room = sizeof name_text};
        if (!take_mark(&text, '"') || !take_string(&text, &name) || !take_mark(&text, ':'))
            return false;
        struct field *field =
            name.bad ? NULL : field_named(fields, lh_span_of(name_text, name.len));
        if (field != NULL && field->seen)
            field->bad = true;
        if (field != NULL)
            field->seen = true;
        if (!take_value(&text, field != NULL && field->bad ? NULL : field))
            return false;
    } while (take_mark(&text, ','));
    return take_mark(&text, '}');
}

static struct lh_span value_of(const struct field *field)
{
    return field->seen && !field->bad ? lh_span_of(field->at, field->len) : lh_span_of("", 0);
}

static bool number_of(const struct field *field, uint64_t most, uint64_t *out_number)
{
    struct lh_span text = value_of(field);
    return lh_span_take_number(&text, most, out_number) && text.len == 0;
}

enum lh_watch_line lh_watch_journal_parse(struct lh_span line, struct lh_journal_entry *out_entry)
{
    char small[5][128];
    char machine[64];
    struct field fields[F_N_] = {
        [F_MESSAGE] = {.at = out_entry->text, .room = sizeof out_entry->text},
        [F_PID] = {.at = small[0], .room = sizeof small[0]},
        [F_UID] = {.at = small[1], .room = sizeof small[1]},
        [F_COMM] = {.at = small[2], .room = sizeof small[2]},
        [F_EXE] = {.at = small[3], .room = sizeof small[3]},
        [F_TIME] = {.at = small[4], .room = sizeof small[4]},
        [F_MACHINE] = {.at = machine, .room = sizeof machine},
        [F_CURSOR] = {.at = out_entry->cursor, .room = sizeof out_entry->cursor - 1},
    };
    uint64_t uid = 1;
    uint64_t pid = 0;
    uint64_t microseconds;

    memset(&out_entry->record, 0, sizeof out_entry->record);
    out_entry->cursor[0] = '\0';
    if (line.len > LH_WATCH_JOURNAL_LINE_MAX || !read_members(line, fields))
        return LH_WATCH_LINE_OTHER;
    struct lh_span cursor = value_of(&fields[F_CURSOR]);
    out_entry->cursor[cursor.len] = '\0';
    bool root = number_of(&fields[F_UID], UINT32_MAX, &uid) && uid == 0;
    // A user's link named "sshd" to a program that runs as root, as su does, chooses _COMM.
    bool sshd = lh_watch_is_sshd(value_of(&fields[fields[F_EXE].seen ? F_EXE : F_COMM]));
    if (LH_GUARD(JOURNAL_TRUST, !root) || !sshd)
        return LH_WATCH_LINE_OTHER;
    if (!number_of(&fields[F_TIME], UINT64_MAX / 16, &microseconds) || !fields[F_MESSAGE].seen ||
        fields[F_MESSAGE].bad)
        return LH_WATCH_LINE_OTHER;
    (void)number_of(&fields[F_PID], UINT32_MAX, &pid);
    out_entry->microseconds = microseconds;
    struct lh_span host = value_of(&fields[F_MACHINE]);
    out_entry->record = (struct lh_watch_record){
        .time = (int64_t)(microseconds / 1000000),
        .host = lh_watch_hash(host.at, host.len, 0),
        .pid = (uint32_t)pid,
        .repeat = 1,
        .message = value_of(&fields[F_MESSAGE]),
    };
    return LH_WATCH_LINE_SSHD;
}
