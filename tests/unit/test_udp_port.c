// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "udp/client.h"
#include "udp/port.h"
#include "udp/port_internal.h"
#include "udp/route.h"
#include "udp_help.h"

#define ONE 0x11111111u
#define TWO 0x22222222u

struct rig {
    uint16_t number;
    struct lh_port *one, *two;
    struct lh_udp_socket *client;
    struct lh_udp_addr server;
    struct lh_udp_rx *rx;
    lh_ns now;
};

static struct lh_port *open_port(struct rig *rig, uint32_t session_id)
{
    struct lh_port_config config = {.port = rig->number, .session_id = session_id};
    struct lh_port *port = NULL;

    check_ok(lh_port_open(&config, rig->now, &port, NULL));
    return port;
}

// Two sessions on one port; `two` was bound last, so strangers land there.
static void open_rig(struct rig *rig, int family)
{
    struct lh_udp_config config = {.family = family, .local = loopback(family, 0)};

    *rig = (struct rig){.number = free_port(), .now = 1000 * LH_SECOND};
    rig->server = loopback(family, rig->number);
    rig->one = open_port(rig, ONE);
    rig->two = open_port(rig, TWO);
    check_ok(lh_udp_open(&config, &rig->client, NULL));
    check_ok(lh_udp_rx_new(LH_UDP_RX_BUFFERS, &rig->rx));
}

static void close_rig(struct rig *rig)
{
    lh_port_close(rig->one);
    lh_port_close(rig->two);
    lh_udp_close(rig->client);
    lh_udp_rx_free(rig->rx);
}

static void client_sends(struct rig *rig, uint32_t session_id, uint8_t seed, size_t len)
{
    uint8_t packet[LH_PACKET_MAX];
    struct lh_udp_path path = {.peer = rig->server};
    struct lh_udp_run run = {packet, make_packet(packet, len, session_id, seed), len, &path};
    struct lh_udp_sent sent;

    check_ok(lh_udp_send(rig->client, &run, &sent));
}

// Reads everything that waits for `port`; keeps the last datagram's path. Returns how many came.
static size_t drain(struct rig *rig, struct lh_port *port, struct lh_udp_path *last)
{
    int fds[LH_PORT_FDS_MAX];
    size_t fd_count = lh_port_fds(port, fds);
    size_t got = 0;

    for (size_t i = 0; i < fd_count; i++) {
        struct lh_udp_batch batch;
        while (lh_port_recv(port, fds[i], rig->rx, rig->now, &batch) == LH_OK) {
            got += batch.count;
            if (batch.count > 0) {
                check_uint(batch.dgrams[0].lane, 1);
                *last = batch.dgrams[batch.count - 1].path;
            }
        }
    }
    return got;
}

static void a_stranger_reaches_its_session_through_another(void **state)
{
    (void)state;
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t f = 0; f < 2; f++) {
        struct rig rig;
        struct lh_udp_path path = {0}, none = {0};
        struct lh_port_stats stats;
        struct lh_udp_addr client;
        if (families[f] == AF_INET6 && !have_ipv6())
            continue;
        open_rig(&rig, families[f]);
        check_ok(lh_udp_local(rig.client, &client, NULL));
        client_sends(&rig, ONE, 1, 1200);
        check_uint(drain(&rig, rig.two, &none), 0); // passes it on
        check_uint(drain(&rig, rig.one, &path), 1);
        assert_true(lh_udp_addr_equal(&path.peer, &client));
        lh_port_get_stats(rig.two, &stats);
        check_uint(stats.passed_on, 1);
        lh_port_get_stats(rig.one, &stats);
        check_uint(stats.mine_forwarded, 1);
        // Connected, it needs nobody any more.
        check_ok(lh_port_connect(rig.one, 1, &path, rig.now, NULL));
        client_sends(&rig, ONE, 2, 1200);
        check_uint(drain(&rig, rig.two, &none), 0);
        check_uint(drain(&rig, rig.one, &path), 1);
        lh_port_get_stats(rig.one, &stats);
        check_uint(stats.mine_direct, 1);
        assert_true(lh_udp_addr_equal(&path.peer, &client));
        close_rig(&rig);
    }
}

