// SPDX-License-Identifier: Apache-2.0
//
// Two transports on one loop, joined by real sockets: the client's own and the server's shared
// port.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "check.h"
#include "crypto/aead.h"
#include "run/udp_lane.h"
#include "sys/clock.h"

#define PORT       33791
#define BLOCK_MAX  (65536 + LH_BLOCK_HEADER_MAX)
#define BLOCKS     200
#define SESSION_ID 0x01020304
#define GIVE_UP    (20 * LH_SECOND)

struct end {
    struct lh_transport *transport;
    struct lh_udp_lanes lanes;
    uint64_t received;
    uint64_t acked;
    uint64_t checksum;
};

struct fixture {
    struct lh_loop *loop;
    struct end client, server;
    uint8_t *blocks[BLOCKS];
    size_t next;
    size_t wanted; // blocks, the same ones again after BLOCKS
    size_t lane_count;
    lh_ns give_up;
    bool (*is_done)(struct fixture *f);
    int pipe[2];
    int crowd_fds[LH_LOOP_FDS_MAX + 1];
    size_t crowd;
    bool naps;        // before every turn until all have settled: much waits at once then
    bool was_settled; // every lane at both ends
    uint64_t received[2][LH_UDP_LANES_MAX]; // packets by that time
};

static uint64_t sum(const uint8_t *data, size_t len)
{
    uint64_t total = 0;
    for (size_t i = 0; i < len; i++)
        total = total * 31 + data[i];
    return total;
}

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct end *end = user;
    end->received++;
    end->checksum += sum(data, len);
    lh_transport_block_release(end->transport, block);
}

static void on_block_acked(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct end *end = user;
    (void)block;
    (void)data;
    (void)len;
    end->acked++;
}

static void on_stream(void *user, const uint8_t *data, size_t len)
{
    struct end *end = user;
    (void)data;
    lh_transport_stream_consumed(end->transport, len);
}

static void on_writable(void *user)
{
    (void)user;
}

static void on_lane_state(void *user, uint8_t lane, enum lh_lane_state state)
{
    struct end *end = user;
    lh_udp_lanes_on_state(&end->lanes, lane, state, lh_clock_now());
}

static void on_closed(void *user, int code, const char *reason, size_t reason_len)
{
    (void)user;
    fail_msg("closed: %d %.*s", code, (int)reason_len, reason);
}

static const struct lh_transport_events events = {on_block,    on_block_acked, on_stream,
                                                  on_writable, on_lane_state,  on_closed};

static void make_end(struct fixture *f, struct end *end, bool is_client, int family)
{
    struct lh_lane_config wanted = {.cc = &lh_cc_lt, .payload_max = LH_PACKET_MAX};
    struct lh_transport_config config = {
        .is_client = is_client,
        .session_id = SESSION_ID,
        .aead = &lh_aead_aes128_gcm,
        .master = {{7}},
        .epoch_shift = 8, // the keys change every 256 packets
        .block_max = BLOCK_MAX,
        .receive_budget = LH_MEMORY_MIN,
        .seed = is_client,
        .events = &events,
        .user = end,
    };
    struct lh_udp_client *client = NULL;
    struct lh_port *port = NULL;
    lh_ns now = lh_clock_now();

    check_ok(lh_transport_new(&config, now, &end->transport));
    if (is_client) {
        struct lh_udp_addr candidates[2];
        check_ok(lh_udp_addr_parse("192.0.2.1", PORT, &candidates[0])); // nobody there
        check_ok(lh_udp_addr_parse(family == AF_INET ? "127.0.0.1" : "::1", PORT, &candidates[1]));
        struct lh_client_config client_config = {.candidates = candidates, .candidate_count = 2};
        check_ok(lh_udp_client_open(&client_config, &client, NULL));
    } else {
        struct lh_port_config port_config = {.port = PORT, .session_id = SESSION_ID};
        check_ok(lh_port_open(&port_config, now, &port, NULL));
    }
    check_ok(lh_udp_lanes_init(&end->lanes, f->loop, client, port, NULL));
    check_ok(lh_udp_lanes_start(&end->lanes, end->transport, &wanted, f->lane_count, now));
}

static void feed(struct fixture *f)
{
    while (f->next < f->wanted) {
        uint32_t number;
        size_t index = f->next % BLOCKS;
        size_t len = 1 + index * 300 % 65536;
        if (lh_transport_send_block(f->client.transport, f->blocks[index], len, &number) != 0)
            return;
        f->next++;
    }
}

static void on_pipe(void *user, uint32_t ready, lh_ns now)
{
    (void)user;
    (void)ready;
    (void)now;
}

// A lane's thread reads what it was lent.
static bool is_lent(const struct lh_udp_lanes *lanes, int fd)
{
    for (size_t i = 0; i < lanes->count; i++) {
        const struct lh_udp_socket *lent = lanes->lanes[i].lent;
        if (lent != NULL && lh_udp_fd(lent) == fd)
            return true;
    }
    return false;
}

