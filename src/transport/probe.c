// SPDX-License-Identifier: Apache-2.0
//
// How it works. Two timers. `alive_at` runs while the lane is not up: each round sends a PING of
// the ceiling's size, one of the usual size and one of the minimum's, then waits half as long
// again, up to a bound. `search_at` runs while the lane is up and a size above `good` may pass.
#include "transport/probe.h"
#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"

enum { STEP_CEILING, STEP_USUAL, STEP_FLOOR };

static uint32_t floor_of(const struct lh_probe *probe)
{
    return LH_MIN(probe->ceiling, (uint32_t)LH_PACKET_MIN_MTU);
}

static uint32_t size_of(const struct lh_probe *probe, unsigned step)
{
    if (step == STEP_CEILING)
        return probe->ceiling;
    return step == STEP_USUAL ? LH_MIN(probe->usual, probe->ceiling) : floor_of(probe);
}

void lh_probe_init(struct lh_probe *probe, uint32_t payload_max, uint32_t usual, lh_ns now)
{
    *probe = (struct lh_probe){
        .ceiling = payload_max, .usual = usual, .failed = payload_max + 1, .search_at = LH_NEVER};
    probe->good = floor_of(probe);
    lh_probe_start(probe, now);
}

void lh_probe_start(struct lh_probe *probe, lh_ns now)
{
    probe->alive_at = now;
    probe->alive_interval = LH_PROBE_INTERVAL_MIN;
    probe->alive_step = STEP_CEILING;
}

void lh_probe_once(struct lh_probe *probe, lh_ns now)
{
    if (probe->alive_at == LH_NEVER) {
        probe->alive_at = now;
        probe->alive_step = STEP_FLOOR;
    }
}

static void search(struct lh_probe *probe, lh_ns now)
{
    probe->failed = probe->ceiling + 1;
    probe->tries = 0;
    probe->search_at = probe->good < probe->ceiling ? now : LH_NEVER;
}

void lh_probe_set_ceiling(struct lh_probe *probe, uint32_t payload_max, uint32_t usual, lh_ns now)
{
    probe->ceiling = payload_max;
    probe->usual = usual;
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
    if (probe->good < probe->usual && probe->usual < probe->failed &&
        probe->usual <= probe->ceiling)
        return probe->usual;
    return probe->failed > probe->ceiling ? probe->ceiling : (probe->good + probe->failed) / 2;
}

uint32_t lh_probe_size(const struct lh_probe *probe, lh_ns now)
{
    if (probe->alive_at <= now)
        return size_of(probe, probe->alive_step);
    if (probe->search_at <= now)
        return search_size(probe);
    return 0;
}

// Found; what failed may pass later.
static void rest(struct lh_probe *probe, lh_ns now)
{
    probe->search_at = now + LH_PROBE_SEARCH_AGAIN;
    probe->failed = probe->ceiling + 1;
}

static void after_search_ping(struct lh_probe *probe, lh_ns rtt, lh_ns now)
{
    probe->search_at = now + LH_MAX(2 * rtt, 100 * LH_MS);
    if (++probe->tries < LH_PROBE_SEARCH_TRIES)
        return;
    // The last try gets its time to be answered like the others; an answer restarts the search.
    probe->failed = search_size(probe);
    probe->tries = 0;
    if (probe->failed - probe->good <= LH_PROBE_SEARCH_STEP)
        rest(probe, now);
}

// Goes on to the next smaller size of the round; false after the last.
static bool next_step(struct lh_probe *probe)
{
    uint32_t size = size_of(probe, probe->alive_step);

    while (probe->alive_step < STEP_FLOOR) {
        if (size_of(probe, ++probe->alive_step) < size)
            return true;
    }
    return false;
}

bool lh_probe_skip(struct lh_probe *probe, lh_ns now)
{
    return probe->alive_at <= now && next_step(probe);
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
    } else if (next_step(probe)) {
        // the next size of this round follows at once
    } else if (is_up) {
        probe->alive_at = LH_NEVER;
    } else {
        probe->alive_step = STEP_CEILING;
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
    bool raised = ping->size > probe->good && ping->size <= probe->ceiling;
    if (raised) {
        probe->good = ping->size;
        probe->tries = 0;
        if (probe->failed <= probe->good)
            probe->failed = probe->ceiling + 1;
    }
    if (probe->good == probe->ceiling) {
        probe->search_at = LH_NEVER;
    } else if (raised && probe->failed <= probe->ceiling &&
               probe->failed - probe->good <= LH_PROBE_SEARCH_STEP) {
        rest(probe, now);
    } else if (raised || probe->search_at == LH_NEVER) {
        probe->search_at = now + LH_MAX(*out_rtt, 10 * LH_MS);
    }
    return true;
}
