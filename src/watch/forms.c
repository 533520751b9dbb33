// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each form reads what follows a row's head, from the end where a stranger's text
// stands in front of the address, from the front where it stands behind. Where it may stand on both
// sides (a failed key has the user before and the certificate's id behind, "Disconnecting" the user
// before and the names that were asked for behind), all places that look like an address and a port
// are collected: one is the answer, several make the line ambiguous (guard FORM_AMBIGUOUS). sshd
// cuts its messages at 500 bytes, so not even the end of a line is safe where a stranger's text
// comes last.
#include "base/assert.h"
#include "watch/message_internal.h"

// "A", "A port P" with nothing behind; the whole of `text`.
static bool whole_endpoint(struct lh_span text, struct lh_endpoint *out)
{
    struct lh_endpoint peer = {.port = 0};
    uint64_t port = 0;
    size_t at = lh_span_find(text, LH_SPAN(" port "));
    if (at != LH_SPAN_NOWHERE) {
        struct lh_span number = lh_span_skip(text, at + 6);
        if (!lh_span_take_number(&number, 65535, &port) || number.len > 0)
            return false;
        text.len = at;
    }
    if (!lh_watch_addr_parse(text, &peer.addr))
        return false;
    peer.port = (uint16_t)port;
    *out = peer;
    return true;
}

// "A port P" at the front; what follows stays in `text`.
static bool take_endpoint(struct lh_span *text, struct lh_endpoint *out)
{
    const char *blank = memchr(text->at, ' ', text->len < 80 ? text->len : 80);
    struct lh_endpoint peer;
    uint64_t port;
    if (blank == NULL)
        return false;
    struct lh_span addr = lh_span_head(*text, (size_t)(blank - text->at));
    struct lh_span rest = lh_span_skip(*text, addr.len);
    if (!lh_span_take(&rest, LH_SPAN(" port ")) || !lh_span_take_number(&rest, 65535, &port) ||
        !lh_watch_addr_parse(addr, &peer.addr))
        return false;
    peer.port = (uint16_t)port;
    *text = rest;
    *out = peer;
    return true;
}

// Where the end of a message is missing, what looks like its end may be a stranger's text.
static bool end_is_lost(const struct lh_watch_event *event)
{
    return LH_GUARD(FORM_CUT, event->cut);
}

static void set_peer(struct lh_watch_event *event, struct lh_endpoint peer)
{
    event->peer = peer;
    event->has_peer = true;
}

static void set_user(struct lh_watch_event *event, struct lh_span user)
{
    event->user = user;
    event->has_user = true;
}

// Every "A port P" in `text` whose address follows `before` and that `fits_behind` accepts.
struct readings {
    struct lh_endpoint peers[LH_WATCH_ALTERNATIVES_MAX];
    size_t starts[LH_WATCH_ALTERNATIVES_MAX]; // where `before` begins
    size_t count;                             // may be more than fit
};

static void collect(struct lh_span text,
                    struct lh_span before,
                    bool (*fits_behind)(struct lh_span behind),
                    struct readings *out)
{
    size_t at = 0;
    out->count = 0;
    for (;;) {
        struct lh_span rest = lh_span_skip(text, at);
        size_t found = lh_span_find(rest, before);
        if (found == LH_SPAN_NOWHERE)
            return;
        size_t start = at + found;
        struct lh_endpoint peer;
        rest = lh_span_skip(text, start + before.len);
        at = start + 1;
        if (!take_endpoint(&rest, &peer) || !fits_behind(rest))
            continue;
        if (out->count < LH_WATCH_ALTERNATIVES_MAX) {
            out->peers[out->count] = peer;
            out->starts[out->count] = start;
        }
        out->count++;
    }
}

