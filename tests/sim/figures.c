// SPDX-License-Identifier: Apache-2.0
//
// How it works. A row is a path, a controller and goals; every row is one endless transfer (or one
// of a given size), measured from 8 round trips and half a second after the first byte of a block.
//
//   E          blocks' bytes acknowledged / (rate x 0.952 x (1 - loss))
//   full       from the first byte until 90 % of what the path carries arrived in a whole round
//              trip (at least 50 ms), in milliseconds
//   dup        bytes of blocks that arrived twice, of those that arrived
//   spurious   packets declared lost that arrived after all, of those sent
//   dropped    packets that the forward queue or a policer dropped, of those sent
//   feedback   bytes sent back, of those sent
//   kept       E, of what it is where the way back loses nothing
//   queue      median of the forward queue, in milliseconds
//   start      thin lines: bytes that the forward queue dropped before the measured span, in kB
#include "figures.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "world.h"

#define PERCENT          10000u // ppm
#define QUEUE_LEAST      64000u
#define QUEUE_THIN       15000u // of thin lines: ten packets
#define BLOCK            ((uint32_t)1 << 20)
#define FULL_RATE        (UINT64_C(1000) * 125000)
#define QUICK_RATE       (UINT64_C(200) * 125000)
#define QUICK_TIME_LEARN 20u // a policer or jitter takes some to be recognised
#define QUICK_TIME       8u
#define HUNDRED_MB       UINT64_C(100000000)

struct figure {
    const char *name;
    const struct lh_cc_type *cc;
    bool is_quick;
    unsigned rtt_ms;
    uint32_t loss_ppm;
    uint32_t return_loss_ppm;
    unsigned queue_permille; // of the path's bandwidth x delay
    unsigned burst;          // packets; loss comes in runs
    uint32_t reorder_ppm;
    lh_ns reorder_delay;
    unsigned jitter_permille; // of the round trip, each way
    lh_ns late;               // so often the receiver gets the processor; 0: always
    unsigned mbit;            // of the line; 0: as the options say
    unsigned police_permille; // of the rate, that a policer lets through; its bucket holds 20 ms
    uint64_t bytes;           // of the transfer; 0: endless
    // Goals; 0 = none.
    unsigned efficiency;     // permille at least
    unsigned kept;           // permille of E where no feedback is lost, at least
    unsigned duplicates_ppm; // at most
    unsigned spurious_ppm;   // at most
    unsigned dropped_ppm;    // at most: by queue and policer, of the packets
    unsigned feedback_ppm;   // at most
    unsigned start;          // kB at most
    lh_ns full, queue, time; // at most
};

static const unsigned rtts[] = {1, 10, 50, 100, 200, 300};
static const uint32_t losses[] = {0, 1000, 10000, 20000, 50000, 100000};

#define SHALLOW(controller, rtt, loss, quick)                                                      \
    {                                                                                              \
        .name = "shallow", .cc = &(controller), .rtt_ms = (rtt), .loss_ppm = (loss),               \
        .queue_permille = 50, .efficiency = 850, .is_quick = (quick)                               \
    }
#define BURSTY(controller, rtt, quick)                                                             \
    {                                                                                              \
        .name = "burst", .cc = &(controller), .rtt_ms = (rtt), .loss_ppm = 2 * PERCENT,            \
        .burst = 8, .queue_permille = 1000, .efficiency = 850, .is_quick = (quick)                 \
    }
#define REORDER(rtt, quick)                                                                        \
    {                                                                                              \
        .name = "reorder", .cc = &lh_cc_fair, .rtt_ms = (rtt), .reorder_ppm = 10 * PERCENT,        \
        .reorder_delay = 5 * LH_MS, .queue_permille = 1000, .efficiency = 900,                     \
        .spurious_ppm = 10000, .is_quick = (quick)                                                 \
    }
