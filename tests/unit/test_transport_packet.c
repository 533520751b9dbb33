// SPDX-License-Identifier: Apache-2.0
//
// The codec of headers, frames and reports.
#include "check.h"

#include "base/cleanup.h"
#include "base/math.h"
#include "base/prng.h"
#include "transport/packet.h"
#include "transport/report.h"

static void headers_survive_the_round_trip(void **state)
{
    (void)state;
    const struct lh_packet_header header = {
        .lane = 15, .session_id = 0xdeadbeef, .pn = LH_PN_MAX - 3};
    uint8_t bytes[LH_PACKET_HEADER + LH_PACKET_TAG] = {0};
    struct lh_packet_header back;
    lh_packet_header_write(&header, bytes);
    check_ok(lh_packet_header_read(bytes, sizeof bytes, LH_PN_MAX - 100, &back));
    check_uint(back.lane, 15);
    check_uint(back.session_id, 0xdeadbeef);
    check_uint(back.pn, LH_PN_MAX - 3);
}

static void packet_numbers_are_the_ones_closest_to_the_next(void **state)
{
    (void)state;
    static const uint64_t half = 1u << 23, far = (uint64_t)5 << 40;
    const struct {
        uint64_t pn, next;
    } cases[] = {
        {0, 0},
        {0, 1},
        {half - 1, 0},
        {0, half - 1},              // behind
        {half + 5, 6},              // far ahead
        {(1u << 24) - 1, 1u << 24}, // across the borders of 24 bits
        {1u << 24, (1u << 24) - 1},
        {(1u << 24) + 7, (1u << 24) - LH_REPLAY_WINDOW},
        {far - LH_REPLAY_WINDOW, far},
        {far + half - 1, far},
        {far - half + 1, far},
        {LH_PN_MAX, LH_PN_MAX - half + 1},
        {LH_PN_MAX - half + 1, LH_PN_MAX},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        uint8_t bytes[LH_PACKET_HEADER + LH_PACKET_TAG] = {0};
        struct lh_packet_header header = {.lane = 1, .session_id = 1, .pn = cases[i].pn};
        lh_packet_header_write(&header, bytes);
        header.pn = 0;
        check_ok(lh_packet_header_read(bytes, sizeof bytes, cases[i].next, &header));
        check_uint(header.pn, cases[i].pn);
    }
}

static void what_is_no_packet_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[LH_PACKET_HEADER + LH_PACKET_TAG] = {LH_PACKET_TYPE << 4};
    struct lh_packet_header header;
    check_ok(lh_packet_header_read(bytes, sizeof bytes, 0, &header));
    check_err(lh_packet_header_read(bytes, sizeof bytes - 1, 0, &header), LH_E_AUTH);
    bytes[0] = 2 << 4;
    check_err(lh_packet_header_read(bytes, sizeof bytes, 0, &header), LH_E_AUTH);
    bytes[0] = 0;
    check_err(lh_packet_header_read(bytes, sizeof bytes, 0, &header), LH_E_AUTH);
}

static uint8_t content[64] = "content";

static void write_all(struct lh_writer *writer)
{
    lh_frame_write_data(
        writer,
        &(struct lh_frame_data){
            .block = 7, .offset = 100, .block_len = 200, .bytes = content, .len = sizeof content});
    lh_frame_write_stream(writer, &(struct lh_frame_stream){1u << 20, content, 9});
    lh_frame_write_feedback(writer, &(struct lh_frame_feedback){.number = 3,
                                                                .top = 1000,
                                                                .clock_us = 123456789,
                                                                .top_age_us = 5,
                                                                .last_age_us = 4,
                                                                .packets = 900,
                                                                .bytes = 1234567,
                                                                .duplicates = 2,
                                                                .ce = 1,
                                                                .socket_drops = 8,
                                                                .grant_bytes = 1u << 30,
                                                                .grant_block = 77,
                                                                .grant_stream = 99,
                                                                .start = 64,
                                                                .records = content,
                                                                .records_len = 11});
    lh_frame_write_token(writer, LH_FRAME_PING, 42);
    lh_frame_write_token(writer, LH_FRAME_PONG, 43);
    lh_frame_write_token(writer, LH_FRAME_PATH_CHALLENGE, 44);
    lh_frame_write_token(writer, LH_FRAME_PATH_RESPONSE, 45);
    lh_frame_write_close(writer, &(struct lh_frame_close){9, content, 7});
    lh_frame_write_state(writer, &(struct lh_frame_state){500, 12000});
    lh_write_u8(writer, LH_FRAME_ACK_NOW);
    lh_frame_write_ecn(writer, &(struct lh_frame_ecn){300, 1, LH_PN_MAX});
}

