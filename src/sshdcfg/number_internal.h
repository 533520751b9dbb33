// SPDX-License-Identifier: Apache-2.0
//
// Numbers as sshd reads them.
#ifndef LH_SSHDCFG_NUMBER_INTERNAL_H
#define LH_SSHDCFG_NUMBER_INTERNAL_H

#include <stdbool.h>

// A whole decimal number in [low, high], blanks and a sign in front allowed, nothing behind.
bool lh_sshd_number(const char *text, long long low, long long high, long long *out_number);

// A span of time ("90", "1h30m", "2d") in seconds, up to 2^31 - 1.
bool lh_sshd_seconds(const char *text, long long *out_seconds);

// An amount with a decimal fraction and K, M, G, T, P or E (RekeyLimit).
bool lh_sshd_scaled(const char *text, long long *out_amount);

// As strtol does, without its errno: digits in `base` with blanks and a sign in front; `*out_end`
// is the first character not read, `text` where there is no digit. Stays at the limits of int.
long long lh_sshd_digits(const char *text, unsigned base, const char **out_end);

#endif
