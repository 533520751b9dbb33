// SPDX-License-Identifier: Apache-2.0
//
// Interval sets, against a plain array of flags.
#include "check.h"

#include "base/cleanup.h"
#include "base/math.h"
#include "base/prng.h"
#include "transport/ranges.h"

#define SPACE 300

struct model {
    struct lh_ranges ranges;
    bool flags[SPACE];
};

static void compare(const struct model *model)
{
    uint64_t at = 0;
    struct lh_range gap;
    for (uint64_t start = 0; start < SPACE; start += 7) {
        bool any = false;
        for (at = start; at < SPACE && model->flags[at]; at++)
            ;
        any = at < SPACE;
        check_int(lh_ranges_gap(&model->ranges, start, SPACE, &gap), any);
        if (!any)
            continue;
        check_uint(gap.start, at);
        while (at < SPACE && !model->flags[at])
            at++;
        check_uint(gap.end, at);
    }
    bool full = lh_ranges_first(&model->ranges, &gap);
    for (at = 0; at < SPACE && !model->flags[at]; at++)
        ;
    check_int(full, at < SPACE);
    if (full)
        check_uint(gap.start, at);
}

static void random_changes_agree_with_a_plain_array(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(1)};
    for (int round = 0; round < 50; round++) {
        struct model model = {0};
        for (int step = 0; step < 300; step++) {
            uint64_t start = lh_prng_below(&prng, SPACE);
            uint64_t len = lh_prng_below(&prng, 25), end = LH_MIN(start + len, (uint64_t)SPACE);
            bool add = lh_prng_below(&prng, 100) < 60;
            uint64_t changed = 0, expected = 0;
            for (uint64_t at = start; at < end; at++) {
                expected += model.flags[at] != add;
                model.flags[at] = add;
            }
            if (add)
                check_ok(lh_ranges_add(&model.ranges, start, end, &changed));
            else
                check_ok(lh_ranges_remove(&model.ranges, start, end, &changed));
            check_uint(changed, expected);
        }
        compare(&model);
        lh_ranges_fini(&model.ranges);
    }
}

static void in_order_growth_stays_one_interval_without_allocation(void **state)
{
    (void)state;
    struct lh_ranges ranges = {0};
    uint64_t added;
    for (uint64_t at = 0; at < 100000; at += 100)
        check_ok(lh_ranges_add(&ranges, at, at + 100, &added));
    check_uint(ranges.count, 1);
    assert_null(ranges.heap);
    lh_ranges_fini(&ranges);
}

static void more_intervals_than_the_limit_are_refused(void **state)
{
    (void)state;
    struct lh_ranges ranges = {0};
    uint64_t added = 0, i = 0;
    for (; i < LH_RANGES_MAX; i++)
        check_ok(lh_ranges_add(&ranges, i * 2, i * 2 + 1, &added));
    check_err(lh_ranges_add(&ranges, i * 2, i * 2 + 1, &added), LH_E_LIMIT);
    check_uint(ranges.count, LH_RANGES_MAX);
    // Filling a hole needs no room.
    check_ok(lh_ranges_add(&ranges, 1, 2, &added));
    lh_ranges_fini(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_agree_with_a_plain_array),
        cmocka_unit_test(in_order_growth_stays_one_interval_without_allocation),
        cmocka_unit_test(more_intervals_than_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
