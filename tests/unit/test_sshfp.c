// SPDX-License-Identifier: Apache-2.0
//
// Fingerprints of host keys, and the helper that tells ssh which key is expected.
#include "ssh/pin.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "check.h"
#include "ssh/helper.h"
#include "ssh/ssh_internal.h"

// Keys made by ssh-keygen, with the fingerprints that ssh-keygen -l and sha1sum print for them.
static const struct known_key {
    const char *type, *key, *sha256, *sha1;
} keys[] = {
    {"ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIHMKJe9lNn/q8BYWri5E3Qxc9GLlKCBcyR/EDrcnyGTN",
     "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jI",
     "f136cc7a9d67ae1b6f22f16a296b4ded5f63d237"},
    {"ecdsa-sha2-nistp256",
     "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFPxA9jGyRRqqIcWSWX5qGv0+JTofoD9INLeFyP/"
     "xaxxEaXNrO4AK+3Z+QgXKMimFTPvwwDhBkjIz36RkUsgv/E=",
     "SHA256:WPzb9nSqo494f/tCMvOMfHcdL4HsKDlbAa4fw0kmPus",
     "7abd105edf738b8c1d03872d2056216983ca6c76"},
    {"ssh-rsa",
     "AAAAB3NzaC1yc2EAAAADAQABAAABAQC32w2Ct2gaBcm5zDMMrQjYIK5KoeIgITOE0E6Q6yojAvKlGM1YhcYwwAqvUiiqT"
     "GMf"
     "qkG+es5+XwJel4TOeQc364+Aoy5j6Lk8hVZxkDK2aJsUR5NM3yG3/XY5vDsL+6CuEg9G/"
     "Dp5dNTcLQtTGRhXLQ3SHfZTfKc3"
     "39e0/KNI8oJX8wmbY1p8YrGiDipf9IIXu1QIXh3Ui3ZjHf/"
     "OxvPCt6WGTingt06ZpuyqOXnXGzCD9U5Evt+8S5wz8hv6U5uN"
     "4aOXmxbsN7Yqks1hU//TSo2fsB+GVVI2StaL6uFgPb5cEyVluveuul6XfBjbLq2+JkvcnfE1sDl1aJ48USIJ",
     "SHA256:dHMT0azeS75xhNl7s8/Hl1nicET8SP+XtKkB1gwYoBo",
     "1a5e38c60ef8d14930397affe6387d36417aacec"},
};

static size_t blob_of(const struct known_key *key, uint8_t blob[1024])
{
    size_t len;
    check_ok(lh_base64_decode(key->key, strlen(key->key), blob, 1024, &len));
    return len;
}

static void matches_keys_by_either_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(keys); i++) {
        for (size_t j = 0; j < LH_ARRAY_LEN(keys); j++) {
            uint8_t blob[1024];
            size_t len = blob_of(&keys[j], blob);
            struct lh_pin pins[2];
            check_ok(lh_pin_parse(keys[i].sha256, &pins[0]));
            check_ok(lh_pin_parse(keys[i].sha1, &pins[1]));
            check_int(lh_pin_matches(&pins[0], 1, blob, len), i == j);
            check_int(lh_pin_matches(&pins[1], 1, blob, len), i == j);
            check_int(lh_pin_matches(pins, 2, blob, len), i == j);
            check_int(lh_pin_matches(pins, 0, blob, len), 0);
            check_int(lh_pin_matches(pins, 2, blob, len - 1), 0);
        }
    }
}

static void reads_what_users_paste(void **state)
{
    (void)state;
    static const char *const good[] = {
        "f136cc7a9d67ae1b6f22f16a296b4ded5f63d237",
        "F136CC7A9D67AE1B6F22F16A296B4DED5F63D237",
        "f1:36:cc:7a:9d:67:ae:1b:6f:22:f1:6a:29:6b:4d:ed:5f:63:d2:37",
    };
    char text[LH_PIN_TEXT];
    struct lh_pin pin;
    for (size_t i = 0; i < LH_ARRAY_LEN(good); i++) {
        check_ok(lh_pin_parse(good[i], &pin));
        assert_string_equal(lh_pin_format(&pin, text, sizeof text), good[0]);
    }
    check_ok(lh_pin_parse("SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jI=", &pin));
    assert_string_equal(lh_pin_format(&pin, text, sizeof text), keys[0].sha256);
}

