// SPDX-License-Identifier: Apache-2.0
#ifndef LH_BASE_BASE64_H
#define LH_BASE_BASE64_H

#include <stddef.h>

#include "base/err.h"

// Decodes `text_len` characters (RFC 4648, with or without '=' at the end). LH_E_INVALID for any
// other character, an impossible length or stray bits; LH_E_LIMIT where `room` does not do.
lh_err lh_base64_decode(const char *text, size_t text_len, void *out, size_t room, size_t *out_len)
    LH_MUST_CHECK;

// Encodes without padding, as OpenSSH prints fingerprints; `out` needs (len * 4 + 2) / 3 + 1 bytes.
char *lh_base64_encode(const void *data, size_t len, char *out);

#endif
