// SPDX-License-Identifier: Apache-2.0
#ifndef LH_CMD_VERSION_H
#define LH_CMD_VERSION_H

#include <stdio.h>

// Two lines; the first holds " version N.N.N", which other tools parse as they do with ascp.
void lh_version_print(const char *program, FILE *out);

#endif
