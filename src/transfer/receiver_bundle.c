// SPDX-License-Identifier: Apache-2.0
//
// BUNDLE blocks: one task verifies and writes all files of a bundle, each complete under a
// temporary name first (N2). A file that cannot be written fails alone.
#include <stdlib.h>

#include "base/assert.h"
#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

mode_t lh_incoming_mode(const struct lh_receiver *receiver, const struct lh_incoming *file)
{
    mode_t mode = file->mode & 0777;
    return receiver->preserve ? mode : mode & ~lh_dir_umask(file->parent->dir);
}

static lh_err
unpack(const struct lh_receiver *receiver, struct lh_unpacked *item, struct lh_errinfo *info)
{
    const struct lh_incoming *file = item->file;
    size_t len = (size_t)file->source.size;
    struct lh_digest digest;
    lh_digest_block(item->content, len, &digest);
    if (LH_GUARD(RECEIVER_BUNDLE_DIGEST, !lh_digest_equal(&digest, &item->digest)))
        return LH_E_CORRUPT;
    if (receiver->is_sink)
        return LH_OK;
    struct timespec times[2];
    lh_times_of(file->atime_ns, file->source.mtime_ns, times);
    mode_t mode = lh_incoming_mode(receiver, file);
    struct lh_put put = {.name = file->name,
                         .data = item->content,
                         .len = len,
                         .mode = &mode,
                         .times = receiver->preserve ? times : NULL};
    lh_err err = lh_file_put(file->parent->dir, &put, &item->placed, info);
    return lh_receiver_no_space(err, file->parent->dir, len, info);
}

static void bundle_run(struct lh_task *task)
{
    struct lh_in_bundle *bundle = LH_CONTAINER_OF(task, struct lh_in_bundle, task);
    for (size_t i = 0; i < bundle->count; i++) {
        struct lh_unpacked *item = &bundle->items[i];
        struct lh_errinfo info = {0};
        if (bundle->receiver->is_sink)
            lh_faux_wait(&bundle->receiver->sink_pace, (size_t)item->file->source.size);
        item->err = unpack(bundle->receiver, item, &info);
        if (item->err == LH_E_CORRUPT)
            return;
        if (item->err == LH_OK)
            continue;
        item->info = malloc(sizeof info);
        if (item->info != NULL)
            *item->info = info;
    }
}

static void file_digest(const struct lh_receiver *receiver,
                        const struct lh_unpacked *item,
                        struct lh_digest *out)
{
    uint64_t size = item->file->source.size;
    lh_digest_file(size, receiver->job->host.block_size, &item->digest, size > 0, out);
}

static void settle(struct lh_receiver *receiver, struct lh_unpacked *item)
{
    struct lh_incoming *file = item->file;
    if (item->err != LH_OK) {
        lh_incoming_failed(receiver, file, item->err, item->info, LH_CODE_DISK_WRITE);
        return;
    }
    struct lh_digest digest;
    file_digest(receiver, item, &digest);
    if (!receiver->is_sink)
        lh_journaling_complete(receiver, file, &digest, &item->placed);
    lh_incoming_note_held(receiver, file, file->source.size);
    lh_incoming_complete(receiver, file);
}

// The job was stopped while the bundle was unpacked: what is in place need not be sent again.
static void note_after_the_end(struct lh_receiver *receiver, const struct lh_unpacked *item)
{
    struct lh_digest digest;
    if (receiver->is_sink || item->err != LH_OK || item->placed.st_ino == 0)
        return;
    file_digest(receiver, item, &digest);
    lh_journaling_complete(receiver, item->file, &digest, &item->placed);
    lh_journaling_flush(receiver);
}

static void bundle_done(struct lh_task *task)
{
    struct lh_in_bundle *bundle = LH_CONTAINER_OF(task, struct lh_in_bundle, task);
    struct lh_receiver *receiver = bundle->receiver;
    lh_list_remove(&bundle->link);
    lh_receiver_release(receiver, bundle->block);
    for (size_t i = 0; i < bundle->count; i++) {
        if (lh_job_ended(receiver->job))
            note_after_the_end(receiver, &bundle->items[i]);
        else if (bundle->items[i].err == LH_E_CORRUPT)
            lh_job_breach(receiver->job, LH_E_CORRUPT, "a bundle");
        else
            settle(receiver, &bundle->items[i]);
    }
    for (size_t i = 0; i < bundle->count; i++)
        free(bundle->items[i].info);
    free(bundle);
    lh_job_turn(receiver->job);
}

// Each file must be one that was asked for, of the length announced, and only once.
static lh_err
take(struct lh_receiver *receiver, const struct lh_block_item *item, struct lh_unpacked *out)
{
    struct lh_incoming *file = lh_incoming_find(receiver, item->id);
    if (LH_GUARD(RECEIVER_BUNDLE_FILE, file == NULL || file->kind != LH_ENTRY_FILE))
        return LH_E_PROTO;
    if (LH_GUARD(RECEIVER_BUNDLE_STATE, file->state != LH_INCOMING_WAITING || file->end_seen))
        return LH_E_PROTO;
    if (!lh_incoming_is_small(receiver, file) || item->length != file->source.size)
        return LH_E_PROTO;
    if (file->large != NULL && file->large->settled_count > 0)
        return LH_E_PROTO; // SAME was told of it
    file->state = LH_INCOMING_UNPACKING;
    out->file = file;
    memcpy(out->digest.bytes, item->digest, LH_JOB_DIGEST);
    return LH_OK;
}

lh_err lh_receiver_on_bundle(struct lh_receiver *receiver,
                             uint32_t block,
                             const uint8_t *data,
                             const struct lh_block_header *header)
{
    struct lh_in_bundle *bundle =
        calloc(1, sizeof *bundle + header->count * sizeof bundle->items[0]);
    if (bundle == NULL)
        return LH_E_NOMEM;
    bundle->receiver = receiver;
    bundle->block = block;
    bundle->count = header->count;
    const uint8_t *content = data + header->header_len;
    for (size_t i = 0; i < header->count; i++) {
        struct lh_block_item item;
        lh_block_item(data, i, &item);
        lh_err err = take(receiver, &item, &bundle->items[i]);
        if (err != LH_OK) {
            free(bundle);
            return err;
        }
        bundle->items[i].content = content;
        content += item.length;
    }
    lh_list_append(&receiver->bundles, &bundle->link);
    bundle->task = (struct lh_task){.run = bundle_run, .done = bundle_done};
    lh_ioq_submit(receiver->job->host.ioq, &bundle->task);
    return LH_OK;
}
