// SPDX-License-Identifier: Apache-2.0
//
// `low`: fills an idle link with a short queue, gives way at once, comes back soon.
#include "base/cleanup.h"
#include "toy_link.h"

#define MBIT UINT64_C(125000) // bytes/s
#define RATE (100 * MBIT)
#define RTT  (40 * LH_MS)
#define PATH (RATE / 25) // bytes in flight without a queue

static struct toy_link *link_new(lh_ns rtt, const struct lh_cc_limits *limits)
{
    static struct toy_link link;
    static const struct lh_cc_limits none;
    memset(&link, 0, sizeof link);
    link.capacity = RATE;
    link.rtt = rtt;
    link.queue_bytes = 4 * lh_muldiv(RATE, rtt, LH_SECOND);
    toy_init(&link, &lh_cc_low, limits != NULL ? limits : &none, 1);
    return &link;
}

static unsigned share(struct toy_link *link, lh_ns span)
{
    return (unsigned)lh_muldiv(toy_run(link, span), 1000, lh_muldiv(RATE, span, LH_SECOND));
}

static void an_idle_link_is_filled_with_a_short_queue(void **state)
{
    (void)state;
    static const struct {
        unsigned rtt_ms;
        uint32_t loss;
        unsigned floor;
    } cases[] = {{10, 0, 900}, {40, 0, 900}, {100, 0, 900}, {40, 10000, 880}, {100, 20000, 850}};
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct toy_link *link = link_new(cases[i].rtt_ms * LH_MS, NULL);
        link->loss_ppm = cases[i].loss;
        toy_run(link, 8 * LH_SECOND);
        link->queue_peak = 0;
        unsigned got = share(link, 30 * LH_SECOND);
        if (got < cases[i].floor || link->queue_peak > 25 * LH_MS)
            fail_msg("case %zu: %u per thousand, queue %llu us", i, got,
                     (unsigned long long)(link->queue_peak / LH_US));
        toy_fini(link);
    }
}

static void it_gives_way_within_two_seconds_and_comes_back_within_three(void **state)
{
    (void)state;
    struct toy_link *link = link_new(RTT, NULL);
    toy_run(link, 10 * LH_SECOND);
    for (unsigned i = 0; i < 3; i++) {
        link->rival = 2 * PATH;
        toy_run(link, 2 * LH_SECOND);
        assert_true(share(link, 5 * LH_SECOND) < 50);
        link->rival = 0;
        toy_run(link, 3 * LH_SECOND);
        assert_true(share(link, 5 * LH_SECOND) > 850);
    }
    toy_fini(link);
}

static void it_slows_down_to_see_the_path_without_itself(void **state)
{
    (void)state;
    struct toy_link *link = link_new(RTT, NULL);
    unsigned slowdowns = 0;
    bool was_slow = false;
    for (unsigned i = 0; i < 3100; i++) {
        toy_run(link, 10 * LH_MS);
        bool is_slow = strcmp(link->cc->phase(link->state), "slowdown") == 0;
        slowdowns += is_slow && !was_slow;
        was_slow = is_slow;
        if (is_slow)
            check_uint(link->cc->cwnd(link->state), 4 * TOY_PACKET);
    }
    assert_in_range(slowdowns, 3, 4); // after the start, and every ten seconds
    toy_fini(link);
}

static void limits_hold(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 30 * MBIT, .rate_min = 5 * MBIT};
    struct toy_link *link = link_new(RTT, &limits);
    toy_run(link, 5 * LH_SECOND);
    assert_in_range(share(link, 5 * LH_SECOND), 270, 305);
    link->rival = 3 * PATH;
    toy_run(link, 5 * LH_SECOND);
    assert_in_range(share(link, 5 * LH_SECOND), 40, 60);
    toy_fini(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_link_is_filled_with_a_short_queue),
        cmocka_unit_test(it_gives_way_within_two_seconds_and_comes_back_within_three),
        cmocka_unit_test(it_slows_down_to_see_the_path_without_itself),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
