// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/socket.h>

#include "udp_help.h"

static const int families[] = {AF_INET, AF_INET6};

struct pair {
    struct lh_udp_socket *a, *b; // b is bound; a is connected to it
    struct lh_udp_addr a_addr, b_addr;
    struct lh_udp_rx *rx;
};

static void open_pair(struct pair *pair, int family, bool no_gso, bool no_gro)
{
    struct lh_udp_config bound = {
        .family = family, .local = loopback(family, 0), .no_gso = no_gso, .no_gro = no_gro};
    struct lh_udp_config connected = bound;

    *pair = (struct pair){0};
    check_ok(lh_udp_open(&bound, &pair->b, NULL));
    check_ok(lh_udp_local(pair->b, &pair->b_addr, NULL));
    connected.peer = pair->b_addr;
    check_ok(lh_udp_open(&connected, &pair->a, NULL));
    check_ok(lh_udp_local(pair->a, &pair->a_addr, NULL));
    check_ok(lh_udp_rx_new(LH_UDP_RX_BUFFERS, &pair->rx));
}

static void close_pair(struct pair *pair)
{
    lh_udp_close(pair->a);
    lh_udp_close(pair->b);
    lh_udp_rx_free(pair->rx);
}

// Sends `count` packets of `size` (the last of `last`) as one run, receives them all, compares.
static void run_arrives(struct pair *pair, size_t count, size_t size, size_t last)
{
    static uint8_t data[LH_UDP_RUN_BYTES];
    size_t len = (count - 1) * size + last;
    struct lh_udp_run run = {.data = data, .len = len, .segment_size = size};
    struct lh_udp_sent sent;
    size_t got = 0;

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    check_ok(lh_udp_send(pair->a, &run, &sent));
    check_uint(sent.segments, count);
    while (got < count) {
        struct lh_udp_batch batch;
        assert_true(readable(lh_udp_fd(pair->b), 2000));
        check_ok(lh_udp_recv(pair->b, pair->rx, &batch));
        for (size_t i = 0; i < batch.count; i++, got++) {
            check_uint(batch.dgrams[i].len, got == count - 1 ? last : size);
            assert_memory_equal(batch.dgrams[i].data, data + got * size, batch.dgrams[i].len);
            assert_true(lh_udp_addr_equal(&batch.dgrams[i].path.peer, &pair->a_addr));
        }
    }
    check_uint(got, count);
}

static void runs_arrive_whole_and_in_order(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        if (families[f] == AF_INET6 && !have_ipv6())
            continue;
        for (int mode = 0; mode < 4; mode++) {
            struct pair pair;
            open_pair(&pair, families[f], (mode & 1) != 0, (mode & 2) != 0);
            run_arrives(&pair, 1, 1200, 1200);
            run_arrives(&pair, 1, 1200, 1);
            run_arrives(&pair, 2, 1200, 1200);
            run_arrives(&pair, 44, 1452, 1452);
            run_arrives(&pair, 44, 1452, 17);
            run_arrives(&pair, LH_UDP_RUN_SEGMENTS, 1000, 999);
            run_arrives(&pair, 7, LH_PACKET_MAX, 40);
            run_arrives(&pair, LH_UDP_RUN_SEGMENTS, 28, 28);
            close_pair(&pair);
        }
    }
}

static void large_datagrams_are_not_cut(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair, AF_INET, false, false);
    run_arrives(&pair, 1, LH_UDP_RUN_BYTES, LH_UDP_RUN_BYTES);
    struct lh_udp_stats stats;
    lh_udp_get_stats(pair.b, &stats);
    check_uint(stats.malformed, 0);
    close_pair(&pair);
}

static void nothing_waits_is_again(void **state)
{
    (void)state;
    struct pair pair;
    struct lh_udp_batch batch;
    open_pair(&pair, AF_INET, false, false);
    check_err(lh_udp_recv(pair.b, pair.rx, &batch), LH_AGAIN);
    check_uint(batch.count, 0);
    close_pair(&pair);
}

