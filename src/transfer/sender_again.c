// SPDX-License-Identifier: Apache-2.0
//
// Blocks that are read again: payload is not kept for all that is under way.
//
// How it works. A path may hold more than the sender's memory. When that is used up, blocks of
// large files that were sent once are unloaded, the newest first: whatever is lost of the oldest is
// told first. When the transport wants one again, a task opens the file anew, reads the block and
// compares its digest with the one that was sent. A part of the memory is kept for that, so that a
// wanted block never waits for others that wait for it.
//
// A file that has changed since cannot be sent as begun. Then FILE_END says so, the receiver
// answers and from then on drops what comes of the file; only after the answer the transport gets
// what it still wants, as zeros. That works only while FILE_END was not told: so where memory is
// short it is told when all blocks are acknowledged, and blocks of files whose end was told stay
// loaded. Bundles stay loaded, too.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "transfer/sender_internal.h"

static bool is_of_a_file(const struct lh_out_block *block)
{
    return block->items == NULL;
}

bool lh_out_block_may_unload(const struct lh_out_block *block)
{
    // A settled file's blocks may hold anything; one whose end was told must stay what it is.
    return is_of_a_file(block) &&
           (block->file == NULL || block->file->state == LH_OUTGOING_READING);
}

void lh_out_block_unloaded(struct lh_sender *sender, struct lh_out_block *block)
{
    lh_out_buffer_free(sender, block);
    lh_list_remove(&block->link);
    lh_list_append(&sender->unloaded, &block->link);
    block->is_unloaded = true;
    if (block->file != NULL)
        block->file->unloaded++;
}

static void no_longer_unloaded(struct lh_out_block *block)
{
    if (block->file != NULL && block->is_unloaded)
        block->file->unloaded--;
    block->is_unloaded = false;
}

bool lh_again_may_end(struct lh_sender *sender, struct lh_large_out *large)
{
    bool is_short = sender->charged > sender->job->host.read_ahead / 2;
    return large->file->unacked == 0 || (large->file->unloaded == 0 && !is_short);
}

void lh_again_on_acked(struct lh_sender *sender, struct lh_outgoing *file)
{
    if (file->large != NULL && file->large->end_waits && file->unacked == 0) {
        struct lh_digest digest = file->large->digest;
        lh_sender_file_end(sender, file, LH_FILE_END_DIGEST, &digest);
    }
}

void lh_again_let_go(struct lh_sender *sender, struct lh_outgoing *file)
{
    LH_LIST_FOR_EACH(link, &sender->ready)
    {
        struct lh_out_block *block = LH_CONTAINER_OF(link, struct lh_out_block, link);
        block->file = block->file == file ? NULL : block->file;
    }
    LH_LIST_FOR_EACH(link, &file->blocks)
    {
        lh_list_remove(link);
        LH_CONTAINER_OF(link, struct lh_out_block, file_link)->file = NULL;
    }
}

// --- On a worker ---

static enum lh_read_status reread(struct lh_out_block *block)
{
    const struct lh_outgoing *file = block->file;
    const struct lh_faux *faux = lh_outgoing_faux(block->sender, file);
    uint64_t offset = (uint64_t)block->index * block->sender->job->host.block_size;
    uint8_t *content = block->data + LH_BLOCK_FILE_HEADER;
    struct lh_digest digest;
    struct stat stat;
    int fd = -1;
    if (faux != NULL) {
        lh_faux_read(faux, file->faux_index, offset, content, block->content);
        return LH_READ_OK;
    }
    lh_err err = lh_dir_open_file(file->dir, file->name, &fd, &stat, &block->info);
    if (err != LH_OK)
        return LH_READ_FAILED;
    struct lh_stat_id now = lh_stat_id_of(&stat);
    bool is_same = lh_stat_id_same(&now, &block->seen);
    enum lh_read_status status =
        is_same ? lh_read_all(fd, content, block->content, offset, &block->info) : LH_READ_CHANGED;
    block->seen = now;
    close(fd);
    if (status != LH_READ_OK)
        return status;
    lh_digest_block(content, block->content, &digest);
    if (!lh_digest_equal(&digest, &block->digest))
        return LH_READ_CHANGED;
    return LH_READ_OK;
}

static void reread_run(struct lh_task *task)
{
    struct lh_out_block *block = LH_CONTAINER_OF(task, struct lh_out_block, task);
    block->status = reread(block);
}

// --- On the loop ---

static void write_header(struct lh_out_block *block)
{
    struct lh_block_item item = {.id = block->id, .length = (uint32_t)block->content};
    memcpy(item.digest, block->digest.bytes, LH_JOB_DIGEST);
    lh_block_write_file(block->data, &item, block->index);
}

