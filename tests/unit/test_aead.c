// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"
#include "crypto/aead.h"
#include "crypto/kdf_internal.h"

static const struct lh_aead_type *const real_types[] = {
    &lh_aead_aes128_gcm,
    &lh_aead_aes256_gcm,
    &lh_aead_chacha20_poly1305,
};

// Published vectors: "The Galois/Counter Mode of Operation" (McGrew, Viega; NIST), test cases 2, 4
// and 16; RFC 8439, 2.8.2.
static const struct {
    const struct lh_aead_type *type;
    const char *key, *nonce, *aad, *plain, *sealed;
} vectors[] = {
    {&lh_aead_aes128_gcm, "00000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000",
     "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
    {&lh_aead_aes128_gcm, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
     "b525b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84"
     "aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"},
    {&lh_aead_aes256_gcm, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
     "b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682"
     "8838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
    {&lh_aead_chacha20_poly1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a2049662049"
     "20636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c20"
     "73756e73637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
     "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
     "4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"},
};

static size_t unhex(const char *text, uint8_t *out)
{
    size_t len = strlen(text) / 2;
    for (size_t i = 0; i < len; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return len;
}

static void seals_and_opens_published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(vectors); i++) {
        uint8_t key[32], nonce[12], aad[32], plain[128], sealed[144], out[144];
        const struct lh_aead_type *type = vectors[i].type;
        check_uint(unhex(vectors[i].key, key), type->key_len);
        check_uint(unhex(vectors[i].nonce, nonce), LH_AEAD_IV_LEN);
        size_t aad_len = unhex(vectors[i].aad, aad);
        size_t len = unhex(vectors[i].plain, plain);
        check_uint(unhex(vectors[i].sealed, sealed), len + LH_PACKET_TAG);

        struct lh_aead_ctx *ctx = NULL;
        check_ok(type->new (&ctx, key, true));
        for (int again = 0; again < 2; again++) { // the context serves packet after packet
            check_ok(type->seal(ctx, nonce, aad, aad_len, plain, len, out));
            assert_memory_equal(out, sealed, len + LH_PACKET_TAG);
        }
        type->free(ctx);

        check_ok(type->new (&ctx, key, false));
        check_ok(type->open(ctx, nonce, aad, aad_len, sealed, len + LH_PACKET_TAG, out));
        assert_memory_equal(out, plain, len);
        type->free(ctx);
    }
}

struct pair {
    const struct lh_aead_type *type;
    struct lh_aead_ctx *seal;
    struct lh_aead_ctx *open;
};

static struct pair pair_new(const struct lh_aead_type *type)
{
    static const uint8_t key[LH_AEAD_KEY_MAX] = {1, 2, 3};
    struct pair pair = {.type = type};
    check_ok(type->new (&pair.seal, key, true));
    check_ok(type->new (&pair.open, key, false));
    return pair;
}

static void pair_free(struct pair *pair)
{
    pair->type->free(pair->seal);
    pair->type->free(pair->open);
}

static const uint8_t nonce0[LH_AEAD_IV_LEN] = {9};
static const uint8_t header[LH_PACKET_HEADER] = {1, 2, 3, 4};

static void opens_in_place_what_was_sealed_in_place_at_every_length(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 15, 16, 17, 100, 1444, LH_PACKET_MAX - 28};
    struct lh_prng prng = {check_seed(1)};
    for (size_t i = 0; i < LH_ARRAY_LEN(real_types) + 1; i++) {
        struct pair pair = pair_new(i < LH_ARRAY_LEN(real_types) ? real_types[i] : &lh_aead_null);
        for (size_t j = 0; j < LH_ARRAY_LEN(lengths); j++) {
            static uint8_t plain[LH_PACKET_MAX], buffer[LH_PACKET_MAX + LH_PACKET_TAG];
            size_t len = lengths[j];
            lh_prng_fill(&prng, plain, len);
            memcpy(buffer, plain, len);
            check_ok(
                pair.type->seal(pair.seal, nonce0, header, sizeof header, buffer, len, buffer));
            check_ok(pair.type->open(pair.open, nonce0, header, sizeof header, buffer,
                                     len + LH_PACKET_TAG, buffer));
            assert_memory_equal(buffer, plain, len);
        }
        pair_free(&pair);
    }
}

// Every single bit of ciphertext, tag, header and nonce, one at a time.
static void refuses_every_flipped_bit_and_shows_no_plaintext(void **state)
{
    (void)state;
    enum { LEN = 40 };
    static const uint8_t zeros[LEN];
    for (size_t i = 0; i < LH_ARRAY_LEN(real_types); i++) {
        struct pair pair = pair_new(real_types[i]);
        uint8_t plain[LEN], message[LEN + LH_PACKET_TAG + LH_PACKET_HEADER + LH_AEAD_IV_LEN];
        uint8_t *aad = message + LEN + LH_PACKET_TAG;
        uint8_t *nonce = aad + LH_PACKET_HEADER;
        memset(plain, 0xa5, sizeof plain);
        memcpy(aad, header, LH_PACKET_HEADER);
        memcpy(nonce, nonce0, LH_AEAD_IV_LEN);
        check_ok(pair.type->seal(pair.seal, nonce, aad, LH_PACKET_HEADER, plain, LEN, message));
        for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
            uint8_t out[LEN];
            memset(out, 0xee, sizeof out);
            message[bit / 8] ^= (uint8_t)(1 << bit % 8);
            check_err(pair.type->open(pair.open, nonce, aad, LH_PACKET_HEADER, message,
                                      LEN + LH_PACKET_TAG, out),
                      LH_E_AUTH);
            assert_memory_equal(out, zeros, LEN);
            message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        uint8_t out[LEN];
        check_ok(pair.type->open(pair.open, nonce, aad, LH_PACKET_HEADER, message,
                                 LEN + LH_PACKET_TAG, out)); // the context survived all that
        assert_memory_equal(out, plain, LEN);
        pair_free(&pair);
    }
}

