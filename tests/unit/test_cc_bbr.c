// SPDX-License-Identifier: Apache-2.0
//
// The BBR reference does what is known of BBR: fills a clean link, keeps about a quarter of a path
// of queue while probing, and loses a good part of it to random loss.
#include "toy_link.h"

#define MBIT UINT64_C(125000) // bytes/s
#define RATE (100 * MBIT)

static struct toy_link *link_new(uint32_t loss_ppm)
{
    static struct toy_link link;
    static const struct lh_cc_limits none;
    memset(&link, 0, sizeof link);
    link.capacity = RATE;
    link.rtt = 40 * LH_MS;
    link.queue_bytes = 4 * RATE / 25;
    link.loss_ppm = loss_ppm;
    toy_init(&link, &lh_cc_bbr, &none, 1);
    return &link;
}

static unsigned share(struct toy_link *link, lh_ns span)
{
    return (unsigned)lh_muldiv(toy_run(link, span), 1000, lh_muldiv(RATE, span, LH_SECOND));
}

static void a_clean_link_is_filled_with_a_short_queue(void **state)
{
    (void)state;
    struct toy_link *link = link_new(0);
    toy_run(link, 5 * LH_SECOND);
    link->queue_peak = 0;
    assert_true(share(link, 20 * LH_SECOND) > 930);
    assert_true(link->queue_peak < 20 * LH_MS);
    toy_fini(link);
}

static void random_loss_costs_more_than_itself(void **state)
{
    (void)state;
    static const uint32_t losses[] = {1000, 10000, 50000};
    unsigned before = 1000;
    for (unsigned i = 0; i < 3; i++) {
        struct toy_link *link = link_new(losses[i]);
        toy_run(link, 5 * LH_SECOND);
        unsigned got = share(link, 20 * LH_SECOND);
        if (got >= before - before * losses[i] / 1000000 || (i == 0 && got < 500))
            fail_msg("%u ppm: %u per thousand", losses[i], got);
        before = got;
        toy_fini(link);
    }
}

static void every_phase_comes_around(void **state)
{
    (void)state;
    static const char *const names[] = {"startup", "drain", "down", "cruise", "refill", "up"};
    struct toy_link *link = link_new(0);
    bool seen[6] = {false};
    for (unsigned i = 0; i < 2000; i++) {
        for (size_t n = 0; n < 6; n++)
            seen[n] |= strcmp(link->cc->phase(link->state), names[n]) == 0;
        toy_run(link, 5 * LH_MS);
    }
    for (size_t n = 0; n < 6; n++)
        if (!seen[n])
            fail_msg("%s never came", names[n]);
    toy_fini(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_link_is_filled_with_a_short_queue),
        cmocka_unit_test(random_loss_costs_more_than_itself),
        cmocka_unit_test(every_phase_comes_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
