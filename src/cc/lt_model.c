// SPDX-License-Identifier: Apache-2.0
//
// What the LT core concludes from its model: rates, windows and thresholds. Nothing here changes
// the model; the events that do are in lt.c.
#include "base/math.h"
#include "cc/lt_internal.h"

// Shares are per thousand unless said.
#define MARGIN          990u  // of the rate that the model says: so queues drain
#define GAIN_UP         1250u // of pacing while asking for more
#define GAIN_UP_POLICED 1050u
#define QUEUE_CAP_MIN   (25 * LH_MS)
#define QUEUE_CAP_SHARE 500u          // of rtt_min
#define QUEUE_NOISE     (250 * LH_US) // what runs of packets make
#define RTT_UNKNOWN     (100 * LH_MS)

// Of pacing and of the window in each phase, per thousand. 0: startup says it (its window is a
// train's length), and the policy for `up`.
static const struct {
    uint32_t gain, window;
} phases[LH_LT_PHASE_N_] = {
    [LH_LT_STARTUP] = {0, 1000}, [LH_LT_DRAIN] = {500, 2000}, [LH_LT_CRUISE] = {1000, 2000},
    [LH_LT_UP] = {0, 2250},      [LH_LT_DOWN] = {900, 2000},  [LH_LT_PROBE_RTT] = {1000, 500},
};

static uint32_t gain_of(const struct lh_lt *lt)
{
    if (lt->phase == LH_LT_STARTUP)
        return lt_startup_gain(lt);
    if (lt->phase == LH_LT_UP)
        return lt->is_policed ? GAIN_UP_POLICED : GAIN_UP;
    return phases[lt->phase].gain;
}

uint64_t lh_lt_bw(const struct lh_lt *lt)
{
    uint64_t bw = LH_MAX(lt->bw[0], lt->bw[1]);
    if (lt->phase == LH_LT_STARTUP)
        bw = LH_MAX(bw, lt->startup.rate); // a whole round trip's mean lags behind the growth
    if (bw == 0)
        bw = lt->initial_rate;
    return LH_MIN(bw, lt->bw_short);
}

uint64_t lh_lt_with_loss(const struct lh_lt *lt, uint64_t rate)
{
    return lh_muldiv(rate, LH_PPM, LH_PPM - lt->loss.ppm);
}

lh_ns lh_lt_rtt(const struct lh_lt *lt)
{
    return lt->rtt_min > 0 ? lt->rtt_min : RTT_UNKNOWN;
}

lh_ns lh_lt_queue_low(const struct lh_lt *lt)
{
    lh_ns low = LH_CLAMP(lh_lt_rtt(lt) * 8 / 100, 1500 * LH_US, 8 * LH_MS);
    lh_ns two_packets = lh_muldiv(2 * (uint64_t)lt->packet_size, LH_SECOND, lh_lt_bw(lt));
    // A short buffer loses packets long before it looks like a queue elsewhere.
    lh_ns top = LH_MAX(lt->queue_top[0], lt->queue_top[1]);
    if (top > 0)
        low = LH_MIN(low, LH_MAX(top / 3, QUEUE_NOISE + lt->queue_usual * 3 / 2));
    return LH_MAX(low, two_packets);
}

lh_ns lh_lt_queue_calm(const struct lh_lt *lt)
{
    return lt->queue_floor + lh_lt_queue_low(lt);
}

lh_ns lh_lt_queue_cap(const struct lh_lt *lt)
{
    lh_ns share = lh_muldiv(lh_lt_rtt(lt), QUEUE_CAP_SHARE, LH_LT_PERMILLE);
    return lh_ns_max(QUEUE_CAP_MIN, share);
}

lh_ns lh_lt_queue_standing(const struct lh_lt *lt)
{
    lh_ns lowest = LH_NEVER;
    if (lt->queues_count < LH_LT_QUEUE_REPORTS)
        return 0;
    for (uint32_t i = 0; i < LH_LT_QUEUE_REPORTS; i++)
        lowest = lh_ns_min(lowest, lt->queues[i]);
    return lowest;
}

