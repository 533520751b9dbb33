// SPDX-License-Identifier: Apache-2.0
//
// The pure parts of the link emulator: what every measurement with it rests on.
#include "bench/linkemu/frame.h"
#include "bench/linkemu/link.h"
#include "bench/linkemu/queue.h"
#include "bench/linkemu/spec.h"
#include "check.h"

#include <netinet/in.h>

static struct lh_emu_params params_of(const char *spec)
{
    struct lh_emu_params params = {0};
    check_ok(lh_emu_spec_apply(&params, spec, NULL));
    return params;
}

static struct lh_emu_link link_of(const char *spec, uint64_t seed)
{
    struct lh_emu_params params = params_of(spec);
    struct lh_emu_link link;
    lh_emu_link_init(&link, &params, 2 * params.delay, seed, LH_SECOND);
    return link;
}

static void spec_reads_every_key(void **state)
{
    (void)state;
    struct lh_emu_params p = params_of("rate=1g,delay=50ms,jitter=1.5ms,queue=0.5bdp,loss=1%,"
                                       "burst=8,reorder=0.1,reorder-by=5ms,duplicate=0.001%,"
                                       "corrupt=1%,corrupt-hidden=2%,hole=1300,udp-block=on,"
                                       "down=on,outage=5s+20s,outage=60s+500ms");
    check_uint(p.rate_bps, 1000000000);
    check_uint(p.delay, 50 * LH_MS);
    check_uint(p.jitter, 1500 * LH_US);
    check_uint(p.queue_bdp_milli, 500);
    check_uint(p.loss_ppb, 10000000);
    check_uint(p.burst_mean, 8);
    check_uint(p.reorder_ppb, 100000000);
    check_uint(p.reorder_by, 5 * LH_MS);
    check_uint(p.duplicate_ppb, 10000);
    check_uint(p.corrupt_ppb, 10000000);
    check_uint(p.corrupt_hidden_ppb, 20000000);
    check_uint(p.hole_bytes, 1300);
    assert_true(p.udp_blocked);
    assert_true(p.down);
    check_uint(p.outages_len, 2);
    check_uint(p.outages[1].start, 60 * LH_SECOND);
    check_uint(p.outages[1].length, 500 * LH_MS);
}

static void spec_refuses_what_it_does_not_know_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "rate",     "rate=",  "rate=fast", "delay=5",    "delay=5m",      "delay=-1ms", "loss=101%",
        "loss=1.1", "loss=x", "queue=0",   "queue=0bdp", "udp-block=yes", "outage=5s",  "unknown=1",
        "hole=-1",  "=1",     "outage=+",  "delay=.5ms", "loss=1%%",      "burst=1.5",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lh_emu_params params = params_of("rate=2g");
        char both[64];
        snprintf(both, sizeof both, "rate=1g,%s", bad[i]);
        check_err(lh_emu_spec_apply(&params, both, NULL), LH_E_INVALID);
        check_uint(params.rate_bps, 2000000000);
    }
}

static void packets_leave_at_the_rate_of_the_link(void **state)
{
    (void)state;
    struct lh_emu_link link = link_of("rate=1g,delay=50ms,queue=1g", 1);
    for (uint32_t n = 1; n <= 100000; n++) {
        struct lh_emu_verdict verdict = lh_emu_link_offer(&link, 1500, true, LH_SECOND);
        check_int(verdict.fate, LH_EMU_DELIVER);
        check_uint(verdict.due, LH_SECOND + 50 * LH_MS + n * 12000);
    }
    // A rate whose packet time is no whole number of nanoseconds does not drift either.
    link = link_of("rate=7g,queue=1g", 1);
    struct lh_emu_verdict last = {0};
    for (uint32_t n = 0; n < 700000; n++)
        last = lh_emu_link_offer(&link, 1000, true, LH_SECOND);
    assert_in_range(last.due, LH_SECOND + 800 * LH_MS - 2, LH_SECOND + 800 * LH_MS);
}

