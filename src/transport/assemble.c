// SPDX-License-Identifier: Apache-2.0
//
// Packets out: what goes into the next packet of a lane, and in which order.
//
// How it works. A packet is filled with frames in this order, as far as each is due and fits:
//   PING (alone with control frames, padded to the size being proved)
//   CLOSE; PONG; FEEDBACK; STATE; then data: control stream, lost chunks, new chunks; ACK_NOW
// The frames of a batch must make packets of one size: the first packet sets it, and a packet that
// comes out shorter ends the batch. While more data waits, a packet is padded rather than left
// short. Packets of control frames alone expect no acknowledgement and are never repeated as such:
// what they said is said again by newer ones. Answers to path challenges go out alone, to where
// those came from.
//
// Tail repetition: when nothing new is left and packets were lost lately, what is unacknowledged is
// sent once more, oldest first, at the lane's pace, so that the last losses cost no round trip.
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "transport/engine_internal.h"

#define OVERHEAD       (LH_PACKET_HEADER + LH_PACKET_TAG)
#define PIECES_MAX     32 // pieces of content in one packet
#define PIECE_MIN      (LH_FRAME_DATA_HEADER + LH_FRAME_DATA_BLOCK_LEN + LH_FRAME_DATA_LEN + 2)
#define CHUNK_MIN      128 // a further chunk is begun only in so much room
#define LIMIT_MIN      (OVERHEAD + LH_FRAME_TOKEN_LEN)
#define SKIP_EVERY     1024
#define SKIP_LEAST     64
#define PATH_FRAME_LEN (OVERHEAD + LH_FRAME_TOKEN_LEN)
#define FULL_RETRY     (10 * LH_MS) // feedback makes room earlier

struct packet {
    struct lh_transport *transport;
    struct lh_lane *lane;
    lh_ns now;
    struct lh_writer writer; // plaintext, in its final place
    uint8_t *last_data;      // type of the last DATA frame, where the last piece is one
    uint32_t pieces;
    bool is_full;         // the last frame goes on to the end of the packet
    bool tracked;         // expects an acknowledgement
    bool is_repeat;       // made of content that is outstanding already
    bool is_behind_first; // in its batch
    uint8_t ecn;          // mark of the batch
    bool is_paced;        // the pacer has a quantum for this batch
    uint64_t window;      // bytes that may still enter flight
};

// Seals (or leaves it to whoever has the keys) and records the packet whose plaintext is `len`
// bytes at buffer + LH_PACKET_HEADER.
static size_t seal(struct packet *packet, uint8_t *buffer, size_t len)
{
    struct lh_lane *lane = packet->lane;
    uint64_t pn = lane->sent.next;
    struct lh_packet_header header = {
        .lane = lane->id,
        .session_id = packet->transport->config.session_id,
        .pn = pn,
    };
    lh_packet_header_write(&header, buffer);
    uint8_t *text = buffer + LH_PACKET_HEADER;
    lh_err err = lane->keys_taken ? 0
                                  : lh_lane_keys_seal(&lane->seal_keys, pn, buffer,
                                                      LH_PACKET_HEADER, text, len, text);
    if (lh_engine_check(packet->transport, err))
        return 0;
    size_t total = len + OVERHEAD;
    uint32_t ip_bytes = (uint32_t)total + lane->config.ip_overhead;
    lh_sent_push(&lane->sent, packet->now, ip_bytes, packet->pieces, packet->tracked);
    if (packet->is_repeat)
        lh_sent_record(&lane->sent, pn)->flags |= LH_SENT_REPEATED;
    if (packet->is_behind_first)
        lh_sent_record(&lane->sent, pn)->flags |= LH_SENT_MIDDLE;
    if (packet->ecn != LH_ECN_NOT_ECT)
        lh_sent_record(&lane->sent, pn)->flags |= LH_SENT_ECT;
    lh_lane_on_sent(lane, ip_bytes, packet->tracked, packet->now);
    if (packet->tracked)
        packet->window = lh_sub_sat(packet->window, ip_bytes);
    lane->stats.packets_sent++;
    lane->stats.bytes_sent += total;
    return total;
}

static void skip_number(struct lh_transport *transport, struct lh_lane *lane)
{
    if (lane->sent.next != lane->skip_at)
        return;
    lh_sent_skip(&lane->sent);
    lane->skip_at = lane->sent.next + SKIP_LEAST + lh_random_below(&transport->random, SKIP_EVERY);
}

