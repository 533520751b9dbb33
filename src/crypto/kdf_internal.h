// SPDX-License-Identifier: Apache-2.0
//
// HKDF and SHA-256 (RFC 5869, FIPS 180-4): what the key schedule is made of. Every function fails
// with LH_E_CRYPTO only, which means that the crypto library refused (out of memory, or a build
// without the algorithm); outputs are then untouched or wiped.
#ifndef LH_CRYPTO_KDF_INTERNAL_H
#define LH_CRYPTO_KDF_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LH_SHA256_LEN      32
#define LH_HKDF_EXPAND_MAX (255 * LH_SHA256_LEN) // RFC 5869, 2.3; asserted

lh_err lh_hkdf_extract(const void *salt,
                       size_t salt_len,
                       const void *secret,
                       size_t secret_len,
                       uint8_t out_prk[LH_SHA256_LEN]) LH_MUST_CHECK;
lh_err lh_hkdf_expand(const uint8_t prk[LH_SHA256_LEN],
                      const void *info,
                      size_t info_len,
                      uint8_t *out_key,
                      size_t len) LH_MUST_CHECK;
// SHA-256 of `first` followed by `second`.
lh_err lh_sha256_pair(const void *first,
                      size_t first_len,
                      const void *second,
                      size_t second_len,
                      uint8_t out_hash[LH_SHA256_LEN]) LH_MUST_CHECK;

#endif
