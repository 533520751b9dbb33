// SPDX-License-Identifier: Apache-2.0
//
// A peer that holds the keys and lies: one real transport against packets sealed by the test.
#include "check.h"

#include "base/cleanup.h"
#include "base/math.h"
#include "transport/packet.h"
#include "transport/path.h"
#include "transport/transport.h"

#define SESSION 77
#define FULL    60000 // bytes of a full block

struct liar {
    struct lh_transport *victim; // the client; we are its server
    struct lh_lane_keys seal, open;
    uint64_t pn;
    lh_ns now;
    bool closed;
    int close_code;
    unsigned blocks;
    uint64_t top; // largest packet number heard + 1
    bool heard[4096];
    uint64_t heard_packets, heard_bytes;
};

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct liar *liar = user;
    (void)block;
    (void)data;
    (void)len;
    liar->blocks++;
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
    (void)user;
    (void)data;
    (void)len;
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
    struct liar *liar = user;
    (void)reason;
    (void)reason_len;
    liar->closed = true;
    liar->close_code = code;
}

static const struct lh_transport_events events = {
    on_block, on_block_acked, on_stream, on_writable, on_lane_state, on_closed,
};

// Seals the frames in `writer` as the peer's next packet and hands it to the victim.
static void say(struct liar *liar, const struct lh_writer *writer)
{
    uint8_t packet[2048];
    size_t len = lh_writer_used(writer);
    assert_false(writer->bad);
    const struct lh_packet_header header = {.lane = 1, .session_id = SESSION, .pn = liar->pn};
    lh_packet_header_write(&header, packet);
    check_ok(lh_lane_keys_seal(&liar->seal, liar->pn, packet, LH_PACKET_HEADER, writer->start, len,
                               packet + LH_PACKET_HEADER));
    liar->pn++;
    struct lh_dgram dgram = {.data = packet, .len = len + LH_PACKET_HEADER + LH_PACKET_TAG};
    lh_transport_recv(liar->victim, 1, &dgram, 1, liar->now);
}

static void hear_packet(struct liar *liar, uint8_t *packet, size_t len)
{
    struct lh_packet_header header;
    struct lh_frame frame;
    uint8_t *text = packet + LH_PACKET_HEADER;
    check_ok(lh_packet_header_read(packet, len, liar->top, &header));
    check_ok(lh_lane_keys_open(&liar->open, header.pn, packet, LH_PACKET_HEADER, text,
                               len - LH_PACKET_HEADER, text, liar->now, LH_SECOND));
    assert_true(header.pn >= liar->top && header.pn < LH_ARRAY_LEN(liar->heard));
    liar->heard[header.pn] = true;
    liar->heard_packets++;
    liar->heard_bytes += len;
    liar->top = header.pn + 1;
    struct lh_reader reader = lh_reader_of(text, len - LH_PACKET_HEADER - LH_PACKET_TAG);
    lh_err err;
    while ((err = lh_frame_read(&reader, &frame)) == 0) {
        if (frame.type != LH_FRAME_PING)
            continue;
        uint8_t bytes[32];
        struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
        lh_frame_write_token(&writer, LH_FRAME_PONG, frame.token);
        say(liar, &writer);
    }
    check_err(err, LH_EOF);
}

// Hears everything the victim has to say now, and answers its PINGs.
static void hear(struct liar *liar)
{
    static uint8_t buffer[65535];
    lh_transport_on_deadline(liar->victim, liar->now);
    for (;;) {
        struct lh_batch batch = {.buffer = buffer, .room = sizeof buffer, .segments_max = 40};
        lh_transport_send(liar->victim, 1, &batch, liar->now);
        if (batch.segments == 0)
            return;
        for (size_t at = 0; at < batch.len; at += batch.segment_size)
            hear_packet(liar, buffer + at, LH_MIN((size_t)batch.segment_size, batch.len - at));
    }
}

static struct lh_frame_feedback usual_feedback(const struct liar *liar)
{
    return (struct lh_frame_feedback){
        .number = (uint32_t)liar->pn,
        .top = liar->top,
        .clock_us = liar->now / LH_US,
        .packets = liar->heard_packets,
        .bytes = liar->heard_bytes,
        .grant_bytes = 64u << 20,
        .grant_block = 1000,
        .grant_stream = LH_STREAM_WINDOW,
    };
}

static void say_feedback(struct liar *liar, const struct lh_frame_feedback *feedback)
{
    uint8_t bytes[1024];
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    lh_frame_write_feedback(&writer, feedback);
    say(liar, &writer);
}

// Acknowledges everything from `from` to `top`, heard or not.
static void acknowledge_all(struct liar *liar, uint64_t top)
{
    struct lh_frame_feedback feedback = usual_feedback(liar);
    uint8_t record[8];
    struct lh_writer writer = lh_writer_of(record, sizeof record);
    lh_write_varint(&writer, top << 2 | 1);
    feedback.top = top;
    feedback.records = record;
    feedback.records_len = (uint16_t)lh_writer_used(&writer);
    say_feedback(liar, &feedback);
}

