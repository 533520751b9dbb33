// SPDX-License-Identifier: Apache-2.0
#include "base/limits.h"
#include "base/math.h"
#include "base/prng.h"
#include "check.h"
#include "crypto/replay.h"

static int setup(void **state)
{
    static struct lh_replay replay;
    check_ok(lh_replay_init(&replay));
    *state = &replay;
    return 0;
}

static int teardown(void **state)
{
    lh_replay_fini(*state);
    return 0;
}

static void sees_each_number_once(void **state)
{
    struct lh_replay *replay = *state;
    static const uint64_t numbers[] = {0, 5, 3, 64, 63, 65, 1, 1000, 999};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_false(lh_replay_seen(replay, numbers[i]));
        lh_replay_mark(replay, numbers[i]);
        assert_true(lh_replay_seen(replay, numbers[i]));
    }
    assert_false(lh_replay_seen(replay, 2));
    assert_false(lh_replay_seen(replay, 1001));
}

static void what_falls_below_the_window_counts_as_seen(void **state)
{
    struct lh_replay *replay = *state;
    lh_replay_mark(replay, LH_REPLAY_WINDOW - 1);
    check_uint(lh_replay_floor(replay), 0);
    assert_false(lh_replay_seen(replay, 0)); // the lowest that is still covered
    lh_replay_mark(replay, LH_REPLAY_WINDOW);
    check_uint(lh_replay_floor(replay), 1);
    assert_true(lh_replay_seen(replay, 0));
    assert_false(lh_replay_seen(replay, 1));
    lh_replay_mark(replay, 1);
    assert_true(lh_replay_seen(replay, 1));
}

static void a_far_jump_forgets_everything_before_it_and_nothing_after(void **state)
{
    struct lh_replay *replay = *state;
    for (uint64_t pn = 0; pn < 300; pn++)
        lh_replay_mark(replay, pn);
    uint64_t far = LH_PN_MAX;
    lh_replay_mark(replay, far);
    check_uint(replay->top, far + 1);
    assert_true(lh_replay_seen(replay, 299));
    assert_true(lh_replay_seen(replay, far - LH_REPLAY_WINDOW));
    for (uint64_t pn = far - LH_REPLAY_WINDOW + 1; pn < far; pn++)
        assert_false(lh_replay_seen(replay, pn));
    assert_true(lh_replay_seen(replay, far));
}

// Against a plain array of flags, over numbers that run through several windows.
static void agrees_with_a_plain_set_of_numbers(void **state)
{
    enum { SPACE = 5 << 19 };
    struct lh_replay *replay = *state;
    struct lh_prng prng = {check_seed(3)};
    bool *accepted = calloc(SPACE, sizeof *accepted);
    assert_non_null(accepted);
    uint64_t top = 0;
    while (top < SPACE - 1) {
        // Mostly near the top, sometimes a jump, sometimes about a window back.
        uint64_t kind = lh_prng_below(&prng, 100);
        uint64_t pn = lh_sub_sat(top + 8, lh_prng_below(&prng, 64));
        if (kind == 0)
            pn = top + lh_prng_below(&prng, 20000);
        else if (kind < 10)
            pn = lh_sub_sat(top + 80, LH_REPLAY_WINDOW + lh_prng_below(&prng, 160));
        pn = LH_MIN(pn, SPACE - 1);
        bool expected = pn + LH_REPLAY_WINDOW < top || (pn < top && accepted[pn]);
        if (lh_replay_seen(replay, pn) != expected)
            fail_msg("number %llu, top %llu", (unsigned long long)pn, (unsigned long long)top);
        if (!expected) {
            lh_replay_mark(replay, pn);
            accepted[pn] = true;
            top = LH_MAX(top, pn + 1);
        }
    }
    free(accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sees_each_number_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_falls_below_the_window_counts_as_seen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_far_jump_forgets_everything_before_it_and_nothing_after,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(agrees_with_a_plain_set_of_numbers, setup, teardown),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
