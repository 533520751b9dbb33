// SPDX-License-Identifier: Apache-2.0
//
// How it works. Text becomes bytes by a strict reader of our own: inet_pton is not for pure code,
// and inet_aton takes octal and short forms that sshd never prints. A dotted quad at the end of an
// IPv6 text counts as its last two groups.
#include "watch/addr.h"

#include <stdio.h>

#include "base/assert.h"

#define GROUPS 8

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool parse_quad(struct lh_span text, uint8_t out[4])
{
    for (size_t i = 0; i < 4; i++) {
        const char *first = text.at;
        uint64_t number;
        if (i > 0 && !lh_span_take(&text, LH_SPAN(".")))
            return false;
        first = text.at;
        if (!lh_span_take_number(&text, 255, &number))
            return false;
        if (first[0] == '0' && text.at - first > 1)
            return false;
        out[i] = (uint8_t)number;
    }
    return text.len == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool take_group(struct lh_span *text, uint16_t *out_group)
{
    unsigned value = 0;
    size_t digits = 0;
    while (digits < text->len && digits < 5 && hex_digit(text->at[digits]) >= 0)
        value = value << 4 | (unsigned)hex_digit(text->at[digits++]);
    if (digits == 0 || digits > 4)
        return false;
    *text = lh_span_skip(*text, digits);
    *out_group = (uint16_t)value;
    return true;
}

// Groups of IPv6 text, and where "::" stood among them (GROUPS + 1: nowhere).
struct groups {
    uint16_t at[GROUPS];
    size_t count;
    size_t gap;
};

static bool take_quad_end(struct lh_span text, struct groups *groups)
{
    uint8_t quad[4];
    if (groups->count > GROUPS - 2 || !parse_quad(text, quad))
        return false;
    groups->at[groups->count++] = (uint16_t)(quad[0] << 8 | quad[1]);
    groups->at[groups->count++] = (uint16_t)(quad[2] << 8 | quad[3]);
    return true;
}

static bool take_groups(struct lh_span text, struct groups *groups)
{
    if (lh_span_take(&text, LH_SPAN("::")))
        groups->gap = 0;
    while (text.len > 0) {
        if (memchr(text.at, ':', text.len) == NULL && memchr(text.at, '.', text.len) != NULL)
            return take_quad_end(text, groups);
        if (groups->count == GROUPS || !take_group(&text, &groups->at[groups->count]))
            return false;
        groups->count++;
        if (text.len == 0)
            return true;
        if (lh_span_take(&text, LH_SPAN("::"))) {
            if (groups->gap <= GROUPS)
                return false;
            groups->gap = groups->count;
        } else if (!lh_span_take(&text, LH_SPAN(":")) || text.len == 0) {
            return false;
        }
    }
    return true;
}

static bool parse_v6(struct lh_span text, uint8_t out[16])
{
    struct groups groups = {.gap = GROUPS + 1};
    if (!take_groups(text, &groups))
        return false;
    bool has_gap = groups.gap <= GROUPS;
    if (has_gap ? groups.count >= GROUPS : groups.count != GROUPS)
        return false;
    size_t behind = has_gap ? groups.count - groups.gap : 0;
    memset(out, 0, 16);
    for (size_t i = 0; i < groups.count; i++) {
        size_t place = i < groups.count - behind ? i : GROUPS - groups.count + i;
        out[2 * place] = (uint8_t)(groups.at[i] >> 8);
        out[2 * place + 1] = (uint8_t)groups.at[i];
    }
    return true;
}

bool lh_watch_addr_parse(struct lh_span text, struct lh_watch_addr *out_addr)
{
    struct lh_watch_addr addr;

    if (text.len < 2 || text.len > 80)
        return false;
    if (memchr(text.at, ':', text.len) == NULL) {
        memcpy(addr.bytes, mapped, sizeof mapped);
        if (!parse_quad(text, addr.bytes + 12))
            return false;
    } else {
        const char *zone = memchr(text.at, '%', text.len);
        if (zone != NULL && (zone + 1 == text.at + text.len ||
                             memchr(zone, ' ', text.len - (size_t)(zone - text.at))))
            return false;
        if (zone != NULL)
            text.len = (size_t)(zone - text.at);
        if (!parse_v6(text, addr.bytes))
            return false;
    }
    *out_addr = addr;
    return true;
}

bool lh_watch_addr_is_v4(const struct lh_watch_addr *addr)
{
    return memcmp(addr->bytes, mapped, sizeof mapped) == 0;
}

bool lh_watch_addr_equal(const struct lh_watch_addr *a, const struct lh_watch_addr *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

// The longest run of two or more zero groups, which RFC 5952 writes as "::".
static void find_zeros(const uint16_t groups[GROUPS], size_t *out_start, size_t *out_len)
{
    *out_start = GROUPS;
    *out_len = 1;
    for (size_t i = 0; i < GROUPS; i++) {
        size_t len = 0;
        while (i + len < GROUPS && groups[i + len] == 0)
            len++;
        if (len > *out_len) {
            *out_start = i;
            *out_len = len;
        }
        i += len;
    }
}

char *lh_watch_addr_format(const struct lh_watch_addr *addr, char *out)
{
    const uint8_t *b = addr->bytes;
    uint16_t groups[GROUPS];
    size_t zeros;
    size_t zeros_len;
    size_t used = 0;

    if (lh_watch_addr_is_v4(addr)) {
        (void)snprintf(out, LH_WATCH_ADDR_TEXT, "%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
        return out;
    }
    for (size_t i = 0; i < GROUPS; i++)
        groups[i] = (uint16_t)(b[2 * i] << 8 | b[2 * i + 1]);
    find_zeros(groups, &zeros, &zeros_len);
    out[0] = '\0';
    for (size_t i = 0; i < GROUPS; i++) {
        const char *before = i == 0 || (zeros < GROUPS && i == zeros + zeros_len) ? "" : ":";
        if (i == zeros) {
            used += (size_t)snprintf(out + used, LH_WATCH_ADDR_TEXT - used, "::");
            i += zeros_len - 1;
            continue;
        }
        used += (size_t)snprintf(out + used, LH_WATCH_ADDR_TEXT - used, "%s%x", before, groups[i]);
    }
    LH_DASSERT(used < LH_WATCH_ADDR_TEXT);
    return out;
}

char *lh_watch_net_format(const struct lh_watch_addr *addr, unsigned bits, char *out)
{
    struct lh_watch_addr net = lh_watch_addr_mask(addr, bits);
    char text[LH_WATCH_ADDR_TEXT];
    (void)snprintf(out, LH_WATCH_NET_TEXT, "%s/%u", lh_watch_addr_format(&net, text), bits % 1000);
    return out;
}

struct lh_watch_addr lh_watch_addr_mask(const struct lh_watch_addr *addr, unsigned bits)
{
    struct lh_watch_addr net = *addr;
    unsigned keep = bits + (lh_watch_addr_is_v4(addr) ? 96 : 0);

    for (unsigned i = 0; i < 16; i++) {
        if (keep >= 8 * (i + 1))
            continue;
        unsigned inside = keep > 8 * i ? keep - 8 * i : 0;
        net.bytes[i] &= (uint8_t)(0xff00u >> inside);
    }
    return net;
}

unsigned lh_watch_network_bits(const struct lh_watch_addr *addr)
{
    return lh_watch_addr_is_v4(addr) ? 24 : 64;
}

struct lh_watch_addr lh_watch_addr_network(const struct lh_watch_addr *addr)
{
    return lh_watch_addr_mask(addr, lh_watch_network_bits(addr));
}

enum lh_watch_scope lh_watch_addr_scope(const struct lh_watch_addr *addr)
{
    // The first row that fits decides; IPv6 rows count all 128 bits.
    static const struct {
        uint8_t bytes[16];
        uint8_t bits;
        enum lh_watch_scope scope;
    } rows[] = {
#define V4(a, b, c, d) {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}
        {V4(127, 0, 0, 0), 104, LH_WATCH_SCOPE_LOOPBACK},
        {V4(10, 0, 0, 0), 104, LH_WATCH_SCOPE_PRIVATE},
        {V4(172, 16, 0, 0), 108, LH_WATCH_SCOPE_PRIVATE},
        {V4(192, 168, 0, 0), 112, LH_WATCH_SCOPE_PRIVATE},
        {V4(100, 64, 0, 0), 106, LH_WATCH_SCOPE_SHARED},
        {V4(169, 254, 0, 0), 112, LH_WATCH_SCOPE_LINK_LOCAL},
        {V4(0, 0, 0, 0), 104, LH_WATCH_SCOPE_NONE},
        {V4(224, 0, 0, 0), 99, LH_WATCH_SCOPE_NONE},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, LH_WATCH_SCOPE_LOOPBACK},
        {{0}, 128, LH_WATCH_SCOPE_NONE},
        {{0xfc}, 7, LH_WATCH_SCOPE_PRIVATE},
        {{0xfe, 0x80}, 10, LH_WATCH_SCOPE_LINK_LOCAL},
        {{0xff}, 8, LH_WATCH_SCOPE_NONE},
#undef V4
    };
    bool v4 = lh_watch_addr_is_v4(addr);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned bits = rows[i].bits;
        if (v4 && bits < 96)
            continue;
        struct lh_watch_addr net = lh_watch_addr_mask(addr, v4 ? bits - 96 : bits);
        if (memcmp(net.bytes, rows[i].bytes, sizeof net.bytes) == 0)
            return rows[i].scope;
    }
    return LH_WATCH_SCOPE_PUBLIC;
}

uint64_t lh_watch_hash(const void *data, size_t len, uint64_t seed)
{
    const uint8_t *at = data;
    uint64_t h = seed ^ (len * 0x9e3779b97f4a7c15u);

    while (len > 0) {
        uint64_t word = 0;
        size_t part = len < 8 ? len : 8;
        memcpy(&word, at, part);
        unsigned __int128 wide = (unsigned __int128)(h ^ word) * 0xd6e8feb86659fd93u;
        h = (uint64_t)wide ^ (uint64_t)(wide >> 64) ^ seed;
        at += part;
        len -= part;
    }
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 29);
}