// One reading is the peer; of several, none is. False where there is no reading at all.
static bool
settle(struct lh_watch_event *event, struct lh_span text, const struct readings *readings)
{
    if (end_is_lost(event))
        return true;
    if (readings->count == 0)
        return false;
    if (LH_GUARD(FORM_AMBIGUOUS, readings->count > 1)) {
        size_t kept = readings->count <= LH_WATCH_ALTERNATIVES_MAX ? readings->count : 0;
        memcpy(event->alternatives, readings->peers, kept * sizeof *readings->peers);
        event->alternative_count = (uint8_t)kept;
        return true;
    }
    set_peer(event, readings->peers[0]);
    set_user(event, lh_span_head(text, readings->starts[0]));
    return true;
}

static struct lh_span take_method(struct lh_span *text)
{
    const char *blank = memchr(text->at, ' ', text->len);
    struct lh_span word =
        lh_span_head(*text, blank == NULL ? text->len : (size_t)(blank - text->at));
    *text = lh_span_skip(*text, word.len + 1);
    return word;
}

static enum lh_watch_method method_of(struct lh_span word)
{
    static const struct {
        struct lh_span head;
        enum lh_watch_method method;
    } names[] = {
        {{"password", 8}, LH_WATCH_METHOD_PASSWORD},
        {{"keyboard-interactive", 20}, LH_WATCH_METHOD_KEYBOARD},
        {{"publickey", 9}, LH_WATCH_METHOD_PUBLICKEY},
        {{"hostbased", 9}, LH_WATCH_METHOD_HOSTBASED},
        {{"gssapi", 6}, LH_WATCH_METHOD_GSSAPI},
        {{"none", 4}, LH_WATCH_METHOD_NONE},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (lh_span_starts(word, names[i].head))
            return names[i].method;
    }
    return LH_WATCH_METHOD_OTHER;
}

static bool behind_failed(struct lh_span behind)
{
    if (behind.len == 0)
        return true;
    return lh_span_take(&behind, LH_SPAN(" ssh2")) && (behind.len == 0 || behind.at[0] == ':');
}

// "U from A" of servers that log no port.
static bool old_user_from(struct lh_span text, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    if (end_is_lost(event))
        return true;
    (void)lh_span_take_end(&text, LH_SPAN(" ssh2"));
    size_t at = lh_span_find_last(text, LH_SPAN(" from "));
    if (at == LH_SPAN_NOWHERE || !whole_endpoint(lh_span_skip(text, at + 6), &peer))
        return false;
    set_peer(event, peer);
    set_user(event, lh_span_head(text, at));
    return true;
}

bool lh_form_failed(struct lh_span rest, struct lh_watch_event *event)
{
    struct readings readings;

    if (event->family == LH_WATCH_FAILED) {
        event->method = method_of(take_method(&rest));
        if (!lh_span_take(&rest, LH_SPAN("for ")))
            return false;
    }
    event->invalid_user = lh_span_take(&rest, LH_SPAN("invalid user ")) ||
                          lh_span_take(&rest, LH_SPAN("illegal user "));
    // These have nothing behind the address: the last reading is sshd's.
    bool ends = event->method == LH_WATCH_METHOD_PASSWORD ||
                event->method == LH_WATCH_METHOD_KEYBOARD ||
                event->method == LH_WATCH_METHOD_NONE || event->family == LH_WATCH_MAX_TRIES;
    if (ends && old_user_from(rest, event))
        return true;
    collect(rest, LH_SPAN(" from "), behind_failed, &readings);
    return settle(event, rest, &readings);
}

bool lh_form_accepted(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    event->method = method_of(take_method(&rest));
    if (!lh_span_take(&rest, LH_SPAN("for ")))
        return false;
    size_t at = lh_span_find(rest, LH_SPAN(" from "));
    if (at == LH_SPAN_NOWHERE)
        return false;
    struct lh_span behind = lh_span_skip(rest, at + 6);
    if (!take_endpoint(&behind, &peer))
        return false;
    set_peer(event, peer);
    set_user(event, lh_span_head(rest, at));
    return true;
}

