// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each entry that the sender announces takes one way through here:
//
//   ENTRY -> decide (task: stat, make directory or link) -> settled at once, or
//         -> compare (task: digests of what is there already -> HAVE) -> SAME
//         -> blocks (tasks: verify, write) -> finish (task: verify whole, rename) -> RESULT
//
// and is settled exactly once: complete, skipped or failed. The ledger and the answers to the
// sender are made in the functions of this file, so that they cannot differ. A file that fails here
// while its blocks are under way stays as LOST until FILE_END has told how many there were and all
// have come.
//
// Nothing of the peer's is believed: every id, index, length and state is checked, and a breach
// ends the session. Names reach the file system only as one component below a directory that is
// held.
//
// receiver_setup.c opens DEST and journal, receiver_decide.c decides, receiver_compare.c tells what
// is there, receiver_write.c and receiver_bundle.c write, receiver_finish.c completes,
// receiver_end.c ends.
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/math.h"
#include "file/faux.h"
#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

#define INCOMING_OF(node_) LH_CONTAINER_OF(node_, struct lh_incoming, node)
#define SHOWN_PATH_MAX     ((size_t)LH_PATH_TEXT_MAX)

struct lh_incoming *lh_incoming_find(const struct lh_receiver *receiver, uint32_t id)
{
    struct lh_idnode *node = lh_idmap_find(&receiver->ids, id);
    return node == NULL ? NULL : INCOMING_OF(node);
}

void lh_incoming_free(struct lh_incoming *file)
{
    if (file == NULL)
        return;
    lh_list_remove(&file->link);
    lh_large_in_free(file->large);
    free(file->known);
    free(file->done);
    free(file->target_text);
    free(file);
}

char *lh_incoming_path(const struct lh_in_dir *parent, const char *name, size_t len_max)
{
    size_t len = strlen(name);
    for (const struct lh_in_dir *dir = parent; dir->parent != NULL; dir = dir->parent)
        len += strlen(dir->name) + 1;
    char *path = len > len_max ? NULL : malloc(len + 1);
    if (path == NULL)
        return NULL;
    size_t at = len - strlen(name);
    memcpy(path + at, name, strlen(name) + 1);
    for (const struct lh_in_dir *dir = parent; dir->parent != NULL; dir = dir->parent) {
        size_t part = strlen(dir->name);
        path[--at] = '/';
        at -= part;
        memcpy(path + at, dir->name, part);
    }
    return path;
}

// For people: a path that is too long is shown by its last component.
static char *shown_path(const struct lh_incoming *file)
{
    char *path = lh_incoming_path(file->parent, file->name, SHOWN_PATH_MAX);
    return path != NULL ? path : strdup(file->name);
}

// --- Answers ---

static void flush_runs_of(struct lh_receiver *receiver, uint8_t outcome)
{
    if (receiver->run_counts[outcome] == 0)
        return;
    lh_job_say(
        receiver->job,
        &(struct lh_message){.type = LH_MESSAGE_RESULT,
                             .as.result = {.outcome = outcome,
                                           .ids = {.count = (uint16_t)receiver->run_counts[outcome],
                                                   .array = receiver->runs[outcome]}}});
    receiver->run_counts[outcome] = 0;
}

void lh_receiver_flush_runs(struct lh_receiver *receiver)
{
    for (uint8_t outcome = 0; outcome < LH_RESULT_N_; outcome++)
        flush_runs_of(receiver, outcome);
}

static void answer(struct lh_receiver *receiver, uint8_t outcome, uint32_t id)
{
    size_t count = receiver->run_counts[outcome];
    struct lh_run *last = count == 0 ? NULL : &receiver->runs[outcome][count - 1];
    if (last != NULL && last->first + last->count == id) {
        last->count++;
        return;
    }
    if (count == LH_RUNS_MAX) {
        flush_runs_of(receiver, outcome);
        count = 0;
    }
    receiver->runs[outcome][count] = (struct lh_run){.first = id, .count = 1};
    receiver->run_counts[outcome] = count + 1;
}

void lh_incoming_note_held(struct lh_receiver *receiver, struct lh_incoming *file, uint64_t bytes)
{
    file->held += bytes;
    receiver->job->status.bytes_held += bytes;
}

