// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "check.h"
#include "watch/sockets.h"

static void reads_lines_of_the_kernel(void **state)
{
    static const struct {
        const char *line;
        const char *local; // NULL: refused
        const char *peer;
        unsigned local_port, peer_port, tcp_state;
    } rows[] = {
        {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid", NULL,
         NULL, 0, 0, 0},
        {"   0: 0100007F:80E9 2A6433C6:C001 01 00000000:00000000 00:00000000 00000000     0",
         "127.0.0.1", "198.51.100.42", 33001, 49153, LH_TCP_ESTABLISHED},
        {"1234567: 0100007F:80E9 2A6433C6:C001 06", "127.0.0.1", "198.51.100.42", 33001, 49153,
         LH_TCP_TIME_WAIT},
        {"   1: B80D0120000000000000000001000000:0016 B80D0120000000000000000042000000:C001 03 0",
         "2001:db8::1", "2001:db8::42", 22, 49153, LH_TCP_SYN_RECV},
        {"   1: 0000000000000000FFFF00000100007F:0016 0000000000000000FFFF00002A6433C6:C001 08 0",
         "127.0.0.1", "198.51.100.42", 22, 49153, LH_TCP_CLOSE_WAIT},
        {"   1: 0100007F:0016 2A6433C6:C001 0C 0", "127.0.0.1", "198.51.100.42", 22, 49153,
         LH_TCP_SYN_RECV},
        {"   1: 0100007F:0016 2A6433C6:C001 00 0", NULL, NULL, 0, 0, 0},
        {"   1: 0100007F:0016 2A6433C6:C001 0D 0", NULL, NULL, 0, 0, 0},
        {"   1: 0100007F:0016 2A6433C6:C001 011 0", NULL, NULL, 0, 0, 0},
        {"   1: 0100007f:0016 2A6433C6:C001 01 0", NULL, NULL, 0, 0, 0},
        {"   1: 0100007:0016 2A6433C6:C001 01 0", NULL, NULL, 0, 0, 0},
        {"   1: 0100007F:0016 2A6433C6:C0 01 0", NULL, NULL, 0, 0, 0},
        {"   1: 0100007F:0016", NULL, NULL, 0, 0, 0},
        {"", NULL, NULL, 0, 0, 0},
    };
    char text[LH_WATCH_ADDR_TEXT];
    (void)state;
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        struct lh_socket socket;
        bool good = lh_socket_parse(lh_span_of(rows[i].line, strlen(rows[i].line)), &socket);
        if (good != (rows[i].local != NULL))
            fail_msg("\"%s\" is %s", rows[i].line, good ? "taken" : "refused");
        if (!good)
            continue;
        assert_string_equal(lh_watch_addr_format(&socket.local.addr, text), rows[i].local);
        assert_string_equal(lh_watch_addr_format(&socket.peer.addr, text), rows[i].peer);
        check_uint(socket.local.port, rows[i].local_port);
        check_uint(socket.peer.port, rows[i].peer_port);
        check_uint(socket.state, rows[i].tcp_state);
    }
}

static void add(struct lh_look *look, const char *peer, unsigned port, enum lh_tcp_state tcp_state)
{
    struct lh_socket socket = {.peer.port = (uint16_t)port, .state = (uint8_t)tcp_state};
    assert_true(lh_watch_addr_parse(lh_span_of(peer, strlen(peer)), &socket.peer.addr));
    check_ok(lh_look_add(look, &socket));
}

static void two_looks_tell_what_is_new_and_what_stays(void **state)
{
    struct lh_look first = {0};
    struct lh_look second = {0};
    struct lh_peer_sockets peer;
    size_t at = 0;
    (void)state;
    add(&first, "198.51.100.1", 1000, LH_TCP_ESTABLISHED);
    add(&first, "198.51.100.1", 1001, LH_TCP_ESTABLISHED);
    add(&first, "198.51.100.3", 7, LH_TCP_ESTABLISHED);
    add(&second, "198.51.100.2", 50, LH_TCP_ESTABLISHED);
    for (unsigned port = 1005; port >= 1001; port--)
        add(&second, "198.51.100.1", port, port == 1001 ? LH_TCP_ESTABLISHED : LH_TCP_TIME_WAIT);
    add(&second, "198.51.100.1", 2000, LH_TCP_TIME_WAIT);
    lh_look_sort(&first);
    lh_look_sort(&second);
    assert_true(lh_look_next(&first, &second, &at, &peer));
    check_uint(peer.total, 6);
    check_uint(peer.fresh, 5);
    check_uint(peer.staying, 1);
    check_uint(peer.port_run, 5);
    check_uint(peer.port_low, 1001);
    check_uint(peer.states[LH_TCP_TIME_WAIT], 5);
    assert_true(lh_look_next(&first, &second, &at, &peer));
    check_uint(peer.total, 1);
    check_uint(peer.fresh, 1);
    assert_false(lh_look_next(&first, &second, &at, &peer));
    lh_look_fini(&first);
    lh_look_fini(&second);
}

static void a_look_has_a_bound(void **state)
{
    struct lh_look look = {0};
    struct lh_socket socket = {.state = LH_TCP_ESTABLISHED};
    (void)state;
    for (unsigned i = 0; i < LH_SOCKETS_MAX + 10; i++)
        check_ok(lh_look_add(&look, &socket));
    check_uint(look.count, LH_SOCKETS_MAX);
    check_uint(look.dropped, 10);
    lh_look_fini(&look);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lines_of_the_kernel),
        cmocka_unit_test(two_looks_tell_what_is_new_and_what_stays),
        cmocka_unit_test(a_look_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
