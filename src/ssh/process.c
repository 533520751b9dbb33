// SPDX-License-Identifier: Apache-2.0
//
// How it works. fork and exec rather than posix_spawn, for what the child must do in between:
// ignore SIGINT and SIGQUIT (Ctrl-C reaches the whole foreground group; the transfer ends in good
// order and then closes ssh, which keeps inherited "ignore" dispositions), follow its parent into
// death, and close what is not its own. Between fork and exec only async-signal-safe calls are
// made. A failed exec is told through a close-on-exec pipe, so that lh_child_start knows.
//
// Descriptors: close-on-exec from birth and above 2, so that dup2 in the child never meets itself.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/math.h"
#include "ssh/ssh_internal.h"
#include "sys/clock.h"

#define CAPTURE_TIME (2 * LH_SECOND)

struct ends { // of one pipe
    int read, write;
};

void lh_child_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

// Moves a descriptor out of the range 0-2, which a program started with closed standard files has
// free.
static int above_standard(int fd)
{
    int moved = fd;
    if (fd >= 0 && fd <= 2) {
        moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        (void)close(fd);
    }
    return moved;
}

static bool make_pipe(struct ends *ends)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    ends->read = above_standard(fds[0]);
    ends->write = above_standard(fds[1]);
    return ends->read >= 0 && ends->write >= 0;
}

static void close_ends(struct ends *pipes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lh_child_close_fd(&pipes[i].read);
        lh_child_close_fd(&pipes[i].write);
    }
}

// In the child. Does not return.
_Noreturn static void
become(char *const *argv, char *const *envp, const struct ends pipes[4], pid_t parent)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL}, ignore = {.sa_handler = SIG_IGN};
    sigset_t none;
    int error;

    (void)sigaction(SIGPIPE, &usual, NULL);
    (void)sigaction(SIGINT, &ignore, NULL);
    (void)sigaction(SIGQUIT, &ignore, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) // it died before the line above
        _exit(255);
    if (dup2(pipes[0].read, 0) == 0 && dup2(pipes[1].write, 1) == 1 &&
        dup2(pipes[2].write, 2) == 2) {
        (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        (void)execvpe(argv[0], argv, envp != NULL ? envp : environ);
    }
    error = errno;
    (void)!write(pipes[3].write, &error, sizeof error);
    _exit(255);
}

lh_err lh_child_start(char *const *argv,
                      char *const *envp,
                      struct lh_child *out_child,
                      struct lh_errinfo *info)
{
    struct ends pipes[4] = {
        {-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}; // input, output, messages, exec
    pid_t parent = getpid();
    pid_t pid = -1;
    int exec_errno = 0;
    bool made = true;

    for (size_t i = 0; i < 4 && made; i++)
        made = make_pipe(&pipes[i]);
    if (made)
        pid = fork();
    if (pid == 0)
        become(argv, envp, pipes, parent);
    if (pid < 0) {
        int saved = errno;
        close_ends(pipes, 4);
        return lh_fail_errno(info, saved, 12, "cannot start %s", argv[0]);
    }
    lh_child_close_fd(&pipes[3].write);
    ssize_t got;
    do
        got = read(pipes[3].read, &exec_errno, sizeof exec_errno);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        close_ends(pipes, 4);
        (void)waitpid(pid, NULL, 0);
        return lh_fail_errno(info, exec_errno, 12, "cannot start %s", argv[0]);
    }
    struct lh_child child = {
        .pid = pid, .input = pipes[0].write, .output = pipes[1].read, .messages = pipes[2].read};
    pipes[0].write = pipes[1].read = pipes[2].read = -1;
    close_ends(pipes, 4);
    (void)fcntl(child.input, F_SETFL, O_NONBLOCK);
    (void)fcntl(child.output, F_SETFL, O_NONBLOCK);
    (void)fcntl(child.messages, F_SETFL, O_NONBLOCK);
    *out_child = child;
    return 0;
}

bool lh_child_wait(struct lh_child *child, unsigned patience_ms)
{
    lh_ns deadline = lh_clock_now() + patience_ms * LH_MS;
    const struct timespec pause = {.tv_nsec = 2 * (long)LH_MS};

    while (!child->is_reaped) {
        pid_t got = waitpid(child->pid, &child->status, WNOHANG);
        // ECHILD: somebody ignores SIGCHLD, so the kernel has reaped it and its status is lost.
        if (got == child->pid || (got < 0 && errno == ECHILD)) {
            child->is_reaped = true;
            break;
        }
        if (lh_clock_now() >= deadline)
            return false;
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

void lh_child_end(struct lh_child *child, unsigned patience_ms)
{
    lh_child_close_fd(&child->input);
    lh_child_close_fd(&child->output);
    lh_child_close_fd(&child->messages);
    if (child->pid == 0 || lh_child_wait(child, patience_ms))
        return;
    (void)kill(child->pid, SIGTERM);
    if (lh_child_wait(child, 500))
        return;
    (void)kill(child->pid, SIGKILL);
    (void)lh_child_wait(child, 5000);
}

// Reads what there is of `*fd` into `out`; closes it at its end. Bytes beyond the room are dropped.
static void gather(int *fd, char *out, size_t room, size_t *used)
{
    char chunk[1024];
    ssize_t got = read(*fd, chunk, sizeof chunk);

    if (got > 0) {
        size_t part = LH_MIN((size_t)got, room - 1 - *used);
        memcpy(out + *used, chunk, part);
        *used += part;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        lh_child_close_fd(fd);
    }
}

lh_err lh_child_capture(char *const *argv, char *out, size_t room)
{
    struct lh_child child = LH_CHILD_NONE;
    lh_ns deadline = lh_clock_now() + CAPTURE_TIME;
    size_t used = 0;
    lh_err err = lh_child_start(argv, NULL, &child, NULL);

    if (err != 0)
        return err;
    lh_child_close_fd(&child.input);
    while (child.output >= 0 || child.messages >= 0) {
        struct pollfd polled[2] = {{child.output, POLLIN, 0}, {child.messages, POLLIN, 0}};
        lh_ns now = lh_clock_now();
        if (now >= deadline || poll(polled, 2, (int)((deadline - now) / LH_MS) + 1) == 0)
            break;
        if (polled[0].revents != 0)
            gather(&child.output, out, room, &used);
        if (polled[1].revents != 0)
            gather(&child.messages, out, room, &used);
    }
    out[used] = '\0';
    lh_child_end(&child, (unsigned)(lh_ns_since(deadline, lh_clock_now()) / LH_MS));
    return 0;
}
