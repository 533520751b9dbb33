// SPDX-License-Identifier: Apache-2.0
//
// How it works. Both ends hold the master secret of one epoch ahead and nothing older: deriving is
// a one-way street, so keys that were wiped cannot be made again from what a core dump would show.
//
//   sealing    current. A packet number that belongs to a later epoch replaces it on the spot.
//   opening    previous, current, next. The packet number chooses the key, so each packet costs one
//              opening. `next` exists ahead of time, so that junk cannot make us derive keys; only
//              a packet that verifies under it moves the epoch on.
//
// Reordering across the boundary is what `previous` is for; it goes 3 PTO after the move, either
// with the next packet opened or when the owner's timer calls lh_lane_keys_expire.
//
// What is not handled here: replay (replay.h), counting forgeries against the limit (the caller),
// and a receiver that misses a whole epoch. 2^22 packets are more than any window in flight, so a
// sender cannot run so far ahead.
#include "crypto/keys.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/kdf_internal.h"

void lh_secret_fini(struct lh_secret *secret)
{
    lh_wipe(secret, sizeof *secret);
}

lh_err lh_keys_transcript(const void *client_hello,
                          size_t client_len,
                          const void *server_hello,
                          size_t server_len,
                          uint8_t out_hash[32])
{
    return lh_sha256_pair(client_hello, client_len, server_hello, server_len, out_hash);
}

lh_err lh_keys_master(const uint8_t transcript[32],
                      const struct lh_secret *client_secret,
                      const struct lh_secret *server_secret,
                      struct lh_secret *out_master)
{
    uint8_t both[2 * LH_SECRET_LEN];
    memcpy(both, client_secret->bytes, LH_SECRET_LEN);
    memcpy(both + LH_SECRET_LEN, server_secret->bytes, LH_SECRET_LEN);
    lh_err err = lh_hkdf_extract(transcript, LH_SHA256_LEN, both, sizeof both, out_master->bytes);
    lh_wipe(both, sizeof both);
    return err;
}

static lh_err next_master(const struct lh_secret *master, struct lh_secret *out_next)
{
    static const char label[] = "lh1 next";
    return lh_hkdf_expand(master->bytes, label, sizeof label - 1, out_next->bytes, LH_SECRET_LEN);
}

static void epoch_key_fini(const struct lh_lane_keys *keys, struct lh_epoch_key *key)
{
    if (key->ctx != NULL)
        keys->aead->free(key->ctx);
    lh_wipe(key, sizeof *key);
}

// Expands "label direction lane" of `master`.
static lh_err expand(const struct lh_lane_keys *keys,
                     const struct lh_secret *master,
                     const char *label,
                     uint8_t *out,
                     size_t len)
{
    uint8_t info[16];
    size_t label_len = strlen(label);
    LH_ASSERT(label_len + 2 <= sizeof info);
    memcpy(info, label, label_len);
    info[label_len] = (uint8_t)keys->direction;
    info[label_len + 1] = keys->lane;
    return lh_hkdf_expand(master->bytes, info, label_len + 2, out, len);
}

static lh_err derive(const struct lh_lane_keys *keys,
                     const struct lh_secret *master,
                     struct lh_epoch_key *out_key)
{
    uint8_t bytes[LH_AEAD_KEY_MAX];
    struct lh_epoch_key key = {0};
    LH_ASSERT(keys->aead->key_len <= sizeof bytes);
    lh_err err = expand(keys, master, "lh1 key", bytes, keys->aead->key_len);
    if (err == 0)
        err = expand(keys, master, "lh1 iv", key.iv, sizeof key.iv);
    if (err == 0)
        err = keys->aead->new (keys->aead, &key.ctx, bytes, keys->is_seal);
    lh_wipe(bytes, sizeof bytes);
    if (err == 0)
        *out_key = key;
    lh_wipe(key.iv, sizeof key.iv);
    return err;
}

lh_err lh_lane_keys_init(struct lh_lane_keys *keys,
                         const struct lh_aead_type *aead,
                         const struct lh_secret *master,
                         enum lh_direction direction,
                         uint8_t lane,
                         bool is_seal,
                         uint8_t epoch_shift)
{
    if (epoch_shift < LH_EPOCH_SHIFT_MIN || epoch_shift > LH_EPOCH_SHIFT)
        return LH_E_INVALID;
    LH_ASSERT((uint64_t)1 << epoch_shift <= aead->seal_limit);
    LH_ASSERT(lane < LH_LANES_MAX);
    *keys = (struct lh_lane_keys){
        .aead = aead,
        .direction = direction,
        .lane = lane,
        .is_seal = is_seal,
        .epoch_shift = epoch_shift,
    };
    lh_err err = derive(keys, master, &keys->current);
    if (err == 0)
        err = next_master(master, &keys->next_master);
    if (err == 0 && !is_seal)
        err = derive(keys, &keys->next_master, &keys->next);
    if (err != 0)
        lh_lane_keys_fini(keys);
    return err;
}

