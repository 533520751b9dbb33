// SPDX-License-Identifier: Apache-2.0
//
// The engine end to end: two transports in memory and virtual time.
#include "check.h"
#include "transport_pair.h"

#include "base/cleanup.h"
#include "base/math.h"
#include "transport/engine_internal.h"

#define RATE_100M 12500000

static struct lh_lane_stats lane_stats(const struct pair *pair, int end, uint8_t lane)
{
    struct lh_lane_stats stats;
    lh_transport_lane_stats(pair->ends[end].transport, lane, &stats);
    return stats;
}

static struct lh_transport_stats session_stats(const struct pair *pair, int end)
{
    struct lh_transport_stats stats;
    lh_transport_stats(pair->ends[end].transport, &stats);
    return stats;
}

static void a_lossless_udp_lane_carries_blocks_and_stream(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(1)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 300;
    pair.ends[0].stream_wanted = 300000;
    pair.ends[1].stream_wanted = 5000;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    check_uint(pair.ends[1].blocks_received, 300);
    check_uint(lane_stats(&pair, 0, 1).packets_lost, 0);
    check_uint(session_stats(&pair, 1).duplicate_block_bytes, 0);
    check_uint(session_stats(&pair, 1).receive_memory, 0);
    pair_fini(&pair);
}

static void blocks_go_both_ways_at_once(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(2)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.links[1].loss_ppm = 20000;
    for (int i = 0; i < 2; i++) {
        pair.ends[i].blocks_wanted = 200;
        pair.ends[i].stream_wanted = 100000;
    }
    assert_true(pair_run(&pair, pair_all_done, 30 * LH_SECOND));
    pair_fini(&pair);
}

static void loss_reordering_and_duplication_leave_every_byte_in_place(void **state)
{
    (void)state;
    static const struct {
        uint32_t loss_ppm, duplicate_ppm, corrupt_ppm;
        lh_ns jitter;
    } cases[] = {
        {10000, 0, 0, 0},
        {0, 0, 0, 20 * LH_MS},
        {100000, 50000, 20000, 5 * LH_MS},
        {500000, 100000, 0, 3 * LH_MS},
    };
    uint64_t seed = check_seed(3);
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct pair pair;
        pair_init(&pair, &(struct pair_options){.seed = seed + i});
        pair_add_lane(&pair, 1, 15 * LH_MS, RATE_100M);
        pair.links[1].loss_ppm = cases[i].loss_ppm;
        pair.links[1].duplicate_ppm = cases[i].duplicate_ppm;
        pair.links[1].corrupt_ppm = cases[i].corrupt_ppm;
        pair.links[1].jitter = cases[i].jitter;
        pair.ends[0].blocks_wanted = 200;
        pair.ends[0].stream_wanted = 100000;
        pair.ends[1].stream_wanted = 50000;
        if (!pair_run(&pair, pair_all_done, 60 * LH_SECOND))
            fail_msg("case %zu: not done", i);
        struct lh_lane_stats stats = lane_stats(&pair, 0, 1);
        print_message("# case %zu: %llu packets, %llu lost, %llu spurious, %llu duplicate bytes, "
                      "%.3f s\n",
                      i, (unsigned long long)stats.packets_sent,
                      (unsigned long long)stats.packets_lost,
                      (unsigned long long)stats.packets_lost_spurious,
                      (unsigned long long)session_stats(&pair, 1).duplicate_block_bytes,
                      (double)(pair.now - 7 * LH_SECOND) / 1e9);
        pair_fini(&pair);
    }
}

