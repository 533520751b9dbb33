// SPDX-License-Identifier: Apache-2.0
//
// How it works. Every feedback that says something new adds a point to a ring. A sample goes back
// from it until it spans a round trip and so many bytes that the grain of a receiver's clock does
// not matter; where the history is shorter it does with four feedbacks, and with nothing below
// that. The rate at which the same packets were sent bounds it: a path that held packets back and
// let them go at once would otherwise look faster than anything that was sent through it.
#include "transport/rate.h"
#include "base/assert.h"
#include "base/math.h"

#define FEEDBACKS_MIN 4
#define SPAN_MIN_US   1000
// A receiver that wakes up a millisecond late moves the arrivals of a thin line's few packets by
// more than what lies between them.
#define BYTES_MIN 24000u

static const struct lh_rate_point *point_back(const struct lh_rate *rate, uint32_t back)
{
    return &rate->points[(rate->count - 1 - back) % LH_RATE_HISTORY];
}

uint64_t
lh_rate_add(struct lh_rate *rate, const struct lh_rate_point *point, lh_ns rtt, uint64_t *out_since)
{
    if (rate->count > 0) {
        const struct lh_rate_point *newest = point_back(rate, 0);
        // Reordered or repeated feedback says nothing new.
        if (point->clock_us <= newest->clock_us || point->bytes < newest->bytes ||
            point->pn < newest->pn)
            return 0;
    }
    rate->points[rate->count++ % LH_RATE_HISTORY] = *point;
    uint64_t span_us = LH_MAX(rtt / LH_US, (uint64_t)SPAN_MIN_US);
    uint32_t available = LH_MIN(rate->count, (uint32_t)LH_RATE_HISTORY);
    uint32_t back = 1;
    if (available < 2)
        return 0;
    while (back + 1 < available && (point->clock_us - point_back(rate, back)->clock_us < span_us ||
                                    point->bytes - point_back(rate, back)->bytes < BYTES_MIN))
        back++;
    const struct lh_rate_point *from = point_back(rate, back);
    uint64_t elapsed_us = point->clock_us - from->clock_us;
    lh_ns sending = lh_ns_since(point->sent_at, from->sent_at);
    if (elapsed_us < SPAN_MIN_US || (elapsed_us < span_us && back < FEEDBACKS_MIN))
        return 0;
    if (point->bytes - from->bytes < BYTES_MIN && back + 1 < LH_RATE_HISTORY)
        return 0;
    uint64_t delivered = lh_muldiv(point->bytes - from->bytes, 1000000, elapsed_us);
    *out_since = from->pn;
    if (sending == 0) // one burst: at what rate it was sent is not known, and bounds nothing
        return 0;
    return LH_MIN(delivered, lh_muldiv(point->sent_total - from->sent_total, LH_SECOND, sending));
}
