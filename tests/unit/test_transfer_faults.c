// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong in the middle: killed ends, changed sources, foreign and spoiled partials, files
// that cannot be read or written, full disks. The rest always goes on, nothing false ever has a
// final name, and the same command again finishes the job without sending again what arrived.
//
// Runs as an ordinary user even when started by root, so that permissions mean something.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "check.h"
#include "transfer/receiver_internal.h"
#include "transfer_pair.h"

#define BLOCK 65536u

struct fixture {
    char *root;
    char from[256], to[256], client_state[256], server_state[256];
    uint64_t read_ahead; // 0 = the default
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

// Begins the job with new ends; what was before is dropped as by a kill.
static void begin(struct fixture *fixture, uint64_t seed, enum lh_job_direction direction)
{
    const char *sources[] = {fixture->from};
    struct pair_options options = {.seed = seed,
                                   .read_ahead = fixture->read_ahead,
                                   .client_state = fixture->client_state,
                                   .server_state = fixture->server_state};
    struct lh_job_request request = {.direction = direction,
                                     .sources = sources,
                                     .source_count = 1,
                                     .dest = fixture->to,
                                     .flags = LH_JOB_PRESERVE};
    pair_fini(&fixture->pair);
    pair_init(&fixture->pair, &options);
    pair_start(&fixture->pair, &request);
}

static void run(struct fixture *fixture, uint64_t seed, enum lh_job_direction direction)
{
    begin(fixture, seed, direction);
    pair_loop(&fixture->pair);
    check_uint(fixture->pair.client.verdict.code, fixture->pair.server.verdict.code);
}

static uint64_t wire_bytes(const struct fixture *fixture)
{
    return fixture->pair.client.out.block_bytes + fixture->pair.server.out.block_bytes;
}

static void check_arrived(const struct fixture *fixture)
{
    char inside[400];
    if (fixture->pair.client.verdict.code != 0)
        fail_msg("code %u: %s\n%s", fixture->pair.client.verdict.code,
                 fixture->pair.client.verdict_text, fixture->pair.client.log);
    tree_path(inside, sizeof inside, "%s/from", fixture->to);
    tree_check_same(fixture->from, inside, true);
}

static void in_from(const struct fixture *fixture, char *out, const char *name)
{
    tree_path(out, 400, "%s/%s", fixture->from, name);
}

static void in_to(const struct fixture *fixture, char *out, const char *name)
{
    tree_path(out, 400, "%s/from/%s", fixture->to, name);
}

// The one partial below `dir`, or "".
static void find_partial(const char *dir, char *out, size_t room)
{
    DIR *stream = opendir(dir);
    out[0] = '\0';
    if (stream == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (strncmp(entry->d_name, ".lh-", 4) == 0)
            snprintf(out, room, "%.200s/%.200s", dir, entry->d_name);
    closedir(stream);
}

static void after_any_number_of_kills_the_tree_is_whole_and_little_was_sent_twice(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seed = check_seed(21);
    struct lh_prng prng = {seed};
    unsigned all_kills = 0;
    for (int round = 0; round < 6; round++) {
        char name[400];
        uint64_t total = 0, sent = 0;
        unsigned kills = 0;
        enum lh_job_direction direction = round % 2;
        for (int i = 0; i < 4; i++) {
            size_t len = 1 + (size_t)lh_prng_below(&prng, 40 * BLOCK);
            tree_path(name, sizeof name, "%s/large-%d-%d", fixture->from, round, i);
            tree_write(name, lh_prng_next(&prng), len);
            total += len;
        }
        for (int i = 0; i < 40; i++) {
            size_t len = (size_t)lh_prng_below(&prng, 5000);
            tree_path(name, sizeof name, "%s/small-%d-%d", fixture->from, round, i);
            tree_write(name, lh_prng_next(&prng), len);
            total += len;
        }
        for (;; kills++) {
            begin(fixture, lh_prng_next(&prng), direction);
            fixture->pair.stop_after =
                kills < 12 ? 1 + lh_prng_below(&prng, 30 * (uint64_t)BLOCK) : 0;
            pair_loop(&fixture->pair);
            sent += wire_bytes(fixture);
            if (fixture->pair.client.finished && fixture->pair.server.finished)
                break;
        }
        check_arrived(fixture);
        all_kills += kills;
        // A kill costs at most what was in the window and what was read of a bundle, headers added.
        uint64_t lost_per_kill = 18 * (uint64_t)BLOCK;
        if (sent > total + total / 16 + kills * lost_per_kill)
            fail_msg("%llu bytes sent for %llu in %u runs", (unsigned long long)sent,
                     (unsigned long long)total, kills);
    }
    assert_true(all_kills >= 6);
}

static void an_interrupted_tree_goes_on_under_the_name_it_was_given(void **state)
{
    struct fixture *fixture = *state;
    char file[400], inside[400];
    in_from(fixture, file, "d");
    tree_mkdir(file);
    in_from(fixture, file, "d/file");
    tree_write(file, 1, 60 * BLOCK);
    check_int(rmdir(fixture->to), 0); // DEST is the tree's new name
    for (int direction = 0; direction < 2; direction++) {
        begin(fixture, 1, direction);
        fixture->pair.stop_after = 30 * BLOCK;
        pair_loop(&fixture->pair);
        pair_fini(&fixture->pair);
        check_int(access(fixture->to, F_OK), 0);
        run(fixture, 2, direction);
        check_uint(fixture->pair.client.verdict.code, 0);
        assert_true(fixture->pair.client.verdict.counts.bytes_sent < 50 * BLOCK);
        tree_check_same(fixture->from, fixture->to, true);
        // Now that it is finished, DEST is a directory like any other, and the tree goes below it.
        run(fixture, 3, direction);
        check_uint(fixture->pair.client.verdict.code, 0);
        tree_path(inside, sizeof inside, "%s/from", fixture->to);
        tree_check_same(fixture->from, inside, true);
        pair_fini(&fixture->pair);
        tree_remove(strdup(fixture->to));
    }
}

static void a_resumed_file_is_sent_from_where_it_stopped(void **state)
{
    struct fixture *fixture = *state;
    char file[400];
    in_from(fixture, file, "file");
    tree_write(file, 1, 100 * BLOCK);
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.stop_after = 60 * BLOCK;
    pair_loop(&fixture->pair);
    uint64_t first = wire_bytes(fixture);
    run(fixture, 2, LH_JOB_UPLOAD);
    check_arrived(fixture);
    uint64_t content = fixture->pair.client.verdict.counts.bytes_sent;
    assert_true(content <= 100 * BLOCK - first + 20 * BLOCK);
    assert_true(content < 70 * BLOCK);
}

static void a_source_that_changed_between_the_runs_is_not_mixed(void **state)
{
    struct fixture *fixture = *state;
    char file[400], dir[400], partial[600];
    in_from(fixture, file, "file");
    for (int i = 0; i < 3; i++) {
        tree_write(file, 2 * (uint64_t)i, 50 * BLOCK);
        begin(fixture, 1, LH_JOB_UPLOAD);
        fixture->pair.stop_after = 30 * BLOCK;
        pair_loop(&fixture->pair);
        tree_write(file, 2 * (uint64_t)i + 1, i == 1 ? 40 * BLOCK + 7 : 50 * BLOCK);
        run(fixture, 2, LH_JOB_UPLOAD);
        check_arrived(fixture);
        in_to(fixture, dir, ".");
        find_partial(dir, partial, sizeof partial);
        assert_string_equal(partial, "");
    }
}

static void a_partial_that_someone_replaced_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char file[400], dir[400], partial[600];
    in_from(fixture, file, "file");
    tree_write(file, 1, 50 * BLOCK);
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.stop_after = 30 * BLOCK;
    pair_loop(&fixture->pair);
    pair_fini(&fixture->pair);
    in_to(fixture, dir, ".");
    find_partial(dir, partial, sizeof partial);
    assert_string_not_equal(partial, "");
    char aside[400];
    in_from(fixture, aside, "../aside");
    check_int(rename(partial, aside), 0);
    tree_write_text(partial, "somebody else's");
    run(fixture, 2, LH_JOB_UPLOAD);
    check_uint(fixture->pair.client.verdict.code, 0);
    size_t len;
    char *text = tree_read(partial, &len);
    assert_non_null(text);
    assert_string_equal(text, "somebody else's");
    free(text);
    check_int(unlink(partial), 0);
    check_arrived(fixture);
}

static void blocks_of_a_partial_that_were_spoiled_are_sent_again(void **state)
{
    struct fixture *fixture = *state;
    char file[400], dir[400], partial[600];
    in_from(fixture, file, "file");
    tree_write(file, 1, 50 * BLOCK);
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.stop_after = 40 * BLOCK;
    pair_loop(&fixture->pair);
    pair_fini(&fixture->pair);
    in_to(fixture, dir, ".");
    find_partial(dir, partial, sizeof partial);
    int fd = open(partial, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t i = 0; i < 50; i += 2)
        check_int(pwrite(fd, "spoiled", 7, i * (off_t)BLOCK + 100), 7);
    close(fd);
    run(fixture, 2, LH_JOB_UPLOAD);
    check_arrived(fixture);
}

static void a_file_that_cannot_be_read_is_named_and_the_rest_arrives(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    struct lh_prng prng = {22};
    in_from(fixture, path, "tree");
    tree_random(path, &prng, 40, 100000);
    in_from(fixture, path, "secret-small");
    tree_write(path, 1, 100);
    check_int(chmod(path, 0), 0);
    in_from(fixture, path, "secret-large");
    tree_write(path, 1, 10 * BLOCK);
    check_int(chmod(path, 0), 0);
    in_from(fixture, path, "secret-dir");
    tree_mkdir(path);
    check_int(chmod(path, 0), 0);
    for (int direction = 0; direction < 2; direction++) {
        run(fixture, 1, direction);
        const struct pair_end *client = &fixture->pair.client;
        check_uint(client->verdict.code, LH_CODE_NO_PERMISSION);
        check_uint(client->verdict.counts.files_failed, 3);
        check_uint(client->verdict.counts.files_complete + client->verdict.counts.files_skipped,
                   40);
        assert_non_null(strstr(client->log, "secret-small: "));
        assert_non_null(strstr(client->log, "secret-large: "));
        assert_non_null(strstr(client->log, "secret-dir: "));
    }
    in_from(fixture, path, "secret-dir");
    check_int(chmod(path, 0700), 0);
}

static bool remove_one(struct pair *pair, void *ctx)
{
    if (pair->client.out.block_bytes > 0 && unlink(ctx) == 0)
        pair->step = NULL;
    return false;
}

static void a_file_that_vanishes_is_named_and_the_rest_arrives(void **state)
{
    struct fixture *fixture = *state;
    char file[400];
    for (int i = 0; i < 9; i++) {
        tree_path(file, sizeof file, "%s/file%d", fixture->from, i);
        tree_write(file, (uint64_t)i, 30 * BLOCK);
    }
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.step = remove_one;
    fixture->pair.step_ctx = file;
    pair_loop(&fixture->pair);
    check_uint(fixture->pair.client.verdict.code, LH_CODE_NO_SUCH_FILE);
    check_uint(fixture->pair.client.verdict.counts.files_complete, 8);
    assert_non_null(strstr(fixture->pair.client.log, "file8"));
    assert_non_null(strstr(fixture->pair.server.log, "file8"));
}

struct changing {
    const char *path;
    int times;
    uint64_t at; // block bytes delivered
};

// Appends to the file while it is read, `times` times.
static bool change(struct pair *pair, void *ctx)
{
    struct changing *changing = ctx;
    if (changing->times == 0 || pair->client.out.block_bytes < changing->at)
        return false;
    int fd = open(changing->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    check_int(write(fd, "more", 4), 4);
    close(fd);
    changing->times--;
    changing->at = pair->client.out.block_bytes + 2 * BLOCK;
    return false;
}

static void a_file_that_changes_once_is_read_again(void **state)
{
    struct fixture *fixture = *state;
    char file[400], other[400];
    in_from(fixture, file, "changes");
    tree_write(file, 1, 60 * BLOCK);
    in_from(fixture, other, "rests");
    tree_write(other, 2, 10 * BLOCK);
    struct changing changing = {file, 1, 20 * BLOCK};
    fixture->read_ahead = 4 * BLOCK;
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.step = change;
    fixture->pair.step_ctx = &changing;
    pair_loop(&fixture->pair);
    check_arrived(fixture);
    check_uint(fixture->pair.client.verdict.counts.files_complete, 2);
    check_uint(fixture->pair.server.verdict.counts.files_complete, 2);
}

static void a_file_that_keeps_changing_never_arrives(void **state)
{
    struct fixture *fixture = *state;
    char file[400], other[400];
    in_from(fixture, file, "changes");
    tree_write(file, 1, 60 * BLOCK);
    in_from(fixture, other, "rests");
    tree_write(other, 2, 10 * BLOCK);
    struct changing changing = {file, 1000, 20 * BLOCK};
    fixture->read_ahead = 4 * BLOCK; // so that it is read no faster than it changes
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.step = change;
    fixture->pair.step_ctx = &changing;
    pair_loop(&fixture->pair);
    check_uint(fixture->pair.client.verdict.code, LH_CODE_SOME_FILES);
    check_uint(fixture->pair.client.verdict.counts.files_complete, 1);
    check_uint(fixture->pair.client.verdict.counts.files_failed, 1);
    assert_non_null(strstr(fixture->pair.client.log, "changed while being read"));
    check_uint(pair_held(&fixture->pair.client), 10 * BLOCK);
    in_to(fixture, other, "changes");
    check_int(access(other, F_OK), -1);
    // At rest, it arrives, and nothing of the earlier tries is left.
    run(fixture, 2, LH_JOB_UPLOAD);
    check_arrived(fixture);
}

static bool change_before_it_is_read(struct pair *pair, void *ctx)
{
    struct lh_job_status status;
    lh_job_status(pair->client.job, &status);
    if (status.files_total == 0) // not announced yet
        return false;
    tree_write_text(ctx, "what it is in the end");
    pair->step = NULL;
    return false;
}

static void a_small_file_that_changes_after_it_was_announced_arrives_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    char file[400];
    in_from(fixture, file, "other");
    tree_write_text(file, "rests");
    in_from(fixture, file, "small");
    tree_write_text(file, "at first");
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.step = change_before_it_is_read;
    fixture->pair.step_ctx = file;
    pair_loop(&fixture->pair);
    check_arrived(fixture);
    check_uint(fixture->pair.client.verdict.counts.files_complete, 2);
}

static bool spoil_target(struct pair *pair, void *ctx)
{
    if (pair->client.out.block_bytes == 0)
        return false;
    // In place, keeping size and times: only a digest can tell.
    struct stat before;
    int fd = open(ctx, O_WRONLY | O_CLOEXEC);
    check_int(fstat(fd, &before), 0);
    check_int(pwrite(fd, "spoiled", 7, 3 * BLOCK), 7);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    check_int(futimens(fd, times), 0);
    close(fd);
    pair->step = NULL;
    return false;
}

static void an_old_file_that_changes_while_it_is_used_is_not_mixed_in(void **state)
{
    struct fixture *fixture = *state;
    char file[400], target[400];
    in_from(fixture, file, "file");
    tree_write(file, 1, 10 * BLOCK);
    in_to(fixture, target, "");
    tree_mkdir(target);
    in_to(fixture, target, "file");
    tree_write(target, 1, 10 * BLOCK);
    int fd = open(target, O_WRONLY | O_CLOEXEC);
    check_int(pwrite(fd, "differs", 7, 8 * BLOCK), 7);
    close(fd);
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.step = spoil_target;
    fixture->pair.step_ctx = target;
    pair_loop(&fixture->pair);
    check_uint(fixture->pair.client.verdict.counts.files_failed, 1);
    assert_non_null(strstr(fixture->pair.client.log, "changed meanwhile"));
    run(fixture, 2, LH_JOB_UPLOAD);
    check_arrived(fixture);
}

static void files_and_directories_do_not_replace_each_other(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    in_to(fixture, path, "");
    tree_mkdir(path);
    in_from(fixture, path, "a");
    tree_write_text(path, "a file");
    in_to(fixture, path, "a");
    tree_mkdir(path);
    in_from(fixture, path, "b");
    tree_mkdir(path);
    in_from(fixture, path, "b/below");
    tree_write_text(path, "below");
    in_to(fixture, path, "b");
    tree_write_text(path, "a file");
    in_from(fixture, path, "c");
    tree_write_text(path, "fine");
    run(fixture, 1, LH_JOB_UPLOAD);
    const struct pair_end *client = &fixture->pair.client;
    assert_true(client->verdict.code != 0);
    check_uint(client->verdict.counts.files_complete, 1);
    check_uint(client->verdict.counts.files_failed, 3); // a, b, b/below
    in_to(fixture, path, "b");
    size_t len;
    char *text = tree_read(path, &len);
    assert_string_equal(text, "a file");
    free(text);
}

static void a_symlink_at_the_target_is_replaced_and_not_followed(void **state)
{
    struct fixture *fixture = *state;
    char path[400], canary[400];
    in_from(fixture, canary, "../canary");
    tree_write_text(canary, "untouched");
    in_to(fixture, path, "");
    tree_mkdir(path);
    in_from(fixture, path, "small");
    tree_write_text(path, "new");
    in_from(fixture, path, "large");
    tree_write(path, 3, 9 * BLOCK);
    in_to(fixture, path, "small");
    check_int(symlink(canary, path), 0);
    in_to(fixture, path, "large");
    check_int(symlink(canary, path), 0);
    run(fixture, 1, LH_JOB_UPLOAD);
    check_arrived(fixture);
    // A symlink in the place of a directory is refused.
    in_from(fixture, path, "d");
    tree_mkdir(path);
    in_from(fixture, path, "d/f");
    tree_write_text(path, "x");
    in_to(fixture, path, "d");
    check_int(symlink(fixture->root, path), 0);
    run(fixture, 2, LH_JOB_UPLOAD);
    check_uint(fixture->pair.client.verdict.counts.files_failed, 2);
    in_from(fixture, path, "../f");
    check_int(access(path, F_OK), -1);
    size_t len;
    char *text = tree_read(canary, &len);
    assert_string_equal(text, "untouched");
    free(text);
}

static void special_files_are_left_out_with_a_word(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    in_from(fixture, path, "fifo");
    check_int(mkfifo(path, 0600), 0);
    in_from(fixture, path, "file");
    tree_write_text(path, "x");
    run(fixture, 1, LH_JOB_UPLOAD);
    check_uint(fixture->pair.client.verdict.code, 0);
    assert_non_null(strstr(fixture->pair.client.log, "skipped 21"));
    // A FIFO where a file is to go cannot hang us and stays.
    in_to(fixture, path, "file");
    check_int(unlink(path), 0);
    check_int(mkfifo(path, 0600), 0);
    run(fixture, 2, LH_JOB_UPLOAD);
    check_uint(fixture->pair.client.verdict.code, LH_CODE_NOT_REGULAR);
}

static void a_missing_source_is_said_and_the_others_arrive(void **state)
{
    struct fixture *fixture = *state;
    char there[400], missing[400];
    in_from(fixture, there, "there");
    tree_write_text(there, "x");
    in_from(fixture, missing, "missing");
    const char *sources[] = {missing, there};
    for (int direction = 0; direction < 2; direction++) {
        struct lh_job_request request = {
            .direction = direction, .sources = sources, .source_count = 2, .dest = fixture->to};
        struct pair_options options = {.seed = 1};
        pair_fini(&fixture->pair);
        pair_init(&fixture->pair, &options);
        pair_run(&fixture->pair, &request);
        check_uint(fixture->pair.client.verdict.code, LH_CODE_NO_SUCH_FILE);
        check_uint(fixture->pair.client.verdict.counts.files_complete, 1);
        assert_non_null(strstr(fixture->pair.client.log, "missing"));
    }
}

static void without_a_place_for_the_journal_the_transfer_goes_on(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    in_from(fixture, path, "file");
    tree_write(path, 1, 5 * BLOCK);
    static const char *const places[] = {NULL, "/proc/nowhere"};
    for (size_t i = 0; i < LH_ARRAY_LEN(places); i++) {
        tree_path(fixture->server_state, sizeof fixture->server_state, "%s",
                  places[i] == NULL ? "" : places[i]);
        const char *sources[] = {fixture->from};
        struct pair_options options = {.seed = i, .server_state = places[i]};
        struct lh_job_request request = {
            .sources = sources, .source_count = 1, .dest = fixture->to, .flags = LH_JOB_PRESERVE};
        pair_fini(&fixture->pair);
        pair_init(&fixture->pair, &options);
        pair_run(&fixture->pair, &request);
        check_arrived(fixture);
        assert_non_null(strstr(fixture->pair.client.log, "journal"));
    }
}

// Waits no longer than a moment.
static bool is_busy(struct pair *pair, void *ctx)
{
    (void)ctx;
    if (pair->server.job->receiver != NULL && pair->server.job->receiver->busy_count > 1)
        pair->server.job->receiver->busy_count += 1000;
    return false;
}

static bool is_busy_once(struct pair *pair, void *ctx)
{
    if (pair->server.job->receiver != NULL && pair->server.job->receiver->busy_count == 1)
        pair_fini(ctx);
    return false;
}

static void a_second_session_of_the_same_job_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    in_from(fixture, path, "file");
    tree_write(path, 1, 50 * BLOCK);
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.stop_after = 10 * BLOCK;
    pair_loop(&fixture->pair);

