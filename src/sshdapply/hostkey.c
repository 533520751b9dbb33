// SPDX-License-Identifier: Apache-2.0
#include "sshdapply/hostkey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "sshdapply/tree.h"

#define FILE_MAX 65536

// One string of the blob: 32-bit length, big endian, and as many bytes.
static const uint8_t *read_string(struct lh_reader *reader, size_t *out_len)
{
    const uint8_t *len = lh_read_bytes(reader, 4);
    if (len == NULL)
        return NULL;
    *out_len = (size_t)len[0] << 24 | (size_t)len[1] << 16 | (size_t)len[2] << 8 | len[3];
    return lh_read_bytes(reader, *out_len);
}

static unsigned integer_bits(const uint8_t *bytes, size_t len)
{
    while (len > 0 && *bytes == 0) {
        bytes++;
        len--;
    }
    if (len == 0)
        return 0;
    unsigned bits = (unsigned)(8 * len);
    for (uint8_t top = *bytes; (top & 0x80) == 0; top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

// Size of the key from its type or, of RSA and DSA, from its numbers.
static unsigned key_bits(const char *type, struct lh_reader reader)
{
    const uint8_t *number;
    size_t len;

    if (strstr(type, "nistp256") != NULL || strstr(type, "ed25519") != NULL)
        return 256;
    if (strstr(type, "nistp384") != NULL)
        return 384;
    if (strstr(type, "nistp521") != NULL)
        return 521;
    if (strcmp(type, "ssh-rsa") == 0 && read_string(&reader, &len) == NULL) // the exponent
        return 0;
    if (strcmp(type, "ssh-rsa") != 0 && strcmp(type, "ssh-dss") != 0)
        return 0;
    number = read_string(&reader, &len);
    return number == NULL ? 0 : integer_bits(number, len);
}

// Decodes the word at `text` as a key of the type named. LH_E_INVALID.
static lh_err take_blob(
    const char *type, size_t type_len, const char *text, size_t len, struct lh_public_key *key)
{
    size_t inner_len;

    if (type_len >= sizeof key->type || len >= sizeof key->base64 ||
        lh_base64_decode(text, len, key->blob, sizeof key->blob, &key->blob_len) != 0)
        return LH_E_INVALID;
    struct lh_reader reader = lh_reader_of(key->blob, key->blob_len);
    const uint8_t *inner = read_string(&reader, &inner_len);
    if (inner == NULL || inner_len != type_len || memcmp(inner, type, type_len) != 0)
        return LH_E_INVALID;
    memcpy(key->type, type, type_len);
    key->type[type_len] = '\0';
    memcpy(key->base64, text, len);
    key->base64[len] = '\0';
    key->bits = key_bits(key->type, reader);
    return 0;
}

static lh_err take_fingerprints(struct lh_public_key *key)
{
    uint8_t digest[LH_SHA256_LEN];

    if (lh_sha1(key->blob, key->blob_len, digest) != 0)
        return LH_E_CRYPTO;
    (void)lh_format_hex(digest, LH_SHA1_LEN, key->sha1);
    if (lh_sha256(key->blob, key->blob_len, digest) != 0)
        return LH_E_CRYPTO;
    (void)lh_format_hex(digest, LH_SHA256_LEN, key->sha256_hex);
    (void)snprintf(key->sha256, sizeof key->sha256, "SHA256:");
    (void)lh_base64_encode(digest, LH_SHA256_LEN, key->sha256 + 7);
    return 0;
}

// Length of the word at `text`; blanks inside double quotes do not end it.
static size_t word_len(const char *text, const char *end)
{
    const char *at = text;
    bool quoted = false;

    for (; at < end && (quoted || (*at != ' ' && *at != '\t')); at++) {
        if (*at == '\\' && at + 1 < end && at[1] == '"')
            at++;
        else if (*at == '"')
            quoted = !quoted;
    }
    return (size_t)(at - text);
}

lh_err lh_public_key_parse(const char *line,
                           size_t len,
                           struct lh_public_key *out_key,
                           size_t *out_options)
{
    const char *end = line + len;
    const char *first = line;

    while (end > line && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    while (first < end && (*first == ' ' || *first == '\t'))
        first++;
    if (first == end || *first == '#')
        return LH_NONE;
    // The type is the first word, or the second one behind options.
    const char *word = first;
    for (unsigned i = 0; i < 2; i++) {
        size_t type_len = word_len(word, end);
        const char *blob = word + type_len;
        while (blob < end && (*blob == ' ' || *blob == '\t'))
            blob++;
        if (take_blob(word, type_len, blob, word_len(blob, end), out_key) == 0) {
            if (out_options != NULL)
                *out_options = i == 0 ? 0 : word_len(first, end);
            return take_fingerprints(out_key);
        }
        word = blob;
    }
    return LH_E_INVALID;
}

lh_err lh_host_key_read(const char *root,
                        const char *path,
                        struct lh_public_key *out_key,
                        struct lh_errinfo *info)
{
    char public_path[4096];
    char *text;
    size_t len;

    if ((size_t)snprintf(public_path, sizeof public_path, "%s.pub", path) >= sizeof public_path)
        return LH_E_PATH;
    lh_err err = lh_root_read(root, public_path, FILE_MAX, &text, &len, info);
    if (err != 0)
        return err;
    err = lh_public_key_parse(text, strcspn(text, "\n"), out_key, NULL);
    free(text);
    if (err != 0)
        return lh_fail(info, LH_E_INVALID, 0, "%s holds no public key", public_path);
    return 0;
}

unsigned lh_public_key_sshfp(const struct lh_public_key *key)
{
    static const struct {
        const char *prefix;
        unsigned number;
    } numbers[] = {{"ssh-rsa", 1}, {"ssh-dss", 2}, {"ecdsa-sha2-", 3}, {"ssh-ed25519", 4}};

    for (size_t i = 0; i < LH_ARRAY_LEN(numbers); i++) {
        if (strncmp(key->type, numbers[i].prefix, strlen(numbers[i].prefix)) == 0)
            return numbers[i].number;
    }
    return 0;
}
