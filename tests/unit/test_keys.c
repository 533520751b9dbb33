// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"
#include "crypto/kdf_internal.h"
#include "crypto/keys.h"

#define SHIFT 2u // four packets an epoch
#define PTO   (100 * LH_MS)

static const uint8_t aad[LH_PACKET_HEADER] = {0x10, 1};
static const struct lh_secret master = {{7, 7, 7}};

struct packet {
    uint64_t pn;
    uint8_t sealed[8 + LH_PACKET_TAG];
};

static struct lh_lane_keys
keys_new(bool is_seal, enum lh_direction direction, uint8_t lane, uint8_t shift)
{
    struct lh_lane_keys keys;
    check_ok(
        lh_lane_keys_init(&keys, &lh_aead_aes128_gcm, &master, direction, lane, is_seal, shift));
    return keys;
}

static struct packet seal(struct lh_lane_keys *keys, uint64_t pn)
{
    struct packet packet = {.pn = pn};
    check_ok(lh_lane_keys_seal(keys, pn, aad, sizeof aad, (const uint8_t *)&packet.pn, 8,
                               packet.sealed));
    return packet;
}

static lh_err open_at(struct lh_lane_keys *keys, const struct packet *packet, lh_ns now)
{
    uint64_t out = 0;
    lh_err err = lh_lane_keys_open(keys, packet->pn, aad, sizeof aad, packet->sealed,
                                   sizeof packet->sealed, (uint8_t *)&out, now, PTO);
    if (err == 0)
        check_uint(out, packet->pn);
    else
        check_uint(out, 0);
    return err;
}

