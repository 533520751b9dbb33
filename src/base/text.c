// SPDX-License-Identifier: Apache-2.0
//
// How it works. lh_escape walks the text character by character: a well-formed UTF-8 character that
// is not a control is copied, every other byte becomes an escape of its own. The decoder is strict
// (no over-long forms, no surrogates), so that two different inputs never show alike by accident.
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"

// Length of the well-formed UTF-8 character at `s` (RFC 3629, table 3-7 of Unicode), 0 if none.
static size_t utf8_len(const uint8_t *s, size_t left)
{
    static const struct {
        uint8_t lead_low, lead_high, second_low, second_high, len;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t len = forms[i].len;
        if (s[0] < forms[i].lead_low || s[0] > forms[i].lead_high)
            continue;
        if (len > left)
            return 0;
        if (len >= 2 && (s[1] < forms[i].second_low || s[1] > forms[i].second_high))
            return 0;
        for (size_t k = 2; k < len; k++) {
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        }
        return len;
    }
    return 0;
}

// Controls that change how the rest of a line looks: C1, and Unicode's line and direction marks.
static bool is_hidden(const uint8_t *s, size_t len)
{
    if (len == 1)
        return s[0] < 0x20 || s[0] == 0x7f || s[0] == '\\';
    if (len == 2)
        return s[0] == 0xc2 && s[1] < 0xa0;
    if (len == 3 && s[0] == 0xe2 && s[1] == 0x80)
        return (s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae);
    if (len == 3 && s[0] == 0xe2 && s[1] == 0x81)
        return s[2] >= 0xa0 && s[2] <= 0xaf;
    return len == 3 && s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf;
}

static size_t escape_byte(uint8_t byte, char out[5])
{
    static const char named[] = "\nn\tt\rr\\\\";

    for (size_t i = 0; i + 1 < sizeof named; i += 2) {
        if (byte == (uint8_t)named[i]) {
            (void)snprintf(out, 5, "\\%c", named[i + 1]);
            return 2;
        }
    }
    (void)snprintf(out, 5, "\\x%02x", byte);
    return 4;
}

char *lh_escape(const void *text, size_t len, char *out, size_t room)
{
    const uint8_t *s = text;
    size_t used = 0;
    size_t safe = 0; // where "..." still fits

    LH_ASSERT(room >= 1);
    for (size_t at = 0; at < len;) {
        char shown[5];
        size_t width = utf8_len(s + at, len - at);
        size_t taken = width == 0 ? 1 : width;
        size_t shown_len = taken;
        if (width == 0 || is_hidden(s + at, width)) {
            taken = 1;
            shown_len = escape_byte(s[at], shown);
        } else {
            memcpy(shown, s + at, width);
        }
        if (used + shown_len + 1 > room) {
            size_t dots = LH_MIN((size_t)3, room - 1 - safe);
            memcpy(out + safe, "...", dots);
            used = safe + dots;
            break;
        }
        memcpy(out + used, shown, shown_len);
        used += shown_len;
        if (used + 3 + 1 <= room)
            safe = used;
        at += taken;
    }
    out[used] = '\0';
    return out;
}

static char *
format_scaled(uint64_t value, const char *const *units, size_t unit_count, char *out, size_t room)
{
    uint64_t divisor = 1;
    size_t unit = 0;

    while (unit + 1 < unit_count && value / divisor >= 1000) {
        divisor *= 1000;
        unit++;
    }
    uint64_t whole = value / divisor;
    if (unit == 0 || whole >= 100) {
        (void)snprintf(out, room, "%llu %s", (unsigned long long)whole, units[unit]);
    } else {
        uint64_t tenths = value % divisor / (divisor / 10);
        (void)snprintf(out, room, "%llu.%llu %s", (unsigned long long)whole,
                       (unsigned long long)tenths, units[unit]);
    }
    return out;
}

char *lh_format_bytes(uint64_t bytes, char *out, size_t room)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    return format_scaled(bytes, units, 7, out, room);
}

