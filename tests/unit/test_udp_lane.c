// SPDX-License-Identifier: Apache-2.0
//
// Two transports on one loop, joined by real sockets: the client's own and the server's shared
// port.
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
    size_t lane_count;
    lh_ns give_up;
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
    while (f->next < BLOCKS) {
        uint32_t number;
        size_t len = 1 + f->next * 300 % 65536;
        if (lh_transport_send_block(f->client.transport, f->blocks[f->next], len, &number) != 0)
            return;
        f->next++;
    }
}

static lh_ns turn(void *user, lh_ns now)
{
    struct fixture *f = user;
    struct end *ends[] = {&f->client, &f->server};
    lh_ns deadline = f->give_up;

    feed(f);
    for (int i = 0; i < 2; i++) {
        lh_udp_lanes_on_deadline(&ends[i]->lanes, now);
        if (lh_transport_next_deadline(ends[i]->transport) <= now)
            lh_transport_on_deadline(ends[i]->transport, now);
        lh_udp_lanes_flush(&ends[i]->lanes, now);
        deadline = lh_ns_min(deadline, lh_transport_next_deadline(ends[i]->transport));
        deadline = lh_ns_min(deadline, lh_udp_lanes_next_deadline(&ends[i]->lanes));
    }
    if (f->client.acked == BLOCKS || now >= f->give_up)
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

static void carry_blocks(int family, size_t lane_count)
{
    struct fixture f = {.lane_count = lane_count, .give_up = lh_clock_now() + GIVE_UP};
    struct lh_prng prng = {5};
    struct lh_lane_stats stats;
    uint64_t expected = 0, total = 0;

    check_ok(lh_loop_new(&f.loop, NULL));
    for (size_t i = 0; i < BLOCKS; i++) {
        f.blocks[i] = malloc(65536);
        assert_non_null(f.blocks[i]);
        lh_prng_fill(&prng, f.blocks[i], 65536);
        expected += sum(f.blocks[i], 1 + i * 300 % 65536);
        total += 1 + i * 300 % 65536;
    }
    make_end(&f, &f.server, false, family);
    make_end(&f, &f.client, true, family);
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

    lh_udp_lanes_fini(&f.client.lanes);
    lh_udp_lanes_fini(&f.server.lanes);
    lh_transport_free(f.client.transport);
    lh_transport_free(f.server.transport);
    lh_loop_free(f.loop);
    for (size_t i = 0; i < BLOCKS; i++)
        free(f.blocks[i]);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_blocks_over_ipv4_and_settles_on_the_address_that_answers),
        cmocka_unit_test(carries_blocks_over_ipv6),
        cmocka_unit_test(carries_blocks_over_four_lanes_from_ports_of_their_own),
    };
    return cmocka_run_group_tests_name("udp_lane", tests, NULL, NULL);
}
