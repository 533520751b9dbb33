// SPDX-License-Identifier: Apache-2.0
//
// The same command again, and again after a kill: what is there already is not sent, and the tree
// is the one that an undisturbed run would have made.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "transfer/receiver_internal.h"
#include "transfer_pair.h"

#define BLOCK 65536u

struct fixture {
    char *root;
    char from[256], to[256], client_state[256], server_state[256];
    struct lh_job_request request;
    struct pair pair;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->root = tree_temp();
    tree_path(fixture->from, sizeof fixture->from, "%s/from", fixture->root);
    tree_path(fixture->to, sizeof fixture->to, "%s/to", fixture->root);
    tree_path(fixture->client_state, sizeof fixture->client_state, "%s/cs", fixture->root);
    tree_path(fixture->server_state, sizeof fixture->server_state, "%s/ss", fixture->root);
    tree_mkdir(fixture->from);
    tree_mkdir(fixture->to);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    pair_fini(&fixture->pair);
    tree_remove(fixture->root);
    free(fixture);
    return 0;
}

// New ends for fixture->request, which asks for from -> to; what was before is dropped as by a
// kill. After `stop_after` bytes of blocks (0 = never) the ends stand still.
static void run_until(struct fixture *fixture, uint64_t stop_after)
{
    const char *sources[] = {fixture->from};
    struct pair_options options = {.seed = 1 + stop_after,
                                   .client_state = fixture->client_state,
                                   .server_state = fixture->server_state};
    fixture->request.sources = sources;
    fixture->request.source_count = 1;
    fixture->request.dest = fixture->to;
    pair_fini(&fixture->pair);
    pair_init(&fixture->pair, &options);
    fixture->pair.stop_after = stop_after;
    pair_start(&fixture->pair, &fixture->request);
    pair_loop(&fixture->pair);
    assert_true(stop_after == 0 ? fixture->pair.client.finished : !fixture->pair.client.finished);
}

static const struct lh_job_counts *run(struct fixture *fixture)
{
    run_until(fixture, 0);
    check_uint(fixture->pair.server.verdict.code, fixture->pair.client.verdict.code);
    if (fixture->pair.client.verdict.code != 0)
        fail_msg("code %u: %s\n%s", fixture->pair.client.verdict.code,
                 fixture->pair.client.verdict_text, fixture->pair.client.log);
    return &fixture->pair.client.verdict.counts;
}

static void in_from(const struct fixture *fixture, char *out, const char *name)
{
    tree_path(out, 400, "%s/%s", fixture->from, name);
}

static void in_to(const struct fixture *fixture, char *out, const char *name)
{
    tree_path(out, 400, "%s/from/%s", fixture->to, name);
}

static mode_t mode_of(const char *path)
{
    struct stat found;
    check_int(lstat(path, &found), 0);
    return found.st_mode & 0777;
}

static void preserving_reaches_what_was_sent_without(void **state)
{
    struct fixture *fixture = *state;
    const struct timespec old[] = {{.tv_sec = 1000000}, {.tv_sec = 2000000, .tv_nsec = 5}};
    static const char *const names[] = {"small", "large", "link"};
    char path[400], inside[400];
    in_from(fixture, path, "small");
    tree_write(path, 1, 10);
    in_from(fixture, path, "large");
    tree_write(path, 2, 20 * BLOCK);
    check_int(chmod(path, 0777), 0);
    in_from(fixture, path, "link");
    check_int(symlink("small", path), 0);
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++) {
        in_from(fixture, path, names[i]);
        check_int(utimensat(AT_FDCWD, path, old, AT_SYMLINK_NOFOLLOW), 0);
    }
    tree_path(inside, sizeof inside, "%s/from", fixture->to);

    (void)run(fixture);
    tree_check_same(fixture->from, inside, false);
    fixture->request.flags = LH_JOB_PRESERVE | LH_JOB_DRY_RUN;
    (void)run(fixture);
    in_to(fixture, path, "large");
    check_uint(mode_of(path), 0755);

    // Once by attributes alone; and from then on the files are known again.
    for (int i = 0; i < 2; i++) {
        fixture->request.flags = LH_JOB_PRESERVE;
        const struct lh_job_counts *counts = run(fixture);
        check_uint(counts->bytes_sent, 0);
        check_uint(counts->files_skipped, 2);
        tree_check_same(fixture->from, inside, true);
    }

    // Files that may not be touched are not.
    in_to(fixture, path, "small");
    check_int(chmod(path, 0600), 0);
    fixture->request.overwrite = LH_OVERWRITE_NEVER;
    (void)run(fixture);
    check_uint(mode_of(path), 0600);
}