    struct pair second;
    const char *sources[] = {fixture->from};
    struct pair_options options = {.seed = 1, .server_state = fixture->server_state};
    struct lh_job_request request = {
        .sources = sources, .source_count = 1, .dest = fixture->to, .flags = LH_JOB_PRESERVE};
    pair_init(&second, &options);
    second.step = is_busy;
    pair_run(&second, &request);
    check_uint(second.client.verdict.code, LH_CODE_BUSY);
    pair_fini(&second);

    // One that comes just after the first was killed waits until that has let go.
    pair_init(&second, &options);
    second.step = is_busy_once;
    second.step_ctx = &fixture->pair;
    pair_run(&second, &request);
    check_uint(second.client.verdict.code, 0);
    pair_fini(&second);
    run(fixture, 3, LH_JOB_UPLOAD);
    check_arrived(fixture);
}

static void a_canceled_transfer_says_so_and_goes_on_later(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    in_from(fixture, path, "file");
    tree_write(path, 1, 50 * BLOCK);
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.stop_after = 30 * BLOCK;
    pair_loop(&fixture->pair);
    lh_job_cancel(fixture->pair.client.job);
    fixture->pair.stop_after = 0;
    pair_loop(&fixture->pair);
    check_uint(fixture->pair.client.verdict.code, LH_CODE_CANCELED);
    assert_true(fixture->pair.client.verdict.resumable);
    check_uint(fixture->pair.server.verdict.code, LH_CODE_CANCELED);
    run(fixture, 2, LH_JOB_UPLOAD);
    check_arrived(fixture);
    assert_true(fixture->pair.client.verdict.counts.bytes_sent < 45 * BLOCK);
}

