// SPDX-License-Identifier: Apache-2.0
//
// Whether blocks may take the SSH lane although a UDP lane is up: where UDP is crippled. Some
// networks let UDP through and police it to almost nothing; SSH, which is TCP, would be many times
// faster there. Both then carry blocks: what UDP delivers is not lost, and should it recover it is
// seen.
//
// States:
//   OFF    blocks go over UDP alone
//   TRIAL  for LH_DETOUR_TRIAL both may carry them, to see what SSH delivers
//   ON     both carry them
// UDP is suspect when it was short of nothing but its own speed for LH_DETOUR_WINDOW and delivered
// less than LH_DETOUR_SLOW, and less than half of a target rate that was given. It is crippled when
// SSH then delivers more than twice as much. ON ends when UDP delivers more than SSH.
#ifndef LH_TRANSPORT_DETOUR_H
#define LH_TRANSPORT_DETOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define LH_DETOUR_TICK      LH_SECOND
#define LH_DETOUR_WINDOW    5                // ticks
#define LH_DETOUR_TRIAL     3                // ticks
#define LH_DETOUR_SLOW      2500000          // bytes/s
#define LH_DETOUR_PAUSE     (60 * LH_SECOND) // until the next trial; doubles up to
#define LH_DETOUR_PAUSE_MAX (600 * LH_SECOND)

enum lh_detour_state { LH_DETOUR_OFF, LH_DETOUR_TRIAL_RUNS, LH_DETOUR_ON };

struct lh_detour {
    enum lh_detour_state state;
    lh_ns tick_at;                                                 // LH_NEVER: nothing to look at
    uint64_t udp[LH_DETOUR_WINDOW + 1], ssh[LH_DETOUR_WINDOW + 1]; // delivered, by tick; a ring
    uint32_t ticks;     // in a row with blocks waiting all the time
    uint32_t trial_end; // TRIAL: tick at which it ends
    uint64_t before;    // TRIAL: what UDP delivered alone, bytes/s
    lh_ns next_trial_at, pause;
};

void lh_detour_init(struct lh_detour *detour);
// Blocks wait to be sent, or do so no more.
void lh_detour_on_work(struct lh_detour *detour, bool has_work, lh_ns now);
// At tick_at, where there is nothing to compare.
void lh_detour_skip(struct lh_detour *detour, lh_ns now);
// At tick_at. What each way has delivered so far (bytes that the peer has); `target`: bytes/s, 0 =
// none. True where the state changed.
bool lh_detour_on_tick(
    struct lh_detour *detour, uint64_t udp, uint64_t ssh, uint64_t target, lh_ns now);
static inline bool lh_detour_is_open(const struct lh_detour *detour)
{
    return detour->state != LH_DETOUR_OFF;
}

#endif
