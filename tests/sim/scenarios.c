// SPDX-License-Identifier: Apache-2.0
//
// The table of scenarios. Rates are IP bytes; every bound follows from the link (world.h).
#include "base/cleanup.h"
#include "base/math.h"
#include "base/prng.h"
#include "world.h"

#define MBIT     UINT64_C(125000) // bytes/s
#define KIB      1024u
#define MIB      ((uint32_t)1 << 20)
#define FOR_EVER (LH_NEVER - 2 * LH_SECOND)
#define PERCENT  10000u // ppm
#define MEGABYTE UINT64_C(1000000)

// A path that is the same both ways, with one bandwidth-delay product of queue.
#define PATH(mbit, rtt_ms, ...)                                                                    \
    {                                                                                              \
        .rate = (mbit)*MBIT, .delay = (rtt_ms)*LH_MS / 2,                                          \
        .queue_bytes = (mbit)*MBIT * (rtt_ms) / 1000 + 64 * KIB, __VA_ARGS__                       \
    }
#define BOTH(...) .up = __VA_ARGS__, .down = __VA_ARGS__

#define SSH(mbit, rtt_ms)                                                                          \
    {                                                                                              \
        .rate = (mbit)*MBIT, .delay = (rtt_ms)*LH_MS / 2, .buffer = 512 * KIB                      \
    }

