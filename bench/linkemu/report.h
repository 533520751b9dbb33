// SPDX-License-Identifier: Apache-2.0
//
// The counters of a run as one JSON object.
#ifndef LH_BENCH_LINKEMU_REPORT_H
#define LH_BENCH_LINKEMU_REPORT_H

#include "base/err.h"
#include "bench/linkemu/path.h"
#include "bench/linkemu/tun.h"

struct lh_emu_report {
    const struct lh_emu_path *ab;
    const struct lh_emu_path *ba;
    const struct lh_emu_end *a;
    const struct lh_emu_end *b;
    uint64_t seed;
    lh_ns started;
};

// Writes beside `path` and renames: a reader never sees half of it.
lh_err lh_emu_report_write(const struct lh_emu_report *report,
                           const char *path,
                           struct lh_errinfo *info) LH_MUST_CHECK;

#endif
