// SPDX-License-Identifier: Apache-2.0
//
// A simulated session in virtual time: two ends, two links, two pipes, and what is asserted of
// every run. A run is a function of scenario and seed alone.
#ifndef LH_SIM_WORLD_H
#define LH_SIM_WORLD_H

#include "end.h"
#include "link.h"
#include "probe.h"

struct sim_scenario {
    const char *name;
    const char *what;            // one line for people
    bool is_quick;               // part of `make test`
    struct sim_link_config up;   // client to server
    struct sim_link_config down; // server to client
    struct sim_pipe_config pipe; // rate 0: there is no SSH lane
    struct sim_plan client, server;
    const struct lh_cc_type *cc;     // NULL: lt
    const struct lh_aead_type *aead; // NULL: AES-128-GCM
    struct lh_cc_limits limits;
    uint32_t block_max;      // 0: 1 MiB and its header
    uint64_t receive_budget; // 0: 64 MiB
    uint8_t epoch_shift;     // 0: LH_EPOCH_SHIFT
    unsigned udp_lanes;      // 0: one; at most SIM_LANES_MAX - 1. All take the same path
    lh_ns give_up_udp_at;    // when the host stops sparing the SSH pipe; 0 = never
    lh_ns rebind_at;         // the client's NAT gives it another port; 0 = never
    lh_ns junk_every;        // forged packets to both ends; 0 = none
    lh_ns wake_late;         // timers fire up to so much late

    // What must hold, besides what always must (world.c).
    lh_ns time_limit;           // virtual, for everything
    lh_ns time_until_close;     // an early end that is wanted: the other end is gone; 0 = none
    unsigned goodput_permille;  // of what the link's payload could be, after `allowance`; 0 = any
    lh_ns allowance;            // start-up, outages
    unsigned overhead_permille; // UDP bytes sent at most, of what content and loss need; 0 = any
    unsigned udp_permille;      // of the content's bytes over UDP at least; 0 = any
    bool no_udp;                // and nothing may arrive over it
    const char *ecn;            // what the client finds out about ECN upwards; NULL = any
    uint64_t marked_min;        // packets that the upward link marks CE, at least; 0 = any
    bool few_repeats;           // little may be sent again beyond what the loss costs
};

struct sim_result {
    bool is_ok;
    char failure[240];
    lh_ns took;                   // until both ends had everything
    uint64_t bytes;               // of content, both ways
    uint64_t goodput;             // bytes/s of the direction with more content
    uint64_t efficiency_permille; // of what that link could carry
    uint64_t fingerprint;         // of every packet sent and when: equal for equal runs
    struct lh_lane_stats udp[2];  // client, server; its counters are the sums over all UDP lanes
    struct lh_transport_stats stats[2];
    uint64_t loaded_peak[2], reloaded[2]; // of senders that unload blocks: bytes, blocks
    // Of a measured run; what the client sends.
    struct sim_totals before;      // from the start until the measured span
    struct sim_totals span;        // in it
    lh_ns first_data, full_after;  // since the start; from there to 90 % of the rate, 0 = never
    uint64_t dropped_queue;        // packets of the forward link, from the start
    lh_ns queue_median, queue_max; // of the forward link, in the span
};

struct sim_options {
    uint64_t seed;
    bool is_traced;         // printed on standard output
    const char *trace_file; // events as JSON lines; NULL: none
    // Efficiency over this span instead; the end ends the run. Since the start, or `is_from_data`
    // since the first byte of a block left.
    lh_ns measure_from, measure_until;
    bool is_from_data;
};

struct sim_result sim_run(const struct sim_scenario *scenario, const struct sim_options *options);

// The table (scenarios.c).
extern const struct sim_scenario sim_scenarios[];
extern const size_t sim_scenarios_count;
// A scenario that the seed makes up: anything a path may do, within what a session must survive.
struct sim_scenario sim_scenario_random(uint64_t seed);

#endif
