// SPDX-License-Identifier: Apache-2.0
//
// Peers that break the protocol, in either role. Each script ends the session with an error, and
// nothing outside the destination is touched (threats T20, T25 to T28).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "transfer_rogue.h"

static void name_up(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, 5, TEXT(".."));
}
static void name_dot(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_DIRECTORY, 0, TEXT("."));
}
static void name_empty(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, 5, TEXT(""));
}
static void name_path(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, 5, TEXT("../../canary"));
}
static void name_absolute(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, 5, TEXT("/tmp/canary"));
}
static void name_nul(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, 5, TEXT("a\0b"));
}
static void name_long(struct pair_end *to)
{
    char name[LH_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, 5, (struct lh_text){name, sizeof name});
}
static void name_for_a_source(struct pair_end *to)
{
    rogue_say(to, MESSAGE(ENTRY, entry, .id = NEXT_ID, .name = TEXT("other")));
}
static void parent_unknown(struct pair_end *to)
{
    rogue_say(to, MESSAGE(ENTRY, entry, .id = NEXT_ID, .parent_kind = LH_PARENT_ENTRY, .parent = 3,
                          .name = TEXT("n")));
}
static void parent_a_file(struct pair_end *to)
{
    rogue_say(to, MESSAGE(ENTRY, entry, .id = NEXT_ID, .parent_kind = LH_PARENT_ENTRY,
                          .parent = SMALL_ID, .name = TEXT("n")));
}
static void source_unknown(struct pair_end *to)
{
    rogue_say(to, MESSAGE(ENTRY, entry, .id = NEXT_ID, .parent = 1));
}
static void source_twice(struct pair_end *to)
{
    rogue_say(to, MESSAGE(ENTRY, entry, .id = NEXT_ID, .kind = LH_ENTRY_DIRECTORY));
}
static void id_repeated(struct pair_end *to)
{
    rogue_say_entry(to, SMALL_ID, LH_ENTRY_FILE, 5, TEXT("n"));
}
static void id_skipped(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID + 1, LH_ENTRY_FILE, 5, TEXT("n"));
}
static void again_for_nothing(struct pair_end *to)
{
    rogue_say(to, MESSAGE(ENTRY, entry, .id = NEXT_ID, .parent_kind = LH_PARENT_ENTRY, .again = 1,
                          .name = TEXT("n")));
}
static void size_beyond_all(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, INT64_MAX, TEXT("n"));
}
static void list_end_with_other_counts(struct pair_end *to)
{
    rogue_say(to,
              MESSAGE(LIST_END, list_end, .files = 4, .directories = 1, .bytes = LARGE_SIZE + 5));
}
static void list_end_twice(struct pair_end *to)
{
    rogue_list_end(to);
    assert_false(to->finished);
    rogue_list_end(to);
}
static void entry_after_list_end(struct pair_end *to)
{
    rogue_list_end(to);
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, 5, TEXT("n"));
}
static void block_of_no_file(struct pair_end *to)
{
    rogue_send_block(to, 77, 0, BLOCK, true);
}
static void block_of_a_directory(struct pair_end *to)
{
    rogue_send_block(to, DIR_ID, 0, BLOCK, true);
}
static void block_of_a_small_file(struct pair_end *to)
{
    rogue_send_block(to, SMALL_ID, 0, 5, true);
}
static void block_before_it_was_asked_for(struct pair_end *to)
{
    rogue_say_entry(to, NEXT_ID, LH_ENTRY_FILE, LARGE_SIZE, TEXT("early"));
    rogue_send_block(to, NEXT_ID, 0, BLOCK, true);
}
static void block_beyond_the_end(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 6, 10, true);
}
static void block_too_short(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 0, BLOCK - 1, true);
}
static void block_too_long(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 5, 11, true);
}
static void block_twice(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 1, BLOCK, true);
    assert_false(to->finished);
    rogue_send_block(to, LARGE_ID, 1, BLOCK, true);
}
static void block_with_another_digest(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 1, BLOCK, false);
}
static void block_after_the_last(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 0, BLOCK, true);
    rogue_end_file(to, LARGE_ID, LH_FILE_END_FAILED, 1);
    rogue_send_block(to, LARGE_ID, 1, BLOCK, true);
}
static void block_of_junk(struct pair_end *to)
{
    pair_inject_block(to, "\1\0\0\0junk", 8);
}
static void bundle_of_no_file(struct pair_end *to)
{
    rogue_send_bundle(to, (uint32_t[]){77}, 1, 5, true);
}
static void bundle_with_a_directory(struct pair_end *to)
{
    rogue_send_bundle(to, (uint32_t[]){DIR_ID}, 1, 0, true);
}
static void bundle_of_another_length(struct pair_end *to)
{
    rogue_send_bundle(to, (uint32_t[]){SMALL_ID}, 1, 6, true);
}
static void bundle_with_one_file_twice(struct pair_end *to)
{
    rogue_send_bundle(to, (uint32_t[]){SMALL_ID, SMALL_ID}, 2, 5, true);
}
static void bundle_with_a_large_file(struct pair_end *to)
{
    rogue_send_bundle(to, (uint32_t[]){LARGE_ID}, 1, 5, true);
}
static void bundle_with_another_digest(struct pair_end *to)
{
    rogue_send_bundle(to, (uint32_t[]){SMALL_ID}, 1, 5, false);
}
static void same_without_have(struct pair_end *to)
{
    static const struct lh_run run = {0, 1};
    rogue_say(to, MESSAGE(SAME, same, .id = LARGE_ID, .blocks = {1, &run, {0}}));
}
static void same_of_a_small_file(struct pair_end *to)
{
    static const struct lh_run run = {0, 1};
    rogue_say(to, MESSAGE(SAME, same, .id = SMALL_ID, .blocks = {1, &run, {0}}));
}
static void end_of_no_file(struct pair_end *to)
{
    rogue_end_file(to, 77, LH_FILE_END_DIGEST, 0);
}
static void end_of_a_directory(struct pair_end *to)
{
    rogue_end_file(to, DIR_ID, LH_FILE_END_FAILED, 0);
}
static void end_with_blocks_missing(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 0, BLOCK, true);
    rogue_end_file(to, LARGE_ID, LH_FILE_END_DIGEST, 1);
}
static void end_with_fewer_blocks_than_came(struct pair_end *to)
{
    rogue_send_block(to, LARGE_ID, 0, BLOCK, true);
    rogue_send_block(to, LARGE_ID, 1, BLOCK, true);
    rogue_end_file(to, LARGE_ID, LH_FILE_END_FAILED, 1);
}
static void end_with_too_many_blocks(struct pair_end *to)
{
    rogue_end_file(to, LARGE_ID, LH_FILE_END_FAILED, 7);
}
static void end_twice(struct pair_end *to)
{
    rogue_end_file(to, LARGE_ID, LH_FILE_END_FAILED, 3);
    assert_false(to->finished);
    rogue_end_file(to, LARGE_ID, LH_FILE_END_FAILED, 3);
}
static void end_of_a_small_file_that_never_came(struct pair_end *to)
{
    rogue_end_file(to, SMALL_ID, LH_FILE_END_DIGEST, 0);
}
static void end_with_another_digest(struct pair_end *to)
{
    for (uint32_t i = 0; i < 6; i++)
        rogue_send_block(to, LARGE_ID, i, i == 5 ? 10 : BLOCK, true);
    rogue_end_file(to, LARGE_ID, LH_FILE_END_DIGEST, 6);
}
static void job_twice(struct pair_end *to)
{
    rogue_say(to, MESSAGE(JOB, job, .block_log2 = 16, .source_count = 1, .dest = TEXT("/")));
}
static void source_too_many(struct pair_end *to)
{
    rogue_say(to, MESSAGE(SOURCE, source, .index = 1, .path = TEXT("y"), .name = TEXT("y")));
}
static void decide_from_the_sender(struct pair_end *to)
{
    rogue_say(to, MESSAGE(DECIDE, decide, .decision = LH_DECIDE_SKIP));
}
static void have_from_the_sender(struct pair_end *to)
{
    rogue_say(to, MESSAGE(HAVE, have, .id = LARGE_ID));
}
static void job_end_too_early(struct pair_end *to)
{
    rogue_say(to, MESSAGE(JOB_END, job_end, .code = 0));
}
static void critical_and_unknown(struct pair_end *to)
{
    pair_inject_stream(to, "\x77\x01\x00\x00", 4);
}
static void job_end_with_wrong_counts(struct pair_end *to)
{
    for (uint32_t i = 0; i < 6; i++)
        rogue_send_block(to, LARGE_ID, i, i == 5 ? 10 : BLOCK, true);
    rogue_send_bundle(to, (uint32_t[]){SMALL_ID}, 1, 5, true);
    rogue_send_bundle(to, (uint32_t[]){EMPTY_ID}, 1, 0, true);
    rogue_end_file(to, LARGE_ID, LH_FILE_END_FAILED, 6);
    rogue_list_end(to);
    pair_loop(to->pair);
    assert_false(to->finished);
    check_int(to->job->state, LH_JOB_STATE_ENDING);
    rogue_say(to, MESSAGE(JOB_END, job_end, .counts = {.files_complete = 3}));
}
static void junk(struct pair_end *to)
{
    pair_inject_stream(to, "GET / HTTP/1.1\r\n\r\n", 18);
    pair_inject_stream(to, "\x01\x01\xff\xff", 4);
    uint8_t more[70000] = {0};
    pair_inject_stream(to, more, sizeof more);
}