const struct sim_scenario sim_scenarios[] = {
    {
        .name = "clean",
        .what = "1 Gbit/s, 100 ms, nothing lost",
        .is_quick = true,
        BOTH(PATH(1000, 100)),
        .pipe = SSH(50, 100),
        .client = {.blocks = 300, .block_min = 512 * KIB, .block_max = MIB, .stream_bytes = 50000},
        .server = {.stream_bytes = 50000},
        .wake_late = 50 * LH_US,
        .time_limit = 10 * LH_SECOND,
        .goodput_permille = 800,
        .allowance = 1500 * LH_MS,
        .overhead_permille = 1050,
        .udp_permille = 950,
    },
    {
        .name = "loss_1",
        .what = "1 Gbit/s, 100 ms, 1 % random loss",
        .is_quick = true,
        BOTH(PATH(1000, 100, .loss_ppm = 1 * PERCENT)),
        .pipe = SSH(50, 100),
        .client = {.blocks = 300, .block_min = 512 * KIB, .block_max = MIB, .stream_bytes = 50000},
        .server = {.stream_bytes = 50000},
        .wake_late = 50 * LH_US,
        .time_limit = 10 * LH_SECOND,
        .goodput_permille = 800,
        .allowance = 1500 * LH_MS,
        .overhead_permille = 1050,
        .udp_permille = 950,
    },
    {
        .name = "burst_5",
        .what = "200 Mbit/s, 60 ms, 5 % lost in runs of 8",
        .is_quick = true,
        BOTH(PATH(200, 60, .burst_ppm = 5 * PERCENT, .burst_packets = 8)),
        .pipe = SSH(20, 60),
        .client = {.blocks = 100, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 1500 * LH_MS,
        .overhead_permille = 1150,
        .udp_permille = 950,
    },
    {
        .name = "mess",
        .what = "100 Mbit/s, 40 ms, reordering, duplicates, damage and loss, both ways at once",
        .is_quick = true,
        BOTH(PATH(100,
                  40,
                  .loss_ppm = 1 * PERCENT,
                  .reorder_ppm = 5 * PERCENT,
                  .reorder_delay = 10 * LH_MS,
                  .duplicate_ppm = 2 * PERCENT,
                  .duplicate_delay = 500 * LH_MS,
                  .corrupt_ppm = 1 * PERCENT)),
        .pipe = SSH(10, 40),
        .client = {.blocks = 60, .block_min = 1, .block_max = 512 * KIB, .stream_bytes = 300000},
        .server = {.blocks = 60, .block_min = 1, .block_max = 512 * KIB, .stream_bytes = 300000},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 1500 * LH_MS,
        .overhead_permille = 1250,
    },
    {
        .name = "outage",
        .what = "100 Mbit/s, 50 ms, nothing gets through for 30 s, SSH neither",
        .is_quick = true,
        BOTH(PATH(100, 50, .outages = {{LH_SECOND, 31 * LH_SECOND}})),
        .client = {.blocks = 60, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 60 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 34 * LH_SECOND,
    },
    {
        .name = "udp_blocked",
        .what = "UDP never gets through: everything over SSH",
        .is_quick = true,
        BOTH(PATH(100, 50, .outages = {{0, FOR_EVER}})),
        .pipe = SSH(50, 50),
        .client = {.blocks = 40, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.blocks = 10, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .give_up_udp_at = 3 * LH_SECOND,
        .time_limit = 12 * LH_SECOND,
        .no_udp = true,
    },
    {
        .name = "udp_comes_and_goes",
        .what = "UDP is gone from 1 s to 6 s; SSH carries on meanwhile",
        .is_quick = true,
        BOTH(PATH(100, 50, .outages = {{LH_SECOND, 6 * LH_SECOND}})),
        .pipe = SSH(20, 50),
        .client = {.blocks = 100, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 7 * LH_SECOND,
        .udp_permille = 300,
    },
    {
        .name = "udp_crippled",
        .what =
            "UDP gets through, policed to 0.2 Mbit/s; SSH would do 50: it carries the data, too",
        .is_quick = true,
        .up = {.rate = MBIT / 5, .delay = 25 * LH_MS, .queue_bytes = 10000},
        .down = PATH(100, 50),
        .pipe = SSH(50, 50),
        .client = {.blocks = 60, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .give_up_udp_at = 9 * LH_SECOND,
        .time_limit = 40 * LH_SECOND,
    },
    {
        .name = "mtu_hole",
        .what = "datagrams above 1,328 bytes vanish without a word",
        .is_quick = true,
        BOTH(PATH(100, 50, .ip_max = 1328)),
        .pipe = SSH(10, 50),
        .client = {.blocks = 50, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 15 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 2 * LH_SECOND,
        .udp_permille = 900,
    },
    {
        .name = "tiny_epochs",
        .what = "a key seals 256 packets; loss and reordering across the changes",
        .is_quick = true,
        BOTH(PATH(20,
                  20,
                  .loss_ppm = 1 * PERCENT,
                  .reorder_ppm = 2 * PERCENT,
                  .reorder_delay = 5 * LH_MS)),
        .pipe = SSH(5, 20),
        .epoch_shift = 8,
        .client = {.blocks = 30, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 1500 * LH_MS,
        .udp_permille = 900,
    },
    {
        .name = "ecn",
        .what = "100 Mbit/s, 50 ms; packets that wait longer than 20 ms are marked, none is lost",
        .is_quick = true,
        BOTH(PATH(100, 50, .ce_above = 20 * LH_MS)),
        .pipe = SSH(10, 50),
        .client = {.blocks = 100, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 2 * LH_SECOND,
        .udp_permille = 900,
        .ecn = "capable",
        .marked_min = 100,
    },
    {
        .name = "ecn_bleached",
        .what = "a router wipes the ECN field out; nothing is marked any more, nothing is slower",
        .is_quick = true,
        BOTH(PATH(100, 50, .clears_ecn = true)),
        .pipe = SSH(10, 50),
        .client = {.blocks = 50, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 15 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 1500 * LH_MS,
        .udp_permille = 900,
        .ecn = "failed",
    },
    {
        .name = "ecn_everything",
        .what = "a broken router marks every packet CE: its marks mean nothing",
        .is_quick = true,
        BOTH(PATH(100, 50, .ce_ppm = 1000000)),
        .pipe = SSH(10, 50),
        .client = {.blocks = 50, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 15 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 1500 * LH_MS,
        .udp_permille = 900,
        .ecn = "failed",
    },
    {
        .name = "slow_receiver",
        .what = "the receiving disk takes 4 MB/s of a 100 Mbit/s line",
        .is_quick = true,
        BOTH(PATH(100, 50)),
        .pipe = SSH(10, 50),
        .receive_budget = 8 * MIB,
        .client = {.blocks = 50, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.release_rate = 4 * MEGABYTE, .stream_bytes = 20000},
        .time_limit = 12 * LH_SECOND,
        .overhead_permille = 1050,
    },
    {
        .name = "rebinding",
        .what = "the client's NAT gives it another port in the middle",
        .is_quick = true,
        BOTH(PATH(100, 50)),
        .client = {.blocks = 50, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.blocks = 50, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .rebind_at = 1500 * LH_MS,
        .time_limit = 15 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 3 * LH_SECOND,
    },
    {
        .name = "junk",
        .what = "10,000 forged packets a second to each end, replays besides",
        .is_quick = true,
        BOTH(PATH(100, 50, .duplicate_ppm = 10 * PERCENT, .duplicate_delay = 2 * LH_SECOND)),
        .pipe = SSH(10, 50),
        .junk_every = 50 * LH_US,
        .client = {.blocks = 20, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.blocks = 20, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .time_limit = 10 * LH_SECOND,
        .overhead_permille = 1100,
        .udp_permille = 950,
    },
    {
        .name = "small_blocks",
        .what = "3,000 blocks of 1 to 4,000 bytes and a busy stream, 5 % loss",
        .is_quick = true,
        BOTH(PATH(50, 80, .loss_ppm = 5 * PERCENT)),
        .pipe = SSH(10, 80),
        .client = {.blocks = 3000, .block_min = 1, .block_max = 4000, .stream_bytes = 500000},
        .server = {.blocks = 3000, .block_min = 1, .block_max = 4000, .stream_bytes = 500000},
        .time_limit = 20 * LH_SECOND,
    },
    {
        .name = "ssh_dies",
        .what = "the SSH channel breaks; UDP goes on alone",
        .is_quick = true,
        BOTH(PATH(100, 50, .loss_ppm = 1 * PERCENT)),
        .pipe =
            {.rate = 10 * MBIT, .delay = 25 * LH_MS, .buffer = 512 * KIB, .breaks_at = LH_SECOND},
        .client = {.blocks = 50, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 200000},
        .server = {.stream_bytes = 200000},
        .time_limit = 15 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 1500 * LH_MS,
    },
    {
        .name = "target",
        .what = "50 Mbit/s asked for on a 100 Mbit/s line with 1 % loss",
        .is_quick = true,
        BOTH(PATH(100, 100, .loss_ppm = 1 * PERCENT)),
        .pipe = SSH(10, 100),
        .limits = {.rate_target = 50 * MBIT},
        .client = {.blocks = 40, .block_min = 100 * KIB, .block_max = MIB},
        .time_limit = 15 * LH_SECOND,
        .goodput_permille = 450, // of the line
        .allowance = 1200 * LH_MS,
        .overhead_permille = 1050,
    },
    {
        .name = "fixed",
        .what = "policy fixed at 50 Mbit/s, 10 % loss",
        BOTH(PATH(100, 100, .loss_ppm = 10 * PERCENT)),
        .pipe = SSH(10, 100),
        .cc = &lh_cc_fixed,
        .limits = {.rate_target = 50 * MBIT},
        .client = {.blocks = 60, .block_min = 100 * KIB, .block_max = MIB},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 450,
        .allowance = 2 * LH_SECOND,
        .overhead_permille = 1080,
    },
    {
        .name = "far_and_bad",
        .what = "200 Mbit/s, 300 ms, 10 % loss",
        BOTH(PATH(200, 300, .loss_ppm = 10 * PERCENT)),
        .pipe = SSH(10, 300),
        .client = {.blocks = 250, .block_min = 512 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 40 * LH_SECOND,
        .goodput_permille = 800,
        .allowance = 6 * LH_SECOND,
        .overhead_permille = 1100,
    },
    {
        .name = "jitter",
        .what = "100 Mbit/s, 50 ms, 20 ms of jitter in order",
        BOTH(PATH(100, 50, .jitter = 20 * LH_MS, .loss_ppm = 1 * PERCENT)),
        .pipe = SSH(10, 50),
        .client = {.blocks = 80, .block_min = 100 * KIB, .block_max = MIB},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 2 * LH_SECOND,
        .overhead_permille = 1100,
    },
    {
        .name = "thin_return",
        .what = "500 Mbit/s one way, 1 Mbit/s and 5 % loss back",
        .up = PATH(500, 50),
        .down = {.rate = MBIT, .delay = 25 * LH_MS, .queue_bytes = 30000, .loss_ppm = 5 * PERCENT},
        .pipe = SSH(1, 50),
        .client = {.blocks = 150, .block_min = 512 * KIB, .block_max = MIB},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 2 * LH_SECOND,
        .overhead_permille = 1100,
    },
    {
        .name = "shallow",
        .what = "500 Mbit/s, 100 ms, a queue of 5 ms, 1 % loss",
        .up = {.rate = 500 * MBIT, .delay = 50 * LH_MS, .queue_bytes = 312500, .loss_ppm = PERCENT},
        .down = PATH(500, 100),
        .pipe = SSH(10, 100),
        .client = {.blocks = 200, .block_min = 512 * KIB, .block_max = MIB},
        .wake_late = 100 * LH_US,
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 2 * LH_SECOND,
        .overhead_permille = 1200,
    },
    {
        .name = "little_memory",
        .what = "8 MiB of window on a path of 25 MB",
        BOTH(PATH(1000, 200, .loss_ppm = 1 * PERCENT)),
        .pipe = SSH(10, 200),
        .receive_budget = 8 * MIB,
        .client = {.blocks = 80, .block_min = 100 * KIB, .block_max = MIB},
        .time_limit = 20 * LH_SECOND,
        .overhead_permille = 1050,
    },
    {
        .name = "early_runs",
        .what = "300 ms of 1 Gbit/s and 5 % loss with 16 MiB on either side",
        .is_quick = true,
        BOTH(PATH(1000, 300, .loss_ppm = 5 * PERCENT)),
        .pipe = SSH(10, 300),
        .receive_budget = 16 * MIB,
        .client = {.blocks = 400,
                   .block_min = 400 * KIB,
                   .block_max = 512 * KIB,
                   .send_memory = 16 * MIB,
                   .reload_delay = LH_MS,
                   .is_light = true},
        .server = {.takes_early = true},
        .time_limit = 20 * LH_SECOND,
        .goodput_permille = 500,
        .allowance = 4 * LH_SECOND,
        .overhead_permille = 1100,
    },
    {
        .name = "disk_stalls",
        .what = "much is granted ahead, then the receiving disk stands still for 3 s",
        .is_quick = true,
        BOTH(PATH(500, 200, .loss_ppm = 2 * PERCENT)),
        .pipe = SSH(10, 200),
        .receive_budget = 8 * MIB,
        .client = {.blocks = 500, .block_min = 200 * KIB, .block_max = 256 * KIB, .is_light = true},
        .server = {.takes_early = true, .stall = {2500 * LH_MS, 5500 * LH_MS}},
        .time_limit = 40 * LH_SECOND,
        .few_repeats = true,
    },
    {
        .name = "outage_60",
        .what = "100 Mbit/s, 50 ms, nothing gets through for 60 s, SSH neither",
        .is_quick = true,
        BOTH(PATH(100, 50, .outages = {{LH_SECOND, 61 * LH_SECOND}})),
        .client = {.blocks = 60, .block_min = 100 * KIB, .block_max = MIB, .stream_bytes = 20000},
        .server = {.stream_bytes = 20000},
        .time_limit = 90 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 64 * LH_SECOND,
    },
    {
        .name = "slow_line",
        .what = "1 Mbit/s, 100 ms, 2 % loss",
        BOTH(PATH(1, 100, .loss_ppm = 2 * PERCENT)),
        .pipe = SSH(1, 100),
        .client = {.blocks = 20, .block_min = 10 * KIB, .block_max = 200 * KIB},
        .time_limit = 60 * LH_SECOND,
        .goodput_permille = 600,
        .allowance = 3 * LH_SECOND,
        .overhead_permille = 1150,
    },
    {
        .name = "starved_sender",
        .what = "for 10 s the sender gets the processor for 3 of every 10 ms only",
        .is_quick = true,
        BOTH(PATH(200, 50, .loss_ppm = 1 * PERCENT)),
        .pipe = SSH(10, 50),
        .client = {.blocks = 180,
                   .block_min = MIB,
                   .block_max = MIB,
                   .is_light = true,
                   .starved = {3 * LH_MS, 10 * LH_MS, 10 * LH_SECOND}},
        .time_limit = 40 * LH_SECOND,
        .goodput_permille = 620,
        .allowance = 1500 * LH_MS,
    },
    {
        .name = "slow_source",
        .what = "blocks come at 3 MB/s on a fast path",
        BOTH(PATH(1000, 50, .loss_ppm = 1 * PERCENT)),
        .pipe = SSH(10, 50),
        .client =
            {.blocks = 40, .block_min = 100 * KIB, .block_max = MIB, .offer_rate = 3 * MEGABYTE},
        .time_limit = 15 * LH_SECOND,
        .overhead_permille = 1150,
    },
    {
        .name = "long_haul",
        .what = "1 Gbit/s, 150 ms, loss, reordering and two short outages",
        BOTH(PATH(1000,
                  150,
                  .loss_ppm = 1 * PERCENT,
                  .reorder_ppm = PERCENT,
                  .reorder_delay = 5 * LH_MS,
                  .outages = {{2 * LH_SECOND, 2500 * LH_MS}, {5 * LH_SECOND, 5200 * LH_MS}})),
        .pipe = SSH(10, 150),
        .client = {.blocks = 500, .block_min = 512 * KIB, .block_max = MIB, .stream_bytes = 500000},
        .server = {.stream_bytes = 500000},
        .time_limit = 30 * LH_SECOND,
        .goodput_permille = 700,
        .allowance = 4 * LH_SECOND,
        .overhead_permille = 1250,
        .udp_permille = 950,
    },
};
const size_t sim_scenarios_count = LH_ARRAY_LEN(sim_scenarios);

// --- Made up -------------------------------------------------------------------------------------

static bool one_in(struct lh_prng *prng, uint64_t n)
{
    return lh_prng_below(prng, n) == 0;
}

// Between `low` and `high`, as often in each doubling as in any other.
static uint64_t spread(struct lh_prng *prng, uint64_t low, uint64_t high)
{
    uint64_t top = low;
    while (top < high && !one_in(prng, 8))
        top *= 2;
    top = LH_MIN(top, high);
    return low + lh_prng_below(prng, top - low + 1);
}

static struct sim_link_config random_link(struct lh_prng *prng, uint64_t rate, lh_ns delay)
{
    struct sim_link_config link = {.rate = rate, .delay = delay};
    uint64_t path = lh_muldiv(rate, 2 * delay, LH_SECOND);
    link.queue_bytes = LH_MAX(path / 16 + lh_prng_below(prng, 2 * path + 1), (uint64_t)64 * KIB);
    if (one_in(prng, 2))
        link.loss_ppm = (uint32_t)spread(prng, 100, 10 * PERCENT);
    if (one_in(prng, 4)) {
        link.burst_ppm = (uint32_t)spread(prng, 1000, 5 * PERCENT);
        link.burst_packets = (uint32_t)spread(prng, 2, 100);
    }
    if (one_in(prng, 4)) {
        link.reorder_ppm = (uint32_t)spread(prng, 100, 20 * PERCENT);
        link.reorder_delay = spread(prng, 100 * LH_US, 100 * LH_MS);
    }
    if (one_in(prng, 4)) {
        link.duplicate_ppm = (uint32_t)spread(prng, 100, 10 * PERCENT);
        link.duplicate_delay = spread(prng, LH_MS, 5 * LH_SECOND);
    }
    if (one_in(prng, 4))
        link.corrupt_ppm = (uint32_t)spread(prng, 100, 5 * PERCENT);
    if (one_in(prng, 4))
        link.jitter = spread(prng, 100 * LH_US, 50 * LH_MS);
    if (one_in(prng, 6))
        link.ip_max = (uint32_t)(1228 + lh_prng_below(prng, 300));
    for (unsigned i = 0; i < SIM_OUTAGES_MAX && one_in(prng, 5); i++) {
        link.outages[i].from = lh_prng_below(prng, 10 * LH_SECOND);
        link.outages[i].until = link.outages[i].from + spread(prng, 10 * LH_MS, 20 * LH_SECOND);
    }
    return link;
}

static struct sim_plan random_plan(struct lh_prng *prng, uint64_t rate)
{
    struct sim_plan plan = {.stream_bytes = one_in(prng, 4) ? 0 : spread(prng, 1, 500000)};
    plan.block_min = (uint32_t)spread(prng, 1, 100 * KIB);
    plan.block_max = plan.block_min + (uint32_t)spread(prng, 1, MIB - 100 * KIB);
    uint64_t bytes = LH_MIN(3 * rate, 20 * MEGABYTE);
    if (!one_in(prng, 5))
        plan.blocks = (uint32_t)(1 + lh_prng_below(prng, 1 + 2 * bytes / plan.block_max)) % 20000;
    if (one_in(prng, 6))
        plan.release_rate = LH_MAX(rate / (1 + lh_prng_below(prng, 4)), 100000);
    if (one_in(prng, 6))
        plan.release_delay = spread(prng, LH_MS, LH_SECOND);
    if (one_in(prng, 6))
        plan.offer_rate = LH_MAX(rate / (1 + lh_prng_below(prng, 4)), 100000);
    return plan;
}

struct sim_scenario sim_scenario_random(uint64_t seed)
{
    struct lh_prng prng = {seed ^ UINT64_C(0x6c6f6e676861756c)};
    uint64_t up = spread(&prng, MBIT / 2, 500 * MBIT), down = up;
    lh_ns delay = spread(&prng, 100 * LH_US, 200 * LH_MS);
    if (one_in(&prng, 4))
        down = spread(&prng, MBIT / 2, 500 * MBIT);
    struct sim_scenario scenario = {
        .name = "random",
        .what = "whatever the seed makes up",
        .up = random_link(&prng, up, delay),
        .down = random_link(&prng, down, delay),
        .client = random_plan(&prng, up),
        .server = random_plan(&prng, down),
        .receive_budget = spread(&prng, 8 * MIB, 128 * MIB),
        .epoch_shift = one_in(&prng, 4) ? (uint8_t)(10 + lh_prng_below(&prng, 10)) : 0,
        .wake_late = one_in(&prng, 2) ? spread(&prng, LH_US, 5 * LH_MS) : 0,
        .time_limit = 1200 * LH_SECOND,
    };
    if (!one_in(&prng, 4)) {
        scenario.pipe = (struct sim_pipe_config){.rate = spread(&prng, MBIT / 2, 100 * MBIT),
                                                 .delay = delay,
                                                 .buffer = spread(&prng, 64 * KIB, MIB)};
        scenario.give_up_udp_at = 3 * LH_SECOND;
        if (one_in(&prng, 5))
            scenario.pipe.breaks_at = lh_prng_below(&prng, 5 * LH_SECOND);
        else if (one_in(&prng, 6)) // no UDP, one way at least
            scenario.up.outages[0].until = FOR_EVER;
    }
    if (one_in(&prng, 5))
        scenario.rebind_at = 1 + lh_prng_below(&prng, 5 * LH_SECOND);
    if (one_in(&prng, 8))
        scenario.limits.rate_target = spread(&prng, MBIT / 2, up);
    if (one_in(&prng, 8))
        scenario.junk_every = spread(&prng, 200 * LH_US, 100 * LH_MS);
    if (one_in(&prng, 8)) {
        scenario.cc = &lh_cc_fixed;
        scenario.limits.rate_target = spread(&prng, MBIT / 2, up + up / 4);
    }
    static const struct lh_aead_type *const suites[] = {&lh_aead_aes128_gcm, &lh_aead_aes256_gcm,
                                                        &lh_aead_chacha20_poly1305};
    scenario.aead = suites[lh_prng_below(&prng, LH_ARRAY_LEN(suites))];
    return scenario;
}