static void refuses_everything_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "f136cc7a9d67ae1b6f22f16a296b4ded5f63d23",
        "f136cc7a9d67ae1b6f22f16a296b4ded5f63d2377",
        "g136cc7a9d67ae1b6f22f16a296b4ded5f63d237",
        "f136cc7a9d67ae1b6f22f16a296b4ded5f63d237 ",
        "f1:36cc7a9d67ae1b6f22f16a296b4ded5f63d237",
        "f1:36:cc:7a:9d:67:ae:1b:6f:22:f1:6a:29:6b:4d:ed:5f:63:d2:37:",
        "f136:cc:7a:9d:67:ae:1b:6f:22:f1:6a:29:6b:4d:ed:5f:63:d2:37",
        "SHA256:",
        "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/j",
        "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jIA",
        "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jJ", // a stray bit at the end
        "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jI==",
        "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/ j",
        "sha256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jI",
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
    };
    struct lh_pin pin = {.kind = 77};
    for (size_t i = 0; i < LH_ARRAY_LEN(bad); i++)
        if (lh_pin_parse(bad[i], &pin) != LH_E_INVALID)
            fail_msg("'%s' was accepted", bad[i]);
    check_int(pin.kind, 77);
}

static void families_go_from_one_to_the_next(void **state)
{
    (void)state;
    check_int(lh_key_family_of("ssh-ed25519"), LH_KEY_ED25519);
    check_int(lh_key_family_of("ecdsa-sha2-nistp521"), LH_KEY_ECDSA);
    check_int(lh_key_family_of("ssh-rsa"), LH_KEY_RSA);
    check_int(lh_key_family_of("ssh-ed25519-cert-v01@openssh.com"), LH_KEY_FAMILY_N_);
    check_int(lh_key_family_of(""), LH_KEY_FAMILY_N_);
    assert_non_null(strstr(lh_key_algorithms_from(LH_KEY_ED25519), "ssh-ed25519,ecdsa"));
    assert_null(strstr(lh_key_algorithms_from(LH_KEY_ECDSA), "ed25519"));
    assert_string_equal(lh_key_algorithms_from(LH_KEY_RSA), "rsa-sha2-512,rsa-sha2-256");
    assert_string_equal(lh_key_algorithms_from(LH_KEY_FAMILY_N_), "");
}

// Runs lh-known-hosts in a child; gives its exit status and what it printed.
static int run_helper(const char *dir, char *const *args, char *out, size_t room)
{
    char program[LH_SSH_DIR_MAX + 32];
    char *argv[16] = {lh_ssh_dir_file(dir, LH_HELPER_KNOWN_HOSTS, program, sizeof program)};
    int fds[2], argc = 1, status;
    ssize_t len;

    for (; args[argc - 1] != NULL; argc++)
        argv[argc] = args[argc - 1];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], 1);
        status = 99;
        (void)lh_ssh_helper_main(argc, argv, &status);
        _exit(status);
    }
    (void)close(fds[1]);
    len = read(fds[0], out, room - 1);
    out[len > 0 ? len : 0] = '\0';
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static void the_helper_prints_the_expected_key_only(void **state)
{
    (void)state;
    struct known_key ed = keys[0], rsa = keys[2];
    const struct {
        const char *args[6];
        int status;
        const char *line; // NULL: nothing
    } cases[] = {
        {{"HOSTNAME", ed.type, ed.key, ed.sha256}, 0, ed.key},
        {{"HOSTNAME", ed.type, ed.key, ed.sha1}, 0, ed.key},
        {{"HOSTNAME", ed.type, ed.key, rsa.sha1, ed.sha256}, 0, ed.key},
        {{"HOSTNAME", rsa.type, rsa.key, rsa.sha1}, 0, rsa.key},
        {{"HOSTNAME", ed.type, ed.key, rsa.sha256}, 0, NULL},
        {{"ORDER", "NONE", "NONE", ed.sha256}, 0, NULL},
        {{"ADDRESS", ed.type, ed.key, ed.sha256}, 0, NULL},
        {{"HOSTNAME", rsa.type, ed.key, ed.sha256}, 1, NULL},  // the type is not the key's
        {{"HOSTNAME", "ssh-dss", ed.key, ed.sha256}, 1, NULL}, // nor one we know
        {{"HOSTNAME", ed.type, "!", ed.sha256}, 1, NULL},
        {{"HOSTNAME", ed.type, "", ed.sha256}, 1, NULL},
        {{"HOSTNAME", ed.type, ed.key, "nonsense"}, 1, NULL},
        {{"HOSTNAME", ed.type, ed.key}, 1, NULL},
        {{"HOSTNAME"}, 1, NULL},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_ssh_dir dir;
        char *args[7] = {0};
        char out[1024], expected[1024] = "";
        struct lh_errinfo info = {0};
        check_ok(lh_ssh_dir_make(&dir, &info));
        for (size_t j = 0; j < 6; j++)
            args[j] = (char *)(uintptr_t)cases[i].args[j];
        if (cases[i].line != NULL)
            (void)snprintf(expected, sizeof expected, "* %s %s\n", args[1], cases[i].line);
        check_int(run_helper(dir.path, args, out, sizeof out), cases[i].status);
        assert_string_equal(out, expected);
        lh_ssh_dir_remove(&dir);
    }
}