static void tell_written(struct lh_receiver *receiver)
{
    uint64_t held = receiver->job->status.bytes_held;
    bool is_much =
        held >= receiver->written_told + LH_WRITTEN_STEP || held < receiver->written_told;
    if (!is_much && receiver->ids.count > 0)
        return;
    if (held == receiver->written_told)
        return;
    receiver->written_told = held;
    lh_job_say(receiver->job, &(struct lh_message){.type = LH_MESSAGE_WRITTEN, .as.written = held});
}

void lh_receiver_release(struct lh_receiver *receiver, uint32_t block)
{
    const struct lh_channel *channel = receiver->job->host.channel;
    channel->block_release(channel->ctx, block);
}

// --- The end of files ---

static void let_go(struct lh_receiver *receiver, struct lh_incoming *file)
{
    lh_idmap_remove(&receiver->ids, &file->node);
    receiver->trailing -= file->trails;
    lh_incoming_free(file);
}

static void
settle(struct lh_receiver *receiver, struct lh_incoming *file, enum lh_job_outcome outcome)
{
    if (file->kind == LH_ENTRY_DIRECTORY) {
        receiver->job->counts.directories++;
    } else if (file->kind == LH_ENTRY_SYMLINK) {
        receiver->job->counts.symlinks++;
    } else {
        char *path = shown_path(file);
        lh_job_settle(receiver->job, outcome, path == NULL ? "" : path, file->source.size);
        free(path);
    }
}

void lh_incoming_complete(struct lh_receiver *receiver, struct lh_incoming *file)
{
    settle(receiver, file, LH_JOB_COMPLETE);
    answer(receiver, LH_RESULT_COMPLETE, file->node.id);
    let_go(receiver, file);
}

void lh_incoming_skipped(struct lh_receiver *receiver, struct lh_incoming *file)
{
    lh_incoming_note_held(receiver, file, file->source.size);
    settle(receiver, file, LH_JOB_SKIPPED);
    let_go(receiver, file);
}

void lh_incoming_would_send(struct lh_receiver *receiver, struct lh_incoming *file)
{
    settle(receiver, file, LH_JOB_WOULD_SEND);
    let_go(receiver, file);
}

static bool is_at_work(const struct lh_large_in *large)
{
    return large->writing > 0 || large->comparing || large->creating || large->finishing;
}

void lh_incoming_drop_when_over(struct lh_receiver *receiver, struct lh_incoming *file)
{
    LH_ASSERT(file->state == LH_INCOMING_LOST);
    const struct lh_large_in *large = file->large;
    if (!file->end_seen)
        return;
    if (large != NULL && (is_at_work(large) || large->blocks_in < file->blocks_sent)) {
        receiver->trailing += !file->trails;
        file->trails = true;
        return;
    }
    if (file->end_status == LH_FILE_END_AGAIN && large != NULL) {
        // Of a state that is gone: its blocks are of no use to anyone.
        if (large->partial.fd >= 0)
            lh_partial_discard(&file->large->partial);
        lh_journaling_forget(receiver, file);
    }
    let_go(receiver, file);
}

// No answer is owed for the file any more; what is still to come of it will be dropped.
static void lose(struct lh_receiver *receiver, struct lh_incoming *file)
{
    receiver->job->status.bytes_held -= file->held;
    file->held = 0;
    bool was_decided = file->state != LH_INCOMING_ARRIVED && file->state != LH_INCOMING_UNPACKING;
    bool more_comes = was_decided && file->kind == LH_ENTRY_FILE;
    if (!more_comes) {
        let_go(receiver, file);
        return;
    }
    if (file->state == LH_INCOMING_COMPARING && !file->large->comparing)
        lh_list_remove(&file->link);
    file->state = LH_INCOMING_LOST;
    if (file->large != NULL)
        lh_pending_release(receiver, file->large);
    lh_incoming_drop_when_over(receiver, file);
}

