// SPDX-License-Identifier: Apache-2.0
//
// Who is let in, what is graded how, and the commands that mend.
#include "sshdcfg/rules.h"

#include "base/cleanup.h"
#include "check.h"

static const struct lh_sshd_rule_input rule_input = {
    .prefix = "/r", .main_path = "/etc/ssh/sshd_config", .port = 33001};

static void lists_of_users_and_groups_let_in_as_sshd_does(void **state)
{
    static const char *const groups[] = {"staff", "DOMAIN\\users"};
    static const struct lh_sshd_persona ann = {.name = "ann",
                                               .user = "ann",
                                               .user_exists = true,
                                               .groups = groups,
                                               .group_count = 2,
                                               .host = "Host.example.org",
                                               .address = "10.0.0.1"};
    static const struct {
        const char *values;
        const char *kept_out_by; // NULL: let in
    } rows[] = {
        {"", NULL},
        {"allowusers ann\n", NULL},
        {"allowusers bob\n", "allowusers"},
        {"allowusers bob\nallowusers a*\n", NULL},
        {"allowusers ann@10.0.0.0/8\n", NULL},
        {"allowusers ann@11.0.0.0/8\n", "allowusers"},
        {"allowusers ann@host.example.org\n", NULL},
        {"allowusers ann@!10.0.0.1,10.0.0.0/8\n", "allowusers"},
        {"denyusers ann\n", "denyusers"},
        {"denyusers ann@11.*\n", NULL},
        {"allowgroups staff\n", NULL},
        {"allowgroups DOMAIN\\users\n", NULL},
        {"allowgroups wheel\n", "allowgroups"},
        {"denygroups st*\n", "denygroups"},
        {"allowusers ann\nallowgroups wheel\n", "allowgroups"}, // both must let in
        {"allowusers ann\ndenygroups staff\n", "denygroups"},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_sshd_values values = {0};
        const char *keyword = NULL;
        check_ok(lh_sshd_values_read(&values, rows[i].values, strlen(rows[i].values)));
        bool in = lh_sshd_user_admitted(&values, &ann, &keyword);
        if (in != (rows[i].kept_out_by == NULL) ||
            (!in && strcmp(keyword, rows[i].kept_out_by) != 0))
            fail_msg("%s: %d by %s", rows[i].values, in, keyword);
        lh_sshd_values_fini(&values);
    }
}

// The grade of the only finding that `values` give for a rule and a role.
static enum lh_sshd_grade grade(const char *values, enum lh_sshd_role role, const char *rule)
{
    struct lh_sshd_effective effective = {0};
    LH_CLEANUP(lh_sshd_report_fini) struct lh_sshd_report report = {0};
    struct lh_sshd_subject subject = {
        .persona = {.name = "x", .user = "x"}, .role = role, .effective = &effective};
    enum lh_sshd_grade found = LH_SSHD_GRADE_N_;

    check_ok(lh_sshd_values_read(&effective.values, values, strlen(values)));
    check_ok(lh_sshd_rules_apply(&rule_input, &subject, &report));
    for (size_t i = 0; i < report.count; i++) {
        if (strcmp(report.items[i].rule, rule) == 0 &&
            (found == LH_SSHD_GRADE_N_ || report.items[i].grade > found))
            found = report.items[i].grade;
    }
    lh_sshd_effective_fini(&effective);
    return found;
}

