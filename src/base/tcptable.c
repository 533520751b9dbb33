// SPDX-License-Identifier: Apache-2.0
//
// How it works. A line has the addresses as 32-bit words in the byte order of the machine, printed
// in hexadecimal, and ports with the high byte first:
//   sl local:port peer:port state queues timers retransmits uid timeout inode ...
#include "base/tcptable.h"

#include <string.h>

struct text {
    const char *at;
    size_t len;
};

static bool take(struct text *text, char c)
{
    if (text->len == 0 || *text->at != c)
        return false;
    text->at++;
    text->len--;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_hex(struct text *text, unsigned digits, uint32_t *out_value)
{
    uint32_t value = 0;

    if (text->len < digits)
        return false;
    for (unsigned i = 0; i < digits; i++) {
        int digit = hex_value(text->at[i]);
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    text->at += digits;
    text->len -= digits;
    *out_value = value;
    return true;
}

static bool take_decimal(struct text *text, uint64_t *out_value)
{
    uint64_t value = 0;
    size_t digits = 0;

    while (text->len > 0 && *text->at >= '0' && *text->at <= '9' && digits < 19) {
        value = 10 * value + (uint64_t)(*text->at - '0');
        (void)take(text, *text->at);
        digits++;
    }
    *out_value = value;
    return digits > 0;
}

// "0100007F:80E9", or 32 digits and the port.
static bool take_address(struct text *text, uint8_t out[16], uint16_t *out_port, bool *out_ipv6)
{
    static const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const char *colon = memchr(text->at, ':', text->len < 40 ? text->len : 40);
    size_t digits = colon == NULL ? 0 : (size_t)(colon - text->at);
    uint32_t word;

    if (digits != 8 && digits != 32)
        return false;
    memcpy(out, mapped, sizeof mapped);
    for (size_t at = digits == 8 ? 12 : 0; at < 16; at += 4) {
        if (!take_hex(text, 8, &word))
            return false;
        memcpy(out + at, &word, 4); // in the machine's order, as it was printed
    }
    if (!take(text, ':') || !take_hex(text, 4, &word))
        return false;
    *out_port = (uint16_t)word;
    *out_ipv6 = digits == 32;
    return true;
}

// Skips a column; false at the end of the line.
static bool skip_column(struct text *text)
{
    while (take(text, ' ')) {
        // columns are right-aligned
    }
    size_t before = text->len;
    while (text->len > 0 && *text->at != ' ')
        (void)take(text, *text->at);
    return text->len != before;
}

static uint64_t take_inode(struct text text)
{
    uint64_t inode;

    for (int column = 0; column < 5; column++) { // queues, timer, retransmits, uid, timeout
        if (!skip_column(&text))
            return 0;
    }
    while (take(&text, ' ')) {
        // columns are right-aligned
    }
    return take_decimal(&text, &inode) ? inode : 0;
}

bool lh_tcp_row_parse(const char *line, size_t len, struct lh_tcp_row *out_row)
{
    struct text text = {line, len};
    struct lh_tcp_row row;
    uint64_t number;
    uint32_t state;
    bool ipv6;

    while (take(&text, ' ')) {
        // columns are right-aligned
    }
    if (!take_decimal(&text, &number) || !take(&text, ':') || !take(&text, ' ') ||
        !take_address(&text, row.local, &row.local_port, &row.ipv6) || !take(&text, ' ') ||
        !take_address(&text, row.peer, &row.peer_port, &ipv6) || !take(&text, ' ') ||
        !take_hex(&text, 2, &state) || state == 0 || (text.len > 0 && *text.at != ' '))
        return false;
    row.state = (uint8_t)state;
    row.inode = take_inode(text);
    *out_row = row;
    return true;
}

bool lh_tcp_loopback(const uint8_t address[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t one[16] = {[15] = 1};

    return (memcmp(address, mapped, sizeof mapped) == 0 && address[12] == 127) ||
           memcmp(address, one, sizeof one) == 0;
}
