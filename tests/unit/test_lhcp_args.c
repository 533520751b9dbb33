// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "cmd/lhcp_args.h"

// Splits `line` at spaces and parses it; "_" stands for an empty word.
struct parsed {
    char text[1024];
    char *argv[64];
    int argc;
    struct lhcp_options options;
    struct lhcp_notices notices;
    struct lh_errinfo info;
    lh_err err;
};

static struct parsed *parse(const char *line)
{
    static struct parsed parsed;
    memset(&parsed, 0, sizeof parsed);
    (void)snprintf(parsed.text, sizeof parsed.text, "lhcp %s", line);
    for (char *word = strtok(parsed.text, " "); word != NULL; word = strtok(NULL, " ")) {
        if (strcmp(word, "_") == 0)
            *word = '\0';
        parsed.argv[parsed.argc++] = word;
    }
    parsed.err =
        lhcp_args_parse(parsed.argc, parsed.argv, &parsed.options, &parsed.notices, &parsed.info);
    return &parsed;
}

static struct parsed *parse_ok(const char *line)
{
    struct parsed *parsed = parse(line);
    if (parsed->err != 0)
        fail_msg("\"%s\" refused: %s", line, parsed->info.text);
    return parsed;
}

static void done(struct parsed *parsed)
{
    lhcp_options_fini(&parsed->options);
}

static void has_the_documented_defaults(void **state)
{
    (void)state;
    struct parsed *parsed = parse_ok("a host:b");
    struct lhcp_options *options = &parsed->options;
    check_int(options->action, LHCP_TRANSFER);
    check_int(options->direction, LHCP_SEND);
    check_uint(options->ssh_port, 33001);
    check_int(options->ssh_port_given, false);
    check_uint(options->udp_port, 33001);
    check_uint(options->rate_target, 0);
    check_int(options->policy, LHCP_POLICY_FAIR);
    check_int(options->resume, true);
    check_int(options->overwrite, LHCP_OVERWRITE_DIFF);
    check_int(options->symlinks, LHCP_SYMLINKS_COPY);
    check_int(options->udp, LHCP_UDP_AUTO);
    check_uint(options->block_log2, LH_BLOCK_LOG2_DEFAULT);
    check_uint(options->retry_timeout, LH_RETRY_TIMEOUT);
    check_uint(options->memory, LH_MEMORY_DEFAULT);
    check_uint(parsed->notices.count, 0);
    done(parsed);
}

static void takes_every_policy_and_ascps_letters_for_them(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum lhcp_policy policy;
    } cases[] = {
        {"--policy=fair a h:b", LHCP_POLICY_FAIR},
        {"--policy=high a h:b", LHCP_POLICY_HIGH},
        {"--policy=low a h:b", LHCP_POLICY_LOW},
        {"--policy=fixed -l1m a h:b", LHCP_POLICY_FIXED},
        {"-Q a h:b", LHCP_POLICY_FAIR},
        {"-QQ a h:b", LHCP_POLICY_LOW},
        {"-QQ --policy=high a h:b", LHCP_POLICY_HIGH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed *parsed = parse_ok(cases[i].line);
        check_int(parsed->options.policy, cases[i].policy);
        check_uint(parsed->notices.count, 0);
        done(parsed);
    }
}

static void takes_arguments_attached_and_separate_and_clustered(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "-l300m -P22 -O 44001 -QT -d a h:b",
        "-l 300m -P 22 -O44001 -TQ -d a h:b",
        "-QTl300m -P22 -O44001 -d a h:b",
        "-dQTl 300m -P22 -O44001 a h:b",
        "a h:b -P22 -O44001 -QT -l300m -d",
        "-l300m -P22 -O44001 -d -T -Q -- a h:b",
        "-l300m --policy=fair -T -P22 -O44001 -d a h:b",
        "-l300m --policy fair -T -P22 -O44001 -d a h:b",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct parsed *parsed = parse_ok(lines[i]);
        check_uint(parsed->options.rate_target, 300000000);
        check_uint(parsed->options.ssh_port, 22);
        check_int(parsed->options.ssh_port_given, true);
        check_uint(parsed->options.udp_port, 44001);
        check_int(parsed->options.create_destination, true);
        check_uint(parsed->notices.count, 1); // -T: data stays encrypted
        check_uint(parsed->options.source_count, 1);
        assert_string_equal(parsed->options.sources[0], "a");
        assert_string_equal(parsed->options.destination, "b");
        done(parsed);
    }
}