static bool prepare(struct packet *packet, uint8_t *buffer, size_t limit)
{
    struct lh_lane *lane = packet->lane;
    if (!lh_sent_reserve(&lane->sent, PIECES_MAX)) {
        lane->full_until = packet->now + FULL_RETRY;
        return false;
    }
    lane->full_until = 0;
    skip_number(packet->transport, lane);
    packet->writer = lh_writer_of(buffer + LH_PACKET_HEADER, limit - OVERHEAD);
    return true;
}

static void write_close(struct packet *packet)
{
    const struct lh_transport *transport = packet->transport;
    struct lh_lane *lane = packet->lane;
    if (lane->close_sent >= LH_CLOSE_REPEATS || lane->close_at > packet->now)
        return;
    const struct lh_frame_close frame = {
        .code = transport->close_code,
        .reason = transport->close_reason,
        .reason_len = transport->close_reason_len,
    };
    lh_frame_write_close(&packet->writer, &frame);
    lane->close_sent = lane->is_udp ? lane->close_sent + 1 : LH_CLOSE_REPEATS;
    lane->close_at = packet->now + LH_CLAMP(lh_rtt_smoothed(&lane->rtt), 10 * LH_MS, 200 * LH_MS);
}

static void write_ecn(struct packet *packet)
{
    const struct lh_reporter *reporter = &packet->lane->reporter;
    const struct lh_frame_ecn frame = {
        .ect0 = reporter->ect0, .ect1 = reporter->ect1, .ce = reporter->ce};

    if (packet->lane->ecn.state != LH_ECN_OFF && frame.ect0 + frame.ect1 + frame.ce > 0)
        lh_frame_write_ecn(&packet->writer, &frame);
}

static void write_feedback(struct packet *packet)
{
    struct lh_transport *transport = packet->transport;
    struct lh_reporter *reporter = &packet->lane->reporter;
    if (!lh_reporter_is_due(reporter, packet->now))
        return;
    lh_ns rtt = packet->lane->is_udp ? lh_rtt_smoothed(&packet->lane->rtt) : 0;
    if (lh_writer_left(&packet->writer) < LH_FRAME_ECN_MAX + LH_REPORTER_ROOM_MIN)
        return;
    write_ecn(packet);
    const struct lh_frame_feedback grants = {
        .grant_bytes = lh_block_rx_grant(&transport->block_rx, rtt, packet->now),
        .grant_block = lh_block_rx_grant_block(&transport->block_rx),
        .grant_stream = lh_stream_rx_grant(&transport->stream_rx),
    };
    if (!lh_reporter_write(reporter, &packet->writer, &packet->lane->replay, &grants, packet->now))
        return;
    transport->told_grant_bytes = grants.grant_bytes;
    transport->told_grant_block = grants.grant_block;
    transport->told_grant_stream = grants.grant_stream;
}

static void write_control(struct packet *packet)
{
    struct lh_probe *probe = &packet->lane->probe;
    while (probe->pong_count > 0 && lh_writer_left(&packet->writer) >= LH_FRAME_TOKEN_LEN)
        lh_frame_write_token(&packet->writer, LH_FRAME_PONG, probe->pongs[--probe->pong_count]);
    write_feedback(packet);
}

static void
add_piece(struct packet *packet, uint32_t block, uint32_t offset, uint16_t len, bool is_stream)
{
    const struct lh_content content = {block, offset, len, is_stream};
    lh_sent_add_content(&packet->lane->sent, &content);
    packet->pieces++;
    packet->tracked = true;
}

// Bytes of a DATA frame besides its content and its length.
static size_t data_header(const struct lh_transport *transport, const struct lh_frame_data *chunk)
{
    bool is_full = chunk->block_len == transport->config.block_full;
    return LH_FRAME_DATA_HEADER + (is_full ? 0 : LH_FRAME_DATA_BLOCK_LEN);
}

