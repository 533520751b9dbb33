// SPDX-License-Identifier: Apache-2.0
//
// A deterministic generator (SplitMix64; Steele, Lea, Flood 2014) for everything that must replay
// from a seed: simulator, tests, synthetic data, jitter of timers. Never for secrets: those come
// from sys/entropy.h.
#ifndef LH_BASE_PRNG_H
#define LH_BASE_PRNG_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct lh_prng {
    uint64_t state;
};

static inline uint64_t lh_prng_next(struct lh_prng *prng)
{
    uint64_t z = prng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// Uniform in [0, bound); bound must not be 0. (Lemire's multiply-shift; bias below 2^-32 here.)
static inline uint64_t lh_prng_below(struct lh_prng *prng, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)lh_prng_next(prng) * bound) >> 64);
}

static inline void lh_prng_fill(struct lh_prng *prng, void *data, size_t len)
{
    uint8_t *at = data;
    while (len > 0) {
        uint64_t word = lh_prng_next(prng);
        size_t part = len < sizeof word ? len : sizeof word;
        memcpy(at, &word, part);
        at += part;
        len -= part;
    }
}

#endif
