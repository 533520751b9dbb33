// SPDX-License-Identifier: Apache-2.0
//
// The engine's events: who looks gets told what happens and, now and then, how it stands.
//
// How it works. Nothing here keeps figures of its own: a sample reads what lanes and blocks count
// anyway, after packets came in (that is when something can have changed) or a timer fired, and at
// most once an interval a lane.
#include "base/math.h"
#include "transport/engine_internal.h"

#define AT_TARGET_PERCENT 90 // a pace this near to the target is held down by it,
#define DELIVERED_PERCENT 80 // if the path delivers it: a fixed pace may be more than that

void lh_engine_trace_event(const struct lh_transport *transport,
                           enum lh_event_kind kind,
                           const void *event)
{
    const struct lh_trace *trace = transport->trace;
    if (trace != NULL)
        trace->on_event(trace->user, kind, event, transport->now);
}

void lh_engine_trace_state(const struct lh_transport *transport, const struct lh_lane *lane)
{
    static const char *const names[] = {
        [LH_LANE_IDLE] = "idle",
        [LH_LANE_UP] = "up",
        [LH_LANE_SILENT] = "silent",
        [LH_LANE_DEAD] = "dead",
    };
    lh_engine_trace_event(transport, LH_EVENT_state,
                          &(struct lh_event_state){.lane = lane->id, .state = names[lane->state]});
}

void lh_engine_trace_limits(const struct lh_transport *transport, const struct lh_lane *lane)
{
    if (!lane->is_udp)
        return; // the pipe's are the same
    lh_engine_trace_event(transport, LH_EVENT_limits,
                          &(struct lh_event_limits){.controller = lane->config.cc->name,
                                                    .target = lane->config.limits.rate_target,
                                                    .minimum = lane->config.limits.rate_min});
}

void lh_engine_trace_timeout(struct lh_transport *transport, struct lh_lane *lane)
{
    lh_engine_trace_event(transport, LH_EVENT_timeout,
                          &(struct lh_event_timeout){.lane = lane->id, .count = lane->pto_count});
    lh_engine_trace(transport, lane); // no feedback comes that would bring a sample
}

// --- What holds back -----------------------------------------------------------------------------

static bool is_at_target(const struct lh_lane *lane)
{
    uint64_t target = lane->config.limits.rate_target;
    uint64_t delivered = lane->stats.delivery_rate;
    return target != 0 && lh_lane_rate(lane) >= target / 100 * AT_TARGET_PERCENT &&
           (delivered == 0 || delivered >= target / 100 * DELIVERED_PERCENT);
}

static enum lh_held_by lane_held_by(const struct lh_transport *transport,
                                    const struct lh_lane *lane)
{
    if (lane->is_blocked)
        return LH_HELD_BY_SOCKET;
    if (lane->peer_room != UINT64_MAX)
        return LH_HELD_BY_WINDOW;
    if (lane->pto_count > 0 || !lh_engine_may_send(transport, lane))
        return LH_HELD_BY_NETWORK;
    if (lh_lane_window(lane) >= lh_lane_payload(lane) &&
        lh_pacer_next(&lane->pacer, transport->now) <= transport->now)
        return LH_HELD_BY_NOTHING;
    return is_at_target(lane) ? LH_HELD_BY_POLICY : LH_HELD_BY_NETWORK;
}

enum lh_held_by lh_transport_held_by(const struct lh_transport *transport)
{
    enum lh_held_by reason = LH_HELD_BY_NETWORK; // where no lane carries blocks, none is up
    if (!lh_block_tx_has_data(&transport->block_tx)) {
        if (!transport->block_tx.window_limited)
            return LH_HELD_BY_SOURCE;
        // The first grant is still on its way: that is distance, not a full memory.
        return transport->block_tx.grant_bytes == 0 ? reason : LH_HELD_BY_WINDOW;
    }
    for (uint8_t i = 0; i < LH_LANES_MAX; i++) {
        const struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane == NULL || !lh_engine_carries_blocks(transport, lane))
            continue;
        reason = lane_held_by(transport, lane);
        if (reason == LH_HELD_BY_NOTHING)
            break;
    }
    return reason;
}

