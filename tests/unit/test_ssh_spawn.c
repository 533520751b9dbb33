// SPDX-License-Identifier: Apache-2.0
//
// Starting, feeding, ending and reaping ssh, with small shell scripts in ssh's place. What the real
// ssh does is tests/e2e/ssh_channel.sh.
#include "ssh/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "sys/clock.h"

static char dir[] = "/tmp/lh-test-ssh.XXXXXX";
static char program[64];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(program, sizeof program, "%s/ssh", mkdtemp(dir));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(program);
    return rmdir(dir);
}

// From now on `program` is this script. It answers -V as OpenSSH 9.2 unless it says something
// itself.
static void script(const char *text)
{
    FILE *file = fopen(program, "we");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\nif [ \"$1\" = -V ]; then echo '%s' >&2; exit 0; fi\n%s\n",
                  strncmp(text, "OpenSSH", 7) == 0 ? text : "OpenSSH_9.2p1 Test", text);
    (void)fclose(file);
    assert_int_equal(chmod(program, 0755), 0);
}

static struct lh_ssh *start(const struct lh_ssh_options *given)
{
    struct lh_ssh_options options = given != NULL ? *given : (struct lh_ssh_options){0};
    struct lh_errinfo info = {0};
    struct lh_ssh *ssh = NULL;

    options.program = program;
    options.host = "host";
    if (lh_ssh_start(&options, &ssh, &info) != 0)
        fail_msg("%s", info.text);
    return ssh;
}

