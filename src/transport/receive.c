// SPDX-License-Identifier: Apache-2.0
//
// Packets in: from bytes that anybody may have sent to frames that the peer has sent.
//
// How it works. The order matters: cheap checks of the header, then the replay window, then the
// AEAD; only what has passed all three changes any state. A forged or repeated packet leaves a
// count behind and nothing else, and nothing is ever answered to it. After that the peer is who it
// is, but it may still lie: each frame is checked by the sub-machine it belongs to, and a lie ends
// the session.
//
// The packets of a lane whose keys were taken come opened; the replay window then stands behind the
// AEAD, and both still before anything else.
#include "base/assert.h"
#include "base/math.h"
#include "transport/engine_internal.h"
#include "transport/sealing.h"

struct arrival {
    struct lh_transport *transport;
    struct lh_lane *lane;
    uint32_t path;
    lh_ns now;
    bool wants_report, at_once, is_marked; // is_marked: CE
};

static lh_err on_data(struct arrival *arrival, const struct lh_frame *frame)
{
    struct lh_transport *transport = arrival->transport;
    const struct lh_transport_events *events = transport->config.events;
    const struct lh_rx_block *whole;
    lh_err err = lh_block_rx_data(&transport->block_rx, &frame->data, &whole);
    if (err != 0)
        return err;
    arrival->wants_report = true;
    arrival->at_once |= frame->data.ack_now;
    arrival->lane->stats.block_bytes_received += frame->data.len;
    arrival->lane->quiet_interval = LH_QUIET_FIRST;
    if (whole != NULL && whole->is_early)
        events->on_block_end(transport->config.user, frame->data.block, whole->len);
    else if (whole != NULL)
        events->on_block(transport->config.user, frame->data.block, whole->data, whole->len);
    return 0;
}

static lh_err on_stream(struct arrival *arrival, const struct lh_frame *frame)
{
    struct lh_transport *transport = arrival->transport;
    const uint8_t *data;
    size_t len;
    arrival->lane->quiet_interval = LH_QUIET_FIRST;
    lh_err err = lh_stream_rx_data(&transport->stream_rx, &frame->stream);
    if (err != 0)
        return err;
    arrival->wants_report = true;
    while (!transport->closed && lh_stream_rx_next(&transport->stream_rx, &data, &len))
        transport->config.events->on_stream(transport->config.user, data, len);
    return 0;
}

static lh_err on_feedback(struct arrival *arrival, const struct lh_frame *frame)
{
    struct lh_transport *transport = arrival->transport;
    const struct lh_frame_feedback *feedback = &frame->feedback;
    struct lh_loss_sink sink = lh_engine_sink(transport);
    lh_block_tx_grant(&transport->block_tx, feedback->grant_bytes, feedback->grant_block);
    lh_stream_tx_grant(&transport->stream_tx, feedback->grant_stream);
    lh_err err = lh_lane_on_feedback(arrival->lane, feedback, &sink, arrival->now);
    if (err == 0 && lh_lane_drifts(arrival->lane))
        lh_engine_set_apart(transport, arrival->lane, arrival->now);
    return err;
}

static lh_err on_ping(struct arrival *arrival, const struct lh_frame *frame)
{
    lh_probe_on_ping(&arrival->lane->probe, frame->token);
    arrival->wants_report = arrival->at_once = true;
    return 0;
}

static lh_err on_pong(struct arrival *arrival, const struct lh_frame *frame)
{
    struct lh_lane *lane = arrival->lane;
    lh_ns rtt;
    if (!lh_probe_on_pong(&lane->probe, frame->token, arrival->now, &rtt))
        return 0;
    lh_rtt_sample(&lane->rtt, rtt, arrival->now);
    lh_lane_on_echo(lane, arrival->now);
    // While a client tries several addresses, the first that answers is the peer's.
    if (lane->state == LH_LANE_IDLE && arrival->transport->config.is_client)
        lh_path_set(&lane->path, arrival->path, true);
    if (arrival->path == lane->path.current)
        lh_path_on_echo(&lane->path);
    lane->pto_count = 0;
    if (lane->state != LH_LANE_UP)
        lh_engine_set_lane_state(arrival->transport, lane, LH_LANE_UP);
    return 0;
}

static lh_err on_path_challenge(struct arrival *arrival, const struct lh_frame *frame)
{
    lh_path_on_challenge(&arrival->lane->path, arrival->path, frame->token);
    return 0;
}

