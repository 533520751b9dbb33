// SPDX-License-Identifier: Apache-2.0
//
// Little memory on either side. Blocks that are taken early, run by run in any order, and blocks
// that the sender reads again: the files are the same, faults and changes are found as with whole
// blocks, and a kill leaves nothing that counts and is not there.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "transfer_pair.h"

#define BLOCK 65536u

struct fixture {
    char *root;
    char from[256], to[256], client_state[256], server_state[256];
    struct lh_job_request request;
    bool (*step)(struct pair *pair, void *ctx);
    void *step_ctx;
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
    tree_mkdir(fixture->to); // the other one is made with what is in it
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

static void
run(struct fixture *fixture, enum lh_job_direction direction, const struct pair_options *wanted)
{
    const char *sources[] = {fixture->from};
    struct pair_options options = *wanted;
    options.client_state = fixture->client_state;
    options.server_state = fixture->server_state;
    fixture->request.direction = direction;
    fixture->request.sources = sources;
    fixture->request.source_count = 1;
    fixture->request.dest = fixture->to;
    uint64_t stop_after = fixture->pair.stop_after;
    pair_fini(&fixture->pair);
    pair_init(&fixture->pair, &options);
    fixture->pair.stop_after = stop_after;
    fixture->pair.step = fixture->step;
    fixture->pair.step_ctx = fixture->step_ctx;
    pair_run(&fixture->pair, &fixture->request);
}

static void check_good(struct fixture *fixture)
{
    char copy[300];
    if (fixture->pair.client.verdict.code != 0)
        fail_msg("code %u: %s\n%s", fixture->pair.client.verdict.code,
                 fixture->pair.client.verdict_text, fixture->pair.client.log);
    tree_path(copy, sizeof copy, "%s/from", fixture->to);
    tree_check_same(fixture->from, copy, false);
    check_uint(tree_count(copy), tree_count(fixture->from));
}

static uint64_t early_taken(const struct fixture *fixture)
{
    return fixture->pair.client.out.early_taken + fixture->pair.server.out.early_taken;
}

static void make_tree(struct fixture *fixture, uint64_t seed)
{
    char path[400];
    struct lh_prng prng = {seed};
    tree_random(fixture->from, &prng, 40, 400000);
    for (int i = 0; i < 4; i++) {
        tree_path(path, sizeof path, "%s/large%d", fixture->from, i);
        tree_write(path, seed + (uint64_t)i, 2000000 + (size_t)i * 77777);
    }
}

static void trees_arrive_whole_from_runs_in_any_order(void **state)
{
    struct fixture *fixture = *state;
    make_tree(fixture, 5);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        char copy[300];
        run(fixture, seed % 2 == 0 ? LH_JOB_UPLOAD : LH_JOB_DOWNLOAD,
            &(struct pair_options){.seed = seed, .early_percent = 20 * (unsigned)(seed % 5 + 1)});
        check_good(fixture);
        assert_true(early_taken(fixture) > 10);
        check_uint(fixture->pair.client.out.runs_unreleased, 0);
        check_uint(fixture->pair.server.out.runs_unreleased, 0);
        tree_path(copy, sizeof copy, "%s/from", fixture->to);
        tree_remove(strdup(copy));
    }
}

static bool has_server_finished(struct pair *pair, void *ctx)
{
    (void)ctx;
    return pair->server.finished; // it closes the session; the client learns it from that
}

static void a_damaged_early_block_ends_the_job(void **state)
{
    struct fixture *fixture = *state;
    make_tree(fixture, 6);
    fixture->step = has_server_finished;
    run(fixture, LH_JOB_UPLOAD,
        &(struct pair_options){.seed = 1, .early_percent = 100, .damage = true});
    check_int(fixture->pair.server.verdict.err, LH_E_CORRUPT);
    assert_int_not_equal(fixture->pair.server.verdict.code, 0);
}

static void a_kill_amid_runs_leaves_only_what_the_journal_may_count(void **state)
{
    struct fixture *fixture = *state;
    make_tree(fixture, 7);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        fixture->pair.stop_after = seed * 900000;
        run(fixture, LH_JOB_UPLOAD, &(struct pair_options){.seed = seed, .early_percent = 80});
    }
    fixture->pair.stop_after = 0;
    run(fixture, LH_JOB_UPLOAD, &(struct pair_options){.seed = 9, .early_percent = 80});
    check_good(fixture);
}