static const char *held_by_word(const struct lh_transport *transport)
{
    static const char *const words[LH_HELD_BY_N_] = {
        [LH_HELD_BY_NOTHING] = "nothing", [LH_HELD_BY_NETWORK] = "network",
        [LH_HELD_BY_POLICY] = "policy",   [LH_HELD_BY_WINDOW] = "window",
        [LH_HELD_BY_SOURCE] = "source",   [LH_HELD_BY_SOCKET] = "socket",
    };
    return words[lh_transport_held_by(transport)];
}

// --- Samples -------------------------------------------------------------------------------------

static void sample_sent(const struct lh_transport *transport, const struct lh_lane *lane)
{
    struct lh_lane_stats stats;
    const struct lh_cc_view view = lh_lane_view(lane);
    lh_lane_get_stats(lane, &stats);
    struct lh_event_sent event = {
        .lane = lane->id,
        .phase = stats.cc_phase,
        .held_by = held_by_word(transport),
        .pace = stats.pacing_rate,
        .delivered = stats.delivery_rate,
        .model = view.bandwidth,
        .cwnd = stats.cwnd,
        .inflight = stats.inflight,
        .rtt = stats.rtt_smoothed,
        .rtt_min = stats.rtt_min,
        .queue = stats.queue_delay,
        .packets = stats.packets_sent,
        .bytes = stats.bytes_sent,
        .content = transport->block_tx.acked_bytes,
        .again = stats.retransmitted_bytes,
        .lost = stats.packets_lost,
        .lost_receiver = stats.packets_lost_receiver,
        .lost_timer = stats.packets_given_up,
        .spurious = stats.packets_lost_spurious,
        .loss_base = view.loss_base_ppm,
        .congestion = view.congestions,
        .marked = lane->peer_ce,
        .payload = stats.payload_max,
    };
    lh_engine_trace_event(transport, LH_EVENT_sent, &event);
}

static void sample_received(const struct lh_transport *transport, const struct lh_lane *lane)
{
    struct lh_event_received event = {
        .lane = lane->id,
        .packets = lane->reporter.packets,
        .bytes = lane->reporter.bytes,
        .content = transport->block_rx.delivered_bytes,
        .duplicates = lane->reporter.duplicates,
        .forged = lane->stats.forged_packets,
        .socket_drops = lane->reporter.socket_drops,
        .marked = lane->reporter.ce,
        .memory = lh_block_rx_memory(&transport->block_rx),
        .content_again = transport->block_rx.duplicate_bytes,
    };
    lh_engine_trace_event(transport, LH_EVENT_received, &event);
}

// Has it been long enough? Then now is the newest time.
static bool is_due(const struct lh_transport *transport, lh_ns *last)
{
    if (*last != 0 && transport->now < *last + transport->trace->interval)
        return false;
    *last = transport->now;
    return true;
}

void lh_engine_trace_slow(struct lh_transport *transport, struct lh_lane *lane)
{
    if (lane->stats.block_bytes_sent > 0 && is_due(transport, &lane->sent_traced_at))
        sample_sent(transport, lane);
    if (lane->stats.block_bytes_received > 0 && is_due(transport, &lane->received_traced_at))
        sample_received(transport, lane);
}

void lh_transport_set_trace(struct lh_transport *transport, const struct lh_trace *trace)
{
    transport->trace = trace;
    if (trace == NULL)
        return;
    struct lh_event_begin event = {
        .session = transport->config.session_id,
        .client = transport->config.is_client,
        .sample_interval = trace->interval,
        .receive_budget = transport->config.receive_budget,
    };
    lh_engine_trace_event(transport, LH_EVENT_begin, &event);
    for (uint8_t i = 0; i < LH_LANES_MAX; i++) {
        if (transport->lanes[i] == NULL)
            continue;
        lh_engine_trace_state(transport, transport->lanes[i]);
        lh_engine_trace_limits(transport, transport->lanes[i]);
    }
}
