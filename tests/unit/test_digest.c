// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "file/digest.h"

// Values of the reference implementation (xxhsum -H2 prints the same).
static void test_block_digest_is_canonical_xxh3_128(void **state)
{
    static const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        {"", "99aa06d3014798d86001c324468d497f"},
        {"a", "a96faf705af16834e6c632b61e964e1f"},
        {"abc", "06b05ab6733a618578af5f94892f3950"},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_digest digest;
        char hex[2 * LH_DIGEST_LEN + 1];
        lh_digest_block(cases[i].text, strlen(cases[i].text), &digest);
        assert_string_equal(lh_format_hex(digest.bytes, LH_DIGEST_LEN, hex), cases[i].hex);
    }
}

static void test_a_block_in_pieces_has_the_digest_of_the_whole(void **state)
{
    static uint8_t block[70000];
    static const size_t pieces[] = {1, 63, 240, 241, 1024, 4096, 65536, sizeof block};
    struct lh_digest whole, pieced;
    (void)state;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 31 + i / 251);
    lh_digest_block(block, sizeof block, &whole);
    for (size_t i = 0; i < LH_ARRAY_LEN(pieces); i++) {
        struct lh_digest_state digest;
        lh_digest_begin(&digest);
        for (size_t at = 0; at < sizeof block; at += pieces[i]) {
            size_t left = sizeof block - at;
            lh_digest_add(&digest, block + at, left < pieces[i] ? left : pieces[i]);
        }
        lh_digest_end(&digest, &pieced);
        assert_true(lh_digest_equal(&whole, &pieced));
    }
}

static void test_file_digest_is_that_of_its_specified_bytes(void **state)
{
    uint8_t bytes[12 + 2 * LH_DIGEST_LEN] = {5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    struct lh_digest blocks[2];
    struct lh_digest direct;
    struct lh_digest file;
    (void)state;
    lh_digest_block("a", 1, &blocks[0]);
    lh_digest_block("b", 1, &blocks[1]);
    memcpy(bytes + 12, blocks, sizeof blocks);
    lh_digest_block(bytes, sizeof bytes, &direct);
    lh_digest_file(65541, 65536, blocks, 2, &file);
    assert_true(lh_digest_equal(&direct, &file));
    lh_digest_block((const uint8_t[12]){[10] = 1}, 12, &direct);
    lh_digest_file(0, 65536, NULL, 0, &file);
    assert_true(lh_digest_equal(&direct, &file));
}

static void test_file_digest_depends_on_size_block_size_and_order(void **state)
{
    struct lh_digest blocks[2];
    struct lh_digest swapped[2];
    struct lh_digest a;
    struct lh_digest b;
    (void)state;
    lh_digest_block("a", 1, &blocks[0]);
    lh_digest_block("b", 1, &blocks[1]);
    swapped[0] = blocks[1];
    swapped[1] = blocks[0];
    lh_digest_file(100000, 65536, blocks, 2, &a);
    lh_digest_file(100000, 65536, swapped, 2, &b);
    assert_false(lh_digest_equal(&a, &b));
    lh_digest_file(100001, 65536, blocks, 2, &b);
    assert_false(lh_digest_equal(&a, &b));
    lh_digest_file(100000, 65537, blocks, 2, &b);
    assert_false(lh_digest_equal(&a, &b));
    lh_digest_file(100000, 65536, blocks, 2, &b);
    assert_true(lh_digest_equal(&a, &b));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_digest_is_canonical_xxh3_128),
        cmocka_unit_test(test_a_block_in_pieces_has_the_digest_of_the_whole),
        cmocka_unit_test(test_file_digest_is_that_of_its_specified_bytes),
        cmocka_unit_test(test_file_digest_depends_on_size_block_size_and_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
