// SPDX-License-Identifier: Apache-2.0
#include "job/block.h"

#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"

static void a_file_block_reads_back_the_same(void **state)
{
    (void)state;
    uint8_t block[LH_BLOCK_FILE_HEADER + 5] = {0};
    struct lh_block_item item = {7, 5, {1, 2, 3}}, back;
    lh_block_write_file(block, &item, 99);
    struct lh_block_header header;
    check_ok(lh_block_read(block, sizeof block, &header));
    check_uint(header.kind, LH_BLOCK_FILE);
    check_uint(header.index, 99);
    check_uint(header.count, 1);
    check_uint(header.header_len, LH_BLOCK_FILE_HEADER);
    lh_block_item(block, 0, &back);
    assert_memory_equal(&back, &item, sizeof item);
}

static void a_bundle_reads_back_the_same(void **state)
{
    (void)state;
    uint8_t block[LH_BUNDLE_HEADER + 3 * LH_BUNDLE_ITEM + 5] = {0};
    const struct lh_block_item items[] = {{7, 5, {1}}, {8, 0, {2}}, {UINT32_MAX, 0, {3}}};
    lh_bundle_write(block, items, 3);
    struct lh_block_header header;
    check_ok(lh_block_read(block, sizeof block, &header));
    check_uint(header.kind, LH_BLOCK_BUNDLE);
    check_uint(header.count, 3);
    check_uint(header.header_len, sizeof block - 5);
    for (size_t i = 0; i < 3; i++) {
        struct lh_block_item back;
        lh_block_item(block, i, &back);
        assert_memory_equal(&back, &items[i], sizeof back);
    }
}

static void lengths_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    uint8_t block[LH_BUNDLE_HEADER + 2 * LH_BUNDLE_ITEM + 16] = {0};
    struct lh_block_header header;
    const struct {
        uint32_t lengths[2];
        lh_err expected;
    } cases[] = {
        {{8, 8}, LH_OK},
        {{8, 7}, LH_E_PROTO},
        {{8, 9}, LH_E_PROTO},
        {{UINT32_MAX, 17}, LH_E_PROTO}, // wraps to 16 in 32 bits
        {{UINT32_MAX, UINT32_MAX}, LH_E_PROTO},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        const struct lh_block_item items[] = {{1, cases[i].lengths[0], {0}},
                                              {2, cases[i].lengths[1], {0}}};
        lh_bundle_write(block, items, 2);
        check_int(lh_block_read(block, sizeof block, &header), cases[i].expected);
    }
    for (uint32_t length = 0; length < 20; length++) {
        struct lh_block_item item = {1, length, {0}};
        lh_block_write_file(block, &item, 0);
        check_int(lh_block_read(block, LH_BLOCK_FILE_HEADER + 9, &header),
                  length == 9 ? LH_OK : LH_E_PROTO);
    }
}

static void counts_and_kinds_out_of_range_are_refused(void **state)
{
    (void)state;
    static uint8_t block[LH_BUNDLE_HEADER + (LH_BUNDLE_FILES_MAX + 1) * LH_BUNDLE_ITEM];
    struct lh_block_header header;
    block[0] = LH_BLOCK_BUNDLE;
    check_err(lh_block_read(block, LH_BUNDLE_HEADER, &header), LH_E_PROTO);
    block[2] = LH_BUNDLE_FILES_MAX & 0xff;
    block[3] = LH_BUNDLE_FILES_MAX >> 8;
    check_ok(lh_block_read(block, lh_bundle_header_len(LH_BUNDLE_FILES_MAX), &header));
    block[2]++;
    check_err(lh_block_read(block, lh_bundle_header_len(LH_BUNDLE_FILES_MAX + 1), &header),
              LH_E_PROTO);
    for (unsigned kind = 0; kind < 256; kind++) {
        block[0] = (uint8_t)kind;
        if (kind != LH_BLOCK_FILE && kind != LH_BLOCK_BUNDLE)
            check_err(lh_block_read(block, 100, &header), LH_E_PROTO);
    }
    check_err(lh_block_read(block, 0, &header), LH_E_PROTO);
}

static void random_blocks_never_read_past_their_end(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(3)};
    for (size_t round = 0; round < 20000; round++) {
        size_t len = (size_t)lh_prng_below(&prng, 100);
        uint8_t *block = malloc(len + 1);
        lh_prng_fill(&prng, block, len);
        if (len > 3) {
            block[0] = (uint8_t)(1 + lh_prng_below(&prng, 2));
            block[1] = block[3] = 0;
            block[2] = (uint8_t)lh_prng_below(&prng, 5);
        }
        struct lh_block_header header;
        uint8_t *exact = realloc(block, len == 0 ? 1 : len);
        lh_err err = lh_block_read(exact, len, &header);
        assert_true(err == LH_OK || err == LH_E_PROTO);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_block_reads_back_the_same),
        cmocka_unit_test(a_bundle_reads_back_the_same),
        cmocka_unit_test(lengths_that_do_not_add_up_are_refused),
        cmocka_unit_test(counts_and_kinds_out_of_range_are_refused),
        cmocka_unit_test(random_blocks_never_read_past_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
