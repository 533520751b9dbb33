// SPDX-License-Identifier: Apache-2.0
//
// How it works. Bit pn of an endless bitmap says "accepted"; a ring of words keeps the part that
// matters. The window [top - LH_REPLAY_WINDOW, top) can begin and end inside a word, so the ring
// has one word more than the window has, and moving forward clears whole words that lie wholly
// ahead of the old top (RFC 6479). Clearing is bounded by the size of the ring, however far a
// number jumps.
#include <assert.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"
#include "crypto/replay.h"

#define WORD_BITS 64u
#define WORDS     (LH_REPLAY_WINDOW / WORD_BITS + 1)

static_assert(LH_REPLAY_WINDOW % WORD_BITS == 0, "the window is made of whole words");

lh_err lh_replay_init(struct lh_replay *replay)
{
    uint64_t *words = calloc(WORDS, sizeof *words);
    if (words == NULL)
        return LH_E_NOMEM;
    *replay = (struct lh_replay){.words = words};
    return 0;
}

void lh_replay_fini(struct lh_replay *replay)
{
    free(replay->words);
    *replay = (struct lh_replay){0};
}

uint64_t lh_replay_floor(const struct lh_replay *replay)
{
    return lh_sub_sat(replay->top, LH_REPLAY_WINDOW);
}

bool lh_replay_seen(const struct lh_replay *replay, uint64_t pn)
{
    if (pn >= replay->top)
        return false;
    if (LH_GUARD(REPLAY_FLOOR, pn < lh_replay_floor(replay)))
        return true;
    return replay->words[pn / WORD_BITS % WORDS] >> (pn % WORD_BITS) & 1;
}

uint64_t lh_replay_word(const struct lh_replay *replay, uint64_t pn)
{
    LH_ASSERT(pn % WORD_BITS == 0);
    if (pn >= replay->top || pn < lh_replay_floor(replay))
        return 0;
    return replay->words[pn / WORD_BITS % WORDS];
}

void lh_replay_pass(struct lh_replay *replay, uint64_t pn)
{
    LH_ASSERT(pn <= LH_PN_MAX);
    if (pn < replay->top)
        return;
    // Words after the one that holds top - 1 were never used or left the window long ago.
    uint64_t first = replay->top == 0 ? 0 : (replay->top - 1) / WORD_BITS + 1;
    uint64_t last = pn / WORD_BITS;
    if (last >= first && last - first >= WORDS)
        first = last - WORDS + 1;
    for (uint64_t word = first; word <= last; word++)
        replay->words[word % WORDS] = 0;
    replay->top = pn + 1;
}

void lh_replay_mark(struct lh_replay *replay, uint64_t pn)
{
    LH_ASSERT(!lh_replay_seen(replay, pn));
    lh_replay_pass(replay, pn);
    replay->words[pn / WORD_BITS % WORDS] |= (uint64_t)1 << (pn % WORD_BITS);
}
