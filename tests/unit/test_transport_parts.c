// SPDX-License-Identifier: Apache-2.0
//
// The smaller sub-machines, each alone: blocks out and in, stream, path, probe, RTT and rate.
#include "check.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/math.h"
#include "base/prng.h"
#include "transport/block_rx.h"
#include "transport/block_tx.h"
#include "transport/path.h"
#include "transport/probe.h"
#include "transport/rate.h"
#include "transport/rtt.h"
#include "transport/stream.h"
#include "transport/transport.h"

#define BUDGET ((uint64_t)1 << 20)

static uint8_t content[65536];

// --- Blocks out ----------------------------------------------------------------------------------

static void tx_new(struct lh_block_tx *tx, uint64_t grant)
{
    check_ok(lh_block_tx_init(tx));
    lh_block_tx_grant(tx, grant, LH_BLOCK_SPAN_MAX);
}

static bool take(struct lh_block_tx *tx, uint32_t len, struct lh_frame_data *out_chunk)
{
    return lh_block_tx_take(tx, len + LH_FRAME_DATA_BLOCK_LEN, out_chunk);
}

static void blocks_leave_in_order_and_lost_chunks_first(void **state)
{
    (void)state;
    struct lh_block_tx tx;
    struct lh_frame_data chunk;
    uint32_t number;
    tx_new(&tx, BUDGET);
    check_ok(lh_block_tx_push(&tx, content, 2500, &number));
    check_ok(lh_block_tx_push(&tx, content, 700, &number));
    check_uint(number, 1);
    static const uint32_t expected[][3] = {{0, 0, 1000}, {0, 1000, 1000}, {0, 2000, 500}};
    for (size_t i = 0; i < 3; i++) {
        assert_true(take(&tx, 1000, &chunk));
        check_uint(chunk.block, expected[i][0]);
        check_uint(chunk.offset, expected[i][1]);
        check_uint(chunk.len, expected[i][2]);
        assert_ptr_equal(chunk.bytes, content + chunk.offset);
    }
    check_ok(lh_block_tx_lost(&tx, 0, 1000, 1000));
    assert_true(take(&tx, 400, &chunk)); // a smaller packet cuts it anew
    check_uint(chunk.offset, 1000);
    check_uint(chunk.len, 400);
    assert_true(take(&tx, 1000, &chunk));
    check_uint(chunk.offset, 1400);
    assert_true(take(&tx, 1000, &chunk));
    check_uint(chunk.block, 1);
    assert_false(take(&tx, 1000, &chunk));
    lh_block_tx_fini(&tx);
}

static void a_block_is_done_when_every_byte_is_acknowledged_by_any_copy(void **state)
{
    (void)state;
    struct lh_block_tx tx;
    struct lh_block_tx_done done;
    struct lh_frame_data chunk;
    uint32_t number;
    tx_new(&tx, BUDGET);
    check_ok(lh_block_tx_push(&tx, content, 3000, &number));
    while (take(&tx, 1000, &chunk))
        ;
    check_ok(lh_block_tx_lost(&tx, 0, 1000, 1000));
    check_ok(lh_block_tx_acked(&tx, 0, 0, 1000, &done));
    check_ok(lh_block_tx_acked(&tx, 0, 2000, 1000, &done));
    assert_null(done.data);
    // The first copy of what was given up arrives late: nothing is left to resend.
    check_ok(lh_block_tx_acked(&tx, 0, 1000, 1000, &done));
    assert_ptr_equal(done.data, content);
    check_uint(done.len, 3000);
    assert_false(lh_block_tx_has_data(&tx));
    assert_true(lh_block_tx_is_flushed(&tx));
    check_ok(lh_block_tx_lost(&tx, 0, 1000, 1000)); // news of a finished block
    assert_false(lh_block_tx_has_data(&tx));
    lh_block_tx_fini(&tx);
}

