// SPDX-License-Identifier: Apache-2.0
//
// FILE blocks that are taken early, run by run, while the transport is short of memory.
//
// How it works. The first bytes of a block are its job header: they say whose content it is, where
// it goes and what its digest is. From then on every run of it is copied into the batch that is
// being filled; a batch that is full, or that holds the last run of a block, is a task, which
// writes all of it to the places where it belongs. When all runs of a block are written, another
// task reads the block back (from the page cache, as a rule) and digests it; what happens then is
// what happens to every block that was written (receiver_write.c): only then is it recorded.
//
// A batch holds runs of many blocks, so that the single packets in which lost parts come again cost
// a write each and not a task each. Copied runs count as the transport's memory until they are
// written: a slow disk closes the window as with whole blocks.
//
// Not taken early: bundles, whose files are made whole; blocks for faux://; blocks of a file whose
// partial does not exist yet (it is made now, and the transport asks again).
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

#define BATCH_BYTES ((size_t)256 << 10)
#define BATCH_RUNS  1024

#define WRITE_OF(node_ptr) LH_CONTAINER_OF(node_ptr, struct lh_in_write, node)

struct lh_in_run {
    struct lh_in_write *write;
    uint32_t offset, len; // in the block's content
    bool is_first;        // of its block in this batch
    lh_err err;
};

struct lh_in_batch {
    struct lh_task task;
    struct lh_link link; // in receiver->batches, once submitted
    struct lh_receiver *receiver;
    uint64_t number; // addresses are used again
    size_t bytes, count;
    struct lh_errinfo info; // of the first run that failed
    struct lh_in_run runs[BATCH_RUNS];
    uint8_t data[BATCH_BYTES];
};

static void runs_release(struct lh_receiver *receiver, size_t bytes)
{
    const struct lh_channel *channel = receiver->job->host.channel;
    channel->runs_release(channel->ctx, bytes);
}

// --- On a worker ---

static lh_err write_one(const struct lh_in_run *run, const uint8_t *data, struct lh_errinfo *info)
{
    const struct lh_in_write *write = run->write;
    const struct lh_incoming *file = write->file;
    uint64_t offset = (uint64_t)write->index * write->receiver->job->host.block_size + run->offset;
    lh_err err = lh_partial_write(&file->large->partial, data, run->len, offset, info);
    return lh_receiver_no_space(err, file->parent->dir, file->source.size, info);
}

static void batch_run(struct lh_task *task)
{
    struct lh_in_batch *batch = LH_CONTAINER_OF(task, struct lh_in_batch, task);
    const uint8_t *data = batch->data;
    bool has_failed = false;
    for (size_t i = 0; i < batch->count; i++) {
        struct lh_in_run *run = &batch->runs[i];
        struct lh_errinfo info = {0};
        run->err = write_one(run, data, &info);
        if (run->err != LH_OK && !has_failed) {
            has_failed = true;
            batch->info = info;
        }
        data += run->len;
    }
}

static lh_err check_written(struct lh_in_write *write)
{
    struct lh_large_in *large = write->file->large;
    uint64_t offset = (uint64_t)write->index * write->receiver->job->host.block_size;
    struct lh_digest digest;
    uint8_t *content = malloc(write->len);
    if (content == NULL)
        return LH_E_NOMEM;
    lh_err err = lh_partial_read(&large->partial, content, write->len, offset, &write->info);
    if (err == LH_OK) {
        lh_digest_block(content, write->len, &digest);
        if (LH_GUARD(RECEIVER_EARLY_DIGEST, !lh_digest_equal(&digest, &write->digest)))
            err = LH_E_CORRUPT;
    }
    free(content);
    return err;
}

static void check_run(struct lh_task *task)
{
    struct lh_in_write *write = LH_CONTAINER_OF(task, struct lh_in_write, task);
    write->err = check_written(write);
}

// --- On the loop ---

// Nothing of the block is under way any more: checks it, or ends it where that is of no use.
static void conclude(struct lh_in_write *write)
{
    struct lh_receiver *receiver = write->receiver;
    struct lh_incoming *file = write->file;
    bool is_of_use = file->state != LH_INCOMING_LOST && !lh_job_ended(receiver->job);
    if (write->err == LH_OK && is_of_use) {
        write->task = (struct lh_task){.run = check_run, .done = lh_in_write_done};
        lh_ioq_submit(receiver->job->host.ioq, &write->task);
        return;
    }
    file->large->writing--;
    lh_list_remove(&write->link);
    lh_receiver_release(receiver, write->block);
    free(write);
    if (file->state == LH_INCOMING_LOST && !lh_job_ended(receiver->job))
        lh_incoming_drop_when_over(receiver, file);
}

static void note_written(struct lh_in_batch *batch, struct lh_in_run *run)
{
    struct lh_in_write *write = run->write;
    struct lh_receiver *receiver = batch->receiver;
    write->batches--;
    bool has_failed = write->err != LH_OK && !lh_job_ended(receiver->job) &&
                      write->file->state != LH_INCOMING_LOST;
    if (has_failed)
        lh_incoming_failed(receiver, write->file, write->err, &batch->info, LH_CODE_DISK_WRITE);
    if (write->has_ended && write->batches == 0)
        conclude(write);
}

