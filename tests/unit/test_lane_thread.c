// SPDX-License-Identifier: Apache-2.0
//
// Mailboxes between threads, and a lane's thread by itself: what it seals the peer can open, what
// it cannot open it counts.
#include <poll.h>

#include "base/prng.h"
#include "check.h"
#include "run/lane_thread.h"
#include "run/mailbox.h"
#include "sys/clock.h"
#include "transport/packet.h"

#define THINGS     20000
#define SESSION_ID 0x01020304
#define LANE       3
#define PACKET_LEN 1200

// --- Mailboxes -----------------------------------------------------------------------------------

struct thing {
    struct lh_link link;
    unsigned number;
};

static bool is_signalled(const struct lh_wake *wake, int timeout_ms)
{
    struct pollfd fd = {.fd = wake->fd, .events = POLLIN};
    return poll(&fd, 1, timeout_ms) == 1;
}

static void only_a_taker_that_armed_is_woken_and_only_once(void **state)
{
    (void)state;
    struct thing things[3];
    struct lh_mailbox box;
    struct lh_wake wake;
    check_ok(lh_wake_init(&wake));
    lh_mailbox_init(&box, &wake);
    assert_null(lh_mailbox_take(&box));

    lh_mailbox_put(&box, &things[0].link);
    assert_false(is_signalled(&wake, 0));
    assert_false(lh_mailbox_arm(&box)); // something is there: no sleep now
    assert_ptr_equal(lh_mailbox_take(&box), &things[0].link);
    assert_true(lh_mailbox_arm(&box));
    lh_mailbox_put(&box, &things[1].link);
    assert_true(is_signalled(&wake, 0));
    lh_wake_clear(&wake);
    lh_mailbox_put(&box, &things[2].link);
    assert_false(is_signalled(&wake, 0));
    assert_ptr_equal(lh_mailbox_take(&box), &things[1].link);
    assert_ptr_equal(lh_mailbox_take(&box), &things[2].link);
    assert_null(lh_mailbox_take(&box));
    lh_mailbox_fini(&box);
    lh_wake_fini(&wake);
    lh_wake_fini(&wake);
}

struct stream {
    struct lh_mailbox box;
    struct lh_wake wake;
    struct thing things[THINGS];
};

static void *put_all(void *context)
{
    struct stream *stream = context;
    for (unsigned i = 0; i < THINGS; i++) {
        stream->things[i].number = i;
        lh_mailbox_put(&stream->box, &stream->things[i].link);
    }
    return NULL;
}

static void all_that_another_thread_puts_in_comes_out_in_order_and_no_wake_up_is_lost(void **state)
{
    (void)state;
    struct stream *stream = calloc(1, sizeof *stream);
    pthread_t putter;
    unsigned next = 0;

    assert_non_null(stream);
    check_ok(lh_wake_init(&stream->wake));
    lh_mailbox_init(&stream->box, &stream->wake);
    assert_int_equal(pthread_create(&putter, NULL, put_all, stream), 0);
    while (next < THINGS) {
        struct lh_link *link = lh_mailbox_take(&stream->box);
        if (link != NULL) {
            check_uint(LH_CONTAINER_OF(link, struct thing, link)->number, next++);
        } else if (lh_mailbox_arm(&stream->box)) {
            assert_true(is_signalled(&stream->wake, 20000));
            lh_wake_clear(&stream->wake);
        }
    }
    assert_int_equal(pthread_join(putter, NULL), 0);
    lh_mailbox_fini(&stream->box);
    lh_wake_fini(&stream->wake);
    free(stream);
}

// --- A lane's thread -----------------------------------------------------------------------------

static struct lh_sealing keys_of(bool is_client)
{
    const struct lh_secret master = {{7}};
    struct lh_sealing keys = {.session_id = SESSION_ID, .lane = LANE};
    enum lh_direction out = is_client ? LH_DIR_CLIENT_TO_SERVER : LH_DIR_SERVER_TO_CLIENT;
    enum lh_direction in = is_client ? LH_DIR_SERVER_TO_CLIENT : LH_DIR_CLIENT_TO_SERVER;
    check_ok(lh_lane_keys_init(&keys.seal, &lh_aead_aes128_gcm, &master, out, LANE, true, 4));
    check_ok(lh_lane_keys_init(&keys.open, &lh_aead_aes128_gcm, &master, in, LANE, false, 4));
    return keys;
}