static void full_receive_buffer_counts_drops(void **state)
{
    (void)state;
    struct lh_udp_config config = {
        .family = AF_INET, .local = loopback(AF_INET, 0), .no_gro = true};
    struct pair pair;
    static uint8_t data[60000];
    struct lh_udp_run run = {.data = data, .len = sizeof data, .segment_size = sizeof data};
    struct lh_udp_sent sent;
    struct lh_udp_batch batch;
    struct lh_udp_stats stats;
    open_pair(&pair, AF_INET, true, true);
    lh_udp_close(pair.b);
    config.local = pair.b_addr;
    config.rcvbuf = 100000;
    check_ok(lh_udp_open(&config, &pair.b, NULL));
    for (int i = 0; i < 50; i++)
        check_ok(lh_udp_send(pair.a, &run, &sent));
    while (lh_udp_recv(pair.b, pair.rx, &batch) == LH_OK)
        ;
    // The count comes with the next packet that does fit.
    run.len = run.segment_size = 100;
    check_ok(lh_udp_send(pair.a, &run, &sent));
    assert_true(readable(lh_udp_fd(pair.b), 2000));
    check_ok(lh_udp_recv(pair.b, pair.rx, &batch));
    lh_udp_get_stats(pair.b, &stats);
    assert_in_range(stats.socket_drops, 30, 50);
    check_uint(stats.packets_in + stats.socket_drops, 51);
    close_pair(&pair);
}

// The kernel does no GSO for a socket that sends without checksums: a refusal that can be had
// anywhere.
static void a_refused_batch_goes_out_singly_and_turns_gso_off(void **state)
{
    (void)state;
    struct pair pair;
    int one = 1;
    struct lh_udp_stats stats;
    open_pair(&pair, AF_INET, false, false);
    if (!lh_udp_gso_is_on(pair.a)) {
        close_pair(&pair);
        skip();
    }
    check_int(setsockopt(lh_udp_fd(pair.a), SOL_SOCKET, SO_NO_CHECK, &one, sizeof one), 0);
    run_arrives(&pair, 44, 1400, 17);
    assert_false(lh_udp_gso_is_on(pair.a));
    lh_udp_get_stats(pair.a, &stats);
    check_uint(stats.calls_out, 2); // the refused sendmsg, and one sendmmsg
    check_uint(stats.packets_out, 44);
    check_uint(stats.send_errors, 0);
    run_arrives(&pair, 44, 1400, 1400);
    lh_udp_get_stats(pair.a, &stats);
    check_uint(stats.calls_out, 3);
    lh_udp_set_gso(pair.a, true); // cannot talk the kernel round
    assert_false(lh_udp_gso_is_on(pair.a));
    close_pair(&pair);
}

static void refused_connection_is_counted_not_reported(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t data[1200] = {0};
    struct lh_udp_run run = {.data = data, .len = sizeof data, .segment_size = sizeof data};
    struct lh_udp_sent sent;
    struct lh_udp_batch batch;
    struct lh_udp_stats stats;
    open_pair(&pair, AF_INET, false, false);
    lh_udp_close(pair.b); // from now on: ICMP port unreachable
    pair.b = NULL;
    for (int i = 0; i < 20; i++)
        check_ok(lh_udp_send(pair.a, &run, &sent));
    lh_err err = lh_udp_recv(pair.a, pair.rx, &batch);
    assert_true(err == LH_OK || err == LH_AGAIN);
    check_uint(batch.count, 0);
    lh_udp_get_stats(pair.a, &stats);
    assert_in_range(stats.icmp_errors, 1, 30);
    check_uint(stats.send_errors, 0);
    check_uint(stats.packets_out, 20);
    close_pair(&pair);
}