static void gathers_repeated_keys_and_fingerprints(void **state)
{
    (void)state;
    struct parsed *parsed =
        parse_ok("-i k1 -ik2 --check-sshfp 0123456789abcdef0123456789ABCDEF01234567 "
                 "--check-sshfp=SHA256:uKmPz6gUFoRCFLfe2WzJ4TN3xQ5zJIbqhQ6uX4kXkNs "
                 "--check-sshfp=01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67 a h:b");
    check_uint(parsed->options.identity_count, 2);
    assert_string_equal(parsed->options.identities[1], "k2");
    check_uint(parsed->options.fingerprint_count, 3);
    done(parsed);
}

static void finds_the_remote_side(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum lhcp_direction direction;
        const char *user, *host, *source, *destination;
    } cases[] = {
        {"a host:b", LHCP_SEND, "", "host", "a", "b"},
        {"a u@host:b", LHCP_SEND, "u", "host", "a", "b"},
        {"a u@host:", LHCP_SEND, "u", "host", "a", "."},
        {"u@host:a b", LHCP_RECEIVE, "u", "host", "a", "b"},
        {"u@host:/a b", LHCP_RECEIVE, "u", "host", "/a", "b"},
        {"a [2001:db8::1]:b", LHCP_SEND, "", "2001:db8::1", "a", "b"},
        {"a u@[fe80::1%eth0]:/b", LHCP_SEND, "u", "fe80::1%eth0", "a", "/b"},
        {"./a:b host:c", LHCP_SEND, "", "host", "./a:b", "c"},
        {"/x/a:b host:c", LHCP_SEND, "", "host", "/x/a:b", "c"},
        {":a host:c", LHCP_SEND, "", "host", ":a", "c"},
        {"host:a:b c", LHCP_RECEIVE, "", "host", "a:b", "c"},
        {"DOM\\user@host:a c", LHCP_RECEIVE, "DOM\\user", "host", "a", "c"},
        {"me@corp@host:a c", LHCP_RECEIVE, "me@corp", "host", "a", "c"},
        {"-- -a host:c", LHCP_SEND, "", "host", "-a", "c"},
        {"faux:///f?1g host:faux://", LHCP_SEND, "", "host", "faux:///f?1g", "faux://"},
        {"host:faux:///f?1g faux://", LHCP_RECEIVE, "", "host", "faux:///f?1g", "faux://"},
        {"--mode=send --host=h --user=u a:b c", LHCP_SEND, "u", "h", "a:b", "c"},
        {"--mode recv --host ::1 a b", LHCP_RECEIVE, "", "::1", "a", "b"},
        {"--user u a host:b", LHCP_SEND, "u", "host", "a", "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed *parsed = parse_ok(cases[i].line);
        check_int(parsed->options.direction, cases[i].direction);
        assert_string_equal(parsed->options.user, cases[i].user);
        assert_string_equal(parsed->options.host, cases[i].host);
        assert_string_equal(parsed->options.sources[0], cases[i].source);
        assert_string_equal(parsed->options.destination, cases[i].destination);
        done(parsed);
    }
}

static void takes_several_sources_of_one_side(void **state)
{
    (void)state;
    struct parsed *parsed = parse_ok("a b c u@h:d");
    check_uint(parsed->options.source_count, 3);
    done(parsed);
    parsed = parse_ok("u@h:a u@h:b d");
    check_uint(parsed->options.source_count, 2);
    assert_string_equal(parsed->options.sources[1], "b");
    done(parsed);
}

