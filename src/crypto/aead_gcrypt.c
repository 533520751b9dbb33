// SPDX-License-Identifier: Apache-2.0
//
// How it works. One libgcrypt handle a key; a packet sets the nonce, which starts it afresh. The
// library decrypts before it checks the tag, as the others do; the output is zeroed on failure.
//
// libgcrypt asks to be initialised once a process; doing it again is harmless, so every context
// does. Its "secure memory" (locked pages) is left off: it needs a limit that users lack, and key
// schedules of the other libraries are not in such memory either.
#include <stdlib.h>
#include <string.h>

#include <gcrypt.h>

#include "base/assert.h"
#include "base/wipe.h"
#include "crypto/aead_internal.h"

struct lh_aead_ctx {
    gcry_cipher_hd_t handle;
    bool is_seal;
};

static void gcrypt_free(struct lh_aead_ctx *ctx)
{
    if (ctx == NULL)
        return;
    gcry_cipher_close(ctx->handle); // wipes its key schedule; accepts NULL
    free(ctx);
}

static bool is_ready(void)
{
    if (gcry_check_version("1.8.0") == NULL)
        return false;
    if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P) == 0) {
        (void)gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
        (void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    }
    return true;
}

static lh_err gcrypt_new(const struct lh_aead_type *type,
                         struct lh_aead_ctx **out_ctx,
                         const uint8_t *key,
                         bool is_seal)
{
    int cipher = type->key_len == 16 ? GCRY_CIPHER_AES128 : GCRY_CIPHER_AES256;
    int mode = type->id == LH_AEAD_AES128_OCB ? GCRY_CIPHER_MODE_OCB : GCRY_CIPHER_MODE_GCM;
    struct lh_aead_ctx *ctx = calloc(1, sizeof *ctx);

    if (ctx == NULL)
        return LH_E_NOMEM;
    ctx->is_seal = is_seal;
    if (!is_ready() || gcry_cipher_open(&ctx->handle, cipher, mode, 0) != 0 ||
        gcry_cipher_setkey(ctx->handle, key, type->key_len) != 0) {
        gcrypt_free(ctx);
        return LH_E_CRYPTO;
    }
    *out_ctx = ctx;
    return 0;
}

// Sets the nonce, feeds the authenticated header and says that all text comes at once.
static bool begin(struct lh_aead_ctx *ctx, const struct lh_aead_text *text)
{
    return gcry_cipher_setiv(ctx->handle, text->nonce, LH_AEAD_IV_LEN) == 0 &&
           (text->aad_len == 0 ||
            gcry_cipher_authenticate(ctx->handle, text->aad, text->aad_len) == 0) &&
           gcry_cipher_final(ctx->handle) == 0;
}

static lh_err gcrypt_seal(struct lh_aead_ctx *ctx, const struct lh_aead_text *text)
{
    bool is_in_place = text->out == text->in;
    LH_ASSERT(ctx->is_seal);
    if (!begin(ctx, text) ||
        gcry_cipher_encrypt(ctx->handle, text->out, text->len, is_in_place ? NULL : text->in,
                            is_in_place ? 0 : text->len) != 0 ||
        gcry_cipher_gettag(ctx->handle, text->out + text->len, LH_PACKET_TAG) != 0)
        return LH_E_CRYPTO;
    return 0;
}

static lh_err gcrypt_open(struct lh_aead_ctx *ctx, const struct lh_aead_text *text)
{
    bool is_in_place = text->out == text->in;
    uint8_t tag[LH_PACKET_TAG];
    LH_ASSERT(!ctx->is_seal);
    if (text->len < LH_PACKET_TAG)
        return LH_E_AUTH;
    size_t len = text->len - LH_PACKET_TAG;
    memcpy(tag, text->in + len, sizeof tag);
    if (!begin(ctx, text) ||
        gcry_cipher_decrypt(ctx->handle, text->out, len, is_in_place ? NULL : text->in,
                            is_in_place ? 0 : len) != 0) {
        lh_wipe(text->out, len);
        return LH_E_CRYPTO;
    }
    if (LH_GUARD(AEAD_TAG_GCRYPT, gcry_cipher_checktag(ctx->handle, tag, sizeof tag) != 0)) {
        lh_wipe(text->out, len);
        return LH_E_AUTH;
    }
    return 0;
}

#define GCRYPT_FUNCTIONS                                                                           \
    .library = "libgcrypt", .new = gcrypt_new, .free = gcrypt_free, .seal = gcrypt_seal,           \
    .open = gcrypt_open

static const struct lh_aead_type aes128_gcm = {LH_SUITE_AES128_GCM, GCRYPT_FUNCTIONS};
static const struct lh_aead_type aes256_gcm = {LH_SUITE_AES256_GCM, GCRYPT_FUNCTIONS};
static const struct lh_aead_type aes128_ocb = {LH_SUITE_AES128_OCB, GCRYPT_FUNCTIONS};

const struct lh_aead_type *const lh_aead_gcrypt_types[] = {&aes128_ocb, &aes128_gcm, &aes256_gcm,
                                                           NULL};
