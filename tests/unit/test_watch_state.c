// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"
#include "watch/feed.h"
#include "watch/judge.h"

#define BAD "203.0.113.9" // an innocent whom forged texts name
#define T   INT64_C(1773168482)

struct world {
    struct lh_watch watch;
    struct lh_feed feed;
    struct lh_judgement judgement;
    uint64_t line;
};

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    check_ok(lh_watch_init(&w->watch, 42));
    w->feed.watch = &w->watch;
    struct lh_watch_zone zone = {.latest = T};
    lh_feed_begin(&w->feed, &zone, 0);
    *state = w;
    return 0;
}

static int drop_world(void **state)
{
    struct world *w = *state;
    lh_judgement_fini(&w->judgement);
    lh_watch_fini(&w->watch);
    free(w);
    return 0;
}

// A message of process `pid`, `second` seconds after T.
static void say(struct world *w, int64_t second, unsigned pid, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void say(struct world *w, int64_t second, unsigned pid, const char *format, ...)
{
    char line[2048];
    va_list arguments;
    int used = snprintf(line, sizeof line, "%lld.0 ftp1 sshd[%u]: ", (long long)(T + second), pid);
    va_start(arguments, format);
    used += vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    (void)lh_feed_line(&w->feed, lh_span_of(line, (size_t)used), ++w->line);
}

static const struct lh_source *source(const struct world *w, const char *text)
{
    struct lh_watch_addr addr;
    assert_true(lh_watch_addr_parse(lh_span_of(text, strlen(text)), &addr));
    return lh_watch_source(&w->watch, &addr);
}

static uint32_t tries(const struct world *w, const char *text)
{
    const struct lh_source *s = source(w, text);
    return s == NULL ? 0 : lh_source_tries(s);
}

// The verdict on a source, or NULL.
static const struct lh_verdict *verdict(struct world *w, const char *text)
{
    lh_judgement_fini(&w->judgement);
    check_ok(lh_judge(&w->watch, &w->judgement));
    for (size_t i = 0; i < w->judgement.count; i++) {
        if (w->judgement.verdicts[i].source != NULL &&
            w->judgement.verdicts[i].source == source(w, text))
            return &w->judgement.verdicts[i];
    }
    return NULL;
}

static enum lh_harmless harmless(struct world *w, const char *text)
{
    if (verdict(w, text) != NULL)
        fail_msg("%s is reported", text);
    for (size_t i = 0; i < w->judgement.harmless_count; i++) {
        if (w->judgement.harmless[i].source == source(w, text))
            return w->judgement.harmless[i].kind;
    }
    fail_msg("%s is not known", text);
    return LH_HARMLESS_N_;
}

static void several_lines_of_one_try_are_one_try(void **state)
{
    struct world *w = *state;
    say(w, 0, 7, "Invalid user x from 198.51.100.1 port 9");
    say(w, 0, 7, "pam_unix(sshd:auth): check pass; user unknown");
    say(w, 0, 7,
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
        "rhost=198.51.100.1 ");
    say(w, 1, 7, "Failed password for invalid user x from 198.51.100.1 port 9 ssh2");
    say(w, 1, 7, "Connection closed by invalid user x 198.51.100.1 port 9 [preauth]");
    check_uint(tries(w, "198.51.100.1"), 1);
    check_uint(source(w, "198.51.100.1")->counts[LH_COUNT_CONNECTIONS], 1);
}

static void pam_counts_where_sshd_says_less(void **state)
{
    struct world *w = *state;
    static const char fields[] =
        "logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.1  user=root";
    say(w, 0, 7, "pam_unix(sshd:auth): authentication failure; %s", fields);
    say(w, 0, 7, "Failed password for root from 198.51.100.1 port 9 ssh2");
    say(w, 9, 7, "PAM 2 more authentication failures; %s", fields);
    check_uint(tries(w, "198.51.100.1"), 3);
    say(w, 9, 7,
        "message repeated 4 times: [ Failed password for root from 198.51.100.1 port 9 ssh2]");
    check_uint(tries(w, "198.51.100.1"), 5);
}

static void repeated_lines_count(void **state)
{
    struct world *w = *state;
    static const char repeat[] = "Mar 10 18:48:02 ftp1 last message repeated 5 times";
    static const char other[] = "Mar 10 18:48:02 ftp2 last message repeated 5 times";
    say(w, 0, 7, "Failed password for root from 198.51.100.1 port 9 ssh2");
    (void)lh_feed_line(&w->feed, lh_span_of(other, sizeof other - 1), 2);
    check_uint(tries(w, "198.51.100.1"), 1);
    say(w, 0, 7, "Failed password for root from 198.51.100.1 port 9 ssh2");
    (void)lh_feed_line(&w->feed, lh_span_of(repeat, sizeof repeat - 1), 4);
    check_uint(tries(w, "198.51.100.1"), 7);
}

static void a_close_is_a_try_where_nothing_else_tells(void **state)
{
    struct world *w = *state;
    say(w, 0, 7, "Connection closed by authenticating user root 198.51.100.1 port 9 [preauth]");
    check_uint(tries(w, "198.51.100.1"), 1);
    say(w, 0, 8, "Connection closed by 198.51.100.1 port 10 [preauth]");
    check_uint(tries(w, "198.51.100.1"), 1);
    check_uint(source(w, "198.51.100.1")->counts[LH_COUNT_BARE], 1);
}

static void lines_without_address_are_joined_by_process(void **state)
{
    struct world *w = *state;
    say(w, 0, 7,
        "error: kex_exchange_identification: client sent invalid protocol identifier \"x from " BAD
        " port 1\"");
    say(w, 0, 7, "banner exchange: Connection from 198.51.100.1 port 9: invalid format");
    say(w, 0, 8, "User bob not allowed because account is locked");
    say(w, 0, 8, "Connection closed by invalid user bob 198.51.100.2 port 9 [preauth]");
    assert_true(source(w, "198.51.100.1")->counts[LH_COUNT_NOISE] == 2);
    check_uint(tries(w, "198.51.100.2"), 1);
    assert_null(source(w, BAD));
}

static void an_ambiguous_line_counts_only_for_the_address_of_its_process(void **state)
{
    struct world *w = *state;
    static const char line[] = "Failed publickey for invalid user x from " BAD
                               " port 22 ssh2: RSA SHA256:a from 198.51.100.1 "
                               "port 9 ssh2: RSA SHA256:b";
    say(w, 0, 7, "%s", line);
    assert_null(source(w, BAD));
    assert_null(source(w, "198.51.100.1"));
    check_uint(w->watch.totals.ambiguous, 1);
    say(w, 0, 8, "Invalid user x from " BAD " port 22 ssh2: RSA SHA256:a from 198.51.100.1 port 9");
    say(w, 0, 8, "%s", line);
    say(w, 0, 8, "%s", line);
    check_uint(tries(w, "198.51.100.1"), 2);
    assert_null(source(w, BAD));
    // A process that is known by a third address says so too.
    say(w, 0, 9, "Connection from 198.51.100.3 port 9 on 192.0.2.1 port 33001");
    say(w, 0, 9, "%s", line);
    check_uint(tries(w, "198.51.100.3"), 0);
    check_uint(w->watch.totals.ambiguous, 2);
}

static void a_process_id_used_again_is_another_connection(void **state)
{
    struct world *w = *state;
    say(w, 0, 7, "Failed password for root from 198.51.100.1 port 9 ssh2");
    say(w, 9, 7, "Failed password for root from 198.51.100.2 port 10 ssh2");
    check_uint(tries(w, "198.51.100.1"), 1);
    check_uint(tries(w, "198.51.100.2"), 1);
    say(w, 20, 7, "Accepted password for bob from 198.51.100.2 port 11 ssh2");
    say(w, 30, 7, "Failed password for root from 198.51.100.2 port 12 ssh2");
    check_uint(tries(w, "198.51.100.2"), 2);
}

static void a_line_long_after_its_process_is_nobodys(void **state)
{
    struct world *w = *state;
    say(w, 0, 50, "Failed password for bob from 198.51.100.1 port 9 ssh2");
    say(w, 2, 50, "Connection closed by authenticating user bob 198.51.100.1 port 9 [preauth]");
    say(w, 9000, 50, "error: kex_exchange_identification: client sent invalid protocol identifier");
    say(w, 9000, 50, "banner exchange: Connection from 198.51.100.2 port 9: invalid format");
    check_uint(source(w, "198.51.100.1")->counts[LH_COUNT_NOISE], 0);
    assert_null(verdict(w, "198.51.100.1"));
    assert_non_null(verdict(w, "198.51.100.2"));
}

static void what_breaks_after_a_login_is_no_attack(void **state)
{
    struct world *w = *state;
    say(w, 0, 7, "Accepted publickey for bob from 198.51.100.1 port 9 ssh2");
    say(w, 9, 7,
        "ssh_dispatch_run_fatal: Connection from user bob 198.51.100.1 port 9: Broken pipe");
    say(w, 9, 7,
        "error: maximum authentication attempts exceeded for bob from 198.51.100.1 port 9 ssh2");
    check_int(harmless(w, "198.51.100.1"), LH_HARMLESS_LOGIN);
}

static void finds_each_pace(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 10; i++) {
        say(w, i, 100 + i, "Failed password for root from 198.51.100.1 port %u ssh2", 1000 + i);
        say(w, i * 100, 200 + i, "Failed password for root from 198.51.100.2 port %u ssh2",
            1000 + i);
        say(w, i * 7200, 300 + i, "Failed password for bob from 198.51.100.3 port %u ssh2",
            1000 + 37 * i);
        say(w, i, 400 + i, "Failed password for invalid user u%02u from 198.51.100.4 port %u ssh2",
            i, 1000 + 37 * i);
    }
    check_int(verdict(w, "198.51.100.1")->kind, LH_ATTACK_BURST);
    check_int(verdict(w, "198.51.100.2")->kind, LH_ATTACK_STEADY);
    check_int(verdict(w, "198.51.100.3")->kind, LH_ATTACK_SLOW);
    assert_true(verdict(w, "198.51.100.3")->regular);
    check_int(verdict(w, "198.51.100.4")->kind, LH_ATTACK_DICTIONARY);
    assert_true(verdict(w, "198.51.100.4")->alphabetical);
    check_uint(verdict(w, "198.51.100.4")->users, 10);
    check_uint(source(w, "198.51.100.1")->port_near, 9);
    check_uint(source(w, "198.51.100.3")->port_near, 0);
}

