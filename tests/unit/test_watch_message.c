// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "check.h"
#include "watch/message.h"

#define A4  "192.0.2.66"
#define A6  "2001:db8::66"
#define BAD "203.0.113.9" // an innocent whom a forged text names

struct row {
    const char *message;
    enum lh_watch_family family;
    const char *addr; // NULL: none
    unsigned port;
    const char *user; // NULL: none
};

static void check_row(const struct row *row)
{
    struct lh_watch_event event;
    char text[LH_WATCH_ADDR_TEXT];
    struct lh_span message = lh_span_of(row->message, strlen(row->message));
    enum lh_watch_family family = lh_watch_message_parse(message, &event);
    if (family != row->family)
        fail_msg("\"%s\": %s, not %s", row->message, lh_watch_family_name(family),
                 lh_watch_family_name(row->family));
    if (family == LH_WATCH_NOTHING)
        return;
    if (event.has_peer != (row->addr != NULL))
        fail_msg("\"%s\": %s address", row->message, event.has_peer ? "an" : "no");
    if (event.has_peer && strcmp(lh_watch_addr_format(&event.peer.addr, text), row->addr) != 0)
        fail_msg("\"%s\": %s", row->message, text);
    if (event.has_peer)
        check_uint(event.peer.port, row->port);
    if (row->user != NULL &&
        (!event.has_user || !lh_span_is(event.user, lh_span_of(row->user, strlen(row->user)))))
        fail_msg("\"%s\": user \"%.*s\"", row->message, event.has_user ? (int)event.user.len : 0,
                 event.user.at);
}

