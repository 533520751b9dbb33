// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/prng.h"
#include "file/partial.h"
#include "file/tree.h"
#include "file/tree_internal.h"
#include "sys/clock.h"
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
    tempdir_make_fast(&fix->temp);
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

// --- Names ---

static void test_name_is_one_plain_component(void **state)
{
    static const struct {
        const char *name;
        size_t len;
        lh_err expected;
    } cases[] = {
        {"a", 1, LH_OK},        {"...", 3, LH_OK},      {"-rf", 3, LH_OK},
        {" ", 1, LH_OK},        {"a\nb", 3, LH_OK},     {"\xff\xfe", 2, LH_OK},
        {"..a", 3, LH_OK},      {".a", 2, LH_OK},       {"", 0, LH_E_PATH},
        {".", 1, LH_E_PATH},    {"..", 2, LH_E_PATH},   {"/", 1, LH_E_PATH},
        {"a/b", 3, LH_E_PATH},  {"../a", 4, LH_E_PATH}, {"a/", 2, LH_E_PATH},
        {"a\0b", 3, LH_E_PATH}, {"\0", 1, LH_E_PATH},   {"/etc/passwd", 11, LH_E_PATH},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++)
        check_err(lh_name_check(cases[i].name, cases[i].len), cases[i].expected);
}

static void test_name_of_255_bytes_is_taken_and_of_256_refused(void **state)
{
    struct fixture *fix = *state;
    struct lh_dir *dir = NULL;
    char name[LH_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    check_ok(lh_name_check(name, LH_NAME_MAX));
    check_err(lh_name_check(name, LH_NAME_MAX + 1), LH_E_PATH);
    name[LH_NAME_MAX + 1] = '\0';
    check_err(lh_dir_open(fix->root, name, true, &dir, NULL, NULL), LH_E_PATH);
    name[LH_NAME_MAX] = '\0';
    check_ok(lh_dir_open(fix->root, name, true, &dir, NULL, NULL));
    lh_dir_unref(dir);
}

// The root of this test lies two levels inside the temporary directory, and every bad name leads to
// a place in there: this test must be harmless in a build whose guard is gone.
static void test_every_call_refuses_a_name_that_leaves_the_directory(void **state)
{
    static const char *const names[] = {"", ".", "..", "/", "../victim", "sub/x", NULL};
    struct fixture *fix = *state;
    struct lh_tree *tree = NULL;
    struct lh_dir *made = NULL;
    struct lh_errinfo info = {0};
    struct stat found;
    mode_t mode = 0700;
    char absolute[300];
    char path[300];
    char link[16];
    int fd;
    tempdir_mkdir(&fix->temp, "outer", 0700);
    tempdir_mkdir(&fix->temp, "outer/root", 0700);
    tempdir_mkdir(&fix->temp, "outer/root/sub", 0700);
    tempdir_write(&fix->temp, "outer/victim", "x");
    (void)tempdir_path(&fix->temp, "outer/victim", absolute, sizeof absolute);
    check_ok(lh_tree_open(tempdir_path(&fix->temp, "outer/root", path, sizeof path), &tree, NULL));
    struct lh_dir *root = lh_tree_root(tree);
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        const char *name = names[i] != NULL ? names[i] : absolute;
        struct lh_put put = {.name = name, .data = "x", .len = 1};
        struct lh_partial partial = LH_PARTIAL_NULL;
        check_err(lh_dir_stat(root, name, &found, NULL), LH_E_PATH);
        check_err(lh_dir_open(root, name, true, &made, NULL, &info), LH_E_PATH);
        check_err(lh_dir_open_file(root, name, &fd, &found, NULL), LH_E_PATH);
        check_err(lh_dir_symlink(root, name, "x", NULL), LH_E_PATH);
        check_err(lh_dir_read_link(root, name, link, sizeof link, NULL), LH_E_PATH);
        check_err(lh_dir_unlink(root, name, NULL), LH_E_PATH);
        check_err(lh_dir_set_attributes(root, name, &mode, NULL, NULL), LH_E_PATH);
        check_err(lh_file_put(root, &put, &found, NULL), LH_E_PATH);
        check_ok(lh_partial_create(&partial, root, 0, NULL));
        check_err(lh_partial_commit(&partial, name, 0, NULL, NULL, &found, NULL), LH_E_PATH);
        lh_partial_discard(&partial);
    }
    check_int(info.code, LH_E_PATH);
    lh_dir_unref(root);
    lh_tree_free(tree);
}

