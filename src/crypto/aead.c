// SPDX-License-Identifier: Apache-2.0
//
// How it works: which implementations there are, and which of them is the fastest here. A suite's
// first implementation is libcrypto's, which every build has; it is also what the others are
// compared with before they may be used: byte for byte, in both directions.
#include "crypto/aead.h"

#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "crypto/aead_internal.h"

#define MEASURE_LEN     1400
#define MEASURE_PACKETS 8 // in a round
#define MEASURE_ROUNDS  6 // the best counts: others are interrupted, or warm up

static const struct lh_aead_type *const *const libraries[] = {
    lh_aead_openssl_types,
#ifdef LH_HAVE_IPSEC_MB
    lh_aead_ipsec_types,
#endif
#ifdef LH_HAVE_GCRYPT
    lh_aead_gcrypt_types,
#endif
};

const struct lh_aead_type *lh_aead_implementation(size_t index)
{
    for (size_t i = 0; i < LH_ARRAY_LEN(libraries); i++)
        for (size_t j = 0; libraries[i][j] != NULL; j++)
            if (index-- == 0)
                return libraries[i][j];
    return NULL;
}

const struct lh_aead_type *lh_aead_by_id(uint8_t id)
{
    const struct lh_aead_type *type;
    if (id == LH_AEAD_NULL)
        return &lh_aead_null;
    for (size_t i = 0; (type = lh_aead_implementation(i)) != NULL; i++)
        if (type->id == id)
            return type;
    return NULL;
}

const struct lh_aead_type *lh_aead_by_name(const char *name)
{
    static const struct {
        const char *spelling; // lower case, without hyphens
        uint8_t id;
    } spellings[] = {
        {"aes128", LH_AEAD_AES128_GCM},
        {"aes128gcm", LH_AEAD_AES128_GCM},
        {"aes256", LH_AEAD_AES256_GCM},
        {"aes256gcm", LH_AEAD_AES256_GCM},
        {"chacha20", LH_AEAD_CHACHA20_POLY1305},
        {"chacha20poly1305", LH_AEAD_CHACHA20_POLY1305},
        {"ocb", LH_AEAD_AES128_OCB},
        {"aes128ocb", LH_AEAD_AES128_OCB},
    };
    char plain[24];
    size_t len = 0;
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '-')
            continue;
        if (len == sizeof plain - 1)
            return NULL;
        plain[len++] = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    }
    plain[len] = '\0';
    for (size_t i = 0; i < LH_ARRAY_LEN(spellings); i++)
        if (strcmp(plain, spellings[i].spelling) == 0)
            return lh_aead_by_id(spellings[i].id);
    return NULL;
}

// --- Choosing by measurement ---

static const uint8_t measure_key[LH_AEAD_KEY_MAX] = {1, 2, 3};
static const uint8_t measure_nonce[LH_AEAD_IV_LEN] = {4, 5, 6};
static const uint8_t measure_aad[LH_PACKET_HEADER] = {7, 8, 9};

struct measured {
    const struct lh_aead_type *type;
    struct lh_aead_ctx *seal, *open;
};

static void measured_fini(struct measured *measured)
{
    measured->type->free(measured->seal);
    measured->type->free(measured->open);
}

static bool measured_init(struct measured *measured, const struct lh_aead_type *type)
{
    *measured = (struct measured){.type = type};
    if (type->new (type, &measured->seal, measure_key, true) == 0 &&
        type->new (type, &measured->open, measure_key, false) == 0)
        return true;
    measured_fini(measured);
    return false;
}

static bool seal_one(const struct measured *measured, const uint8_t *plain, uint8_t *out)
{
    return measured->type->seal(measured->seal, &(struct lh_aead_text){measure_nonce, measure_aad,
                                                                       sizeof measure_aad, plain,
                                                                       MEASURE_LEN, out}) == 0;
}

static bool open_one(const struct measured *measured, const uint8_t *sealed, uint8_t *out)
{
    return measured->type->open(measured->open, &(struct lh_aead_text){
                                                    measure_nonce, measure_aad, sizeof measure_aad,
                                                    sealed, MEASURE_LEN + LH_PACKET_TAG, out}) == 0;
}

// Does it seal to the bytes that libcrypto seals to, and open them again?
static bool agrees(const struct measured *measured, const struct lh_aead_type *reference)
{
    static const uint8_t plain[MEASURE_LEN] = {1, 2, 3, 4};
    uint8_t sealed[MEASURE_LEN + LH_PACKET_TAG], theirs[MEASURE_LEN + LH_PACKET_TAG];
    uint8_t opened[MEASURE_LEN];
    struct measured other;

    if (!seal_one(measured, plain, sealed) || !open_one(measured, sealed, opened) ||
        memcmp(opened, plain, sizeof plain) != 0)
        return false;
    if (reference == measured->type)
        return true;
    if (!measured_init(&other, reference))
        return false;
    bool same = seal_one(&other, plain, theirs) && memcmp(sealed, theirs, sizeof sealed) == 0;
    measured_fini(&other);
    return same;
}

lh_ns lh_aead_packet_time(const struct lh_aead_type *type, lh_ns (*clock)(void))
{
    const struct lh_aead_type *reference = lh_aead_by_id(type->id);
    uint8_t packet[MEASURE_LEN + LH_PACKET_TAG] = {0};
    struct measured measured;
    lh_ns best = LH_NEVER;

    LH_ASSERT(reference != NULL);
    if (!measured_init(&measured, type))
        return LH_NEVER;
    int rounds = agrees(&measured, reference) ? MEASURE_ROUNDS : 0;
    for (int round = 0; round < rounds; round++) {
        lh_ns began = clock();
        for (int i = 0; i < MEASURE_PACKETS; i++) {
            if (!seal_one(&measured, packet, packet) || !open_one(&measured, packet, packet))
                LH_UNREACHABLE(); // it has just worked
        }
        best = lh_ns_min(best, lh_ns_since(clock(), began) / (2 * MEASURE_PACKETS));
    }
    measured_fini(&measured);
    return best;
}

const struct lh_aead_type *lh_aead_fastest(uint8_t id, lh_ns (*clock)(void), lh_ns *out_time)
{
    const struct lh_aead_type *best = NULL, *type;
    lh_ns best_time = LH_NEVER;
    for (size_t i = 0; (type = lh_aead_implementation(i)) != NULL; i++) {
        if (type->id != id)
            continue;
        lh_ns time = lh_aead_packet_time(type, clock);
        if (time < best_time) {
            best = type;
            best_time = time;
        }
    }
    if (out_time != NULL)
        *out_time = best_time;
    return best;
}
