// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

lh_err lh_base64_decode(const char *text, size_t text_len, void *out, size_t room, size_t *out_len)
{
    uint8_t *to = out;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t used = 0;

    // Padding completes a group of four, and nothing else.
    if (text_len % 4 == 0) {
        if (text_len > 0 && text[text_len - 1] == '=')
            text_len--;
        if (text_len % 4 == 3 && text[text_len - 1] == '=')
            text_len--;
    }
    for (size_t i = 0; i < text_len; i++) {
        const char *at = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);
        if (at == NULL)
            return LH_E_INVALID;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        bit_count += 6;
        if (bit_count < 8)
            continue;
        if (used == room)
            return LH_E_LIMIT;
        bit_count -= 8;
        to[used++] = (uint8_t)(bits >> bit_count);
    }
    // What is left over are the zero bits that fill the last character; six would be a stray one.
    if (bit_count >= 6 || (bits & ((1u << bit_count) - 1)) != 0)
        return LH_E_INVALID;
    *out_len = used;
    return 0;
}

char *lh_base64_encode(const void *data, size_t len, char *out)
{
    const uint8_t *from = data;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | from[i];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            out[used++] = alphabet[bits >> (bit_count - 6) & 63];
    }
    if (bit_count > 0)
        out[used++] = alphabet[bits << (6 - bit_count) & 63];
    out[used] = '\0';
    return out;
}
