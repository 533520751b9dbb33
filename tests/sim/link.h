// SPDX-License-Identifier: Apache-2.0
//
// One direction of a simulated path: a bottleneck of a given rate with a droptail queue, then delay
// and everything that real paths do to packets. Times are the world's, sizes are IP bytes.
#ifndef LH_SIM_LINK_H
#define LH_SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "base/time.h"

#define SIM_OUTAGES_MAX 2
#define SIM_TAIL        16 // bytes of a tag, which is never zeros

struct sim_link_config {
    uint64_t rate; // IP bytes/s; 0 = no bottleneck
    lh_ns delay;
    lh_ns jitter;           // 0..jitter more, in order
    uint64_t queue_bytes;   // of the bottleneck
    uint64_t police_rate;   // IP bytes/s that a policer lets through, dropping the rest; 0 = none
    uint64_t police_burst;  // bytes that it lets through at once
    uint32_t loss_ppm;      // independent
    uint32_t burst_ppm;     // share lost in runs (Gilbert-Elliott, the bad state loses everything)
    uint32_t burst_packets; // mean length of a run
    uint32_t reorder_ppm;   // packets that overtake nobody and come `reorder_delay` late
    lh_ns reorder_delay;
    uint32_t duplicate_ppm; // a second copy comes up to `duplicate_delay` later
    lh_ns duplicate_delay;
    uint32_t corrupt_ppm; // one bit flipped
    uint32_t ip_max;      // larger datagrams vanish; 0 = none do
    lh_ns ce_above;       // ECT packets that wait longer in the queue are marked CE; 0 = none are
    uint32_t ce_ppm;      // and so many of the others
    bool clears_ecn;      // a router that bleaches the field
    struct {
        lh_ns from, until; // from == until: none
    } outages[SIM_OUTAGES_MAX];
};

struct sim_packet {
    lh_ns arrives;
    uint64_t order; // equal times: first come, first served
    uint8_t *data;  // owned; without its run of zeros while it is under way
    size_t len;     // UDP payload
    size_t zeros;   // left out in front of the last SIM_TAIL bytes
    uint32_t path;
    uint8_t ecn;
};

struct sim_link {
    struct sim_link_config config;
    struct lh_prng prng;
    uint32_t ip_overhead;
    lh_ns police_full_at;         // when the policer's bucket will be full again
    lh_ns free_at;                // when the bottleneck has sent all it holds
    struct sim_link *shares_with; // whose bottleneck and queue this one goes through; NULL: its own
    lh_ns last_arrival;           // jitter keeps the order
    bool is_bad;                  // Gilbert-Elliott
    lh_ns last_seen;              // a packet
    struct sim_packet *heap;
    size_t count, room;
    uint8_t ecn; // of what is sent next, as it arrives
    uint64_t marked_ce;
    uint64_t arrived_bytes; // taken at the far end
    uint64_t dropped_policed;
    uint64_t sent, sent_bytes, dropped_queue, dropped_loss, dropped_mtu, dropped_outage, corrupted,
        duplicated;
};

void sim_link_init(struct sim_link *link,
                   const struct sim_link_config *config,
                   uint32_t ip_overhead,
                   uint64_t seed);
void sim_link_fini(struct sim_link *link);
// Copies `data`. `ecn`: mark it leaves with.
void sim_link_send(
    struct sim_link *link, const uint8_t *data, size_t len, uint32_t path, uint8_t ecn, lh_ns now);
// Puts a packet on the far end by itself: what an attacker does.
void sim_link_inject(
    struct sim_link *link, const uint8_t *data, size_t len, uint32_t path, lh_ns arrives);
// Arrival of the next packet, LH_NEVER where none is under way.
lh_ns sim_link_next(const struct sim_link *link);
// Takes the next packet if it has arrived by `now`; the caller frees its data.
bool sim_link_take(struct sim_link *link, lh_ns now, struct sim_packet *out_packet);

// The pipe of the SSH lane: reliable, ordered, of limited rate, with a buffer that fills.
struct sim_pipe_config {
    uint64_t rate; // bytes/s
    lh_ns delay;
    uint64_t buffer; // bytes it takes before it pushes back
    lh_ns breaks_at; // when both ends lose it; 0 = never
};

struct sim_pipe {
    struct sim_pipe_config config;
    struct sim_link queue; // as the store of what is under way
    lh_ns free_at;
    uint64_t sent_bytes;
    bool is_broken; // takes nothing any more
};

void sim_pipe_init(struct sim_pipe *pipe, const struct sim_pipe_config *config);
void sim_pipe_fini(struct sim_pipe *pipe);
// When the next frame will be taken: `now`, or later while the buffer is full, or LH_NEVER.
lh_ns sim_pipe_writable(const struct sim_pipe *pipe, lh_ns now);
void sim_pipe_send(struct sim_pipe *pipe, const uint8_t *data, size_t len, lh_ns now);

#endif