static void unconnected_sockets_answer_from_the_address_asked(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        int family = families[f];
        if (family == AF_INET6 && !have_ipv6())
            continue;
        struct lh_udp_config config = {
            .family = family, .local = lh_udp_addr_any(family, 0), .pktinfo = true};
        struct lh_udp_socket *server, *client;
        struct lh_udp_addr addr;
        struct lh_udp_rx *rx;
        struct lh_udp_batch batch;
        struct lh_udp_sent sent;
        uint8_t data[100] = {1};
        check_ok(lh_udp_rx_new(LH_UDP_RX_BUFFERS, &rx));
        check_ok(lh_udp_open(&config, &server, NULL));
        check_ok(lh_udp_local(server, &addr, NULL));
        // 127.0.0.9 is an address of ours that the kernel would not choose by itself.
        struct lh_udp_path to = {.peer = addr};
        check_ok(lh_udp_addr_parse(family == AF_INET ? "127.0.0.9" : "::1", lh_udp_addr_port(&addr),
                                   &to.peer));
        config.pktinfo = false;
        check_ok(lh_udp_open(&config, &client, NULL));
        struct lh_udp_run run = {data, sizeof data, sizeof data, &to};
        check_ok(lh_udp_send(client, &run, &sent));
        assert_true(readable(lh_udp_fd(server), 2000));
        check_ok(lh_udp_recv(server, rx, &batch));
        check_uint(batch.count, 1);
        struct lh_udp_path back = batch.dgrams[0].path;
        check_int(lh_udp_addr_family(&back.local), family);
        run.path = &back;
        check_ok(lh_udp_send(server, &run, &sent));
        assert_true(readable(lh_udp_fd(client), 2000));
        check_ok(lh_udp_recv(client, rx, &batch));
        check_uint(batch.count, 1);
        assert_true(lh_udp_addr_equal(&batch.dgrams[0].path.peer, &to.peer));
        lh_udp_close(server);
        lh_udp_close(client);
        lh_udp_rx_free(rx);
    }
}

static void ecn_bits_arrive(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        if (families[f] == AF_INET6 && !have_ipv6())
            continue;
        for (uint8_t ecn = 0; ecn < 4; ecn++) {
            struct pair pair;
            struct lh_udp_batch batch;
            struct lh_udp_sent sent;
            uint8_t data[3000] = {0};
            struct lh_udp_run run = {.data = data, .len = sizeof data, .segment_size = 1000};
            open_pair(&pair, families[f], false, false);
            struct lh_udp_config config = {.family = families[f], .peer = pair.b_addr, .ecn = ecn};
            lh_udp_close(pair.a);
            check_ok(lh_udp_open(&config, &pair.a, NULL));
            check_ok(lh_udp_send(pair.a, &run, &sent));
            assert_true(readable(lh_udp_fd(pair.b), 2000));
            check_ok(lh_udp_recv(pair.b, pair.rx, &batch));
            check_uint(batch.count, 3);
            check_uint(batch.dgrams[0].ecn, ecn);
            check_uint(batch.dgrams[2].ecn, ecn);
            close_pair(&pair);
        }
    }
}

static void a_full_house_of_batches_is_split_right(void **state)
{
    (void)state;
    struct pair pair;
    static uint8_t data[64 * 28];
    struct lh_udp_run run = {.data = data, .len = sizeof data, .segment_size = 28};
    size_t got = 0;
    open_pair(&pair, AF_INET, false, false);
    // More messages than one recvmmsg takes, each with as many packets as a run holds.
    for (unsigned i = 0; i < LH_UDP_RX_BUFFERS + 8; i++) {
        struct lh_udp_sent sent;
        check_ok(lh_udp_send(pair.a, &run, &sent));
    }
    for (;;) {
        struct lh_udp_batch batch;
        if (lh_udp_recv(pair.b, pair.rx, &batch) != LH_OK)
            break;
        assert_true(batch.count <= (size_t)LH_UDP_RX_BUFFERS * LH_UDP_SEGMENTS_MAX);
        got += batch.count;
    }
    check_uint(got, (LH_UDP_RX_BUFFERS + 8) * 64);
    close_pair(&pair);
}

