// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "file/walk.h"
#include "tempdir.h"

static int set_up(void **state)
{
    struct tempdir *temp = calloc(1, sizeof *temp);
    assert_non_null(temp);
    tempdir_make_fast(temp);
    *state = temp;
    return 0;
}

static int tear_down(void **state)
{
    struct tempdir *temp = *state;
    (void)!seteuid(0); // where a test gave it up
    tempdir_remove(temp);
    free(temp);
    return 0;
}

static struct lh_walk *open_walk(const struct tempdir *temp, const char *name)
{
    struct lh_walk *walk = NULL;
    char path[600];
    check_ok(lh_walk_open(tempdir_path(temp, name, path, sizeof path), &walk, NULL));
    return walk;
}

// Walks all and writes "K parent:name[#number]" lines; K is one of D F L S E.
static void describe(struct lh_walk *walk, char *out, size_t room)
{
    struct lh_walk_entry entry;
    size_t len = 0;
    lh_err err;
    out[0] = '\0';
    while ((err = lh_walk_next(walk, &entry)) == 0) {
        len += (size_t)snprintf(out + len, room - len, "%c %llu:%s", "DFLSE"[entry.kind],
                                (unsigned long long)entry.parent_number,
                                entry.parent_number == 0 ? "" : entry.name);
        if (entry.kind == LH_WALK_DIR)
            len += (size_t)snprintf(out + len, room - len, "#%llu",
                                    (unsigned long long)entry.dir_number);
        if (entry.kind == LH_WALK_SYMLINK)
            len += (size_t)snprintf(out + len, room - len, "->%s", entry.link_target);
        len += (size_t)snprintf(out + len, room - len, "\n");
        assert_true(len < room);
        check_int(entry.self != NULL, entry.kind == LH_WALK_DIR);
        check_int(entry.info.code != 0, entry.kind == LH_WALK_ERROR);
    }
    check_err(err, LH_EOF);
    check_err(lh_walk_next(walk, &entry), LH_EOF);
}

static void test_parents_come_first_files_before_directories_sorted(void **state)
{
    struct tempdir *temp = *state;
    struct lh_walk *walk;
    char text[1024];
    tempdir_mkdir(temp, "top", 0700);
    tempdir_mkdir(temp, "top/a", 0700);
    tempdir_mkdir(temp, "top/a/deep", 0700);
    tempdir_mkdir(temp, "top/empty", 0700);
    tempdir_write(temp, "top/b", "x");
    tempdir_write(temp, "top/Z", "x");
    tempdir_write(temp, "top/-rf\n\xff", "x");
    tempdir_write(temp, "top/z", "");
    tempdir_write(temp, "top/a/in", "x");
    tempdir_write(temp, "top/a/deep/file", "x");
    tempdir_symlink(temp, "/etc", "top/c");
    check_int(mknodat(temp->fd, "top/fifo", S_IFIFO | 0600, 0), 0);
    for (int round = 0; round < 2; round++) {
        walk = open_walk(temp, "top");
        describe(walk, text, sizeof text);
        assert_string_equal(text, "D 0:#1\n"
                                  "F 1:-rf\n\xff\n"
                                  "F 1:Z\n"
                                  "F 1:b\n"
                                  "L 1:c->/etc\n"
                                  "S 1:fifo\n"
                                  "F 1:z\n"
                                  "D 1:a#2\n"
                                  "F 2:in\n"
                                  "D 2:deep#3\n"
                                  "F 3:file\n"
                                  "D 1:empty#4\n");
        lh_walk_free(walk);
    }
}

static void test_entries_can_be_opened_below_their_parents(void **state)
{
    struct tempdir *temp = *state;
    struct lh_walk_entry entry;
    struct lh_dir *kept = NULL;
    struct stat found;
    int fd;
    tempdir_mkdir(temp, "top", 0700);
    tempdir_mkdir(temp, "top/a", 0700);
    tempdir_write(temp, "top/a/file", "12345");
    struct lh_walk *walk = open_walk(temp, "top");
    check_ok(lh_walk_next(walk, &entry));
    assert_null(entry.parent);
    assert_string_equal(entry.name, "top");
    assert_true(S_ISDIR(entry.stat.st_mode));
    check_ok(lh_walk_next(walk, &entry));
    check_ok(lh_walk_next(walk, &entry));
    check_uint(entry.stat.st_size, 5);
    kept = lh_dir_ref(entry.parent);
    lh_walk_free(walk);
    check_ok(lh_dir_open_file(kept, "file", &fd, &found, NULL)); // nodes outlive the walk
    check_int(close(fd), 0);
    lh_dir_unref(kept);
}

static void test_root_may_be_a_file_or_a_link_to_one(void **state)
{
    static const char *const names[] = {"dir/file", "link", "dirlink/file"};
    struct tempdir *temp = *state;
    tempdir_mkdir(temp, "dir", 0700);
    tempdir_write(temp, "dir/file", "123");
    tempdir_symlink(temp, "dir/file", "link");
    tempdir_symlink(temp, "dir", "dirlink");
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        struct lh_walk_entry entry;
        struct lh_walk *walk = open_walk(temp, names[i]);
        struct stat found;
        int fd;
        check_ok(lh_walk_next(walk, &entry));
        check_int(entry.kind, LH_WALK_FILE);
        check_uint(entry.parent_number, 0);
        assert_string_equal(entry.name, "file");
        check_ok(lh_dir_open_file(entry.parent, entry.name, &fd, &found, NULL));
        check_int(close(fd), 0);
        check_uint(found.st_size, 3);
        check_err(lh_walk_next(walk, &entry), LH_EOF);
        lh_walk_free(walk);
    }
}

