// SPDX-License-Identifier: Apache-2.0
//
// Internet addresses with a port, and pairs of them.
#ifndef LH_UDP_ADDR_H
#define LH_UDP_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// An IPv4 or IPv6 address and port; `any.sa_family` says which, AF_UNSPEC (0) means "none". All
// zero is a valid "none". IPv4 is never written as a mapped IPv6 address.
struct lh_udp_addr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

// Both ends of a UDP flow as this machine sees them. `local` holds the address only (its port is
// 0); none where it is unknown or the kernel may choose.
struct lh_udp_path {
    struct lh_udp_addr peer;
    struct lh_udp_addr local;
};

// A numeric address ("192.0.2.7", "2001:db8::1", "fe80::1%eth0", "[::1]"), never a name.
// LH_E_INVALID for anything else.
lh_err
lh_udp_addr_parse(const char *text, uint16_t port, struct lh_udp_addr *out_addr) LH_MUST_CHECK;

// From a socket address of the system (getaddrinfo); IPv4-mapped IPv6 becomes IPv4.
// LH_E_INVALID for other families and short lengths.
lh_err lh_udp_addr_from(const struct sockaddr *sockaddr,
                        size_t len,
                        struct lh_udp_addr *out_addr) LH_MUST_CHECK;

// "192.0.2.7:33001", "[2001:db8::1]:33001", "none". LH_UDP_ADDR_TEXT bytes always do.
#define LH_UDP_ADDR_TEXT 80
char *lh_udp_addr_format(const struct lh_udp_addr *addr, char *out, size_t room);

// The wildcard address of `family` (AF_INET or AF_INET6).
struct lh_udp_addr lh_udp_addr_any(int family, uint16_t port);

static inline int lh_udp_addr_family(const struct lh_udp_addr *addr)
{
    return addr->any.sa_family;
}
uint16_t lh_udp_addr_port(const struct lh_udp_addr *addr);
void lh_udp_addr_set_port(struct lh_udp_addr *addr, uint16_t port);
socklen_t lh_udp_addr_len(const struct lh_udp_addr *addr);
bool lh_udp_addr_is_wildcard(const struct lh_udp_addr *addr); // 0.0.0.0, ::, or none
bool lh_udp_addr_is_loopback(const struct lh_udp_addr *addr);
// A single machine's address with a port other than 0: nothing is ever sent to another kind
// (wildcard, multicast, broadcast).
bool lh_udp_addr_is_unicast(const struct lh_udp_addr *addr);
bool lh_udp_addr_equal(const struct lh_udp_addr *a, const struct lh_udp_addr *b); // with port
bool lh_udp_path_equal(const struct lh_udp_path *a, const struct lh_udp_path *b);

#endif
