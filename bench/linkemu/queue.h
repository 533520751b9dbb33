// SPDX-License-Identifier: Apache-2.0
//
// What is under way in one direction: frames in a ring of bytes, and their segments by time.
#ifndef LH_BENCH_LINKEMU_QUEUE_H
#define LH_BENCH_LINKEMU_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "bench/linkemu/frame.h"

#define LH_EMU_ARENA_MAX    ((uint64_t)1 << 30) // bytes of frames under way, a direction
#define LH_EMU_SEGMENTS_MAX ((uint64_t)1 << 21) // segments under way that keep their order
#define LH_EMU_LATE_MAX     ((uint32_t)1 << 16) // segments under way out of order

struct lh_emu_segment {
    lh_ns due;
    uint32_t frame; // its place in the arena, in units of 64 bytes
    uint16_t index; // in the frame
    uint8_t corrupt;
    uint8_t corrupt_hidden;
};

struct lh_emu_queue {
    uint8_t *arena;
    uint64_t arena_wrap; // the ring turns here, at most LH_EMU_ARENA_MAX; small stays in the cache
    uint64_t head;       // where the next frame goes
    uint64_t tail;       // the oldest frame that is still referenced
    uint64_t turn;       // where the ring turned last, valid while head < tail
    struct lh_emu_segment *ordered; // ring of LH_EMU_SEGMENTS_MAX
    uint64_t ordered_head;
    uint64_t ordered_tail;
    struct lh_emu_segment *late; // heap by due, LH_EMU_LATE_MAX
    uint32_t late_len;
};

// Reserves address space; memory is used as needed. False when there is none.
bool lh_emu_queue_init(struct lh_emu_queue *queue);

// Bytes that should do for a link: more than its delay and queue hold. A hint; may change any time.
void lh_emu_queue_size(struct lh_emu_queue *queue, uint64_t bytes);

// Room for one frame of the largest size without references, to be read into; NULL when all is in
// use.
struct lh_emu_frame *lh_emu_queue_room(struct lh_emu_queue *queue);

// Keeps the frame that was read into the room and has segments pushed. A frame without any is
// simply not kept: the next one is read over it.
void lh_emu_queue_keep(struct lh_emu_queue *queue, struct lh_emu_frame *frame);

// False when the ring is full: the segment is not taken.
bool lh_emu_queue_push(struct lh_emu_queue *queue,
                       struct lh_emu_frame *frame,
                       const struct lh_emu_segment *segment,
                       bool is_late);

// The next segment by time, or NULL. It stays valid until popped.
const struct lh_emu_segment *lh_emu_queue_next(const struct lh_emu_queue *queue);
void lh_emu_queue_pop(struct lh_emu_queue *queue);

struct lh_emu_frame *lh_emu_queue_frame(const struct lh_emu_queue *queue, uint32_t place);

// Gives one reference back and frees what has none, oldest first.
void lh_emu_queue_release(struct lh_emu_queue *queue, struct lh_emu_frame *frame);

#endif