#define POLICED(controller, rtt, loss, quick)                                                      \
    {                                                                                              \
        .name = "policed", .cc = &(controller), .rtt_ms = (rtt), .loss_ppm = (loss),               \
        .queue_permille = 1000, .police_permille = 300, .efficiency = 900,                         \
        .dropped_ppm = 5 * PERCENT, .is_quick = (quick)                                            \
    }
// A delay of up to a fifth of the round trip that is no queue, as radio links have it.
#define JITTER(controller, rtt, loss, quick)                                                       \
    {                                                                                              \
        .name = "jitter", .cc = &(controller), .rtt_ms = (rtt), .loss_ppm = (loss),                \
        .jitter_permille = 200, .queue_permille = 1000, .efficiency = 900, .is_quick = (quick)     \
    }
#define FEEDBACK_LOST(controller, rtt, loss, quick)                                                \
    {                                                                                              \
        .name = "feedback-lost", .cc = &(controller), .rtt_ms = (rtt), .loss_ppm = (loss),         \
        .return_loss_ppm = 10 * PERCENT, .queue_permille = 1000, .efficiency = 950, .kept = 980,   \
        .duplicates_ppm = PERCENT, .is_quick = (quick)                                             \
    }
#define DEEP(rtt, loss, quick)                                                                     \
    {                                                                                              \
        .name = "deep", .cc = &lh_cc_fair, .rtt_ms = (rtt), .loss_ppm = (loss),                    \
        .queue_permille = 4000, .efficiency = 900, .is_quick = (quick),                            \
        .queue = LH_MAX(5 * LH_MS, (rtt)*LH_MS * 15 / 100)                                         \
    }

// Before anything was heard, a first window of 32 packets leaves, and what the lane adds to it; and
// a start-up that finds its rate in one go may overshoot by what path and queue hold, once.
#define THIN_START(rate, rtt, permille)                                                            \
    (60 + LH_MAX((rate) * (rtt) / 8 * (permille) / 1000, 15) + (rate) * (rtt) / 8)
#define THIN(controller, rate, rtt, loss, permille, quick)                                         \
    {                                                                                              \
        .name = "thin", .cc = &(controller), .mbit = (rate), .rtt_ms = (rtt), .loss_ppm = (loss),  \
        .queue_permille = (permille), .efficiency = 900, .duplicates_ppm = PERCENT,                \
        .late = 4 * LH_MS, .start = THIN_START(rate, rtt, permille), .is_quick = (quick)           \
    }

