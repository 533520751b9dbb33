// SPDX-License-Identifier: Apache-2.0
//
// The simulator's command line:
//
//   sim SCENARIO [--seed N] [--print]    one run, told in full: what a failure asks you to repeat
//                [--trace FILE]          its events as JSON lines, for tools/plot-trace
//   sim random --seed N                  a scenario that the seed makes up
//   sim swarm --seed N                   a short one, of those that --swarm runs
//   sim --swarm N [--seed FIRST] [--jobs K]   N of them in K processes, as a test (TAP)
//   sim --fat | --fat-long               paths that carry more than a side may hold; a test (TAP)
//   sim --list                           the scenarios
//   sim --quick | --all                  as a test (TAP), with --seeds K, --seed FIRST, --random K
//   sim --matrix                         efficiency over round trips and losses; not a test;
//                                        with --rate MBIT, --seconds S, --from S, --cc NAME,
//                                        --queue PERMILLE, --burst PACKETS (mean run of losses),
//                                        --jitter PERMILLE (of the round trip);
//                                        --rtt MS and --loss PPM: only these (--trace: of the last)
//   sim --figures                        what one flow alone must reach (figures.h), with --row
//                                        PART-OF-NAME, --rate MBIT (the goals are for 1000),
//                                        --seconds S, --memory MIB; --tap: as a test; --quick:
//                                        the same, smaller
//   sim --company                        who gets how much of a shared link: every figure with its
//                                        goal; with --row PART-OF-NAME, --seeds K, --cc NAME
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/text.h"
#include "company_table.h"
#include "fat.h"
#include "figures.h"
#include "swarm.h"
#include "world.h"

struct arguments {
    const char *scenario;
    const char *cc, *trace, *row;
    bool is_fat, is_fat_long;
    bool is_figures, is_list, is_quick, is_all, is_matrix, is_company, is_traced, is_tap;
    uint64_t swarm, jobs;
    uint64_t seed, seeds, randoms, rate, from, seconds, queue, rtt, loss, burst, jitter, memory;
};

static void print_details(const struct sim_result *result)
{
    static const char *const names[] = {"client", "server"};
    printf("# took %.3f s, %.1f MB, goodput %.1f Mbit/s, %.1f %% of the link's payload, "
           "fingerprint %016llx\n",
           (double)result->took / 1e9, (double)result->bytes / 1e6,
           (double)result->goodput / 125000.0, (double)result->efficiency_permille / 10,
           (unsigned long long)result->fingerprint);
    for (unsigned i = 0; i < 2; i++) {
        const struct lh_lane_stats *lane = &result->udp[i];
        printf("# %s: UDP sent %llu packets, %.1f MB; lost %llu, spurious %llu, resent %.2f MB; "
               "received %llu, duplicate %llu, forged %llu; epoch %llu; rtt %.2f ms (min %.2f); "
               "payload %u; memory %.1f MB\n",
               names[i], (unsigned long long)lane->packets_sent, (double)lane->bytes_sent / 1e6,
               (unsigned long long)lane->packets_lost,
               (unsigned long long)lane->packets_lost_spurious,
               (double)lane->retransmitted_bytes / 1e6, (unsigned long long)lane->packets_received,
               (unsigned long long)lane->duplicate_packets,
               (unsigned long long)lane->forged_packets, (unsigned long long)lane->epoch,
               (double)lane->rtt_smoothed / 1e6, (double)lane->rtt_min / 1e6, lane->payload_max,
               (double)result->stats[i].receive_memory_peak / 1e6);
        const struct lh_transport_stats *stats = &result->stats[i];
        printf("#    window %.1f MB, %.1f MB taken early, %llu packets refused; at most %.1f MB "
               "loaded to be sent, %llu blocks again\n",
               (double)stats->window / 1e6, (double)stats->early_bytes / 1e6,
               (unsigned long long)stats->refused_packets, (double)result->loaded_peak[i] / 1e6,
               (unsigned long long)result->reloaded[i]);
    }
}