static void a_full_queue_drops_the_newcomer(void **state)
{
    (void)state;
    struct lh_emu_link link = link_of("rate=1g,queue=15000", 1);
    uint32_t taken = 0;
    for (int n = 0; n < 100; n++)
        taken += lh_emu_link_offer(&link, 1500, true, LH_SECOND).fate == LH_EMU_DELIVER;
    check_uint(taken, 10);
    check_int(lh_emu_link_offer(&link, 1500, true, LH_SECOND).fate, LH_EMU_DROP_QUEUE);
    check_int(lh_emu_link_offer(&link, 1500, true, LH_SECOND + 12 * LH_US).fate, LH_EMU_DELIVER);
    check_uint(link.queue_peak, 15000);
    link = link_of("rate=1g,delay=50ms,queue=0.5bdp", 1);
    check_uint(link.queue_limit, 6250000);
}

static void random_loss_has_the_given_share(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        uint32_t expected, margin; // of 1,000,000 packets; four standard deviations
    } cases[] = {
        {"loss=0.1%", 1000, 127},
        {"loss=1%", 10000, 398},
        {"loss=10%", 100000, 1200},
        {"loss=2%,burst=8", 20000, 2200}, // variance grows with about 2 * burst - 1
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lh_emu_link link = link_of(cases[i].spec, check_seed(7));
        uint32_t lost = 0;
        for (int n = 0; n < 1000000; n++)
            lost += lh_emu_link_offer(&link, 1500, true, LH_SECOND).fate == LH_EMU_DROP_LOSS;
        assert_in_range(lost, cases[i].expected - cases[i].margin,
                        cases[i].expected + cases[i].margin);
    }
}

static void bursts_have_the_given_length(void **state)
{
    (void)state;
    struct lh_emu_link link = link_of("loss=2%,burst=8", check_seed(7));
    uint32_t lost = 0, bursts = 0;
    bool before = false;
    for (int n = 0; n < 1000000; n++) {
        bool now = lh_emu_link_offer(&link, 1500, true, LH_SECOND).fate == LH_EMU_DROP_LOSS;
        lost += now;
        bursts += now && !before;
        before = now;
    }
    assert_in_range(lost * 10 / bursts, 74, 86);
}

static void one_seed_is_one_run_and_another_is_another(void **state)
{
    (void)state;
    const char *spec = "rate=1g,delay=5ms,jitter=3ms,loss=5%,reorder=5%,reorder-by=1ms,corrupt=1%";
    struct lh_emu_link a = link_of(spec, 3), b = link_of(spec, 3), c = link_of(spec, 4);
    uint32_t differ = 0;
    for (uint32_t n = 0; n < 10000; n++) {
        lh_ns now = LH_SECOND + n * 13000;
        struct lh_emu_verdict x = lh_emu_link_offer(&a, 1000 + n % 500, true, now);
        struct lh_emu_verdict y = lh_emu_link_offer(&b, 1000 + n % 500, true, now);
        struct lh_emu_verdict z = lh_emu_link_offer(&c, 1000 + n % 500, true, now);
        check_int(x.fate, y.fate);
        check_uint(x.due, y.due);
        check_int(x.corrupted, y.corrupted);
        differ += x.fate != z.fate;
    }
    assert_true(differ > 500);
}

static void order_is_kept_but_for_reordered_packets(void **state)
{
    (void)state;
    struct lh_emu_link link = link_of("delay=5ms,jitter=4ms,reorder=10%,reorder-by=5ms", 1);
    lh_ns last = 0, lowest = LH_NEVER, highest = 0;
    uint32_t late = 0;
    for (uint32_t n = 0; n < 100000; n++) {
        lh_ns now = LH_SECOND + n * 20000;
        struct lh_emu_verdict verdict = lh_emu_link_offer(&link, 1500, true, now);
        if (verdict.reordered) {
            late++;
            continue;
        }
        assert_true(verdict.due >= last);
        last = verdict.due;
        lowest = lh_ns_min(lowest, verdict.due - now);
        highest = lh_ns_max(highest, verdict.due - now);
    }
    assert_in_range(late, 9600, 10400);
    assert_in_range(lowest, 5 * LH_MS, 5500 * LH_US);
    assert_in_range(highest, 8500 * LH_US, 9 * LH_MS);
}

