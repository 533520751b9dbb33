// SPDX-License-Identifier: Apache-2.0
#include "cmd/version.h"

#include "lh_version.h"

void lh_version_print(const char *program, FILE *out)
{
    (void)fprintf(out, "Longhaul %s version %s\nLicence: Apache-2.0\n", program, LH_VERSION);
}
