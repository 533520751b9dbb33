// SPDX-License-Identifier: Apache-2.0
//
// Paths that carry far more than either side may hold, as tests.
#ifndef LH_SIM_FAT_H
#define LH_SIM_FAT_H

#include <stdbool.h>
#include <stdint.h>

// 10 Gbit/s x 300 ms x 5 %, and with `is_long` 100 Gbit/s x 100 ms x 5 %: efficiency and memory, in
// TAP. True where all was reached.
bool sim_fat(uint64_t seed, bool is_long);

#endif
