// SPDX-License-Identifier: Apache-2.0
//
// How it works. Once a second, while blocks wait to be sent, both lanes' counts of what the peer
// has received go into a ring; rates are differences over its length. When nothing waits, what is
// in the ring says nothing about the lanes and is forgotten. A UDP lane that falls silent in
// between counts as slow, as it should: SSH then carries the blocks anyway, and no trial is needed.
//
// What it costs where UDP is merely slow, because the path is: a TCP connection more for three
// seconds, then after a minute, two minutes and so on up to ten.
#include "transport/detour.h"

#include <string.h>

#include "base/assert.h"
#include "base/math.h"

void lh_detour_init(struct lh_detour *detour)
{
    *detour = (struct lh_detour){.tick_at = LH_NEVER, .pause = LH_DETOUR_PAUSE};
}

void lh_detour_on_work(struct lh_detour *detour, bool has_work, lh_ns now)
{
    if (has_work && detour->tick_at == LH_NEVER) {
        detour->tick_at = now + LH_DETOUR_TICK; // never at once: work comes and goes
        detour->ticks = 0;
    } else if (!has_work) {
        detour->tick_at = LH_NEVER;
        if (detour->state == LH_DETOUR_TRIAL_RUNS)
            detour->state = LH_DETOUR_OFF; // another time
    }
}

void lh_detour_skip(struct lh_detour *detour, lh_ns now)
{
    detour->state = LH_DETOUR_OFF;
    detour->ticks = 0;
    detour->tick_at = now + LH_DETOUR_TICK;
}

// Bytes/s over the last `ticks`, which the ring holds. A lane that was made anew counts from 0.
static uint64_t rate_of(const uint64_t *ring, uint32_t ticks)
{
    return lh_sub_sat(ring[0], ring[ticks]) / ticks;
}

static void close_detour(struct lh_detour *detour, lh_ns now)
{
    detour->state = LH_DETOUR_OFF;
    detour->next_trial_at = now + detour->pause;
    detour->pause = LH_MIN(2 * detour->pause, (lh_ns)LH_DETOUR_PAUSE_MAX);
}

static void judge(struct lh_detour *detour, uint64_t target, lh_ns now)
{
    uint64_t udp = rate_of(detour->udp, LH_DETOUR_WINDOW);
    uint64_t ssh = rate_of(detour->ssh, LH_DETOUR_WINDOW);

    switch (detour->state) {
    case LH_DETOUR_OFF:
        if (udp >= LH_DETOUR_SLOW || (target > 0 && udp >= target / 2))
            break;
        if (ssh > 2 * udp) {
            detour->state = LH_DETOUR_ON;
        } else if (now >= detour->next_trial_at) {
            detour->state = LH_DETOUR_TRIAL_RUNS;
            detour->before = udp;
            detour->trial_end = detour->ticks + LH_DETOUR_TRIAL;
        }
        break;
    case LH_DETOUR_TRIAL_RUNS:
        if (detour->ticks < detour->trial_end)
            break;
        if (rate_of(detour->ssh, LH_DETOUR_TRIAL) > 2 * detour->before)
            detour->state = LH_DETOUR_ON;
        else
            close_detour(detour, now);
        break;
    case LH_DETOUR_ON:
        if (udp > ssh)
            close_detour(detour, now);
        break;
    }
}

bool lh_detour_on_tick(
    struct lh_detour *detour, uint64_t udp, uint64_t ssh, uint64_t target, lh_ns now)
{
    enum lh_detour_state before = detour->state;

    LH_ASSERT(detour->tick_at <= now);
    memmove(detour->udp + 1, detour->udp, sizeof detour->udp - sizeof *detour->udp);
    memmove(detour->ssh + 1, detour->ssh, sizeof detour->ssh - sizeof *detour->ssh);
    detour->udp[0] = udp;
    detour->ssh[0] = ssh;
    detour->ticks++;
    detour->tick_at = now + LH_DETOUR_TICK;
    if (detour->ticks > LH_DETOUR_WINDOW)
        judge(detour, target, now);
    return detour->state != before;
}
