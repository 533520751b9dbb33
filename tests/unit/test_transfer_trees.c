// SPDX-License-Identifier: Apache-2.0
//
// Whole transfers between two directories, both ways: what arrives is what was sent.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "transfer_pair.h"

struct fixture {
    char *root; // everything lies below
    char from[256], to[256], client_state[256], server_state[256];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->root = tree_temp();
    tree_path(fixture->from, sizeof fixture->from, "%s/from", fixture->root);
    tree_path(fixture->to, sizeof fixture->to, "%s/to", fixture->root);
    tree_path(fixture->client_state, sizeof fixture->client_state, "%s/cs", fixture->root);
    tree_path(fixture->server_state, sizeof fixture->server_state, "%s/ss", fixture->root);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tree_remove(fixture->root);
    free(fixture);
    return 0;
}

struct run {
    struct lh_job_counts counts;
    uint64_t wire_bytes;
    uint16_t code;
    char text[1024];
    char log[8000];
};

// One job to its end; both verdicts must agree.
static struct run transfer(const struct fixture *fixture,
                           struct pair_options options,
                           const struct lh_job_request *request)
{
    struct pair pair;
    struct run run = {0};
    options.client_state = fixture->client_state;
    options.server_state = fixture->server_state;
    pair_init(&pair, &options);
    pair_run(&pair, request);
    if (pair.client.verdict.code != pair.server.verdict.code)
        fail_msg("client %u %s, server %u %s", pair.client.verdict.code, pair.client.verdict_text,
                 pair.server.verdict.code, pair.server.verdict_text);
    assert_memory_equal(&pair.client.verdict.counts, &pair.server.verdict.counts,
                        sizeof pair.client.verdict.counts);
    run.counts = pair.client.verdict.counts;
    run.code = pair.client.verdict.code;
    run.wire_bytes = pair.client.out.block_bytes + pair.server.out.block_bytes;
    snprintf(run.text, sizeof run.text, "%s", pair.client.verdict_text);
    snprintf(run.log, sizeof run.log, "%s", pair.client.log);
    pair_fini(&pair);
    return run;
}

static struct lh_job_request request_of(enum lh_job_direction direction,
                                        const char *const *sources,
                                        size_t count,
                                        const char *dest)
{
    return (struct lh_job_request){.direction = direction,
                                   .sources = sources,
                                   .source_count = count,
                                   .dest = dest,
                                   .flags = LH_JOB_PRESERVE};
}

static struct run transfer_one(const struct fixture *fixture,
                               uint64_t seed,
                               enum lh_job_direction direction,
                               const char *from,
                               const char *to)
{
    const char *sources[] = {from};
    struct lh_job_request request = request_of(direction, sources, 1, to);
    return transfer(fixture, (struct pair_options){.seed = seed}, &request);
}

static void a_random_tree_arrives_both_ways(void **state)
{
    const struct fixture *fixture = *state;
    uint64_t seed = check_seed(11);
    struct lh_prng prng = {seed};
    tree_random(fixture->from, &prng, 120, 300000);
    struct run up = transfer_one(fixture, seed, LH_JOB_UPLOAD, fixture->from, fixture->to);
    check_uint(up.code, 0);
    check_uint(up.counts.files_complete, 120);
    check_uint(up.counts.directories, 12);
    check_uint(up.counts.files_skipped + up.counts.files_failed, 0);
    tree_check_same(fixture->from, fixture->to, true);

    char back[300];
    tree_path(back, sizeof back, "%s/back", fixture->root);
    struct run down = transfer_one(fixture, seed + 1, LH_JOB_DOWNLOAD, fixture->to, back);
    check_uint(down.code, 0);
    check_uint(down.counts.files_complete, 120);
    tree_check_same(fixture->from, back, true);
    check_uint(down.counts.bytes_sent, up.counts.bytes_sent);
}