static void direct_and_forwarded_packets_have_the_same_path(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path forwarded = {0}, direct = {0}, connected = {0};
    open_rig(&rig, AF_INET);
    client_sends(&rig, ONE, 1, 100);
    check_uint(drain(&rig, rig.two, &direct), 0);
    check_uint(drain(&rig, rig.one, &forwarded), 1);
    lh_port_close(rig.two);
    rig.two = NULL;
    client_sends(&rig, ONE, 2, 100);
    check_uint(drain(&rig, rig.one, &direct), 1);
    check_ok(lh_port_connect(rig.one, 1, &direct, rig.now, NULL));
    client_sends(&rig, ONE, 3, 100);
    check_uint(drain(&rig, rig.one, &connected), 1);
    assert_true(lh_udp_path_equal(&forwarded, &direct));
    assert_true(lh_udp_path_equal(&direct, &connected));
    close_rig(&rig);
}

static void answers_reach_the_client_from_the_address_it_used(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_udp_batch batch;
    uint8_t packet[200];
    struct lh_udp_sent sent;
    open_rig(&rig, AF_INET);
    check_ok(lh_udp_addr_parse("127.0.0.77", rig.number, &rig.server));
    client_sends(&rig, TWO, 1, 100);
    check_uint(drain(&rig, rig.two, &path), 1);
    struct lh_udp_run run = {packet, make_packet(packet, 200, TWO, 1), 200, &path};
    for (int connected = 0; connected < 2; connected++) {
        check_ok(lh_port_send(rig.two, 1, &run, &sent));
        assert_true(readable(lh_udp_fd(rig.client), 2000));
        check_ok(lh_udp_recv(rig.client, rig.rx, &batch));
        check_uint(batch.count, 1);
        assert_true(lh_udp_addr_equal(&batch.dgrams[0].path.peer, &rig.server));
        check_ok(lh_port_connect(rig.two, 1, &path, rig.now, NULL));
        assert_non_null(lh_port_lane(rig.two, 1));
    }
    close_rig(&rig);
}

static void a_moved_client_is_heard_and_followed(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path before = {0}, after = {0};
    struct lh_udp_config config = {.family = AF_INET, .local = loopback(AF_INET, 0)};
    open_rig(&rig, AF_INET);
    client_sends(&rig, ONE, 1, 1200);
    check_uint(drain(&rig, rig.two, &before), 0);
    check_uint(drain(&rig, rig.one, &before), 1);
    check_ok(lh_port_connect(rig.one, 1, &before, rig.now, NULL));
    lh_udp_close(rig.client); // a NAT gives it another port
    check_ok(lh_udp_open(&config, &rig.client, NULL));
    client_sends(&rig, ONE, 2, 1200);
    check_uint(drain(&rig, rig.two, &after), 0);
    check_uint(drain(&rig, rig.one, &after), 1);
    assert_false(lh_udp_path_equal(&before, &after));
    check_ok(lh_port_connect(rig.one, 1, &after, rig.now, NULL));
    client_sends(&rig, ONE, 3, 1200);
    check_uint(drain(&rig, rig.two, &before), 0);
    check_uint(drain(&rig, rig.one, &before), 1);
    close_rig(&rig);
}

static void a_waiting_session_binds_anew_and_is_last(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_port_stats stats;
    open_rig(&rig, AF_INET);
    // `two` stops here: it never reads again. `one` waits.
    client_sends(&rig, ONE, 1, 1200);
    check_uint(drain(&rig, rig.one, &path), 0);
    uint32_t generation = lh_port_generation(rig.one);
    rig.now = lh_port_next_deadline(rig.one);
    assert_true(rig.now != LH_NEVER);
    lh_port_on_deadline(rig.one, rig.now);
    assert_int_not_equal(lh_port_generation(rig.one), generation);
    client_sends(&rig, ONE, 2, 1200);
    check_uint(drain(&rig, rig.one, &path), 1);
    lh_port_get_stats(rig.one, &stats);
    check_uint(stats.mine_stranger, 1);
    check_uint(stats.rebinds, 1);
    close_rig(&rig);
}

static void what_was_queued_survives_the_binding_anew(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    open_rig(&rig, AF_INET);
    client_sends(&rig, TWO, 1, 1200);
    rig.now = lh_port_next_deadline(rig.two);
    lh_port_on_deadline(rig.two, rig.now);
    client_sends(&rig, TWO, 2, 1200);
    check_uint(drain(&rig, rig.two, &path), 2);
    close_rig(&rig);
}

