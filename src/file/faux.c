// SPDX-License-Identifier: Apache-2.0
//
// How it works. The content of file `index` is the output of SplitMix64 started at a key that mixes
// the URL's name and the index. SplitMix64's state only counts, so word i is made straight from
// key + (i + 1) * increment: any range without what lies before it. Words are stored little endian,
// so every machine makes the same bytes.
#include "file/faux.h"

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "file/tree.h"

static const char SCHEME[] = "faux://";

#define INCREMENT   0x9e3779b97f4a7c15u
#define COUNT_MAX   ((uint64_t)1 << 32) // files of one directory
#define NUMBER_ROOM 24                  // "_" and a file's number in its name

bool lh_faux_is(const char *url)
{
    return strncmp(url, SCHEME, sizeof SCHEME - 1) == 0;
}

bool lh_faux_is_sink(const char *url)
{
    return strcmp(url, SCHEME) == 0;
}

// --- URLs ---

static lh_err refuse(const char *url, const char *why, struct lh_errinfo *info)
{
    return lh_fail(info, LH_E_INVALID, 0,
                   "%.80s: %s (wanted faux:///NAME?SIZE or faux:///DIR?count=N&size=S[&file=BASE])",
                   url, why);
}

static bool take_count(const char *value, struct lh_faux *faux)
{
    return lh_parse_number(value, 1, COUNT_MAX, &faux->count) == 0;
}

static bool take_size(const char *value, struct lh_faux *faux)
{
    return lh_parse_size(value, &faux->size) == 0;
}

static bool take_file(const char *value, struct lh_faux *faux)
{
    size_t len = strlen(value);
    if (len > LH_NAME_MAX - NUMBER_ROOM || lh_name_check(value, len) != 0)
        return false;
    memcpy(faux->base, value, len + 1);
    return true;
}

static const struct {
    const char *key; // with its '='
    bool (*take)(const char *value, struct lh_faux *faux);
} PARAMETERS[] = {{"count=", take_count}, {"size=", take_size}, {"file=", take_file}};

#define PARAMETER_COUNT (sizeof PARAMETERS / sizeof *PARAMETERS)

// One "key=value" of `len` bytes; sets its bit in `*seen`.
static bool take_parameter(const char *text, size_t len, struct lh_faux *faux, unsigned *seen)
{
    char value[LH_NAME_MAX + 1];
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        size_t key_len = strlen(PARAMETERS[i].key);
        if (len < key_len || memcmp(text, PARAMETERS[i].key, key_len) != 0)
            continue;
        len -= key_len;
        if ((*seen & 1u << i) != 0 || len >= sizeof value)
            return false;
        memcpy(value, text + key_len, len);
        value[len] = '\0';
        *seen |= 1u << i;
        return PARAMETERS[i].take(value, faux);
    }
    return false;
}

static bool take_directory(const char *query, struct lh_faux *faux)
{
    unsigned seen = 0;
    for (;;) {
        const char *end = strchrnul(query, '&');
        if (!take_parameter(query, (size_t)(end - query), faux, &seen))
            return false;
        if (*end == '\0')
            break;
        query = end + 1;
    }
    return (seen & 3u) == 3u; // count and size
}

lh_err lh_faux_parse(const char *url, struct lh_faux *out_faux, struct lh_errinfo *info)
{
    struct lh_faux faux = {.base = "file", .count = 1};
    if (!lh_faux_is(url))
        return refuse(url, "not a faux:// URL", info);
    const char *name = url + sizeof SCHEME - 1;
    if (*name++ != '/')
        return refuse(url, "a third '/' is missing", info);
    const char *query = strchr(name, '?');
    if (query == NULL)
        return refuse(url, "the size is missing", info);
    size_t name_len = (size_t)(query - name);
    if (lh_name_check(name, name_len) != 0)
        return refuse(url, "the name is not one plain file name", info);
    memcpy(faux.name, name, name_len);
    query++;
    faux.is_directory = strchr(query, '=') != NULL;
    if (faux.is_directory && !take_directory(query, &faux))
        return refuse(url, "the parameters are not count=N&size=S[&file=BASE]", info);
    if (!faux.is_directory && lh_parse_size(query, &faux.size) != 0)
        return refuse(url, "the size is not a number with an optional k, m, g, t, p or e", info);
    if (faux.size > INT64_MAX || faux.size > INT64_MAX / faux.count)
        return refuse(url, "more than 2^63 bytes in all", info);
    *out_faux = faux;
    return LH_OK;
}

// --- Content ---

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t key_of(const struct lh_faux *faux, uint64_t index)
{
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (const char *at = faux->name; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * 0x100000001b3u;
    return mix(mix(hash) + index);
}

// Bytes [skip, skip + len) of the word that `state` makes; skip + len <= 8.
static void store_part(uint64_t state, size_t skip, size_t len, uint8_t *at)
{
    uint64_t word = mix(state) >> (8 * skip);
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(word >> (8 * i));
}

void lh_faux_read(
    const struct lh_faux *faux, uint64_t index, uint64_t offset, void *data, size_t len)
{
    uint8_t *at = data;
    uint64_t state = key_of(faux, index) + (offset / 8 + 1) * INCREMENT;
    size_t skip = offset % 8;

    if (skip != 0 && len > 0) {
        size_t part = len < 8 - skip ? len : 8 - skip;
        store_part(state, skip, part, at);
        state += INCREMENT;
        at += part;
        len -= part;
    }
    for (; len >= 8; len -= 8) {
        uint64_t word = mix(state);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        memcpy(at, &word, 8);
        state += INCREMENT;
        at += 8;
    }
    if (len > 0)
        store_part(state, 0, len, at);
}
