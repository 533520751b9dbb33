// SPDX-License-Identifier: Apache-2.0
//
// The figures that a transport tells of itself (transport.h).
#ifndef LH_TRANSPORT_STATS_H
#define LH_TRANSPORT_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

enum lh_lane_state {
    LH_LANE_IDLE,   // added; nothing heard yet (UDP: probing)
    LH_LANE_UP,     // an authenticated echo came: it carries data
    LH_LANE_SILENT, // was up; silent while packets are outstanding. Still probed; may return
    LH_LANE_DEAD    // removed, or its pipe closed
};

struct lh_lane_stats {
    enum lh_lane_state state;
    uint64_t packets_sent, bytes_sent;               // UDP payload bytes, headers included
    uint64_t packets_received, bytes_received;       // authenticated
    uint64_t block_bytes_sent, block_bytes_received; // content of DATA frames, repetitions included
    uint64_t packets_lost, packets_lost_spurious;
    uint64_t packets_lost_receiver; // of those lost: dropped by the receiver's own socket
    uint64_t packets_given_up;      // by a timer or with the lane; not among those lost
    uint64_t retransmitted_bytes;
    uint64_t duplicate_packets, forged_packets; // dropped on receipt
    uint64_t socket_drops, ce_packets;          // ce_packets: marked on their way to us
    uint64_t ce_reported;                       // marked on their way to the peer, as it says
    const char *ecn; // "off", "testing", "capable", "failed": of what we send
    uint64_t epoch;
    lh_ns rtt_smoothed, rtt_min, queue_delay;
    uint64_t pacing_rate, cwnd, inflight; // bytes/s, bytes
    uint64_t delivery_rate;               // newest sample, bytes/s; 0 = none
    uint32_t payload_max;
    const char *cc_phase;
};
// What became of packets, by their place in the batch that lh_transport_send put them in:
// cumulative. Whoever sends batches by GSO compares the places (udp/gso.h). Timer losses are not
// counted.
enum lh_place {
    LH_PLACE_FIRST,
    LH_PLACE_MIDDLE,
    LH_PLACE_LAST, // of a batch whose packets are all of one size
    LH_PLACES_
};
struct lh_place_fates {
    uint64_t arrived[LH_PLACES_], lost[LH_PLACES_];
};
struct lh_transport_stats {
    uint64_t block_bytes_acked;     // of what we sent
    uint64_t block_bytes_delivered; // to us, each byte once
    uint64_t duplicate_block_bytes; // received again
    uint64_t receive_memory; // bytes held now, runs that were handed over and not released included
    uint64_t receive_memory_peak;
    uint64_t early_bytes;     // of blocks taken early
    uint64_t refused_packets; // dropped unacknowledged, because they found no memory
    uint64_t window;          // bytes granted ahead
    uint64_t braked_to;  // bytes/s: policy fixed, and the path does not carry its target; else 0
    bool window_limited; // the peer's window holds us back now
    bool app_limited;    // nothing to send now
};

#endif
