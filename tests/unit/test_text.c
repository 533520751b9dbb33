// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "check.h"

static void escapes_what_could_deceive(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain name.txt", "plain name.txt"},
        {"\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},
        {"a\nb\tc\\", "a\\nb\\tc\\\\"},
        {"\x1b[31mred", "\\x1b[31mred"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, // C1 CSI in UTF-8
        {"\x9b"
         "31m",
         "\\x9b31m"}, // and as a bare byte
        {"\xe2\x80\xae"
         "exe",
         "\\xe2\\x80\\xaeexe"},              // right-to-left override
        {"\xc0\xaf", "\\xc0\\xaf"},          // over-long '/'
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, // surrogate
        {"\x7f", "\\x7f"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[128];
        assert_string_equal(lh_escape(cases[i].in, strlen(cases[i].in), out, sizeof out),
                            cases[i].out);
    }
}

static void escaped_text_holds_no_control_byte_whatever_came_in(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        uint8_t in = (uint8_t)byte;
        char out[16];
        lh_escape(&in, 1, out, sizeof out);
        for (char *at = out; *at != '\0'; at++)
            assert_true(*at >= 0x20 && *at < 0x7f);
    }
}

static void cuts_between_characters(void **state)
{
    (void)state;
    char out[9];
    assert_string_equal(lh_escape("abcdefgh", 8, out, sizeof out), "abcdefgh");
    assert_string_equal(lh_escape("abcdefghi", 9, out, sizeof out), "abcde...");
    assert_string_equal(lh_escape("abc\n\n\n", 6, out, sizeof out), "abc\\n...");
    assert_string_equal(lh_escape("abcd", 4, out, 1), "");
}

static void formats_figures(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(lh_format_bytes(0, out, sizeof out), "0 B");
    assert_string_equal(lh_format_bytes(1500, out, sizeof out), "1.5 kB");
    assert_string_equal(lh_format_bytes(312000, out, sizeof out), "312 kB");
    assert_string_equal(lh_format_bytes(UINT64_MAX, out, sizeof out), "18.4 EB");
    assert_string_equal(lh_format_rate(940000000, out, sizeof out), "940 Mbit/s");
    assert_string_equal(lh_format_duration(3723 * LH_SECOND, out, sizeof out), "1:02:03");
    assert_string_equal(lh_format_duration(63 * LH_SECOND, out, sizeof out), "01:03");
    assert_string_equal(lh_format_duration(LH_NEVER, out, sizeof out), "--:--");
}

static void parses_rates_as_ascp_does(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        uint64_t out; // 0 = refused
    } cases[] = {
        {"10000", 10000000},
        {"1g", 1000000000},
        {"1.5G", 1500000000},
        {"300m", 300000000},
        {"64K", 64000},
        {"0.5k", 500},
        {"", 0},
        {"0", 0},
        {"-1", 0},
        {"1gg", 0},
        {"1 g", 0},
        {"1t", 0},
        {"1.2.3m", 0},
        {"nan", 0},
        {"99999999999999999999g", 0},
        {"1000000g", 1000000000000000},
        {"1000001g", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t rate = 0;
        lh_err err = lh_parse_rate(cases[i].in, &rate);
        if (cases[i].out == 0)
            check_err(err, LH_E_INVALID);
        else
            check_ok(err);
        check_uint(rate, cases[i].out);
    }
}

static void parses_sizes_and_numbers(void **state)
{
    (void)state;
    uint64_t value = 0;
    check_ok(lh_parse_size("4k", &value));
    check_uint(value, 4096);
    check_ok(lh_parse_size("7e", &value));
    check_uint(value, (uint64_t)7 << 60);
    check_err(lh_parse_size("9e", &value), LH_E_INVALID);
    check_err(lh_parse_size("1kk", &value), LH_E_INVALID);
    check_err(lh_parse_size("k", &value), LH_E_INVALID);
    check_ok(lh_parse_number("33001", 1, 65535, &value));
    check_uint(value, 33001);
    check_err(lh_parse_number("65536", 1, 65535, &value), LH_E_INVALID);
    check_err(lh_parse_number("0", 1, 65535, &value), LH_E_INVALID);
    check_err(lh_parse_number("99999999999999999999", 0, UINT64_MAX, &value), LH_E_INVALID);
    check_err(lh_parse_number("1x", 0, 9, &value), LH_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_could_deceive),
        cmocka_unit_test(escaped_text_holds_no_control_byte_whatever_came_in),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(formats_figures),
        cmocka_unit_test(parses_rates_as_ascp_does),
        cmocka_unit_test(parses_sizes_and_numbers),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
