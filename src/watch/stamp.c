// SPDX-License-Identifier: Apache-2.0
//
// How it works. The first byte tells the kinds apart: a letter begins a BSD stamp, a digit an ISO
// one or seconds since 1970. A BSD stamp has no year: it gets that of the log's last change, or the
// one before where it would lie in the future; logs that span more than a year need better stamps.
// Local times go through the caller, who knows the zone; the result is remembered, since the next
// line mostly has the same stamp.
#include "watch/stamp.h"

static bool two_digits(const char *at, int *out_value)
{
    unsigned tens = (unsigned)(at[0] - '0');
    unsigned ones = (unsigned)(at[1] - '0');
    if (tens > 9 || ones > 9)
        return false;
    *out_value = (int)(10 * tens + ones);
    return true;
}

static bool take_clock(struct lh_span *text, struct lh_civil *civil)
{
    const char *at = text->at;
    if (text->len < 8 || at[2] != ':' || at[5] != ':')
        return false;
    if (!two_digits(at, &civil->hour) || !two_digits(at + 3, &civil->minute) ||
        !two_digits(at + 6, &civil->second))
        return false;
    *text = lh_span_skip(*text, 8);
    return civil->hour < 24 && civil->minute < 60 && civil->second <= 60;
}

static int month_of(const char *at)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int month = 0; month < 12; month++) {
        if (memcmp(names + 3 * (size_t)month, at, 3) == 0)
            return month + 1;
    }
    return 0;
}

// Zones change at full hours only.
static int64_t local_to_utc(struct lh_stamp_reader *reader, const struct lh_civil *civil)
{
    int64_t as_utc = lh_civil_to_utc(civil);
    int64_t hour = as_utc / LH_WATCH_HOUR;
    if (reader->zone.to_utc == NULL)
        return as_utc;
    if (!reader->hour_known || hour != reader->hour) {
        struct lh_civil full = *civil;
        full.minute = full.second = 0;
        reader->hour = hour;
        reader->hour_offset =
            hour * LH_WATCH_HOUR - reader->zone.to_utc(reader->zone.context, &full);
        reader->hour_known = true;
    }
    return as_utc - reader->hour_offset;
}

// "Mar 10 18:48:02 " and, with a year, "Mar 10 2026 18:48:02 ".
static bool take_bsd(struct lh_stamp_reader *reader, struct lh_span *text, int64_t *out_time)
{
    struct lh_civil civil = {0};
    uint64_t number;

    if (text->len < 15 || text->at[3] != ' ' || (civil.month = month_of(text->at)) == 0)
        return false;
    struct lh_span rest = lh_span_skip(*text, 4);
    (void)lh_span_take(&rest, LH_SPAN(" "));
    if (!lh_span_take_number(&rest, 31, &number) || number == 0 ||
        !lh_span_take(&rest, LH_SPAN(" ")))
        return false;
    civil.day = (int)number;
    struct lh_span year = rest;
    if (lh_span_take_number(&year, 9999, &number) && number >= 1970 &&
        lh_span_take(&year, LH_SPAN(" "))) {
        civil.year = (int)number;
        rest = year;
    }
    if (!take_clock(&rest, &civil))
        return false;
    if (civil.year != 0) {
        *out_time = local_to_utc(reader, &civil);
    } else {
        civil.year = lh_civil_from_utc(reader->zone.latest + LH_WATCH_DAY).year;
        *out_time = local_to_utc(reader, &civil);
        if (*out_time > reader->zone.latest + LH_WATCH_DAY) {
            civil.year--;
            *out_time = local_to_utc(reader, &civil);
        }
    }
    *text = rest;
    return true;
}

static void take_fraction(struct lh_span *text)
{
    if (text->len < 2 || (text->at[0] != '.' && text->at[0] != ',') || text->at[1] < '0' ||
        text->at[1] > '9')
        return;
    size_t len = 1;
    while (len < text->len && text->at[len] >= '0' && text->at[len] <= '9')
        len++;
    *text = lh_span_skip(*text, len);
}

