// SPDX-License-Identifier: Apache-2.0
//
// A configuration file stays what it is, byte for byte, but for the lines that an edit names.
#include "sshdcfg/document.h"

#include "check.h"

static struct lh_sshd_doc *parse(const char *text)
{
    struct lh_sshd_doc *doc = NULL;
    check_ok(lh_sshd_doc_parse("sshd_config", text, strlen(text), &doc));
    return doc;
}

// Prints, compares and frees.
static void expect(struct lh_sshd_doc *doc, const char *text)
{
    char *printed;
    size_t len;

    check_ok(lh_sshd_doc_print(doc, &printed, &len));
    assert_string_equal(printed, text);
    check_uint(len, strlen(text));
    free(printed);
    lh_sshd_doc_free(doc);
}

static const char *const texts[] = {
    "",
    "\n",
    "Port 22",
    "Port 22\n",
    "Port 22\r\n# x\r\n",
    "Port 22\r",
    "\n\n  \t\nMatch User a\n  Banner \"x\n\n",
    "a\r\nb\nc\r\nd",
    "\xff\xfe\x01\x7f \\ \" ' = #\n",
};

static void printing_gives_the_bytes_that_were_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(texts); i++)
        expect(parse(texts[i]), texts[i]);
}

static void a_line_put_behind_a_last_one_without_an_end_does_not_join_it(void **state)
{
    (void)state;
    struct lh_sshd_doc *doc = parse("UsePAM yes\nPort 22");
    check_ok(lh_sshd_doc_insert(doc, 2, "Port 33001"));
    expect(doc, "UsePAM yes\nPort 22\nPort 33001\n");

    doc = parse("UsePAM yes\r\nX11Forwarding no\r\nPort 22");
    check_ok(lh_sshd_doc_insert(doc, 3, "Port 33001"));
    expect(doc, "UsePAM yes\r\nX11Forwarding no\r\nPort 22\r\nPort 33001\r\n");
}

static void lines_go_in_front_of_the_line_that_is_named(void **state)
{
    (void)state;
    struct lh_sshd_doc *doc = parse("b\nd\n");
    check_ok(lh_sshd_doc_insert(doc, 1, "c"));
    check_ok(lh_sshd_doc_insert(doc, 0, "a"));
    expect(doc, "a\nb\nc\nd\n");

    doc = parse("");
    check_ok(lh_sshd_doc_insert(doc, 0, "a"));
    expect(doc, "a\n");
}

static void replacing_and_commenting_keep_the_line_end(void **state)
{
    (void)state;
    struct lh_sshd_doc *doc = parse("a\r\n  b  \r\nc");
    check_ok(lh_sshd_doc_replace(doc, 0, "A"));
    check_ok(lh_sshd_doc_comment(doc, 1, "#lhctl: "));
    check_ok(lh_sshd_doc_replace(doc, 2, "C"));
    expect(doc, "A\r\n#lhctl:   b  \r\nC");
}

static void what_cannot_be_one_line_is_refused(void **state)
{
    struct lh_sshd_doc *doc = NULL;

    (void)state;
    check_err(lh_sshd_doc_parse("x", "a\0b", 3, &doc), LH_E_INVALID);
    char *large = calloc(1, LH_SSHD_FILE_MAX + 1);
    memset(large, 'x', LH_SSHD_FILE_MAX + 1);
    check_err(lh_sshd_doc_parse("x", large, LH_SSHD_FILE_MAX + 1, &doc), LH_E_LIMIT);
    free(large);
    doc = parse("a\n");
    check_err(lh_sshd_doc_insert(doc, 0, "b\nPermitRootLogin yes"), LH_E_INVALID);
    check_err(lh_sshd_doc_replace(doc, 0, "b\n"), LH_E_INVALID);
    check_err(lh_sshd_doc_replace(doc, 0, ""), LH_E_INVALID);
    check_err(lh_sshd_doc_comment(doc, 0, "#\n"), LH_E_INVALID);
    expect(doc, "a\n");
}

static void documents_free_what_they_include(void **state)
{
    struct lh_sshd_doc *top = parse("Include a\nInclude b\n"), *inner = parse("Include c\n");

    (void)state;
    check_ok(lh_sshd_doc_attach(inner, 0, parse("Port 1\n")));
    check_ok(lh_sshd_doc_attach(inner, 0, parse("")));
    check_ok(lh_sshd_doc_attach(top, 0, inner));
    check_ok(lh_sshd_doc_attach(top, 1, parse("x\ny\n")));
    expect(top, "Include a\nInclude b\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printing_gives_the_bytes_that_were_read),
        cmocka_unit_test(a_line_put_behind_a_last_one_without_an_end_does_not_join_it),
        cmocka_unit_test(lines_go_in_front_of_the_line_that_is_named),
        cmocka_unit_test(replacing_and_commenting_keep_the_line_end),
        cmocka_unit_test(what_cannot_be_one_line_is_refused),
        cmocka_unit_test(documents_free_what_they_include),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
