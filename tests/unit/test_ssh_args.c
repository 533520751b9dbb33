// SPDX-License-Identifier: Apache-2.0
//
// The command line of ssh, what its death means, and SSH_CONNECTION.
#include <stdlib.h>

#include "base/cleanup.h"
#include "check.h"
#include "ssh/connection.h"
#include "ssh/ssh_internal.h"

// Index of `text` in the arguments, 0 where it is not.
static size_t find(const struct lh_ssh_args *args, const char *text)
{
    for (size_t i = 1; i < args->count; i++)
        if (strcmp(args->argv[i], text) == 0)
            return i;
    return 0;
}

static struct lh_ssh_args *build(const struct lh_ssh_options *options)
{
    struct lh_ssh_args *args = calloc(1, sizeof *args);
    struct lh_errinfo info = {0};
    assert_non_null(args);
    lh_err err = lh_ssh_args_build(options, "/tmp/lhcp.x", args, &info);
    if (err != 0)
        fail_msg("%s", info.text);
    assert_null(args->argv[args->count]);
    return args;
}

static void safety_options_are_always_there(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "-x",
        "-a",
        "-T",
        "-oClearAllForwardings=yes",
        "-oRemoteCommand=none",
        "-oPermitLocalCommand=no",
        "-oRequestTTY=no",
        "-oForwardX11=no",
        "-oConnectTimeout=8",
        "-p33001",
    };
    static const char *const extra[] = {"-oRemoteCommand=evil", "-A"};
    struct lh_ssh_options options = {.host = "host.example",
                                     .user = "user-name",
                                     .port = 33001,
                                     .extra = extra,
                                     .extra_count = 2};
    struct lh_ssh_args *args = build(&options);
    assert_string_equal(args->argv[0], "ssh");
    for (size_t i = 0; i < LH_ARRAY_LEN(expected); i++)
        if (find(args, expected[i]) == 0)
            fail_msg("%s is missing", expected[i]);
    assert_true(find(args, "-luser-name") > 0);
    // The first setting wins in ssh, so ours come first; the remote word is last and alone.
    assert_true(find(args, "-oRemoteCommand=none") < find(args, "-oRemoteCommand=evil"));
    assert_true(find(args, "-A") < find(args, "--"));
    check_uint(find(args, "--"), args->count - 3);
    assert_string_equal(args->argv[args->count - 2], "host.example");
    assert_string_equal(args->argv[args->count - 1], "lhserver");
    check_uint(find(args, "-oControlPath=none"), 0);
    check_uint(find(args, "-oIdentitiesOnly=yes"), 0);
    free(args);
}

static void pins_shut_out_every_other_source_of_keys(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "-oControlPath=none",
        "-oUserKnownHostsFile=none",
        "-oGlobalKnownHostsFile=none",
        "-oStrictHostKeyChecking=yes",
        "-oUpdateHostKeys=no",
        "-oVerifyHostKeyDNS=no",
        "-oCheckHostIP=no",
        "-oKnownHostsCommand=/tmp/lhcp.x/lh-known-hosts %I %t %K "
        "f136cc7a9d67ae1b6f22f16a296b4ded5f63d237 "
        "SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jI",
    };
    static const char *const extra[] = {"-oStrictHostKeyChecking=no"};
    struct lh_pin pins[2];
    struct lh_ssh_options options = {
        .host = "h", .pins = pins, .pin_count = 2, .extra = extra, .extra_count = 1};
    check_ok(lh_pin_parse("f136cc7a9d67ae1b6f22f16a296b4ded5f63d237", &pins[0]));
    check_ok(lh_pin_parse("SHA256:Uys6tVMDNiHUOFPo6mqg+fhEzRMTVEIbl35IlZ3a/jI", &pins[1]));
    struct lh_ssh_args *args = build(&options);
    for (size_t i = 0; i < LH_ARRAY_LEN(expected); i++)
        if (find(args, expected[i]) == 0)
            fail_msg("%s is missing", expected[i]);
    assert_true(find(args, "-oStrictHostKeyChecking=yes") < find(args, extra[0]));
    assert_non_null(strstr(args->argv[args->algorithms_at], "=ssh-ed25519,ecdsa"));
    lh_ssh_args_set_families(args, LH_KEY_RSA);
    assert_string_equal(args->argv[args->algorithms_at],
                        "-oHostKeyAlgorithms=rsa-sha2-512,rsa-sha2-256");
    free(args);
}

