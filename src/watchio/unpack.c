// SPDX-License-Identifier: Apache-2.0
//
// How it works. One buffer of packed bytes and a decoder chosen from a table by the magic bytes;
// each decoder takes from the buffer and gives to the caller's room. zlib, liblzma and libzstd stay
// in this file. Memory of the decoders is bounded, since a log file may come from a stranger.
#include "watchio/unpack.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/math.h"

#define CHUNK ((size_t)128 << 10)

struct codec {
    const char *name;
    uint8_t magic[6];
    size_t magic_len;
    lh_err (*open)(struct lh_unpack *unpack);
    lh_err (*step)(struct lh_unpack *unpack, uint8_t *out, size_t room, size_t *out_len);
    void (*close)(struct lh_unpack *unpack);
};

struct lh_unpack {
    int fd;
    const char *name;
    const struct codec *codec; // NULL: plain
    bool probed;
    bool at_end;    // of the descriptor
    bool part_open; // within a packed part: an end here is too early
    uint8_t *at;    // packed bytes not yet taken
    size_t left;
    union {
        z_stream gzip;
        lzma_stream xz;
        ZSTD_DStream *zstd;
    } state;
    uint8_t buffer[CHUNK];
};

static lh_err gzip_open(struct lh_unpack *unpack)
{
    return inflateInit2(&unpack->state.gzip, 15 + 16) == Z_OK ? 0 : LH_E_NOMEM;
}

static lh_err gzip_step(struct lh_unpack *unpack, uint8_t *out, size_t room, size_t *out_len)
{
    z_stream *z = &unpack->state.gzip;
    z->next_in = unpack->at;
    z->avail_in = (uInt)unpack->left;
    z->next_out = out;
    z->avail_out = (uInt)room;
    int result = inflate(z, Z_NO_FLUSH);
    unpack->at = z->next_in;
    unpack->left = z->avail_in;
    *out_len = room - z->avail_out;
    unpack->part_open = result != Z_STREAM_END;
    if (result == Z_STREAM_END)
        return inflateReset(z) == Z_OK ? 0 : LH_E_CORRUPT;
    return result == Z_OK || result == Z_BUF_ERROR ? 0 : LH_E_CORRUPT;
}

static void gzip_close(struct lh_unpack *unpack)
{
    (void)inflateEnd(&unpack->state.gzip);
}

static lh_err xz_open(struct lh_unpack *unpack)
{
    unpack->state.xz = (lzma_stream)LZMA_STREAM_INIT;
    lzma_ret result = lzma_stream_decoder(&unpack->state.xz, LH_UNPACK_MEMORY, LZMA_CONCATENATED);
    return result == LZMA_OK ? 0 : LH_E_NOMEM;
}

static lh_err xz_step(struct lh_unpack *unpack, uint8_t *out, size_t room, size_t *out_len)
{
    lzma_stream *xz = &unpack->state.xz;
    xz->next_in = unpack->at;
    xz->avail_in = unpack->left;
    xz->next_out = out;
    xz->avail_out = room;
    lzma_ret result = lzma_code(xz, unpack->at_end && unpack->left == 0 ? LZMA_FINISH : LZMA_RUN);
    unpack->at += unpack->left - xz->avail_in;
    unpack->left = xz->avail_in;
    *out_len = room - xz->avail_out;
    unpack->part_open = result != LZMA_STREAM_END;
    if (result == LZMA_MEMLIMIT_ERROR)
        return LH_E_LIMIT;
    return result == LZMA_OK || result == LZMA_STREAM_END || result == LZMA_BUF_ERROR
               ? 0
               : LH_E_CORRUPT;
}

static void xz_close(struct lh_unpack *unpack)
{
    lzma_end(&unpack->state.xz);
}

static lh_err zstd_open(struct lh_unpack *unpack)
{
    unpack->state.zstd = ZSTD_createDStream();
    if (unpack->state.zstd == NULL)
        return LH_E_NOMEM;
    (void)ZSTD_DCtx_setParameter(unpack->state.zstd, ZSTD_d_windowLogMax, 24);
    return 0;
}

static lh_err zstd_step(struct lh_unpack *unpack, uint8_t *out, size_t room, size_t *out_len)
{
    ZSTD_inBuffer in = {.src = unpack->at, .size = unpack->left};
    ZSTD_outBuffer to = {.dst = out, .size = room};
    size_t result = ZSTD_decompressStream(unpack->state.zstd, &to, &in);
    unpack->at += in.pos;
    unpack->left -= in.pos;
    *out_len = to.pos;
    if (ZSTD_isError(result))
        return strstr(ZSTD_getErrorName(result), "memory") != NULL ? LH_E_LIMIT : LH_E_CORRUPT;
    if (in.pos > 0 || to.pos > 0)
        unpack->part_open = result != 0;
    return 0;
}

