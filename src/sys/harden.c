// SPDX-License-Identifier: Apache-2.0
#include "sys/harden.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/assert.h"

void lh_secrets_harden(void)
{
    const struct rlimit none = {0, 0};

    // Neither can fail on a kernel that we run on; going on without them would not be what was
    // promised.
    LH_ASSERT(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    LH_ASSERT(setrlimit(RLIMIT_CORE, &none) == 0);
}