// Writes the chunk, which must fit. Where no other frame could follow, its length goes without
// saying.
static void add_chunk(struct packet *packet, const struct lh_frame_data *chunk)
{
    struct lh_frame_data frame = *chunk;
    if (chunk->block_len == packet->transport->config.block_full)
        frame.block_len = 0;
    size_t used = data_header(packet->transport, chunk) + chunk->len;
    frame.to_end = lh_writer_left(&packet->writer) < used + LH_FRAME_DATA_LEN;
    packet->is_full = frame.to_end;
    packet->last_data = packet->writer.at;
    lh_frame_write_data(&packet->writer, &frame);
    add_piece(packet, chunk->block, chunk->offset, chunk->len, false);
    packet->lane->stats.block_bytes_sent += chunk->len;
}

static void add_stream(struct packet *packet, const struct lh_frame_stream *chunk)
{
    packet->last_data = NULL;
    lh_frame_write_stream(&packet->writer, chunk);
    add_piece(packet, 0, (uint32_t)chunk->offset, chunk->len, true);
}

// Room for the content of a STREAM frame; one byte stays for ACK_NOW.
static uint32_t stream_room(const struct packet *packet)
{
    return (uint32_t)lh_sub_sat(lh_writer_left(&packet->writer), LH_FRAME_STREAM_HEADER + 1);
}

// Adds one piece of content; false where there is none for this lane.
static bool write_piece(struct packet *packet)
{
    struct lh_transport *transport = packet->transport;
    struct lh_frame_stream stream;
    struct lh_frame_data chunk;
    if (lh_engine_carries_stream(transport, packet->lane) &&
        lh_stream_tx_take(&transport->stream_tx, stream_room(packet), &stream)) {
        add_stream(packet, &stream);
        return true;
    }
    uint64_t again = transport->block_tx.retransmitted_bytes;
    uint64_t room = lh_sub_sat(lh_writer_left(&packet->writer), LH_FRAME_DATA_HEADER);
    if (lh_engine_carries_blocks(transport, packet->lane) &&
        lh_block_tx_take(&transport->block_tx, (uint32_t)room, &chunk)) {
        add_chunk(packet, &chunk);
        packet->lane->stats.retransmitted_bytes += transport->block_tx.retransmitted_bytes - again;
        return true;
    }
    return false;
}

// Adds the content of one earlier packet once more. The pieces fit, because that packet was no
// larger than this one; where sizes changed meanwhile, what does not fit is left to ordinary
// recovery.
static void repeat_record(struct packet *packet, const struct lh_sent_record *record)
{
    struct lh_transport *transport = packet->transport;
    for (uint32_t i = 0; i < record->content_count && packet->pieces < PIECES_MAX; i++) {
        const struct lh_content old = *lh_sent_content(&packet->lane->sent, record, i);
        struct lh_frame_stream stream;
        struct lh_frame_data chunk;
        if (packet->is_full)
            break;
        if (old.is_stream) {
            if (lh_stream_tx_again(&transport->stream_tx, old.offset, old.len, &stream) &&
                stream.len <= stream_room(packet))
                add_stream(packet, &stream);
        } else if (lh_block_tx_again(&transport->block_tx, old.block, old.offset, old.len,
                                     &chunk) &&
                   data_header(transport, &chunk) + chunk.len <= lh_writer_left(&packet->writer)) {
            add_chunk(packet, &chunk);
            packet->lane->stats.retransmitted_bytes += chunk.len;
        }
    }
}

static void write_tail(struct packet *packet)
{
    struct lh_lane *lane = packet->lane;
    lh_ns from;
    if (!lh_engine_tail_from(packet->transport, lane, &from) || from > packet->now)
        return;
    while (packet->pieces == 0) {
        uint64_t pn = lh_sent_next_outstanding(&lane->sent, lane->tail_pn);
        lane->tail_pn = pn + 1;
        if (pn >= lane->sent.next)
            return;
        struct lh_sent_record *record = lh_sent_record(&lane->sent, pn);
        if (record->flags & LH_SENT_REPEATED)
            continue;
        record->flags |= LH_SENT_REPEATED;
        packet->is_repeat = true;
        lane->tail_bytes += record->bytes;
        repeat_record(packet, record);
    }
}

