// SPDX-License-Identifier: Apache-2.0
//
// How it works
//
// A direction is, in this order:
//     outage, UDP block, MTU hole -> bottleneck (rate, droptail queue) -> loss -> damage -> delay
// A packet that is lost has used the bottleneck, as on a real path where the last mile is lossy:
// the most that a link of rate C and loss p can deliver is C (1 - p).
//
// The bottleneck is a fluid: `free_at` is when it will have sent everything accepted so far. The
// backlog follows from it, so no queue of packets is needed here and the time of delivery is known
// when a packet arrives.
//
// Every decision of packet number n is drawn from (seed, purpose, n), never from a running
// generator, so that one decision more or less does not shift all the others. SplitMix64 is made
// for that: its n-th output is a function of seed + n * gamma.
//
// Loss in bursts is the two-state model of Gilbert: in the bad state all is lost, its length has
// the given mean, and the way into it is as frequent as the average loss demands.
//
// Jitter is a wandering delay: one random height for every 5 ms, straight lines in between. Real
// jitter comes from other traffic's queues, which neither reorders nor jumps from packet to packet.
//
// ECN: whoever waits longer than a threshold is marked, as a shallow step AQM does; packets that
// the sender handed over as one frame share the mark of the first.
//
// Not modelled: bit errors by length, more than one queue, other AQM.
#include "bench/linkemu/link.h"

#include "base/assert.h"
#include "base/math.h"
#include "base/prng.h"

#define JITTER_KNOT (5 * LH_MS)

enum purpose { LOSS, BURST, REORDER, DUPLICATE, CORRUPT, CORRUPT_HIDDEN, JITTER, CE };

uint64_t lh_emu_random(uint64_t seed, uint32_t purpose, uint64_t index)
{
    struct lh_prng stream = {.state = seed + purpose * 0x632be59bd9b4e019u};
    struct lh_prng at = {.state = lh_prng_next(&stream) + index * 0x9e3779b97f4a7c15u};
    return lh_prng_next(&at);
}

static bool happens(const struct lh_emu_link *link, enum purpose purpose, uint32_t ppb)
{
    if (ppb == 0)
        return false;
    uint64_t drawn = lh_emu_random(link->seed, purpose, link->index);
    return lh_muldiv(drawn >> 1, LH_EMU_PPB, (uint64_t)1 << 63) < ppb;
}

static uint64_t queue_limit_of(const struct lh_emu_params *params, lh_ns round_trip)
{
    if (params->queue_bytes != 0)
        return params->queue_bytes;
    uint64_t bdp = lh_muldiv(params->rate_bps / 8, round_trip, LH_SECOND);
    uint64_t milli = params->queue_bdp_milli == 0 ? 1000 : params->queue_bdp_milli;
    return LH_MAX(lh_muldiv(bdp, milli, 1000), 65536);
}

void lh_emu_link_init(struct lh_emu_link *link,
                      const struct lh_emu_params *params,
                      lh_ns round_trip,
                      uint64_t seed,
                      lh_ns now)
{
    *link = (struct lh_emu_link){.seed = seed, .start = now, .free_at = now};
    lh_emu_link_change(link, params, round_trip);
}

void lh_emu_link_change(struct lh_emu_link *link,
                        const struct lh_emu_params *params,
                        lh_ns round_trip)
{
    LH_ASSERT(params->outages_len <= LH_EMU_OUTAGES);
    link->params = *params;
    link->queue_limit = queue_limit_of(params, round_trip);
}

static bool is_out(const struct lh_emu_link *link, lh_ns now)
{
    const struct lh_emu_params *params = &link->params;
    lh_ns age = lh_ns_since(now, link->start);
    for (uint32_t i = 0; i < params->outages_len; i++) {
        const struct lh_emu_outage *outage = &params->outages[i];
        if (age >= outage->start && age - outage->start < outage->length)
            return true;
    }
    return params->down;
}

// 1, 1.5, 2, 3, 4, 6, 8... us begin a step.
static unsigned wait_step(uint64_t us)
{
    if (us == 0)
        return 0;
    unsigned octave = 63 - (unsigned)__builtin_clzll(us);
    unsigned half = octave > 0 ? (unsigned)(us >> (octave - 1)) & 1 : 0;
    return LH_MIN(1 + 2 * octave + half, LH_EMU_WAITS - 1u);
}

