// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <string.h>

#include "sshdcfg/address_internal.h"

#define TEXT_MAX 63 // a longer text is no address, for sshd neither

// One number of an IPv4 address: decimal, 0x hexadecimal or 0 octal, below 2^32.
static bool parse_part(const char **at, const char *end, uint32_t *out_part)
{
    unsigned base = 10;
    uint64_t value = 0;
    const char *start = *at;

    if (end - *at >= 2 && (*at)[0] == '0' && ((*at)[1] | 0x20) == 'x') {
        base = 16;
        *at += 2;
        start = *at;
    } else if (*at < end && **at == '0') {
        base = 8;
    }
    for (; *at < end && isxdigit((unsigned char)**at); (*at)++) {
        char c = (char)tolower((unsigned char)**at);
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
        value = value * base + digit;
        if (digit >= base || value > UINT32_MAX)
            return false;
    }
    *out_part = (uint32_t)value;
    return *at > start;
}

// One to four parts; the last one fills the bytes that are left.
static bool parse_ipv4(const char *text, size_t len, uint8_t out[4])
{
    const char *end = text + len;
    uint32_t parts[4];
    unsigned count = 0;

    for (;;) {
        if (count == 4 || !parse_part(&text, end, &parts[count++]))
            return false;
        if (text == end)
            break;
        if (*text++ != '.')
            return false;
    }
    uint32_t last = parts[count - 1];
    if (count > 1 && last >= (uint64_t)1 << (8 * (5 - count)))
        return false;
    for (unsigned i = 0; i + 1 < count; i++) {
        if (parts[i] > 255)
            return false;
        last |= parts[i] << (24 - 8 * i);
    }
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(last >> (24 - 8 * i));
    return true;
}

// One group of up to four hexadecimal digits.
static bool parse_group(const char **at, const char *end, uint8_t *out)
{
    unsigned value = 0, digits = 0;

    for (; *at < end && isxdigit((unsigned char)**at) && digits < 5; (*at)++, digits++) {
        char c = (char)tolower((unsigned char)**at);
        value = value << 4 | (c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10);
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return digits >= 1 && digits <= 4;
}

static bool parse_ipv6(const char *text, size_t len, uint8_t out[16])
{
    const char *end = text + len;
    size_t used = 0, gap = SIZE_MAX;

    memset(out, 0, 16);
    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        text += 2;
    }
    while (text < end) {
        size_t part = 0;
        while (text + part < end && text[part] != ':' && text[part] != '.')
            part++;
        if (text + part < end && text[part] == '.') { // an IPv4 address ends it
            if (used > 12 || !parse_ipv4(text, (size_t)(end - text), out + used))
                return false;
            used += 4;
            break;
        }
        if (used > 14 || !parse_group(&text, end, out + used))
            return false;
        used += 2;
        if (text == end)
            break;
        if (*text++ != ':' || text == end)
            return false;
        if (*text == ':' && gap != SIZE_MAX)
            return false;
        if (*text == ':') {
            gap = used;
            text++;
        }
    }
    if (gap == SIZE_MAX)
        return used == 16;
    if (used > 14)
        return false;
    memmove(out + 16 - (used - gap), out + gap, used - gap);
    memset(out + gap, 0, 16 - used);
    return true;
}

bool lh_sshd_address_parse(const char *text, size_t len, struct lh_sshd_address *out_address)
{
    *out_address = (struct lh_sshd_address){.bits = 32};
    if (len == 0 || len > TEXT_MAX)
        return false;
    if (memchr(text, ':', len) == NULL)
        return parse_ipv4(text, len, out_address->bytes);
    out_address->bits = 128;
    return parse_ipv6(text, len, out_address->bytes);
}

static bool host_bits_clear(const struct lh_sshd_address *address, unsigned bits)
{
    for (unsigned i = bits; i < address->bits; i++) {
        if ((address->bytes[i / 8] >> (7 - i % 8) & 1) != 0)
            return false;
    }
    return true;
}

int lh_sshd_network_parse(const char *text,
                          size_t len,
                          struct lh_sshd_address *out_network,
                          unsigned *out_bits)
{
    const char *slash = memchr(text, '/', len);
    size_t address_len = slash == NULL ? len : (size_t)(slash - text);
    unsigned bits = 0;

    if (len > TEXT_MAX)
        return LH_SSHD_NETWORK_NONE;
    if (slash != NULL) {
        const char *at = slash + 1;
        if (at == text + len)
            return LH_SSHD_NETWORK_NONE;
        for (; at < text + len; at++) {
            if (*at < '0' || *at > '9')
                return LH_SSHD_NETWORK_NONE;
            bits = bits * 10 + (unsigned)(*at - '0');
            if (bits > 128)
                return LH_SSHD_NETWORK_NONE;
        }
    }
    if (!lh_sshd_address_parse(text, address_len, out_network))
        return LH_SSHD_NETWORK_NONE;
    if (slash == NULL)
        bits = out_network->bits;
    *out_bits = bits;
    if (bits > out_network->bits || !host_bits_clear(out_network, bits))
        return LH_SSHD_NETWORK_BAD;
    return LH_SSHD_NETWORK;
}

bool lh_sshd_network_holds(const struct lh_sshd_address *network,
                           unsigned bits,
                           const struct lh_sshd_address *address)
{
    if (network->bits != address->bits)
        return false;
    for (unsigned i = 0; i < bits; i++) {
        if (((network->bytes[i / 8] ^ address->bytes[i / 8]) >> (7 - i % 8) & 1) != 0)
            return false;
    }
    return true;
}
