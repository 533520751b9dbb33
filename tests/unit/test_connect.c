// SPDX-License-Identifier: Apache-2.0
//
// A server that says nothing, too little or too much before HELLO. In ssh's place stands a shell
// script; the limits of time are shortened through the structs that hold them.
#include "run/connect.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "job/code.h"
#include "sys/clock.h"

static char dir[] = "/tmp/lh-test-connect.XXXXXX";
static char program[64];

struct notices {
    int count;
    char last[LH_ERRINFO_TEXT];
};

static int make_dir(void **state)
{
    static char path[4096];

    (void)state;
    (void)snprintf(program, sizeof program, "%s/ssh", mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s:%s", dir, getenv("PATH"));
    return setenv("PATH", path, 1);
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(program);
    return rmdir(dir);
}

static void script(const char *text)
{
    FILE *file = fopen(program, "we");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\n%s\n", text);
    (void)fclose(file);
    assert_int_equal(chmod(program, 0755), 0);
}

static void take_notice(void *user, const char *text)
{
    struct notices *notices = user;
    notices->count++;
    (void)snprintf(notices->last, sizeof notices->last, "%s", text);
}

static void a_server_that_says_nothing_ends_with_a_timeout(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "exec sleep 60",
        "echo welcome; exec sleep 60", // noise is no answer
    };
    for (size_t i = 0; i < 2; i++) {
        static struct lh_connection connection;
        static struct lhcp_options options = {.host = "quiet.example",
                                              .block_log2 = LH_BLOCK_LOG2_DEFAULT,
                                              .memory = LH_MEMORY_DEFAULT};
        struct notices notices = {0};
        struct lh_connect_config config = {.options = &options,
                                           .stop_fd = -1,
                                           .on_notice = take_notice,
                                           .user = &notices,
                                           .answer_max = 300 * LH_MS};
        struct lh_errinfo info = {0};
        bool is_retryable = false;
        script(scripts[i]);
        // With a terminal or without one: answer_max stands for either limit.
        check_err(lh_connection_open(&connection, &config, &is_retryable, &info), LH_E_TIMEOUT);
        check_int(info.exit_code, LH_CODE_TIMEOUT);
        check_int(is_retryable, true);
        assert_non_null(strstr(info.text, "quiet.example did not answer"));
        lh_connection_close(&connection);
    }
}

// --- The waiting itself, on pipes ---

struct waiting {
    struct lh_hello hello;
    struct lh_handshake handshake;
    int from_peer[2], to_peer[2], side[2];
    int slow_count;
    int stirs; // of the side, before it falls silent
};

static int side_fd(void *user)
{
    struct waiting *w = user;
    return w->side[0];
}

static void side_ready(void *user)
{
    struct waiting *w = user;
    char byte;
    assert_int_equal(read(w->side[0], &byte, 1), 1);
    w->stirs++;
}

static void count_slow(void *user)
{
    struct waiting *w = user;
    w->slow_count++;
}

static void set_up_waiting(struct waiting *w)
{
    struct lh_hello_info offer = {.aeads = {1},
                                  .aead_count = 1,
                                  .digests = {1},
                                  .digest_count = 1,
                                  .lanes_max = 2,
                                  .block_log2_max = LH_BLOCK_LOG2_DEFAULT,
                                  .epoch_shift_max = LH_EPOCH_SHIFT,
                                  .packet_max = LH_PACKET_MAX,
                                  .receive_budget = LH_MEMORY_DEFAULT};
    lh_hello_init(&w->hello, LH_ROLE_CLIENT, &offer);
    assert_int_equal(pipe2(w->from_peer, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(w->to_peer, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(w->side, O_CLOEXEC | O_NONBLOCK), 0);
    w->handshake = (struct lh_handshake){.hello = &w->hello,
                                         .in_fd = w->from_peer[0],
                                         .out_fd = w->to_peer[1],
                                         .stop_fd = -1,
                                         .deadline = LH_NEVER,
                                         .on_slow = count_slow,
                                         .user = w,
                                         .sides = {{side_fd, side_ready, w}},
                                         .side_count = 1};
}

static void tear_down_waiting(struct waiting *w)
{
    int *const pairs[] = {w->from_peer, w->to_peer, w->side};
    for (size_t i = 0; i < 3; i++) {
        (void)close(pairs[i][0]);
        (void)close(pairs[i][1]);
    }
    lh_hello_fini(&w->hello);
}

static void a_person_is_told_once_that_we_still_wait(void **state)
{
    (void)state;
    static struct waiting w;
    struct lh_errinfo info = {0};
    lh_ns began = lh_clock_now();

    set_up_waiting(&w);
    w.handshake.silence_max = 200 * LH_MS;
    w.handshake.notice_after = 20 * LH_MS;
    check_err(lh_handshake_run(&w.handshake, &info), LH_E_TIMEOUT);
    check_int(info.exit_code, LH_CODE_TIMEOUT);
    check_int(w.slow_count, 1);
    assert_true(lh_clock_now() - began >= 200 * LH_MS);
    tear_down_waiting(&w);
}

static void a_sign_of_life_extends_the_wait_and_a_deadline_does_not_move(void **state)
{
    (void)state;
    static struct waiting w;
    struct lh_errinfo info = {0};
    lh_ns began = lh_clock_now();

    set_up_waiting(&w);
    w.handshake.silence_max = 400 * LH_MS;
    assert_int_equal(write(w.side[1], "x", 1), 1); // ssh asks for a password
    pid_t child = fork();
    if (child == 0) {
        (void)usleep(200000);
        ssize_t written = write(w.side[1], "y", 1);
        _exit(written == 1 ? 0 : 1);
    }
    check_err(lh_handshake_run(&w.handshake, &info), LH_E_TIMEOUT);
    assert_int_equal(waitpid(child, NULL, 0), child);
    check_int(w.stirs, 2);
    assert_true(lh_clock_now() - began >= 590 * LH_MS);
    tear_down_waiting(&w);

    set_up_waiting(&w);
    w.handshake.silence_max = LH_NEVER / 4;
    w.handshake.deadline = lh_clock_now() + 50 * LH_MS;
    check_err(lh_handshake_run(&w.handshake, &info), LH_E_TIMEOUT);
    tear_down_waiting(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_says_nothing_ends_with_a_timeout),
        cmocka_unit_test(a_person_is_told_once_that_we_still_wait),
        cmocka_unit_test(a_sign_of_life_extends_the_wait_and_a_deadline_does_not_move),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