static lh_err on_path_response(struct arrival *arrival, const struct lh_frame *frame)
{
    struct lh_lane *lane = arrival->lane;
    if (lh_path_on_response(&lane->path, frame->token, arrival->now))
        lh_engine_path_changed(arrival->transport, lane, arrival->now);
    return 0;
}

static lh_err on_close(struct arrival *arrival, const struct lh_frame *frame)
{
    lh_engine_finish(arrival->transport, (int)frame->close.code, (const char *)frame->close.reason,
                     frame->close.reason_len);
    return 0;
}

static lh_err on_state(struct arrival *arrival, const struct lh_frame *frame)
{
    lh_reporter_on_state(&arrival->lane->reporter, &frame->state);
    return 0;
}

static lh_err on_ack_now(struct arrival *arrival, const struct lh_frame *frame)
{
    (void)frame;
    arrival->wants_report = arrival->at_once = true;
    return 0;
}

static lh_err on_ecn(struct arrival *arrival, const struct lh_frame *frame)
{
    return lh_ecn_on_counts(&arrival->lane->ecn, &frame->ecn, arrival->lane->sent.next);
}

static lh_err (*const frame_handlers[LH_FRAME_N_])(struct arrival *, const struct lh_frame *) = {
    [LH_FRAME_DATA] = on_data,
    [LH_FRAME_STREAM] = on_stream,
    [LH_FRAME_FEEDBACK] = on_feedback,
    [LH_FRAME_PING] = on_ping,
    [LH_FRAME_PONG] = on_pong,
    [LH_FRAME_PATH_CHALLENGE] = on_path_challenge,
    [LH_FRAME_PATH_RESPONSE] = on_path_response,
    [LH_FRAME_CLOSE] = on_close,
    [LH_FRAME_STATE] = on_state,
    [LH_FRAME_ACK_NOW] = on_ack_now,
    [LH_FRAME_ECN] = on_ecn,
};

// The next frame, as lh_frame_read(); what went without saying is filled in.
static lh_err next_frame(const struct lh_transport *transport,
                         struct lh_reader *reader,
                         struct lh_frame *out_frame)
{
    lh_err err = lh_frame_read(reader, out_frame);
    if (err != 0 || out_frame->type != LH_FRAME_DATA || out_frame->data.block_len != 0)
        return err;
    struct lh_frame_data *data = &out_frame->data;
    data->block_len = transport->config.block_full;
    bool fits = (uint64_t)data->offset + data->len <= data->block_len;
    return LH_GUARD(BLOCK_FULL, !fits) ? LH_E_PROTO : 0;
}

static void on_frames(struct arrival *arrival, const uint8_t *text, size_t len)
{
    struct lh_reader reader = lh_reader_of(text, len);
    while (!arrival->transport->closed) {
        struct lh_frame frame;
        lh_err err = next_frame(arrival->transport, &reader, &frame);
        if (err == LH_EOF)
            break;
        if (err == 0)
            err = frame_handlers[frame.type](arrival, &frame);
        if (lh_engine_check(arrival->transport, err))
            return;
    }
    if (!arrival->wants_report)
        return;
    lh_reporter_want(&arrival->lane->reporter, arrival->at_once, arrival->now);
    if (arrival->is_marked)
        lh_reporter_hurry(&arrival->lane->reporter, arrival->now);
}

// Is there memory for everything that the packet brings?
static bool has_room(const struct lh_transport *transport, const uint8_t *text, size_t len)
{
    const struct lh_block_rx *rx = &transport->block_rx;
    struct lh_reader reader = lh_reader_of(text, len);
    struct lh_frame frame;
    uint64_t need = 0, newest = UINT64_MAX;
    if (!lh_block_rx_is_tight(rx))
        return true;
    while (next_frame(transport, &reader, &frame) == 0)
        if (frame.type == LH_FRAME_DATA)
            need += lh_block_rx_need(rx, &frame.data, &newest);
    return lh_block_rx_has_room(rx, need);
}

