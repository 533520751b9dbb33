// SPDX-License-Identifier: Apache-2.0
//
// How it works. A line is read from the front: priority, stamp, host, tag, pid, ": ", message. Only
// syslog's own writer puts these there; what strangers can influence begins in the message. The
// host may be missing (own formats). A line whose tag is not sshd's is dropped after its head,
// which is what makes large mixed logs cheap.
//
// What is not handled: a text log cannot show who wrote a line. A local user may write lines under
// sshd's name with logger(1); the journal knows better (journal.h).
#include "watch/line.h"

#include "watch/addr.h"

bool lh_watch_is_sshd(struct lh_span name)
{
    static const struct lh_span names[] = {
        {"sshd", 4}, {"sshd-session", 12}, {"sshd-auth", 9}, {"in.sshd", 7}};
    const char *slash = name.len == 0 ? NULL : memrchr(name.at, '/', name.len);
    if (slash != NULL)
        name = lh_span_skip(name, (size_t)(slash + 1 - name.at));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (lh_span_is(name, names[i]))
            return true;
    }
    return false;
}

uint32_t lh_watch_take_repeat(struct lh_span *message)
{
    struct lh_span rest = *message;
    uint64_t times;
    if (!lh_span_take(&rest, LH_SPAN("message repeated ")) ||
        !lh_span_take_number(&rest, 1000000, &times) || times == 0 ||
        !lh_span_take(&rest, LH_SPAN(" times: [ ")) || !lh_span_take_end(&rest, LH_SPAN("]")))
        return 1;
    *message = rest;
    return (uint32_t)times;
}

static struct lh_span take_word(struct lh_span *text)
{
    const char *blank = memchr(text->at, ' ', text->len);
    struct lh_span word =
        lh_span_head(*text, blank == NULL ? text->len : (size_t)(blank - text->at));
    *text = lh_span_skip(*text, word.len + 1);
    return word;
}

// The tag in front of `text`: NAME, NAME[PID] or NAME(MODULE)[PID], up to ":". False where it is
// not sshd's.
static bool take_tag(struct lh_span *text, struct lh_watch_record *record)
{
    size_t len = 0;
    while (len < text->len && len < 64 && memchr(" :[(", text->at[len], 4) == NULL)
        len++;
    struct lh_span rest = lh_span_skip(*text, len);
    uint64_t pid = 0;
    if (!lh_watch_is_sshd(lh_span_head(*text, len)))
        return false;
    record->writer = LH_WATCH_WRITER_SSHD;
    if (lh_span_take(&rest, LH_SPAN("(pam_unix)")))
        record->writer = LH_WATCH_WRITER_PAM;
    bool has_pid = lh_span_take(&rest, LH_SPAN("["));
    if (has_pid &&
        (!lh_span_take_number(&rest, UINT32_MAX, &pid) || !lh_span_take(&rest, LH_SPAN("]"))))
        return false;
    // A bare "sshd " is the name of a host (a container's, often), not a tag.
    bool has_colon = lh_span_take(&rest, LH_SPAN(":"));
    if (!(has_pid || has_colon) || !lh_span_take(&rest, LH_SPAN(" ")))
        return false;
    record->pid = (uint32_t)pid;
    *text = rest;
    return true;
}

// "[id param="value"]..." or "-" of RFC 5424; a value may hold \", \\ and \].
static bool skip_structured(struct lh_span *text)
{
    bool quoted = false;
    size_t at = 0;
    if (lh_span_take(text, LH_SPAN("- ")))
        return true;
    while (at < text->len && (at > 0 || text->at[0] == '[')) {
        char c = text->at[at++];
        if (quoted && c == '\\')
            at++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == ']' && (at == text->len || text->at[at] != '['))
            break;
    }
    *text = lh_span_skip(*text, at);
    return at > 0 && lh_span_take(text, LH_SPAN(" "));
}

