// SPDX-License-Identifier: Apache-2.0
#include "base/prng.h"
#include "udp/route.h"
#include "udp_help.h"

#define SESSION 0xcafe0102u

static struct lh_udp_dgram
dgram_from(const char *peer, const char *local, uint8_t *packet, size_t len)
{
    struct lh_udp_dgram dgram = {.data = packet, .len = len, .ecn = 3};

    make_packet(packet, len, SESSION, 5);
    check_ok(lh_udp_addr_parse(peer, 4711, &dgram.path.peer));
    check_ok(lh_udp_addr_parse(local, 0, &dgram.path.local));
    return dgram;
}

// Writes a forwarded datagram to `out`; returns its length.
static size_t forward(const struct lh_udp_dgram *dgram, uint8_t *out)
{
    uint8_t header[LH_ROUTE_HEADER_MAX];
    size_t len = lh_route_forward_header(dgram, header);

    assert_int_not_equal(len, 0);
    memcpy(out, header, len);
    memcpy(out + len, dgram->data, dgram->len);
    return len + dgram->len;
}

static void reads_session_and_lane_of_a_packet(void **state)
{
    (void)state;
    uint8_t packet[LH_PACKET_MAX + 1];
    struct lh_route_header header;
    make_packet(packet, sizeof packet, SESSION, 1);
    assert_true(lh_route_parse(packet, LH_ROUTE_PACKET_MIN, &header));
    check_uint(header.session_id, SESSION);
    check_uint(header.lane, 1);
    assert_true(lh_route_parse(packet, LH_PACKET_MAX, &header));
    assert_false(lh_route_parse(packet, LH_ROUTE_PACKET_MIN - 1, &header));
    assert_false(lh_route_parse(packet, LH_PACKET_MAX + 1, &header));
    assert_false(lh_route_parse(packet, 0, &header));
    packet[0] = 0x10; // the SSH lane is not on UDP
    assert_false(lh_route_parse(packet, 100, &header));
    packet[0] = 0x10 | (LH_LANES_MAX - 1);
    assert_true(lh_route_parse(packet, 100, &header));
    check_uint(header.lane, LH_LANES_MAX - 1);
}

static void forwarded_datagrams_read_back(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"192.0.2.1", "192.0.2.2"},
        {"2001:db8::1", "2001:db8::2"},
        {"fe80::1%3", "fe80::2%3"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        uint8_t packet[200], message[300];
        struct lh_udp_dgram sent = dgram_from(pairs[i][0], pairs[i][1], packet, sizeof packet);
        struct lh_udp_dgram got;
        size_t len = forward(&sent, message);
        assert_true(lh_route_forward_parse(message, len, SESSION, &got));
        assert_true(lh_udp_path_equal(&got.path, &sent.path));
        check_uint(got.len, sent.len);
        assert_memory_equal(got.data, packet, sizeof packet);
        check_uint(got.ecn, 3);
        check_uint(got.lane, 1);
    }
}

static void a_foreign_packet_is_never_taken_from_the_inbox(void **state)
{
    (void)state;
    uint8_t packet[200], message[300];
    struct lh_udp_dgram sent = dgram_from("192.0.2.1", "192.0.2.2", packet, sizeof packet);
    struct lh_udp_dgram got;
    size_t len = forward(&sent, message);
    assert_false(lh_route_forward_parse(message, len, SESSION + 1, &got));
}

