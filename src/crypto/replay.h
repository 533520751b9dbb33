// SPDX-License-Identifier: Apache-2.0
//
// The replay window of one lane: which packet numbers have been accepted. A sliding bitmap of
// LH_REPLAY_WINDOW bits (RFC 6479's blocks). Old numbers below the window count as seen.
// It doubles as the receiver's record of what arrived, which feedback reports are made of.
#ifndef LH_CRYPTO_REPLAY_H
#define LH_CRYPTO_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lh_replay {
    uint64_t *words; // owned
    uint64_t top;    // largest accepted number + 1; 0 = none yet
};

lh_err lh_replay_init(struct lh_replay *replay) LH_MUST_CHECK;
void lh_replay_fini(struct lh_replay *replay);

// True where `pn` was accepted before or is too old to tell. Asked before the packet is opened.
bool lh_replay_seen(const struct lh_replay *replay, uint64_t pn);

// The 64 packet numbers from `pn` (a multiple of 64) on: bit i is set where pn + i was accepted.
// 0 for numbers that the window does not reach.
uint64_t lh_replay_word(const struct lh_replay *replay, uint64_t pn);

// Records `pn`, which must have authenticated and not have been seen (asserted).
void lh_replay_mark(struct lh_replay *replay, uint64_t pn);

// Lets the window reach beyond `pn` without having accepted it: it was refused.
void lh_replay_pass(struct lh_replay *replay, uint64_t pn);

// Lowest number that the window still covers.
uint64_t lh_replay_floor(const struct lh_replay *replay);

#endif
