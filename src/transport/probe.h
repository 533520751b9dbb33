// SPDX-License-Identifier: Apache-2.0
//
// PINGs of one UDP lane: proof that the path carries packets there and back, discovery of the
// largest packet it carries, and signs of life. Tokens are random, so an echo proves that our
// packet was read by the peer.
//
// Packet sizes (packetization-layer path MTU discovery, RFC 8899). A lane begins with
// LH_PACKET_MIN_MTU, and asks side by side with the largest packet that its interface carries (the
// ceiling) and with that of an Ethernet of 1,500 bytes, which most paths are (the usual one). The
// largest size echoed is used; what lies between is searched: the usual size, the ceiling, then by
// halving. A size that is not answered LH_PROBE_SEARCH_TRIES times does not pass; everything is
// tried again every LH_PROBE_SEARCH_AGAIN, for paths change. A black hole (large packets vanish,
// small ones do not) falls back to the minimum and searches again.
#ifndef LH_TRANSPORT_PROBE_H
#define LH_TRANSPORT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "transport/random.h"

#define LH_PROBE_PINGS        16 // remembered
#define LH_PROBE_PONGS        8  // echoes owed at most; more are dropped
#define LH_PROBE_INTERVAL_MIN (50 * LH_MS)
#define LH_PROBE_INTERVAL_MAX LH_SECOND
#define LH_PROBE_SEARCH_TRIES 3
#define LH_PROBE_SEARCH_STEP  16 // the search ends within so many bytes
#define LH_PROBE_SEARCH_AGAIN (600 * LH_SECOND)

struct lh_probe {
    struct lh_probe_ping {
        uint64_t token; // 0 = unused
        lh_ns sent_at;
        uint32_t size; // UDP payload
    } pings[LH_PROBE_PINGS];
    uint32_t ping_count; // ever sent
    uint64_t pongs[LH_PROBE_PONGS];
    uint32_t pong_count;

    lh_ns alive_at;       // next PING for life, LH_NEVER while the lane is up
    lh_ns alive_interval; // grows while nothing answers
    uint8_t alive_step;   // which size is next: the ceiling, the usual one, the minimum

    uint32_t good, usual, ceiling; // sizes: proved; of most paths; wished
    uint32_t failed;               // smallest size found not to pass; ceiling + 1 = none
    uint32_t tries;                // of the size being tried
    lh_ns search_at;               // LH_NEVER: not searching
};

void lh_probe_init(struct lh_probe *probe, uint32_t payload_max, uint32_t usual, lh_ns now);
void lh_probe_set_ceiling(struct lh_probe *probe, uint32_t payload_max, uint32_t usual, lh_ns now);
// Begins (again) to probe whether anything gets through.
void lh_probe_start(struct lh_probe *probe, lh_ns now);
// Asks for one PING at `now`.
void lh_probe_once(struct lh_probe *probe, lh_ns now);
// Large packets do not arrive any more.
void lh_probe_black_hole(struct lh_probe *probe, lh_ns now);

// Size of the PING to send at `now`, 0 = none; then lh_probe_sent says that it went.
uint32_t lh_probe_size(const struct lh_probe *probe, lh_ns now);
// Leaves out the size that lh_probe_size names, for a smaller one of the same round. False where
// there is none.
bool lh_probe_skip(struct lh_probe *probe, lh_ns now);
uint64_t
lh_probe_sent(struct lh_probe *probe, struct lh_random *random, bool is_up, lh_ns rtt, lh_ns now);
lh_ns lh_probe_deadline(const struct lh_probe *probe);

void lh_probe_on_ping(struct lh_probe *probe, uint64_t token);
// False for a token that is not ours. Stops probing for life, may raise `good`.
bool lh_probe_on_pong(struct lh_probe *probe, uint64_t token, lh_ns now, lh_ns *out_rtt);

#endif