void lh_incoming_failed(struct lh_receiver *receiver,
                        struct lh_incoming *file,
                        lh_err err,
                        const struct lh_errinfo *info,
                        uint16_t usual)
{
    uint16_t code = lh_reason_code(err, info, usual);
    const char *text = lh_reason_text(err, info);
    char *path = shown_path(file);
    lh_job_settle_failed(receiver->job, path == NULL ? "" : path, code, text);
    free(path);
    lh_job_say(receiver->job,
               &(struct lh_message){.type = LH_MESSAGE_FAILED,
                                    .as.failed = {.id = file->node.id,
                                                  .code = code,
                                                  .reason = lh_text_of(text, LH_REASON_MAX)}});
    if (file->self != NULL)
        file->self->failed = true;
    lose(receiver, file);
}

static void replaced(struct lh_receiver *receiver, struct lh_incoming *file)
{
    receiver->job->status.files_total--;
    receiver->job->status.bytes_total -= file->source.size;
    answer(receiver, LH_RESULT_REPLACED, file->node.id);
    lose(receiver, file);
}

static bool awaits_its_end(const struct lh_incoming *file)
{
    return file->kind == LH_ENTRY_FILE && !file->end_seen &&
           (file->state == LH_INCOMING_COMPARING || file->state == LH_INCOMING_WAITING ||
            file->state == LH_INCOMING_LOST);
}

static lh_err on_file_end(struct lh_receiver *receiver, const struct lh_msg_file_end *end)
{
    struct lh_incoming *file = lh_incoming_find(receiver, end->id);
    if (file == NULL || !awaits_its_end(file))
        return LH_E_PROTO;
    const struct lh_large_in *large = file->large;
    bool is_small = lh_incoming_is_small(receiver, file);
    if (is_small ? end->blocks_sent > 0
                 : end->blocks_sent > large->block_count || end->blocks_sent < large->blocks_in)
        return LH_E_PROTO;
    file->end_seen = true;
    file->end_status = end->status;
    file->blocks_sent = end->blocks_sent;
    if (end->status == LH_FILE_END_AGAIN)
        receiver->again_due++;
    if (file->state == LH_INCOMING_LOST) {
        lh_incoming_drop_when_over(receiver, file);
        return LH_OK;
    }
    if (end->status == LH_FILE_END_FAILED) {
        struct lh_errinfo info = {.code = LH_E_SYS, .exit_code = end->code};
        snprintf(info.text, sizeof info.text, "%.*s", (int)LH_MIN(end->reason.len, (size_t)200),
                 end->reason.data);
        lh_incoming_failed(receiver, file, LH_E_SYS, &info, LH_CODE_DISK_READ);
        return LH_OK;
    }
    if (end->status == LH_FILE_END_AGAIN) {
        replaced(receiver, file);
        return LH_OK;
    }
    if (large == NULL || file->state == LH_INCOMING_COMPARING)
        return LH_E_PROTO;
    memcpy(file->end_digest.bytes, end->digest, LH_JOB_DIGEST);
    return lh_large_finish_when_whole(receiver, file);
}

// --- Inputs ---

lh_err lh_receiver_on_message(struct lh_receiver *receiver, const struct lh_message *message)
{
    switch (message->type) {
    case LH_MESSAGE_ENTRY:
        return lh_receiver_on_entry(receiver, &message->as.entry);
    case LH_MESSAGE_LIST_END:
        return lh_receiver_on_list_end(receiver, &message->as.list_end);
    case LH_MESSAGE_SAME:
        return lh_receiver_on_same(receiver, message->as.same);
    case LH_MESSAGE_FILE_END:
        return on_file_end(receiver, &message->as.file_end);
    case LH_MESSAGE_JOB_END:
        return lh_receiver_on_job_end(receiver, &message->as.job_end);
    default:
        return LH_E_PROTO;
    }
}

lh_err lh_receiver_on_block(struct lh_receiver *receiver, uint32_t block, uint8_t *data, size_t len)
{
    struct lh_block_header header;
    lh_err err = lh_block_read(data, len, &header);
    if (err == LH_OK && receiver->is_dry)
        err = LH_E_PROTO;
    if (err == LH_OK) {
        receiver->job->counts.bytes_sent += len - header.header_len;
        err = header.kind == LH_BLOCK_FILE
                  ? lh_receiver_on_file_block(receiver, block, data, &header)
                  : lh_receiver_on_bundle(receiver, block, data, &header);
    }
    if (err != LH_OK)
        lh_receiver_release(receiver, block);
    return err;
}