static void test_path_in_messages_is_cut_at_the_front(void **state)
{
    struct fixture *fix = *state;
    struct lh_dir *a = NULL;
    struct lh_dir *b = NULL;
    char text[64];
    check_ok(lh_dir_open(fix->root, "alpha", true, &a, NULL, NULL));
    check_ok(lh_dir_open(a, "beta", true, &b, NULL, NULL));
    assert_string_equal(lh_dir_path(fix->root, NULL, text, sizeof text), ".");
    assert_string_equal(lh_dir_path(fix->root, "x", text, sizeof text), "x");
    assert_string_equal(lh_dir_path(b, "c", text, sizeof text), "alpha/beta/c");
    assert_string_equal(lh_dir_path(b, NULL, text, sizeof text), "alpha/beta");
    assert_string_equal(lh_dir_path(b, "c", text, 16), "alpha/beta/c");
    assert_string_equal(lh_dir_path(b, "c", text, 12), "...beta/c");
    assert_string_equal(lh_dir_path(b, "c", text, 8), "...c");
    lh_dir_unref(b);
    lh_dir_unref(a);
}

// --- Directories ---

static void test_directory_is_made_private_once_and_found_again(void **state)
{
    struct fixture *fix = *state;
    struct lh_dir *dir = NULL;
    struct stat found;
    bool made = false;
    check_ok(lh_dir_open(fix->root, "d", true, &dir, &made, NULL));
    assert_true(made);
    lh_dir_unref(dir);
    check_ok(lh_dir_stat(fix->root, "d", &found, NULL));
    check_int(found.st_mode & 07777, 0700);
    check_ok(lh_dir_open(fix->root, "d", true, &dir, &made, NULL));
    assert_false(made);
    check_ok(lh_dir_stat_self(dir, &found, NULL));
    assert_true(S_ISDIR(found.st_mode));
    check_uint(lh_dir_depth(dir), 1);
    lh_dir_unref(dir);
}

static void test_missing_directory_is_reported_with_its_errno(void **state)
{
    struct fixture *fix = *state;
    struct lh_errinfo info = {0};
    struct lh_dir *dir = NULL;
    check_err(lh_dir_open(fix->root, "none", false, &dir, NULL, &info), LH_E_SYS);
    check_int(info.sys_errno, ENOENT);
    assert_non_null(strstr(info.text, "none"));
}

static void test_only_real_directories_are_entered(void **state)
{
    struct fixture *fix = *state;
    struct lh_dir *dir = NULL;
    tempdir_mkdir(&fix->temp, "real", 0700);
    tempdir_symlink(&fix->temp, "real", "link");
    tempdir_symlink(&fix->temp, "/", "absolute");
    tempdir_symlink(&fix->temp, "nowhere", "dangling");
    tempdir_write(&fix->temp, "file", "x");
    static const char *const names[] = {"link", "absolute", "dangling", "file"};
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        check_err(lh_dir_open(fix->root, names[i], false, &dir, NULL, NULL), LH_E_PATH);
        check_err(lh_dir_open(fix->root, names[i], true, &dir, NULL, NULL), LH_E_PATH);
    }
    check_ok(lh_dir_open(fix->root, "real", false, &dir, NULL, NULL));
    lh_dir_unref(dir);
}

static void test_root_must_be_a_directory(void **state)
{
    struct fixture *fix = *state;
    struct lh_tree *tree = NULL;
    struct lh_errinfo info = {0};
    char path[512];
    tempdir_write(&fix->temp, "file", "x");
    check_err(lh_tree_open(tempdir_path(&fix->temp, "file", path, sizeof path), &tree, &info),
              LH_E_SYS);
    check_int(info.sys_errno, ENOTDIR);
}

// --- Descriptors ---