static void two_thousand_small_files_arrive_in_few_blocks(void **state)
{
    const struct fixture *fixture = *state;
    uint64_t seed = check_seed(12);
    struct lh_prng prng = {seed};
    tree_random(fixture->from, &prng, 2000, 3000);
    const char *sources[] = {fixture->from};
    struct lh_job_request request = request_of(LH_JOB_UPLOAD, sources, 1, fixture->to);
    struct pair pair;
    struct pair_options options = {.seed = seed, .block_size = 1 << 20};
    pair_init(&pair, &options);
    pair_run(&pair, &request);
    check_uint(pair.client.verdict.code, 0);
    check_uint(pair.client.files_complete, 2000);
    assert_true(pair.client.out.blocks_delivered < 200);
    pair_fini(&pair);
    tree_check_same(fixture->from, fixture->to, true);
}

static void the_same_command_again_sends_nothing(void **state)
{
    const struct fixture *fixture = *state;
    struct lh_prng prng = {check_seed(13)};
    tree_random(fixture->from, &prng, 60, 300000);
    (void)transfer_one(fixture, 1, LH_JOB_UPLOAD, fixture->from, fixture->to);
    char inside[300];
    tree_path(inside, sizeof inside, "%s/from", fixture->to);
    // DEST exists now, so the tree goes below it: that is another job.
    struct run second = transfer_one(fixture, 2, LH_JOB_UPLOAD, fixture->from, fixture->to);
    check_uint(second.counts.files_complete, 60);
    struct run third = transfer_one(fixture, 3, LH_JOB_UPLOAD, fixture->from, fixture->to);
    check_uint(third.code, 0);
    check_uint(third.counts.files_skipped, 60);
    check_uint(third.counts.files_complete, 0);
    check_uint(third.wire_bytes, 0);
    tree_check_same(fixture->from, inside, true);
}

static void an_identical_tree_without_a_journal_is_compared_and_not_sent(void **state)
{
    const struct fixture *fixture = *state;
    struct lh_prng prng = {check_seed(14)};
    tree_random(fixture->from, &prng, 60, 300000);
    tree_mkdir(fixture->to);
    (void)transfer_one(fixture, 1, LH_JOB_UPLOAD, fixture->from, fixture->to);
    struct fixture other = *fixture;
    tree_path(other.server_state, sizeof other.server_state, "%s/other-state", fixture->root);
    struct run run = transfer_one(&other, 2, LH_JOB_UPLOAD, fixture->from, fixture->to);
    check_uint(run.code, 0);
    check_uint(run.counts.bytes_sent, 0);
    check_uint(run.counts.files_complete, 60);
}

static void only_the_changed_block_of_a_target_is_sent(void **state)
{
    const struct fixture *fixture = *state;
    char from[300], to[300];
    tree_mkdir(fixture->from);
    tree_mkdir(fixture->to);
    tree_path(from, sizeof from, "%s/file", fixture->from);
    tree_path(to, sizeof to, "%s/file", fixture->to);
    tree_write(from, 1, 1000000);
    (void)transfer_one(fixture, 1, LH_JOB_UPLOAD, from, fixture->to);
    int fd = open(to, O_WRONLY | O_CLOEXEC);
    check_int(pwrite(fd, "!", 1, 500000), 1);
    close(fd);
    struct run run = transfer_one(fixture, 2, LH_JOB_UPLOAD, from, fixture->to);
    check_uint(run.code, 0);
    check_uint(run.counts.bytes_sent, 65536);
    tree_check_same(fixture->from, fixture->to, true);

    // A longer source shares its beginning with the target.
    fd = open(from, O_WRONLY | O_APPEND | O_CLOEXEC);
    check_int(write(fd, "tail", 4), 4);
    close(fd);
    run = transfer_one(fixture, 3, LH_JOB_UPLOAD, from, fixture->to);
    check_uint(run.code, 0);
    check_uint(run.counts.bytes_sent, 1000004 % 65536);
    tree_check_same(fixture->from, fixture->to, true);

    // And a shorter one.
    check_int(truncate(from, 655360), 0);
    run = transfer_one(fixture, 4, LH_JOB_UPLOAD, from, fixture->to);
    check_uint(run.code, 0);
    check_uint(run.counts.bytes_sent, 0);
    tree_check_same(fixture->from, fixture->to, true);
}

