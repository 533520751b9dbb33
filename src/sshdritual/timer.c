// SPDX-License-Identifier: Apache-2.0
//
// How it works. The timer is a process of its own: forked twice, in a session of its own, without a
// terminal and without open files of ours, so that neither the death of the command nor the end of
// the SSH session reaches it. It sleeps on CLOCK_BOOTTIME, which no setting of the clock moves and
// which goes on while the machine sleeps. When it wakes it reads the record: only that decides. It
// holds timer.lock, by which others see that it lives, and which process it is.
//
// A command that hangs at work past the deadline is killed: it holds the lock that is needed.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdritual/ritual_internal.h"
#include "sys/clock.h"

#define READY_WAIT_MS 10000
#define LOCK_TRIES    50 // of 100 ms, before the holder is killed
#define RETRY_SECONDS 3
#define DISARM_TRIES  20

// --- Starting it ---

static _Noreturn void become_timer(const struct lh_ritual *ritual, int ready_fd)
{
    char descriptor[16];
    const char *argv[16] = {"lhctl",
                            "sshd",
                            "timer",
                            "--state",
                            ritual->options->state,
                            "--id",
                            ritual->record->id,
                            "--ready-fd",
                            descriptor};
    size_t count = 9;
    static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                              NULL};
    sigset_t none;

    (void)snprintf(descriptor, sizeof descriptor, "%d", ready_fd);
    if (ritual->options->tools != NULL) {
        argv[count++] = "--tools";
        argv[count++] = ritual->options->tools;
    }
    argv[count++] = "--reload";
    argv[count++] = lh_ritual_way_name(ritual->options->way);
    argv[count] = NULL;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (setsid() < 0 || null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
        dup2(null_fd, 2) < 0 || chdir("/") != 0 || fcntl(ready_fd, F_SETFD, 0) != 0)
        _exit(1);
    pid_t second = fork(); // no leader of a session: it never gets a terminal
    if (second != 0)
        _exit(second < 0);
    (void)execve("/proc/self/exe", (char *const *)argv, (char *const *)environment);
    _exit(1);
}

static lh_err start_process(struct lh_ritual *ritual)
{
    int fds[2], status;
    char byte;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return lh_fail_errno(ritual->info, errno, 0, "cannot make a pipe");
    pid_t child = fork();
    if (child == 0)
        become_timer(ritual, fds[1]);
    (void)close(fds[1]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    struct pollfd ready = {.fd = fds[0], .events = POLLIN};
    bool started = child > 0 && poll(&ready, 1, READY_WAIT_MS) == 1 && read(fds[0], &byte, 1) == 1;
    (void)close(fds[0]);
    return started ? 0 : lh_fail(ritual->info, LH_E_SYS, 0, "the timer does not start");
}

bool lh_timer_alive(const struct lh_ritual *ritual)
{
    return lh_store_holder(ritual, "timer.lock") > 0;
}

lh_err lh_timer_arm(struct lh_ritual *ritual)
{
    // An old timer, of another run, would hold the lock that the new one needs.
    lh_timer_disarm(ritual);
    lh_err err = start_process(ritual);
    if (err == 0 && !lh_timer_alive(ritual))
        err = lh_fail(ritual->info, LH_E_SYS, 0, "the timer ended at once");
    return err != 0 ? err : lh_unit_arm(ritual);
}

void lh_timer_disarm(struct lh_ritual *ritual)
{
    const struct timespec pause = {.tv_nsec = (long)(50 * LH_MS)};
    pid_t pid;

    lh_unit_disarm(ritual);
    for (unsigned i = 0;
         !ritual->watching && i < DISARM_TRIES && (pid = lh_store_holder(ritual, "timer.lock")) > 0;
         i++) {
        (void)kill(pid, i < DISARM_TRIES / 2 ? SIGTERM : SIGKILL);
        (void)nanosleep(&pause, NULL);
    }
}

// --- Being it ---

static void sleep_until(lh_ns deadline)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(deadline / LH_SECOND),
                                           .tv_nsec = (long)(deadline % LH_SECOND)}};
    uint64_t times;

    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    if (fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        (void)!read(fd, &times, sizeof times);
    else
        (void)sleep(1);
    if (fd >= 0)
        (void)close(fd);
}

