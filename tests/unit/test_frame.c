// SPDX-License-Identifier: Apache-2.0
#include "control/frame.h"

#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"

// Packets of every interesting size, written and read through buffers of the smallest size, in
// pieces of any length.
static void frames_cross_in_pieces_of_any_size(void **state)
{
    (void)state;
    static uint8_t writer_buffer[LH_FRAME_MAX], reader_buffer[LH_FRAME_MAX];
    struct lh_prng prng = {check_seed(3)};
    struct lh_frame_writer writer;
    struct lh_frame_reader reader;
    uint32_t written = 0, read = 0;

    lh_frame_writer_init(&writer, writer_buffer, sizeof writer_buffer);
    lh_frame_reader_init(&reader, reader_buffer, sizeof reader_buffer);
    while (read < 300) {
        uint8_t *packet;
        size_t len, room;
        if (lh_frame_writer_reserve(&writer, &packet) == 0) {
            len = written % 50 == 0 ? LH_SSH_FRAME_MAX : 4 + lh_prng_below(&prng, 3000);
            memset(packet, (int)(written & 0xff), len);
            memcpy(packet, &written, 4);
            lh_frame_writer_commit(&writer, len);
            written++;
        }
        const uint8_t *pending = lh_frame_writer_pending(&writer, &len);
        uint8_t *space = lh_frame_reader_space(&reader, &room);
        len = len < room ? len : room;
        len = len > 0 ? 1 + lh_prng_below(&prng, len) : 0;
        memcpy(space, pending, len);
        lh_frame_reader_added(&reader, len);
        lh_frame_writer_sent(&writer, len);
        while (lh_frame_reader_next(&reader, &packet, &len) == 0) {
            uint32_t number;
            memcpy(&number, packet, 4);
            check_uint(number, read);
            check_uint(packet[len - 1], len > 4 ? read & 0xff : packet[len - 1]);
            read++;
        }
        (void)lh_frame_reader_space(&reader, &room);
        check_int(room > 0, true);
    }
}

static void lengths_out_of_range_lose_the_channel(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[4];
        lh_err err;
    } cases[] = {
        {{0, 0, 0, 0}, LH_E_PROTO}, {{1, 0, 1, 0}, LH_E_PROTO},
        {{0, 0, 1, 0}, LH_AGAIN},   {{0xff, 0xff, 0xff, 0xff}, LH_E_PROTO},
        {{1, 0, 0, 0}, LH_AGAIN},
    };
    static uint8_t buffer[LH_FRAME_MAX];
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_frame_reader reader;
        uint8_t *packet;
        size_t len;
        lh_frame_reader_init(&reader, buffer, sizeof buffer);
        check_ok(lh_frame_reader_put(&reader, cases[i].bytes, 3));
        check_err(lh_frame_reader_next(&reader, &packet, &len), LH_AGAIN);
        check_ok(lh_frame_reader_put(&reader, cases[i].bytes + 3, 1));
        check_err(lh_frame_reader_next(&reader, &packet, &len), cases[i].err);
    }
}

static void full_buffers_say_so(void **state)
{
    (void)state;
    static uint8_t buffer[LH_FRAME_MAX], bytes[LH_FRAME_MAX + 1];
    struct lh_frame_reader reader;
    struct lh_frame_writer writer;
    uint8_t *packet;
    size_t len;

    lh_frame_reader_init(&reader, buffer, sizeof buffer);
    check_err(lh_frame_reader_put(&reader, bytes, sizeof bytes), LH_E_LIMIT);
    check_ok(lh_frame_reader_put(&reader, bytes, sizeof bytes - 1));

    lh_frame_writer_init(&writer, buffer, sizeof buffer);
    check_err(lh_frame_writer_put(&writer, bytes, sizeof bytes), LH_AGAIN);
    check_ok(lh_frame_writer_put(&writer, "hello", 5));
    check_err(lh_frame_writer_reserve(&writer, &packet), LH_AGAIN);
    lh_frame_writer_sent(&writer, 5);
    check_ok(lh_frame_writer_reserve(&writer, &packet));
    lh_frame_writer_commit(&writer, 0); // taken back
    (void)lh_frame_writer_pending(&writer, &len);
    check_uint(len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_cross_in_pieces_of_any_size),
        cmocka_unit_test(lengths_out_of_range_lose_the_channel),
        cmocka_unit_test(full_buffers_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