static void names_that_are_hard_to_write_arrive(void **state)
{
    const struct fixture *fixture = *state;
    char longest[LH_NAME_MAX + 1];
    memset(longest, 'n', LH_NAME_MAX);
    longest[LH_NAME_MAX] = '\0';
    const char *const names[] = {"line\nbreak", "\xff\xfe\x80", longest, "-rf", "--", "~",
                                 "$(reboot)",   "a b",          "'\"\\", "...", "*",  "\x1b[31m"};
    tree_mkdir(fixture->from);
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        char path[700];
        tree_path(path, sizeof path, "%s/%s", fixture->from, names[i]);
        tree_write(path, i, i * 20000);
    }
    char dir[600], path[900];
    tree_path(dir, sizeof dir, "%s/%s", fixture->from, "dir\n\x80");
    tree_mkdir(dir);
    tree_path(path, sizeof path, "%s/-x", dir);
    tree_write_text(path, "text");
    struct run run = transfer_one(fixture, 1, LH_JOB_UPLOAD, fixture->from, fixture->to);
    check_uint(run.code, 0);
    tree_check_same(fixture->from, fixture->to, true);
    char back[300];
    tree_path(back, sizeof back, "%s/back", fixture->root);
    run = transfer_one(fixture, 2, LH_JOB_DOWNLOAD, fixture->to, back);
    check_uint(run.code, 0);
    tree_check_same(fixture->from, back, true);
}

static void directories_two_hundred_deep_arrive(void **state)
{
    const struct fixture *fixture = *state;
    char path[1000];
    tree_path(path, sizeof path, "%s", fixture->from);
    for (int i = 0; i < 200; i++) {
        tree_mkdir(path);
        strncat(path, "/d", sizeof path - strlen(path) - 1);
    }
    tree_write_text(path, "deep");
    struct run run = transfer_one(fixture, 1, LH_JOB_UPLOAD, fixture->from, fixture->to);
    check_uint(run.code, 0);
    check_uint(run.counts.directories, 200);
    tree_check_same(fixture->from, fixture->to, true);
}

static void symlinks_are_copied_as_links_or_left_out(void **state)
{
    const struct fixture *fixture = *state;
    char link[300], secret[300];
    tree_path(secret, sizeof secret, "%s/secret", fixture->root);
    tree_write_text(secret, "outside");
    tree_mkdir(fixture->from);
    tree_path(link, sizeof link, "%s/link", fixture->from);
    check_int(symlink(secret, link), 0);
    tree_path(link, sizeof link, "%s/broken", fixture->from);
    check_int(symlink("nowhere", link), 0);
    tree_path(link, sizeof link, "%s/up", fixture->from);
    check_int(symlink("..", link), 0);
    struct run run = transfer_one(fixture, 1, LH_JOB_UPLOAD, fixture->from, fixture->to);
    check_uint(run.code, 0);
    check_uint(run.counts.symlinks, 3);
    tree_check_same(fixture->from, fixture->to, false);

    char other[300];
    tree_path(other, sizeof other, "%s/other", fixture->root);
    const char *sources[] = {fixture->from};
    struct lh_job_request request = request_of(LH_JOB_UPLOAD, sources, 1, other);
    request.flags |= LH_JOB_SKIP_SYMLINKS;
    run = transfer(fixture, (struct pair_options){.seed = 1}, &request);
    check_uint(run.code, 0);
    check_uint(run.counts.symlinks, 0);
    check_uint(tree_count(other), 0);
    assert_non_null(strstr(run.log, "skipped 0"));
    assert_non_null(strstr(run.log, "/up: symbolic link left out"));
}

static void an_argument_that_is_a_symlink_is_followed(void **state)
{
    const struct fixture *fixture = *state;
    struct lh_prng prng = {check_seed(15)};
    char link[300], dest_link[300], inside[300];
    tree_random(fixture->from, &prng, 10, 1000);
    tree_path(link, sizeof link, "%s/link", fixture->root);
    check_int(symlink(fixture->from, link), 0);
    tree_mkdir(fixture->to);
    tree_path(dest_link, sizeof dest_link, "%s/dest", fixture->root);
    check_int(symlink(fixture->to, dest_link), 0);
    struct run run = transfer_one(fixture, 1, LH_JOB_UPLOAD, link, dest_link);
    check_uint(run.code, 0);
    tree_path(inside, sizeof inside, "%s/link", fixture->to);
    tree_check_same(fixture->from, inside, true);
}

