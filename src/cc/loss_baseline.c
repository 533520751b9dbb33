// SPDX-License-Identifier: Apache-2.0
#include "cc/loss_baseline.h"

#include <string.h>

#include "base/assert.h"
#include "base/math.h"

void lh_loss_baseline_init(struct lh_loss_baseline *baseline, uint32_t cap_ppm)
{
    LH_ASSERT(cap_ppm < LH_PPM / 2);
    *baseline = (struct lh_loss_baseline){.cap = cap_ppm};
}

bool lh_loss_baseline_is_known(const struct lh_loss_baseline *baseline)
{
    return baseline->count >= LH_LOSS_SAMPLES_MIN;
}

void lh_loss_baseline_add(struct lh_loss_baseline *baseline, uint64_t packets, uint64_t lost)
{
    uint32_t sorted[LH_LOSS_SAMPLES];
    LH_ASSERT(packets > 0 && lost <= packets);
    baseline->samples[baseline->count % LH_LOSS_SAMPLES] =
        (uint32_t)lh_muldiv(lost, LH_PPM, packets);
    baseline->count++;
    if (baseline->count == 2 * LH_LOSS_SAMPLES)
        baseline->count = LH_LOSS_SAMPLES; // the ring is full; only its position matters
    if (!lh_loss_baseline_is_known(baseline))
        return;

    uint32_t count = LH_MIN(baseline->count, LH_LOSS_SAMPLES);
    for (uint32_t i = 0; i < count; i++) { // insertion sort: 32 values, once an interval
        uint32_t value = baseline->samples[i], at = i;
        for (; at > 0 && sorted[at - 1] > value; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = value;
    }
    baseline->ppm = LH_MIN(sorted[count / 4], baseline->cap);
    baseline->high_ppm = LH_MIN(sorted[count * 7 / 8], 2 * baseline->cap);
}

bool lh_loss_is_excess(const struct lh_loss_baseline *baseline, uint64_t packets, uint64_t lost)
{
    // In millionths of a packet, and with squares instead of the root.
    uint64_t p = baseline->ppm;
    unsigned __int128 expected = (unsigned __int128)packets * p;
    unsigned __int128 actual = (unsigned __int128)lost * LH_PPM;
    unsigned __int128 floor = (unsigned __int128)packets * (LH_PPM / 50);
    unsigned __int128 slack = 3 * (unsigned __int128)LH_PPM;
    unsigned __int128 usual = (unsigned __int128)packets * baseline->high_ppm;
    if (actual <= expected + floor || actual <= expected + slack || actual <= usual + floor)
        return false;
    unsigned __int128 beyond = actual - expected - slack;
    unsigned __int128 variance = (unsigned __int128)packets * p * (LH_PPM - p);
    return beyond * beyond > 16 * variance;
}
