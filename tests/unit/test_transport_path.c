// SPDX-License-Identifier: Apache-2.0
//
// Where a lane's packets go and how large they may be: peers that move, copiers, path MTU.
#include "check.h"
#include "transport_pair.h"

#include "base/cleanup.h"
#include "base/math.h"

#define RATE_100M 12500000

static struct lh_lane_stats lane_stats(const struct pair *pair, int end, uint8_t lane)
{
    struct lh_lane_stats stats;
    lh_transport_lane_stats(pair->ends[end].transport, lane, &stats);
    return stats;
}

// The NAT has forgotten the client's first port.
static bool first_path_is_dead(struct pair *pair, int from, uint8_t lane, uint8_t *data, size_t len)
{
    (void)lane;
    (void)data;
    (void)len;
    return from != 1 || pair->sending_to != 0;
}

static void a_peer_that_moves_is_followed_after_it_answered_a_challenge(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(17)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 400;
    pair.ends[1].stream_wanted = 100000;
    assert_false(pair_run(&pair, pair_all_done, 200 * LH_MS));
    check_uint(lh_transport_lane_path(pair.ends[1].transport, 1), 0);
    pair.ends[0].path_of_peer = 9;
    pair.tap = first_path_is_dead;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    check_uint(lh_transport_lane_path(pair.ends[1].transport, 1), 9);
    check_uint(lh_transport_lane_path(pair.ends[0].transport, 1), 0);
    pair_fini(&pair);
}

struct hijack {
    uint64_t to_copier, in_all; // datagrams of the server
    bool drops;                 // what the server sends to the copier once it has the lane
};

static bool count_hijacked(struct pair *pair, int from, uint8_t lane, uint8_t *data, size_t len)
{
    struct hijack *hijack = pair->tap_user;
    (void)lane;
    (void)data;
    if (from != 1)
        return true;
    hijack->in_all++;
    if (pair->sending_to != pair->copier)
        return true;
    hijack->to_copier++;
    return !hijack->drops || len == LH_PACKET_HEADER + 9 + LH_PACKET_TAG; // hands challenges on
}

static void a_copier_that_is_always_faster_does_not_get_the_lane(void **state)
{
    (void)state;
    for (int drops = 0; drops < 2; drops++) {
        struct hijack hijack = {.drops = drops != 0};
        struct pair pair;
        pair_init(&pair, &(struct pair_options){.seed = check_seed(40 + (unsigned)drops)});
        pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
        pair.links[1].loss_ppm = 20000;
        pair.ends[0].blocks_wanted = 3000; // both ways: about 4 s
        pair.ends[1].blocks_wanted = 3000;
        assert_false(pair_run(&pair, pair_all_done, 200 * LH_MS));
        pair.tap = count_hijacked;
        pair.tap_user = &hijack;
        pair.copier = 9;
        assert_true(pair_run(&pair, pair_all_done, 30 * LH_SECOND));
        check_uint(lh_transport_lane_path(pair.ends[1].transport, 1), 0);
        // Challenges, and what goes there by a rare mistake that is found out a round trip later.
        assert_true(hijack.to_copier > 0);
        assert_true(hijack.to_copier * 100 < hijack.in_all);
        pair_fini(&pair);
    }
}

static bool
drop_to_server_responses(struct pair *pair, int from, uint8_t lane, uint8_t *data, size_t len)
{
    (void)pair;
    (void)lane;
    (void)data;
    // A path answer is the only packet of exactly this size from the client.
    return from != 0 || len != LH_PACKET_HEADER + 9 + LH_PACKET_TAG;
}

static void a_path_that_does_not_answer_gets_little_and_never_the_lane(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(18)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 400;
    assert_false(pair_run(&pair, pair_all_done, 200 * LH_MS));
    pair.ends[0].path_of_peer = 9;
    pair.tap = drop_to_server_responses;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    check_uint(lh_transport_lane_path(pair.ends[1].transport, 1), 0);
    pair_fini(&pair);
}

