// SPDX-License-Identifier: Apache-2.0
//
// How it works. Small files wait until a bundle of about one block is full, or until no other
// bundle is under way: then what is there goes, so that a few files do not wait for more. One task
// reads a whole bundle. Files that failed, changed, or are the receiver's already are taken out of
// it before it is sent, and ended by messages of their own.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "transfer/sender_internal.h"

// --- On a worker ---

static lh_err read_file(struct lh_outgoing *file, int fd, uint8_t *data, struct lh_errinfo *info)
{
    size_t len = (size_t)file->size;
    for (size_t at = 0; at < len;) {
        ssize_t got = pread(fd, data + at, len - at, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lh_fail_errno(info, errno, LH_CODE_DISK_READ, "reading");
        if (got == 0)
            break; // the check below sees that it is shorter
        at += (size_t)got;
    }
    return lh_outgoing_recheck(file, fd, info);
}

static lh_err read_content(const struct lh_sender *sender,
                           struct lh_outgoing *file,
                           uint8_t *data,
                           struct lh_errinfo *info)
{
    struct lh_faux *faux = lh_outgoing_faux(sender, file);
    if (faux != NULL) {
        lh_faux_wait(&faux->pace, (size_t)file->size);
        lh_faux_read(faux, file->faux_index, 0, data, (size_t)file->size);
        return LH_OK;
    }
    int fd = -1;
    lh_err err = lh_outgoing_open(file, &fd, info);
    if (err != LH_OK)
        return err;
    err = read_file(file, fd, data, info);
    close(fd);
    return err;
}

static void read_item(const struct lh_sender *sender, struct lh_out_item *item, uint8_t *data)
{
    struct lh_errinfo info = {0};
    size_t len = (size_t)item->file->size;
    lh_err err = read_content(sender, item->file, data, &info);
    if (err == LH_AGAIN) {
        item->status = LH_READ_CHANGED;
        return;
    }
    if (err < 0) {
        item->status = LH_READ_FAILED;
        item->info = malloc(sizeof *item->info);
        if (item->info != NULL)
            *item->info = info;
        return;
    }
    lh_digest_block(data, len, &item->digest);
    const struct lh_digest *theirs = len == 0 ? NULL : lh_have_find(item->file->have, 0);
    if (theirs != NULL && memcmp(theirs, &item->digest, sizeof *theirs) == 0)
        item->status = LH_READ_SAME;
}

// Reads all items behind the room for the longest header, each at the end of what is there, so that
// those taken out leave no gap.
static void bundle_run(struct lh_task *task)
{
    struct lh_out_block *block = LH_CONTAINER_OF(task, struct lh_out_block, task);
    size_t begin = lh_bundle_header_len(block->item_count);
    size_t end = begin;
    for (size_t i = 0; i < block->item_count; i++) {
        struct lh_out_item *item = &block->items[i];
        size_t len = (size_t)item->file->size;
        read_item(block->sender, item, block->data + end);
        if (item->status == LH_READ_OK)
            end += len;
    }
    block->content = end - begin;
}

// --- On the loop ---

static void end_same(struct lh_sender *sender, const struct lh_out_item *item)
{
    struct lh_digest digest;
    lh_digest_file(item->file->size, sender->job->host.block_size, &item->digest, 1, &digest);
    lh_sender_say_same(sender, item->file->node.id, (struct lh_run){.first = 0, .count = 1});
    lh_sender_file_end(sender, item->file, LH_FILE_END_DIGEST, &digest);
}

// Ends the files that do not go with the bundle; gathers those that do. Returns how many.
static size_t
sort_items(struct lh_sender *sender, struct lh_out_block *block, struct lh_block_item *out_items)
{
    size_t count = 0;
    for (size_t i = 0; i < block->item_count; i++) {
        struct lh_out_item *item = &block->items[i];
        struct lh_outgoing *file = item->file;
        if (item->status == LH_READ_SAME) {
            end_same(sender, item);
        } else if (item->status != LH_READ_OK) {
            lh_sender_file_failed(sender, file, item->status, item->info);
        } else {
            out_items[count].id = file->node.id;
            out_items[count].length = (uint32_t)file->size;
            memcpy(out_items[count].digest, item->digest.bytes, LH_JOB_DIGEST);
            count++;
            file->state = LH_OUTGOING_DONE;
        }
    }
    return count;
}

static void bundle_done(struct lh_task *task)
{
    struct lh_out_block *block = LH_CONTAINER_OF(task, struct lh_out_block, task);
    struct lh_sender *sender = block->sender;
    struct lh_block_item *items = calloc(block->item_count, sizeof *items);
    sender->bundles_running--;
    sender->reads_running--;
    if (items == NULL) {
        lh_job_abort(sender->job, 0, LH_CODE_NO_MEMORY, "out of memory");
        lh_job_turn(sender->job);
        return;
    }
    size_t count = sort_items(sender, block, items);
    if (count == 0) {
        lh_out_block_free(sender, block);
    } else {
        size_t header = lh_bundle_header_len(count);
        memmove(block->data + header, block->data + lh_bundle_header_len(block->item_count),
                block->content);
        lh_bundle_write(block->data, items, count);
        block->len = header + block->content;
        block->content_sent = block->content;
        lh_out_block_ready(sender, block);
    }
    free(items);
    lh_job_turn(sender->job);
}

// Takes files from the head of the queue while they fit.
static size_t choose(struct lh_sender *sender, struct lh_out_item *items, uint64_t *out_bytes)
{
    size_t count = 0;
    uint64_t bytes = 0;
    for (struct lh_link *link; (link = lh_list_first(&sender->small)) != NULL;) {
        struct lh_outgoing *file = LH_CONTAINER_OF(link, struct lh_outgoing, link);
        if (count == LH_BUNDLE_FILES_MAX ||
            (count > 0 && bytes + file->size > sender->job->host.block_size))
            break;
        // Headers beyond what one block's header room holds must fit into the block, too.
        if (lh_bundle_header_len(count + 1) + bytes + file->size >
            sender->job->host.block_size + LH_BLOCK_HEADER_MAX)
            break;
        lh_list_remove(link);
        file->state = LH_OUTGOING_READING;
        items[count++] = (struct lh_out_item){.file = file};
        bytes += file->size;
    }
    sender->small_count -= count;
    sender->small_bytes -= bytes;
    *out_bytes = bytes;
    return count;
}

bool lh_bundle_dispatch(struct lh_sender *sender)
{
    bool is_full = sender->small_bytes >= sender->job->host.block_size ||
                   sender->small_count >= LH_BUNDLE_FILES_MAX;
    bool is_idle = sender->bundles_running == 0 && sender->ready_count < 2;
    if (sender->small_count == 0 || (!is_full && !is_idle) || lh_job_ended(sender->job))
        return false;

    struct lh_out_item *items = calloc(LH_BUNDLE_FILES_MAX, sizeof *items);
    uint64_t bytes = 0;
    size_t count = items == NULL ? 0 : choose(sender, items, &bytes);
    struct lh_out_block *block =
        count == 0 ? NULL : lh_out_block_new(sender, lh_bundle_header_len(count) + bytes);
    if (block == NULL) {
        free(items);
        lh_job_abort(sender->job, 0, LH_CODE_NO_MEMORY, "out of memory");
        return false;
    }
    block->items = items;
    block->item_count = count;
    block->task = (struct lh_task){.run = bundle_run, .done = bundle_done};
    lh_outgoing_path(sender, items[0].file, sender->job->current, sizeof sender->job->current);
    sender->bundles_running++;
    sender->reads_running++;
    lh_ioq_submit(sender->job->host.ioq, &block->task);
    return true;
}
