// SPDX-License-Identifier: Apache-2.0
#include "crypto/attach.h"

#include <string.h>

#include "base/assert.h"
#include "crypto/kdf_internal.h"

static lh_err expand(
    const struct lh_secret *secret, const void *label, size_t label_len, uint8_t *out, size_t len)
{
    return lh_hkdf_expand(secret->bytes, label, label_len, out, len);
}

lh_err lh_attach_secret(const struct lh_secret *master, struct lh_secret *out_secret)
{
    static const char label[] = "lh1 attach";
    return expand(master, label, sizeof label - 1, out_secret->bytes, LH_SECRET_LEN);
}

lh_err lh_attach_name(const struct lh_secret *secret, uint8_t out_name[LH_ATTACH_NAME_LEN])
{
    static const char label[] = "name";
    return expand(secret, label, sizeof label - 1, out_name, LH_ATTACH_NAME_LEN);
}

lh_err lh_attach_proof(const struct lh_secret *secret,
                       bool is_client,
                       uint32_t count,
                       uint8_t out_proof[LH_ATTACH_PROOF_LEN])
{
    uint8_t info[10];

    memcpy(info, is_client ? "client" : "server", 6);
    for (unsigned i = 0; i < 4; i++)
        info[6 + i] = (uint8_t)(count >> (8 * i));
    return expand(secret, info, sizeof info, out_proof, LH_ATTACH_PROOF_LEN);
}

bool lh_attach_proof_equal(const uint8_t a[LH_ATTACH_PROOF_LEN],
                           const uint8_t b[LH_ATTACH_PROOF_LEN])
{
    uint8_t difference = 0;

    for (size_t i = 0; i < LH_ATTACH_PROOF_LEN; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}
