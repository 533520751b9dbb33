// SPDX-License-Identifier: Apache-2.0
//
// Packet protection: one `const` descriptor per AEAD, in the shape of picotls' algorithm objects.
// The transport sees this header only; OpenSSL stays behind it in crypto/*.c.
//
// Sizes and limits stand in the descriptor. A context serves one key and one direction; sealing and
// opening need no further allocation. `seal` and `open` never fail silently: open releases no byte
// of plaintext before the tag has verified (on failure the output range is zeroed).
#ifndef LH_CRYPTO_AEAD_H
#define LH_CRYPTO_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

#define LH_AEAD_KEY_MAX 32
#define LH_AEAD_IV_LEN  12

enum lh_aead_id {     // values on the wire (HELLO); never reused
    LH_AEAD_NULL = 0, // simulator and the SSH lane only: no secrecy, a constant tag
    LH_AEAD_AES128_GCM = 1,
    LH_AEAD_AES256_GCM = 2,
    LH_AEAD_CHACHA20_POLY1305 = 3
};

struct lh_aead_ctx; // opaque, one key, one direction

struct lh_aead_type {
    const char *name; // as users write it after -c
    enum lh_aead_id id;
    uint8_t key_len;
    uint64_t seal_limit;    // packets one key may seal (confidentiality; RFC 9001, 6.6)
    uint64_t forgery_limit; // failed openings of one session before it must close (integrity)

    // Makes a context; `key` has key_len bytes and is not kept by reference. `is_seal` fixes the
    // direction. LH_E_NOMEM or LH_E_CRYPTO.
    lh_err (*new)(struct lh_aead_ctx **out_ctx, const uint8_t *key, bool is_seal);
    void (*free)(struct lh_aead_ctx *ctx); // wipes the key; accepts NULL

    // Encrypts `len` bytes from `plain` to `out` (len + LH_PACKET_TAG bytes; may equal `plain`).
    lh_err (*seal)(struct lh_aead_ctx *ctx,
                   const uint8_t nonce[LH_AEAD_IV_LEN],
                   const uint8_t *aad,
                   size_t aad_len,
                   const uint8_t *plain,
                   size_t len,
                   uint8_t *out);

    // Verifies and decrypts `sealed_len` bytes (tag included) to `out` (sealed_len - LH_PACKET_TAG
    // bytes; may equal `sealed`). LH_E_AUTH when the tag does not verify.
    lh_err (*open)(struct lh_aead_ctx *ctx,
                   const uint8_t nonce[LH_AEAD_IV_LEN],
                   const uint8_t *aad,
                   size_t aad_len,
                   const uint8_t *sealed,
                   size_t sealed_len,
                   uint8_t *out);
};

extern const struct lh_aead_type lh_aead_null;
extern const struct lh_aead_type lh_aead_aes128_gcm;
extern const struct lh_aead_type lh_aead_aes256_gcm;
extern const struct lh_aead_type lh_aead_chacha20_poly1305;

// NULL where there is none. By name: the names of `-c`: aes128, aes192 (refused: no such suite),
// aes256, chacha20 and their ...-gcm / ...gcm spellings.
const struct lh_aead_type *lh_aead_by_id(uint8_t id);
const struct lh_aead_type *lh_aead_by_name(const char *name);

#endif