char *lh_format_rate(uint64_t bits_per_second, char *out, size_t room)
{
    static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s"};
    return format_scaled(bits_per_second, units, 6, out, room);
}

char *lh_format_duration(lh_ns duration, char *out, size_t room)
{
    uint64_t seconds = duration / LH_SECOND;

    if (duration == LH_NEVER)
        (void)snprintf(out, room, "--:--");
    else if (seconds < 3600)
        (void)snprintf(out, room, "%02u:%02u", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
    else
        (void)snprintf(out, room, "%llu:%02u:%02u", (unsigned long long)(seconds / 3600),
                       (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
    return out;
}

// Reads digits with at most one point; the value comes scaled by 1000. False on anything else.
static bool parse_thousandths(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;
    int decimals = -1;

    if (*at < '0' || *at > '9')
        return false;
    for (; (*at >= '0' && *at <= '9') || (*at == '.' && decimals < 0); at++) {
        if (*at == '.') {
            decimals = 0;
            continue;
        }
        if (decimals >= 3)
            continue;
        if (value > (UINT64_MAX / 1000 - 9) / 10 / 1000)
            return false;
        value = value * 10 + (uint64_t)(*at - '0');
        if (decimals >= 0)
            decimals++;
    }
    for (int scaled = decimals < 0 ? 0 : decimals; scaled < 3; scaled++)
        value *= 10;
    *text = at;
    *out = value;
    return true;
}

lh_err lh_parse_rate(const char *text, uint64_t *out_bits_per_second)
{
    uint64_t thousandths;
    uint64_t unit;

    if (!parse_thousandths(&text, &thousandths))
        return LH_E_INVALID;
    switch (*text) {
    case 'g':
    case 'G':
        unit = 1000 * 1000 * 1000;
        break;
    case 'm':
    case 'M':
        unit = 1000 * 1000;
        break;
    case 'k':
    case 'K':
    case '\0':
        unit = 1000;
        break;
    default:
        return LH_E_INVALID;
    }
    if (*text != '\0' && text[1] != '\0')
        return LH_E_INVALID;
    uint64_t rate = lh_muldiv(thousandths, unit, 1000);
    if (rate == 0 || rate > (uint64_t)1000 * 1000 * 1000 * 1000 * 1000)
        return LH_E_INVALID;
    *out_bits_per_second = rate;
    return 0;
}

lh_err lh_parse_size(const char *text, uint64_t *out_bytes)
{
    static const char suffixes[] = "kmgtpe";
    uint64_t size = 0;
    unsigned shift = 0;

    if (*text < '0' || *text > '9')
        return LH_E_INVALID;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(size, (uint64_t)10, &size) ||
            __builtin_add_overflow(size, (uint64_t)(*text - '0'), &size))
            return LH_E_INVALID;
    }
    if (*text != '\0') {
        const char *suffix = strchr(suffixes, *text | 0x20);
        if (suffix == NULL || text[1] != '\0')
            return LH_E_INVALID;
        shift = 10 * (unsigned)(suffix - suffixes + 1);
    }
    if (size > ((uint64_t)1 << 63) >> shift)
        return LH_E_INVALID;
    *out_bytes = size << shift;
    return 0;
}

lh_err lh_parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out_number)
{
    uint64_t number = 0;

    if (*text == '\0')
        return LH_E_INVALID;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
            return LH_E_INVALID;
    }
    if (number < low || number > high)
        return LH_E_INVALID;
    *out_number = number;
    return 0;
}

char *lh_format_hex(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
    return out;
}

bool lh_port_list_holds(const char *list, uint16_t port)
{
    char *end;

    while (*list != '\0') {
        unsigned long low = strtoul(list, &end, 10);
        unsigned long high = low;
        if (end == list) {
            list++;
            continue;
        }
        if (*end == '-')
            high = strtoul(end + 1, &end, 10);
        if (low <= port && port <= high)
            return true;
        list = end;
    }
    return false;
}