static void a_destination_that_is_a_symlink_to_a_file_is_written_through(void **state)
{
    const struct fixture *fixture = *state;
    char from[300], dir[300], target[400], link[400];
    struct stat found;
    size_t len;
    tree_mkdir(fixture->from);
    tree_path(from, sizeof from, "%s/file", fixture->from);
    tree_write_text(from, "new");
    tree_mkdir(fixture->to);
    tree_path(dir, sizeof dir, "%s/elsewhere", fixture->root);
    tree_mkdir(dir);
    tree_path(target, sizeof target, "%s/target", dir);
    tree_write_text(target, "old");
    tree_path(link, sizeof link, "%s/link", fixture->to);
    check_int(symlink("../elsewhere/target", link), 0);
    check_uint(transfer_one(fixture, 1, LH_JOB_UPLOAD, from, link).code, 0);
    check_int(lstat(link, &found), 0);
    assert_true(S_ISLNK(found.st_mode));
    char *text = tree_read(target, &len);
    assert_string_equal(text, "new");
    free(text);
    check_uint(transfer_one(fixture, 2, LH_JOB_UPLOAD, from, link).counts.files_skipped, 1);

    // Where it leads nowhere, it is replaced.
    check_int(unlink(target), 0);
    check_uint(transfer_one(fixture, 3, LH_JOB_UPLOAD, from, link).code, 0);
    check_int(lstat(link, &found), 0);
    assert_true(S_ISREG(found.st_mode));
}

static void a_source_that_is_a_special_file_is_refused_as_such(void **state)
{
    const struct fixture *fixture = *state;
    char fifo[300];
    tree_mkdir(fixture->to);
    tree_path(fifo, sizeof fifo, "%s/fifo", fixture->root);
    check_int(mkfifo(fifo, 0600), 0);
    for (size_t direction = 0; direction < 2; direction++) {
        struct run run = transfer_one(fixture, 1, direction, fifo, fixture->to);
        check_uint(run.code, LH_CODE_NOT_REGULAR);
        assert_non_null(strstr(run.log, "is a special file; name a file or a directory"));
    }
}

static void the_destination_rule_holds_end_to_end(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        const char *sources[2];
        const char *dest, *pre; // relative to a fresh directory; pre: directory that exists
        bool make;
        uint16_t code;
        const char *expect[2]; // paths that must exist then
    } rows[] = {
        {{"f1"}, "d/f", NULL, false, LH_CODE_NO_SUCH_FILE, {NULL}},
        {{"f1"}, "d/f", "d", false, 0, {"d/f"}},
        {{"f1"}, "d/f/.", "d", false, 0, {"d/f"}},
        {{"f1"}, "d/f", "d/f", false, 0, {"d/f/f1"}},
        {{"f1", "f2"}, "d", "d", false, 0, {"d/f1", "d/f2"}},
        {{"d3"}, "d", NULL, false, 0, {"d/f1", "d/d4/f2"}},
        {{"f1"}, "d", NULL, true, 0, {"d/f1"}},
        {{"f1", "f2"}, "d", NULL, true, 0, {"d/f1", "d/f2"}},
        {{"f1", "d3/d4/f2"}, "d/e/f", NULL, true, 0, {"d/e/f/f1", "d/e/f/f2"}},
        {{"d3"}, "d", NULL, true, 0, {"d/d3/f1", "d/d3/d4/f2"}},
        {{"d3/."}, "d", NULL, true, 0, {"d/f1", "d/d4/f2"}},
        {{"f1", "f2"}, "d", NULL, false, LH_CODE_NO_SUCH_FILE, {NULL}},
    };
    char path[600];
    static const char *const things[] = {"f1", "f2", "d3/f1", "d3/d4/f2"};
    tree_mkdir(fixture->from);
    tree_path(path, sizeof path, "%s/d3", fixture->from);
    tree_mkdir(path);
    tree_path(path, sizeof path, "%s/d3/d4", fixture->from);
    tree_mkdir(path);
    for (size_t i = 0; i < LH_ARRAY_LEN(things); i++) {
        tree_path(path, sizeof path, "%s/%s", fixture->from, things[i]);
        tree_write(path, i, 100);
    }
    for (size_t direction = 0; direction < 2; direction++)
        for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
            char base[300], dest[600], sources[2][600];
            const char *list[] = {sources[0], sources[1]};
            size_t count = rows[i].sources[1] == NULL ? 1 : 2;
            tree_path(base, sizeof base, "%s/row%zu-%zu", fixture->root, direction, i);
            tree_mkdir(base);
            for (size_t k = 0; k < count; k++)
                tree_path(sources[k], sizeof sources[k], "%s/%s", fixture->from,
                          rows[i].sources[k]);
            tree_path(dest, sizeof dest, "%s/%s", base, rows[i].dest);
            if (rows[i].pre != NULL) {
                tree_path(path, sizeof path, "%s/d", base);
                tree_mkdir(path);
                tree_path(path, sizeof path, "%s/%s", base, rows[i].pre);
                if (strcmp(rows[i].pre, "d") != 0)
                    tree_mkdir(path);
            }
            struct lh_job_request request = request_of(direction, list, count, dest);
            request.flags = rows[i].make ? LH_JOB_MAKE_DIRECTORY : 0;
            struct run run = transfer(fixture, (struct pair_options){.seed = i}, &request);
            if (run.code != rows[i].code)
                fail_msg("row %zu: code %u: %s", i, run.code, run.text);
            if (run.code != 0)
                assert_non_null(strstr(run.text, "-d makes it"));
            for (size_t k = 0; k < 2 && rows[i].expect[k] != NULL; k++) {
                tree_path(path, sizeof path, "%s/%s", base, rows[i].expect[k]);
                if (access(path, F_OK) != 0)
                    fail_msg("row %zu: %s is missing", i, rows[i].expect[k]);
            }
        }
}

