// SPDX-License-Identifier: Apache-2.0
//
// How it works. The sender is a line of stations, each with a bounded queue:
//
//   walk (task) -> announce -> [receiver decides] -> small / large -> read (tasks) -> ready ->
//   transport
//
// lh_sender_pump moves things from station to station as far as room goes; it is called after every
// input. Three bounds hold it: entries announced and not settled (LH_INFLIGHT_FILES_MAX), messages
// that wait for the stream (LH_ANNOUNCE_WAITING), and bytes of blocks from the beginning of their
// reading to their acknowledgement (host.read_ahead).
//
// Every id that was announced is answered by the receiver exactly once; its answer settles the file
// here, so both ledgers agree. A file that turns out not to be what was announced is ended with
// LH_FILE_END_AGAIN and announced anew, once; then it has failed (N7).
//
// sender_walk.c finds and announces, sender_large.c and sender_bundle.c read, sender_block.c owns
// the memory of blocks.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/math.h"
#include "transfer/reason.h"
#include "transfer/sender_internal.h"

#define OUTGOING_OF(node_) LH_CONTAINER_OF(node_, struct lh_outgoing, node)

struct lh_outgoing *lh_outgoing_new(size_t source, uint8_t kind, const char *name)
{
    size_t name_len = strlen(name);
    struct lh_outgoing *file = calloc(1, sizeof *file + name_len + 1);
    if (file == NULL)
        return NULL;
    lh_list_init(&file->link);
    lh_list_init(&file->blocks);
    file->source = source;
    file->kind = kind;
    memcpy(file->name, name, name_len + 1);
    return file;
}

static void have_free(struct lh_have *have)
{
    if (have == NULL)
        return;
    free(have->bitmap);
    free(have->digests);
    free(have);
}

void lh_outgoing_free(struct lh_outgoing *file)
{
    if (file == NULL)
        return;
    lh_list_remove(&file->link);
    lh_large_free(file->large);
    have_free(file->have);
    lh_dir_unref(file->dir);
    free(file->text);
    free(file);
}

void lh_outgoing_path(const struct lh_sender *sender,
                      const struct lh_outgoing *file,
                      char *out,
                      size_t room)
{
    const char *source = sender->job->sources[file->source].path;
    if (lh_outgoing_faux(sender, file) != NULL && !file->is_root) {
        snprintf(out, room, "%s/%s", sender->faux[file->source].name, file->name);
        return;
    }
    if (file->is_root || file->dir == NULL) {
        snprintf(out, room, "%s", source);
        return;
    }
    char below[LH_PATH_TEXT_MAX + 1];
    lh_dir_path(file->dir, file->name, below, sizeof below);
    size_t len = strlen(source);
    bool has_slash = len > 0 && source[len - 1] == '/';
    int printed = snprintf(out, room, "%s%s%s", source, has_slash ? "" : "/", below);
    if (printed < 0 || (size_t)printed >= room)
        snprintf(out, room, "%s", below);
}

struct lh_stat_id lh_stat_id_of(const struct stat *stat)
{
    return (struct lh_stat_id){
        .size = S_ISREG(stat->st_mode) ? (uint64_t)stat->st_size : 0,
        .mtime_ns = (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)stat->st_ctim.tv_sec * 1000000000 + stat->st_ctim.tv_nsec,
        .atime_ns = (int64_t)stat->st_atim.tv_sec * 1000000000 + stat->st_atim.tv_nsec,
        .dev = stat->st_dev,
        .ino = stat->st_ino,
        .mode = stat->st_mode & 07777,
    };
}

bool lh_stat_id_same(const struct lh_stat_id *a, const struct lh_stat_id *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
           a->dev == b->dev && a->ino == b->ino;
}

// --- The end of files ---

// The receiver has answered: nothing of the file is left here.
static void forget(struct lh_sender *sender, struct lh_outgoing *file)
{
    lh_idmap_remove(&sender->ids, &file->node);
    sender->unsettled--;
    if (file->rereading > 0) {
        file->is_gone = true;
        lh_list_append(&sender->gone, &file->link);
        return;
    }
    lh_again_let_go(sender, file);
    lh_outgoing_free(file);
}

void lh_sender_say_same(struct lh_sender *sender, uint32_t id, struct lh_run run)
{
    lh_job_say(sender->job,
               &(struct lh_message){.type = LH_MESSAGE_SAME,
                                    .as.same = {.id = id, .blocks = {.count = 1, .array = &run}}});
}

