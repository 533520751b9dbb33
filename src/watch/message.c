// SPDX-License-Identifier: Apache-2.0
//
// How it works. A table of the fixed texts with which sshd's messages begin; each row names the
// family and the form of what follows (forms.c). A stranger's text never stands at the front of a
// message, so a user called "Accepted password for root from ..." cannot choose a row. The first
// byte rules out most rows. Heads come from the sources of OpenSSH 7.4, 8.4, 9.2, 9.9 and 10.5.
#include "watch/message.h"

#include "base/assert.h"
#include "base/cleanup.h"
#include "watch/message_internal.h"

struct row {
    struct lh_span head;
    enum lh_watch_family family;
    lh_watch_form *form;
};

#define ROW(text, family, form)                                                                    \
    {                                                                                              \
        {text, sizeof(text) - 1}, LH_WATCH_##family, lh_form_##form                                \
    }

static const struct row rows[] = {
    ROW("Failed ", FAILED, failed),
    ROW("Accepted ", ACCEPTED, accepted),
    ROW("Invalid user ", INVALID, user_end),
    ROW("Illegal user ", INVALID, user_end),
    ROW("input_userauth_request: invalid user ", GONE, anything),
    ROW("User ", NOT_ALLOWED, not_allowed),
    ROW("Login restricted for ", NOT_ALLOWED, anything),
    ROW("Login refused for user ", NOT_ALLOWED, anything),
    ROW("ROOT LOGIN REFUSED FROM ", NOT_ALLOWED, front),
    ROW("Connection closed by ", CLOSE, preamble_end),
    ROW("Connection reset by ", CLOSE, preamble_end),
    ROW("Disconnected from ", CLOSE, preamble_end),
    ROW("Disconnecting ", DISCONNECT, preamble_text),
    ROW("Disconnecting: ", DISCONNECT, anything),
    ROW("Received disconnect from ", GONE, front),
    ROW("maximum authentication attempts exceeded for ", MAX_TRIES, failed),
    ROW("Maximum authentication attempts exceeded for ", MAX_TRIES, failed),
    ROW("Unable to negotiate with ", NEGOTIATE, preamble_text),
    ROW("no matching ", NEGOTIATE, anything),
    ROW("Did not receive identification string from ", BARE, front),
    ROW("Bad protocol version identification ", NOISE, from_end),
    ROW("Bad remote protocol version identification: ", NOISE, anything),
    ROW("Protocol major versions differ for ", NOISE, front),
    ROW("Protocol major versions differ", NOISE, anything),
    ROW("banner exchange: Connection from ", NOISE, preamble_text),
    ROW("ssh_dispatch_run_fatal: Connection from ", NOISE, preamble_text),
    ROW("kex_exchange_identification: Connection closed by remote host", BARE, anything),
    ROW("kex_exchange_identification: read: ", BARE, anything),
    ROW("kex_exchange_identification: ", NOISE, anything),
    ROW("kex protocol error: ", NOISE, anything),
    ROW("Bad packet length ", NOISE, anything),
    ROW("Corrupted MAC on input", NOISE, anything),
    ROW("padding error: ", NOISE, anything),
    ROW("probed from ", NOISE, front),
    ROW("scanned from ", NOISE, front),
    ROW("Timeout before authentication for ", TIMEOUT, timeout),
    ROW("drop connection #", DROP, drop),
    ROW("srclimit_penalise: ", PENALTY, penalty),
    ROW("exited MaxStartups throttling after ", THROTTLED, throttled),
    ROW("Maxstartups logging rate-limited: additional ", THROTTLED, throttled),
    ROW("PerSourcePenalties logging rate-limited: additional ", THROTTLED, throttled),
    ROW("pam_", PAM, pam),
    ROW("authentication failure; ", PAM, pam_fields),
    ROW("PAM ", PAM, pam_more),
    ROW("PAM: ", PAM_ERROR, pam_error),
    ROW("refused connect from ", REFUSED, refused),
    ROW("Connection from ", CONNECTED, preamble_text),
    ROW("session process ", CRASH, child),
    ROW("Session process ", CRASH, child),
    ROW("Nasty PTR record ", FORGED_NAME, nasty),
};

