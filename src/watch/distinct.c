// SPDX-License-Identifier: Apache-2.0
//
// How it works. Small sets are lists of hashes, as in the sparse form of HyperLogLog++ (Heule,
// Nunkesser, Hall 2013): they are exact where thresholds are. The one hash too many turns the same
// words into a bitmap, and then the number is told by linear counting (Whang et al. 1990). A bitmap
// alone, of 256 bits, would call eight users seven in one run of ten, and five users four in one of
// twenty-five.
#include "watch/distinct.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/math.h"

#define WORD_BITS 32
#define BITS      (LH_DISTINCT_EXACT * WORD_BITS)
#define BITMAP    (LH_DISTINCT_EXACT + 1) // in `count`

// The low half chooses places in tables (slots.h): who shares one would share that part of it.
static uint32_t kept_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

// Its place, or `count`.
static uint32_t place_of(const uint32_t *hashes, uint32_t count, uint32_t hash)
{
    uint32_t at = 0;
    while (at < count && hashes[at] != hash)
        at++;
    return at;
}

static void set_bit(uint32_t words[LH_DISTINCT_EXACT], uint32_t hash)
{
    uint32_t bit = hash % BITS;
    words[bit / WORD_BITS] |= UINT32_C(1) << (bit % WORD_BITS);
}

static void make_bitmap(struct lh_distinct *set)
{
    struct lh_distinct bitmap = {.count = BITMAP};
    for (size_t i = 0; i < LH_DISTINCT_EXACT; i++)
        set_bit(bitmap.words, set->words[i]);
    *set = bitmap;
}

void lh_distinct_add(struct lh_distinct *set, uint64_t hash)
{
    uint32_t kept = kept_of(hash);
    LH_DASSERT(set->count <= BITMAP);
    if (set->count <= LH_DISTINCT_EXACT) {
        uint32_t at = place_of(set->words, set->count, kept);
        if (at < set->count)
            return;
        if (at < LH_DISTINCT_EXACT) {
            set->words[at] = kept;
            set->count++;
            return;
        }
        make_bitmap(set);
    }
    set_bit(set->words, kept);
}

// If k of m bits are set, about m/m + m/(m-1) + ... + m/(m-k+1) different ones set them.
static uint32_t estimate(const uint32_t words[LH_DISTINCT_EXACT])
{
    uint64_t set = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < LH_DISTINCT_EXACT; i++)
        set += (uint64_t)__builtin_popcount(words[i]);
    for (uint64_t i = 0; i < set; i++)
        sum += ((uint64_t)BITS << 16) / (BITS - i);
    return (uint32_t)((sum + 0x8000) >> 16);
}

uint32_t lh_distinct_count(const struct lh_distinct *set)
{
    if (set->count <= LH_DISTINCT_EXACT)
        return set->count;
    // Bits may have collided; the list was full and one more came.
    return LH_MAX(estimate(set->words), (uint32_t)LH_DISTINCT_EXACT + 1);
}

bool lh_distinct_is_sane(const struct lh_distinct *set)
{
    return set->count <= BITMAP;
}

void lh_known_add(struct lh_known *set, uint64_t hash)
{
    uint32_t kept = kept_of(hash);
    uint32_t at = place_of(set->hashes, set->count, kept);
    LH_DASSERT(set->count <= LH_KNOWN_MAX);
    if (at == set->count && set->count < LH_KNOWN_MAX)
        set->count++;
    // The others make room: up to where he stood, or all of them.
    for (uint32_t i = LH_MIN(at, (uint32_t)LH_KNOWN_MAX - 1); i > 0; i--)
        set->hashes[i] = set->hashes[i - 1];
    set->hashes[0] = kept;
}

bool lh_known_has(const struct lh_known *set, uint64_t hash)
{
    return place_of(set->hashes, set->count, kept_of(hash)) < set->count;
}

bool lh_known_is_sane(const struct lh_known *set)
{
    return set->count <= LH_KNOWN_MAX;
}
