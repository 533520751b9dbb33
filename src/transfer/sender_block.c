// SPDX-License-Identifier: Apache-2.0
//
// The memory of blocks: charged from the beginning of their reading until the transport has them
// acknowledged or they are unloaded (sender_again.c); buffers of full size are kept for the next
// block.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "transfer/sender_internal.h"

#define SPARE_MAX    8  // full-size buffers kept
#define UNLOAD_TRIES 16 // blocks looked at to make room for one
#define KEPT_BLOCKS  8u // of the memory are for blocks that are read again

static size_t full_room(const struct lh_sender *sender)
{
    return sender->job->host.block_size + LH_BLOCK_FILE_HEADER;
}

uint8_t *lh_out_buffer_new(struct lh_sender *sender, size_t room)
{
    struct lh_link *spare = room == full_room(sender) ? lh_list_first(&sender->spare) : NULL;
    uint8_t *data;
    if (spare != NULL) {
        struct lh_out_block *block = LH_CONTAINER_OF(spare, struct lh_out_block, link);
        lh_list_remove(spare);
        sender->spare_count--;
        data = block->data;
        free(block);
    } else {
        data = aligned_alloc(64, (room + 63) / 64 * 64);
    }
    if (data != NULL)
        sender->charged += room;
    return data;
}

void lh_out_buffer_free(struct lh_sender *sender, struct lh_out_block *block)
{
    sender->charged -= block->room;
    free(block->data);
    block->data = NULL;
}

struct lh_out_block *lh_out_block_new(struct lh_sender *sender, size_t room)
{
    struct lh_out_block *block = calloc(1, sizeof *block);
    uint8_t *data = block == NULL ? NULL : lh_out_buffer_new(sender, room);
    if (data == NULL) {
        free(block);
        return NULL;
    }
    block->data = data;
    block->sender = sender;
    block->room = room;
    lh_list_init(&block->link);
    lh_list_init(&block->file_link);
    lh_list_append(&sender->reading, &block->link);
    return block;
}

static void items_free(struct lh_out_block *block)
{
    for (size_t i = 0; i < block->item_count; i++)
        free(block->items[i].info);
    free(block->items);
    block->items = NULL;
    block->item_count = 0;
}

void lh_out_block_free(struct lh_sender *sender, struct lh_out_block *block)
{
    lh_list_remove(&block->link);
    items_free(block);
    if (block->data == NULL) {
        free(block);
        return;
    }
    if (block->room == full_room(sender) && sender->spare_count < SPARE_MAX) {
        sender->charged -= block->room;
        lh_list_prepend(&sender->spare, &block->link); // the last used is still in the cache
        sender->spare_count++;
        return;
    }
    lh_out_buffer_free(sender, block);
    free(block);
}

void lh_out_blocks_fini(struct lh_sender *sender)
{
    struct lh_link *lists[] = {&sender->reading,  &sender->ready,  &sender->in_flight,
                               &sender->unloaded, &sender->wanted, &sender->spare};
    for (size_t i = 0; i < LH_ARRAY_LEN(lists); i++)
        LH_LIST_FOR_EACH(link, lists[i])
        {
            struct lh_out_block *block = LH_CONTAINER_OF(link, struct lh_out_block, link);
            items_free(block);
            free(block->data);
            free(block);
        }
}

bool lh_out_blocks_have_room(struct lh_sender *sender, bool is_fresh)
{
    const struct lh_channel *channel = sender->job->host.channel;
    uint64_t room = full_room(sender), most = sender->job->host.read_ahead;
    struct lh_link *link = sender->in_flight.prev;
    unsigned tries = channel->block_unload == NULL ? 0 : UNLOAD_TRIES;
    if (is_fresh)
        most -= LH_MIN(KEPT_BLOCKS * room, most / 4);
    while (sender->charged > 0 && sender->charged + room > most) {
        if (tries-- == 0 || link == &sender->in_flight)
            return false;
        struct lh_out_block *block = LH_CONTAINER_OF(link, struct lh_out_block, link);
        link = link->prev;
        if (!lh_out_block_may_unload(block) || !channel->block_unload(channel->ctx, block->node.id))
            continue;
        lh_out_block_unloaded(sender, block);
    }
    return true;
}

void lh_out_block_ready(struct lh_sender *sender, struct lh_out_block *block)
{
    lh_list_remove(&block->link);
    lh_list_append(&sender->ready, &block->link);
    sender->ready_count++;
}

void lh_out_blocks_drop(struct lh_sender *sender, struct lh_outgoing *file)
{
    LH_LIST_FOR_EACH(link, &sender->ready)
    {
        struct lh_out_block *block = LH_CONTAINER_OF(link, struct lh_out_block, link);
        if (block->file != file)
            continue;
        sender->ready_count--;
        file->large->blocks_sent--;
        file->unacked--;
        lh_out_block_free(sender, block);
    }
}

void lh_out_blocks_send(struct lh_sender *sender)
{
    struct lh_job *job = sender->job;
    const struct lh_channel *channel = job->host.channel;
    for (struct lh_link *link; (link = lh_list_first(&sender->ready)) != NULL;) {
        struct lh_out_block *block = LH_CONTAINER_OF(link, struct lh_out_block, link);
        uint32_t number;
        if (lh_job_ended(job))
            return;
        lh_err err = channel->send_block(channel->ctx, block->data, block->len, &number);
        if (err == LH_AGAIN)
            return;
        if (err < 0) {
            lh_job_abort(job, err, LH_CODE_CONNECTION_LOST, "the session is closed");
            return;
        }
        lh_list_remove(&block->link);
        lh_list_append(&sender->in_flight, &block->link);
        sender->ready_count--;
        job->counts.bytes_sent += block->content_sent;
        block->node.id = number;
        lh_idmap_add(&sender->by_number, &block->node);
        if (block->file != NULL)
            lh_list_append(&block->file->blocks, &block->file_link);
    }
}

lh_err lh_outgoing_recheck(struct lh_outgoing *file, int fd, struct lh_errinfo *info)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return lh_fail_errno(info, errno, LH_CODE_STAT_FAILED, "reading attributes");
    struct lh_stat_id now = lh_stat_id_of(&stat);
    if (LH_GUARD(SENDER_CHANGED, !lh_stat_id_same(&now, &file->id))) {
        file->id = now;
        return LH_AGAIN;
    }
    return LH_OK;
}

lh_err lh_outgoing_open(struct lh_outgoing *file, int *out_fd, struct lh_errinfo *info)
{
    int fd = -1;
    struct stat stat;
    lh_err err = lh_dir_open_file(file->dir, file->name, &fd, &stat, info);
    if (err != LH_OK)
        return err;
    err = lh_outgoing_recheck(file, fd, info);
    if (err != LH_OK) {
        close(fd);
        return err;
    }
    *out_fd = fd;
    return LH_OK;
}
