// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"
#include "crypto/aead.h"
#include "crypto/kdf_internal.h"

#define TYPES_MAX 16

// Every implementation of this build that works on this processor, and the null AEAD at the end
// where `with_null`. Returns how many.
static size_t all_types(const struct lh_aead_type *types[TYPES_MAX], bool with_null)
{
    static const uint8_t key[LH_AEAD_KEY_MAX];
    const struct lh_aead_type *type;
    size_t count = 0;
    for (size_t i = 0; (type = lh_aead_implementation(i)) != NULL; i++) {
        struct lh_aead_ctx *ctx = NULL;
        lh_err err = type->new (type, &ctx, key, true);
        if (err != 0) { // only what is there beside libcrypto may be missing
            check_err(err, LH_E_CRYPTO);
            assert_ptr_not_equal(type, lh_aead_by_id(type->id));
            continue;
        }
        type->free(ctx);
        assert_true(count < TYPES_MAX - 1);
        types[count++] = type;
    }
    if (with_null)
        types[count++] = &lh_aead_null;
    return count;
}

// Published vectors: "The Galois/Counter Mode of Operation" (McGrew, Viega; NIST), test cases 2, 4
// and 16; RFC 8439, 2.8.2; RFC 7253, appendix A (N = BBAA9988776655443322110x, x = 0, 1, 4, 7).
static const struct {
    uint8_t id;
    const char *key, *nonce, *aad, *plain, *sealed;
} vectors[] = {
    {LH_AEAD_AES128_GCM, "00000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000",
     "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
    {LH_AEAD_AES128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
     "b525b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84"
     "aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"},
    {LH_AEAD_AES256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
     "b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682"
     "8838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
    {LH_AEAD_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a2049662049"
     "20636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c20"
     "73756e73637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
     "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
     "4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"},
    {LH_AEAD_AES128_OCB, "000102030405060708090a0b0c0d0e0f", "bbaa99887766554433221100", "", "",
     "785407bfffc8ad9edcc5520ac9111ee6"},
    {LH_AEAD_AES128_OCB, "000102030405060708090a0b0c0d0e0f", "bbaa99887766554433221101",
     "0001020304050607", "0001020304050607", "6820b3657b6f615a5725bda0d3b4eb3a257c9af1f8f03009"},
    {LH_AEAD_AES128_OCB, "000102030405060708090a0b0c0d0e0f", "bbaa99887766554433221104",
     "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f",
     "571d535b60b277188be5147170a9a22c3ad7a4ff3835b8c5701c1ccec8fc3358"},
    {LH_AEAD_AES128_OCB, "000102030405060708090a0b0c0d0e0f", "bbaa99887766554433221107",
     "000102030405060708090a0b0c0d0e0f1011121314151617",
     "000102030405060708090a0b0c0d0e0f1011121314151617",
     "1ca2207308c87c010756104d8840ce1952f09673a448a122c92c62241051f57356d7f3c90bb0e07f"},
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

static void check_vector(const struct lh_aead_type *type, size_t index)
{
    uint8_t key[32], nonce[12], aad[32], plain[128], sealed[144], out[144];
    check_uint(unhex(vectors[index].key, key), type->key_len);
    check_uint(unhex(vectors[index].nonce, nonce), LH_AEAD_IV_LEN);
    size_t aad_len = unhex(vectors[index].aad, aad);
    size_t len = unhex(vectors[index].plain, plain);
    check_uint(unhex(vectors[index].sealed, sealed), len + LH_PACKET_TAG);

    struct lh_aead_ctx *ctx = NULL;
    check_ok(type->new (type, &ctx, key, true));
    for (int again = 0; again < 2; again++) { // the context serves packet after packet
        check_ok(type->seal(ctx, &(struct lh_aead_text){nonce, aad, aad_len, plain, len, out}));
        assert_memory_equal(out, sealed, len + LH_PACKET_TAG);
    }
    type->free(ctx);

    check_ok(type->new (type, &ctx, key, false));
    check_ok(type->open(
        ctx, &(struct lh_aead_text){nonce, aad, aad_len, sealed, len + LH_PACKET_TAG, out}));
    assert_memory_equal(out, plain, len);
    type->free(ctx);
}

static void seals_and_opens_published_vectors_by_every_implementation(void **state)
{
    (void)state;
    const struct lh_aead_type *types[TYPES_MAX];
    size_t count = all_types(types, false);
    for (size_t i = 0; i < LH_ARRAY_LEN(vectors); i++) {
        size_t checked = 0;
        for (size_t j = 0; j < count; j++) {
            if (types[j]->id != vectors[i].id)
                continue;
            check_vector(types[j], i);
            checked++;
        }
        assert_true(checked > 0);
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
    check_ok(type->new (type, &pair.seal, key, true));
    check_ok(type->new (type, &pair.open, key, false));
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
    const struct lh_aead_type *types[TYPES_MAX];
    size_t count = all_types(types, true);
    for (size_t i = 0; i < count; i++) {
        struct pair pair = pair_new(types[i]);
        for (size_t j = 0; j < LH_ARRAY_LEN(lengths); j++) {
            static uint8_t plain[LH_PACKET_MAX], buffer[LH_PACKET_MAX + LH_PACKET_TAG];
            size_t len = lengths[j];
            lh_prng_fill(&prng, plain, len);
            memcpy(buffer, plain, len);
            check_ok(
                pair.type->seal(pair.seal, &(struct lh_aead_text){nonce0, header, sizeof header,
                                                                  buffer, len, buffer}));
            check_ok(pair.type->open(pair.open,
                                     &(struct lh_aead_text){nonce0, header, sizeof header, buffer,
                                                            len + LH_PACKET_TAG, buffer}));
            assert_memory_equal(buffer, plain, len);
        }
        pair_free(&pair);
    }
}

// What one library seals, every other one opens: a session's ends need not have the same.
static void implementations_of_a_suite_understand_each_other(void **state)
{
    (void)state;
    const struct lh_aead_type *types[TYPES_MAX];
    size_t count = all_types(types, false), compared = 0;
    struct lh_prng prng = {check_seed(2)};
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (i == j || types[i]->id != types[j]->id)
                continue;
            struct pair from = pair_new(types[i]), to = pair_new(types[j]);
            for (size_t round = 0; round < 200; round++) {
                static uint8_t plain[LH_PACKET_MAX], sealed[LH_PACKET_MAX], out[LH_PACKET_MAX];
                uint8_t nonce[LH_AEAD_IV_LEN];
                size_t len = round < 100 ? round : lh_prng_below(&prng, 1500);
                lh_prng_fill(&prng, plain, len);
                lh_prng_fill(&prng, nonce, sizeof nonce);
                check_ok(
                    from.type->seal(from.seal, &(struct lh_aead_text){nonce, header, sizeof header,
                                                                      plain, len, sealed}));
                check_ok(to.type->open(to.open,
                                       &(struct lh_aead_text){nonce, header, sizeof header, sealed,
                                                              len + LH_PACKET_TAG, out}));
                assert_memory_equal(out, plain, len);
            }
            pair_free(&from);
            pair_free(&to);
            compared++;
        }
    }
    print_message("# %zu pairs of implementations\n", compared);
}

static lh_ns ticking_clock(void)
{
    static lh_ns now;
    return now += 1000;
}

static void the_fastest_implementation_of_a_suite_is_one_of_its_own(void **state)
{
    (void)state;
    for (unsigned id = 0; id < 256; id++) {
        lh_ns time = 0;
        const struct lh_aead_type *type = lh_aead_fastest((uint8_t)id, ticking_clock, &time);
        bool is_real = id != LH_AEAD_NULL && lh_aead_by_id((uint8_t)id) != NULL;
        check_int(type != NULL, is_real);
        check_int(time != LH_NEVER, is_real);
        if (type != NULL)
            check_uint(type->id, id);
    }
}

// Every single bit of ciphertext, tag, header and nonce, one at a time.
static void refuses_every_flipped_bit_and_shows_no_plaintext(void **state)
{
    (void)state;
    enum { LEN = 40 };
    static const uint8_t zeros[LEN];
    const struct lh_aead_type *types[TYPES_MAX];
    size_t count = all_types(types, false);
    for (size_t i = 0; i < count; i++) {
        struct pair pair = pair_new(types[i]);
        uint8_t plain[LEN], message[LEN + LH_PACKET_TAG + LH_PACKET_HEADER + LH_AEAD_IV_LEN];
        uint8_t *aad = message + LEN + LH_PACKET_TAG;
        uint8_t *nonce = aad + LH_PACKET_HEADER;
        memset(plain, 0xa5, sizeof plain);
        memcpy(aad, header, LH_PACKET_HEADER);
        memcpy(nonce, nonce0, LH_AEAD_IV_LEN);
        check_ok(pair.type->seal(
            pair.seal, &(struct lh_aead_text){nonce, aad, LH_PACKET_HEADER, plain, LEN, message}));
        for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
            uint8_t out[LEN];
            memset(out, 0xee, sizeof out);
            message[bit / 8] ^= (uint8_t)(1 << bit % 8);
            check_err(pair.type->open(pair.open,
                                      &(struct lh_aead_text){nonce, aad, LH_PACKET_HEADER, message,
                                                             LEN + LH_PACKET_TAG, out}),
                      LH_E_AUTH);
            assert_memory_equal(out, zeros, LEN);
            message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        uint8_t out[LEN];
        check_ok(pair.type->open(pair.open,
                                 &(struct lh_aead_text){nonce, aad, LH_PACKET_HEADER, message,
                                                        LEN + LH_PACKET_TAG,
                                                        out})); // the context survived all that
        assert_memory_equal(out, plain, LEN);
        pair_free(&pair);
    }
}

static void refuses_every_shortened_packet(void **state)
{
    (void)state;
    const struct lh_aead_type *types[TYPES_MAX];
    size_t count = all_types(types, true);
    for (size_t i = 0; i < count; i++) {
        struct pair pair = pair_new(types[i]);
        uint8_t plain[20] = "twenty bytes of text", sealed[36], out[20];
        check_ok(pair.type->seal(
            pair.seal, &(struct lh_aead_text){nonce0, header, sizeof header, plain, 20, sealed}));
        for (size_t len = 0; len < sizeof sealed; len++)
            check_err(
                pair.type->open(pair.open, &(struct lh_aead_text){nonce0, header, sizeof header,
                                                                  sealed, len, out}),
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
    check_ok(
        pair.type->seal(pair.seal, &(struct lh_aead_text){nonce0, header, sizeof header,
                                                          (const uint8_t *)"abcd", 4, sealed}));
    for (size_t bit = 32; bit < 8 * sizeof sealed; bit++) {
        memset(out, 0xee, sizeof out);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_err(pair.type->open(pair.open, &(struct lh_aead_text){nonce0, header, sizeof header,
                                                                    sealed, sizeof sealed, out}),
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
        {"ocb", &lh_aead_aes128_ocb},
        {"AES-128-OCB", &lh_aead_aes128_ocb},
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
        check_int(type != NULL, id <= LH_AEAD_AES128_OCB);
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
        cmocka_unit_test(seals_and_opens_published_vectors_by_every_implementation),
        cmocka_unit_test(implementations_of_a_suite_understand_each_other),
        cmocka_unit_test(the_fastest_implementation_of_a_suite_is_one_of_its_own),
        cmocka_unit_test(opens_in_place_what_was_sealed_in_place_at_every_length),
        cmocka_unit_test(refuses_every_flipped_bit_and_shows_no_plaintext),
        cmocka_unit_test(refuses_every_shortened_packet),
        cmocka_unit_test(null_aead_refuses_a_wrong_tag),
        cmocka_unit_test(finds_suites_by_their_names_and_ids),
        cmocka_unit_test(hkdf_gives_the_published_keys),
    };
    return cmocka_run_group_tests_name("aead", tests, NULL, NULL);
}
