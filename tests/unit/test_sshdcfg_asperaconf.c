// SPDX-License-Identifier: Apache-2.0
//
// aspera.conf: docroots, restrictions and the fingerprint, and what is no XML.
#include "sshdcfg/asperaconf.h"

#include "base/cleanup.h"
#include "check.h"

#define DOCROOT(path)                                                                              \
    "<file_system><access><paths><path><absolute peer_ip=\"a>b\">" path                            \
    "</absolute></path></paths></access></file_system>"

#define RESTRICTED                                                                                 \
    "<file_system><access><paths><path><restrictions><restriction>file:///x</restriction>"         \
    "</restrictions></path></paths></access></file_system>"

static void docroots_of_users_groups_and_everybody_are_told_apart(void **state)
{
    static const char text[] =
        "<?xml version='1.0'?><!-- <CONF> --><CONF version='2'>"
        "<default>" DOCROOT(
            " /all ") "</default><empty/>"
                      "<aaa><realms><realm><users>"
                      "<user><name>ann</name>" DOCROOT(
                          "/a&amp;b") "</user>"
                                      "<user><name>bob</name>" RESTRICTED "</user></users>"
                                      "<groups><group><name>staff</name>" DOCROOT(
                                          "/s") "</group></groups></realm></realms></aaa>"
                                                "<server><ssh_host_key_fingerprint>ab:cd</"
                                                "ssh_host_key_fingerprint></server></CONF>";
    LH_CLEANUP(lh_aspera_conf_fini) struct lh_aspera_conf conf = {0};

    (void)state;
    check_ok(lh_aspera_conf_parse(text, sizeof text - 1, &conf));
    assert_string_equal(conf.docroot, "/all");
    assert_string_equal(conf.fingerprint, "ab:cd");
    assert_string_equal(conf.key_path, "");
    assert_false(conf.restricted);
    check_uint(conf.count, 3);
    assert_string_equal(conf.rules[0].name, "ann");
    assert_string_equal(conf.rules[0].docroot, "/a&b");
    assert_true(conf.rules[1].restricted && !conf.rules[1].group);
    assert_string_equal(conf.rules[1].docroot, "");
    assert_string_equal(conf.rules[2].name, "staff");
    assert_true(conf.rules[2].group);
}

static void what_is_no_xml_is_refused(void **state)
{
    static const struct {
        const char *text;
        lh_err err;
    } rows[] = {
        {"", 0},
        {"no tags", 0},
        {"<a></a>", 0},
        {"<a b='>'></a>", 0},
        {"<a>", LH_E_INVALID},
        {"<a></b>", LH_E_INVALID},
        {"</a>", LH_E_INVALID},
        {"<a", LH_E_INVALID},
        {"<a b='", LH_E_INVALID},
        {"<!-- ", LH_E_INVALID},
        {"<>", LH_E_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_aspera_conf conf = {0};
        lh_err err = lh_aspera_conf_parse(rows[i].text, strlen(rows[i].text), &conf);
        if (err != rows[i].err)
            fail_msg("%s: %d", rows[i].text, err);
        lh_aspera_conf_fini(&conf);
    }
}

static void depth_and_number_have_bounds(void **state)
{
    static char text[400000];
    struct lh_aspera_conf conf = {0};
    size_t used = 0;

    (void)state;
    for (int i = 0; i < 2000; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "<deep>");
    check_int(lh_aspera_conf_parse(text, used, &conf), LH_E_LIMIT);
    used = (size_t)snprintf(text, sizeof text, "<users>");
    for (int i = 0; i <= LH_ASPERA_RULES_MAX; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "<user><name>u%d</name></user>", i);
    check_int(lh_aspera_conf_parse(text, used, &conf), LH_E_LIMIT);
    lh_aspera_conf_fini(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docroots_of_users_groups_and_everybody_are_told_apart),
        cmocka_unit_test(what_is_no_xml_is_refused),
        cmocka_unit_test(depth_and_number_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
