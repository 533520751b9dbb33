// SPDX-License-Identifier: Apache-2.0
//
// The controllers without a model: fixed and pipe; and the table of names.
#include "base/cleanup.h"
#include "toy_link.h"

#define MBIT UINT64_C(125000) // bytes/s

static void finds_controllers_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(lh_cc_by_name("lt"), &lh_cc_lt);
    assert_ptr_equal(lh_cc_by_name("high"), &lh_cc_high);
    assert_ptr_equal(lh_cc_by_name("fixed"), &lh_cc_fixed);
    assert_ptr_equal(lh_cc_by_name("pipe"), &lh_cc_pipe);
    assert_null(lh_cc_by_name(""));
    assert_null(lh_cc_by_name("vegas"));
}

static void every_state_fits_the_room_for_it(void **state)
{
    (void)state;
    assert_true(lh_cc_lt.size <= LH_CC_STATE_MAX);
    assert_true(lh_cc_high.size <= LH_CC_STATE_MAX);
    assert_true(lh_cc_fixed.size <= LH_CC_STATE_MAX);
    assert_true(lh_cc_pipe.size <= LH_CC_STATE_MAX);
}

static void fixed_sends_at_its_rate_whatever_the_path_loses(void **state)
{
    (void)state;
    static const uint32_t losses[] = {0, 10000, 300000};
    for (size_t i = 0; i < LH_ARRAY_LEN(losses); i++) {
        struct lh_cc_limits limits = {.rate_target = 50 * MBIT};
        struct toy_link link = {.capacity = 100 * MBIT,
                                .rtt = 50 * LH_MS,
                                .queue_bytes = 1000000,
                                .loss_ppm = losses[i]};
        toy_init(&link, &lh_cc_fixed, &limits, 1);
        toy_run(&link, LH_SECOND);
        uint64_t before = link.sent_bytes;
        toy_run(&link, 30 * LH_SECOND);
        assert_in_range(link.sent_bytes - before, 30 * 50 * MBIT / 100 * 99,
                        30 * 50 * MBIT / 100 * 101);
        toy_fini(&link);
    }
}

static void fixed_brakes_where_less_than_half_arrives_and_comes_back(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 100 * MBIT};
    struct toy_link link = {.capacity = 20 * MBIT, .rtt = 50 * LH_MS, .queue_bytes = 100000};
    toy_init(&link, &lh_cc_fixed, &limits, 1);
    check_uint(lh_cc_fixed.pacing_rate(link.state), 100 * MBIT);
    toy_run(&link, 60 * LH_SECOND);
    assert_true(lh_cc_fixed.pacing_rate(link.state) <= 50 * MBIT);
    assert_string_equal(lh_cc_fixed.phase(link.state), "brake");
    struct lh_cc_view view;
    lh_cc_fixed.view(link.state, &view);
    assert_true(view.is_braked);
    link.capacity = 200 * MBIT;
    toy_run(&link, 60 * LH_SECOND);
    check_uint(lh_cc_fixed.pacing_rate(link.state), 100 * MBIT);
    assert_string_equal(lh_cc_fixed.phase(link.state), "fixed");
    lh_cc_fixed.view(link.state, &view);
    assert_false(view.is_braked);
    toy_fini(&link);
}

// Twice as long each time that a doubled rate was too much: else it would flood the path for half
// of the time.
static void fixed_waits_longer_each_time_that_it_came_back_too_soon(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 100 * MBIT};
    struct toy_link link = {.capacity = 20 * MBIT, .rtt = 50 * LH_MS, .queue_bytes = 100000};
    unsigned flooded[2] = {0, 0};
    toy_init(&link, &lh_cc_fixed, &limits, 1);
    for (unsigned i = 0; i < 600; i++) {
        toy_run(&link, LH_SECOND);
        flooded[i / 300] += lh_cc_fixed.pacing_rate(link.state) > 25 * MBIT;
    }
    assert_true(flooded[0] < 120);
    assert_true(flooded[1] < 40);
    toy_fini(&link);
}

static void fixed_does_not_brake_for_a_slow_disk(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 100 * MBIT};
    struct toy_link link = {
        .capacity = 200 * MBIT, .rtt = 50 * LH_MS, .queue_bytes = 100000, .app_rate = 5 * MBIT};
    toy_init(&link, &lh_cc_fixed, &limits, 1);
    toy_run(&link, 60 * LH_SECOND);
    check_uint(lh_cc_fixed.pacing_rate(link.state), 100 * MBIT);
    toy_fini(&link);
}

static void pipe_keeps_a_constant_window_and_only_a_target_paces_it(void **state)
{
    (void)state;
    uint64_t room[LH_CC_STATE_MAX / 8];
    struct lh_cc_limits limits = {0};
    struct lh_cc_feedback feedback = {.now = LH_SECOND, .lost_packets = 1000, .round_ended = true};
    lh_cc_pipe.init(room, 65536, &limits, 0, 0);
    uint64_t window = lh_cc_pipe.cwnd(room);
    assert_true(window >= (uint64_t)2 << 20);
    lh_cc_pipe.on_feedback(room, &feedback);
    check_uint(lh_cc_pipe.cwnd(room), window);
    check_uint(lh_cc_pipe.pacing_rate(room), LH_CC_RATE_MAX);
    limits.rate_target = MBIT;
    lh_cc_pipe.set_limits(room, &limits, LH_SECOND);
    check_uint(lh_cc_pipe.pacing_rate(room), MBIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_controllers_by_name),
        cmocka_unit_test(every_state_fits_the_room_for_it),
        cmocka_unit_test(fixed_sends_at_its_rate_whatever_the_path_loses),
        cmocka_unit_test(fixed_brakes_where_less_than_half_arrives_and_comes_back),
        cmocka_unit_test(fixed_waits_longer_each_time_that_it_came_back_too_soon),
        cmocka_unit_test(fixed_does_not_brake_for_a_slow_disk),
        cmocka_unit_test(pipe_keeps_a_constant_window_and_only_a_target_paces_it),
    };
    return cmocka_run_group_tests_name("cc_simple", tests, NULL, NULL);
}