static void many_directories(struct fixture *fix, struct lh_dir **dirs, size_t count)
{
    char name[32];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "d%zu", i);
        check_ok(
            lh_dir_open(i % 3 == 2 ? dirs[i - 1] : fix->root, name, true, &dirs[i], NULL, NULL));
    }
}

static void check_descriptors_stay_bounded(struct fixture *fix)
{
    enum { COUNT = 3 * LH_DIR_FDS_MAX };
    struct lh_dir *dirs[COUNT];
    struct stat found;
    int fd;
    many_directories(fix, dirs, COUNT);
    assert_true(lh_tree_open_fds(fix->tree) <= LH_DIR_FDS_MAX);
    for (size_t i = 0; i < COUNT; i++) {
        dev_t dev;
        ino_t ino;
        lh_dir_identity(dirs[i], &dev, &ino);
        check_ok(lh_dir_pin(dirs[i], &fd, NULL));
        check_int(fstat(fd, &found), 0);
        check_uint(found.st_ino, ino);
        lh_dir_unpin(dirs[i]);
        assert_true(lh_tree_open_fds(fix->tree) <= LH_DIR_FDS_MAX);
    }
    for (size_t i = 0; i < COUNT; i++)
        lh_dir_unref(dirs[i]);
    check_uint(lh_tree_open_fds(fix->tree), 1);
}

static void test_descriptors_stay_bounded_and_come_back_by_openat2(void **state)
{
    check_descriptors_stay_bounded(*state);
}

static void test_descriptors_stay_bounded_and_come_back_by_the_walk(void **state)
{
    struct fixture *fix = *state;
    lh_tree_force_walk(fix->tree);
    check_descriptors_stay_bounded(fix);
}

static void test_few_descriptors_suffice_where_the_process_may_open_few(void **state)
{
    enum { COUNT = 60 };
    struct fixture *fix = *state;
    struct lh_dir *dirs[COUNT];
    struct lh_tree *tree = NULL;
    struct rlimit old;
    struct stat found;
    char name[32];
    check_int(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit few = {.rlim_cur = 24, .rlim_max = old.rlim_max};
    check_int(setrlimit(RLIMIT_NOFILE, &few), 0);
    check_ok(lh_tree_open(fix->temp.path, &tree, NULL));
    struct lh_dir *root = lh_tree_root(tree);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "d%u", i);
        check_ok(lh_dir_open(i == 0 ? root : dirs[i - 1], name, true, &dirs[i], NULL, NULL));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        check_err(lh_dir_stat(dirs[i], "x", &found, NULL), LH_NONE);
        assert_true(lh_tree_open_fds(tree) <= 24 / 4);
    }
    check_int(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (unsigned i = 0; i < COUNT; i++)
        lh_dir_unref(dirs[i]);
    lh_dir_unref(root);
    lh_tree_free(tree);
}

static void test_pinned_descriptor_is_never_closed(void **state)
{
    enum { COUNT = 2 * LH_DIR_FDS_MAX };
    struct fixture *fix = *state;
    struct lh_dir *dirs[COUNT];
    struct lh_dir *pinned = NULL;
    struct stat before;
    struct stat after;
    int fd;
    check_ok(lh_dir_open(fix->root, "pinned", true, &pinned, NULL, NULL));
    check_ok(lh_dir_pin(pinned, &fd, NULL));
    check_int(fstat(fd, &before), 0);
    many_directories(fix, dirs, COUNT);
    check_int(fstat(fd, &after), 0);
    check_uint(after.st_ino, before.st_ino);
    lh_dir_unpin(pinned);
    for (size_t i = 0; i < COUNT; i++)
        lh_dir_unref(dirs[i]);
    lh_dir_unref(pinned);
}

// Pushes `dir`'s descriptor out of the LRU.
static void push_out(struct fixture *fix)
{
    enum { COUNT = LH_DIR_FDS_MAX + 1 };
    struct lh_dir *others[COUNT];
    char name[32];
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "other%zu", i);
        check_ok(lh_dir_open(fix->root, name, true, &others[i], NULL, NULL));
    }
    for (size_t i = 0; i < COUNT; i++)
        lh_dir_unref(others[i]);
}