// HOST APP PROCID MSGID SD MESSAGE, behind the stamp.
static bool take_rfc5424(struct lh_span *text, struct lh_watch_record *record)
{
    uint64_t pid = 0;
    struct lh_span host = take_word(text);
    struct lh_span app = take_word(text);
    struct lh_span process = take_word(text);
    (void)take_word(text);
    if (!lh_watch_is_sshd(app) || !skip_structured(text))
        return false;
    if (!lh_span_is(process, LH_SPAN("-")) &&
        (!lh_span_take_number(&process, UINT32_MAX, &pid) || process.len > 0))
        return false;
    (void)lh_span_take(text, LH_SPAN("\xef\xbb\xbf"));
    record->writer = LH_WATCH_WRITER_SSHD;
    record->pid = (uint32_t)pid;
    record->host = lh_watch_hash(host.at, host.len, 0);
    return true;
}

// Solaris puts "[ID 800047 auth.info] " in front of the message.
static void skip_solaris_id(struct lh_span *message)
{
    struct lh_span rest = *message;
    uint64_t number;
    const char *end;
    if (!lh_span_take(&rest, LH_SPAN("[ID ")) || !lh_span_take_number(&rest, UINT32_MAX, &number))
        return;
    end = memchr(rest.at, ']', rest.len < 40 ? rest.len : 40);
    if (end == NULL)
        return;
    rest = lh_span_skip(rest, (size_t)(end - rest.at) + 1);
    (void)lh_span_take(&rest, LH_SPAN(" "));
    *message = rest;
}

static bool is_last_repeated(struct lh_span text, struct lh_watch_record *record)
{
    uint64_t times;
    if (!lh_span_take(&text, LH_SPAN("last message repeated ")) ||
        !lh_span_take_number(&text, 1000000, &times) || !lh_span_is(text, LH_SPAN(" times")))
        return false;
    record->repeat = (uint32_t)times;
    return true;
}

static bool skip_priority(struct lh_span *line)
{
    struct lh_span rest = *line;
    uint64_t number;
    if (!lh_span_take(&rest, LH_SPAN("<")) || !lh_span_take_number(&rest, 1023, &number) ||
        !lh_span_take(&rest, LH_SPAN(">")))
        return false;
    *line = rest;
    return true;
}

bool lh_watch_line_time(struct lh_stamp_reader *stamps, struct lh_span line, int64_t *out_time)
{
    if (line.len > 0 && line.at[0] == '<' &&
        (!skip_priority(&line) || !lh_span_take(&line, LH_SPAN("1 "))))
        return false;
    return lh_stamp_take(stamps, &line, out_time);
}

enum lh_watch_line lh_watch_line_parse(struct lh_stamp_reader *stamps,
                                       struct lh_span line,
                                       struct lh_watch_record *out_record)
{
    struct lh_watch_record record = {.repeat = 1};

    if (line.len < 20 || line.len > LH_WATCH_LINE_MAX)
        return LH_WATCH_LINE_OTHER;
    (void)lh_span_take_end(&line, LH_SPAN("\r"));
    bool rfc5424 = line.at[0] == '<' && skip_priority(&line) && lh_span_take(&line, LH_SPAN("1 "));
    if (!lh_stamp_take(stamps, &line, &record.time))
        return LH_WATCH_LINE_OTHER;
    if (rfc5424) {
        if (!take_rfc5424(&line, &record))
            return LH_WATCH_LINE_OTHER;
    } else if (!take_tag(&line, &record)) {
        struct lh_span host = take_word(&line);
        record.host = lh_watch_hash(host.at, host.len, 0);
        if (is_last_repeated(line, &record)) {
            *out_record = record;
            return LH_WATCH_LINE_REPEAT;
        }
        if (!take_tag(&line, &record))
            return LH_WATCH_LINE_OTHER;
    }
    skip_solaris_id(&line);
    record.message = line;
    record.repeat = lh_watch_take_repeat(&record.message);
    *out_record = record;
    return LH_WATCH_LINE_SSHD;
}