static void outage_hole_and_block_take_what_they_name(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        uint32_t len;
        bool is_udp;
        lh_ns age;
        enum lh_emu_fate fate;
    } cases[] = {
        {"outage=1s+2s", 100, true, LH_SECOND - 1, LH_EMU_DELIVER},
        {"outage=1s+2s", 100, true, LH_SECOND, LH_EMU_DROP_OUTAGE},
        {"outage=1s+2s", 100, true, 3 * LH_SECOND - 1, LH_EMU_DROP_OUTAGE},
        {"outage=1s+2s", 100, true, 3 * LH_SECOND, LH_EMU_DELIVER},
        {"down=on", 100, false, 0, LH_EMU_DROP_OUTAGE},
        {"hole=1300", 1300, true, 0, LH_EMU_DELIVER},
        {"hole=1300", 1301, true, 0, LH_EMU_DROP_HOLE},
        {"udp-block=on", 100, true, 0, LH_EMU_DROP_UDP},
        {"udp-block=on", 100, false, 0, LH_EMU_DELIVER},
        {"loss=100%", 100, false, 0, LH_EMU_DROP_LOSS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lh_emu_link link = link_of(cases[i].spec, 1);
        check_int(
            lh_emu_link_offer(&link, cases[i].len, cases[i].is_udp, LH_SECOND + cases[i].age).fate,
            cases[i].fate);
    }
}

// --- Frames ---

union super {
    struct lh_emu_frame frame;
    uint8_t raw[sizeof(struct lh_emu_frame) + LH_EMU_FRAME_MAX];
};

static void store16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t ones_sum(const uint8_t *data, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t pseudo_of(const uint8_t *ip, size_t len)
{
    bool v6 = ip[0] >> 4 == 6;
    size_t at = v6 ? 40 : 20;
    return ones_sum(v6 ? ip + 8 : ip + 12, v6 ? 32 : 8,
                    (uint32_t)(len - at) + (v6 ? ip[6] : ip[9]));
}

// A super-packet as the kernel gives it: `payload` bytes in segments of `each`.
static void make_super(union super *super, bool v6, bool tcp, uint32_t payload, uint16_t each)
{
    uint32_t at = v6 ? 40 : 20;
    uint32_t header = at + (tcp ? 32 : 8);
    uint8_t *ip = super->frame.data, *transport = ip + at;
    memset(super->raw, 0, sizeof super->frame + header);
    for (uint32_t i = 0; i < payload; i++)
        ip[header + i] = (uint8_t)(i * 7 + i / 251);
    uint8_t protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
    if (v6) {
        ip[0] = 0x60;
        store16(ip + 4, header - 40 + payload);
        ip[6] = protocol;
        ip[7] = 64;
        ip[8 + 15] = 1;
        ip[24 + 15] = 2;
    } else {
        ip[0] = 0x45;
        store16(ip + 2, header + payload);
        store16(ip + 4, 1000);
        ip[8] = 64;
        ip[9] = protocol;
        memcpy(ip + 12, "\x0a\x63\x00\x01\x0a\x63\x00\x02", 8);
        store16(ip + 10, (uint16_t)~ones_sum(ip, 20, 0));
    }
    store16(transport, 5000);
    store16(transport + 2, 33001);
    if (tcp) {
        memcpy(transport + 4, "\xff\xff\xff\x00", 4);
        transport[12] = 8 << 4;
        transport[13] = 0x18; // PSH, ACK
    } else {
        store16(transport + 4, 8 + payload);
    }
    store16(transport + (tcp ? 16 : 6), pseudo_of(ip, header + payload));
    uint8_t kind =
        tcp ? (v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) : LH_EMU_GSO_UDP_L4;
    super->frame.vnet = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = payload > each ? kind : VIRTIO_NET_HDR_GSO_NONE,
        .hdr_len = (uint16_t)header,
        .gso_size = payload > each ? each : 0,
        .csum_start = (uint16_t)at,
        .csum_offset = tcp ? 16 : 6,
    };
    assert_true(lh_emu_frame_parse(&super->frame, header + payload));
}

static uint32_t gather(const struct lh_emu_merge *merge, uint8_t *out)
{
    uint32_t len = 0;
    for (int i = 1; i < merge->iov_len; i++) {
        memcpy(out + len, merge->iov[i].iov_base, merge->iov[i].iov_len);
        len += (uint32_t)merge->iov[i].iov_len;
    }
    return len;
}