static void a_source_slower_than_the_lane_costs_few_repetitions(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(23)});
    pair_add_lane(&pair, 1, 30 * LH_MS, RATE_100M);
    pair.links[1].loss_ppm = 10000;
    pair.ends[0].block_len = 65536;
    for (int i = 0; i < 300; i++) { // 5 Mbit/s
        pair.ends[0].blocks_wanted++;
        pair_run(&pair, pair_never, 100 * LH_MS);
    }
    assert_true(pair_run(&pair, pair_all_done, LH_SECOND));
    struct lh_lane_stats stats = lane_stats(&pair, 0, 1);
    print_message("# %llu of %llu bytes were sent again\n",
                  (unsigned long long)stats.retransmitted_bytes,
                  (unsigned long long)stats.block_bytes_sent);
    // 1 % that was lost, 1 % for tails, and what the budget begins with.
    assert_true(stats.retransmitted_bytes < stats.block_bytes_sent * 3 / 100 + 262144);
    pair_fini(&pair);
}

static void change_keys(bool keys_outside)
{
    struct pair pair;
    pair_init(&pair, &(struct pair_options){
                         .seed = check_seed(4), .epoch_shift = 8, .keys_outside = keys_outside});
    pair_add_lane(&pair, 1, 5 * LH_MS, RATE_100M);
    pair.links[1].loss_ppm = 50000;
    pair.links[1].duplicate_ppm = 20000;
    pair.links[1].jitter = 4 * LH_MS;
    pair.ends[0].blocks_wanted = 300;
    pair.ends[0].stream_wanted = 20000;
    pair.ends[1].stream_wanted = 20000;
    assert_true(pair_run(&pair, pair_all_done, 60 * LH_SECOND));
    assert_true(lane_stats(&pair, 0, 1).epoch > 10);
    // Nothing that the peer sealed was taken for a forgery, late packets of old epochs included.
    check_uint(lane_stats(&pair, 1, 1).forged_packets, 0);
    pair_fini(&pair);
}

static void keys_change_many_times_under_loss_and_reordering(void **state)
{
    (void)state;
    change_keys(false);
    change_keys(true);
}

static void whoever_has_the_keys_of_a_lane_sends_the_very_same_bytes(void **state)
{
    (void)state;
    uint64_t digests[2];
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        pair_init(&pair,
                  &(struct pair_options){.seed = 79, .epoch_shift = 8, .keys_outside = i == 1});
        pair_add_lane(&pair, LH_LANE_SSH, 8 * LH_MS, 0);
        pair_add_lane(&pair, 1, 8 * LH_MS, RATE_100M);
        pair_add_lane(&pair, 2, 11 * LH_MS, RATE_100M);
        pair.links[1].loss_ppm = pair.links[2].loss_ppm = 30000;
        pair.ends[0].blocks_wanted = pair.ends[1].blocks_wanted = 50;
        pair.ends[0].stream_wanted = 5000;
        assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
        digests[i] = pair.digest;
        pair_fini(&pair);
    }
    assert_true(digests[0] == digests[1]);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    uint64_t digests[3];
    for (int i = 0; i < 3; i++) {
        struct pair pair;
        pair_init(&pair, &(struct pair_options){.seed = i == 2 ? 78 : 77});
        pair_add_lane(&pair, 1, 8 * LH_MS, RATE_100M);
        pair.links[1].loss_ppm = 30000;
        pair.ends[0].blocks_wanted = 50;
        assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
        digests[i] = pair.digest;
        pair_fini(&pair);
    }
    assert_true(digests[0] == digests[1]);
    assert_true(digests[0] != digests[2]);
}

// --- Hostile packets -----------------------------------------------------------------------------

static void throw_junk(bool keys_outside)
{
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(5), .keys_outside = keys_outside});
    pair_add_lane(&pair, 1, 5 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 20;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    struct lh_lane_stats before = lane_stats(&pair, 1, 1);
    struct lh_prng prng = {5};
    uint8_t junk[600];
    for (int i = 0; i < 1000; i++) {
        lh_prng_fill(&prng, junk, sizeof junk);
        if (i % 2 == 0) { // a header that looks right
            static const uint8_t good[] = {0x11, 0x67, 0x45, 0x23, 0x01};
            memcpy(junk, good, sizeof good);
        }
        size_t len = 1 + lh_prng_below(&prng, sizeof junk);
        struct lh_dgram dgram = {.data = junk, .len = len, .path = 3};
        pair_recv(&pair, 1, 1, &dgram);
    }
    struct lh_lane_stats after = lane_stats(&pair, 1, 1);
    check_uint(after.packets_received, before.packets_received);
    check_uint(after.forged_packets + after.duplicate_packets,
               before.forged_packets + before.duplicate_packets + 1000);
    check_uint(lh_transport_lane_path(pair.ends[1].transport, 1), 0);
    // No answer to any of it.
    uint8_t out[2048];
    struct lh_batch batch = {.buffer = out, .room = sizeof out, .segments_max = 8};
    lh_transport_send(pair.ends[1].transport, 1, &batch, pair.now);
    check_uint(batch.segments, 0);
    pair_fini(&pair);
}