#define SCRIPT(function, expected)                                                                 \
    {                                                                                              \
#function, function, expected                                                              \
    }
struct script {
    const char *name;
    void (*run)(struct pair_end *to);
    lh_err expected;
};

static void check_ended(struct rogue *rogue, const struct script *script)
{
    const struct pair_end *server = &rogue->pair.server;
    rogue_settle(rogue);
    if (!server->finished)
        fail_msg("%s: the session goes on", script->name);
    if (server->verdict.err != script->expected)
        fail_msg("%s: ended with %d (%s), expected %d", script->name, server->verdict.err,
                 server->verdict_text, script->expected);
    rogue_check_canaries(rogue, script->name);
}

static void a_sender_that_breaks_the_rules_ends_the_session(void **state)
{
    static const struct script scripts[] = {
        SCRIPT(name_up, LH_E_PATH),
        SCRIPT(name_dot, LH_E_PATH),
        SCRIPT(name_empty, LH_E_PATH),
        SCRIPT(name_path, LH_E_PATH),
        SCRIPT(name_absolute, LH_E_PATH),
        SCRIPT(name_nul, LH_E_PROTO),
        SCRIPT(name_long, LH_E_PATH),
        SCRIPT(name_for_a_source, LH_E_PATH),
        SCRIPT(parent_unknown, LH_E_PROTO),
        SCRIPT(parent_a_file, LH_E_PROTO),
        SCRIPT(source_unknown, LH_E_PROTO),
        SCRIPT(source_twice, LH_E_PROTO),
        SCRIPT(id_repeated, LH_E_PROTO),
        SCRIPT(id_skipped, LH_E_PROTO),
        SCRIPT(again_for_nothing, LH_E_PROTO),
        SCRIPT(size_beyond_all, LH_E_LIMIT),
        SCRIPT(list_end_with_other_counts, LH_E_PROTO),
        SCRIPT(list_end_twice, LH_E_PROTO),
        SCRIPT(entry_after_list_end, LH_E_PROTO),
        SCRIPT(block_of_no_file, LH_E_PROTO),
        SCRIPT(block_of_a_directory, LH_E_PROTO),
        SCRIPT(block_of_a_small_file, LH_E_PROTO),
        SCRIPT(block_before_it_was_asked_for, LH_E_PROTO),
        SCRIPT(block_beyond_the_end, LH_E_PROTO),
        SCRIPT(block_too_short, LH_E_PROTO),
        SCRIPT(block_too_long, LH_E_PROTO),
        SCRIPT(block_twice, LH_E_PROTO),
        SCRIPT(block_with_another_digest, LH_E_CORRUPT),
        SCRIPT(block_after_the_last, LH_E_PROTO),
        SCRIPT(block_of_junk, LH_E_PROTO),
        SCRIPT(bundle_of_no_file, LH_E_PROTO),
        SCRIPT(bundle_with_a_directory, LH_E_PROTO),
        SCRIPT(bundle_of_another_length, LH_E_PROTO),
        SCRIPT(bundle_with_one_file_twice, LH_E_PROTO),
        SCRIPT(bundle_with_a_large_file, LH_E_PROTO),
        SCRIPT(bundle_with_another_digest, LH_E_CORRUPT),
        SCRIPT(same_without_have, LH_E_PROTO),
        SCRIPT(same_of_a_small_file, LH_E_PROTO),
        SCRIPT(end_of_no_file, LH_E_PROTO),
        SCRIPT(end_of_a_directory, LH_E_PROTO),
        SCRIPT(end_with_blocks_missing, LH_E_PROTO),
        SCRIPT(end_with_fewer_blocks_than_came, LH_E_PROTO),
        SCRIPT(end_with_too_many_blocks, LH_E_PROTO),
        SCRIPT(end_twice, LH_E_PROTO),
        SCRIPT(end_of_a_small_file_that_never_came, LH_E_PROTO),
        SCRIPT(end_with_another_digest, LH_E_CORRUPT),
        SCRIPT(job_twice, LH_E_PROTO),
        SCRIPT(source_too_many, LH_E_PROTO),
        SCRIPT(decide_from_the_sender, LH_E_PROTO),
        SCRIPT(have_from_the_sender, LH_E_PROTO),
        SCRIPT(job_end_too_early, LH_E_PROTO),
        SCRIPT(job_end_with_wrong_counts, LH_E_PROTO),
        SCRIPT(critical_and_unknown, LH_E_PROTO),
        SCRIPT(junk, LH_E_PROTO),
    };
    struct rogue *rogue = *state;
    for (size_t i = 0; i < LH_ARRAY_LEN(scripts); i++) {
        scripts[i].run(rogue_receiver(rogue));
        check_ended(rogue, &scripts[i]);
    }
    // What was never whole never got its name.
    char path[400];
    tree_path(path, sizeof path, "%s/x/large", rogue->to);
    check_int(access(path, F_OK), -1);
}