static void every_frame_survives_the_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    write_all(&writer);
    assert_false(writer.bad);
    struct lh_reader reader = lh_reader_of(bytes, lh_writer_used(&writer));
    struct lh_frame frame;
    for (int type = LH_FRAME_DATA; type < LH_FRAME_N_; type++) {
        check_ok(lh_frame_read(&reader, &frame));
        check_int(frame.type, type);
        if (type == LH_FRAME_DATA) {
            check_uint(frame.data.offset, 100);
            check_uint(frame.data.block_len, 200);
            assert_memory_equal(frame.data.bytes, content, sizeof content);
        } else if (type == LH_FRAME_STREAM) {
            check_uint(frame.stream.offset, 1u << 20);
            check_uint(frame.stream.len, 9);
        } else if (type == LH_FRAME_FEEDBACK) {
            check_uint(frame.feedback.top, 1000);
            check_uint(frame.feedback.socket_drops, 8);
            check_uint(frame.feedback.grant_stream, 99);
            check_uint(frame.feedback.records_len, 11);
        } else if (type >= LH_FRAME_PING && type <= LH_FRAME_PATH_RESPONSE) {
            check_uint(frame.token, 42 + (unsigned)type - LH_FRAME_PING);
        } else if (type == LH_FRAME_CLOSE) {
            check_uint(frame.close.code, 9);
            assert_memory_equal(frame.close.reason, "content", 7);
        } else if (type == LH_FRAME_STATE) {
            check_uint(frame.state.floor, 500);
            check_uint(frame.state.interval_us, 12000);
        } else if (type == LH_FRAME_ECN) {
            check_uint(frame.ecn.ect0, 300);
            check_uint(frame.ecn.ect1, 1);
            check_uint(frame.ecn.ce, LH_PN_MAX);
        }
    }
    check_err(lh_frame_read(&reader, &frame), LH_EOF);
}

static void frames_cut_short_are_refused_at_every_length(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    write_all(&writer);
    size_t full = lh_writer_used(&writer);
    unsigned whole = 0;
    for (size_t len = 0; len < full; len++) {
        struct lh_reader reader = lh_reader_of(bytes, len);
        struct lh_frame frame;
        lh_err err;
        while ((err = lh_frame_read(&reader, &frame)) == 0)
            ;
        assert_true(err == LH_EOF || err == LH_E_PROTO);
        whole += err == LH_EOF;
    }
    check_uint(whole, LH_FRAME_N_ - 1); // only the cuts between frames
}

static void lengths_of_data_may_go_without_saying(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        uint8_t bytes[64];
        struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
        const struct lh_frame_data data = {.block = 9,
                                           .offset = 50,
                                           .block_len = (i & 1) != 0 ? 0 : 70,
                                           .bytes = content,
                                           .len = 20,
                                           .to_end = (i & 2) != 0,
                                           .ack_now = (i & 4) != 0};
        struct lh_frame frame;
        lh_frame_write_data(&writer, &data);
        check_uint(lh_writer_used(&writer), LH_FRAME_DATA_HEADER + 20 +
                                                ((i & 1) != 0 ? 0 : LH_FRAME_DATA_BLOCK_LEN) +
                                                ((i & 2) != 0 ? 0 : LH_FRAME_DATA_LEN));
        struct lh_reader reader = lh_reader_of(bytes, lh_writer_used(&writer));
        check_ok(lh_frame_read(&reader, &frame));
        check_int(frame.type, LH_FRAME_DATA);
        check_uint(frame.data.block, 9);
        check_uint(frame.data.offset, 50);
        check_uint(frame.data.block_len, data.block_len);
        check_uint(frame.data.len, 20);
        check_int(frame.data.to_end, data.to_end);
        check_int(frame.data.ack_now, data.ack_now);
        assert_memory_equal(frame.data.bytes, content, 20);
        check_err(lh_frame_read(&reader, &frame), LH_EOF);
    }
}

