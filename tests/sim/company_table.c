// SPDX-License-Identifier: Apache-2.0
//
// How it works. A row is a small scenario with one figure and its bounds. It is run once for every
// seed, and with `both_orders` once more for every seed with the other flow first; the worst run
// (the one nearest to, or furthest beyond, a bound) is what counts.
#include "company_table.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/prng.h"
#include "company.h"

#define RATE          UINT64_C(25000000) // 200 Mbit/s
#define RTT           (30 * LH_MS)
#define SECOND_STARTS (5 * LH_SECOND)
#define SETTLE        (20 * LH_SECOND)
#define SPAN          (60 * LH_SECOND)

enum figure {
    SHARE,     // of the first flow, per thousand of the link
    JAIN,      // per thousand
    QUEUE,     // median, microseconds
    QUEUE_HIGH // 95 of 100, microseconds
};

static const char *const units[] = {"% of the link", "Jain", "ms median queue", "ms queue, 95 %"};

struct row {
    const char *name;
    const struct lh_cc_type *cc, *other; // `other` NULL: alone
    bool is_quick, is_other_tcp, both_orders;
    uint32_t others; // 0 means 1
    uint32_t queue;  // of the bandwidth x delay, per thousand
    lh_ns rtt, other_rtt;
    lh_ns other_stops; // after the run began; measured from then on
    uint32_t loss_ppm;
    enum figure figure;
    uint64_t low, high; // bounds of the figure; high 0: it is only reported
    unsigned lanes;     // of the first flow's session; 0 means 1
};

#define AGAINST_CUBIC(NAME, CC, LOW, HIGH, QUICK)                                                  \
    {NAME " / cubic, queue 0.5",                                                                   \
     &CC,                                                                                          \
     &lh_cc_cubic,                                                                                 \
     false,                                                                                        \
     true,                                                                                         \
     true,                                                                                         \
     1,                                                                                            \
     500,                                                                                          \
     0,                                                                                            \
     0,                                                                                            \
     0,                                                                                            \
     0,                                                                                            \
     SHARE,                                                                                        \
     LOW,                                                                                          \
     HIGH},                                                                                        \
        {NAME " / cubic, queue 1",                                                                 \
         &CC,                                                                                      \
         &lh_cc_cubic,                                                                             \
         QUICK,                                                                                    \
         true,                                                                                     \
         true,                                                                                     \
         1,                                                                                        \
         1000,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         0,                                                                                        \
         0,                                                                                        \
         SHARE,                                                                                    \
         LOW,                                                                                      \
         HIGH},                                                                                    \
    {                                                                                              \
        NAME " / cubic, queue 4", &CC, &lh_cc_cubic, false, true, true, 1, 4000, 0, 0, 0, 0,       \
            SHARE, LOW, HIGH                                                                       \
    }

