// SPDX-License-Identifier: Apache-2.0
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "run/loop.h"
#include "sys/clock.h"

struct fixture {
    struct lh_loop *loop;
    int pipe_a[2];
    int pipe_b[2];
    int copy_a, copy_b; // of their ends for reading
    int a_calls;
    int b_calls;
    int turns;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    check_ok(lh_loop_new(&f->loop, NULL));
    check_int(pipe(f->pipe_a), 0);
    check_int(pipe(f->pipe_b), 0);
    f->copy_a = dup(f->pipe_a[0]);
    f->copy_b = dup(f->pipe_b[0]);
    assert_true(f->copy_a >= 0 && f->copy_b >= 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    lh_loop_free(f->loop);
    (void)close(f->copy_a);
    (void)close(f->copy_b);
    for (int i = 0; i < 2; i++) {
        (void)close(f->pipe_a[i]);
        (void)close(f->pipe_b[i]);
    }
    free(f);
    return 0;
}

static void on_a(void *user, uint32_t events, lh_ns now)
{
    struct fixture *f = user;
    (void)events;
    (void)now;
    f->a_calls++;
    lh_loop_remove(f->loop, f->pipe_a[0]);
    lh_loop_remove(f->loop, f->pipe_b[0]); // whose event may be reported already
}

static void on_b(void *user, uint32_t events, lh_ns now)
{
    struct fixture *f = user;
    (void)events;
    (void)now;
    f->b_calls++;
    lh_loop_remove(f->loop, f->pipe_a[0]);
    lh_loop_remove(f->loop, f->pipe_b[0]);
}

static void on_quiet(void *user, uint32_t events, lh_ns now)
{
    struct fixture *f = user;
    (void)events;
    (void)now;
    f->b_calls++;
}

// Whichever of two is called first removes both, though the other's event is reported already, and
// gives their places to others, more often than the loop has places.
static void on_replaceable(void *user, uint32_t events, lh_ns now)
{
    struct fixture *f = user;
    char byte;
    (void)events;
    (void)now;
    check_int(f->a_calls++, 0);
    check_int(read(f->pipe_a[0], &byte, 1), 1);
    lh_loop_remove(f->loop, f->pipe_a[0]);
    lh_loop_remove(f->loop, f->copy_a);
    for (int i = 0; i < 2 * LH_LOOP_FDS_MAX; i++) {
        lh_loop_remove(f->loop, f->pipe_b[0]);
        lh_loop_remove(f->loop, f->copy_b);
        check_ok(lh_loop_add(f->loop, f->pipe_b[0], EPOLLIN, on_quiet, f));
        check_ok(lh_loop_add(f->loop, f->copy_b, EPOLLIN, on_quiet, f));
    }
}

static lh_ns three_turns_one_ms_apart(void *user, lh_ns now)
{
    struct fixture *f = user;
    if (++f->turns == 3)
        lh_loop_stop(f->loop);
    return now + LH_MS;
}

static void a_handler_may_remove_any_descriptor(void **state)
{
    struct fixture *f = *state;
    check_ok(lh_loop_add(f->loop, f->pipe_a[0], EPOLLIN, on_a, f));
    check_ok(lh_loop_add(f->loop, f->pipe_b[0], EPOLLIN, on_b, f));
    check_int(write(f->pipe_a[1], "x", 1), 1);
    check_int(write(f->pipe_b[1], "x", 1), 1);
    check_ok(lh_loop_run(f->loop, three_turns_one_ms_apart, f, NULL));
    check_int(f->a_calls + f->b_calls, 1); // both were ready; the first took the other away
}

static void an_event_reported_for_a_removed_descriptor_does_not_reach_its_successor(void **state)
{
    struct fixture *f = *state;
    check_ok(lh_loop_add(f->loop, f->copy_a, EPOLLIN, on_replaceable, f));
    check_ok(lh_loop_add(f->loop, f->pipe_a[0], EPOLLIN, on_replaceable, f));
    check_int(write(f->pipe_a[1], "x", 1), 1);
    check_ok(lh_loop_run(f->loop, three_turns_one_ms_apart, f, NULL));
    check_int(f->a_calls, 1);
    check_int(f->b_calls, 0); // nothing was written there
    check_int(write(f->pipe_b[1], "x", 1), 1);
    f->turns = 0;
    check_ok(lh_loop_run(f->loop, three_turns_one_ms_apart, f, NULL));
    assert_true(f->b_calls > 0);
}

static void a_number_that_was_given_out_again_is_not_the_one_that_was_added(void **state)
{
    struct fixture *f = *state;
    int fd = dup(f->pipe_a[0]);
    assert_false(lh_loop_has(f->loop, fd));
    check_ok(lh_loop_add(f->loop, fd, EPOLLIN, on_a, f));
    assert_true(lh_loop_has(f->loop, fd));
    check_int(dup2(f->pipe_b[0], fd), fd);
    assert_false(lh_loop_has(f->loop, fd));
    lh_loop_remove(f->loop, fd);
    check_ok(lh_loop_add(f->loop, fd, EPOLLIN, on_a, f));
    assert_true(lh_loop_has(f->loop, fd));
    lh_loop_remove(f->loop, fd);
    assert_false(lh_loop_has(f->loop, fd));
    (void)close(fd);
}

static void turns_come_at_their_deadlines(void **state)
{
    struct fixture *f = *state;
    lh_ns start = lh_clock_now();
    check_ok(lh_loop_run(f->loop, three_turns_one_ms_apart, f, NULL));
    check_int(f->turns, 3);
    assert_true(lh_clock_now() - start >= 2 * LH_MS);
}

struct clock_reader {
    struct lh_loop *loop;
    lh_ns refreshed;
    lh_ns turn;
};

static void on_late(void *user, uint32_t events, lh_ns now)
{
    struct clock_reader *reader = user;
    const struct timespec nap = {.tv_nsec = 3000000};
    (void)events;
    (void)nanosleep(&nap, NULL);
    reader->refreshed = lh_loop_refresh(reader->loop);
    assert_true(reader->refreshed - now >= 3 * LH_MS);
    check_uint(lh_loop_now(reader->loop), reader->refreshed);
}

static lh_ns until_refreshed(void *user, lh_ns now)
{
    struct clock_reader *reader = user;
    reader->turn = now;
    if (reader->refreshed != 0)
        lh_loop_stop(reader->loop);
    return LH_NEVER;
}

static void a_handler_may_read_the_clock_again_for_the_rest_of_the_turn(void **state)
{
    struct fixture *f = *state;
    struct clock_reader reader = {.loop = f->loop};
    check_ok(lh_loop_add(f->loop, f->pipe_a[0], EPOLLIN, on_late, &reader));
    check_int(write(f->pipe_a[1], "x", 1), 1);
    check_ok(lh_loop_run(f->loop, until_refreshed, &reader, NULL));
    check_uint(reader.turn, reader.refreshed);
}

static void refuses_more_descriptors_than_its_limit(void **state)
{
    struct fixture *f = *state;
    int fds[LH_LOOP_FDS_MAX + 1];
    for (int i = 0; i <= LH_LOOP_FDS_MAX; i++) {
        fds[i] = dup(f->pipe_a[0]);
        check_int(lh_loop_add(f->loop, fds[i], EPOLLIN, on_a, f),
                  i < LH_LOOP_FDS_MAX ? 0 : LH_E_LIMIT);
    }
    for (int i = 0; i <= LH_LOOP_FDS_MAX; i++) {
        lh_loop_remove(f->loop, fds[i]);
        (void)close(fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_handler_may_remove_any_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_event_reported_for_a_removed_descriptor_does_not_reach_its_successor, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            a_number_that_was_given_out_again_is_not_the_one_that_was_added, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turns_come_at_their_deadlines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_handler_may_read_the_clock_again_for_the_rest_of_the_turn,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_descriptors_than_its_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
