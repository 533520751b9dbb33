// SPDX-License-Identifier: Apache-2.0
#include "ssh/pin.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/text.h"
#include "crypto/hash.h"

static const char sha256_prefix[] = "SHA256:";

static size_t digest_len(enum lh_pin_kind kind)
{
    return kind == LH_PIN_SHA1 ? LH_SHA1_LEN : LH_SHA256_LEN;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static lh_err parse_sha1(const char *text, struct lh_pin *out_pin)
{
    struct lh_pin pin = {.kind = LH_PIN_SHA1};
    bool with_colons = text[0] != '\0' && text[1] != '\0' && text[2] == ':';

    for (size_t i = 0; i < LH_SHA1_LEN; i++) {
        int high, low;
        if (with_colons && i > 0 && *text++ != ':')
            return LH_E_INVALID;
        high = hex_value(text[0]);
        low = high < 0 ? -1 : hex_value(text[1]);
        if (low < 0)
            return LH_E_INVALID;
        pin.digest[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text != '\0')
        return LH_E_INVALID;
    *out_pin = pin;
    return 0;
}

lh_err lh_pin_parse(const char *text, struct lh_pin *out_pin)
{
    struct lh_pin pin = {.kind = LH_PIN_SHA256};
    const char *base64 = text + strlen(sha256_prefix);
    size_t len;

    if (strncmp(text, sha256_prefix, strlen(sha256_prefix)) != 0)
        return parse_sha1(text, out_pin);
    if (lh_base64_decode(base64, strlen(base64), pin.digest, sizeof pin.digest, &len) != 0 ||
        len != LH_SHA256_LEN)
        return LH_E_INVALID;
    *out_pin = pin;
    return 0;
}

char *lh_pin_format(const struct lh_pin *pin, char *out, size_t room)
{
    char digits[2 * sizeof pin->digest + 1];

    if (pin->kind == LH_PIN_SHA1)
        (void)snprintf(out, room, "%s", lh_format_hex(pin->digest, LH_SHA1_LEN, digits));
    else
        (void)snprintf(out, room, "%s%s", sha256_prefix,
                       lh_base64_encode(pin->digest, LH_SHA256_LEN, digits));
    return out;
}

lh_err lh_pin_of(enum lh_pin_kind kind, const void *blob, size_t len, struct lh_pin *out_pin)
{
    struct lh_pin pin = {.kind = kind};
    lh_err err =
        kind == LH_PIN_SHA1 ? lh_sha1(blob, len, pin.digest) : lh_sha256(blob, len, pin.digest);

    if (err == 0)
        *out_pin = pin;
    return err;
}

bool lh_pin_matches(const struct lh_pin *pins, size_t count, const void *blob, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        struct lh_pin seen;
        if (lh_pin_of(pins[i].kind, blob, len, &seen) == 0 &&
            memcmp(seen.digest, pins[i].digest, digest_len(pins[i].kind)) == 0)
            return true;
    }
    return false;
}

// What we offer, in order. Certificates and hardware keys are left out: a fingerprint names a plain
// key.
#define ED25519_ALGORITHMS "ssh-ed25519"
#define ECDSA_ALGORITHMS   "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"
#define RSA_ALGORITHMS     "rsa-sha2-512,rsa-sha2-256"

enum lh_key_family lh_key_family_of(const char *type)
{
    static const struct {
        const char *type;
        enum lh_key_family family;
    } types[] = {
        {"ssh-ed25519", LH_KEY_ED25519},
        {"ecdsa-sha2-nistp256", LH_KEY_ECDSA},
        {"ecdsa-sha2-nistp384", LH_KEY_ECDSA},
        {"ecdsa-sha2-nistp521", LH_KEY_ECDSA},
        {"ssh-rsa", LH_KEY_RSA},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i].type) == 0)
            return types[i].family;
    return LH_KEY_FAMILY_N_;
}

const char *lh_key_algorithms_from(enum lh_key_family first)
{
    static const char *const lists[] = {
        [LH_KEY_ED25519] = ED25519_ALGORITHMS "," ECDSA_ALGORITHMS "," RSA_ALGORITHMS,
        [LH_KEY_ECDSA] = ECDSA_ALGORITHMS "," RSA_ALGORITHMS,
        [LH_KEY_RSA] = RSA_ALGORITHMS,
        [LH_KEY_FAMILY_N_] = "",
    };
    LH_ASSERT(first <= LH_KEY_FAMILY_N_);
    return lists[first];
}
