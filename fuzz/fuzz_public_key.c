// SPDX-License-Identifier: Apache-2.0
//
// A line of authorized_keys or of a .pub file.
#include <string.h>

#include "base/assert.h"
#include "sshdapply/hostkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct lh_public_key key;
    size_t options = 0;

    lh_err err = lh_public_key_parse((const char *)data, len, &key, &options);
    if (err != 0)
        return 0;
    LH_ASSERT(options < len && strlen(key.type) < sizeof key.type);
    LH_ASSERT(key.blob_len > 4 && key.blob_len <= sizeof key.blob);
    LH_ASSERT(strlen(key.sha1) == 40 && strlen(key.sha256) == 50);
    return 0;
}
