// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the record of a change of sshd's configuration: they are refused, or printing what
// was read and reading that gives the same again.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sshdcfg/ritual.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct lh_record record, again; // each is written whole, or not at all
    char *text;
    size_t text_len;

    if (lh_record_parse((const char *)data, len, &record) != 0)
        return 0;
    LH_ASSERT(lh_record_print(&record, &text, &text_len) == 0);
    LH_ASSERT(lh_record_parse(text, text_len, &again) == 0);
    LH_ASSERT(memcmp(&record, &again, sizeof record) == 0);
    free(text);
    return 0;
}
