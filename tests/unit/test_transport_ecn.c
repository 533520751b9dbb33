// SPDX-License-Identifier: Apache-2.0
//
// When ECN marks are believed (transport/ecn.h).
#include "check.h"

#include "base/cleanup.h"
#include "transport/ecn.h"

static struct lh_ecn testing(void)
{
    struct lh_ecn ecn;
    lh_ecn_init(&ecn, true);
    check_uint(lh_ecn_mark(&ecn), LH_ECN_NOT_ECT);
    lh_ecn_on_up(&ecn);
    check_uint(lh_ecn_mark(&ecn), LH_ECN_ECT0);
    return ecn;
}

static lh_err counts(struct lh_ecn *ecn, uint64_t ect0, uint64_t ect1, uint64_t ce)
{
    const struct lh_frame_ecn frame = {ect0, ect1, ce};
    return lh_ecn_on_counts(ecn, &frame, 1000);
}

static void counts_that_fit_make_a_path_capable(void **state)
{
    (void)state;
    struct lh_ecn ecn = testing();
    check_ok(counts(&ecn, 9, 0, 0));
    lh_ecn_on_acked(&ecn, 9);
    assert_string_equal(lh_ecn_name(&ecn), "testing");
    check_ok(counts(&ecn, 20, 0, 3));
    lh_ecn_on_acked(&ecn, 14); // 23 of 23
    assert_string_equal(lh_ecn_name(&ecn), "capable");
    assert_true(lh_ecn_counts(&ecn));
}

// What the peer counted at last, what of ours it acknowledged, and what follows.
static const struct {
    const char *what;
    uint64_t ect0, ect1, ce, acked;
} broken[] = {
    {"marks are wiped out", 0, 0, 0, 1},
    {"some are", 15, 0, 2, 18},
    {"ECT(0) becomes ECT(1)", 19, 1, 0, 20},
    {"everything is marked CE", 0, 0, 10, 10},
};

static void counts_that_do_not_fit_end_marking_for_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(broken); i++) {
        struct lh_ecn ecn = testing();
        check_ok(counts(&ecn, broken[i].ect0, broken[i].ect1, broken[i].ce));
        lh_ecn_on_acked(&ecn, broken[i].acked);
        if (lh_ecn_mark(&ecn) != LH_ECN_NOT_ECT)
            fail_msg("%s: still marking", broken[i].what);
        lh_ecn_on_path_change(&ecn);
        lh_ecn_on_up(&ecn);
        assert_string_equal(lh_ecn_name(&ecn), "failed");
    }
}

static void a_path_that_drops_what_is_marked_is_found_out(void **state)
{
    (void)state;
    struct lh_ecn ecn = testing();
    lh_ecn_on_timeout(&ecn);
    assert_string_equal(lh_ecn_name(&ecn), "testing");
    lh_ecn_on_timeout(&ecn);
    assert_string_equal(lh_ecn_name(&ecn), "failed");

    ecn = testing(); // later timeouts have other causes
    check_ok(counts(&ecn, 1, 0, 0));
    lh_ecn_on_acked(&ecn, 1);
    for (int i = 0; i < 5; i++)
        lh_ecn_on_timeout(&ecn);
    assert_string_equal(lh_ecn_name(&ecn), "testing");
}

static void another_path_is_tested_by_itself(void **state)
{
    (void)state;
    struct lh_ecn ecn = testing();
    check_ok(counts(&ecn, 100, 0, 0));
    lh_ecn_on_acked(&ecn, 100);
    lh_ecn_on_path_change(&ecn);
    assert_string_equal(lh_ecn_name(&ecn), "testing");
    lh_ecn_on_acked(&ecn, 1); // the counts stay where they were
    assert_string_equal(lh_ecn_name(&ecn), "failed");
}

static void impossible_counts_break_the_protocol(void **state)
{
    (void)state;
    struct lh_ecn ecn = testing();
    check_ok(counts(&ecn, 500, 200, 300));
    check_err(counts(&ecn, 500, 200, 301), LH_E_PROTO);
    lh_ecn_init(&ecn, false);
    check_err(counts(&ecn, 1, 0, 0), LH_E_PROTO); // nobody agreed on that
    lh_ecn_on_up(&ecn);
    check_uint(lh_ecn_mark(&ecn), LH_ECN_NOT_ECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_that_fit_make_a_path_capable),
        cmocka_unit_test(counts_that_do_not_fit_end_marking_for_good),
        cmocka_unit_test(a_path_that_drops_what_is_marked_is_found_out),
        cmocka_unit_test(another_path_is_tested_by_itself),
        cmocka_unit_test(impossible_counts_break_the_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
