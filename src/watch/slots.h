// SPDX-License-Identifier: Apache-2.0
//
// A table of fixed size that keeps what weighs most.
//
// Entries live in sets of eight; a new one takes a free place of its set, or that of the entry with
// the least weight, which is forgotten. Weights fade: each week since an entry was last seen halves
// it. So a million sources with one try each cannot push out one that has ten, and memory never
// grows.
#ifndef LH_WATCH_SLOTS_H
#define LH_WATCH_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LH_SLOTS_WAYS 8

// First member of every entry.
struct lh_slot {
    uint64_t hash; // of the entry's key; 0 = free
    int64_t last;  // seconds since 1970 when it was last used
    uint32_t weight;
};

struct lh_slots {
    uint8_t *entries; // owned
    uint64_t *hashes; // owned: those of the entries, a set to a cache line
    size_t entry_size;
    size_t sets;        // a power of two
    uint64_t forgotten; // entries that had to go
};

// `sets` is a power of two. LH_E_NOMEM.
lh_err lh_slots_init(struct lh_slots *slots, size_t entry_size, size_t sets) LH_MUST_CHECK;
void lh_slots_fini(struct lh_slots *slots); // also of one that is all zeros

// The entry of `hash`, or NULL.
void *lh_slots_find(const struct lh_slots *slots, uint64_t hash);

// The entry of `hash`, made if need be: then it is all zeros but for its slot, and `*out_new` is
// true. Never NULL. 64-bit hashes under a secret seed are taken as keys: two keys share an entry
// with a probability below 2^-40 at these sizes.
void *lh_slots_get(struct lh_slots *slots, uint64_t hash, int64_t now, bool *out_new);

// Entries were put in place by hand: their hashes are taken over.
void lh_slots_refresh(struct lh_slots *slots);

// The `index`th place, used or not; NULL behind the last.
struct lh_slot *lh_slots_at(const struct lh_slots *slots, size_t index);

// How often something was seen, of more kinds than one can list: a count-min sketch with
// conservative update. It never tells too little.
#define LH_SKETCH_ROWS 4
#define LH_SKETCH_BITS 18
struct lh_sketch {
    uint16_t *cells; // LH_SKETCH_ROWS << LH_SKETCH_BITS, owned
    uint64_t total;  // since the last halving
};
lh_err lh_sketch_init(struct lh_sketch *sketch) LH_MUST_CHECK;
void lh_sketch_fini(struct lh_sketch *sketch);
// Adds `count` and returns the estimate.
uint32_t lh_sketch_add(struct lh_sketch *sketch, uint64_t hash, uint32_t count);
// An estimate below this may be noise of others.
uint32_t lh_sketch_noise(const struct lh_sketch *sketch);

#endif