static void batch_done(struct lh_task *task)
{
    struct lh_in_batch *batch = LH_CONTAINER_OF(task, struct lh_in_batch, task);
    struct lh_receiver *receiver = batch->receiver;
    lh_list_remove(&batch->link);
    runs_release(receiver, batch->bytes);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->runs[i].write->err == LH_OK)
            batch->runs[i].write->err = batch->runs[i].err;
    // A block may be gone after its first run here was looked at.
    for (size_t i = 0; i < batch->count; i++)
        if (batch->runs[i].is_first)
            note_written(batch, &batch->runs[i]);
    free(batch);
    lh_job_turn(receiver->job);
}

static void submit(struct lh_receiver *receiver)
{
    struct lh_in_batch *batch = receiver->filling;
    if (batch == NULL)
        return;
    receiver->filling = NULL;
    lh_list_append(&receiver->batches, &batch->link);
    batch->task = (struct lh_task){.run = batch_run, .done = batch_done};
    lh_ioq_submit(receiver->job->host.ioq, &batch->task);
}

static struct lh_in_batch *batch_with_room(struct lh_receiver *receiver)
{
    struct lh_in_batch *batch = receiver->filling;
    if (batch != NULL && (batch->bytes == BATCH_BYTES || batch->count == BATCH_RUNS)) {
        submit(receiver);
        batch = NULL;
    }
    if (batch != NULL)
        return batch;
    batch = malloc(sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->receiver = receiver;
    batch->number = ++receiver->batch_number;
    batch->bytes = batch->count = 0;
    batch->info = (struct lh_errinfo){0};
    lh_list_init(&batch->link);
    receiver->filling = batch;
    return batch;
}

// Copies as much of a run as the batch takes; gives how much.
static size_t append(struct lh_in_batch *batch,
                     struct lh_in_write *write,
                     size_t offset,
                     const uint8_t *data,
                     size_t len)
{
    struct lh_in_run *last = batch->count > 0 ? &batch->runs[batch->count - 1] : NULL;
    len = LH_MIN(len, BATCH_BYTES - batch->bytes);
    memcpy(batch->data + batch->bytes, data, len);
    batch->bytes += len;
    if (last != NULL && last->write == write && last->offset + last->len == offset) {
        last->len += (uint32_t)len;
        return len;
    }
    bool is_first = write->newest != batch->number;
    batch->runs[batch->count++] = (struct lh_in_run){
        .write = write, .offset = (uint32_t)offset, .len = (uint32_t)len, .is_first = is_first};
    write->newest = batch->number;
    write->batches += is_first;
    return len;
}

static struct lh_in_write *find(const struct lh_receiver *receiver, uint32_t block)
{
    struct lh_idnode *node = lh_idmap_find(&receiver->early, block);
    return node == NULL ? NULL : WRITE_OF(node);
}

void lh_receiver_on_block_run(
    struct lh_receiver *receiver, uint32_t block, size_t offset, const uint8_t *data, size_t len)
{
    struct lh_in_write *write = find(receiver, block);
    LH_ASSERT(write != NULL && offset >= LH_BLOCK_FILE_HEADER);
    offset -= LH_BLOCK_FILE_HEADER;
    while (len > 0) {
        bool is_of_use = write->file->state != LH_INCOMING_LOST && !lh_job_ended(receiver->job);
        struct lh_in_batch *batch = is_of_use ? batch_with_room(receiver) : NULL;
        if (is_of_use && batch == NULL)
            lh_job_abort(receiver->job, LH_E_NOMEM, LH_CODE_NO_MEMORY, "out of memory");
        if (batch == NULL) {
            runs_release(receiver, len);
            return;
        }
        size_t taken = append(batch, write, offset, data, len);
        offset += taken;
        data += taken;
        len -= taken;
    }
}

void lh_receiver_on_block_end(struct lh_receiver *receiver, uint32_t block)
{
    struct lh_in_write *write = find(receiver, block);
    LH_ASSERT(write != NULL);
    lh_idmap_remove(&receiver->early, &write->node);
    write->has_ended = true;
    receiver->job->counts.bytes_sent += write->len;
    if (write->batches > 0 && receiver->filling != NULL &&
        write->newest == receiver->filling->number)
        submit(receiver);
    if (write->batches == 0)
        conclude(write);
}

enum lh_take lh_receiver_on_block_begin(
    struct lh_receiver *receiver, uint32_t block, const uint8_t *head, size_t head_len, size_t len)
{
    struct lh_block_header header;
    struct lh_block_item item;
    // What is wrong with a block is found out, and told, when it has come whole.
    if (receiver->is_dry || receiver->is_sink || head_len < LH_BLOCK_FILE_HEADER ||
        lh_block_read_file(head, len, &header) != LH_OK)
        return LH_TAKE_NEVER;
    lh_block_item(head, 0, &item);
    struct lh_incoming *file = lh_incoming_find(receiver, item.id);
    if (lh_in_write_check(receiver, file, &item, header.index) != LH_OK ||
        file->state == LH_INCOMING_LOST)
        return LH_TAKE_NEVER;
    if (!file->large->created) {
        lh_large_create(file->large);
        return LH_TAKE_LATER;
    }
    struct lh_in_write *write = lh_in_write_new(receiver, file, block, &item, header.index);
    if (write == NULL)
        return LH_TAKE_NEVER;
    write->node.id = block;
    lh_idmap_add(&receiver->early, &write->node);
    lh_list_append(&receiver->writes, &write->link);
    file->large->writing++;
    return LH_TAKE_NOW;
}

void lh_early_fini(struct lh_receiver *receiver)
{
    LH_LIST_FOR_EACH(link, &receiver->batches)
    free(LH_CONTAINER_OF(link, struct lh_in_batch, link));
    free(receiver->filling);
    lh_idmap_fini(&receiver->early);
}