// Takes the packet into the bottleneck; false when the queue is full.
static bool enter_bottleneck(struct lh_emu_link *link, uint32_t len, lh_ns now)
{
    uint64_t rate = link->params.rate_bps;
    if (rate == 0) {
        link->free_at = now;
        link->free_frac = 0;
        return true;
    }
    if (link->free_at < now) {
        link->free_at = now;
        link->free_frac = 0;
    }
    uint64_t backlog = lh_muldiv(link->free_at - now, rate, 8 * LH_SECOND);
    if (backlog > 0 && backlog + len > link->queue_limit)
        return false;
    link->queue_peak = LH_MAX(link->queue_peak, backlog + len);
    link->waits[wait_step((link->free_at - now) / LH_US)]++;
    // Fixed point with 32 bits below the nanosecond: at 100 Gbit/s a packet takes 120 ns.
    unsigned __int128 sending = ((unsigned __int128)len * 8 * LH_SECOND << 32) / rate;
    sending += link->free_frac;
    link->free_at += (lh_ns)(sending >> 32);
    link->free_frac = (uint32_t)sending;
    return true;
}

static bool is_lost(struct lh_emu_link *link)
{
    const struct lh_emu_params *params = &link->params;
    if (params->loss_ppb == 0)
        return false;
    if (params->burst_mean <= 1)
        return happens(link, LOSS, params->loss_ppb);
    uint32_t leave = LH_EMU_PPB / params->burst_mean;
    uint32_t stay_good = LH_EMU_PPB - LH_MIN(params->loss_ppb, LH_EMU_PPB - 1);
    uint64_t enter = lh_muldiv(params->loss_ppb, leave, stay_good);
    if (link->in_burst)
        link->in_burst = !happens(link, BURST, leave);
    else
        link->in_burst = happens(link, BURST, (uint32_t)LH_MIN(enter, LH_EMU_PPB));
    return link->in_burst;
}

static lh_ns jitter_at(const struct lh_emu_link *link, lh_ns time)
{
    lh_ns jitter = link->params.jitter;
    if (jitter == 0)
        return 0;
    lh_ns age = lh_ns_since(time, link->start);
    uint64_t knot = age / JITTER_KNOT;
    uint64_t from = lh_emu_random(link->seed, JITTER, knot) >> 32;
    uint64_t to = lh_emu_random(link->seed, JITTER, knot + 1) >> 32;
    uint64_t part = age % JITTER_KNOT;
    uint64_t height = (from * (JITTER_KNOT - part) + to * part) / JITTER_KNOT;
    return lh_muldiv(jitter, height, (uint64_t)1 << 32);
}

struct lh_emu_verdict
lh_emu_link_offer(struct lh_emu_link *link, uint32_t len, bool is_udp, lh_ns now)
{
    const struct lh_emu_params *params = &link->params;
    if (is_out(link, now))
        return (struct lh_emu_verdict){.fate = LH_EMU_DROP_OUTAGE};
    if (is_udp && params->udp_blocked)
        return (struct lh_emu_verdict){.fate = LH_EMU_DROP_UDP};
    if (params->hole_bytes != 0 && len > params->hole_bytes)
        return (struct lh_emu_verdict){.fate = LH_EMU_DROP_HOLE};
    if (!enter_bottleneck(link, len, now))
        return (struct lh_emu_verdict){.fate = LH_EMU_DROP_QUEUE};

    link->index++;
    if (is_lost(link))
        return (struct lh_emu_verdict){.fate = LH_EMU_DROP_LOSS};
    struct lh_emu_verdict verdict = {
        .fate = LH_EMU_DELIVER,
        .reordered = happens(link, REORDER, params->reorder_ppb),
        .congested = (params->ce_above != 0 && link->free_at > now + params->ce_above) ||
                     happens(link, CE, params->ce_ppb),
        .duplicated = happens(link, DUPLICATE, params->duplicate_ppb),
        .corrupted = happens(link, CORRUPT, params->corrupt_ppb),
        .corrupted_hidden = is_udp && happens(link, CORRUPT_HIDDEN, params->corrupt_hidden_ppb),
    };
    lh_ns due = link->free_at + params->delay + jitter_at(link, link->free_at);
    due = lh_ns_max(due, link->last_due);
    if (verdict.reordered)
        due += params->reorder_by;
    else
        link->last_due = due;
    verdict.due = due;
    return verdict;
}
