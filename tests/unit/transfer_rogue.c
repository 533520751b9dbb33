// SPDX-License-Identifier: Apache-2.0
#include "transfer_rogue.h"

#include <unistd.h>

#include "check.h"
#include "file/digest.h"

void rogue_say(struct pair_end *to, const struct lh_message *message)
{
    static uint8_t bytes[LH_MESSAGE_MAX];
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    lh_message_write(&writer, message);
    assert_false(writer.bad);
    pair_inject_stream(to, bytes, lh_writer_used(&writer));
}

void rogue_say_entry(
    struct pair_end *to, uint32_t id, uint8_t kind, uint64_t size, struct lh_text name)
{
    rogue_say(to,
              MESSAGE(ENTRY, entry, .id = id, .kind = kind, .size = size, .mode = 0755,
                      .name = name, .parent_kind = id == 0 ? LH_PARENT_SOURCE : LH_PARENT_ENTRY));
}

void rogue_settle(struct rogue *rogue)
{
    pair_loop(&rogue->pair);
}

void rogue_start(struct rogue *rogue, enum lh_job_direction direction, const char *dest)
{
    struct pair_options options = {.seed = 1};
    struct pair_end *server = &rogue->pair.server;
    pair_fini(&rogue->pair);
    pair_init(&rogue->pair, &options);
    check_ok(lh_job_new_server(&server->host, &server->job, NULL));
    lh_job_start(server->job);
    rogue_say(server,
              MESSAGE(JOB, job, .direction = (uint8_t)direction, .flags = LH_JOB_MAKE_DIRECTORY,
                      .block_log2 = 16, .source_count = 1, .dest = {dest, strlen(dest)}));
}

// A job to receive, with a directory and three files announced and asked for.
struct pair_end *rogue_receiver(struct rogue *rogue)
{
    struct pair_end *server = &rogue->pair.server;
    rogue_start(rogue, LH_JOB_UPLOAD, rogue->to);
    rogue_say(server, MESSAGE(SOURCE, source, .path = TEXT("x"), .name = TEXT("x")));
    rogue_settle(rogue);
    rogue_say_entry(server, DIR_ID, LH_ENTRY_DIRECTORY, 0, TEXT(""));
    rogue_say_entry(server, SMALL_ID, LH_ENTRY_FILE, 5, TEXT("small"));
    rogue_say_entry(server, LARGE_ID, LH_ENTRY_FILE, LARGE_SIZE, TEXT("large"));
    rogue_say_entry(server, EMPTY_ID, LH_ENTRY_FILE, 0, TEXT("empty"));
    rogue_settle(rogue);
    assert_false(server->finished);
    return server;
}

void rogue_send_block(struct pair_end *to, uint32_t id, uint32_t index, size_t len, bool good)
{
    static uint8_t block[LH_BLOCK_FILE_HEADER + BLOCK + 1];
    struct lh_digest digest;
    memset(block, 'b', sizeof block);
    lh_digest_block(block + LH_BLOCK_FILE_HEADER, len, &digest);
    digest.bytes[3] ^= !good;
    struct lh_block_item item = {.id = id, .length = (uint32_t)len};
    memcpy(item.digest, digest.bytes, sizeof item.digest);
    lh_block_write_file(block, &item, index);
    pair_inject_block(to, block, LH_BLOCK_FILE_HEADER + len);
}

void rogue_send_bundle(
    struct pair_end *to, const uint32_t *ids, size_t count, size_t len, bool good)
{
    uint8_t block[1024];
    struct lh_block_item items[8] = {0};
    struct lh_digest digest;
    memset(block, 's', sizeof block);
    lh_digest_block(block, len, &digest);
    digest.bytes[3] ^= !good;
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct lh_block_item){.id = ids[i], .length = (uint32_t)len};
        memcpy(items[i].digest, digest.bytes, sizeof digest.bytes);
    }
    lh_bundle_write(block, items, count);
    pair_inject_block(to, block, lh_bundle_header_len(count) + count * len);
}

void rogue_end_file(struct pair_end *to, uint32_t id, uint8_t status, uint32_t blocks)
{
    rogue_say(to, MESSAGE(FILE_END, file_end, .id = id, .status = status, .blocks_sent = blocks));
}

void rogue_list_end(struct pair_end *to)
{
    rogue_say(to,
              MESSAGE(LIST_END, list_end, .files = 3, .directories = 1, .bytes = LARGE_SIZE + 5));
}
void rogue_check_canaries(struct rogue *rogue, const char *script)
{
    char path[400];
    size_t len;
    pair_fini(&rogue->pair); // no task is at work any more
    tree_path(path, sizeof path, "%s/canary", rogue->root);
    char *text = tree_read(path, &len);
    if (text == NULL || strcmp(text, "untouched") != 0)
        fail_msg("%s: the canary was touched", script);
    free(text);
    // What lies beside the destination is what we put there: canary, from, to.
    tree_path(path, sizeof path, "%s/to", rogue->root);
    size_t inside = tree_count(path) + (access(path, F_OK) == 0);
    tree_path(path, sizeof path, "%s/from", rogue->root);
    inside += tree_count(path) + 2;
    check_uint(tree_count(rogue->root), inside);
}

struct pair_end *rogue_sender(struct rogue *rogue)
{
    struct pair_end *server = &rogue->pair.server;
    rogue_start(rogue, LH_JOB_DOWNLOAD, "anywhere");
    rogue_say(server, MESSAGE(SOURCE, source, .path = {rogue->from, strlen(rogue->from)}));
    rogue_settle(rogue);
    assert_false(server->finished);
    return server;
}

void rogue_decide(struct pair_end *to, uint8_t decision, uint32_t first, uint32_t count)
{
    const struct lh_run run = {first, count};
    rogue_say(to, MESSAGE(DECIDE, decide, .decision = decision, .ids = {1, &run, {0}}));
}

void rogue_result(struct pair_end *to, uint8_t outcome, uint32_t first, uint32_t count)
{
    const struct lh_run run = {first, count};
    rogue_say(to, MESSAGE(RESULT, result, .outcome = outcome, .ids = {1, &run, {0}}));
}

void rogue_have(struct pair_end *to, uint32_t id, uint32_t known)
{
    rogue_say(to, MESSAGE(HAVE, have, .id = id, .known = known));
}

int rogue_set_up(void **state)
{
    char path[400];
    struct rogue *rogue = calloc(1, sizeof *rogue);
    rogue->root = tree_temp();
    tree_path(rogue->from, sizeof rogue->from, "%s/from", rogue->root);
    tree_path(rogue->to, sizeof rogue->to, "%s/to", rogue->root);
    tree_mkdir(rogue->from);
    tree_path(path, sizeof path, "%s/canary", rogue->root);
    tree_write_text(path, "untouched");
    *state = rogue;
    return 0;
}

int rogue_tear_down(void **state)
{
    struct rogue *rogue = *state;
    pair_fini(&rogue->pair);
    tree_remove(rogue->root);
    free(rogue);
    return 0;
}
