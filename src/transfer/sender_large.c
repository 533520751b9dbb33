// SPDX-License-Identifier: Apache-2.0
//
// How it works. Files larger than a bundle takes are read block by block, several blocks at once
// and in order of their beginning. A file goes through: opening (task), readings (one task a
// block), closing (task: is it still what was announced?), FILE_END. Where the receiver told
// digests of its own blocks (HAVE), each block read is compared first; equal ones are told as SAME
// and not sent, and blocks beyond what HAVE has covered wait.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"
#include "transfer/sender_internal.h"

#define READ_PIECE   131072
#define SAME_RUN_MAX 256 // blocks of one SAME run: the receiver's progress should not wait for more

void lh_large_free(struct lh_large_out *large)
{
    if (large == NULL)
        return;
    if (large->fd >= 0)
        close(large->fd);
    free(large->digests);
    free(large);
}

static void
note_failure(struct lh_large_out *large, enum lh_read_status status, const struct lh_errinfo *info)
{
    if (large->status != LH_READ_OK)
        return;
    large->status = status;
    large->info = *info;
}

// --- Closing ---

static void close_run(struct lh_task *task)
{
    struct lh_large_out *large = LH_CONTAINER_OF(task, struct lh_large_out, task);
    if (large->fd < 0)
        return; // synthetic
    struct lh_errinfo info = {0};
    lh_err err = lh_outgoing_recheck(large->file, large->fd, &info);
    if (err == LH_AGAIN)
        note_failure(large, LH_READ_CHANGED, &info);
    else if (err < 0)
        note_failure(large, LH_READ_FAILED, &info);
    close(large->fd);
    large->fd = -1;
}

// What the file is now, was found out by its name: the descriptor may be of one that is gone.
static void note_lost(struct lh_large_out *large)
{
    if (large->lost == LH_READ_OK)
        return;
    note_failure(large, large->lost, &large->lost_info);
    if (large->lost == LH_READ_CHANGED)
        large->file->id = large->lost_id;
}

static void fail(struct lh_large_out *large)
{
    struct lh_errinfo info = large->info;
    lh_out_blocks_drop(large->sender, large->file);
    lh_sender_file_failed(large->sender, large->file, large->status, &info);
}

static void close_done(struct lh_task *task)
{
    struct lh_large_out *large = LH_CONTAINER_OF(task, struct lh_large_out, task);
    struct lh_sender *sender = large->sender;
    struct lh_outgoing *file = large->file;
    note_lost(large);
    if (file->state == LH_OUTGOING_REFUSED || large->status != LH_READ_OK) {
        fail(large);
    } else {
        lh_digest_file(file->size, sender->job->host.block_size, large->digests, large->block_count,
                       &large->digest);
        large->end_waits = true;
        if (lh_again_may_end(sender, large)) {
            struct lh_digest digest = large->digest;
            lh_sender_file_end(sender, file, LH_FILE_END_DIGEST, &digest);
        }
    }
    lh_job_turn(sender->job);
}

static void flush_same(struct lh_large_out *large)
{
    if (large->same.count == 0)
        return;
    lh_sender_say_same(large->sender, large->file->node.id, large->same);
    large->same.count = 0;
}

static bool is_stopped(const struct lh_large_out *large)
{
    return large->status != LH_READ_OK || large->lost != LH_READ_OK ||
           large->file->state == LH_OUTGOING_REFUSED;
}

// True where no more blocks will be read: all were, or something went wrong.
static bool is_over(const struct lh_large_out *large)
{
    return !large->opening && large->reading == 0 &&
           (is_stopped(large) || (large->opened && large->next_block == large->block_count));
}

static void close_when_over(struct lh_large_out *large)
{
    if (large->closing || !is_over(large))
        return;
    flush_same(large);
    large->closing = true;
    lh_list_remove(&large->file->link);
    large->task.run = close_run;
    large->task.done = close_done;
    lh_ioq_submit(large->sender->job->host.ioq, &large->task);
}

