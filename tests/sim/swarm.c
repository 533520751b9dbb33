// SPDX-License-Identifier: Apache-2.0
//
// How it works. A seed draws everything: link, faults, policy, sizes, memory, what the applications
// do. A third of the scenarios are tame: nothing but a rate, a delay and independent loss; of those
// more is asked (goodput, repetitions), since there it can be. What must hold of all stands in
// world.c.
//
// The processes take hundreds of seeds in turn. Each notes in shared memory which seed it is at, so
// that a failed assertion, a crash or a hang (an alarm) is reported with its seed too.
#include "swarm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "base/prng.h"

#define MBIT       UINT64_C(125000) // bytes/s
#define KIB        1024u
#define MIB        ((uint32_t)1 << 20)
#define PERCENT    10000u // ppm
#define SHARE      100u   // seeds a line of TAP
#define JOBS_MAX   64u
#define PATIENCE_S 300u // of the real clock, for one scenario
#define OUTPUT_MAX 3072

// --- Drawing -------------------------------------------------------------------------------------

static bool one_in(struct lh_prng *prng, uint64_t n)
{
    return lh_prng_below(prng, n) == 0;
}

// Between `low` and `high`, as often in each doubling as in any other.
static uint64_t spread(struct lh_prng *prng, uint64_t low, uint64_t high)
{
    unsigned doublings = 0;
    while (low << doublings < high)
        doublings++;
    uint64_t bottom = low << lh_prng_below(prng, doublings + 1);
    bottom = LH_MIN(bottom, high);
    uint64_t top = LH_MIN(2 * bottom, high);
    return bottom + lh_prng_below(prng, top - bottom + 1);
}

static struct sim_link_config tame_link(struct lh_prng *prng, uint64_t rate, lh_ns delay)
{
    uint64_t path = lh_muldiv(rate, 2 * delay, LH_SECOND);
    struct sim_link_config link = {.rate = rate, .delay = delay, .queue_bytes = path + 64 * KIB};
    if (one_in(prng, 2))
        link.loss_ppm = (uint32_t)spread(prng, 100, 5 * PERCENT);
    return link;
}

static void make_faulty(struct lh_prng *prng, struct sim_link_config *link)
{
    link->queue_bytes = lh_prng_below(prng, 2 * link->queue_bytes) + 16 * KIB;
    link->loss_ppm = one_in(prng, 2) ? (uint32_t)spread(prng, 100, 20 * PERCENT) : 0;
    if (one_in(prng, 4)) {
        link->burst_ppm = (uint32_t)spread(prng, 1000, 10 * PERCENT);
        // Longer ones, met by the few packets of a silent lane, would last longer than a session.
        link->burst_packets = (uint32_t)spread(prng, 2, 40);
    }
    if (one_in(prng, 4)) {
        link->reorder_ppm = (uint32_t)spread(prng, 100, 50 * PERCENT);
        link->reorder_delay = spread(prng, 10 * LH_US, 200 * LH_MS);
    }
    if (one_in(prng, 4)) {
        link->duplicate_ppm = (uint32_t)spread(prng, 100, 30 * PERCENT);
        link->duplicate_delay = spread(prng, 10 * LH_US, 5 * LH_SECOND);
    }
    if (one_in(prng, 4))
        link->corrupt_ppm = (uint32_t)spread(prng, 100, 10 * PERCENT);
    if (one_in(prng, 4))
        link->jitter = spread(prng, 10 * LH_US, 100 * LH_MS);
    if (one_in(prng, 6))
        link->ip_max = (uint32_t)(1228 + lh_prng_below(prng, 300));
    for (unsigned i = 0; i < SIM_OUTAGES_MAX && one_in(prng, 5); i++) {
        link->outages[i].from = lh_prng_below(prng, 3 * LH_SECOND);
        link->outages[i].until = link->outages[i].from + spread(prng, LH_MS, 60 * LH_SECOND);
    }
}

static struct sim_plan draw_plan(struct lh_prng *prng, uint64_t rate, uint32_t block_max)
{
    struct sim_plan plan = {.stream_bytes = one_in(prng, 3) ? spread(prng, 1, 60000) : 0};
    uint64_t bytes = spread(prng, 2000, one_in(prng, 30) ? 8u * MIB : MIB);
    bytes = LH_MIN(bytes, 8 * rate);
    plan.block_max = (uint32_t)spread(prng, 1, block_max);
    plan.block_min = (uint32_t)lh_prng_below(prng, plan.block_max) + 1;
    plan.blocks = (uint32_t)LH_MIN(bytes / plan.block_max + 1, (uint64_t)3000);
    return plan;
}