static void a_job_cannot_begin_wrongly(void **state)
{
    struct rogue *rogue = *state;
    struct pair_end *server = &rogue->pair.server;
    static const struct {
        const char *name;
        struct lh_message message; // instead of the first SOURCE
        lh_err expected;
    } cases[] = {
        {"no source", {LH_MESSAGE_LIST_END, {.list_end = {0}}}, LH_E_PROTO},
        {"second job",
         {LH_MESSAGE_JOB, {.job = {.block_log2 = 16, .source_count = 1}}},
         LH_E_PROTO},
        {"index", {LH_MESSAGE_SOURCE, {.source = {.index = 1}}}, LH_E_PROTO},
        {"up", {LH_MESSAGE_SOURCE, {.source = {0, TEXT("x"), TEXT("../x")}}}, LH_E_PATH},
        {"absolute", {LH_MESSAGE_SOURCE, {.source = {0, TEXT("x"), TEXT("/x")}}}, LH_E_PATH},
        {"dots", {LH_MESSAGE_SOURCE, {.source = {0, TEXT("x"), TEXT("a/./b")}}}, LH_E_PATH},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        rogue_start(rogue, LH_JOB_UPLOAD, rogue->to);
        rogue_say(server, &cases[i].message);
        struct script script = {cases[i].name, NULL, cases[i].expected};
        check_ended(rogue, &script);
    }
    // Another block size than was agreed.
    rogue_start(rogue, LH_JOB_UPLOAD, rogue->to);
    struct pair_options options = {.seed = 1};
    pair_fini(&rogue->pair);
    pair_init(&rogue->pair, &options);
    check_ok(lh_job_new_server(&server->host, &server->job, NULL));
    rogue_say(server, MESSAGE(JOB, job, .block_log2 = 20, .source_count = 1));
    check_int(server->verdict.err, LH_E_PROTO);
}