static void frames_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[20];
        size_t len;
    } cases[] = {
        {{LH_FRAME_N_}, 1},
        {{255}, 1},
        {{0x80}, 1}, // flags of no frame
        {{LH_FRAME_DATA | 0x80, 0, 0, 0, 0, 0, 0, 0, 5}, 9},
        {{LH_FRAME_PING | LH_DATA_ACK_NOW, 0, 0, 0, 0, 0, 0, 0, 0}, 9},
        {{LH_FRAME_DATA, 0, 0, 0, 0, 0, 0, 0}, 8},                                      // no bytes
        {{LH_FRAME_DATA | LH_DATA_HAS_LEN, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10},             // no bytes
        {{LH_FRAME_DATA | LH_DATA_HAS_LEN, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}, 11},          // cut short
        {{LH_FRAME_DATA | LH_DATA_HAS_BLOCK_LEN, 0, 0, 0, 0, 5, 0, 0, 5, 0, 0, 9}, 12}, // beyond
        {{LH_FRAME_DATA | LH_DATA_HAS_BLOCK_LEN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, 12}, // no block
        {{LH_FRAME_STREAM, 0, 0, 0, 0, 0, 0, 0, 0}, 9},                                 // no bytes
        {{LH_FRAME_CLOSE, 0, 0, 0, 0x80, 0, 0}, 7},    // negative code
        {{LH_FRAME_CLOSE, 0, 0, 0, 0, 0xff, 0xff}, 7}, // longer than the packet
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_reader reader = lh_reader_of(cases[i].bytes, cases[i].len);
        struct lh_frame frame;
        check_err(lh_frame_read(&reader, &frame), LH_E_PROTO);
    }
}

// --- Reports -------------------------------------------------------------------------------------

// Writes a window with `loss_percent` lost, reads it back; gives the bytes it took.
static size_t report_round_trip(unsigned loss_percent, uint64_t count, struct lh_prng *prng)
{
    static uint8_t bytes[1 << 20];
    static bool got[1 << 17];
    struct lh_replay replay;
    check_ok(lh_replay_init(&replay));
    for (uint64_t pn = 0; pn < count; pn++) {
        got[pn] = pn == count - 1 || lh_prng_below(prng, 100) >= loss_percent;
        if (got[pn])
            lh_replay_mark(&replay, pn);
    }
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    uint64_t cursor = 0;
    lh_report_write(&writer, &replay, &cursor, replay.top);
    check_uint(cursor, count);
    struct lh_reader reader = lh_reader_of(bytes, lh_writer_used(&writer));
    struct lh_report_span span;
    uint64_t at = 0;
    lh_err err;
    while ((err = lh_report_read(&reader, at, &span)) == 0) {
        for (uint64_t i = 0; i < span.len; i++) {
            bool is = span.kind == LH_REPORT_ALL ||
                      (span.kind == LH_REPORT_SOME && (span.bits[i / 64] >> (i % 64) & 1) != 0);
            check_int(is, got[at + i]);
        }
        at += span.len;
    }
    check_err(err, LH_EOF);
    check_uint(at, count);
    lh_replay_fini(&replay);
    return lh_writer_used(&writer);
}

static void reports_stay_small_at_any_loss(void **state)
{
    (void)state;
    static const struct {
        unsigned loss_percent;
        size_t bytes_max; // for 4,464 packets: 10 Gbit/s for 5 ms (transport.md, 4.1)
    } cases[] = {{0, 4}, {1, 100}, {5, 300}, {10, 530}, {50, 620}, {99, 620}, {100, 80}};
    struct lh_prng prng = {check_seed(2)};
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        size_t bytes = report_round_trip(cases[i].loss_percent, 4464, &prng);
        print_message("# %u %% loss: %zu bytes\n", cases[i].loss_percent, bytes);
        assert_true(bytes <= cases[i].bytes_max);
    }
    for (uint64_t count = 1; count < 1200; count += 37)
        report_round_trip(30, count, &prng);
    report_round_trip(7, 1 << 17, &prng);
}

static void a_report_that_does_not_fit_continues_where_it_stopped(void **state)
{
    (void)state;
    struct lh_replay replay;
    check_ok(lh_replay_init(&replay));
    for (uint64_t pn = 0; pn < 20000; pn += 2)
        lh_replay_mark(&replay, pn);
    uint64_t cursor = 0, pieces = 0, at = 0;
    while (cursor < replay.top) {
        uint8_t bytes[400];
        struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
        lh_report_write(&writer, &replay, &cursor, replay.top);
        struct lh_reader reader = lh_reader_of(bytes, lh_writer_used(&writer));
        struct lh_report_span span;
        while (lh_report_read(&reader, at, &span) == 0)
            at += span.len;
        check_uint(at, cursor);
        assert_true(cursor % 64 == 0 || cursor == replay.top);
        pieces++;
    }
    assert_true(pieces > 5);
    lh_replay_fini(&replay);
}

static void malformed_records_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t len;
    } cases[] = {
        {{0}, 1},                       // empty span
        {{0x80}, 1},                    // varint cut short
        {{10 << 2 | 2, 0}, 2},          // a list of nothing
        {{10 << 2 | 2, 1, 10}, 3},      // beyond the span
        {{10 << 2 | 2, 2, 3, 0}, 4},    // the same number twice
        {{10 << 2 | 2, 2, 3}, 3},       // cut short
        {{10 << 2 | 3, 0xff}, 2},       // bitmap cut short
        {{10 << 2 | 3, 0xff, 0xff}, 3}, // bits beyond the span
        {{0x83, 0x20, 0xff}, 3},        // a bitmap longer than a span may be
        {{0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 9}, // beyond all numbers
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_reader reader = lh_reader_of(cases[i].bytes, cases[i].len);
        struct lh_report_span span;
        if (lh_report_read(&reader, 64, &span) != LH_E_PROTO)
            fail_msg("case %zu was accepted", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_survive_the_round_trip),
        cmocka_unit_test(packet_numbers_are_the_ones_closest_to_the_next),
        cmocka_unit_test(what_is_no_packet_is_refused),
        cmocka_unit_test(every_frame_survives_the_round_trip),
        cmocka_unit_test(frames_cut_short_are_refused_at_every_length),
        cmocka_unit_test(lengths_of_data_may_go_without_saying),
        cmocka_unit_test(frames_out_of_range_are_refused),
        cmocka_unit_test(reports_stay_small_at_any_loss),
        cmocka_unit_test(a_report_that_does_not_fit_continues_where_it_stopped),
        cmocka_unit_test(malformed_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
