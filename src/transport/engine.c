// SPDX-License-Identifier: Apache-2.0
//
// The engine: joins lanes, blocks and the control stream, and is what the layer above talks to.
//
// How it works. It only routes. Packets go in through receive.c and out through assemble.c; what is
// acknowledged or lost on a lane comes back through the sink below and goes to the block or stream
// it belongs to. Any lane that is up may carry anything; the rules of which one does are the
// lh_engine_ predicates:
//   blocks   on every UDP lane that is up. On the SSH lane only while no UDP lane is up, and not
//            before UDP had max(3 RTT, LH_UDP_PROBE_MIN) to prove itself; or where UDP is crippled
//            (detour.h)
//   stream   on UDP lanes that are up, else on the SSH lane at once
// Time enters with recv, send and on_deadline; calls without `now` use the newest one for timers.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "base/wipe.h"
#include "transport/engine_internal.h"
#include "transport/sealing.h"

#define TAIL_LOSS_MEMORY (10 * LH_SECOND)
#define BLOCKED_PROBE    (200 * LH_MS)

// --- Blocks that are taken early -----------------------------------------------------------------

static enum lh_early
block_begins(void *ctx, uint32_t block, const uint8_t *head, size_t head_len, size_t len)
{
    struct lh_transport *transport = ctx;
    if (transport->closed || transport->closing)
        return LH_EARLY_LATER;
    return transport->config.events->on_block_begin(transport->config.user, block, head, head_len,
                                                    len);
}

static void block_runs(void *ctx, uint32_t block, size_t offset, const uint8_t *data, size_t len)
{
    struct lh_transport *transport = ctx;
    transport->config.events->on_block_run(transport->config.user, block, offset, data, len);
}

// --- Life ----------------------------------------------------------------------------------------

static lh_err check_config(const struct lh_transport_config *config)
{
    if (config->aead == NULL || config->events == NULL || config->block_max == 0 ||
        config->block_max > ((uint32_t)1 << LH_BLOCK_LOG2_MAX) + LH_BLOCK_HEADER_MAX ||
        config->receive_budget < (uint64_t)config->block_max + LH_BLOCK_CHARGE)
        return LH_E_INVALID;
    return 0;
}

lh_err lh_transport_new(const struct lh_transport_config *config,
                        lh_ns now,
                        struct lh_transport **out_transport)
{
    lh_err err = check_config(config);
    if (err != 0)
        return err;
    struct lh_transport *transport = calloc(1, sizeof *transport);
    if (transport == NULL)
        return LH_E_NOMEM;
    const struct lh_block_rx_sink sink = {transport, block_begins, block_runs};
    transport->config = *config;
    transport->now = transport->last_received = now;
    transport->forgery_limit =
        config->forgery_limit != 0 ? config->forgery_limit : config->aead->forgery_limit;
    lh_detour_init(&transport->detour);
    lh_stream_tx_init(&transport->stream_tx);
    lh_stream_rx_init(&transport->stream_rx);
    err = lh_random_init(&transport->random, config->seed);
    if (err == 0)
        err = lh_block_tx_init(&transport->block_tx);
    if (err == 0)
        transport->block_tx.full_len = config->block_full;
    if (err == 0)
        err = lh_block_rx_init(&transport->block_rx, config->block_max, config->receive_budget,
                               config->events->on_block_begin != NULL ? &sink : NULL);
    if (err != 0) {
        lh_transport_free(transport);
        return err;
    }
    *out_transport = transport;
    return 0;
}

void lh_transport_free(struct lh_transport *transport)
{
    if (transport == NULL)
        return;
    for (unsigned i = 0; i < LH_LANES_MAX; i++)
        lh_lane_free(transport->lanes[i]);
    lh_block_tx_fini(&transport->block_tx);
    lh_block_rx_fini(&transport->block_rx);
    lh_stream_tx_fini(&transport->stream_tx);
    lh_stream_rx_fini(&transport->stream_rx);
    lh_random_fini(&transport->random);
    lh_secret_fini(&transport->config.master);
    free(transport);
}

