// SPDX-License-Identifier: Apache-2.0
//
// The ritual's decisions, and its record on disk: what a later run finds is what was written, or is
// refused.
#include "sshdcfg/ritual.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "check.h"

static const enum lh_ritual_phase running[] = {LH_RITUAL_ARMED,   LH_RITUAL_OPENING,
                                               LH_RITUAL_PROVING, LH_RITUAL_AWAITING,
                                               LH_RITUAL_CLOSING, LH_RITUAL_RESTORING};

static void once_the_time_is_over_every_command_restores(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(running); i++) {
        for (int command = 0; command < LH_RITUAL_COMMAND_N_; command++)
            assert_int_equal(lh_ritual_decide((enum lh_ritual_command)command, running[i], true),
                             LH_RITUAL_RESTORE);
    }
    // What is done, or was never begun, has no time that could be over.
    assert_int_equal(lh_ritual_decide(LH_RITUAL_TIMER, LH_RITUAL_DONE, true), LH_RITUAL_NOTHING);
    assert_int_equal(lh_ritual_decide(LH_RITUAL_APPLY, LH_RITUAL_DONE, true), LH_RITUAL_BEGIN);
    assert_int_equal(lh_ritual_decide(LH_RITUAL_APPLY, LH_RITUAL_NONE, true), LH_RITUAL_BEGIN);
    assert_int_equal(lh_ritual_decide(LH_RITUAL_APPLY, LH_RITUAL_PREPARING, true),
                     LH_RITUAL_FORGET);
}

static void the_timer_never_acts_early(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(running); i++)
        assert_int_equal(lh_ritual_decide(LH_RITUAL_TIMER, running[i], false), LH_RITUAL_WAIT);
    assert_int_equal(lh_ritual_decide(LH_RITUAL_TIMER, LH_RITUAL_RESTORED, false),
                     LH_RITUAL_NOTHING);
}

static void a_run_that_died_is_taken_back_before_the_next_one_begins(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(running); i++) {
        enum lh_ritual_step step = lh_ritual_decide(LH_RITUAL_APPLY, running[i], false);
        // What waits for a person has not died.
        assert_int_equal(step,
                         running[i] == LH_RITUAL_AWAITING ? LH_RITUAL_OCCUPIED : LH_RITUAL_RESTORE);
        assert_int_equal(lh_ritual_decide(LH_RITUAL_ROLLBACK, running[i], false),
                         LH_RITUAL_RESTORE);
    }
    assert_int_equal(lh_ritual_decide(LH_RITUAL_ROLLBACK, LH_RITUAL_DONE, false),
                     LH_RITUAL_RESTORE);
    assert_int_equal(lh_ritual_decide(LH_RITUAL_ROLLBACK, LH_RITUAL_RESTORED, false),
                     LH_RITUAL_NOTHING);
}

static void only_what_was_proved_can_be_confirmed(void **state)
{
    (void)state;
    for (int phase = 0; phase < LH_RITUAL_PHASE_N_; phase++) {
        bool closes = lh_ritual_decide(LH_RITUAL_CONFIRM, (enum lh_ritual_phase)phase, false) ==
                      LH_RITUAL_CLOSE;
        assert_int_equal(closes, phase == LH_RITUAL_AWAITING || phase == LH_RITUAL_CLOSING);
    }
}

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static struct lh_record *make_record(void)
{
    struct lh_record *record = calloc(1, sizeof *record);

    assert_non_null(record);
    *record = (struct lh_record){.id = "0123456789abcdef0123456789abcdef",
                                 .phase = LH_RITUAL_CLOSING,
                                 .boot = "2f3c",
                                 .deadline = 1234567890123,
                                 .opened = 77,
                                 .seconds = 300,
                                 .port = 33001,
                                 .old_ports = {22, 2222},
                                 .old_port_count = 2,
                                 .new_ports = {33001},
                                 .new_port_count = 1,
                                 .config = "/etc/ssh/sshd_config",
                                 .user = "DOMAIN\\ann b",
                                 .pid = 4711,
                                 .pid_given = true,
                                 .arguments = {"/usr/sbin/sshd", "-f", "/etc/ssh/x y"},
                                 .argument_count = 3,
                                 .file_count = 2,
                                 .keys = {{.path = "/home/ann/.ssh/authorized keys"}},
                                 .key_count = 1,
                                 .absent = {"/etc/systemd/system/x.timer"},
                                 .absent_count = 1};
    for (size_t i = 0; i < 2; i++) {
        struct lh_record_file *file = &record->files[i];
        (void)snprintf(file->path, sizeof file->path, "/etc/ssh/a %zu", i);
        for (int text = 0; text < LH_RITUAL_TEXT_N_; text++)
            (void)snprintf(file->digest[text], sizeof file->digest[text], DIGEST "%d", text);
        file->uid = 1;
        file->gid = 2;
        file->mode = 0640;
    }
    record->files[0].xattr_count = 1;
    (void)snprintf(record->files[0].xattrs[0].name, 32, "user.x");
    (void)snprintf(record->files[0].xattrs[0].value, 32, "00ff");
    return record;
}

