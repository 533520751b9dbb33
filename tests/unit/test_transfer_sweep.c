// SPDX-License-Identifier: Apache-2.0
//
// What a killed run left behind is swept by the next run of the same job, and nothing else is
// touched.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "transfer/receiver_internal.h"
#include "transfer_pair.h"

#define BLOCK 65536u

struct fixture {
    char *root;
    char from[256], to[256], state[256];
    struct pair pair;
};

static int set_up(void **state)
{
    char path[400];
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->root = tree_temp();
    tree_path(fixture->from, sizeof fixture->from, "%s/from", fixture->root);
    tree_path(fixture->to, sizeof fixture->to, "%s/to", fixture->root);
    tree_path(fixture->state, sizeof fixture->state, "%s/state", fixture->root);
    tree_mkdir(fixture->from);
    tree_mkdir(fixture->to);
    tree_path(path, sizeof path, "%s/file", fixture->from);
    tree_write(path, 1, 40 * BLOCK);
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

static void run(struct fixture *fixture, uint64_t stop_after)
{
    const char *sources[] = {fixture->from};
    struct pair_options options = {.seed = 1, .server_state = fixture->state};
    struct lh_job_request request = {.sources = sources, .source_count = 1, .dest = fixture->to};
    pair_fini(&fixture->pair);
    pair_init(&fixture->pair, &options);
    fixture->pair.stop_after = stop_after;
    pair_run(&fixture->pair, &request);
}

static void in_to(const struct fixture *fixture, char *out, const char *name)
{
    tree_path(out, 400, "%s/from/%s", fixture->to, name);
}

static void what_a_killed_run_left_is_swept_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    char path[400], name[64];
    run(fixture, 20 * BLOCK);
    const struct lh_sweeping *sweeping = &fixture->pair.server.job->receiver->sweeping;
    char mark[16];
    snprintf(mark, sizeof mark, "%s", sweeping->job_mark);
    check_uint(strlen(mark), 6);
    pair_fini(&fixture->pair);

    const struct {
        const char *name; // %s: the job's mark
        mode_t mode;
        bool stays;
    } cases[] = {
        {".lh-%sAAAAAAAAAAAAAAAA", 0600, false},
        {".lh-%sAAAAAAAAAAAAAAAB", 0644, false}, // killed between its mode and its name
        {".lh-%sAAAAAAAAAAAAAAA", 0600, true},   // too short to be one of ours
        {".lh-%sAAAAAAAAAAAAAAAAA", 0600, true},
        {".lh-%sAAAAAAAAAAAAAA.A", 0600, true},
        {".lh-000000AAAAAAAAAAAAAAAA", 0600, true}, // another job's
        {"lh-%sAAAAAAAAAAAAAAAA", 0600, true},
        {"file.txt", 0600, true},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        const char *at = strstr(cases[i].name, "%s");
        size_t head = at == NULL ? strlen(cases[i].name) : (size_t)(at - cases[i].name);
        snprintf(name, sizeof name, "%.*s%s%s", (int)head, cases[i].name, at == NULL ? "" : mark,
                 at == NULL ? "" : at + 2);
        in_to(fixture, path, name);
        tree_write_text(path, "left");
        check_int(chmod(path, cases[i].mode), 0);
    }
    char linked[400], folder[400], link[400];
    snprintf(name, sizeof name, ".lh-%sBBBBBBBBBBBBBBBB", mark);
    in_to(fixture, linked, name); // two links: somebody wants to keep it
    tree_write_text(linked, "left");
    in_to(fixture, path, "second-link");
    check_int(linkat(AT_FDCWD, linked, AT_FDCWD, path, 0), 0);
    snprintf(name, sizeof name, ".lh-%sCCCCCCCCCCCCCCCC", mark);
    in_to(fixture, folder, name);
    tree_mkdir(folder);
    snprintf(name, sizeof name, ".lh-%sDDDDDDDDDDDDDDDD", mark);
    in_to(fixture, link, name);
    check_int(symlink("anything", link), 0);

    run(fixture, 0);
    check_uint(fixture->pair.client.verdict.code, 0);
    assert_true(fixture->pair.client.verdict.counts.bytes_sent < 40 * BLOCK); // it did resume
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        const char *at = strstr(cases[i].name, "%s");
        size_t head = at == NULL ? strlen(cases[i].name) : (size_t)(at - cases[i].name);
        snprintf(name, sizeof name, "%.*s%s%s", (int)head, cases[i].name, at == NULL ? "" : mark,
                 at == NULL ? "" : at + 2);
        in_to(fixture, path, name);
        if ((access(path, F_OK) == 0) != cases[i].stays)
            fail_msg("%s: %s", cases[i].name, cases[i].stays ? "was removed" : "is still there");
    }
    struct stat found;
    check_int(lstat(linked, &found), 0);
    check_int(lstat(folder, &found), 0);
    check_int(lstat(link, &found), -1);
}

static void the_partial_of_a_source_that_is_gone_goes_with_the_end_of_the_job(void **state)
{
    struct fixture *fixture = *state;
    char path[400];
    run(fixture, 20 * BLOCK);
    tree_path(path, sizeof path, "%s/file", fixture->from);
    check_int(unlink(path), 0);
    tree_path(path, sizeof path, "%s/other", fixture->from);
    tree_write_text(path, "other");
    pair_fini(&fixture->pair);
    check_uint(tree_count(fixture->to), 2); // the directory and the partial
    run(fixture, 0);
    check_uint(fixture->pair.client.verdict.code, 0);
    check_uint(tree_count(fixture->to), 2); // the directory and "other"
    in_to(fixture, path, "other");
    check_int(access(path, F_OK), 0);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_a_killed_run_left_is_swept_and_nothing_else),
        CASE(the_partial_of_a_source_that_is_gone_goes_with_the_end_of_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
