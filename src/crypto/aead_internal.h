// SPDX-License-Identifier: Apache-2.0
//
// What the files of the AEAD implementations share: the facts of each suite, which are the same
// whichever library does the work, and the lists of what each file offers.
//
// Limits (RFC 9001, 6.6 and appendix B, packets of at most 2^14 bytes): one key seals 2^23 packets
// at most, a session survives 2^52 failed openings with GCM and 2^36 with ChaCha20-Poly1305. OCB's
// bound (RFC 7253, section 5) is of the birthday kind as GCM's confidentiality is: 2^23 packets of
// 2^10 blocks leave an advantage below 2^-60; a forgery succeeds with 2^-128.
#ifndef LH_CRYPTO_AEAD_INTERNAL_H
#define LH_CRYPTO_AEAD_INTERNAL_H

#include "crypto/aead.h"

#define LH_SUITE_AES128_GCM                                                                        \
    .name = "aes128", .id = LH_AEAD_AES128_GCM, .key_len = 16, .seal_limit = (uint64_t)1 << 23,    \
    .forgery_limit = (uint64_t)1 << 52
#define LH_SUITE_AES256_GCM                                                                        \
    .name = "aes256", .id = LH_AEAD_AES256_GCM, .key_len = 32, .seal_limit = (uint64_t)1 << 23,    \
    .forgery_limit = (uint64_t)1 << 52
#define LH_SUITE_CHACHA20_POLY1305                                                                 \
    .name = "chacha20", .id = LH_AEAD_CHACHA20_POLY1305, .key_len = 32,                            \
    .seal_limit = (uint64_t)1 << 23, .forgery_limit = (uint64_t)1 << 36
#define LH_SUITE_AES128_OCB                                                                        \
    .name = "ocb", .id = LH_AEAD_AES128_OCB, .key_len = 16, .seal_limit = (uint64_t)1 << 23,       \
    .forgery_limit = (uint64_t)1 << 36

// A list ends with NULL; that of a library which this build lacks is absent (LH_HAVE_...).
extern const struct lh_aead_type *const lh_aead_openssl_types[];
extern const struct lh_aead_type *const lh_aead_ipsec_types[];
extern const struct lh_aead_type *const lh_aead_gcrypt_types[];

#endif
