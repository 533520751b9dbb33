// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include "check.h"
#include "udp/addr.h"
#include "udp/paths.h"

static void parses_and_formats(void **state)
{
    (void)state;
    static const struct {
        const char *text, *formatted;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7:33001"},         {"2001:db8::1", "[2001:db8::1]:33001"},
        {"[2001:db8::1]", "[2001:db8::1]:33001"}, {"::1", "[::1]:33001"},
        {"fe80::1%lo", "[fe80::1%1]:33001"},      {"fe80::1%7", "[fe80::1%7]:33001"},
        {"::ffff:192.0.2.7", "192.0.2.7:33001"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lh_udp_addr addr;
        char text[LH_UDP_ADDR_TEXT];
        check_ok(lh_udp_addr_parse(rows[i].text, 33001, &addr));
        assert_string_equal(lh_udp_addr_format(&addr, text, sizeof text), rows[i].formatted);
    }
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "localhost",
        "192.0.2",
        "192.0.2.7 ",
        "192.0.2.7%lo",
        "[",
        "[]",
        "fe80::1%",
        "fe80::1%no-such-if",
        "2001:db8::1::2",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct lh_udp_addr addr;
        check_err(lh_udp_addr_parse(texts[i], 1, &addr), LH_E_INVALID);
    }
}

static void takes_system_addresses_of_full_length_only(void **state)
{
    (void)state;
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct lh_udp_addr addr;
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.2.3", &v6.sin6_addr), 1);
    check_ok(lh_udp_addr_from((struct sockaddr *)&v6, sizeof v6, &addr));
    check_int(lh_udp_addr_family(&addr), AF_INET);
    check_int(lh_udp_addr_port(&addr), 9);
    check_err(lh_udp_addr_from((struct sockaddr *)&v6, sizeof v6 - 1, &addr), LH_E_INVALID);
    check_err(lh_udp_addr_from(&other, sizeof other, &addr), LH_E_INVALID);
    check_err(lh_udp_addr_from(&other, 0, &addr), LH_E_INVALID);
}

static void knows_where_nothing_may_be_sent(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t port;
        bool unicast;
    } rows[] = {
        {"192.0.2.7", 1, true},        {"127.0.0.1", 1, true},    {"2001:db8::1", 1, true},
        {"fe80::1%1", 1, true},        {"192.0.2.7", 0, false},   {"0.0.0.0", 1, false},
        {"0.1.2.3", 1, false},         {"224.0.0.1", 1, false},   {"239.255.255.255", 1, false},
        {"255.255.255.255", 1, false}, {"240.0.0.1", 1, false},   {"::", 1, false},
        {"ff02::1", 1, false},         {"2001:db8::1", 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lh_udp_addr addr;
        check_ok(lh_udp_addr_parse(rows[i].text, rows[i].port, &addr));
        if (lh_udp_addr_is_unicast(&addr) != rows[i].unicast)
            fail_msg("%s port %u", rows[i].text, rows[i].port);
    }
    struct lh_udp_addr none = {0};
    assert_false(lh_udp_addr_is_unicast(&none));
}

static struct lh_udp_path path_to(unsigned host)
{
    struct lh_udp_path path = {.peer = lh_udp_addr_any(AF_INET, 4000)};
    path.peer.v4.sin_addr.s_addr = htonl(0x0a000000u + host);
    return path;
}

static void paths_keep_their_numbers(void **state)
{
    (void)state;
    struct lh_udp_paths paths;
    lh_udp_paths_init(&paths);
    assert_null(lh_udp_paths_get(&paths, 0));
    struct lh_udp_path one = path_to(1), two = path_to(2);
    uint32_t a = lh_udp_paths_number(&paths, &one);
    uint32_t b = lh_udp_paths_number(&paths, &two);
    assert_int_not_equal(a, b);
    check_uint(lh_udp_paths_number(&paths, &one), a);
    assert_true(lh_udp_path_equal(lh_udp_paths_get(&paths, b), &two));
    two.local = lh_udp_addr_any(AF_INET, 0); // another address of ours is another path
    assert_int_not_equal(lh_udp_paths_number(&paths, &two), b);
    assert_null(lh_udp_paths_get(&paths, LH_PATHS_SLOTS));
}

static void strangers_cannot_push_pinned_paths_out(void **state)
{
    (void)state;
    struct lh_udp_paths paths;
    lh_udp_paths_init(&paths);
    uint32_t pinned[LH_PATHS_PINS];
    for (unsigned i = 0; i < LH_PATHS_PINS; i++) {
        struct lh_udp_path path = path_to(i);
        pinned[i] = lh_udp_paths_number(&paths, &path);
        lh_udp_paths_pin(&paths, i, pinned[i]);
    }
    for (unsigned i = 0; i < 10000; i++) {
        struct lh_udp_path stranger = path_to(1000000 + i);
        uint32_t number = lh_udp_paths_number(&paths, &stranger);
        assert_true(lh_udp_path_equal(lh_udp_paths_get(&paths, number), &stranger));
    }
    for (unsigned i = 0; i < LH_PATHS_PINS; i++) {
        struct lh_udp_path path = path_to(i);
        assert_true(lh_udp_path_equal(lh_udp_paths_get(&paths, pinned[i]), &path));
    }
}

static void numbers_of_one_batch_stay_good(void **state)
{
    (void)state;
    struct lh_udp_paths paths;
    uint32_t numbers[LH_UDP_RX_BUFFERS];
    lh_udp_paths_init(&paths);
    for (unsigned i = 0; i < LH_PATHS_SLOTS * 2; i++) {
        struct lh_udp_path old = path_to(i);
        (void)lh_udp_paths_number(&paths, &old);
    }
    for (unsigned i = 0; i < LH_UDP_RX_BUFFERS; i++) {
        struct lh_udp_path path = path_to(5000 + i);
        numbers[i] = lh_udp_paths_number(&paths, &path);
    }
    for (unsigned i = 0; i < LH_UDP_RX_BUFFERS; i++) {
        struct lh_udp_path path = path_to(5000 + i);
        assert_true(lh_udp_path_equal(lh_udp_paths_get(&paths, numbers[i]), &path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(takes_system_addresses_of_full_length_only),
        cmocka_unit_test(knows_where_nothing_may_be_sent),
        cmocka_unit_test(paths_keep_their_numbers),
        cmocka_unit_test(strangers_cannot_push_pinned_paths_out),
        cmocka_unit_test(numbers_of_one_batch_stay_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
