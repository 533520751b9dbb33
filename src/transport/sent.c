// SPDX-License-Identifier: Apache-2.0
//
// How it works. Records live at pn modulo the capacity, states in three bitmaps of the same shape,
// so that feedback is applied 64 packet numbers at a time. One word of slack keeps the word of
// `next` apart from the word of `floor`; a word is zeroed when `next` enters it. Pieces of content
// form a second ring in packet-number order: a record knows its first piece, and the tail of that
// ring is the first piece of the record at `floor`.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "transport/sent.h"

static_assert(LH_SENT_MIN % 64 == 0, "bitmaps are made of whole words");

static void free_rings(struct lh_sent *sent)
{
    free(sent->records);
    free(sent->outstanding);
    free(sent->lost);
    free(sent->skipped);
}

lh_err lh_sent_init(struct lh_sent *sent)
{
    *sent = (struct lh_sent){.capacity = LH_SENT_MIN, .content_capacity = LH_SENT_MIN};
    sent->records = calloc(LH_SENT_MIN, sizeof *sent->records);
    sent->contents = calloc(LH_SENT_MIN, sizeof *sent->contents);
    sent->outstanding = calloc(LH_SENT_MIN / 64, sizeof *sent->outstanding);
    sent->lost = calloc(LH_SENT_MIN / 64, sizeof *sent->lost);
    sent->skipped = calloc(LH_SENT_MIN / 64, sizeof *sent->skipped);
    if (sent->records != NULL && sent->contents != NULL && sent->outstanding != NULL &&
        sent->lost != NULL && sent->skipped != NULL)
        return 0;
    lh_sent_fini(sent);
    return LH_E_NOMEM;
}

void lh_sent_fini(struct lh_sent *sent)
{
    free_rings(sent);
    free(sent->contents);
    *sent = (struct lh_sent){0};
}

// A copy of `bitmap` for twice the capacity, or NULL.
static uint64_t *bigger_bitmap(const struct lh_sent *sent, const uint64_t *bitmap)
{
    uint32_t words = sent->capacity / 64;
    uint64_t *bigger = calloc((size_t)words * 2, sizeof *bigger);
    if (bigger == NULL)
        return NULL;
    for (uint64_t word = sent->floor / 64; word * 64 < sent->next; word++)
        bigger[word & (words * 2 - 1)] = bitmap[word & (words - 1)];
    return bigger;
}

static bool grow_records(struct lh_sent *sent)
{
    if (sent->capacity >= LH_SENT_MAX)
        return false;
    struct lh_sent bigger = *sent;
    bigger.capacity = sent->capacity * 2;
    bigger.records = malloc(bigger.capacity * sizeof *bigger.records);
    bigger.outstanding = bigger_bitmap(sent, sent->outstanding);
    bigger.lost = bigger_bitmap(sent, sent->lost);
    bigger.skipped = bigger_bitmap(sent, sent->skipped);
    if (bigger.records == NULL || bigger.outstanding == NULL || bigger.lost == NULL ||
        bigger.skipped == NULL) {
        free_rings(&bigger);
        return false;
    }
    for (uint64_t pn = sent->floor; pn < sent->next; pn++)
        *lh_sent_record(&bigger, pn) = *lh_sent_record(sent, pn);
    free_rings(sent);
    *sent = bigger;
    return true;
}

static uint32_t content_tail(const struct lh_sent *sent)
{
    return sent->floor == sent->next ? sent->content_head
                                     : lh_sent_record(sent, sent->floor)->content_first;
}

static bool grow_contents(struct lh_sent *sent)
{
    uint32_t capacity = sent->content_capacity * 2;
    if (capacity > LH_SENT_MAX * 4)
        return false;
    struct lh_content *bigger = malloc(capacity * sizeof *bigger);
    if (bigger == NULL)
        return false;
    for (uint32_t at = content_tail(sent); at != sent->content_head; at++)
        bigger[at & (capacity - 1)] = sent->contents[at & (sent->content_capacity - 1)];
    free(sent->contents);
    sent->contents = bigger;
    sent->content_capacity = capacity;
    return true;
}

bool lh_sent_reserve(struct lh_sent *sent, uint32_t contents)
{
    // One number may be skipped in front of the packet, and one word is slack.
    if (sent->next - sent->floor + 2 + 64 > sent->capacity && !grow_records(sent))
        return false;
    uint32_t used = sent->content_head - content_tail(sent);
    return used + contents <= sent->content_capacity || grow_contents(sent);
}

