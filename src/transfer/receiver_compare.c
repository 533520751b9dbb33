// SPDX-License-Identifier: Apache-2.0
//
// How it works. What is here already need not be sent: blocks of a partial that an earlier run
// left, and blocks of the file that is to be replaced. Neither is trusted by size or time: tasks
// read and digest them (those of a partial must still agree with the journal), stretch by stretch,
// and each stretch is told to the sender as HAVE, which compares it with its own blocks and answers
// SAME or sends data. So reading here, reading there and sending go on side by side.
//
// Blocks of the partial stay where they are; blocks of the old file are copied when the file is
// finished (receiver_finish.c), and checked again then.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"
#include "transfer/receiver_internal.h"

_Static_assert(LH_HASH_BATCH % 8 == 0, "a stretch and the blocks told before share no bitmap byte");

lh_err lh_large_in_new(struct lh_receiver *receiver, struct lh_incoming *file)
{
    struct lh_large_in *large = calloc(1, sizeof *large);
    if (large == NULL)
        return LH_E_NOMEM;
    uint64_t count = lh_block_count(file->source.size, receiver->job->host.block_size);
    size_t bytes = count / 8 + 1;
    large->receiver = receiver;
    large->file = file;
    large->partial = LH_PARTIAL_NULL;
    large->block_count = (uint32_t)count;
    lh_list_init(&large->pending);
    large->got = calloc(1, bytes);
    large->kept = calloc(1, bytes);
    large->target_has = calloc(1, bytes);
    large->same = calloc(1, bytes);
    large->digests = calloc(LH_MAX(count, 1u), sizeof *large->digests);
    if (large->got == NULL || large->kept == NULL || large->target_has == NULL ||
        large->same == NULL || large->digests == NULL) {
        lh_large_in_free(large);
        return LH_E_NOMEM;
    }
    file->large = large;
    return LH_OK;
}

void lh_large_in_free(struct lh_large_in *large)
{
    if (large == NULL)
        return;
    lh_partial_close(&large->partial); // stays on disk, for resume
    free(large->got);
    free(large->kept);
    free(large->target_has);
    free(large->same);
    free(large->digests);
    free(large);
}

lh_err lh_large_resume(struct lh_large_in *large, bool *out_forget, struct lh_errinfo *info)
{
    const struct lh_incoming *file = large->file;
    const struct lh_known_partial *known = file->known;
    lh_err err = lh_partial_reopen(&large->partial, file->parent->dir, known->name, known->dev,
                                   known->ino, info);
    if (err < 0)
        return err;
    large->resumed = large->created = err == LH_OK;
    if (large->resumed)
        return LH_OK;
    // Gone, or not ours any more: what the journal says of its blocks means nothing.
    memset(large->kept, 0, large->block_count / 8 + 1);
    *out_forget = true;
    return LH_OK;
}

// --- On a worker ---