static void blocks_beyond_the_grant_or_the_queue_wait(void **state)
{
    (void)state;
    struct lh_block_tx tx;
    struct lh_frame_data chunk;
    uint32_t number;
    tx_new(&tx, 3 * (1000 + LH_BLOCK_CHARGE));
    for (int i = 0; i < 3; i++)
        check_ok(lh_block_tx_push(&tx, content, 1000, &number));
    check_err(lh_block_tx_push(&tx, content, 1000, &number), LH_AGAIN);
    assert_true(tx.window_limited);
    lh_block_tx_grant(&tx, 100 * BUDGET, LH_BLOCK_SPAN_MAX);
    assert_true(lh_block_tx_is_writable(&tx));
    // Small blocks may queue by bytes, large ones by number.
    unsigned small = 0;
    while (lh_block_tx_push(&tx, content, 1000, &number) == 0)
        small++;
    assert_true(small > 200 && small < 300);
    assert_false(tx.window_limited);
    while (take(&tx, 60000, &chunk))
        ;
    unsigned large = 0;
    while (lh_block_tx_push(&tx, content, 65536, &number) == 0)
        large++;
    check_uint(large, LH_BLOCKS_QUEUED_MAX);
    lh_block_tx_fini(&tx);
}

static void block_numbers_beyond_the_grant_wait(void **state)
{
    (void)state;
    struct lh_block_tx tx;
    uint32_t number;
    check_ok(lh_block_tx_init(&tx));
    lh_block_tx_grant(&tx, BUDGET, 2);
    check_ok(lh_block_tx_push(&tx, content, 10, &number));
    check_ok(lh_block_tx_push(&tx, content, 10, &number));
    check_err(lh_block_tx_push(&tx, content, 10, &number), LH_AGAIN);
    lh_block_tx_fini(&tx);
}

// --- Blocks in -----------------------------------------------------------------------------------

static lh_err
give(struct lh_block_rx *rx, uint32_t block, uint32_t offset, uint16_t len, uint32_t block_len)
{
    const struct lh_rx_block *whole;
    const struct lh_frame_data chunk = {block, offset, block_len, content + offset, len};
    return lh_block_rx_data(rx, &chunk, &whole);
}

static void a_block_is_whole_when_its_last_hole_is_filled(void **state)
{
    (void)state;
    struct lh_block_rx rx;
    const struct lh_rx_block *whole;
    check_ok(lh_block_rx_init(&rx, 65536, BUDGET, NULL));
    check_ok(give(&rx, 0, 2000, 1000, 3000));
    check_ok(give(&rx, 0, 0, 1000, 3000));
    check_ok(give(&rx, 0, 500, 700, 3000)); // overlaps
    const struct lh_frame_data last = {0, 1200, 3000, content + 1200, 800};
    check_ok(lh_block_rx_data(&rx, &last, &whole));
    assert_non_null(whole);
    assert_memory_equal(whole->data, content, 3000);
    check_uint(rx.duplicate_bytes, 500);
    check_ok(give(&rx, 0, 0, 1000, 3000)); // late copies, before and after the release
    lh_block_rx_release(&rx, 0);
    check_ok(give(&rx, 0, 0, 1000, 3000));
    check_uint(rx.duplicate_bytes, 2500);
    check_uint(lh_block_rx_memory(&rx), 0);
    lh_block_rx_fini(&rx);
}

static void blocks_are_released_in_any_order(void **state)
{
    (void)state;
    struct lh_block_rx rx;
    check_ok(lh_block_rx_init(&rx, 65536, BUDGET, NULL));
    for (uint32_t i = 0; i < 200; i++)
        check_ok(give(&rx, i ^ 1, 0, 100, 100));
    for (uint32_t i = 0; i < 200; i++)
        lh_block_rx_release(&rx, 199 - i);
    check_uint(rx.base, 200);
    check_uint(lh_block_rx_memory(&rx), 0);
    check_ok(give(&rx, 50, 0, 100, 100));
    check_uint(rx.duplicate_bytes, 100);
    lh_block_rx_fini(&rx);
}