static void named_keys_are_the_only_ones_offered(void **state)
{
    (void)state;
    static const char *const identities[] = {"/k/one", "-odd name"};
    struct lh_ssh_options options = {.host = "h", .identities = identities, .identity_count = 2};
    struct lh_ssh_args *args = build(&options);
    assert_true(find(args, "-oIdentitiesOnly=yes") > 0);
    for (size_t i = 0; i < 2; i++) {
        size_t at = find(args, identities[i]);
        assert_true(at > 1);
        assert_string_equal(args->argv[at - 1], "-i");
    }
    free(args);
}

static void questions_make_no_connection(void **state)
{
    (void)state;
    struct lh_ssh_options options = {.host = "h", .port = 7};
    struct lh_ssh_args *args = build(&options);
    check_ok(lh_ssh_args_only_ask(args, "-G"));
    assert_string_equal(args->argv[1], "-G");
    assert_string_equal(args->argv[args->count - 1], "lhserver");
    assert_null(args->argv[args->count]);
    check_uint(find(args, "--"), args->count - 3);
    free(args);
}

static void hosts_and_users_cannot_become_something_else(void **state)
{
    (void)state;
    static const struct {
        const char *host, *user;
        bool is_fine;
    } cases[] = {
        {"host", NULL, true},
        {"host.example", "u", true},
        {"fe80::1%eth0", "u", true},
        {"h\xc3\xb6st", "j\xc3\xbcrgen", true},
        {"host", "DOM\\user", true},
        {"host", "", true},
        {"", NULL, false},
        {"-oProxyCommand=x", NULL, false},
        {"host", "-oProxyCommand=x", false},
        {"a b", NULL, false},
        {"a\nb", NULL, false},
        {"a`b`", NULL, false},
        {"$(b)", NULL, false},
        {"a;b", NULL, false},
        {"a|b", NULL, false},
        {"a\x7f", NULL, false},
        {"u@h", NULL, false},
        {"h", "a b", false},
        {"h", "a'b", false},
        {"h", "a\nb", false},
        {"h", "$(b)", false},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_errinfo info = {0};
        lh_err err = lh_ssh_names_check(cases[i].host, cases[i].user, &info);
        if ((err == 0) != cases[i].is_fine)
            fail_msg("'%s' '%s': %d", cases[i].host, cases[i].user != NULL ? cases[i].user : "",
                     err);
    }
}

static void too_many_arguments_are_refused(void **state)
{
    (void)state;
    const char *many[LH_SSH_EXTRA_MAX + 1];
    static char huge[LH_SSH_ARGS_TEXT];
    const char *identity = huge;
    struct lh_ssh_args *args = calloc(1, sizeof *args);
    struct lh_ssh_options options = {.host = "h", .extra = many, .extra_count = LH_SSH_EXTRA_MAX};
    for (size_t i = 0; i < LH_ARRAY_LEN(many); i++)
        many[i] = "-4";
    check_ok(lh_ssh_args_build(&options, NULL, args, NULL));
    options.extra_count++;
    check_err(lh_ssh_args_build(&options, NULL, args, NULL), LH_E_LIMIT);
    memset(huge, 'x', sizeof huge - 1);
    options = (struct lh_ssh_options){.host = "h", .identities = &identity, .identity_count = 1};
    check_err(lh_ssh_args_build(&options, NULL, args, NULL), LH_E_LIMIT);
    free(args);
}

