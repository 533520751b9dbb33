// SPDX-License-Identifier: Apache-2.0
//
// When SSH carries blocks although UDP is up (transport/detour.h).
#include "check.h"

#include "base/cleanup.h"
#include "cc/cc.h"
#include "transport/detour.h"

struct world {
    struct lh_detour detour;
    lh_ns now;
    uint64_t udp, ssh;
};

// Lets `seconds` pass in which UDP delivers `udp` bytes/s, and SSH, where it may, `ssh`.
static void pass(struct world *w, unsigned seconds, uint64_t udp, uint64_t ssh, uint64_t target)
{
    for (unsigned i = 0; i < seconds; i++) {
        lh_detour_on_work(&w->detour, true, w->now);
        w->now = w->detour.tick_at;
        (void)lh_detour_on_tick(&w->detour, w->udp, w->ssh, target, w->now);
        w->udp += udp;
        w->ssh += lh_detour_is_open(&w->detour) ? ssh : 0;
    }
}

static struct world fresh(void)
{
    struct world w = {.now = LH_SECOND};
    lh_detour_init(&w.detour);
    return w;
}

static void udp_that_is_crippled_gets_company_within_ten_seconds(void **state)
{
    (void)state;
    struct world w = fresh();
    pass(&w, 10, 20000, 2000000, 0);
    check_int(w.detour.state, LH_DETOUR_ON);
    pass(&w, 60, 20000, 2000000, 0);
    check_int(w.detour.state, LH_DETOUR_ON);
    pass(&w, 10, 5000000, 2000000, 0); // it has recovered
    check_int(w.detour.state, LH_DETOUR_OFF);
}

static void udp_that_is_as_fast_as_the_path_is_left_alone(void **state)
{
    (void)state;
    struct world w = fresh();
    unsigned trials = 0;
    for (int i = 0; i < 600; i++) {
        bool before = lh_detour_is_open(&w.detour);
        pass(&w, 1, 100000, 100000, 0);
        trials += !before && lh_detour_is_open(&w.detour);
        assert_true(w.detour.state != LH_DETOUR_ON);
    }
    assert_true(trials >= 2 && trials <= 5);
}

static void what_is_fast_or_asked_for_is_not_looked_at(void **state)
{
    (void)state;
    struct world w = fresh();
    pass(&w, 100, LH_DETOUR_SLOW + 1, 100000000, 0);
    check_int(w.detour.state, LH_DETOUR_OFF);
    w = fresh();
    pass(&w, 100, 90000, 100000000, 100000); // -l 800k
    check_int(w.detour.state, LH_DETOUR_OFF);
}

static void a_source_that_is_slow_says_nothing_about_udp(void **state)
{
    (void)state;
    struct world w = fresh();
    for (int i = 0; i < 100; i++) {
        pass(&w, 4, 20000, 2000000, 0);
        lh_detour_on_work(&w.detour, false, w.now);
    }
    check_int(w.detour.state, LH_DETOUR_OFF);
}

static void work_that_comes_and_goes_wakes_nobody(void **state)
{
    (void)state;
    struct world w = fresh();
    for (int i = 0; i < 1000; i++, w.now += LH_MS) {
        lh_detour_on_work(&w.detour, true, w.now);
        check_uint(w.detour.tick_at, w.now + LH_DETOUR_TICK);
        lh_detour_on_work(&w.detour, false, w.now);
        assert_true(w.detour.tick_at == LH_NEVER);
    }
    lh_detour_on_work(&w.detour, true, w.now);
    lh_detour_skip(&w.detour, w.now); // nothing to compare: not at once again either
    lh_detour_on_work(&w.detour, true, w.now);
    check_uint(w.detour.tick_at, w.now + LH_DETOUR_TICK);
}

static void udp_that_comes_and_goes_is_compared_without_a_trial(void **state)
{
    (void)state;
    struct world w = fresh();
    for (int i = 0; i < 8; i++) { // SSH carried blocks while UDP was silent
        w.ssh += 1000000;
        pass(&w, 1, 10000, 0, 0);
    }
    check_int(w.detour.state, LH_DETOUR_ON);
}

static void only_who_stands_back_on_purpose_is_left_slow(void **state)
{
    (void)state;
    static const char *const names[] = {"fair", "high", "fixed", "low"};
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++)
        check_int(lh_cc_by_name(names[i])->yields, strcmp(names[i], "low") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_that_is_crippled_gets_company_within_ten_seconds),
        cmocka_unit_test(udp_that_is_as_fast_as_the_path_is_left_alone),
        cmocka_unit_test(what_is_fast_or_asked_for_is_not_looked_at),
        cmocka_unit_test(a_source_that_is_slow_says_nothing_about_udp),
        cmocka_unit_test(only_who_stands_back_on_purpose_is_left_slow),
        cmocka_unit_test(work_that_comes_and_goes_wakes_nobody),
        cmocka_unit_test(udp_that_comes_and_goes_is_compared_without_a_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
