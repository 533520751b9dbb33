// SPDX-License-Identifier: Apache-2.0
//
// Values in force, where they come from, and what is odd about a file. That they are sshd's is
// shown by tests/sshd/sshd_differential.c; here is what no sshd says.
#include "sshdcfg/effective.h"

#include "base/cleanup.h"
#include "check.h"
#include "sshdcfg/evaluate_internal.h"

static const char defaults_text[] = "port 22\npermitrootlogin without-password\nciphers a,b,c\n"
                                    "allowtcpforwarding yes\nbanner none\nfuturekeyword 5\n"
                                    "maxstartups 10:30:100\nrekeylimit 0 0\n";

struct fixture {
    struct lh_sshd_values defaults;
    struct lh_sshd_target target;
    struct lh_sshd_doc *doc;
    struct lh_sshd_effective effective;
};

static const struct lh_sshd_world no_world = {0};
static const struct lh_sshd_persona root = {.user = "root", .user_exists = true};

static struct lh_sshd_doc *parse(const char *text)
{
    struct lh_sshd_doc *doc = NULL;
    check_ok(lh_sshd_doc_parse("file", text, strlen(text), &doc));
    return doc;
}

static void evaluate_doc(struct fixture *fixture,
                         struct lh_sshd_doc *doc,
                         const struct lh_sshd_doc *command_line,
                         bool ports)
{
    *fixture = (struct fixture){.doc = doc};
    check_ok(lh_sshd_values_read(&fixture->defaults, defaults_text, strlen(defaults_text)));
    fixture->target =
        (struct lh_sshd_target){.defaults = &fixture->defaults, .known = {"a,b,c,d,e"}};
    struct lh_sshd_input input = {
        .file = doc, .command_line = command_line, .ports_from_command_line = ports};
    check_ok(lh_sshd_evaluate(&input, &fixture->target, &no_world, &root, &fixture->effective));
}

static void evaluate(struct fixture *fixture, const char *text)
{
    evaluate_doc(fixture, parse(text), NULL, false);
}

static void fini(struct fixture *fixture)
{
    lh_sshd_effective_fini(&fixture->effective);
    lh_sshd_values_fini(&fixture->defaults);
    lh_sshd_doc_free(fixture->doc);
}

static void expect(const struct fixture *fixture, const char *keyword, const char *text)
{
    const char *got = lh_sshd_values_text(&fixture->effective.values, keyword);
    if (strcmp(got, text) != 0)
        fail_msg("%s: got \"%s\", expected \"%s\"", keyword, got, text);
}

static void every_value_names_the_line_it_comes_from(void **state)
{
    struct fixture fixture;

    (void)state;
    evaluate(&fixture, "# first\nPermitRootLogin no\nMatch User root\nBanner /x\n");
    const struct lh_sshd_value *value =
        lh_sshd_values_find(&fixture.effective.values, "permitrootlogin", 0);
    assert_ptr_equal(value->doc, fixture.doc);
    check_uint(value->line, 1);
    value = lh_sshd_values_find(&fixture.effective.values, "banner", 0);
    check_uint(value->line, 3);
    value = lh_sshd_values_find(&fixture.effective.values, "allowtcpforwarding", 0);
    assert_null(value->doc);
    expect(&fixture, "allowtcpforwarding", "yes");
    fini(&fixture);
}

static void included_files_count_where_they_are_included(void **state)
{
    struct fixture fixture;
    struct lh_sshd_doc *top = parse("Include x\nPermitRootLogin yes\n");

    (void)state;
    check_ok(lh_sshd_doc_attach(top, 0, parse("PermitRootLogin no\nMatch User root\nBanner /i\n")));
    evaluate_doc(&fixture, top, NULL, false);
    expect(&fixture, "permitrootlogin", "no");
    expect(&fixture, "banner", "/i");
    assert_ptr_equal(lh_sshd_values_find(&fixture.effective.values, "banner", 0)->doc,
                     top->lines[0].includes[0]);
    fini(&fixture);
}

