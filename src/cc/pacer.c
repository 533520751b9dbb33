// SPDX-License-Identifier: Apache-2.0
//
// How it works. Credit grows by rate * time up to `burst`, sending takes from it. Nothing is
// offered until a whole quantum has gathered, so that a wake-up is worth its while; it then goes
// out in runs that one system call takes each. Credit is whole bytes; the time that did not yet
// make a byte stays uncounted (`updated` moves on by the time that the added bytes took, rounded
// up), so the long-run rate is exact and never exceeded.
#include "cc/pacer.h"

#include "base/assert.h"
#include "base/math.h"

#define QUANTUM_TIME_MIN (LH_US * 500)
#define QUANTUM_TIME_MAX LH_MS
#define QUANTUM_RTT      16 // a quantum is at most so small a part of the round trip
#define BURST_TIME       (2 * LH_MS)
#define QUANTUM_MAX      262144u
#define RUN_MAX          65536u

void lh_pacer_init(struct lh_pacer *pacer, uint64_t packet_size, lh_ns now)
{
    LH_ASSERT(packet_size > 0);
    *pacer = (struct lh_pacer){
        .packet_size = packet_size,
        .quantum_time = QUANTUM_TIME_MIN,
        .credit = (int64_t)packet_size,
        .updated = now,
    };
}

uint64_t lh_pacer_quantum(const struct lh_pacer *pacer)
{
    uint64_t bytes = LH_MIN(lh_muldiv(pacer->rate, pacer->quantum_time, LH_SECOND), QUANTUM_MAX);
    return LH_MAX(bytes / pacer->packet_size, 1) * pacer->packet_size;
}

// What must be there for one more run, once a quantum has gathered.
static int64_t run_of(const struct lh_pacer *pacer)
{
    uint64_t packets = LH_MAX(RUN_MAX / pacer->packet_size, 1);
    return (int64_t)LH_MIN(lh_pacer_quantum(pacer), packets * pacer->packet_size);
}

static int64_t burst_of(const struct lh_pacer *pacer)
{
    uint64_t bytes =
        LH_MAX(2 * lh_pacer_quantum(pacer), lh_muldiv(pacer->rate, BURST_TIME, LH_SECOND));
    return (int64_t)LH_MIN(bytes, (uint64_t)INT64_MAX / 4);
}

static void refill(struct lh_pacer *pacer, lh_ns now)
{
    int64_t burst = pacer->is_held ? (int64_t)lh_pacer_quantum(pacer) : burst_of(pacer);
    lh_ns elapsed = lh_ns_since(now, pacer->updated);
    uint64_t add = lh_muldiv(pacer->rate, elapsed, LH_SECOND);
    if (add == 0)
        return;
    add = LH_MIN(add, (uint64_t)INT64_MAX / 4);
    if (pacer->credit + (int64_t)add >= burst) {
        int64_t over = pacer->credit + (int64_t)add - LH_MAX(pacer->credit, burst);
        if (!pacer->is_held)
            pacer->missed += (uint64_t)over;
        pacer->credit = LH_MAX(pacer->credit, burst);
        pacer->updated = now;
        return;
    }
    pacer->credit += (int64_t)add;
    lh_ns took = lh_muldiv(add, LH_SECOND, pacer->rate);
    if (lh_muldiv(took, pacer->rate, LH_SECOND) < add)
        took++;
    pacer->updated += took;
}

void lh_pacer_set_rate(struct lh_pacer *pacer, uint64_t bytes_per_second, lh_ns now)
{
    refill(pacer, now);
    if (pacer->rate == 0)
        pacer->updated = now; // nothing gathered while there was no rate
    pacer->rate = bytes_per_second;
    pacer->credit = LH_MIN(pacer->credit, burst_of(pacer));
}

void lh_pacer_set_rtt(struct lh_pacer *pacer, lh_ns rtt)
{
    pacer->quantum_time = LH_CLAMP(rtt / QUANTUM_RTT, QUANTUM_TIME_MIN, QUANTUM_TIME_MAX);
}

uint64_t lh_pacer_available(struct lh_pacer *pacer, lh_ns now)
{
    refill(pacer, now);
    int64_t least = pacer->is_open ? run_of(pacer) : (int64_t)lh_pacer_quantum(pacer);
    pacer->is_open = pacer->credit >= least;
    return pacer->is_open ? (uint64_t)pacer->credit : 0;
}

void lh_pacer_consume(struct lh_pacer *pacer, uint64_t bytes)
{
    LH_ASSERT(bytes < (uint64_t)INT64_MAX / 4);
    pacer->credit -= (int64_t)bytes;
    pacer->is_held = false;
}

void lh_pacer_hold(struct lh_pacer *pacer, lh_ns now)
{
    refill(pacer, now);
    pacer->credit = LH_MIN(pacer->credit, (int64_t)lh_pacer_quantum(pacer));
    pacer->is_held = true;
}

lh_ns lh_pacer_next(const struct lh_pacer *pacer, lh_ns now)
{
    int64_t missing = (int64_t)lh_pacer_quantum(pacer) - pacer->credit;
    if (missing <= 0 || (pacer->is_open && pacer->credit >= run_of(pacer)))
        return now;
    if (pacer->rate == 0)
        return LH_NEVER;
    lh_ns due = lh_add_sat(pacer->updated,
                           lh_add_sat(lh_muldiv((uint64_t)missing, LH_SECOND, pacer->rate), 1));
    return lh_ns_max(due, now);
}