static void a_peer_beyond_the_grant_breaks_the_protocol(void **state)
{
    (void)state;
    struct lh_block_rx rx;
    check_ok(lh_block_rx_init(&rx, 65536, BUDGET, NULL));
    uint32_t fit = (uint32_t)(BUDGET / (65536 + LH_BLOCK_CHARGE));
    for (uint32_t i = 0; i < fit; i++)
        check_ok(give(&rx, i, 0, 1, 65536));
    check_err(give(&rx, fit, 0, 1, 65536), LH_E_PROTO);
    assert_true(lh_block_rx_memory(&rx) <= BUDGET);
    lh_block_rx_fini(&rx);
}

static void contradicting_chunks_break_the_protocol(void **state)
{
    (void)state;
    struct lh_block_rx rx;
    check_ok(lh_block_rx_init(&rx, 65536, BUDGET, NULL));
    check_ok(give(&rx, 0, 0, 100, 3000));
    check_err(give(&rx, 0, 100, 100, 3001), LH_E_PROTO);
    check_err(give(&rx, 1, 0, 100, 65537), LH_E_PROTO);
    check_err(give(&rx, (uint32_t)LH_BLOCK_SPAN_MAX, 0, 100, 100), LH_E_PROTO);
    check_ok(give(&rx, (uint32_t)LH_BLOCK_SPAN_MAX - 1, 0, 100, 100));
    lh_block_rx_fini(&rx);
}

static void buffers_fit_their_blocks_at_every_size(void **state)
{
    (void)state;
    struct lh_block_rx rx;
    check_ok(lh_block_rx_init(&rx, 65536, BUDGET, NULL));
    for (uint32_t i = 0; i < 65536; i += 97) {
        uint32_t number = i / 97, len = i + 1;
        for (uint32_t at = 0; at < len; at += 60000)
            check_ok(give(&rx, number, at, (uint16_t)LH_MIN(len - at, 60000u), len));
        lh_block_rx_release(&rx, number);
        assert_true(lh_block_rx_grant(&rx, 0, 0) >= BUDGET / 2);
    }
    lh_block_rx_fini(&rx);
}

// --- Stream --------------------------------------------------------------------------------------

static void the_stream_survives_any_order(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(4)};
    struct lh_stream_tx tx;
    struct lh_stream_rx rx;
    lh_stream_tx_init(&tx);
    lh_stream_rx_init(&rx);
    uint64_t written = 0, read = 0;
    while (read < 3000000) {
        uint8_t bytes[5000];
        size_t len = 1 + lh_prng_below(&prng, sizeof bytes);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)((written + i) * 7 >> 3);
        if (lh_stream_tx_write(&tx, bytes, len) == 0)
            written += len;
        struct lh_frame_stream chunk;
        while (lh_stream_tx_take(&tx, 1 + (uint32_t)lh_prng_below(&prng, 1400), &chunk)) {
            if (lh_prng_below(&prng, 10) < 3) {
                check_ok(lh_stream_tx_lost(&tx, (uint32_t)chunk.offset, chunk.len));
                continue;
            }
            check_ok(lh_stream_rx_data(&rx, &chunk));
            check_ok(lh_stream_tx_acked(&tx, (uint32_t)chunk.offset, chunk.len));
        }
        const uint8_t *data;
        size_t got;
        while (lh_stream_rx_next(&rx, &data, &got)) {
            for (size_t i = 0; i < got; i++)
                check_uint(data[i], (uint8_t)((read + i) * 7 >> 3));
            read += got;
            lh_stream_rx_consumed(&rx, got);
        }
        lh_stream_tx_grant(&tx, lh_stream_rx_grant(&rx));
    }
    check_uint(read, written);
    assert_true(lh_stream_tx_is_flushed(&tx));
    lh_stream_tx_fini(&tx);
    lh_stream_rx_fini(&rx);
}

