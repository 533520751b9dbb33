// SPDX-License-Identifier: Apache-2.0
//
// How it works: one table of keys, each with its place in the parameters and a parser by kind.
// Fractions are read as decimal digits into integers, never through floating point.
#include "bench/linkemu/spec.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define WORD_MAX 64

// "12.345" with at most nine decimals, in units of 10^-9; the rest of the word is the suffix.
static bool parse_decimal(const char *text, uint64_t *out_nano, const char **out_suffix)
{
    uint64_t whole = 0, fraction = 0, scale = LH_EMU_PPB;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (whole > 100000000)
            return false;
        whole = whole * 10 + (uint64_t)(*at - '0');
    }
    if (at == text)
        return false;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9' && scale > 1; at++) {
            scale /= 10;
            fraction += (uint64_t)(*at - '0') * scale;
        }
    *out_nano = whole * LH_EMU_PPB + fraction;
    *out_suffix = at;
    return true;
}

static bool parse_time(const char *text, lh_ns *out)
{
    static const struct {
        const char *suffix;
        uint64_t divisor; // of 10^-9 units of a second
    } units[] = {{"s", 1}, {"ms", 1000}, {"us", 1000000}, {"ns", 1000000000}};
    const char *suffix;
    uint64_t nano;
    if (!parse_decimal(text, &nano, &suffix))
        return false;
    for (size_t i = 0; i < LH_ARRAY_LEN(units); i++)
        if (strcmp(suffix, units[i].suffix) == 0)
            return *out = nano / units[i].divisor, true;
    return nano == 0 && *suffix == '\0' && (*out = 0, true);
}

static bool parse_rate(const char *text, struct lh_emu_params *params, size_t at)
{
    uint64_t *rate = (void *)((char *)params + at);
    if (strcmp(text, "none") == 0)
        return *rate = 0, true;
    return lh_parse_rate(text, rate) == 0;
}

static bool parse_delay(const char *text, struct lh_emu_params *params, size_t at)
{
    return parse_time(text, (void *)((char *)params + at));
}

static bool parse_queue(const char *text, struct lh_emu_params *params, size_t at)
{
    (void)at;
    const char *suffix;
    uint64_t nano;
    if (parse_decimal(text, &nano, &suffix) && strcmp(suffix, "bdp") == 0) {
        params->queue_bytes = 0;
        params->queue_bdp_milli = (uint32_t)(nano / 1000000);
        return params->queue_bdp_milli > 0;
    }
    return lh_parse_size(text, &params->queue_bytes) == 0 && params->queue_bytes > 0;
}

static bool parse_probability(const char *text, struct lh_emu_params *params, size_t at)
{
    const char *suffix;
    uint64_t nano;
    if (!parse_decimal(text, &nano, &suffix))
        return false;
    if (strcmp(suffix, "%") == 0)
        nano /= 100;
    else if (*suffix != '\0')
        return false;
    *(uint32_t *)(void *)((char *)params + at) = (uint32_t)nano;
    return nano <= LH_EMU_PPB;
}

static bool parse_count(const char *text, struct lh_emu_params *params, size_t at)
{
    uint64_t number;
    if (lh_parse_number(text, 0, 1000000, &number) != 0)
        return false;
    *(uint32_t *)(void *)((char *)params + at) = (uint32_t)number;
    return true;
}

static bool parse_switch(const char *text, struct lh_emu_params *params, size_t at)
{
    bool on = strcmp(text, "on") == 0;
    *(bool *)((char *)params + at) = on;
    return on || strcmp(text, "off") == 0;
}

// START+LENGTH, or "none" to forget all.
static bool parse_outage(const char *text, struct lh_emu_params *params, size_t at)
{
    (void)at;
    char start[WORD_MAX];
    if (strcmp(text, "none") == 0)
        return params->outages_len = 0, true;
    const char *plus = strchr(text, '+');
    if (plus == NULL || params->outages_len == LH_EMU_OUTAGES)
        return false;
    snprintf(start, sizeof start, "%.*s", (int)(plus - text), text);
    struct lh_emu_outage outage;
    if (!parse_time(start, &outage.start) || !parse_time(plus + 1, &outage.length))
        return false;
    params->outages[params->outages_len++] = outage;
    return true;
}