static void values_are_graded(void **state)
{
    static const struct {
        const char *values;
        enum lh_sshd_role role;
        const char *rule;
        enum lh_sshd_grade expected;
    } rows[] = {
        {"permitemptypasswords yes\n", LH_SSHD_STRANGER, "A4", LH_SSHD_GRADE_HIGH},
        {"permitemptypasswords no\n", LH_SSHD_STRANGER, "A4", LH_SSHD_GRADE_OK},
        {"passwordauthentication YES\n", LH_SSHD_ADMIN, "A2", LH_SSHD_GRADE_MEDIUM},
        {"passwordauthentication NO\n", LH_SSHD_ADMIN, "A2", LH_SSHD_GRADE_OK},
        {"allowtcpforwarding yes\n", LH_SSHD_TRANSFER, "F1", LH_SSHD_GRADE_MEDIUM},
        {"allowtcpforwarding yes\n", LH_SSHD_ROOT, "F1", LH_SSHD_GRADE_N_}, // not asked
        {"permitrootlogin yes\n", LH_SSHD_ROOT, "A9", LH_SSHD_GRADE_MEDIUM},
        {"permitrootlogin without-password\n", LH_SSHD_ROOT, "A9", LH_SSHD_GRADE_LOW},
        {"logingracetime 0\n", LH_SSHD_ROOT, "A8", LH_SSHD_GRADE_MEDIUM},
        {"logingracetime 120\n", LH_SSHD_ROOT, "A8", LH_SSHD_GRADE_LOW},
        {"maxauthtries 2\n", LH_SSHD_ROOT, "A7", LH_SSHD_GRADE_LOW},
        {"ciphers aes128-ctr,aes128-cbc\n", LH_SSHD_ROOT, "C1", LH_SSHD_GRADE_MEDIUM},
        {"ciphers aes128-ctr,,,\n", LH_SSHD_ROOT, "C1", LH_SSHD_GRADE_OK},
        {"macs hmac-md5\n", LH_SSHD_ROOT, "C2", LH_SSHD_GRADE_MEDIUM},
        {"macs hmac-sha2-256\n", LH_SSHD_ROOT, "C2", LH_SSHD_GRADE_OK},
        {"kexalgorithms curve25519-sha256\n", LH_SSHD_ROOT, "C3", LH_SSHD_GRADE_LOW},
        {"kexalgorithms mlkem768x25519-sha256\n", LH_SSHD_ROOT, "C3", LH_SSHD_GRADE_OK},
        {"kexalgorithms mlkem768x25519-sha256,diffie-hellman-group1-sha1\n", LH_SSHD_ROOT, "C3",
         LH_SSHD_GRADE_MEDIUM},
        {"hostkeyalgorithms ssh-rsa\n", LH_SSHD_ROOT, "C4", LH_SSHD_GRADE_MEDIUM},
        {"acceptenv LANG\nacceptenv LC_*\n", LH_SSHD_ROOT, "A13", LH_SSHD_GRADE_OK},
        {"acceptenv LANG\nacceptenv LD_PRELOAD\n", LH_SSHD_ROOT, "A13", LH_SSHD_GRADE_LOW},
        {"subsystem sftp internal-sftp\n", LH_SSHD_ROOT, "S1", LH_SSHD_GRADE_INFO},
        {"subsystem netconf /bin/x\n", LH_SSHD_ROOT, "S1", LH_SSHD_GRADE_OK},
        {"maxstartups 5:30:10\n", LH_SSHD_ROOT, "R1", LH_SSHD_GRADE_LOW},
    };

    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        enum lh_sshd_grade got = grade(rows[i].values, rows[i].role, rows[i].rule);
        if (got != rows[i].expected)
            fail_msg("%s: %s graded %d", rows[i].values, rows[i].rule, (int)got);
    }
}

static void commands_mend_the_line_that_is_in_force(void **state)
{
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = NULL, *options = NULL;
    struct lh_sshd_rule_input empty = rule_input;
    char out[512];

    (void)state;
    check_ok(lh_sshd_doc_parse("/etc/ssh/x.conf", "a\nb\n", 4, &doc));
    check_ok(lh_sshd_doc_parse("command line", "a\n", 2, &options));
    struct lh_sshd_value value = {.doc = doc, .line = 1};
    lh_sshd_mend_value(&rule_input, &value, "UseDNS", "no", out, sizeof out);
    assert_string_equal(out, "sed -i '2s|.*|UseDNS no|' /r/etc/ssh/x.conf");
    lh_sshd_mend_value(&rule_input, NULL, "UseDNS", "no", out, sizeof out);
    assert_string_equal(out, "sed -i '1i UseDNS no' /r/etc/ssh/sshd_config");
    empty.main_empty = true;
    lh_sshd_mend_value(&empty, NULL, "UseDNS", "no", out, sizeof out);
    assert_string_equal(out, "echo 'UseDNS no' >> /r/etc/ssh/sshd_config");
    value.doc = options;
    lh_sshd_mend_value(&rule_input, &value, "UseDNS", "no", out, sizeof out);
    assert_string_equal(out, "systemctl edit ssh # drop the option that sets UseDNS");
}

static void findings_that_differ_in_people_only_are_joined(void **state)
{
    LH_CLEANUP(lh_sshd_report_fini) struct lh_sshd_report report = {0};
    struct lh_sshd_remark remark = {
        .grade = LH_SSHD_GRADE_LOW, .rule = "A1", .is = "x", .who = "ann"};

    (void)state;
    check_ok(lh_sshd_report_add(&report, &remark));
    remark.who = "bob";
    check_ok(lh_sshd_report_add(&report, &remark));
    check_ok(lh_sshd_report_add(&report, &remark));
    check_uint(report.count, 1);
    assert_string_equal(report.items[0].who, "ann, bob");
    remark.grade = LH_SSHD_GRADE_HIGH;
    check_ok(lh_sshd_report_add(&report, &remark));
    check_uint(report.count, 2);
    lh_sshd_report_sort(&report);
    check_int(report.items[0].grade, LH_SSHD_GRADE_HIGH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_users_and_groups_let_in_as_sshd_does),
        cmocka_unit_test(values_are_graded),
        cmocka_unit_test(commands_mend_the_line_that_is_in_force),
        cmocka_unit_test(findings_that_differ_in_people_only_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
