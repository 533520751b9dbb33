// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void lh_assert_fail(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "longhaul: %s:%d: assertion failed: %s (a bug; please report it)\n", file,
                  line, expression);
    abort();
}