static void health_checks_are_no_flood(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 70000; i++)
        say(w, 2 * (int64_t)i, 1000 + i, "Connection closed by 198.51.100.1 port %u [preauth]",
            1024 + i % 60000);
    // Two checks in the same second, every five minutes.
    for (unsigned i = 0; i < 400; i++)
        say(w, 300 * (int64_t)(i / 2), 100000 + i,
            "Connection closed by 198.51.100.2 port %u [preauth]", 1024 + i);
    for (unsigned i = 0; i < 100; i++)
        say(w, i / 20, 200000 + i, "Connection closed by 198.51.100.3 port %u [preauth]", 1024 + i);
    check_int(harmless(w, "198.51.100.1"), LH_HARMLESS_CHECK);
    check_int(harmless(w, "198.51.100.2"), LH_HARMLESS_CHECK);
    check_int(verdict(w, "198.51.100.3")->kind, LH_ATTACK_FLOOD);
}

static void random_names_are_not_in_order(void **state)
{
    struct world *w = *state;
    struct lh_prng prng = {check_seed(5)};
    for (unsigned i = 0; i < 200; i++)
        say(w, i, 100 + i, "Failed password for invalid user %08x from 198.51.100.4 port 9 ssh2",
            (unsigned)lh_prng_below(&prng, UINT32_MAX));
    assert_false(verdict(w, "198.51.100.4")->alphabetical);
    assert_true(verdict(w, "198.51.100.4")->users > 150 && verdict(w, "198.51.100.4")->users < 250);
}

