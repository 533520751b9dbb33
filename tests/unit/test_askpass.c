// SPDX-License-Identifier: Apache-2.0
//
// Which questions of ssh a secret answers, and how the secret leaves the environment.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "ssh/helper.h"
#include "ssh/password.h"
#include "ssh/ssh_internal.h"

static void answers_passwords_and_passphrases_only(void **state)
{
    (void)state;
    static const struct {
        const char *prompt;
        bool is_special;
        enum lh_prompt kind;
    } cases[] = {
        {"user@host's password: ", false, LH_PROMPT_PASSWORD},
        {"(user@host) Password: ", false, LH_PROMPT_PASSWORD},
        {"Password:", false, LH_PROMPT_PASSWORD},
        {"Enter passphrase for key '/home/u/.ssh/id_rsa': ", false, LH_PROMPT_PASSPHRASE},
        {"Enter passphrase for key 'x password: ", false, LH_PROMPT_PASSPHRASE},
        {"The authenticity of host '[127.0.0.1]:33001' can't be established.\nED25519 key "
         "fingerprint is SHA256:x.\nAre you sure you want to continue connecting "
         "(yes/no/[fingerprint])? ",
         false, LH_PROMPT_OTHER},
        {"Please type 'yes', 'no' or the fingerprint: ", false, LH_PROMPT_OTHER},
        {"Are you sure (yes/no)? Password: ", false, LH_PROMPT_OTHER},
        {"user@host's password: ", true, LH_PROMPT_OTHER},
        {"Enter passphrase for key 'x': ", true, LH_PROMPT_OTHER},
        {"Allow use of key x?", true, LH_PROMPT_OTHER},
        {"Enter PIN for ED25519-SK key x: ", false, LH_PROMPT_OTHER},
        {"Confirm user presence for key ED25519-SK SHA256:x", false, LH_PROMPT_OTHER},
        {"(user@host) Verification code: ", false, LH_PROMPT_OTHER},
        {"Enter new password: x", false, LH_PROMPT_OTHER},
        {"password", false, LH_PROMPT_OTHER},
        {"assword:", false, LH_PROMPT_OTHER},
        {"", false, LH_PROMPT_OTHER},
        {" \n", false, LH_PROMPT_OTHER},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++)
        if (lh_prompt_kind(cases[i].prompt, cases[i].is_special) != cases[i].kind)
            fail_msg("'%s' (%d)", cases[i].prompt, cases[i].is_special);
}

static bool decide(struct lh_askpass *askpass, const char *prompt, int32_t parent)
{
    struct lh_askpass_question question = {.parent = parent};
    (void)snprintf(question.prompt, sizeof question.prompt, "%s", prompt);
    return lh_askpass_decide(askpass, &question, 100);
}

static void only_the_ssh_that_we_started_is_answered(void **state)
{
    (void)state;
    struct lh_askpass askpass = {.fd = -1};
    assert_false(decide(&askpass, "user@jump's password: ", 101)); // a jump host's ssh
    assert_false(decide(&askpass, "user@jump's password: ", 0));
    assert_true(decide(&askpass, "user@host's password: ", 100));
}

static void a_wrong_password_does_not_loop(void **state)
{
    (void)state;
    struct lh_askpass askpass = {.fd = -1};
    int answers = 0;
    while (answers < 1000 && decide(&askpass, "Password:", 100))
        answers++;
    check_int(answers, LH_ASKPASS_ANSWERS_MAX);
}

static void a_passphrase_of_a_named_key_is_not_sent_as_password(void **state)
{
    (void)state;
    struct lh_askpass named = {.fd = -1, .has_identities = true};
    struct lh_askpass unnamed = {.fd = -1};
    assert_true(decide(&named, "Password:", 100)); // no passphrase was asked for: it is a password
    assert_true(decide(&named, "Enter passphrase for key 'x': ", 100));
    assert_false(decide(&named, "Password:", 100));
    assert_true(decide(&unnamed, "Enter passphrase for key 'x': ", 100));
    assert_true(decide(&unnamed, "Password:", 100));
}

