// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "check.h"
#include "watch/addr.h"
#include "watch/line.h"
#include "watch/timeline.h"

static struct lh_span span(const char *text)
{
    return lh_span_of(text, strlen(text));
}

static void reads_and_writes_addresses(void **state)
{
    static const struct {
        const char *text;
        const char *canonical; // NULL: refused
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:201", "192.0.2.1"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:0DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"fe80::1%eth0", "fe80::1"},
        {"192.0.2.01", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2", NULL},
        {"192.0.2.1.", NULL},
        {"192.0.2.1 ", NULL},
        {"0x7f000001", NULL},
        {"3221225985", NULL},
        {"", NULL},
        {":", NULL},
        {":::", NULL},
        {"1::2::3", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
        {"12345::", NULL},
        {"g::1", NULL},
        {"fe80::1%", NULL},
        {"::192.0.2.1:1", NULL},
        {"1:2:3:4:5:6:7:192.0.2.1", NULL},
        {"localhost", NULL},
        {"192.0.2.1\n", NULL},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_watch_addr addr;
        char text[LH_WATCH_ADDR_TEXT];
        bool good = lh_watch_addr_parse(span(rows[i].text), &addr);
        if (good != (rows[i].canonical != NULL))
            fail_msg("\"%s\" is %s", rows[i].text, good ? "taken" : "refused");
        if (good)
            assert_string_equal(lh_watch_addr_format(&addr, text), rows[i].canonical);
    }
}

static void knows_networks_and_scopes(void **state)
{
    static const struct {
        const char *text;
        const char *network;
        enum lh_watch_scope scope;
    } rows[] = {
        {"203.0.113.77", "203.0.113.0/24", LH_WATCH_SCOPE_PUBLIC},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", LH_WATCH_SCOPE_PUBLIC},
        {"127.8.9.1", "127.8.9.0/24", LH_WATCH_SCOPE_LOOPBACK},
        {"::1", "::/64", LH_WATCH_SCOPE_LOOPBACK},
        {"10.1.2.3", "10.1.2.0/24", LH_WATCH_SCOPE_PRIVATE},
        {"172.31.0.1", "172.31.0.0/24", LH_WATCH_SCOPE_PRIVATE},
        {"172.32.0.1", "172.32.0.0/24", LH_WATCH_SCOPE_PUBLIC},
        {"fd00::1", "fd00::/64", LH_WATCH_SCOPE_PRIVATE},
        {"100.127.255.255", "100.127.255.0/24", LH_WATCH_SCOPE_SHARED},
        {"169.254.1.1", "169.254.1.0/24", LH_WATCH_SCOPE_LINK_LOCAL},
        {"fe80::1", "fe80::/64", LH_WATCH_SCOPE_LINK_LOCAL},
        {"0.0.0.0", "0.0.0.0/24", LH_WATCH_SCOPE_NONE},
        {"::", "::/64", LH_WATCH_SCOPE_NONE},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_watch_addr addr;
        char text[LH_WATCH_NET_TEXT];
        assert_true(lh_watch_addr_parse(span(rows[i].text), &addr));
        assert_string_equal(lh_watch_net_format(&addr, lh_watch_network_bits(&addr), text),
                            rows[i].network);
        check_int(lh_watch_addr_scope(&addr), rows[i].scope);
    }
}

static void the_calendar_goes_there_and_back(void **state)
{
    (void)state;
    for (int64_t time = 0; time < INT64_C(8000000000); time += INT64_C(12345679)) {
        struct lh_civil civil = lh_civil_from_utc(time);
        check_int(lh_civil_to_utc(&civil), time);
    }
    char text[LH_CIVIL_TEXT];
    assert_string_equal(lh_civil_format(951782400, text), "2000-02-29T00:00:00Z");
    assert_string_equal(lh_civil_format(1773168482, text), "2026-03-10T18:48:02Z");
}

// 2026-03-10T18:48:02Z
#define T INT64_C(1773168482)

static void reads_lines_of_every_shape(void **state)
{
    static const struct {
        const char *line;
        int kind; // enum lh_watch_line
        int64_t time;
        uint32_t pid;
        uint32_t repeat;
        const char *message;
    } rows[] = {
        {"Mar 10 18:48:02 sku sshd[1496]: hello", LH_WATCH_LINE_SSHD, T, 1496, 1, "hello"},
        {"Mar 10 2026 18:48:02 sku sshd[1496]: hello", LH_WATCH_LINE_SSHD, T, 1496, 1, "hello"},
        {"Mar  1 18:48:02 sku sshd-session[7]: hello", LH_WATCH_LINE_SSHD, T - 9 * 86400, 7, 1,
         "hello"},
        {"Dec 24 18:48:02 sku sshd-auth[7]: last year", LH_WATCH_LINE_SSHD, T - 76 * 86400, 7, 1,
         "last year"},
        {"2026-03-10T18:48:02Z sku sshd[1]: hello", LH_WATCH_LINE_SSHD, T, 1, 1, "hello"},
        {"2026-03-10T18:48:02Z sshd sshd[1]: a host's name", LH_WATCH_LINE_SSHD, T, 1, 1,
         "a host's name"},
        {"2026-03-10T18:48:02Z sshd sudo[1]: a host's name", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"2026-03-10T19:48:02.123456+01:00 sku sshd[1]: hello", LH_WATCH_LINE_SSHD, T, 1, 1,
         "hello"},
        {"2026-03-10T13:18:02-0530 sku sshd[1]: hello", LH_WATCH_LINE_SSHD, T, 1, 1, "hello"},
        {"2026-03-10 18:48:02 sku sshd[1]: hello", LH_WATCH_LINE_SSHD, T, 1, 1, "hello"},
        {"2026-03-10 18:48:02,123 +0000 sku sshd[1]: hello", LH_WATCH_LINE_SSHD, T, 1, 1, "hello"},
        {"2026-03-10 18:48:02 sshd[1]: no host", LH_WATCH_LINE_SSHD, T, 1, 1, "no host"},
        {"1773168482.654321 sku sshd[1]: hello", LH_WATCH_LINE_SSHD, T, 1, 1, "hello"},
        {"<38>Mar 10 18:48:02 sku sshd[1496]: hello", LH_WATCH_LINE_SSHD, T, 1496, 1, "hello"},
        {"<38>1 2026-03-10T18:48:02.5Z sku sshd 1496 - - hello", LH_WATCH_LINE_SSHD, T, 1496, 1,
         "hello"},
        {"<38>1 2026-03-10T18:48:02Z sku sshd 5 ID [a b=\"x\\\"]\"][c d=\"]\"] \xef\xbb\xbfhello",
         LH_WATCH_LINE_SSHD, T, 5, 1, "hello"},
        {"<38>1 2026-03-10T18:48:02Z sku su 1496 - - sshd[5]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0,
         NULL},
        {"Mar 10 18:48:02 sku /usr/sbin/sshd[1]: hello", LH_WATCH_LINE_SSHD, T, 1, 1, "hello"},
        {"Mar 10 18:48:02 sku sshd: hello", LH_WATCH_LINE_SSHD, T, 0, 1, "hello"},
        {"Mar 10 18:48:02 sku sshd(pam_unix)[99]: hello", LH_WATCH_LINE_SSHD, T, 99, 1, "hello"},
        {"Mar 10 18:48:02 sku sshd[9]: [ID 800047 auth.info] hello", LH_WATCH_LINE_SSHD, T, 9, 1,
         "hello"},
        {"Mar 10 18:48:02 sku sshd[9]: message repeated 4 times: [ hello]", LH_WATCH_LINE_SSHD, T,
         9, 4, "hello"},
        {"Mar 10 18:48:02 sku sshd[9]: message repeated 0 times: [ hello]", LH_WATCH_LINE_SSHD, T,
         9, 1, "message repeated 0 times: [ hello]"},
        {"Mar 10 18:48:02 sku last message repeated 3 times", LH_WATCH_LINE_REPEAT, T, 0, 3, NULL},
        {"Mar 10 18:48:02 sku sudo: last message repeated 3 times", LH_WATCH_LINE_OTHER, 0, 0, 0,
         NULL},
        {"Mar 10 18:48:02 sku sshd[9]: hello\r", LH_WATCH_LINE_SSHD, T, 9, 1, "hello"},
        {"Mar 10 18:48:02 sku sshdx[9]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"Mar 10 18:48:02 sku su[9]: sshd[9]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"Mar 10 18:48:02 sku sshd[x]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"Mar 10 18:48:02 sku sshd[99999999999]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"Mar 32 18:48:02 sku sshd[1]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"Mar 10 25:48:02 sku sshd[1]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"2026-13-10T18:48:02Z sku sshd[1]: hello", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"sshd[1]: no stamp at all in here", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"Mar 10 18:48:02", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
        {"Mar 10 18:48:02 sku sshd[", LH_WATCH_LINE_OTHER, 0, 0, 0, NULL},
    };
    (void)state;
    struct lh_stamp_reader stamps = {.zone = {.latest = T + 100}};
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_watch_record record;
        int kind = (int)lh_watch_line_parse(&stamps, span(rows[i].line), &record);
        if (kind != rows[i].kind)
            fail_msg("\"%s\": kind %d", rows[i].line, kind);
        if (kind == LH_WATCH_LINE_OTHER)
            continue;
        if (record.time != rows[i].time || record.pid != rows[i].pid ||
            record.repeat != rows[i].repeat)
            fail_msg("\"%s\": time %lld, pid %u, repeat %u", rows[i].line, (long long)record.time,
                     record.pid, record.repeat);
        if (kind == LH_WATCH_LINE_SSHD && !lh_span_is(record.message, span(rows[i].message)))
            fail_msg("\"%s\": message \"%.*s\"", rows[i].line, (int)record.message.len,
                     record.message.at);
    }
}

static void a_line_that_is_too_long_is_not_sshds(void **state)
{
    static char line[LH_WATCH_LINE_MAX + 2];
    static const char head[] = "Mar 10 18:48:02 sku sshd[1496]: ";
    struct lh_stamp_reader stamps = {.zone = {.latest = T}};
    struct lh_watch_record record;
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, head, sizeof head - 1);
    check_int(lh_watch_line_parse(&stamps, lh_span_of(line, LH_WATCH_LINE_MAX), &record),
              LH_WATCH_LINE_SSHD);
    check_int(lh_watch_line_parse(&stamps, lh_span_of(line, LH_WATCH_LINE_MAX + 1), &record),
              LH_WATCH_LINE_OTHER);
}

static void two_hosts_are_two(void **state)
{
    struct lh_stamp_reader stamps = {.zone = {.latest = T}};
    struct lh_watch_record a;
    struct lh_watch_record b;
    (void)state;
    (void)lh_watch_line_parse(&stamps, span("Mar 10 18:48:02 one sshd[1]: hello"), &a);
    (void)lh_watch_line_parse(&stamps, span("Mar 10 18:48:02 two sshd[1]: hello"), &b);
    assert_true(a.host != b.host);
}

static void a_timeline_keeps_every_count_as_it_widens(void **state)
{
    struct lh_timeline line = {0};
    uint64_t columns[10];
    uint64_t sum = 0;
    (void)state;
    for (int64_t i = 0; i < 100000; i++)
        lh_timeline_add(&line, T + i * 17, 1);
    lh_timeline_columns(&line, T, T + 100000 * 17, columns, 10);
    for (unsigned i = 0; i < 10; i++)
        sum += columns[i];
    check_uint(sum, 100000);
    assert_true(columns[0] > 5000 && columns[9] > 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_addresses),
        cmocka_unit_test(knows_networks_and_scopes),
        cmocka_unit_test(the_calendar_goes_there_and_back),
        cmocka_unit_test(reads_lines_of_every_shape),
        cmocka_unit_test(a_line_that_is_too_long_is_not_sshds),
        cmocka_unit_test(two_hosts_are_two),
        cmocka_unit_test(a_timeline_keeps_every_count_as_it_widens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