static void penalties_are_tries(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 4; i++)
        say(w, i, 50,
            "drop connection #0 from [198.51.100.1]:%u on [192.0.2.1]:33001 penalty: failed "
            "authentication",
            99 + i);
    assert_true((verdict(w, "198.51.100.1")->kinds & 1u << LH_ATTACK_PENALTY) != 0);
    for (unsigned i = 0; i < 40; i++)
        say(w, i, 50,
            "drop connection #0 from [198.51.100.2]:%u on [192.0.2.1]:33001 penalty: connections "
            "without attempting authentication",
            99 + i);
    check_int(harmless(w, "198.51.100.2"), LH_HARMLESS_CHECK);
}

static void many_sources_on_one_user_and_one_network(void **state)
{
    struct world *w = *state;
    char text[64];
    for (unsigned i = 0; i < 12; i++) {
        say(w, i * 60, 100 + i,
            "Failed password for invalid user backup from 10.%u.1.1 port 9 ssh2", i);
        say(w, i * 60, 200 + i,
            "Failed password for invalid user net%u from 2001:db8:1:2::%x port 9 ssh2", i, i + 1);
        say(w, i * 60, 300 + i, "Failed password for invalid user far%u from 10.%u.2.1 port 9 ssh2",
            i, i + 100);
    }
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(text, sizeof text, "10.%u.1.1", i);
        check_int(verdict(w, text)->kind, LH_ATTACK_MANY);
        (void)snprintf(text, sizeof text, "2001:db8:1:2::%x", i + 1);
        check_int(verdict(w, text)->kind, LH_ATTACK_NETWORK);
        (void)snprintf(text, sizeof text, "10.%u.2.1", i + 100);
        check_int(harmless(w, text), LH_HARMLESS_QUIET);
    }
    check_uint(w->judgement.networks, 1);
    check_uint(w->judgement.users, 1);
}