static uint64_t inflight_for(const struct lh_lt *lt, lh_ns feedback)
{
    uint64_t rate = lh_lt_with_loss(lt, lh_lt_bw(lt));
    return lh_muldiv(rate, lh_lt_rtt(lt) + feedback, LH_SECOND) + 2 * (uint64_t)lt->packet_size;
}

// The path itself, and what waits for the next feedback.
uint64_t lh_lt_inflight_target(const struct lh_lt *lt)
{
    return inflight_for(lt, LH_CLAMP(lh_lt_rtt(lt) / 8, 2 * LH_MS, 25 * LH_MS));
}

uint64_t lt_drained(const struct lh_lt *lt)
{
    return inflight_for(lt, LH_CLAMP(lh_lt_rtt(lt) / 16, 2 * LH_MS, 25 * LH_MS / 2));
}

static uint64_t target_of(const struct lh_lt *lt)
{
    return lt->limits.rate_target > 0 ? LH_MIN(lt->limits.rate_target, LH_CC_RATE_MAX)
                                      : LH_CC_RATE_MAX;
}

uint64_t lh_lt_within_limits(const struct lh_lt *lt, uint64_t rate)
{
    rate = LH_MAX(rate, lt->limits.rate_min);
    return LH_CLAMP(rate, lt->packet_size, target_of(lt));
}

bool lt_has_reached_target(const struct lh_lt *lt)
{
    uint64_t bw = LH_MAX(lt->bw[0], lt->bw[1]);
    return lt->limits.rate_target > 0 && bw > 0 &&
           lh_lt_with_loss(lt, bw) >= lt->limits.rate_target / 100 * 97;
}

static uint64_t compute_pacing_rate(const struct lh_lt *lt)
{
    uint64_t full = lh_lt_with_loss(lt, lh_lt_bw(lt));
    uint64_t gain = (uint64_t)gain_of(lt) * MARGIN;
    uint64_t rate = lh_muldiv(full, gain, (uint64_t)LH_LT_PERMILLE * LH_LT_PERMILLE);
    // Where the path carries the target there is no queue to stay away from.
    if (gain_of(lt) >= LH_LT_PERMILLE && full >= target_of(lt) / 100 * 97 &&
        lt->queue_latest <= lh_lt_queue_calm(lt))
        rate = target_of(lt);
    return lh_lt_within_limits(lt, rate);
}

static uint64_t quantum(const struct lh_lt *lt)
{
    uint64_t bytes = lh_muldiv(lh_lt_bw(lt), LH_US * 500, LH_SECOND);
    return LH_CLAMP(bytes, lt->packet_size, 65536);
}

static uint64_t compute_cwnd(const struct lh_lt *lt)
{
    uint64_t rate = LH_MAX(lh_lt_with_loss(lt, lh_lt_bw(lt)), lt->limits.rate_min);
    uint64_t window = lh_muldiv(lh_muldiv(rate, lh_lt_rtt(lt), LH_SECOND), phases[lt->phase].window,
                                LH_LT_PERMILLE);
    if (lt->phase != LH_LT_UP)
        window = LH_MIN(window, lt->inflight_long);
    window += 3 * quantum(lt);
    bool is_new = lt->bw[0] == 0 && lt->bw[1] == 0;
    // A thin line's round trip is long while they wait in its queue.
    if (is_new && lt->is_blind && lt->startup.rate == 0)
        window = lh_muldiv(lt->limits.rate_min, lh_lt_rtt(lt), LH_SECOND);
    uint64_t least = is_new ? LT_INITIAL_PACKETS : LT_WINDOW_PACKETS;
    return LH_MAX(window, lt->packet_size * least);
}

void lt_refresh(struct lh_lt *lt)
{
    lt->pacing_rate = compute_pacing_rate(lt);
    lt->cwnd = compute_cwnd(lt);
}