// --- A full disk ---

static char small_disk[] = "/tmp/lh-small-disk-XXXXXX"; // a tmpfs of SMALL_DISK bytes, or ""
#define SMALL_DISK (40 * BLOCK)

static void a_full_disk_fails_what_does_not_fit_and_the_rest_arrives(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    if (small_disk[0] == '\0') {
        print_message("# no small disk could be mounted here\n");
        skip();
    }
    in_from(fixture, path, "a-large");
    tree_write(path, 1, 60 * BLOCK); // never fits
    in_from(fixture, path, "b-large");
    tree_write(path, 2, 10 * BLOCK);
    for (int i = 0; i < 20; i++) {
        tree_path(path, sizeof path, "%s/small%d", fixture->from, i);
        tree_write(path, (uint64_t)i, 3000);
    }
    tree_path(fixture->to, sizeof fixture->to, "%s/to", small_disk);
    tree_mkdir(fixture->to);
    run(fixture, 1, LH_JOB_UPLOAD);
    const struct pair_end *client = &fixture->pair.client;
    check_uint(client->verdict.code, LH_CODE_NO_SPACE);
    check_uint(client->verdict.counts.files_failed + client->verdict.counts.files_complete, 22);
    assert_true(client->verdict.counts.files_failed >= 1);
    assert_true(client->verdict.resumable);
    assert_non_null(strstr(client->log, "failed 25"));
    assert_non_null(strstr(client->log, "a-large"));

    // With a smaller file in its place it all fits; what had arrived stays.
    in_from(fixture, path, "a-large");
    tree_write(path, 1, 8 * BLOCK);
    run(fixture, 2, LH_JOB_UPLOAD);
    check_arrived(fixture);
    tree_path(path, sizeof path, "%s/to/from", small_disk);
    check_uint(tree_count(path), 22);
}

