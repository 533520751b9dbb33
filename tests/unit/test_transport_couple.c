// SPDX-License-Identifier: Apache-2.0
//
// Lanes of a session are one flow: they go by the controller of the first of them.
#include "transport_pair.h"

#include "base/cleanup.h"
#include "check.h"

#define RATE  UINT64_C(2500000) // bytes/s of each lane's link: 20 Mbit/s
#define DELAY (10 * LH_MS)
#define LANES 3

static struct lh_lane_stats stats_of(const struct pair *pair, uint8_t lane)
{
    struct lh_lane_stats stats;
    lh_transport_lane_stats(pair->ends[0].transport, lane, &stats);
    return stats;
}

static void init(struct pair *pair, uint64_t seed, const struct lh_cc_type *cc)
{
    pair_init(pair, &(struct pair_options){.seed = check_seed(seed)});
    for (uint8_t lane = 1; lane <= LANES; lane++) {
        pair_add_lane(pair, lane, DELAY, RATE);
        pair->links[lane].rate = RATE;
    }
    for (int i = 0; i < 2; i++)
        lh_transport_set_policy(pair->ends[i].transport, cc,
                                &(struct lh_cc_limits){.rate_target = LANES * RATE}, pair->now);
    pair->ends[0].blocks_wanted = UINT32_MAX;
}

static void check_same_pace(const struct pair *pair, uint8_t a, uint8_t b)
{
    check_uint(stats_of(pair, a).pacing_rate, stats_of(pair, b).pacing_rate);
    check_uint(stats_of(pair, a).cwnd, stats_of(pair, b).cwnd);
    assert_true(stats_of(pair, b).block_bytes_sent > 100000);
}

static void lanes_of_a_session_send_at_the_pace_of_the_first(void **state)
{
    (void)state;
    static const struct lh_cc_type *const types[] = {&lh_cc_fair, &lh_cc_high};
    for (size_t i = 0; i < LH_ARRAY_LEN(types); i++) {
        struct pair pair;
        init(&pair, 1, types[i]);
        pair.links[2].delay = 2 * DELAY; // which by itself would have another window
        assert_false(pair_run(&pair, pair_never, 3 * LH_SECOND));
        check_same_pace(&pair, 1, 2);
        check_same_pace(&pair, 1, 3);
        pair_fini(&pair);
    }
}

static void a_policy_that_promises_nothing_to_others_leaves_lanes_on_their_own(void **state)
{
    (void)state;
    struct pair pair;
    init(&pair, 2, &lh_cc_lt);
    pair.links[2].delay = 2 * DELAY;
    assert_false(pair_run(&pair, pair_never, 3 * LH_SECOND));
    assert_true(stats_of(&pair, 1).cwnd != stats_of(&pair, 2).cwnd);
    pair_fini(&pair);
}

static void the_next_lane_leads_when_the_first_falls_silent_and_still_when_it_is_back(void **state)
{
    (void)state;
    struct pair pair;
    init(&pair, 3, &lh_cc_fair);
    assert_false(pair_run(&pair, pair_never, 3 * LH_SECOND));
    uint64_t before = stats_of(&pair, 2).block_bytes_sent;
    pair.links[1].cut = true;
    assert_false(pair_run(&pair, pair_never, 5 * LH_SECOND));
    check_int(stats_of(&pair, 1).state, LH_LANE_SILENT);
    check_same_pace(&pair, 2, 3);
    // They went on from what the first knew, and use what the person allows to the session.
    assert_true(stats_of(&pair, 2).block_bytes_sent - before > 3 * RATE);
    pair.links[1].cut = false;
    assert_false(pair_run(&pair, pair_never, 5 * LH_SECOND));
    check_int(stats_of(&pair, 1).state, LH_LANE_UP);
    check_same_pace(&pair, 1, 2);
    check_same_pace(&pair, 1, 3);
    pair_fini(&pair);
}

static void a_lane_whose_path_is_much_worse_goes_by_itself(void **state)
{
    (void)state;
    struct pair pair;
    init(&pair, 4, &lh_cc_fair);
    pair.links[2].loss_ppm = 250000;
    assert_false(pair_run(&pair, pair_never, 10 * LH_SECOND));
    assert_true(stats_of(&pair, 1).cwnd != stats_of(&pair, 2).cwnd);
    check_same_pace(&pair, 1, 3);
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_of_a_session_send_at_the_pace_of_the_first),
        cmocka_unit_test(a_policy_that_promises_nothing_to_others_leaves_lanes_on_their_own),
        cmocka_unit_test(the_next_lane_leads_when_the_first_falls_silent_and_still_when_it_is_back),
        cmocka_unit_test(a_lane_whose_path_is_much_worse_goes_by_itself),
    };
    return cmocka_run_group_tests_name("transport_couple", tests, NULL, NULL);
}
