// SPDX-License-Identifier: Apache-2.0
//
// Journals that nobody needs any more go; all else in their directory stays.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "check.h"
#include "file/journal.h"
#include "tempdir.h"

#define DAY 86400

static void journals_untouched_for_long_go_and_nothing_else_does(void **state)
{
    static const struct {
        const char *name;
        int days;
        bool locked, stays;
    } files[] = {
        {"00000000000000000000000000000001.journal", LH_JOURNAL_DAYS_MAX + 1, false, false},
        {"00000000000000000000000000000002.journal", LH_JOURNAL_DAYS_MAX - 1, false, true},
        {"00000000000000000000000000000003.journal", LH_JOURNAL_DAYS_MAX + 1, true, true},
        {"00000000000000000000000000000004.journal.aside", 1000, false, false},
        {"00000000000000000000000000000005.journal.new", 1000, false, false},
        {"00000000000000000000000000000006.journal.mine", 1000, false, true},
        {"0000000000000000000000000000000.journal", 1000, false, true},
        {"notes", 1000, false, true},
    };
    struct tempdir temp;
    char directory[300], path[400];
    struct lh_journal *journal = NULL;
    int locks[LH_ARRAY_LEN(files)];
    (void)state;
    tempdir_make(&temp);
    (void)tempdir_path(&temp, "state", directory, sizeof directory);
    check_int(mkdir(directory, 0700), 0);
    for (size_t i = 0; i < LH_ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, files[i].name);
        const time_t then = time(NULL) - (time_t)files[i].days * DAY;
        const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
        locks[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(locks[i] >= 0);
        check_int(futimens(locks[i], times), 0);
        if (files[i].locked)
            check_int(flock(locks[i], LOCK_EX), 0);
    }
    struct lh_journal_config config = {
        .directory = directory, .block_size = 65536, .job_id = {0xab}, .read_only = true};
    check_err(lh_journal_open(&config, &journal, NULL, 0, NULL), LH_NONE);
    (void)snprintf(path, sizeof path, "%s/%s", directory, files[0].name);
    check_int(access(path, F_OK), 0); // who only looks removes nothing
    config.read_only = false;
    check_ok(lh_journal_open(&config, &journal, NULL, 0, NULL));
    for (size_t i = 0; i < LH_ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, files[i].name);
        if ((access(path, F_OK) == 0) != files[i].stays)
            fail_msg("%s", files[i].name);
        close(locks[i]);
    }
    lh_journal_free(journal);
    tempdir_remove(&temp);
}

static void a_journal_that_is_opened_is_young_again(void **state)
{
    struct tempdir temp;
    char directory[300], path[400];
    struct lh_journal *journal = NULL;
    struct stat found;
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    (void)state;
    tempdir_make(&temp);
    (void)tempdir_path(&temp, "state", directory, sizeof directory);
    struct lh_journal_config config = {.directory = directory, .block_size = 65536};
    (void)snprintf(path, sizeof path, "%s/%032d.journal", directory, 0);
    check_ok(lh_journal_open(&config, &journal, NULL, 0, NULL));
    lh_journal_free(journal);
    check_int(utimensat(AT_FDCWD, path, times, 0), 0);
    check_ok(lh_journal_open(&config, &journal, NULL, 0, NULL));
    check_int(stat(path, &found), 0);
    assert_true(found.st_mtim.tv_sec > 1000);
    lh_journal_free(journal);
    tempdir_remove(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journals_untouched_for_long_go_and_nothing_else_does),
        cmocka_unit_test(a_journal_that_is_opened_is_young_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