void lh_engine_finish(struct lh_transport *transport,
                      int code,
                      const char *reason,
                      size_t reason_len)
{
    if (transport->closed)
        return;
    transport->closed = true;
    lh_engine_trace_event(transport, LH_EVENT_end, &(struct lh_event_end){.failed = code < 0});
    transport->config.events->on_closed(transport->config.user, code, reason, reason_len);
}

bool lh_engine_check(struct lh_transport *transport, lh_err err)
{
    if (err < 0)
        lh_engine_finish(transport, err, NULL, 0);
    return transport->closed;
}

void lh_transport_close(struct lh_transport *transport, int code, const char *reason, lh_ns now)
{
    LH_ASSERT(code >= 0);
    if (transport->closed || transport->closing)
        return;
    size_t len = reason == NULL ? 0 : strnlen(reason, LH_REASON_MAX);
    transport->closing = true;
    transport->close_code = (uint32_t)code;
    transport->close_reason_len = (uint16_t)len;
    if (len > 0)
        memcpy(transport->close_reason, reason, len);
    transport->now = LH_MAX(transport->now, now);
    for (unsigned i = 0; i < LH_LANES_MAX; i++) {
        if (transport->lanes[i] != NULL)
            transport->lanes[i]->close_at = now;
    }
}

// --- What goes where -----------------------------------------------------------------------------

static bool any_udp(const struct lh_transport *transport, bool must_be_up)
{
    for (uint8_t i = LH_LANE_SSH + 1; i < LH_LANES_MAX; i++) {
        const struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane != NULL && (!must_be_up || lane->state == LH_LANE_UP))
            return true;
    }
    return false;
}

bool lh_engine_carries_stream(const struct lh_transport *transport, const struct lh_lane *lane)
{
    return lane->state == LH_LANE_UP && (lane->is_udp || !any_udp(transport, true));
}

// From when on blocks may use the SSH lane while no UDP lane is up. An echo over UDP takes one
// round trip, so three of SSH's are long enough; until that lane has measured one, the answer is:
// late.
static lh_ns ssh_blocks_at(const struct lh_transport *transport)
{
    const struct lh_lane *ssh = lh_engine_lane(transport, LH_LANE_SSH);
    lh_ns rtt = ssh != NULL ? lh_rtt_min(&ssh->rtt) : 0;
    lh_ns wait;

    if (rtt == 0)
        rtt = transport->config.rtt_hint;
    wait = rtt == 0 ? LH_UDP_PROBE_MAX : 3 * LH_MIN(rtt, LH_UDP_PROBE_MAX);
    wait = LH_MAX(LH_MIN(wait, LH_UDP_PROBE_MAX), (lh_ns)LH_UDP_PROBE_MIN);
    return transport->udp_since + wait;
}

bool lh_engine_carries_blocks(const struct lh_transport *transport, const struct lh_lane *lane)
{
    if (lane->state != LH_LANE_UP)
        return false;
    if (lane->is_udp || lh_detour_is_open(&transport->detour))
        return true;
    return !any_udp(transport, true) &&
           (!any_udp(transport, false) || transport->now >= ssh_blocks_at(transport));
}

bool lh_engine_has_data_for(const struct lh_transport *transport, const struct lh_lane *lane)
{
    return (lh_stream_tx_has_data(&transport->stream_tx) &&
            lh_engine_carries_stream(transport, lane)) ||
           (lh_block_tx_has_data(&transport->block_tx) &&
            lh_engine_carries_blocks(transport, lane));
}

bool lh_engine_may_send(const struct lh_transport *transport, const struct lh_lane *lane)
{
    return lane->state == LH_LANE_UP && !transport->closing && lh_lane_may_number(lane);
}

