// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "check.h"
#include "cmd/doctor.h"

static void finds_a_port_in_a_list_of_ranges(void **state)
{
    (void)state;
    assert_false(lh_port_list_holds("", 33001));
    assert_true(lh_port_list_holds("33001", 33001));
    assert_true(lh_port_list_holds("22,33000-33010", 33001));
    assert_false(lh_port_list_holds("22,33002-33010", 33001));
    assert_false(lh_port_list_holds("330010", 33001));
    assert_false(lh_port_list_holds("x,,-", 33001));
}

static char root[] = "/tmp/lh-doctor-XXXXXX";

static void write_setting(const char *name, const char *value)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(value, file);
    (void)fclose(file);
}

static int make_root(void **state)
{
    (void)state;
    static const char *const directories[] = {"net", "net/core", "net/ipv4", "bin", "state"};
    if (mkdtemp(root) == NULL)
        return -1;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", root, directories[i]);
        if (mkdir(path, 0700) != 0)
            return -1;
    }
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    static const char *const names[] = {
        "net/core/rmem_max",
        "net/core/wmem_max",
        "net/ipv4/ip_local_reserved_ports",
        "net/ipv4/ip_local_port_range",
        "bin/ssh",
        "net/core",
        "net/ipv4",
        "net",
        "bin",
        "state",
        "",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", root, names[i]);
        (void)remove(path);
    }
    return 0;
}

static struct lh_finding run_check(const char *name, const struct lh_doctor_host *host)
{
    struct lh_finding finding = {.grade = LH_GRADE_FAIL};
    for (size_t i = 0; i < lh_doctor_check_count; i++) {
        if (strcmp(lh_doctor_checks[i].name, name) == 0) {
            lh_doctor_checks[i].run(host, &finding);
            if (finding.grade != LH_GRADE_OK && finding.remedy[0] == '\0')
                fail_msg("%s: \"%s\" comes without a remedy", name, finding.text);
            return finding;
        }
    }
    fail_msg("no check \"%s\"", name);
    return finding;
}

static void grades_settings_of_the_kernel(void **state)
{
    (void)state;
    struct lh_doctor_host host = {.sysctl_root = root, .search_path = "/nowhere", .port = 33001};
    struct lh_finding finding = run_check("receive buffer", &host);
    check_int(finding.grade, LH_GRADE_WARN); // cannot be read
    write_setting("net/core/rmem_max", "212992\n");
    write_setting("net/core/wmem_max", "4194304\n");
    finding = run_check("receive buffer", &host);
    check_int(finding.grade, LH_GRADE_WARN);
    assert_non_null(strstr(finding.remedy, "net.core.rmem_max=4194304"));
    finding = run_check("send buffer", &host);
    check_int(finding.grade, LH_GRADE_OK);

    write_setting("net/ipv4/ip_local_port_range", "32768\t60999\n");
    write_setting("net/ipv4/ip_local_reserved_ports", "8080\n");
    finding = run_check("reserved port", &host);
    check_int(finding.grade, LH_GRADE_WARN);
    assert_non_null(strstr(finding.remedy, "it is now 8080"));
    write_setting("net/ipv4/ip_local_reserved_ports", "33000-33010\n");
    check_int(run_check("reserved port", &host).grade, LH_GRADE_OK);
    write_setting("net/ipv4/ip_local_reserved_ports", "\n");
    write_setting("net/ipv4/ip_local_port_range", "40000\t60999\n");
    check_int(run_check("reserved port", &host).grade, LH_GRADE_OK);
}

static void write_ssh(const char *says)
{
    char path[256];
    char text[256];
    (void)snprintf(text, sizeof text, "#!/bin/sh\necho '%s' >&2\n", says);
    write_setting("bin/ssh", text);
    (void)snprintf(path, sizeof path, "%s/bin/ssh", root);
    check_int(chmod(path, 0700), 0);
}

static void refuses_an_ssh_that_is_missing_or_too_old(void **state)
{
    (void)state;
    char path[256];
    (void)snprintf(path, sizeof path, "/nowhere:%s/bin", root);
    struct lh_doctor_host host = {.sysctl_root = root, .search_path = path, .port = 33001};
    check_int(run_check("ssh", &host).grade, LH_GRADE_FAIL);
    write_ssh("OpenSSH_8.4p1");
    check_int(run_check("ssh", &host).grade, LH_GRADE_FAIL);
    write_ssh("OpenSSH_8.5p1");
    check_int(run_check("ssh", &host).grade, LH_GRADE_OK);
}

static void wants_a_state_directory_that_can_be_written(void **state)
{
    (void)state;
    char path[256];
    struct lh_doctor_host host = {.sysctl_root = root, .search_path = "/nowhere", .port = 33001};
    check_int(run_check("state directory", &host).grade, LH_GRADE_FAIL);
    (void)snprintf(path, sizeof path, "%s/state/not/yet/made", root);
    host.state_home = path;
    check_int(run_check("state directory", &host).grade, LH_GRADE_OK);
    host.state_home = "/proc/1/none";
    check_int(run_check("state directory", &host).grade, LH_GRADE_FAIL);
}

static void the_worst_finding_is_the_verdict(void **state)
{
    (void)state;
    struct lh_doctor_host host = {.sysctl_root = root, .search_path = "/nowhere", .port = 33001};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    check_int(lh_doctor(&host, out), LH_GRADE_FAIL);
    (void)fclose(out);
    assert_non_null(strstr(text, "FAIL  ssh"));
    assert_non_null(strstr(text, "-> install the OpenSSH client"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_port_in_a_list_of_ranges),
        cmocka_unit_test(grades_settings_of_the_kernel),
        cmocka_unit_test(refuses_an_ssh_that_is_missing_or_too_old),
        cmocka_unit_test(wants_a_state_directory_that_can_be_written),
        cmocka_unit_test(the_worst_finding_is_the_verdict),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