static void a_login_after_failures_is_an_alarm_at_the_top(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 500; i++)
        say(w, i, 1000 + i, "Failed password for root from 198.51.100.1 port 9 ssh2");
    for (unsigned i = 0; i < 6; i++)
        say(w, 600 + i, 2000 + i, "Failed password for bob from 198.51.100.2 port 9 ssh2");
    assert_true(verdict(w, "198.51.100.2")->severity != LH_SEVERITY_ALARM);
    say(w, 700, 2010, "Accepted password for bob from 198.51.100.2 port 9 ssh2");
    check_int(verdict(w, "198.51.100.2")->kind, LH_ATTACK_BREACH);
    check_int(w->judgement.verdicts[0].severity, LH_SEVERITY_ALARM);
    check_uint(w->judgement.verdicts[0].source->breach.tries, 6);
    assert_string_equal(w->judgement.verdicts[0].source->breach.user, "bob");
    check_int(w->judgement.verdicts[0].guard, LH_GUARDED_LOGIN);
}

// `count` failures of bob's, `gap` seconds apart, with `words` between "for" and "from" where it is
// the turn of somebody else; then bob's login.
struct errors {
    const char *why;
    unsigned count, gap;
    const char *other; // a user tried in between, or NULL
    const char *login; // who logs in
    bool known;        // bob had logged in from there before
    bool alarm;
};

static void a_login_after_typing_errors_is_no_alarm(void **state)
{
    static const struct errors rows[] = {
        {"five at a person's pace", 5, 8, NULL, "bob", false, false},
        {"one more than a connection allows", 6, 8, NULL, "bob", false, true},
        {"nine, from where he was before", 9, 8, NULL, "bob", true, false},
        {"ten, from where he was before", 10, 8, NULL, "bob", true, true},
        {"five at a program's pace", 5, 1, NULL, "bob", false, true},
        {"five over three hours", 5, 2700, NULL, "bob", false, true},
        {"another user's name among them", 5, 8, "root", "bob", false, true},
        {"another user's login", 5, 8, NULL, "eve", false, true},
    };
    char address[32];
    (void)state;
    for (unsigned i = 0; i < LH_ARRAY_LEN(rows); i++) {
        const struct errors *row = &rows[i];
        void *made = NULL;
        (void)make_world(&made);
        struct world *w = made;
        (void)snprintf(address, sizeof address, "192.0.2.%u", i + 1);
        if (row->known)
            say(w, 0, 50, "Accepted password for bob from %s port 8 ssh2", address);
        for (unsigned k = 0; k < row->count; k++)
            say(w, 100 + k * row->gap, 100 + k, "Failed password for %s from %s port %u ssh2",
                row->other != NULL && k == 1 ? row->other : "bob", address, 1000 + k);
        say(w, 100 + row->count * row->gap, 200, "Accepted password for %s from %s port 9 ssh2",
            row->login, address);
        const struct lh_verdict *v = verdict(w, address);
        bool alarm = v != NULL && v->severity == LH_SEVERITY_ALARM;
        if (alarm != row->alarm)
            fail_msg("%s: %s", row->why, alarm ? "an alarm" : "no alarm");
        if (!alarm)
            check_int(harmless(w, address), LH_HARMLESS_TYPO);
        made = w;
        (void)drop_world(&made);
    }
}