// Nothing that comes by a descriptor which is not watched would ever be read.
static void check_all_are_watched(struct fixture *f)
{
    int fds[LH_PORT_FDS_MAX];
    size_t count = lh_port_fds(f->server.lanes.port, fds);

    for (size_t i = 0; i < count; i++)
        assert_true(is_lent(&f->server.lanes, fds[i]) || lh_loop_has(f->loop, fds[i]));
    for (size_t lane = 0; lane < f->lane_count; lane++) {
        count = lh_udp_client_fds(f->client.lanes.lanes[lane].client, fds);
        for (size_t i = 0; i < count; i++)
            assert_true(is_lent(&f->client.lanes, fds[i]) || lh_loop_has(f->loop, fds[i]));
    }
}

// Others watch so much that the lanes find no place in the loop.
static void make_crowd(struct fixture *f)
{
    int fd;

    check_int(pipe(f->pipe), 0);
    do {
        fd = dup(f->pipe[0]);
        assert_true(fd >= 0);
        f->crowd_fds[f->crowd++] = fd;
    } while (lh_loop_add(f->loop, fd, EPOLLIN, on_pipe, f) == 0);
}

static void drop_crowd(struct fixture *f)
{
    while (f->crowd > 0) {
        int fd = f->crowd_fds[--f->crowd];
        lh_loop_remove(f->loop, fd);
        (void)close(fd);
    }
    (void)close(f->pipe[0]);
    (void)close(f->pipe[1]);
}

static lh_ns turn(void *user, lh_ns now)
{
    struct fixture *f = user;
    struct end *ends[] = {&f->client, &f->server};
    lh_ns deadline = f->give_up;

    if (f->naps && !f->was_settled)
        (void)nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    if (f->crowd > 0 && now >= f->give_up - GIVE_UP + 100 * LH_MS)
        drop_crowd(f);
    if (lh_ns_min(f->client.lanes.watch_again_at, f->server.lanes.watch_again_at) == LH_NEVER)
        check_all_are_watched(f);
    feed(f);
    for (int i = 0; i < 2; i++) {
        lh_udp_lanes_on_deadline(&ends[i]->lanes, now);
        if (lh_transport_next_deadline(ends[i]->transport) <= now)
            lh_transport_on_deadline(ends[i]->transport, now);
        lh_udp_lanes_flush(&ends[i]->lanes, now);
        deadline = lh_ns_min(deadline, lh_transport_next_deadline(ends[i]->transport));
        deadline = lh_ns_min(deadline, lh_udp_lanes_next_deadline(&ends[i]->lanes));
    }
    if (f->is_done(f) || now >= f->give_up)
        lh_loop_stop(f->loop);
    return deadline;
}

static void check_lanes_have_ports_of_their_own(const struct lh_udp_lanes *lanes)
{
    uint16_t ports[LH_UDP_LANES_MAX];
    for (size_t i = 0; i < lanes->count; i++) {
        struct lh_udp_addr local;
        check_ok(lh_udp_local(lh_udp_client_socket(lanes->lanes[i].client), &local, NULL));
        ports[i] = lh_udp_addr_port(&local);
        for (size_t j = 0; j < i; j++)
            assert_true(ports[i] != ports[j]);
    }
}

static bool all_blocks_are_acked(struct fixture *f)
{
    return f->client.acked == f->wanted;
}

static void set_up(struct fixture *f, int family, size_t lane_count, bool is_crowded)
{
    struct lh_prng prng = {5};

    *f = (struct fixture){.wanted = BLOCKS,
                          .lane_count = lane_count,
                          .give_up = lh_clock_now() + GIVE_UP,
                          .is_done = all_blocks_are_acked};
    check_ok(lh_loop_new(&f->loop, NULL));
    for (size_t i = 0; i < BLOCKS; i++) {
        f->blocks[i] = malloc(65536);
        assert_non_null(f->blocks[i]);
        lh_prng_fill(&prng, f->blocks[i], 65536);
    }
    if (is_crowded)
        make_crowd(f);
    make_end(f, &f->server, false, family);
    make_end(f, &f->client, true, family);
}

static void tear_down(struct fixture *f)
{
    lh_udp_lanes_fini(&f->client.lanes);
    lh_udp_lanes_fini(&f->server.lanes);
    lh_transport_free(f->client.transport);
    lh_transport_free(f->server.transport);
    lh_loop_free(f->loop);
    for (size_t i = 0; i < BLOCKS; i++)
        free(f->blocks[i]);
}

