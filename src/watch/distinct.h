// SPDX-License-Identifier: Apache-2.0
//
// Sets of fixed size: how many different ones there were, and whether this one was among them.
//
// What is put in are 64-bit hashes under a secret seed (lh_watch_hash); their upper halves are kept.
// All zeros is the empty set. Nothing is allocated, and every operation looks at 64 bytes at most.
#ifndef LH_WATCH_DISTINCT_H
#define LH_WATCH_DISTINCT_H

#include <stdbool.h>
#include <stdint.h>

#define LH_DISTINCT_EXACT 16
#define LH_KNOWN_MAX      16

// How many different ones. Up to LH_DISTINCT_EXACT of them the number is exact, but for two hashes
// that agree: n of them do with a probability of n * (n - 1) / 2^33, which is 3e-8 for all sixteen.
// So a threshold up to that is never missed by chance. Beyond it the number is an estimate: its
// standard deviation is 4 % at 500, and it never exceeds 3,490.
struct lh_distinct {
    uint32_t count;                    // of words in use; LH_DISTINCT_EXACT + 1: they are a bitmap
    uint32_t words[LH_DISTINCT_EXACT]; // hashes, or 512 bits
};
void lh_distinct_add(struct lh_distinct *set, uint64_t hash);
// Never becomes less by adding.
uint32_t lh_distinct_count(const struct lh_distinct *set);
// Of a set that was read from a file: whether the functions above may take it.
bool lh_distinct_is_sane(const struct lh_distinct *set);

// Who was there lately: the last LH_KNOWN_MAX different ones. A stranger is taken for one of them
// with a probability of 2^-28 at most; one who was there is forgotten when sixteen others came
// after him.
struct lh_known {
    uint32_t count;
    uint32_t hashes[LH_KNOWN_MAX]; // the latest first
};
void lh_known_add(struct lh_known *set, uint64_t hash);
bool lh_known_has(const struct lh_known *set, uint64_t hash);
bool lh_known_is_sane(const struct lh_known *set);

#endif