static void the_stream_window_is_kept_on_both_sides(void **state)
{
    (void)state;
    struct lh_stream_tx tx;
    struct lh_stream_rx rx;
    struct lh_frame_stream chunk;
    lh_stream_tx_init(&tx);
    lh_stream_rx_init(&rx);
    uint64_t written = 0;
    while (lh_stream_tx_write(&tx, content, sizeof content) == 0)
        written += sizeof content;
    check_uint(written, LH_STREAM_WINDOW);
    while (lh_stream_tx_take(&tx, 60000, &chunk))
        check_ok(lh_stream_rx_data(&rx, &chunk));
    const struct lh_frame_stream beyond = {LH_STREAM_WINDOW - 1, content, 2};
    check_err(lh_stream_rx_data(&rx, &beyond), LH_E_PROTO);
    lh_stream_tx_fini(&tx);
    lh_stream_rx_fini(&rx);
}

// --- Path ----------------------------------------------------------------------------------------

static void a_new_path_needs_the_token_and_gets_three_times_what_it_sent(void **state)
{
    (void)state;
    struct lh_random random;
    check_ok(lh_random_init(&random, 1));
    struct lh_path path;
    lh_path_init(&path);
    check_uint(lh_path_allowance(&path), 0);
    lh_path_on_packet(&path, 4, true, 1000, &random, 0);
    check_uint(path.current, 4);
    check_uint(lh_path_allowance(&path), 3000);
    lh_path_sent(&path, 2500);
    check_uint(lh_path_allowance(&path), 500);
    lh_path_on_echo(&path);
    assert_true(lh_path_allowance(&path) == UINT64_MAX);
    // Another path: an old packet from there changes nothing, a newest one makes it the candidate.
    uint32_t to;
    uint64_t token;
    lh_path_on_packet(&path, 5, false, 10, &random, 0);
    assert_false(lh_path_challenge_due(&path, 40, LH_SECOND, &to, &token));
    lh_path_on_packet(&path, 5, true, 10, &random, 0);
    // The path that we have is asked first, at any length.
    assert_true(lh_path_challenge_due(&path, 40, 0, &to, &token));
    check_uint(to, 4);
    lh_path_challenge_sent(&path, to, 40, 10 * LH_MS, 0);
    assert_false(lh_path_challenge_due(&path, 40, 0, &to, &token)); // 10 bytes came, 30 may go
    lh_path_on_packet(&path, 5, true, 10, &random, 0);
    path.old.next_at = LH_NEVER;
    assert_true(lh_path_challenge_due(&path, 40, LH_SECOND, &to, &token));
    check_uint(to, 5);
    lh_path_challenge_sent(&path, to, 40, 10 * LH_MS, LH_SECOND);
    // 60 less 40 is too little.
    assert_false(lh_path_challenge_due(&path, 40, 2 * LH_SECOND, &to, &token));
    assert_false(lh_path_on_response(&path, token + 1, LH_SECOND));
    check_uint(path.current, 4);
    assert_true(lh_path_on_response(&path, token, LH_SECOND));
    check_uint(path.current, 5);
    assert_true(path.validated);
    lh_random_fini(&random);
}

// --- Probe ---------------------------------------------------------------------------------------

// Asks both paths at once; gives their tokens.
static void ask_both(struct lh_path *path, lh_ns now, uint64_t *out_old, uint64_t *out_new)
{
    uint32_t to;
    assert_true(lh_path_challenge_due(path, 40, now, &to, out_old));
    check_uint(to, 4);
    lh_path_challenge_sent(path, to, 40, 10 * LH_MS, now);
    assert_true(lh_path_challenge_due(path, 40, now, &to, out_new));
    check_uint(to, 5);
    lh_path_challenge_sent(path, to, 40, 10 * LH_MS, now);
}

