// SPDX-License-Identifier: Apache-2.0
//
// The ring of sent packets, the reporter that answers it, and loss by time.
#include "check.h"

#include "base/cleanup.h"
#include "base/math.h"
#include "base/prng.h"
#include "transport/loss.h"
#include "transport/report.h"
#include "transport/reporter.h"

struct world {
    struct lh_sent sent;
    struct lh_loss loss;
    struct lh_rtt rtt;
    struct lh_replay replay;
    struct lh_reporter reporter;
    struct lh_loss_result result;
    uint32_t acked[4096], lost[4096]; // by content number
    lh_ns now;
};

static lh_err on_acked(void *ctx, const struct lh_content *content)
{
    struct world *world = ctx;
    world->acked[content->block]++;
    return 0;
}

static lh_err on_lost(void *ctx, const struct lh_content *content)
{
    struct world *world = ctx;
    world->lost[content->block]++;
    return 0;
}

static struct lh_loss_sink sink_of(struct world *world)
{
    return (struct lh_loss_sink){world, on_acked, on_lost};
}

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);
    check_ok(lh_sent_init(&world->sent));
    check_ok(lh_replay_init(&world->replay));
    lh_loss_init(&world->loss);
    lh_rtt_init(&world->rtt, 0);
    lh_reporter_init(&world->reporter, LH_REPORTER_PACKETS_MAX);
    world->now = LH_SECOND;
    lh_rtt_sample(&world->rtt, 80 * LH_MS, world->now);
    return world;
}

static void world_free(struct world *world)
{
    lh_sent_fini(&world->sent);
    lh_replay_fini(&world->replay);
    free(world);
}

// Sends a packet with content number = packet number.
static uint64_t send_one(struct world *world)
{
    assert_true(lh_sent_reserve(&world->sent, 1));
    uint64_t pn = world->sent.next;
    struct lh_content content = {.block = (uint32_t)(pn % 4096)};
    lh_sent_add_content(&world->sent, &content);
    lh_sent_push(&world->sent, world->now, 1000, 1, true);
    return pn;
}

static void arrive(struct world *world, uint64_t pn)
{
    bool is_newest = pn >= world->replay.top;
    lh_replay_mark(&world->replay, pn);
    lh_reporter_on_packet(&world->reporter, 1000, is_newest, 0, world->now);
}

// One feedback from the receiver to the sender, with `room` bytes for it.
static lh_err feed_back(struct world *world, bool deliver)
{
    uint8_t bytes[4096];
    lh_err err = 0;
    lh_reporter_want(&world->reporter, true, world->now);
    while (lh_reporter_is_due(&world->reporter, world->now)) {
        struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
        const struct lh_frame_feedback grants = {0};
        assert_true(
            lh_reporter_write(&world->reporter, &writer, &world->replay, &grants, world->now));
        if (!deliver)
            continue;
        struct lh_reader reader = lh_reader_of(bytes, lh_writer_used(&writer));
        struct lh_frame frame;
        struct lh_loss_sink sink = sink_of(world);
        check_ok(lh_frame_read(&reader, &frame));
        err = lh_loss_on_report(&world->loss, &world->sent, &frame.feedback, &sink, &world->result);
        if (err != 0)
            return err;
    }
    return err;
}

static void detect(struct world *world)
{
    struct lh_loss_sink sink = sink_of(world);
    check_ok(
        lh_loss_detect(&world->loss, &world->sent, &world->rtt, world->now, &sink, &world->result));
}

static void what_arrived_is_acknowledged_once(void **state)
{
    (void)state;
    struct world *world = world_new();
    for (int i = 0; i < 200; i++)
        send_one(world);
    for (uint64_t pn = 0; pn < 200; pn += 2)
        arrive(world, pn);
    for (int i = 0; i < 3; i++)
        check_ok(feed_back(world, true));
    check_uint(world->result.acked_packets, 100);
    check_uint(world->result.acked_bytes, 100000);
    check_uint(world->sent.inflight, 100000);
    for (int i = 0; i < 200; i++)
        check_uint(world->acked[i], i % 2 == 0);
    world_free(world);
}

static void an_interval_survives_the_loss_of_two_feedbacks_and_all_of_eight(void **state)
{
    (void)state;
    for (unsigned lost = 2; lost <= 9; lost++) {
        struct world *world = world_new();
        for (unsigned round = 0; round < 3 + lost + LH_REPORTER_SNAPSHOT; round++) {
            for (int i = 0; i < 10; i++)
                arrive(world, send_one(world));
            bool deliver = round < 3 || round >= 3 + lost;
            check_ok(feed_back(world, deliver));
            // Repetition covers two lost ones at once, a snapshot any number within eight.
            if (deliver && lost == 2)
                check_uint(world->sent.count_outstanding, 0);
        }
        check_uint(world->sent.count_outstanding, 0);
        world_free(world);
    }
}