static void all_segments_together_are_the_frame(void **state)
{
    (void)state;
    static union super super;
    static uint8_t out[LH_EMU_FRAME_MAX];
    for (int kind = 0; kind < 4; kind++) {
        bool v6 = kind & 1, tcp = kind & 2;
        make_super(&super, v6, tcp, 10 * 1400 + 100, 1400);
        check_uint(super.frame.segments, 11);
        uint32_t wire = 0;
        struct lh_emu_merge merge;
        lh_emu_merge_start(&merge, &super.frame, 0);
        for (uint32_t i = 1; i < 11; i++)
            assert_true(lh_emu_merge_add(&merge, &super.frame, i));
        for (uint32_t i = 0; i < 11; i++)
            wire += lh_emu_segment_len(&super.frame, i);
        lh_emu_merge_finish(&merge);
        check_uint(gather(&merge, out), super.frame.len);
        assert_memory_equal(out, super.frame.data, super.frame.len);
        assert_memory_equal(&merge.vnet, &super.frame.vnet, sizeof merge.vnet);
        check_uint(wire, 14100 + 11 * super.frame.header_len);
    }
}

static void a_lost_segment_splits_tcp_and_shortens_udp(void **state)
{
    (void)state;
    static union super super;
    static uint8_t out[LH_EMU_FRAME_MAX];
    struct lh_emu_merge merge;
    make_super(&super, false, true, 4 * 1000, 1000);
    lh_emu_merge_start(&merge, &super.frame, 0);
    assert_false(lh_emu_merge_add(&merge, &super.frame, 2));
    lh_emu_merge_finish(&merge);
    check_uint(gather(&merge, out), 1052);
    check_int(out[20 + 13], 0x10); // PSH belongs to the last segment
    lh_emu_merge_start(&merge, &super.frame, 2);
    assert_true(lh_emu_merge_add(&merge, &super.frame, 3));
    lh_emu_merge_finish(&merge);
    check_uint(gather(&merge, out), 2052);
    assert_memory_equal(out + 24, "\x00\x00\x06\xd0", 4); // 0xffffff00 + 2000
    check_int(out[20 + 13], 0x18);
    check_uint(pseudo_of(out, 2052), (uint32_t)out[36] << 8 | out[37]);
    check_uint(ones_sum(out, 20, 0), 0xffff);

    make_super(&super, true, false, 4 * 1000, 1000);
    lh_emu_merge_start(&merge, &super.frame, 0);
    assert_true(lh_emu_merge_add(&merge, &super.frame, 2));
    assert_true(lh_emu_merge_add(&merge, &super.frame, 3));
    lh_emu_merge_finish(&merge);
    check_uint(gather(&merge, out), 3048);
    assert_memory_equal(out + 48, super.frame.data + 48, 1000);
    assert_memory_equal(out + 1048, super.frame.data + 2048, 2000);
    check_uint(pseudo_of(out, 3048), (uint32_t)out[46] << 8 | out[47]);
}

static void udp_merges_one_flow_of_one_size(void **state)
{
    (void)state;
    static union super a, b;
    struct lh_emu_merge merge;
    make_super(&a, false, false, 1000, 1000);
    make_super(&b, false, false, 1000, 1000);
    lh_emu_merge_start(&merge, &a.frame, 0);
    assert_true(lh_emu_merge_add(&merge, &b.frame, 0));
    b.frame.data[21] ^= 1; // another source port
    assert_false(lh_emu_merge_add(&merge, &b.frame, 0));
    b.frame.data[21] ^= 1;
    b.frame.data[1] ^= 1; // another ECN mark
    assert_false(lh_emu_merge_add(&merge, &b.frame, 0));
    b.frame.data[1] ^= 1;
    make_super(&b, false, false, 1001, 1400); // a longer one cannot follow
    assert_false(lh_emu_merge_add(&merge, &b.frame, 0));
    make_super(&b, false, false, 999, 1400); // a shorter one is the last
    assert_true(lh_emu_merge_add(&merge, &b.frame, 0));
    assert_false(lh_emu_merge_add(&merge, &a.frame, 0));
}