bool lh_engine_tail_from(const struct lh_transport *transport,
                         const struct lh_lane *lane,
                         lh_ns *out_at)
{
    if (!lane->is_udp || lane->state != LH_LANE_UP || lane->tail_since == LH_NEVER ||
        lane->last_loss_at == 0 || transport->now > lane->last_loss_at + TAIL_LOSS_MEMORY ||
        lh_engine_has_data_for(transport, lane) || !lh_lane_may_repeat(lane))
        return false;
    if (lh_sent_next_outstanding(&lane->sent, lane->tail_pn) >= lane->sent.next)
        return false;
    *out_at = lane->tail_since + LH_MAX(lh_rtt_smoothed(&lane->rtt) / 4, 5 * LH_MS);
    return true;
}

static lh_err content_acked(void *ctx, const struct lh_content *content)
{
    struct lh_transport *transport = ctx;
    struct lh_block_tx_done done;
    if (content->is_stream)
        return lh_stream_tx_acked(&transport->stream_tx, content->offset, content->len);
    lh_err err = lh_block_tx_acked(&transport->block_tx, content->block, content->offset,
                                   content->len, &done);
    if (err == 0 && done.is_whole)
        transport->config.events->on_block_acked(transport->config.user, done.number, done.data,
                                                 done.len);
    return err;
}

static lh_err content_lost(void *ctx, const struct lh_content *content)
{
    struct lh_transport *transport = ctx;
    if (content->is_stream)
        return lh_stream_tx_lost(&transport->stream_tx, content->offset, content->len);
    return lh_block_tx_lost(&transport->block_tx, content->block, content->offset, content->len);
}

struct lh_loss_sink lh_engine_sink(struct lh_transport *transport)
{
    return (struct lh_loss_sink){transport, content_acked, content_lost};
}

void lh_engine_notify(struct lh_transport *transport)
{
    struct lh_block_tx *blocks = &transport->block_tx;
    struct lh_stream_tx *stream = &transport->stream_tx;
    if (transport->closed || transport->closing)
        return;
    bool blocks_ready = blocks->wants_room && lh_block_tx_is_writable(blocks);
    bool stream_ready = stream->wants_room && lh_stream_tx_is_writable(stream);
    if (blocks_ready)
        blocks->wants_room = blocks->window_limited = false;
    if (stream_ready)
        stream->wants_room = false;
    for (uint32_t number; lh_block_tx_wanted(blocks, &number);)
        transport->config.events->on_block_wanted(transport->config.user, number);
    if (blocks_ready || stream_ready)
        transport->config.events->on_writable(transport->config.user);
}

// --- Lanes ---------------------------------------------------------------------------------------

void lh_engine_path_changed(struct lh_transport *transport, struct lh_lane *lane, lh_ns now)
{
    lh_lane_on_path_change(lane, now);
    lh_engine_trace_event(transport, LH_EVENT_path,
                          &(struct lh_event_path){.lane = lane->id, .path = lane->path.current});
}

static struct lh_cc_limits part_of(const struct lh_cc_limits *limits, unsigned parts)
{
    struct lh_cc_limits part = *limits;
    if (part.rate_target != 0)
        part.rate_target = LH_MAX(part.rate_target / parts, 1);
    if (part.rate_min != 0)
        part.rate_min = LH_MAX(part.rate_min / parts, 1);
    return part;
}

// What a person allows is the session's: each UDP lane that is up gets the same part of it. `cc`:
// takes over UDP lanes; NULL: each goes on with its own.
static void share_limits(struct lh_transport *transport, const struct lh_cc_type *cc, lh_ns now)
{
    unsigned parts = 0;
    for (uint8_t i = 1; i < LH_LANES_MAX; i++) {
        const struct lh_lane *lane = lh_engine_lane(transport, i);
        parts += lane != NULL && lane->state == LH_LANE_UP;
    }
    for (uint8_t i = 0; i < LH_LANES_MAX; i++) {
        struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane == NULL)
            continue;
        const struct lh_cc_limits *old = &lane->config.limits;
        struct lh_cc_limits part =
            part_of(&transport->limits, lane->is_udp ? LH_MAX(parts, 1u) : 1);
        const struct lh_cc_type *type = cc != NULL && lane->is_udp ? cc : lane->config.cc;
        if (type == lane->config.cc && part.rate_target == old->rate_target &&
            part.rate_min == old->rate_min)
            continue;
        lh_lane_set_policy(lane, type, &part, now);
        lh_engine_trace_limits(transport, lane);
    }
    lh_engine_couple(transport, now);
}

