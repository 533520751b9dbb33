// SPDX-License-Identifier: Apache-2.0
//
// How it works. OpenSSL's HKDF runs in one of its two halves at a time, because the key schedule
// keeps the extracted master and expands it again for every label. Contexts are made per call: the
// schedule runs once per 2^22 packets, so nothing is gained by keeping them.
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/wipe.h"
#include "crypto/kdf_internal.h"

LH_DEFINE_FREEP(EVP_KDF, EVP_KDF_free)
LH_DEFINE_FREEP(EVP_KDF_CTX, EVP_KDF_CTX_free)
LH_DEFINE_FREEP(EVP_MD_CTX, EVP_MD_CTX_free)

// OpenSSL's parameter lists take `void *` but only read what goes in.
static void *param(const void *data)
{
    return (void *)(uintptr_t)data;
}

static lh_err hkdf(const OSSL_PARAM *params, uint8_t *out, size_t len)
{
    LH_CLEANUP(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    if (kdf == NULL)
        return LH_E_CRYPTO;
    LH_CLEANUP(EVP_KDF_CTX_freep) EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    if (ctx == NULL)
        return LH_E_CRYPTO;
    if (EVP_KDF_derive(ctx, out, len, params) <= 0) {
        lh_wipe(out, len);
        return LH_E_CRYPTO;
    }
    return 0;
}

lh_err lh_hkdf_extract(const void *salt,
                       size_t salt_len,
                       const void *secret,
                       size_t secret_len,
                       uint8_t out_prk[LH_SHA256_LEN])
{
    int mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, param(salt), salt_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, param(secret), secret_len),
        OSSL_PARAM_construct_end(),
    };
    return hkdf(params, out_prk, LH_SHA256_LEN);
}

lh_err lh_hkdf_expand(const uint8_t prk[LH_SHA256_LEN],
                      const void *info,
                      size_t info_len,
                      uint8_t *out_key,
                      size_t len)
{
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    LH_ASSERT(len > 0 && len <= LH_HKDF_EXPAND_MAX);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, param(prk), LH_SHA256_LEN),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, param(info), info_len),
        OSSL_PARAM_construct_end(),
    };
    return hkdf(params, out_key, len);
}

lh_err lh_sha256_pair(const void *first,
                      size_t first_len,
                      const void *second,
                      size_t second_len,
                      uint8_t out_hash[LH_SHA256_LEN])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    LH_CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) <= 0 ||
        EVP_DigestUpdate(ctx, first, first_len) <= 0 ||
        EVP_DigestUpdate(ctx, second, second_len) <= 0 || EVP_DigestFinal_ex(ctx, hash, &len) <= 0)
        return LH_E_CRYPTO;
    LH_ASSERT(len == LH_SHA256_LEN);
    memcpy(out_hash, hash, LH_SHA256_LEN);
    return 0;
}
