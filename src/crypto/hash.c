// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.h"

#include <openssl/evp.h>

lh_err lh_sha1(const void *data, size_t len, uint8_t out[LH_SHA1_LEN])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha1(), NULL) == 1 ? 0 : LH_E_CRYPTO;
}

lh_err lh_sha256(const void *data, size_t len, uint8_t out[LH_SHA256_LEN])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : LH_E_CRYPTO;
}
