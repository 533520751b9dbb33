// SPDX-License-Identifier: Apache-2.0
//
// How it works. The table is set-associative, like a processor's cache: the low bits of the hash
// choose the set, and only its eight places are looked at. The sketch counts every source, listed
// or not, in four rows; a row's cell is shared by many, the smallest of the four is the estimate,
// and only cells that are as small as that are raised. Where all cells have become large they are
// halved: old counts fade. References: Metwally, Agrawal, El Abbadi 2005 (space-saving); Cormode,
// Muthukrishnan 2005; Estan, Varghese 2002 (conservative update).
#include "watch/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "watch/civil.h"

#define FADE (7 * LH_WATCH_DAY)

lh_err lh_slots_init(struct lh_slots *slots, size_t entry_size, size_t sets)
{
    LH_ASSERT(sets > 0 && (sets & (sets - 1)) == 0);
    LH_ASSERT(entry_size >= sizeof(struct lh_slot) && entry_size % sizeof(uint64_t) == 0);
    *slots = (struct lh_slots){.entry_size = entry_size, .sets = sets};
    slots->entries = calloc(sets * LH_SLOTS_WAYS, entry_size);
    slots->hashes = calloc(sets * LH_SLOTS_WAYS, sizeof *slots->hashes);
    if (slots->entries != NULL && slots->hashes != NULL)
        return 0;
    lh_slots_fini(slots);
    return LH_E_NOMEM;
}

void lh_slots_fini(struct lh_slots *slots)
{
    free(slots->entries);
    free(slots->hashes);
    slots->entries = NULL;
    slots->hashes = NULL;
}

struct lh_slot *lh_slots_at(const struct lh_slots *slots, size_t index)
{
    if (index >= slots->sets * LH_SLOTS_WAYS)
        return NULL;
    return (struct lh_slot *)(void *)(slots->entries + index * slots->entry_size);
}

// 0 means free, so no key may hash to it.
static uint64_t key_of(uint64_t hash)
{
    return hash == 0 ? 1 : hash;
}

void lh_slots_refresh(struct lh_slots *slots)
{
    for (size_t i = 0; i < slots->sets * LH_SLOTS_WAYS; i++)
        slots->hashes[i] = lh_slots_at(slots, i)->hash;
}

void *lh_slots_find(const struct lh_slots *slots, uint64_t hash)
{
    size_t first = (size_t)(hash & (slots->sets - 1)) * LH_SLOTS_WAYS;
    for (size_t way = 0; way < LH_SLOTS_WAYS; way++) {
        if (slots->hashes[first + way] == key_of(hash))
            return lh_slots_at(slots, first + way);
    }
    return NULL;
}

static uint64_t faded(const struct lh_slot *slot, int64_t now)
{
    if (slot->hash == 0)
        return 0;
    int64_t age = now > slot->last ? (now - slot->last) / FADE : 0;
    return 1 + (age > 31 ? 0 : (uint64_t)slot->weight << 8 >> age);
}

void *lh_slots_get(struct lh_slots *slots, uint64_t hash, int64_t now, bool *out_new)
{
    struct lh_slot *slot = lh_slots_find(slots, hash);
    *out_new = slot == NULL;
    if (slot != NULL) {
        slot->last = LH_MAX(slot->last, now);
        return slot;
    }
    size_t set = (size_t)(hash & (slots->sets - 1));
    slot = lh_slots_at(slots, set * LH_SLOTS_WAYS);
    for (size_t way = 1; way < LH_SLOTS_WAYS; way++) {
        struct lh_slot *other = lh_slots_at(slots, set * LH_SLOTS_WAYS + way);
        uint64_t a = faded(slot, now);
        uint64_t b = faded(other, now);
        if (b < a || (b == a && other->last < slot->last))
            slot = other;
    }
    slots->forgotten += slot->hash != 0;
    memset(slot, 0, slots->entry_size);
    slot->hash = key_of(hash);
    slots->hashes[((size_t)((uint8_t *)slot - slots->entries)) / slots->entry_size] = slot->hash;
    slot->last = now;
    return slot;
}

lh_err lh_sketch_init(struct lh_sketch *sketch)
{
    sketch->total = 0;
    sketch->cells = calloc((size_t)LH_SKETCH_ROWS << LH_SKETCH_BITS, sizeof *sketch->cells);
    return sketch->cells == NULL ? LH_E_NOMEM : 0;
}

void lh_sketch_fini(struct lh_sketch *sketch)
{
    free(sketch->cells);
    sketch->cells = NULL;
}

uint32_t lh_sketch_noise(const struct lh_sketch *sketch)
{
    return (uint32_t)LH_MIN(32 + 4 * (sketch->total >> LH_SKETCH_BITS), (uint64_t)UINT32_MAX);
}

uint32_t lh_sketch_add(struct lh_sketch *sketch, uint64_t hash, uint32_t count)
{
    uint16_t *cells[LH_SKETCH_ROWS];
    uint32_t least = UINT16_MAX;

    if (sketch->total >> LH_SKETCH_BITS >= 1024) {
        for (size_t i = 0; i < (size_t)LH_SKETCH_ROWS << LH_SKETCH_BITS; i++)
            sketch->cells[i] /= 2;
        sketch->total /= 2;
    }
    for (size_t row = 0; row < LH_SKETCH_ROWS; row++) {
        uint64_t h = (hash ^ (row * 0x9e3779b97f4a7c15u)) * 0xd6e8feb86659fd93u;
        cells[row] = &sketch->cells[(row << LH_SKETCH_BITS) + (h >> (64 - LH_SKETCH_BITS))];
        least = LH_MIN(least, (uint32_t)*cells[row]);
    }
    uint32_t raised = LH_MIN(least + LH_MIN(count, (uint32_t)UINT16_MAX), (uint32_t)UINT16_MAX);
    for (size_t row = 0; row < LH_SKETCH_ROWS; row++) {
        if (*cells[row] < raised)
            *cells[row] = (uint16_t)raised;
    }
    sketch->total += count;
    return raised;
}