// Enters `next` into the ring with all states off.
static struct lh_sent_record *enter(struct lh_sent *sent)
{
    uint64_t pn = sent->next;
    LH_DASSERT(pn - sent->floor + 64 < sent->capacity);
    if (pn % 64 == 0) {
        *lh_sent_word(sent, sent->outstanding, pn) = 0;
        *lh_sent_word(sent, sent->lost, pn) = 0;
        *lh_sent_word(sent, sent->skipped, pn) = 0;
    }
    struct lh_sent_record *record = lh_sent_record(sent, pn);
    *record = (struct lh_sent_record){.content_first = sent->content_head};
    sent->next++;
    return record;
}

void lh_sent_skip(struct lh_sent *sent)
{
    uint64_t pn = sent->next;
    enter(sent);
    *lh_sent_word(sent, sent->skipped, pn) |= (uint64_t)1 << (pn % 64);
}

void lh_sent_add_content(struct lh_sent *sent, const struct lh_content *content)
{
    sent->contents[sent->content_head++ & (sent->content_capacity - 1)] = *content;
}

void lh_sent_push(
    struct lh_sent *sent, lh_ns now, uint32_t bytes, uint32_t content_count, bool tracked)
{
    uint64_t pn = sent->next;
    struct lh_sent_record *record = enter(sent);
    record->sent_at = now;
    record->bytes = bytes;
    record->sent_total = (uint32_t)sent->bytes_total;
    record->content_first = sent->content_head - content_count;
    record->content_count = (uint8_t)content_count;
    sent->bytes_total += bytes;
    if (!tracked)
        return;
    *lh_sent_word(sent, sent->outstanding, pn) |= (uint64_t)1 << (pn % 64);
    sent->inflight += bytes;
    if (sent->count_outstanding++ == 0)
        sent->oldest = pn;
}

uint64_t lh_sent_next_outstanding(const struct lh_sent *sent, uint64_t pn)
{
    if (sent->count_outstanding == 0)
        return sent->next;
    if (pn < sent->oldest)
        pn = sent->oldest;
    while (pn < sent->next) {
        uint64_t word = *lh_sent_word(sent, sent->outstanding, pn) >> (pn % 64);
        if (word != 0)
            return pn + (uint64_t)__builtin_ctzll(word);
        pn = (pn / 64 + 1) * 64;
    }
    return sent->next;
}

static void leave_outstanding(struct lh_sent *sent, uint64_t pn)
{
    uint64_t *word = lh_sent_word(sent, sent->outstanding, pn);
    uint64_t bit = (uint64_t)1 << (pn % 64);
    if ((*word & bit) == 0)
        return;
    *word &= ~bit;
    sent->inflight -= lh_sent_record(sent, pn)->bytes;
    sent->count_outstanding--;
    if (pn == sent->oldest)
        sent->oldest = lh_sent_next_outstanding(sent, pn + 1);
}

void lh_sent_settle(struct lh_sent *sent, uint64_t pn)
{
    leave_outstanding(sent, pn);
    *lh_sent_word(sent, sent->lost, pn) &= ~((uint64_t)1 << (pn % 64));
}

void lh_sent_give_up(struct lh_sent *sent, uint64_t pn, uint8_t flags)
{
    LH_DASSERT(lh_sent_bit(sent, sent->outstanding, pn));
    leave_outstanding(sent, pn);
    *lh_sent_word(sent, sent->lost, pn) |= (uint64_t)1 << (pn % 64);
    lh_sent_record(sent, pn)->flags |= flags;
}

void lh_sent_advance_floor(struct lh_sent *sent, lh_ns lost_before)
{
    while (sent->floor < sent->next) {
        uint64_t pn = sent->floor;
        uint64_t bit = (uint64_t)1 << (pn % 64);
        if (*lh_sent_word(sent, sent->outstanding, pn) & bit)
            return;
        uint64_t *lost = lh_sent_word(sent, sent->lost, pn);
        if ((*lost & bit) != 0 && lh_sent_record(sent, pn)->sent_at >= lost_before)
            return;
        *lost &= ~bit;
        sent->floor++;
    }
}
