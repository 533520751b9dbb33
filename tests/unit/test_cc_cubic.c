// SPDX-License-Identifier: Apache-2.0
//
// CUBIC's window against the figures of RFC 9438, and what the reference controller takes for an
// event.
#include "cc/cc.h"
#include "cc/cubic.h"
#include "check.h"

#define PACKET 1500u
#define RTT    (100 * LH_MS)

// A whole window is acknowledged every round trip.
static lh_ns grow(struct lh_cubic *cubic, lh_ns now, lh_ns span, lh_ns rtt)
{
    lh_ns end = now + span;
    for (; now < end; now += rtt)
        for (uint64_t left = cubic->window; left > 0;) {
            uint64_t part = left < 20 * PACKET ? left : 20 * PACKET;
            lh_cubic_on_ack(cubic, part, rtt, now);
            left -= part;
        }
    return now;
}

static void cube_roots_are_rounded_down(void **state)
{
    (void)state;
    static const uint64_t roots[] = {0, 1, 2, 3, 1000, 2097151, UINT64_C(1) << 40};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        unsigned __int128 cube = (unsigned __int128)roots[i] * roots[i] * roots[i];
        check_uint(lh_cube_root(cube), roots[i]);
        check_uint(lh_cube_root(cube + 1), roots[i] == 0 ? 1 : roots[i]);
        if (roots[i] > 1)
            check_uint(lh_cube_root(cube - 1), roots[i] - 1);
    }
}

static void slow_start_doubles_each_round_trip(void **state)
{
    (void)state;
    struct lh_cubic cubic;
    lh_cubic_init(&cubic, PACKET, LH_CUBIC_WEIGHT_ONE);
    uint64_t window = cubic.window;
    lh_cubic_on_ack(&cubic, window, RTT, LH_SECOND);
    check_uint(cubic.window, 2 * window);
    assert_true(lh_cubic_is_slow_start(&cubic));
}

static void the_window_is_back_after_the_time_of_the_formula(void **state)
{
    (void)state;
    struct lh_cubic cubic;
    lh_cubic_init(&cubic, PACKET, LH_CUBIC_WEIGHT_ONE);
    lh_cubic_start_at(&cubic, 1000 * PACKET);
    lh_cubic_on_event(&cubic, 0, LH_SECOND);
    check_uint(cubic.window, 700 * PACKET);
    // K = cbrt(1000 x 0.3 / 0.4) = 9.086 s
    lh_ns now = grow(&cubic, LH_SECOND, 4500 * LH_MS, RTT);
    assert_true(cubic.window > 950 * PACKET && cubic.window < 975 * PACKET); // 1000 - 0.4 x 4.5^3
    now = grow(&cubic, now, 4600 * LH_MS, RTT);
    assert_true(cubic.window > 995 * PACKET && cubic.window < 1002 * PACKET);
    grow(&cubic, now, 5 * LH_SECOND, RTT);
    assert_true(cubic.window > 1035 * PACKET && cubic.window < 1060 * PACKET);
}

static void short_paths_grow_as_reno_does(void **state)
{
    (void)state;
    struct lh_cubic cubic;
    lh_cubic_init(&cubic, PACKET, LH_CUBIC_WEIGHT_ONE);
    lh_cubic_start_at(&cubic, 40 * PACKET);
    lh_cubic_on_event(&cubic, 0, LH_SECOND);
    lh_ns now = grow(&cubic, LH_SECOND, 20 * LH_MS, LH_MS); // 20 round trips of 0.53 packets
    assert_true(cubic.window > 37 * PACKET && cubic.window < 40 * PACKET);
    grow(&cubic, now, 20 * LH_MS, LH_MS); // and of 1 from the window before the event on
    assert_true(cubic.window > 54 * PACKET && cubic.window < 58 * PACKET);
}

static void a_plateau_that_was_not_reached_is_lowered(void **state)
{
    (void)state;
    struct lh_cubic cubic;
    lh_cubic_init(&cubic, PACKET, LH_CUBIC_WEIGHT_ONE);
    lh_cubic_start_at(&cubic, 1000 * PACKET);
    lh_cubic_on_event(&cubic, 0, LH_SECOND);
    check_uint(cubic.window_max, 1000 * PACKET);
    lh_cubic_on_event(&cubic, 0, LH_SECOND);
    check_uint(cubic.window_max, 700 * PACKET * 17 / 20);
    check_uint(cubic.window, 490 * PACKET);
}

static void a_weight_gives_back_what_one_of_so_many_flows_would(void **state)
{
    (void)state;
    struct lh_cubic cubic;
    lh_cubic_init(&cubic, PACKET, 2 * LH_CUBIC_WEIGHT_ONE);
    lh_cubic_start_at(&cubic, 1000 * PACKET);
    lh_cubic_on_event(&cubic, 0, LH_SECOND);
    check_uint(cubic.window, 850 * PACKET);
}

