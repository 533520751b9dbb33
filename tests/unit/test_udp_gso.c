// SPDX-License-Identifier: Apache-2.0
#include "base/prng.h"
#include "check.h"
#include "udp/gso.h"

// Feeds `batches` batches of `segments`; each class loses at random, in thousandths.
static bool feed(struct lh_gso_health *health,
                 const unsigned permille[LH_GSO_CLASSES_],
                 size_t batches,
                 size_t segments,
                 lh_ns now)
{
    struct lh_prng prng = {.state = 7};
    bool latched = false;

    for (size_t batch = 0; batch < batches; batch++) {
        for (size_t i = 0; i < segments; i++) {
            enum lh_gso_class class = lh_gso_class_of(i, segments, true);
            bool arrived = lh_prng_below(&prng, 1000) >= permille[class];
            latched = lh_gso_health_report(health, class, arrived, now) || latched;
        }
    }
    return latched;
}

static void classes_follow_position(void **state)
{
    (void)state;
    check_int(lh_gso_class_of(0, 1, true), LH_GSO_FIRST);
    check_int(lh_gso_class_of(0, 8, true), LH_GSO_FIRST);
    check_int(lh_gso_class_of(1, 8, true), LH_GSO_MIDDLE);
    check_int(lh_gso_class_of(7, 8, true), LH_GSO_LAST);
    check_int(lh_gso_class_of(7, 8, false), LH_GSO_MIDDLE);
}

static void even_loss_leaves_gso_on(void **state)
{
    (void)state;
    static const unsigned even[][LH_GSO_CLASSES_] = {
        {0, 0, 0}, {10, 10, 10}, {100, 100, 100}, {300, 300, 300}, {0, 30, 30}, {20, 60, 60},
    };
    for (size_t i = 0; i < sizeof even / sizeof *even; i++) {
        struct lh_gso_health health;
        lh_gso_health_init(&health);
        if (feed(&health, even[i], 20000, 16, 1))
            fail_msg("row %zu turned GSO off", i);
        assert_true(lh_gso_health_allows(&health, 1));
    }
}

static void full_queues_leave_gso_on(void **state)
{
    (void)state;
    static const unsigned full[][LH_GSO_CLASSES_] = {
        {0, 760, 1000}, // four times as much as the bottleneck takes
        {0, 500, 1000}, {0, 90, 1000},   {0, 30, 1000}, {0, 0, 440},
        {0, 100, 100},  {50, 150, 1000}, {0, 100, 0},   {100, 700, 0},
    };
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        struct lh_gso_health health;
        lh_gso_health_init(&health);
        if (feed(&health, full[i], 20000, 44, 1))
            fail_msg("row %zu turned GSO off", i);
    }
}

static void uneven_loss_turns_gso_off(void **state)
{
    (void)state;
    static const unsigned uneven[][LH_GSO_CLASSES_] = {
        {0, 1000, 1000},                               // a device that keeps the first only
        {0, 0, 1000},                                  // that loses the last
        {50, 1000, 1000}, {50, 50, 1000}, {0, 990, 0}, // that keeps the last as well
    };
    for (size_t i = 0; i < sizeof uneven / sizeof *uneven; i++) {
        struct lh_gso_health health;
        lh_gso_health_init(&health);
        if (!feed(&health, uneven[i], 2000, 16, 5))
            fail_msg("row %zu left GSO on", i);
        assert_false(lh_gso_health_allows(&health, 5));
        check_uint(health.times_latched, 1);
    }
}

static void few_samples_prove_nothing(void **state)
{
    (void)state;
    struct lh_gso_health health;
    static const unsigned all[LH_GSO_CLASSES_] = {0, 1000, 1000};
    lh_gso_health_init(&health);
    assert_false(feed(&health, all, LH_GSO_SAMPLES_MIN - 1, 16, 1));
    assert_true(feed(&health, all, 2, 16, 1));
}

static void tries_again_after_ten_minutes_and_counts_afresh(void **state)
{
    (void)state;
    struct lh_gso_health health;
    static const unsigned bad[LH_GSO_CLASSES_] = {0, 0, 1000}, good[LH_GSO_CLASSES_] = {0, 0, 0};
    lh_ns now = 77 * LH_SECOND;
    lh_gso_health_init(&health);
    assert_true(feed(&health, bad, 1000, 16, now));
    assert_false(lh_gso_health_allows(&health, now + LH_GSO_RETRY - 1));
    assert_false(feed(&health, bad, 1000, 16, now + 1)); // of batches still under way
    assert_true(lh_gso_health_allows(&health, now + LH_GSO_RETRY));
    assert_false(feed(&health, good, 1000, 16, now + LH_GSO_RETRY));
    assert_true(feed(&health, bad, 3000, 16, now + LH_GSO_RETRY + 1));
    check_uint(health.times_latched, 2);
}

static void old_news_fades(void **state)
{
    (void)state;
    struct lh_gso_health health;
    static const unsigned good[LH_GSO_CLASSES_] = {0, 0, 0}, bad[LH_GSO_CLASSES_] = {0, 0, 1000};
    lh_gso_health_init(&health);
    assert_false(feed(&health, good, 1000000, 3, 1));
    // After a million good batches a device that turns bad is found within a few thousand.
    assert_true(feed(&health, bad, (size_t)4 * LH_GSO_SAMPLES_MAX, 3, 1));
}

static void kernel_is_asked(void **state)
{
    (void)state;
    print_message("# kernel has UDP_SEGMENT: %d\n", lh_gso_kernel_has());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_follow_position),
        cmocka_unit_test(even_loss_leaves_gso_on),
        cmocka_unit_test(full_queues_leave_gso_on),
        cmocka_unit_test(uneven_loss_turns_gso_off),
        cmocka_unit_test(few_samples_prove_nothing),
        cmocka_unit_test(tries_again_after_ten_minutes_and_counts_afresh),
        cmocka_unit_test(old_news_fades),
        cmocka_unit_test(kernel_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
