// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "check.h"
#include "watch/journal.h"

#define TRUSTED                                                                                    \
    "\"_UID\":\"0\",\"_COMM\":\"sshd\",\"_PID\":\"77\",\"_MACHINE_ID\":\"m\",\"__REALTIME_"        \
    "TIMESTAMP\":\"1773168482000001\""

static struct lh_journal_entry entry;

static enum lh_watch_line parse(const char *line)
{
    return lh_watch_journal_parse(lh_span_of(line, strlen(line)), &entry);
}

static void reads_an_entry(void **state)
{
    (void)state;
    check_int(parse("{\"__CURSOR\":\"s=1;i=2\"," TRUSTED
                    ",\"MESSAGE\":\"Failed \\\"x\\\" \\u00e4\\ud83d\\ude00\\n\"}"),
              LH_WATCH_LINE_SSHD);
    check_int(entry.record.time, 1773168482);
    check_uint(entry.record.pid, 77);
    assert_string_equal(entry.cursor, "s=1;i=2");
    assert_true(
        lh_span_is(entry.record.message, LH_SPAN("Failed \"x\" \xc3\xa4\xf0\x9f\x98\x80\n")));
}

static void reads_a_message_of_bytes(void **state)
{
    (void)state;
    check_int(parse("{" TRUSTED ", \"MESSAGE\" : [72, 105, 255]}"), LH_WATCH_LINE_SSHD);
    assert_true(lh_span_is(entry.record.message, LH_SPAN("Hi\xff")));
}

// Whatever a user can write into the journal, he cannot speak as sshd.
static void believes_only_what_users_cannot_set(void **state)
{
    static const char *const foreign[] = {
        "{\"SYSLOG_IDENTIFIER\":\"sshd\",\"_UID\":\"1000\",\"_COMM\":\"sshd\",\"_PID\":\"7\",\"__"
        "REALTIME_TIMESTAMP\":\"1773168482000001\",\"MESSAGE\":\"x\"}",
        "{\"SYSLOG_IDENTIFIER\":\"sshd\",\"_UID\":\"0\",\"_COMM\":\"logger\",\"_PID\":\"7\",\"__"
        "REALTIME_TIMESTAMP\":\"1773168482000001\",\"MESSAGE\":\"x\"}",
        "{\"_UID\":\"0\",\"_COMM\":\"sshd\",\"_EXE\":\"/usr/bin/su\",\"_PID\":\"7\",\"__REALTIME_"
        "TIMESTAMP\":\"1773168482000001\",\"MESSAGE\":\"x\"}",
        "{\"SYSLOG_IDENTIFIER\":\"sshd\",\"UID\":\"0\",\"COMM\":\"sshd\",\"__REALTIME_TIMESTAMP\":"
        "\"1773168482000001\",\"MESSAGE\":\"x\"}",
        "{\"_COMM\":\"sshd\",\"_PID\":\"7\",\"__REALTIME_TIMESTAMP\":\"1773168482000001\","
        "\"MESSAGE\":\"x\"}",
        "{\"_UID\":\"00x\",\"_COMM\":\"sshd\",\"__REALTIME_TIMESTAMP\":\"1773168482000001\","
        "\"MESSAGE\":\"x\"}",
        "{\"_UID\":[\"0\",\"1000\"],\"_COMM\":\"sshd\",\"__REALTIME_TIMESTAMP\":"
        "\"1773168482000001\",\"MESSAGE\":\"x\"}",
        "{\"_UID\":\"1000\",\"_UID\":\"0\",\"_COMM\":\"sshd\",\"__REALTIME_TIMESTAMP\":"
        "\"1773168482000001\",\"MESSAGE\":\"x\"}",
        "{\"_UID\":\"0\",\"_UID\":\"1000\",\"_COMM\":\"sshd\",\"__REALTIME_TIMESTAMP\":"
        "\"1773168482000001\",\"MESSAGE\":\"x\"}",
        "{\"MESSAGE\":\"x\\\",\\\"_UID\\\":\\\"0\",\"_UID\":\"1000\",\"_COMM\":\"sshd\",\"__"
        "REALTIME_TIMESTAMP\":\"1773168482000001\"}",
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(foreign); i++) {
        if (parse(foreign[i]) != LH_WATCH_LINE_OTHER)
            fail_msg("believed: %s", foreign[i]);
    }
}

static void the_process_is_the_one_that_journald_saw(void **state)
{
    (void)state;
    check_int(parse("{\"SYSLOG_PID\":\"5\"," TRUSTED ",\"MESSAGE\":\"x\"}"), LH_WATCH_LINE_SSHD);
    check_uint(entry.record.pid, 77);
}

static void takes_sshd_by_its_program_too(void **state)
{
    (void)state;
    check_int(parse("{\"_UID\":\"0\",\"_COMM\":\"x\",\"_EXE\":\"/usr/lib/openssh/"
                    "sshd-session\",\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"x\"}"),
              LH_WATCH_LINE_SSHD);
}

static void refuses_what_is_no_entry(void **state)
{
    static const char *const wrong[] = {
        "",
        "{",
        "{}",
        "[]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":\"b\"",
        "{\"a\":\"b",
        "{" TRUSTED "}",
        "{" TRUSTED ",\"MESSAGE\":null}",
        "{" TRUSTED ",\"MESSAGE\":\"\\ud800x\"}",
        "{" TRUSTED ",\"MESSAGE\":\"\\q\"}",
        "{" TRUSTED ",\"MESSAGE\":[256]}",
        "{" TRUSTED ",\"MESSAGE\":[1,]}",
        "{" TRUSTED ",\"MESSAGE\":{\"a\":1}}",
        "{" TRUSTED ",\"MESSAGE\":[\"a\",\"b\"]}",
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(wrong); i++) {
        if (parse(wrong[i]) != LH_WATCH_LINE_OTHER)
            fail_msg("taken: %s", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_an_entry),
        cmocka_unit_test(reads_a_message_of_bytes),
        cmocka_unit_test(believes_only_what_users_cannot_set),
        cmocka_unit_test(the_process_is_the_one_that_journald_saw),
        cmocka_unit_test(takes_sshd_by_its_program_too),
        cmocka_unit_test(refuses_what_is_no_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
