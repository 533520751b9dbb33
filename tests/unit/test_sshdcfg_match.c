// SPDX-License-Identifier: Apache-2.0
//
// How lines are taken apart, and whom Match lines mean.
#include "sshdcfg/match.h"

#include "base/cleanup.h"
#include "check.h"
#include "sshdcfg/split.h"

static void lines_are_taken_apart_as_sshd_does(void **state)
{
    static const struct {
        const char *line;
        enum lh_sshd_line_kind kind;
        const char *keyword;
        const char *words; // joined by '|'; "!" = bad quotes
    } rows[] = {
        {"", LH_SSHD_BLANK, NULL, NULL},
        {"   \t", LH_SSHD_BLANK, NULL, NULL},
        {"  # Port 22", LH_SSHD_COMMENT, NULL, NULL},
        {"#\"Banner x", LH_SSHD_COMMENT, NULL, NULL},
        {"Port 22", LH_SSHD_STATEMENT, "Port", "22"},
        {"Port=22", LH_SSHD_STATEMENT, "Port", "22"},
        {"Port = 22", LH_SSHD_STATEMENT, "Port", "22"},
        {"Port == 22", LH_SSHD_STATEMENT, "Port", "=|22"},
        {"= Port 22", LH_SSHD_STATEMENT, "Port", "22"},
        {"\"Port\" 22", LH_SSHD_STATEMENT, "Port", "22"},
        {"Po\"rt\" 22", LH_SSHD_STATEMENT, "Port", "22"},
        {"\"Port 22", LH_SSHD_SKIPPED, NULL, NULL},
        {"Port\"22", LH_SSHD_SKIPPED, NULL, NULL},
        {"Port", LH_SSHD_STATEMENT, "Port", ""},
        {"Banner \"a b\" # c", LH_SSHD_STATEMENT, "Banner", "a b"},
        {"Banner a#b", LH_SSHD_STATEMENT, "Banner", "a#b"},
        {"Banner 'a\"b'", LH_SSHD_STATEMENT, "Banner", "a\"b"},
        {"Banner a\\ b \\\\ \\\"", LH_SSHD_STATEMENT, "Banner", "a b|\\|\""},
        {"Banner \"a", LH_SSHD_STATEMENT, "Banner", "!"},
        {"AllowUsers D\\u", LH_SSHD_STATEMENT, "AllowUsers", "D\\u"},
        {"Port 22\r", LH_SSHD_STATEMENT, "Port", "22"},
        {"Port 22\f", LH_SSHD_STATEMENT, "Port", "22"},
        {"SetEnv \"\" b", LH_SSHD_STATEMENT, "SetEnv", "|b"},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_sshd_statement statement = {0};
        enum lh_sshd_line_kind kind;
        char words[256] = "";
        check_ok(lh_sshd_split(rows[i].line, strlen(rows[i].line), &kind, &statement));
        if (kind != rows[i].kind)
            fail_msg("\"%s\": kind %d", rows[i].line, kind);
        if (kind != LH_SSHD_STATEMENT)
            continue;
        assert_string_equal(statement.keyword, rows[i].keyword);
        for (size_t n = 0; n < statement.count; n++)
            (void)snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s",
                           n == 0 ? "" : "|", statement.words[n]);
        assert_string_equal(statement.bad_quotes ? "!" : words, rows[i].words);
        assert_null(statement.words[statement.count]);
        lh_sshd_statement_fini(&statement);
    }
}

static void patterns_match_as_sshd_does(void **state)
{
    static const struct {
        const char *text, *list;
        int expected;
    } rows[] = {
        {"root", "root", 1},
        {"root", "r*t", 1},
        {"root", "r??t", 1},
        {"root", "r?t", 0},
        {"root", "*", 1},
        {"", "*", 1},
        {"", "?", 0},
        {"root", "a,root", 1},
        {"root", "!root,*", -1},
        {"root", "*,!root", -1},
        {"root", "!bin", 0},
        {"root", "", 0},
        {"aXbXc", "a*X*c", 1},
        {"aaaaaaaaab", "*a*a*b", 1},
        {"root", "root,", 1},
        {"a,b", "a,b", 0},
        {"Root", "root", 0},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        int got = lh_sshd_pattern_list(rows[i].text, rows[i].list, false);
        if (got != rows[i].expected)
            fail_msg("\"%s\" in \"%s\": %d", rows[i].text, rows[i].list, got);
    }
    check_int(lh_sshd_pattern_list("host", "HO*", true), 1);
    assert_true(lh_sshd_pattern("a*b", "a*b"));
}

