// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "file/partial.h"
#include "file/source.h"
#include "tempdir.h"

struct fixture {
    struct tempdir temp;
    struct lh_tree *tree;
    struct lh_dir *root;
};

static int set_up(void **state)
{
    struct fixture *fix = calloc(1, sizeof *fix);
    assert_non_null(fix);
    (void)umask(022);
    tempdir_make(&fix->temp);
    check_ok(lh_tree_open(fix->temp.path, &fix->tree, NULL));
    fix->root = lh_tree_root(fix->tree);
    *state = fix;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fix = *state;
    lh_dir_unref(fix->root);
    lh_tree_free(fix->tree);
    tempdir_remove(&fix->temp);
    free(fix);
    return 0;
}

static struct stat stat_of(const struct fixture *fix, const char *name)
{
    struct stat found;
    check_int(fstatat(fix->temp.fd, name, &found, AT_SYMLINK_NOFOLLOW), 0);
    return found;
}

static void check_content(const struct fixture *fix, const char *name, const char *text)
{
    char content[64] = {0};
    check_uint(tempdir_read(&fix->temp, name, content, sizeof content - 1), strlen(text));
    assert_string_equal(content, text);
}

// --- Create, write, commit ---

static void test_partial_is_private_and_has_a_fixed_length_random_name(void **state)
{
    struct fixture *fix = *state;
    struct lh_partial a = LH_PARTIAL_NULL;
    struct lh_partial b = LH_PARTIAL_NULL;
    check_ok(lh_partial_create(&a, fix->root, 10, NULL));
    check_ok(lh_partial_create(&b, fix->root, 10, NULL));
    check_uint(strlen(a.name), 26);
    assert_true(lh_partial_is_name(a.name));
    assert_string_not_equal(a.name, b.name);
    check_int(stat_of(fix, a.name).st_mode & 07777, 0600);
    check_uint(stat_of(fix, a.name).st_ino, a.ino);
    lh_partial_discard(&a);
    check_uint(tempdir_count(&fix->temp, "."), 1);
    lh_partial_close(&b);
    lh_partial_close(&b);
    check_uint(tempdir_count(&fix->temp, "."), 1);
}

static void test_names_of_partials_are_told_from_others(void **state)
{
    static const struct {
        const char *name;
        bool expected;
    } cases[] = {
        {".lh-AAAAAAAAAAAAAAAAAAAAAA", true},  {".lh-abcdefghijklmnopqrst-_", true},
        {".lh-AAAAAAAAAAAAAAAAAAAAA", false},  {".lh-AAAAAAAAAAAAAAAAAAAAAAA", false},
        {".lh-AAAAAAAAAAAAAAAAAAAA/A", false}, {".lh-AAAAAAAAAAAAAAAAAAAA.A", false},
        {"xlh-AAAAAAAAAAAAAAAAAAAAAA", false}, {"", false},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++)
        check_int(lh_partial_is_name(cases[i].name), cases[i].expected);
}

static void test_blocks_in_any_order_become_the_file(void **state)
{
    static const struct timespec times[2] = {{10, 1}, {20, 2}};
    struct fixture *fix = *state;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct stat put;
    char text[4] = {0};
    mode_t mode = 04640;
    check_ok(lh_partial_create(&partial, fix->root, 9, NULL));
    check_ok(lh_partial_write(&partial, "ghi?", 4, 6, NULL)); // one too many: cut by commit
    check_ok(lh_partial_write(&partial, "abc", 3, 0, NULL));
    check_ok(lh_partial_write(&partial, "def", 3, 3, NULL));
    check_ok(lh_partial_read(&partial, text, 3, 3, NULL));
    assert_string_equal(text, "def");
    check_err(lh_partial_read(&partial, text, 3, 8, NULL), LH_E_CORRUPT);
    check_ok(lh_partial_commit(&partial, "file", 9, &mode, times, &put, NULL));
    check_int(partial.fd, -1);
    check_content(fix, "file", "abcdefghi");
    struct stat found = stat_of(fix, "file");
    check_int(found.st_mode & 07777, 0640); // never set-id
    check_int(found.st_mtim.tv_sec, 20);
    check_int(found.st_mtim.tv_nsec, 2);
    check_int(put.st_ctim.tv_nsec, found.st_ctim.tv_nsec); // the state in place
    check_uint(put.st_ino, found.st_ino);
    check_uint(tempdir_count(&fix->temp, "."), 1);
}

