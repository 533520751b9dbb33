// SPDX-License-Identifier: Apache-2.0
//
// How it works. fork and exec with two pipes, which are read until both are at their end; then the
// child is reaped. A third pipe, closed by exec, carries the errno of an exec that failed. The
// child dies with us. A program that outlives its time is killed.
#include "sshdapply/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "sys/clock.h"

#define STATUS_TIMEOUT 124

struct stream {
    int fd;
    char *text;
    size_t len;
    size_t room;
};

static int make_private_run(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/run", "tmpfs", 0, "mode=755") != 0)
        return -1;
    return mkdir("/run/sshd", 0755);
}

// In the child: never returns.
static _Noreturn void
become(const struct lh_run_options *options, int out_fd, int err_fd, int report_fd)
{
    static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                              NULL};
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int saved = 0;

    sigset_t none;

    // Whoever called us may hold signals back; a sshd that is started must not inherit that.
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0 ||
        chdir("/") != 0 || (options->private_run && make_private_run() != 0)) {
        saved = errno;
    } else {
        (void)execve(options->argv[0], (char *const *)options->argv, (char *const *)environment);
        saved = errno;
    }
    (void)!write(report_fd, &saved, sizeof saved);
    _exit(127);
}

// Reads what is there. False at the end of the stream.
static bool drain(struct stream *stream, lh_err *err)
{
    char scrap[4096];
    bool full = stream->len >= LH_RUN_OUTPUT_MAX;

    if (!full && stream->room - stream->len < sizeof scrap) {
        size_t room = stream->room == 0 ? 16384 : 2 * stream->room;
        char *text = realloc(stream->text, room);
        if (text == NULL) {
            *err = LH_E_NOMEM;
            return false;
        }
        stream->text = text;
        stream->room = room;
    }
    ssize_t got =
        full ? read(stream->fd, scrap, sizeof scrap)
             : read(stream->fd, stream->text + stream->len, stream->room - stream->len - 1);
    if (got < 0)
        return errno == EINTR;
    if (!full)
        stream->len += (size_t)got;
    return got > 0;
}

// Until both streams are at their end or the time is over. True in time.
static bool collect(struct stream streams[2], unsigned timeout_ms, lh_err *err)
{
    lh_ns deadline = lh_clock_now() + timeout_ms * LH_MS;

    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        struct pollfd fds[2] = {{.fd = streams[0].fd, .events = POLLIN},
                                {.fd = streams[1].fd, .events = POLLIN}};
        lh_ns now = lh_clock_now();
        if (now >= deadline)
            return false;
        if (poll(fds, 2, (int)((deadline - now) / LH_MS) + 1) < 0 && errno != EINTR)
            return false;
        for (size_t i = 0; i < 2; i++) {
            if (fds[i].fd < 0 || fds[i].revents == 0 || drain(&streams[i], err))
                continue;
            (void)close(streams[i].fd);
            streams[i].fd = -1;
        }
        if (*err != 0)
            return false;
    }
    return true;
}

static int reap(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static char *finished(struct stream *stream)
{
    char *text = stream->text != NULL ? stream->text : calloc(1, 1);
    if (text != NULL)
        text[stream->len] = '\0';
    return text;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
}

lh_err lh_run(const struct lh_run_options *options,
              struct lh_run_result *out_result,
              struct lh_errinfo *info)
{
    int fds[6] = {-1, -1, -1, -1, -1, -1}; // out, err, report: reading end, writing end
    struct stream streams[2] = {{.fd = -1}, {.fd = -1}};
    int exec_errno = 0;
    lh_err err = 0;

    LH_ASSERT(options->argv[0] != NULL && *options->argv[0] == '/');
    for (size_t i = 0; i < 6; i += 2) {
        if (pipe2(&fds[i], O_CLOEXEC) != 0) {
            err = lh_fail_errno(info, errno, 0, "cannot make a pipe");
            close_all(fds, 6);
            return err;
        }
    }
    pid_t child = fork();
    if (child < 0) {
        err = lh_fail_errno(info, errno, 0, "cannot start %s", options->argv[0]);
        close_all(fds, 6);
        return err;
    }
    if (child == 0)
        become(options, fds[1], fds[3], fds[5]);
    (void)close(fds[1]);
    (void)close(fds[3]);
    (void)close(fds[5]);
    streams[0].fd = fds[0];
    streams[1].fd = fds[2];
    bool in_time = collect(streams, options->timeout_ms, &err);
    if (!in_time)
        (void)kill(child, SIGKILL);
    int status = reap(child);
    bool started = read(fds[4], &exec_errno, sizeof exec_errno) != sizeof exec_errno;
    close_all((int[]){streams[0].fd, streams[1].fd, fds[4]}, 3);
    *out_result = (struct lh_run_result){.status = in_time ? status : STATUS_TIMEOUT,
                                         .out_len = streams[0].len,
                                         .err_len = streams[1].len};
    out_result->out = finished(&streams[0]);
    out_result->err = finished(&streams[1]);
    if (err == 0 && (out_result->out == NULL || out_result->err == NULL))
        err = LH_E_NOMEM;
    if (err == 0 && !started)
        err = lh_fail_errno(info, exec_errno, 0, "cannot run %s", options->argv[0]);
    if (err != 0)
        lh_run_result_fini(out_result);
    return err;
}

bool lh_run_find(const char *first, const char *name, char *out, size_t room)
{
    const char *const folders[] = {first, "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

    for (size_t i = 0; i < LH_ARRAY_LEN(folders); i++) {
        int len = folders[i] == NULL ? -1 : snprintf(out, room, "%s/%s", folders[i], name);
        if (len > 0 && (size_t)len < room && access(out, X_OK) == 0)
            return true;
    }
    (void)snprintf(out, room, "/usr/bin/%s", name);
    return false;
}

void lh_run_result_fini(struct lh_run_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct lh_run_result){0};
}