void lh_lane_keys_fini(struct lh_lane_keys *keys)
{
    if (keys->aead == NULL)
        return;
    epoch_key_fini(keys, &keys->previous);
    epoch_key_fini(keys, &keys->current);
    epoch_key_fini(keys, &keys->next);
    lh_wipe(keys, sizeof *keys);
}

static void nonce_of(const struct lh_epoch_key *key, uint64_t pn, uint8_t out_nonce[LH_AEAD_IV_LEN])
{
    memcpy(out_nonce, key->iv, 4);
    lh_le64_store(out_nonce + 4, lh_le64_load(key->iv + 4) ^ pn); // pn has 48 bits
}

// Sealing side: makes the next epoch current. On failure nothing has changed.
static lh_err advance_seal(struct lh_lane_keys *keys)
{
    struct lh_epoch_key key;
    struct lh_secret after;
    lh_err err = next_master(&keys->next_master, &after);
    if (err != 0)
        return err;
    err = derive(keys, &keys->next_master, &key);
    if (err == 0) {
        epoch_key_fini(keys, &keys->current);
        keys->current = key;
        keys->next_master = after;
        keys->epoch++;
        lh_wipe(key.iv, sizeof key.iv);
    }
    lh_secret_fini(&after);
    return err;
}

// Opening side: next becomes current, current previous. On failure nothing has changed.
static lh_err advance_open(struct lh_lane_keys *keys, lh_ns previous_until)
{
    struct lh_epoch_key key;
    struct lh_secret after;
    lh_err err = next_master(&keys->next_master, &after);
    if (err != 0)
        return err;
    err = derive(keys, &after, &key);
    if (err == 0) {
        epoch_key_fini(keys, &keys->previous);
        keys->previous = keys->current;
        keys->current = keys->next;
        keys->next = key;
        keys->next_master = after;
        keys->previous_until = previous_until;
        keys->epoch++;
        lh_wipe(key.iv, sizeof key.iv);
    }
    lh_secret_fini(&after);
    return err;
}

lh_err lh_lane_keys_seal(struct lh_lane_keys *keys,
                         uint64_t pn,
                         const uint8_t *aad,
                         size_t aad_len,
                         const uint8_t *plain,
                         size_t len,
                         uint8_t *out)
{
    uint8_t nonce[LH_AEAD_IV_LEN];
    if (pn > LH_PN_MAX)
        return LH_E_LIMIT;
    LH_ASSERT(keys->is_seal);
    LH_ASSERT(pn >= keys->seal_next); // a nonce used twice would give the key away
    while (pn >> keys->epoch_shift > keys->epoch) {
        lh_err err = advance_seal(keys);
        if (err != 0)
            return err;
    }
    nonce_of(&keys->current, pn, nonce);
    keys->seal_next = pn + 1;
    return keys->aead->seal(keys->current.ctx,
                            &(struct lh_aead_text){nonce, aad, aad_len, plain, len, out});
}

void lh_lane_keys_expire(struct lh_lane_keys *keys, lh_ns now)
{
    if (keys->previous.ctx != NULL && now >= keys->previous_until)
        epoch_key_fini(keys, &keys->previous);
}

lh_err lh_lane_keys_open(struct lh_lane_keys *keys,
                         uint64_t pn,
                         const uint8_t *aad,
                         size_t aad_len,
                         const uint8_t *sealed,
                         size_t sealed_len,
                         uint8_t *out,
                         lh_ns now,
                         lh_ns pto)
{
    uint8_t nonce[LH_AEAD_IV_LEN];
    uint64_t epoch = pn >> keys->epoch_shift;
    const struct lh_epoch_key *key = &keys->current;
    LH_ASSERT(!keys->is_seal);
    lh_lane_keys_expire(keys, now);

    if (LH_GUARD(EPOCH_RANGE, pn > LH_PN_MAX || epoch > keys->epoch + 1 || epoch + 1 < keys->epoch))
        return LH_E_AUTH;
    if (epoch == keys->epoch + 1)
        key = &keys->next;
    else if (epoch + 1 == keys->epoch)
        key = &keys->previous;
    if (key->ctx == NULL)
        return LH_E_AUTH;

    nonce_of(key, pn, nonce);
    lh_err err = keys->aead->open(
        key->ctx, &(struct lh_aead_text){nonce, aad, aad_len, sealed, sealed_len, out});
    if (err == 0 && key == &keys->next) {
        err = advance_open(keys, now + 3 * pto);
        if (err != 0)
            lh_wipe(out, sealed_len - LH_PACKET_TAG);
    }
    return err;
}