static void refuses_with_the_option_or_operand_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"--lanes 0 a h:b", "--lanes"},
        {"--lanes 16 a h:b", "--lanes"},
        {"--lanes x a h:b", "--lanes"},
        {"", "a source and a destination"},
        {"a", "a source and a destination"},
        {"a b", "one side must be remote"},
        {"h:a h:b", "both sides are remote"},
        {"a h:b h:c", "both sides are remote"},
        {"h:a b c", "partly here and partly there"},
        {"h:a g:b c", "different hosts"},
        {"u@h:a v@h:b c", "of different users"},
        {"-a h:b", "unknown option -a"},
        {"--nope a h:b", "unknown option --nope"},
        {"--\x1b[31m a h:b", "unknown option --\\x1b[31m"},
        {"--polic=fair a h:b", "unknown option --polic"},
        {"--json=1 a h:b", "--json takes no argument"},
        {"a h:b -P", "-P needs an argument"},
        {"-P0 a h:b", "option -P: \"0\" is not a port"},
        {"-P65536 a h:b", "is not a port"},
        {"-O 1x a h:b", "option -O: \"1x\" is not a port"},
        {"-l 0 a h:b", "is not a rate"},
        {"-l 80% a h:b", "share of a configured bandwidth"},
        {"-l \x1b[2J a h:b", "\\x1b[2J"},
        {"-m 2g -l 1g a h:b", "above the target rate"},
        {"--policy=best a h:b", "is none of: fair, high, low, fixed"},
        {"--policy=fixed a h:b", "needs a rate"},
        {"-c rot13 a h:b", "is none of: aes128"},
        {"-k4 a h:b", "resume level"},
        {"--overwrite=newer a h:b", "is none of: diff, always, never, older, diff+older"},
        {"--symbolic-links=follow a h:b", "not supported by this version"},
        {"--check-sshfp 00:11 a h:b", "is not a fingerprint"},
        {"--check-sshfp SHA256:short a h:b", "is not a fingerprint"},
        {"--memory 1m a h:b", "is not a size"},
        {"--block-size 65k a h:b", "is not a block size"},
        {"--retry-timeout -1 a h:b", "is not a number of seconds"},
        {"-i _ a h:b", "is empty"},
        {"a -oProxyCommand=x@h:b", "\"-oProxyCommand=x\" is not a user name"},
        {"-- a -oProxyCommand=x:b", "is not a host name"},
        {"a -:b", "unknown option"},
        {"a $(id)@h:b", "is not a user name"},
        {"a h;id:b", "is not a host name"},
        {"a fe80:::b", "in brackets"},
        {"_ h:b", "a source is empty"},
        {"h: b", "a source is empty"},
        {"faux:// h:b", "needs a name and a size"},
        {"a h:faux:///x?1", "the synthetic destination is faux://"},
        {"stdio:///x?5 h:b", "stdio:// is not supported"},
        {"--host h a b", "--host needs --mode"},
        {"--mode send a h:b", "--mode needs --host"},
        {"--host -x --mode send a b", "is not a host name"},
        {"--host h/x --mode send a b", "--host"},
        {"--user x/y a h:b", "--user"},
        {"--user u a v@h:b", "named twice"},
        {"--check", "one operand"},
        {"--check h a", "one operand"},
        {"--check h:a", "one operand"},
        {"--check -n h", "exclude each other"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *line = cases[i].line;
        // "-oProxyCommand" as an operand is only possible behind "--".
        bool is_dash_user = strncmp(line, "a -o", 4) == 0;
        char behind[256];
        (void)snprintf(behind, sizeof behind, "%s%s", is_dash_user ? "-- " : "", line);
        struct parsed *parsed = parse(behind);
        if (parsed->err != LH_E_INVALID)
            fail_msg("\"%s\" was not refused", line);
        if (strstr(parsed->info.text, cases[i].says) == NULL)
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", line, parsed->info.text, cases[i].says);
        check_uint(parsed->info.exit_code, 8);
        done(parsed);
    }
}

