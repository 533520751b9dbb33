// SPDX-License-Identifier: Apache-2.0
//
// What blocks cost on both sides: runs taken early, the budget under attack, the window, and blocks
// that the sender holds no more.
#include "check.h"

#include "base/limits.h"
#include "base/math.h"
#include "base/prng.h"
#include "transport/block_rx.h"
#include "transport/block_tx.h"

#define BUDGET ((uint64_t)1 << 20)
#define BLOCK  65536u
#define BLOCKS 256u

static uint8_t content[BLOCK];

// --- A layer above that takes runs early ---------------------------------------------------------

struct taker {
    struct lh_block_rx rx;
    enum lh_early answer;
    bool holds; // releases nothing
    uint32_t begun[BLOCKS], asked;
    uint8_t seen[BLOCKS][BLOCK]; // how often each byte was handed over
    uint64_t held;
};

static enum lh_early
takes(void *ctx, uint32_t block, const uint8_t *head, size_t head_len, size_t len)
{
    struct taker *taker = ctx;
    taker->asked++;
    assert_true(head_len == LH_MIN(len, (size_t)LH_BLOCK_HEAD));
    assert_memory_equal(head, content, head_len);
    if (taker->answer == LH_EARLY_TAKEN) {
        taker->begun[block % BLOCKS]++;
        for (size_t i = 0; i < head_len; i++)
            taker->seen[block % BLOCKS][i]++;
    }
    return taker->answer;
}

static void take_run(void *ctx, uint32_t block, size_t offset, const uint8_t *data, size_t len)
{
    struct taker *taker = ctx;
    assert_true(taker->begun[block % BLOCKS] == 1);
    assert_true(offset + len <= BLOCK);
    assert_memory_equal(data, content + offset, len);
    for (size_t i = 0; i < len; i++)
        taker->seen[block % BLOCKS][offset + i]++;
    taker->held += len;
    if (taker->holds)
        return;
    lh_block_rx_release_runs(&taker->rx, len);
    taker->held -= len;
}

static struct taker *taker_new(void)
{
    struct taker *taker = calloc(1, sizeof *taker);
    assert_non_null(taker);
    const struct lh_block_rx_sink sink = {taker, takes, take_run};
    taker->answer = LH_EARLY_TAKEN;
    check_ok(lh_block_rx_init(&taker->rx, BLOCK, BUDGET, &sink));
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 7 >> 3);
    return taker;
}

static void taker_free(struct taker *taker)
{
    lh_block_rx_fini(&taker->rx);
    free(taker);
}

static bool
give(struct taker *taker, uint32_t block, uint32_t offset, uint32_t len, uint32_t block_len)
{
    const struct lh_rx_block *whole;
    const struct lh_frame_data chunk = {block, offset, block_len, content + offset, (uint16_t)len};
    check_ok(lh_block_rx_data(&taker->rx, &chunk, &whole));
    return whole != NULL;
}

// Holds more than a quarter of the budget in blocks that nobody takes.
static uint32_t make_short(struct taker *taker)
{
    enum lh_early answer = taker->answer;
    taker->answer = LH_EARLY_NEVER;
    for (uint32_t i = 0; i < 5; i++)
        give(taker, i, 0, 1000, BLOCK);
    taker->answer = answer;
    return 5;
}

static void every_byte_of_an_early_block_is_handed_over_once(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(1)};
    struct taker *taker = taker_new();
    uint32_t block = make_short(taker);
    uint64_t before = lh_block_rx_memory(&taker->rx);
    give(taker, block, 30000, 1000, BLOCK); // its front was lost: in a buffer
    check_uint(lh_block_rx_memory(&taker->rx), before + BLOCK + LH_BLOCK_CHARGE);
    give(taker, block, 0, 1200, BLOCK);
    check_uint(taker->begun[block], 1);
    check_uint(lh_block_rx_memory(&taker->rx), before + LH_BLOCK_CHARGE);
    bool is_whole = false;
    while (!is_whole) {
        uint32_t at = (uint32_t)lh_prng_below(&prng, BLOCK);
        uint32_t len = 1 + (uint32_t)lh_prng_below(&prng, 3000);
        is_whole = give(taker, block, at, LH_MIN(len, BLOCK - at), BLOCK);
    }
    for (uint32_t i = 0; i < BLOCK; i++)
        check_uint(taker->seen[block][i], 1);
    lh_block_rx_release(&taker->rx, block);
    check_uint(lh_block_rx_memory(&taker->rx), before);
    taker_free(taker);
}

static void a_block_that_may_not_come_early_comes_whole_and_is_offered_once(void **state)
{
    (void)state;
    struct taker *taker = taker_new();
    uint32_t block = make_short(taker);
    taker->answer = LH_EARLY_NEVER;
    taker->asked = 0;
    give(taker, block, 0, 40000, BLOCK);
    give(taker, block, 40000, 20000, BLOCK);
    assert_true(give(taker, block, 60000, BLOCK - 60000, BLOCK));
    check_uint(taker->asked, 1);
    taker->answer = LH_EARLY_LATER; // asks again, until it has come whole
    taker->asked = 0;
    give(taker, block + 1, 0, 40000, BLOCK);
    give(taker, block + 1, 40000, 20000, BLOCK);
    assert_true(taker->asked >= 2);
    assert_true(give(taker, block + 1, 60000, BLOCK - 60000, BLOCK));
    taker_free(taker);
}

