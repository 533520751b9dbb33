// SPDX-License-Identifier: Apache-2.0
#include "base/math.h"
#include "base/prng.h"
#include "cc/pacer.h"
#include "check.h"

#define PACKET 1500u

static const uint64_t rates[] = {
    10000, 125000, 1250000, 125000000, 1250000000, UINT64_C(12500000000), UINT64_C(125000000000),
};
#define RATES (sizeof rates / sizeof *rates)

static uint64_t burst_of(const struct lh_pacer *pacer)
{
    return LH_MAX(2 * lh_pacer_quantum(pacer), lh_muldiv(pacer->rate, 2 * LH_MS, LH_SECOND));
}

// Sends whole packets whenever it may, waking when told to plus `late`; returns bytes sent.
static uint64_t run(struct lh_pacer *pacer, lh_ns from, lh_ns until, struct lh_prng *late)
{
    uint64_t sent = 0;
    for (lh_ns now = from; now < until;) {
        uint64_t room = lh_pacer_available(pacer, now);
        uint64_t bytes = room / PACKET * PACKET;
        lh_pacer_consume(pacer, bytes);
        sent += bytes;
        assert_true(sent <= burst_of(pacer) + lh_muldiv(pacer->rate, now - from, LH_SECOND) + 1);
        lh_ns next = lh_pacer_next(pacer, now);
        if (next == now && bytes == 0)
            fail_msg("due at once, yet nothing available");
        now = next + (late != NULL ? lh_prng_below(late, LH_MS) : 0);
    }
    return sent;
}

static void reaches_its_rate_and_never_exceeds_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < RATES; i++) {
        struct lh_pacer pacer;
        lh_pacer_init(&pacer, PACKET, LH_SECOND);
        lh_pacer_set_rate(&pacer, rates[i], LH_SECOND);
        lh_ns span = LH_CLAMP(LH_SECOND * 1000000000 / rates[i], 10 * LH_MS, 20 * LH_SECOND);
        uint64_t sent = run(&pacer, LH_SECOND, LH_SECOND + span, NULL);
        uint64_t due = lh_muldiv(rates[i], span, LH_SECOND);
        assert_true(sent + 3 * lh_pacer_quantum(&pacer) >= due);
    }
}

static void makes_up_for_wakeups_that_come_up_to_a_millisecond_late(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(4)};
    for (size_t i = 0; i < RATES; i++) {
        struct lh_pacer pacer;
        lh_pacer_init(&pacer, PACKET, 0);
        lh_pacer_set_rate(&pacer, rates[i], 0);
        uint64_t sent = run(&pacer, 0, LH_SECOND, &prng);
        assert_true(sent + 2 * burst_of(&pacer) >= rates[i]);
    }
}

static void a_long_pause_gives_no_more_than_one_burst(void **state)
{
    (void)state;
    for (size_t i = 0; i < RATES; i++) {
        struct lh_pacer pacer;
        lh_pacer_init(&pacer, PACKET, 0);
        lh_pacer_set_rate(&pacer, rates[i], 0);
        assert_true(lh_pacer_available(&pacer, 3600 * LH_SECOND) <= burst_of(&pacer));
        assert_true(lh_pacer_available(&pacer, UINT64_MAX - 1) <= burst_of(&pacer));
    }
}

static void the_quantum_is_half_a_millisecond_in_whole_packets_within_bounds(void **state)
{
    (void)state;
    static const struct {
        uint64_t rate, quantum;
    } cases[] = {
        {0, PACKET},
        {1, PACKET},
        {5999999, PACKET},
        {6000000, 2 * PACKET},
        {125000000, 41 * PACKET},
        {250000000, 83 * PACKET},
        {1250000000, 174 * PACKET}, // 256 KiB
        {UINT64_MAX, 174 * PACKET},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lh_pacer pacer;
        lh_pacer_init(&pacer, PACKET, 0);
        lh_pacer_set_rate(&pacer, cases[i].rate, 0);
        check_uint(lh_pacer_quantum(&pacer), cases[i].quantum);
    }
}

static void a_large_quantum_goes_out_in_runs_of_64_kib(void **state)
{
    (void)state;
    const uint64_t rate = 1250000000, run = 43 * PACKET;
    struct lh_pacer pacer;
    lh_pacer_init(&pacer, PACKET, 0);
    lh_pacer_consume(&pacer, PACKET);
    lh_pacer_set_rate(&pacer, rate, 0);
    lh_ns due = lh_pacer_next(&pacer, 0);
    check_uint(lh_pacer_available(&pacer, due - 2), 0);
    for (unsigned i = 0; i < 4; i++) { // all of it now, although less than a quantum is left
        check_uint(lh_pacer_next(&pacer, due), due);
        assert_true(lh_pacer_available(&pacer, due) >= run);
        lh_pacer_consume(&pacer, run);
    }
    check_uint(lh_pacer_available(&pacer, due), 0); // two packets are left: not worth a call
    assert_true(lh_pacer_next(&pacer, due) > due + 200 * LH_US);
}