static void print_link(const char *name, const struct sim_link_config *link)
{
    printf("# %s: %.2f Mbit/s, %.2f ms + %.2f, queue %llu, loss %.3f %%, bursts %.3f %% of %u, "
           "reorder %.3f %% by %.2f ms, duplicate %.3f %%, corrupt %.3f %%, ip max %u\n",
           name, (double)link->rate / 125000, (double)link->delay / 1e6, (double)link->jitter / 1e6,
           (unsigned long long)link->queue_bytes, (double)link->loss_ppm / 1e4,
           (double)link->burst_ppm / 1e4, link->burst_packets, (double)link->reorder_ppm / 1e4,
           (double)link->reorder_delay / 1e6, (double)link->duplicate_ppm / 1e4,
           (double)link->corrupt_ppm / 1e4, link->ip_max);
    for (unsigned i = 0; i < SIM_OUTAGES_MAX; i++)
        if (link->outages[i].until > 0)
            printf("#   out from %.3f s to %.3f s\n", (double)link->outages[i].from / 1e9,
                   (double)link->outages[i].until / 1e9);
}

static void print_plan(const char *name, const struct sim_plan *plan)
{
    printf(
        "# %s: %u blocks of %u to %u, stream %llu, takes %llu bytes/s after %.2f ms, offers %llu "
        "bytes/s\n",
        name, plan->blocks, plan->block_min, plan->block_max,
        (unsigned long long)plan->stream_bytes, (unsigned long long)plan->release_rate,
        (double)plan->release_delay / 1e6, (unsigned long long)plan->offer_rate);
}

static void print_scenario(const struct sim_scenario *scenario)
{
    print_link("up", &scenario->up);
    print_link("down", &scenario->down);
    print_plan("client", &scenario->client);
    print_plan("server", &scenario->server);
    printf("# policy %s, target %.2f Mbit/s, suite %s, %u UDP lanes, blocks up to %u\n",
           scenario->cc != NULL ? scenario->cc->name : "as usual",
           (double)scenario->limits.rate_target / 125000,
           scenario->aead != NULL ? scenario->aead->name : "as usual", scenario->udp_lanes,
           scenario->block_max);
    printf("# pipe: %.2f Mbit/s, %.2f ms, buffer %llu, breaks at %.3f s; memory %llu, epoch shift "
           "%u, late %.2f ms, moves at %.3f s\n",
           (double)scenario->pipe.rate / 125000, (double)scenario->pipe.delay / 1e6,
           (unsigned long long)scenario->pipe.buffer, (double)scenario->pipe.breaks_at / 1e9,
           (unsigned long long)scenario->receive_budget, scenario->epoch_shift,
           (double)scenario->wake_late / 1e6, (double)scenario->rebind_at / 1e9);
}

static int run_one(const struct arguments *arguments)
{
    struct sim_options options = {
        .seed = arguments->seed, .is_traced = arguments->is_traced, .trace_file = arguments->trace};
    const struct sim_scenario made_up[] = {sim_scenario_random(arguments->seed),
                                           sim_scenario_swarm(arguments->seed)};
    for (size_t i = 0; i < sim_scenarios_count + LH_ARRAY_LEN(made_up); i++) {
        const struct sim_scenario *scenario =
            i < sim_scenarios_count ? &sim_scenarios[i] : &made_up[i - sim_scenarios_count];
        if (strcmp(scenario->name, arguments->scenario) != 0)
            continue;
        if (options.is_traced)
            print_scenario(scenario);
        struct sim_result result = sim_run(scenario, &options);
        if (!result.is_ok) {
            printf("FAILED: %s\n", result.failure);
            return 1;
        }
        print_details(&result);
        return 0;
    }
    fprintf(stderr, "sim: no scenario \"%s\"; sim --list names them\n", arguments->scenario);
    return 2;
}