static void runs_that_are_not_written_yet_count_as_memory(void **state)
{
    (void)state;
    struct taker *taker = taker_new();
    uint32_t block = make_short(taker);
    taker->holds = true;
    uint64_t before = lh_block_rx_memory(&taker->rx);
    give(taker, block, 0, 10000, BLOCK);
    check_uint(lh_block_rx_memory(&taker->rx), before + LH_BLOCK_CHARGE + 10000 - LH_BLOCK_HEAD);
    lh_block_rx_release_runs(&taker->rx, 10000 - LH_BLOCK_HEAD);
    check_uint(lh_block_rx_memory(&taker->rx), before + LH_BLOCK_CHARGE);
    taker_free(taker);
}

// --- The budget ----------------------------------------------------------------------------------

// Takes what a receiver takes: asks for room first, and refuses the packet otherwise.
static bool offer_packet(struct taker *taker, const struct lh_frame_data *chunk, bool *out_whole)
{
    const struct lh_rx_block *whole = NULL;
    uint64_t newest = UINT64_MAX;
    if (lh_block_rx_is_tight(&taker->rx) &&
        !lh_block_rx_has_room(&taker->rx, lh_block_rx_need(&taker->rx, chunk, &newest)))
        return false;
    check_ok(lh_block_rx_data(&taker->rx, chunk, &whole));
    *out_whole = whole != NULL;
    return true;
}

static bool is_unknown(const struct lh_block_rx *rx, uint64_t number)
{
    return rx->table[number & (rx->capacity - 1)] == NULL;
}

// A peer that begins blocks, tears them to pieces and finishes few, with far more granted than
// there is memory, and a disk that stands still at times.
static void a_torn_flood_never_takes_more_than_the_budget(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(2)};
    struct taker *taker = taker_new();
    uint64_t refused = 0, taken = 0, now = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        uint64_t base = taker->rx.base;
        uint32_t number = (uint32_t)(base + lh_prng_below(&prng, BLOCKS / 2));
        uint32_t len = 1000 + number * 77 % (BLOCK - 1000);
        uint32_t at = lh_prng_below(&prng, 3) == 0 ? 0 : (uint32_t)lh_prng_below(&prng, len);
        uint32_t most = lh_prng_below(&prng, 2) == 0 ? 3 : 3000;
        uint32_t size = 1 + (uint32_t)lh_prng_below(&prng, most);
        size = LH_MIN(size, len - at);
        const struct lh_frame_data chunk = {number, at, len, content + at, (uint16_t)size};
        bool is_whole = false;
        if (number >= taker->rx.end || is_unknown(&taker->rx, number)) {
            taker->begun[number % BLOCKS] = 0;
            taker->holds = lh_prng_below(&prng, 50) == 0 ? !taker->holds : taker->holds;
        }
        taker->rx.window = 8 * BUDGET;
        (void)lh_block_rx_grant(&taker->rx, LH_MS, now += LH_MS);
        bool is_taken = offer_packet(taker, &chunk, &is_whole);
        taken += is_taken;
        refused += !is_taken;
        if (is_whole)
            lh_block_rx_release(&taker->rx, number);
        assert_true(lh_block_rx_memory(&taker->rx) <= BUDGET);
        if (taker->held > BUDGET / 2) {
            lh_block_rx_release_runs(&taker->rx, taker->held);
            taker->held = 0;
        }
    }
    assert_true(taker->rx.held_peak <= BUDGET);
    assert_true(taken > 1000 && refused > 100);
    taker_free(taker);
}

static void blocks_in_buffers_always_take_what_completes_them(void **state)
{
    (void)state;
    struct taker *taker = taker_new();
    taker->answer = LH_EARLY_NEVER;
    taker->rx.window = 8 * BUDGET;
    (void)lh_block_rx_grant(&taker->rx, 0, 0);
    uint32_t begun = 0;
    bool is_whole = false;
    for (;; begun++) {
        const struct lh_frame_data chunk = {begun, 0, BLOCK, content, 1000};
        if (!offer_packet(taker, &chunk, &is_whole))
            break;
    }
    assert_true(begun > 10);
    for (uint32_t i = 0; i < begun; i++) {
        const struct lh_frame_data rest = {i, 1000, BLOCK, content + 1000, BLOCK - 1000};
        assert_true(offer_packet(taker, &rest, &is_whole));
        assert_true(is_whole);
    }
    taker_free(taker);
}

static void a_packet_of_many_blocks_breaks_the_protocol(void **state)
{
    (void)state;
    struct taker *taker = taker_new();
    const struct lh_rx_block *whole;
    lh_err err = 0;
    taker->rx.window = 8 * BUDGET;
    (void)lh_block_rx_grant(&taker->rx, 0, 0);
    for (uint32_t i = 0; i < 17 && err == 0; i++) {
        const struct lh_frame_data chunk = {i, 1000, BLOCK, content, 1};
        err = lh_block_rx_data(&taker->rx, &chunk, &whole);
    }
    check_err(err, LH_E_PROTO);
    assert_true(taker->rx.held_peak <= BUDGET);
    taker_free(taker);
}

