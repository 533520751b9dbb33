// SPDX-License-Identifier: Apache-2.0
//
// Very many short scenarios that their seeds make up, in several processes.
#ifndef LH_SIM_SWARM_H
#define LH_SIM_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

// Anything that a path, a peer's application or a person's options may do, within what a session
// must survive; a hundredth of a second of work.
struct sim_scenario sim_scenario_swarm(uint64_t seed);

// Runs the seeds from `first` on in `jobs` processes and writes TAP: a line for each hundred, and
// for each failure the command that repeats it. True where nothing failed.
bool sim_swarm(uint64_t first, uint64_t count, unsigned jobs);

#endif
