// SPDX-License-Identifier: Apache-2.0
//
// Hashes of short messages in one call, for fingerprints. SHA-1 only because scripts carry SHA-1
// fingerprints of host keys: a second preimage, which pinning relies on, is not known for it.
#ifndef LH_CRYPTO_HASH_H
#define LH_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LH_SHA1_LEN   20
#define LH_SHA256_LEN 32

lh_err lh_sha1(const void *data, size_t len, uint8_t out[LH_SHA1_LEN]) LH_MUST_CHECK; // LH_E_CRYPTO
lh_err lh_sha256(const void *data, size_t len, uint8_t out[LH_SHA256_LEN]) LH_MUST_CHECK;

#endif
