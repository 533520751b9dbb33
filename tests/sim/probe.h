// SPDX-License-Identifier: Apache-2.0
//
// What a measured run is asked besides its bytes: how soon the link was full, how long its queue
// was, and how much went over it. Fed by the world at every step, sampled every 2 ms.
#ifndef LH_SIM_PROBE_H
#define LH_SIM_PROBE_H

#include "link.h"

#define SIM_PROBE_STEP   (2 * LH_MS)
#define SIM_PROBE_WINDOW 512 // samples that the ramp looks back, at most

// Totals at one moment.
struct sim_totals {
    uint64_t acked;          // bytes of blocks that the sender knows to have arrived
    uint64_t sent, returned; // IP bytes into the links: forward, back
    uint64_t arrived;        // IP bytes out of the forward link
    uint64_t duplicates;     // bytes of blocks that arrived again
    uint64_t spurious, lost, packets;
    uint64_t dropped_queue; // packets
};

struct sim_totals sim_totals_since(const struct sim_totals *is, const struct sim_totals *was);

struct sim_probe {
    // Given.
    lh_ns from;    // samples of the queue count from here on
    lh_ns window;  // over which the link must be full
    uint64_t full; // bytes of a window that count as full
    // Found.
    lh_ns first_data;                           // when the first block byte left; 0 = not yet
    lh_ns full_at;                              // end of the first full window; 0 = none yet
    uint64_t queue_samples, queue_counts[2048]; // of the forward queue, by tenths of a millisecond
    lh_ns queue_max;
    // How far it is.
    lh_ns next;
    uint64_t history[SIM_PROBE_WINDOW], samples;
};

// `link`: the forward one, with what it carries as it is.
void sim_probe_init(struct sim_probe *probe, const struct sim_link_config *link, lh_ns rtt);
void sim_probe_step(struct sim_probe *probe, const struct sim_link *link, bool has_data, lh_ns now);
// The queue delay that `share` permille of the samples do not exceed.
lh_ns sim_probe_queue(const struct sim_probe *probe, unsigned share);

#endif