static void
say_file_end(struct lh_sender *sender, struct lh_outgoing *file, struct lh_msg_file_end end)
{
    end.id = file->node.id;
    end.blocks_sent = file->large == NULL ? 0 : file->large->blocks_sent;
    lh_job_say(sender->job, &(struct lh_message){.type = LH_MESSAGE_FILE_END, .as.file_end = end});
    lh_list_remove(&file->link);
    lh_large_free(file->large);
    file->large = NULL;
    have_free(file->have);
    file->have = NULL;
}

void lh_sender_file_end(struct lh_sender *sender,
                        struct lh_outgoing *file,
                        uint8_t status,
                        const struct lh_digest *digest)
{
    struct lh_msg_file_end end = {.status = status};
    if (digest != NULL)
        memcpy(end.digest, digest->bytes, LH_JOB_DIGEST);
    say_file_end(sender, file, end);
    file->state = LH_OUTGOING_DONE;
}

// Announces the file once more, as it is now. False where it cannot be.
static bool announce_again(struct lh_sender *sender, struct lh_outgoing *file)
{
    if (file->tries + 1 >= LH_READ_TRIES)
        return false;
    struct lh_outgoing *again = lh_outgoing_new(file->source, file->kind, file->name);
    if (again == NULL)
        return false;
    again->tries = (uint8_t)(file->tries + 1);
    again->again = true;
    again->is_root = file->is_root;
    again->parent_number = file->parent_number;
    again->faux_index = file->faux_index;
    again->dir = file->dir == NULL ? NULL : lh_dir_ref(file->dir);
    again->id = file->id;
    again->parent_id = file->parent_id;
    lh_list_prepend(&sender->announce, &again->link);
    sender->announce_count++;
    return true;
}

void lh_sender_file_failed(struct lh_sender *sender,
                           struct lh_outgoing *file,
                           enum lh_read_status status,
                           const struct lh_errinfo *info)
{
    bool refused = file->state == LH_OUTGOING_REFUSED;
    if (!refused && status == LH_READ_CHANGED && announce_again(sender, file)) {
        say_file_end(sender, file, (struct lh_msg_file_end){.status = LH_FILE_END_AGAIN});
        file->state = LH_OUTGOING_AGAIN;
        return;
    }
    struct lh_msg_file_end end = {.status = LH_FILE_END_FAILED};
    if (status == LH_READ_CHANGED) {
        end.code = LH_CODE_SOME_FILES;
        end.reason = lh_text_of(
            "changed while being read; run the command again when it is at rest", LH_REASON_MAX);
    } else {
        lh_err err = info == NULL ? LH_E_SYS : info->code;
        end.code = lh_reason_code(err, info, LH_CODE_DISK_READ);
        end.reason = lh_text_of(lh_reason_text(err, info), LH_REASON_MAX);
    }
    say_file_end(sender, file, end);
    if (refused)
        forget(sender, file); // answered already
    else
        file->state = LH_OUTGOING_DONE;
}

// --- Messages ---

static struct lh_outgoing *find(const struct lh_sender *sender, uint32_t id)
{
    struct lh_idnode *node = lh_idmap_find(&sender->ids, id);
    return node == NULL ? NULL : OUTGOING_OF(node);
}

static bool is_small(const struct lh_sender *sender, const struct lh_outgoing *file)
{
    return file->size <= lh_small_max(sender->job->host.block_size);
}

static void enqueue(struct lh_sender *sender, struct lh_outgoing *file)
{
    file->state = LH_OUTGOING_QUEUED;
    if (is_small(sender, file)) {
        lh_list_append(&sender->small, &file->link);
        sender->small_count++;
        sender->small_bytes += file->size;
    } else {
        lh_list_append(&sender->large, &file->link);
    }
}

static void settle(struct lh_sender *sender, struct lh_outgoing *file, enum lh_job_outcome outcome)
{
    char path[LH_PATH_TEXT_MAX + 1];
    if (file->kind == LH_ENTRY_DIRECTORY) {
        sender->job->counts.directories++;
    } else if (file->kind == LH_ENTRY_SYMLINK) {
        sender->job->counts.symlinks++;
    } else {
        lh_outgoing_path(sender, file, path, sizeof path);
        lh_job_settle(sender->job, outcome, path, file->size);
    }
    forget(sender, file);
}