static void check_swapped_directory_is_refused(struct fixture *fix)
{
    struct lh_dir *dir = NULL;
    struct lh_dir *sub = NULL;
    struct stat found;
    check_ok(lh_dir_open(fix->root, "dir", true, &dir, NULL, NULL));
    check_ok(lh_dir_open(dir, "sub", true, &sub, NULL, NULL));
    push_out(fix);
    tempdir_rename(&fix->temp, "dir", "moved");
    tempdir_mkdir(&fix->temp, "dir", 0700);
    tempdir_mkdir(&fix->temp, "dir/sub", 0700);
    check_err(lh_dir_stat(sub, "x", &found, NULL), LH_E_PATH);
    check_err(lh_dir_stat(dir, "x", &found, NULL), LH_E_PATH);
    tempdir_rename(&fix->temp, "dir", "second");
    tempdir_symlink(&fix->temp, "moved", "dir");
    check_err(lh_dir_stat(sub, "x", &found, NULL), LH_E_PATH);
    tempdir_unlink(&fix->temp, "dir");
    tempdir_rename(&fix->temp, "moved", "dir");
    check_err(lh_dir_stat(sub, "x", &found, NULL), LH_NONE); // the same directory again
    lh_dir_unref(sub);
    lh_dir_unref(dir);
}

static void test_reopening_a_swapped_directory_is_refused_by_openat2(void **state)
{
    check_swapped_directory_is_refused(*state);
}

static void test_reopening_a_swapped_directory_is_refused_by_the_walk(void **state)
{
    struct fixture *fix = *state;
    lh_tree_force_walk(fix->tree);
    check_swapped_directory_is_refused(fix);
}

static void test_depth_is_bounded_and_a_deep_directory_reopens(void **state)
{
    struct fixture *fix = *state;
    struct lh_dir *dir = lh_dir_ref(fix->root);
    struct lh_dir *next = NULL;
    struct stat found;
    char name[64];
    memset(name, 'd', sizeof name); // 4096 of these go far beyond PATH_MAX
    name[sizeof name - 1] = '\0';
    for (unsigned i = 0; i < LH_DEPTH_MAX; i++) {
        check_ok(lh_dir_open(dir, name, true, &next, NULL, NULL));
        lh_dir_unref(dir);
        dir = next;
    }
    check_err(lh_dir_open(dir, name, true, &next, NULL, NULL), LH_E_LIMIT);
    push_out(fix);
    check_err(lh_dir_stat(dir, "x", &found, NULL), LH_NONE);
    lh_dir_unref(dir);
}

// --- The two ways to resolve ---

// Grows a random tree of directories, symlinks and files, names a .. d, 4 deep. It descends one
// real directory at a time, so that no symlink in the tree, wherever it leads, takes us out of it.
static void grow_random(struct tempdir *temp, struct lh_prng *prng)
{
    static const char *const targets[] = {".", "..", "/", "a", "b/c", "../a", "/etc"};
    for (unsigned i = 0; i < 120; i++) {
        int fd = dup(temp->fd);
        unsigned depth = (unsigned)lh_prng_below(prng, 4);
        char name[2] = {(char)('a' + lh_prng_below(prng, 4)), '\0'};
        for (unsigned d = 0; d < depth; d++) {
            int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (next < 0)
                break;
            (void)close(fd);
            fd = next;
            name[0] = (char)('a' + lh_prng_below(prng, 4));
        }
        switch (lh_prng_below(prng, 6)) {
        case 0:
            (void)!symlinkat(targets[lh_prng_below(prng, LH_ARRAY_LEN(targets))], fd, name);
            break;
        case 1:
            (void)mknodat(fd, name, S_IFREG | 0600, 0);
            break;
        default:
            (void)mkdirat(fd, name, 0700);
        }
        (void)close(fd);
    }
}

