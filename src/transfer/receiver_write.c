// SPDX-License-Identifier: Apache-2.0
//
// FILE blocks: checked against what was announced and told, digested and written by tasks in
// whatever order they come. The first one makes the file's partial (a task, too); blocks wait for
// that. A block is recorded in the journal only after it was written.
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/assert.h"
#include "base/text.h"
#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

// --- A full disk ---

lh_err lh_receiver_no_space(lh_err err, struct lh_dir *dir, uint64_t bytes, struct lh_errinfo *info)
{
    char needed[32], free_now[32];
    struct statvfs room;
    struct lh_errinfo ignored = {0};
    int fd;
    if (err != LH_E_NOSPC || strstr(info->text, "needed") != NULL)
        return err; // something else, or told already
    if (lh_dir_pin(dir, &fd, &ignored) != LH_OK)
        return err;
    bool is_known = fstatvfs(fd, &room) == 0;
    lh_dir_unpin(dir);
    if (!is_known)
        return err;
    uint64_t left = (uint64_t)room.f_bavail * room.f_frsize;
    *info = (struct lh_errinfo){0};
    return lh_fail(
        info, err, LH_CODE_NO_SPACE,
        "no space left: %s (%llu bytes) needed for this file, %s (%llu bytes) free; make "
        "room and run the command again",
        lh_format_bytes(bytes, needed, sizeof needed), (unsigned long long)bytes,
        lh_format_bytes(left, free_now, sizeof free_now), (unsigned long long)left);
}

// --- Writing ---

static void write_run(struct lh_task *task)
{
    struct lh_in_write *write = LH_CONTAINER_OF(task, struct lh_in_write, task);
    struct lh_digest digest;
    lh_digest_block(write->content, write->len, &digest);
    if (LH_GUARD(RECEIVER_BLOCK_DIGEST, !lh_digest_equal(&digest, &write->digest))) {
        write->err = LH_E_CORRUPT;
        return;
    }
    struct lh_receiver *receiver = write->receiver;
    uint64_t offset = (uint64_t)write->index * receiver->job->host.block_size;
    if (receiver->is_sink) {
        lh_faux_wait(&receiver->sink_pace, write->len);
        return;
    }
    const struct lh_incoming *file = write->file;
    lh_err err =
        lh_partial_write(&file->large->partial, write->content, write->len, offset, &write->info);
    write->err = lh_receiver_no_space(err, file->parent->dir, file->source.size, &write->info);
}

void lh_in_write_done(struct lh_task *task)
{
    struct lh_in_write *write = LH_CONTAINER_OF(task, struct lh_in_write, task);
    struct lh_receiver *receiver = write->receiver;
    struct lh_incoming *file = write->file;
    lh_err err = write->err;
    struct lh_errinfo info = write->info;
    file->large->writing--;
    lh_list_remove(&write->link);
    lh_receiver_release(receiver, write->block);
    if (lh_job_ended(receiver->job)) {
        // Stopped while this was written: the next run need not have it sent again.
        if (err == LH_OK && file->state != LH_INCOMING_LOST) {
            lh_journaling_block(receiver, file, write->index);
            lh_journaling_flush(receiver);
        }
    } else if (err == LH_E_CORRUPT) {
        lh_job_breach(receiver->job, err, "a block");
    } else if (file->state == LH_INCOMING_LOST) {
        lh_incoming_drop_when_over(receiver, file);
    } else if (err != LH_OK) {
        lh_incoming_failed(receiver, file, err, &info, LH_CODE_DISK_WRITE);
    } else {
        lh_incoming_note_held(receiver, file, write->len);
        lh_journaling_block(receiver, file, write->index);
        err = lh_large_finish_when_whole(receiver, file);
        if (err != LH_OK)
            lh_job_breach(receiver->job, err, "the end of a file");
    }
    free(write);
    lh_job_turn(receiver->job);
}

static void submit(struct lh_in_write *write)
{
    lh_list_append(&write->receiver->writes, &write->link);
    write->file->large->writing++;
    write->task = (struct lh_task){.run = write_run, .done = lh_in_write_done};
    lh_ioq_submit(write->receiver->job->host.ioq, &write->task);
}

void lh_pending_release(struct lh_receiver *receiver, struct lh_large_in *large)
{
    LH_LIST_FOR_EACH(link, &large->pending)
    {
        struct lh_in_write *write = LH_CONTAINER_OF(link, struct lh_in_write, link);
        lh_list_remove(link);
        lh_receiver_release(receiver, write->block);
        free(write);
    }
}

// --- The partial ---

static void create_run(struct lh_task *task)
{
    struct lh_large_in *large = LH_CONTAINER_OF(task, struct lh_large_in, task);
    const struct lh_incoming *file = large->file;
    large->info = (struct lh_errinfo){0};
    large->err = lh_partial_create_nameless(&large->partial, file->parent->dir, file->source.size,
                                            &large->info);
}

static void link_run(struct lh_task *task)
{
    struct lh_large_in *large = LH_CONTAINER_OF(task, struct lh_large_in, task);
    large->err = lh_partial_link(&large->partial, &large->info);
}