// The tree: a directory that is closed to its owner, with a file that takes several blocks.
static void make_closed(const struct fixture *fixture)
{
    char path[400];
    in_from(fixture, path, "closed");
    tree_mkdir(path);
    in_from(fixture, path, "closed/large");
    tree_write(path, 2, 20 * BLOCK);
    in_from(fixture, path, "closed");
    check_int(chmod(path, 0555), 0);
}

static void a_closed_directory_is_closed_after_a_kill_too(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    make_closed(fixture);
    for (int kills = 0; kills < 2; kills++) {
        run_until(fixture, 4 * BLOCK);
        in_to(fixture, path, "closed");
        check_uint(mode_of(path), 0755);
    }
    (void)run(fixture);
    check_uint(mode_of(path), 0555);
    // It has been finished: what its owner does then is his.
    check_int(chmod(path, 0750), 0);
    (void)run(fixture);
    check_uint(mode_of(path), 0750);
}

static void a_directory_that_was_there_keeps_its_mode_after_a_kill(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    make_closed(fixture);
    tree_path(path, sizeof path, "%s/from", fixture->to);
    tree_mkdir(path);
    in_to(fixture, path, "closed");
    tree_mkdir(path);
    check_int(chmod(path, 0755), 0);
    run_until(fixture, 4 * BLOCK);
    (void)run(fixture);
    check_uint(mode_of(path), 0755);
}

static void a_command_that_replaces_everything_does_so_once(void **state)
{
    struct fixture *fixture = *state;
    char path[400], inside[400];
    for (int i = 0; i < 8; i++) {
        tree_path(path, sizeof path, "%s/file%d", fixture->from, i);
        tree_write(path, (uint64_t)i, 6 * BLOCK);
    }
    tree_path(path, sizeof path, "%s/small", fixture->from);
    tree_write(path, 8, 100);
    const uint64_t all = 8 * 6 * BLOCK + 100;
    tree_path(inside, sizeof inside, "%s/from", fixture->to);
    fixture->request.overwrite = LH_OVERWRITE_ALWAYS;
    fixture->request.run_id = 11;
    (void)run(fixture);

    // Another command: all of it, in sessions that break.
    fixture->request.run_id = 12;
    uint64_t sent = 0;
    for (int i = 0; i < 4; i++) {
        run_until(fixture, 9 * BLOCK);
        sent += fixture->pair.client.out.block_bytes;
    }
    sent += run(fixture)->bytes_sent;
    assert_true(sent >= all);
    assert_true(sent < all + 4 * 20 * BLOCK); // what is under way when a session breaks
    tree_check_same(fixture->from, inside, false);
    check_uint(run(fixture)->bytes_sent, 0);
    // What changed meanwhile is sent, and a new command sends all.
    tree_write(path, 9, 100);
    check_uint(run(fixture)->bytes_sent, 100);
    fixture->request.run_id = 13;
    check_uint(run(fixture)->bytes_sent, all);
    fixture->request.run_id = 0;
    check_uint(run(fixture)->bytes_sent, all);
    check_uint(run(fixture)->bytes_sent, all);
}