void lh_engine_set_lane_state(struct lh_transport *transport,
                              struct lh_lane *lane,
                              enum lh_lane_state state)
{
    if (lane->state == state)
        return;
    lane->state = state;
    if (state == LH_LANE_UP)
        lh_ecn_on_up(&lane->ecn);
    share_limits(transport, NULL, transport->now);
    lh_engine_trace_state(transport, lane);
    transport->config.events->on_lane_state(transport->config.user, lane->id, state);
}

lh_err lh_transport_add_lane(struct lh_transport *transport,
                             const struct lh_lane_config *config,
                             lh_ns now)
{
    bool is_udp = config->lane != LH_LANE_SSH;
    uint32_t payload_max = is_udp ? LH_PACKET_MAX : LH_SSH_FRAME_MAX;
    if (config->lane >= LH_LANES_MAX || config->cc == NULL || config->cc->size > LH_CC_STATE_MAX ||
        config->payload_max > payload_max || config->payload_max < 512)
        return LH_E_INVALID;
    struct lh_lane **slot = &transport->lanes[config->lane];
    // A UDP lane's keys have sealed packet numbers already: its id is used up. SSH keeps its own
    // keys.
    if (*slot != NULL && (is_udp || (*slot)->state != LH_LANE_DEAD))
        return LH_E_INVALID;
    struct lh_lane *lane;
    lh_err err = lh_lane_new(config, &transport->config, &transport->random, now, &lane);
    if (err != 0)
        return err;
    transport->now = LH_MAX(transport->now, now);
    transport->limits = config->limits;
    if (is_udp && !any_udp(transport, false))
        transport->udp_since = now;
    if (*slot != NULL)
        lane->stats = (*slot)->stats; // of all lanes with this id
    lh_lane_free(*slot);
    *slot = lane;
    // Tells the peer our grants; a UDP lane does when it is first heard.
    if (!is_udp) {
        lh_reporter_want(&lane->reporter, true, now);
        lh_engine_set_lane_state(transport, lane, LH_LANE_UP);
    }
    return 0;
}

void lh_transport_remove_lane(struct lh_transport *transport, uint8_t id, lh_ns now)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane == NULL)
        return;
    transport->now = LH_MAX(transport->now, now);
    struct lh_loss_sink sink = lh_engine_sink(transport);
    lh_err err = lh_lane_give_up_all(lane, &sink);
    lh_engine_set_lane_state(transport, lane, LH_LANE_DEAD);
    lh_engine_check(transport, err);
}

enum lh_lane_state lh_transport_lane_state(const struct lh_transport *transport, uint8_t id)
{
    const struct lh_lane *lane = lh_engine_lane(transport, id);
    return lane == NULL ? LH_LANE_DEAD : lane->state;
}

void lh_transport_set_limits(struct lh_transport *transport,
                             const struct lh_cc_limits *limits,
                             lh_ns now)
{
    transport->limits = *limits;
    share_limits(transport, NULL, now);
}

void lh_transport_set_policy(struct lh_transport *transport,
                             const struct lh_cc_type *cc,
                             const struct lh_cc_limits *limits,
                             lh_ns now)
{
    transport->limits = *limits;
    share_limits(transport, cc, now);
}

void lh_transport_set_inflight_max(struct lh_transport *transport, uint8_t id, uint64_t bytes)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane != NULL)
        lane->config.inflight_max = bytes;
}

void lh_transport_set_blocked(struct lh_transport *transport, uint8_t id, bool blocked)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane == NULL)
        return;
    lane->is_blocked = blocked;
    lane->was_blocked |= blocked;
}

