// SPDX-License-Identifier: Apache-2.0
//
// Random numbers that the peer sees some of and must not be able to continue: tokens of PINGs and
// of path challenges, packet numbers left out. From one token of a plain generator a peer could
// compute every later one: it would answer challenges in the name of an address that is not its
// own, and acknowledge around the gaps. So these are an AES-128-GCM key stream under a key derived
// from the session's seed: still the same for the same seed.
#ifndef LH_TRANSPORT_RANDOM_H
#define LH_TRANSPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/keys.h"

#define LH_RANDOM_POOL 64 // numbers made at a time

struct lh_random {
    struct lh_lane_keys keys;
    uint64_t refills;
    uint64_t pool[LH_RANDOM_POOL];
    size_t left; // of `pool`
    lh_err err;  // 0, or why the numbers are no longer random: the session must end
};

// LH_E_NOMEM, LH_E_CRYPTO.
lh_err lh_random_init(struct lh_random *random, uint64_t seed) LH_MUST_CHECK;
void lh_random_fini(struct lh_random *random);
uint64_t lh_random_next(struct lh_random *random);
uint64_t lh_random_below(struct lh_random *random, uint64_t bound); // bound must not be 0

#endif