static const struct row rows[] = {
    AGAINST_CUBIC("lt", lh_cc_lt, 0, 0, false),
    AGAINST_CUBIC("fair", lh_cc_fair, 350, 650, true),
    {"fair / bbr, queue 1", &lh_cc_fair, &lh_cc_bbr, false, true, true, 1, 1000, 0, 0, 0, 0, SHARE,
     0, 0},
    {"fair / bbr, queue 4", &lh_cc_fair, &lh_cc_bbr, false, true, true, 1, 4000, 0, 0, 0, 0, SHARE,
     0, 0},
    {"fair / 3 cubic, queue 1", &lh_cc_fair, &lh_cc_cubic, false, true, false, 3, 1000, 0, 0, 0, 0,
     SHARE, 0, 0},
    {"fair / fair, queue 0.5", &lh_cc_fair, &lh_cc_fair, false, false, false, 1, 500, 0, 0, 0, 0,
     JAIN, 950, UINT64_MAX},
    {"fair / fair, queue 1", &lh_cc_fair, &lh_cc_fair, true, false, false, 1, 1000, 0, 0, 0, 0,
     JAIN, 950, UINT64_MAX},
    {"fair / fair, queue 4", &lh_cc_fair, &lh_cc_fair, false, false, false, 1, 4000, 0, 0, 0, 0,
     JAIN, 950, UINT64_MAX},
    {"fair alone, queue 4", &lh_cc_fair, NULL, true, false, false, 0, 4000, 0, 0, 0, 0, QUEUE, 0,
     5000},
    AGAINST_CUBIC("high", lh_cc_high, 500, 850, true),
    AGAINST_CUBIC("low", lh_cc_low, 0, 100, true),
    {"low alone, queue 1", &lh_cc_low, NULL, false, false, false, 0, 1000, 0, 0, 0, 0, SHARE, 900,
     UINT64_MAX},
    {"low alone, queue 4", &lh_cc_low, NULL, true, false, false, 0, 4000, 0, 0, 0, 0, QUEUE_HIGH, 0,
     25000},
    {"low after cubic, queue 0.5", &lh_cc_low, &lh_cc_cubic, false, true, false, 1, 500, 0, 0,
     30 * LH_SECOND, 0, SHARE, 900, UINT64_MAX},
    {"low after cubic, queue 4", &lh_cc_low, &lh_cc_cubic, false, true, false, 1, 4000, 0, 0,
     30 * LH_SECOND, 0, SHARE, 900, UINT64_MAX},
    {"low / fair, queue 1", &lh_cc_low, &lh_cc_fair, false, false, true, 1, 1000, 0, 0, 0, 0, SHARE,
     0, 0},
    AGAINST_CUBIC("TCP", lh_cc_cubic, 0, 0, false),
    AGAINST_CUBIC("TCP bbr", lh_cc_bbr, 0, 0, false),
    {"fair / fair of 60 ms, queue 1", &lh_cc_fair, &lh_cc_fair, false, false, false, 1, 1000, 0,
     60 * LH_MS, 0, 0, JAIN, 0, 0},
    {"fair / fair of 120 ms, queue 1", &lh_cc_fair, &lh_cc_fair, false, false, false, 1, 1000, 0,
     120 * LH_MS, 0, 0, JAIN, 0, 0},
    {"fair, 4 lanes / cubic, queue 0.5", &lh_cc_fair, &lh_cc_cubic, false, true, true, 1, 500, 0, 0,
     0, 0, SHARE, 350, 650, 4},
    {"fair, 4 lanes / cubic, queue 1", &lh_cc_fair, &lh_cc_cubic, true, true, true, 1, 1000, 0, 0,
     0, 0, SHARE, 350, 650, 4},
    {"fair, 4 lanes / cubic, queue 4", &lh_cc_fair, &lh_cc_cubic, false, true, true, 1, 4000, 0, 0,
     0, 0, SHARE, 350, 650, 4},
    {"fair, 4 lanes / fair, queue 1", &lh_cc_fair, &lh_cc_fair, false, false, true, 1, 1000, 0, 0,
     0, 0, SHARE, 350, 650, 4},
    {"fair, 4 lanes alone, queue 1", &lh_cc_fair, NULL, true, false, false, 0, 1000, 0, 0, 0, 0,
     SHARE, 900, UINT64_MAX, 4},
    {"fair, 4 lanes alone, queue 4", &lh_cc_fair, NULL, false, false, false, 0, 4000, 0, 0, 0, 0,
     QUEUE, 0, 5000, 4},
    {"fair, 4 lanes alone, queue 4: share", &lh_cc_fair, NULL, false, false, false, 0, 4000, 0, 0,
     0, 0, SHARE, 900, UINT64_MAX, 4},
    {"fair, 12 lanes / cubic, queue 1", &lh_cc_fair, &lh_cc_cubic, false, true, true, 1, 1000, 0, 0,
     0, 0, SHARE, 350, 650, 12},
};