static void the_command_line_wins_over_the_file(void **state)
{
    struct fixture fixture;
    LH_CLEANUP(lh_sshd_doc_freep)
    struct lh_sshd_doc *command_line = parse("PermitRootLogin yes\nPort 2222\n");

    (void)state;
    evaluate_doc(&fixture, parse("PermitRootLogin no\nPort 22\n"), command_line, true);
    expect(&fixture, "permitrootlogin", "yes");
    expect(&fixture, "port", "2222");
    assert_null(lh_sshd_values_find(&fixture.effective.values, "port", 1));
    fini(&fixture);
}

static void odd_lines_are_named(void **state)
{
    static const struct {
        const char *text;
        enum lh_sshd_problem_kind kind;
        size_t line;
    } rows[] = {
        {"Port 22\nCiphres a\n", LH_SSHD_UNKNOWN_KEYWORD, 1},
        {"Protocol 2\n", LH_SSHD_OBSOLETE, 0},
        {"PermitRootLogin no\nPermitRootLogin yes\n", LH_SSHD_DEAD, 1},
        {"Match User root\nCiphers a\n", LH_SSHD_REFUSED, 1},
        {"\"PermitRootLogin no\n", LH_SSHD_UNSEEN, 0},
        {"PermitRootLogin maybe\n", LH_SSHD_REFUSED, 0},
        {"PermitRootLogin\n", LH_SSHD_REFUSED, 0},
        {"PermitRootLogin no way\n", LH_SSHD_REFUSED, 0},
        {"Banner \"x\n", LH_SSHD_REFUSED, 0},
        {"MaxAuthTries -1\n", LH_SSHD_REFUSED, 0},
        {"LoginGraceTime 1y\n", LH_SSHD_REFUSED, 0},
        {"LoginGraceTime 99999999w\n", LH_SSHD_REFUSED, 0},
        {"RekeyLimit 5\n", LH_SSHD_REFUSED, 0},
        {"RekeyLimit 1x\n", LH_SSHD_REFUSED, 0},
        {"Port 0\n", LH_SSHD_REFUSED, 0},
        {"Port 65536\n", LH_SSHD_REFUSED, 0},
        {"ListenAddress [::1\n", LH_SSHD_REFUSED, 0},
        {"Subsystem sftp\n", LH_SSHD_REFUSED, 0},
        {"Subsystem s a\nSubsystem s b\n", LH_SSHD_REFUSED, 1},
        {"IPQoS 256\n", LH_SSHD_REFUSED, 0},
        {"StreamLocalBindMask 1000\n", LH_SSHD_REFUSED, 0},
        {"MaxStartups 10:30\n", LH_SSHD_REFUSED, 0},
        {"MaxStartups 10:101:20\n", LH_SSHD_REFUSED, 0},
        {"PubkeyAuthOptions maybe\n", LH_SSHD_REFUSED, 0},
        {"AuthorizedKeysCommand keys\n", LH_SSHD_REFUSED, 0},
        {"Include\n", LH_SSHD_REFUSED, 0},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct fixture fixture;
        evaluate(&fixture, rows[i].text);
        if (fixture.effective.problem_count != 1)
            fail_msg("\"%s\": %zu problems", rows[i].text, fixture.effective.problem_count);
        check_int(fixture.effective.problems[0].kind, rows[i].kind);
        check_uint(fixture.effective.problems[0].line, rows[i].line);
        fini(&fixture);
    }
}

static void keywords_of_a_newer_sshd_are_kept(void **state)
{
    struct fixture fixture;

    (void)state;
    evaluate(&fixture, "FutureKeyword 7\nFutureKeyword 8\n");
    expect(&fixture, "futurekeyword", "7");
    fini(&fixture);
    evaluate(&fixture, "");
    expect(&fixture, "futurekeyword", "5");
    fini(&fixture);
}

