// SPDX-License-Identifier: Apache-2.0
//
// What a peer that holds the keys may say. The first byte picks the role and whether the codec
// alone or a live transport hears it; then packets follow: u8 milliseconds to wait, u16 length,
// plaintext. The live transport has blocks, stream and lanes of its own under way, and is asked to
// send after each packet. The null AEAD stands in for sealing.
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "transport/packet.h"
#include "transport/report.h"
#include "transport/transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BLOCKS_HELD 64

struct world {
    struct lh_transport *transport;
    bool closed;
    uint32_t held[BLOCKS_HELD];
    unsigned held_count;
};

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct world *world = user;
    memset(data, 1, len); // ours until it is released
    if (block % 2 == 0 || world->held_count == BLOCKS_HELD)
        lh_transport_block_release(world->transport, block);
    else
        world->held[world->held_count++] = block;
}

static void on_block_acked(void *user, uint32_t block, uint8_t *data, size_t len)
{
    (void)user;
    (void)block;
    (void)data;
    (void)len;
}

static void on_stream(void *user, const uint8_t *data, size_t len)
{
    struct world *world = user;
    LH_ASSERT(len > 0 && data != NULL);
    lh_transport_stream_consumed(world->transport, len);
}

static void on_writable(void *user)
{
    (void)user;
}

static void on_lane_state(void *user, uint8_t lane, enum lh_lane_state state)
{
    (void)user;
    (void)lane;
    (void)state;
}

static void on_closed(void *user, int code, const char *reason, size_t reason_len)
{
    struct world *world = user;
    (void)code;
    LH_ASSERT(!world->closed);
    LH_ASSERT(reason_len <= LH_REASON_MAX && (reason != NULL || reason_len == 0));
    world->closed = true;
}

static const struct lh_transport_events events = {
    on_block, on_block_acked, on_stream, on_writable, on_lane_state, on_closed,
};

static void start(struct world *world, bool is_client, lh_ns now)
{
    static uint8_t block[5000];
    const struct lh_transport_config config = {
        .is_client = is_client,
        .session_id = 1,
        .aead = &lh_aead_null,
        .epoch_shift = LH_EPOCH_SHIFT,
        .block_max = 65536,
        .block_full = 5000,
        .receive_budget = 1 << 20,
        .seed = 9,
        .events = &events,
        .user = world,
    };
    uint32_t number;
    lh_err err = lh_transport_new(&config, now, &world->transport);
    for (uint8_t lane = 0; lane < 2 && err == 0; lane++) {
        const struct lh_lane_config lane_config = {
            .lane = lane,
            .cc = lane == LH_LANE_SSH ? &lh_cc_pipe : &lh_cc_fixed,
            .limits = {.rate_target = 12500000},
            .payload_max = 1472,
            .ip_overhead = 28,
        };
        err = lh_transport_add_lane(world->transport, &lane_config, now);
    }
    LH_ASSERT(err == 0);
    err = lh_transport_stream_write(world->transport, block, 3000);
    LH_ASSERT(err == 0);
    for (int i = 0; i < 3; i++) {
        err = lh_transport_send_block(world->transport, block, sizeof block, &number);
        LH_ASSERT(err == 0 || err == LH_AGAIN);
    }
}

static void flush(struct world *world, lh_ns now)
{
    static uint8_t buffer[65536];
    for (uint8_t lane = 0; lane < 2; lane++) {
        for (int i = 0; i < 64; i++) {
            struct lh_batch batch = {.buffer = buffer, .room = sizeof buffer, .segments_max = 16};
            lh_transport_send(world->transport, lane, &batch, now);
            LH_ASSERT(batch.len <= sizeof buffer);
            if (batch.segments == 0)
                break;
        }
    }
}

static void
hear(struct world *world, const uint8_t *text, size_t len, uint8_t lane, uint64_t pn, lh_ns now)
{
    uint8_t packet[4096];
    const uint8_t nonce[LH_AEAD_IV_LEN] = {0};
    struct lh_aead_ctx *ctx;
    const struct lh_packet_header header = {.lane = lane, .session_id = 1, .pn = pn};
    len = LH_MIN(len, sizeof packet - LH_PACKET_HEADER - LH_PACKET_TAG);
    lh_packet_header_write(&header, packet);
    const struct lh_aead_text sealed = {.nonce = nonce,
                                        .aad = packet,
                                        .aad_len = LH_PACKET_HEADER,
                                        .in = text,
                                        .len = len,
                                        .out = packet + LH_PACKET_HEADER};
    lh_err err = lh_aead_null.new(&lh_aead_null, &ctx, nonce, true);
    if (err == 0)
        err = lh_aead_null.seal(ctx, &sealed);
    LH_ASSERT(err == 0);
    lh_aead_null.free(ctx);
    struct lh_dgram dgram = {
        .data = packet, .len = len + LH_PACKET_HEADER + LH_PACKET_TAG, .path = (uint32_t)(pn % 3)};
    lh_transport_recv(world->transport, lane, &dgram, 1, now);
}

static void live(bool is_client, struct lh_reader *reader)
{
    struct world world = {0};
    lh_ns now = LH_SECOND;
    start(&world, is_client, now);
    flush(&world, now);
    for (uint64_t pn = 0; lh_reader_left(reader) > 3 && !world.closed; pn++) {
        unsigned wait = lh_read_u8(reader);
        size_t len = lh_read_u16(reader);
        len = LH_MIN(len, lh_reader_left(reader));
        now += wait * LH_MS;
        hear(&world, lh_read_bytes(reader, len), len, wait & 1, pn, now);
        if (world.closed)
            break;
        lh_transport_on_deadline(world.transport, now);
        flush(&world, now);
        while (wait == 7 && world.held_count > 0)
            lh_transport_block_release(world.transport, world.held[--world.held_count]);
    }
    lh_transport_free(world.transport);
}

static void codec(struct lh_reader *reader)
{
    struct lh_frame frame;
    while (lh_frame_read(reader, &frame) == 0) {
        if (frame.type != LH_FRAME_FEEDBACK)
            continue;
        struct lh_reader records = lh_reader_of(frame.feedback.records, frame.feedback.records_len);
        struct lh_report_span span;
        uint64_t at = frame.feedback.start;
        while (lh_report_read(&records, at, &span) == 0)
            at += span.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lh_reader reader = lh_reader_of(data, len);
    uint8_t mode = lh_read_u8(&reader);
    if (mode & 2)
        codec(&reader);
    else
        live(mode & 1, &reader);
    return 0;
}
