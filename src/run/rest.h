// SPDX-License-Identifier: Apache-2.0
//
// How long to leave sockets alone, so that one wake-up deals with many packets. At 1 Gbit/s packets
// come every 12 us; waking up for each handful costs more than the packets do, in processor time
// and in what others find in the cache. A rest is short beside the round trip, so that neither
// reports nor acknowledgements are late in a way that a controller could notice.
#ifndef LH_RUN_REST_H
#define LH_RUN_REST_H

#include "base/time.h"
#include "udp/socket.h"

#define LH_REST_MAX LH_MS

struct lh_rest {
    lh_ns looked_at;         // when packets were last taken
    uint64_t packets, bytes; // since then
};

// The longest rest on a path of this round trip, 0 where it is too short for any.
lh_ns lh_rest_most(lh_ns rtt);
void lh_rest_on_batch(struct lh_rest *rest, const struct lh_udp_batch *batch);
// Until when packets may gather, at the rate at which they have come; `now` where they are too few.
// No more than a part of `rcvbuf` (bytes; bookkeeping included) gathers.
lh_ns lh_rest_until(struct lh_rest *rest, lh_ns rtt, uint32_t rcvbuf, lh_ns now);

#endif