// Lays out packets of the lane as the engine does, for both ways.
static void lay_out(uint8_t *data, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t pn = first + i;
        const struct lh_packet_header header = {.lane = LANE, .session_id = SESSION_ID, .pn = pn};
        memset(data + (size_t)i * PACKET_LEN, (int)pn, PACKET_LEN);
        lh_packet_header_write(&header, data + (size_t)i * PACKET_LEN);
    }
}

struct rig {
    struct lh_wake wake;
    struct lh_lane_thread *thread;
    struct lh_sealing peer;
};

static void rig_init(struct rig *rig)
{
    struct lh_sealing keys = keys_of(true);
    rig->peer = keys_of(false);
    check_ok(lh_wake_init(&rig->wake));
    check_ok(lh_lane_thread_new(LANE, &rig->wake, &rig->thread));
    lh_lane_thread_take_keys(rig->thread, &keys);
}

static void rig_fini(struct rig *rig)
{
    lh_lane_thread_free(rig->thread);
    lh_sealing_fini(&rig->peer);
    lh_wake_fini(&rig->wake);
}

static void wait_for_news(struct rig *rig)
{
    if (lh_lane_thread_arm(rig->thread))
        assert_true(is_signalled(&rig->wake, 20000));
    lh_wake_clear(&rig->wake);
}

static struct lh_lane_catch *next_catch(struct rig *rig)
{
    struct lh_lane_catch *catch;
    while ((catch = lh_lane_thread_caught(rig->thread)) == NULL)
        wait_for_news(rig);
    return catch;
}

static void a_run_without_a_socket_comes_back_sealed_for_the_peer(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_lane_run *run;
    rig_init(&rig);
    for (unsigned turn = 0; turn < 20; turn++) { // more than there are runs, and over key changes
        run = lh_lane_thread_run(rig.thread);
        assert_non_null(run);
        lh_lane_run_reset(run);
        lay_out(run->memory, turn * 10, 10);
        run->batch.len = 10 * PACKET_LEN - 100;
        run->batch.segments = 10;
        run->batch.segment_size = PACKET_LEN;
        run->is_direct = turn % 2 == 0;
        lh_lane_thread_send(rig.thread, run);
        while ((run = lh_lane_thread_handed(rig.thread)) == NULL)
            wait_for_news(&rig);
        check_int(run->err, 0);
        for (size_t at = 0; at < run->batch.len; at += PACKET_LEN) {
            size_t len = at + PACKET_LEN > run->batch.len ? PACKET_LEN - 100 : PACKET_LEN;
            check_ok(lh_sealing_open(&rig.peer, run->memory + at, len, 0, LH_SECOND));
            check_uint(run->memory[at + LH_PACKET_HEADER], turn * 10 + at / PACKET_LEN);
        }
        lh_lane_thread_done(rig.thread, run);
    }
    rig_fini(&rig);
}

static void packets_that_came_another_way_are_opened_and_forged_ones_are_counted(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t data[5 * PACKET_LEN];
    struct lh_udp_dgram dgrams[5];
    rig_init(&rig);
    for (unsigned turn = 0; turn < 2 * LH_LANE_STRAYS; turn++) {
        lay_out(data, turn * 5, 5);
        check_ok(lh_sealing_run(&rig.peer, data, sizeof data, PACKET_LEN));
        for (size_t i = 0; i < 5; i++)
            dgrams[i] = (struct lh_udp_dgram){.data = data + i * PACKET_LEN, .len = PACKET_LEN};
        data[1 * PACKET_LEN + 500] ^= 1; // forged
        data[2 * PACKET_LEN] ^= 1;       // of another lane
        dgrams[3].len = 20;              // no packet at all
        assert_true(lh_lane_thread_open(rig.thread, dgrams, 5, 77 * LH_SECOND));
        struct lh_lane_catch *catch = next_catch(&rig);
        check_uint(catch->count, 2);
        check_uint(catch->forged, 1);
        check_uint(catch->strange, 2);
        check_uint(catch->arrived, 77 * LH_SECOND);
        check_uint(catch->dgrams[0].data[LH_PACKET_HEADER], turn * 5);
        check_uint(catch->dgrams[1].data[LH_PACKET_HEADER], turn * 5 + 4);
        lh_lane_thread_return(rig.thread, catch);
    }
    rig_fini(&rig);
}

