// SPDX-License-Identifier: Apache-2.0
//
// How it works. Content is zeros but for the beginning of each block, and packets are not
// encrypted, so what is under way takes no memory here (link.c); the engines on both sides are the
// real ones, with the memory that a person's command gives them.
#include "fat.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "world.h"

#define MBIT   UINT64_C(125000) // bytes/s
#define BLOCK  ((uint32_t)1 << 20)
#define ENOUGH 950u // permille

struct fat {
    const char *what;
    uint64_t rate;
    lh_ns rtt;
    uint32_t loss_ppm;
    lh_ns from, until; // of the measurement
    bool is_long;
};

static const struct fat fats[] = {
    {"10 Gbit/s, 300 ms, 5 % loss", 10000 * MBIT, 300 * LH_MS, 50000, 4 * LH_SECOND, 9 * LH_SECOND,
     false},
    {"100 Gbit/s, 100 ms, 5 % loss", 100000 * MBIT, 100 * LH_MS, 50000, 2 * LH_SECOND,
     4 * LH_SECOND, true},
};

static struct sim_result run_fat(const struct fat *fat, uint64_t seed)
{
    struct sim_link_config link = {.rate = fat->rate,
                                   .delay = fat->rtt / 2,
                                   .loss_ppm = fat->loss_ppm,
                                   .queue_bytes = lh_muldiv(fat->rate, fat->rtt, LH_SECOND)};
    uint64_t bytes = lh_muldiv(fat->rate, fat->until + LH_SECOND, LH_SECOND);
    struct sim_scenario scenario = {
        .name = "fat",
        .up = link,
        .down = link,
        .client = {.blocks = (uint32_t)(bytes / BLOCK),
                   .block_min = BLOCK,
                   .block_max = BLOCK,
                   .is_light = true,
                   .send_memory = LH_MEMORY_DEFAULT,
                   .reload_delay = LH_MS},
        .server = {.takes_early = true},
        .aead = &lh_aead_null,
        .receive_budget = LH_MEMORY_DEFAULT,
        .wake_late = 50 * LH_US,
        .time_limit = LH_NEVER / 4,
    };
    struct sim_options options = {
        .seed = seed, .measure_from = fat->from, .measure_until = fat->until};
    return sim_run(&scenario, &options);
}

bool sim_fat(uint64_t seed, bool is_long)
{
    unsigned number = 0, failed = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(fats); i++) {
        if (fats[i].is_long != is_long)
            continue;
        struct sim_result result = run_fat(&fats[i], seed);
        bool is_ok = result.is_ok && result.efficiency_permille >= ENOUGH &&
                     result.stats[1].receive_memory_peak <= LH_MEMORY_DEFAULT;
        failed += !is_ok;
        printf("%s %u - %s # E %.3f; at most %.0f MB held by the receiver and %.0f MB by the "
               "sender, %llu packets refused%s%s\n",
               is_ok ? "ok" : "not ok", ++number, fats[i].what,
               (double)result.efficiency_permille / 1000,
               (double)result.stats[1].receive_memory_peak / 1e6,
               (double)result.loaded_peak[0] / 1e6,
               (unsigned long long)result.stats[1].refused_packets, result.is_ok ? "" : "; ",
               result.failure);
        fflush(stdout);
    }
    printf("1..%u\n", number);
    return failed == 0;
}