static void liar_init(struct liar *liar)
{
    struct lh_secret master = {{0x42}};
    memset(liar, 0, sizeof *liar);
    liar->now = LH_SECOND;
    const struct lh_transport_config config = {
        .is_client = true,
        .session_id = SESSION,
        .aead = &lh_aead_aes128_gcm,
        .master = master,
        .epoch_shift = LH_EPOCH_SHIFT,
        .block_max = 65536,
        .block_full = FULL,
        .receive_budget = 1 << 20,
        .seed = check_seed(1),
        .events = &events,
        .user = liar,
    };
    const struct lh_lane_config lane = {
        .lane = 1,
        .cc = &lh_cc_fixed,
        .limits = {.rate_target = 125000000},
        .payload_max = LH_PACKET_IPV4_1500,
        .ip_overhead = 28,
    };
    check_ok(lh_transport_new(&config, liar->now, &liar->victim));
    check_ok(lh_transport_add_lane(liar->victim, &lane, liar->now));
    check_ok(lh_lane_keys_init(&liar->seal, config.aead, &master, LH_DIR_SERVER_TO_CLIENT, 1, true,
                               LH_EPOCH_SHIFT));
    check_ok(lh_lane_keys_init(&liar->open, config.aead, &master, LH_DIR_CLIENT_TO_SERVER, 1, false,
                               LH_EPOCH_SHIFT));
    hear(liar);
    check_int(lh_transport_lane_state(liar->victim, 1), LH_LANE_UP);
}

static void liar_fini(struct liar *liar)
{
    lh_transport_free(liar->victim);
    lh_lane_keys_fini(&liar->seal);
    lh_lane_keys_fini(&liar->open);
}

static uint8_t block[65536];

// Makes the victim send some data.
static void let_it_send(struct liar *liar, unsigned blocks)
{
    struct lh_frame_feedback feedback = usual_feedback(liar);
    feedback.records = (const uint8_t *)"";
    say_feedback(liar, &feedback);
    for (unsigned i = 0; i < blocks; i++) {
        uint32_t number;
        check_ok(lh_transport_send_block(liar->victim, block, sizeof block, &number));
        for (int step = 0; step < 10; step++) {
            liar->now += LH_MS;
            hear(liar);
        }
    }
    assert_true(liar->top > 30);
}