#define EXITED(code) ((code) << 8)

static void every_death_of_ssh_says_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *messages;
        int status;
        bool was_established;
        uint16_t exit_code;
        bool retry_helps;
        const char *part; // of the text
    } cases[] = {
        {"ssh: connect to host h port 33001: Connection refused\r\n", EXITED(255), false, 12, true,
         "port 33001 of h is closed: no SSH server listens there. Try -P 22"},
        {"ssh: connect to host h port 33001: Connection timed out\r\n", EXITED(255), false, 12,
         true, "Try -P 22"},
        {"Connection timed out during banner exchange\r\n", EXITED(255), false, 12, true,
         "no answer from port 33001"},
        {"ssh: Could not resolve hostname h: Name or service not known\r\n", EXITED(255), false, 12,
         false, "there is no host h"},
        {"ssh: Could not resolve hostname h: Temporary failure in name resolution\r\n", EXITED(255),
         false, 12, true, "looked up"},
        {"Warning: something\nu@h: Permission denied (publickey).\r\n", EXITED(255), false, 19,
         false, "(u@h: Permission denied (publickey).)"},
        {"Received disconnect from h: 2: Too many authentication failures\n", EXITED(255), false,
         19, false, "-i KEY"},
        {"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n",
         EXITED(255), false, 51, false, "another key than known_hosts has"},
        {"No ED25519 host key is known for [h]:33001 and you have requested strict checking.\n"
         "Host key verification failed.\n",
         EXITED(255), false, 51, false, "not known"},
        {"Host key verification failed.\n", EXITED(255), false, 51, false, "--check-sshfp"},
        {"bash: line 1: lhserver: command not found\n", EXITED(127), false, 12, false,
         "install longhaul there"},
        {"sh: lhserver: Permission denied\n", EXITED(126), false, 12, false, "permissions"},
        {"This account is closed (yesterday).\n", EXITED(1), false, 12, false,
         "This account is closed (yesterday)."},
        {"kex_exchange_identification: Connection closed by remote host\n", EXITED(255), false, 12,
         true, "Try again later"},
        {"something new\r\n\r\n", EXITED(255), false, 12, true, "with h: something new"},
        {"", 9, false, 12, true, "it gave no reason"},
        {"Timeout, server h not responding.\r\n", EXITED(255), true, 16, true, "was lost (Timeout"},
        {"Connection refused\n", EXITED(0), true, 16, true, "was lost"},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_errinfo info = {0};
        struct lh_ssh_end end = {.host = "h",
                                 .port = 33001,
                                 .status = cases[i].status,
                                 .was_established = cases[i].was_established,
                                 .messages = cases[i].messages};
        bool retry_helps = !cases[i].retry_helps;
        assert_true(lh_ssh_explain(&end, &retry_helps, &info) < 0);
        check_uint(info.exit_code, cases[i].exit_code);
        check_int(retry_helps, cases[i].retry_helps);
        const char *part = cases[i].part;
        if (strstr(info.text, part) == NULL)
            fail_msg("'%s' lacks '%s'", info.text, part);
    }
}

static void no_other_port_is_suggested_where_the_server_answered_before(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "ssh: connect to host h port 33001: Connection refused\r\n",
        "ssh: connect to host h port 33001: Connection timed out\r\n"};
    for (size_t i = 0; i < LH_ARRAY_LEN(messages); i++) {
        struct lh_errinfo info = {0};
        struct lh_ssh_end end = {.host = "h",
                                 .port = 33001,
                                 .status = EXITED(255),
                                 .was_reached = true,
                                 .messages = messages[i]};
        bool retry_helps = false;
        check_err(lh_ssh_explain(&end, &retry_helps, &info), i == 0 ? LH_E_CLOSED : LH_E_TIMEOUT);
        assert_true(retry_helps);
        assert_null(strstr(info.text, "-P"));
        assert_non_null(strstr(info.text, "port 33001 of h"));
    }
}