static void write_data(struct packet *packet)
{
    struct lh_lane *lane = packet->lane;
    if (lane->state_due && lh_writer_left(&packet->writer) >= 2 * LH_FRAME_STATE_LEN) {
        const struct lh_frame_state state = {
            .floor = lane->sent.floor,
            .interval_us = (uint32_t)(lh_lane_interval(lane) / LH_US),
        };
        lh_frame_write_state(&packet->writer, &state);
        lane->state_due = false;
    }
    while (packet->pieces < PIECES_MAX && !packet->is_full) {
        size_t least = packet->pieces == 0 ? PIECE_MIN : CHUNK_MIN;
        if (lh_writer_left(&packet->writer) < least || !write_piece(packet))
            break;
    }
    if (packet->pieces == 0)
        write_tail(packet);
    if (packet->pieces == 0)
        return;
    if (!lh_engine_has_data_for(packet->transport, lane)) {
        if (packet->last_data != NULL)
            *packet->last_data |= LH_DATA_ACK_NOW;
        else
            lh_write_u8(&packet->writer, LH_FRAME_ACK_NOW);
    } else if (lane->is_udp && !packet->is_full) { // a pipe has no use for packets of one size
        // Padding: zeros, which read as LH_FRAME_PAD.
        size_t left = lh_writer_left(&packet->writer);
        memset(lh_write_reserve(&packet->writer, left), 0, left);
    }
}

// Writes a packet of at most `limit` bytes; 0 where there is nothing to send. `data`: may carry
// data.
static size_t build(struct packet *packet, uint8_t *buffer, size_t limit, bool data)
{
    if (!prepare(packet, buffer, limit))
        return 0;
    if (packet->transport->closing) {
        write_close(packet);
    } else {
        write_control(packet);
        if (data)
            write_data(packet);
    }
    size_t used = lh_writer_used(&packet->writer);
    LH_ASSERT(!packet->writer.bad);
    return used == 0 ? 0 : seal(packet, buffer, used);
}

static size_t build_ping(struct packet *packet, uint8_t *buffer, uint32_t size)
{
    struct lh_lane *lane = packet->lane;
    if (!prepare(packet, buffer, size))
        return 0;
    bool is_up = lane->state == LH_LANE_UP;
    uint64_t token = lh_probe_sent(&lane->probe, &packet->transport->random, is_up,
                                   lh_rtt_smoothed(&lane->rtt), packet->now);
    lh_frame_write_token(&packet->writer, LH_FRAME_PING, token);
    if (size <= lh_lane_payload(lane)) // a larger one may well vanish, and what it carries with it
        write_control(packet);
    size_t left = lh_writer_left(&packet->writer);
    memset(lh_write_reserve(&packet->writer, left), 0, left);
    if (lane->silence_at == LH_NEVER && is_up && lane->is_udp)
        lane->silence_at = packet->now + lh_lane_patience(lane);
    return seal(packet, buffer, size - OVERHEAD);
}

// Answers and challenges that go to a path of their own: one packet, one batch.
static bool send_path_frame(struct packet *packet, struct lh_batch *batch)
{
    struct lh_path *path = &packet->lane->path;
    uint32_t to = 0;
    uint64_t token = 0;
    bool is_challenge = path->response_count == 0 &&
                        lh_path_challenge_due(path, PATH_FRAME_LEN, packet->now, &to, &token);
    if ((path->response_count == 0 && !is_challenge) || batch->room < PATH_FRAME_LEN ||
        !prepare(packet, batch->buffer, PATH_FRAME_LEN))
        return false;
    if (path->response_count > 0) {
        struct lh_path_response response = path->responses[--path->response_count];
        batch->path = response.path;
        lh_frame_write_token(&packet->writer, LH_FRAME_PATH_RESPONSE, response.token);
    } else {
        batch->path = to;
        lh_frame_write_token(&packet->writer, LH_FRAME_PATH_CHALLENGE, token);
        lh_path_challenge_sent(path, to, PATH_FRAME_LEN, lh_rtt_smoothed(&packet->lane->rtt),
                               packet->now);
    }
    batch->len = batch->segment_size = (uint32_t)seal(packet, batch->buffer, LH_FRAME_TOKEN_LEN);
    batch->segments = 1;
    return true;
}

// The size of the PING that is due, 0 for none. A path that has not proved itself gets no larger
// one than it has paid for.
static uint32_t ping_size(struct packet *packet)
{
    struct lh_lane *lane = packet->lane;
    if (packet->transport->closing)
        return 0;
    for (;;) {
        uint32_t size = lh_probe_size(&lane->probe, packet->now);
        if (!LH_GUARD(PING_AMPLIFY, size > lh_path_allowance(&lane->path)))
            return size;
        if (!lh_probe_skip(&lane->probe, packet->now))
            return 0;
    }
}

