// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "cc/loss_baseline.h"
#include "toy_link.h"

#define MBIT UINT64_C(125000) // bytes/s

static struct toy_link *
link_new(uint64_t capacity, lh_ns rtt, uint32_t loss_ppm, const struct lh_cc_limits *limits)
{
    static struct toy_link link;
    static const struct lh_cc_limits none;
    memset(&link, 0, sizeof link);
    link.capacity = capacity;
    link.rtt = rtt;
    link.loss_ppm = loss_ppm;
    link.queue_bytes = LH_MAX(lh_muldiv(capacity, rtt, LH_SECOND), 40 * TOY_PACKET);
    toy_init(&link, &lh_cc_lt, limits != NULL ? limits : &none, 1);
    return &link;
}

// Delivered per thousand of what the link could carry after its loss.
static unsigned permille(const struct toy_link *link, uint64_t delivered, lh_ns span)
{
    uint64_t could =
        lh_muldiv(lh_muldiv(link->capacity, span, LH_SECOND), 1000000 - link->loss_ppm, 1000000);
    return (unsigned)lh_muldiv(delivered, 1000, could);
}

static void fills_links_of_every_length_and_loss(void **state)
{
    (void)state;
    static const unsigned rtts_ms[] = {1, 10, 50, 100, 200, 300};
    static const uint32_t losses[] = {0, 1000, 10000, 20000, 50000, 100000};
    for (size_t i = 0; i < LH_ARRAY_LEN(rtts_ms); i++) {
        for (size_t j = 0; j < LH_ARRAY_LEN(losses); j++) {
            struct toy_link *link = link_new(100 * MBIT, rtts_ms[i] * LH_MS, losses[j], NULL);
            toy_run(link, 8 * LH_SECOND); // learning
            unsigned share = permille(link, toy_run(link, 20 * LH_SECOND), 20 * LH_SECOND);
            if (share < 950)
                fail_msg("rtt %u ms, loss %u ppm: %u per thousand", rtts_ms[i], losses[j], share);
            toy_fini(link);
        }
    }
}

static void fills_a_long_link_within_six_round_trips(void **state)
{
    (void)state;
    static const uint32_t losses[] = {0, 10000, 50000, 100000};
    for (size_t i = 0; i < LH_ARRAY_LEN(losses); i++) {
        struct toy_link *link = link_new(1000 * MBIT, 100 * LH_MS, losses[i], NULL);
        toy_run(link, 600 * LH_MS);
        assert_true(permille(link, toy_run(link, LH_SECOND), LH_SECOND) > 900);
        toy_fini(link);
    }
}

static void startup_loses_nothing_in_a_queue_of_one_round_trip(void **state)
{
    (void)state;
    static const unsigned rtts_ms[] = {20, 50, 100, 300};
    for (size_t i = 0; i < LH_ARRAY_LEN(rtts_ms); i++) {
        struct toy_link *link = link_new(300 * MBIT, rtts_ms[i] * LH_MS, 0, NULL);
        toy_run(link, 10 * rtts_ms[i] * LH_MS);
        assert_string_not_equal(lh_cc_lt.phase(link->state), "startup");
        check_uint(link->lost, 0);
        toy_fini(link);
    }
}

// A buffer of a millisecond on a path of one: its losses come without what would be a queue
// elsewhere.
static void does_not_take_the_losses_of_a_short_buffer_for_the_paths_own(void **state)
{
    (void)state;
    struct toy_link *link = link_new(500 * MBIT, LH_MS, 20000, NULL);
    link->queue_bytes = lh_muldiv(link->capacity, LH_MS, LH_SECOND);
    toy_run(link, 8 * LH_SECOND);
    uint64_t lost = link->lost, sent = link->sent_bytes;
    unsigned share = permille(link, toy_run(link, 30 * LH_SECOND), 30 * LH_SECOND);
    assert_true(share > 930);
    assert_true(link->lost - lost < (link->sent_bytes - sent) * 35 / 1000);
    toy_fini(link);
}

static void survives_bursty_loss_and_shallow_buffers(void **state)
{
    (void)state;
    static const struct {
        uint32_t loss;
        lh_ns burst, queue;
        unsigned floor;
    } cases[] = {
        {20000, 8 * LH_MS, 50 * LH_MS, 900},
        {50000, 8 * LH_MS, 50 * LH_MS, 880},
        {0, 0, 5 * LH_MS, 930},
        {10000, 0, 5 * LH_MS, 930},
        {50000, 0, 5 * LH_MS, 930},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct toy_link *link = link_new(100 * MBIT, 50 * LH_MS, cases[i].loss, NULL);
        link->burst = cases[i].burst;
        link->queue_bytes = lh_muldiv(link->capacity, cases[i].queue, LH_SECOND);
        toy_run(link, 8 * LH_SECOND);
        unsigned share = permille(link, toy_run(link, 20 * LH_SECOND), 20 * LH_SECOND);
        if (share < cases[i].floor)
            fail_msg("case %zu: %u per thousand", i, share);
        toy_fini(link);
    }
}