static bool run_test(const struct sim_scenario *scenario, uint64_t seed, unsigned number)
{
    struct sim_options options = {.seed = seed};
    struct sim_result result = sim_run(scenario, &options);
    printf("%s %u - %s seed %llu # %.2f s, %.0f Mbit/s, %.1f %%\n", result.is_ok ? "ok" : "not ok",
           number, scenario->name, (unsigned long long)seed, (double)result.took / 1e9,
           (double)result.goodput / 125000.0, (double)result.efficiency_permille / 10);
    if (!result.is_ok)
        printf("# %s\n# replay: sim %s --seed %llu\n", result.failure, scenario->name,
               (unsigned long long)seed);
    fflush(stdout);
    return result.is_ok;
}

// The promise that everything else rests on.
static bool test_determinism(unsigned number)
{
    struct sim_options options = {.seed = 42};
    const struct sim_scenario *mess = NULL;
    for (size_t i = 0; i < sim_scenarios_count; i++)
        if (strcmp(sim_scenarios[i].name, "mess") == 0)
            mess = &sim_scenarios[i];
    struct sim_result first = sim_run(mess, &options), second = sim_run(mess, &options);
    options.seed++;
    struct sim_result other = sim_run(mess, &options);
    bool is_ok = first.fingerprint != 0 && first.fingerprint == second.fingerprint &&
                 first.fingerprint != other.fingerprint;
    printf("%s %u - equal seeds send equal packets at equal times\n", is_ok ? "ok" : "not ok",
           number);
    return is_ok;
}

// A check that cannot fail proves nothing: without authentication, damage must show as wrong
// content or as a broken protocol.
static bool test_damage_is_seen(unsigned number)
{
    bool is_ok = true;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_options options = {.seed = seed};
        struct sim_scenario scenario = {
            .up = {.rate = 12500000, .delay = LH_MS, .queue_bytes = 100000, .corrupt_ppm = 20000},
            .down = {.rate = 12500000, .delay = LH_MS, .queue_bytes = 100000},
            .client = {.blocks = 20, .block_min = 100000, .block_max = 200000},
            .aead = &lh_aead_null,
            .time_limit = 60 * LH_SECOND,
        };
        is_ok &= !sim_run(&scenario, &options).is_ok;
    }
    printf("%s %u - without authentication, damage is seen\n", is_ok ? "ok" : "not ok", number);
    return is_ok;
}

static int run_tests(const struct arguments *arguments)
{
    unsigned number = 0, failed = 0;
    for (size_t i = 0; i < sim_scenarios_count; i++) {
        if (!sim_scenarios[i].is_quick && !arguments->is_all)
            continue;
        for (uint64_t seed = 0; seed < arguments->seeds; seed++)
            failed += !run_test(&sim_scenarios[i], arguments->seed + seed, ++number);
    }
    for (uint64_t seed = 0; seed < arguments->randoms; seed++) {
        struct sim_scenario scenario = sim_scenario_random(arguments->seed + seed);
        failed += !run_test(&scenario, arguments->seed + seed, ++number);
    }
    failed += !test_determinism(++number);
    failed += !test_damage_is_seen(++number);
    struct company_choice company = {
        .is_quick = !arguments->is_all, .seed = 1, .seeds = arguments->is_all ? 5 : 1};
    failed += company_test(&company, &number);
    printf("1..%u\n", number);
    return failed > 0;
}

// One cell of the matrix: a transfer without end over a path that loses both ways.
static struct sim_result run_cell(const struct arguments *arguments, uint64_t rtt_ms, uint64_t loss)
{
    uint64_t rate = arguments->rate * 125000;
    struct sim_link_config link = {
        .rate = rate, .delay = rtt_ms * LH_MS / 2, .loss_ppm = (uint32_t)loss};
    if (arguments->burst > 0) {
        link.burst_ppm = link.loss_ppm;
        link.burst_packets = (uint32_t)arguments->burst;
        link.loss_ppm = 0;
    }
    link.jitter = lh_muldiv(2 * link.delay, arguments->jitter, 1000);
    uint64_t path = lh_muldiv(rate, 2 * link.delay, LH_SECOND);
    link.queue_bytes = LH_MAX(path * arguments->queue / 1000, (uint64_t)64000);
    struct sim_scenario scenario = {
        .up = link,
        .down = link,
        .client = {.blocks = (uint32_t)(rate * arguments->seconds / (1 << 20) + 100),
                   .block_min = 1 << 20,
                   .block_max = 1 << 20,
                   .is_light = true,
                   .send_memory = LH_MEMORY_DEFAULT,
                   .reload_delay = LH_MS},
        .server = {.takes_early = true},
        .cc = lh_cc_by_name(arguments->cc),
        .limits.rate_target = strcmp(arguments->cc, "fixed") == 0 ? rate : 0,
        .aead = &lh_aead_null,
        .receive_budget = LH_MEMORY_DEFAULT,
        .wake_late = 50 * LH_US,
        .time_limit = LH_NEVER / 4,
    };
    struct sim_options options = {.seed = arguments->seed,
                                  .is_traced = arguments->is_traced,
                                  .trace_file = arguments->trace,
                                  .measure_from = arguments->from * LH_SECOND,
                                  .measure_until = arguments->seconds * LH_SECOND};
    return sim_run(&scenario, &options);
}