static void forged_and_replayed_packets_leave_only_a_count(void **state)
{
    (void)state;
    throw_junk(false);
    throw_junk(true);
}

static uint8_t captured[64][LH_PACKET_MAX];
static size_t captured_len[64];
static unsigned captured_count;

static bool capture(struct pair *pair, int from, uint8_t lane, uint8_t *data, size_t len)
{
    (void)pair;
    (void)lane;
    if (from == 0 && captured_count < 64) {
        memcpy(captured[captured_count], data, len);
        captured_len[captured_count++] = len;
    }
    return true;
}

static void replay(bool keys_outside)
{
    struct pair pair;
    captured_count = 0;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(6), .keys_outside = keys_outside});
    pair_add_lane(&pair, 1, 5 * LH_MS, RATE_100M);
    pair.tap = capture;
    pair.ends[0].blocks_wanted = 20;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    struct lh_lane_stats before = lane_stats(&pair, 1, 1);
    uint64_t duplicates = session_stats(&pair, 1).duplicate_block_bytes;
    for (unsigned i = 0; i < captured_count; i++) {
        struct lh_dgram dgram = {.data = captured[i], .len = captured_len[i], .path = 2};
        pair_recv(&pair, 1, 1, &dgram);
    }
    struct lh_lane_stats after = lane_stats(&pair, 1, 1);
    check_uint(after.duplicate_packets, before.duplicate_packets + captured_count);
    check_uint(after.packets_received, before.packets_received);
    check_uint(session_stats(&pair, 1).duplicate_block_bytes, duplicates);
    assert_false(pair.ends[1].closed);
    pair_fini(&pair);
}

static void a_replayed_packet_is_not_taken_again(void **state)
{
    (void)state;
    replay(false);
    replay(true);
}

static void forge(bool keys_outside)
{
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(7),
                                            .forgery_limit = 100,
                                            .keys_outside = keys_outside});
    pair_add_lane(&pair, 1, 5 * LH_MS, RATE_100M);
    pair.links[1].corrupt_ppm = 1000000;
    assert_true(pair_run(&pair, pair_any_closed, 100 * LH_SECOND));
    check_int(pair.ends[0].closed ? pair.ends[0].close_code : pair.ends[1].close_code, LH_E_AUTH);
    pair_fini(&pair);
}

static void too_many_forgeries_end_the_session(void **state)
{
    (void)state;
    forge(false);
    forge(true);
}

// --- Windows -------------------------------------------------------------------------------------

static void the_window_closes_when_nothing_is_released_and_opens_again(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(8), .receive_budget = 1 << 20});
    pair_add_lane(&pair, 1, 5 * LH_MS, RATE_100M);
    pair.links[1].loss_ppm = 20000;
    pair.ends[0].blocks_wanted = 60;
    pair.ends[0].block_len = 65536;
    pair.ends[0].stream_wanted = 3 << 20;
    pair.ends[1].hold = true;
    assert_false(pair_run(&pair, pair_all_done, 10 * LH_SECOND));
    check_uint(pair.ends[1].blocks_received, (1 << 20) / (65536 + LH_BLOCK_CHARGE));
    check_uint(pair.ends[1].stream_received, LH_STREAM_WINDOW);
    assert_true(session_stats(&pair, 0).window_limited);
    assert_true(session_stats(&pair, 1).receive_memory <= 1 << 20);
    pair_release_all(&pair.ends[1]);
    pair.ends[1].hold = false;
    assert_true(pair_run(&pair, pair_all_done, 10 * LH_SECOND));
    assert_true(session_stats(&pair, 1).receive_memory_peak <= 1 << 20);
    assert_false(pair_any_closed(&pair));
    pair_fini(&pair);
}