static void empty_datagrams_are_left_out(void **state)
{
    (void)state;
    struct pair pair;
    struct lh_udp_batch batch;
    open_pair(&pair, AF_INET, false, false);
    check_int(send(lh_udp_fd(pair.a), "", 0, 0), 0);
    assert_true(readable(lh_udp_fd(pair.b), 2000));
    check_ok(lh_udp_recv(pair.b, pair.rx, &batch));
    check_uint(batch.count, 0);
    check_err(lh_udp_recv(pair.b, pair.rx, &batch), LH_AGAIN);
    close_pair(&pair);
}

static void gso_can_be_switched(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair, AF_INET, true, false);
    assert_false(lh_udp_gso_is_on(pair.a));
    run_arrives(&pair, 4, 1000, 10);
    lh_udp_set_gso(pair.a, true);
    run_arrives(&pair, 4, 1000, 10);
    lh_udp_set_gso(pair.a, false);
    assert_false(lh_udp_gso_is_on(pair.a));
    run_arrives(&pair, 4, 1000, 10);
    close_pair(&pair);
}

static void payload_towards_loopback_and_nowhere(void **state)
{
    (void)state;
    struct lh_udp_addr addr = loopback(AF_INET, 9);
    struct lh_udp_payload payload = lh_udp_payload_towards(&addr);
    check_uint(payload.start, 1472);
    check_uint(payload.most, LH_PACKET_MAX);
    check_uint(payload.overhead, 28);
    check_ok(lh_udp_addr_parse("ff02::1", 9, &addr)); // may have no route
    payload = lh_udp_payload_towards(&addr);
    check_uint(payload.overhead, 48);
    assert_in_range(payload.start, LH_PACKET_MIN_MTU, 1452);
    assert_true(payload.most >= payload.start);
}

static void says_who_holds_the_port(void **state)
{
    (void)state;
    struct lh_udp_config config = {.family = AF_INET, .local = loopback(AF_INET, 0)};
    struct lh_udp_socket *holder, *second = NULL;
    struct lh_errinfo info = {0};
    check_ok(lh_udp_open(&config, &holder, NULL));
    check_ok(lh_udp_local(holder, &config.local, NULL));
    config.reuse = true; // the holder does not share
    check_err(lh_udp_open(&config, &second, &info), LH_E_SYS);
    check_int(info.sys_errno, EADDRINUSE);
    assert_non_null(strstr(info.text, "127.0.0.1:"));
    assert_null(second);
    lh_udp_close(holder);
}

static void connects_to_single_machines_only(void **state)
{
    (void)state;
    struct pair pair;
    struct lh_udp_addr addr;
    open_pair(&pair, AF_INET, false, false);
    check_ok(lh_udp_addr_parse("255.255.255.255", 9, &addr));
    check_err(lh_udp_connect(pair.b, &addr), LH_NONE);
    check_int(lh_udp_addr_family(lh_udp_peer(pair.b)), AF_UNSPEC);
    check_ok(lh_udp_connect(pair.b, &pair.a_addr));
    assert_true(lh_udp_addr_equal(lh_udp_peer(pair.b), &pair.a_addr));
    run_arrives(&pair, 3, 100, 100);
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_arrive_whole_and_in_order),
        cmocka_unit_test(large_datagrams_are_not_cut),
        cmocka_unit_test(nothing_waits_is_again),
        cmocka_unit_test(full_receive_buffer_counts_drops),
        cmocka_unit_test(a_refused_batch_goes_out_singly_and_turns_gso_off),
        cmocka_unit_test(refused_connection_is_counted_not_reported),
        cmocka_unit_test(unconnected_sockets_answer_from_the_address_asked),
        cmocka_unit_test(ecn_bits_arrive),
        cmocka_unit_test(a_full_house_of_batches_is_split_right),
        cmocka_unit_test(empty_datagrams_are_left_out),
        cmocka_unit_test(gso_can_be_switched),
        cmocka_unit_test(payload_towards_loopback_and_nowhere),
        cmocka_unit_test(says_who_holds_the_port),
        cmocka_unit_test(connects_to_single_machines_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