static void the_helper_notes_what_it_saw(void **state)
{
    (void)state;
    struct lh_ssh_dir dir;
    struct lh_seen_key seen[LH_SEEN_MAX];
    struct lh_errinfo info = {0};
    struct lh_pin pins[2];
    char out[1024];

    check_ok(lh_ssh_dir_make(&dir, &info));
    check_uint(lh_seen_read(dir.path, seen), 0);
    for (size_t i = 0; i < LH_ARRAY_LEN(keys); i++) {
        char *args[] = {(char *)(uintptr_t) "HOSTNAME", (char *)(uintptr_t)keys[i].type,
                        (char *)(uintptr_t)keys[i].key, (char *)(uintptr_t)keys[2].sha1, NULL};
        check_int(run_helper(dir.path, args, out, sizeof out), 0);
        check_uint(lh_seen_read(dir.path, seen), i + 1);
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(keys); i++) {
        assert_string_equal(seen[i].type, keys[i].type);
        assert_string_equal(seen[i].sha256, keys[i].sha256);
        assert_string_equal(seen[i].sha1, keys[i].sha1);
        check_int(seen[i].is_match, i == 2);
    }
    check_ok(lh_pin_parse(keys[1].sha1, &pins[0]));
    pins[1] = pins[0];
    check_err(lh_seen_mismatch(pins, 2, seen, 1, &info), LH_E_AUTH);
    check_uint(info.exit_code, 51);
    assert_string_equal(info.text, "Remote host is not who we expected: expected "
                                   "7abd105edf738b8c1d03872d2056216983ca6c76 or 1 more, it showed "
                                   "ssh-ed25519 f136cc7a9d67ae1b6f22f16a296b4ded5f63d237");
    lh_ssh_dir_remove(&dir);
    check_int(access(dir.path, F_OK), -1);
}

// The longest message names three keys; nothing of it may be cut off.
static void the_longest_mismatch_fits(void **state)
{
    (void)state;
    struct lh_seen_key seen[LH_SEEN_MAX] = {0};
    struct lh_pin pin;
    struct lh_errinfo info = {0};
    for (size_t i = 0; i < LH_SEEN_MAX; i++) {
        (void)snprintf(seen[i].type, sizeof seen[i].type, "ecdsa-sha2-nistp256");
        (void)snprintf(seen[i].sha256, LH_PIN_TEXT, "%s", keys[i].sha256);
    }
    check_ok(lh_pin_parse(keys[0].sha256, &pin));
    check_err(lh_seen_mismatch(&pin, 1, seen, LH_SEEN_MAX, &info), LH_E_AUTH);
    assert_non_null(strstr(info.text, keys[2].sha256));
}

static void only_our_links_make_a_helper(void **state)
{
    (void)state;
    char *names[] = {(char *)(uintptr_t) "lhcp", (char *)(uintptr_t) "/usr/bin/lhcp",
                     (char *)(uintptr_t) "lh-askpass", (char *)(uintptr_t) ""};
    int status;
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++)
        assert_false(lh_ssh_helper_main(1, &names[i], &status));
    assert_false(lh_ssh_helper_main(0, NULL, &status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_keys_by_either_form),
        cmocka_unit_test(reads_what_users_paste),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(families_go_from_one_to_the_next),
        cmocka_unit_test(the_helper_prints_the_expected_key_only),
        cmocka_unit_test(the_helper_notes_what_it_saw),
        cmocka_unit_test(the_longest_mismatch_fits),
        cmocka_unit_test(only_our_links_make_a_helper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