static struct company_config config_of(const struct row *row, bool is_swapped, uint64_t seed)
{
    struct lh_prng prng = {seed * 2 + is_swapped};
    lh_ns rtt = row->rtt != 0 ? row->rtt : RTT;
    lh_ns later = SECOND_STARTS + lh_prng_below(&prng, LH_SECOND);
    lh_ns spread = lh_prng_below(&prng, 100 * LH_MS);
    uint32_t others = row->other == NULL ? 0 : LH_MAX(row->others, 1u);
    struct company_config config = {
        .rate = RATE,
        .queue_bytes = lh_muldiv(RATE, rtt, LH_SECOND) * row->queue / 1000,
        .loss_ppm = row->loss_ppm,
        .flows = 1 + others,
        .flow[0] = {.cc = row->cc,
                    .is_tcp = row->cc == &lh_cc_cubic || row->cc == &lh_cc_bbr,
                    .rtt = rtt,
                    .start = is_swapped ? later : spread,
                    .lanes = row->lanes},
    };
    for (uint32_t i = 1; i <= others; i++)
        config.flow[i] = (struct company_flow_config){
            .cc = row->other,
            .is_tcp = row->is_other_tcp,
            .rtt = row->other_rtt != 0 ? row->other_rtt : rtt,
            .start = is_swapped ? spread : later,
            .stop = row->other_stops,
        };
    config.measure_from = (others > 0 ? SECOND_STARTS + LH_SECOND : 0) + SETTLE;
    if (row->other_stops > 0)
        config.measure_from = row->other_stops + 10 * LH_SECOND;
    config.until = config.measure_from + SPAN;
    return config;
}

static uint64_t figure_of(const struct row *row, const struct company_result *result)
{
    switch (row->figure) {
    case JAIN:
        return result->jain;
    case QUEUE:
        return result->queue_median / LH_US;
    case QUEUE_HIGH:
        return result->queue_high / LH_US;
    case SHARE:
    default:
        return result->share[0];
    }
}

static bool is_worse(const struct row *row, uint64_t a, uint64_t b)
{
    uint64_t middle = row->high == UINT64_MAX ? UINT64_MAX : (row->low + row->high) / 2;
    uint64_t from_a = a > middle ? a - middle : middle - a;
    uint64_t from_b = b > middle ? b - middle : middle - b;
    return from_a > from_b;
}

struct outcome {
    bool is_ok;
    uint64_t worst, least, most, sum, runs;
    struct company_result worst_result;
    uint64_t worst_seed;
    bool is_worst_swapped;
    char failure[240];
};

static void run_row(const struct row *row, const struct company_choice *choice, struct outcome *out)
{
    *out = (struct outcome){.is_ok = true, .least = UINT64_MAX};
    for (uint64_t i = 0; i < choice->seeds; i++) {
        for (int swapped = 0; swapped <= (row->both_orders ? 1 : 0); swapped++) {
            uint64_t seed = choice->seed + i;
            struct company_config config = config_of(row, swapped != 0, seed);
            struct company_result result = company_run(&config, seed, choice->is_traced);
            if (!result.is_ok) {
                out->is_ok = false;
                memcpy(out->failure, result.failure, sizeof out->failure);
                return;
            }
            uint64_t value = figure_of(row, &result);
            if (out->runs++ == 0 || is_worse(row, value, out->worst)) {
                out->worst = value;
                out->worst_result = result;
                out->worst_seed = seed;
                out->is_worst_swapped = swapped != 0;
            }
            out->sum += value;
            out->least = LH_MIN(out->least, value);
            out->most = LH_MAX(out->most, value);
        }
    }
    bool has_goal = row->high > 0;
    out->is_ok = !has_goal || (out->worst >= row->low && out->worst <= row->high);
}

static double shown(const struct row *row, uint64_t value)
{
    return row->figure == SHARE ? (double)value / 10 : (double)value / 1000;
}

static void print_goal(const struct row *row, char *text, size_t room)
{
    if (row->high == 0)
        snprintf(text, room, "-");
    else if (row->high == UINT64_MAX)
        snprintf(text, room, ">= %g", shown(row, row->low));
    else if (row->low == 0)
        snprintf(text, room, "<= %g", shown(row, row->high));
    else
        snprintf(text, room, "%g-%g", shown(row, row->low), shown(row, row->high));
}

