// SPDX-License-Identifier: Apache-2.0
//
// `fair` and `high` alone and beside a sender that fills the queue, over the toy link; who gets how
// much beside real CUBIC flows is measured in tests/sim (company_table.c).
#include "base/cleanup.h"
#include "cc/share_probe.h"
#include "toy_link.h"

#define MBIT UINT64_C(125000) // bytes/s
#define RATE (100 * MBIT)
#define RTT  (40 * LH_MS)
#define PATH (RATE / 25) // bytes in flight without a queue

static struct toy_link *
link_new(const struct lh_cc_type *cc, uint64_t queue, const struct lh_cc_limits *limits)
{
    static struct toy_link link;
    static const struct lh_cc_limits none;
    memset(&link, 0, sizeof link);
    link.capacity = RATE;
    link.rtt = RTT;
    link.queue_bytes = queue;
    toy_init(&link, cc, limits != NULL ? limits : &none, 1);
    return &link;
}

static bool in_company(const struct toy_link *link)
{
    return strncmp(link->cc->phase(link->state), "company", 7) == 0;
}

// Per thousand of the link over `span`.
static unsigned share(struct toy_link *link, lh_ns span)
{
    return (unsigned)lh_muldiv(toy_run(link, span), 1000, lh_muldiv(RATE, span, LH_SECOND));
}

static void alone_it_fills_the_link_and_hardly_ever_thinks_of_company(void **state)
{
    (void)state;
    static const struct lh_cc_type *const types[] = {&lh_cc_fair, &lh_cc_high};
    static const uint32_t losses[] = {0, 1000, 20000, 100000};
    static const uint64_t queues[] = {PATH / 4, PATH, 4 * PATH};
    for (size_t i = 0; i < 2 * LH_ARRAY_LEN(losses) * LH_ARRAY_LEN(queues); i++) {
        struct toy_link *link = link_new(types[i % 2], queues[i / 2 % 3], NULL);
        link->loss_ppm = losses[i / 6];
        toy_run(link, 4 * LH_SECOND);
        uint64_t delivered = 0;
        unsigned wrong = 0;
        for (unsigned n = 0; n < 200; n++) {
            delivered += toy_run(link, 100 * LH_MS);
            wrong += in_company(link);
        }
        if (wrong > (link->loss_ppm < 100000 ? 0 : 100)) // much loss looks like much else
            fail_msg("case %zu: company for %u of 200", i, wrong);
        uint64_t could = lh_muldiv(20 * RATE, 1000000 - link->loss_ppm, 1000000);
        if (delivered < could / 1000 * 950)
            fail_msg("case %zu: %llu of %llu", i, (unsigned long long)delivered,
                     (unsigned long long)could);
        toy_fini(link);
    }
}

static void beside_a_full_window_it_takes_its_policys_share(void **state)
{
    (void)state;
    static const struct {
        const struct lh_cc_type *cc;
        unsigned low, high;
    } cases[] = {{&lh_cc_fair, 420, 580}, {&lh_cc_high, 550, 800}};
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct toy_link *link = link_new(cases[i].cc, 4 * PATH, NULL);
        toy_run(link, 5 * LH_SECOND);
        link->rival = 2 * PATH;
        toy_run(link, 5 * LH_SECOND);
        assert_true(in_company(link));
        toy_run(link, 20 * LH_SECOND);
        unsigned got = share(link, 20 * LH_SECOND);
        if (got < cases[i].low || got > cases[i].high)
            fail_msg("%s: %u per thousand", cases[i].cc->name, got);
        toy_fini(link);
    }
}

static void the_link_is_filled_again_when_the_other_has_gone(void **state)
{
    (void)state;
    struct toy_link *link = link_new(&lh_cc_fair, 4 * PATH, NULL);
    toy_run(link, 5 * LH_SECOND);
    link->rival = 2 * PATH;
    toy_run(link, 20 * LH_SECOND);
    assert_true(in_company(link));
    link->rival = 0;
    toy_run(link, 20 * LH_SECOND);
    assert_false(in_company(link));
    assert_true(share(link, 10 * LH_SECOND) > 950);
    toy_fini(link);
}