static void more_files_than_may_be_under_way_end_the_session(void **state)
{
    struct rogue *rogue = *state;
    struct pair_end *server = &rogue->pair.server;
    rogue_start(rogue, LH_JOB_UPLOAD, "faux://");
    rogue_say(server, MESSAGE(SOURCE, source, .path = TEXT("x"), .name = TEXT("x")));
    rogue_settle(rogue);
    rogue_say_entry(server, 0, LH_ENTRY_DIRECTORY, 0, TEXT(""));
    rogue_settle(rogue);
    for (uint32_t i = 0; i < LH_INFLIGHT_FILES_MAX; i++)
        rogue_say_entry(server, 1 + i, LH_ENTRY_FILE, 5, TEXT("n"));
    rogue_settle(rogue);
    assert_false(server->finished);
    rogue_say_entry(server, 1 + LH_INFLIGHT_FILES_MAX, LH_ENTRY_FILE, 5, TEXT("n"));
    check_int(server->verdict.err, LH_E_LIMIT);
}

// Announces `count` files of several blocks from `first` on; the first `failed` of them are at once
// given up by their sender, with a block on its way.
static void announce_large(struct rogue *rogue, uint32_t first, uint32_t count, uint32_t failed)
{
    struct pair_end *server = &rogue->pair.server;
    for (uint32_t i = 0; i < count; i++)
        rogue_say_entry(server, first + i, LH_ENTRY_FILE, LARGE_SIZE, TEXT("n"));
    rogue_settle(rogue);
    for (uint32_t i = 0; i < failed; i++)
        rogue_end_file(server, first + i, LH_FILE_END_FAILED, 1);
    rogue_settle(rogue);
}

