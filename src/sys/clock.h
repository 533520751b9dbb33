// SPDX-License-Identifier: Apache-2.0
//
// The only clocks and the only entropy of the tree.
#ifndef LH_SYS_CLOCK_H
#define LH_SYS_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

lh_ns lh_clock_now(void);                     // CLOCK_MONOTONIC
lh_ns lh_clock_boot(void);                    // CLOCK_BOOTTIME: goes on while the machine sleeps
void lh_clock_sleep_until(lh_ns until);       // a signal may end it early
int64_t lh_clock_wall_seconds(void);          // seconds since 1970, for logs only
void lh_entropy_fill(void *data, size_t len); // getrandom; aborts where the kernel has none

#endif