// Somebody else fills the disk while the file is on its way.
static bool fill_disk(struct pair *pair, void *ctx)
{
    if (pair_held(&pair->server) < 8 * BLOCK) // written, not only sent
        return false;
    static uint8_t zeros[BLOCK];
    int fd = open(ctx, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, zeros, sizeof zeros) > 0)
        continue;
    close(fd);
    pair->step = NULL;
    return false;
}

static void after_a_full_disk_only_the_missing_is_sent(void **state)
{
    struct fixture *fixture = *state;
    char path[400], ballast[400];
    if (small_disk[0] == '\0') {
        print_message("# no small disk could be mounted here\n");
        skip();
    }
    in_from(fixture, path, "large");
    tree_write(path, 1, 30 * BLOCK);
    tree_path(fixture->to, sizeof fixture->to, "%s/to2", small_disk);
    tree_mkdir(fixture->to);
    tree_path(ballast, sizeof ballast, "%s/to", small_disk);
    tree_remove(strdup(ballast)); // of the test before
    tree_path(ballast, sizeof ballast, "%s/ballast", small_disk);
    fixture->read_ahead = 4 * BLOCK;
    begin(fixture, 1, LH_JOB_UPLOAD);
    fixture->pair.step = fill_disk;
    fixture->pair.step_ctx = ballast;
    pair_loop(&fixture->pair);
    check_uint(fixture->pair.client.verdict.code, LH_CODE_NO_SPACE);
    assert_non_null(strstr(fixture->pair.client.log, "1966080 bytes) needed"));
    assert_non_null(strstr(fixture->pair.client.log, "free"));
    check_int(unlink(ballast), 0);
    run(fixture, 2, LH_JOB_UPLOAD);
    check_arrived(fixture);
    assert_true(fixture->pair.client.verdict.counts.bytes_sent <= 24 * BLOCK);
}