static void the_source_base_keeps_what_is_below_it(void **state)
{
    const struct fixture *fixture = *state;
    char sources[2][400], base[400], path[500];
    const char *list[] = {sources[0], sources[1]};
    tree_mkdir(fixture->from);
    for (int i = 0; i < 2; i++) {
        tree_path(path, sizeof path, "%s/d%d", fixture->from, i + 2);
        tree_mkdir(path);
        tree_path(sources[i], sizeof sources[i], "%s/d%d/f%d", fixture->from, i + 2, i + 2);
        tree_write(sources[i], 1, 50);
    }
    tree_path(base, sizeof base, "%s", fixture->from);
    tree_mkdir(fixture->to);
    for (size_t direction = 0; direction < 2; direction++) {
        struct lh_job_request request = request_of(direction, list, 2, fixture->to);
        request.source_base = base;
        request.flags = 0;
        struct run run = transfer(fixture, (struct pair_options){.seed = 1}, &request);
        check_uint(run.code, 0);
        tree_check_same(fixture->from, fixture->to, false);
    }
}

static void two_sources_with_one_name_do_not_replace_each_other(void **state)
{
    const struct fixture *fixture = *state;
    char a[300], b[300], fa[400], fb[400], result[400];
    tree_path(a, sizeof a, "%s/a", fixture->root);
    tree_path(b, sizeof b, "%s/b", fixture->root);
    tree_mkdir(a);
    tree_mkdir(b);
    tree_path(fa, sizeof fa, "%s/f", a);
    tree_path(fb, sizeof fb, "%s/f", b);
    tree_write_text(fa, "first");
    tree_write_text(fb, "second");
    tree_mkdir(fixture->to);
    const char *list[] = {fa, fb};
    struct lh_job_request request = request_of(LH_JOB_UPLOAD, list, 2, fixture->to);
    struct run run = transfer(fixture, (struct pair_options){.seed = 1}, &request);
    check_uint(run.code, LH_CODE_ALREADY_EXISTS);
    check_uint(run.counts.files_complete, 1);
    check_uint(run.counts.files_failed, 1);
    size_t len;
    tree_path(result, sizeof result, "%s/f", fixture->to);
    char *text = tree_read(result, &len);
    assert_string_equal(text, "first");
    free(text);
}