static void a_client_with_two_candidate_addresses_takes_the_one_that_answers(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(19)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[1].path_of_peer = 5; // echoes come from the second address
    pair.ends[0].blocks_wanted = 10;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    check_uint(lh_transport_lane_path(pair.ends[0].transport, 1), 5);
    pair_fini(&pair);
}

static void a_small_path_mtu_is_found(void **state)
{
    (void)state;
    static const uint32_t mtus[] = {1472, 1400, 1333, 1201, 1200};
    for (size_t i = 0; i < LH_ARRAY_LEN(mtus); i++) {
        struct pair pair;
        pair_init(&pair, &(struct pair_options){.seed = check_seed(20)});
        pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
        pair.links[1].mtu = mtus[i];
        pair.ends[0].blocks_wanted = 2000;
        assert_true(pair_run(&pair, pair_all_done, 60 * LH_SECOND));
        pair_run(&pair, pair_never, 10 * LH_SECOND);
        uint32_t found = lane_stats(&pair, 0, 1).payload_max;
        assert_true(found <= mtus[i] && found + 16 >= mtus[i]);
        pair_fini(&pair);
    }
}

static void a_path_whose_mtu_falls_is_no_black_hole(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(21)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 1000;
    assert_false(pair_run(&pair, pair_all_done, 500 * LH_MS));
    check_uint(lane_stats(&pair, 0, 1).payload_max, 1472);
    pair.links[1].mtu = 1300;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    assert_true(lane_stats(&pair, 0, 1).payload_max <= 1300);
    pair_fini(&pair);
}

// Both ends may send packets of `payload` bytes as far as their interfaces are concerned.
static void set_ceiling(struct pair *pair, uint32_t payload)
{
    for (int i = 0; i < 2; i++)
        lh_transport_set_packet_size(pair->ends[i].transport, 1, payload, 28);
}

static void jumbo_packets_are_used_where_the_path_carries_them(void **state)
{
    (void)state;
    static const uint32_t mtus[] = {9216, 8972, 4352, 1600, 1472, 1372};
    for (size_t i = 0; i < LH_ARRAY_LEN(mtus); i++) {
        struct pair pair;
        pair_init(&pair, &(struct pair_options){.seed = check_seed(50)});
        pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
        set_ceiling(&pair, 8972);
        pair.links[1].mtu = mtus[i];
        pair.ends[0].blocks_wanted = 2000;
        // What most paths carry is used after a round trip, whatever the interface says.
        assert_false(pair_run(&pair, pair_all_done, 60 * LH_MS));
        assert_true(lane_stats(&pair, 0, 1).payload_max >= LH_MIN(mtus[i], 1472u) - 272);
        if (mtus[i] >= 1472)
            assert_true(lane_stats(&pair, 0, 1).payload_max >= 1472);
        assert_true(pair_run(&pair, pair_all_done, 60 * LH_SECOND));
        pair_run(&pair, pair_never, 10 * LH_SECOND);
        uint32_t best = LH_MIN(mtus[i], 8972u);
        uint32_t found = lane_stats(&pair, 0, 1).payload_max;
        if (found > best || found + 16 < best)
            fail_msg("%u found where the path carries %u", found, best);
        pair_fini(&pair);
    }
}

static void a_jumbo_path_that_shrinks_and_grows_is_followed(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(51)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    set_ceiling(&pair, 8972);
    pair.ends[0].blocks_wanted = 1000;
    assert_false(pair_run(&pair, pair_all_done, 500 * LH_MS));
    check_uint(lane_stats(&pair, 0, 1).payload_max, 8972);
    pair.links[1].mtu = 1472;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    pair_run(&pair, pair_never, 10 * LH_SECOND);
    uint32_t found = lane_stats(&pair, 0, 1).payload_max;
    assert_true(found <= 1472 && found + 16 >= 1472);
    pair.links[1].mtu = 0; // found out by the timer, after ten minutes
    pair_run(&pair, pair_never, 620 * LH_SECOND);
    check_uint(lane_stats(&pair, 0, 1).payload_max, 8972);
    pair_fini(&pair);
}

struct oversize {
    uint64_t packets; // of the client, larger than what passes
};

