// SPDX-License-Identifier: Apache-2.0
//
// How it works. epoll's user data is an index into `watches` and the slot's generation, which
// changes whenever the slot is emptied: an event that the kernel reported before is dropped instead
// of meeting a stranger, and a slot can be taken again at once, however many come and go in one
// turn. Whether a descriptor's number still means what was added is asked of epoll itself, which
// forgets what was closed. epoll_pwait2 gives nanosecond deadlines, which pacing needs; a kernel
// without it (before 5.11) gets epoll_wait rounded up to a millisecond.
#include "run/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "job/code.h"
#include "sys/clock.h"

struct watch {
    int fd; // -1 = free
    uint32_t generation;
    uint32_t events;
    lh_loop_handler handler;
    void *user;
};

struct lh_loop {
    int epoll_fd;
    bool stopped;
    lh_ns now; // of this turn
    lh_ns rest_until;
    bool has_pwait2;
    struct watch watches[LH_LOOP_FDS_MAX];
};

lh_err lh_loop_new(struct lh_loop **out_loop, struct lh_errinfo *info)
{
    LH_CLEANUP(lh_loop_freep) struct lh_loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL)
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "no memory for the event loop");
    loop->has_pwait2 = true;
    for (size_t i = 0; i < LH_LOOP_FDS_MAX; i++)
        loop->watches[i].fd = -1;
    loop->now = lh_clock_now();
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return lh_fail_errno(info, errno, LH_CODE_SOCKET,
                             "cannot make an event loop (epoll_create1)");
    (void)prctl(PR_SET_TIMERSLACK, 1L); // pacing sleeps of tens of microseconds
    *out_loop = lh_steal(&loop);
    return 0;
}

void lh_loop_free(struct lh_loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    free(loop);
}

static struct watch *find_watch(struct lh_loop *loop, int fd)
{
    for (size_t i = 0; i < LH_LOOP_FDS_MAX; i++) {
        if (loop->watches[i].fd == fd)
            return &loop->watches[i];
    }
    return NULL;
}

static struct watch *find_free_watch(struct lh_loop *loop)
{
    for (size_t i = 0; i < LH_LOOP_FDS_MAX; i++) {
        if (loop->watches[i].fd < 0)
            return &loop->watches[i];
    }
    return NULL;
}

static int control(struct lh_loop *loop, int operation, const struct watch *watch, int fd)
{
    uint64_t index = (uint64_t)(watch - loop->watches);
    struct epoll_event event = {.events = watch->events,
                                .data.u64 = (uint64_t)watch->generation << 32 | index};

    return epoll_ctl(loop->epoll_fd, operation, fd, &event);
}

lh_err
lh_loop_add(struct lh_loop *loop, int fd, uint32_t events, lh_loop_handler handler, void *user)
{
    struct watch *watch = find_free_watch(loop);

    LH_ASSERT(fd >= 0 && handler != NULL);
    LH_ASSERT(find_watch(loop, fd) == NULL);
    if (watch == NULL)
        return LH_E_LIMIT;
    watch->events = events;
    if (control(loop, EPOLL_CTL_ADD, watch, fd) != 0)
        return LH_E_SYS;
    watch->fd = fd;
    watch->handler = handler;
    watch->user = user;
    return 0;
}

bool lh_loop_has(struct lh_loop *loop, int fd)
{
    const struct watch *watch = find_watch(loop, fd);

    return watch != NULL && control(loop, EPOLL_CTL_MOD, watch, fd) == 0;
}

void lh_loop_remove(struct lh_loop *loop, int fd)
{
    struct watch *watch = find_watch(loop, fd);

    if (watch == NULL)
        return;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    *watch = (struct watch){.fd = -1, .generation = watch->generation + 1};
}

static int
wait_for_events(struct lh_loop *loop, struct epoll_event *events, lh_ns deadline, lh_ns now)
{
    lh_ns until = lh_ns_min(loop->rest_until, deadline);
    if (until > now) {
        lh_clock_sleep_until(until);
        now = until; // or a little later, or a signal came: both are looked at again
    }
    loop->rest_until = 0;
    lh_ns left = deadline == LH_NEVER ? LH_NEVER : lh_ns_since(deadline, now);

    if (loop->has_pwait2) {
        struct timespec wait = {.tv_sec = (time_t)(left / LH_SECOND),
                                .tv_nsec = (long)(left % LH_SECOND)};
        int count = epoll_pwait2(loop->epoll_fd, events, LH_LOOP_FDS_MAX,
                                 left == LH_NEVER ? NULL : &wait, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        loop->has_pwait2 = false;
    }
    int wait_ms = -1;
    if (left != LH_NEVER)
        wait_ms = (int)lh_ns_min((left + LH_MS - 1) / LH_MS, 60000);
    return epoll_wait(loop->epoll_fd, events, LH_LOOP_FDS_MAX, wait_ms);
}

static void dispatch(struct lh_loop *loop, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        const struct watch *watch = &loop->watches[(uint32_t)events[i].data.u64];
        if (watch->fd >= 0 && watch->generation == events[i].data.u64 >> 32)
            watch->handler(watch->user, events[i].events, loop->now);
    }
}

lh_err lh_loop_run(struct lh_loop *loop, lh_loop_turn turn, void *user, struct lh_errinfo *info)
{
    lh_ns deadline;

    loop->stopped = false;
    loop->now = lh_clock_now();
    deadline = turn(user, loop->now);
    while (!loop->stopped) {
        struct epoll_event events[LH_LOOP_FDS_MAX];
        int count = wait_for_events(loop, events, deadline, lh_clock_now());
        if (count < 0 && errno != EINTR)
            return lh_fail_errno(info, errno, LH_CODE_INTERNAL, "waiting for events failed");
        loop->now = lh_clock_now();
        dispatch(loop, events, count);
        deadline = turn(user, loop->now);
    }
    return 0;
}

void lh_loop_stop(struct lh_loop *loop)
{
    loop->stopped = true;
}

void lh_loop_rest(struct lh_loop *loop, lh_ns until)
{
    loop->rest_until = lh_ns_max(loop->rest_until, until);
}

lh_ns lh_loop_now(const struct lh_loop *loop)
{
    return loop->now;
}

lh_ns lh_loop_refresh(struct lh_loop *loop)
{
    loop->now = lh_clock_now();
    return loop->now;
}
