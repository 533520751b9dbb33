// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"

static void knows_the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *padded;
    } cases[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        char out[16], bare[16];
        size_t len, bare_len = strcspn(cases[i].padded, "=");
        memcpy(bare, cases[i].padded, bare_len);
        bare[bare_len] = '\0';
        assert_string_equal(lh_base64_encode(cases[i].plain, strlen(cases[i].plain), out), bare);
        check_ok(lh_base64_decode(cases[i].padded, strlen(cases[i].padded), out, 16, &len));
        check_uint(len, strlen(cases[i].plain));
        assert_memory_equal(out, cases[i].plain, len);
        check_ok(lh_base64_decode(bare, bare_len, out, 16, &len));
        check_uint(len, strlen(cases[i].plain));
    }
}

static void refuses_what_is_not_base64(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",      "Zg=",      "Zg===", "Zm9v=",   "Zm9v====",
                                      "=",      "Zh==",     "Zm9=",  "Zm9v Yg", "Zm\n9v",
                                      "Zm9v-_", "Zg==Zg==", "Zm9vY", "====",    "Zm9vY==="};
    char out[16];
    size_t len;
    for (size_t i = 0; i < LH_ARRAY_LEN(bad); i++)
        if (lh_base64_decode(bad[i], strlen(bad[i]), out, sizeof out, &len) != LH_E_INVALID)
            fail_msg("'%s' was accepted", bad[i]);
    check_err(lh_base64_decode("Zg\0=", 4, out, sizeof out, &len), LH_E_INVALID);
    check_err(lh_base64_decode("Zm9vYmFy", 8, out, 5, &len), LH_E_LIMIT);
    check_ok(lh_base64_decode("Zm9vYmFy", 8, out, 6, &len));
}

static void decodes_what_it_encoded(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(5)};
    for (size_t len = 0; len < 200; len++) {
        uint8_t plain[200], back[200];
        char text[280];
        size_t back_len;
        lh_prng_fill(&prng, plain, len);
        lh_base64_encode(plain, len, text);
        check_uint(strlen(text), (len * 4 + 2) / 3);
        check_ok(lh_base64_decode(text, strlen(text), back, sizeof back, &back_len));
        check_uint(back_len, len);
        assert_memory_equal(back, plain, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_vectors_of_rfc_4648),
        cmocka_unit_test(refuses_what_is_not_base64),
        cmocka_unit_test(decodes_what_it_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
