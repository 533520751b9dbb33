// SPDX-License-Identifier: Apache-2.0
#ifndef LH_BASE_WIPE_H
#define LH_BASE_WIPE_H

#include <string.h>

// Overwrites secrets; the compiler may not leave it out.
static inline void lh_wipe(void *data, size_t len)
{
    if (len > 0)
        explicit_bzero(data, len);
}

#endif