static void refuses_addresses_that_no_packet_comes_from(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"0.0.0.0", "192.0.2.2"},   {"255.255.255.255", "192.0.2.2"}, {"224.0.0.1", "192.0.2.2"},
        {"192.0.2.1", "0.0.0.0"},   {"192.0.2.1", "239.1.1.1"},       {"::", "2001:db8::2"},
        {"ff02::1", "2001:db8::2"}, {"2001:db8::1", "ff02::1"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        uint8_t packet[200], message[300];
        struct lh_udp_dgram sent = dgram_from(pairs[i][0], pairs[i][1], packet, sizeof packet);
        struct lh_udp_dgram got;
        size_t len = forward(&sent, message);
        if (lh_route_forward_parse(message, len, SESSION, &got))
            fail_msg("took a packet from %s to %s", pairs[i][0], pairs[i][1]);
    }
    uint8_t packet[200], message[300];
    struct lh_udp_dgram no_port = dgram_from("192.0.2.1", "192.0.2.2", packet, sizeof packet);
    struct lh_udp_dgram got;
    lh_udp_addr_set_port(&no_port.path.peer, 0);
    size_t len = forward(&no_port, message);
    assert_false(lh_route_forward_parse(message, len, SESSION, &got));
}

static void writes_no_header_without_both_addresses(void **state)
{
    (void)state;
    uint8_t packet[200], header[LH_ROUTE_HEADER_MAX];
    struct lh_udp_dgram dgram = dgram_from("192.0.2.1", "192.0.2.2", packet, sizeof packet);
    dgram.path.local = (struct lh_udp_addr){0};
    check_uint(lh_route_forward_header(&dgram, header), 0);
    dgram.path.local = lh_udp_addr_any(AF_INET6, 0);
    check_uint(lh_route_forward_header(&dgram, header), 0);
    dgram.path = (struct lh_udp_path){0};
    check_uint(lh_route_forward_header(&dgram, header), 0);
}

static void refuses_every_cut_and_wrong_head(void **state)
{
    (void)state;
    uint8_t packet[LH_ROUTE_PACKET_MIN], message[300];
    struct lh_udp_dgram sent = dgram_from("2001:db8::1", "2001:db8::2", packet, sizeof packet);
    struct lh_udp_dgram got;
    size_t len = forward(&sent, message);
    assert_true(lh_route_forward_parse(message, len, SESSION, &got));
    for (size_t cut = 0; cut < len; cut++)
        assert_false(lh_route_forward_parse(message, cut, SESSION, &got));
    for (size_t i = 0; i < 6; i++) { // magic, family, ecn
        uint8_t saved = message[i];
        message[i] = 0xff;
        assert_false(lh_route_forward_parse(message, len, SESSION, &got));
        message[i] = saved;
    }
}

static void refuses_too_large_a_packet(void **state)
{
    (void)state;
    static uint8_t packet[LH_PACKET_MAX + 1], message[LH_ROUTE_FORWARD_MAX + 1];
    struct lh_udp_dgram sent = dgram_from("192.0.2.1", "192.0.2.2", packet, LH_PACKET_MAX);
    struct lh_udp_dgram got;
    assert_true(lh_route_forward_parse(message, forward(&sent, message), SESSION, &got));
    sent.len++;
    assert_false(lh_route_forward_parse(message, forward(&sent, message), SESSION, &got));
}

static void junk_never_passes_for_ours(void **state)
{
    (void)state;
    struct lh_prng prng = {.state = check_seed(11)};
    for (int i = 0; i < 20000; i++) {
        uint8_t message[128];
        struct lh_udp_dgram got;
        lh_prng_fill(&prng, message, sizeof message);
        if (i % 2 == 0)
            memcpy(message, "LHF1\4", 5);
        assert_false(lh_route_forward_parse(message, lh_prng_below(&prng, sizeof message + 1),
                                            SESSION, &got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_session_and_lane_of_a_packet),
        cmocka_unit_test(forwarded_datagrams_read_back),
        cmocka_unit_test(a_foreign_packet_is_never_taken_from_the_inbox),
        cmocka_unit_test(refuses_addresses_that_no_packet_comes_from),
        cmocka_unit_test(writes_no_header_without_both_addresses),
        cmocka_unit_test(refuses_every_cut_and_wrong_head),
        cmocka_unit_test(refuses_too_large_a_packet),
        cmocka_unit_test(junk_never_passes_for_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
