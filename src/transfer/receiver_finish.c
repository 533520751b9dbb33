// SPDX-License-Identifier: Apache-2.0
//
// How it works. When all blocks of a file are accounted for (arrived, or agreed to be here) and its
// end was told, one task verifies the digest of the whole, copies into the partial what the old
// file gave (reading and digesting it once more: it may have changed since), sets mode and times
// and renames the partial into place. Where every block of a file of the same size agreed, nothing
// is written at all.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

// --- On a worker ---

static lh_err changed_meanwhile(struct lh_errinfo *info)
{
    return lh_fail(info, LH_E_CHANGED, LH_CODE_SOME_FILES,
                   "the file at the destination changed meanwhile; run the command again");
}

static lh_err copy_block(
    struct lh_large_in *large, int fd, uint8_t *buffer, uint32_t index, struct lh_errinfo *info)
{
    uint32_t block_size = large->receiver->job->host.block_size;
    uint64_t offset = (uint64_t)index * block_size;
    uint32_t len = lh_block_length(large->file->source.size, block_size, index);
    for (size_t at = 0; at < len;) {
        ssize_t got = pread(fd, buffer + at, len - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lh_fail_errno(info, errno, LH_CODE_DISK_READ, "reading the old file");
        if (got == 0)
            return changed_meanwhile(info);
        at += (size_t)got;
    }
    struct lh_digest digest;
    lh_digest_block(buffer, len, &digest);
    if (LH_GUARD(RECEIVER_COPY_DIGEST, !lh_digest_equal(&digest, &large->digests[index])))
        return changed_meanwhile(info);
    lh_err err = lh_partial_write(&large->partial, buffer, len, offset, info);
    return lh_receiver_no_space(err, large->file->parent->dir, large->file->source.size, info);
}

// Copies the blocks that the old file gave.
static lh_err copy_same(struct lh_large_in *large, struct lh_errinfo *info)
{
    const struct lh_incoming *file = large->file;
    struct stat now;
    uint32_t first = 0;
    int fd = -1;
    while (first < large->block_count && !lh_bit(large->same, first))
        first++;
    if (first == large->block_count)
        return LH_OK;
    lh_err err = lh_dir_open_file(file->parent->dir, file->name, &fd, &now, info);
    if (err != LH_OK)
        return err;
    uint8_t *buffer = malloc(large->receiver->job->host.block_size);
    if (buffer == NULL)
        err = LH_E_NOMEM;
    for (uint32_t i = first; err == LH_OK && i < large->block_count; i++)
        if (lh_bit(large->same, i))
            err = copy_block(large, fd, buffer, i, info);
    free(buffer);
    close(fd);
    return err;
}

static bool nothing_to_write(const struct lh_large_in *large)
{
    if (large->partial.fd >= 0 || !large->has_target ||
        (uint64_t)large->target.st_size != large->file->source.size)
        return false;
    for (uint32_t i = 0; i < large->block_count; i++)
        if (!lh_bit(large->same, i))
            return false;
    return true;
}

// The old file is what the source is: only its attributes may have to change.
static lh_err leave_in_place(struct lh_large_in *large,
                             const mode_t *mode,
                             const struct timespec times[2],
                             struct lh_errinfo *info)
{
    const struct lh_incoming *file = large->file;
    struct lh_dir *dir = file->parent->dir;
    lh_err err = lh_dir_stat(dir, file->name, &large->placed, info);
    if (err < 0)
        return err;
    struct lh_source_id seen = lh_source_id_of(&large->target);
    struct lh_source_id now = lh_source_id_of(&large->placed);
    if (err == LH_NONE || large->placed.st_ino != large->target.st_ino ||
        !lh_source_id_equal(&seen, &now))
        return changed_meanwhile(info);
    if (!large->receiver->preserve)
        return LH_OK;
    err = lh_dir_set_attributes(dir, file->name, mode, times, info);
    if (err == LH_OK)
        err = lh_dir_stat(dir, file->name, &large->placed, info);
    return err == LH_NONE ? changed_meanwhile(info) : err;
}

static lh_err finish(struct lh_large_in *large, struct lh_errinfo *info)
{
    struct lh_receiver *receiver = large->receiver;
    const struct lh_incoming *file = large->file;
    struct lh_digest digest;
    lh_digest_file(file->source.size, receiver->job->host.block_size, large->digests,
                   large->block_count, &digest);
    if (LH_GUARD(RECEIVER_FILE_DIGEST, !lh_digest_equal(&digest, &file->end_digest)))
        return LH_E_CORRUPT;
    if (receiver->is_sink)
        return LH_OK;
    struct timespec times[2];
    lh_times_of(file->atime_ns, file->source.mtime_ns, times);
    mode_t mode = lh_incoming_mode(receiver, file);
    if (nothing_to_write(large))
        return leave_in_place(large, &mode, times, info);
    lh_err err = LH_OK;
    if (large->partial.fd < 0)
        err = lh_partial_create(&large->partial, file->parent->dir, file->source.size, info);
    if (err == LH_OK)
        err = copy_same(large, info);
    if (err != LH_OK)
        return err;
    return lh_partial_commit(&large->partial, file->name, file->source.size, &mode,
                             receiver->preserve ? times : NULL, &large->placed, info);
}

static void finish_run(struct lh_task *task)
{
    struct lh_large_in *large = LH_CONTAINER_OF(task, struct lh_large_in, task);
    large->info = (struct lh_errinfo){0};
    large->err = finish(large, &large->info);
}

// --- On the loop ---

static void finish_done(struct lh_task *task)
{
    struct lh_large_in *large = LH_CONTAINER_OF(task, struct lh_large_in, task);
    struct lh_receiver *receiver = large->receiver;
    struct lh_incoming *file = large->file;
    large->finishing = false;
    if (lh_job_ended(receiver->job)) {
        // Stopped meanwhile: nobody asks any more, but the next run should know.
        if (large->err == LH_OK && !receiver->is_sink) {
            lh_journaling_complete(receiver, file, &file->end_digest, &large->placed);
            lh_journaling_flush(receiver);
        }
    } else if (large->err == LH_E_CORRUPT) {
        lh_job_breach(receiver->job, LH_E_CORRUPT, "a file");
    } else if (large->err != LH_OK) {
        // A partial that was made only now is in no journal: nobody would find it again.
        if (!large->created && large->partial.fd >= 0)
            lh_partial_discard(&large->partial);
        struct lh_errinfo info = large->info;
        lh_incoming_failed(receiver, file, large->err, &info, LH_CODE_DISK_WRITE);
    } else {
        if (!receiver->is_sink)
            lh_journaling_complete(receiver, file, &file->end_digest, &large->placed);
        lh_incoming_complete(receiver, file);
    }
    lh_job_turn(receiver->job);
}

lh_err lh_large_finish_when_whole(struct lh_receiver *receiver, struct lh_incoming *file)
{
    struct lh_large_in *large = file->large;
    if (!file->end_seen || file->end_status != LH_FILE_END_DIGEST || large->finishing)
        return LH_OK;
    if (large->blocks_in < file->blocks_sent || large->writing > 0 || large->creating ||
        !lh_list_empty(&large->pending))
        return LH_OK;
    // All that was sent is here, and all SAME came before the end: nothing may be missing.
    if (LH_GUARD(RECEIVER_WHOLE, large->settled_count != large->block_count))
        return LH_E_PROTO;
    file->state = LH_INCOMING_FINISHING;
    large->finishing = true;
    large->task = (struct lh_task){.run = finish_run, .done = finish_done};
    lh_ioq_submit(receiver->job->host.ioq, &large->task);
    return LH_OK;
}