static void without_a_rate_nothing_is_ever_due(void **state)
{
    (void)state;
    struct lh_pacer pacer;
    lh_pacer_init(&pacer, PACKET, 0);
    lh_pacer_consume(&pacer, lh_pacer_available(&pacer, 0));
    check_uint(lh_pacer_available(&pacer, 1000 * LH_SECOND), 0);
    check_uint(lh_pacer_next(&pacer, 5), LH_NEVER);
    lh_pacer_set_rate(&pacer, 1500000, 1000 * LH_SECOND); // and the wait was not saved up
    check_uint(lh_pacer_available(&pacer, 1000 * LH_SECOND), 0);
    check_uint(lh_pacer_next(&pacer, 1000 * LH_SECOND), 1000 * LH_SECOND + LH_MS + 1);
}

static void a_lower_rate_takes_saved_credit_away(void **state)
{
    (void)state;
    struct lh_pacer pacer;
    lh_pacer_init(&pacer, PACKET, 0);
    lh_pacer_set_rate(&pacer, 1250000000, 0);
    assert_true(lh_pacer_available(&pacer, LH_SECOND) == 2500000);
    lh_pacer_set_rate(&pacer, 1250000, LH_SECOND);
    assert_true(lh_pacer_available(&pacer, LH_SECOND) <= burst_of(&pacer));
}

static void a_batch_that_overshot_is_paid_back(void **state)
{
    (void)state;
    struct lh_pacer pacer;
    lh_pacer_init(&pacer, PACKET, 0);
    lh_pacer_set_rate(&pacer, 1500000, 0); // a packet a millisecond
    lh_pacer_consume(&pacer, 10 * PACKET + lh_pacer_available(&pacer, 0));
    check_uint(lh_pacer_available(&pacer, 10 * LH_MS), 0);
    check_uint(lh_pacer_available(&pacer, 11 * LH_MS), PACKET);
}

static void what_a_full_window_held_back_is_not_made_up_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < RATES; i++) {
        struct lh_pacer pacer;
        lh_pacer_init(&pacer, PACKET, 0);
        lh_pacer_set_rate(&pacer, rates[i], 0);
        lh_pacer_hold(&pacer, 3600 * LH_SECOND);
        lh_ns now = 3601 * LH_SECOND;
        check_uint(lh_pacer_available(&pacer, now), lh_pacer_quantum(&pacer));
        lh_pacer_consume(&pacer, PACKET);
        lh_ns long_after = now + 3600 * LH_SECOND;
        check_uint(lh_pacer_available(&pacer, long_after), burst_of(&pacer)); // no longer held
    }
}

static void what_a_late_caller_missed_is_counted_and_what_a_window_held_back_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < RATES; i++) {
        struct lh_pacer pacer;
        lh_pacer_init(&pacer, PACKET, 0);
        lh_pacer_set_rate(&pacer, rates[i], 0);
        lh_pacer_consume(&pacer, PACKET);
        uint64_t burst = burst_of(&pacer);
        lh_ns full = lh_muldiv(burst, LH_SECOND, rates[i]);
        (void)lh_pacer_available(&pacer, full);
        check_uint(pacer.missed, 0);
        (void)lh_pacer_available(&pacer, full + 100 * LH_SECOND);
        assert_in_range(pacer.missed, 100 * rates[i] - PACKET, 100 * rates[i] + PACKET);
        uint64_t missed = pacer.missed;
        lh_pacer_hold(&pacer, full + 100 * LH_SECOND);
        (void)lh_pacer_available(&pacer, full + 200 * LH_SECOND);
        check_uint(pacer.missed, missed);
    }
}

static void long_paths_get_larger_quanta(void **state)
{
    (void)state;
    static const struct {
        lh_ns rtt, time;
    } cases[] = {{0, 500 * LH_US},          {LH_MS, 500 * LH_US}, {8 * LH_MS, 500 * LH_US},
                 {12 * LH_MS, 750 * LH_US}, {16 * LH_MS, LH_MS},  {300 * LH_MS, LH_MS}};
    struct lh_pacer pacer;
    lh_pacer_init(&pacer, PACKET, 0);
    lh_pacer_set_rate(&pacer, 125000000, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lh_pacer_set_rtt(&pacer, cases[i].rtt);
        uint64_t bytes = lh_muldiv(125000000, cases[i].time, LH_SECOND);
        check_uint(lh_pacer_quantum(&pacer), bytes / PACKET * PACKET);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reaches_its_rate_and_never_exceeds_it),
        cmocka_unit_test(long_paths_get_larger_quanta),
        cmocka_unit_test(makes_up_for_wakeups_that_come_up_to_a_millisecond_late),
        cmocka_unit_test(a_long_pause_gives_no_more_than_one_burst),
        cmocka_unit_test(the_quantum_is_half_a_millisecond_in_whole_packets_within_bounds),
        cmocka_unit_test(a_large_quantum_goes_out_in_runs_of_64_kib),
        cmocka_unit_test(without_a_rate_nothing_is_ever_due),
        cmocka_unit_test(a_lower_rate_takes_saved_credit_away),
        cmocka_unit_test(a_batch_that_overshot_is_paid_back),
        cmocka_unit_test(what_a_full_window_held_back_is_not_made_up_for),
        cmocka_unit_test(what_a_late_caller_missed_is_counted_and_what_a_window_held_back_is_not),
    };
    return cmocka_run_group_tests_name("pacer", tests, NULL, NULL);
}