static void a_dry_run_reads_the_journal_and_leaves_no_trace(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    struct stat before, after;
    in_from(fixture, path, "large");
    tree_write(path, 2, 20 * BLOCK);
    fixture->request.flags = LH_JOB_DRY_RUN;
    check_uint(run(fixture)->files_complete, 1);
    check_int(access(fixture->server_state, F_OK), -1);

    fixture->request.flags = 0;
    (void)run(fixture);
    tree_path(path, sizeof path, "%s/journal", fixture->server_state);
    check_uint(tree_count(path), 1);
    check_int(chmod(path, 0500), 0);
    check_int(stat(path, &before), 0);
    fixture->request.flags = LH_JOB_DRY_RUN;
    check_uint(run(fixture)->files_skipped, 1);
    check_int(stat(path, &after), 0);
    check_uint(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    check_int(chmod(path, 0700), 0);

    // Nor does it wait for the session that holds the lock.
    fixture->request.flags = 0;
    in_from(fixture, path, "large");
    tree_write(path, 3, 20 * BLOCK);
    const char *sources[] = {fixture->from};
    struct pair_options options = {.seed = 1, .server_state = fixture->server_state};
    struct lh_job_request dry = {
        .sources = sources, .source_count = 1, .dest = fixture->to, .flags = LH_JOB_DRY_RUN};
    run_until(fixture, 5 * BLOCK);
    struct pair second;
    pair_init(&second, &options);
    pair_run(&second, &dry);
    check_uint(second.client.verdict.code, 0);
    check_uint(second.client.verdict.counts.files_complete, 1);
    pair_fini(&second);
    (void)run(fixture);
}

static bool has_lost_its_journal(struct pair *pair, void *ctx)
{
    (void)ctx;
    return pair->server.log_len > 0 && strstr(pair->server.log, "cannot be written") != NULL;
}

// Waits no longer than a moment.
static bool is_busy(struct pair *pair, void *ctx)
{
    (void)ctx;
    if (pair->server.job->receiver != NULL && pair->server.job->receiver->busy_count > 1)
        pair->server.job->receiver->busy_count += 1000;
    return false;
}

static void a_session_whose_journal_failed_is_still_the_only_one(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    for (int i = 0; i < 1000; i++) {
        tree_path(path, sizeof path, "%s/file%d", fixture->from, i);
        tree_write(path, (uint64_t)i, 100);
    }
    const char *sources[] = {fixture->from};
    struct pair_options options = {.seed = 1, .server_state = fixture->server_state};
    struct lh_job_request request = {.sources = sources, .source_count = 1, .dest = fixture->to};
    struct rlimit before, small = {0};
    check_int(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 20000, .rlim_max = before.rlim_max};
    check_int(setrlimit(RLIMIT_FSIZE, &small), 0);
    pair_init(&fixture->pair, &options);
    fixture->pair.step = has_lost_its_journal;
    pair_start(&fixture->pair, &request);
    pair_loop(&fixture->pair);
    check_int(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(has_lost_its_journal(&fixture->pair, NULL));

    struct pair second;
    pair_init(&second, &options);
    second.step = is_busy;
    pair_run(&second, &request);
    check_uint(second.client.verdict.code, LH_CODE_BUSY);
    pair_fini(&second);
    fixture->pair.step = NULL;
    pair_loop(&fixture->pair);
    check_uint(fixture->pair.client.verdict.code, 0);
    (void)run(fixture);
}

int main(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    umask(022);
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(preserving_reaches_what_was_sent_without),
        CASE(a_closed_directory_is_closed_after_a_kill_too),
        CASE(a_directory_that_was_there_keeps_its_mode_after_a_kill),
        CASE(a_command_that_replaces_everything_does_so_once),
        CASE(a_dry_run_reads_the_journal_and_leaves_no_trace),
        CASE(a_session_whose_journal_failed_is_still_the_only_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
