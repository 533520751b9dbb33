// SPDX-License-Identifier: Apache-2.0
//
// Arbitrary bytes as a control stream (cut at a place the first byte names) and as a block.
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "job/block.h"
#include "job/inbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lh_err ignore(void *ctx, const struct lh_message *message)
{
    size_t *count = ctx;
    LH_ASSERT(message->type < LH_MESSAGE_N_);
    if (message->type == LH_MESSAGE_DECIDE) {
        struct lh_runs runs = message->as.decide.ids;
        struct lh_run run;
        while (lh_run_next(&runs, &run))
            *count += run.count;
    }
    return LH_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lh_inbox inbox;
    if (size < 1)
        return 0;
    size_t count = 0;
    size_t cut = data[0] < size ? data[0] : size - 1;
    lh_inbox_init(&inbox);
    if (lh_inbox_take(&inbox, data + 1, cut, ignore, &count) == LH_OK &&
        lh_inbox_take(&inbox, data + 1 + cut, size - 1 - cut, ignore, &count) != LH_OK)
        count++;

    struct lh_block_header header;
    if (lh_block_read(data + 1, size - 1, &header) == LH_OK) {
        for (size_t i = 0; i < header.count; i++) {
            struct lh_block_item item;
            lh_block_item(data + 1, i, &item);
            LH_ASSERT(item.length <= size);
        }
    }
    return 0;
}