static void test_without_a_mode_the_umask_decides(void **state)
{
    struct fixture *fix = *state;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct lh_put small = {.name = "small"};
    struct stat put;
    check_ok(lh_partial_create(&partial, fix->root, 0, NULL));
    check_ok(lh_partial_commit(&partial, "file", 0, NULL, NULL, &put, NULL));
    check_int(put.st_mode & 07777, 0644);
    check_ok(lh_file_put(fix->root, &small, &put, NULL));
    check_int(put.st_mode & 07777, 0644);
}

static void put_text(struct fixture *fix, const char *name, const char *text, lh_err expected)
{
    struct lh_put put = {.name = name, .data = text, .len = strlen(text)};
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct lh_errinfo info = {0};
    struct stat found;
    check_err(lh_file_put(fix->root, &put, &found, &info), expected);
    check_int(info.code, expected);
    check_ok(lh_partial_create(&partial, fix->root, 0, NULL));
    check_ok(lh_partial_write(&partial, text, strlen(text), 0, NULL));
    check_err(lh_partial_commit(&partial, name, strlen(text), NULL, NULL, &found, NULL), expected);
    if (expected != 0)
        lh_partial_discard(&partial);
}

static void test_files_and_links_are_replaced_but_directories_never(void **state)
{
    struct fixture *fix = *state;
    tempdir_write(&fix->temp, "file", "old and longer");
    tempdir_write(&fix->temp, "victim", "victim");
    tempdir_symlink(&fix->temp, "victim", "link");
    tempdir_mkdir(&fix->temp, "empty", 0700);
    tempdir_mkdir(&fix->temp, "full", 0700);
    tempdir_write(&fix->temp, "full/x", "x");
    check_int(mknodat(fix->temp.fd, "fifo", S_IFIFO | 0600, 0), 0);
    put_text(fix, "new", "new", LH_OK);
    put_text(fix, "file", "new", LH_OK);
    put_text(fix, "link", "new", LH_OK);
    put_text(fix, "fifo", "new", LH_OK);
    put_text(fix, "empty", "new", LH_E_PATH);
    put_text(fix, "full", "new", LH_E_PATH);
    check_content(fix, "new", "new");
    check_content(fix, "file", "new");
    check_content(fix, "link", "new");
    check_content(fix, "fifo", "new");
    check_content(fix, "victim", "victim");
    check_uint(tempdir_count(&fix->temp, "."), 7); // no temporary name stays
}

static void test_reader_of_the_old_file_keeps_it_whole(void **state)
{
    struct fixture *fix = *state;
    char text[8] = {0};
    tempdir_write(&fix->temp, "file", "old");
    int fd = openat(fix->temp.fd, "file", O_RDONLY);
    put_text(fix, "file", "newer", LH_OK);
    check_int(read(fd, text, sizeof text), 3);
    assert_string_equal(text, "old");
    check_int(close(fd), 0);
}

// --- Room ---

static void test_missing_room_is_told_before_anything_is_written(void **state)
{
    struct fixture *fix = *state;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct lh_errinfo info = {0};
    struct statvfs fs;
    char needed[32];
    check_int(fstatvfs(fix->temp.fd, &fs), 0);
    uint64_t size = (uint64_t)fs.f_bavail * fs.f_frsize + ((uint64_t)1 << 40);
    check_err(lh_partial_create(&partial, fix->root, size, &info), LH_E_NOSPC);
    (void)snprintf(needed, sizeof needed, "%llu bytes", (unsigned long long)size);
    assert_non_null(strstr(info.text, needed));
    assert_non_null(strstr(info.text, "free"));
    check_int(info.sys_errno, ENOSPC);
    check_uint(tempdir_count(&fix->temp, "."), 0);
    check_err(lh_partial_create(&partial, fix->root, UINT64_MAX, NULL), LH_E_LIMIT);
    check_uint(tempdir_count(&fix->temp, "."), 0);
}