static void four_quarters_of_a_flow_grow_and_give_as_the_whole(void **state)
{
    (void)state;
    struct lh_cubic whole, quarter;
    lh_cubic_init(&whole, PACKET, LH_CUBIC_WEIGHT_ONE);
    lh_cubic_init(&quarter, PACKET, LH_CUBIC_WEIGHT_ONE / 4);
    lh_cubic_start_at(&whole, 1000 * PACKET);
    lh_cubic_start_at(&quarter, 250 * PACKET);
    lh_cubic_on_event(&whole, 0, LH_SECOND);
    lh_cubic_on_event(&quarter, 0, LH_SECOND);
    check_uint(4 * quarter.window, whole.window);
    (void)grow(&whole, LH_SECOND, 12 * LH_SECOND, RTT);
    (void)grow(&quarter, LH_SECOND, 12 * LH_SECOND, RTT);
    assert_true(whole.window > 1005 * PACKET);
    assert_true(4 * quarter.window > whole.window - 4 * PACKET);
    assert_true(4 * quarter.window < whole.window + 4 * PACKET);
}

static void a_window_is_never_lost_altogether(void **state)
{
    (void)state;
    struct lh_cubic cubic;
    lh_cubic_init(&cubic, PACKET, LH_CUBIC_WEIGHT_ONE);
    for (int i = 0; i < 100; i++)
        lh_cubic_on_event(&cubic, 0, LH_SECOND);
    check_uint(cubic.window, 2 * PACKET);
}

// --- The reference controller --------------------------------------------------------------------

static void start(void *state)
{
    struct lh_cc_limits no_limits = {0};
    lh_cc_cubic.init(state, PACKET, &no_limits, RTT, LH_SECOND);
}

static void tell(void *state, uint64_t acked, uint64_t lost, uint64_t inflight, lh_ns rtt)
{
    struct lh_cc_feedback feedback = {
        .now = 2 * LH_SECOND,
        .acked_packets = acked,
        .acked_bytes = acked * PACKET,
        .lost_packets = lost,
        .lost_bytes = lost * PACKET,
        .inflight = inflight * PACKET,
        .rtt_sample = rtt,
        .rtt_min = RTT,
        .rtt_smoothed = RTT,
    };
    lh_cc_cubic.on_feedback(state, &feedback);
}

static void losses_of_one_round_trip_are_one_event(void **state)
{
    (void)state;
    max_align_t memory[LH_CC_STATE_MAX / sizeof(max_align_t)];
    start(memory);
    for (int i = 0; i < 10; i++)
        tell(memory, 10, 0, 90, RTT);
    uint64_t before = lh_cc_cubic.cwnd(memory);
    check_uint(before, 110 * PACKET);
    tell(memory, 10, 1, 99, RTT);
    uint64_t after = lh_cc_cubic.cwnd(memory);
    check_uint(after, 77 * PACKET);
    for (int i = 0; i < 9; i++) // the rest of what was in flight
        tell(memory, 10, 1, 88, RTT);
    check_uint(lh_cc_cubic.cwnd(memory), after);
    tell(memory, 10, 1, 66, RTT); // sent after the event
    check_uint(lh_cc_cubic.cwnd(memory), after * 7 / 10);
}

static void a_grown_delay_ends_slow_start(void **state)
{
    (void)state;
    max_align_t memory[LH_CC_STATE_MAX / sizeof(max_align_t)];
    start(memory);
    assert_string_equal(lh_cc_cubic.phase(memory), "slow start");
    for (int i = 0; i < 8; i++)
        tell(memory, 10, 0, 90, RTT + RTT / 16);
    assert_string_equal(lh_cc_cubic.phase(memory), "slow start");
    start(memory);
    for (int i = 0; i < 8; i++)
        tell(memory, 10, 0, 90, RTT + RTT / 7);
    assert_string_equal(lh_cc_cubic.phase(memory), "avoidance");
}

static void a_timeout_leaves_one_packet(void **state)
{
    (void)state;
    max_align_t memory[LH_CC_STATE_MAX / sizeof(max_align_t)];
    start(memory);
    lh_cc_cubic.on_timeout(memory, 3 * LH_SECOND);
    check_uint(lh_cc_cubic.cwnd(memory), PACKET);
    assert_string_equal(lh_cc_cubic.phase(memory), "slow start");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cube_roots_are_rounded_down),
        cmocka_unit_test(slow_start_doubles_each_round_trip),
        cmocka_unit_test(the_window_is_back_after_the_time_of_the_formula),
        cmocka_unit_test(short_paths_grow_as_reno_does),
        cmocka_unit_test(a_plateau_that_was_not_reached_is_lowered),
        cmocka_unit_test(a_weight_gives_back_what_one_of_so_many_flows_would),
        cmocka_unit_test(four_quarters_of_a_flow_grow_and_give_as_the_whole),
        cmocka_unit_test(a_window_is_never_lost_altogether),
        cmocka_unit_test(losses_of_one_round_trip_are_one_event),
        cmocka_unit_test(a_grown_delay_ends_slow_start),
        cmocka_unit_test(a_timeout_leaves_one_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