static void rebinding_slows_down_and_stops(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_port_stats stats;
    lh_ns end;
    open_rig(&rig, AF_INET);
    end = rig.now + 60 * LH_SECOND;
    while (lh_port_next_deadline(rig.one) < end) {
        int fds[LH_PORT_FDS_MAX];
        lh_ns next = lh_port_next_deadline(rig.one);
        assert_true(next > rig.now || next == rig.now);
        rig.now = next;
        lh_port_on_deadline(rig.one, rig.now);
        assert_true(lh_port_fds(rig.one, fds) <= LH_PORT_FDS_MAX);
    }
    lh_port_get_stats(rig.one, &stats);
    assert_in_range(stats.rebinds, 35, 90);
    lh_port_set_waiting(rig.one, false, rig.now);
    rig.now += LH_SECOND;
    lh_port_on_deadline(rig.one, rig.now); // retired sockets go
    check_uint(lh_port_next_deadline(rig.one), LH_NEVER);
    lh_port_set_waiting(rig.one, true, rig.now);
    assert_true(lh_port_next_deadline(rig.one) <= rig.now + LH_PORT_REBIND_FIRST * 2);
    close_rig(&rig);
}

static void a_full_inbox_hurts_only_its_owner(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_port_stats stats;
    struct lh_port *stopped[40];
    open_rig(&rig, AF_INET);
    for (unsigned i = 0; i < 40; i++)
        stopped[i] = open_port(&rig, 0x5000u + i);
    rig.now = lh_port_next_deadline(rig.two);
    lh_port_on_deadline(rig.two, rig.now); // `two` hears strangers; the 40 never read
    for (uint8_t round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 40; i++)
            client_sends(&rig, 0x5000u + i, round, LH_PACKET_MAX);
        (void)drain(&rig, rig.two, &path);
        rig.now += LH_SECOND / 10;
        client_sends(&rig, ONE, round, 1200);
        check_uint(drain(&rig, rig.two, &path), 0);
        check_uint(drain(&rig, rig.one, &path), 1);
    }
    lh_port_get_stats(rig.two, &stats);
    assert_true(stats.pass_full > 0);
    for (unsigned i = 0; i < 40; i++)
        lh_port_close(stopped[i]);
    close_rig(&rig);
}

static void passing_on_is_limited_in_rate(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_port_stats stats;
    open_rig(&rig, AF_INET);
    for (unsigned i = 0; i < LH_PORT_FORWARD_BURST * 2; i++) {
        client_sends(&rig, 0x70000000u + i, 1, 100); // nobody has these ids
        if (i % 64 == 63)
            check_uint(drain(&rig, rig.two, &path), 0);
    }
    lh_port_get_stats(rig.two, &stats);
    check_uint(stats.pass_no_owner, LH_PORT_FORWARD_BURST);
    check_uint(stats.pass_limited, LH_PORT_FORWARD_BURST);
    rig.now += LH_SECOND;
    client_sends(&rig, ONE, 1, 100);
    (void)drain(&rig, rig.two, &path);
    check_uint(drain(&rig, rig.one, &path), 1);
    close_rig(&rig);
}