static void failed_files_whose_blocks_are_late_leave_room_for_others(void **state)
{
    struct rogue *rogue = *state;
    struct pair_end *server = &rogue->pair.server;
    const uint32_t late = 100;
    rogue_start(rogue, LH_JOB_UPLOAD, "faux://");
    rogue_say(server, MESSAGE(SOURCE, source, .path = TEXT("x"), .name = TEXT("x")));
    rogue_settle(rogue);
    rogue_say_entry(server, 0, LH_ENTRY_DIRECTORY, 0, TEXT(""));
    rogue_settle(rogue);
    announce_large(rogue, 1, LH_INFLIGHT_FILES_MAX, late);
    announce_large(rogue, 1 + LH_INFLIGHT_FILES_MAX, late, 0);
    assert_false(server->finished);
    // The blocks come and free what was kept for them.
    check_uint(server->job->receiver->trailing, late);
    for (uint32_t i = 0; i < late; i++)
        rogue_send_block(server, 1 + i, 0, BLOCK, true);
    check_uint(server->job->receiver->trailing, 0);
    rogue_say_entry(server, 1 + LH_INFLIGHT_FILES_MAX + late, LH_ENTRY_FILE, 5, TEXT("n"));
    check_int(server->verdict.err, LH_E_LIMIT);
}