static void lists_of_algorithms_follow_the_binary(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"a", "a"},      {"c,a", "c,a"},     {"+d", "a,b,c,d"}, {"^d,b", "d,b,a,c"},  {"-b", "a,c"},
        {"-*", ""},      {"a,a", "a"},       {"a,,d", "a,d"},   {"+d,,e", "a,b,c,d"}, {"a,,,", "a"},
        {"+a", "a,b,c"}, {"*", "a,b,c,d,e"}, {"-*,!b", "b"},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        char *got = lh_sshd_algorithms(rows[i].text, "a,b,c", "a,b,c,d,e");
        if (got == NULL || strcmp(got, rows[i].expected) != 0)
            fail_msg("\"%s\": got \"%s\"", rows[i].text, got);
        free(got);
    }
}

// sshd before 9.4 asks whether AuthorizedKeysCommand is set, and else lets the last line win.
static void an_old_quirk_is_followed_for_old_versions_only(void **state)
{
    struct fixture fixture;
    LH_CLEANUP(lh_sshd_doc_freep)
    struct lh_sshd_doc *doc =
        parse("AuthorizedPrincipalsCommand /a\nAuthorizedPrincipalsCommand /b\n");
    struct lh_sshd_input input = {.file = doc};

    (void)state;
    evaluate(&fixture, "");
    for (unsigned version = 902; version <= 904; version += 2) {
        struct lh_sshd_effective effective;
        fixture.target.version = version;
        check_ok(lh_sshd_evaluate(&input, &fixture.target, &no_world, &root, &effective));
        assert_string_equal(lh_sshd_values_text(&effective.values, "authorizedprincipalscommand"),
                            version < 904 ? "/b" : "/a");
        lh_sshd_effective_fini(&effective);
    }
    fini(&fixture);
}

static void the_patterns_of_an_include_line_are_found(void **state)
{
    LH_CLEANUP(lh_sshd_doc_freep)
    struct lh_sshd_doc *doc = parse("Include sshd_config.d/*.conf /x \"a b\"\nPort 22\n");
    char **patterns;

    (void)state;
    check_ok(lh_sshd_include_patterns(doc, 0, "/etc/ssh", &patterns));
    assert_string_equal(patterns[0], "/etc/ssh/sshd_config.d/*.conf");
    assert_string_equal(patterns[1], "/x");
    assert_string_equal(patterns[2], "/etc/ssh/a b");
    assert_null(patterns[3]);
    free((void *)patterns);
    check_int(lh_sshd_include_patterns(doc, 1, "/etc/ssh", &patterns), LH_NONE);
}

// lh_sshd_keyword_find searches by halves.
static void the_table_of_keywords_is_sorted_and_its_aliases_lead_somewhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < lh_sshd_keyword_count; i++) {
        const struct lh_sshd_keyword *keyword = &lh_sshd_keywords[i];
        if (i > 0 && strcmp(lh_sshd_keywords[i - 1].name, keyword->name) >= 0)
            fail_msg("%s is out of order", keyword->name);
        if (keyword->prints != NULL)
            assert_non_null(lh_sshd_keyword_find(keyword->prints));
        check_int(keyword->kind == LH_SSHD_CHOICE, keyword->choices != NULL);
    }
    assert_non_null(lh_sshd_keyword_find("PermitROOTLogin"));
    assert_null(lh_sshd_keyword_find("permit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_names_the_line_it_comes_from),
        cmocka_unit_test(included_files_count_where_they_are_included),
        cmocka_unit_test(the_command_line_wins_over_the_file),
        cmocka_unit_test(odd_lines_are_named),
        cmocka_unit_test(keywords_of_a_newer_sshd_are_kept),
        cmocka_unit_test(lists_of_algorithms_follow_the_binary),
        cmocka_unit_test(an_old_quirk_is_followed_for_old_versions_only),
        cmocka_unit_test(the_patterns_of_an_include_line_are_found),
        cmocka_unit_test(the_table_of_keywords_is_sorted_and_its_aliases_lead_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