static const struct figure special[] = {
    THIN(lh_cc_fair, 1, 50, 0, 1000, false),
    THIN(lh_cc_fair, 1, 50, 0, 8000, true),
    THIN(lh_cc_fair, 1, 200, PERCENT, 1000, false),
    THIN(lh_cc_fair, 10, 10, 0, 1000, false),
    THIN(lh_cc_fair, 10, 50, 0, 1000, true),
    THIN(lh_cc_fair, 10, 50, PERCENT, 4000, false),
    THIN(lh_cc_fair, 10, 200, PERCENT, 1000, false),
    THIN(lh_cc_high, 10, 100, 0, 2000, false),
    THIN(lh_cc_high, 1, 100, PERCENT, 2000, false),
    SHALLOW(lh_cc_high, 50, 0, true),
    SHALLOW(lh_cc_high, 100, 0, false),
    SHALLOW(lh_cc_high, 100, PERCENT, true),
    SHALLOW(lh_cc_high, 100, 5 * PERCENT, false),
    SHALLOW(lh_cc_high, 300, PERCENT, false),
    SHALLOW(lh_cc_fair, 50, 0, false),
    SHALLOW(lh_cc_fair, 100, PERCENT, true),
    SHALLOW(lh_cc_fair, 200, 2 * PERCENT, false),
    BURSTY(lh_cc_high, 10, false),
    BURSTY(lh_cc_high, 100, true),
    BURSTY(lh_cc_high, 300, false),
    BURSTY(lh_cc_fair, 50, true),
    REORDER(1, false),
    REORDER(10, true),
    REORDER(50, false),
    REORDER(100, true),
    JITTER(lh_cc_fair, 10, 5 * PERCENT, false),
    JITTER(lh_cc_fair, 50, 0, false),
    JITTER(lh_cc_fair, 50, PERCENT, false),
    JITTER(lh_cc_fair, 50, 5 * PERCENT, true),
    JITTER(lh_cc_fair, 100, PERCENT, false),
    JITTER(lh_cc_fair, 100, 5 * PERCENT, false),
    JITTER(lh_cc_high, 100, 5 * PERCENT, false),
    DEEP(1, 0, false),
    DEEP(10, 0, true),
    DEEP(50, PERCENT, false),
    DEEP(100, 0, true),
    DEEP(200, PERCENT, false),
    POLICED(lh_cc_high, 10, 0, false),
    POLICED(lh_cc_high, 100, 0, true),
    POLICED(lh_cc_high, 100, PERCENT, false),
    POLICED(lh_cc_fair, 50, 0, true),
    POLICED(lh_cc_fair, 200, 0, false),
    {
        .name = "100MB",
        .cc = &lh_cc_high,
        .rtt_ms = 100,
        .loss_ppm = PERCENT,
        .queue_permille = 1000,
        .bytes = HUNDRED_MB,
        .time = 2 * LH_SECOND,
        .is_quick = true,
    },
    {
        .name = "100MB",
        .cc = &lh_cc_fair,
        .rtt_ms = 100,
        .loss_ppm = PERCENT,
        .queue_permille = 1000,
        .bytes = HUNDRED_MB,
        .time = 2 * LH_SECOND,
    },
    FEEDBACK_LOST(lh_cc_high, 10, PERCENT, false),
    FEEDBACK_LOST(lh_cc_high, 100, PERCENT, true),
    FEEDBACK_LOST(lh_cc_fair, 100, PERCENT, false),
    FEEDBACK_LOST(lh_cc_fair, 100, 5 * PERCENT, false),
    FEEDBACK_LOST(lh_cc_fair, 300, PERCENT, false),
};

static struct sim_link_config path_of(const struct figure *figure, uint64_t rate)
{
    struct sim_link_config link = {.rate = rate, .delay = figure->rtt_ms * LH_MS / 2};
    uint64_t path = lh_muldiv(rate, 2 * link.delay, LH_SECOND);
    uint64_t least = figure->mbit != 0 ? QUEUE_THIN : QUEUE_LEAST;
    link.queue_bytes = LH_MAX(lh_muldiv(path, figure->queue_permille, 1000), least);
    return link;
}

static struct sim_scenario scenario_of(const struct figure *figure,
                                       const struct sim_figures_options *options)
{
    struct sim_link_config up = path_of(figure, options->rate), down = up;
    uint64_t seconds = options->seconds + 10;
    up.loss_ppm = down.loss_ppm = figure->burst == 0 ? figure->loss_ppm : 0;
    up.burst_ppm = down.burst_ppm = figure->burst == 0 ? 0 : figure->loss_ppm;
    up.burst_packets = down.burst_packets = figure->burst;
    up.police_rate = options->rate * figure->police_permille / 1000;
    up.police_burst = up.police_rate / 50;
    up.reorder_ppm = down.reorder_ppm = figure->reorder_ppm;
    up.reorder_delay = down.reorder_delay = figure->reorder_delay;
    up.jitter = down.jitter = figure->rtt_ms * LH_MS * figure->jitter_permille / 1000;
    down.loss_ppm = LH_MAX(down.loss_ppm, figure->return_loss_ppm);
    uint64_t bytes = figure->bytes != 0 ? figure->bytes : options->rate * seconds;
    return (struct sim_scenario){
        .name = figure->name,
        .up = up,
        .down = down,
        .client = {.blocks = (uint32_t)((bytes + BLOCK - 1) / BLOCK),
                   .block_min = BLOCK,
                   .block_max = BLOCK,
                   .is_light = true,
                   .send_memory = LH_MEMORY_DEFAULT,
                   .reload_delay = LH_MS},
        .server = {.takes_early = true, .starved = {LH_MS / 2, figure->late, LH_NEVER / 2}},
        .cc = figure->cc,
        .limits.rate_target = figure->cc == &lh_cc_fixed ? options->rate : 0,
        .aead = &lh_aead_null,
        .receive_budget = options->memory != 0 ? options->memory : LH_MEMORY_DEFAULT,
        .wake_late = 50 * LH_US,
        .time_limit = LH_NEVER / 4,
    };
}