static void a_lost_window_update_is_asked_for(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(9), .receive_budget = 1 << 20});
    pair_add_lane(&pair, 1, 5 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 60;
    pair.ends[0].block_len = 65536;
    pair.ends[1].hold = true;
    assert_false(pair_run(&pair, pair_all_done, 5 * LH_SECOND));
    // Everything that tells of the new window is lost for a moment.
    pair.links[1].loss_ppm = 1000000;
    pair_release_all(&pair.ends[1]);
    pair.ends[1].hold = false;
    assert_false(pair_run(&pair, pair_all_done, 100 * LH_MS));
    pair.links[1].loss_ppm = 0;
    assert_true(pair_run(&pair, pair_all_done, 10 * LH_SECOND));
    pair_fini(&pair);
}

// --- Lanes ---------------------------------------------------------------------------------------

static void the_ssh_lane_alone_carries_everything(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(10)});
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair.ends[0].blocks_wanted = 100;
    pair.ends[0].stream_wanted = 100000;
    pair.ends[1].stream_wanted = 100000;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    check_int(pair.ends[0].lane_state[LH_LANE_SSH], LH_LANE_UP);
    pair_fini(&pair);
}

static void blocks_wait_for_udp_and_then_leave_ssh_alone(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(11)});
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 100;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    check_uint(lane_stats(&pair, 0, LH_LANE_SSH).block_bytes_sent, 0);
    pair_fini(&pair);
}

static void blocked_udp_makes_blocks_go_over_ssh_after_300_ms(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(12)});
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.links[1].cut = true;
    pair.ends[0].blocks_wanted = 100;
    assert_false(pair_run(&pair, pair_all_done, 299 * LH_MS));
    check_uint(lane_stats(&pair, 0, LH_LANE_SSH).block_bytes_sent, 0);
    (void)pair_run(&pair, pair_all_done, 20 * LH_MS);
    assert_true(lane_stats(&pair, 0, LH_LANE_SSH).block_bytes_sent > 0);
    assert_true(pair_run(&pair, pair_all_done, 5 * LH_SECOND));
    check_uint(lane_stats(&pair, 0, 1).block_bytes_sent, 0);
    pair_fini(&pair);
}

// An echo over UDP takes as long as one over SSH: 300 ms would be over before it could be here.
static void on_a_long_path_blocks_wait_three_round_trips_for_udp(void **state)
{
    (void)state;
    for (int sender = 0; sender < 2; sender++) {
        struct pair pair;
        pair_init(&pair, &(struct pair_options){.seed = check_seed(12)});
        pair_add_lane(&pair, LH_LANE_SSH, 200 * LH_MS, 0);
        pair_add_lane(&pair, 1, 200 * LH_MS, RATE_100M);
        pair.links[1].cut = true;
        pair.ends[sender].blocks_wanted = 100;
        assert_false(pair_run(&pair, pair_all_done, 1190 * LH_MS));
        check_uint(lane_stats(&pair, sender, LH_LANE_SSH).block_bytes_sent, 0);
        assert_false(pair_run(&pair, pair_all_done, 200 * LH_MS));
        assert_true(lane_stats(&pair, sender, LH_LANE_SSH).block_bytes_sent > 0);
        assert_true(pair_run(&pair, pair_all_done, 60 * LH_SECOND));
        pair_fini(&pair);
    }
}