static void print_row(const struct row *row, const struct outcome *out)
{
    char goal[32];
    print_goal(row, goal, sizeof goal);
    const struct company_result *worst = &out->worst_result;
    printf("%-30s %-12s %8.3f %8.3f .. %-8.3f %-16s %2llu  %s  queue %.1f/%.1f ms, %llu dropped, "
           "company %.1f s, shares",
           row->name, goal, shown(row, out->worst), shown(row, out->least), shown(row, out->most),
           units[row->figure], (unsigned long long)out->runs, out->is_ok ? "ok    " : "MISSED",
           (double)worst->queue_median / 1e6, (double)worst->queue_high / 1e6,
           (unsigned long long)worst->dropped, (double)worst->in_company / 1e9);
    for (uint32_t i = 0; i < COMPANY_FLOWS_MAX && (i == 0 || worst->share[i] > 0); i++)
        printf(" %.1f", (double)worst->share[i] / 10);
    printf(" %%, seed %llu%s %s\n", (unsigned long long)out->worst_seed,
           out->is_worst_swapped ? " second" : "", out->failure);
    fflush(stdout);
}

static bool is_chosen(const struct row *row, const struct company_choice *choice)
{
    if (choice->is_quick && !row->is_quick)
        return false;
    return choice->rows == NULL || strstr(row->name, choice->rows) != NULL;
}

// --- Alone ---------------------------------------------------------------------------------------

// Nobody else is there: what is E, and for how long does the controller think otherwise?
struct lone_row {
    const char *name;
    const struct lh_cc_type *cc;
    bool is_quick;         // its cells of 10 and 100 ms and at most 1 % only
    uint32_t jitter;       // per thousand of the round trip
    uint32_t burst;        // losses come in runs of so many on average; 0: one by one
    uint64_t low;          // bound of E, per thousand, in every cell
    lh_ns in_company_most; // in all cells together
};

static const struct lone_row lone_rows[] = {
    {"fair alone, 36 cells", &lh_cc_fair, true, 0, 0, 900, LH_NEVER},
    {"fair alone, bursts", &lh_cc_fair, false, 0, 8, 850, LH_NEVER},
    {"fair alone, jitter", &lh_cc_fair, false, 200, 0, 0, LH_NEVER},
    {"high alone, 36 cells", &lh_cc_high, false, 0, 0, 950, LH_NEVER},
    {"high alone, bursts", &lh_cc_high, false, 0, 8, 850, LH_NEVER},
    {"high alone, jitter", &lh_cc_high, false, 200, 0, 0, LH_NEVER},
    {"low alone, 36 cells", &lh_cc_low, false, 0, 0, 0, LH_NEVER},
};

struct lone_outcome {
    uint64_t cells, good, least;
    lh_ns in_company, rtt; // of the worst cell
    uint32_t loss_ppm, company_cells;
};

static void
run_lone(const struct lone_row *row, const struct company_choice *choice, struct lone_outcome *out)
{
    static const uint32_t rtts[] = {1, 10, 50, 100, 200, 300};
    static const uint32_t losses[] = {0, 1000, 10000, 20000, 50000, 100000};
    *out = (struct lone_outcome){.least = UINT64_MAX};
    for (size_t i = 0; i < LH_ARRAY_LEN(rtts) * LH_ARRAY_LEN(losses); i++) {
        lh_ns rtt = rtts[i / LH_ARRAY_LEN(losses)] * LH_MS;
        uint32_t loss = losses[i % LH_ARRAY_LEN(losses)];
        if (choice->is_quick && (loss > 10000 || (rtt != 10 * LH_MS && rtt != 100 * LH_MS)))
            continue;
        struct company_config config = {
            .rate = RATE,
            .queue_bytes = LH_MAX(lh_muldiv(RATE, rtt, LH_SECOND), (uint64_t)64000),
            .loss_ppm = row->burst == 0 ? loss : 0,
            .burst_ppm = row->burst == 0 ? 0 : loss,
            .burst_packets = row->burst,
            .jitter = rtt * row->jitter / 1000,
            .flows = 1,
            .flow[0] = {.cc = row->cc, .rtt = rtt},
            .measure_from = 8 * rtt + LH_SECOND / 2,
            .until = (choice->is_quick ? 15 : 35) * LH_SECOND,
        };
        struct company_result result = company_run(&config, choice->seed, false);
        uint64_t reached = (uint64_t)result.share[0] * 1000000 / (1000000 - loss);
        out->cells++;
        out->good += result.is_ok && reached >= row->low;
        out->in_company += result.in_company;
        out->company_cells += result.in_company > 0;
        if (choice->is_traced)
            printf("# %s, %llu ms, %u ppm: E %llu, company %.1f s %s\n", row->name,
                   (unsigned long long)(rtt / LH_MS), loss, (unsigned long long)reached,
                   (double)result.in_company / 1e9, result.failure);
        if (reached < out->least) {
            out->least = reached;
            out->rtt = rtt;
            out->loss_ppm = loss;
        }
    }
}

