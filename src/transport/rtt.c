// SPDX-License-Identifier: Apache-2.0
#include "transport/rtt.h"
#include "base/math.h"

#define ONE_WAY_MAX ((int64_t)1 << 59) // 18 years: what a peer may say, and sums of it fit
#define BUCKET      (5 * LH_SECOND)

void lh_windowed_min_add(struct lh_windowed_min *min, int64_t value, lh_ns now)
{
    uint64_t period = now / BUCKET;
    if (!min->used) {
        *min = (struct lh_windowed_min){{INT64_MAX, INT64_MAX, INT64_MAX}, period, true};
    }
    for (int steps = 0; min->period < period && steps < 3; steps++) {
        min->buckets[2] = min->buckets[1];
        min->buckets[1] = min->buckets[0];
        min->buckets[0] = INT64_MAX;
        min->period++;
    }
    min->period = LH_MAX(min->period, period);
    min->buckets[0] = LH_MIN(min->buckets[0], value);
}

int64_t lh_windowed_min_get(const struct lh_windowed_min *min)
{
    if (!min->used)
        return INT64_MAX;
    int64_t low = LH_MIN(min->buckets[0], min->buckets[1]);
    return LH_MIN(low, min->buckets[2]);
}

void lh_rtt_init(struct lh_rtt *rtt, lh_ns hint)
{
    *rtt = (struct lh_rtt){.smoothed = hint, .variation = hint / 2};
}

void lh_rtt_sample(struct lh_rtt *rtt, lh_ns sample, lh_ns now)
{
    sample = LH_MAX(sample, (lh_ns)1000);
    if (rtt->latest == 0) {
        // The first sample of the lane itself replaces whatever the set-up had measured.
        rtt->smoothed = sample;
        rtt->variation = sample / 2;
    } else {
        lh_ns difference = rtt->smoothed > sample ? rtt->smoothed - sample : sample - rtt->smoothed;
        rtt->variation = (3 * rtt->variation + difference) / 4;
        rtt->smoothed = (7 * rtt->smoothed + sample) / 8;
    }
    rtt->latest = sample;
    lh_windowed_min_add(&rtt->min, (int64_t)sample, now);
}

void lh_rtt_one_way(struct lh_rtt *rtt, int64_t delay, lh_ns now)
{
    delay = LH_CLAMP(delay, -ONE_WAY_MAX, ONE_WAY_MAX);
    rtt->one_way = delay;
    lh_windowed_min_add(&rtt->owd_min, delay, now);
    rtt->queue_delay = (lh_ns)(delay - lh_windowed_min_get(&rtt->owd_min));
}

lh_ns lh_rtt_min(const struct lh_rtt *rtt)
{
    int64_t low = lh_windowed_min_get(&rtt->min);
    return low == INT64_MAX ? 0 : (lh_ns)low;
}

lh_ns lh_rtt_smoothed(const struct lh_rtt *rtt)
{
    return rtt->smoothed != 0 ? rtt->smoothed : LH_RTT_INITIAL;
}

lh_ns lh_rtt_pto(const struct lh_rtt *rtt)
{
    lh_ns variation = rtt->smoothed != 0 ? rtt->variation : LH_RTT_INITIAL / 2;
    return lh_rtt_smoothed(rtt) + LH_MAX(4 * variation, LH_MS) + LH_PTO_ACK_DELAY;
}
