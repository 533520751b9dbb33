// SPDX-License-Identifier: Apache-2.0
//
// Entries of the journal: what is believed has a process and a text within the entry.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "watch/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct lh_journal_entry entry;
    char *text = malloc(len + 1);
    LH_ASSERT(text != NULL);
    memcpy(text, data, len);
    if (lh_watch_journal_parse(lh_span_of(text, len), &entry) == LH_WATCH_LINE_SSHD) {
        struct lh_span message = entry.record.message;
        LH_ASSERT(message.len == 0 || (message.at >= entry.text &&
                                       message.at + message.len <= entry.text + sizeof entry.text));
        LH_ASSERT(entry.record.repeat == 1);
        LH_ASSERT(memmem(data, len, "\"_UID\"", 6) != NULL || memchr(data, '\\', len) != NULL);
    }
    LH_ASSERT(memchr(entry.cursor, '\0', sizeof entry.cursor) != NULL);
    free(text);
    return 0;
}