void lh_large_stop(struct lh_sender *sender, struct lh_outgoing *file)
{
    bool is_queued = file->state == LH_OUTGOING_QUEUED;
    file->state = LH_OUTGOING_REFUSED;
    lh_list_remove(&file->link);
    if (is_queued) {
        lh_sender_file_failed(sender, file, LH_READ_FAILED, NULL);
        return;
    }
    if (file->large->end_waits) {
        fail(file->large);
        return;
    }
    lh_out_blocks_drop(sender, file);
    close_when_over(file->large);
}

void lh_large_lost(struct lh_sender *sender,
                   struct lh_outgoing *file,
                   const struct lh_out_block *block)
{
    struct lh_large_out *large = file->large;
    if (large == NULL || file->state != LH_OUTGOING_READING || large->lost != LH_READ_OK)
        return; // it has failed already
    large->lost = block->status;
    large->lost_info = block->info;
    large->lost_id = block->seen;
    if (large->end_waits) {
        note_lost(large);
        fail(large);
    } else {
        lh_out_blocks_drop(sender, file);
        close_when_over(large);
    }
}

// --- Opening ---

static void open_run(struct lh_task *task)
{
    struct lh_large_out *large = LH_CONTAINER_OF(task, struct lh_large_out, task);
    struct lh_errinfo info = {0};
    lh_err err = lh_outgoing_open(large->file, &large->fd, &info);
    if (err == LH_AGAIN)
        note_failure(large, LH_READ_CHANGED, &info);
    else if (err < 0)
        note_failure(large, LH_READ_FAILED, &info);
    else
        (void)posix_fadvise(large->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

static void open_done(struct lh_task *task)
{
    struct lh_large_out *large = LH_CONTAINER_OF(task, struct lh_large_out, task);
    large->opening = false;
    large->opened = true;
    close_when_over(large);
    lh_job_turn(large->sender->job);
}

static bool open_file(struct lh_sender *sender, struct lh_outgoing *file)
{
    struct lh_large_out *large = calloc(1, sizeof *large);
    uint64_t count = lh_block_count(file->size, sender->job->host.block_size);
    if (large != NULL)
        large->digests = calloc(count, sizeof *large->digests);
    if (large == NULL || large->digests == NULL) {
        free(large);
        lh_job_abort(sender->job, 0, LH_CODE_NO_MEMORY, "out of memory");
        return false;
    }
    large->sender = sender;
    large->file = file;
    large->fd = -1;
    large->block_count = (uint32_t)count;
    file->large = large;
    file->state = LH_OUTGOING_READING;
    if (lh_outgoing_faux(sender, file) != NULL) {
        large->opened = true;
        return true;
    }
    large->opening = true;
    large->task = (struct lh_task){.run = open_run, .done = open_done};
    lh_ioq_submit(sender->job->host.ioq, &large->task);
    return true;
}

// --- Reading ---

enum lh_read_status
lh_read_all(int fd, uint8_t *data, size_t len, uint64_t offset, struct lh_errinfo *info)
{
    while (len > 0) {
        ssize_t got = pread(fd, data, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            (void)lh_fail_errno(info, errno, LH_CODE_DISK_READ, "reading");
            return LH_READ_FAILED;
        }
        if (got == 0)
            return LH_READ_CHANGED; // shorter than it was
        data += got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return LH_READ_OK;
}

// Read and digested in pieces that stay in the processor's cache in between.
static void read_run(struct lh_task *task)
{
    struct lh_out_block *block = LH_CONTAINER_OF(task, struct lh_out_block, task);
    const struct lh_outgoing *file = block->file;
    struct lh_faux *faux = lh_outgoing_faux(block->sender, file);
    uint64_t offset = (uint64_t)block->index * block->sender->job->host.block_size;
    uint8_t *at = block->data + LH_BLOCK_FILE_HEADER;
    struct lh_digest_state digest;
    lh_digest_begin(&digest);
    if (faux != NULL)
        lh_faux_wait(&faux->pace, block->content);
    for (size_t left = block->content; left > 0 && block->status == LH_READ_OK;) {
        size_t len = LH_MIN(left, (size_t)READ_PIECE);
        if (faux != NULL)
            lh_faux_read(faux, file->faux_index, offset, at, len);
        else
            block->status = lh_read_all(file->large->fd, at, len, offset, &block->info);
        if (block->status == LH_READ_OK)
            lh_digest_add(&digest, at, len);
        at += len;
        offset += len;
        left -= len;
    }
    lh_digest_end(&digest, &block->digest);
}

static void note_same(struct lh_large_out *large, uint32_t index)
{
    struct lh_run *same = &large->same;
    bool follows =
        same->count > 0 && same->count < SAME_RUN_MAX && index == same->first + same->count;
    if (follows) {
        same->count++;
        return;
    }
    flush_same(large);
    *same = (struct lh_run){.first = index, .count = 1};
}

static void hand_over(struct lh_sender *sender, struct lh_out_block *block)
{
    struct lh_outgoing *file = block->file;
    struct lh_block_item item = {.id = file->node.id, .length = (uint32_t)block->content};
    memcpy(item.digest, block->digest.bytes, LH_JOB_DIGEST);
    lh_block_write_file(block->data, &item, block->index);
    block->len = LH_BLOCK_FILE_HEADER + block->content;
    block->content_sent = block->content;
    file->large->blocks_sent++;
    file->unacked++;
    block->id = file->node.id;
    lh_out_block_ready(sender, block);
}

static void read_done(struct lh_task *task)
{
    struct lh_out_block *block = LH_CONTAINER_OF(task, struct lh_out_block, task);
    struct lh_sender *sender = block->sender;
    struct lh_large_out *large = block->file->large;
    const struct lh_digest *theirs = lh_have_find(block->file->have, block->index);
    sender->reads_running--;
    large->reading--;
    if (block->status != LH_READ_OK)
        note_failure(large, block->status, &block->info);
    bool wanted = !is_stopped(large) && block->file->state == LH_OUTGOING_READING;
    if (wanted)
        large->digests[block->index] = block->digest;
    bool is_same = wanted && theirs != NULL && memcmp(theirs, &block->digest, sizeof *theirs) == 0;
    if (is_same)
        note_same(large, block->index);
    if (wanted && !is_same)
        hand_over(sender, block);
    else
        lh_out_block_free(sender, block);
    close_when_over(large);
    lh_job_turn(sender->job);
}

static bool read_block(struct lh_sender *sender, struct lh_outgoing *file)
{
    struct lh_large_out *large = file->large;
    uint32_t block_size = sender->job->host.block_size;
    struct lh_out_block *block = lh_out_block_new(sender, block_size + LH_BLOCK_FILE_HEADER);
    if (block == NULL) {
        lh_job_abort(sender->job, 0, LH_CODE_NO_MEMORY, "out of memory");
        return false;
    }
    block->file = file;
    block->index = large->next_block++;
    block->content = lh_block_length(file->size, block_size, block->index);
    block->task = (struct lh_task){.run = read_run, .done = read_done};
    large->reading++;
    sender->reads_running++;
    if (block->index == 0)
        lh_outgoing_path(sender, file, sender->job->current, sizeof sender->job->current);
    lh_ioq_submit(sender->job->host.ioq, &block->task);
    return true;
}

bool lh_large_dispatch(struct lh_sender *sender)
{
    size_t looked_at = 0;
    if (lh_job_ended(sender->job))
        return false;
    LH_LIST_FOR_EACH(link, &sender->large)
    {
        struct lh_outgoing *file = LH_CONTAINER_OF(link, struct lh_outgoing, link);
        if (looked_at++ == LH_LARGE_LOOKAHEAD)
            return false;
        if (file->state == LH_OUTGOING_QUEUED && !open_file(sender, file))
            return false;
        struct lh_large_out *large = file->large;
        bool may_read = large->opened && !is_stopped(large) &&
                        large->next_block < large->block_count &&
                        lh_have_covers(file->have, large->next_block);
        if (may_read)
            return read_block(sender, file);
    }
    return false;
}