static int inbox_sender(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

static void nothing_is_passed_on_twice(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_port_stats stats;
    struct sockaddr_un name;
    uint8_t packet[100], message[200];
    struct lh_udp_dgram dgram = {.data = packet, .len = sizeof packet};
    open_rig(&rig, AF_INET);
    make_packet(packet, sizeof packet, TWO, 1);
    dgram.path.peer = loopback(AF_INET, 4000);
    dgram.path.local = loopback(AF_INET, 0);
    size_t head = lh_route_forward_header(&dgram, message);
    memcpy(message + head, packet, sizeof packet);
    int fd = inbox_sender();
    unsigned len = lh_port_inbox_name(rig.number, ONE, &name); // wrong inbox
    check_int(sendto(fd, message, head + sizeof packet, 0, (struct sockaddr *)&name, len),
              head + sizeof packet);
    check_uint(drain(&rig, rig.one, &path), 0);
    check_uint(drain(&rig, rig.two, &path), 0);
    lh_port_get_stats(rig.one, &stats);
    check_uint(stats.inbox_malformed, 1);
    check_uint(stats.passed_on, 0);
    close(fd);
    close_rig(&rig);
}

static void junk_in_the_inbox_is_dropped_and_descriptors_are_not_taken(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_port_stats stats;
    struct sockaddr_un name;
    static uint8_t huge[100000];
    open_rig(&rig, AF_INET);
    int fd = inbox_sender();
    unsigned len = lh_port_inbox_name(rig.number, ONE, &name);
    check_int(sendto(fd, "", 0, 0, (struct sockaddr *)&name, len), 0);
    check_int(sendto(fd, huge, sizeof huge, 0, (struct sockaddr *)&name, len), sizeof huge);
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte = 1;
    struct iovec iov = {&byte, 1};
    struct msghdr header = {.msg_name = &name,
                            .msg_namelen = len,
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
    check_int(sendmsg(fd, &header, 0), 1);
    int before = dup(fd);
    check_uint(drain(&rig, rig.one, &path), 0);
    int after = dup(fd);
    check_int(after, before + 1); // no descriptor came in between
    lh_port_get_stats(rig.one, &stats);
    check_uint(stats.inbox_malformed, 3);
    close(before);
    close(after);
    close(fd);
    close_rig(&rig);
}

static void junk_from_the_network_is_not_passed_on(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_port_stats stats;
    uint8_t packet[LH_PACKET_MAX + 10];
    struct lh_udp_path to;
    struct lh_udp_sent sent;
    static const size_t lens[] = {1, 5, 6, LH_ROUTE_PACKET_MIN - 1, LH_PACKET_MAX + 1};
    open_rig(&rig, AF_INET);
    to = (struct lh_udp_path){.peer = rig.server};
    make_packet(packet, sizeof packet, ONE, 1);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct lh_udp_run run = {packet, lens[i], lens[i], &to};
        check_ok(lh_udp_send(rig.client, &run, &sent));
    }
    packet[0] = 0x10; // lane 0
    struct lh_udp_run run = {packet, 100, 100, &to};
    check_ok(lh_udp_send(rig.client, &run, &sent));
    check_uint(drain(&rig, rig.two, &path), 0);
    check_uint(drain(&rig, rig.one, &path), 0);
    lh_port_get_stats(rig.two, &stats);
    check_uint(stats.malformed, 6);
    check_uint(stats.passed_on, 0);
    close_rig(&rig);
}

static void a_holder_that_does_not_share_is_named_as_the_reason(void **state)
{
    (void)state;
    struct lh_port_config config = {.port = free_port(), .session_id = ONE};
    struct lh_udp_config v4 = {.family = AF_INET, .local = lh_udp_addr_any(AF_INET, config.port)};
    struct lh_udp_config v6 = {.family = AF_INET6, .local = lh_udp_addr_any(AF_INET6, config.port)};
    struct lh_udp_socket *holder4 = NULL, *holder6 = NULL;
    struct lh_errinfo info = {0};
    struct lh_port *port = NULL;
    check_ok(lh_udp_open(&v4, &holder4, NULL));
    if (have_ipv6()) {
        // Half of it is enough to go on with.
        check_ok(lh_port_open(&config, 1, &port, NULL));
        assert_false(lh_port_hears(port, AF_INET));
        assert_true(lh_port_hears(port, AF_INET6));
        lh_port_close(port);
        check_ok(lh_udp_open(&v6, &holder6, NULL));
    }
    check_err(lh_port_open(&config, 1, &port, &info), LH_E_SYS);
    assert_non_null(strstr(info.text, "held by another program"));
    assert_non_null(strstr(info.text, "-O"));
    lh_udp_close(holder4);
    lh_udp_close(holder6);
}

static void a_port_freed_later_is_taken_when_binding_anew(void **state)
{
    (void)state;
    struct lh_port_config config = {.port = free_port(), .session_id = ONE};
    struct lh_udp_config v4 = {.family = AF_INET, .local = lh_udp_addr_any(AF_INET, config.port)};
    struct lh_udp_socket *holder = NULL;
    struct lh_port *port = NULL;
    if (!have_ipv6())
        skip();
    check_ok(lh_udp_open(&v4, &holder, NULL));
    check_ok(lh_port_open(&config, 1, &port, NULL));
    lh_udp_close(holder);
    lh_port_on_deadline(port, lh_port_next_deadline(port));
    assert_true(lh_port_hears(port, AF_INET));
    lh_port_close(port);
}

static void an_unrelated_program_that_shares_keeps_strangers_only_for_a_while(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_udp_socket *holder = NULL;
    open_rig(&rig, AF_INET);
    // It holds the address itself, which the kernel prefers to our wildcards.
    struct lh_udp_config config = {.family = AF_INET, .local = rig.server, .reuse = true};
    check_ok(lh_udp_open(&config, &holder, NULL));
    struct lh_port_config mine = {.port = rig.number, .session_id = 3, .local_count = 1};
    mine.locals[0] = rig.server;
    struct lh_port *three = NULL;
    lh_udp_close(holder);
    check_ok(lh_port_open(&mine, rig.now, &three, NULL));
    check_ok(lh_udp_open(&config, &holder, NULL)); // bound last: it gets strangers
    client_sends(&rig, 3, 1, 100);
    check_uint(drain(&rig, three, &path), 0);
    rig.now = lh_port_next_deadline(three);
    lh_port_on_deadline(three, rig.now);
    client_sends(&rig, 3, 2, 100);
    check_uint(drain(&rig, three, &path), 1);
    check_ok(lh_port_connect(three, 1, &path, rig.now, NULL));
    lh_udp_close(holder);
    check_ok(lh_udp_open(&config, &holder, NULL)); // too late
    client_sends(&rig, 3, 3, 100);
    check_uint(drain(&rig, three, &path), 1);
    lh_udp_close(holder);
    lh_port_close(three);
    close_rig(&rig);
}

static void a_taken_session_id_asks_for_another(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_port *port = NULL;
    open_rig(&rig, AF_INET);
    struct lh_port_config config = {.port = rig.number, .session_id = ONE};
    check_err(lh_port_open(&config, 1, &port, NULL), LH_AGAIN);
    config.session_id = ONE + 1;
    check_ok(lh_port_open(&config, 1, &port, NULL));
    lh_port_close(port);
    close_rig(&rig);
}

static void paths_that_do_not_fit_this_machine_change_nothing(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0}, bad;
    open_rig(&rig, AF_INET);
    client_sends(&rig, TWO, 1, 100);
    check_uint(drain(&rig, rig.two, &path), 1);
    check_ok(lh_port_connect(rig.two, 1, &path, rig.now, NULL));
    struct lh_udp_socket *lane = lh_port_lane(rig.two, 1);
    bad = path;
    check_ok(lh_udp_addr_parse("203.0.113.9", 0, &bad.local)); // not ours
    check_err(lh_port_connect(rig.two, 1, &bad, rig.now, NULL), LH_NONE);
    bad = path;
    check_ok(lh_udp_addr_parse("255.255.255.255", 9, &bad.peer));
    check_err(lh_port_connect(rig.two, 1, &bad, rig.now, NULL), LH_NONE);
    bad = (struct lh_udp_path){0};
    check_err(lh_port_connect(rig.two, 1, &bad, rig.now, NULL), LH_NONE);
    assert_ptr_equal(lh_port_lane(rig.two, 1), lane);
    client_sends(&rig, TWO, 2, 100);
    check_uint(drain(&rig, rig.two, &path), 1);
    lh_port_disconnect(rig.two, 1, rig.now);
    assert_null(lh_port_lane(rig.two, 1));
    client_sends(&rig, TWO, 3, 100);
    check_uint(drain(&rig, rig.two, &path), 1);
    close_rig(&rig);
}