// Runs lh-askpass in a child, whose parent is this process, against `askpass`.
static int ask(struct lh_askpass *askpass,
               const char *dir,
               const char *prompt,
               pid_t ssh,
               char out[LH_PASSWORD_MAX + 2])
{
    char program[LH_SSH_DIR_MAX + 32];
    char *argv[] = {lh_ssh_dir_file(dir, LH_HELPER_ASKPASS, program, sizeof program),
                    (char *)(uintptr_t)prompt, NULL};
    int fds[2], status;
    ssize_t len;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], 1);
        status = 99;
        (void)lh_ssh_helper_main(2, argv, &status);
        _exit(status);
    }
    (void)close(fds[1]);
    if (askpass->fd >= 0) {
        (void)fcntl(askpass->fd, F_SETFL, 0); // wait for the child
        lh_askpass_serve(askpass, ssh);
    }
    len = read(fds[0], out, LH_PASSWORD_MAX + 1);
    out[len > 0 ? len : 0] = '\0';
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static void the_helper_fetches_the_secret_over_the_socket(void **state)
{
    (void)state;
    struct lh_ssh_dir dir;
    struct lh_askpass askpass;
    struct lh_password *password;
    struct lh_errinfo info = {0};
    char out[LH_PASSWORD_MAX + 2];

    assert_int_equal(setenv("LH_TEST_PASS", "s3 cr\xc3\xa9t%$\\", 1), 0);
    check_ok(lh_password_take("LH_TEST_PASS", &password));
    check_ok(lh_ssh_dir_make(&dir, &info));
    check_ok(lh_askpass_open(&askpass, dir.path, password, false, &info));
    check_int(ask(&askpass, dir.path, "u@h's password: ", getpid(), out), 0);
    assert_string_equal(out, "s3 cr\xc3\xa9t%$\\\n");
    check_int(ask(&askpass, dir.path, "Continue (yes/no)? ", getpid(), out), 1);
    assert_string_equal(out, "");
    check_int(ask(&askpass, dir.path, "u@h's password: ", getpid() + 1, out), 1);
    assert_string_equal(out, "");
    lh_askpass_close(&askpass);
    lh_askpass_close(&askpass);
    check_int(ask(&askpass, dir.path, "u@h's password: ", getpid(), out), 1);
    lh_ssh_dir_remove(&dir);
    lh_password_free(password);
}

extern char **environ;

static bool memory_has(const char *text)
{
    for (char **entry = environ; *entry != NULL; entry++)
        if (strstr(*entry, text) != NULL)
            return true;
    return false;
}

static void every_copy_leaves_the_environment(void **state)
{
    (void)state;
    static char first[] = "LH_TEST_PASS=hidden-secret", second[] = "LH_TEST_PASS=hidden-secret-2";
    static char other[] = "LH_TEST_PASSAGE=stays";
    char *block[] = {other, first, second, NULL};
    char **saved = environ;
    struct lh_password *password = NULL;
    size_t len;

    environ = block;
    check_ok(lh_password_take("LH_TEST_PASS", &password));
    check_int(memory_has("hidden-secret"), false);
    check_int(memory_has("LH_TEST_PASSAGE=stays"), true);
    assert_null(getenv("LH_TEST_PASS"));
    environ = saved;
    // Not even behind the variable's name, in the block that /proc/self/environ shows.
    for (size_t i = strlen("LH_TEST_PASS="); i < sizeof second; i++)
        check_int(second[i], 0);
    for (size_t i = strlen("LH_TEST_PASS="); i < sizeof first; i++)
        check_int(first[i], 0);
    const char *bytes = lh_password_bytes(password, &len);
    check_uint(len, strlen("hidden-secret"));
    assert_memory_equal(bytes, "hidden-secret", len);
    lh_password_free(password);
}

static void odd_passwords_are_told_apart(void **state)
{
    (void)state;
    struct lh_password *password = NULL;
    char longest[LH_PASSWORD_MAX + 2];

    (void)unsetenv("LH_TEST_PASS");
    check_err(lh_password_take("LH_TEST_PASS", &password), LH_NONE);
    (void)setenv("LH_TEST_PASS", "", 1);
    check_err(lh_password_take("LH_TEST_PASS", &password), LH_NONE);
    memset(longest, 'x', sizeof longest);
    longest[LH_PASSWORD_MAX + 1] = '\0';
    (void)setenv("LH_TEST_PASS", longest, 1);
    check_err(lh_password_take("LH_TEST_PASS", &password), LH_E_LIMIT);
    assert_null(getenv("LH_TEST_PASS"));
    assert_null(password);
    longest[LH_PASSWORD_MAX] = '\0';
    (void)setenv("LH_TEST_PASS", longest, 1);
    check_ok(lh_password_take("LH_TEST_PASS", &password));
    lh_password_free(password);
    lh_password_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_passwords_and_passphrases_only),
        cmocka_unit_test(only_the_ssh_that_we_started_is_answered),
        cmocka_unit_test(a_wrong_password_does_not_loop),
        cmocka_unit_test(a_passphrase_of_a_named_key_is_not_sent_as_password),
        cmocka_unit_test(the_helper_fetches_the_secret_over_the_socket),
        cmocka_unit_test(every_copy_leaves_the_environment),
        cmocka_unit_test(odd_passwords_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
