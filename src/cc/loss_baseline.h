// SPDX-License-Identifier: Apache-2.0
//
// The loss that a path has by itself, apart from what we cause: lower quartile of the loss ratios
// of the last 32 intervals with a low queue. Ratios are parts per
// million.
#ifndef LH_CC_LOSS_BASELINE_H
#define LH_CC_LOSS_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

#define LH_LOSS_SAMPLES     32
#define LH_LOSS_SAMPLES_MIN 4 // before that the baseline is 0 and unknown
#define LH_PPM              1000000u

struct lh_loss_baseline {
    uint32_t samples[LH_LOSS_SAMPLES]; // ppm, a ring
    uint32_t count;                    // ever added
    uint32_t cap;                      // ppm: no more than this is taken for the path's own
    uint32_t ppm;                      // the baseline
    uint32_t high_ppm; // upper eighth: how bad an interval is where loss comes in bursts
};

void lh_loss_baseline_init(struct lh_loss_baseline *baseline, uint32_t cap_ppm);
// An interval in which `packets` (not 0) were resolved, `lost` of them lost.
void lh_loss_baseline_add(struct lh_loss_baseline *baseline, uint64_t packets, uint64_t lost);
bool lh_loss_baseline_is_known(const struct lh_loss_baseline *baseline);

// Are these losses more than the baseline explains?
//   lost - n p > max(n / 50, 4 sqrt(n p (1 - p)) + 3)   and   lost > n (high + 1/50)
// The second condition is ours: random loss in bursts varies more than the binomial says.
bool lh_loss_is_excess(const struct lh_loss_baseline *baseline, uint64_t packets, uint64_t lost);

#endif