static void many_moves_stay_within_the_descriptor_bound(void **state)
{
    (void)state;
    struct rig rig;
    int fds[LH_PORT_FDS_MAX];
    open_rig(&rig, AF_INET);
    for (uint16_t i = 0; i < 200; i++) {
        struct lh_udp_path path = {.peer = loopback(AF_INET, (uint16_t)(2000 + i)),
                                   .local = loopback(AF_INET, 0)};
        uint8_t lane = (uint8_t)(1 + i % (LH_LANES_MAX - 1));
        check_ok(lh_port_connect(rig.one, lane, &path, rig.now, NULL));
        assert_true(lh_port_fds(rig.one, fds) <= LH_PORT_FDS_MAX);
    }
    close_rig(&rig);
}

static void the_client_settles_on_the_address_that_answered(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_path path = {0};
    struct lh_udp_sent sent;
    struct lh_udp_batch batch;
    struct lh_udp_client *client = NULL;
    const struct lh_udp_path *candidates;
    uint8_t packet[200];
    int fds[LH_CLIENT_FDS_MAX];
    open_rig(&rig, AF_INET);
    struct lh_udp_addr wanted[4] = {loopback(AF_INET6, rig.number), loopback(AF_INET, 1),
                                    rig.server, rig.server};
    struct lh_client_config config = {.candidates = wanted, .candidate_count = 4};
    check_ok(lh_udp_client_open(&config, &client, NULL));
    size_t count = lh_udp_client_candidates(client, &candidates);
    check_uint(count, have_ipv6() ? 3 : 2);
    check_uint(lh_udp_client_fds(client, fds), have_ipv6() ? 2 : 1);
    for (size_t i = 0; i < count; i++) {
        struct lh_udp_run run = {packet, make_packet(packet, 200, TWO, 1), 200, &candidates[i]};
        check_ok(lh_udp_client_send(client, &run, &sent));
    }
    check_uint(drain(&rig, rig.two, &path), have_ipv6() ? 2 : 1);
    check_ok(lh_udp_client_settle(client, &rig.server));
    check_uint(lh_udp_client_fds(client, fds), 1);
    assert_non_null(lh_udp_client_socket(client));
    struct lh_udp_run run = {packet, 200, 200, &candidates[count - 1]};
    check_ok(lh_udp_client_send(client, &run, &sent));
    struct lh_udp_path again = {0};
    check_uint(drain(&rig, rig.two, &again), 1);
    run.path = &again;
    check_ok(lh_port_send(rig.two, 1, &run, &sent));
    assert_true(readable(fds[0], 2000));
    check_ok(lh_udp_client_recv(client, fds[0], rig.rx, &batch));
    check_uint(batch.count, 1);
    check_ok(lh_udp_client_restart(client, NULL));
    assert_null(lh_udp_client_socket(client));
    check_uint(lh_udp_client_candidates(client, &candidates), count);
    run.path = &candidates[count - 1];
    check_ok(lh_udp_client_send(client, &run, &sent));
    struct lh_udp_path moved = {0};
    check_uint(drain(&rig, rig.two, &moved), 1);
    assert_false(lh_udp_path_equal(&moved, &again));
    lh_udp_client_close(client);
    close_rig(&rig);
}