static void when_udp_dies_ssh_goes_on_and_udp_comes_back(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(13)});
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 3000;
    assert_false(pair_run(&pair, pair_all_done, 500 * LH_MS));
    uint64_t over_ssh = lane_stats(&pair, 0, LH_LANE_SSH).block_bytes_sent;
    check_uint(over_ssh, 0);
    pair.links[1].cut = true;
    pair.links[0].rate = 2500000;
    assert_false(pair_run(&pair, pair_all_done, 5 * LH_SECOND));
    check_int(pair.ends[0].lane_state[1], LH_LANE_SILENT);
    assert_true(lane_stats(&pair, 0, LH_LANE_SSH).block_bytes_sent > 1000000);
    pair.links[1].cut = false;
    assert_false(pair_run(&pair, pair_all_done, 3 * LH_SECOND));
    check_int(pair.ends[0].lane_state[1], LH_LANE_UP);
    assert_true(pair_run(&pair, pair_all_done, 60 * LH_SECOND));
    pair_fini(&pair);
}

static void window_updates_take_the_lane_that_still_lives(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(24), .receive_budget = 1 << 20});
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 3000;
    pair.ends[0].block_len = 65536;
    assert_false(pair_run(&pair, pair_all_done, 500 * LH_MS));
    pair.links[1].cut = true;
    pair.links[0].rate = 5000000;
    assert_false(pair_run(&pair, pair_all_done, 1800 * LH_MS));
    // The receiver has nothing outstanding on UDP, so that lane still looks alive to it for a
    // while.
    check_int(pair.ends[0].lane_state[1], LH_LANE_SILENT);
    check_int(pair.ends[1].lane_state[1], LH_LANE_UP);
    uint64_t before = lane_stats(&pair, 0, LH_LANE_SSH).block_bytes_sent;
    assert_false(pair_run(&pair, pair_all_done, 4 * LH_SECOND));
    uint64_t sent = lane_stats(&pair, 0, LH_LANE_SSH).block_bytes_sent - before;
    assert_true(sent > 4 * 5000000 * 9 / 10);
    check_int(pair.ends[1].lane_state[1], LH_LANE_SILENT);
    pair_fini(&pair);
}

// A receiver has nothing outstanding; it asks because content that came does not go on.
static void a_receiver_notices_a_dead_path_within_three_seconds(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(26)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[1].blocks_wanted = 3000;
    assert_false(pair_run(&pair, pair_all_done, 500 * LH_MS));
    pair.links[1].cut = true;
    assert_false(pair_run(&pair, pair_all_done, 3 * LH_SECOND));
    check_int(pair.ends[0].lane_state[1], LH_LANE_SILENT);
    pair_fini(&pair);
}

// Between content that has come and what may come much later, the peer is asked ever less often.
static void a_quiet_receiver_asks_ever_less_often(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(27)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[1].blocks_wanted = 10;
    assert_true(pair_run(&pair, pair_all_done, 5 * LH_SECOND));
    uint64_t before = pair.links[1].sent[0];
    pair_run(&pair, pair_never, 100 * LH_SECOND);
    check_int(pair.ends[0].lane_state[1], LH_LANE_UP);
    uint64_t sent =
        pair.links[1].sent[0] - before; // 1, 2, 4, 8, 15, 15... s apart; answers besides
    assert_true(sent >= 100 / 15 && sent < 40);
    pair_fini(&pair);
}

static void lanes_are_added_once_and_ssh_again_after_its_end(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(25)});
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 20;
    assert_true(pair_run(&pair, pair_all_done, 5 * LH_SECOND));
    struct lh_lane_config config = {
        .lane = 1, .cc = &lh_cc_fixed, .payload_max = LH_PACKET_IPV4_1500, .ip_overhead = 28};
    struct lh_transport *transport = pair.ends[0].transport;
    check_err(lh_transport_add_lane(transport, &config, pair.now), LH_E_INVALID);
    lh_transport_remove_lane(transport, 1, pair.now);
    // The lane's keys have sealed these packet numbers already.
    check_err(lh_transport_add_lane(transport, &config, pair.now), LH_E_INVALID);
    config.lane = LH_LANES_MAX;
    check_err(lh_transport_add_lane(transport, &config, pair.now), LH_E_INVALID);
    config.lane = 2;
    config.payload_max = LH_PACKET_MAX + 1;
    check_err(lh_transport_add_lane(transport, &config, pair.now), LH_E_INVALID);
    lh_transport_remove_lane(pair.ends[1].transport, 1, pair.now);
    for (int i = 0; i < 2; i++)
        lh_transport_remove_lane(pair.ends[i].transport, LH_LANE_SSH, pair.now);
    pair_drop_packets(&pair);
    pair_add_lane(&pair, LH_LANE_SSH, 10 * LH_MS, 0);
    pair.ends[0].blocks_wanted = 40;
    assert_true(pair_run(&pair, pair_all_done, 5 * LH_SECOND));
    pair_fini(&pair);
}