static void failed_files_whose_blocks_never_come_end_the_session(void **state)
{
    struct rogue *rogue = *state;
    struct pair_end *server = &rogue->pair.server;
    const uint32_t step = LH_LOST_FILES_MAX / 16;
    rogue_start(rogue, LH_JOB_UPLOAD, "faux://");
    rogue_say(server, MESSAGE(SOURCE, source, .path = TEXT("x"), .name = TEXT("x")));
    rogue_settle(rogue);
    rogue_say_entry(server, 0, LH_ENTRY_DIRECTORY, 0, TEXT(""));
    for (uint32_t i = 0; i < 16; i++)
        announce_large(rogue, 1 + i * step, step, step);
    assert_false(server->finished);
    rogue_say_entry(server, 1 + 16 * step, LH_ENTRY_FILE, 5, TEXT("n"));
    check_int(server->verdict.err, LH_E_LIMIT);
}

static void directories_too_many_or_too_deep_end_the_session(void **state)
{
    struct rogue *rogue = *state;
    struct pair_end *server = &rogue->pair.server;
    for (int deep = 0; deep < 2; deep++) {
        rogue_start(rogue, LH_JOB_UPLOAD, "faux://");
        rogue_say(server, MESSAGE(SOURCE, source, .path = TEXT("x"), .name = TEXT("x")));
        rogue_settle(rogue);
        if (!deep)
            server->job->receiver->dirs_max = 1000;
        rogue_say_entry(server, 0, LH_ENTRY_DIRECTORY, 0, TEXT(""));
        for (uint32_t i = 1; i < 3 * LH_DEPTH_MAX && !server->finished; i++)
            rogue_say(server, MESSAGE(ENTRY, entry, .id = i, .kind = LH_ENTRY_DIRECTORY,
                                      .parent_kind = LH_PARENT_ENTRY, .parent = deep ? i - 1 : 0,
                                      .name = TEXT("d")));
        check_int(server->verdict.err, LH_E_LIMIT);
        check_uint(server->job->receiver->dir_count, deep ? 2 * LH_DEPTH_MAX + 1 : 1000);
    }
}

// --- A rogue receiver against the sender ---