static void a_packet_is_lost_by_time_and_three_later_ones(void **state)
{
    (void)state;
    struct world *world = world_new();
    send_one(world); // 0: lost
    for (int i = 0; i < 3; i++) {
        world->now += LH_MS;
        send_one(world);
    }
    for (uint64_t pn = 1; pn < 4; pn++)
        arrive(world, pn);
    check_ok(feed_back(world, true));
    detect(world);
    check_uint(world->lost[0], 0); // three later ones, but only 3 ms apart: RTT/8 is 10 ms
    world->now += 20 * LH_MS;
    arrive(world, send_one(world));
    check_ok(feed_back(world, true));
    detect(world);
    check_uint(world->lost[0], 1);
    check_uint(world->result.lost_packets, 1);
    check_uint(world->sent.count_outstanding, 0);
    world_free(world);
}

static void without_later_packets_a_timer_finds_the_loss(void **state)
{
    (void)state;
    struct world *world = world_new();
    for (int i = 0; i < 5; i++)
        send_one(world);
    for (uint64_t pn = 1; pn < 5; pn++)
        arrive(world, pn);
    check_ok(feed_back(world, true));
    detect(world);
    check_uint(world->lost[0], 0);
    lh_ns at = lh_loss_deadline(&world->loss, &world->sent, &world->rtt);
    assert_true(at > world->now && at < world->now + 200 * LH_MS);
    world->now = at;
    detect(world);
    check_uint(world->lost[0], 1);
    world_free(world);
}

// Sends a packet and, 4 ms apart, four later ones that arrive before it.
static uint64_t overtake(struct world *world)
{
    uint64_t late = send_one(world);
    for (int i = 0; i < 4; i++) {
        world->now += 4 * LH_MS;
        arrive(world, send_one(world));
    }
    check_ok(feed_back(world, true));
    detect(world);
    return late;
}

static void a_late_arrival_is_spurious_and_widens_the_window(void **state)
{
    (void)state;
    struct world *world = world_new();
    for (int round = 0; round < 2; round++) {
        uint64_t late = overtake(world);
        // 16 ms are more than RTT/8, but no more than what was seen before and a quarter.
        check_uint(world->lost[late], round == 0);
        arrive(world, late);
        check_ok(feed_back(world, true));
        check_uint(world->acked[late], 1);
        check_uint(world->result.spurious_packets, 1);
    }
    // Nothing was late for long enough: RTT/8 again.
    for (int i = 0; i < 4; i++) {
        world->now += LH_SECOND;
        arrive(world, send_one(world));
        check_ok(feed_back(world, true));
        detect(world);
    }
    check_uint(world->lost[overtake(world)], 1);
    world_free(world);
}

static void what_a_lost_report_covered_is_not_late(void **state)
{
    (void)state;
    struct world *world = world_new();
    for (int report = 0; report < 12; report++) {
        for (int i = 0; i < 64; i++) {
            world->now += LH_MS / 2;
            arrive(world, send_one(world));
        }
        check_ok(feed_back(world, report < 4 || report > 6));
    }
    check_uint(world->loss.late[1], 0);
    world_free(world);
}

// A report of many packets tells of arrivals and losses at once: what was lost between others of
// its size is no sign that packets of this size do not pass.
static void large_packets_vanish_only_where_none_sent_later_arrived(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->loss.large_bytes = 999; // ours have 1,000
    for (int i = 0; i < 400; i++) {
        world->now += LH_MS / 4;
        uint64_t pn = send_one(world);
        if (i % 2 == 0 || i > 380)
            arrive(world, pn);
    }
    check_ok(feed_back(world, true));
    detect(world);
    assert_true(world->result.lost_packets > 100);
    check_uint(world->loss.large_lost, 0);
    world_free(world);
}

static void an_acknowledgement_of_what_was_never_sent_is_refused(void **state)
{
    (void)state;
    struct world *world = world_new();
    for (int i = 0; i < 10; i++)
        send_one(world);
    arrive(world, 10);
    check_err(feed_back(world, true), LH_E_PROTO);
    world_free(world);
}

static void an_acknowledgement_of_a_skipped_number_is_refused(void **state)
{
    (void)state;
    for (int as_newest = 0; as_newest < 2; as_newest++) {
        struct world *world = world_new();
        for (int i = 0; i < 10; i++)
            send_one(world);
        assert_true(lh_sent_reserve(&world->sent, 1));
        lh_sent_skip(&world->sent);
        for (int i = 0; i < 10; i++)
            send_one(world);
        for (uint64_t pn = 0; pn < 10; pn++)
            arrive(world, pn);
        if (!as_newest)
            arrive(world, 11);
        check_ok(feed_back(world, true));
        arrive(world, 10);
        check_err(feed_back(world, true), LH_E_PROTO);
        world_free(world);
    }
}