static void a_removed_lane_returns_what_it_owed(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(14)});
    pair_add_lane(&pair, LH_LANE_SSH, 50 * LH_MS, 0);
    pair.links[0].rate = 1000000;
    pair.ends[0].blocks_wanted = 50;
    pair.ends[0].stream_wanted = 20000;
    assert_false(pair_run(&pair, pair_all_done, 200 * LH_MS));
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.links[0].cut = true;
    for (int i = 0; i < 2; i++)
        lh_transport_remove_lane(pair.ends[i].transport, LH_LANE_SSH, pair.now);
    check_int(pair.ends[0].lane_state[LH_LANE_SSH], LH_LANE_DEAD);
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    pair_fini(&pair);
}

static void two_udp_lanes_share_the_blocks(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(15)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair_add_lane(&pair, 2, 25 * LH_MS, RATE_100M / 2);
    pair.links[2].loss_ppm = 30000;
    pair.ends[0].blocks_wanted = 400;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    assert_true(lane_stats(&pair, 0, 1).block_bytes_sent > 1000000);
    assert_true(lane_stats(&pair, 0, 2).block_bytes_sent > 1000000);
    pair_fini(&pair);
}

static void fates_tell_by_place_what_became_of_a_batch(void **state)
{
    (void)state;
    struct pair pair;
    struct lh_place_fates fates;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(17)});
    pair_add_lane(&pair, 1, 10 * LH_MS, 10 * RATE_100M);
    pair.links[1].behind_first_ppm = 200000;
    pair.ends[0].blocks_wanted = 400;
    assert_true(pair_run(&pair, pair_all_done, 60 * LH_SECOND));
    lh_transport_lane_fates(pair.ends[0].transport, 1, &fates);
    assert_true(fates.arrived[LH_PLACE_FIRST] > 200);
    assert_true(fates.arrived[LH_PLACE_MIDDLE] > 200);
    assert_true(fates.arrived[LH_PLACE_LAST] > 50);
    assert_true(fates.lost[LH_PLACE_FIRST] * 20 < fates.arrived[LH_PLACE_FIRST]);
    assert_true(fates.lost[LH_PLACE_MIDDLE] * 8 > fates.arrived[LH_PLACE_MIDDLE]);
    assert_true(fates.lost[LH_PLACE_LAST] * 8 > fates.arrived[LH_PLACE_LAST]);
    pair_fini(&pair);
}

static void an_idle_session_stays_alive_and_a_dead_one_ends_after_120_s(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(16)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    assert_false(pair_run(&pair, pair_any_closed, 600 * LH_SECOND));
    check_int(pair.ends[0].lane_state[1], LH_LANE_UP);
    assert_true(pair.links[1].sent[0] < 200);
    pair.links[1].cut = true;
    assert_false(pair_run(&pair, pair_any_closed, 100 * LH_SECOND));
    assert_true(pair_run(&pair, pair_any_closed, 40 * LH_SECOND));
    pair_fini(&pair);
}

// --- End -----------------------------------------------------------------------------------------

static void close_reaches_the_peer_with_code_and_reason(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(22)});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.links[1].loss_ppm = 300000;
    pair_run(&pair, pair_never, LH_SECOND);
    lh_transport_close(pair.ends[0].transport, 7, "enough", pair.now);
    assert_true(pair_run(&pair, pair_any_closed, LH_SECOND));
    assert_true(pair.ends[1].closed);
    check_int(pair.ends[1].close_code, 7);
    assert_string_equal(pair.ends[1].close_reason, "enough");
    pair_run(&pair, pair_never, LH_SECOND);
    assert_true(lh_transport_next_deadline(pair.ends[0].transport) == LH_NEVER);
    assert_true(lh_transport_next_deadline(pair.ends[1].transport) == LH_NEVER);
    pair_fini(&pair);
}

