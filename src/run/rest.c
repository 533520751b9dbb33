// SPDX-License-Identifier: Apache-2.0
#include "run/rest.h"

#include "base/math.h"

#define RTT_PART    40 // of a round trip: a report that is so late is no queue to a controller
#define REST_LEAST  (200 * LH_US)
#define PACKETS_MIN 4 // expected during a rest: fewer are not worth it
#define BUFFER_PART 4 // of the socket's buffer that may be used, as payload

lh_ns lh_rest_most(lh_ns rtt)
{
    lh_ns most = LH_MIN(rtt / RTT_PART, LH_REST_MAX);
    return most < REST_LEAST ? 0 : most;
}

void lh_rest_on_batch(struct lh_rest *rest, const struct lh_udp_batch *batch)
{
    rest->packets += batch->count;
    for (size_t i = 0; i < batch->count; i++)
        rest->bytes += batch->dgrams[i].len;
}

lh_ns lh_rest_until(struct lh_rest *rest, lh_ns rtt, uint32_t rcvbuf, lh_ns now)
{
    lh_ns gap = lh_ns_since(now, rest->looked_at);
    lh_ns most = lh_rest_most(rtt);
    struct lh_rest came = *rest;

    *rest = (struct lh_rest){.looked_at = now};
    if (gap == 0 || came.bytes == 0)
        return now;
    most = LH_MIN(most, lh_muldiv(rcvbuf / BUFFER_PART, gap, came.bytes));
    if (most < REST_LEAST || lh_muldiv(came.packets, most, gap) < PACKETS_MIN)
        return now;
    return now + most;
}