static void leaves_the_queue_low_most_of_the_time(void **state)
{
    (void)state;
    struct toy_link *link = link_new(100 * MBIT, 100 * LH_MS, 0, NULL);
    link->queue_bytes *= 4;
    toy_run(link, 8 * LH_SECOND);
    unsigned low = 0;
    for (unsigned i = 0; i < 1000; i++) {
        toy_run(link, 20 * LH_MS);
        low += link->queue_free < link->now + 5 * LH_MS;
    }
    assert_true(low > 500);
    toy_fini(link);
}

static void reaches_a_given_target_soon_holds_it_and_never_exceeds_it(void **state)
{
    (void)state;
    static const uint32_t losses[] = {0, 10000, 50000};
    for (size_t i = 0; i < LH_ARRAY_LEN(losses); i++) {
        struct lh_cc_limits limits = {.rate_target = 80 * MBIT};
        struct toy_link *link = link_new(100 * MBIT, 100 * LH_MS, losses[i], &limits);
        toy_run(link, 800 * LH_MS); // the first 100 ms only travel
        uint64_t sent = link->sent_bytes;
        for (unsigned second = 0; second < 20; second++) {
            toy_run(link, LH_SECOND);
            uint64_t now = link->sent_bytes;
            assert_in_range(now - sent, 79 * MBIT, 81 * MBIT); // a burst of 2 ms is allowed
            assert_true(lh_cc_lt.pacing_rate(link->state) <= limits.rate_target);
            sent = now;
        }
        toy_fini(link);
    }
}

static void a_target_above_the_path_does_no_harm(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 10000 * MBIT};
    struct toy_link *link = link_new(100 * MBIT, 50 * LH_MS, 10000, &limits);
    toy_run(link, 5 * LH_SECOND);
    uint64_t lost = link->lost;
    unsigned share = permille(link, toy_run(link, 20 * LH_SECOND), 20 * LH_SECOND);
    assert_true(share > 950);
    assert_true(link->lost - lost < 20 * link->capacity * 3 / 100);
    toy_fini(link);
}

static void follows_limits_that_change_while_running(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 10 * MBIT};
    struct toy_link *link = link_new(100 * MBIT, 50 * LH_MS, 0, &limits);
    toy_run(link, 5 * LH_SECOND);
    limits.rate_target = 50 * MBIT;
    lh_cc_lt.set_limits(link->state, &limits, link->now);
    toy_run(link, LH_SECOND);
    assert_in_range(toy_run(link, LH_SECOND), 49 * MBIT, 51 * MBIT);
    limits.rate_target = 5 * MBIT;
    lh_cc_lt.set_limits(link->state, &limits, link->now);
    toy_run(link, 200 * LH_MS);
    assert_in_range(toy_run(link, LH_SECOND), 4 * MBIT, 6 * MBIT);
    limits.rate_target = 0;
    lh_cc_lt.set_limits(link->state, &limits, link->now);
    toy_run(link, 2 * LH_SECOND);
    assert_true(permille(link, toy_run(link, 5 * LH_SECOND), 5 * LH_SECOND) > 950);
    toy_fini(link);
}

static void never_goes_below_the_minimum_rate(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_min = 20 * MBIT};
    struct toy_link *link = link_new(10 * MBIT, 50 * LH_MS, 0, &limits);
    for (unsigned i = 0; i < 500; i++) {
        toy_run(link, 20 * LH_MS);
        assert_true(lh_cc_lt.pacing_rate(link->state) >= 20 * MBIT);
        assert_true(lh_cc_lt.cwnd(link->state) >= lh_muldiv(20 * MBIT, 50 * LH_MS, LH_SECOND));
    }
    toy_fini(link);
}

static void follows_a_path_that_changes_its_rate(void **state)
{
    (void)state;
    struct toy_link *link = link_new(100 * MBIT, 50 * LH_MS, 10000, NULL);
    toy_run(link, 8 * LH_SECOND);
    link->capacity = 30 * MBIT;
    toy_run(link, 8 * LH_SECOND);
    assert_true(permille(link, toy_run(link, 10 * LH_SECOND), 10 * LH_SECOND) > 930);
    link->capacity = 200 * MBIT;
    toy_run(link, 8 * LH_SECOND);
    assert_true(permille(link, toy_run(link, 10 * LH_SECOND), 10 * LH_SECOND) > 930);
    toy_fini(link);
}