static void test_large_file_is_preallocated_where_the_file_system_can(void **state)
{
    struct fixture *fix = *state;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct stat put;
    check_ok(lh_partial_create(&partial, fix->root, 4 << 20, NULL));
    check_ok(lh_partial_write(&partial, "x", 1, 0, NULL));
    check_ok(lh_partial_commit(&partial, "file", 4 << 20, NULL, NULL, &put, NULL));
    check_uint(put.st_size, 4 << 20);
}

// --- Resume ---

static void test_partial_is_found_again_by_name_and_inode(void **state)
{
    struct fixture *fix = *state;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct lh_partial again = LH_PARTIAL_NULL;
    struct stat put;
    char name[LH_PARTIAL_NAME_LEN + 1];
    check_ok(lh_partial_create(&partial, fix->root, 6, NULL));
    check_ok(lh_partial_write(&partial, "abc", 3, 0, NULL));
    memcpy(name, partial.name, sizeof name);
    dev_t dev = partial.dev;
    ino_t ino = partial.ino;
    lh_partial_close(&partial);
    check_err(lh_partial_reopen(&again, fix->root, name, dev, ino + 1, NULL), LH_NONE);
    check_err(lh_partial_reopen(&again, fix->root, name, dev + 1, ino, NULL), LH_NONE);
    check_err(lh_partial_reopen(&again, fix->root, "../x", dev, ino, NULL), LH_NONE);
    check_ok(lh_partial_reopen(&again, fix->root, name, dev, ino, NULL));
    check_ok(lh_partial_write(&again, "def", 3, 3, NULL));
    check_ok(lh_partial_commit(&again, "file", 6, NULL, NULL, &put, NULL));
    check_content(fix, "file", "abcdef");
}

static void test_a_name_that_leaves_the_directory_is_no_partial(void **state)
{
    struct fixture *fix = *state;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct lh_partial again = LH_PARTIAL_NULL;
    struct lh_dir *dir = NULL;
    char name[LH_PARTIAL_NAME_LEN + 4];
    check_ok(lh_dir_open(fix->root, "dir", true, &dir, NULL, NULL));
    check_ok(lh_partial_create(&partial, fix->root, 0, NULL));
    (void)snprintf(name, sizeof name, "../%s", partial.name);
    check_err(lh_partial_reopen(&again, dir, name, partial.dev, partial.ino, NULL), LH_NONE);
    lh_partial_discard(&partial);
    lh_dir_unref(dir);
}

static void spoil_mode(struct fixture *fix, const char *name)
{
    check_int(fchmodat(fix->temp.fd, name, 0644, 0), 0);
}

static void spoil_links(struct fixture *fix, const char *name)
{
    check_int(linkat(fix->temp.fd, name, fix->temp.fd, "other", 0), 0);
}

static void spoil_replaced(struct fixture *fix, const char *name)
{
    tempdir_rename(&fix->temp, name, "away");
    tempdir_write(&fix->temp, name, "foreign");
}

static void spoil_link(struct fixture *fix, const char *name)
{
    tempdir_rename(&fix->temp, name, "away");
    tempdir_symlink(&fix->temp, "away", name);
}

static void spoil_fifo(struct fixture *fix, const char *name)
{
    tempdir_unlink(&fix->temp, name);
    check_int(mknodat(fix->temp.fd, name, S_IFIFO | 0600, 0), 0);
}

static void spoil_gone(struct fixture *fix, const char *name)
{
    tempdir_unlink(&fix->temp, name);
}

static void test_foreign_partial_is_left_alone(void **state)
{
    static void (*const spoilers[])(struct fixture *, const char *) = {
        spoil_mode, spoil_links, spoil_replaced, spoil_link, spoil_fifo, spoil_gone};
    struct fixture *fix = *state;
    for (size_t i = 0; i < LH_ARRAY_LEN(spoilers); i++) {
        struct lh_partial partial = LH_PARTIAL_NULL;
        struct lh_partial again = LH_PARTIAL_NULL;
        char name[LH_PARTIAL_NAME_LEN + 1];
        check_ok(lh_partial_create(&partial, fix->root, 0, NULL));
        memcpy(name, partial.name, sizeof name);
        dev_t dev = partial.dev;
        ino_t ino = partial.ino;
        lh_partial_close(&partial);
        spoilers[i](fix, name);
        size_t count = tempdir_count(&fix->temp, ".");
        check_err(lh_partial_reopen(&again, fix->root, name, dev, ino, NULL), LH_NONE);
        check_int(again.fd, -1);
        check_uint(tempdir_count(&fix->temp, "."), count);
        (void)unlinkat(fix->temp.fd, "other", 0);
        (void)unlinkat(fix->temp.fd, "away", 0);
    }
}

