// SPDX-License-Identifier: Apache-2.0
//
// Public keys as text: what is one, of which type and size, with which fingerprints.
#include "sshdapply/hostkey.h"

#include "base/cleanup.h"
#include "check.h"

#define ED25519 "AAAAC3NzaC1lZDI1NTE5AAAAIHMKJe9lNn/q8BYWri5E3Qxc9GLlKCBcyR/EDrcnyGTN"
#define ECDSA                                                                                      \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFPxA9jGyRRqqIcWSWX5qGv0+JTofoD9INLeFyP/" \
    "xaxxEaXNrO4AK+3Z+QgXKMimFTPvwwDhBkjIz36RkUsgv/E="
#define RSA                                                                                        \
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQC32w2Ct2gaBcm5zDMMrQjYIK5KoeIgITOE0E6Q6yojAvKlGM1YhcYwwAqvUiiq" \
    "T"                                                                                            \
    "GMfqkG+es5+XwJel4TOeQc364+Aoy5j6Lk8hVZxkDK2aJsUR5NM3yG3/XY5vDsL+6CuEg9G/"                     \
    "Dp5dNTcLQtTGRhXLQ3SHfZTfKc339e0/KNI8oJX8wmbY1p8YrGiDipf9IIXu1QIXh3Ui3ZjHf/"                   \
    "OxvPCt6WGTingt06ZpuyqOXnXGzCD9U5Evt+8S5wz8hv6U5uN4aOXmxbsN7Yqks1hU//"                         \
    "TSo2fsB+GVVI2StaL6uFgPb5cEyVluveuul6XfBjbLq2+JkvcnfE1sDl1aJ48USIJ"

static struct lh_public_key key;

static void keys_are_read_with_type_size_and_fingerprints(void **state)
{
    static const struct {
        const char *line;
        const char *type;
        unsigned bits, sshfp;
        size_t options;
        const char *sha256, *sha1;
    } rows[] = {
        {"ssh-ed25519 " ED25519, "ssh-ed25519", 256, 4, 0,
         "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jI",
         "f136cc7a9d67ae1b6f22f16a296b4ded5f63d237"},
        {"  ecdsa-sha2-nistp256\t" ECDSA " a comment\r\n", "ecdsa-sha2-nistp256", 256, 3, 0,
         "SHA256:WPzb9nSqo494f/tCMvOMfHcdL4HsKDlbAa4fw0kmPus",
         "7abd105edf738b8c1d03872d2056216983ca6c76"},
        {"from=\"10.0.0.0/8 x\",no-pty ssh-rsa " RSA " c", "ssh-rsa", 2048, 1, 26,
         "SHA256:dHMT0azeS75xhNl7s8/Hl1nicET8SP+XtKkB1gwYoBo",
         "1a5e38c60ef8d14930397affe6387d36417aacec"},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        size_t options = 99;
        check_ok(lh_public_key_parse(rows[i].line, strlen(rows[i].line), &key, &options));
        assert_string_equal(key.type, rows[i].type);
        check_uint(key.bits, rows[i].bits);
        check_uint(options, rows[i].options);
        check_uint(lh_public_key_sshfp(&key), rows[i].sshfp);
        assert_string_equal(key.sha256, rows[i].sha256);
        assert_string_equal(key.sha1, rows[i].sha1);
    }
}

static void what_is_no_key_is_refused(void **state)
{
    static const struct {
        const char *line;
        lh_err expected;
    } rows[] = {
        {"", LH_NONE},
        {"   ", LH_NONE},
        {"# ssh-ed25519 " ED25519, LH_NONE},
        {"ssh-ed25519", LH_E_INVALID},
        {"ssh-rsa " ED25519, LH_E_INVALID}, // the type inside is another one
        {"ssh-ed25519 AAAA", LH_E_INVALID},
        {"ssh-ed25519 !!!!", LH_E_INVALID},
        {"ssh-ed25519 /////w==", LH_E_INVALID}, // a length beyond the end
        {"a b c d", LH_E_INVALID},
        {"command=\"x ssh-ed25519 " ED25519, LH_E_INVALID}, // an open quote
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        lh_err got = lh_public_key_parse(rows[i].line, strlen(rows[i].line), &key, NULL);
        if (got != rows[i].expected)
            fail_msg("\"%s\": %d", rows[i].line, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_with_type_size_and_fingerprints),
        cmocka_unit_test(what_is_no_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