static void a_slow_disk_does_not_lower_the_model(void **state)
{
    (void)state;
    struct toy_link *link = link_new(100 * MBIT, 50 * LH_MS, 0, NULL);
    toy_run(link, 8 * LH_SECOND);
    link->app_rate = 5 * MBIT;
    toy_run(link, 30 * LH_SECOND);
    link->app_rate = 0;
    toy_run(link, 100 * LH_MS);
    assert_true(permille(link, toy_run(link, LH_SECOND), LH_SECOND) > 930);
    toy_fini(link);
}

static void starts_over_on_a_new_path_and_keeps_its_limits(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 50 * MBIT};
    struct toy_link *link = link_new(100 * MBIT, 20 * LH_MS, 0, &limits);
    toy_run(link, 2 * LH_SECOND);
    lh_cc_lt.on_path_change(link->state, link->now);
    assert_string_equal(lh_cc_lt.phase(link->state), "startup");
    assert_true(lh_cc_lt.pacing_rate(link->state) < 50 * MBIT);
    toy_run(link, LH_SECOND);
    assert_in_range(toy_run(link, LH_SECOND), 49 * MBIT, 51 * MBIT);
    toy_fini(link);
}

static void marked_packets_take_fifteen_percent_off_until_the_next_probe(void **state)
{
    (void)state;
    struct toy_link *link = link_new(100 * MBIT, 50 * LH_MS, 0, NULL);
    toy_run(link, 8 * LH_SECOND);
    while (strcmp(lh_cc_lt.phase(link->state), "up") != 0)
        toy_run(link, 10 * LH_MS);
    while (strcmp(lh_cc_lt.phase(link->state), "cruise") != 0)
        toy_run(link, 10 * LH_MS);
    toy_run(link, 300 * LH_MS); // of two seconds at least
    uint64_t before = lh_cc_lt.pacing_rate(link->state);
    link->ce_packets = 1;
    toy_run(link, 120 * LH_MS); // an interval
    link->ce_packets = 0;
    assert_in_range(lh_cc_lt.pacing_rate(link->state), before * 70 / 100, before * 87 / 100);
    toy_run(link, 8 * LH_SECOND);
    assert_true(permille(link, toy_run(link, 5 * LH_SECOND), 5 * LH_SECOND) > 930);
    toy_fini(link);
}

static void goes_on_after_an_outage(void **state)
{
    (void)state;
    struct toy_link *link = link_new(100 * MBIT, 50 * LH_MS, 10000, NULL);
    toy_run(link, 8 * LH_SECOND);
    link->loss_ppm = 1000000;
    toy_run(link, 30 * LH_SECOND);
    link->loss_ppm = 10000;
    toy_run(link, 2 * LH_SECOND);
    assert_true(permille(link, toy_run(link, 5 * LH_SECOND), 5 * LH_SECOND) > 930);
    toy_fini(link);
}

// Whatever feedback says, the answers stay in their bounds.
static void answers_stay_in_bounds_under_absurd_feedback(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(5)};
    for (unsigned run = 0; run < 50; run++) {
        static uint64_t room[LH_CC_STATE_MAX / 8];
        struct lh_cc_limits limits = {0};
        lh_ns now = 0;
        lh_cc_lt.init(room, 1500, &limits, run % 2 == 0 ? 0 : LH_MS, now);
        for (unsigned i = 0; i < 2000; i++) {
            uint64_t packets = lh_prng_next(&prng) >> lh_prng_below(&prng, 64) >> 16;
            struct lh_cc_feedback feedback = {
                .now = now += lh_prng_below(&prng, LH_SECOND),
                .inflight = lh_prng_next(&prng) >> lh_prng_below(&prng, 64),
                .rate_sample = lh_prng_next(&prng) >> lh_prng_below(&prng, 64),
                .rate_is_app_limited = lh_prng_below(&prng, 4) == 0,
                .rtt_min = lh_prng_below(&prng, 1 + (LH_SECOND << lh_prng_below(&prng, 8))),
                .queue_delay = lh_prng_below(&prng, LH_SECOND),
                .ce_packets = lh_prng_below(&prng, 2),
                .round_ended = lh_prng_below(&prng, 2) == 0,
                .round_sent_packets = packets,
                .round_lost_packets = lh_prng_below(&prng, packets + 1),
            };
            lh_cc_lt.on_feedback(room, &feedback);
            assert_in_range(lh_cc_lt.pacing_rate(room), 1, LH_CC_RATE_MAX);
            assert_true(lh_cc_lt.cwnd(room) >= 4 * 1500);
        }
    }
}