static void an_acknowledgement_of_the_future_ends_the_session(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    let_it_send(&liar, 1);
    acknowledge_all(&liar, liar.top + 1);
    assert_true(liar.closed);
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

static void an_optimistic_acknowledgement_of_everything_ends_the_session(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    let_it_send(&liar, 3);
    unsigned skipped = 0;
    for (uint64_t pn = 0; pn < liar.top; pn++)
        skipped += !liar.heard[pn];
    assert_true(skipped > 0);
    acknowledge_all(&liar, liar.top);
    assert_true(liar.closed);
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

static void after_the_end_nothing_is_said_or_accepted(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    let_it_send(&liar, 1);
    acknowledge_all(&liar, liar.top + 5);
    assert_true(liar.closed);
    uint8_t bytes[2048];
    uint32_t number;
    struct lh_batch batch = {.buffer = bytes, .room = sizeof bytes, .segments_max = 4};
    lh_transport_send(liar.victim, 1, &batch, liar.now);
    check_uint(batch.segments, 0);
    check_err(lh_transport_send_block(liar.victim, block, 100, &number), LH_E_CLOSED);
    check_err(lh_transport_stream_write(liar.victim, "x", 1), LH_E_CLOSED);
    assert_true(lh_transport_next_deadline(liar.victim) == LH_NEVER);
    liar_fini(&liar);
}

static void say_chunk(struct liar *liar, const struct lh_frame_data *chunk)
{
    uint8_t bytes[2000];
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    lh_frame_write_data(&writer, chunk);
    say(liar, &writer);
}

static void blocks_beyond_the_window_end_the_session(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    for (uint32_t i = 0; i < 15; i++)
        say_chunk(&liar, &(struct lh_frame_data){i, 0, 65536, block, 100});
    assert_false(liar.closed);
    say_chunk(&liar, &(struct lh_frame_data){15, 0, 65536, block, 100});
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

static void a_block_that_changes_its_length_ends_the_session(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    say_chunk(&liar, &(struct lh_frame_data){0, 0, 5000, block, 100});
    say_chunk(&liar, &(struct lh_frame_data){0, 100, 6000, block, 100});
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

static void a_chunk_beyond_the_end_of_a_full_block_ends_the_session(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    say_chunk(&liar, &(struct lh_frame_data){.offset = FULL - 100, .bytes = block, .len = 100});
    assert_false(liar.closed);
    say_chunk(&liar, &(struct lh_frame_data){.offset = FULL - 100, .bytes = block, .len = 101});
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

static void junk_inside_a_sealed_packet_ends_the_session(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    uint8_t bytes[] = {LH_FRAME_ACK_NOW, 0xee, 0xee};
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    writer.at = writer.end;
    say(&liar, &writer);
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

static void tiny_chunks_with_holes_cost_bounded_memory(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    // Every second byte, until the sets' limit ends the session.
    for (uint32_t at = 0; at < 65536 && !liar.closed; at += 2)
        say_chunk(&liar, &(struct lh_frame_data){0, at, 65536, block, 1});
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

static void floods_of_pings_and_challenges_are_answered_in_bounds(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    hear(&liar);
    for (uint64_t i = 0; i < 5000; i++) {
        uint8_t bytes[64];
        struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
        lh_frame_write_token(&writer, LH_FRAME_PING, i);
        lh_frame_write_token(&writer, LH_FRAME_PATH_CHALLENGE, i);
        say(&liar, &writer);
    }
    uint64_t before = liar.top;
    hear(&liar);
    assert_false(liar.closed);
    assert_true(liar.top - before <= 1 + LH_PATH_RESPONSES + 2);
    liar_fini(&liar);
}

static void acknowledge_first(struct liar *liar, uint64_t top, uint64_t age_us)
{
    struct lh_frame_feedback feedback = usual_feedback(liar);
    uint8_t record[8];
    struct lh_writer writer = lh_writer_of(record, sizeof record);
    lh_write_varint(&writer, top << 2 | 1);
    feedback.top = top;
    feedback.top_age_us = age_us;
    feedback.records = record;
    feedback.records_len = (uint16_t)lh_writer_used(&writer);
    say_feedback(liar, &feedback);
}

// A receiver that waited for the processor reads its clock late: packets look older than they are.
static void a_packet_older_than_its_round_trip_says_nothing_about_the_path(void **state)
{
    (void)state;
    struct liar liar;
    struct lh_lane_stats before, after;
    liar_init(&liar);
    let_it_send(&liar, 2);
    acknowledge_first(&liar, 4, 0); // no number below 8 is ever left out
    lh_transport_lane_stats(liar.victim, 1, &before);
    acknowledge_first(&liar, 8, 500000);
    lh_transport_lane_stats(liar.victim, 1, &after);
    assert_false(liar.closed);
    assert_true(before.rtt_smoothed > LH_MS);
    check_uint(after.rtt_smoothed, before.rtt_smoothed);
    liar_fini(&liar);
}

// A receiver cannot have more than was sent: its counters set our pace.
static void counters_beyond_what_was_sent_end_the_session(void **state)
{
    (void)state;
    static const struct {
        uint64_t packets, bytes;
    } lies[] = {{UINT32_MAX, 0}, {0, UINT64_C(1) << 40}};

    for (size_t i = 0; i < LH_ARRAY_LEN(lies); i++) {
        struct liar liar;
        liar_init(&liar);
        let_it_send(&liar, 1);
        struct lh_frame_feedback feedback = usual_feedback(&liar);
        feedback.packets = lies[i].packets;
        feedback.bytes = lies[i].bytes;
        feedback.records = (const uint8_t *)"";
        say_feedback(&liar, &feedback);
        assert_true(liar.closed);
        check_int(liar.close_code, LH_E_PROTO);
        liar_fini(&liar);
    }
}

// Nanoseconds of it would not fit, and their differences would overflow.
static void a_clock_beyond_all_time_ends_the_session(void **state)
{
    (void)state;
    struct liar liar;
    liar_init(&liar);
    let_it_send(&liar, 1);
    struct lh_frame_feedback feedback = usual_feedback(&liar);
    feedback.clock_us = UINT64_C(1) << 61;
    feedback.records = (const uint8_t *)"";
    say_feedback(&liar, &feedback);
    assert_true(liar.closed);
    check_int(liar.close_code, LH_E_PROTO);
    liar_fini(&liar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acknowledgement_of_the_future_ends_the_session),
        cmocka_unit_test(an_optimistic_acknowledgement_of_everything_ends_the_session),
        cmocka_unit_test(after_the_end_nothing_is_said_or_accepted),
        cmocka_unit_test(blocks_beyond_the_window_end_the_session),
        cmocka_unit_test(a_block_that_changes_its_length_ends_the_session),
        cmocka_unit_test(a_chunk_beyond_the_end_of_a_full_block_ends_the_session),
        cmocka_unit_test(junk_inside_a_sealed_packet_ends_the_session),
        cmocka_unit_test(tiny_chunks_with_holes_cost_bounded_memory),
        cmocka_unit_test(floods_of_pings_and_challenges_are_answered_in_bounds),
        cmocka_unit_test(a_packet_older_than_its_round_trip_says_nothing_about_the_path),
        cmocka_unit_test(counters_beyond_what_was_sent_end_the_session),
        cmocka_unit_test(a_clock_beyond_all_time_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