static void the_other_port_is_suggested(void **state)
{
    (void)state;
    struct lh_errinfo info = {0};
    struct lh_ssh_end end = {
        .host = "h", .port = 22, .status = EXITED(255), .messages = "Connection refused"};
    bool retry_helps;
    assert_true(lh_ssh_explain(&end, &retry_helps, &info) < 0);
    assert_non_null(strstr(info.text, "Try -P 33001"));
}

static void over_long_messages_are_cut_not_overrun(void **state)
{
    (void)state;
    static char messages[LH_SSH_MESSAGES_MAX + 1];
    char host[256];
    struct lh_errinfo info = {0};
    struct lh_ssh_end end = {.host = host, .port = 1, .status = EXITED(3), .messages = messages};
    bool retry_helps;
    memset(messages, 'm', sizeof messages - 1);
    memset(host, 'h', sizeof host - 1);
    host[255] = '\0';
    assert_true(lh_ssh_explain(&end, &retry_helps, &info) < 0);
    assert_true(strlen(info.text) < LH_ERRINFO_TEXT);
}

static void reads_ssh_connection(void **state)
{
    (void)state;
    static const uint8_t six[16] = {0x20, 1, 0xd, 0xb8, [15] = 7};
    struct lh_ssh_connection connection;
    check_ok(lh_ssh_connection_parse("192.0.2.1 50000 198.51.100.7 33001", &connection));
    check_uint(connection.client.family, 4);
    check_uint(connection.client.bytes[3], 1);
    check_uint(connection.client_port, 50000);
    check_uint(connection.server.bytes[0], 198);
    check_uint(connection.server_port, 33001);
    check_ok(lh_ssh_connection_parse("fe80::1%eth0 1 2001:db8::7 2", &connection));
    check_uint(connection.server.family, 6);
    assert_memory_equal(connection.server.bytes, six, 16);
    check_ok(lh_ssh_connection_parse("::ffff:192.0.2.1 1 ::ffff:192.0.2.9 2", &connection));
    check_uint(connection.server.family, 4);
    check_uint(connection.server.bytes[3], 9);
    check_uint(connection.server.bytes[4], 0);
}

static void refuses_other_connections(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "192.0.2.1 1 192.0.2.2",
        "192.0.2.1 1 192.0.2.2 2 3",
        "192.0.2.1 1 192.0.2.2 65536",
        "host 1 192.0.2.2 2",
        "192.0.2.1  1 192.0.2.2 2",
        "192.0.2.1 x 192.0.2.2 2",
        "UNKNOWN 65535 UNKNOWN 65535",
    };
    struct lh_ssh_connection connection;
    char longest[300];
    for (size_t i = 0; i < LH_ARRAY_LEN(bad); i++)
        if (lh_ssh_connection_parse(bad[i], &connection) != LH_E_INVALID)
            fail_msg("'%s' was accepted", bad[i]);
    memset(longest, '1', sizeof longest);
    longest[299] = '\0';
    check_err(lh_ssh_connection_parse(longest, &connection), LH_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safety_options_are_always_there),
        cmocka_unit_test(pins_shut_out_every_other_source_of_keys),
        cmocka_unit_test(named_keys_are_the_only_ones_offered),
        cmocka_unit_test(questions_make_no_connection),
        cmocka_unit_test(hosts_and_users_cannot_become_something_else),
        cmocka_unit_test(too_many_arguments_are_refused),
        cmocka_unit_test(every_death_of_ssh_says_what_to_do),
        cmocka_unit_test(no_other_port_is_suggested_where_the_server_answered_before),
        cmocka_unit_test(the_other_port_is_suggested),
        cmocka_unit_test(over_long_messages_are_cut_not_overrun),
        cmocka_unit_test(reads_ssh_connection),
        cmocka_unit_test(refuses_other_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