static bool count_oversize(struct pair *pair, int from, uint8_t lane, uint8_t *data, size_t len)
{
    struct oversize *oversize = pair->tap_user;
    (void)lane;
    (void)data;
    if (from == 0 && len > pair->links[1].mtu)
        oversize->packets++;
    return true;
}

static void nothing_rides_behind_a_ping_that_may_vanish(void **state)
{
    (void)state;
    // Wake-ups that come late make room for whole batches, with a PING at their head.
    static const lh_ns late[] = {0, LH_MS / 2, 2 * LH_MS};
    for (size_t i = 0; i < LH_ARRAY_LEN(late); i++) {
        struct oversize oversize = {0};
        struct pair pair;
        pair_init(&pair,
                  &(struct pair_options){.seed = check_seed(53), .receive_budget = 64 << 20});
        pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
        set_ceiling(&pair, 8972);
        pair.links[1].mtu = 1333;
        pair.late = late[i];
        pair.tap = count_oversize;
        pair.tap_user = &oversize;
        pair.ends[0].blocks_wanted = 600;
        assert_true(pair_run(&pair, pair_all_done, 60 * LH_SECOND));
        // PINGs of a handful of sizes, a few of each.
        assert_true(oversize.packets > 0);
        assert_true(oversize.packets < 64);
        pair_fini(&pair);
    }
}

struct amplification {
    uint64_t received, sent; // by the server, in bytes
};

static bool
only_small_ones_arrive(struct pair *pair, int from, uint8_t lane, uint8_t *data, size_t len)
{
    struct amplification *amplification = pair->tap_user;
    (void)lane;
    (void)data;
    if (from == 0) {
        if (len > LH_PACKET_MIN_MTU)
            return false;
        amplification->received += len;
        return true;
    }
    amplification->sent += len;
    assert_true(amplification->sent <= 3 * amplification->received);
    return false; // the client never hears of it, and never proves its address
}

static void an_address_that_proved_nothing_gets_three_times_what_it_sent(void **state)
{
    (void)state;
    struct amplification amplification = {0};
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(54)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    set_ceiling(&pair, 8972);
    pair.tap = only_small_ones_arrive;
    pair.tap_user = &amplification;
    assert_false(pair_run(&pair, pair_never, 20 * LH_SECOND));
    assert_true(amplification.sent > amplification.received); // it does answer
    pair_fini(&pair);
}

// Small packets get through all the time, so no timeout tells that large ones do not.
static void a_black_hole_shows_although_small_packets_pass(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(52)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    assert_false(pair_run(&pair, pair_never, 500 * LH_MS));
    check_uint(lane_stats(&pair, 0, 1).payload_max, 1472);
    pair.links[1].mtu = 1300;
    pair.ends[0].block_len = 1800; // a full packet and a short one
    for (int i = 0; i < 300; i++) {
        pair.ends[0].blocks_wanted++;
        pair_run(&pair, pair_never, 10 * LH_MS);
    }
    assert_true(lane_stats(&pair, 0, 1).payload_max <= 1300);
    assert_true(pair_run(&pair, pair_all_done, LH_SECOND));
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_moves_is_followed_after_it_answered_a_challenge),
        cmocka_unit_test(a_copier_that_is_always_faster_does_not_get_the_lane),
        cmocka_unit_test(a_path_that_does_not_answer_gets_little_and_never_the_lane),
        cmocka_unit_test(a_client_with_two_candidate_addresses_takes_the_one_that_answers),
        cmocka_unit_test(a_small_path_mtu_is_found),
        cmocka_unit_test(a_path_whose_mtu_falls_is_no_black_hole),
        cmocka_unit_test(jumbo_packets_are_used_where_the_path_carries_them),
        cmocka_unit_test(a_jumbo_path_that_shrinks_and_grows_is_followed),
        cmocka_unit_test(nothing_rides_behind_a_ping_that_may_vanish),
        cmocka_unit_test(an_address_that_proved_nothing_gets_three_times_what_it_sent),
        cmocka_unit_test(a_black_hole_shows_although_small_packets_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
