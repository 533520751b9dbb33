// SPDX-License-Identifier: Apache-2.0
//
// The engine end to end: two transports in memory and virtual time.
#include "check.h"
#include "transport_pair.h"

#include "base/cleanup.h"

static void a_lossless_udp_lane_carries_blocks_and_stream(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = check_seed(1)});
    pair_add_lane(&pair, 1, 10 * LH_MS, 12500000);
    pair.ends[0].blocks_wanted = 100;
    pair.ends[0].stream_wanted = 300000;
    pair.ends[1].stream_wanted = 5000;
    assert_true(pair_run(&pair, pair_all_done, 20 * LH_SECOND));
    check_uint(pair.ends[1].blocks_received, 100);
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lossless_udp_lane_carries_blocks_and_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
