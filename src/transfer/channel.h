// SPDX-License-Identifier: Apache-2.0
//
// What a transfer needs from a transport, and no more: the seam between transfer/ and transport/,
// which tests fill with two queues in memory. Semantics and outcomes are those of the functions of
// the same name in transport/transport.h.
#ifndef LH_TRANSFER_CHANNEL_H
#define LH_TRANSFER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// What becomes of a block of which only the beginning is here.
enum lh_take {
    LH_TAKE_NEVER, // it must come whole
    LH_TAKE_LATER, // not now: ask again
    LH_TAKE_NOW    // its runs are taken as they come
};

struct lh_channel {
    void *ctx;
    lh_err (*send_block)(void *ctx, uint8_t *data, size_t len, uint32_t *out_block);
    // May be NULL, both or none: then blocks stay in the sender's memory until acknowledged.
    bool (*block_unload)(void *ctx, uint32_t block);
    bool (*block_supply)(void *ctx, uint32_t block, uint8_t *data);
    void (*block_release)(void *ctx, uint32_t block);
    void (*runs_release)(void *ctx, size_t bytes);
    lh_err (*stream_write)(void *ctx, const void *data, size_t len);
    void (*stream_consumed)(void *ctx, size_t len);
};

#endif
