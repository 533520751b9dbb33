// SPDX-License-Identifier: Apache-2.0
//
// How it works: see link.c for what happens to a packet, frame.c for how packets travel in frames,
// main.c for when these functions are called.
#include "bench/linkemu/path.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/math.h"
#include "sys/clock.h"

#define HELD_MAX LH_EMU_MERGE_MAX

void lh_emu_histogram_add(struct lh_emu_histogram *histogram, uint64_t value, uint64_t times)
{
    uint32_t slot = (uint32_t)value;
    if (value >= 16) {
        uint32_t power = 63u - (uint32_t)__builtin_clzll(value);
        slot = (power - 3) * 16 + (uint32_t)((value >> (power - 4)) & 15);
    }
    histogram->counts[LH_MIN(slot, LH_EMU_HISTOGRAM - 1)] += times;
    histogram->total += times;
    histogram->max = LH_MAX(histogram->max, value);
}

uint64_t lh_emu_histogram_at(const struct lh_emu_histogram *histogram, uint32_t permille)
{
    uint64_t wanted = lh_muldiv(histogram->total, permille, 1000);
    uint64_t seen = 0;
    for (uint32_t slot = 0; slot < LH_EMU_HISTOGRAM; slot++) {
        seen += histogram->counts[slot];
        if (seen >= wanted && seen > 0) {
            if (slot < 16)
                return slot;
            uint64_t top = (uint64_t)(16 + slot % 16 + 1) << (slot / 16 - 1);
            return LH_MIN(top - 1, histogram->max);
        }
    }
    return 0;
}

static enum lh_emu_protocol protocol_of(const struct lh_emu_frame *frame)
{
    switch (frame->protocol) {
    case IPPROTO_TCP:
        return LH_EMU_TCP;
    case IPPROTO_UDP:
        return LH_EMU_UDP;
    default:
        return LH_EMU_OTHER;
    }
}

static void count(struct lh_emu_count *counter, uint32_t len)
{
    counter->packets++;
    counter->bytes += len;
}

static void push(struct lh_emu_path *path,
                 struct lh_emu_frame *frame,
                 uint32_t index,
                 const struct lh_emu_verdict *verdict)
{
    struct lh_emu_segment segment = {
        .due = verdict->due,
        .index = (uint16_t)index,
        .corrupt = verdict->corrupted,
        .corrupt_hidden = verdict->corrupted_hidden,
    };
    if (!lh_emu_queue_push(&path->queue, frame, &segment, verdict->reordered))
        count(&path->dropped_full, lh_emu_segment_len(frame, index));
}

static void offer(struct lh_emu_path *path, struct lh_emu_frame *frame, uint32_t index, lh_ns now)
{
    enum lh_emu_protocol protocol = protocol_of(frame);
    uint32_t len = lh_emu_segment_len(frame, index);
    struct lh_emu_verdict verdict =
        lh_emu_link_offer(&path->link, len, protocol == LH_EMU_UDP, now);
    count(&path->offered[protocol], len);
    path->fates[verdict.fate]++;
    if (verdict.fate != LH_EMU_DELIVER)
        return;
    path->corrupted += verdict.corrupted;
    path->corrupted_hidden += verdict.corrupted_hidden;
    if (index == 0 && path->link.params.ecn_clear)
        lh_emu_frame_set_ecn(frame, 0);
    if (index == 0 && verdict.congested && lh_emu_frame_ecn(frame) != 0) {
        lh_emu_frame_set_ecn(frame, LH_EMU_CE);
        path->marked_ce += frame->segments;
    }
    path->reordered += verdict.reordered;
    path->duplicated += verdict.duplicated;
    push(path, frame, index, &verdict);
    if (verdict.duplicated)
        push(path, frame, index, &verdict);
}

static void discard(struct lh_emu_path *path)
{
    uint8_t buffer[LH_EMU_FRAME_MAX];
    ssize_t got = read(path->in_fd, buffer, sizeof buffer);
    if (got > (ssize_t)sizeof(struct virtio_net_hdr))
        count(&path->dropped_full, (uint32_t)got - (uint32_t)sizeof(struct virtio_net_hdr));
}

