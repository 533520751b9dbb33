// SPDX-License-Identifier: Apache-2.0
//
// The key schedule (longhaul-protocol(5), "Keys").
//
//   transcript = SHA-256(client HELLO bytes || server HELLO bytes)
//   master_0   = HKDF-Extract(salt = transcript, client_secret || server_secret)
//   master_e+1 = HKDF-Expand(master_e, "lh1 next", 32)
//   key        = HKDF-Expand(master_e, "lh1 key" || direction || lane, key_len)
//   iv         = HKDF-Expand(master_e, "lh1 iv"  || direction || lane, 12)
//   nonce      = iv XOR packet number (little endian, low 48 bits of the last 8 bytes)
//
// SHA-256 throughout (RFC 5869). The epoch of a packet is its packet number shifted right by the
// session's epoch shift: nothing is signalled and both ends switch keys at the same packet.
// `lh_lane_keys` holds what one lane needs for one direction: the current epoch, the next one
// (derived ahead), and on the receiving side the previous one until it is 3 PTO old.
#ifndef LH_CRYPTO_KEYS_H
#define LH_CRYPTO_KEYS_H

#include "base/time.h"
#include "crypto/aead.h"

#define LH_SECRET_LEN 32

enum lh_direction { LH_DIR_CLIENT_TO_SERVER = 0, LH_DIR_SERVER_TO_CLIENT = 1 };

// A 32-byte secret whose fini wipes it.
struct lh_secret {
    uint8_t bytes[LH_SECRET_LEN];
};
void lh_secret_fini(struct lh_secret *secret);

// SHA-256 of the two HELLOs exactly as they crossed the wire.
lh_err lh_keys_transcript(const void *client_hello,
                          size_t client_len,
                          const void *server_hello,
                          size_t server_len,
                          uint8_t out_hash[32]) LH_MUST_CHECK;
lh_err lh_keys_master(const uint8_t transcript[32],
                      const struct lh_secret *client_secret,
                      const struct lh_secret *server_secret,
                      struct lh_secret *out_master) LH_MUST_CHECK;

struct lh_epoch_key {
    struct lh_aead_ctx *ctx; // NULL where absent
    uint8_t iv[LH_AEAD_IV_LEN];
};

// Keys of one lane in one direction.
struct lh_lane_keys {
    const struct lh_aead_type *aead;
    enum lh_direction direction;
    uint8_t lane;
    bool is_seal;
    uint8_t epoch_shift;
    uint64_t epoch;               // of `current`
    struct lh_secret next_master; // master of epoch + 1
    struct lh_epoch_key previous; // receiving side only
    struct lh_epoch_key current;
    struct lh_epoch_key next; // receiving side only: derived ahead, so junk costs one opening
    lh_ns previous_until;     // when `previous` is wiped
    uint64_t seal_next;       // sealing side: lowest packet number that may still be sealed
};

// Derives epoch 0 from `master` (not kept). LH_E_INVALID where `epoch_shift` is not in
// LH_EPOCH_SHIFT_MIN..LH_EPOCH_SHIFT; LH_E_CRYPTO, LH_E_NOMEM. After a failure nothing needs fini,
// which does no harm either.
lh_err lh_lane_keys_init(struct lh_lane_keys *keys,
                         const struct lh_aead_type *aead,
                         const struct lh_secret *master,
                         enum lh_direction direction,
                         uint8_t lane,
                         bool is_seal,
                         uint8_t epoch_shift) LH_MUST_CHECK;
void lh_lane_keys_fini(struct lh_lane_keys *keys);

// Wipes `previous` when its time has come; the owner's timer calls it, so that an idle lane does
// not keep old keys. lh_lane_keys_open does it by itself.
void lh_lane_keys_expire(struct lh_lane_keys *keys, lh_ns now);

// Seals packet `pn`: aad = header bytes; moves to the next epoch by itself when pn says so. pn must
// grow from call to call (asserted). LH_E_LIMIT past LH_PN_MAX.
lh_err lh_lane_keys_seal(struct lh_lane_keys *keys,
                         uint64_t pn,
                         const uint8_t *aad,
                         size_t aad_len,
                         const uint8_t *plain,
                         size_t len,
                         uint8_t *out) LH_MUST_CHECK;

// Opens packet `pn`. An epoch that is neither previous, current nor next is LH_E_AUTH. A packet
// that verifies under `next` makes it current; the old current stays as `previous` until now + 3 *
// pto. Does not look at replay: the caller's window does.
lh_err lh_lane_keys_open(struct lh_lane_keys *keys,
                         uint64_t pn,
                         const uint8_t *aad,
                         size_t aad_len,
                         const uint8_t *sealed,
                         size_t sealed_len,
                         uint8_t *out,
                         lh_ns now,
                         lh_ns pto) LH_MUST_CHECK;

#endif