static void carry_blocks(int family, size_t lane_count)
{
    struct fixture f;
    struct lh_lane_stats stats;
    uint64_t expected = 0, total = 0;

    set_up(&f, family, lane_count, false);
    for (size_t i = 0; i < BLOCKS; i++) {
        expected += sum(f.blocks[i], 1 + i * 300 % 65536);
        total += 1 + i * 300 % 65536;
    }
    check_ok(lh_loop_run(f.loop, turn, &f, NULL));

    check_uint(f.server.received, BLOCKS);
    check_uint(f.client.acked, BLOCKS);
    check_uint(f.server.checksum, expected);
    for (uint8_t id = 1; id <= lane_count; id++) {
        lh_transport_lane_stats(f.client.transport, id, &stats);
        check_int(stats.state, LH_LANE_UP);
        assert_true(stats.epoch > 0 || lane_count > 1);
        assert_true(stats.block_bytes_sent > 0);
        // Several lanes have a thread each, and it is the thread that carries them.
        assert_true((f.client.lanes.lanes[id - 1].thread != NULL) == (lane_count > 1));
        assert_true((f.server.lanes.lanes[id - 1].lent != NULL) == (lane_count > 1));
        assert_true(f.client.lanes.lanes[id - 1].is_settled);
        assert_true(f.server.lanes.lanes[id - 1].is_settled);
        // Loopback carries more than the least: both directions find that out.
        assert_true(stats.payload_max > LH_PACKET_MIN_MTU);
        lh_transport_lane_stats(f.server.transport, id, &stats);
        assert_true(stats.payload_max > LH_PACKET_MIN_MTU);
    }
    lh_udp_lanes_stats(&f.client.lanes, &stats);
    assert_true(stats.block_bytes_sent >= total);
    check_lanes_have_ports_of_their_own(&f.client.lanes);
    tear_down(&f);
}

static void carries_blocks_over_ipv4_and_settles_on_the_address_that_answers(void **state)
{
    (void)state;
    carry_blocks(AF_INET, 1);
}

static void carries_blocks_over_ipv6(void **state)
{
    (void)state;
    carry_blocks(AF_INET6, 1);
}

static void carries_blocks_over_four_lanes_from_ports_of_their_own(void **state)
{
    (void)state;
    carry_blocks(AF_INET, 4);
}

static uint64_t packets_received(const struct end *end, size_t index)
{
    struct lh_lane_stats stats;
    lh_transport_lane_stats(end->transport, (uint8_t)(index + 1), &stats);
    return stats.packets_received;
}

// Every lane brings packets to both ends, by the sockets that it has settled on.
static bool all_settled_sockets_are_read(struct fixture *f)
{
    const struct end *ends[] = {&f->client, &f->server};

    f->wanted = f->client.acked + BLOCKS; // more and more
    for (int i = 0; i < 2 && !f->was_settled; i++) {
        for (size_t lane = 0; lane < f->lane_count; lane++) {
            if (!ends[i]->lanes.lanes[lane].is_settled)
                return false;
            f->received[i][lane] = packets_received(ends[i], lane);
        }
    }
    f->was_settled = true;
    for (int i = 0; i < 2; i++) {
        for (size_t lane = 0; lane < f->lane_count; lane++) {
            if (packets_received(ends[i], lane) < f->received[i][lane] + 10)
                return false;
        }
    }
    return true;
}

// Fifteen lanes settle within a few turns, and each makes descriptors come and go.
static void reads_what_comes_by_all_of_fifteen_lanes(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, AF_INET, LH_UDP_LANES_MAX, false);
    f.naps = true;
    f.is_done = all_settled_sockets_are_read;
    check_ok(lh_loop_run(f.loop, turn, &f, NULL));
    assert_true(all_settled_sockets_are_read(&f));
    tear_down(&f);
}

static void descriptors_that_find_no_place_in_the_loop_are_watched_later(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, AF_INET, 1, true);
    check_ok(lh_loop_run(f.loop, turn, &f, NULL));
    check_uint(f.crowd, 0);
    check_uint(f.client.acked, BLOCKS);
    tear_down(&f);
}

static bool a_second_is_over_and_blocks_are_acked(struct fixture *f)
{
    f->wanted = f->client.acked + BLOCKS;
    return f->client.acked >= BLOCKS && lh_clock_now() >= f->give_up - GIVE_UP + LH_SECOND;
}

// A process without descriptors left does not try to open another one with every packet.
static void a_socket_that_cannot_be_opened_is_tried_again_ever_less_often(void **state)
{
    (void)state;
    struct fixture f;
    struct rlimit old;

    set_up(&f, AF_INET, 1, false);
    f.is_done = a_second_is_over_and_blocks_are_acked;
    check_int(getrlimit(RLIMIT_NOFILE, &old), 0);
    check_int(setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max}),
              0);
    lh_err err = lh_loop_run(f.loop, turn, &f, NULL);
    check_int(setrlimit(RLIMIT_NOFILE, &old), 0);
    check_ok(err);
    const struct lh_udp_lane *lane = &f.server.lanes.lanes[0];
    assert_false(lane->is_settled);
    assert_true(f.client.acked >= BLOCKS); // by the socket for strangers
    assert_true(lane->settle_failures > 1 && lane->settle_failures < 10);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_blocks_over_ipv4_and_settles_on_the_address_that_answers),
        cmocka_unit_test(carries_blocks_over_ipv6),
        cmocka_unit_test(carries_blocks_over_four_lanes_from_ports_of_their_own),
        cmocka_unit_test(reads_what_comes_by_all_of_fifteen_lanes),
        cmocka_unit_test(descriptors_that_find_no_place_in_the_loop_are_watched_later),
        cmocka_unit_test(a_socket_that_cannot_be_opened_is_tried_again_ever_less_often),
    };
    return cmocka_run_group_tests_name("udp_lane", tests, NULL, NULL);
}