static int run_matrix(const struct arguments *arguments)
{
    static const uint64_t rtts[] = {1, 10, 50, 100, 200, 300};
    static const uint64_t losses[] = {0, 1000, 10000, 20000, 50000, 100000};
    unsigned cells = 0, good = 0;
    printf("E = goodput / (rate x 0.952 x (1 - loss)), %llu Mbit/s, seconds %llu to %llu, queue "
           "%llu/1000 of the path, window 256 MiB\n%8s",
           (unsigned long long)arguments->rate, (unsigned long long)arguments->from,
           (unsigned long long)arguments->seconds, (unsigned long long)arguments->queue, "");
    for (size_t j = 0; j < LH_ARRAY_LEN(losses); j++)
        printf("%7.1f %%", (double)losses[j] / 10000);
    for (size_t i = 0; i < LH_ARRAY_LEN(rtts); i++) {
        if (arguments->rtt != 0 && arguments->rtt != rtts[i])
            continue;
        printf("\n%5llu ms", (unsigned long long)rtts[i]);
        for (size_t j = 0; j < LH_ARRAY_LEN(losses); j++) {
            if (arguments->loss != UINT64_MAX && arguments->loss != losses[j])
                continue;
            struct sim_result result = run_cell(arguments, rtts[i], losses[j]);
            cells++;
            good += result.efficiency_permille >= 950;
            if (arguments->is_traced && result.is_ok)
                print_details(&result);
            if (result.is_ok)
                printf("%9.3f", (double)result.efficiency_permille / 1000);
            else
                printf(" FAILED: %s\n", result.failure);
            fflush(stdout);
        }
    }
    printf("\n%u of %u cells reach 0.95\n", good, cells);
    return 0;
}

static int run_figures(const struct arguments *arguments)
{
    struct sim_figures_options options = {
        .rate = arguments->rate * 125000,
        .seconds = arguments->seconds,
        .seed = arguments->seed,
        .only = arguments->row,
        .memory = arguments->memory << 20,
        .is_quick = arguments->is_quick,
        .is_tap = arguments->is_quick || arguments->is_tap,
        .is_traced = arguments->is_traced,
    };
    return sim_figures(&options) > 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: sim SCENARIO | random | swarm [--seed N] [--print] [--trace FILE]\n"
            "       sim --swarm N [--seed FIRST] [--jobs K]\n"
            "       sim --fat | --fat-long\n"
            "       sim --list\n"
            "       sim --quick | --all [--seeds K] [--seed FIRST] [--random K]\n"
            "       sim --matrix [--rate MBIT] [--from S] [--seconds S] [--queue PERMILLE]\n"
            "           [--burst PACKETS] [--jitter PERMILLE] [--cc NAME] [--rtt MS] [--loss PPM]\n"
            "           [--seed N] [--trace FILE]\n"
            "       sim --company [--row PART] [--seeds K] [--seed FIRST] [--cc NAME] [--print]\n"
            "       sim --figures [--quick] [--tap] [--row PART] [--rate MBIT] [--seconds S] "
            "[--memory MIB]\n");
    return 2;
}