static void a_client_without_candidates_says_so(void **state)
{
    (void)state;
    struct lh_udp_addr multicast;
    struct lh_udp_client *client = NULL;
    struct lh_errinfo info = {0};
    check_ok(lh_udp_addr_parse("224.0.0.1", 9, &multicast));
    struct lh_client_config config = {.candidates = &multicast, .candidate_count = 1};
    check_err(lh_udp_client_open(&config, &client, &info), LH_E_SYS);
    assert_non_null(strstr(info.text, "no address"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_reaches_its_session_through_another),
        cmocka_unit_test(direct_and_forwarded_packets_have_the_same_path),
        cmocka_unit_test(answers_reach_the_client_from_the_address_it_used),
        cmocka_unit_test(a_moved_client_is_heard_and_followed),
        cmocka_unit_test(a_waiting_session_binds_anew_and_is_last),
        cmocka_unit_test(what_was_queued_survives_the_binding_anew),
        cmocka_unit_test(rebinding_slows_down_and_stops),
        cmocka_unit_test(a_full_inbox_hurts_only_its_owner),
        cmocka_unit_test(passing_on_is_limited_in_rate),
        cmocka_unit_test(nothing_is_passed_on_twice),
        cmocka_unit_test(junk_in_the_inbox_is_dropped_and_descriptors_are_not_taken),
        cmocka_unit_test(junk_from_the_network_is_not_passed_on),
        cmocka_unit_test(a_holder_that_does_not_share_is_named_as_the_reason),
        cmocka_unit_test(a_port_freed_later_is_taken_when_binding_anew),
        cmocka_unit_test(an_unrelated_program_that_shares_keeps_strangers_only_for_a_while),
        cmocka_unit_test(a_taken_session_id_asks_for_another),
        cmocka_unit_test(paths_that_do_not_fit_this_machine_change_nothing),
        cmocka_unit_test(many_moves_stay_within_the_descriptor_bound),
        cmocka_unit_test(the_client_settles_on_the_address_that_answered),
        cmocka_unit_test(a_client_without_candidates_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
