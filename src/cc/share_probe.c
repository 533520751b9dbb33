// SPDX-License-Identifier: Apache-2.0
//
// How it works. At rest, feedback only smooths queue and flight. When a probe is due and the queue
// is long enough for the caller, `begin` notes both and cuts the window, by no more than
// three fifths of what the queue holds; two and a half round trips later `conclude` compares. It
// says nothing where the flight fell by less than half of what was wanted (we were not limited by
// the window) or where something happened that moves queues by itself (`spoil`). The pause to the
// next probe is spread by a counter that both sides of a link do not share, since two that probe at
// once see each other's cut as their own.
#include "cc/share_probe.h"

#include "base/math.h"

#define RETRY           (100 * LH_MS)
#define SMOOTHING       4u // feedbacks
#define NOISE_SMOOTHING 16u
#define DEPTH_MOST      300u
#define DEPTH_LEAST     60u
#define DEPTH_QUEUE     60u   // per cent of the queue that a probe takes away at most
#define SHARE_MOST      1500u // measured; beyond, somebody else gave way meanwhile

void lh_share_probe_init(
    struct lh_share_probe *probe, lh_ns wait, lh_ns between, uint32_t between_rtts, lh_ns now)
{
    *probe = (struct lh_share_probe){.next_at = now + wait,
                                     .began_at = now,
                                     .between = between,
                                     .between_rtts = between_rtts,
                                     .spread = now,
                                     .window_share = LH_SHARE_ONE};
}

void lh_share_probe_spoil(struct lh_share_probe *probe)
{
    probe->is_spoilt = true;
}

static void begin(struct lh_share_probe *probe, const struct lh_share_seen *seen)
{
    probe->is_probing = true;
    probe->is_spoilt = false;
    probe->began_at = seen->now;
    probe->queue_before = seen->queue_stands;
    probe->delay_before = probe->delay;
    probe->inflight_before = probe->inflight;
    probe->rtt_before = lh_ns_max(seen->rtt, LH_US);
    uint64_t depth = lh_muldiv(seen->queue_stands, LH_SHARE_ONE, probe->rtt_before);
    depth = LH_CLAMP(depth * DEPTH_QUEUE / 100, DEPTH_LEAST, DEPTH_MOST);
    probe->window_share = LH_SHARE_ONE - (uint32_t)depth;
}

static enum lh_share_answer
conclude(struct lh_share_probe *probe, const struct lh_share_seen *seen, uint32_t *out_share)
{
    uint64_t fallen = lh_sub_sat(probe->inflight_before, probe->inflight);
    uint64_t wanted =
        lh_muldiv(probe->inflight_before, LH_SHARE_ONE - probe->window_share, LH_SHARE_ONE);
    probe->is_probing = false;
    probe->window_share = LH_SHARE_ONE;
    lh_ns pause = lh_ns_max(probe->between, probe->between_rtts * seen->rtt);
    probe->spread = probe->spread * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    probe->next_at = seen->now + pause * 3 / 4 + (probe->spread >> 33) % (pause / 2 + 1);
    if (probe->is_spoilt || fallen == 0 || fallen < wanted / 2)
        return LH_SHARE_UNKNOWN;
    int64_t drop = LH_MAX(probe->delay_before - probe->delay, 0);
    probe->drop = (lh_ns)drop;
    uint64_t share = lh_muldiv(probe->drop, probe->inflight_before, fallen);
    share = lh_muldiv(share, LH_SHARE_ONE, probe->rtt_before);
    if (share > SHARE_MOST)
        return LH_SHARE_UNKNOWN;
    *out_share = (uint32_t)LH_MIN(share, (uint64_t)LH_SHARE_ONE);
    return LH_SHARE_MEASURED;
}

static void smooth_delay(struct lh_share_probe *probe, int64_t delay)
{
    int64_t away = probe->delay == 0 ? 0 : delay - probe->delay;
    probe->delay = delay - away + away / (int64_t)SMOOTHING;
    if (!probe->is_probing)
        probe->noise +=
            (lh_ns)(LH_MAX(away, -away)) / NOISE_SMOOTHING - probe->noise / NOISE_SMOOTHING;
}

enum lh_share_answer lh_share_probe_step(struct lh_share_probe *probe,
                                         const struct lh_share_seen *seen,
                                         uint32_t *out_share)
{
    smooth_delay(probe, seen->delay);
    probe->inflight = (probe->inflight * (SMOOTHING - 1) + seen->inflight) / SMOOTHING;
    if (probe->is_probing) {
        bool is_over = seen->now >= probe->began_at + probe->rtt_before * 5 / 2;
        return is_over ? conclude(probe, seen, out_share) : LH_SHARE_NONE;
    }
    if (seen->now < probe->next_at)
        return LH_SHARE_NONE;
    if (seen->queue_stands >= seen->queue_needed)
        begin(probe, seen);
    else
        probe->next_at = seen->now + RETRY;
    return LH_SHARE_NONE;
}