bool lh_form_user_end(struct lh_span rest, struct lh_watch_event *event)
{
    event->invalid_user = event->family == LH_WATCH_INVALID;
    return old_user_from(rest, event);
}

bool lh_form_not_allowed(struct lh_span rest, struct lh_watch_event *event)
{
    size_t at = lh_span_find_last(rest, LH_SPAN(" not allowed because "));
    struct lh_endpoint peer;
    if (at == LH_SPAN_NOWHERE)
        return false;
    rest.len = at;
    size_t from = lh_span_find_last(rest, LH_SPAN(" from "));
    if (from != LH_SPAN_NOWHERE) {
        // With UseDNS the host's name stands here: then the process tells the address.
        if (whole_endpoint(lh_span_skip(rest, from + 6), &peer))
            set_peer(event, peer);
        rest.len = from;
    }
    set_user(event, rest);
    return true;
}

// Takes "authenticating user ", "invalid user " or "user " off; says in `event` which it was.
static bool take_preamble(struct lh_span *text, struct lh_watch_event *event)
{
    event->authenticating = true;
    if (lh_span_take(text, LH_SPAN("authenticating user ")))
        return true;
    event->invalid_user = lh_span_take(text, LH_SPAN("invalid user "));
    if (event->invalid_user)
        return true;
    event->authenticating = false;
    if (!lh_span_take(text, LH_SPAN("user ")))
        return false;
    event->family = LH_WATCH_GONE; // after the login
    return true;
}

bool lh_form_preamble_end(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    bool named = take_preamble(&rest, event);
    if (end_is_lost(event))
        return true;
    size_t port = lh_span_find_last(rest, LH_SPAN(" port "));
    if (port == LH_SPAN_NOWHERE)
        port = rest.len;
    const char *blank = memrchr(rest.at, ' ', port);
    size_t start = blank == NULL ? 0 : (size_t)(blank - rest.at) + 1;
    if (!whole_endpoint(lh_span_skip(rest, start), &peer) || named != (start > 0))
        return false;
    set_peer(event, peer);
    if (named)
        set_user(event, lh_span_head(rest, start - 1));
    else if (!event->preauth)
        event->family = LH_WATCH_GONE;
    return true;
}

static bool behind_preamble(struct lh_span behind)
{
    return behind.len == 0 || behind.at[0] == ':' || behind.at[0] == ' ';
}

// What the text behind the address makes of the family.
static void judge_text(struct lh_span behind, struct lh_watch_event *event)
{
    static const struct lh_span silent[] = {{": could not read protocol version", 33},
                                            {": Connection reset by peer", 26},
                                            {": Connection closed by remote host", 34},
                                            {": Broken pipe", 13}};
    if (event->family == LH_WATCH_CONNECTED && lh_span_ends(behind, LH_SPAN(" timed out")))
        event->family = LH_WATCH_CLOSE;
    if (event->family == LH_WATCH_CONNECTED && lh_span_starts(behind, LH_SPAN(":")))
        event->family = LH_WATCH_NOISE;
    if (event->family == LH_WATCH_DISCONNECT &&
        lh_span_starts(behind, LH_SPAN(": Too many authentication failures")))
        event->family = LH_WATCH_MAX_TRIES;
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
        if (event->family == LH_WATCH_NOISE && lh_span_is(behind, silent[i]))
            event->family = LH_WATCH_BARE;
    }
}

bool lh_form_preamble_text(struct lh_span rest, struct lh_watch_event *event)
{
    struct readings readings;
    struct lh_endpoint peer;
    struct lh_span behind = rest;

    if (take_endpoint(&behind, &peer)) {
        set_peer(event, peer);
        judge_text(behind, event);
        return true;
    }
    if (!take_preamble(&rest, event))
        return false;
    // An account that exists is one word: its line reads in one way only.
    behind = rest;
    struct lh_span name = take_method(&behind);
    if (!event->invalid_user && take_endpoint(&behind, &peer)) {
        set_peer(event, peer);
        set_user(event, name);
        judge_text(behind, event);
        return true;
    }
    collect(rest, LH_SPAN(" "), behind_preamble, &readings);
    if (!settle(event, rest, &readings))
        return false;
    if (event->has_peer) {
        behind = lh_span_skip(rest, readings.starts[0] + 1);
        (void)take_endpoint(&behind, &peer);
        judge_text(behind, event);
    }
    return true;
}