static void both_ends_agree_over_a_hundred_epochs_with_reordering(void **state)
{
    (void)state;
    enum { EPOCHS = 100, PACKETS = EPOCHS << SHIFT };
    struct lh_prng prng = {check_seed(2)};
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct lh_lane_keys receiver = keys_new(false, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    static struct packet packets[PACKETS];
    for (uint64_t pn = 0; pn < PACKETS; pn++)
        packets[pn] = seal(&sender, pn);
    check_uint(sender.epoch, EPOCHS - 1);

    // Neighbours within three places change order: the boundary is crossed back and forth.
    for (size_t i = 0; i + 3 < PACKETS; i++) {
        size_t other = i + lh_prng_below(&prng, 4);
        if (packets[other].pn > packets[i].pn + 2 || packets[other].pn + 2 < packets[i].pn)
            continue;
        struct packet moved = packets[i];
        packets[i] = packets[other];
        packets[other] = moved;
    }
    size_t went_back = 0;
    for (size_t i = 0; i < PACKETS; i++) {
        went_back += packets[i].pn >> SHIFT < receiver.epoch;
        check_ok(open_at(&receiver, &packets[i], i * LH_MS));
    }
    assert_true(went_back > 10);
    check_uint(receiver.epoch, EPOCHS - 1);
    lh_lane_keys_fini(&sender);
    lh_lane_keys_fini(&receiver);
}

static void skips_numbers_and_epochs_on_the_sealing_side(void **state)
{
    (void)state;
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct lh_lane_keys straight = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    for (uint64_t pn = 0; pn < 21; pn++)
        seal(&straight, pn);
    struct packet jumped = seal(&sender, 21), walked = seal(&straight, 21);
    assert_memory_equal(jumped.sealed, walked.sealed, sizeof walked.sealed);
    lh_lane_keys_fini(&sender);
    lh_lane_keys_fini(&straight);
}

static void keeps_the_previous_epoch_for_three_pto_and_then_wipes_it(void **state)
{
    (void)state;
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct lh_lane_keys receiver = keys_new(false, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct packet packets[6];
    for (uint64_t pn = 0; pn < 6; pn++)
        packets[pn] = seal(&sender, pn);
    lh_ns moved = 5 * LH_SECOND;
    check_ok(open_at(&receiver, &packets[0], 0));
    check_ok(open_at(&receiver, &packets[4], moved));
    check_ok(open_at(&receiver, &packets[1], moved + 3 * PTO - 1));
    check_err(open_at(&receiver, &packets[2], moved + 3 * PTO), LH_E_AUTH);
    check_ok(open_at(&receiver, &packets[5], moved + 4 * PTO));

    assert_null(receiver.previous.ctx);
    static const uint8_t zeros[LH_AEAD_IV_LEN];
    assert_memory_equal(receiver.previous.iv, zeros, sizeof zeros);
    lh_lane_keys_fini(&sender);
    lh_lane_keys_fini(&receiver);
}

static void the_timer_wipes_the_previous_epoch_of_an_idle_lane(void **state)
{
    (void)state;
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct lh_lane_keys receiver = keys_new(false, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct packet packet = seal(&sender, 4);
    check_ok(open_at(&receiver, &packet, LH_SECOND));
    lh_lane_keys_expire(&receiver, LH_SECOND + 3 * PTO - 1);
    assert_non_null(receiver.previous.ctx);
    lh_lane_keys_expire(&receiver, LH_SECOND + 3 * PTO);
    assert_null(receiver.previous.ctx);
    lh_lane_keys_fini(&sender);
    lh_lane_keys_fini(&receiver);
}

static void junk_of_the_next_epoch_does_not_move_the_epoch(void **state)
{
    (void)state;
    struct lh_lane_keys receiver = keys_new(false, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct packet junk = {.pn = 5};
    for (int i = 0; i < 100; i++) {
        memset(junk.sealed, i, sizeof junk.sealed);
        check_err(open_at(&receiver, &junk, LH_SECOND), LH_E_AUTH);
    }
    check_uint(receiver.epoch, 0);
    assert_null(receiver.previous.ctx);
    lh_lane_keys_fini(&receiver);
}

// A packet that carries a right tag under the current key, but a number of a foreign epoch: only a
// sender that ignores the epoch limit makes those.
static void refuses_numbers_of_epochs_out_of_reach(void **state)
{
    (void)state;
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, LH_EPOCH_SHIFT);
    struct lh_lane_keys receiver = keys_new(false, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct packet near = seal(&sender, 3), far = seal(&sender, 8), farther = seal(&sender, 1000);
    check_ok(open_at(&receiver, &near, 0));
    check_err(open_at(&receiver, &far, 0), LH_E_AUTH);
    check_err(open_at(&receiver, &farther, 0), LH_E_AUTH);
    struct packet beyond = near;
    beyond.pn = LH_PN_MAX + 1 + 3;
    check_err(open_at(&receiver, &beyond, 0), LH_E_AUTH);
    check_uint(receiver.epoch, 0);
    lh_lane_keys_fini(&sender);
    lh_lane_keys_fini(&receiver);
}

static void refuses_packets_of_another_direction_lane_or_session(void **state)
{
    (void)state;
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, SHIFT);
    struct packet packet = seal(&sender, 0);
    static const struct {
        enum lh_direction direction;
        uint8_t lane, master;
        lh_err err;
    } cases[] = {
        {LH_DIR_CLIENT_TO_SERVER, 1, 7, 0},
        {LH_DIR_SERVER_TO_CLIENT, 1, 7, LH_E_AUTH}, // reflected to its sender
        {LH_DIR_CLIENT_TO_SERVER, 2, 7, LH_E_AUTH},
        {LH_DIR_CLIENT_TO_SERVER, 0, 7, LH_E_AUTH},
        {LH_DIR_CLIENT_TO_SERVER, 1, 8, LH_E_AUTH},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_lane_keys receiver;
        struct lh_secret secret = master;
        secret.bytes[0] = cases[i].master;
        check_ok(lh_lane_keys_init(&receiver, &lh_aead_aes128_gcm, &secret, cases[i].direction,
                                   cases[i].lane, false, SHIFT));
        check_err(open_at(&receiver, &packet, 0), cases[i].err);
        lh_lane_keys_fini(&receiver);
    }
    lh_lane_keys_fini(&sender);
}

static void refuses_a_packet_under_another_number(void **state)
{
    (void)state;
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, LH_EPOCH_SHIFT);
    struct lh_lane_keys receiver = keys_new(false, LH_DIR_CLIENT_TO_SERVER, 1, LH_EPOCH_SHIFT);
    struct packet packet = seal(&sender, 0);
    for (unsigned bit = 0; bit < 22; bit++) {
        packet.pn = (uint64_t)1 << bit;
        check_err(open_at(&receiver, &packet, 0), LH_E_AUTH);
    }
    packet.pn = 0;
    check_ok(open_at(&receiver, &packet, 0));
    lh_lane_keys_fini(&sender);
    lh_lane_keys_fini(&receiver);
}

static void seals_nothing_past_the_last_packet_number(void **state)
{
    (void)state;
    struct lh_lane_keys sender = keys_new(true, LH_DIR_CLIENT_TO_SERVER, 1, LH_EPOCH_SHIFT);
    uint8_t out[LH_PACKET_TAG];
    check_err(lh_lane_keys_seal(&sender, LH_PN_MAX + 1, aad, sizeof aad, NULL, 0, out), LH_E_LIMIT);
    lh_lane_keys_fini(&sender);
}

static void refuses_epoch_shifts_out_of_range(void **state)
{
    (void)state;
    struct lh_lane_keys keys;
    static const uint8_t shifts[] = {0, 1, LH_EPOCH_SHIFT + 1, 63, 64, 255};
    for (size_t i = 0; i < LH_ARRAY_LEN(shifts); i++)
        check_err(lh_lane_keys_init(&keys, &lh_aead_aes128_gcm, &master, LH_DIR_CLIENT_TO_SERVER, 1,
                                    true, shifts[i]),
                  LH_E_INVALID);
}

// The schedule as longhaul-protocol(5) writes it down, step by step: a change here breaks the wire.
static void the_schedule_is_the_documented_one(void **state)
{
    (void)state;
    struct lh_secret client = {{1}}, server = {{2}}, made;
    uint8_t transcript[32], both[64], prk[32], next[32], key[16], iv[12], sealed[24];
    check_ok(lh_keys_transcript("client hello", 12, "server hello", 12, transcript));
    uint8_t joined[32];
    check_ok(lh_sha256_pair("client helloserver hello", 24, "", 0, joined));
    assert_memory_equal(transcript, joined, 32);
    check_ok(lh_keys_master(transcript, &client, &server, &made));
    memcpy(both, client.bytes, 32);
    memcpy(both + 32, server.bytes, 32);
    check_ok(lh_hkdf_extract(transcript, 32, both, 64, prk));
    assert_memory_equal(prk, made.bytes, 32);

    check_ok(lh_hkdf_expand(prk, "lh1 next", 8, next, 32));
    check_ok(lh_hkdf_expand(next, "lh1 key\x01\x03", 9, key, 16));
    check_ok(lh_hkdf_expand(next, "lh1 iv\x01\x03", 8, iv, 12));
    iv[4] ^= 5; // packet number 5, epoch 1
    struct lh_aead_ctx *ctx = NULL;
    check_ok(lh_aead_aes128_gcm.new(&lh_aead_aes128_gcm, &ctx, key, true));
    uint64_t five = 5;
    check_ok(lh_aead_aes128_gcm.seal(
        ctx, &(struct lh_aead_text){iv, aad, sizeof aad, (const uint8_t *)&five, 8, sealed}));
    lh_aead_aes128_gcm.free(ctx);

    struct lh_lane_keys keys;
    check_ok(lh_lane_keys_init(&keys, &lh_aead_aes128_gcm, &made, LH_DIR_SERVER_TO_CLIENT, 3, true,
                               SHIFT));
    struct packet packet = seal(&keys, 5);
    assert_memory_equal(packet.sealed, sealed, sizeof sealed);
    lh_lane_keys_fini(&keys);
    lh_secret_fini(&made);
    static const struct lh_secret none;
    assert_memory_equal(&made, &none, sizeof none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_agree_over_a_hundred_epochs_with_reordering),
        cmocka_unit_test(skips_numbers_and_epochs_on_the_sealing_side),
        cmocka_unit_test(keeps_the_previous_epoch_for_three_pto_and_then_wipes_it),
        cmocka_unit_test(the_timer_wipes_the_previous_epoch_of_an_idle_lane),
        cmocka_unit_test(junk_of_the_next_epoch_does_not_move_the_epoch),
        cmocka_unit_test(refuses_numbers_of_epochs_out_of_reach),
        cmocka_unit_test(refuses_packets_of_another_direction_lane_or_session),
        cmocka_unit_test(refuses_a_packet_under_another_number),
        cmocka_unit_test(seals_nothing_past_the_last_packet_number),
        cmocka_unit_test(refuses_epoch_shifts_out_of_range),
        cmocka_unit_test(the_schedule_is_the_documented_one),
    };
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
