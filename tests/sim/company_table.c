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
    AGAINST_CUBIC("TCP", lh_cc_cubic, 0, 0, false),
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
                    .is_tcp = row->cc == &lh_cc_cubic,
                    .rtt = rtt,
                    .start = is_swapped ? later : spread},
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
    return missed;
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
    return failed;
}