static void a_path_that_still_answers_is_kept_and_the_other_refused(void **state)
{
    (void)state;
    struct lh_random random = {0};
    uint64_t old = 0, new = 0;
    check_ok(lh_random_init(&random, 5));
    // When the answer of the old path comes: before the candidate's, before the move, after it.
    for (int when = 0; when < 3; when++) {
        struct lh_path path;
        lh_path_init(&path);
        lh_path_set(&path, 4, true);
        lh_path_on_packet(&path, 5, true, 1000, &random, LH_SECOND);
        ask_both(&path, LH_SECOND, &old, &new);
        if (when > 0)
            assert_false(lh_path_on_response(&path, new, LH_SECOND + 10 * LH_MS));
        if (when == 2) {
            assert_false(lh_path_on_deadline(&path, LH_SECOND + 19 * LH_MS));
            assert_true(lh_path_on_deadline(&path, LH_SECOND + 20 * LH_MS));
            check_uint(path.current, 5);
        }
        check_int(lh_path_on_response(&path, old, LH_SECOND + 30 * LH_MS), when == 2);
        check_uint(path.current, 4);
        assert_true(lh_path_deadline(&path) == LH_NEVER);
        // A copier has to wait; who comes when the path is silent has not.
        lh_path_on_packet(&path, 5, true, 1000, &random, 2 * LH_SECOND);
        assert_true(lh_path_deadline(&path) == LH_NEVER);
        lh_path_on_silence(&path);
        lh_path_on_packet(&path, 5, true, 1000, &random, 2 * LH_SECOND);
        assert_true(lh_path_deadline(&path) == 2 * LH_SECOND);
    }
    lh_random_fini(&random);
}

static void only_an_echo_of_our_token_counts(void **state)
{
    (void)state;
    struct lh_random random;
    check_ok(lh_random_init(&random, 2));
    struct lh_probe probe;
    lh_ns rtt;
    lh_probe_init(&probe, 1472, 1472, LH_SECOND);
    check_uint(lh_probe_size(&probe, LH_SECOND), 1472);
    uint64_t token = lh_probe_sent(&probe, &random, false, LH_MS, LH_SECOND);
    check_uint(lh_probe_size(&probe, LH_SECOND), LH_PACKET_MIN_MTU);
    lh_probe_sent(&probe, &random, false, LH_MS, LH_SECOND);
    check_uint(lh_probe_size(&probe, LH_SECOND), 0);
    assert_false(lh_probe_on_pong(&probe, token + 1, LH_SECOND + LH_MS, &rtt));
    assert_false(lh_probe_on_pong(&probe, 0, LH_SECOND + LH_MS, &rtt));
    check_uint(probe.good, LH_PACKET_MIN_MTU);
    assert_true(lh_probe_on_pong(&probe, token, LH_SECOND + LH_MS, &rtt));
    check_uint(probe.good, 1472);
    check_uint(rtt, LH_MS);
    assert_false(lh_probe_on_pong(&probe, token, LH_SECOND + LH_MS, &rtt)); // once
    assert_true(lh_probe_deadline(&probe) == LH_NEVER);
    lh_random_fini(&random);
}

static void unanswered_probes_slow_down(void **state)
{
    (void)state;
    struct lh_random random;
    check_ok(lh_random_init(&random, 3));
    struct lh_probe probe;
    lh_ns now = LH_SECOND;
    unsigned sent = 0;
    lh_probe_init(&probe, 1472, 1472, now);
    while (now < 61 * LH_SECOND) {
        for (; lh_probe_size(&probe, now) > 0; sent++)
            lh_probe_sent(&probe, &random, false, LH_MS, now);
        now = lh_probe_deadline(&probe);
    }
    assert_true(sent > 80 && sent < 160);
    lh_random_fini(&random);
}

// --- RTT and rate --------------------------------------------------------------------------------

static void minimums_are_forgotten_after_15_s(void **state)
{
    (void)state;
    struct lh_rtt rtt;
    lh_rtt_init(&rtt, 0);
    lh_rtt_sample(&rtt, 20 * LH_MS, 0);
    lh_rtt_sample(&rtt, 50 * LH_MS, 9 * LH_SECOND);
    check_uint(lh_rtt_min(&rtt), 20 * LH_MS);
    lh_rtt_sample(&rtt, 60 * LH_MS, 16 * LH_SECOND);
    check_uint(lh_rtt_min(&rtt), 50 * LH_MS);
    lh_rtt_sample(&rtt, 70 * LH_MS, 90 * LH_SECOND);
    check_uint(lh_rtt_min(&rtt), 70 * LH_MS);
    // One-way delays of unrelated clocks: only the difference counts.
    lh_rtt_one_way(&rtt, -5000000, 90 * LH_SECOND);
    lh_rtt_one_way(&rtt, -2000000, 90 * LH_SECOND);
    check_uint(rtt.queue_delay, 3000000);
}

