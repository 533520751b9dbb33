// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "run/rest.h"

#define PACKET 1472

// `count` packets of 1,472 bytes that came within `gap`, then: how long to rest?
static lh_ns rest_after(size_t count, lh_ns gap, lh_ns rtt, uint32_t rcvbuf)
{
    static struct lh_udp_dgram dgrams[512];
    struct lh_rest rest = {.looked_at = LH_SECOND};
    lh_ns now = LH_SECOND + gap;
    assert_true(count <= 512);
    for (size_t i = 0; i < count; i++)
        dgrams[i].len = PACKET;
    lh_rest_on_batch(&rest, &(struct lh_udp_batch){.dgrams = dgrams, .count = count});
    lh_ns until = lh_rest_until(&rest, rtt, rcvbuf, now);
    assert_true(until >= now);
    check_uint(lh_rest_until(&rest, rtt, rcvbuf, now + gap), now + gap); // nothing more came
    return until - now;
}

static void packets_gather_as_long_as_path_and_buffer_bear_it(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        lh_ns gap, rtt;
        uint32_t rcvbuf;
        lh_ns rest;
    } cases[] = {
        {40, 500 * LH_US, 100 * LH_MS, 8 << 20, LH_MS},                 // 1 Gbit/s
        {40, 500 * LH_US, 20 * LH_MS, 8 << 20, 500 * LH_US},            // a part of the path
        {40, 500 * LH_US, 5 * LH_MS, 8 << 20, 0},                       // a path too short
        {1, LH_MS, 100 * LH_MS, 8 << 20, 0},                            // too few to wait for
        {400, 500 * LH_US, 100 * LH_MS, 4 * 400 * PACKET, 500 * LH_US}, // as the buffer holds
        {400, 500 * LH_US, 100 * LH_MS, 40 * PACKET, 0},                // a tiny one
        {40, 500 * LH_US, 100 * LH_MS, 0, 0},                           // an unknown one
        {0, 500 * LH_US, 100 * LH_MS, 8 << 20, 0},
        {40, 500 * LH_US, 0, 8 << 20, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_uint(rest_after(cases[i].count, cases[i].gap, cases[i].rtt, cases[i].rcvbuf),
                   cases[i].rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_gather_as_long_as_path_and_buffer_bear_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
