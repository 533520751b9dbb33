// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "run/cipher.h"

static bool names(const struct lh_hello_info *offer, uint8_t id)
{
    size_t count = 0;
    for (size_t i = 0; i < offer->aead_count; i++)
        count += offer->aeads[i] == id;
    assert_true(count <= 1);
    return count == 1;
}

static void a_client_always_names_what_every_peer_has(void **state)
{
    (void)state;
    for (int again = 0; again < 20; again++) { // it measures
        struct lh_hello_info offer = {0};
        lh_cipher_offer(&offer);
        assert_true(offer.aead_count >= 3 && offer.aead_count <= LH_HELLO_CHOICES_MAX);
        assert_true(names(&offer, LH_AEAD_AES128_GCM));
        assert_true(names(&offer, LH_AEAD_AES256_GCM));
        assert_true(names(&offer, LH_AEAD_CHACHA20_POLY1305));
        assert_false(names(&offer, LH_AEAD_NULL));
        // OCB is named only where it leads.
        if (names(&offer, LH_AEAD_AES128_OCB))
            assert_true(offer.aeads[0] == LH_AEAD_AES128_OCB);
        for (size_t i = 0; i < offer.aead_count; i++)
            assert_non_null(lh_cipher_fastest(offer.aeads[i]));
    }
}

static void a_server_accepts_every_suite_of_the_build_and_no_other(void **state)
{
    (void)state;
    struct lh_hello_info offer = {0};
    lh_cipher_accept(&offer);
    assert_true(offer.aead_count <= LH_HELLO_CHOICES_MAX);
    for (unsigned id = 0; id < 256; id++) {
        bool is_real = id != LH_AEAD_NULL && lh_aead_by_id((uint8_t)id) != NULL;
        check_int(names(&offer, (uint8_t)id), is_real);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_always_names_what_every_peer_has),
        cmocka_unit_test(a_server_accepts_every_suite_of_the_build_and_no_other),
    };
    return cmocka_run_group_tests_name("cipher", tests, NULL, NULL);
}
