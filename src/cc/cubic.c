// SPDX-License-Identifier: Apache-2.0
//
// How it works. RFC 9438 in integers: bytes and milliseconds.
//
//   W_cubic(t) = C (t - K)^3 + W_max,  K = cbrt((W_max - window) / C),  C = 0.4 units/s^3
//
// W_cubic one round trip ahead is the target; an acknowledgement of a bytes moves the window by
// (target - window) * a / window. Where Reno (W_est) would be further, its window is taken: that is
// the region of short round trips and small windows. An event remembers W_max, less where it was
// not reached again (fast convergence), and leaves beta = 0.7.
#include "cc/cubic.h"

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"

#define BETA          700u // per thousand, what an event leaves
#define PERMILLE      1000u
#define C_NUM         4u // C = 4/10
#define C_DEN         10u
#define ALPHA         529u // 3 (1 - beta) / (1 + beta), per thousand
#define WINDOW_LIMIT  (UINT64_C(1) << 50)
#define ELAPSED_LIMIT UINT64_C(100000000) // ms; a day, so that its cube fits
#define MS_CUBED      UINT64_C(1000000000)

uint64_t lh_cube_root(unsigned __int128 value)
{
    uint64_t root = 0;
    for (int bit = 41; bit >= 0; bit--) { // 2^126 is the largest cube asked for
        unsigned __int128 guess = root | (UINT64_C(1) << bit);
        if (guess * guess * guess <= value)
            root = (uint64_t)guess;
    }
    return root;
}

void lh_cubic_init(struct lh_cubic *cubic, uint32_t packet_size, uint32_t weight)
{
    LH_ASSERT(packet_size > 0);
    LH_ASSERT(weight > 0);
    *cubic = (struct lh_cubic){
        .unit = (uint32_t)((uint64_t)packet_size * weight / LH_CUBIC_WEIGHT_ONE),
        .beta = PERMILLE -
                (PERMILLE - BETA) * LH_CUBIC_WEIGHT_ONE / LH_MAX(weight, LH_CUBIC_WEIGHT_ONE),
        .window = (uint64_t)10 * packet_size,
        .window_min = (uint64_t)2 * packet_size,
        .threshold = UINT64_MAX,
    };
}

void lh_cubic_start_at(struct lh_cubic *cubic, uint64_t window)
{
    cubic->window = LH_CLAMP(window, cubic->window_min, WINDOW_LIMIT);
    cubic->threshold = cubic->window;
    cubic->window_max = cubic->prior = cubic->window;
    cubic->epoch = 0;
}

bool lh_cubic_is_slow_start(const struct lh_cubic *cubic)
{
    return cubic->window < cubic->threshold;
}

static void begin_curve(struct lh_cubic *cubic, lh_ns now)
{
    cubic->epoch = now;
    cubic->friendly = cubic->window;
    cubic->growth_rest = cubic->friendly_rest = 0;
    cubic->origin = LH_MAX(cubic->window, cubic->window_max);
    unsigned __int128 gap = cubic->origin - cubic->window;
    cubic->plateau_ms = lh_cube_root(gap * C_DEN * MS_CUBED / C_NUM / cubic->unit);
}

static uint64_t curve_at(const struct lh_cubic *cubic, uint64_t elapsed_ms)
{
    elapsed_ms = LH_MIN(elapsed_ms, ELAPSED_LIMIT);
    bool is_before = elapsed_ms < cubic->plateau_ms;
    uint64_t away = is_before ? cubic->plateau_ms - elapsed_ms : elapsed_ms - cubic->plateau_ms;
    unsigned __int128 bytes = (unsigned __int128)away * away * away / C_DEN * C_NUM / MS_CUBED;
    bytes *= cubic->unit;
    if (is_before)
        return bytes >= cubic->origin ? 0 : cubic->origin - (uint64_t)bytes;
    return bytes >= WINDOW_LIMIT ? WINDOW_LIMIT : cubic->origin + (uint64_t)bytes;
}

// amount * share / of, and what the division left over is kept for the next time.
static uint64_t step(uint64_t amount, uint64_t share, uint64_t of, uint64_t *rest)
{
    unsigned __int128 sum = (unsigned __int128)amount * share + *rest;
    *rest = (uint64_t)(sum % of);
    return (uint64_t)(sum / of);
}

void lh_cubic_on_ack(struct lh_cubic *cubic, uint64_t acked, lh_ns rtt, lh_ns now)
{
    if (lh_cubic_is_slow_start(cubic)) {
        cubic->window = LH_MIN(cubic->window + acked, cubic->threshold);
        return;
    }
    if (cubic->epoch == 0)
        begin_curve(cubic, now);
    uint64_t elapsed_ms = (lh_ns_since(now, cubic->epoch) + rtt) / LH_MS;
    uint64_t target = LH_MIN(curve_at(cubic, elapsed_ms), cubic->window / 2 * 3);
    if (target > cubic->window)
        cubic->window += step(acked, target - cubic->window, cubic->window, &cubic->growth_rest);
    uint64_t alpha = cubic->friendly >= cubic->prior ? PERMILLE : ALPHA;
    uint64_t per_round = lh_muldiv(cubic->unit, alpha, PERMILLE);
    cubic->friendly += step(acked, per_round, cubic->window, &cubic->friendly_rest);
    cubic->window = LH_MIN(LH_MAX(cubic->window, cubic->friendly), WINDOW_LIMIT);
}

void lh_cubic_scale(struct lh_cubic *cubic, uint32_t permille)
{
    uint64_t *const parts[] = {&cubic->window, &cubic->window_max, &cubic->prior, &cubic->friendly,
                               &cubic->origin};
    for (size_t i = 0; i < LH_ARRAY_LEN(parts); i++)
        *parts[i] = LH_MIN(lh_muldiv(*parts[i], permille, PERMILLE), WINDOW_LIMIT);
    cubic->window = LH_MAX(cubic->window, cubic->window_min);
    if (cubic->threshold != UINT64_MAX)
        cubic->threshold = cubic->window;
}

void lh_cubic_on_event(struct lh_cubic *cubic, uint64_t inflight, lh_ns now)
{
    (void)now;
    cubic->prior = cubic->window;
    uint64_t before = cubic->window;
    if (inflight > 0 && inflight < before)
        before = inflight; // a window that was not used is not what the path refused
    cubic->window_max = before < cubic->window_max
                            ? lh_muldiv(before, PERMILLE + cubic->beta, 2 * PERMILLE)
                            : before;
    cubic->window = LH_MAX(lh_muldiv(before, cubic->beta, PERMILLE), cubic->window_min);
    cubic->threshold = cubic->window;
    cubic->epoch = 0;
}