// Reads the record without the lock: it is replaced as a whole.
static enum lh_ritual_step look(struct lh_ritual *ritual)
{
    const char *id = ritual->options->id;

    if (lh_store_load(ritual) != 0)
        return LH_RITUAL_WAIT;
    if (id != NULL && strcmp(id, ritual->record->id) != 0)
        return LH_RITUAL_NOTHING;
    return lh_ritual_decide(LH_RITUAL_TIMER, ritual->record->phase, lh_store_expired(ritual));
}

// Takes the lock from whoever has it past the deadline. False where nothing is left to do.
static bool take_lock(struct lh_ritual *ritual)
{
    const struct timespec pause = {.tv_nsec = (long)(100 * LH_MS)};

    for (unsigned i = 0; ritual->lock_fd < 0; i++) {
        ritual->lock_fd = lh_store_lock(ritual, "lock");
        if (ritual->lock_fd >= 0)
            break;
        (void)nanosleep(&pause, NULL);
        if (look(ritual) != LH_RITUAL_RESTORE)
            return false;
        pid_t holder = i >= LOCK_TRIES ? lh_store_holder(ritual, "lock") : 0;
        if (holder > 0)
            (void)kill(holder, SIGKILL);
    }
    return true;
}

static void drop_lock(struct lh_ritual *ritual)
{
    if (ritual->lock_fd >= 0)
        (void)close(ritual->lock_fd);
    ritual->lock_fd = -1;
}

static void keep_alive(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    // When memory is short, others go first.
    if (fd < 0)
        return;
    (void)!write(fd, "-1000", 5);
    (void)close(fd);
}

enum lh_ritual_result lh_ritual_watch(const struct lh_ritual_options *options,
                                      struct lh_errinfo *info)
{
    struct lh_ritual ritual = {.options = options, .info = info, .watching = true, .lock_fd = -1};
    enum lh_ritual_step step = LH_RITUAL_WAIT;

    ritual.record = calloc(1, sizeof *ritual.record);
    if (ritual.record == NULL)
        return LH_RITUAL_FAILED;
    (void)lh_store_lock(&ritual, "timer.lock"); // for as long as this process lives
    keep_alive();
    if (options->ready_fd >= 0) {
        (void)!write(options->ready_fd, "", 1);
        (void)close(options->ready_fd);
    }
    while ((step = look(&ritual)) != LH_RITUAL_NOTHING && step != LH_RITUAL_FORGET) {
        if (step != LH_RITUAL_RESTORE) {
            sleep_until(ritual.record->phase == LH_RITUAL_NONE
                            ? lh_clock_boot() + RETRY_SECONDS * LH_SECOND
                            : ritual.record->deadline);
            continue;
        }
        if (!take_lock(&ritual))
            continue;
        step = look(&ritual);
        if (step == LH_RITUAL_RESTORE && lh_ritual_restore(&ritual) != 0)
            (void)sleep(RETRY_SECONDS);
        drop_lock(&ritual);
    }
    bool ended =
        ritual.record->phase == LH_RITUAL_DONE || ritual.record->phase == LH_RITUAL_RESTORED;
    if (ended && (options->id == NULL || strcmp(options->id, ritual.record->id) == 0)) {
        // The command died before it could take its copies away.
        ritual.lock_fd = lh_store_lock(&ritual, "lock");
        if (ritual.lock_fd >= 0 && look(&ritual) == LH_RITUAL_NOTHING)
            lh_ritual_sweep(&ritual);
    }
    lh_store_close(&ritual);
    return LH_RITUAL_OK;
}