static void decide_an_unknown_id(struct pair_end *to)
{
    rogue_decide(to, LH_DECIDE_SEND, 77, 1);
}
static void decide_beyond_what_was_announced(struct pair_end *to)
{
    rogue_decide(to, LH_DECIDE_SEND, 1, UINT32_MAX - 1);
}
static void decide_twice(struct pair_end *to)
{
    rogue_decide(to, LH_DECIDE_SEND, OUT_LARGE, 1);
    assert_false(to->finished);
    rogue_decide(to, LH_DECIDE_SKIP, OUT_LARGE, 1);
}
static void decide_a_directory(struct pair_end *to)
{
    rogue_decide(to, LH_DECIDE_SEND, OUT_DIR, 1);
}
static void would_send_without_a_dry_run(struct pair_end *to)
{
    rogue_decide(to, LH_DECIDE_WOULD_SEND, OUT_SMALL, 1);
}
static void result_before_anything_was_sent(struct pair_end *to)
{
    rogue_result(to, LH_RESULT_COMPLETE, OUT_LARGE, 1);
}
static void result_of_an_unknown_id(struct pair_end *to)
{
    rogue_result(to, LH_RESULT_COMPLETE, 77, 1);
}
static void result_twice(struct pair_end *to)
{
    rogue_result(to, LH_RESULT_COMPLETE, OUT_DIR, 1);
    assert_false(to->finished);
    rogue_result(to, LH_RESULT_COMPLETE, OUT_DIR, 1);
}
static void replaced_for_nothing(struct pair_end *to)
{
    rogue_result(to, LH_RESULT_REPLACED, OUT_SMALL, 1);
}
static void have_of_an_unknown_id(struct pair_end *to)
{
    rogue_have(to, 77, 0);
}
static void have_of_a_directory(struct pair_end *to)
{
    rogue_have(to, OUT_DIR, 0);
}
static void have_more_blocks_than_there_are(struct pair_end *to)
{
    rogue_have(to, OUT_LARGE, 4);
}
static void have_less_than_before(struct pair_end *to)
{
    rogue_have(to, OUT_LARGE, 2);
    assert_false(to->finished);
    rogue_have(to, OUT_LARGE, 1);
}
static void have_the_same_block_in_two_messages(struct pair_end *to)
{
    static const struct lh_have_item item = {0};
    rogue_say(to, MESSAGE(HAVE, have, .id = OUT_LARGE, .known = 1, .items = {1, &item, {0}}));
    assert_false(to->finished);
    rogue_say(to, MESSAGE(HAVE, have, .id = OUT_LARGE, .known = 2, .items = {1, &item, {0}}));
}
static void have_after_send(struct pair_end *to)
{
    rogue_decide(to, LH_DECIDE_SEND, OUT_LARGE, 1);
    rogue_have(to, OUT_LARGE, 0);
}
static void have_part_of_a_small_file(struct pair_end *to)
{
    rogue_have(to, OUT_SMALL, 0);
}
static void failed_of_an_unknown_id(struct pair_end *to)
{
    rogue_say(to, MESSAGE(FAILED, failed, .id = 77));
}
static void failed_twice(struct pair_end *to)
{
    rogue_say(to, MESSAGE(FAILED, failed, .id = OUT_SMALL));
    assert_false(to->finished);
    rogue_say(to, MESSAGE(FAILED, failed, .id = OUT_SMALL));
}
static void job_end_with_files_open(struct pair_end *to)
{
    rogue_say(to, MESSAGE(JOB_END, job_end, .code = 0));
}
static void job_end_with_other_counts(struct pair_end *to)
{
    rogue_decide(to, LH_DECIDE_SKIP, OUT_LARGE, 2);
    rogue_result(to, LH_RESULT_COMPLETE, OUT_DIR, 1);
    assert_false(to->finished);
    rogue_say(to, MESSAGE(JOB_END, job_end,
                          .counts = {.files_complete = 2, .directories = 1, .bytes_complete = 1}));
}
static void entry_from_the_receiver(struct pair_end *to)
{
    rogue_say_entry(to, 0, LH_ENTRY_DIRECTORY, 0, TEXT(""));
}
static void block_from_the_receiver(struct pair_end *to)
{
    rogue_send_block(to, OUT_LARGE, 0, BLOCK, true);
}

static void a_receiver_that_breaks_the_rules_ends_the_session(void **state)
{
    static const struct script scripts[] = {
        SCRIPT(decide_an_unknown_id, LH_E_PROTO),
        SCRIPT(decide_beyond_what_was_announced, LH_E_PROTO),
        SCRIPT(decide_twice, LH_E_PROTO),
        SCRIPT(decide_a_directory, LH_E_PROTO),
        SCRIPT(would_send_without_a_dry_run, LH_E_PROTO),
        SCRIPT(result_before_anything_was_sent, LH_E_PROTO),
        SCRIPT(result_of_an_unknown_id, LH_E_PROTO),
        SCRIPT(result_twice, LH_E_PROTO),
        SCRIPT(replaced_for_nothing, LH_E_PROTO),
        SCRIPT(have_of_an_unknown_id, LH_E_PROTO),
        SCRIPT(have_of_a_directory, LH_E_PROTO),
        SCRIPT(have_more_blocks_than_there_are, LH_E_PROTO),
        SCRIPT(have_less_than_before, LH_E_PROTO),
        SCRIPT(have_the_same_block_in_two_messages, LH_E_PROTO),
        SCRIPT(have_after_send, LH_E_PROTO),
        SCRIPT(have_part_of_a_small_file, LH_E_PROTO),
        SCRIPT(failed_of_an_unknown_id, LH_E_PROTO),
        SCRIPT(failed_twice, LH_E_PROTO),
        SCRIPT(job_end_with_files_open, LH_E_PROTO),
        SCRIPT(job_end_with_other_counts, LH_E_PROTO),
        SCRIPT(entry_from_the_receiver, LH_E_PROTO),
        SCRIPT(block_from_the_receiver, LH_E_PROTO),
        SCRIPT(critical_and_unknown, LH_E_PROTO),
        SCRIPT(junk, LH_E_PROTO),
    };
    struct rogue *rogue = *state;
    char path[400];
    tree_path(path, sizeof path, "%s/large", rogue->from);
    tree_write(path, 1, 3 * BLOCK);
    tree_path(path, sizeof path, "%s/small", rogue->from);
    tree_write_text(path, "small");
    for (size_t i = 0; i < LH_ARRAY_LEN(scripts); i++) {
        scripts[i].run(rogue_sender(rogue));
        check_ended(rogue, &scripts[i]);
    }
}