static void make_slow(struct lh_prng *prng, struct sim_plan *plan, uint64_t rate)
{
    if (one_in(prng, 3))
        plan->release_rate = 100000 + rate / spread(prng, 1, 8);
    if (one_in(prng, 3))
        plan->release_delay = spread(prng, LH_MS, LH_SECOND);
    if (one_in(prng, 3))
        plan->offer_rate = 100000 + rate / spread(prng, 1, 8);
}

// Memory of both sides: whether runs are taken early, and whether the sender has to load again.
static void draw_memory(struct lh_prng *prng, struct sim_plan *plan, uint32_t block_max)
{
    plan->takes_early = !one_in(prng, 3);
    if (one_in(prng, 6)) {
        plan->stall.from = lh_prng_below(prng, 2 * LH_SECOND);
        plan->stall.until = plan->stall.from + spread(prng, LH_MS, 3 * LH_SECOND);
    }
    if (one_in(prng, 2)) {
        plan->send_memory = spread(prng, 4 * (uint64_t)block_max, 16 * MIB);
        plan->reload_delay = spread(prng, LH_US, 50 * LH_MS);
    }
}

static void draw_policy(struct lh_prng *prng, struct sim_scenario *scenario, uint64_t rate)
{
    static const char *const names[] = {"lt", "high", "fair", "low"};
    scenario->cc = lh_cc_by_name(names[lh_prng_below(prng, LH_ARRAY_LEN(names))]);
    if (one_in(prng, 6))
        scenario->limits.rate_target = spread(prng, MBIT / 2, rate);
    if (one_in(prng, 8)) {
        scenario->cc = &lh_cc_fixed;
        scenario->limits.rate_target = spread(prng, rate / 4, rate + rate / 4);
    }
}

static void draw_pipe(struct lh_prng *prng, struct sim_scenario *scenario, lh_ns delay)
{
    scenario->pipe = (struct sim_pipe_config){
        .rate = spread(prng, MBIT / 2, 100 * MBIT),
        .delay = delay,
        .buffer = spread(prng, 64 * KIB, MIB),
    };
    scenario->give_up_udp_at = 3 * LH_SECOND;
}

static void draw_faults(struct lh_prng *prng, struct sim_scenario *scenario)
{
    make_faulty(prng, &scenario->up);
    make_faulty(prng, &scenario->down);
    make_slow(prng, &scenario->client, scenario->down.rate);
    make_slow(prng, &scenario->server, scenario->up.rate);
    if (scenario->pipe.rate > 0 && one_in(prng, 5))
        scenario->pipe.breaks_at = 1 + lh_prng_below(prng, 3 * LH_SECOND);
    else if (scenario->pipe.rate > 0 && one_in(prng, 8)) // no UDP, one way at least
        scenario->up.outages[0].until = LH_NEVER - 2 * LH_SECOND;
    if (one_in(prng, 6))
        scenario->rebind_at = 1 + lh_prng_below(prng, 3 * LH_SECOND);
    if (one_in(prng, 8))
        scenario->junk_every = spread(prng, LH_MS, 100 * LH_MS);
    if (one_in(prng, 2))
        scenario->wake_late = spread(prng, LH_US, 5 * LH_MS);
}

static bool needs_authentication(const struct sim_scenario *scenario)
{
    return scenario->up.corrupt_ppm + scenario->down.corrupt_ppm > 0 || scenario->junk_every > 0;
}

static void draw_suite(struct lh_prng *prng, struct sim_scenario *scenario)
{
    static const struct lh_aead_type *const suites[] = {&lh_aead_aes128_gcm, &lh_aead_aes256_gcm,
                                                        &lh_aead_chacha20_poly1305};
    scenario->aead = suites[lh_prng_below(prng, LH_ARRAY_LEN(suites))];
    scenario->epoch_shift = one_in(prng, 3) ? (uint8_t)(10 + lh_prng_below(prng, 8)) : 0;
    if (!needs_authentication(scenario) && !one_in(prng, 4))
        scenario->aead = &lh_aead_null;
}

// Where the path does nothing odd, the transfer must be quick and little be sent again. On a thin
// line the first burst alone, made before anything was heard, is longer than all that follows.
static void ask_more(struct sim_scenario *scenario, uint64_t rate, lh_ns delay)
{
    bool is_usual = scenario->cc == NULL || scenario->cc == &lh_cc_lt;
    bool is_fit = rate >= 20 * MBIT && delay >= LH_MS && scenario->udp_lanes == 1 &&
                  scenario->server.blocks == 0 && scenario->client.block_min >= 4 * KIB;
    scenario->allowance = LH_SECOND + 40 * delay;
    scenario->server.stall.until = scenario->server.stall.from;
    scenario->goodput_permille = is_fit && is_usual && scenario->limits.rate_target == 0 ? 300 : 0;
    scenario->few_repeats = is_fit;
}