// --- The window ----------------------------------------------------------------------------------

static void the_window_grows_with_the_path_while_the_disk_keeps_up(void **state)
{
    (void)state;
    struct taker *taker = taker_new();
    uint32_t block = make_short(taker);
    lh_ns now = 0;
    uint64_t first = lh_block_rx_grant(&taker->rx, LH_SECOND, now);
    assert_true(first <= BUDGET);
    for (uint32_t i = 0; i < 20; i++, block++) { // 1.3 MB in one round trip
        give(taker, block, 0, 40000, BLOCK);
        assert_true(give(taker, block, 40000, BLOCK - 40000, BLOCK));
        lh_block_rx_release(&taker->rx, block);
        (void)lh_block_rx_grant(&taker->rx, LH_SECOND, now += LH_SECOND / 20);
    }
    assert_true(taker->rx.window > 3 * BUDGET / 2);
    // Nothing is written any more: no more is granted than fits.
    taker->holds = true;
    for (uint32_t i = 0; taker->held <= BUDGET / 4; i++, block++)
        give(taker, block, 0, 60000, BLOCK);
    uint64_t told = taker->rx.granted;
    (void)lh_block_rx_grant(&taker->rx, LH_SECOND, now += LH_SECOND);
    assert_true(taker->rx.window <= BUDGET);
    check_uint(taker->rx.granted, told); // what was granted stays granted
    taker_free(taker);
}

// --- Blocks that the sender holds no more --------------------------------------------------------

static bool take(struct lh_block_tx *tx, uint32_t len, struct lh_frame_data *out_chunk)
{
    return lh_block_tx_take(tx, len + LH_FRAME_DATA_BLOCK_LEN, out_chunk);
}

static void a_block_is_unloaded_when_sent_and_wanted_once_when_lost(void **state)
{
    (void)state;
    struct lh_block_tx tx;
    struct lh_block_tx_done done;
    struct lh_frame_data chunk;
    uint32_t number, wanted;
    check_ok(lh_block_tx_init(&tx));
    lh_block_tx_grant(&tx, BUDGET, BLOCKS);
    check_ok(lh_block_tx_push(&tx, content, 3000, &number));
    assert_true(take(&tx, 1000, &chunk));
    assert_false(lh_block_tx_unload(&tx, 0)); // not all was sent
    while (take(&tx, 1000, &chunk))
        continue;
    check_ok(lh_block_tx_lost(&tx, 0, 0, 1000));
    assert_false(lh_block_tx_unload(&tx, 0)); // a part waits
    assert_true(take(&tx, 1000, &chunk));
    assert_true(lh_block_tx_unload(&tx, 0));
    assert_false(lh_block_tx_again(&tx, 0, 0, 1000, &chunk));

    assert_false(lh_block_tx_wanted(&tx, &wanted));
    check_ok(lh_block_tx_lost(&tx, 0, 1000, 1000));
    check_ok(lh_block_tx_lost(&tx, 0, 2000, 1000));
    assert_true(lh_block_tx_wanted(&tx, &wanted));
    check_uint(wanted, 0);
    check_ok(lh_block_tx_acked(&tx, 0, 1000, 2000, &done)); // late: nothing is missing
    check_ok(lh_block_tx_lost(&tx, 0, 0, 500));             // and again
    assert_false(lh_block_tx_wanted(&tx, &wanted));
    assert_false(lh_block_tx_has_data(&tx));
    uint8_t copy[3000];
    memcpy(copy, content, sizeof copy);
    assert_true(lh_block_tx_supply(&tx, 0, copy));
    assert_true(take(&tx, 1000, &chunk));
    check_uint(chunk.offset, 0);
    check_uint(chunk.len, 500);
    assert_ptr_equal(chunk.bytes, copy);

    assert_true(lh_block_tx_unload(&tx, 0));
    check_ok(lh_block_tx_acked(&tx, 0, 0, 1000, &done));
    assert_true(done.is_whole);
    assert_null(done.data);
    assert_false(lh_block_tx_supply(&tx, 0, copy));
    assert_true(lh_block_tx_is_flushed(&tx));
    lh_block_tx_fini(&tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_an_early_block_is_handed_over_once),
        cmocka_unit_test(a_block_that_may_not_come_early_comes_whole_and_is_offered_once),
        cmocka_unit_test(runs_that_are_not_written_yet_count_as_memory),
        cmocka_unit_test(a_torn_flood_never_takes_more_than_the_budget),
        cmocka_unit_test(blocks_in_buffers_always_take_what_completes_them),
        cmocka_unit_test(a_packet_of_many_blocks_breaks_the_protocol),
        cmocka_unit_test(the_window_grows_with_the_path_while_the_disk_keeps_up),
        cmocka_unit_test(a_block_is_unloaded_when_sent_and_wanted_once_when_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
