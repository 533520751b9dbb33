// SPDX-License-Identifier: Apache-2.0
//
// How it works
//
// Frames are read straight into a ring of bytes and stay there until the last of their segments has
// left; a segment is 16 bytes beside it. The ring frees from its tail only: a frame that waits for
// a reordered segment holds back those behind it, for milliseconds. When nothing is under way the
// ring starts again at its beginning, and it turns early when little is needed, so that short links
// work in the cache.
//
// Most segments leave in the order they came: a ring. The few that are late on purpose: a heap.
#include "bench/linkemu/queue.h"

#include <sys/mman.h>

#include "base/assert.h"
#include "base/math.h"

#define PLACE      64 // alignment of frames
#define FRAME_ROOM (sizeof(struct lh_emu_frame) + LH_EMU_FRAME_MAX + PLACE)

static void *reserve(uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

bool lh_emu_queue_init(struct lh_emu_queue *queue)
{
    *queue = (struct lh_emu_queue){
        .arena = reserve(LH_EMU_ARENA_MAX),
        .ordered = reserve(LH_EMU_SEGMENTS_MAX * sizeof *queue->ordered),
        .late = reserve(LH_EMU_LATE_MAX * sizeof *queue->late),
        .arena_wrap = LH_EMU_ARENA_MAX,
    };
    return queue->arena != NULL && queue->ordered != NULL && queue->late != NULL;
}

void lh_emu_queue_size(struct lh_emu_queue *queue, uint64_t bytes)
{
    queue->arena_wrap = LH_CLAMP(bytes, 64 * FRAME_ROOM, LH_EMU_ARENA_MAX);
}

static struct lh_emu_frame *find_room(struct lh_emu_queue *queue)
{
    if (queue->head == queue->tail) {
        queue->head = 0;
        queue->tail = 0;
    }
    if (queue->head >= queue->tail) {
        uint64_t end = LH_MAX(queue->arena_wrap, queue->tail);
        if (queue->head + FRAME_ROOM <= LH_MIN(end, LH_EMU_ARENA_MAX))
            return (void *)(queue->arena + queue->head);
        if (queue->tail > FRAME_ROOM) { // turn; head never meets tail: that would mean empty
            queue->turn = queue->head;
            queue->head = 0;
            return (void *)queue->arena;
        }
        if (queue->head + FRAME_ROOM <= LH_EMU_ARENA_MAX)
            return (void *)(queue->arena + queue->head);
        return NULL;
    }
    if (queue->head + FRAME_ROOM < queue->tail)
        return (void *)(queue->arena + queue->head);
    return NULL;
}

struct lh_emu_frame *lh_emu_queue_room(struct lh_emu_queue *queue)
{
    struct lh_emu_frame *frame = find_room(queue);
    if (frame != NULL)
        frame->references = 0;
    return frame;
}

void lh_emu_queue_keep(struct lh_emu_queue *queue, struct lh_emu_frame *frame)
{
    LH_DASSERT((uint8_t *)frame == queue->arena + queue->head);
    uint64_t room = sizeof *frame + frame->len;
    room += (PLACE - room % PLACE) % PLACE;
    frame->room = (uint32_t)room;
    queue->head += room;
}

struct lh_emu_frame *lh_emu_queue_frame(const struct lh_emu_queue *queue, uint32_t place)
{
    return (void *)(queue->arena + (uint64_t)place * PLACE);
}

static void late_push(struct lh_emu_queue *queue, const struct lh_emu_segment *segment)
{
    uint32_t at = queue->late_len++;
    while (at > 0 && queue->late[(at - 1) / 2].due > segment->due) {
        queue->late[at] = queue->late[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->late[at] = *segment;
}

static void late_pop(struct lh_emu_queue *queue)
{
    struct lh_emu_segment last = queue->late[--queue->late_len];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= queue->late_len)
            break;
        if (child + 1 < queue->late_len && queue->late[child + 1].due < queue->late[child].due)
            child++;
        if (last.due <= queue->late[child].due)
            break;
        queue->late[at] = queue->late[child];
        at = child;
    }
    queue->late[at] = last;
}

bool lh_emu_queue_push(struct lh_emu_queue *queue,
                       struct lh_emu_frame *frame,
                       const struct lh_emu_segment *segment,
                       bool is_late)
{
    struct lh_emu_segment kept = *segment;
    kept.frame = (uint32_t)((uint64_t)((uint8_t *)frame - queue->arena) / PLACE);
    if (is_late && queue->late_len < LH_EMU_LATE_MAX) {
        late_push(queue, &kept);
    } else {
        if (queue->ordered_head - queue->ordered_tail == LH_EMU_SEGMENTS_MAX)
            return false;
        queue->ordered[queue->ordered_head++ % LH_EMU_SEGMENTS_MAX] = kept;
    }
    frame->references++;
    return true;
}

static const struct lh_emu_segment *ordered_next(const struct lh_emu_queue *queue)
{
    if (queue->ordered_head == queue->ordered_tail)
        return NULL;
    return &queue->ordered[queue->ordered_tail % LH_EMU_SEGMENTS_MAX];
}

const struct lh_emu_segment *lh_emu_queue_next(const struct lh_emu_queue *queue)
{
    const struct lh_emu_segment *ordered = ordered_next(queue);
    const struct lh_emu_segment *late = queue->late_len > 0 ? &queue->late[0] : NULL;
    if (ordered == NULL || (late != NULL && late->due < ordered->due))
        return late;
    return ordered;
}

void lh_emu_queue_pop(struct lh_emu_queue *queue)
{
    const struct lh_emu_segment *next = lh_emu_queue_next(queue);
    LH_ASSERT(next != NULL);
    if (next == ordered_next(queue))
        queue->ordered_tail++;
    else
        late_pop(queue);
}

void lh_emu_queue_release(struct lh_emu_queue *queue, struct lh_emu_frame *frame)
{
    if (frame->references > 0)
        frame->references--;
    while (queue->tail != queue->head) {
        if (queue->head < queue->tail && queue->tail == queue->turn) {
            queue->tail = 0;
            continue;
        }
        struct lh_emu_frame *oldest = (void *)(queue->arena + queue->tail);
        if (oldest->references > 0)
            break;
        queue->tail += oldest->room;
    }
}
