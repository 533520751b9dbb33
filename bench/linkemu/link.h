// SPDX-License-Identifier: Apache-2.0
//
// The model of one direction of a wide-area link, in virtual time: no sockets, no clock.
#ifndef LH_BENCH_LINKEMU_LINK_H
#define LH_BENCH_LINKEMU_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define LH_EMU_OUTAGES 8
#define LH_EMU_PPB     1000000000u // probabilities are parts per billion

struct lh_emu_outage {
    lh_ns start; // since the link was made
    lh_ns length;
};

// What a link does. All zero: a perfect link of unlimited rate.
struct lh_emu_params {
    uint64_t rate_bps;        // IP bits per second, 0 = unlimited
    lh_ns delay;              // propagation, one way
    lh_ns jitter;             // delay wanders between delay and delay + jitter; order is kept
    uint64_t queue_bytes;     // bottleneck queue, 0 = one BDP of the round trip
    uint32_t queue_bdp_milli; // the same as thousandths of a BDP, when not 0
    uint32_t loss_ppb;        // average loss, behind the bottleneck
    uint32_t burst_mean;  // mean packets of a loss burst (Gilbert-Elliott), 0 or 1 = independent
    uint32_t reorder_ppb; // packets that come later by reorder_by than their place in the row
    lh_ns reorder_by;
    uint32_t duplicate_ppb;
    uint32_t corrupt_ppb;        // one bit flipped; the transport checksum is that of before
    uint32_t corrupt_hidden_ppb; // one bit of a UDP payload flipped, checksum made to fit
    uint32_t hole_bytes;         // larger IP packets vanish (an MTU black hole), 0 = none
    lh_ns ce_above;              // ECT packets that wait longer in the queue get CE, 0 = none do
    uint32_t ce_ppb;             // and so many of the others
    bool ecn_clear;              // the ECN field becomes 0
    bool udp_blocked;
    bool down; // everything vanishes, now
    uint32_t outages_len;
    struct lh_emu_outage outages[LH_EMU_OUTAGES];
};

#define LH_EMU_WAITS 48 // up to 2^23.5 us

enum lh_emu_fate {
    LH_EMU_DELIVER,
    LH_EMU_DROP_OUTAGE,
    LH_EMU_DROP_UDP,
    LH_EMU_DROP_HOLE,
    LH_EMU_DROP_QUEUE,
    LH_EMU_DROP_LOSS,
    LH_EMU_FATES_
};

struct lh_emu_verdict {
    enum lh_emu_fate fate;
    lh_ns due;      // when the packet leaves at the far end
    bool reordered; // due is outside the order of the others
    bool congested; // to be marked CE where it is ECT
    bool duplicated;
    bool corrupted;
    bool corrupted_hidden;
};

struct lh_emu_link {
    struct lh_emu_params params;
    uint64_t queue_limit; // bytes, from params
    uint64_t seed;
    lh_ns start;
    lh_ns free_at;       // when the bottleneck has sent all it took
    uint32_t free_frac;  // and 2^-32 ns
    lh_ns last_due;      // order of the packets that keep it
    uint64_t index;      // packets that entered the bottleneck
    bool in_burst;       // Gilbert-Elliott state
    uint64_t queue_peak; // largest backlog in bytes
    // Packets by how long they waited in the queue: [0] less than 1 us, then two steps an octave.
    uint64_t waits[LH_EMU_WAITS];
};

// `round_trip` is the delay of both directions together, for queues in BDP.
void lh_emu_link_init(struct lh_emu_link *link,
                      const struct lh_emu_params *params,
                      lh_ns round_trip,
                      uint64_t seed,
                      lh_ns now);

// New parameters for the packets to come; those under way keep their times.
void lh_emu_link_change(struct lh_emu_link *link,
                        const struct lh_emu_params *params,
                        lh_ns round_trip);

// A packet of `len` IP bytes arrives at `now` (never earlier than before). The decisions depend on
// seed, parameters and how many packets entered before it, on nothing else.
struct lh_emu_verdict
lh_emu_link_offer(struct lh_emu_link *link, uint32_t len, bool is_udp, lh_ns now);

// A random number that belongs to packet `index` of a link; `purpose` keeps decisions independent.
uint64_t lh_emu_random(uint64_t seed, uint32_t purpose, uint64_t index);

#endif