static void refuses_every_option_of_ascp_that_it_does_not_honour(void **state)
{
    (void)state;
    static const char *const options[] = {
        "-D",
        "-L",
        "-R",
        "-E",
        "-N",
        "-S",
        "-W",
        "-u",
        "-C",
        "-M",
        "-e",
        "-f",
        "-Z",
        "-g",
        "-G",
        "-X",
        "-w",
        "-K",
        "-@",
        "-6",
        "-o",
        "-y",
        "-t",
        "-x",
        "-Y",
        "-I",
        "-j",
        "--file-list",
        "--file-pair-list",
        "--source-prefix",
        "--src-base",
        "--src-base64",
        "--dest64",
        "--exclude-newer-than",
        "--exclude-older-than",
        "--skip-special-files",
        "--remove-after-transfer",
        "--remove-empty-directories",
        "--move-after-transfer",
        "--delete-before-transfer",
        "--save-before-overwrite",
        "--partial-file-suffix",
        "--precalculate-job-size",
        "--preserve-access-time",
        "--preserve-modification-time",
        "--preserve-file-owner-uid",
        "--preserve-acls",
        "--preserve-xattrs",
        "--file-checksum",
        "--file-manifest",
        "--file-crypt",
        "--ignore-host-key",
        "--allow-password-prompt",
        "--ssh-arg",
        "--ws-connect",
        "--proxy",
        "--tags",
        "--tags64",
        "--multi-session-threshold",
        "--keepalive",
        "--faspmgr-io",
        "--apply-local-docroot",
        "--no-open",
        "--no-read",
        "--no-write",
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char line[80];
        char says[80];
        (void)snprintf(line, sizeof line, "%s a h:b", options[i]);
        (void)snprintf(says, sizeof says, "option %s is not supported by this version", options[i]);
        struct parsed *parsed = parse(line);
        check_err(parsed->err, LH_E_INVALID);
        if (strstr(parsed->info.text, says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", parsed->info.text, says);
        done(parsed);
    }
}

static void resume_level_0_sends_everything_anew(void **state)
{
    (void)state;
    struct parsed *parsed = parse_ok("-k0 a h:b");
    check_int(parsed->options.resume, false);
    check_int(parsed->options.overwrite, LHCP_OVERWRITE_ALWAYS);
    done(parsed);
    parsed = parse_ok("-k 0 --overwrite=never a h:b");
    check_int(parsed->options.overwrite, LHCP_OVERWRITE_NEVER);
    done(parsed);
    for (int level = 1; level <= 3; level++) {
        char line[32];
        (void)snprintf(line, sizeof line, "-k%d a h:b", level);
        parsed = parse_ok(line);
        check_int(parsed->options.resume, true);
        check_int(parsed->options.overwrite, LHCP_OVERWRITE_DIFF);
        done(parsed);
    }
}

static void maps_ciphers_to_authenticated_ones(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum lhcp_cipher cipher;
        size_t notices;
    } cases[] = {
        {"a h:b", LHCP_CIPHER_AUTO, 0},
        {"-c aes128 a h:b", LHCP_CIPHER_AES128_GCM, 0},
        {"-caes256gcm a h:b", LHCP_CIPHER_AES256_GCM, 0},
        {"-c aes192 a h:b", LHCP_CIPHER_AES256_GCM, 1},
        {"-c aes128cfb a h:b", LHCP_CIPHER_AES128_GCM, 1},
        {"-c chacha20 a h:b", LHCP_CIPHER_CHACHA20_POLY1305, 0},
        {"-c ocb a h:b", LHCP_CIPHER_AES128_OCB, 0},
        {"-c none a h:b", LHCP_CIPHER_AUTO, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed *parsed = parse_ok(cases[i].line);
        check_int(parsed->options.cipher, cases[i].cipher);
        check_uint(parsed->notices.count, cases[i].notices);
        done(parsed);
    }
}

static void lanes_are_1_to_15(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned lanes;
    } cases[] = {{"a h:b", 1}, {"--lanes 1 a h:b", 1}, {"--lanes=15 a h:b", LH_LANES_MAX - 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed *parsed = parse_ok(cases[i].line);
        check_uint(parsed->options.lanes, cases[i].lanes);
        done(parsed);
    }
}

static void check_takes_a_bare_host(void **state)
{
    (void)state;
    static const struct {
        const char *line, *user, *host;
    } cases[] = {
        {"--check h", "", "h"},          {"--check u@h", "u", "h"},
        {"--check u@h:", "u", "h"},      {"--check --user u h", "u", "h"},
        {"--check u@[::1]", "u", "::1"}, {"--check --host ::1 --user u", "u", "::1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed *parsed = parse_ok(cases[i].line);
        check_int(parsed->options.action, LHCP_CHECK);
        assert_string_equal(parsed->options.user, cases[i].user);
        assert_string_equal(parsed->options.host, cases[i].host);
        done(parsed);
    }
}

static void help_and_version_need_no_operands(void **state)
{
    (void)state;
    struct parsed *parsed = parse_ok("--help");
    check_int(parsed->options.action, LHCP_HELP);
    parsed = parse_ok("-hh");
    check_int(parsed->options.action, LHCP_HELP);
    check_uint(parsed->options.verbose, 1);
    parsed = parse_ok("-A");
    check_int(parsed->options.action, LHCP_VERSION);
}

static void limits_of_lists_are_reached_and_refused(void **state)
{
    (void)state;
    char line[1024] = "";
    for (int i = 0; i < 17; i++)
        strncat(line, "-ik ", sizeof line - strlen(line) - 1);
    strncat(line, "a h:b", sizeof line - strlen(line) - 1);
    check_err(parse(line)->err, LH_E_INVALID);
    check_ok(parse(line + 4)->err);

    static char *argv[LH_SOURCES_MAX + 4];
    char program[] = "lhcp";
    char here[] = "a";
    char there[] = "h:b";
    struct lhcp_options options;
    struct lhcp_notices notices;
    struct lh_errinfo info = {0};
    argv[0] = program;
    for (int i = 1; i <= LH_SOURCES_MAX + 1; i++)
        argv[i] = here;
    argv[LH_SOURCES_MAX + 1] = there;
    check_ok(lhcp_args_parse(LH_SOURCES_MAX + 2, argv, &options, &notices, &info));
    check_uint(options.source_count, LH_SOURCES_MAX);
    lhcp_options_fini(&options);
    argv[LH_SOURCES_MAX + 1] = here;
    argv[LH_SOURCES_MAX + 2] = there;
    check_err(lhcp_args_parse(LH_SOURCES_MAX + 3, argv, &options, &notices, &info), LH_E_INVALID);
    lhcp_options_fini(&options);
}

static void help_names_every_shown_option_and_hh_the_refused_ones(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    lhcp_args_help(false, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "--check-sshfp=FP"));
    assert_non_null(strstr(text, "-P PORT"));
    assert_null(strstr(text, "--file-list"));
    free(text);
    out = open_memstream(&text, &len);
    lhcp_args_help(true, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "--file-list=FILE"));
    assert_non_null(strstr(text, "-T "));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_documented_defaults),
        cmocka_unit_test(takes_every_policy_and_ascps_letters_for_them),
        cmocka_unit_test(takes_arguments_attached_and_separate_and_clustered),
        cmocka_unit_test(gathers_repeated_keys_and_fingerprints),
        cmocka_unit_test(finds_the_remote_side),
        cmocka_unit_test(takes_several_sources_of_one_side),
        cmocka_unit_test(refuses_with_the_option_or_operand_named),
        cmocka_unit_test(refuses_every_option_of_ascp_that_it_does_not_honour),
        cmocka_unit_test(resume_level_0_sends_everything_anew),
        cmocka_unit_test(maps_ciphers_to_authenticated_ones),
        cmocka_unit_test(lanes_are_1_to_15),
        cmocka_unit_test(check_takes_a_bare_host),
        cmocka_unit_test(help_and_version_need_no_operands),
        cmocka_unit_test(limits_of_lists_are_reached_and_refused),
        cmocka_unit_test(help_names_every_shown_option_and_hh_the_refused_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