// "Z", "+01:00" or "+0100". False where there is none.
static bool take_offset(struct lh_span *text, int64_t *out_offset)
{
    int hours;
    int minutes;
    if (lh_span_take(text, LH_SPAN("Z"))) {
        *out_offset = 0;
        return true;
    }
    if (text->len < 5 || (text->at[0] != '+' && text->at[0] != '-'))
        return false;
    size_t colon = text->at[3] == ':' ? 1 : 0;
    if (text->len < 5 + colon || !two_digits(text->at + 1, &hours) ||
        !two_digits(text->at + 3 + colon, &minutes))
        return false;
    *out_offset =
        (hours * LH_WATCH_HOUR + minutes * LH_WATCH_MINUTE) * (text->at[0] == '-' ? -1 : 1);
    *text = lh_span_skip(*text, 5 + colon);
    return true;
}

static bool take_iso(struct lh_stamp_reader *reader, struct lh_span *text, int64_t *out_time)
{
    struct lh_civil civil;
    struct lh_span rest = *text;
    int century;
    int64_t offset;

    if (rest.len < 19 || rest.at[4] != '-' || rest.at[7] != '-' ||
        (rest.at[10] != 'T' && rest.at[10] != ' '))
        return false;
    if (!two_digits(rest.at, &century) || !two_digits(rest.at + 2, &civil.year) ||
        !two_digits(rest.at + 5, &civil.month) || !two_digits(rest.at + 8, &civil.day))
        return false;
    civil.year += 100 * century;
    if (civil.year < 1970 || civil.month < 1 || civil.month > 12 || civil.day < 1 || civil.day > 31)
        return false;
    rest = lh_span_skip(rest, 11);
    if (!take_clock(&rest, &civil))
        return false;
    take_fraction(&rest);
    struct lh_span apart = rest;
    if (lh_span_take(&apart, LH_SPAN(" ")) && apart.len >= 5 &&
        (apart.at[0] == '+' || apart.at[0] == '-'))
        rest = apart;
    if (take_offset(&rest, &offset))
        *out_time = lh_civil_to_utc(&civil) - offset;
    else
        *out_time = local_to_utc(reader, &civil);
    *text = rest;
    return true;
}

static bool take_epoch(struct lh_span *text, int64_t *out_time)
{
    struct lh_span rest = *text;
    uint64_t seconds;
    if (!lh_span_take_number(&rest, UINT64_C(99999999999), &seconds) || seconds < 100000000)
        return false;
    take_fraction(&rest);
    *text = rest;
    *out_time = (int64_t)seconds;
    return true;
}

bool lh_stamp_take(struct lh_stamp_reader *reader, struct lh_span *line, int64_t *out_time)
{
    struct lh_span rest = *line;
    if (reader->last_len > 0 && rest.len >= reader->last_len &&
        memcmp(rest.at, reader->last, reader->last_len) == 0) {
        *line = lh_span_skip(rest, reader->last_len);
        *out_time = reader->last_time;
        return true;
    }
    bool found = false;
    if (rest.len > 0 && rest.at[0] >= 'A' && rest.at[0] <= 'Z')
        found = take_bsd(reader, &rest, out_time);
    else if (rest.len > 0 && rest.at[0] >= '0' && rest.at[0] <= '9')
        found = take_iso(reader, &rest, out_time) || take_epoch(&rest, out_time);
    if (!found || !lh_span_take(&rest, LH_SPAN(" ")))
        return false;
    size_t len = line->len - rest.len;
    reader->last_len = 0;
    if (len <= sizeof reader->last) {
        memcpy(reader->last, line->at, len);
        reader->last_len = (uint8_t)len;
        reader->last_time = *out_time;
    }
    *line = rest;
    return true;
}