// --- Noise ---

// Messages and blocks that are well formed and mean random things: neither end may crash, hang, or
// reach outside, whatever comes. (The sanitizers watch.)
static void random_messages_never_harm_either_role(void **state)
{
    struct rogue *rogue = *state;
    struct lh_prng prng = {check_seed(31)};
    char path[400];
    tree_path(path, sizeof path, "%s/large", rogue->from);
    tree_write(path, 1, 3 * BLOCK);
    tree_path(path, sizeof path, "%s/small", rogue->from);
    tree_write_text(path, "small");
    for (int round = 0; round < 400; round++) {
        bool receives = round % 2 == 0;
        struct pair_end *to = receives ? rogue_receiver(rogue) : rogue_sender(rogue);
        for (int i = 0; i < 12 && !to->finished; i++) {
            uint32_t id = (uint32_t)lh_prng_below(&prng, 6);
            const struct lh_run run = {id, 1 + (uint32_t)lh_prng_below(&prng, 3)};
            uint32_t index = (uint32_t)lh_prng_below(&prng, 7);
            switch (lh_prng_below(&prng, 11)) {
            case 0:
                rogue_say_entry(to, NEXT_ID, (uint8_t)lh_prng_below(&prng, 2), 0, TEXT("again"));
                break;
            case 1:
                rogue_end_file(to, id, (uint8_t)lh_prng_below(&prng, 3), index);
                break;
            case 2:
                rogue_decide(to, (uint8_t)lh_prng_below(&prng, 2), run.first, run.count);
                break;
            case 3:
                rogue_result(to, (uint8_t)lh_prng_below(&prng, 2), run.first, run.count);
                break;
            case 4:
                rogue_have(to, id, index);
                break;
            case 5:
                rogue_say(to, MESSAGE(FAILED, failed, .id = id, .code = 5));
                break;
            case 6:
                rogue_say(to, MESSAGE(SAME, same, .id = id, .blocks = {1, &run, {0}}));
                break;
            case 7:
                rogue_send_bundle(to, &id, 1, lh_prng_below(&prng, 2) * 5, true);
                break;
            case 8:
                rogue_list_end(to);
                break;
            case 9:
                rogue_settle(rogue);
                break;
            default:
                rogue_send_block(to, lh_prng_below(&prng, 2) ? LARGE_ID : id, index,
                                 index == 5 ? 10 : BLOCK, lh_prng_below(&prng, 8) > 0);
                break;
            }
        }
        if (!to->finished)
            rogue_settle(rogue);
        rogue_check_canaries(rogue, "random");
        tree_remove(strdup(rogue->to));
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, rogue_set_up, rogue_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_sender_that_breaks_the_rules_ends_the_session),
        CASE(a_job_cannot_begin_wrongly),
        CASE(more_files_than_may_be_under_way_end_the_session),
        CASE(failed_files_whose_blocks_are_late_leave_room_for_others),
        CASE(failed_files_whose_blocks_never_come_end_the_session),
        CASE(directories_too_many_or_too_deep_end_the_session),
        CASE(a_receiver_that_breaks_the_rules_ends_the_session),
        CASE(random_messages_never_harm_either_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