void lh_transport_set_packet_size(struct lh_transport *transport,
                                  uint8_t id,
                                  uint32_t payload_max,
                                  uint8_t ip_overhead)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane == NULL)
        return;
    payload_max =
        LH_CLAMP(payload_max, 512u, lane->is_udp ? (uint32_t)LH_PACKET_MAX : LH_SSH_FRAME_MAX);
    lane->config.ip_overhead = ip_overhead;
    lane->loss.large_bytes = LH_PACKET_MIN_MTU + ip_overhead;
    if (payload_max == lane->config.payload_max)
        return;
    lane->config.payload_max = payload_max;
    if (lane->is_udp)
        lh_probe_set_ceiling(&lane->probe, payload_max, lh_lane_usual(lane), transport->now);
}

void lh_transport_take_keys(struct lh_transport *transport,
                            uint8_t id,
                            struct lh_sealing *out_sealing)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    LH_ASSERT(lane != NULL && lane->is_udp && !lane->keys_taken && lane->sent.next == 0);
    *out_sealing = (struct lh_sealing){.seal = lane->seal_keys,
                                       .open = lane->open_keys,
                                       .session_id = transport->config.session_id,
                                       .lane = id};
    lh_wipe(&lane->seal_keys, sizeof lane->seal_keys);
    lh_wipe(&lane->open_keys, sizeof lane->open_keys);
    lane->keys_taken = true;
}

void lh_transport_fail(struct lh_transport *transport, lh_err err)
{
    LH_ASSERT(err < 0);
    lh_engine_finish(transport, err, NULL, 0);
}

lh_ns lh_transport_lane_pto(const struct lh_transport *transport, uint8_t id)
{
    const struct lh_lane *lane = lh_engine_lane(transport, id);
    return lane == NULL ? LH_SECOND : lh_rtt_pto(&lane->rtt);
}

void lh_transport_ping(struct lh_transport *transport, uint8_t id, lh_ns now)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane != NULL)
        lh_probe_once(&lane->probe, now);
}

uint32_t lh_transport_lane_path(const struct lh_transport *transport, uint8_t id)
{
    const struct lh_lane *lane = lh_engine_lane(transport, id);
    return lane == NULL ? LH_PATH_NONE : lane->path.current;
}

size_t lh_transport_lane_asked(const struct lh_transport *transport,
                               uint8_t id,
                               uint32_t out_paths[LH_LANE_ASKED_MAX])
{
    const struct lh_lane *lane = lh_engine_lane(transport, id);
    size_t count = 0;
    if (lane == NULL)
        return 0;
    const uint32_t paths[] = {lane->path.candidate.path, lane->path.old.path, lane->path.refused};
    for (size_t i = 0; i < LH_ARRAY_LEN(paths); i++) {
        if (paths[i] != LH_PATH_NONE)
            out_paths[count++] = paths[i];
    }
    return count;
}

void lh_transport_set_lane_path(struct lh_transport *transport, uint8_t id, uint32_t path)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane != NULL)
        lh_path_set(&lane->path, path, true);
}

void lh_transport_socket_drops(struct lh_transport *transport, uint8_t id, uint64_t total)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane != NULL)
        lane->reporter.socket_drops = LH_MAX(lane->reporter.socket_drops, total);
}

// --- Time ----------------------------------------------------------------------------------------

// The peer's window holds us back and nothing is in flight that could bring news: ask.
static lh_ns blocked_probe_at(const struct lh_transport *transport, const struct lh_lane *lane)
{
    const struct lh_stream_tx *stream = &transport->stream_tx;
    bool stuck = transport->block_tx.window_limited ||
                 (stream->sent == stream->grant && stream->sent < stream->end);
    if (!stuck || lane->state != LH_LANE_UP || lane->sent.count_outstanding > 0 ||
        lane->probe.alive_at != LH_NEVER)
        return LH_NEVER;
    return lane->last_sent_at + LH_MAX(lh_rtt_pto(&lane->rtt), BLOCKED_PROBE);
}