void lh_receiver_pump(struct lh_receiver *receiver)
{
    lh_deciding_pump(receiver);
    lh_comparing_pump(receiver);
    lh_journaling_flush(receiver);
    tell_written(receiver);
    lh_receiver_flush_runs(receiver);
    lh_receiver_end_when_over(receiver);
}

// --- Life ---

static lh_err init(struct lh_receiver *receiver)
{
    struct lh_link *heads[] = {&receiver->dirs,   &receiver->arrived, &receiver->to_compare,
                               &receiver->writes, &receiver->bundles, &receiver->batches};
    for (size_t i = 0; i < LH_ARRAY_LEN(heads); i++)
        lh_list_init(heads[i]);
    for (size_t i = 0; i < LH_RESULT_N_; i++)
        receiver->runs[i] = calloc(LH_RUNS_MAX, sizeof **receiver->runs);
    receiver->dirs_max = LH_DIRECTORIES_MAX;
    receiver->root = lh_in_dir_new(receiver, NULL, "");
    bool is_short =
        receiver->root == NULL || receiver->runs[0] == NULL || receiver->runs[1] == NULL;
    lh_err err = is_short ? LH_E_NOMEM : lh_idmap_init(&receiver->ids);
    if (err == LH_OK)
        err = lh_idmap_init(&receiver->early);
    return err != LH_OK ? err : lh_idmap_init(&receiver->dir_ids);
}

lh_err lh_receiver_new(struct lh_job *job, struct lh_receiver **out_receiver)
{
    struct lh_receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL)
        return LH_E_NOMEM;
    receiver->job = job;
    receiver->is_sink = lh_faux_is_sink(job->dest);
    receiver->is_dry = (job->flags & LH_JOB_DRY_RUN) != 0;
    receiver->preserve = (job->flags & LH_JOB_PRESERVE) != 0;
    lh_err err = init(receiver);
    if (err != LH_OK) {
        lh_receiver_free(receiver);
        return err;
    }
    *out_receiver = receiver;
    lh_receiver_setup(receiver);
    return LH_OK;
}

static void bundle_free(struct lh_in_bundle *bundle)
{
    for (size_t i = 0; i < bundle->count; i++)
        free(bundle->items[i].info);
    free(bundle);
}

void lh_receiver_free(struct lh_receiver *receiver)
{
    if (receiver == NULL)
        return;
    uint32_t cursor = 0;
    for (struct lh_idnode *node; (node = lh_idmap_pop(&receiver->ids, &cursor)) != NULL;) {
        struct lh_incoming *file = INCOMING_OF(node);
        if (file->large != NULL)
            LH_LIST_FOR_EACH(link, &file->large->pending)
        free(LH_CONTAINER_OF(link, struct lh_in_write, link));
        lh_incoming_free(file);
    }
    LH_LIST_FOR_EACH(write, &receiver->writes)
    free(LH_CONTAINER_OF(write, struct lh_in_write, link));
    LH_LIST_FOR_EACH(bundle, &receiver->bundles)
    bundle_free(LH_CONTAINER_OF(bundle, struct lh_in_bundle, link));
    LH_LIST_FOR_EACH(dir, &receiver->dirs)
    {
        struct lh_in_dir *in_dir = LH_CONTAINER_OF(dir, struct lh_in_dir, link);
        lh_dir_unref(in_dir->dir);
        free(in_dir);
    }
    lh_early_fini(receiver);
    lh_idmap_fini(&receiver->ids);
    lh_idmap_fini(&receiver->dir_ids);
    lh_sweeping_fini(receiver);
    lh_journal_free(receiver->journal);
    lh_tree_free(receiver->tree);
    free(receiver->runs[0]);
    free(receiver->runs[1]);
    free(receiver->seen);
    free(receiver->rename);
    for (size_t i = 0; i < receiver->end_failure_count; i++)
        free(receiver->end_failures[i]);
    free(receiver);
}