bool lh_form_front(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer = {.port = 0};
    if (!take_endpoint(&rest, &peer)) {
        size_t len = 0;
        while (len < rest.len && rest.at[len] != ' ' && rest.at[len] != ',')
            len++;
        struct lh_span addr = lh_span_head(rest, len);
        // "A:" and "A: 11: Bye" of old servers; an IPv6 address does not end in a colon either.
        (void)lh_span_take_end(&addr, LH_SPAN(":"));
        if (!lh_watch_addr_parse(addr, &peer.addr))
            return false;
    }
    set_peer(event, peer);
    return true;
}

bool lh_form_from_end(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    size_t at = lh_span_find_last(rest, LH_SPAN(" from "));
    if (end_is_lost(event))
        return true;
    if (at == LH_SPAN_NOWHERE || !whole_endpoint(lh_span_skip(rest, at + 6), &peer))
        return false;
    set_peer(event, peer);
    return true;
}

static enum lh_watch_penalty penalty_of(struct lh_span reason)
{
    static const struct {
        struct lh_span text;
        enum lh_watch_penalty penalty;
    } reasons[] = {
        {{"failed authentication", 21}, LH_WATCH_PENALTY_AUTH},
        {{"attempted authentication by invalid user", 40}, LH_WATCH_PENALTY_INVALID},
        {{"connections without attempting authentication", 45}, LH_WATCH_PENALTY_NOAUTH},
        {{"exceeded LoginGraceTime", 23}, LH_WATCH_PENALTY_GRACE},
        {{"caused crash", 12}, LH_WATCH_PENALTY_CRASH},
        {{"connection prohibited by RefuseConnection", 41}, LH_WATCH_PENALTY_REFUSE},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (lh_span_is(reason, reasons[i].text))
            return reasons[i].penalty;
    }
    return LH_WATCH_PENALTY_OTHER;
}

// "[A]:P" at the front.
static bool take_bracketed(struct lh_span *text, struct lh_endpoint *out)
{
    struct lh_span rest = *text;
    uint64_t port;
    if (!lh_span_take(&rest, LH_SPAN("[")))
        return false;
    const char *end = memchr(rest.at, ']', rest.len < 80 ? rest.len : 80);
    if (end == NULL)
        return false;
    struct lh_span addr = lh_span_head(rest, (size_t)(end - rest.at));
    rest = lh_span_skip(rest, addr.len);
    if (!lh_span_take(&rest, LH_SPAN("]:")) || !lh_span_take_number(&rest, 65535, &port) ||
        !lh_watch_addr_parse(addr, &out->addr))
        return false;
    out->port = (uint16_t)port;
    *text = rest;
    return true;
}

bool lh_form_drop(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    struct lh_endpoint own;
    uint64_t number;
    if (!lh_span_take_number(&rest, UINT32_MAX, &number) ||
        !lh_span_take(&rest, LH_SPAN(" from ")) || !take_bracketed(&rest, &peer))
        return false;
    if (lh_span_take(&rest, LH_SPAN(" on ")))
        (void)take_bracketed(&rest, &own);
    (void)lh_span_take(&rest, LH_SPAN(" "));
    if (lh_span_take(&rest, LH_SPAN("penalty: "))) {
        event->family = LH_WATCH_DROP_PENALTY;
        event->penalty = penalty_of(rest);
    } else if (lh_span_is(rest, LH_SPAN("PerSourcePenalties"))) {
        event->family = LH_WATCH_DROP_PENALTY;
    }
    set_peer(event, peer);
    return true;
}