// Reads what comes until the end, at most 5 s of silence.
static void read_all(int fd, char *out, size_t room)
{
    size_t used = 0;
    for (;;) {
        struct pollfd polled = {fd, POLLIN, 0};
        assert_int_equal(poll(&polled, 1, 5000), 1);
        ssize_t got = read(fd, out + used, room - 1 - used);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    out[used] = '\0';
}

static void bytes_go_both_ways_and_the_child_is_reaped(void **state)
{
    (void)state;
    char out[256];
    script("exec cat");
    struct lh_ssh *ssh = start(NULL);
    assert_int_equal(write(lh_ssh_input_fd(ssh), "there and back", 14), 14);
    lh_ssh_end_input(ssh);
    read_all(lh_ssh_output_fd(ssh), out, sizeof out);
    assert_string_equal(out, "there and back");
    lh_ssh_close(ssh, 1000);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // no child is left
    assert_int_equal(errno, ECHILD);
    lh_ssh_close(NULL, 0);
}

static void the_child_gets_three_descriptors_and_no_signal_to_die_of(void **state)
{
    (void)state;
    char out[512];
    int leak = open("/dev/null", O_RDONLY); // without close-on-exec: somebody else's mistake
    script("ls /proc/self/fd; grep SigIgn /proc/self/status");
    struct lh_ssh *ssh = start(NULL);
    read_all(lh_ssh_output_fd(ssh), out, sizeof out);
    // 3 is the folder that ls itself reads.
    assert_memory_equal(out, "0\n1\n2\n3\nSigIgn:", 15);
    uint64_t ignored = strtoull(strchr(out, ':') + 1, NULL, 16);
    assert_true((ignored & 1u << (SIGINT - 1)) != 0);
    check_uint(ignored & 1u << (SIGPIPE - 1), 0);
    const int ours[] = {lh_ssh_input_fd(ssh), lh_ssh_output_fd(ssh), lh_ssh_messages_fd(ssh)};
    for (size_t i = 0; i < LH_ARRAY_LEN(ours); i++) {
        check_int(fcntl(ours[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        check_int(fcntl(ours[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    }
    lh_ssh_close(ssh, 1000);
    (void)close(leak);
}

static void a_stubborn_child_is_killed(void **state)
{
    (void)state;
    char out[16];
    script("trap '' TERM; echo up; exec >&-; while :; do sleep 0.1; done");
    struct lh_ssh *ssh = start(NULL);
    read_all(lh_ssh_output_fd(ssh), out, sizeof out);
    lh_ns before = lh_clock_now();
    lh_ssh_close(ssh, 50);
    assert_true(lh_clock_now() - before < 3 * LH_SECOND);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void its_messages_explain_its_end(void **state)
{
    (void)state;
    char out[16];
    struct lh_errinfo info = {0};
    struct lh_ssh_options options = {.port = 33001};
    script("echo 'ssh: connect to host host port 33001: Connection refused' >&2; exit 255");
    struct lh_ssh *ssh = start(&options);
    read_all(lh_ssh_output_fd(ssh), out, sizeof out);
    check_err(lh_ssh_again(ssh, &info), LH_E_CLOSED);
    check_uint(info.exit_code, 12);
    assert_non_null(strstr(info.text, "Try -P 22"));
    assert_true(lh_ssh_retry_helps(ssh));
    lh_ssh_close(ssh, 0);
}

static void a_flood_of_messages_keeps_both_ends(void **state)
{
    (void)state;
    struct lh_errinfo info = {0};
    const char *text;
    size_t len, total = 0;
    lh_err err = 0;
    script("echo first; yes 0123456789abcdef | head -c 300000 >&2; echo last words >&2; exit 255");
    struct lh_ssh *ssh = start(NULL);
    while (err == 0) {
        struct pollfd polled = {lh_ssh_messages_fd(ssh), POLLIN, 0};
        assert_int_equal(poll(&polled, 1, 5000), 1);
        err = lh_ssh_messages_ready(ssh, &text, &len);
        total += len;
    }
    check_err(err, LH_EOF);
    check_int(lh_ssh_messages_fd(ssh), -1);
    assert_true(total > 300000);
    check_err(lh_ssh_why(ssh, &info), LH_E_CLOSED);
    check_uint(info.exit_code, 16);
    assert_non_null(strstr(info.text, "last words"));
    lh_ssh_close(ssh, 0);
}

static void a_missing_ssh_says_what_to_install(void **state)
{
    (void)state;
    struct lh_errinfo info = {0};
    struct lh_ssh *ssh = NULL;
    struct lh_ssh_options options = {.program = "/nonexistent/ssh", .host = "h"};
    check_err(lh_ssh_start(&options, &ssh, &info), LH_E_SYS);
    assert_non_null(strstr(info.text, "openssh-client"));
    check_uint(info.exit_code, 12);
    assert_null(ssh);
}

static void pins_need_a_new_enough_ssh(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        lh_err err;
        unsigned number;
    } cases[] = {
        {"OpenSSH_8.4p1, OpenSSL 1.1.1", LH_E_INVALID, 804},
        {"OpenSSH_7.9p1", LH_E_INVALID, 709},
        {"OpenSSH_8.5p1", 0, 805},
        {"OpenSSH_10.0p2 Debian", 0, 1000},
        {"Dropbear v2022.83", LH_E_INVALID, 0},
    };
    struct lh_pin pin;
    struct lh_ssh_options options = {.program = program, .host = "h", .pins = &pin, .pin_count = 1};
    check_ok(lh_pin_parse("f136cc7a9d67ae1b6f22f16a296b4ded5f63d237", &pin));
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_errinfo info = {0};
        struct lh_ssh *ssh = NULL;
        unsigned version = 0;
        char text[128];
        (void)snprintf(text, sizeof text, "echo '%s' >&2; exit 0", cases[i].version);
        FILE *file = fopen(program, "we");
        (void)fprintf(file, "#!/bin/sh\n%s\n", text);
        (void)fclose(file);
        check_err(lh_ssh_version(program, &version), cases[i].number != 0 ? 0 : LH_NONE);
        check_uint(version, cases[i].number);
        check_err(lh_ssh_start(&options, &ssh, &info), cases[i].err);
        if (cases[i].number == 804)
            assert_string_equal(info.text,
                                "ssh on this machine is OpenSSH 8.4; --check-sshfp needs "
                                "8.5 or newer");
        lh_ssh_close(ssh, 1000);
    }
}

static void the_configured_host_name_is_read(void **state)
{
    (void)state;
    char name[64];
    struct lh_ssh_options options = {.program = program, .host = "alias"};
    script("[ \"$1\" = -G ] || exit 1; echo 'user u'; echo 'hostname 192.0.2.7'; echo 'port 22'");
    check_ok(lh_ssh_hostname(&options, name, sizeof name));
    assert_string_equal(name, "192.0.2.7");
    check_err(lh_ssh_hostname(&options, name, 9), LH_NONE);
    script("exit 255");
    check_err(lh_ssh_hostname(&options, name, sizeof name), LH_NONE);
    script("exec sleep 20"); // does not answer
    lh_ns before = lh_clock_now();
    check_err(lh_ssh_hostname(&options, name, sizeof name), LH_NONE);
    assert_true(lh_clock_now() - before < 4 * LH_SECOND);
}

// A pinned host that shows another key each time: three connections, then error 51. The scripts do
// what ssh does: run KnownHostsCommand with the key, end where it is not known.
static void another_key_family_is_tried_three_times_at_most(void **state)
{
    (void)state;
    char out[16];
    struct lh_errinfo info = {0};
    struct lh_pin pin;
    struct lh_ssh_options options = {.pins = &pin, .pin_count = 1};
    lh_err err = 0;
    int connections = 0;

    check_ok(lh_pin_parse("f136cc7a9d67ae1b6f22f16a296b4ded5f63d237", &pin));
    script("for a; do case $a in -oKnownHostsCommand=*) c=${a#*=} ;; -oHostKeyAlgorithms=*) "
           "k=${a#*=} ;; esac; done\n"
           "case $k in ssh-ed25519*) t=ssh-ed25519 ;; ecdsa*) t=ecdsa-sha2-nistp256 ;; "
           "*) t=ssh-rsa ;; esac\n"
           "echo \"$t SHA256:x sha1 other\" >> \"${c%%/lh-known-hosts*}/seen\"; exit 255");
    struct lh_ssh *ssh = start(&options);
    while (err == 0) {
        connections++;
        read_all(lh_ssh_output_fd(ssh), out, sizeof out);
        err = lh_ssh_again(ssh, &info);
    }
    check_int(connections, 3);
    check_err(err, LH_E_AUTH);
    check_uint(info.exit_code, 51);
    assert_non_null(strstr(info.text, "it showed ssh-ed25519 sha1, ecdsa-sha2-nistp256 sha1, "
                                      "ssh-rsa sha1"));
    assert_false(lh_ssh_retry_helps(ssh));
    lh_ssh_close(ssh, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_the_child_is_reaped),
        cmocka_unit_test(the_child_gets_three_descriptors_and_no_signal_to_die_of),
        cmocka_unit_test(a_stubborn_child_is_killed),
        cmocka_unit_test(its_messages_explain_its_end),
        cmocka_unit_test(a_flood_of_messages_keeps_both_ends),
        cmocka_unit_test(a_missing_ssh_says_what_to_install),
        cmocka_unit_test(pins_need_a_new_enough_ssh),
        cmocka_unit_test(the_configured_host_name_is_read),
        cmocka_unit_test(another_key_family_is_tried_three_times_at_most),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