// No packet can be recorded, whether the list is full or memory is short: nothing is sent then, and
// the caller is not asked to try again at once for ever.
static void a_lane_that_cannot_record_packets_waits(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(60)});
    pair_add_lane(&pair, 1, 10 * LH_MS, 12500000);
    pair.ends[0].blocks_wanted = 400;
    assert_false(pair_run(&pair, pair_all_done, 100 * LH_MS));
    struct lh_transport *transport = pair.ends[0].transport;
    struct lh_sent *sent = &lh_engine_lane(transport, 1)->sent;
    assert_true(sent->next > sent->floor);

    struct lh_sent old = *sent;
    uint32_t first = lh_sent_record(sent, sent->floor)->content_first;
    sent->content_capacity = LH_SENT_MAX * 4; // the most there may be, and all in use
    lh_sent_record(sent, sent->floor)->content_first = sent->content_head - LH_SENT_MAX * 4;
    static uint8_t buffer[65536];
    struct lh_batch batch = {.buffer = buffer, .room = sizeof buffer, .segments_max = 16};
    lh_ns now = pair.now + 5 * LH_MS; // the pacer has plenty
    lh_transport_send(transport, 1, &batch, now);
    check_uint(batch.segments, 0);
    assert_true(lh_transport_next_deadline(transport) > now);
    assert_true(lh_transport_next_deadline(transport) <= now + 10 * LH_MS);

    lh_sent_record(sent, sent->floor)->content_first = first;
    *sent = old;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lossless_udp_lane_carries_blocks_and_stream),
        cmocka_unit_test(blocks_go_both_ways_at_once),
        cmocka_unit_test(loss_reordering_and_duplication_leave_every_byte_in_place),
        cmocka_unit_test(a_source_slower_than_the_lane_costs_few_repetitions),
        cmocka_unit_test(keys_change_many_times_under_loss_and_reordering),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(whoever_has_the_keys_of_a_lane_sends_the_very_same_bytes),
        cmocka_unit_test(forged_and_replayed_packets_leave_only_a_count),
        cmocka_unit_test(a_replayed_packet_is_not_taken_again),
        cmocka_unit_test(too_many_forgeries_end_the_session),
        cmocka_unit_test(the_window_closes_when_nothing_is_released_and_opens_again),
        cmocka_unit_test(a_lost_window_update_is_asked_for),
        cmocka_unit_test(the_ssh_lane_alone_carries_everything),
        cmocka_unit_test(blocks_wait_for_udp_and_then_leave_ssh_alone),
        cmocka_unit_test(blocked_udp_makes_blocks_go_over_ssh_after_300_ms),
        cmocka_unit_test(on_a_long_path_blocks_wait_three_round_trips_for_udp),
        cmocka_unit_test(when_udp_dies_ssh_goes_on_and_udp_comes_back),
        cmocka_unit_test(a_receiver_notices_a_dead_path_within_three_seconds),
        cmocka_unit_test(a_quiet_receiver_asks_ever_less_often),
        cmocka_unit_test(window_updates_take_the_lane_that_still_lives),
        cmocka_unit_test(lanes_are_added_once_and_ssh_again_after_its_end),
        cmocka_unit_test(a_removed_lane_returns_what_it_owed),
        cmocka_unit_test(two_udp_lanes_share_the_blocks),
        cmocka_unit_test(fates_tell_by_place_what_became_of_a_batch),
        cmocka_unit_test(an_idle_session_stays_alive_and_a_dead_one_ends_after_120_s),
        cmocka_unit_test(close_reaches_the_peer_with_code_and_reason),
        cmocka_unit_test(a_lane_that_cannot_record_packets_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
