// SPDX-License-Identifier: Apache-2.0
//
// Congestion control as a table of functions (after quicly's and msquic's).
//
// A controller sees what happened on one lane and answers two questions: how fast may we send
// (pacing_rate) and how much may be in flight (cwnd). It reads no clock, allocates nothing and uses
// integers only. Rates are bytes of IP datagrams per second, sizes bytes of IP datagrams (what the
// link carries: UDP payload plus lane overhead of 28 or 48 bytes).
#ifndef LH_CC_CC_H
#define LH_CC_CC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

#define LH_CC_STATE_MAX 2048                   // bytes a controller may use
#define LH_CC_RATE_MAX  UINT64_C(125000000000) // bytes/s (1 Tbit/s): "as fast as it goes"

// Limits that a person or the peer sets; may change while running.
struct lh_cc_limits {
    uint64_t rate_target; // bytes/s; 0 = none given
    uint64_t rate_min;    // bytes/s; 0 = none
};

// One feedback report, digested by the lane. All counters are since the lane began unless said.
struct lh_cc_feedback {
    lh_ns now;
    uint64_t acked_bytes; // newly reported as received
    uint64_t acked_packets;
    uint64_t lost_bytes; // newly declared lost by time (never by timer)
    uint64_t lost_packets;
    uint64_t inflight;  // bytes in flight after this report
    uint64_t delivered; // cumulative bytes that the receiver has, this report included
    // Delivery-rate sample in bytes/s, 0 = none: min(receiver-clocked rate, send rate) over at
    // least one RTT.
    uint64_t rate_sample;
    bool rate_is_app_limited; // the sample was limited by us, not by the path: never lowers the
                              // model
    bool is_late;             // so it was, but only because we did not get to sending in time
    // The newest packet that had arrived: when, by the receiver's clock (only differences mean
    // anything; 0 = this feedback says nothing new), when it was sent, and the bytes sent before
    // it. With `delivered` the controller can make rates of its own.
    lh_ns arrived_at, sent_at;
    uint64_t sent_total;
    lh_ns rtt_sample; // 0 = none
    lh_ns rtt_min;    // lowest of the last 10 s
    lh_ns rtt_smoothed;
    lh_ns queue_delay; // one-way delay above its 10 s minimum, by the receiver's clock
    int64_t one_way;   // that delay itself, ns, between two clocks: only differences mean anything
    uint64_t ce_packets; // newly marked CE
    uint64_t round; // counts round trips: grows when a packet sent after the last growth is acked
    uint64_t round_sent_packets; // packets resolved (acked or lost) in the round that just ended
    uint64_t round_lost_packets; // of those, lost
    bool round_ended;
    uint32_t lanes;      // of the session, this one included, that follow this controller
    bool window_limited; // the receiver's window or an empty queue held us back
};

// What a controller thinks of the path, for those who watch it. 0: nothing.
struct lh_cc_view {
    uint64_t bandwidth;     // bytes/s that the path delivers
    uint32_t loss_base_ppm; // the path's own loss
    uint64_t congestions;   // times it found congestion
    bool is_braked;         // it sends less than the target, which the path does not carry
};

// What is known of a path when a controller takes over from another. 0: nothing.
struct lh_cc_known {
    uint64_t bandwidth; // bytes/s that the path delivers
    uint64_t delivered; // bytes/s that it delivered lately: it may have more
    uint32_t loss_base_ppm;
    lh_ns rtt_min;
};

struct lh_cc_type {
    const char *name; // as `--policy` and traces call it
    size_t size;      // bytes of state, <= LH_CC_STATE_MAX

    // `packet_size`: IP bytes of a full packet. `rtt_hint`: RTT measured by the set-up, 0 =
    // unknown.
    void (*init)(void *state,
                 uint32_t packet_size,
                 const struct lh_cc_limits *limits,
                 lh_ns rtt_hint,
                 lh_ns now);
    void (*set_limits)(void *state, const struct lh_cc_limits *limits, lh_ns now);
    void (*on_feedback)(void *state, const struct lh_cc_feedback *feedback);
    // A probe timeout. NULL: silence is no congestion to it.
    void (*on_timeout)(void *state, lh_ns now);
    void (*on_path_change)(void *state, lh_ns now); // new address: start over, keep limits
    uint64_t (*pacing_rate)(const void *state);     // bytes/s, never 0
    uint64_t (*cwnd)(const void *state);            // bytes, at least 4 packets
    const char *(*phase)(const void *state);        // for traces: "startup", "cruise", ...
    void (*view)(const void *state, struct lh_cc_view *out_view); // NULL: it thinks nothing
    // It stands back from other traffic on purpose: being slow is no sign of a crippled path.
    bool yields;
    // Several lanes of a session are one flow to others: all go by the controller of one of them.
    bool is_coupled;
    // Right after init: goes on from there instead of finding out anew. NULL: needs nothing.
    void (*go_on)(void *state, const struct lh_cc_known *known, lh_ns now);
};

// The policies (docs/congestion-control.md). fair and high are loss-discounted and model-based
// (lt.h) while alone on the path, and classified CUBIC of different weights in company (cc_fair.c).
extern const struct lh_cc_type lh_cc_fair;
extern const struct lh_cc_type lh_cc_high;
extern const struct lh_cc_type lh_cc_low;
extern const struct lh_cc_type lh_cc_lt;    // the model alone, blind for company: for measurements
extern const struct lh_cc_type lh_cc_fixed; // needs rate_target
// For the SSH lane: TCP below paces already; a constant window, no pacing.
extern const struct lh_cc_type lh_cc_pipe;
// What others do, to compare with in the simulator; no policy offers it.
extern const struct lh_cc_type lh_cc_cubic;
extern const struct lh_cc_type lh_cc_bbr;

// NULL where there is none; names: fair, high, low, fixed, lt, pipe, cubic, bbr.
const struct lh_cc_type *lh_cc_by_name(const char *name);

#endif