static bool is_lone_ok(const struct lone_row *row, const struct lone_outcome *out)
{
    return out->good == out->cells && out->in_company <= row->in_company_most;
}

static unsigned lone_table(const struct company_choice *choice)
{
    unsigned missed = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(lone_rows); i++) {
        struct lone_row given = lone_rows[i];
        const struct lone_row *row = &given;
        struct lone_outcome out;
        if (choice->rows != NULL && strstr(row->name, choice->rows) == NULL)
            continue;
        if (choice->cc != NULL)
            given.cc = lh_cc_by_name(choice->cc);
        run_lone(row, choice, &out);
        printf("%-30s E >= %-7g %8.3f  (%llu ms, %.1f %%)  %llu of %llu cells  %s  thought of "
               "company for %.1f s in %u cells\n",
               row->name, (double)row->low / 1000, (double)out.least / 1000,
               (unsigned long long)(out.rtt / LH_MS), (double)out.loss_ppm / 1e4,
               (unsigned long long)out.good, (unsigned long long)out.cells,
               is_lone_ok(row, &out) ? "ok    " : "MISSED", (double)out.in_company / 1e9,
               out.company_cells);
        fflush(stdout);
        missed += !is_lone_ok(row, &out);
    }
    return missed;
}

// --- All of them ---------------------------------------------------------------------------------

unsigned company_table(const struct company_choice *choice)
{
    unsigned missed = 0;
    printf(
        "200 Mbit/s, 30 ms unless said; the second flow comes after 5 s; measured for 60 s, 20 s "
        "after that\n%-30s %-12s %8s %8s .. %-8s %-16s runs\n",
        "row", "goal", "worst", "least", "most", "");
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct row row = rows[i];
        struct outcome out;
        if (!is_chosen(&row, choice))
            continue;
        if (choice->cc != NULL)
            row.cc = lh_cc_by_name(choice->cc);
        run_row(&row, choice, &out);
        print_row(&row, &out);
        missed += !out.is_ok;
    }
    return missed + lone_table(choice);
}

unsigned company_test(const struct company_choice *choice, unsigned *number)
{
    unsigned failed = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct outcome out;
        if (!is_chosen(&rows[i], choice) || rows[i].high == 0)
            continue;
        run_row(&rows[i], choice, &out);
        printf("%s %u - company: %s # worst %.3f\n", out.is_ok ? "ok" : "not ok", ++*number,
               rows[i].name, shown(&rows[i], out.worst));
        if (!out.is_ok)
            printf("# %s replay: sim --company --row '%s' --seed %llu --print\n", out.failure,
                   rows[i].name, (unsigned long long)out.worst_seed);
        fflush(stdout);
        failed += !out.is_ok;
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(lone_rows); i++) {
        const struct lone_row *row = &lone_rows[i];
        struct lone_outcome out;
        if (choice->is_quick && !row->is_quick)
            continue;
        run_lone(row, choice, &out);
        bool is_ok = is_lone_ok(row, &out);
        printf("%s %u - company: %s # E %.3f, in company %.1f s\n", is_ok ? "ok" : "not ok",
               ++*number, row->name, (double)out.least / 1000, (double)out.in_company / 1e9);
        fflush(stdout);
        failed += !is_ok;
    }
    return failed;
}
