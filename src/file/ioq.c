// SPDX-License-Identifier: Apache-2.0
//
// How it works. One mutex guards three kinds of lists that tasks travel through by their embedded
// link, so nothing is allocated per task:
//
//     submit -> [ready] -> a worker runs it -> [finished] -> lh_ioq_reap calls done
//         \-> [waiting of its lane], while another task of that lane is ready or running
//
// A lane stands for the keys that hash to it. A lane has at most one task that is ready or running;
// when that one is finished, the next of its waiting list becomes ready. Two keys that share a lane
// are serialised too, which costs a little concurrency and no correctness, since a task may not
// wait for another.
//
// The eventfd is written when `finished` turns from empty to not empty, and read before the list is
// taken: so a wake-up is never lost, and at most one is spurious.
//
// Workers block every signal: signals are the loop thread's.
#include "file/ioq.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

#define THREADS_MAX 16
#define LANES       1024 // a power of two, many times the threads

struct lane {
    struct lh_link waiting;
    bool busy; // one of its tasks is ready or running
};

struct lh_ioq {
    pthread_mutex_t lock; // guards everything below but `pending`
    pthread_cond_t work;  // ready is not empty, or stop
    struct lh_link ready;
    struct lh_link finished;
    bool stop;
    struct lane lanes[LANES];
    size_t pending; // the loop thread's alone
    int fd;
    unsigned threads;
    pthread_t workers[THREADS_MAX];
};

static struct lane *lane_of(struct lh_ioq *ioq, uint64_t key)
{
    uint64_t mixed = key * 0x9e3779b97f4a7c15u;
    return &ioq->lanes[mixed >> 54];
}
_Static_assert(LANES == 1 << (64 - 54), "lane_of takes the top 10 bits");

static struct lh_task *task_of(struct lh_link *link)
{
    return LH_CONTAINER_OF(link, struct lh_task, link);
}

// The task has run: frees its lane for the next one and hands it to the loop. Lock held.
static void finish(struct lh_ioq *ioq, struct lh_task *task)
{
    if (task->key != 0) {
        struct lane *lane = lane_of(ioq, task->key);
        struct lh_link *next = lh_list_first(&lane->waiting);
        LH_DASSERT(lane->busy);
        if (next == NULL) {
            lane->busy = false;
        } else {
            lh_list_remove(next);
            lh_list_append(&ioq->ready, next);
            pthread_cond_signal(&ioq->work);
        }
    }
    bool first = lh_list_empty(&ioq->finished);
    lh_list_append(&ioq->finished, &task->link);
    if (first) {
        uint64_t one = 1;
        LH_ASSERT(write(ioq->fd, &one, sizeof one) == sizeof one);
    }
}

static void *work(void *context)
{
    struct lh_ioq *ioq = context;
    pthread_mutex_lock(&ioq->lock);
    for (;;) {
        while (!ioq->stop && lh_list_empty(&ioq->ready))
            pthread_cond_wait(&ioq->work, &ioq->lock);
        if (ioq->stop)
            break;
        struct lh_task *task = task_of(lh_list_first(&ioq->ready));
        lh_list_remove(&task->link);
        pthread_mutex_unlock(&ioq->lock);
        task->run(task);
        pthread_mutex_lock(&ioq->lock);
        finish(ioq, task);
    }
    pthread_mutex_unlock(&ioq->lock);
    return NULL;
}

static int start_workers(struct lh_ioq *ioq, unsigned threads)
{
    sigset_t all;
    sigset_t old;
    int error = 0;
    (void)sigfillset(&all);
    LH_ASSERT(pthread_sigmask(SIG_BLOCK, &all, &old) == 0);
    while (error == 0 && ioq->threads < threads) {
        error = pthread_create(&ioq->workers[ioq->threads], NULL, work, ioq);
        if (error == 0)
            ioq->threads++;
    }
    LH_ASSERT(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    return error;
}

lh_err lh_ioq_new(unsigned threads, struct lh_ioq **out_ioq, struct lh_errinfo *info)
{
    if (threads < 1 || threads > THREADS_MAX)
        return lh_fail(info, LH_E_INVALID, 0, "disk threads must be 1 to %d", THREADS_MAX);
    struct lh_ioq *ioq = calloc(1, sizeof *ioq);
    if (ioq == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    lh_list_init(&ioq->ready);
    lh_list_init(&ioq->finished);
    for (size_t i = 0; i < LANES; i++)
        lh_list_init(&ioq->lanes[i].waiting);
    ioq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ioq->fd < 0) {
        int error = errno;
        free(ioq);
        return lh_fail_errno(info, error, 0, "cannot make an eventfd");
    }
    LH_ASSERT(pthread_mutex_init(&ioq->lock, NULL) == 0);
    LH_ASSERT(pthread_cond_init(&ioq->work, NULL) == 0);
    int error = start_workers(ioq, threads);
    if (error != 0) {
        lh_ioq_free(ioq);
        return lh_fail_errno(info, error, 0, "cannot start a disk thread");
    }
    *out_ioq = ioq;
    return LH_OK;
}

void lh_ioq_free(struct lh_ioq *ioq)
{
    if (ioq == NULL)
        return;
    pthread_mutex_lock(&ioq->lock);
    ioq->stop = true;
    pthread_cond_broadcast(&ioq->work);
    pthread_mutex_unlock(&ioq->lock);
    for (unsigned i = 0; i < ioq->threads; i++)
        LH_ASSERT(pthread_join(ioq->workers[i], NULL) == 0);
    (void)pthread_cond_destroy(&ioq->work);
    (void)pthread_mutex_destroy(&ioq->lock);
    (void)close(ioq->fd);
    free(ioq);
}

void lh_ioq_submit(struct lh_ioq *ioq, struct lh_task *task)
{
    LH_ASSERT(task->run != NULL);
    LH_ASSERT(task->done != NULL);
    ioq->pending++;
    pthread_mutex_lock(&ioq->lock);
    struct lane *lane = task->key == 0 ? NULL : lane_of(ioq, task->key);
    if (lane != NULL && lane->busy) {
        lh_list_append(&lane->waiting, &task->link);
    } else {
        if (lane != NULL)
            lane->busy = true;
        lh_list_append(&ioq->ready, &task->link);
        pthread_cond_signal(&ioq->work);
    }
    pthread_mutex_unlock(&ioq->lock);
}

int lh_ioq_fd(const struct lh_ioq *ioq)
{
    return ioq->fd;
}

size_t lh_ioq_reap(struct lh_ioq *ioq)
{
    struct lh_link taken;
    uint64_t wakeups;
    size_t count = 0;

    lh_list_init(&taken);
    if (read(ioq->fd, &wakeups, sizeof wakeups) < 0)
        LH_ASSERT(errno == EAGAIN || errno == EINTR);
    pthread_mutex_lock(&ioq->lock);
    LH_LIST_FOR_EACH(link, &ioq->finished)
    {
        lh_list_remove(link);
        lh_list_append(&taken, link);
    }
    pthread_mutex_unlock(&ioq->lock);
    for (struct lh_link *link; (link = lh_list_first(&taken)) != NULL; count++) {
        struct lh_task *task = task_of(link);
        lh_list_remove(link);
        LH_DASSERT(ioq->pending > 0);
        ioq->pending--;
        task->done(task); // may free the task, or submit it again
    }
    return count;
}

size_t lh_ioq_pending(const struct lh_ioq *ioq)
{
    return ioq->pending;
}