static void the_ring_grows_and_forgets_under_random_traffic(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct lh_prng prng = {check_seed(3)};
    uint64_t sent_packets = 0;
    for (int round = 0; round < 400; round++) {
        world->now += 5 * LH_MS;
        unsigned burst = (unsigned)lh_prng_below(&prng, 700);
        for (unsigned i = 0; i < burst; i++) {
            uint64_t pn = send_one(world);
            sent_packets++;
            if (lh_prng_below(&prng, 100) >= 10)
                arrive(world, pn);
        }
        if (lh_prng_below(&prng, 100) < 30)
            continue;
        struct lh_frame_state told = {.floor = world->sent.floor, .interval_us = 1000};
        lh_reporter_on_state(&world->reporter, &told);
        check_ok(feed_back(world, true));
        detect(world);
        lh_sent_advance_floor(&world->sent, world->now - 200 * LH_MS);
    }
    check_uint(world->result.acked_packets + world->result.lost_packets +
                   world->sent.count_outstanding,
               sent_packets);
    assert_true(world->sent.next - world->sent.floor < 60000);
    check_uint(world->sent.inflight, world->sent.count_outstanding * 1000);
    world_free(world);
}

static void a_full_ring_refuses_instead_of_growing_for_ever(void **state)
{
    (void)state;
    struct world *world = world_new();
    uint64_t count = 0;
    while (count < 2 * LH_SENT_MAX && lh_sent_reserve(&world->sent, 1)) {
        send_one(world);
        count++;
    }
    assert_true(count > LH_SENT_MAX / 2 && count <= LH_SENT_MAX);
    world_free(world);
}

// --- Reports never explode -----------------------------------------------------------------------

// Marks about half, nearly all, or nearly none of `count` numbers, in runs or one by one.
static void mark_pattern(struct lh_replay *replay, struct lh_prng *prng, uint64_t count)
{
    uint64_t permille = lh_prng_below(prng, 1001), run = 1 + lh_prng_below(prng, 300);
    if (lh_prng_below(prng, 2) == 0)
        run = 1;
    for (uint64_t pn = 0; pn < count;) {
        uint64_t len = 1 + lh_prng_below(prng, run);
        bool arrived = lh_prng_below(prng, 1000) < permille;
        for (; len > 0 && pn < count; len--, pn++)
            if (arrived)
                lh_replay_mark(replay, pn);
    }
    if (!lh_replay_seen(replay, count - 1))
        lh_replay_mark(replay, count - 1); // a report ends with what arrived
}

static uint64_t check_records(const struct lh_replay *replay, const uint8_t *bytes, size_t len)
{
    struct lh_reader reader = lh_reader_of(bytes, len);
    struct lh_report_span span;
    uint64_t at = 0;
    lh_err err;
    while ((err = lh_report_read(&reader, at, &span)) == 0) {
        for (uint64_t i = 0; i < span.len; i++) {
            bool told = span.kind == LH_REPORT_ALL ||
                        (span.kind == LH_REPORT_SOME && (span.bits[i / 64] >> (i % 64) & 1) != 0);
            assert_true(told == lh_replay_seen(replay, at + i));
        }
        at += span.len;
    }
    check_int(err, LH_EOF);
    return at;
}

// Whatever was lost: a report tells exactly what arrived, in at most a bit a number and three bytes
// for 512 of them.
static void a_report_costs_at_most_a_bit_a_packet_whatever_was_lost(void **state)
{
    (void)state;
    enum { MOST = 60000 };
    struct lh_prng prng = {check_seed(12)};
    uint8_t *bytes = malloc(MOST / 8 + MOST / 100 + 1000);
    for (int round = 0; round < 300; round++) {
        struct lh_replay replay;
        uint64_t count = 1 + lh_prng_below(&prng, MOST), cursor = 0;
        check_ok(lh_replay_init(&replay));
        mark_pattern(&replay, &prng, count);
        size_t used = 0;
        while (cursor < count) { // as many packets as it takes
            size_t room = 200 + (size_t)lh_prng_below(&prng, 8000);
            room = LH_MIN(room, (size_t)(MOST / 8 + MOST / 100 + 1000) - used);
            struct lh_writer writer = lh_writer_of(bytes + used, room);
            lh_report_write(&writer, &replay, &cursor, count);
            assert_true(lh_writer_used(&writer) > 0);
            used += lh_writer_used(&writer);
        }
        check_uint(check_records(&replay, bytes, used), count);
        assert_true(used <= count / 8 + 3 * (count / LH_REPORT_SPAN + 1) + 1);
        lh_replay_fini(&replay);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_arrived_is_acknowledged_once),
        cmocka_unit_test(an_interval_survives_the_loss_of_two_feedbacks_and_all_of_eight),
        cmocka_unit_test(a_packet_is_lost_by_time_and_three_later_ones),
        cmocka_unit_test(without_later_packets_a_timer_finds_the_loss),
        cmocka_unit_test(a_late_arrival_is_spurious_and_widens_the_window),
        cmocka_unit_test(what_a_lost_report_covered_is_not_late),
        cmocka_unit_test(a_report_costs_at_most_a_bit_a_packet_whatever_was_lost),
        cmocka_unit_test(large_packets_vanish_only_where_none_sent_later_arrived),
        cmocka_unit_test(an_acknowledgement_of_what_was_never_sent_is_refused),
        cmocka_unit_test(an_acknowledgement_of_a_skipped_number_is_refused),
        cmocka_unit_test(the_ring_grows_and_forgets_under_random_traffic),
        cmocka_unit_test(a_full_ring_refuses_instead_of_growing_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