static void limits_hold_in_company(void **state)
{
    (void)state;
    struct lh_cc_limits limits = {.rate_target = 20 * MBIT};
    struct toy_link *link = link_new(&lh_cc_fair, 4 * PATH, &limits);
    link->rival = 3 * PATH;
    toy_run(link, 10 * LH_SECOND);
    for (unsigned i = 0; i < 100; i++) {
        toy_run(link, 50 * LH_MS);
        assert_true(link->cc->pacing_rate(link->state) <= limits.rate_target);
    }
    limits = (struct lh_cc_limits){.rate_min = 60 * MBIT};
    link->cc->set_limits(link->state, &limits, link->now);
    for (unsigned i = 0; i < 100; i++) {
        toy_run(link, 50 * LH_MS);
        assert_true(link->cc->pacing_rate(link->state) >= limits.rate_min);
    }
    toy_fini(link);
}

static void losses_at_a_long_queue_halve_nothing_twice_a_round_trip(void **state)
{
    (void)state;
    struct toy_link *link = link_new(&lh_cc_fair, 2 * PATH, NULL);
    toy_run(link, 5 * LH_SECOND);
    link->rival = 2 * PATH; // fills all that there is: losses are sure to come
    toy_run(link, 3 * LH_SECOND);
    uint64_t before = link->cc->cwnd(link->state);
    for (unsigned i = 0; i < 400; i++) {
        toy_run(link, 5 * LH_MS);
        uint64_t now = link->cc->cwnd(link->state);
        assert_true(now >= before / 2); // an event and a probe at once leave 0.88 x 0.7
        before = now;
    }
    toy_fini(link);
}

// --- The probe -----------------------------------------------------------------------------------

// A queue of 20 ms on a path of 20 ms, of which `share` per thousand is ours; gives the answer.
static uint32_t probe(uint32_t share, bool spoil, enum lh_share_answer *out_answer)
{
    struct lh_share_probe probe;
    uint64_t mine = 1000000;
    uint64_t others = mine * (1000 - share) / LH_MAX(share, 1u);
    uint64_t rate = (mine + others) * 25; // all of it in 40 ms
    uint32_t answer = 0;
    lh_share_probe_init(&probe, LH_SECOND, LH_SECOND, 4, LH_SECOND);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t inflight = mine * probe.window_share / LH_SHARE_ONE;
        lh_ns delay = lh_muldiv(inflight + others, LH_SECOND, rate);
        struct lh_share_seen seen = {
            .now = LH_SECOND + i * 5 * LH_MS,
            .rtt = delay,
            .inflight = inflight,
            .delay = (int64_t)delay - 50 * (int64_t)LH_MS, // another clock
            .queue_stands = delay - 20 * LH_MS,
            .queue_needed = 6 * LH_MS,
        };
        if (spoil && probe.is_probing)
            lh_share_probe_spoil(&probe);
        *out_answer = lh_share_probe_step(&probe, &seen, &answer);
        if (*out_answer != LH_SHARE_NONE)
            break;
        assert_true(probe.window_share >= 700);
    }
    check_uint(probe.window_share, LH_SHARE_ONE);
    return answer;
}

static void a_probe_measures_the_share_of_a_queue(void **state)
{
    (void)state;
    static const uint32_t shares[] = {100, 300, 500, 800, 1000};
    for (size_t i = 0; i < LH_ARRAY_LEN(shares); i++) {
        enum lh_share_answer answer;
        uint32_t got = probe(shares[i], false, &answer);
        check_int(answer, LH_SHARE_MEASURED);
        assert_in_range(got, shares[i] * 95 / 100, shares[i] * 105 / 100 + 5);
    }
}

static void a_spoilt_probe_says_nothing(void **state)
{
    (void)state;
    enum lh_share_answer answer;
    (void)probe(500, true, &answer);
    check_int(answer, LH_SHARE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_it_fills_the_link_and_hardly_ever_thinks_of_company),
        cmocka_unit_test(beside_a_full_window_it_takes_its_policys_share),
        cmocka_unit_test(the_link_is_filled_again_when_the_other_has_gone),
        cmocka_unit_test(limits_hold_in_company),
        cmocka_unit_test(losses_at_a_long_queue_halve_nothing_twice_a_round_trip),
        cmocka_unit_test(a_probe_measures_the_share_of_a_queue),
        cmocka_unit_test(a_spoilt_probe_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
