// SPDX-License-Identifier: Apache-2.0
//
// Whose datagram is this? And the form in which one session hands a datagram to another.
// Pure parsing; both inputs come from strangers.
//
// A forwarded datagram, little endian, one message on the owner's inbox:
//     magic "LHF1" 4 | family 1 (4 or 6) | ecn 1 | peer port 2 |
//     peer address 4 or 16 | local address 4 or 16 | scope 4 (family 6 only) | packet 24 ..
//     LH_PACKET_MAX
#ifndef LH_UDP_ROUTE_H
#define LH_UDP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "udp/socket.h"

#define LH_ROUTE_PACKET_MIN  (LH_PACKET_HEADER + LH_PACKET_TAG)
#define LH_ROUTE_HEADER_MAX  44
#define LH_ROUTE_FORWARD_MAX (LH_ROUTE_HEADER_MAX + LH_PACKET_MAX)

struct lh_route_header {
    uint32_t session_id;
    uint8_t lane;
};

// The lane that a packet says it is of, 0 where there is no byte of it.
static inline uint8_t lh_route_lane(const uint8_t *data, size_t len)
{
    return len > 0 ? data[0] & 15 : 0;
}

// Reads what stands in clear in front of every packet. False where it cannot be a packet of a UDP
// lane: too short, too long, lane 0.
bool lh_route_parse(const uint8_t *data, size_t len, struct lh_route_header *out_header);

// Writes the header of a forwarded datagram; the packet follows it. Returns its length, 0 where the
// addresses cannot be written (no peer, families differ).
size_t lh_route_forward_header(const struct lh_udp_dgram *dgram,
                               uint8_t out_header[LH_ROUTE_HEADER_MAX]);

// Reads a forwarded datagram; out_dgram->data points into `message`. False where anything is wrong:
// form, addresses that no packet comes from, or a packet that is not of `session_id`.
bool lh_route_forward_parse(uint8_t *message,
                            size_t len,
                            uint32_t session_id,
                            struct lh_udp_dgram *out_dgram);

#endif