static void zstd_close(struct lh_unpack *unpack)
{
    (void)ZSTD_freeDStream(unpack->state.zstd);
}

static const struct codec codecs[] = {
    {"gzip", {0x1f, 0x8b, 0x08}, 3, gzip_open, gzip_step, gzip_close},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0x00}, 6, xz_open, xz_step, xz_close},
    {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, zstd_open, zstd_step, zstd_close},
};

lh_err lh_unpack_new(int fd, const char *name, struct lh_unpack **out, struct lh_errinfo *info)
{
    struct lh_unpack *unpack = calloc(1, sizeof *unpack);
    if (unpack == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "%s: out of memory", name);
    unpack->fd = fd;
    unpack->name = name;
    *out = unpack;
    return 0;
}

void lh_unpack_free(struct lh_unpack *unpack)
{
    if (unpack != NULL && unpack->codec != NULL)
        unpack->codec->close(unpack);
    free(unpack);
}

// More packed bytes behind those that are left.
static lh_err fill(struct lh_unpack *unpack, struct lh_errinfo *info)
{
    if (unpack->left > 0)
        memmove(unpack->buffer, unpack->at, unpack->left);
    unpack->at = unpack->buffer;
    for (;;) {
        ssize_t got = read(unpack->fd, unpack->buffer + unpack->left, CHUNK - unpack->left);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lh_fail_errno(info, errno, 0, "cannot read %s", unpack->name);
        unpack->at_end = got == 0;
        unpack->left += (size_t)got;
        return 0;
    }
}

// Looks at the first bytes, which may come one by one from a pipe.
static lh_err probe(struct lh_unpack *unpack, struct lh_errinfo *info)
{
    do {
        lh_err err = fill(unpack, info);
        if (err != 0)
            return err;
    } while (unpack->left < sizeof codecs->magic && !unpack->at_end);
    if (unpack->left == 0)
        return 0;
    unpack->probed = true;
    for (size_t i = 0; i < LH_ARRAY_LEN(codecs); i++) {
        if (unpack->left < codecs[i].magic_len ||
            memcmp(unpack->buffer, codecs[i].magic, codecs[i].magic_len) != 0)
            continue;
        lh_err err = codecs[i].open(unpack);
        if (err != 0)
            return lh_fail(info, err, 0, "%s: out of memory", unpack->name);
        unpack->codec = &codecs[i];
        unpack->part_open = true;
    }
    return 0;
}

static lh_err read_plain(
    struct lh_unpack *unpack, void *out, size_t room, size_t *out_len, struct lh_errinfo *info)
{
    if (unpack->left == 0) {
        for (;;) {
            ssize_t got = read(unpack->fd, out, room);
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return lh_fail_errno(info, errno, 0, "cannot read %s", unpack->name);
            *out_len = (size_t)got;
            return got == 0 ? LH_EOF : 0;
        }
    }
    *out_len = LH_MIN(room, unpack->left);
    memcpy(out, unpack->at, *out_len);
    unpack->at += *out_len;
    unpack->left -= *out_len;
    return 0;
}

lh_err lh_unpack_read(
    struct lh_unpack *unpack, void *out, size_t room, size_t *out_len, struct lh_errinfo *info)
{
    lh_err err = unpack->probed ? 0 : probe(unpack, info);
    if (err != 0)
        return err;
    if (unpack->codec == NULL)
        return read_plain(unpack, out, room, out_len, info);
    for (;;) {
        *out_len = 0;
        if (unpack->left == 0 && !unpack->at_end && (err = fill(unpack, info)) != 0)
            return err;
        bool no_input = unpack->left == 0;
        if (no_input && !unpack->part_open)
            return LH_EOF;
        err = unpack->codec->step(unpack, out, room, out_len);
        if (err == LH_E_LIMIT)
            return lh_fail(
                info, err, 0,
                "%s: needs more than %zu MiB to unpack: give it unpacked (xzcat, zstdcat)",
                unpack->name, LH_UNPACK_MEMORY >> 20);
        if (err != 0)
            return lh_fail(info, err, 0, "%s: damaged %s data", unpack->name, unpack->codec->name);
        if (*out_len > 0)
            return 0;
        if (no_input && unpack->at_end && unpack->part_open)
            return lh_fail(info, LH_E_CORRUPT, 0, "%s: cut off in the middle of %s data",
                           unpack->name, unpack->codec->name);
    }
}