// One packet for the batch, of at most `limit` bytes; 0 where there is nothing, or nothing that
// fits.
static size_t next_packet(struct packet *packet, struct lh_batch *batch, size_t limit)
{
    struct lh_lane *lane = packet->lane;
    uint8_t *buffer = batch->buffer + batch->len;
    uint32_t ping = ping_size(packet);
    packet->pieces = 0;
    packet->last_data = NULL;
    packet->tracked = packet->is_repeat = packet->is_full = false;
    if (ping > 0) {
        // A first packet may be as large as its PING; later ones must fit the batch.
        size_t most = batch->segments == 0 ? batch->room : limit;
        return ping <= most ? build_ping(packet, buffer, ping) : 0;
    }
    bool data = lh_engine_may_send(packet->transport, lane) &&
                (lane->free_packets > 0 ||
                 (packet->is_paced && lane->pacer.credit > 0 && packet->window >= limit));
    return build(packet, buffer, limit, data);
}

static void note_limits(struct lh_transport *transport, struct lh_lane *lane, lh_ns now)
{
    if (lane->state != LH_LANE_UP) {
        lane->app_limited_pn = lane->sent.next; // nothing but probes so far
        return;
    }
    bool idle = !lh_engine_has_data_for(transport, lane);
    lh_lane_note_late(lane, idle || lane->tail_since != LH_NEVER);
    if (!idle && lh_lane_window(lane) < lh_lane_payload(lane))
        lh_pacer_hold(&lane->pacer, now);
    bool could = lh_lane_window(lane) > 0 && lane->pacer.credit > 0;
    if (idle && could)
        lane->app_limited_pn = lane->sent.next;
    lane->was_window_limited = idle && transport->block_tx.window_limited;
    if (!idle) {
        lane->tail_since = LH_NEVER;
    } else if (lane->tail_since == LH_NEVER) {
        lane->tail_since = now;
        lane->tail_pn = lane->sent.floor;
    }
}

void lh_transport_send(struct lh_transport *transport,
                       uint8_t id,
                       struct lh_batch *batch,
                       lh_ns now)
{
    struct lh_lane *lane = lh_engine_lane(transport, id);
    batch->len = batch->segments = batch->segment_size = 0;
    if (transport->closed || lane == NULL)
        return;
    transport->now = LH_MAX(transport->now, now);
    struct packet packet = {.transport = transport, .lane = lane, .now = now};
    packet.is_paced = lh_pacer_available(&lane->pacer, now) > 0;
    packet.window = lh_lane_window(lane);
    batch->path = lane->path.current;
    batch->ecn = LH_ECN_NOT_ECT;
    if (lane->is_udp && !transport->closing && send_path_frame(&packet, batch))
        return;
    if (lane->state == LH_LANE_UP)
        batch->ecn = packet.ecn = lh_ecn_mark(&lane->ecn);
    while (batch->segments < batch->segments_max) {
        size_t room = batch->room - batch->len;
        size_t limit = batch->segments == 0 ? LH_MIN((size_t)lh_lane_payload(lane), room)
                                            : batch->segment_size;
        if (room < limit || limit < LIMIT_MIN || lh_path_allowance(&lane->path) < limit)
            break;
        packet.is_behind_first = batch->segments > 0;
        size_t len = next_packet(&packet, batch, limit);
        if (len == 0)
            break;
        lh_path_sent(&lane->path, len);
        if (batch->segments++ == 0)
            batch->segment_size = (uint32_t)len;
        batch->len += len;
        if (len != limit) // shorter, or a PING that is larger than what has proved to pass
            break;
    }
    // Some devices lose the last packet of a batch when it is as long as the others (udp/gso.h).
    if (batch->segments > 1 && batch->len == (size_t)batch->segments * batch->segment_size)
        lh_sent_record(&lane->sent, lane->sent.next - 1)->flags |= LH_SENT_LAST;
    note_limits(transport, lane, now);
    lh_engine_notify(transport);
    lh_detour_on_work(&transport->detour, lh_block_tx_has_data(&transport->block_tx), now);
}