#define AT(field) offsetof(struct lh_emu_params, field)

static const struct {
    const char *name;
    bool (*parse)(const char *text, struct lh_emu_params *params, size_t at);
    size_t at;
    const char *help;
} keys[] = {
    {"rate", parse_rate, AT(rate_bps), "rate=1g            bits per second of IP packets, or none"},
    {"delay", parse_delay, AT(delay), "delay=50ms         one way (ns, us, ms, s)"},
    {"jitter", parse_delay, AT(jitter), "jitter=2ms         added delay that wanders, order kept"},
    {"queue", parse_queue, 0, "queue=1m|0.5bdp    bottleneck queue in bytes or BDP; 1bdp"},
    {"loss", parse_probability, AT(loss_ppb), "loss=1%|0.01       average, behind the bottleneck"},
    {"burst", parse_count, AT(burst_mean), "burst=8            mean packets lost in a row"},
    {"reorder", parse_probability, AT(reorder_ppb), "reorder=10%        packets that come late"},
    {"reorder-by", parse_delay, AT(reorder_by), "reorder-by=5ms     by so much"},
    {"duplicate", parse_probability, AT(duplicate_ppb),
     "duplicate=0.1%     packets that come twice"},
    {"corrupt", parse_probability, AT(corrupt_ppb),
     "corrupt=0.1%       a bit flipped, checksum wrong"},
    {"corrupt-hidden", parse_probability, AT(corrupt_hidden_ppb),
     "corrupt-hidden=1%  a bit of a UDP payload flipped, checksum right"},
    {"hole", parse_count, AT(hole_bytes), "hole=1300          larger IP packets vanish; 0 = none"},
    {"ce-above", parse_delay, AT(ce_above), "ce-above=5ms       ECT packets queued longer get CE"},
    {"ce", parse_probability, AT(ce_ppb), "ce=1%              and so many of the others"},
    {"ecn-clear", parse_switch, AT(ecn_clear), "ecn-clear=on|off   ECN marks are wiped out"},
    {"udp-block", parse_switch, AT(udp_blocked), "udp-block=on|off   all UDP vanishes"},
    {"down", parse_switch, AT(down), "down=on|off        everything vanishes"},
    {"outage", parse_outage, 0,
     "outage=5s+20s      everything vanishes from 5 s, for 20 s; or none"},
};

const char *lh_emu_spec_help(size_t index)
{
    return index < LH_ARRAY_LEN(keys) ? keys[index].help : NULL;
}

static bool apply_word(struct lh_emu_params *params, const char *word)
{
    const char *equals = strchr(word, '=');
    if (equals == NULL)
        return false;
    size_t len = (size_t)(equals - word);
    for (size_t i = 0; i < LH_ARRAY_LEN(keys); i++)
        if (strlen(keys[i].name) == len && memcmp(keys[i].name, word, len) == 0)
            return keys[i].parse(equals + 1, params, keys[i].at);
    return false;
}

lh_err lh_emu_spec_apply(struct lh_emu_params *params, const char *text, struct lh_errinfo *info)
{
    struct lh_emu_params changed = *params;
    while (*text != '\0') {
        char word[WORD_MAX];
        size_t len = strcspn(text, ",");
        if (len >= sizeof word)
            return lh_fail(info, LH_E_INVALID, 0, "'%s': too long", text);
        memcpy(word, text, len);
        word[len] = '\0';
        if (!apply_word(&changed, word))
            return lh_fail(info, LH_E_INVALID, 0, "'%s': not a link parameter", word);
        text += len + (text[len] == ',');
    }
    *params = changed;
    return 0;
}
