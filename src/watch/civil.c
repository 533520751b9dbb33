// SPDX-License-Identifier: Apache-2.0
//
// How it works. Days are counted in eras of 400 years that begin in March, so that the leap day is
// the last of its year (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
#include "watch/civil.h"

#include <stdio.h>

#define ERA_DAYS 146097

int64_t lh_civil_to_utc(const struct lh_civil *civil)
{
    int64_t year = civil->month <= 2 ? civil->year - 1 : civil->year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t month = (civil->month + 9) % 12;
    int64_t of_year = (153 * month + 2) / 5 + civil->day - 1;
    int64_t days = era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return days * LH_WATCH_DAY + civil->hour * LH_WATCH_HOUR + civil->minute * LH_WATCH_MINUTE +
           civil->second;
}

struct lh_civil lh_civil_from_utc(int64_t seconds)
{
    int64_t days = seconds / LH_WATCH_DAY;
    int64_t rest = seconds % LH_WATCH_DAY;
    if (rest < 0) {
        rest += LH_WATCH_DAY;
        days--;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t of_era = days - era * ERA_DAYS;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153;
    struct lh_civil civil = {
        .day = (int)(of_year - (153 * month + 2) / 5 + 1),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .hour = (int)(rest / LH_WATCH_HOUR),
        .minute = (int)(rest / LH_WATCH_MINUTE % 60),
        .second = (int)(rest % 60),
    };
    civil.year = (int)(year_of_era + era * 400 + (civil.month <= 2));
    return civil;
}

char *lh_civil_format(int64_t seconds, char *out)
{
    // No log is older than 1970 or younger than 9999; what claims to be is shown at the border.
    int64_t shown = seconds < 0                       ? 0
                    : seconds > INT64_C(253402300799) ? INT64_C(253402300799)
                                                      : seconds;
    struct lh_civil c = lh_civil_from_utc(shown);
    (void)snprintf(out, LH_CIVIL_TEXT, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)c.year % 10000,
                   (unsigned)c.month % 100, (unsigned)c.day % 100, (unsigned)c.hour % 100,
                   (unsigned)c.minute % 100, (unsigned)c.second % 100);
    return out;
}