bool lh_form_penalty(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer = {.port = 0};
    uint64_t bits;
    event->single =
        lh_span_take(&rest, LH_SPAN("ipv4: new ")) || lh_span_take(&rest, LH_SPAN("ipv6: new "));
    const char *slash = memchr(rest.at, '/', rest.len < 80 ? rest.len : 80);
    size_t reason = lh_span_find(rest, LH_SPAN(" for penalty: "));
    if (slash == NULL || reason == LH_SPAN_NOWHERE)
        return false;
    if (!lh_watch_addr_parse(lh_span_head(rest, (size_t)(slash - rest.at)), &peer.addr))
        return false;
    event->deferred =
        lh_span_find(lh_span_head(rest, reason), LH_SPAN(" deferred ")) != LH_SPAN_NOWHERE;
    event->penalty = penalty_of(lh_span_skip(rest, reason + 14));
    rest = lh_span_skip(rest, (size_t)(slash - rest.at) + 1);
    if (!lh_span_take_number(&rest, 128, &bits))
        return false;
    event->network_bits = (uint8_t)bits;
    event->whole_network = bits < (lh_watch_addr_is_v4(&peer.addr) ? 32u : 128u);
    set_peer(event, peer);
    return true;
}

// "A to B" with anything behind.
static bool from_to(struct lh_span text, struct lh_watch_event *event, struct lh_span *out_behind)
{
    struct lh_endpoint peer = {.port = 0};
    size_t at = lh_span_find(text, LH_SPAN(" to "));
    if (at == LH_SPAN_NOWHERE || !lh_watch_addr_parse(lh_span_head(text, at), &peer.addr))
        return false;
    set_peer(event, peer);
    *out_behind = lh_span_skip(text, at + 4);
    return true;
}

bool lh_form_timeout(struct lh_span rest, struct lh_watch_event *event)
{
    uint64_t pid = 0;
    if (!lh_span_take(&rest, LH_SPAN("connection from ")))
        return lh_form_front(rest, event);
    if (!from_to(rest, event, &rest))
        return false;
    size_t at = lh_span_find(rest, LH_SPAN(", pid = "));
    if (at != LH_SPAN_NOWHERE) {
        rest = lh_span_skip(rest, at + 8);
        if (!lh_span_take_number(&rest, UINT32_MAX, &pid))
            return false;
    }
    event->child = (uint32_t)pid;
    return true;
}

bool lh_form_child(struct lh_span rest, struct lh_watch_event *event)
{
    uint64_t pid;
    if (!lh_span_take_number(&rest, UINT32_MAX, &pid))
        return false;
    (void)lh_span_take(&rest, LH_SPAN(" unpriv child crash"));
    if (!lh_span_take(&rest, LH_SPAN(" for connection from ")))
        return false;
    event->child = (uint32_t)pid;
    return from_to(rest, event, &rest);
}

// Takes NAME=WORD and the blank behind it.
static bool take_pair(struct lh_span *text, struct lh_span name)
{
    if (!lh_span_take(text, name))
        return false;
    const char *blank = memchr(text->at, ' ', text->len);
    if (blank == NULL)
        return false;
    *text = lh_span_skip(*text, (size_t)(blank - text->at) + 1);
    return true;
}

