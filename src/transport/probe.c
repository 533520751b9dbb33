// SPDX-License-Identifier: Apache-2.0
//
// How it works. Two timers. `alive_at` runs while the lane is not up: each round sends a PING of
// the ceiling's size and one of the minimum's, then waits half as long again, up to a bound.
// `search_at` runs while the lane is up and a size above `good` may pass: the ceiling first, then
// halves; a size that stays unanswered LH_PROBE_SEARCH_TRIES times has failed.
#include "transport/probe.h"
#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"

static uint32_t floor_of(const struct lh_probe *probe)
{
    return LH_MIN(probe->ceiling, (uint32_t)LH_PACKET_MIN_MTU);
}

void lh_probe_init(struct lh_probe *probe, uint32_t payload_max, lh_ns now)
{
    *probe =
        (struct lh_probe){.ceiling = payload_max, .failed = payload_max + 1, .search_at = LH_NEVER};
    probe->good = floor_of(probe);
    lh_probe_start(probe, now);
}

void lh_probe_start(struct lh_probe *probe, lh_ns now)
{
    probe->alive_at = now;
    probe->alive_interval = LH_PROBE_INTERVAL_MIN;
    probe->small_too = false;
}

void lh_probe_once(struct lh_probe *probe, lh_ns now)
{
    if (probe->alive_at == LH_NEVER) {
        probe->alive_at = now;
        probe->small_too = true;
    }
}

static void search(struct lh_probe *probe, lh_ns now)
{
    probe->failed = probe->ceiling + 1;
    probe->tries = 0;
    probe->search_at = probe->good < probe->ceiling ? now : LH_NEVER;
}

void lh_probe_set_ceiling(struct lh_probe *probe, uint32_t payload_max, lh_ns now)
{
    probe->ceiling = payload_max;
    probe->good = LH_MIN(probe->good, payload_max);
    search(probe, now);
}

void lh_probe_black_hole(struct lh_probe *probe, lh_ns now)
{
    if (probe->good <= floor_of(probe))
        return;
    probe->good = floor_of(probe);
    search(probe, now);
}

static uint32_t search_size(const struct lh_probe *probe)
{
    return probe->failed > probe->ceiling ? probe->ceiling : (probe->good + probe->failed) / 2;
}

uint32_t lh_probe_size(const struct lh_probe *probe, lh_ns now)
{
    if (probe->alive_at <= now)
        return probe->small_too ? floor_of(probe) : probe->ceiling;
    if (probe->search_at <= now)
        return search_size(probe);
    return 0;
}

static void after_search_ping(struct lh_probe *probe, lh_ns rtt, lh_ns now)
{
    probe->search_at = now + LH_MAX(2 * rtt, 100 * LH_MS);
    if (++probe->tries < LH_PROBE_SEARCH_TRIES)
        return;
    // The last try gets its time to be answered like the others; an answer restarts the search.
    probe->failed = search_size(probe);
    probe->tries = 0;
    if (probe->failed - probe->good <= LH_PROBE_SEARCH_STEP) {
        probe->search_at = now + LH_PROBE_SEARCH_AGAIN;
        probe->failed = probe->ceiling + 1;
    }
}

uint64_t
lh_probe_sent(struct lh_probe *probe, struct lh_random *random, bool is_up, lh_ns rtt, lh_ns now)
{
    struct lh_probe_ping *ping = &probe->pings[probe->ping_count++ % LH_PROBE_PINGS];
    ping->token = lh_random_next(random) | 1;
    ping->sent_at = now;
    ping->size = lh_probe_size(probe, now);
    LH_ASSERT(ping->size > 0);
    if (probe->alive_at > now) {
        after_search_ping(probe, rtt, now);
    } else if (!probe->small_too && probe->ceiling > floor_of(probe)) {
        probe->small_too = true;
    } else if (is_up) {
        probe->alive_at = LH_NEVER;
    } else {
        probe->small_too = false;
        probe->alive_at = now + probe->alive_interval;
        probe->alive_interval = LH_MIN(probe->alive_interval * 3 / 2, (lh_ns)LH_PROBE_INTERVAL_MAX);
    }
    return ping->token;
}

lh_ns lh_probe_deadline(const struct lh_probe *probe)
{
    return LH_MIN(probe->alive_at, probe->search_at);
}

void lh_probe_on_ping(struct lh_probe *probe, uint64_t token)
{
    if (probe->pong_count < LH_PROBE_PONGS)
        probe->pongs[probe->pong_count++] = token;
}

bool lh_probe_on_pong(struct lh_probe *probe, uint64_t token, lh_ns now, lh_ns *out_rtt)
{
    struct lh_probe_ping *ping = NULL;
    for (unsigned i = 0; i < LH_PROBE_PINGS; i++) {
        if (probe->pings[i].token == token && token != 0)
            ping = &probe->pings[i];
    }
    if (ping == NULL)
        return false;
    *out_rtt = lh_ns_since(now, ping->sent_at);
    ping->token = 0;
    probe->alive_at = LH_NEVER;
    if (ping->size > probe->good && ping->size <= probe->ceiling) {
        probe->good = ping->size;
        probe->tries = 0;
        if (probe->failed <= probe->good)
            probe->failed = probe->ceiling + 1;
    }
    bool done =
        probe->good == probe->ceiling ||
        (probe->failed <= probe->ceiling && probe->failed - probe->good <= LH_PROBE_SEARCH_STEP);
    if (done && probe->good == probe->ceiling)
        probe->search_at = LH_NEVER;
    else if (done)
        probe->search_at = now + LH_PROBE_SEARCH_AGAIN;
    else if (probe->search_at == LH_NEVER || ping->size == probe->good)
        probe->search_at = now + LH_MAX(*out_rtt, 10 * LH_MS);
    return true;
}