// The partial is recorded before it has a name: a kill at any moment leaves none that the journal
// does not know.
static void link_done(struct lh_task *task)
{
    struct lh_large_in *large = LH_CONTAINER_OF(task, struct lh_large_in, task);
    struct lh_receiver *receiver = large->receiver;
    struct lh_incoming *file = large->file;
    large->creating = false;
    if (file->state == LH_INCOMING_LOST) {
        if (large->err == LH_OK)
            lh_partial_discard(&large->partial); // nothing was written
        lh_incoming_drop_when_over(receiver, file);
    } else if (large->err != LH_OK) {
        struct lh_errinfo info = large->info;
        lh_incoming_failed(receiver, file, large->err, &info, LH_CODE_DISK_WRITE);
    } else {
        large->created = true;
        LH_LIST_FOR_EACH(link, &large->pending)
        {
            lh_list_remove(link);
            submit(LH_CONTAINER_OF(link, struct lh_in_write, link));
        }
    }
    lh_job_turn(receiver->job);
}

static void create_done(struct lh_task *task)
{
    struct lh_large_in *large = LH_CONTAINER_OF(task, struct lh_large_in, task);
    if (large->err != LH_OK || large->file->state == LH_INCOMING_LOST) {
        link_done(task);
        return;
    }
    lh_journaling_begin(large->receiver, large->file);
    lh_journaling_flush(large->receiver);
    large->task = (struct lh_task){.run = link_run, .done = link_done};
    lh_ioq_submit(large->receiver->job->host.ioq, &large->task);
}

void lh_large_create(struct lh_large_in *large)
{
    if (large->creating)
        return;
    large->creating = true;
    large->task = (struct lh_task){.run = create_run, .done = create_done};
    lh_ioq_submit(large->receiver->job->host.ioq, &large->task);
}

// --- Arrival ---

lh_err lh_in_write_check(const struct lh_receiver *receiver,
                         const struct lh_incoming *file,
                         const struct lh_block_item *item,
                         uint32_t index)
{
    if (LH_GUARD(RECEIVER_BLOCK_FILE, file == NULL || file->kind != LH_ENTRY_FILE))
        return LH_E_PROTO;
    bool may_come = file->state == LH_INCOMING_WAITING || file->state == LH_INCOMING_COMPARING ||
                    file->state == LH_INCOMING_LOST;
    if (LH_GUARD(RECEIVER_BLOCK_STATE, !may_come))
        return LH_E_PROTO;
    const struct lh_large_in *large = file->large;
    if (large == NULL || lh_incoming_is_small(receiver, file) || index >= large->block_count)
        return LH_E_PROTO;
    if (item->length != lh_block_length(file->source.size, receiver->job->host.block_size, index))
        return LH_E_PROTO;
    if (file->end_seen && large->blocks_in >= file->blocks_sent)
        return LH_E_PROTO;
    if (large->blocks_in >= large->block_count)
        return LH_E_PROTO;
    if (file->state == LH_INCOMING_COMPARING && index >= large->known)
        return LH_E_PROTO;
    if (file->state != LH_INCOMING_LOST &&
        (lh_bit(large->got, index) || lh_bit(large->same, index)))
        return LH_E_PROTO;
    return LH_OK;
}

struct lh_in_write *lh_in_write_new(struct lh_receiver *receiver,
                                    struct lh_incoming *file,
                                    uint32_t block,
                                    const struct lh_block_item *item,
                                    uint32_t index)
{
    struct lh_large_in *large = file->large;
    struct lh_in_write *write = calloc(1, sizeof *write);
    if (write == NULL)
        return NULL;
    *write = (struct lh_in_write){
        .file = file, .receiver = receiver, .block = block, .len = item->length, .index = index};
    memcpy(write->digest.bytes, item->digest, LH_JOB_DIGEST);
    lh_list_init(&write->link);
    large->blocks_in++;
    large->digests[index] = write->digest;
    lh_bit_set(large->got, index);
    large->settled_count++;
    return write;
}

lh_err lh_receiver_on_file_block(struct lh_receiver *receiver,
                                 uint32_t block,
                                 const uint8_t *data,
                                 const struct lh_block_header *header)
{
    struct lh_block_item item;
    lh_block_item(data, 0, &item);
    struct lh_incoming *file = lh_incoming_find(receiver, item.id);
    lh_err err = lh_in_write_check(receiver, file, &item, header->index);
    if (err != LH_OK)
        return err;
    struct lh_large_in *large = file->large;
    if (file->state == LH_INCOMING_LOST) {
        large->blocks_in++;
        lh_receiver_release(receiver, block);
        lh_incoming_drop_when_over(receiver, file);
        return LH_OK;
    }
    struct lh_in_write *write = lh_in_write_new(receiver, file, block, &item, header->index);
    if (write == NULL)
        return LH_E_NOMEM;
    write->content = data + header->header_len;
    if (receiver->is_sink || large->created) {
        submit(write);
        return LH_OK;
    }
    lh_list_append(&large->pending, &write->link);
    lh_large_create(large);
    return LH_OK;
}
