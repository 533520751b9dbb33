// SPDX-License-Identifier: Apache-2.0
//
// One end of a simulated session: the real transport, and an application above it that sends blocks
// and stream bytes whose content follows from the seed, checks everything that arrives, and
// releases blocks as slowly as it is told.
#ifndef LH_SIM_END_H
#define LH_SIM_END_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/list.h"
#include "transport/transport.h"

#define SIM_LANE_UDP  1 // the first of them
#define SIM_LANES_MAX 4 // SSH and three of UDP

// What one end does.
struct sim_plan {
    uint32_t blocks; // to send
    uint32_t block_min, block_max;
    bool is_light;         // only the first bytes of a block have content: for long measurements
    uint64_t stream_bytes; // to send
    uint64_t release_rate; // bytes/s at which it takes in blocks; 0 = at once
    lh_ns release_delay;   // and how late
    struct {
        lh_ns from, until; // since the start: takes in nothing; from == until: never
    } stall;
    struct {
        lh_ns on, period, until; // until then its thread runs for the first `on` of each period
    } starved;
    uint64_t offer_rate;  // bytes/s at which it has blocks to send; 0 = all at once
    bool takes_early;     // blocks run by run while memory is short, as a file's receiver does
    uint64_t send_memory; // bytes of blocks under way that it holds; 0 = all
    lh_ns reload_delay;   // until a block that it did not hold any more is there again
};

struct sim_failure {
    bool is_set;
    char text[240];
};
void sim_fail(struct sim_failure *failure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct sim_release {
    lh_ns due;
    uint32_t block;
    uint32_t run; // bytes of an early run; 0: the block itself
};

struct sim_queue {
    struct sim_release *items;
    size_t first, count, room; // a ring
};

// A block on its way to us, run by run.
struct sim_early {
    size_t len, got;
    uint8_t data[]; // as much of it as is looked at
};

// A block under way from us.
struct sim_sending {
    struct lh_link link; // in `loaded` while `data` is there
    uint8_t *data;       // NULL: not yet, not now, or no longer
};

struct sim_end {
    const char *name;
    bool is_client;
    struct lh_transport *transport;
    struct sim_failure *failure;
    lh_ns clock_offset; // this end's clock - the world's; nobody may rely on synchronous clocks
    const struct sim_plan *plan, *peer_plan;
    uint64_t seed;
    bool is_traced;
    FILE *trace_file; // NULL: none
    struct lh_trace trace;
    lh_ns now; // the world's, of the current step

    struct sim_sending *sending; // plan->blocks entries
    struct lh_link loaded;       // longest there first
    uint64_t loaded_bytes, loaded_peak;
    uint64_t reloaded; // blocks
    struct sim_queue reloads;
    uint32_t next_block, acked_blocks;
    uint64_t stream_written, bytes_offered;
    lh_ns start;

    bool *received; // peer_plan->blocks flags
    uint32_t received_blocks, released_blocks;
    uint64_t received_bytes, stream_read;
    struct sim_queue releases;
    struct sim_early **early; // peer_plan->blocks entries, NULL: not early
    lh_ns release_free_at;

    bool is_closed;
    int close_code;
    enum lh_lane_state lane_state[SIM_LANES_MAX];
    uint64_t pn_next[SIM_LANES_MAX]; // lowest packet number that may leave
    uint64_t packets_out, packets_in, wakeups, idle_wakeups;
    uint64_t sealed_bytes[SIM_LANES_MAX];
};

// What both ends are made from.
struct sim_end_config {
    const struct lh_aead_type *aead;
    const struct lh_cc_type *cc;
    struct lh_cc_limits limits;
    uint32_t session_id;
    uint32_t block_max;
    uint64_t receive_budget;
    uint8_t epoch_shift;
    lh_ns rtt_hint; // what the set-up over SSH would have measured
    unsigned udp_lanes;
    bool has_ssh;
};

void sim_end_init(struct sim_end *end, const struct sim_end_config *config, lh_ns now);
void sim_end_fini(struct sim_end *end);
// Writes its events from now on, as JSON lines, to a file of the caller's.
void sim_end_trace_to(struct sim_end *end, FILE *file);
// Hands over blocks and stream bytes, and releases what is due.
void sim_end_pump(struct sim_end *end, lh_ns now);
// When sim_end_pump has something to do by itself; LH_NEVER.
lh_ns sim_end_next(const struct sim_end *end);
// When it gets to what it has to do at `time`: later while it is starved of the processor.
lh_ns sim_end_awake_at(const struct sim_end *end, lh_ns time);
// All that was to be sent is acknowledged, all that was to come is here and released.
bool sim_end_is_done(const struct sim_end *end);
uint32_t sim_block_len(const struct sim_plan *plan, uint64_t seed, uint32_t block);
uint64_t sim_plan_bytes(const struct sim_plan *plan, uint64_t seed);

#endif
