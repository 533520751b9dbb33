// SPDX-License-Identifier: Apache-2.0
//
// How it works. Intel's ipsec-mb has GCM in one call a packet (nonce, header, text and tag at once)
// under a key that is expanded once, with VAES and AVX-512 where the processor has them. Its
// manager is needed only to learn which functions suit this processor: a context keeps the
// functions and lets the manager go (0.1 ms a key, and a key lasts for 4 million packets).
//
// Opening computes the tag and leaves the comparison to us: in constant time. As with libcrypto the
// text is decrypted before that, and zeroed on failure.
//
// The functions do not share state, so contexts may be used by different threads.
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "base/assert.h"
#include "base/vector.h"
#include "base/wipe.h"
#include "crypto/aead_internal.h"

struct lh_aead_ctx {
    struct gcm_key_data key; // must be first: aligned as the library wants it
    struct gcm_context_data scratch;
    aes_gcm_enc_dec_t crypt; // seals or opens
    bool is_seal;
};

#define CTX_ALIGNMENT 64

static void ipsec_free(struct lh_aead_ctx *ctx)
{
    if (ctx == NULL)
        return;
    lh_wipe(ctx, sizeof *ctx);
    free(ctx);
}

// Takes the functions of this processor for keys of `key_len` bytes and expands `key`.
static void set_key(struct lh_aead_ctx *ctx, IMB_MGR *manager, const uint8_t *key, uint8_t key_len)
{
    if (key_len == 16) {
        ctx->crypt = ctx->is_seal ? manager->gcm128_enc : manager->gcm128_dec;
        manager->gcm128_pre(key, &ctx->key);
    } else {
        LH_ASSERT(key_len == 32);
        ctx->crypt = ctx->is_seal ? manager->gcm256_enc : manager->gcm256_dec;
        manager->gcm256_pre(key, &ctx->key);
    }
}

static lh_err ipsec_new(const struct lh_aead_type *type,
                        struct lh_aead_ctx **out_ctx,
                        const uint8_t *key,
                        bool is_seal)
{
    size_t size = (sizeof(struct lh_aead_ctx) + CTX_ALIGNMENT - 1) & ~(size_t)(CTX_ALIGNMENT - 1);
    struct lh_aead_ctx *ctx = aligned_alloc(CTX_ALIGNMENT, size);
    IMB_MGR *manager = alloc_mb_mgr(0);
    IMB_ARCH arch = IMB_ARCH_NONE;

    if (ctx == NULL || manager == NULL) {
        free(ctx);
        free_mb_mgr(manager);
        return LH_E_NOMEM;
    }
    init_mb_mgr_auto(manager, &arch);
    // Without AES instructions the library has only code that is slower than libcrypto's and not
    // constant in time.
    bool is_fit = arch != IMB_ARCH_NONE && arch != IMB_ARCH_NOAESNI &&
                  (manager->features & IMB_FEATURE_SELF_TEST_PASS) != 0;
    if (is_fit) {
        memset(ctx, 0, sizeof *ctx);
        ctx->is_seal = is_seal;
        set_key(ctx, manager, key, type->key_len);
    }
    free_mb_mgr(manager);
    lh_vector_rest();
    if (!is_fit) {
        free(ctx);
        return LH_E_CRYPTO;
    }
    *out_ctx = ctx;
    return 0;
}

static lh_err ipsec_seal(struct lh_aead_ctx *ctx, const struct lh_aead_text *text)
{
    LH_ASSERT(ctx->is_seal);
    ctx->crypt(&ctx->key, &ctx->scratch, text->out, text->in, text->len, text->nonce, text->aad,
               text->aad_len, text->out + text->len, LH_PACKET_TAG);
    lh_vector_rest();
    return 0;
}

static bool tags_differ(const uint8_t *a, const uint8_t *b)
{
    uint64_t first[2], second[2];
    memcpy(first, a, LH_PACKET_TAG);
    memcpy(second, b, LH_PACKET_TAG);
    return ((first[0] ^ second[0]) | (first[1] ^ second[1])) != 0;
}

static lh_err ipsec_open(struct lh_aead_ctx *ctx, const struct lh_aead_text *text)
{
    uint8_t tag[LH_PACKET_TAG];
    LH_ASSERT(!ctx->is_seal);
    if (text->len < LH_PACKET_TAG)
        return LH_E_AUTH;
    size_t len = text->len - LH_PACKET_TAG;
    ctx->crypt(&ctx->key, &ctx->scratch, text->out, text->in, len, text->nonce, text->aad,
               text->aad_len, tag, sizeof tag);
    lh_vector_rest();
    if (LH_GUARD(AEAD_TAG_IPSEC, tags_differ(tag, text->in + len))) {
        lh_wipe(text->out, len);
        return LH_E_AUTH;
    }
    return 0;
}

#define IPSEC_FUNCTIONS                                                                            \
    .library = "ipsec-mb", .new = ipsec_new, .free = ipsec_free, .seal = ipsec_seal,               \
    .open = ipsec_open

static const struct lh_aead_type aes128_gcm = {LH_SUITE_AES128_GCM, IPSEC_FUNCTIONS};
static const struct lh_aead_type aes256_gcm = {LH_SUITE_AES256_GCM, IPSEC_FUNCTIONS};

const struct lh_aead_type *const lh_aead_ipsec_types[] = {&aes128_gcm, &aes256_gcm, NULL};