// Heads of severity that sshd's log puts in front.
static void skip_severity(struct lh_span *message)
{
    static const struct lh_span severities[] = {{"error: ", 7}, {"fatal: ", 7}, {"warning: ", 9}};
    for (size_t i = 0; i < LH_ARRAY_LEN(severities); i++) {
        if (lh_span_take(message, severities[i]))
            return;
    }
}

enum lh_watch_family lh_watch_message_parse(struct lh_span message,
                                            struct lh_watch_event *out_event)
{
    struct lh_watch_event event = {.count = 1, .cut = message.len >= LH_WATCH_MESSAGE_MAX};

    out_event->family = LH_WATCH_NOTHING;
    skip_severity(&message);
    event.preauth = lh_span_take_end(&message, LH_SPAN(" [preauth]"));
    if (message.len == 0)
        return LH_WATCH_NOTHING;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        if (message.at[0] != row->head.at[0] || !lh_span_starts(message, row->head))
            continue;
        event.family = row->family;
        if (!row->form(lh_span_skip(message, row->head.len), &event))
            continue;
        LH_DASSERT(event.alternative_count == 0 || !event.has_peer);
        *out_event = event;
        return event.family;
    }
    return LH_WATCH_NOTHING;
}

const char *lh_watch_method_name(enum lh_watch_method method)
{
    static const char *const names[LH_WATCH_METHOD_N_] = {
        [LH_WATCH_METHOD_OTHER] = "other",
        [LH_WATCH_METHOD_PASSWORD] = "password",
        [LH_WATCH_METHOD_KEYBOARD] = "keyboard-interactive",
        [LH_WATCH_METHOD_PUBLICKEY] = "publickey",
        [LH_WATCH_METHOD_HOSTBASED] = "hostbased",
        [LH_WATCH_METHOD_GSSAPI] = "gssapi",
        [LH_WATCH_METHOD_NONE] = "none",
    };
    LH_ASSERT((unsigned)method < LH_WATCH_METHOD_N_);
    return names[method];
}

const char *lh_watch_family_name(enum lh_watch_family family)
{
    static const char *const names[LH_WATCH_FAMILY_N_] = {
        [LH_WATCH_NOTHING] = "nothing",
        [LH_WATCH_FAILED] = "failed",
        [LH_WATCH_INVALID] = "invalid-user",
        [LH_WATCH_NOT_ALLOWED] = "not-allowed",
        [LH_WATCH_CLOSE] = "closed",
        [LH_WATCH_DISCONNECT] = "disconnecting",
        [LH_WATCH_MAX_TRIES] = "max-tries",
        [LH_WATCH_NEGOTIATE] = "no-common-algorithm",
        [LH_WATCH_NOISE] = "noise",
        [LH_WATCH_BARE] = "bare-connect",
        [LH_WATCH_TIMEOUT] = "timeout",
        [LH_WATCH_DROP] = "dropped",
        [LH_WATCH_DROP_PENALTY] = "dropped-by-penalty",
        [LH_WATCH_PENALTY] = "penalty",
        [LH_WATCH_THROTTLED] = "throttled",
        [LH_WATCH_PAM] = "pam",
        [LH_WATCH_PAM_ERROR] = "pam-error",
        [LH_WATCH_REFUSED] = "refused",
        [LH_WATCH_ACCEPTED] = "accepted",
        [LH_WATCH_CONNECTED] = "connected",
        [LH_WATCH_GONE] = "gone",
        [LH_WATCH_CRASH] = "crash",
        [LH_WATCH_FORGED_NAME] = "forged-name",
    };
    LH_ASSERT((unsigned)family < LH_WATCH_FAMILY_N_);
    return names[family];
}
