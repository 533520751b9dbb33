// SPDX-License-Identifier: Apache-2.0
//
// The text form of link parameters: "rate=1g,delay=50ms,loss=1%,queue=0.5bdp".
#ifndef LH_BENCH_LINKEMU_SPEC_H
#define LH_BENCH_LINKEMU_SPEC_H

#include <stddef.h>

#include "base/err.h"
#include "bench/linkemu/link.h"

// Changes in `params` what `text` names. LH_E_INVALID, with the offending word in `info`.
lh_err lh_emu_spec_apply(struct lh_emu_params *params,
                         const char *text,
                         struct lh_errinfo *info) LH_MUST_CHECK;

// The keys with a line of help each; NULL behind the last.
const char *lh_emu_spec_help(size_t index);

#endif
