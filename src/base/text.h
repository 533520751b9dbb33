// SPDX-License-Identifier: Apache-2.0
//
// Text for people: escaping what came from elsewhere, and figures with units.
//
// Names, messages and banners from peers, files and users may hold any byte. Before they reach a
// terminal or a log they pass through lh_escape: a forged line or a hostile escape sequence then
// shows as harmless text (threats T5, T46).
#ifndef LH_BASE_TEXT_H
#define LH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"

// Writes `text` (any bytes) to `out` (`room` >= 1 bytes, always terminated) with C0 and C1
// controls, DEL, backslash, bidirectional controls and bytes that are not UTF-8 as \n, \t, \\ or
// \xHH. Cuts between characters and ends with "..." where the room does not do. Returns `out`.
char *lh_escape(const void *text, size_t len, char *out, size_t room);

// "1.5 GB", "312 kB", "17 B": decimal units, three digits.
char *lh_format_bytes(uint64_t bytes, char *out, size_t room);

// "940 Mbit/s" from bits per second, decimal units.
char *lh_format_rate(uint64_t bits_per_second, char *out, size_t room);

// "1:02:03" or "02:03"; "--:--" for LH_NEVER.
char *lh_format_duration(lh_ns duration, char *out, size_t room);

// A rate as `ascp` reads it: a decimal number with an optional suffix G, M or K (decimal, any
// case); a bare number is kilobits per second. Gives bits per second. LH_E_INVALID for anything
// else, 0 included, and above 1 Pbit/s.
lh_err lh_parse_rate(const char *text, uint64_t *out_bits_per_second) LH_MUST_CHECK;

// A size with an optional suffix k, m, g, t, p or e, powers of two as in faux:// URLs.
// LH_E_INVALID for anything else and above 2^63.
lh_err lh_parse_size(const char *text, uint64_t *out_bytes) LH_MUST_CHECK;

// A whole decimal number in [low, high] and nothing else. LH_E_INVALID otherwise.
lh_err
lh_parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out_number) LH_MUST_CHECK;

// Lower-case hexadecimal; `out` needs 2 * len + 1 bytes.
char *lh_format_hex(const void *data, size_t len, char *out);

// Whether a list such as "22,33000-33010" (the kernel's way to write ports) holds `port`.
bool lh_port_list_holds(const char *list, uint16_t port);

#endif
