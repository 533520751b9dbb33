// SPDX-License-Identifier: Apache-2.0
//
// How it works. An address is the system's own structure in a union, all zero where there is none.
// One rule keeps comparing simple: IPv4 is always AF_INET. Whatever comes from outside as
// IPv4-mapped IPv6 is turned into it where it enters, so that one peer has one form. Texts are
// numeric only: a name would be looked up, and this is called where nothing may wait. A zone behind
// '%' is an interface's name or number and counts for link-local addresses; it is part of the
// address when two are compared.
#include "udp/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"

struct lh_udp_addr lh_udp_addr_any(int family, uint16_t port)
{
    struct lh_udp_addr addr = {0};

    LH_ASSERT(family == AF_INET || family == AF_INET6);
    addr.any.sa_family = (sa_family_t)family;
    lh_udp_addr_set_port(&addr, port);
    return addr;
}

// The interface behind '%': by name or by number.
static lh_err parse_scope(const char *text, uint32_t *out_scope)
{
    uint64_t number;

    *out_scope = if_nametoindex(text);
    if (*out_scope != 0)
        return LH_OK;
    if (lh_parse_number(text, 1, UINT32_MAX, &number) != LH_OK)
        return LH_E_INVALID;
    *out_scope = (uint32_t)number;
    return LH_OK;
}

lh_err lh_udp_addr_parse(const char *text, uint16_t port, struct lh_udp_addr *out_addr)
{
    struct lh_udp_addr addr = {0};
    char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
    size_t len = strlen(text);
    char *percent;

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof copy)
        return LH_E_INVALID;
    memcpy(copy, text, len);
    copy[len] = '\0';
    percent = strchr(copy, '%');
    if (percent != NULL)
        *percent++ = '\0';
    if (inet_pton(AF_INET6, copy, &addr.v6.sin6_addr) == 1) {
        addr.v6.sin6_family = AF_INET6;
        if (percent != NULL && parse_scope(percent, &addr.v6.sin6_scope_id) != LH_OK)
            return LH_E_INVALID;
        addr.v6.sin6_port = htons(port);
        return lh_udp_addr_from(&addr.any, sizeof addr.v6, out_addr);
    }
    addr = (struct lh_udp_addr){0};
    if (percent != NULL || inet_pton(AF_INET, copy, &addr.v4.sin_addr) != 1)
        return LH_E_INVALID;
    addr.v4.sin_family = AF_INET;
    lh_udp_addr_set_port(&addr, port);
    *out_addr = addr;
    return LH_OK;
}

lh_err lh_udp_addr_from(const struct sockaddr *sockaddr, size_t len, struct lh_udp_addr *out_addr)
{
    struct lh_udp_addr addr = {0};

    if (len < sizeof sockaddr->sa_family)
        return LH_E_INVALID;
    if (sockaddr->sa_family == AF_INET && len >= sizeof addr.v4) {
        memcpy(&addr.v4, sockaddr, sizeof addr.v4);
        memset(addr.v4.sin_zero, 0, sizeof addr.v4.sin_zero);
        *out_addr = addr;
        return LH_OK;
    }
    if (sockaddr->sa_family != AF_INET6 || len < sizeof addr.v6)
        return LH_E_INVALID;
    memcpy(&addr.v6, sockaddr, sizeof addr.v6);
    if (IN6_IS_ADDR_V4MAPPED(&addr.v6.sin6_addr)) {
        struct lh_udp_addr mapped = lh_udp_addr_any(AF_INET, ntohs(addr.v6.sin6_port));
        memcpy(&mapped.v4.sin_addr, addr.v6.sin6_addr.s6_addr + 12, 4);
        *out_addr = mapped;
        return LH_OK;
    }
    addr.v6.sin6_flowinfo = 0;
    *out_addr = addr;
    return LH_OK;
}

char *lh_udp_addr_format(const struct lh_udp_addr *addr, char *out, size_t room)
{
    char text[INET6_ADDRSTRLEN];

    if (addr->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &addr->v4.sin_addr, text, sizeof text);
        (void)snprintf(out, room, "%s:%u", text, (unsigned)lh_udp_addr_port(addr));
    } else if (addr->any.sa_family == AF_INET6 && addr->v6.sin6_scope_id != 0) {
        (void)inet_ntop(AF_INET6, &addr->v6.sin6_addr, text, sizeof text);
        (void)snprintf(out, room, "[%s%%%u]:%u", text, (unsigned)addr->v6.sin6_scope_id,
                       (unsigned)lh_udp_addr_port(addr));
    } else if (addr->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &addr->v6.sin6_addr, text, sizeof text);
        (void)snprintf(out, room, "[%s]:%u", text, (unsigned)lh_udp_addr_port(addr));
    } else {
        (void)snprintf(out, room, "none");
    }
    return out;
}

uint16_t lh_udp_addr_port(const struct lh_udp_addr *addr)
{
    if (addr->any.sa_family == AF_INET)
        return ntohs(addr->v4.sin_port);
    return addr->any.sa_family == AF_INET6 ? ntohs(addr->v6.sin6_port) : 0;
}

void lh_udp_addr_set_port(struct lh_udp_addr *addr, uint16_t port)
{
    if (addr->any.sa_family == AF_INET)
        addr->v4.sin_port = htons(port);
    else if (addr->any.sa_family == AF_INET6)
        addr->v6.sin6_port = htons(port);
}

socklen_t lh_udp_addr_len(const struct lh_udp_addr *addr)
{
    return addr->any.sa_family == AF_INET6 ? sizeof addr->v6 : sizeof addr->v4;
}

bool lh_udp_addr_is_wildcard(const struct lh_udp_addr *addr)
{
    if (addr->any.sa_family == AF_INET)
        return addr->v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return addr->any.sa_family != AF_INET6 || IN6_IS_ADDR_UNSPECIFIED(&addr->v6.sin6_addr);
}

bool lh_udp_addr_is_loopback(const struct lh_udp_addr *addr)
{
    if (addr->any.sa_family == AF_INET)
        return ntohl(addr->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return addr->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&addr->v6.sin6_addr);
}

bool lh_udp_addr_is_unicast(const struct lh_udp_addr *addr)
{
    if (lh_udp_addr_port(addr) == 0 || lh_udp_addr_is_wildcard(addr))
        return false;
    if (addr->any.sa_family == AF_INET) {
        uint32_t ip = ntohl(addr->v4.sin_addr.s_addr);
        // 0/8 is "this network", 224/3 multicast, reserved and broadcast.
        return ip >> 24 != 0 && ip >> 29 != 7;
    }
    return !IN6_IS_ADDR_MULTICAST(&addr->v6.sin6_addr) &&
           !IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr);
}

bool lh_udp_addr_equal(const struct lh_udp_addr *a, const struct lh_udp_addr *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    if (a->any.sa_family != AF_INET6)
        return true; // none equals none
    return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

bool lh_udp_path_equal(const struct lh_udp_path *a, const struct lh_udp_path *b)
{
    return lh_udp_addr_equal(&a->peer, &b->peer) && lh_udp_addr_equal(&a->local, &b->local);
}