static void a_penalty_that_shuts_nobody_out_is_none(void **state)
{
    struct world *w = *state;
    say(w, 0, 100, "Failed password for bob from 192.0.2.1 port 9 ssh2");
    say(w, 0, 1,
        "srclimit_penalise: ipv4: new 192.0.2.1/32 deferred penalty of 5 seconds for penalty: "
        "failed authentication");
    check_int(harmless(w, "192.0.2.1"), LH_HARMLESS_QUIET);
    // Up to 9.9 one login that takes too long costs what a crash does: 90 s, at once.
    say(w, 0, 1,
        "Timeout before authentication for connection from 192.0.2.2 to 192.0.2.9, pid = 7");
    say(w, 0, 1,
        "srclimit_penalise: ipv4: new 192.0.2.2/32 active penalty of 90 seconds for penalty: "
        "exceeded LoginGraceTime");
    for (unsigned i = 0; i < 5; i++)
        say(w, 5 + i, 1,
            "drop connection #0 from [192.0.2.2]:%u on [192.0.2.9]:33001 penalty: exceeded "
            "LoginGraceTime",
            99 + i);
    check_int(harmless(w, "192.0.2.2"), LH_HARMLESS_CHECK);
    say(w, 20, 1,
        "srclimit_penalise: 192.0.2.4/32: activating ipv4 penalty of 19.7 seconds for penalty: "
        "exceeded LoginGraceTime");
    check_int(verdict(w, "192.0.2.4")->kind, LH_ATTACK_PENALTY);
    say(w, 20, 1,
        "srclimit_penalise: 192.0.2.3/32: activating ipv4 penalty of 20 seconds for penalty: "
        "failed authentication");
    check_int(verdict(w, "192.0.2.3")->kind, LH_ATTACK_PENALTY);
}

static void a_crash_that_is_told_twice_counts_once(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 3; i++) {
        say(w, i, 1,
            "Session process %u unpriv child crash for connection from 198.51.100.1 to 192.0.2.9",
            70 + i);
        say(w, i, 1,
            "srclimit_penalise: ipv4: new 198.51.100.1/32 active penalty of 90 seconds for "
            "penalty: caused crash");
    }
    check_uint(source(w, "198.51.100.1")->counts[LH_COUNT_CRASHES], 3);
    check_int(verdict(w, "198.51.100.1")->kind, LH_ATTACK_CRASH);
}

// Hosts change their address within a /64 from day to day.
static void a_login_guards_the_whole_network_of_ipv6(void **state)
{
    struct world *w = *state;
    say(w, 0, 50, "Accepted publickey for bob from 2001:db8:1:2::5 port 9 ssh2");
    for (unsigned i = 0; i < 30; i++) {
        say(w, i, 100 + i, "Failed password for root from 2001:db8:1:2::99 port 9 ssh2");
        say(w, i, 200 + i, "Failed password for root from 2001:db8:1:3::99 port 9 ssh2");
    }
    assert_false(lh_verdict_blocks(verdict(w, "2001:db8:1:2::99")));
    assert_true(lh_verdict_blocks(verdict(w, "2001:db8:1:3::99")));
    say(w, 40 * 86400, 400, "Failed password for root from 2001:db8:1:2::99 port 9 ssh2");
    assert_true(lh_verdict_blocks(verdict(w, "2001:db8:1:2::99")));
}

static void only_attacks_of_unguarded_sources_are_blocked(void **state)
{
    struct world *w = *state;
    say(w, 0, 50, "Accepted publickey for bob from 198.51.100.3 port 9 ssh2");
    for (unsigned i = 0; i < 30; i++) {
        say(w, i, 100 + i, "Failed password for root from 198.51.100.1 port 9 ssh2");
        say(w, i, 200 + i, "Failed password for root from 127.0.0.1 port 9 ssh2");
        say(w, i, 300 + i, "Failed password for root from 198.51.100.3 port 9 ssh2");
    }
    say(w, 40, 400, "Bad protocol version identification 'x' from 198.51.100.4 port 9");
    assert_true(lh_verdict_blocks(verdict(w, "198.51.100.1")));
    assert_false(lh_verdict_blocks(verdict(w, "127.0.0.1")));
    assert_false(lh_verdict_blocks(verdict(w, "198.51.100.3")));
    assert_false(lh_verdict_blocks(verdict(w, "198.51.100.4")));
}