static void damage_is_seen_by_the_checksum_unless_hidden(void **state)
{
    (void)state;
    static union super super;
    static uint8_t out[LH_EMU_FRAME_MAX + sizeof(struct virtio_net_hdr)];
    uint8_t *packet = out + sizeof(struct virtio_net_hdr);
    for (int kind = 0; kind < 8; kind++) {
        bool v6 = kind & 1, tcp = kind & 2, hidden = kind & 4;
        make_super(&super, v6, tcp, 3500, 1000);
        for (uint64_t random = 0; random < 9000; random += 7) {
            size_t len = lh_emu_corrupt(&super.frame, 3, random, hidden, out, sizeof out);
            len -= sizeof(struct virtio_net_hdr);
            check_uint(len, super.frame.header_len + 500);
            check_int(out[0], 0); // the kernel is to verify the checksum
            uint32_t sum = pseudo_of(packet, len);
            sum = ones_sum(packet + super.frame.transport_at, len - super.frame.transport_at, sum);
            assert_true((sum == 0xffff) == hidden);
        }
    }
}

static void frames_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    static union super super;
    make_super(&super, false, false, 4000, 1000);
    super.frame.vnet.gso_size = 0;
    assert_false(lh_emu_frame_parse(&super.frame, super.frame.len));
    make_super(&super, false, false, 4000, 1000);
    super.frame.vnet.csum_start = 4100;
    assert_false(lh_emu_frame_parse(&super.frame, super.frame.len));
    super.frame.data[0] = 0x15;
    assert_false(lh_emu_frame_parse(&super.frame, super.frame.len));
    assert_false(lh_emu_frame_parse(&super.frame, 19));
}

static void the_queue_gives_everything_back_by_time(void **state)
{
    (void)state;
    struct lh_emu_queue queue;
    assert_true(lh_emu_queue_init(&queue));
    lh_emu_queue_size(&queue, 0); // the smallest ring: it turns often
    uint64_t put = 0, got = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        struct lh_emu_frame *frame = lh_emu_queue_room(&queue);
        if (frame != NULL) {
            frame->len = 100 + round * 37 % 60000;
            struct lh_emu_segment segment = {.due = round, .index = (uint16_t)round};
            assert_true(lh_emu_queue_push(&queue, frame, &segment, false));
            segment.due = round + 5;
            assert_true(lh_emu_queue_push(&queue, frame, &segment, true));
            lh_emu_queue_keep(&queue, frame);
            put += 2;
        }
        const struct lh_emu_segment *next;
        while ((next = lh_emu_queue_next(&queue)) != NULL && next->due + 40 <= round) {
            struct lh_emu_segment segment = *next;
            lh_emu_queue_pop(&queue);
            lh_emu_queue_release(&queue, lh_emu_queue_frame(&queue, segment.frame));
            next = lh_emu_queue_next(&queue);
            assert_true(next == NULL || next->due >= segment.due);
            got++;
        }
    }
    assert_true(put > 38000);
    check_uint(put - got, (uint64_t)(queue.ordered_head - queue.ordered_tail) + queue.late_len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spec_reads_every_key),
        cmocka_unit_test(spec_refuses_what_it_does_not_know_and_changes_nothing),
        cmocka_unit_test(packets_leave_at_the_rate_of_the_link),
        cmocka_unit_test(a_full_queue_drops_the_newcomer),
        cmocka_unit_test(random_loss_has_the_given_share),
        cmocka_unit_test(bursts_have_the_given_length),
        cmocka_unit_test(one_seed_is_one_run_and_another_is_another),
        cmocka_unit_test(order_is_kept_but_for_reordered_packets),
        cmocka_unit_test(outage_hole_and_block_take_what_they_name),
        cmocka_unit_test(all_segments_together_are_the_frame),
        cmocka_unit_test(a_lost_segment_splits_tcp_and_shortens_udp),
        cmocka_unit_test(udp_merges_one_flow_of_one_size),
        cmocka_unit_test(damage_is_seen_by_the_checksum_unless_hidden),
        cmocka_unit_test(frames_that_contradict_themselves_are_refused),
        cmocka_unit_test(the_queue_gives_everything_back_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