bool lh_form_pam_fields(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    size_t host = lh_span_find(rest, LH_SPAN(" rhost="));
    bool once = host != LH_SPAN_NOWHERE && host == lh_span_find_last(rest, LH_SPAN(" rhost="));
    if (!lh_span_starts(rest, LH_SPAN("logname=")))
        return false;
    bool plain = take_pair(&rest, LH_SPAN("logname=")) && take_pair(&rest, LH_SPAN("uid=")) &&
                 take_pair(&rest, LH_SPAN("euid=")) && take_pair(&rest, LH_SPAN("tty=")) &&
                 take_pair(&rest, LH_SPAN("ruser=")) && lh_span_take(&rest, LH_SPAN("rhost="));
    if (!plain || LH_GUARD(PAM_HOST, !once))
        return true; // a name with blanks in it: the process tells the address
    size_t len = 0;
    while (len < rest.len && rest.at[len] != ' ')
        len++;
    if (whole_endpoint(lh_span_head(rest, len), &peer))
        set_peer(event, peer);
    rest = lh_span_skip(rest, len);
    while (lh_span_take(&rest, LH_SPAN(" "))) {
        // one or two blanks stand there
    }
    if (lh_span_take(&rest, LH_SPAN("user=")))
        set_user(event, rest);
    return true;
}

bool lh_form_pam(struct lh_span rest, struct lh_watch_event *event)
{
    size_t at = 0;
    while (at < rest.len && at < 32 && rest.at[at] != '(' && rest.at[at] != ' ')
        at++;
    rest = lh_span_skip(rest, at);
    if (!lh_span_take(&rest, LH_SPAN("(sshd:auth): authentication failure; ")))
        return false;
    return lh_form_pam_fields(rest, event);
}

bool lh_form_pam_more(struct lh_span rest, struct lh_watch_event *event)
{
    uint64_t count;
    if (!lh_span_take_number(&rest, 10000, &count) || count == 0 ||
        !(lh_span_take(&rest, LH_SPAN(" more authentication failures; ")) ||
          lh_span_take(&rest, LH_SPAN(" more authentication failure; "))))
        return false;
    event->count = (uint32_t)count;
    return lh_form_pam_fields(rest, event);
}

bool lh_form_pam_error(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    size_t at = lh_span_find_last(rest, LH_SPAN(" from "));
    size_t user = lh_span_find(rest, LH_SPAN(" for "));
    if (at == LH_SPAN_NOWHERE || user == LH_SPAN_NOWHERE || user + 5 > at)
        return false;
    if (!end_is_lost(event) && whole_endpoint(lh_span_skip(rest, at + 6), &peer))
        set_peer(event, peer);
    struct lh_span name = lh_span_of(rest.at + user + 5, at - user - 5);
    event->invalid_user = lh_span_take(&name, LH_SPAN("illegal user ")) ||
                          lh_span_take(&name, LH_SPAN("invalid user "));
    set_user(event, name);
    return true;
}

bool lh_form_refused(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    size_t at = lh_span_find_last(rest, LH_SPAN(" ("));
    if (at != LH_SPAN_NOWHERE && lh_span_take_end(&rest, LH_SPAN(")")))
        rest = lh_span_skip(rest, at + 2);
    if (!whole_endpoint(rest, &peer))
        return false;
    set_peer(event, peer);
    return true;
}

bool lh_form_nasty(struct lh_span rest, struct lh_watch_event *event)
{
    struct lh_endpoint peer;
    size_t at = lh_span_find_last(rest, LH_SPAN(" is set up for "));
    if (at == LH_SPAN_NOWHERE || !lh_span_take_end(&rest, LH_SPAN(", ignoring")) ||
        !whole_endpoint(lh_span_skip(rest, at + 15), &peer))
        return false;
    set_peer(event, peer);
    return true;
}

bool lh_form_anything(struct lh_span rest, struct lh_watch_event *event)
{
    (void)rest;
    (void)event;
    return true;
}

bool lh_form_throttled(struct lh_span rest, struct lh_watch_event *event)
{
    uint64_t count;
    if (!lh_span_take_end(&rest, LH_SPAN(" connections dropped")))
        return false;
    const char *blank = memrchr(rest.at, ' ', rest.len);
    if (blank != NULL)
        rest = lh_span_skip(rest, (size_t)(blank - rest.at) + 1);
    if (!lh_span_take_number(&rest, UINT32_MAX, &count))
        return false;
    event->count = (uint32_t)count;
    return true;
}
