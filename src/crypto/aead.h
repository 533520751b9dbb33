// SPDX-License-Identifier: Apache-2.0
//
// Packet protection: one `const` descriptor per AEAD and library, in the shape of picotls'
// algorithm objects. The transport sees this header only; the libraries stay behind it, one file
// each:
//   aead_openssl.c  libcrypto: every suite, in every build
//   aead_ipsec.c    Intel ipsec-mb: AES-GCM, much faster where the processor has VAES and AVX-512
//   aead_gcrypt.c   libgcrypt: AES-128-OCB and AES-GCM
// The bytes on the wire are a suite's, whichever library makes them; the two ends need not agree on
// one.
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
#include "base/time.h"

#define LH_AEAD_KEY_MAX 32
#define LH_AEAD_IV_LEN  12

enum lh_aead_id {     // values on the wire (HELLO); never reused
    LH_AEAD_NULL = 0, // simulator and the SSH lane only: no secrecy, a constant tag
    LH_AEAD_AES128_GCM = 1,
    LH_AEAD_AES256_GCM = 2,
    LH_AEAD_CHACHA20_POLY1305 = 3,
    LH_AEAD_AES128_OCB = 4 // RFC 7253 with a 128-bit tag; not every peer has it
};

struct lh_aead_ctx; // opaque, one key, one direction

// One packet to be sealed or opened.
struct lh_aead_text {
    const uint8_t *nonce; // LH_AEAD_IV_LEN bytes
    const uint8_t *aad;   // authenticated, not encrypted
    size_t aad_len;
    const uint8_t *in;
    size_t len;   // of `in`
    uint8_t *out; // may equal `in`
};

struct lh_aead_type {
    const char *name;    // of the suite, as users write it after -c
    const char *library; // that does the work
    enum lh_aead_id id;
    uint8_t key_len;
    uint64_t seal_limit;    // packets one key may seal (confidentiality; RFC 9001, 6.6)
    uint64_t forgery_limit; // failed openings of one session before it must close (integrity)
    const char *cipher;     // what the library calls it, where it goes by names

    // Makes a context of `type`; `key` has key_len bytes and is not kept by reference. `is_seal`
    // fixes the direction. LH_E_NOMEM or LH_E_CRYPTO (also: this processor cannot do it).
    lh_err (*new)(const struct lh_aead_type *type,
                  struct lh_aead_ctx **out_ctx,
                  const uint8_t *key,
                  bool is_seal);
    void (*free)(struct lh_aead_ctx *ctx); // wipes the key; accepts NULL

    // Encrypts text->len bytes; out gets LH_PACKET_TAG bytes more.
    lh_err (*seal)(struct lh_aead_ctx *ctx, const struct lh_aead_text *text);

    // Verifies and decrypts text->len bytes, tag included; out gets LH_PACKET_TAG bytes less.
    // LH_E_AUTH when the tag does not verify.
    lh_err (*open)(struct lh_aead_ctx *ctx, const struct lh_aead_text *text);
};

// The suites as libcrypto does them.
extern const struct lh_aead_type lh_aead_null;
extern const struct lh_aead_type lh_aead_aes128_gcm;
extern const struct lh_aead_type lh_aead_aes256_gcm;
extern const struct lh_aead_type lh_aead_chacha20_poly1305;
extern const struct lh_aead_type lh_aead_aes128_ocb;

// NULL where there is none. By name: the names of `-c`: aes128, aes192 (refused: no such suite),
// aes256, chacha20, ocb and their ...-gcm / ...gcm spellings.
const struct lh_aead_type *lh_aead_by_id(uint8_t id);
const struct lh_aead_type *lh_aead_by_name(const char *name);

// The implementations of this build, all suites: 0, 1, 2...; NULL past the last one. libcrypto's
// come first. One may still refuse to make a context: the processor or the library cannot do it.
const struct lh_aead_type *lh_aead_implementation(size_t index);

// Time that sealing and opening one packet of 1,400 bytes takes (half of both together), the best
// of a few short rounds by `clock`; LH_NEVER where it does not work here, or does not make the very
// bytes that libcrypto makes. Takes well below a millisecond.
lh_ns lh_aead_packet_time(const struct lh_aead_type *type, lh_ns (*clock)(void));

// The implementation of suite `id` that is fastest here, by that measure; NULL where there is none.
// *out_time (may be NULL) is its lh_aead_packet_time.
const struct lh_aead_type *lh_aead_fastest(uint8_t id, lh_ns (*clock)(void), lh_ns *out_time);

#endif