static void a_record_is_read_as_it_was_written(void **state)
{
    struct lh_record *record = make_record(), *again = calloc(1, sizeof *again);
    char *text;
    size_t len;

    (void)state;
    check_ok(lh_record_print(record, &text, &len));
    check_ok(lh_record_parse(text, len, again));
    assert_memory_equal(record, again, sizeof *record);
    free(text);
    free(record);
    free(again);
}

static void a_cut_or_altered_record_is_refused(void **state)
{
    static const struct {
        const char *from, *to;
    } edits[] = {{"record 1", "record 2"},
                 {"phase closing", "phase none"},
                 {"port 33001", "port 0"},
                 {"port 33001", "port 1e3"},
                 {"id 0123", "id 012g"},
                 {"seconds ", "secondx "},
                 {"file 1 2 416", "file 1 2 99999"},
                 {"file 1 2", "file 1"},
                 {"xattr user.x 00ff", "xattr user.x 0ff"},
                 {"config /", "config x"},
                 {"pid-given yes", "pid-given maybe"},
                 {"key /home", "key home"},
                 {"seconds 300\n", ""},
                 {"seconds 300\n", "seconds 300\nseconds 300\n"}};
    struct lh_record *record = make_record(), *again = calloc(1, sizeof *again);
    char *text, edited[8192];
    size_t len;

    (void)state;
    check_ok(lh_record_print(record, &text, &len));
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(lh_record_parse(text, cut, again), LH_E_INVALID);
    text[len] = '\0';
    for (size_t i = 0; i < LH_ARRAY_LEN(edits); i++) {
        const char *found = strstr(text, edits[i].from);
        if (found == NULL)
            continue;
        int edited_len = snprintf(edited, sizeof edited, "%.*s%s%s", (int)(found - text), text,
                                  edits[i].to, found + strlen(edits[i].from));
        assert_int_equal(lh_record_parse(edited, (size_t)edited_len, again), LH_E_INVALID);
    }
    free(text);
    free(record);
    free(again);
}

static void a_text_that_would_break_the_lines_is_not_written(void **state)
{
    struct lh_record *record = make_record();
    char *text;
    size_t len;

    (void)state;
    (void)snprintf(record->user, sizeof record->user, "ann\nphase done");
    assert_int_equal(lh_record_print(record, &text, &len), LH_E_INVALID);
    free(record);
}

static void a_foreign_text_is_told_from_ours(void **state)
{
    struct lh_record *record = make_record();

    (void)state;
    assert_int_equal(lh_record_text_of(&record->files[0], DIGEST "1"), LH_RITUAL_TWO);
    assert_int_equal(lh_record_text_of(&record->files[0], DIGEST "7"), LH_RITUAL_TEXT_N_);
    assert_int_equal(lh_record_text_of(&record->files[0], ""), LH_RITUAL_TEXT_N_);
    free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_the_time_is_over_every_command_restores),
        cmocka_unit_test(the_timer_never_acts_early),
        cmocka_unit_test(a_run_that_died_is_taken_back_before_the_next_one_begins),
        cmocka_unit_test(only_what_was_proved_can_be_confirmed),
        cmocka_unit_test(a_record_is_read_as_it_was_written),
        cmocka_unit_test(a_cut_or_altered_record_is_refused),
        cmocka_unit_test(a_text_that_would_break_the_lines_is_not_written),
        cmocka_unit_test(a_foreign_text_is_told_from_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