static void compare_ways(struct tempdir *temp, const char *path)
{
    struct stat by_openat2 = {0};
    struct stat by_walk = {0};
    int fast = -1;
    int slow = -1;
    int fast_error = lh_resolve_openat2(temp->fd, path, &fast);
    int slow_error = lh_resolve_walk(temp->fd, path, &slow);
    if ((fast_error == 0) != (slow_error == 0) || (fast_error == ENOENT) != (slow_error == ENOENT))
        fail_msg("%s: openat2 says %d, the walk %d", path, fast_error, slow_error);
    if (fast_error != 0)
        return;
    check_int(fstat(fast, &by_openat2), 0);
    check_int(fstat(slow, &by_walk), 0);
    check_uint(by_openat2.st_ino, by_walk.st_ino);
    check_uint(by_openat2.st_dev, by_walk.st_dev);
    check_int(close(fast), 0);
    check_int(close(slow), 0);
}

static bool have_openat2(int fd)
{
    int opened = -1;
    if (lh_resolve_openat2(fd, ".", &opened) == ENOSYS)
        return false;
    if (opened >= 0)
        (void)close(opened);
    return true;
}

static void test_openat2_and_walk_agree_on_random_trees(void **state)
{
    struct fixture *fix = *state;
    struct lh_prng prng = {check_seed(1)};
    unsigned rounds = getenv("LH_TEST_LONG") != NULL ? 1000 : 40;
    if (!have_openat2(fix->temp.fd))
        skip();
    for (unsigned round = 0; round < rounds; round++) {
        struct tempdir temp;
        char path[16];
        tempdir_make_fast(&temp);
        grow_random(&temp, &prng);
        for (unsigned code = 0; code < 4 * 4 * 4 * 4; code++) {
            unsigned depth = 1 + code % 4;
            for (unsigned d = 0; d < depth; d++) {
                path[2 * d] = (char)('a' + lh_prng_below(&prng, 4));
                path[2 * d + 1] = d + 1 == depth ? '\0' : '/';
            }
            compare_ways(&temp, path);
        }
        tempdir_remove(&temp);
    }
}

// --- Entries ---

static void test_only_regular_files_are_opened_and_a_fifo_does_not_hang(void **state)
{
    struct fixture *fix = *state;
    struct stat found;
    int fd;
    char text[8] = {0};
    tempdir_write(&fix->temp, "file", "text");
    tempdir_mkdir(&fix->temp, "dir", 0700);
    tempdir_symlink(&fix->temp, "file", "link");
    check_int(mknodat(fix->temp.fd, "fifo", S_IFIFO | 0600, 0), 0);
    check_int(mknodat(fix->temp.fd, "socket", S_IFSOCK | 0600, 0), 0);
    static const char *const refused[] = {"dir", "link", "fifo", "socket"};
    for (size_t i = 0; i < LH_ARRAY_LEN(refused); i++)
        check_err(lh_dir_open_file(fix->root, refused[i], &fd, &found, NULL), LH_E_PATH);
    check_err(lh_dir_open_file(fix->root, "none", &fd, &found, NULL), LH_E_SYS);
    check_ok(lh_dir_open_file(fix->root, "file", &fd, &found, NULL));
    check_int(read(fd, text, sizeof text), 4);
    check_int(found.st_size, 4);
    check_int(close(fd), 0);
}

static void test_symlink_replaces_files_and_links_but_no_directory(void **state)
{
    struct fixture *fix = *state;
    char target[LH_SYMLINK_MAX + 2];
    tempdir_write(&fix->temp, "file", "x");
    tempdir_symlink(&fix->temp, "old", "link");
    tempdir_mkdir(&fix->temp, "dir", 0700);
    static const char *const names[] = {"new", "file", "link"};
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        check_ok(lh_dir_symlink(fix->root, names[i], "../target", NULL));
        check_ok(lh_dir_read_link(fix->root, names[i], target, sizeof target, NULL));
        assert_string_equal(target, "../target");
    }
    check_err(lh_dir_symlink(fix->root, "dir", "x", NULL), LH_E_PATH);
    check_err(lh_dir_symlink(fix->root, "e", "", NULL), LH_E_PATH);
    memset(target, 't', sizeof target);
    target[LH_SYMLINK_MAX + 1] = '\0';
    check_err(lh_dir_symlink(fix->root, "e", target, NULL), LH_E_PATH);
    check_err(lh_dir_read_link(fix->root, "dir", target, sizeof target, NULL), LH_E_PATH);
    check_err(lh_dir_read_link(fix->root, "new", target, 9, NULL), LH_E_LIMIT);
    check_uint(tempdir_count(&fix->temp, "."), 4); // no temporary name stays
}