static void modes_follow_the_umask_unless_they_are_to_be_kept(void **state)
{
    const struct fixture *fixture = *state;
    char path[400];
    struct stat stat_now;
    tree_mkdir(fixture->from);
    tree_path(path, sizeof path, "%s/open", fixture->from);
    tree_write_text(path, "x");
    check_int(chmod(path, 06777), 0);
    tree_path(path, sizeof path, "%s/closed", fixture->from);
    tree_mkdir(path);
    tree_path(path, sizeof path, "%s/closed/f", fixture->from);
    tree_write_text(path, "x");
    tree_path(path, sizeof path, "%s/closed", fixture->from);
    check_int(chmod(path, 0555), 0);
    mode_t old = umask(027);
    const char *list[] = {fixture->from};
    struct lh_job_request request = request_of(LH_JOB_UPLOAD, list, 1, fixture->to);
    request.flags = 0;
    struct run run = transfer(fixture, (struct pair_options){.seed = 1}, &request);
    check_uint(run.code, 0);
    tree_path(path, sizeof path, "%s/open", fixture->to);
    check_int(stat(path, &stat_now), 0);
    check_int(stat_now.st_mode & 07777, 0750);
    tree_path(path, sizeof path, "%s/closed", fixture->to);
    check_int(stat(path, &stat_now), 0);
    check_int(stat_now.st_mode & 07777, 0550);

    char kept[300];
    tree_path(kept, sizeof kept, "%s/kept", fixture->root);
    run = transfer_one(fixture, 1, LH_JOB_UPLOAD, fixture->from, kept);
    umask(old);
    check_uint(run.code, 0);
    tree_path(path, sizeof path, "%s/open", kept);
    check_int(stat(path, &stat_now), 0);
    check_int(stat_now.st_mode & 07777, 0777); // never set-id
    tree_path(path, sizeof path, "%s/closed", kept);
    check_int(stat(path, &stat_now), 0);
    check_int(stat_now.st_mode & 07777, 0555);
}

static void overwrite_policies_do_what_they_say(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        enum lh_overwrite policy;
        bool target_newer;
        bool replaced;
    } cases[] = {
        {LH_OVERWRITE_DIFF, true, true},        {LH_OVERWRITE_DIFF, false, true},
        {LH_OVERWRITE_NEVER, false, false},     {LH_OVERWRITE_ALWAYS, true, true},
        {LH_OVERWRITE_OLDER, false, true},      {LH_OVERWRITE_OLDER, true, false},
        {LH_OVERWRITE_DIFF_OLDER, false, true}, {LH_OVERWRITE_DIFF_OLDER, true, false},
    };
    char from[300], to[300];
    tree_mkdir(fixture->from);
    tree_mkdir(fixture->to);
    tree_path(from, sizeof from, "%s/f", fixture->from);
    tree_path(to, sizeof to, "%s/f", fixture->to);
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        tree_write_text(from, "new");
        tree_write_text(to, "old");
        struct timespec times[2] = {{1000, 0}, {cases[i].target_newer ? 2000000000 : 1000, 0}};
        check_int(utimensat(AT_FDCWD, to, times, 0), 0);
        times[1].tv_sec = 1000000;
        check_int(utimensat(AT_FDCWD, from, times, 0), 0);
        const char *list[] = {from};
        struct lh_job_request request = request_of(LH_JOB_UPLOAD, list, 1, fixture->to);
        request.overwrite = cases[i].policy;
        struct run run = transfer(fixture, (struct pair_options){.seed = i}, &request);
        check_uint(run.code, 0);
        size_t len;
        char *text = tree_read(to, &len);
        if (strcmp(text, cases[i].replaced ? "new" : "old") != 0)
            fail_msg("case %zu: %s", i, text);
        check_uint(run.counts.files_skipped, cases[i].replaced ? 0 : 1);
        free(text);
    }
}

