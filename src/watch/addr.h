// SPDX-License-Identifier: Apache-2.0
//
// Addresses as sshd prints them. IPv4 is kept in its IPv6-mapped form, so that one comparison
// serves both and "::ffff:192.0.2.1" of a dual-stack listener is the same source as "192.0.2.1".
#ifndef LH_WATCH_ADDR_H
#define LH_WATCH_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watch/span.h"

#define LH_WATCH_ADDR_TEXT 46 // longest text of an address, with its end
#define LH_WATCH_NET_TEXT  50 // the same with "/128"

struct lh_watch_addr {
    uint8_t bytes[16];
};

enum lh_watch_scope {
    LH_WATCH_SCOPE_PUBLIC,
    LH_WATCH_SCOPE_LOOPBACK,
    LH_WATCH_SCOPE_PRIVATE,    // RFC 1918, unique local
    LH_WATCH_SCOPE_SHARED,     // RFC 6598: many customers of a provider behind one address
    LH_WATCH_SCOPE_LINK_LOCAL, //
    LH_WATCH_SCOPE_NONE,       // unspecified, multicast: never a peer's
    LH_WATCH_SCOPE_N_
};

// All of `text` must be one numeric address: dotted quad without leading zeros, or RFC 4291 text
// with an optional "%zone", which is dropped. Anything else, host names included, is refused.
bool lh_watch_addr_parse(struct lh_span text, struct lh_watch_addr *out_addr);

// RFC 5952 text; `out` needs LH_WATCH_ADDR_TEXT bytes. Returns `out`.
char *lh_watch_addr_format(const struct lh_watch_addr *addr, char *out);

// The network of `bits` bits around it, "192.0.2.0/24"; `out` needs LH_WATCH_NET_TEXT bytes.
char *lh_watch_net_format(const struct lh_watch_addr *addr, unsigned bits, char *out);

bool lh_watch_addr_is_v4(const struct lh_watch_addr *addr);
bool lh_watch_addr_equal(const struct lh_watch_addr *a, const struct lh_watch_addr *b);

// Clears what is behind the first `bits` bits; of IPv4, bits count from 0 to 32.
struct lh_watch_addr lh_watch_addr_mask(const struct lh_watch_addr *addr, unsigned bits);

// /24 of IPv4, /64 of IPv6: what one attacker is assumed to hold.
struct lh_watch_addr lh_watch_addr_network(const struct lh_watch_addr *addr);
unsigned lh_watch_network_bits(const struct lh_watch_addr *addr);

enum lh_watch_scope lh_watch_addr_scope(const struct lh_watch_addr *addr);

// A well-mixed 64-bit number of any bytes. `seed` keeps strangers from choosing collisions.
uint64_t lh_watch_hash(const void *data, size_t len, uint64_t seed);

#endif
