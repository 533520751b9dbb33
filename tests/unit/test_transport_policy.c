// SPDX-License-Identifier: Apache-2.0
//
// Another controller on a lane that lives: what it takes over, and what it does with it.
#include "check.h"
#include "transport_pair.h"

#define RATE_100M 12500000u

static uint64_t pace(const struct pair *pair)
{
    struct lh_lane_stats stats;
    lh_transport_lane_stats(pair->ends[0].transport, 1, &stats);
    return stats.pacing_rate;
}

static void
set(struct pair *pair, const struct lh_cc_type *cc, uint64_t rate_target, uint64_t rate_min)
{
    struct lh_cc_limits limits = {.rate_target = rate_target, .rate_min = rate_min};
    lh_transport_set_policy(pair->ends[0].transport, cc, &limits, pair->now);
}

// 100 Mbit/s, 20 ms, sending at a fixed rate of 20 Mbit/s without end.
static void start(struct pair *pair)
{
    pair_init(pair, &(struct pair_options){.seed = 5});
    pair_add_lane(pair, 1, 10 * LH_MS, RATE_100M / 5);
    pair->links[1].rate = RATE_100M;
    pair->ends[0].blocks_wanted = 100000;
    assert_false(pair_run(pair, pair_any_closed, 2 * LH_SECOND));
    check_uint(pace(pair), RATE_100M / 5);
}

static void a_lane_leaves_a_fixed_rate_from_what_it_delivered(void **state)
{
    (void)state;
    struct pair pair;
    start(&pair);
    set(&pair, &lh_cc_lt, 0, 0);
    assert_true(pace(&pair) > RATE_100M / 5 / 2); // not from 64 packets a round trip
    assert_false(pair_run(&pair, pair_any_closed, LH_SECOND));
    assert_true(pace(&pair) > RATE_100M / 10 * 8);
    pair_fini(&pair);
}

static void a_model_goes_over_to_the_next_controller(void **state)
{
    (void)state;
    struct pair pair;
    start(&pair);
    set(&pair, &lh_cc_lt, 0, 0);
    assert_false(pair_run(&pair, pair_any_closed, 2 * LH_SECOND));
    set(&pair, &lh_cc_high, 0, 0);
    struct lh_lane_stats stats;
    lh_transport_lane_stats(pair.ends[0].transport, 1, &stats);
    assert_string_equal(stats.cc_phase, "cruise");
    assert_true(stats.pacing_rate > RATE_100M / 10 * 8);
    assert_true(stats.cwnd > RATE_100M / 50); // 20 ms of it
    pair_fini(&pair);
}

static void a_new_target_holds_at_once_with_and_without_another_controller(void **state)
{
    (void)state;
    struct pair pair;
    start(&pair);
    set(&pair, &lh_cc_fixed, RATE_100M / 10, 0);
    check_uint(pace(&pair), RATE_100M / 10);
    set(&pair, &lh_cc_high, RATE_100M / 20, 0);
    assert_true(pace(&pair) <= RATE_100M / 20);
    assert_false(pair_run(&pair, pair_any_closed, 2 * LH_SECOND));
    uint64_t before = pair.ends[1].bytes_received;
    assert_false(pair_run(&pair, pair_any_closed, 4 * LH_SECOND));
    assert_true(pair.ends[1].bytes_received - before <= RATE_100M / 20 * 4);
    assert_true(pair.ends[1].bytes_received - before >= RATE_100M / 20 * 3);
    pair_fini(&pair);
}

static uint64_t pace_of(const struct pair *pair, uint8_t lane)
{
    struct lh_lane_stats stats;
    lh_transport_lane_stats(pair->ends[0].transport, lane, &stats);
    return stats.pacing_rate;
}

static void udp_lanes_that_are_up_share_the_limits_of_the_session(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = 6});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 100000;
    assert_false(pair_run(&pair, pair_any_closed, LH_SECOND));
    check_uint(pace_of(&pair, 1), RATE_100M);

    for (uint8_t lane = 2; lane <= 4; lane++)
        pair_add_lane(&pair, lane, 10 * LH_MS, RATE_100M);
    assert_false(pair_run(&pair, pair_any_closed, LH_SECOND));
    for (uint8_t lane = 1; lane <= 4; lane++)
        check_uint(pace_of(&pair, lane), RATE_100M / 4);
    set(&pair, &lh_cc_fixed, RATE_100M / 2, 0);
    for (uint8_t lane = 1; lane <= 4; lane++)
        check_uint(pace_of(&pair, lane), RATE_100M / 8);

    lh_transport_remove_lane(pair.ends[0].transport, 4, pair.now); // what it had is the others'
    for (uint8_t lane = 1; lane <= 3; lane++)
        check_uint(pace_of(&pair, lane), RATE_100M / 6);
    pair_fini(&pair);
}

static void the_ssh_lane_keeps_its_controller(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = 6});
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair.ends[0].blocks_wanted = 10;
    set(&pair, &lh_cc_high, 0, 0);
    struct lh_lane_stats stats;
    lh_transport_lane_stats(pair.ends[0].transport, LH_LANE_SSH, &stats);
    assert_string_equal(stats.cc_phase, "pipe");
    assert_true(pair_run(&pair, pair_all_done, 30 * LH_SECOND));
    pair_fini(&pair);
}

// Whoever floods the receiver's port makes its socket drop packets that were not ours.
static void drops_at_the_peer_forgive_no_more_than_was_under_way(void **state)
{
    (void)state;
    struct pair pair;
    struct lh_lane_stats before, after;
    start(&pair);
    lh_transport_lane_stats(pair.ends[0].transport, 1, &before);
    lh_transport_socket_drops(pair.ends[1].transport, 1, 1000000);
    pair.links[1].loss_ppm = 100000;
    assert_false(pair_run(&pair, pair_any_closed, 10 * LH_SECOND));
    lh_transport_lane_stats(pair.ends[0].transport, 1, &after);
    uint64_t lost = after.packets_lost - before.packets_lost;
    assert_true(lost > 1000);
    assert_true(after.packets_lost_receiver - before.packets_lost_receiver < lost / 10);
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_leaves_a_fixed_rate_from_what_it_delivered),
        cmocka_unit_test(a_model_goes_over_to_the_next_controller),
        cmocka_unit_test(a_new_target_holds_at_once_with_and_without_another_controller),
        cmocka_unit_test(udp_lanes_that_are_up_share_the_limits_of_the_session),
        cmocka_unit_test(the_ssh_lane_keeps_its_controller),
        cmocka_unit_test(drops_at_the_peer_forgive_no_more_than_was_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