static void what_is_too_much_for_the_thread_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t data[PACKET_LEN] = {0};
    const struct lh_udp_dgram dgram = {.data = data, .len = sizeof data};
    rig_init(&rig);
    for (unsigned i = 0; i < LH_LANE_STRAYS; i++) // nobody gives them back
        assert_true(lh_lane_thread_open(rig.thread, &dgram, 1, 0));
    assert_false(lh_lane_thread_open(rig.thread, &dgram, 1, 0));
    for (unsigned i = 0; i < LH_LANE_RUNS; i++)
        assert_non_null(lh_lane_thread_run(rig.thread));
    assert_null(lh_lane_thread_run(rig.thread));
    rig_fini(&rig);
}

// --- Sockets -------------------------------------------------------------------------------------

static struct lh_udp_socket *open_towards(const struct lh_udp_addr *peer)
{
    struct lh_udp_config config = {.family = AF_INET};
    struct lh_udp_socket *made;
    check_ok(lh_udp_addr_parse("127.0.0.1", 0, &config.local));
    if (peer != NULL)
        config.peer = *peer;
    check_ok(lh_udp_open(&config, &made, NULL));
    return made;
}

static void a_thread_with_a_socket_sends_and_receives_through_its_twin(void **state)
{
    (void)state;
    struct rig rig;
    struct lh_udp_addr ours, theirs;
    struct lh_udp_rx *rx;
    struct lh_udp_batch batch = {0};
    rig_init(&rig);
    struct lh_udp_socket *far = open_towards(NULL), *near, *twin;
    check_ok(lh_udp_local(far, &theirs, NULL));
    near = open_towards(&theirs);
    check_ok(lh_udp_local(near, &ours, NULL));
    check_ok(lh_udp_connect(far, &ours));
    check_ok(lh_udp_twin(near, &twin));
    lh_udp_close(near); // the twin needs it no more
    check_ok(lh_udp_rx_new(1, &rx));

    lh_lane_thread_use(rig.thread, twin);
    struct lh_lane_run *run = lh_lane_thread_run(rig.thread);
    assert_non_null(run);
    lay_out(run->memory, 0, 1);
    run->batch.len = run->batch.segment_size = PACKET_LEN;
    run->batch.segments = 1;
    run->is_direct = true;
    lh_lane_thread_send(rig.thread, run);
    while (lh_udp_recv(far, rx, &batch) == LH_AGAIN || batch.count == 0) {
        struct pollfd fd = {.fd = lh_udp_fd(far), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 20000), 1);
    }
    check_ok(lh_sealing_open(&rig.peer, batch.dgrams[0].data, batch.dgrams[0].len, 0, LH_SECOND));

    uint8_t data[PACKET_LEN];
    struct lh_udp_run answer = {.data = data, .len = sizeof data, .segment_size = sizeof data};
    struct lh_udp_sent sent;
    lay_out(data, 5, 1);
    check_ok(lh_sealing_run(&rig.peer, data, sizeof data, sizeof data));
    check_ok(lh_udp_send(far, &answer, &sent));
    struct lh_lane_catch *catch = next_catch(&rig);
    check_uint(catch->count, 1);
    assert_true(lh_udp_addr_equal(&catch->dgrams[0].path.peer, &theirs));
    check_uint(catch->dgrams[0].data[LH_PACKET_HEADER], 5);
    lh_lane_thread_return(rig.thread, catch);

    lh_udp_close(far);
    lh_udp_rx_free(rx);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_taker_that_armed_is_woken_and_only_once),
        cmocka_unit_test(all_that_another_thread_puts_in_comes_out_in_order_and_no_wake_up_is_lost),
        cmocka_unit_test(a_run_without_a_socket_comes_back_sealed_for_the_peer),
        cmocka_unit_test(packets_that_came_another_way_are_opened_and_forged_ones_are_counted),
        cmocka_unit_test(what_is_too_much_for_the_thread_is_refused),
        cmocka_unit_test(a_thread_with_a_socket_sends_and_receives_through_its_twin),
    };
    return cmocka_run_group_tests_name("lane_thread", tests, NULL, NULL);
}