static void a_botnet_that_gets_in_is_an_alarm(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 8; i++)
        say(w, i * 60, 100 + i, "Failed password for bob from 10.%u.1.1 port 9 ssh2", i);
    say(w, 600, 200, "Accepted password for bob from 10.3.1.1 port 10 ssh2");
    check_int(verdict(w, "10.3.1.1")->kind, LH_ATTACK_BREACH);
    check_uint(verdict(w, "10.3.1.1")->source->breach.others, 8);
}

static void those_who_work_here_are_named_and_not_reported(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 3; i++)
        say(w, i, 100 + i, "Failed password for bob from 192.0.2.11 port 9 ssh2");
    say(w, 9, 110, "Accepted password for bob from 192.0.2.11 port 9 ssh2");
    check_int(harmless(w, "192.0.2.11"), LH_HARMLESS_TYPO);

    for (unsigned i = 0; i < 6; i++)
        say(w, 20, 120, "Failed publickey for bob from 192.0.2.12 port 9 ssh2: RSA SHA256:%u", i);
    check_int(harmless(w, "192.0.2.12"), LH_HARMLESS_AGENT);
    say(w, 20, 120, "Accepted publickey for bob from 192.0.2.12 port 9 ssh2: RSA SHA256:9");
    check_int(harmless(w, "192.0.2.12"), LH_HARMLESS_AGENT);

    for (unsigned i = 0; i < 9; i++) {
        say(w, 30 + i, 130 + i, "Failed password for user%u from 192.0.2.13 port 9 ssh2", i % 4);
        say(w, 31 + i, 140 + i, "Accepted password for user%u from 192.0.2.13 port 10 ssh2", i % 4);
    }
    check_int(harmless(w, "192.0.2.13"), LH_HARMLESS_OFFICE);

    for (unsigned i = 0; i < 30; i++)
        say(w, 50, 200 + i, "Accepted publickey for bob from 192.0.2.14 port %u ssh2", 1000 + i);
    say(w, 50, 1,
        "drop connection #30 from [192.0.2.14]:2000 on [192.0.2.1]:33001 past MaxStartups");
    check_int(harmless(w, "192.0.2.14"), LH_HARMLESS_PARALLEL);

    for (unsigned i = 0; i < 600; i++)
        say(w, 60 + i, 1000 + i, "Connection closed by 192.0.2.15 port %u", 3000 + i);
    for (unsigned i = 0; i < 600; i++) {
        say(w, 60 + i, 3000 + i,
            "error: kex_exchange_identification: Connection closed by remote host");
        say(w, 60 + i, 3000 + i, "Connection closed by 192.0.2.15 port %u", 3000 + i);
    }
    check_int(harmless(w, "192.0.2.15"), LH_HARMLESS_CHECK);

    say(w, 700, 9000,
        "Unable to negotiate with 192.0.2.16 port 9: no matching host key type found. Their offer: "
        "ssh-rsa [preauth]");
    check_int(harmless(w, "192.0.2.16"), LH_HARMLESS_CLIENT);
    check_uint(w->judgement.count, 0);
}

static void an_account_hides_no_guesses_at_others(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned k = 0; k < 4; k++) {
            say(w, 60 * i + k, 10 * i + k,
                "Failed password for root from 198.51.100.1 port 9 ssh2");
            say(w, 60 * i + k, 2000 + 10 * i + k,
                "Failed publickey for backup from 198.51.100.3 port 9 ssh2");
        }
        say(w, 60 * i + 9, 10 * i + 9, "Accepted password for guest from 198.51.100.1 port 9 ssh2");
        say(w, 60 * i + 9, 2000 + 10 * i + 9,
            "Accepted publickey for bob from 198.51.100.3 port 9 ssh2");
        // Who mistypes his password four times is still at work.
        for (unsigned k = 0; k < 4; k++)
            say(w, 60 * i + k, 4000 + 10 * i + k,
                "Failed password for bob from 198.51.100.2 port 9 ssh2");
        say(w, 60 * i + 9, 4000 + 10 * i + 9,
            "Accepted password for bob from 198.51.100.2 port 9 ssh2");
    }
    assert_non_null(verdict(w, "198.51.100.1"));
    assert_null(verdict(w, "198.51.100.2"));
    assert_null(verdict(w, "198.51.100.3"));
}

