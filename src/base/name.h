// SPDX-License-Identifier: Apache-2.0
//
// The one rule for names that come from elsewhere: a plain path component and nothing else
// (threats T25, T28).
#ifndef LH_BASE_NAME_H
#define LH_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/limits.h"

// True for 1 .. LH_NAME_MAX bytes without '/' and NUL that are neither "." nor "..".
static inline bool lh_component_ok(const void *name, size_t len)
{
    const char *bytes = name;
    if (len == 0 || len > LH_NAME_MAX)
        return false;
    if (memchr(bytes, '/', len) != NULL || memchr(bytes, '\0', len) != NULL)
        return false;
    return !(bytes[0] == '.' && (len == 1 || (len == 2 && bytes[1] == '.')));
}

#endif