static void test_root_may_be_a_link_to_a_directory(void **state)
{
    struct tempdir *temp = *state;
    char text[256];
    tempdir_mkdir(temp, "dir", 0700);
    tempdir_write(temp, "dir/file", "123");
    tempdir_symlink(temp, "dir", "link");
    struct lh_walk *walk = open_walk(temp, "link");
    describe(walk, text, sizeof text);
    assert_string_equal(text, "D 0:#1\nF 1:file\n");
    lh_walk_free(walk);
}

static void test_missing_or_special_root_is_refused(void **state)
{
    struct tempdir *temp = *state;
    struct lh_walk *walk = NULL;
    struct lh_errinfo info = {0};
    char path[600];
    check_err(lh_walk_open(tempdir_path(temp, "none", path, sizeof path), &walk, &info), LH_E_SYS);
    check_int(info.sys_errno, ENOENT);
    check_int(mknodat(temp->fd, "fifo", S_IFIFO | 0600, 0), 0);
    check_err(lh_walk_open(tempdir_path(temp, "fifo", path, sizeof path), &walk, NULL), LH_E_PATH);
}

static void test_unreadable_directory_is_told_and_the_rest_goes_on(void **state)
{
    struct tempdir *temp = *state;
    char text[256];
    tempdir_mkdir(temp, "top", 0755);
    tempdir_mkdir(temp, "top/a", 0);
    tempdir_mkdir(temp, "top/b", 0755);
    tempdir_write(temp, "top/b/file", "1");
    check_int(chmod(temp->path, 0755), 0);
    if (geteuid() == 0)
        check_int(seteuid(12345), 0); // root reads everything
    struct lh_walk *walk = open_walk(temp, "top");
    describe(walk, text, sizeof text);
    assert_string_equal(text, "D 0:#1\nD 1:a#2\nE 1:a\nD 1:b#3\nF 3:file\n");
    lh_walk_free(walk);
}

static void test_what_vanishes_after_the_listing_is_told(void **state)
{
    struct tempdir *temp = *state;
    struct lh_walk_entry entry;
    tempdir_mkdir(temp, "top", 0700);
    tempdir_write(temp, "top/a", "1");
    tempdir_write(temp, "top/b", "1");
    tempdir_mkdir(temp, "top/c", 0700);
    struct lh_walk *walk = open_walk(temp, "top");
    check_ok(lh_walk_next(walk, &entry));
    check_ok(lh_walk_next(walk, &entry));
    assert_string_equal(entry.name, "a");
    tempdir_unlink(temp, "top/b");
    check_int(unlinkat(temp->fd, "top/c", AT_REMOVEDIR), 0);
    tempdir_symlink(temp, "/", "top/c"); // was a directory when listed: not followed
    check_ok(lh_walk_next(walk, &entry));
    check_int(entry.kind, LH_WALK_ERROR);
    assert_string_equal(entry.name, "b");
    assert_non_null(strstr(entry.info.text, "b"));
    check_ok(lh_walk_next(walk, &entry));
    check_int(entry.kind, LH_WALK_SYMLINK);
    check_err(lh_walk_next(walk, &entry), LH_EOF);
    lh_walk_free(walk);
}

static void test_depth_is_bounded_without_recursion(void **state)
{
    struct tempdir *temp = *state;
    struct lh_walk_entry entry;
    struct lh_dir *next = NULL;
    struct lh_tree *tree = NULL;
    unsigned directories = 0;
    unsigned errors = 0;
    lh_err err;
    check_ok(lh_tree_open(temp->path, &tree, NULL));
    struct lh_dir *dir = lh_tree_root(tree);
    for (unsigned i = 0; i < LH_DEPTH_MAX; i++) {
        check_ok(lh_dir_open(dir, "d", true, &next, NULL, NULL));
        lh_dir_unref(dir);
        dir = next;
    }
    int fd;
    check_ok(lh_dir_pin(dir, &fd, NULL));
    check_int(mkdirat(fd, "beyond", 0700), 0); // one deeper than a tree goes
    lh_dir_unpin(dir);
    lh_dir_unref(dir);
    lh_tree_free(tree);
    struct lh_walk *walk = open_walk(temp, ".");
    while ((err = lh_walk_next(walk, &entry)) == 0) {
        directories += entry.kind == LH_WALK_DIR;
        errors += entry.kind == LH_WALK_ERROR;
    }
    check_err(err, LH_EOF);
    check_uint(directories, LH_DEPTH_MAX + 1);
    check_uint(errors, 1);
    lh_walk_free(walk);
}

static void test_wide_directory_is_walked_in_order(void **state)
{
    enum { FILES = 3000 };
    struct tempdir *temp = *state;
    struct lh_walk_entry entry;
    char name[32];
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "f%05u", i * 7 % FILES);
        check_int(mknodat(temp->fd, name, S_IFREG | 0600, 0), 0);
    }
    struct lh_walk *walk = open_walk(temp, ".");
    check_ok(lh_walk_next(walk, &entry));
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "f%05u", i);
        check_ok(lh_walk_next(walk, &entry));
        assert_string_equal(entry.name, name);
    }
    check_err(lh_walk_next(walk, &entry), LH_EOF);
    lh_walk_free(walk);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(test_parents_come_first_files_before_directories_sorted),
        CASE(test_entries_can_be_opened_below_their_parents),
        CASE(test_root_may_be_a_file_or_a_link_to_one),
        CASE(test_root_may_be_a_link_to_a_directory),
        CASE(test_missing_or_special_root_is_refused),
        CASE(test_unreadable_directory_is_told_and_the_rest_goes_on),
        CASE(test_what_vanishes_after_the_listing_is_told),
        CASE(test_depth_is_bounded_without_recursion),
        CASE(test_wide_directory_is_walked_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