// Opens the present target, which must still be the file that was looked at.
static int open_target(struct lh_large_in *large)
{
    const struct lh_incoming *file = large->file;
    struct lh_errinfo ignored = {0};
    struct stat now;
    int fd = -1;
    if (!large->has_target ||
        lh_dir_open_file(file->parent->dir, file->name, &fd, &now, &ignored) != LH_OK)
        return -1;
    struct lh_source_id seen = lh_source_id_of(&large->target), found = lh_source_id_of(&now);
    if (now.st_ino != large->target.st_ino || now.st_dev != large->target.st_dev ||
        !lh_source_id_equal(&seen, &found)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool read_whole(int fd, uint8_t *buffer, size_t len, uint64_t offset)
{
    for (size_t at = 0; at < len;) {
        ssize_t got = pread(fd, buffer + at, len - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

// Block `index` of the partial, if it is what the journal recorded; else of the target, if it has
// one.
static void hash_block(struct lh_large_in *large, int target_fd, uint8_t *buffer, uint32_t index)
{
    uint32_t block_size = large->receiver->job->host.block_size;
    uint64_t size = large->file->source.size, offset = (uint64_t)index * block_size;
    uint32_t len = lh_block_length(size, block_size, index);
    struct lh_digest digest;
    struct lh_errinfo ignored = {0};
    if (lh_bit(large->kept, index)) {
        if (lh_partial_read(&large->partial, buffer, len, offset, &ignored) == LH_OK) {
            lh_digest_block(buffer, len, &digest);
            if (lh_digest_equal(&digest, &large->digests[index]))
                return;
        }
        lh_bit_clear(large->kept, index);
    }
    uint64_t target_size = (uint64_t)large->target.st_size;
    if (target_fd < 0 || offset >= target_size ||
        lh_block_length(target_size, block_size, index) < len)
        return;
    if (!read_whole(target_fd, buffer, len, offset))
        return;
    lh_digest_block(buffer, len, &large->digests[index]);
    lh_bit_set(large->target_has, index);
}

static void hash_stretch(struct lh_large_in *large)
{
    uint8_t *buffer = malloc(large->receiver->job->host.block_size);
    int target_fd = open_target(large);
    for (uint32_t i = 0; i < large->chunk_count; i++) {
        uint32_t index = large->chunk_first + i;
        if (buffer != NULL)
            hash_block(large, target_fd, buffer, index);
        else
            lh_bit_clear(large->kept, index);
    }
    if (target_fd >= 0)
        close(target_fd);
    free(buffer);
}

void lh_comparing_hash_small(struct lh_large_in *large)
{
    large->chunk_first = 0;
    large->chunk_count = 1;
    hash_stretch(large);
}

static void compare_run(struct lh_task *task)
{
    hash_stretch(LH_CONTAINER_OF(task, struct lh_large_in, compare_task));
}

// --- On the loop ---

static void tell_have(struct lh_receiver *receiver, struct lh_large_in *large)
{
    struct lh_have_item items[LH_HASH_BATCH];
    struct lh_msg_have have = {.id = large->file->node.id};
    for (uint32_t i = 0; i < large->chunk_count; i++) {
        uint32_t index = large->chunk_first + i;
        if (!lh_bit(large->kept, index) && !lh_bit(large->target_has, index))
            continue;
        struct lh_have_item *item = &items[have.items.count++];
        item->block = index;
        memcpy(item->digest, large->digests[index].bytes, LH_JOB_DIGEST);
    }
    have.items.array = items;
    have.known = large->known = large->chunk_first + large->chunk_count;
    lh_job_say(receiver->job, &(struct lh_message){.type = LH_MESSAGE_HAVE, .as.have = have});
}

void lh_comparing_tell_small(struct lh_receiver *receiver, struct lh_incoming *file)
{
    tell_have(receiver, file->large);
}

static void compare_done(struct lh_task *task)
{
    struct lh_large_in *large = LH_CONTAINER_OF(task, struct lh_large_in, compare_task);
    struct lh_receiver *receiver = large->receiver;
    struct lh_incoming *file = large->file;
    large->comparing = false;
    receiver->comparing--;
    if (file->state == LH_INCOMING_LOST) {
        lh_incoming_drop_when_over(receiver, file);
    } else {
        tell_have(receiver, large);
        if (large->known < large->block_count)
            lh_list_prepend(&receiver->to_compare, &file->link);
        else
            file->state = LH_INCOMING_WAITING;
    }
    lh_job_turn(receiver->job);
}

void lh_comparing_pump(struct lh_receiver *receiver)
{
    struct lh_job *job = receiver->job;
    for (struct lh_link *link; receiver->comparing < LH_HASHES_MAX &&
                               lh_outbox_waiting(&job->outbox) < LH_ANSWER_WAITING &&
                               (link = lh_list_first(&receiver->to_compare)) != NULL;) {
        struct lh_large_in *large = LH_CONTAINER_OF(link, struct lh_incoming, link)->large;
        lh_list_remove(link);
        large->chunk_first = large->known;
        large->chunk_count = LH_MIN(large->block_count - large->known, (uint32_t)LH_HASH_BATCH);
        large->comparing = true;
        receiver->comparing++;
        large->compare_task = (struct lh_task){.run = compare_run, .done = compare_done};
        lh_ioq_submit(job->host.ioq, &large->compare_task);
    }
}

static lh_err same_one(struct lh_receiver *receiver, struct lh_incoming *file, uint32_t index)
{
    struct lh_large_in *large = file->large;
    bool is_told =
        index < large->known && (lh_bit(large->kept, index) || lh_bit(large->target_has, index));
    if (LH_GUARD(RECEIVER_SAME, !is_told))
        return LH_E_PROTO;
    if (lh_bit(large->got, index) || lh_bit(large->same, index))
        return LH_E_PROTO;
    lh_bit_set(lh_bit(large->kept, index) ? large->got : large->same, index);
    large->settled_count++;
    lh_incoming_note_held(
        receiver, file, lh_block_length(file->source.size, receiver->job->host.block_size, index));
    return LH_OK;
}

lh_err lh_receiver_on_same(struct lh_receiver *receiver, struct lh_msg_same same)
{
    struct lh_incoming *file = lh_incoming_find(receiver, same.id);
    if (file == NULL || file->large == NULL || file->end_seen)
        return LH_E_PROTO;
    if (file->state == LH_INCOMING_LOST)
        return LH_OK;
    if (file->state != LH_INCOMING_COMPARING && file->state != LH_INCOMING_WAITING)
        return LH_E_PROTO;
    struct lh_run run;
    while (lh_run_next(&same.blocks, &run))
        for (uint32_t i = 0; i < run.count; i++) {
            lh_err err = same_one(receiver, file, run.first + i);
            if (err != LH_OK)
                return err;
        }
    return LH_OK;
}
