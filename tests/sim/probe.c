// SPDX-License-Identifier: Apache-2.0
#include "probe.h"

#include "base/cleanup.h"
#include "base/math.h"

#define FULL_PERMILLE 900
#define WINDOW_MIN    (50 * LH_MS)
#define BUCKET        (100 * LH_US)

struct sim_totals sim_totals_since(const struct sim_totals *is, const struct sim_totals *was)
{
    return (struct sim_totals){
        .acked = is->acked - was->acked,
        .sent = is->sent - was->sent,
        .returned = is->returned - was->returned,
        .arrived = is->arrived - was->arrived,
        .duplicates = is->duplicates - was->duplicates,
        .spurious = is->spurious - was->spurious,
        .lost = is->lost - was->lost,
        .packets = is->packets - was->packets,
        .dropped_queue = is->dropped_queue - was->dropped_queue,
    };
}

void sim_probe_init(struct sim_probe *probe, const struct sim_link_config *link, lh_ns rtt)
{
    uint64_t rate = link->police_rate != 0 ? LH_MIN(link->rate, link->police_rate) : link->rate;
    uint64_t carries = lh_muldiv(rate, 1000000 - link->loss_ppm - link->burst_ppm, 1000000);
    lh_ns window = LH_CLAMP(rtt, WINDOW_MIN, (SIM_PROBE_WINDOW - 1) * SIM_PROBE_STEP);
    window = window / SIM_PROBE_STEP * SIM_PROBE_STEP;
    *probe = (struct sim_probe){
        .window = window,
        .full = lh_muldiv(lh_muldiv(carries, window, LH_SECOND), FULL_PERMILLE, 1000),
    };
}

static void sample(struct sim_probe *probe, const struct sim_link *link, lh_ns now)
{
    uint64_t back = probe->window / SIM_PROBE_STEP;
    probe->history[probe->samples % SIM_PROBE_WINDOW] = link->arrived_bytes;
    if (probe->full_at == 0 && probe->samples >= back &&
        link->arrived_bytes - probe->history[(probe->samples - back) % SIM_PROBE_WINDOW] >=
            probe->full)
        probe->full_at = now;
    probe->samples++;
    if (now < probe->from)
        return;
    lh_ns queue = lh_ns_since(link->free_at, now);
    probe->queue_max = lh_ns_max(probe->queue_max, queue);
    probe->queue_counts[LH_MIN(queue / BUCKET, LH_ARRAY_LEN(probe->queue_counts) - 1)]++;
    probe->queue_samples++;
}

void sim_probe_step(struct sim_probe *probe, const struct sim_link *link, bool has_data, lh_ns now)
{
    if (has_data && probe->first_data == 0)
        probe->first_data = now;
    for (; probe->next <= now; probe->next += SIM_PROBE_STEP)
        sample(probe, link, now);
}

lh_ns sim_probe_queue(const struct sim_probe *probe, unsigned share)
{
    uint64_t wanted = lh_muldiv(probe->queue_samples, share, 1000), seen = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(probe->queue_counts); i++) {
        seen += probe->queue_counts[i];
        if (seen > wanted || (seen == wanted && seen == probe->queue_samples))
            return i * BUCKET;
    }
    return 0;
}