static void synthetic_sources_and_sinks_need_no_disk(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        const char *source;
        uint64_t files, bytes;
    } cases[] = {
        {"faux:///one?3m", 1, 3 << 20},
        {"faux:///small?1k", 1, 1024},
        {"faux:///dir?count=1000&size=2k", 1000, 1000 * 2048},
        {"faux:///dir?count=3&size=300k&file=x", 3, 3 * 300 * 1024},
    };
    for (size_t direction = 0; direction < 2; direction++)
        for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
            const char *list[] = {cases[i].source};
            struct lh_job_request request = request_of(direction, list, 1, "faux://");
            struct run run = transfer(fixture, (struct pair_options){.seed = i}, &request);
            check_uint(run.code, 0);
            check_uint(run.counts.files_complete, cases[i].files);
            check_uint(run.counts.bytes_complete, cases[i].bytes);
            check_uint(run.counts.bytes_sent, cases[i].bytes);
        }
    // Onto a disk and from there into a sink; the same again is compared and not sent.
    const char *list[] = {"faux:///dir?count=20&size=100k"};
    struct lh_job_request request = request_of(LH_JOB_UPLOAD, list, 1, fixture->to);
    struct run run = transfer(fixture, (struct pair_options){.seed = 1}, &request);
    check_uint(run.code, 0);
    check_uint(tree_count(fixture->to), 20);
    struct run sink = transfer_one(fixture, 1, LH_JOB_UPLOAD, fixture->to, "faux://");
    check_uint(sink.code, 0);
    check_uint(sink.counts.bytes_complete, 20 * 102400);
}

static void small_windows_and_little_memory_only_make_it_slower(void **state)
{
    const struct fixture *fixture = *state;
    uint64_t seed = check_seed(16);
    struct lh_prng prng = {seed};
    tree_random(fixture->from, &prng, 300, 200000);
    const char *list[] = {fixture->from};
    struct lh_job_request request = request_of(LH_JOB_UPLOAD, list, 1, fixture->to);
    struct pair_options options = {
        .seed = seed, .stream_window = 20000, .block_window = 70000, .read_ahead = 70000};
    struct run run = transfer(fixture, options, &request);
    check_uint(run.code, 0);
    tree_check_same(fixture->from, fixture->to, true);
}

static void a_dry_run_says_what_it_would_do_and_changes_nothing(void **state)
{
    const struct fixture *fixture = *state;
    struct lh_prng prng = {check_seed(17)};
    tree_random(fixture->from, &prng, 20, 100000);
    const char *list[] = {fixture->from};
    struct lh_job_request request = request_of(LH_JOB_UPLOAD, list, 1, fixture->to);
    request.flags |= LH_JOB_DRY_RUN | LH_JOB_MAKE_DIRECTORY;
    struct run run = transfer(fixture, (struct pair_options){.seed = 1}, &request);
    check_uint(run.code, 0);
    check_uint(run.counts.files_complete, 20);
    check_uint(run.wire_bytes, 0);
    check_int(access(fixture->to, F_OK), -1);

    tree_mkdir(fixture->to);
    (void)transfer_one(fixture, 2, LH_JOB_UPLOAD, fixture->from, fixture->to);
    char file[400];
    tree_path(file, sizeof file, "%s/new", fixture->from);
    tree_write_text(file, "new");
    request.flags = LH_JOB_DRY_RUN | LH_JOB_PRESERVE;
    run = transfer(fixture, (struct pair_options){.seed = 3}, &request);
    check_uint(run.code, 0);
    check_uint(run.counts.files_skipped, 20);
    check_uint(run.counts.files_complete, 1);
    tree_path(file, sizeof file, "%s/from/new", fixture->to);
    check_int(access(file, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_random_tree_arrives_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_thousand_small_files_arrive_in_few_blocks, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_same_command_again_sends_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_identical_tree_without_a_journal_is_compared_and_not_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_changed_block_of_a_target_is_sent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_hard_to_write_arrive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directories_two_hundred_deep_arrive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(symlinks_are_copied_as_links_or_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_argument_that_is_a_symlink_is_followed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_destination_that_is_a_symlink_to_a_file_is_written_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_is_a_special_file_is_refused_as_such, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_destination_rule_holds_end_to_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_source_base_keeps_what_is_below_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_sources_with_one_name_do_not_replace_each_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(modes_follow_the_umask_unless_they_are_to_be_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(overwrite_policies_do_what_they_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(synthetic_sources_and_sinks_need_no_disk, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(small_windows_and_little_memory_only_make_it_slower, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_dry_run_says_what_it_would_do_and_changes_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