uint32_t lh_emu_path_read(struct lh_emu_path *path, uint32_t frames)
{
    lh_ns now = lh_clock_now();
    for (uint32_t done = 0; done < frames; done++) {
        struct lh_emu_frame *frame = lh_emu_queue_room(&path->queue);
        if (frame == NULL) {
            discard(path);
            continue;
        }
        struct iovec iov[2] = {
            {.iov_base = &frame->vnet, .iov_len = sizeof frame->vnet},
            {.iov_base = frame->data, .iov_len = LH_EMU_FRAME_MAX},
        };
        ssize_t got = readv(path->in_fd, iov, 2);
        if (got < 0)
            return done; // EAGAIN, or the device is going away
        path->frames_in++;
        if (got < (ssize_t)sizeof frame->vnet ||
            !lh_emu_frame_parse(frame, (uint32_t)got - (uint32_t)sizeof frame->vnet)) {
            path->malformed++;
            continue;
        }
        for (uint32_t index = 0; index < frame->segments; index++)
            offer(path, frame, index, now);
        if (frame->references > 0)
            lh_emu_queue_keep(&path->queue, frame);
    }
    return frames;
}

// Segments that wait for one write, with the frames that their bytes lie in.
struct batch {
    struct lh_emu_merge merge;
    struct lh_emu_frame *held[HELD_MAX];
    lh_ns due[HELD_MAX];
    uint32_t len;
};

static void count_written(
    struct lh_emu_path *path, struct lh_emu_frame *frame, uint32_t len, lh_ns due, lh_ns now)
{
    count(&path->forwarded[protocol_of(frame)], len);
    lh_emu_histogram_add(&path->late, lh_ns_since(now, due), 1);
}

static void flush(struct lh_emu_path *path, struct batch *batch, lh_ns now)
{
    if (batch->len == 0)
        return;
    struct lh_emu_merge *merge = &batch->merge;
    lh_emu_merge_finish(merge);
    if (writev(path->out_fd, merge->iov, merge->iov_len) < 0)
        path->write_errors++;
    path->frames_out++;
    uint32_t bytes = merge->payload + batch->len * merge->first->header_len;
    for (uint32_t i = 0; i < batch->len; i++) {
        uint32_t len = merge->first->mergeable ? merge->first->header_len + merge->payload_each
                                               : merge->first->len;
        if (i + 1 == batch->len && merge->first->mergeable)
            len = bytes - i * len; // the last one may be short
        count_written(path, batch->held[i], len, batch->due[i], now);
    }
    for (uint32_t i = 0; i < batch->len; i++)
        lh_emu_queue_release(&path->queue, batch->held[i]);
    batch->len = 0;
}

static void deliver_corrupted(struct lh_emu_path *path,
                              struct lh_emu_frame *frame,
                              const struct lh_emu_segment *segment,
                              lh_ns now)
{
    uint8_t packet[sizeof(struct virtio_net_hdr) + LH_EMU_FRAME_MAX];
    uint64_t random = lh_emu_random(path->link.seed, 99, path->corrupt_index++);
    size_t len =
        lh_emu_corrupt(frame, segment->index, random, !segment->corrupt, packet, sizeof packet);
    if (write(path->out_fd, packet, len) < 0)
        path->write_errors++;
    path->frames_out++;
    count_written(path, frame, lh_emu_segment_len(frame, segment->index), segment->due, now);
    lh_emu_queue_release(&path->queue, frame);
}

uint32_t lh_emu_path_deliver(struct lh_emu_path *path)
{
    struct batch batch;
    batch.len = 0;
    uint32_t done = 0;
    lh_ns now = lh_clock_now();
    for (;; done++) {
        const struct lh_emu_segment *next = lh_emu_queue_next(&path->queue);
        if (next == NULL || next->due > now)
            break;
        struct lh_emu_segment segment = *next;
        lh_emu_queue_pop(&path->queue);
        struct lh_emu_frame *frame = lh_emu_queue_frame(&path->queue, segment.frame);
        if (segment.corrupt || segment.corrupt_hidden) {
            flush(path, &batch, now);
            deliver_corrupted(path, frame, &segment, now);
            continue;
        }
        bool joined =
            path->coalesce && batch.len > 0 && lh_emu_merge_add(&batch.merge, frame, segment.index);
        if (!joined) {
            flush(path, &batch, now);
            lh_emu_merge_start(&batch.merge, frame, segment.index);
        }
        batch.held[batch.len] = frame;
        batch.due[batch.len++] = segment.due;
    }
    flush(path, &batch, now);
    return done;
}

lh_ns lh_emu_path_next(const struct lh_emu_path *path)
{
    const struct lh_emu_segment *next = lh_emu_queue_next(&path->queue);
    return next == NULL ? LH_NEVER : next->due;
}