static void refuses_every_shortened_packet(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(real_types) + 1; i++) {
        struct pair pair = pair_new(i < LH_ARRAY_LEN(real_types) ? real_types[i] : &lh_aead_null);
        uint8_t plain[20] = "twenty bytes of text", sealed[36], out[20];
        check_ok(pair.type->seal(pair.seal, nonce0, header, sizeof header, plain, 20, sealed));
        for (size_t len = 0; len < sizeof sealed; len++)
            check_err(pair.type->open(pair.open, nonce0, header, sizeof header, sealed, len, out),
                      LH_E_AUTH);
        pair_free(&pair);
    }
}

static void null_aead_refuses_a_wrong_tag(void **state)
{
    (void)state;
    struct pair pair = pair_new(&lh_aead_null);
    static const uint8_t zeros[4];
    uint8_t sealed[4 + LH_PACKET_TAG], out[4];
    check_ok(pair.type->seal(pair.seal, nonce0, header, sizeof header, (const uint8_t *)"abcd", 4,
                             sealed));
    for (size_t bit = 32; bit < 8 * sizeof sealed; bit++) {
        memset(out, 0xee, sizeof out);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_err(
            pair.type->open(pair.open, nonce0, header, sizeof header, sealed, sizeof sealed, out),
            LH_E_AUTH);
        assert_memory_equal(out, zeros, sizeof zeros);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    pair_free(&pair);
}

static void finds_suites_by_their_names_and_ids(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const struct lh_aead_type *type;
    } cases[] = {
        {"aes128", &lh_aead_aes128_gcm},
        {"AES-128", &lh_aead_aes128_gcm},
        {"aes128gcm", &lh_aead_aes128_gcm},
        {"aes128-gcm", &lh_aead_aes128_gcm},
        {"aes-128-gcm", &lh_aead_aes128_gcm},
        {"aes256", &lh_aead_aes256_gcm},
        {"aes-256-gcm", &lh_aead_aes256_gcm},
        {"chacha20", &lh_aead_chacha20_poly1305},
        {"chacha20-poly1305", &lh_aead_chacha20_poly1305},
        {"aes192", NULL},
        {"aes192-gcm", NULL},
        {"null", NULL},
        {"none", NULL},
        {"aes128cfb", NULL},
        {"", NULL},
        {"aes128aes128aes128aes128aes128", NULL},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++)
        assert_ptr_equal(lh_aead_by_name(cases[i].name), cases[i].type);
    for (unsigned id = 0; id < 256; id++) {
        const struct lh_aead_type *type = lh_aead_by_id((uint8_t)id);
        check_int(type != NULL, id <= LH_AEAD_CHACHA20_POLY1305);
        if (type != NULL)
            check_uint(type->id, id);
    }
}

// RFC 5869, A.1 and A.2.
static void hkdf_gives_the_published_keys(void **state)
{
    (void)state;
    uint8_t secret[80], salt[80], info[80], expected[82], prk[32], okm[82];
    memset(secret, 0x0b, 22);
    size_t salt_len = unhex("000102030405060708090a0b0c", salt);
    size_t info_len = unhex("f0f1f2f3f4f5f6f7f8f9", info);
    check_ok(lh_hkdf_extract(salt, salt_len, secret, 22, prk));
    unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", expected);
    assert_memory_equal(prk, expected, 32);
    check_ok(lh_hkdf_expand(prk, info, info_len, okm, 42));
    unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
          expected);
    assert_memory_equal(okm, expected, 42);

    for (unsigned i = 0; i < 80; i++) {
        secret[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    check_ok(lh_hkdf_extract(salt, 80, secret, 80, prk));
    check_ok(lh_hkdf_expand(prk, info, 80, okm, 82));
    unhex("b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
          "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
          expected);
    assert_memory_equal(okm, expected, 82);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_and_opens_published_vectors),
        cmocka_unit_test(opens_in_place_what_was_sealed_in_place_at_every_length),
        cmocka_unit_test(refuses_every_flipped_bit_and_shows_no_plaintext),
        cmocka_unit_test(refuses_every_shortened_packet),
        cmocka_unit_test(null_aead_refuses_a_wrong_tag),
        cmocka_unit_test(finds_suites_by_their_names_and_ids),
        cmocka_unit_test(hkdf_gives_the_published_keys),
    };
    return cmocka_run_group_tests_name("aead", tests, NULL, NULL);
}
