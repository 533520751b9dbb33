// SPDX-License-Identifier: Apache-2.0
//
// Answers of DNS with the contact of a network: what is taken is a list of mail addresses and
// nothing else.
#include <string.h>

#include "base/assert.h"
#include "watchio/contact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "@._+-, ";
    char out[LH_CONTACT_MAX];
    if (!lh_contact_from_answer(data, len, out))
        return 0;
    LH_ASSERT(memchr(out, '\0', sizeof out) != NULL);
    LH_ASSERT(strlen(out) >= 3 && strspn(out, allowed) == strlen(out));
    return 0;
}