enum bound { AT_LEAST, AT_MOST };

// Prints one value with its goal (0: none); "!" instead of "/" where it was missed.
static bool judge(const char *name, int digits, double value, double goal, enum bound bound)
{
    bool is_met = goal == 0 || (bound == AT_LEAST ? value >= goal : value <= goal);
    printf(" %s %.*f", name, digits, value);
    if (goal > 0)
        printf("%s%g", is_met ? "/" : "!", goal);
    return is_met;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static struct sim_result measure(const struct figure *figure,
                                 const struct sim_scenario *scenario,
                                 const struct sim_figures_options *options)
{
    lh_ns from = 8 * figure->rtt_ms * LH_MS + LH_SECOND / 2;
    struct sim_options run = {.seed = options->seed, .is_traced = options->is_traced};
    if (figure->bytes == 0) {
        run.is_from_data = true;
        run.measure_from = from;
        run.measure_until = from + options->seconds * LH_SECOND;
    }
    return sim_run(scenario, &run);
}

// What is left of E of the same path with a way back that loses nothing.
static bool judge_kept(const struct figure *figure,
                       const struct sim_figures_options *options,
                       const struct sim_result *result)
{
    struct sim_scenario scenario = scenario_of(figure, options);
    scenario.down.loss_ppm = 0;
    struct sim_result whole = measure(figure, &scenario, options);
    return judge("kept [%]", 1,
                 share(result->efficiency_permille, LH_MAX(whole.efficiency_permille, 1u)),
                 figure->kept / 10.0, AT_LEAST) &&
           whole.is_ok;
}

static bool run_figure(const struct figure *figure, const struct sim_figures_options *options)
{
    struct sim_scenario scenario = scenario_of(figure, options);
    struct sim_result result = measure(figure, &scenario, options);
    char name[32];
    if (figure->mbit != 0)
        snprintf(name, sizeof name, "%s %u Mbit/s", figure->name, figure->mbit);
    else
        snprintf(name, sizeof name, "%s", figure->name);
    printf("%-14s %-5s %3u ms %4.1f %%:", name, figure->cc->name, figure->rtt_ms,
           (double)figure->loss_ppm / PERCENT);
    if (!result.is_ok) {
        printf(" FAILED: %s\n", result.failure);
        return false;
    }
    const struct sim_totals *span = &result.span;
    bool is_met = true;
    if (figure->bytes != 0) {
        is_met &= judge("data phase [s]", 2, (double)(result.took - result.first_data) / 1e9,
                        (double)figure->time / 1e9, AT_MOST);
        is_met &= judge("queue drops", 0, (double)result.dropped_queue, 0, AT_MOST);
    } else {
        is_met &= judge("E", 3, (double)result.efficiency_permille / 1000,
                        figure->efficiency / 1000.0, AT_LEAST);
        is_met &= judge("dup [%]", 2, share(span->duplicates, span->acked),
                        figure->duplicates_ppm / 1e4, AT_MOST);
        is_met &= judge("spurious [%]", 2, share(span->spurious, span->packets),
                        figure->spurious_ppm / 1e4, AT_MOST);
        is_met &= judge("dropped [%]", 2, share(span->dropped_queue, span->packets),
                        figure->dropped_ppm / 1e4, AT_MOST);
        is_met &= judge("feedback [%]", 3, share(span->returned, span->sent),
                        figure->feedback_ppm / 1e4, AT_MOST);
        is_met &= judge("queue [ms]", 1, (double)result.queue_median / 1e6,
                        (double)figure->queue / 1e6, AT_MOST);
    }
    if (figure->kept != 0)
        is_met &= judge_kept(figure, options, &result);
    if (figure->start != 0)
        is_met &= judge("start [kB]", 0, (double)result.before.dropped_queue * 1.5, figure->start,
                        AT_MOST);
    double full = result.full_after == 0 ? 1e9 : (double)result.full_after / 1e6;
    is_met &= judge("full [ms]", 0, full, (double)figure->full / 1e6, AT_MOST);
    printf(" memory [MB] %.0f%s\n", (double)result.stats[1].receive_memory_peak / 1e6,
           is_met ? "" : "  MISSED");
    fflush(stdout);
    return is_met;
}

static bool is_wanted(const struct figure *figure, const struct sim_figures_options *options)
{
    char line[80];
    snprintf(line, sizeof line, "%s %s %ums %g%%", figure->name, figure->cc->name, figure->rtt_ms,
             (double)figure->loss_ppm / PERCENT);
    return (figure->is_quick || !options->is_quick) &&
           (options->only == NULL || strstr(line, options->only) != NULL);
}

// Runs one row in its turn; as a test at a smaller rate and for a shorter time.
static unsigned
take(const struct figure *figure, const struct sim_figures_options *options, unsigned *number)
{
    struct sim_figures_options used = *options;
    if (!is_wanted(figure, options))
        return 0;
    if (options->is_quick) {
        used.rate = figure->bytes == 0 ? QUICK_RATE : FULL_RATE;
        bool is_learned = figure->police_permille > 0 || figure->jitter_permille > 0;
        used.seconds = is_learned ? QUICK_TIME_LEARN : QUICK_TIME;
    }
    if (figure->mbit != 0)
        used.rate = (uint64_t)figure->mbit * 125000;
    if (options->is_tap)
        printf("# ");
    bool is_met = run_figure(figure, &used);
    if (options->is_tap)
        printf("%s %u - figure %s, %s, %u ms, loss %g %%\n", is_met ? "ok" : "not ok", (*number)++,
               figure->name, figure->cc->name, figure->rtt_ms, (double)figure->loss_ppm / PERCENT);
    return !is_met;
}

unsigned sim_figures(const struct sim_figures_options *options)
{
    static const struct {
        const struct lh_cc_type *cc;
        unsigned efficiency;
    } policies[] = {{&lh_cc_high, 950}, {&lh_cc_fixed, 950}, {&lh_cc_fair, 900}};
    unsigned missed = 0, number = 1;
    for (size_t n = 0; n < LH_ARRAY_LEN(policies); n++) {
        for (size_t i = 0; i < LH_ARRAY_LEN(rtts); i++) {
            for (size_t j = 0; j < LH_ARRAY_LEN(losses); j++) {
                struct figure cell = {
                    .name = "cell",
                    .cc = policies[n].cc,
                    .is_quick = (i + j) % LH_ARRAY_LEN(rtts) == n, // each length and loss once
                    .rtt_ms = rtts[i],
                    .loss_ppm = losses[j],
                    .queue_permille = 1000,
                    .efficiency = policies[n].efficiency,
                    .duplicates_ppm = losses[j] > 5 * PERCENT ? 2 * PERCENT : PERCENT,
                    .feedback_ppm = 3000,
                    .full = 8 * rtts[i] * LH_MS + LH_SECOND / 2,
                };
                missed += take(&cell, options, &number);
            }
        }
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(special); i++)
        missed += take(&special[i], options, &number);
    if (options->is_tap)
        printf("1..%u\n", number - 1);
    else
        printf("%u figures missed\n", missed);
    return missed;
}
