// SPDX-License-Identifier: Apache-2.0
//
// The null AEAD copies and appends a constant tag. It serves the SSH lane, which SSH protects, and
// simulations; checking the constant there finds broken framing, not attackers.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/aead.h"

struct lh_aead_ctx {
    bool is_seal;
};

static const uint8_t null_tag[LH_PACKET_TAG] = {'l', 'o', 'n', 'g', 'h', 'a', 'u', 'l',
                                                '-', 'n', 'o', '-', 'a', 'e', 'a', 'd'};

static lh_err null_new(const struct lh_aead_type *type,
                       struct lh_aead_ctx **out_ctx,
                       const uint8_t *key,
                       bool is_seal)
{
    struct lh_aead_ctx *ctx = calloc(1, sizeof *ctx);
    (void)type, (void)key;
    if (ctx == NULL)
        return LH_E_NOMEM;
    ctx->is_seal = is_seal;
    *out_ctx = ctx;
    return 0;
}

static void null_free(struct lh_aead_ctx *ctx)
{
    free(ctx);
}

static lh_err null_seal(struct lh_aead_ctx *ctx, const struct lh_aead_text *text)
{
    LH_ASSERT(ctx->is_seal);
    if (text->len > 0)
        memmove(text->out, text->in, text->len);
    memcpy(text->out + text->len, null_tag, sizeof null_tag);
    return 0;
}

static lh_err null_open(struct lh_aead_ctx *ctx, const struct lh_aead_text *text)
{
    LH_ASSERT(!ctx->is_seal);
    if (text->len < LH_PACKET_TAG)
        return LH_E_AUTH;
    size_t len = text->len - LH_PACKET_TAG;
    if (LH_GUARD(NULL_TAG, memcmp(text->in + len, null_tag, sizeof null_tag) != 0)) {
        memset(text->out, 0, len);
        return LH_E_AUTH;
    }
    if (len > 0)
        memmove(text->out, text->in, len);
    return 0;
}

const struct lh_aead_type lh_aead_null = {
    .name = "null",
    .library = "none",
    .id = LH_AEAD_NULL,
    .key_len = 16, // derived like the others, so that every lane has the same schedule; not used
    .seal_limit = UINT64_MAX,
    .forgery_limit = (uint64_t)1 << 36,
    .new = null_new,
    .free = null_free,
    .seal = null_seal,
    .open = null_open,
};