static void test_partial_swapped_under_us_is_neither_committed_nor_removed(void **state)
{
    struct fixture *fix = *state;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct stat put;
    char name[LH_PARTIAL_NAME_LEN + 1];
    check_ok(lh_partial_create(&partial, fix->root, 3, NULL));
    memcpy(name, partial.name, sizeof name);
    tempdir_rename(&fix->temp, name, "away");
    tempdir_write(&fix->temp, name, "foreign");
    check_err(lh_partial_commit(&partial, "file", 3, NULL, NULL, &put, NULL), LH_E_CHANGED);
    lh_partial_discard(&partial);
    check_content(fix, name, "foreign");
    check_int(faccessat(fix->temp.fd, "file", F_OK, 0), -1);
}

// --- Sources ---

static void test_source_is_read_in_full_and_its_changes_are_seen(void **state)
{
    struct fixture *fix = *state;
    struct lh_source source = LH_SOURCE_NULL;
    char text[16] = {0};
    tempdir_write(&fix->temp, "file", "0123456789");
    struct stat announced = stat_of(fix, "file");
    check_ok(lh_source_open(&source, fix->root, "file", NULL));
    assert_true(lh_source_is(&source, &announced));
    check_ok(lh_source_read(&source, text, 4, 6, NULL));
    assert_string_equal(text, "6789");
    check_ok(lh_source_check(&source, NULL));
    check_err(lh_source_read(&source, text, 5, 6, NULL), LH_E_CHANGED);
    int fd = openat(fix->temp.fd, "file", O_WRONLY | O_APPEND);
    check_int(write(fd, "x", 1), 1);
    check_int(close(fd), 0);
    check_err(lh_source_check(&source, NULL), LH_E_CHANGED);
    lh_source_close(&source);
    lh_source_close(&source);
}

static void test_source_of_same_size_and_time_but_other_content_is_seen(void **state)
{
    struct fixture *fix = *state;
    struct lh_source source = LH_SOURCE_NULL;
    tempdir_write(&fix->temp, "file", "old");
    struct stat before = stat_of(fix, "file");
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    check_ok(lh_source_open(&source, fix->root, "file", NULL));
    (void)usleep(20000); // past the kernel's tick of file times
    int fd = openat(fix->temp.fd, "file", O_WRONLY);
    check_int(write(fd, "new", 3), 3);
    check_int(futimens(fd, times), 0);
    check_int(close(fd), 0);
    check_int(stat_of(fix, "file").st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    check_err(lh_source_check(&source, NULL), LH_E_CHANGED); // ctime tells
    lh_source_close(&source);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(test_partial_is_private_and_has_a_fixed_length_random_name),
        CASE(test_names_of_partials_are_told_from_others),
        CASE(test_blocks_in_any_order_become_the_file),
        CASE(test_without_a_mode_the_umask_decides),
        CASE(test_files_and_links_are_replaced_but_directories_never),
        CASE(test_reader_of_the_old_file_keeps_it_whole),
        CASE(test_missing_room_is_told_before_anything_is_written),
        CASE(test_large_file_is_preallocated_where_the_file_system_can),
        CASE(test_partial_is_found_again_by_name_and_inode),
        CASE(test_a_name_that_leaves_the_directory_is_no_partial),
        CASE(test_foreign_partial_is_left_alone),
        CASE(test_partial_swapped_under_us_is_neither_committed_nor_removed),
        CASE(test_source_is_read_in_full_and_its_changes_are_seen),
        CASE(test_source_of_same_size_and_time_but_other_content_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