// The packet counts as lost, and is sent again. What it says of our own packets is heard all the
// same: else we might never learn of them while our memory is full. On a pipe nothing is lost, so
// that the peer takes a packet for refused as soon as it sees the next one reported.
static void refuse(struct arrival *arrival,
                   const struct lh_packet_header *header,
                   const uint8_t *text,
                   size_t len)
{
    struct lh_lane *lane = arrival->lane;
    struct lh_reader reader = lh_reader_of(text, len);
    struct lh_frame frame;
    arrival->transport->last_received = arrival->now;
    lane->reporter.refused++;
    if (!lane->is_udp)
        lh_replay_pass(&lane->replay, header->pn);
    lh_reporter_want(&lane->reporter, false, arrival->now);
    while (!arrival->transport->closed && lh_frame_read(&reader, &frame) == 0) {
        if (frame.type != LH_FRAME_FEEDBACK && frame.type != LH_FRAME_PONG)
            continue;
        lh_err err = frame_handlers[frame.type](arrival, &frame);
        if (lh_engine_check(arrival->transport, err))
            return;
    }
}

// Things that are not the peer's. Only what had a good header counts towards the forgery limit.
static void on_forged(struct lh_transport *transport, struct lh_lane *lane, uint64_t count)
{
    lane->stats.forged_packets += count;
    transport->forged += count;
    if (LH_GUARD(FORGERY_LIMIT, transport->forged >= transport->forgery_limit))
        lh_engine_finish(transport, LH_E_AUTH, NULL, 0);
}

// LH_E_AUTH: it is no packet of this lane.
static lh_err read_header(const struct lh_transport *transport,
                          const struct lh_lane *lane,
                          const struct lh_dgram *dgram,
                          struct lh_packet_header *out_header)
{
    if (lane->keys_taken) {
        out_header->pn = lh_sealing_number(dgram->data, dgram->len);
        return 0;
    }
    lh_err err = lh_packet_header_read(dgram->data, dgram->len, lane->replay.top, out_header);
    if (err != 0 || out_header->lane != lane->id ||
        out_header->session_id != transport->config.session_id)
        return LH_E_AUTH;
    return 0;
}

static void on_dgram(struct arrival *arrival, struct lh_dgram *dgram)
{
    struct lh_transport *transport = arrival->transport;
    struct lh_lane *lane = arrival->lane;
    struct lh_packet_header header;
    lh_err err = read_header(transport, lane, dgram, &header);
    if (err != 0) {
        lane->stats.forged_packets++;
        return;
    }
    if (LH_GUARD(REPLAY, lh_replay_seen(&lane->replay, header.pn))) {
        lane->reporter.duplicates++;
        return;
    }
    uint8_t *text = dgram->data + LH_PACKET_HEADER;
    if (!lane->keys_taken)
        err = lh_lane_keys_open(&lane->open_keys, header.pn, dgram->data, LH_PACKET_HEADER, text,
                                dgram->len - LH_PACKET_HEADER, text, arrival->now,
                                lh_rtt_pto(&lane->rtt));
    if (err != 0) {
        on_forged(transport, lane, 1);
        return;
    }
    arrival->path = dgram->path;
    if (!has_room(transport, text, dgram->len - LH_PACKET_HEADER - LH_PACKET_TAG)) {
        refuse(arrival, &header, text, dgram->len - LH_PACKET_HEADER - LH_PACKET_TAG);
        return;
    }
    bool is_newest = header.pn >= lane->replay.top;
    lh_replay_mark(&lane->replay, header.pn);
    lh_reporter_on_packet(&lane->reporter, dgram->len, is_newest, dgram->ecn & 3, arrival->now);
    lh_lane_on_receive(lane);
    transport->last_received = lane->received_at = arrival->now;
    if (lane->is_udp)
        lh_path_on_packet(&lane->path, dgram->path, is_newest, dgram->len, &transport->random,
                          arrival->now);
    arrival->wants_report = arrival->at_once = false;
    arrival->is_marked = (dgram->ecn & 3) == 3;
    on_frames(arrival, text, dgram->len - LH_PACKET_HEADER - LH_PACKET_TAG);
}

void lh_transport_recv(
    struct lh_transport *transport, uint8_t id, struct lh_dgram *dgrams, size_t count, lh_ns now)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    transport->now = LH_MAX(transport->now, now);
    if (lane == NULL || transport->closing)
        return;
    struct arrival arrival = {.transport = transport, .lane = lane, .now = now};
    for (size_t i = 0; i < count && !transport->closed && lane->state != LH_LANE_DEAD; i++)
        on_dgram(&arrival, &dgrams[i]);
    lh_engine_trace(transport, lane);
    lh_engine_notify(transport);
}

void lh_transport_note_forged(struct lh_transport *transport,
                              uint8_t id,
                              uint64_t forged,
                              uint64_t strange)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    if (lane == NULL || forged + strange == 0)
        return;
    lane->stats.forged_packets += strange;
    on_forged(transport, lane, forged);
}