static void reads_every_family(void **state)
{
    static const struct row rows[] = {
        {"Failed password for root from " A4 " port 1585 ssh2", LH_WATCH_FAILED, A4, 1585, "root"},
        {"Failed password for invalid user alex from " A6 " port 1585 ssh2", LH_WATCH_FAILED, A6,
         1585, "alex"},
        {"Failed password for invalid user  from " A4 " port 1585 ssh2", LH_WATCH_FAILED, A4, 1585,
         ""},
        {"Failed password for illegal user a from " A4 " port 1585 ssh2", LH_WATCH_FAILED, A4, 1585,
         "a"},
        {"Failed password for root from " A4, LH_WATCH_FAILED, A4, 0, "root"},
        {"Failed keyboard-interactive/pam for root from " A4 " port 1 ssh2", LH_WATCH_FAILED, A4, 1,
         "root"},
        {"Failed none for invalid user x from " A4 " port 1 ssh2", LH_WATCH_FAILED, A4, 1, "x"},
        {"Failed publickey for root from " A4 " port 1 ssh2: ED25519 SHA256:abcd", LH_WATCH_FAILED,
         A4, 1, "root"},
        {"Failed gssapi-with-mic for root from " A4 " port 1 ssh2", LH_WATCH_FAILED, A4, 1, "root"},
        {"Accepted publickey for xfer1 from " A4 " port 1 ssh2: ED25519 SHA256:abcd",
         LH_WATCH_ACCEPTED, A4, 1, "xfer1"},
        {"Accepted password for xfer1 from " A6 " port 1 ssh2", LH_WATCH_ACCEPTED, A6, 1, "xfer1"},
        {"Accepted publickey for xfer1 from " A4
         " port 1 ssh2: ED25519-CERT SHA256:a ID x from " BAD
         " port 2 ssh2 (serial 1) CA ED25519 SHA256:b",
         LH_WATCH_ACCEPTED, A4, 1, "xfer1"},
        {"Invalid user alice from " A4 " port 99", LH_WATCH_INVALID, A4, 99, "alice"},
        {"Invalid user  from " A4 " port 99", LH_WATCH_INVALID, A4, 99, ""},
        {"Invalid user alice from " A4, LH_WATCH_INVALID, A4, 0, "alice"},
        {"User bob from " A4 " not allowed because not listed in AllowUsers", LH_WATCH_NOT_ALLOWED,
         A4, 0, "bob"},
        {"User bob from host.example.org not allowed because listed in DenyUsers",
         LH_WATCH_NOT_ALLOWED, NULL, 0, "bob"},
        {"User bob from " A4 " not allowed because none of user's groups are listed in AllowGroups",
         LH_WATCH_NOT_ALLOWED, A4, 0, "bob"},
        {"User bob not allowed because account is locked", LH_WATCH_NOT_ALLOWED, NULL, 0, "bob"},
        {"User bob not allowed because shell /bin/x does not exist", LH_WATCH_NOT_ALLOWED, NULL, 0,
         "bob"},
        {"User child is on pid 77", LH_WATCH_NOTHING, NULL, 0, NULL},
        {"ROOT LOGIN REFUSED FROM " A4 " port 7", LH_WATCH_NOT_ALLOWED, A4, 7, NULL},
        {"Connection closed by authenticating user root " A4 " port 9 [preauth]", LH_WATCH_CLOSE,
         A4, 9, "root"},
        {"Connection closed by invalid user x " A6 " port 9 [preauth]", LH_WATCH_CLOSE, A6, 9, "x"},
        {"Connection closed by invalid user  " A4 " port 9 [preauth]", LH_WATCH_CLOSE, A4, 9, ""},
        {"Connection closed by " A4 " port 9 [preauth]", LH_WATCH_CLOSE, A4, 9, NULL},
        {"Connection closed by " A4 " [preauth]", LH_WATCH_CLOSE, A4, 0, NULL},
        {"Connection closed by " A4 " port 9", LH_WATCH_GONE, A4, 9, NULL},
        {"Connection reset by authenticating user root " A4 " port 9 [preauth]", LH_WATCH_CLOSE, A4,
         9, "root"},
        {"Disconnected from authenticating user root " A4 " port 9 [preauth]", LH_WATCH_CLOSE, A4,
         9, "root"},
        {"Disconnected from user xfer1 " A4 " port 9", LH_WATCH_GONE, A4, 9, "xfer1"},
        {"Disconnecting authenticating user root " A4
         " port 9: Too many authentication failures [preauth]",
         LH_WATCH_MAX_TRIES, A4, 9, "root"},
        {"Disconnecting invalid user a b " A4 " port 9: Too many authentication failures [preauth]",
         LH_WATCH_MAX_TRIES, A4, 9, "a b"},
        {"Disconnecting invalid user x " A4
         " port 9: Change of username or service not allowed: (x,s) -> (y,s) [preauth]",
         LH_WATCH_DISCONNECT, A4, 9, "x"},
        {"error: maximum authentication attempts exceeded for root from " A4
         " port 9 ssh2 [preauth]",
         LH_WATCH_MAX_TRIES, A4, 9, "root"},
        {"error: maximum authentication attempts exceeded for invalid user x from " A4
         " port 9 ssh2 [preauth]",
         LH_WATCH_MAX_TRIES, A4, 9, "x"},
        {"Received disconnect from " A4 " port 9:11: Bye Bye [preauth]", LH_WATCH_GONE, A4, 9,
         NULL},
        {"Received disconnect from " A4 ": 11: Bye Bye [preauth]", LH_WATCH_GONE, A4, 0, NULL},
        {"error: Received disconnect from " A6
         " port 9:3: com.jcraft.jsch.JSchException: Auth fail [preauth]",
         LH_WATCH_GONE, A6, 9, NULL},
        {"Unable to negotiate with " A4
         " port 9: no matching key exchange method found. Their offer: a,b [preauth]",
         LH_WATCH_NEGOTIATE, A4, 9, NULL},
        {"fatal: Unable to negotiate with " A4
         " port 9: no matching cipher found. Their offer: a [preauth]",
         LH_WATCH_NEGOTIATE, A4, 9, NULL},
        {"error: kex_exchange_identification: Connection closed by remote host", LH_WATCH_BARE,
         NULL, 0, NULL},
        {"error: kex_exchange_identification: read: Connection reset by peer", LH_WATCH_BARE, NULL,
         0, NULL},
        {"error: kex_exchange_identification: client sent invalid protocol identifier \"GET / "
         "HTTP/1.0\"",
         LH_WATCH_NOISE, NULL, 0, NULL},
        {"banner exchange: Connection from " A4 " port 9: invalid format", LH_WATCH_NOISE, A4, 9,
         NULL},
        {"banner exchange: Connection from " A4 " port 9: could not read protocol version",
         LH_WATCH_BARE, A4, 9, NULL},
        {"Bad protocol version identification 'GET / HTTP/1.1' from " A4 " port 9", LH_WATCH_NOISE,
         A4, 9, NULL},
        {"Did not receive identification string from " A4 " port 9", LH_WATCH_BARE, A4, 9, NULL},
        {"Did not receive identification string from " A4, LH_WATCH_BARE, A4, 0, NULL},
        {"error: Protocol major versions differ: 2 vs. 1", LH_WATCH_NOISE, NULL, 0, NULL},
        {"Protocol major versions differ for " A4 " port 9: SSH-2.0-x vs. SSH-1.5-y",
         LH_WATCH_NOISE, A4, 9, NULL},
        {"Bad packet length 1349676916. [preauth]", LH_WATCH_NOISE, NULL, 0, NULL},
        {"ssh_dispatch_run_fatal: Connection from " A4
         " port 9: message authentication code incorrect [preauth]",
         LH_WATCH_NOISE, A4, 9, NULL},
        {"ssh_dispatch_run_fatal: Connection from authenticating user root " A4
         " port 9: Connection corrupted [preauth]",
         LH_WATCH_NOISE, A4, 9, "root"},
        {"probed from " A4 " port 9 with SSH-2.0-probe.  Don't panic.", LH_WATCH_NOISE, A4, 9,
         NULL},
        {"scanned from " A4 " port 9 with SSH-1.0-SSH_Version_Mapper.  Don't panic.",
         LH_WATCH_NOISE, A4, 9, NULL},
        {"fatal: Timeout before authentication for " A4 " port 9", LH_WATCH_TIMEOUT, A4, 9, NULL},
        {"Timeout before authentication for connection from " A4 " to 192.0.2.1, pid = 77",
         LH_WATCH_TIMEOUT, A4, 0, NULL},
        {"Connection from " A4 " port 9 on 192.0.2.1 port 33001 rdomain \"\"", LH_WATCH_CONNECTED,
         A4, 9, NULL},
        {"Connection from authenticating user root " A4 " port 9 timed out [preauth]",
         LH_WATCH_CLOSE, A4, 9, "root"},
        {"drop connection #10 from [" A4 "]:9 on [192.0.2.1]:33001 past MaxStartups", LH_WATCH_DROP,
         A4, 9, NULL},
        {"drop connection #1 from [" A6 "]:9 on [2001:db8::1]:33001 Maxstartups", LH_WATCH_DROP, A6,
         9, NULL},
        {"drop connection #0 from [" A4 "]:9 on [192.0.2.1]:33001 penalty: failed authentication",
         LH_WATCH_DROP_PENALTY, A4, 9, NULL},
        {"drop connection #0 from [" A4 "]:9 on [192.0.2.1]:33001 PerSourcePenalties",
         LH_WATCH_DROP_PENALTY, A4, 9, NULL},
        {"srclimit_penalise: " A4
         "/32: activating ipv4 penalty of 20.123 seconds for penalty: failed authentication",
         LH_WATCH_PENALTY, A4, 0, NULL},
        {"srclimit_penalise: ipv4: new " A4
         "/32 deferred penalty of 5.000 seconds for penalty: failed authentication",
         LH_WATCH_PENALTY, A4, 0, NULL},
        {"exited MaxStartups throttling after 00:01:02, 77 connections dropped", LH_WATCH_THROTTLED,
         NULL, 0, NULL},
        {"PerSourcePenalties logging rate-limited: additional 13 connections dropped",
         LH_WATCH_THROTTLED, NULL, 0, NULL},
        {"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
         "rhost=" A4 "  user=root",
         LH_WATCH_PAM, A4, 0, "root"},
        {"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
         "rhost=" A4 " ",
         LH_WATCH_PAM, A4, 0, NULL},
        {"pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
         "rhost=" A4 " user=bob",
         LH_WATCH_PAM, A4, 0, "bob"},
        {"pam_unix(su:auth): authentication failure; logname=x uid=0 euid=0 tty= ruser= rhost=" BAD,
         LH_WATCH_NOTHING, NULL, 0, NULL},
        {"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=" A4
         "  user=root",
         LH_WATCH_PAM, A4, 0, "root"},
        {"PAM 1 more authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=" A4,
         LH_WATCH_PAM, A4, 0, NULL},
        {"authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=" A4
         "  user=root",
         LH_WATCH_PAM, A4, 0, "root"},
        {"error: PAM: Authentication failure for root from " A4, LH_WATCH_PAM_ERROR, A4, 0, "root"},
        {"error: PAM: User not known to the underlying authentication module for illegal user x "
         "from " A4,
         LH_WATCH_PAM_ERROR, A4, 0, "x"},
        {"refused connect from host.example.org (" A4 ")", LH_WATCH_REFUSED, A4, 0, NULL},
        {"refused connect from " A4, LH_WATCH_REFUSED, A4, 0, NULL},
        {"error: session process 77 for connection from " A4 " to 192.0.2.1 killed by signal 11",
         LH_WATCH_CRASH, A4, 0, NULL},
        {"Session process 77 unpriv child crash for connection from " A4 " to 192.0.2.1",
         LH_WATCH_CRASH, A4, 0, NULL},
        {"Nasty PTR record \"" BAD "\" is set up for " A4 ", ignoring", LH_WATCH_FORGED_NAME, A4, 0,
         NULL},
        {"Address " A4 " maps to x.example, but this does not map back to the address.",
         LH_WATCH_NOTHING, NULL, 0, NULL},
        {"reverse mapping checking getaddrinfo for x [" A4 "] failed - POSSIBLE BREAK-IN ATTEMPT!",
         LH_WATCH_NOTHING, NULL, 0, NULL},
        {"Server listening on 0.0.0.0 port 33001.", LH_WATCH_NOTHING, NULL, 0, NULL},
        {"pam_unix(sshd:session): session opened for user xfer1(uid=1000) by (uid=0)",
         LH_WATCH_NOTHING, NULL, 0, NULL},
        {"", LH_WATCH_NOTHING, NULL, 0, NULL},
        {"error: ", LH_WATCH_NOTHING, NULL, 0, NULL},
        {" [preauth]", LH_WATCH_NOTHING, NULL, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void counts_what_a_line_stands_for(void **state)
{
    static const struct {
        const char *message;
        uint32_t count;
        uint32_t child;
        enum lh_watch_penalty penalty;
    } rows[] = {
        {"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=" A4, 2, 0,
         0},
        {"exited MaxStartups throttling after 00:01:02, 77 connections dropped", 77, 0, 0},
        {"Maxstartups logging rate-limited: additional 13 connections dropped", 13, 0, 0},
        {"Timeout before authentication for connection from " A4 " to 192.0.2.1, pid = 77", 1, 77,
         0},
        {"drop connection #0 from [" A4 "]:9 on [192.0.2.1]:1 penalty: exceeded LoginGraceTime", 1,
         0, LH_WATCH_PENALTY_GRACE},
        {"drop connection #0 from [" A4 "]:9 on [192.0.2.1]:1 penalty: caused crash", 1, 0,
         LH_WATCH_PENALTY_CRASH},
        {"drop connection #0 from [" A4
         "]:9 on [192.0.2.1]:1 penalty: attempted authentication by invalid user",
         1, 0, LH_WATCH_PENALTY_INVALID},
        {"drop connection #0 from [" A4
         "]:9 on [192.0.2.1]:1 penalty: connections without attempting authentication",
         1, 0, LH_WATCH_PENALTY_NOAUTH},
        {"drop connection #0 from [" A4
         "]:9 on [192.0.2.1]:1 penalty: connection prohibited by RefuseConnection",
         1, 0, LH_WATCH_PENALTY_REFUSE},
        {"drop connection #0 from [" A4 "]:9 on [192.0.2.1]:1 penalty: failed authentication", 1, 0,
         LH_WATCH_PENALTY_AUTH},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_watch_event event;
        (void)lh_watch_message_parse(lh_span_of(rows[i].message, strlen(rows[i].message)), &event);
        check_uint(event.count, rows[i].count);
        check_uint(event.child, rows[i].child);
        check_int(event.penalty, rows[i].penalty);
    }
}

static void takes_a_penalty_of_a_network_for_no_address(void **state)
{
    static const char message[] = "srclimit_penalise: 2001:db8::/64: activating ipv6 penalty of 5 "
                                  "seconds for penalty: failed authentication";
    struct lh_watch_event event;
    (void)state;
    check_int(lh_watch_message_parse(lh_span_of(message, sizeof message - 1), &event),
              LH_WATCH_PENALTY);
    assert_true(event.whole_network);
    check_uint(event.network_bits, 64);
}

// What users and clients choose themselves never becomes an address.
static void a_name_cannot_choose_the_address(void **state)
{
    static const struct row rows[] = {
        {"Failed password for invalid user x from " BAD " port 22 ssh2 from " A4 " port 9 ssh2",
         LH_WATCH_FAILED, A4, 9, NULL},
        {"Failed password for invalid user root from " BAD " from " A4 " port 9 ssh2",
         LH_WATCH_FAILED, A4, 9, NULL},
        {"Failed none for invalid user for root from " BAD " port 1 ssh2 from " A4 " port 9 ssh2",
         LH_WATCH_FAILED, A4, 9, NULL},
        {"Invalid user x from " BAD " port 22 from " A4 " port 9", LH_WATCH_INVALID, A4, 9, NULL},
        {"Invalid user Failed password for root from " BAD " port 22 ssh2 from " A4 " port 9",
         LH_WATCH_INVALID, A4, 9, NULL},
        {"Invalid user Accepted password for root from " BAD " port 22 ssh2 from " A4 " port 9",
         LH_WATCH_INVALID, A4, 9, NULL},
        {"Connection closed by invalid user x " BAD " port 22 [preauth] " A4 " port 9 [preauth]",
         LH_WATCH_CLOSE, A4, 9, NULL},
        {"Connection closed by invalid user " BAD " port 22 " A4 " port 9 [preauth]",
         LH_WATCH_CLOSE, A4, 9, NULL},
        {"Disconnected from invalid user x " BAD " port 22: y " A4 " port 9 [preauth]",
         LH_WATCH_CLOSE, A4, 9, NULL},
        {"Bad protocol version identification 'x' from " BAD " port 22' from " A4 " port 9",
         LH_WATCH_NOISE, A4, 9, NULL},
        {"error: maximum authentication attempts exceeded for invalid user x from " BAD
         " port 22 ssh2 from " A4 " port 9 ssh2 [preauth]",
         LH_WATCH_MAX_TRIES, A4, 9, NULL},
        {"error: PAM: Authentication failure for illegal user x from " BAD " from " A4,
         LH_WATCH_PAM_ERROR, A4, 0, NULL},
        {"Received disconnect from " A4 " port 9:11: Received disconnect from " BAD
         " port 22:11: x [preauth]",
         LH_WATCH_GONE, A4, 9, NULL},
        {"Unable to negotiate with " A4 " port 9: no matching cipher found. Their offer: x " BAD
         " port 22: y [preauth]",
         LH_WATCH_NEGOTIATE, A4, 9, NULL},
        {"error: kex_exchange_identification: client sent invalid protocol identifier \"x from " BAD
         " port 22\"",
         LH_WATCH_NOISE, NULL, 0, NULL},
        {"refused connect from x (" BAD ") (" A4 ")", LH_WATCH_REFUSED, A4, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

// The same where a stranger's text stands on both sides: no address, but both readings.
static void what_can_be_read_twice_names_no_address(void **state)
{
    static const char *const messages[] = {
        "Failed publickey for invalid user x from " BAD " port 22 ssh2: ED25519 SHA256:a from " A4
        " port 9 ssh2: ED25519 SHA256:b",
        "Failed publickey for invalid user x from " A4
        " port 9 ssh2: ED25519-CERT SHA256:a ID k from " BAD " port 22 ssh2",
        "Failed hostbased for invalid user x from " A4
        " port 9 ssh2: RSA SHA256:a, client user \"a from " BAD
        " port 22 ssh2: b\", client host \"c\"",
        "Disconnecting invalid user x " BAD " port 22: y " A4
        " port 9: Too many authentication failures [preauth]",
        "Disconnecting invalid user x " A4
        " port 9: Change of username or service not allowed: (x,s) -> (y " BAD
        " port 22: z,s) [preauth]",
        "ssh_dispatch_run_fatal: Connection from invalid user a " BAD " port 22: b " A4
        " port 9: Connection corrupted [preauth]",
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(messages); i++) {
        struct lh_watch_event event;
        struct lh_watch_addr innocent;
        struct lh_watch_addr guilty;
        bool names_guilty = false;
        (void)lh_watch_message_parse(lh_span_of(messages[i], strlen(messages[i])), &event);
        assert_true(lh_watch_addr_parse(LH_SPAN(BAD), &innocent));
        assert_true(lh_watch_addr_parse(LH_SPAN(A4), &guilty));
        if (event.family == LH_WATCH_NOTHING || event.has_peer || event.alternative_count < 2)
            fail_msg("\"%s\" is read in %u ways", messages[i], event.alternative_count);
        for (unsigned k = 0; k < event.alternative_count; k++)
            names_guilty |= lh_watch_addr_equal(&event.alternatives[k].addr, &guilty);
        assert_true(names_guilty);
    }
}

static void the_lost_end_of_a_message_is_not_guessed(void **state)
{
    char message[LH_WATCH_MESSAGE_MAX + 100];
    struct lh_watch_event event;
    static const char *const heads[] = {
        "Invalid user ", "Connection closed by invalid user ", "Failed password for invalid user ",
        "Failed publickey for invalid user ",
        "error: maximum authentication attempts exceeded for invalid user "};
    static const char *const tails[] = {" from " BAD " port 22", " " BAD " port 22",
                                        " from " BAD " port 22 ssh2", " from " BAD " port 22 ssh2",
                                        " from " BAD " port 22 ssh2"};
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(heads); i++) {
        memset(message, 'x', sizeof message);
        memcpy(message, heads[i], strlen(heads[i]));
        memcpy(message + LH_WATCH_MESSAGE_MAX - strlen(tails[i]), tails[i], strlen(tails[i]));
        (void)lh_watch_message_parse(lh_span_of(message, LH_WATCH_MESSAGE_MAX), &event);
        assert_int_not_equal(event.family, LH_WATCH_NOTHING);
        assert_false(event.has_peer);
    }
}

static void a_pam_module_that_logs_the_name_first_names_no_address(void **state)
{
    static const char message[] =
        "pam_krb5(sshd:auth): authentication failure; logname=x uid=0 euid=0 tty=ssh ruser= "
        "rhost=" BAD " uid=0 euid=0 tty=ssh ruser= rhost=" A4;
    struct lh_watch_event event;
    (void)state;
    check_int(lh_watch_message_parse(lh_span_of(message, sizeof message - 1), &event),
              LH_WATCH_PAM);
    assert_false(event.has_peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_family),
        cmocka_unit_test(counts_what_a_line_stands_for),
        cmocka_unit_test(takes_a_penalty_of_a_network_for_no_address),
        cmocka_unit_test(a_name_cannot_choose_the_address),
        cmocka_unit_test(what_can_be_read_twice_names_no_address),
        cmocka_unit_test(the_lost_end_of_a_message_is_not_guessed),
        cmocka_unit_test(a_pam_module_that_logs_the_name_first_names_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