static void the_baseline_is_the_lower_quartile_of_quiet_intervals(void **state)
{
    (void)state;
    struct lh_loss_baseline baseline;
    lh_loss_baseline_init(&baseline, 150000);
    for (unsigned i = 0; i < LH_LOSS_SAMPLES_MIN - 1; i++) {
        lh_loss_baseline_add(&baseline, 1000, 20);
        assert_false(lh_loss_baseline_is_known(&baseline));
        check_uint(baseline.ppm, 0);
    }
    for (unsigned i = 0; i < 3 * LH_LOSS_SAMPLES; i++)
        lh_loss_baseline_add(&baseline, 1000, i % 4 == 0 ? 10 : 60);
    assert_true(lh_loss_baseline_is_known(&baseline));
    check_uint(baseline.ppm, 60000);
    lh_loss_baseline_add(&baseline, 1000, 10); // replaces one of its kind
    lh_loss_baseline_add(&baseline, 1000, 10); // and now more than a quarter lies there
    check_uint(baseline.ppm, 10000);
    for (unsigned i = 0; i < LH_LOSS_SAMPLES; i++)
        lh_loss_baseline_add(&baseline, 10, 5);
    check_uint(baseline.ppm, 150000);
}

static void losses_beyond_chance_are_excess(void **state)
{
    (void)state;
    static const struct {
        unsigned baseline_permille;
        uint64_t packets, lost;
        bool is_excess;
    } cases[] = {
        {0, 10000, 200, false},  // 2 %
        {0, 10000, 201, true},   //
        {0, 100, 3, false},      // 2 %, but only three packets
        {0, 100, 4, true},       //
        {50, 10000, 700, false}, // 5 % + 2 %
        {50, 10000, 701, true},  //
        {50, 400, 40, false},    // 20 expected, 4 sigma are 17.4, and 3
        {50, 400, 41, true},     //
        {0, 0, 0, false},        {100, UINT64_MAX >> 24, UINT64_MAX >> 24, true},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_loss_baseline baseline;
        lh_loss_baseline_init(&baseline, 150000);
        for (unsigned n = 0; n < LH_LOSS_SAMPLES; n++)
            lh_loss_baseline_add(&baseline, 1000, cases[i].baseline_permille);
        if (lh_loss_is_excess(&baseline, cases[i].packets, cases[i].lost) != cases[i].is_excess)
            fail_msg("case %zu", i);
    }
}

static void a_share_that_quiet_intervals_show_at_times_is_no_excess(void **state)
{
    (void)state;
    struct lh_loss_baseline baseline;
    lh_loss_baseline_init(&baseline, 150000);
    for (unsigned n = 0; n < LH_LOSS_SAMPLES; n++)
        lh_loss_baseline_add(&baseline, 1000, n % 4 == 0 ? 120 : 10);
    check_uint(baseline.ppm, 10000);
    assert_false(lh_loss_is_excess(&baseline, 1000, 130));
    assert_true(lh_loss_is_excess(&baseline, 1000, 200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_links_of_every_length_and_loss),
        cmocka_unit_test(fills_a_long_link_within_six_round_trips),
        cmocka_unit_test(startup_loses_nothing_in_a_queue_of_one_round_trip),
        cmocka_unit_test(does_not_take_the_losses_of_a_short_buffer_for_the_paths_own),
        cmocka_unit_test(survives_bursty_loss_and_shallow_buffers),
        cmocka_unit_test(leaves_the_queue_low_most_of_the_time),
        cmocka_unit_test(reaches_a_given_target_soon_holds_it_and_never_exceeds_it),
        cmocka_unit_test(a_target_above_the_path_does_no_harm),
        cmocka_unit_test(follows_limits_that_change_while_running),
        cmocka_unit_test(never_goes_below_the_minimum_rate),
        cmocka_unit_test(follows_a_path_that_changes_its_rate),
        cmocka_unit_test(a_slow_disk_does_not_lower_the_model),
        cmocka_unit_test(starts_over_on_a_new_path_and_keeps_its_limits),
        cmocka_unit_test(marked_packets_take_fifteen_percent_off_until_the_next_probe),
        cmocka_unit_test(goes_on_after_an_outage),
        cmocka_unit_test(answers_stay_in_bounds_under_absurd_feedback),
        cmocka_unit_test(the_baseline_is_the_lower_quartile_of_quiet_intervals),
        cmocka_unit_test(losses_beyond_chance_are_excess),
        cmocka_unit_test(a_share_that_quiet_intervals_show_at_times_is_no_excess),
    };
    return cmocka_run_group_tests_name("cc_lt", tests, NULL, NULL);
}