static bool parse(struct arguments *arguments, int argc, char **argv)
{
    struct {
        const char *name;
        bool *flag;
        uint64_t *number;
    } options[] = {
        {"--list", &arguments->is_list, NULL},       {"--quick", &arguments->is_quick, NULL},
        {"--all", &arguments->is_all, NULL},         {"--matrix", &arguments->is_matrix, NULL},
        {"--company", &arguments->is_company, NULL}, {"--print", &arguments->is_traced, NULL},
        {"--seed", NULL, &arguments->seed},          {"--seeds", NULL, &arguments->seeds},
        {"--random", NULL, &arguments->randoms},     {"--from", NULL, &arguments->from},
        {"--burst", NULL, &arguments->burst},        {"--rtt", NULL, &arguments->rtt},
        {"--loss", NULL, &arguments->loss},          {"--rate", NULL, &arguments->rate},
        {"--seconds", NULL, &arguments->seconds},    {"--queue", NULL, &arguments->queue},
        {"--swarm", NULL, &arguments->swarm},        {"--jobs", NULL, &arguments->jobs},
        {"--fat", &arguments->is_fat, NULL},         {"--fat-long", &arguments->is_fat_long, NULL},
        {"--figures", &arguments->is_figures, NULL}, {"--memory", NULL, &arguments->memory},
        {"--jitter", NULL, &arguments->jitter},      {"--tap", &arguments->is_tap, NULL},
    };
    for (int i = 1; i < argc; i++) {
        bool is_known = false;
        for (size_t n = 0; n < LH_ARRAY_LEN(options) && !is_known; n++) {
            if (strcmp(argv[i], options[n].name) != 0)
                continue;
            is_known = true;
            if (options[n].flag != NULL)
                *options[n].flag = true;
            else if (++i == argc || lh_parse_number(argv[i], 0, UINT64_MAX, options[n].number) != 0)
                return false;
        }
        if (!is_known && strcmp(argv[i], "--cc") == 0 && i + 1 < argc)
            arguments->cc = argv[++i];
        else if (!is_known && strcmp(argv[i], "--trace") == 0 && i + 1 < argc)
            arguments->trace = argv[++i];
        else if (!is_known && strcmp(argv[i], "--row") == 0 && i + 1 < argc)
            arguments->row = argv[++i];
        else if (!is_known && argv[i][0] != '-' && arguments->scenario == NULL)
            arguments->scenario = argv[i];
        else if (!is_known)
            return false;
    }
    bool is_cc_known = arguments->cc == NULL || lh_cc_by_name(arguments->cc) != NULL;
    return is_cc_known && arguments->rate > 0 && arguments->seconds > 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seed = 1,
                                  .seeds = 1,
                                  .rate = 200,
                                  .seconds = 60,
                                  .queue = 1000,
                                  .jobs = 1,
                                  .loss = UINT64_MAX};
    if (!parse(&arguments, argc, argv))
        return usage();
    if (arguments.is_list) {
        for (size_t i = 0; i < sim_scenarios_count; i++)
            printf("%-20s %s%s\n", sim_scenarios[i].name, sim_scenarios[i].what,
                   sim_scenarios[i].is_quick ? "" : " (not in the quick suite)");
        return 0;
    }
    if (arguments.swarm > 0)
        return sim_swarm(arguments.seed, arguments.swarm, (unsigned)arguments.jobs) ? 0 : 1;
    if (arguments.is_company) {
        struct company_choice choice = {arguments.row,       arguments.cc,   arguments.is_quick,
                                        arguments.is_traced, arguments.seed, arguments.seeds};
        return company_table(&choice) > 0;
    }
    if (arguments.cc == NULL)
        arguments.cc = "lt";
    if (arguments.is_matrix)
        return run_matrix(&arguments);
    if (arguments.is_fat || arguments.is_fat_long)
        return sim_fat(arguments.seed, arguments.is_fat_long) ? 0 : 1;
    if (arguments.is_figures)
        return run_figures(&arguments);
    if (arguments.is_quick || arguments.is_all)
        return run_tests(&arguments);
    return arguments.scenario != NULL ? run_one(&arguments) : usage();
}
