// SPDX-License-Identifier: Apache-2.0
//
// Settings go where they take effect, once, and the difference says exactly what changed.
#include "sshdcfg/plan.h"

#include "base/cleanup.h"
#include "check.h"

#define BEGIN "# lhctl sshd: begin. What is between the marks is written anew by every run.\n"
#define END   "# lhctl sshd: end\n"

static struct lh_sshd_setting items[] = {
    {.keyword = (char[]){"Port"}, .value = (char[]){"33001"}},
    {.keyword = (char[]){"UseDNS"}, .value = (char[]){"no"}},
    {.keyword = (char[]){"Match"}, .value = (char[]){"User a"}},
    {.keyword = (char[]){"ForceCommand"}, .value = (char[]){"x"}, .in_match = true},
    {.keyword = (char[]){"Match"}, .value = (char[]){"all"}}};
static const struct lh_sshd_settings plain = {.items = items, .count = 2};
static const struct lh_sshd_settings with_block = {.items = items, .count = LH_ARRAY_LEN(items)};

static struct lh_sshd_doc *parse(const char *text)
{
    struct lh_sshd_doc *doc = NULL;
    check_ok(lh_sshd_doc_parse("/etc/ssh/sshd_config", text, strlen(text), &doc));
    return doc;
}

static void expect(const struct lh_sshd_doc *doc, const char *text)
{
    char *printed;
    size_t len;
    check_ok(lh_sshd_doc_print(doc, &printed, &len));
    assert_string_equal(printed, text);
    free(printed);
}

static void settings_go_to_the_head_and_what_they_manage_becomes_a_comment(void **state)
{
    static const struct {
        const struct lh_sshd_settings *settings;
        const char *before, *after;
    } rows[] = {
        {&plain, "", BEGIN "Port 33001\nUseDNS no\n" END},
        {&plain, "PORT=22\nMatch User x\n  Banner y\n\tusedns yes",
         BEGIN "Port 33001\nUseDNS no\n" END
               "#lhctl# PORT=22\nMatch User x\n  Banner y\n#lhctl# \tusedns yes"},
        {&plain, "Subsystem sftp internal-sftp\nSubsystem x y\n",
         BEGIN "Port 33001\nUseDNS no\n" END
               "#lhctl# Subsystem sftp internal-sftp\nSubsystem x y\n"},
        {&with_block, "Banner x",
         BEGIN "Port 33001\nUseDNS no\n" END "Banner x\n" BEGIN
               "Match User a\n    ForceCommand x\nMatch all\n" END},
        // What an earlier run wrote goes; a mark without its partner goes alone, so that it never
        // finds one.
        {&plain, BEGIN "Port 1\n" END "Banner x\n" BEGIN "Match User b\n" END,
         BEGIN "Port 33001\nUseDNS no\n" END "Banner x\n"},
        {&plain, BEGIN "Banner x\n" BEGIN "Port 1\n" END "Banner y\n",
         BEGIN "Port 33001\nUseDNS no\n" END "Banner x\nBanner y\n"},
        {&plain, "Banner x\n" BEGIN "Banner z\n",
         BEGIN "Port 33001\nUseDNS no\n" END "Banner x\nBanner z\n"},
        {&plain, BEGIN "Banner x\n" BEGIN "Port 1\n" END "Banner y\n" END "Banner z\n",
         BEGIN "Port 33001\nUseDNS no\n" END "Banner x\nBanner y\nBanner z\n"},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = parse(rows[i].before);
        check_ok(lh_sshd_plan_edit(doc, "/etc/ssh/", rows[i].settings));
        expect(doc, rows[i].after);
        check_ok(lh_sshd_plan_edit(doc, "/etc/ssh/", rows[i].settings));
        expect(doc, rows[i].after);
    }
}

static void included_files_change_below_the_folder_only(void **state)
{
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = parse("Include a\nInclude b\n");
    struct lh_sshd_doc *inside = NULL, *outside = NULL;

    (void)state;
    check_ok(lh_sshd_doc_parse("/etc/ssh/sshd_config.d/a", "Port 1\n", 7, &inside));
    check_ok(lh_sshd_doc_parse("/etc/crypto-policies/b", "Port 2\n", 7, &outside));
    check_ok(lh_sshd_doc_attach(doc, 0, inside));
    check_ok(lh_sshd_doc_attach(doc, 1, outside));
    check_ok(lh_sshd_plan_edit(doc, "/etc/ssh/", &plain));
    expect(inside, "#lhctl# Port 1\n");
    expect(outside, "Port 2\n");
}

static void differences_are_those_of_diff_u(void **state)
{
    static const struct {
        const char *before, *after, *expected;
    } rows[] = {
        {"a\n", "a\n", ""},
        {"", "a\n", "--- n\n+++ n\n@@ -0,0 +1,1 @@\n+a\n"},
        {"a\n", "", "--- n\n+++ n\n@@ -1,1 +0,0 @@\n-a\n"},
        {"a\nb\nc\n", "a\nB\nc\n", "--- n\n+++ n\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
        {"a", "a\nb\n",
         "--- n\n+++ n\n@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\nX\n",
         "--- n\n+++ n\n@@ -7,3 +7,4 @@\n 7\n 8\n 9\n+X\n"},
        {"X\n1\n2\n3\n4\n5\n6\n7\nY\n", "1\n2\n3\n4\n5\n6\n7\n",
         "--- n\n+++ n\n@@ -1,4 +1,3 @@\n-X\n 1\n 2\n 3\n@@ -6,4 +5,3 @@\n 5\n 6\n 7\n-Y\n"},
        {"X\n1\n2\n3\n4\n5\n6\nY\n", "1\n2\n3\n4\n5\n6\n",
         "--- n\n+++ n\n@@ -1,8 +1,6 @@\n-X\n 1\n 2\n 3\n 4\n 5\n 6\n-Y\n"},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *before = parse(rows[i].before);
        LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *after = parse(rows[i].after);
        char *text = NULL;
        check_ok(lh_sshd_text_difference("n", before, after, &text));
        assert_string_equal(text, rows[i].expected);
        free(text);
    }
}

static void names_are_quoted_for_the_file_or_refused(void **state)
{
    struct lh_sshd_values defaults = {0};
    const struct lh_sshd_target target = {.defaults = &defaults};
    static const struct {
        const char *name, *written; // NULL: refused
    } rows[] = {{"ann", "ann"},
                {"DOMAIN\\ann", "DOMAIN\\\\ann"},
                {"a b", "\"a b\""},
                {"a#b", "\"a#b\""},
                {"a\"b", NULL},
                {"a\nb", NULL},
                {"x*@10.0.0.0/8", "x*@10.0.0.0/8"}};

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        const char *const users[] = {rows[i].name, NULL};
        struct lh_sshd_choices choices = {
            .port = 33001, .allow_users = users, .host_keys = {.ed25519 = "/k"}};
        struct lh_sshd_settings settings = {0};
        lh_err err = lh_sshd_profile_settings(&choices, &target, &settings, NULL);
        check_int(err, rows[i].written == NULL ? LH_NONE : 0);
        for (size_t n = 0; err == 0 && n < settings.count; n++) {
            if (strcmp(settings.items[n].keyword, "AllowUsers") == 0)
                assert_string_equal(settings.items[n].value, rows[i].written);
        }
        lh_sshd_settings_fini(&settings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_go_to_the_head_and_what_they_manage_becomes_a_comment),
        cmocka_unit_test(included_files_change_below_the_folder_only),
        cmocka_unit_test(differences_are_those_of_diff_u),
        cmocka_unit_test(names_are_quoted_for_the_file_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
