// SPDX-License-Identifier: Apache-2.0
#include "run/cipher.h"

#include "base/assert.h"
#include "base/cleanup.h"
#include "sys/clock.h"

// A suite leads the offer instead of AES-128-GCM when its packets take less than this share of the
// time: less would let chance choose.
#define LEAD_NUMERATOR   4
#define LEAD_DENOMINATOR 5

const struct lh_aead_type *lh_cipher_fastest(uint8_t id)
{
    return lh_aead_fastest(id, lh_clock_now, NULL);
}

void lh_cipher_accept(struct lh_hello_info *offer)
{
    static const uint8_t all[] = {LH_AEAD_AES128_GCM, LH_AEAD_AES256_GCM, LH_AEAD_CHACHA20_POLY1305,
                                  LH_AEAD_AES128_OCB};
    offer->aead_count = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(all); i++)
        if (lh_aead_by_id(all[i]) != NULL)
            offer->aeads[offer->aead_count++] = all[i];
}

void lh_cipher_offer(struct lh_hello_info *offer)
{
    static const struct {
        uint8_t id;
        bool only_if_fast;
    } others[] = {
        {LH_AEAD_AES128_OCB, true},
        {LH_AEAD_CHACHA20_POLY1305, false},
    };
    lh_ns gcm_time;
    const struct lh_aead_type *gcm = lh_aead_fastest(LH_AEAD_AES128_GCM, lh_clock_now, &gcm_time);
    uint8_t behind[LH_ARRAY_LEN(others)];
    size_t behind_count = 0;

    offer->aead_count = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(others); i++) {
        lh_ns time;
        const struct lh_aead_type *type = lh_aead_fastest(others[i].id, lh_clock_now, &time);
        if (type == NULL)
            continue;
        if (gcm == NULL || time * LEAD_DENOMINATOR < gcm_time * LEAD_NUMERATOR)
            offer->aeads[offer->aead_count++] = others[i].id;
        else if (!others[i].only_if_fast)
            behind[behind_count++] = others[i].id;
    }
    offer->aeads[offer->aead_count++] = LH_AEAD_AES128_GCM;
    offer->aeads[offer->aead_count++] = LH_AEAD_AES256_GCM;
    for (size_t i = 0; i < behind_count; i++)
        offer->aeads[offer->aead_count++] = behind[i];
    LH_ASSERT(offer->aead_count <= LH_HELLO_CHOICES_MAX);
}
