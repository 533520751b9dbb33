// SPDX-License-Identifier: Apache-2.0
//
// What proves that another SSH channel belongs to a session that lives already
// (longhaul-protocol(5), "Attaching"). Derived from the session's secret; never on a command line.
//
//   secret = HKDF-Expand(master_0, "lh1 attach", 32)
//   name   = HKDF-Expand(secret, "name", 16)                where the living session listens
//   proof  = HKDF-Expand(secret, "client" || count, 32)     from the client
//            HKDF-Expand(secret, "server" || count, 32)     from the living session
//
// `count` (u32, little endian) grows with every attempt: no proof is good twice.
#ifndef LH_CRYPTO_ATTACH_H
#define LH_CRYPTO_ATTACH_H

#include "crypto/keys.h"

#define LH_ATTACH_NAME_LEN  16
#define LH_ATTACH_PROOF_LEN 32

lh_err lh_attach_secret(const struct lh_secret *master, struct lh_secret *out_secret) LH_MUST_CHECK;
lh_err lh_attach_name(const struct lh_secret *secret,
                      uint8_t out_name[LH_ATTACH_NAME_LEN]) LH_MUST_CHECK;
// `is_client`: whose proof.
lh_err lh_attach_proof(const struct lh_secret *secret,
                       bool is_client,
                       uint32_t count,
                       uint8_t out_proof[LH_ATTACH_PROOF_LEN]) LH_MUST_CHECK;
// Compares in constant time.
bool lh_attach_proof_equal(const uint8_t a[LH_ATTACH_PROOF_LEN],
                           const uint8_t b[LH_ATTACH_PROOF_LEN]);

#endif
