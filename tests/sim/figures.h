// SPDX-License-Identifier: Apache-2.0
//
// The figures that one flow alone must reach, as a table of paths: measured over steady seconds, as
// the issue that asked for them says.
#ifndef LH_SIM_FIGURES_H
#define LH_SIM_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

struct sim_figures_options {
    uint64_t rate;    // of the link, bytes/s
    uint64_t seconds; // measured
    uint64_t seed;
    const char *only; // names that contain it; NULL = all
    uint64_t memory;  // the receiver's budget; 0 = what the programs take
    bool is_quick;    // some of each kind, smaller
    bool is_tap;      // as a test
    bool is_traced;
};

// Gives the number of rows that missed a figure.
unsigned sim_figures(const struct sim_figures_options *options);

#endif