static void supply(struct lh_sender *sender, struct lh_out_block *block)
{
    const struct lh_channel *channel = sender->job->host.channel;
    write_header(block);
    no_longer_unloaded(block);
    lh_list_remove(&block->link);
    lh_list_append(&sender->in_flight, &block->link);
    bool is_taken = channel->block_supply(channel->ctx, block->node.id, block->data);
    LH_ASSERT(is_taken); // what is acknowledged left us before
}

// Nobody looks at the content any more.
static void supply_zeros(struct lh_sender *sender, struct lh_out_block *block)
{
    memset(block->data, 0, block->len);
    supply(sender, block);
}

static void want_later(struct lh_sender *sender, struct lh_out_block *block)
{
    lh_out_buffer_free(sender, block);
    lh_list_remove(&block->link);
    lh_list_append(&sender->wanted, &block->link);
}

static void reread_done(struct lh_task *task)
{
    struct lh_out_block *block = LH_CONTAINER_OF(task, struct lh_out_block, task);
    struct lh_sender *sender = block->sender;
    struct lh_outgoing *file = block->file;
    block->is_reading = false;
    sender->reads_running--;
    file->rereading--;
    if (block->is_acked) {
        lh_list_remove(&block->file_link);
        lh_out_block_free(sender, block);
    } else if (file->is_gone) {
        supply_zeros(sender, block);
    } else if (block->status == LH_READ_OK) {
        supply(sender, block);
    } else {
        // Waits until the file is settled, which its failure brings about.
        want_later(sender, block);
        lh_large_lost(sender, file, block);
    }
    if (file->is_gone && file->rereading == 0) {
        lh_again_let_go(sender, file);
        lh_list_remove(&file->link);
        lh_outgoing_free(file);
    }
    lh_job_turn(sender->job);
}

// Can the block be loaded now, from its file or as zeros?
static bool is_ready(const struct lh_out_block *block)
{
    const struct lh_outgoing *file = block->file;
    if (file == NULL || file->is_gone)
        return true;
    const struct lh_large_out *large = file->large;
    return file->state == LH_OUTGOING_READING && large->lost == LH_READ_OK &&
           (!large->closing || large->end_waits); // a task looks at the file's identity
}

static bool load(struct lh_sender *sender, struct lh_out_block *block)
{
    block->data = lh_out_buffer_new(sender, block->room);
    if (block->data == NULL) {
        lh_job_abort(sender->job, 0, LH_CODE_NO_MEMORY, "out of memory");
        return false;
    }
    if (block->file == NULL || block->file->is_gone) {
        supply_zeros(sender, block);
        return true;
    }
    lh_list_remove(&block->link);
    lh_list_append(&sender->reading, &block->link);
    block->is_reading = true;
    block->status = LH_READ_OK;
    block->seen = block->file->id;
    block->info = (struct lh_errinfo){0};
    block->file->rereading++;
    sender->reads_running++;
    block->task = (struct lh_task){.run = reread_run, .done = reread_done};
    lh_ioq_submit(sender->job->host.ioq, &block->task);
    return true;
}

void lh_again_dispatch(struct lh_sender *sender)
{
    LH_LIST_FOR_EACH(link, &sender->wanted)
    {
        struct lh_out_block *block = LH_CONTAINER_OF(link, struct lh_out_block, link);
        if (sender->reads_running >= LH_READS_MAX || lh_job_ended(sender->job))
            return;
        if (!is_ready(block))
            continue;
        if (!lh_out_blocks_have_room(sender, false) || !load(sender, block))
            return;
    }
}

static struct lh_out_block *find(const struct lh_sender *sender, uint32_t number)
{
    struct lh_idnode *node = lh_idmap_find(&sender->by_number, number);
    return node == NULL ? NULL : LH_CONTAINER_OF(node, struct lh_out_block, node);
}

void lh_sender_on_block_wanted(struct lh_sender *sender, uint32_t number)
{
    struct lh_out_block *block = find(sender, number);
    LH_ASSERT(block != NULL && block->data == NULL);
    lh_list_remove(&block->link);
    lh_list_append(&sender->wanted, &block->link);
}

void lh_sender_on_block_acked(struct lh_sender *sender, uint32_t number)
{
    struct lh_out_block *block = find(sender, number);
    LH_ASSERT(block != NULL);
    struct lh_outgoing *file = block->file;
    lh_idmap_remove(&sender->by_number, &block->node);
    no_longer_unloaded(block);
    if (file != NULL)
        file->unacked--;
    if (block->is_reading) {
        block->is_acked = true; // its task ends it
    } else {
        lh_list_remove(&block->file_link);
        lh_out_block_free(sender, block);
    }
    if (file != NULL && !file->is_gone)
        lh_again_on_acked(sender, file);
}
