// SPDX-License-Identifier: Apache-2.0
//
// Several flows on one bottleneck with one droptail queue: Longhaul sessions (the real engine) and
// TCP connections (tcp_flow.h), each with a round trip and a start of its own. What comes out is
// who got how much, and how long the queue was. A run is a function of its configuration and seed.
#ifndef LH_SIM_COMPANY_H
#define LH_SIM_COMPANY_H

#include <stdbool.h>
#include <stdint.h>

#include "cc/cc.h"

#define COMPANY_FLOWS_MAX 6

struct company_flow_config {
    const struct lh_cc_type *cc;
    bool is_tcp;
    lh_ns rtt;         // without queue
    lh_ns start, stop; // stop 0: never; a TCP flow then is silent
    uint64_t rate_target;
    unsigned lanes; // of a Longhaul session, all on the same path; 0 means 1
};

struct company_config {
    uint64_t rate; // IP bytes/s of the bottleneck
    uint64_t queue_bytes;
    uint32_t loss_ppm; // of each flow's packets, besides
    uint32_t burst_ppm, burst_packets;
    lh_ns jitter;
    uint32_t flows;
    struct company_flow_config flow[COMPANY_FLOWS_MAX];
    lh_ns measure_from, until; // from the beginning of the run
};

struct company_result {
    bool is_ok;
    char failure[240];
    uint32_t share[COMPANY_FLOWS_MAX]; // of the bottleneck, per thousand
    lh_ns queue_median, queue_high;    // of the bottleneck while measured; high: 95 of 100
    uint64_t dropped;                  // by the queue, while measured
    uint32_t jain;                     // of the shares, per thousand
    lh_ns in_company;                  // time that flow 0 thought it was not alone, while measured
};

struct company_result
company_run(const struct company_config *config, uint64_t seed, bool is_traced);

#endif
