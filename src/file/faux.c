// SPDX-License-Identifier: Apache-2.0
//
// How it works. The content of file `index` is the output of SplitMix64 started at a key that mixes
// the URL's name and the index. SplitMix64's state only counts, so word i is made straight from
// key + (i + 1) * increment: any range without what lies before it. Words are stored little endian,
// so every machine makes the same bytes.
#include "file/faux.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/math.h"
#include "base/text.h"
#include "file/tree.h"
#include "sys/clock.h"

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
    return lh_faux_is(url) && (url[sizeof SCHEME - 1] == '\0' || url[sizeof SCHEME - 1] == '?');
}

// --- URLs ---

static lh_err refuse(const char *url, const char *why, struct lh_errinfo *info)
{
    return lh_fail(
        info, LH_E_INVALID, 0,
        "%.80s: %s (wanted faux:///NAME?SIZE or faux:///DIR?count=N&size=S[&file=BASE], and "
        "&rate=R where it is to be slow)",
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

static bool take_rate(const char *value, struct lh_faux *faux)
{
    uint64_t bits;
    if (lh_parse_rate(value, &bits) != 0 || bits < LH_FAUX_RATE_MIN)
        return false;
    faux->pace.rate = bits / 8;
    return true;
}

static const struct {
    const char *key; // with its '='
    bool (*take)(const char *value, struct lh_faux *faux);
} PARAMETERS[] = {
    {"count=", take_count}, {"size=", take_size}, {"file=", take_file}, {"rate=", take_rate}};
#define SEEN_BOTH 3u // count and size
#define SEEN_RATE 8u

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

// "key=value&key=value"; gives which were there, 0 where one is wrong.
static unsigned take_parameters(const char *query, struct lh_faux *faux)
{
    unsigned seen = 0;
    for (;;) {
        const char *end = strchrnul(query, '&');
        if (!take_parameter(query, (size_t)(end - query), faux, &seen))
            return 0;
        if (*end == '\0')
            return seen;
        query = end + 1;
    }
}

static bool take_directory(const char *query, struct lh_faux *faux)
{
    return (take_parameters(query, faux) & SEEN_BOTH) == SEEN_BOTH;
}

// "SIZE" or "SIZE&rate=R"
static bool take_file_query(const char *query, struct lh_faux *faux)
{
    char size[32];
    size_t len = strcspn(query, "&");
    if (len >= sizeof size)
        return false;
    memcpy(size, query, len);
    size[len] = '\0';
    if (lh_parse_size(size, &faux->size) != 0)
        return false;
    return query[len] == '\0' || take_parameters(query + len + 1, faux) == SEEN_RATE;
}

lh_err lh_faux_parse_sink(const char *url, struct lh_faux_pace *out_pace, struct lh_errinfo *info)
{
    struct lh_faux faux = {.count = 1};
    if (!lh_faux_is_sink(url))
        return lh_fail(info, LH_E_INVALID, 0, "as a destination, faux:// stands alone");
    const char *query = url + sizeof SCHEME - 1;
    if (*query == '?' && take_parameters(query + 1, &faux) != SEEN_RATE)
        return lh_fail(info, LH_E_INVALID, 0,
                       "%.80s: wanted faux:// or faux://?rate=R (8m at least)", url);
    *out_pace = faux.pace;
    return LH_OK;
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
    faux.is_directory = memchr(query, '=', strcspn(query, "&")) != NULL;
    if (faux.is_directory && !take_directory(query, &faux))
        return refuse(url, "the parameters are not count=N&size=S[&file=BASE][&rate=R]", info);
    if (!faux.is_directory && !take_file_query(query, &faux))
        return refuse(
            url,
            "the size is not a number with an optional k, m, g, t, p or e, or what follows "
            "is not a rate of at least 8m",
            info);
    if (faux.size > INT64_MAX || faux.size > INT64_MAX / faux.count)
        return refuse(url, "more than 2^63 bytes in all", info);
    *out_faux = faux;
    return LH_OK;
}

// --- Pace ---

void lh_faux_wait(struct lh_faux_pace *pace, size_t len)
{
    if (pace->rate == 0)
        return;
    lh_ns takes = lh_muldiv(len, LH_SECOND, pace->rate);
    uint64_t before = __atomic_load_n(&pace->free_at, __ATOMIC_RELAXED);
    lh_ns until;
    do {
        until = LH_MAX(before, lh_clock_now()) + takes;
    } while (!__atomic_compare_exchange_n(&pace->free_at, &before, until, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    struct timespec wake = {.tv_sec = (time_t)(until / LH_SECOND),
                            .tv_nsec = (long)(until % LH_SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL) == EINTR)
        ;
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

// Whole words from `state` on, as many as make whole groups; returns how many bytes.
#if defined(__x86_64__)
typedef uint64_t word_group __attribute__((vector_size(64), aligned(8), may_alias));

// Eight words at a time, where the processor multiplies eight at once: measuring a transfer should
// not be measuring this.
__attribute__((target("avx512f,avx512dq"))) static size_t
store_groups(uint64_t state, size_t len, uint8_t *at)
{
    const word_group steps = {0, 1, 2, 3, 4, 5, 6, 7};
    word_group states = state + steps * INCREMENT;
    size_t done = 0;

    for (; len - done >= sizeof states; done += sizeof states) {
        word_group z = states;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        memcpy(at + done, &z, sizeof z);
        states += 8 * INCREMENT;
    }
    return done;
}

static size_t store_fast(uint64_t state, size_t len, uint8_t *at)
{
    bool can = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    return can ? store_groups(state, len, at) : 0;
}
#else
static size_t store_fast(uint64_t state, size_t len, uint8_t *at)
{
    (void)state, (void)len, (void)at;
    return 0;
}
#endif

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
    size_t fast = store_fast(state, len, at);
    state += fast / 8 * INCREMENT;
    at += fast;
    len -= fast;
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
