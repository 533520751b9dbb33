// SPDX-License-Identifier: Apache-2.0
//
// Disk work on threads, so that a slow disk never holds the packet loop (after bfs's ioq).
//
// A task is a struct that the caller embeds. `run` is called on a worker thread and may block; then
// `done` is called on the loop's thread, from lh_ioq_reap. Tasks with the same `key` (not 0) run
// one after another in the order given: one file's metadata steps, one directory's creations. A
// task must not wait for another task.
#ifndef LH_FILE_IOQ_H
#define LH_FILE_IOQ_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct lh_task {
    void (*run)(struct lh_task *task);  // worker thread
    void (*done)(struct lh_task *task); // loop thread; may free the task or submit it again
    uint64_t key;                       // 0 = any order
    struct lh_link link;                // the queue's
};

struct lh_ioq;

// `threads` 1 .. 16, else LH_E_INVALID. LH_E_SYS / LH_E_NOMEM.
lh_err lh_ioq_new(unsigned threads, struct lh_ioq **out_ioq, struct lh_errinfo *info) LH_MUST_CHECK;
// Waits for running tasks, drops queued ones without calling run, calls done for none.
void lh_ioq_free(struct lh_ioq *ioq);

// The next four are the loop thread's.
void lh_ioq_submit(struct lh_ioq *ioq, struct lh_task *task);
int lh_ioq_fd(const struct lh_ioq *ioq); // readable when lh_ioq_reap has work; not the caller's
size_t lh_ioq_reap(struct lh_ioq *ioq);  // calls done of finished tasks; returns how many
size_t lh_ioq_pending(const struct lh_ioq *ioq); // submitted and not reaped

#endif