static void test_unlink_removes_files_but_no_directory(void **state)
{
    struct fixture *fix = *state;
    tempdir_write(&fix->temp, "file", "x");
    tempdir_mkdir(&fix->temp, "dir", 0700);
    check_ok(lh_dir_unlink(fix->root, "file", NULL));
    check_err(lh_dir_unlink(fix->root, "file", NULL), LH_NONE);
    check_err(lh_dir_unlink(fix->root, "dir", NULL), LH_E_PATH);
}

static void test_attributes_reach_files_and_directories_and_follow_no_link(void **state)
{
    static const struct timespec times[2] = {{1000, 5}, {2000, 123456789}};
    struct fixture *fix = *state;
    struct lh_dir *dir = NULL;
    struct stat found;
    mode_t mode = 06751;
    tempdir_write(&fix->temp, "file", "x");
    tempdir_write(&fix->temp, "victim", "x");
    tempdir_symlink(&fix->temp, "victim", "link");
    check_ok(lh_dir_set_attributes(fix->root, "file", &mode, times, NULL));
    check_ok(lh_dir_stat(fix->root, "file", &found, NULL));
    check_int(found.st_mode & 07777, 0751); // never set-id
    check_int(found.st_mtim.tv_nsec, 123456789);
    check_int(found.st_atim.tv_sec, 1000);
    check_ok(lh_dir_set_attributes(fix->root, "link", &mode, times, NULL));
    check_ok(lh_dir_stat(fix->root, "link", &found, NULL));
    check_int(found.st_mtim.tv_sec, 2000);
    check_ok(lh_dir_stat(fix->root, "victim", &found, NULL));
    check_int(found.st_mode & 07777, 0600);
    assert_true(found.st_mtim.tv_sec > 2000);
    check_ok(lh_dir_open(fix->root, "dir", true, &dir, NULL, NULL));
    check_ok(lh_dir_set_attributes(dir, NULL, &mode, times, NULL));
    check_ok(lh_dir_stat_self(dir, &found, NULL));
    check_int(found.st_mode & 07777, 0751);
    check_int(found.st_mtim.tv_sec, 2000);
    lh_dir_unref(dir);
    check_int(mknodat(fix->temp.fd, "fifo", S_IFIFO | 0600, 0), 0);
    check_err(lh_dir_set_attributes(fix->root, "fifo", &mode, NULL, NULL), LH_E_PATH);
    check_err(lh_dir_set_attributes(fix->root, "none", &mode, NULL, NULL), LH_E_SYS);
}

static void test_directory_keeps_its_set_group_bit(void **state)
{
    struct fixture *fix = *state;
    struct stat found;
    mode_t mode = 0755;
    tempdir_mkdir(&fix->temp, "dir", 0700);
    check_int(fchmodat(fix->temp.fd, "dir", 02700, 0), 0);
    check_ok(lh_dir_set_attributes(fix->root, "dir", &mode, NULL, NULL));
    check_ok(lh_dir_stat(fix->root, "dir", &found, NULL));
    check_int(found.st_mode & 07777, 02755);
}

static void test_nodes_outlive_the_tree(void **state)
{
    struct fixture *fix = *state;
    struct lh_tree *tree = NULL;
    struct lh_dir *dir = NULL;
    struct stat found;
    check_ok(lh_tree_open(fix->temp.path, &tree, NULL));
    struct lh_dir *root = lh_tree_root(tree);
    check_ok(lh_dir_open(root, "dir", true, &dir, NULL, NULL));
    lh_dir_unref(root);
    lh_tree_free(tree);
    check_err(lh_dir_stat(dir, "x", &found, NULL), LH_NONE);
    lh_dir_unref(dir);
}

// --- The racer ---
//
// A thread flips "base/par" and "base/par/sub" between directories and symlinks to a canary outside
// the root, while everything a receiver does runs on nodes of them. Whatever each call says, the
// canary must stay as it was: nothing made, changed, removed or read in it.