// Needs root or user namespaces; without them small_disk stays empty and its test is skipped.
static void mount_small_disk(void)
{
    bool mounted = false;
    char options[64];
    snprintf(options, sizeof options, "size=%u,mode=777", SMALL_DISK);
    if (mkdtemp(small_disk) == NULL) {
        small_disk[0] = '\0';
        return;
    }
    if (geteuid() == 0)
        mounted = unshare(CLONE_NEWNS) == 0 && mount("", "/", "", MS_REC | MS_PRIVATE, NULL) == 0 &&
                  mount("none", small_disk, "tmpfs", 0, options) == 0;
    if (!mounted) {
        rmdir(small_disk);
        small_disk[0] = '\0';
    }
}

static void become_nobody(void)
{
    const gid_t nogroup = 65534;
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setgid(nogroup) != 0 || setuid(65534) != 0) {
        perror("cannot become nobody");
        exit(1);
    }
}

int main(void)
{
    mount_small_disk();
    become_nobody();
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(after_any_number_of_kills_the_tree_is_whole_and_little_was_sent_twice),
        CASE(an_interrupted_tree_goes_on_under_the_name_it_was_given),
        CASE(a_resumed_file_is_sent_from_where_it_stopped),
        CASE(a_source_that_changed_between_the_runs_is_not_mixed),
        CASE(a_partial_that_someone_replaced_is_left_alone),
        CASE(blocks_of_a_partial_that_were_spoiled_are_sent_again),
        CASE(a_file_that_cannot_be_read_is_named_and_the_rest_arrives),
        CASE(a_file_that_vanishes_is_named_and_the_rest_arrives),
        CASE(a_file_that_changes_once_is_read_again),
        CASE(a_file_that_keeps_changing_never_arrives),
        CASE(a_small_file_that_changes_after_it_was_announced_arrives_as_it_is),
        CASE(an_old_file_that_changes_while_it_is_used_is_not_mixed_in),
        CASE(files_and_directories_do_not_replace_each_other),
        CASE(a_symlink_at_the_target_is_replaced_and_not_followed),
        CASE(special_files_are_left_out_with_a_word),
        CASE(a_missing_source_is_said_and_the_others_arrive),
        CASE(without_a_place_for_the_journal_the_transfer_goes_on),
        CASE(a_second_session_of_the_same_job_is_refused),
        CASE(a_canceled_transfer_says_so_and_goes_on_later),
        CASE(a_full_disk_fails_what_does_not_fit_and_the_rest_arrives),
        CASE(after_a_full_disk_only_the_missing_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
