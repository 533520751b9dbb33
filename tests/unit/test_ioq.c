// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "file/ioq.h"

static void reap_all(struct lh_ioq *ioq)
{
    while (lh_ioq_pending(ioq) > 0) {
        struct pollfd wait = {.fd = lh_ioq_fd(ioq), .events = POLLIN};
        check_int(poll(&wait, 1, 10000), 1);
        (void)lh_ioq_reap(ioq);
    }
}

// --- Every task runs on a worker and is done on the loop ---

struct counted {
    struct lh_task task;
    pthread_t loop;
    atomic_uint *ran;
    unsigned *done;
};

static void count_run(struct lh_task *task)
{
    struct counted *counted = LH_CONTAINER_OF(task, struct counted, task);
    if (!pthread_equal(pthread_self(), counted->loop)) // on a worker
        atomic_fetch_add(counted->ran, 1);
}

static void count_done(struct lh_task *task)
{
    struct counted *counted = LH_CONTAINER_OF(task, struct counted, task);
    assert_true(pthread_equal(pthread_self(), counted->loop));
    *counted->done += 1;
}

static void test_every_task_runs_once_and_is_done_once(void **state)
{
    enum { TASKS = 5000 };
    struct counted *tasks = calloc(TASKS, sizeof *tasks);
    struct lh_ioq *ioq = NULL;
    atomic_uint ran = 0;
    unsigned done = 0;
    (void)state;
    assert_non_null(tasks);
    check_ok(lh_ioq_new(4, &ioq, NULL));
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i] = (struct counted){
            {count_run, count_done, i % 3 == 0 ? 0 : i % 17 + 1, {0}}, pthread_self(), &ran, &done};
        lh_ioq_submit(ioq, &tasks[i].task);
    }
    reap_all(ioq);
    check_uint(atomic_load(&ran), TASKS);
    check_uint(done, TASKS);
    check_uint(lh_ioq_reap(ioq), 0);
    lh_ioq_free(ioq);
    free(tasks);
}

// --- Order within a key ---

struct ordered {
    struct lh_task task;
    unsigned number;
    unsigned *next; // of the key; not atomic: the queue must serialise
    atomic_uint *wrong;
};

static void ordered_run(struct lh_task *task)
{
    struct ordered *ordered = LH_CONTAINER_OF(task, struct ordered, task);
    if (*ordered->next != ordered->number)
        atomic_fetch_add(ordered->wrong, 1);
    if (ordered->number % 16 == 0)
        (void)usleep(100);
    *ordered->next = ordered->number + 1;
}

static void nothing(struct lh_task *task)
{
    (void)task;
}

static void test_tasks_of_a_key_run_one_after_another_in_order(void **state)
{
    enum { KEYS = 50, EACH = 100 };
    struct ordered *tasks = calloc(KEYS * EACH, sizeof *tasks);
    unsigned next[KEYS] = {0};
    struct lh_ioq *ioq = NULL;
    atomic_uint wrong = 0;
    (void)state;
    assert_non_null(tasks);
    check_ok(lh_ioq_new(8, &ioq, NULL));
    for (unsigned i = 0; i < KEYS * EACH; i++) {
        unsigned key = i % KEYS;
        tasks[i] =
            (struct ordered){{ordered_run, nothing, 1000 + key, {0}}, i / KEYS, &next[key], &wrong};
        lh_ioq_submit(ioq, &tasks[i].task);
        if (i % 97 == 0)
            (void)lh_ioq_reap(ioq);
    }
    reap_all(ioq);
    check_uint(atomic_load(&wrong), 0);
    for (unsigned key = 0; key < KEYS; key++)
        check_uint(next[key], EACH);
    lh_ioq_free(ioq);
    free(tasks);
}

// --- Concurrency ---

struct meeting {
    struct lh_task task;
    atomic_uint *there;
};

static void meet(struct lh_task *task)
{
    struct meeting *meeting = LH_CONTAINER_OF(task, struct meeting, task);
    atomic_fetch_add(meeting->there, 1);
    while (atomic_load(meeting->there) < 4) // only ends when four run at once
        (void)usleep(100);
}