// A pattern of many stars must not take exponential time.
static void hostile_patterns_are_cheap(void **state)
{
    char text[2001], pattern[1001];

    (void)state;
    memset(text, 'a', 2000);
    text[2000] = '\0';
    for (size_t i = 0; i < 1000; i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[999] = 'b';
    pattern[1000] = '\0';
    assert_false(lh_sshd_pattern(text, pattern));
}

static void addresses_match_as_sshd_does(void **state)
{
    static const struct {
        const char *address, *list;
        int expected;
    } rows[] = {
        {"10.1.2.3", "10.0.0.0/8", 1},
        {"11.1.2.3", "10.0.0.0/8", 0},
        {"10.1.2.3", "10.1.2.3", 1},
        {"10.1.2.3", "!10.1.2.3,10.0.0.0/8", -1},
        {"10.1.2.3", "10.0.0.0/8,!10.1.2.3", -1},
        {"10.1.2.3", "10.1.*", 1},
        {"10.1.2.3", "10.0.0.1/8", -2},
        {"10.1.2.3", "10.0.0.0/33", -2},
        {"10.1.2.3", "", -2},
        {"10.1.2.3", "10.1.2.3,", 0 - 2},
        {"10.1.2.3", "0.0.0.0/0", 1},
        {"10.1.2.3", "::/0", 0},
        {"10.0.0.1", "10.1", 1},
        {"10.0.0.1", "0x0a000001", 1},
        {"10.0.0.1", "012.0.0.1", 1},
        {"2001:db8::1", "2001:DB8::/32", 1},
        {"2001:db8::1", "2001:db8:0:0:0:0:0:1", 1},
        {"2001:db8::1", "2001:db9::/32", 0},
        {"::ffff:1.2.3.4", "::ffff:102:304", 1},
        {"::1", "::1", 1},
        {"::", "::/128", 1},
        {"::1", "1::/15", -2},
        {"nonsense", "10.0.0.1/8", 0},
        {NULL, "10.0.0.0/8,x*", 0},
        {NULL, "10.0.0.1/8", -2},
        {"1.2.3.4", "1.2.3.4.5", 0},
        {"1.2.3.4", "1::2::3", 0},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        int got = lh_sshd_address_list(rows[i].address, rows[i].list);
        if (got != rows[i].expected)
            fail_msg("\"%s\" in \"%s\": %d", rows[i].address == NULL ? "" : rows[i].address,
                     rows[i].list, got);
    }
}

static int one_service(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "ssh") == 0 ? 22 : -1;
}

static void match_lines_mean_whom_sshd_says(void **state)
{
    static const char *const groups[] = {"staff", "transfer"};
    static const struct lh_sshd_persona joe = {.user = "joe",
                                               .user_exists = true,
                                               .groups = groups,
                                               .group_count = 2,
                                               .host = "Client.Example.org",
                                               .address = "10.0.0.1",
                                               .local_address = "192.0.2.2",
                                               .local_port = 22};
    static const struct lh_sshd_persona stranger = {
        .user = "eve", .groups = groups, .group_count = 2};
    static const struct {
        const char *line;
        int joe, stranger, nobody;
    } rows[] = {
        {"all", 1, 1, 1},
        {"all # comment", 1, 1, 1},
        {"all User joe", -1, -1, -1},
        {"User joe all", -1, -1, -1},
        {"User joe", 1, 0, 0},
        {"user=joe", 1, 0, 0},
        {"User joe,eve Group transfer", 1, 0, 0},
        {"Group !staff,transfer", 0, 0, 0},
        {"Host client.example.*", 1, 0, 0},
        {"Address 10.0.0.0/8 LocalAddress 192.0.2.2", 1, 0, 0},
        {"Address 10.0.0.1/8", -1, -1, -1},
        {"LocalPort 22", 1, 0, 0},
        {"LocalPort ssh", 1, 0, 0},
        {"LocalPort none", -1, -1, -1},
        {"RDomain x", 0, 0, 0},
        {"Invalid-User", 0, 1, 0},
        {"Colour red", -1, -1, -1},
        {"User", -1, -1, -1},
        {"", -1, -1, -1},
        {"# nothing", -1, -1, -1},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        char copies[3][128];
        char *at[3];
        for (size_t n = 0; n < 3; n++) {
            (void)snprintf(copies[n], sizeof copies[n], "%s", rows[i].line);
            at[n] = copies[n];
        }
        if (lh_sshd_match_line(&at[0], &joe, one_service, NULL) != rows[i].joe ||
            lh_sshd_match_line(&at[1], &stranger, one_service, NULL) != rows[i].stranger ||
            lh_sshd_match_line(&at[2], NULL, one_service, NULL) != rows[i].nobody)
            fail_msg("Match %s", rows[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_taken_apart_as_sshd_does),
        cmocka_unit_test(patterns_match_as_sshd_does),
        cmocka_unit_test(hostile_patterns_are_cheap),
        cmocka_unit_test(addresses_match_as_sshd_does),
        cmocka_unit_test(match_lines_mean_whom_sshd_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