// More log in from there than are kept in mind; one account among them does not hide guesses, and
// the others' errors are theirs.
static void a_large_office_hides_no_guesses(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned k = 0; k < 2; k++) {
            say(w, 90 * i + k, 10 * i + 1, "Failed password for user%u from 192.0.2.1 port 8 ssh2",
                i % 50);
            say(w, 90 * i + k, 10 * i + 3, "Failed password for user%u from 192.0.2.2 port 8 ssh2",
                i % 50);
        }
        say(w, 90 * i + 9, 10 * i + 1, "Accepted password for user%u from 192.0.2.1 port 8 ssh2",
            i % 50);
        say(w, 90 * i + 9, 10 * i + 3, "Accepted password for user%u from 192.0.2.2 port 8 ssh2",
            i % 50);
        say(w, 90 * i + 50, 10 * i + 5, "Failed password for root from 192.0.2.1 port 7 ssh2");
        say(w, 90 * i + 60, 10 * i + 7, "Accepted password for bob from 192.0.2.1 port 6 ssh2");
    }
    assert_non_null(verdict(w, "192.0.2.1"));
    check_int(harmless(w, "192.0.2.2"), LH_HARMLESS_OFFICE);
}

static void who_never_finishes_a_login_is_seen_at_verbose(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 4; i++)
        say(w, i, 100 + i, "Connection from 198.51.100.1 port %u on 192.0.2.1 port 33001", 99 + i);
    say(w, 3, 110, "Connection from 198.51.100.2 port 9 on 192.0.2.1 port 33001");
    say(w, 4000, 120, "Connection from 198.51.100.3 port 9 on 192.0.2.1 port 33001");
    check_int(verdict(w, "198.51.100.1")->kind, LH_ATTACK_STALL);
    assert_null(verdict(w, "198.51.100.2"));
}

// 100 tries are not hidden by a million sources, wherever between them they stand.
static void a_million_sources_hide_nobody(void **state)
{
    struct world *w = *state;
    struct lh_prng prng = {check_seed(7)};
    unsigned stride = 1 + 2 * (unsigned)lh_prng_below(&prng, 1 << 18);
    for (unsigned i = 0; i < 1u << 20; i++) {
        unsigned n = i * stride & ((1u << 20) - 1); // each once
        say(w, i / 100, 1 + i % 60000, "Failed password for root from %u.%u.%u.7 port 9 ssh2",
            11 + (n >> 16), n >> 8 & 255, n & 255);
        if (i % 10000 == 0)
            say(w, i / 100, 65000 + i / 10000,
                "Failed password for root from 203.0.113.77 port 9 ssh2");
    }
    const struct lh_verdict *found = verdict(w, "203.0.113.77");
    assert_non_null(found);
    assert_true(found->tries >= 100 && found->tries < 150);
    size_t first = 0;
    while (w->judgement.verdicts[first].source == NULL)
        first++;
    assert_ptr_equal(w->judgement.verdicts[first].source, found->source);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)
    const struct CMUnitTest tests[] = {
        TEST(several_lines_of_one_try_are_one_try),
        TEST(pam_counts_where_sshd_says_less),
        TEST(repeated_lines_count),
        TEST(a_close_is_a_try_where_nothing_else_tells),
        TEST(lines_without_address_are_joined_by_process),
        TEST(an_ambiguous_line_counts_only_for_the_address_of_its_process),
        TEST(a_process_id_used_again_is_another_connection),
        TEST(a_line_long_after_its_process_is_nobodys),
        TEST(what_breaks_after_a_login_is_no_attack),
        TEST(finds_each_pace),
        TEST(health_checks_are_no_flood),
        TEST(random_names_are_not_in_order),
        TEST(penalties_are_tries),
        TEST(many_sources_on_one_user_and_one_network),
        TEST(a_login_after_failures_is_an_alarm_at_the_top),
        TEST(a_login_after_typing_errors_is_no_alarm),
        TEST(a_penalty_that_shuts_nobody_out_is_none),
        TEST(a_crash_that_is_told_twice_counts_once),
        TEST(a_login_guards_the_whole_network_of_ipv6),
        TEST(only_attacks_of_unguarded_sources_are_blocked),
        TEST(a_botnet_that_gets_in_is_an_alarm),
        TEST(those_who_work_here_are_named_and_not_reported),
        TEST(an_account_hides_no_guesses_at_others),
        TEST(a_large_office_hides_no_guesses),
        TEST(who_never_finishes_a_login_is_seen_at_verbose),
        TEST(a_million_sources_hide_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
