// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "check.h"

static void reads_back_what_it_wrote(void **state)
{
    (void)state;
    uint8_t buffer[64];
    struct lh_writer writer = lh_writer_of(buffer, sizeof buffer);
    lh_write_u8(&writer, 0xab);
    lh_write_u16(&writer, 0x1234);
    lh_write_u32(&writer, 0xdeadbeef);
    lh_write_u48(&writer, 0x123456789abc);
    lh_write_u64(&writer, UINT64_MAX - 1);
    lh_write_varint(&writer, 300);
    lh_write_varint(&writer, UINT64_MAX);
    lh_write_bytes(&writer, "xyz", 3);
    assert_false(writer.bad);
    check_uint(buffer[1], 0x34); // little endian

    struct lh_reader reader = lh_reader_of(buffer, lh_writer_used(&writer));
    check_uint(lh_read_u8(&reader), 0xab);
    check_uint(lh_read_u16(&reader), 0x1234);
    check_uint(lh_read_u32(&reader), 0xdeadbeef);
    check_uint(lh_read_u48(&reader), 0x123456789abc);
    check_uint(lh_read_u64(&reader), UINT64_MAX - 1);
    check_uint(lh_read_varint(&reader), 300);
    check_uint(lh_read_varint(&reader), UINT64_MAX);
    assert_memory_equal(lh_read_bytes(&reader, 3), "xyz", 3);
    assert_false(reader.bad);
    check_uint(lh_reader_left(&reader), 0);
}

static void reader_stays_bad_after_the_end(void **state)
{
    (void)state;
    const uint8_t two[2] = {1, 2};
    struct lh_reader reader = lh_reader_of(two, sizeof two);
    check_uint(lh_read_u32(&reader), 0);
    assert_true(reader.bad);
    check_uint(lh_read_u8(&reader), 0); // though two bytes are left
    assert_null(lh_read_bytes(&reader, 1));
}

static void writer_drops_what_does_not_fit(void **state)
{
    (void)state;
    uint8_t buffer[4] = {0};
    struct lh_writer writer = lh_writer_of(buffer, 3);
    lh_write_u32(&writer, 0xffffffff);
    assert_true(writer.bad);
    lh_write_u8(&writer, 7);
    check_uint(lh_writer_used(&writer), 0);
    check_uint(buffer[0], 0);
}

static void refuses_varints_above_64_bits(void **state)
{
    (void)state;
    const uint8_t too_large[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    const uint8_t endless[11] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0};
    struct lh_reader reader = lh_reader_of(too_large, sizeof too_large);
    (void)lh_read_varint(&reader);
    assert_true(reader.bad);
    reader = lh_reader_of(endless, sizeof endless);
    (void)lh_read_varint(&reader);
    assert_true(reader.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_it_wrote),
        cmocka_unit_test(reader_stays_bad_after_the_end),
        cmocka_unit_test(writer_drops_what_does_not_fit),
        cmocka_unit_test(refuses_varints_above_64_bits),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