static lh_err decide_one(struct lh_sender *sender, uint32_t id, uint8_t decision)
{
    static const enum lh_job_outcome outcomes[] = {
        [LH_DECIDE_SKIP] = LH_JOB_SKIPPED,
        [LH_DECIDE_WOULD_SEND] = LH_JOB_WOULD_SEND,
    };
    struct lh_outgoing *file = find(sender, id);
    if (file == NULL || file->state != LH_OUTGOING_ANNOUNCED || file->kind == LH_ENTRY_DIRECTORY)
        return LH_E_PROTO;
    if (decision == LH_DECIDE_SEND && file->kind != LH_ENTRY_FILE)
        return LH_E_PROTO;
    bool is_dry = (sender->job->flags & LH_JOB_DRY_RUN) != 0;
    if (is_dry ? decision == LH_DECIDE_SEND : decision == LH_DECIDE_WOULD_SEND)
        return LH_E_PROTO;
    if (decision == LH_DECIDE_SEND)
        enqueue(sender, file);
    else
        settle(sender, file, outcomes[decision]);
    return LH_OK;
}

static lh_err on_decide(struct lh_sender *sender, struct lh_msg_decide decide)
{
    struct lh_run run;
    while (lh_run_next(&decide.ids, &run))
        for (uint32_t i = 0; i < run.count; i++) {
            lh_err err = decide_one(sender, run.first + i, decide.decision);
            if (err != LH_OK)
                return err;
        }
    return LH_OK;
}

static lh_err have_new(struct lh_outgoing *file, uint64_t block_count)
{
    struct lh_have *have = calloc(1, sizeof *have);
    if (have == NULL)
        return LH_E_NOMEM;
    file->have = have;
    have->bitmap = calloc(1, block_count / 8 + 1);
    have->digests = calloc(block_count, sizeof *have->digests);
    return have->bitmap == NULL || have->digests == NULL ? LH_E_NOMEM : LH_OK;
}

static lh_err on_have(struct lh_sender *sender, struct lh_msg_have message)
{
    struct lh_outgoing *file = find(sender, message.id);
    if (file == NULL || file->kind != LH_ENTRY_FILE || file->size == 0)
        return LH_E_PROTO;
    uint64_t block_count = lh_block_count(file->size, sender->job->host.block_size);
    if (file->state == LH_OUTGOING_REFUSED || file->state == LH_OUTGOING_DONE ||
        file->state == LH_OUTGOING_AGAIN)
        return LH_OK; // on its way when the file ended here
    bool is_first = file->state == LH_OUTGOING_ANNOUNCED;
    if ((!is_first && file->have == NULL) || (sender->job->flags & LH_JOB_DRY_RUN) != 0)
        return LH_E_PROTO;
    lh_err err = is_first ? have_new(file, block_count) : LH_OK;
    if (err != LH_OK)
        return err;
    struct lh_have *have = file->have;
    if (message.known > block_count || message.known < have->known)
        return LH_E_PROTO;
    if (is_first && is_small(sender, file) && message.known != block_count)
        return LH_E_PROTO;
    struct lh_have_item item;
    while (lh_have_next(&message.items, &item)) {
        if (item.block < have->known || item.block >= block_count)
            return LH_E_PROTO;
        have->bitmap[item.block / 8] |= (uint8_t)(1u << (item.block % 8));
        memcpy(have->digests[item.block].bytes, item.digest, LH_JOB_DIGEST);
    }
    have->known = message.known;
    if (is_first)
        enqueue(sender, file);
    return LH_OK;
}

static lh_err result_one(struct lh_sender *sender, uint32_t id, uint8_t outcome)
{
    struct lh_outgoing *file = find(sender, id);
    if (file == NULL)
        return LH_E_PROTO;
    if (outcome == LH_RESULT_REPLACED) {
        if (file->state != LH_OUTGOING_AGAIN)
            return LH_E_PROTO;
        forget(sender, file);
        return LH_OK;
    }
    enum lh_outgoing_state wanted =
        file->kind == LH_ENTRY_FILE ? LH_OUTGOING_DONE : LH_OUTGOING_ANNOUNCED;
    if (LH_GUARD(SENDER_RESULT_STATE, file->state != wanted))
        return LH_E_PROTO;
    settle(sender, file, LH_JOB_COMPLETE);
    return LH_OK;
}

static lh_err on_result(struct lh_sender *sender, struct lh_msg_result result)
{
    struct lh_run run;
    while (lh_run_next(&result.ids, &run))
        for (uint32_t i = 0; i < run.count; i++) {
            lh_err err = result_one(sender, run.first + i, result.outcome);
            if (err != LH_OK)
                return err;
        }
    return LH_OK;
}