static void the_rate_is_the_receivers_and_never_above_what_was_sent(void **state)
{
    (void)state;
    struct lh_rate rate = {0};
    uint64_t since, got = 0;
    for (uint64_t i = 0; i < 30; i++) { // 1 MB/s sent, 1 MB/s received
        struct lh_rate_point point = {i * 10000, i * 10000, i * 10 * LH_MS, i * 10000, i};
        got = lh_rate_add(&rate, &point, 50 * LH_MS, &since);
    }
    check_uint(got, 1000000);
    check_uint(since, 24);
    for (uint64_t i = 30; i < 60; i++) { // the receiver sees twice that: aggregation
        struct lh_rate_point point = {i * 5000 + 150000, i * 10000, i * 10 * LH_MS, i * 10000, i};
        got = lh_rate_add(&rate, &point, 50 * LH_MS, &since);
    }
    check_uint(got, 1000000);
    for (uint64_t i = 60; i < 90; i++) { // and half of it: a bottleneck
        struct lh_rate_point point = {i * 20000, i * 10000, i * 10 * LH_MS, i * 10000, i};
        got = lh_rate_add(&rate, &point, 50 * LH_MS, &since);
    }
    check_uint(got, 500000);
    // Feedback that came out of order adds nothing.
    struct lh_rate_point old = {1000, 1000, 0, 0, 1};
    check_uint(lh_rate_add(&rate, &old, 50 * LH_MS, &since), 0);
}

static void random_numbers_follow_from_the_seed_and_differ_otherwise(void **state)
{
    (void)state;
    struct lh_random randoms[3];
    unsigned low = 0;
    check_ok(lh_random_init(&randoms[0], 11));
    check_ok(lh_random_init(&randoms[1], 11));
    check_ok(lh_random_init(&randoms[2], 12));
    for (int i = 0; i < 1000; i++) {
        uint64_t number = lh_random_next(&randoms[0]);
        assert_true(number == lh_random_next(&randoms[1]));
        assert_true(number != lh_random_next(&randoms[2]));
        low += number < UINT64_MAX / 2;
    }
    assert_true(low > 400 && low < 600);
    for (int i = 0; i < 1000; i++)
        assert_true(lh_random_below(&randoms[0], 10) < 10);
    check_int(randoms[0].err, 0);
    for (int i = 0; i < 3; i++)
        lh_random_fini(&randoms[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_leave_in_order_and_lost_chunks_first),
        cmocka_unit_test(a_block_is_done_when_every_byte_is_acknowledged_by_any_copy),
        cmocka_unit_test(blocks_beyond_the_grant_or_the_queue_wait),
        cmocka_unit_test(block_numbers_beyond_the_grant_wait),
        cmocka_unit_test(a_block_is_whole_when_its_last_hole_is_filled),
        cmocka_unit_test(blocks_are_released_in_any_order),
        cmocka_unit_test(a_peer_beyond_the_grant_breaks_the_protocol),
        cmocka_unit_test(contradicting_chunks_break_the_protocol),
        cmocka_unit_test(buffers_fit_their_blocks_at_every_size),
        cmocka_unit_test(the_stream_survives_any_order),
        cmocka_unit_test(the_stream_window_is_kept_on_both_sides),
        cmocka_unit_test(a_new_path_needs_the_token_and_gets_three_times_what_it_sent),
        cmocka_unit_test(a_path_that_still_answers_is_kept_and_the_other_refused),
        cmocka_unit_test(only_an_echo_of_our_token_counts),
        cmocka_unit_test(unanswered_probes_slow_down),
        cmocka_unit_test(random_numbers_follow_from_the_seed_and_differ_otherwise),
        cmocka_unit_test(minimums_are_forgotten_after_15_s),
        cmocka_unit_test(the_rate_is_the_receivers_and_never_above_what_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