static void test_tasks_without_a_key_run_at_once(void **state)
{
    struct meeting tasks[4];
    struct lh_ioq *ioq = NULL;
    atomic_uint there = 0;
    (void)state;
    check_ok(lh_ioq_new(4, &ioq, NULL));
    for (unsigned i = 0; i < 4; i++) {
        tasks[i] = (struct meeting){{meet, nothing, 0, {0}}, &there};
        lh_ioq_submit(ioq, &tasks[i].task);
    }
    reap_all(ioq);
    lh_ioq_free(ioq);
}

// --- Tasks that go on in done ---

struct again {
    struct lh_task task;
    struct lh_ioq *ioq;
    unsigned left;
};

static void run_again(struct lh_task *task)
{
    struct again *again = LH_CONTAINER_OF(task, struct again, task);
    again->left--;
}

static void submit_again(struct lh_task *task)
{
    struct again *again = LH_CONTAINER_OF(task, struct again, task);
    if (again->left > 0)
        lh_ioq_submit(again->ioq, task);
}

static void test_done_may_submit_again(void **state)
{
    struct again task;
    (void)state;
    task = (struct again){{run_again, submit_again, 5, {0}}, NULL, 100};
    check_ok(lh_ioq_new(2, &task.ioq, NULL));
    lh_ioq_submit(task.ioq, &task.task);
    reap_all(task.ioq);
    check_uint(task.left, 0);
    lh_ioq_free(task.ioq);
}

// --- Ending ---

struct slow {
    struct lh_task task;
    atomic_uint *started;
    atomic_uint *ended;
};

static void slow_run(struct lh_task *task)
{
    struct slow *slow = LH_CONTAINER_OF(task, struct slow, task);
    atomic_fetch_add(slow->started, 1);
    (void)usleep(20000);
    atomic_fetch_add(slow->ended, 1);
}

static void never_done(struct lh_task *task)
{
    (void)task;
    fail_msg("done was called while the queue was freed");
}

static void test_free_waits_for_running_tasks_and_drops_the_rest(void **state)
{
    struct slow tasks[100];
    struct lh_ioq *ioq = NULL;
    atomic_uint started = 0;
    atomic_uint ended = 0;
    (void)state;
    check_ok(lh_ioq_new(2, &ioq, NULL));
    for (unsigned i = 0; i < 100; i++) {
        tasks[i] = (struct slow){{slow_run, never_done, i % 2 ? 7 : 0, {0}}, &started, &ended};
        lh_ioq_submit(ioq, &tasks[i].task);
    }
    while (atomic_load(&started) == 0)
        (void)usleep(100);
    lh_ioq_free(ioq);
    check_uint(atomic_load(&started), atomic_load(&ended));
    assert_true(atomic_load(&started) < 100);
    lh_ioq_free(NULL);
}

static void test_number_of_threads_is_bounded(void **state)
{
    struct lh_ioq *ioq = NULL;
    (void)state;
    check_err(lh_ioq_new(0, &ioq, NULL), LH_E_INVALID);
    check_err(lh_ioq_new(17, &ioq, NULL), LH_E_INVALID);
    check_ok(lh_ioq_new(16, &ioq, NULL));
    lh_ioq_free(ioq);
}

struct masked {
    struct lh_task task;
    int blocked;
};

static void look_at_mask(struct lh_task *task)
{
    struct masked *masked = LH_CONTAINER_OF(task, struct masked, task);
    sigset_t now;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
    masked->blocked = sigismember(&now, SIGINT) && sigismember(&now, SIGTERM);
}

static void test_workers_take_no_signals(void **state)
{
    struct masked masked = {.task = {look_at_mask, nothing, 0, {0}}};
    struct lh_ioq *ioq = NULL;
    sigset_t now;
    (void)state;
    check_ok(lh_ioq_new(1, &ioq, NULL));
    lh_ioq_submit(ioq, &masked.task);
    reap_all(ioq);
    check_int(masked.blocked, 1);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
    check_int(sigismember(&now, SIGINT), 0); // the loop still does
    lh_ioq_free(ioq);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once_and_is_done_once),
        cmocka_unit_test(test_tasks_of_a_key_run_one_after_another_in_order),
        cmocka_unit_test(test_tasks_without_a_key_run_at_once),
        cmocka_unit_test(test_done_may_submit_again),
        cmocka_unit_test(test_free_waits_for_running_tasks_and_drops_the_rest),
        cmocka_unit_test(test_number_of_threads_is_bounded),
        cmocka_unit_test(test_workers_take_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