static lh_ns keepalive_at(const struct lh_lane *lane)
{
    if (lane->state != LH_LANE_UP || lane->probe.alive_at != LH_NEVER)
        return LH_NEVER;
    lh_ns at = lane->last_sent_at + LH_KEEPALIVE;
    if (!lane->is_udp)
        return at;
    return lh_ns_min(at, lh_ns_max(lane->received_at, lane->quiet_asked_at) + lane->quiet_interval);
}

// When this lane can send something next.
static lh_ns send_at(const struct lh_transport *transport, const struct lh_lane *lane)
{
    lh_ns at = lh_path_deadline(&lane->path), tail_at;
    lh_ns now = transport->now;
    if (lane->is_blocked)
        return LH_NEVER;
    if (now < lane->full_until)
        return lane->full_until;
    if (lane->path.response_count > 0)
        return now;
    if (lh_path_allowance(&lane->path) < lh_lane_payload(lane))
        return at;
    if (lane->probe.pong_count > 0 || lane->reporter.cursor != lane->reporter.end)
        return now;
    at = lh_ns_min(at, lane->reporter.due);
    if (lh_probe_size(&lane->probe, now) <= lh_path_allowance(&lane->path))
        at = lh_ns_min(at, lh_probe_deadline(&lane->probe));
    if (!lh_engine_may_send(transport, lane))
        return at;
    if (lh_engine_has_data_for(transport, lane)) {
        if (lane->free_packets > 0)
            return now;
        if (lh_lane_window(lane) >= lh_lane_payload(lane))
            at = lh_ns_min(at, lh_pacer_next(&lane->pacer, now));
    } else if (lh_engine_tail_from(transport, lane, &tail_at) &&
               lh_lane_window(lane) >= lh_lane_payload(lane)) {
        at = lh_ns_min(at, lh_ns_max(tail_at, lh_pacer_next(&lane->pacer, now)));
    }
    return at;
}

static lh_ns closing_deadline(const struct lh_transport *transport)
{
    lh_ns at = LH_NEVER;
    for (uint8_t i = 0; i < LH_LANES_MAX; i++) {
        const struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane != NULL && !lane->is_blocked && lane->close_sent < LH_CLOSE_REPEATS &&
            lh_path_allowance(&lane->path) >= lh_lane_payload(lane))
            at = lh_ns_min(at, lh_ns_max(lane->close_at, lane->full_until));
    }
    return at;
}

static bool has_both_ways(const struct lh_transport *transport)
{
    return lh_engine_lane(transport, LH_LANE_SSH) != NULL && any_udp(transport, false);
}

// Compares what UDP and SSH deliver.
static void tick_detour(struct lh_transport *transport, lh_ns now)
{
    const struct lh_lane *ssh = lh_engine_lane(transport, LH_LANE_SSH);
    uint64_t udp = 0, target = 0;
    bool yields = false;
    for (uint8_t i = LH_LANE_SSH + 1; i < LH_LANES_MAX; i++) {
        const struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane == NULL)
            continue;
        udp += lane->peer_bytes;
        target += lane->config.limits.rate_target;
        yields |= lane->config.cc->yields;
    }
    if (ssh == NULL || yields)
        lh_detour_skip(&transport->detour, now);
    else
        (void)lh_detour_on_tick(&transport->detour, udp, ssh->peer_bytes, target, now);
}

bool lh_transport_is_detoured(const struct lh_transport *transport)
{
    return transport->detour.state == LH_DETOUR_ON && has_both_ways(transport);
}

lh_ns lh_transport_next_deadline(const struct lh_transport *transport)
{
    if (transport->closed)
        return LH_NEVER;
    if (transport->closing)
        return closing_deadline(transport);
    lh_ns at = transport->last_received + LH_IDLE_TIMEOUT;
    for (uint8_t i = 0; i < LH_LANES_MAX; i++) {
        const struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane == NULL)
            continue;
        at = lh_ns_min(at, lh_lane_timer(lane));
        at = lh_ns_min(at, send_at(transport, lane));
        at = lh_ns_min(at, blocked_probe_at(transport, lane));
        at = lh_ns_min(at, keepalive_at(lane));
    }
    if (!has_both_ways(transport))
        return at;
    if (transport->now < ssh_blocks_at(transport))
        at = lh_ns_min(at, ssh_blocks_at(transport));
    return lh_ns_min(at, transport->detour.tick_at);
}

