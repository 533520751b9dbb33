// SPDX-License-Identifier: Apache-2.0
//
// What one lane has sent and not yet settled: a ring of fixed-size records indexed by packet
// number.
//
// A packet number is in one of these states:
//   outstanding  sent, expects an acknowledgement, counts as in flight
//   lost         given up; its content went back to the queues; a late report is still understood
//   skipped      never sent, on purpose: a peer that reports it lies (threat T18)
//   settled      none of the above: acknowledged, forgotten, or never expected an acknowledgement
// Numbers below `floor` are settled for good. Memory: 24 bytes a packet, 12 a piece of content and
// 3 bits; the ring grows by doubling up to LH_SENT_MAX packets.
#ifndef LH_TRANSPORT_SENT_H
#define LH_TRANSPORT_SENT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/time.h"

#define LH_SENT_MIN 1024
#define LH_SENT_MAX LH_REPLAY_WINDOW // the receiver remembers no more

// One stretch of a block or of the control stream that a packet carried.
struct lh_content {
    uint32_t block;
    uint32_t offset; // in the block; of the stream, the low half
    uint16_t len;
    uint16_t is_stream;
};
static_assert(sizeof(struct lh_content) == 12, "12 bytes a piece");

#define LH_SENT_BY_TIMER 1  // given up by a timer: a late report is no sign of reordering
#define LH_SENT_REPEATED 2  // its content was sent again as a precaution
#define LH_SENT_MIDDLE   4  // behind the first packet of its batch
#define LH_SENT_LAST     8  // the last of a batch whose packets are all of one size
#define LH_SENT_ECT      16 // left marked ECT(0)

struct lh_sent_record {
    lh_ns sent_at;
    uint32_t bytes;      // of the IP datagram
    uint32_t sent_total; // low half of the bytes sent before it
    uint32_t content_first;
    uint8_t content_count;
    uint8_t flags;
};
static_assert(sizeof(struct lh_sent_record) <= 32, "small enough for a million in flight");

struct lh_sent {
    struct lh_sent_record *records;
    struct lh_content *contents;
    uint64_t *outstanding, *lost, *skipped; // bitmaps, ring-indexed like `records`
    uint32_t capacity, content_capacity;    // powers of two
    uint32_t content_head;                  // index of the next piece; wraps at 2^32
    uint64_t floor, next;
    uint64_t inflight;    // bytes outstanding
    uint64_t bytes_total; // bytes ever sent
    uint64_t count_outstanding;
    uint64_t oldest; // first outstanding number; meaningless while there is none
};

lh_err lh_sent_init(struct lh_sent *sent) LH_MUST_CHECK;
void lh_sent_fini(struct lh_sent *sent);

// Makes room for one packet number and `contents` pieces. False at LH_SENT_MAX or without memory:
// nothing may be sent until older packets are settled.
bool lh_sent_reserve(struct lh_sent *sent, uint32_t contents);
// Leaves out the next packet number. Needs lh_sent_reserve.
void lh_sent_skip(struct lh_sent *sent);
// Records the packet `sent->next`. Needs lh_sent_reserve. `tracked`: it expects an acknowledgement.
// The last `content_count` pieces added belong to it.
void lh_sent_push(
    struct lh_sent *sent, lh_ns now, uint32_t bytes, uint32_t content_count, bool tracked);
// Adds a piece of content of the packet that lh_sent_push will record next.
void lh_sent_add_content(struct lh_sent *sent, const struct lh_content *content);

static inline bool lh_sent_bit(const struct lh_sent *sent, const uint64_t *bitmap, uint64_t pn)
{
    uint64_t index = pn & (sent->capacity - 1);
    return bitmap[index / 64] >> (index % 64) & 1;
}

static inline uint64_t *lh_sent_word(const struct lh_sent *sent, uint64_t *bitmap, uint64_t pn)
{
    return &bitmap[(pn & (sent->capacity - 1)) / 64];
}

static inline struct lh_sent_record *lh_sent_record(const struct lh_sent *sent, uint64_t pn)
{
    return &sent->records[pn & (sent->capacity - 1)];
}

static inline const struct lh_content *
lh_sent_content(const struct lh_sent *sent, const struct lh_sent_record *record, uint32_t index)
{
    return &sent->contents[(record->content_first + index) & (sent->content_capacity - 1)];
}

// The first outstanding packet number, or sent->next.
static inline uint64_t lh_sent_oldest(const struct lh_sent *sent)
{
    return sent->count_outstanding > 0 ? sent->oldest : sent->next;
}
// The first outstanding packet number at or above `pn`, or sent->next.
uint64_t lh_sent_next_outstanding(const struct lh_sent *sent, uint64_t pn);

// Outstanding or lost becomes settled; outstanding becomes lost.
void lh_sent_settle(struct lh_sent *sent, uint64_t pn);
void lh_sent_give_up(struct lh_sent *sent, uint64_t pn, uint8_t flags);
// Forgets what is settled, and what was lost and sent before `lost_before`, from the floor on.
void lh_sent_advance_floor(struct lh_sent *sent, lh_ns lost_before);

#endif
