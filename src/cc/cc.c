// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/cleanup.h"
#include "cc/cc.h"

const struct lh_cc_type *lh_cc_by_name(const char *name)
{
    static const struct lh_cc_type *const types[] = {&lh_cc_lt,    &lh_cc_fair,  &lh_cc_high,
                                                     &lh_cc_low,   &lh_cc_fixed, &lh_cc_pipe,
                                                     &lh_cc_cubic, &lh_cc_bbr};
    for (size_t i = 0; i < LH_ARRAY_LEN(types); i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}