static lh_err lane_deadlines(struct lh_transport *transport, struct lh_lane *lane, lh_ns now)
{
    struct lh_loss_sink sink = lh_engine_sink(transport);
    if (keepalive_at(lane) <= now) {
        lane->quiet_asked_at = now;
        lane->quiet_interval = LH_MIN(2 * lane->quiet_interval, (lh_ns)LH_KEEPALIVE);
        lh_probe_once(&lane->probe, now);
    }
    if (blocked_probe_at(transport, lane) <= now)
        lh_probe_once(&lane->probe, now);
    if (lh_path_on_deadline(&lane->path, now))
        lh_engine_path_changed(transport, lane, now);
    uint32_t timeouts = lane->pto_count;
    lh_err err = lh_lane_on_timers(lane, &sink, now);
    if (lane->pto_count > timeouts)
        lh_engine_trace_timeout(transport, lane);
    if (err != 0 || lane->silence_at > now)
        return err;
    err = lh_lane_give_up_all(lane, &sink);
    lh_probe_start(&lane->probe, now);
    lh_path_on_silence(&lane->path);
    lh_engine_set_lane_state(transport, lane, LH_LANE_SILENT);
    return err;
}

void lh_transport_on_deadline(struct lh_transport *transport, lh_ns now)
{
    transport->now = LH_MAX(transport->now, now);
    if (transport->closed || transport->closing)
        return;
    for (uint8_t i = 0; i < LH_LANES_MAX && !transport->closed; i++) {
        struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane != NULL)
            lh_engine_check(transport, lane_deadlines(transport, lane, now));
    }
    if (transport->detour.tick_at <= now && has_both_ways(transport))
        tick_detour(transport, now);
    lh_engine_check(transport, transport->random.err);
    if (now >= transport->last_received + LH_IDLE_TIMEOUT)
        lh_engine_finish(transport, LH_E_TIMEOUT, NULL, 0);
    lh_engine_notify(transport);
}

// --- Blocks and stream ---------------------------------------------------------------------------

lh_err lh_transport_send_block(struct lh_transport *transport,
                               uint8_t *data,
                               size_t len,
                               uint32_t *out_block)
{
    LH_ASSERT(len > 0 && len <= transport->config.block_max);
    if (transport->closed || transport->closing)
        return LH_E_CLOSED;
    return lh_block_tx_push(&transport->block_tx, data, (uint32_t)len, out_block);
}

// Grants moved: tells the peer, now or with the next report, on the lane that it was heard on last.
// (A lane may be up for us and silent for the peer, which then sends on another one.)
static void tell_grants(struct lh_transport *transport, bool at_once)
{
    struct lh_lane *best = NULL;
    for (uint8_t i = 0; i < LH_LANES_MAX; i++) {
        struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane != NULL && lane->state == LH_LANE_UP &&
            (best == NULL || lane->last_heard_at >= best->last_heard_at))
            best = lane;
    }
    if (best != NULL)
        lh_reporter_want(&best->reporter, at_once, transport->now);
}

// Worth a packet of its own when much is new, or when the peer may be waiting for it.
static void note_released(struct lh_transport *transport)
{
    struct lh_block_rx *rx = &transport->block_rx;
    uint64_t news = lh_sub_sat(lh_block_rx_grant_bytes(rx), transport->told_grant_bytes);
    uint64_t left = lh_sub_sat(transport->told_grant_bytes, rx->charged);
    uint64_t numbers_left = lh_sub_sat(transport->told_grant_block, rx->end);
    uint64_t largest = (uint64_t)rx->block_max + LH_BLOCK_CHARGE;
    if (news >= rx->budget / 8 || (left < 2 * largest && news >= largest) ||
        numbers_left < LH_BLOCK_SPAN_MAX / 8)
        tell_grants(transport, true);
    else if (left < 2 * largest)
        tell_grants(transport, false);
}

