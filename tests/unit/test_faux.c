// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include "base/cleanup.h"
#include "base/prng.h"
#include "file/faux.h"
#include "sys/clock.h"

static void test_urls_are_taken_apart_or_refused(void **state)
{
    static const struct {
        const char *url;
        lh_err expected;
        bool is_directory;
        uint64_t count;
        uint64_t size;
        const char *base;
    } cases[] = {
        {"faux:///big?10g", LH_OK, false, 1, (uint64_t)10 << 30, "file"},
        {"faux:///a?0", LH_OK, false, 1, 0, "file"},
        {"faux:///dir?count=1000&size=4k", LH_OK, true, 1000, 4096, "file"},
        {"faux:///dir?size=1&file=x y&count=2", LH_OK, true, 2, 1, "x y"},
        {"faux://", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///?1k", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///..?1k", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a/b?1k", LH_E_INVALID, false, 0, 0, ""},
        {"faux://a?1k", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?1x", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?-1", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=0&size=1", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=1", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?size=1", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=1&size=1&count=1", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=1&size=1&", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=1&size=1&inc=3", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=1&size=1&file=a/b", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?1g&rate=100m", LH_OK, false, 1, (uint64_t)1 << 30, "file"},
        {"faux:///d?count=3&rate=8m&size=1", LH_OK, true, 3, 1, "file"},
        {"faux:///a?1g&rate=7999k", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?1g&rate=", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?1g&count=3", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?1g&rate=8m&rate=8m", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///a?1g&", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=4g&size=8e", LH_E_INVALID, false, 0, 0, ""},
        {"faux:///d?count=4294967296&size=8e", LH_E_INVALID, false, 0, 0, ""},
        {"file:///a?1", LH_E_INVALID, false, 0, 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_errinfo info = {0};
        struct lh_faux faux = {0};
        lh_err err = lh_faux_parse(cases[i].url, &faux, &info);
        if (err != cases[i].expected)
            fail_msg("%s: got %d, expected %d", cases[i].url, err, cases[i].expected);
        check_int(info.code, err);
        if (err != 0)
            continue;
        check_int(faux.is_directory, cases[i].is_directory);
        check_uint(faux.count, cases[i].count);
        check_uint(faux.size, cases[i].size);
        assert_string_equal(faux.base, cases[i].base);
    }
}

static void test_sources_and_the_sink_are_told_from_paths(void **state)
{
    (void)state;
    assert_true(lh_faux_is("faux://"));
    assert_true(lh_faux_is("faux:///a?1"));
    assert_false(lh_faux_is("faux"));
    assert_false(lh_faux_is("/faux://"));
    assert_true(lh_faux_is_sink("faux://"));
    assert_false(lh_faux_is_sink("faux:///a?1"));
}

static void test_a_rate_is_kept_by_all_who_share_it(void **state)
{
    struct lh_faux_pace pace = {.rate = 0};
    struct lh_errinfo info = {0};
    (void)state;
    check_ok(lh_faux_parse_sink("faux://", &pace, &info));
    check_uint(pace.rate, 0);
    check_ok(lh_faux_parse_sink("faux://?rate=80m", &pace, &info));
    check_uint(pace.rate, 10000000);
    lh_ns begun = lh_clock_now();
    for (int i = 0; i < 10; i++)
        lh_faux_wait(&pace, 100000);
    assert_true(lh_clock_now() - begun >= 100 * LH_MS);
    static const char *const wrong[] = {"faux://?", "faux://?rate=1k", "faux://?size=5", "faux://x",
                                        "faux://?rate=8m&size=1"};
    for (size_t i = 0; i < LH_ARRAY_LEN(wrong); i++)
        check_err(lh_faux_parse_sink(wrong[i], &pace, &info), LH_E_INVALID);
}

static void test_any_range_reads_as_the_whole_does(void **state)
{
    struct lh_faux faux = {.name = "n"};
    struct lh_prng prng = {check_seed(3)};
    uint8_t whole[512];
    uint8_t part[512];
    (void)state;
    lh_faux_read(&faux, 5, 0, whole, sizeof whole);
    for (unsigned i = 0; i < 2000; i++) {
        size_t offset = lh_prng_below(&prng, sizeof whole);
        size_t len = lh_prng_below(&prng, sizeof whole - offset + 1);
        memset(part, 0xee, sizeof part);
        lh_faux_read(&faux, 5, offset, part, len);
        assert_memory_equal(part, whole + offset, len);
        if (len < sizeof part)
            check_uint(part[len], 0xee);
    }
}

static void test_files_and_names_differ(void **state)
{
    struct lh_faux a = {.name = "a"};
    struct lh_faux b = {.name = "b"};
    uint8_t first[64];
    uint8_t second[64];
    (void)state;
    lh_faux_read(&a, 0, 0, first, sizeof first);
    lh_faux_read(&a, 1, 0, second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    lh_faux_read(&b, 0, 0, second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    lh_faux_read(&a, 0, (uint64_t)1 << 60, second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
}

static void test_content_is_incompressible(void **state)
{
    static uint8_t data[1 << 16];
    struct lh_faux faux = {.name = "n"};
    unsigned counts[256] = {0};
    (void)state;
    lh_faux_read(&faux, 0, 0, data, sizeof data);
    for (size_t i = 0; i < sizeof data; i++)
        counts[data[i]]++;
    for (size_t i = 0; i < 256; i++) // 256 of each expected, deviation 16
        assert_in_range(counts[i], 256 - 100, 256 + 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_are_taken_apart_or_refused),
        cmocka_unit_test(test_sources_and_the_sink_are_told_from_paths),
        cmocka_unit_test(test_a_rate_is_kept_by_all_who_share_it),
        cmocka_unit_test(test_any_range_reads_as_the_whole_does),
        cmocka_unit_test(test_files_and_names_differ),
        cmocka_unit_test(test_content_is_incompressible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