struct race {
    struct tempdir *temp; // holds "base" (the root), "canary", and the racer's spares
    atomic_bool stop;
    atomic_uint flips;
};

static void flip(int fd, const char *name, const char *spare, const char *link)
{
    if (renameat(fd, name, fd, spare) == 0 && symlinkat(link, fd, name) == 0) {
        (void)unlinkat(fd, name, 0);
        (void)renameat(fd, spare, fd, name);
    }
}

static void *racer(void *context)
{
    struct race *race = context;
    char canary[600];
    char canary_sub[600];
    (void)tempdir_path(race->temp, "canary", canary, sizeof canary);
    (void)tempdir_path(race->temp, "canary/sub", canary_sub, sizeof canary_sub);
    while (!atomic_load(&race->stop)) {
        flip(race->temp->fd, "base/par", "base/spare", canary);
        flip(race->temp->fd, "base/par/sub", "base/par/spare", canary_sub);
        atomic_fetch_add(&race->flips, 1);
    }
    return NULL;
}

// What was read must never be the canary's.
static void race_read(struct lh_dir *dir)
{
    struct stat found;
    char text[16] = {0};
    int fd;
    if (lh_dir_open_file(dir, "secret", &fd, &found, NULL) != 0)
        return;
    (void)!read(fd, text, sizeof text - 1);
    (void)close(fd);
    assert_string_not_equal(text, "canary");
}

static void race_once(struct lh_dir *dir, unsigned round)
{
    static const struct timespec times[2] = {{1, 0}, {1, 0}};
    struct lh_put put = {.name = "secret", .data = "ours", .len = 4};
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct lh_dir *made = NULL;
    struct stat found;
    mode_t mode = 0777;
    char name[32];
    (void)snprintf(name, sizeof name, "new%u", round % 64);
    race_read(dir);
    if (lh_dir_open(dir, name, true, &made, NULL, NULL) == 0)
        lh_dir_unref(made);
    if (lh_dir_stat(dir, "secret", &found, NULL) == 0)
        assert_true(found.st_size != 6); // "canary"
    (void)!lh_dir_set_attributes(dir, "secret", &mode, times, NULL);
    (void)!lh_dir_set_attributes(dir, NULL, &mode, NULL, NULL);
    (void)!lh_dir_symlink(dir, "made-link", "x", NULL);
    (void)!lh_dir_unlink(dir, "secret", NULL);
    (void)!lh_file_put(dir, &put, &found, NULL);
    if (lh_partial_create(&partial, dir, 0, NULL) != 0)
        return;
    (void)!lh_partial_write(&partial, "ours", 4, 0, NULL);
    if (round % 2 == 0 && lh_partial_commit(&partial, "made", 4, &mode, times, &found, NULL) == 0)
        return;
    lh_partial_discard(&partial);
}

static void check_canary(struct tempdir *temp, const struct stat before[3])
{
    static const char *const paths[] = {"canary", "canary/sub", "canary/sub/secret"};
    struct stat now;
    for (size_t i = 0; i < 3; i++) {
        check_int(fstatat(temp->fd, paths[i], &now, AT_SYMLINK_NOFOLLOW), 0);
        check_int(now.st_mode, before[i].st_mode);
        check_int(now.st_ctim.tv_sec, before[i].st_ctim.tv_sec);
        check_int(now.st_ctim.tv_nsec, before[i].st_ctim.tv_nsec);
    }
    check_uint(tempdir_count(temp, "canary"), 2);
    check_uint(tempdir_count(temp, "canary/sub"), 1);
}