void lh_transport_block_release(struct lh_transport *transport, uint32_t block)
{
    lh_block_rx_release(&transport->block_rx, block);
    note_released(transport);
}

void lh_transport_runs_release(struct lh_transport *transport, size_t bytes)
{
    lh_block_rx_release_runs(&transport->block_rx, bytes);
    note_released(transport);
}

bool lh_transport_block_unload(struct lh_transport *transport, uint32_t block)
{
    LH_ASSERT(transport->config.events->on_block_wanted != NULL);
    return lh_block_tx_unload(&transport->block_tx, block);
}

bool lh_transport_block_supply(struct lh_transport *transport, uint32_t block, uint8_t *data)
{
    return lh_block_tx_supply(&transport->block_tx, block, data);
}

lh_err lh_transport_stream_write(struct lh_transport *transport, const void *data, size_t len)
{
    LH_ASSERT(len <= LH_MESSAGE_MAX);
    if (transport->closed || transport->closing)
        return LH_E_CLOSED;
    return lh_stream_tx_write(&transport->stream_tx, data, len);
}

void lh_transport_stream_consumed(struct lh_transport *transport, size_t len)
{
    lh_stream_rx_consumed(&transport->stream_rx, len);
    if (lh_stream_rx_grant(&transport->stream_rx) - transport->told_grant_stream >=
        LH_STREAM_WINDOW / 4)
        tell_grants(transport, true);
}

bool lh_transport_is_flushed(const struct lh_transport *transport)
{
    return lh_stream_tx_is_flushed(&transport->stream_tx) &&
           lh_block_tx_is_flushed(&transport->block_tx);
}

// --- Figures -------------------------------------------------------------------------------------

void lh_transport_lane_stats(const struct lh_transport *transport,
                             uint8_t id,
                             struct lh_lane_stats *out_stats)
{
    const struct lh_lane *lane = id < LH_LANES_MAX ? transport->lanes[id] : NULL;
    *out_stats = (struct lh_lane_stats){.state = LH_LANE_DEAD};
    if (lane != NULL)
        lh_lane_get_stats(lane, out_stats);
}

void lh_transport_lane_fates(const struct lh_transport *transport,
                             uint8_t id,
                             struct lh_place_fates *out_fates)
{
    const struct lh_lane *lane = id < LH_LANES_MAX ? transport->lanes[id] : NULL;
    *out_fates = (struct lh_place_fates){{0}, {0}};
    if (lane != NULL)
        *out_fates = lane->fates;
}

void lh_transport_stats(const struct lh_transport *transport, struct lh_transport_stats *out_stats)
{
    const struct lh_block_rx *rx = &transport->block_rx;
    const struct lh_block_tx *tx = &transport->block_tx;
    uint64_t refused = 0, braked_to = 0;
    bool is_braked = false;
    for (unsigned i = 0; i < LH_LANES_MAX; i++) {
        const struct lh_lane *lane = transport->lanes[i];
        if (lane == NULL)
            continue;
        refused += lane->reporter.refused;
        if (lane->is_udp && lane->state == LH_LANE_UP) {
            is_braked |= lh_lane_view(lane).is_braked;
            braked_to += lh_lane_rate(lane);
        }
    }
    *out_stats = (struct lh_transport_stats){
        .block_bytes_acked = tx->acked_bytes,
        .block_bytes_delivered = rx->delivered_bytes,
        .duplicate_block_bytes = rx->duplicate_bytes,
        .receive_memory = lh_block_rx_memory(rx),
        .receive_memory_peak = rx->held_peak,
        .early_bytes = rx->early_bytes,
        .refused_packets = refused,
        .braked_to = is_braked ? braked_to : 0,
        .window = rx->window,
        .window_limited = tx->window_limited,
        .app_limited = !lh_block_tx_has_data(tx) && !lh_stream_tx_has_data(&transport->stream_tx),
    };
}