struct sim_scenario sim_scenario_swarm(uint64_t seed)
{
    struct lh_prng prng = {seed ^ UINT64_C(0x737761726d)};
    uint64_t rate = spread(&prng, MBIT / 2, 1000 * MBIT);
    lh_ns delay = spread(&prng, 50 * LH_US, 250 * LH_MS);
    uint32_t block_max = (uint32_t)1 << (10 + lh_prng_below(&prng, 11));
    bool is_tame = one_in(&prng, 3);
    struct sim_scenario scenario = {
        .name = "swarm",
        .what = "whatever the seed makes up, in short",
        .up = tame_link(&prng, rate, delay),
        .down = tame_link(&prng, one_in(&prng, 4) ? rate / 8 + MBIT / 4 : rate, delay),
        .block_max = block_max,
        .receive_budget = spread(&prng, LH_MAX(4 * block_max, 64 * KIB), 64 * MIB),
        .udp_lanes = one_in(&prng, 4) ? 1 + (unsigned)lh_prng_below(&prng, 3) : 1,
        .time_limit = 3000 * LH_SECOND,
    };
    scenario.client = draw_plan(&prng, scenario.up.rate, block_max);
    if (one_in(&prng, 2))
        scenario.server = draw_plan(&prng, scenario.down.rate, block_max);
    draw_memory(&prng, &scenario.client, block_max);
    draw_memory(&prng, &scenario.server, block_max);
    draw_policy(&prng, &scenario, rate);
    if (!one_in(&prng, 4))
        draw_pipe(&prng, &scenario, delay);
    if (is_tame)
        ask_more(&scenario, rate, delay);
    else
        draw_faults(&prng, &scenario);
    draw_suite(&prng, &scenario);
    return scenario;
}

// --- Running -------------------------------------------------------------------------------------

// One hundred seeds; writes their line and returns whether all were right.
static bool run_share(uint64_t first, uint64_t count, volatile uint64_t *at)
{
    char output[OUTPUT_MAX];
    size_t used = 0;
    unsigned failed = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim_options options = {.seed = seed};
        struct sim_scenario scenario = sim_scenario_swarm(seed);
        *at = seed;
        alarm(PATIENCE_S);
        struct sim_result result = sim_run(&scenario, &options);
        if (result.is_ok)
            continue;
        failed++;
        if (used < sizeof output - 512)
            used += (size_t)snprintf(output + used, sizeof output - used,
                                     "# seed %llu: %s\n# replay: sim swarm --seed %llu --print\n",
                                     (unsigned long long)seed, result.failure,
                                     (unsigned long long)seed);
    }
    alarm(0);
    snprintf(output + used, sizeof output - used, "%s - random scenarios %llu to %llu\n",
             failed == 0 ? "ok" : "not ok", (unsigned long long)first,
             (unsigned long long)(first + count - 1));
    fputs(output, stdout);
    fflush(stdout);
    return failed == 0;
}

static bool run_job(uint64_t first, uint64_t count, unsigned job, unsigned jobs, uint64_t *at)
{
    bool is_ok = true;
    uint64_t last = first + count;
    for (uint64_t from = first + job * SHARE; from < last; from += jobs * SHARE)
        is_ok &= run_share(from, LH_MIN((uint64_t)SHARE, last - from), at);
    return is_ok;
}

bool sim_swarm(uint64_t first, uint64_t count, unsigned jobs)
{
    pid_t pids[JOBS_MAX];
    bool is_ok = true;
    jobs = LH_CLAMP(jobs, 1u, JOBS_MAX);
    uint64_t *at = mmap(NULL, JOBS_MAX * sizeof *at, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LH_ASSERT(at != MAP_FAILED);
    printf("1..%llu\n", (unsigned long long)((count + SHARE - 1) / SHARE));
    fflush(stdout);
    for (unsigned i = 0; i < jobs; i++) {
        pids[i] = fork();
        LH_ASSERT(pids[i] >= 0);
        if (pids[i] == 0)
            exit(run_job(first, count, i, jobs, &at[i]) ? 0 : 1);
    }
    for (unsigned i = 0; i < jobs; i++) {
        int status = 0;
        LH_ASSERT(waitpid(pids[i], &status, 0) == pids[i]);
        if (WIFSIGNALED(status) || WEXITSTATUS(status) > 1)
            printf("not ok - scenario %llu broke down (%s %d)\n# replay: sim swarm --seed %llu\n",
                   (unsigned long long)at[i], WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                   (unsigned long long)at[i]);
        is_ok &= status == 0;
    }
    munmap(at, JOBS_MAX * sizeof *at);
    return is_ok;
}