static void run_race(struct fixture *fix, bool walk_only, lh_ns budget)
{
    static const char *const paths[] = {"canary", "canary/sub", "canary/sub/secret"};
    struct race race = {.temp = &fix->temp};
    struct stat before[3];
    pthread_t thread;
    unsigned entered = 0;
    char base[600];
    tempdir_mkdir(&fix->temp, "base", 0700);
    tempdir_mkdir(&fix->temp, "base/par", 0700);
    tempdir_mkdir(&fix->temp, "base/par/sub", 0700);
    tempdir_mkdir(&fix->temp, "canary", 0700);
    tempdir_mkdir(&fix->temp, "canary/sub", 0700);
    tempdir_write(&fix->temp, "canary/secret", "canary");
    tempdir_write(&fix->temp, "canary/sub/secret", "canary");
    for (size_t i = 0; i < 3; i++)
        check_int(fstatat(fix->temp.fd, paths[i], &before[i], AT_SYMLINK_NOFOLLOW), 0);
    (void)tempdir_path(&fix->temp, "base", base, sizeof base);
    check_int(pthread_create(&thread, NULL, racer, &race), 0);
    lh_ns end = lh_clock_now() + budget;
    // A busy machine may give one side few turns: then it takes longer, up to half a minute.
    for (unsigned round = 0;
         lh_clock_now() < end || ((entered <= 10 || atomic_load(&race.flips) <= 10) &&
                                  lh_clock_now() < end + 30 * LH_SECOND);
         round++) {
        struct lh_tree *tree = NULL;
        struct lh_dir *par = NULL;
        struct lh_dir *sub = NULL;
        check_ok(lh_tree_open(base, &tree, NULL));
        struct lh_dir *root = lh_tree_root(tree);
        if (walk_only)
            lh_tree_force_walk(tree);
        if (lh_dir_open(root, "par", false, &par, NULL, NULL) == 0 &&
            lh_dir_open(par, "sub", false, &sub, NULL, NULL) == 0) {
            entered++;
            race_once(sub, round);
            lh_tree_drop_fds(tree); // the next calls must reopen
            race_once(sub, round + 1);
        }
        lh_dir_unref(sub);
        lh_dir_unref(par);
        lh_dir_unref(root);
        lh_tree_free(tree);
    }
    atomic_store(&race.stop, true);
    check_int(pthread_join(thread, NULL), 0);
    check_canary(&fix->temp, before);
    assert_true(entered > 10); // both sides got their turns
    assert_true(atomic_load(&race.flips) > 10);
}

static lh_ns race_budget(void)
{
    return getenv("LH_TEST_LONG") != NULL ? 15 * LH_SECOND : LH_SECOND + 200 * LH_MS;
}

static void test_racer_never_reaches_the_canary_past_openat2(void **state)
{
    run_race(*state, false, race_budget());
}

static void test_racer_never_reaches_the_canary_past_the_walk(void **state)
{
    run_race(*state, true, race_budget());
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(test_name_is_one_plain_component),
        CASE(test_name_of_255_bytes_is_taken_and_of_256_refused),
        CASE(test_every_call_refuses_a_name_that_leaves_the_directory),
        CASE(test_path_in_messages_is_cut_at_the_front),
        CASE(test_directory_is_made_private_once_and_found_again),
        CASE(test_missing_directory_is_reported_with_its_errno),
        CASE(test_only_real_directories_are_entered),
        CASE(test_root_must_be_a_directory),
        CASE(test_descriptors_stay_bounded_and_come_back_by_openat2),
        CASE(test_descriptors_stay_bounded_and_come_back_by_the_walk),
        CASE(test_few_descriptors_suffice_where_the_process_may_open_few),
        CASE(test_pinned_descriptor_is_never_closed),
        CASE(test_reopening_a_swapped_directory_is_refused_by_openat2),
        CASE(test_reopening_a_swapped_directory_is_refused_by_the_walk),
        CASE(test_depth_is_bounded_and_a_deep_directory_reopens),
        CASE(test_openat2_and_walk_agree_on_random_trees),
        CASE(test_only_regular_files_are_opened_and_a_fifo_does_not_hang),
        CASE(test_symlink_replaces_files_and_links_but_no_directory),
        CASE(test_unlink_removes_files_but_no_directory),
        CASE(test_attributes_reach_files_and_directories_and_follow_no_link),
        CASE(test_directory_keeps_its_set_group_bit),
        CASE(test_nodes_outlive_the_tree),
        CASE(test_racer_never_reaches_the_canary_past_openat2),
        CASE(test_racer_never_reaches_the_canary_past_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
