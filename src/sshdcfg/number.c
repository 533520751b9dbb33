// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "sshdcfg/number_internal.h"

#define CAP (1LL << 62) // far beyond every limit asked for; stops before overflow

long long lh_sshd_digits(const char *text, unsigned base, const char **out_end)
{
    const char *at = text;
    long long value = 0;
    bool negative = false;

    at += strspn(at, " \t\n\v\f\r");
    if (*at == '+' || *at == '-')
        negative = *at++ == '-';
    const char *first = at;
    for (; *at >= '0' && *at < (char)('0' + base); at++)
        value = value > (CAP - 9) / base ? CAP : value * base + (*at - '0');
    *out_end = at > first ? at : text;
    return negative ? -value : value;
}

bool lh_sshd_number(const char *text, long long low, long long high, long long *out_number)
{
    const char *end;
    long long value = lh_sshd_digits(text, 10, &end);

    if (end == text || *end != '\0' || value < low || value > high)
        return false;
    *out_number = value;
    return true;
}

static long long unit_seconds(char unit)
{
    switch (tolower((unsigned char)unit)) {
    case '\0':
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    case 'w':
        return 604800;
    default:
        return 0;
    }
}

bool lh_sshd_seconds(const char *text, long long *out_seconds)
{
    long long total = 0;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        const char *end;
        long long amount = lh_sshd_digits(text, 10, &end);
        if (end == text || amount < 0)
            return false;
        long long unit = unit_seconds(*end);
        if (unit == 0 || amount > INT_MAX / unit || total > INT_MAX - amount * unit)
            return false;
        total += amount * unit;
        text = *end == '\0' ? end : end + 1;
    }
    *out_seconds = total;
    return true;
}

// The power of 1,024 that a suffix stands for; -1 for another character.
static int scale_power(char suffix)
{
    static const char suffixes[] = "bkmgtpe";
    const char *found = strchr(suffixes, tolower((unsigned char)suffix));

    if (suffix == '\0')
        return 0;
    return found == NULL ? -1 : (int)(found - suffixes);
}

bool lh_sshd_scaled(const char *text, long long *out_amount)
{
    const char *end;
    long long whole = lh_sshd_digits(text, 10, &end);
    long long fraction = 0, divisor = 1;
    bool digits = end != text;

    if (*end == '.') {
        for (end++; *end >= '0' && *end <= '9'; end++) {
            digits = true;
            if (divisor < 1000000000)
                fraction = fraction * 10 + (*end - '0');
            if (divisor < 1000000000)
                divisor *= 10;
        }
    }
    int power = scale_power(*end);
    if (!digits || power < 0 || (*end != '\0' && end[1] != '\0'))
        return false;
    long long scale = 1LL << (10 * power);
    if (whole < 0 || whole > (CAP - scale) / scale)
        return false;
    for (; fraction >= LLONG_MAX / scale; fraction /= 10)
        divisor /= 10; // sshd drops digits that would overflow
    *out_amount = whole * scale + fraction * scale / divisor;
    return true;
}