static lh_err on_failed(struct lh_sender *sender, const struct lh_msg_failed *failed)
{
    struct lh_outgoing *file = find(sender, failed->id);
    if (file == NULL || file->state == LH_OUTGOING_REFUSED)
        return LH_E_PROTO;
    char path[LH_PATH_TEXT_MAX + 1], text[LH_REASON_MAX + 1];
    lh_outgoing_path(sender, file, path, sizeof path);
    snprintf(text, sizeof text, "%.*s", (int)failed->reason.len, failed->reason.data);
    lh_job_settle_failed(sender->job, path, failed->code, text);

    bool is_held = file->state == LH_OUTGOING_QUEUED || file->state == LH_OUTGOING_READING;
    if (!is_held) {
        forget(sender, file);
        return LH_OK;
    }
    if (is_small(sender, file))
        return LH_E_PROTO; // the receiver has nothing to fail it for before its data is there
    lh_large_stop(sender, file);
    return LH_OK;
}

static lh_err on_job_end(struct lh_sender *sender, const struct lh_msg_job_end *end)
{
    struct lh_job *job = sender->job;
    if (!sender->list_ended || sender->unsettled > 0 || sender->announce_count > 0)
        return LH_E_PROTO;
    if (LH_GUARD(SENDER_COUNTS, memcmp(&end->counts, &job->counts, sizeof end->counts) != 0))
        return LH_E_PROTO;
    lh_job_say(job, &(struct lh_message){.type = LH_MESSAGE_JOB_END,
                                         .as.job_end = {.counts = job->counts}});
    lh_job_conclude(job);
    return LH_OK;
}

lh_err lh_sender_on_message(struct lh_sender *sender, const struct lh_message *message)
{
    switch (message->type) {
    case LH_MESSAGE_DECIDE:
        return on_decide(sender, message->as.decide);
    case LH_MESSAGE_HAVE:
        return on_have(sender, message->as.have);
    case LH_MESSAGE_RESULT:
        return on_result(sender, message->as.result);
    case LH_MESSAGE_FAILED:
        return on_failed(sender, &message->as.failed);
    case LH_MESSAGE_WRITTEN:
        sender->job->status.bytes_held = message->as.written;
        return LH_OK;
    case LH_MESSAGE_JOB_END:
        return on_job_end(sender, &message->as.job_end);
    default:
        return LH_E_PROTO;
    }
}

// --- Life ---

lh_err lh_sender_new(struct lh_job *job, struct lh_sender **out_sender)
{
    struct lh_sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL)
        return LH_E_NOMEM;
    sender->job = job;
    struct lh_link *heads[] = {
        &sender->announce,  &sender->small,    &sender->large,  &sender->reading, &sender->ready,
        &sender->in_flight, &sender->unloaded, &sender->wanted, &sender->gone,    &sender->spare};
    for (size_t i = 0; i < LH_ARRAY_LEN(heads); i++)
        lh_list_init(heads[i]);
    lh_err err = lh_idmap_init(&sender->ids);
    if (err == LH_OK)
        err = lh_idmap_init(&sender->by_number);
    if (err == LH_OK)
        err = lh_walking_init(sender);
    if (err != LH_OK) {
        lh_sender_free(sender);
        return err;
    }
    *out_sender = sender;
    return LH_OK;
}

static void free_list(struct lh_link *head)
{
    LH_LIST_FOR_EACH(link, head)
    lh_outgoing_free(LH_CONTAINER_OF(link, struct lh_outgoing, link));
}

void lh_sender_free(struct lh_sender *sender)
{
    if (sender == NULL)
        return;
    uint32_t cursor = 0;
    lh_out_blocks_fini(sender);
    for (struct lh_idnode *node; (node = lh_idmap_pop(&sender->ids, &cursor)) != NULL;)
        lh_outgoing_free(OUTGOING_OF(node));
    free_list(&sender->announce);
    free_list(&sender->gone);
    lh_idmap_fini(&sender->by_number);
    lh_walking_fini(sender);
    lh_idmap_fini(&sender->ids);
    free(sender->faux);
    free(sender);
}

// Starts readings while there is room and the transport has not enough to go on with. Small and
// large files take turns, so that neither waits for all of the other.
static void dispatch(struct lh_sender *sender)
{
    lh_again_dispatch(sender);
    while (sender->reads_running < LH_READS_MAX &&
           sender->ready_count + sender->reads_running < LH_READY_MAX) {
        sender->lacks_room = !lh_out_blocks_have_room(sender, true);
        if (sender->lacks_room)
            return;
        bool started = lh_bundle_dispatch(sender);
        started = lh_large_dispatch(sender) || started;
        if (!started)
            return;
    }
}

bool lh_sender_is_full(const struct lh_sender *sender)
{
    return sender->lacks_room;
}

void lh_sender_pump(struct lh_sender *sender)
{
    lh_walking_pump(sender);
    lh_out_blocks_send(sender);
    dispatch(sender);
}