// Runs fail to be written: the file fails once, its other runs are dropped, the others go on.
static void a_disk_that_takes_no_more_fails_the_file_alone(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, limit;
    char path[400];
    make_tree(fixture, 8);
    tree_path(path, sizeof path, "%s/huge", fixture->from);
    tree_write(path, 99, 6000000);
    check_int(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4000000;
    signal(SIGXFSZ, SIG_IGN);
    check_int(setrlimit(RLIMIT_FSIZE, &limit), 0);
    run(fixture, LH_JOB_UPLOAD, &(struct pair_options){.seed = 3, .early_percent = 100});
    check_int(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_not_equal(fixture->pair.client.verdict.code, 0);
    check_uint(fixture->pair.client.files_failed, 1);
    check_uint(fixture->pair.server.out.runs_unreleased, 0);
    check_uint(fixture->pair.client.out.runs_unreleased, 0);
}

// --- Blocks that are read again ------------------------------------------------------------------

static const struct pair_options little_memory = {.seed = 1,
                                                  .block_window =
                                                      60 * (BLOCK + LH_BLOCK_HEADER_MAX),
                                                  .read_ahead = 12 * BLOCK,
                                                  .early_percent = 50,
                                                  .unload_percent = 80};

static uint64_t supplied(const struct fixture *fixture)
{
    return fixture->pair.client.out.supplied + fixture->pair.server.out.supplied;
}

static void trees_arrive_whole_when_blocks_are_read_again(void **state)
{
    struct fixture *fixture = *state;
    make_tree(fixture, 9);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        char copy[300];
        struct pair_options options = little_memory;
        options.seed = seed;
        run(fixture, seed % 2 == 0 ? LH_JOB_UPLOAD : LH_JOB_DOWNLOAD, &options);
        check_good(fixture);
        assert_true(supplied(fixture) > 10);
        tree_path(copy, sizeof copy, "%s/from", fixture->to);
        tree_remove(strdup(copy));
    }
}

// Once so many bytes have arrived, does something to the source.
struct change {
    const char *path;
    uint64_t after;
    bool removes, is_done;
};

static bool change_source(struct pair *pair, void *ctx)
{
    struct change *change = ctx;
    if (change->is_done || pair->client.out.block_bytes < change->after)
        return false;
    change->is_done = true;
    if (change->removes) {
        check_int(unlink(change->path), 0);
        return false;
    }
    int fd = open(change->path, O_WRONLY | O_CLOEXEC); // at one stroke: workers read meanwhile
    assert_true(fd >= 0);
    check_int(pwrite(fd, "something else", 14, 100000), 14);
    close(fd);
    return false;
}

static void run_with_change(struct fixture *fixture, uint64_t seed, struct change *change)
{
    struct pair_options options = little_memory;
    options.seed = seed;
    fixture->step = change_source;
    fixture->step_ctx = change;
    run(fixture, LH_JOB_UPLOAD, &options);
}

static void a_file_that_changes_after_it_was_sent_is_sent_anew(void **state)
{
    struct fixture *fixture = *state;
    char path[400], copy[300];
    tree_mkdir(fixture->from);
    tree_path(path, sizeof path, "%s/changing", fixture->from);
    // Never so late that all has been read: what changes then is not of this transfer.
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct change change = {.path = path, .after = seed * 200000};
        tree_write(path, seed, 3000000);
        run_with_change(fixture, seed, &change);
        assert_true(change.is_done);
        check_good(fixture);
        tree_path(copy, sizeof copy, "%s/from", fixture->to);
        tree_remove(strdup(copy));
    }
}

static void a_file_that_is_gone_before_it_is_read_again_fails_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[400], other[400], copy[400];
    size_t len, copied;
    tree_mkdir(fixture->from);
    tree_path(path, sizeof path, "%s/a", fixture->from);
    tree_path(other, sizeof other, "%s/b", fixture->from);
    tree_write(path, 1, 3000000);
    tree_write(other, 2, 1000000);
    struct change change = {.path = path, .after = 600000, .removes = true};
    run_with_change(fixture, 1, &change);
    check_uint(fixture->pair.client.files_failed, 1);
    check_uint(fixture->pair.client.files_complete, 1);
    tree_path(copy, sizeof copy, "%s/from/b", fixture->to);
    char *sent = tree_read(other, &len), *got = tree_read(copy, &copied);
    assert_true(got != NULL && len == copied && memcmp(sent, got, len) == 0);
    free(sent);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trees_arrive_whole_from_runs_in_any_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_early_block_ends_the_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kill_amid_runs_leaves_only_what_the_journal_may_count,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(trees_arrive_whole_when_blocks_are_read_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_changes_after_it_was_sent_is_sent_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_gone_before_it_is_read_again_fails_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_takes_no_more_fails_the_file_alone, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
