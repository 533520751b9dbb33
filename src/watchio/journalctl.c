// SPDX-License-Identifier: Apache-2.0
//
// How it works. journalctl is spawned with a fixed argument vector and matches on fields that
// journald sets itself, so that other programs' entries do not even cross the pipe. Its standard
// input is /dev/null; its messages go to our standard error.
#include "watchio/journalctl.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

static lh_err spawn(struct lh_journalctl *journal, char *const *arguments, struct lh_errinfo *info)
{
    int ends[2];
    posix_spawn_file_actions_t actions;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return lh_fail_errno(info, errno, 0, "cannot make a pipe");
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0) {
        failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (failed == 0)
            failed = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (failed == 0)
            failed = posix_spawnp(&journal->pid, "journalctl", &actions, NULL, arguments, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(ends[1]);
    if (failed != 0) {
        (void)close(ends[0]);
        journal->pid = 0;
        return lh_fail_errno(info, failed, 0, "cannot run journalctl");
    }
    journal->fd = ends[0];
    return 0;
}

lh_err lh_journalctl_start(struct lh_journalctl *journal,
                           int64_t since,
                           const char *cursor,
                           bool follow,
                           struct lh_errinfo *info)
{
    char since_text[48];
    char cursor_text[300];
    char *arguments[24];
    size_t count = 0;
    static const char *const fixed[] = {
        "journalctl", "--output=json", "--no-pager",
        "--all",      "--quiet",       "--output-fields=MESSAGE,_PID,_UID,_COMM,_EXE,_MACHINE_ID"};
    static const char *const matches[] = {"_UID=0", "_COMM=sshd",         "+",
                                          "_UID=0", "_COMM=sshd-session", "+",
                                          "_UID=0", "_COMM=sshd-auth"};

    *journal = (struct lh_journalctl){.fd = -1};
    for (size_t i = 0; i < LH_ARRAY_LEN(fixed); i++)
        arguments[count++] = (char *)fixed[i];
    if (cursor != NULL && cursor[0] != '\0') {
        (void)snprintf(cursor_text, sizeof cursor_text, "--after-cursor=%s", cursor);
        arguments[count++] = cursor_text;
    } else if (since > 0) {
        (void)snprintf(since_text, sizeof since_text, "--since=@%lld", (long long)since);
        arguments[count++] = since_text;
    }
    if (follow) {
        arguments[count++] = (char *)"--follow";
        arguments[count++] = (char *)"--no-tail";
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(matches); i++)
        arguments[count++] = (char *)matches[i];
    arguments[count] = NULL;
    return spawn(journal, arguments, info);
}

lh_err lh_journalctl_stop(struct lh_journalctl *journal, struct lh_errinfo *info)
{
    int status = 0;
    if (journal->pid == 0)
        return 0;
    (void)close(journal->fd);
    while (waitpid(journal->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return lh_fail_errno(info, errno, 0, "cannot wait for journalctl");
    }
    *journal = (struct lh_journalctl){.fd = -1};
    // Closing its output early ends it by a signal, which is no failure.
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return lh_fail(info, LH_E_SYS, 0, "journalctl failed (status %d)", WEXITSTATUS(status));
    return 0;
}

lh_err lh_journalctl_read(int64_t since, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    struct lh_journalctl journal;
    struct lh_lines *lines = malloc(sizeof *lines);
    lh_err err = lines == NULL ? lh_fail(info, LH_E_NOMEM, 0, "out of memory")
                               : lh_journalctl_start(&journal, since, NULL, false, info);
    if (err != 0) {
        free(lines);
        return err;
    }
    lh_lines_init(lines);
    for (;;) {
        size_t room;
        char *at = lh_lines_room(lines, &room);
        ssize_t got = read(journal.fd, at, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = lh_fail_errno(info, errno, 0, "cannot read from journalctl");
        else
            err = got == 0 ? lh_lines_end(lines, sink) : lh_lines_take(lines, (size_t)got, sink);
        if (got <= 0 || err != 0)
            break;
    }
    free(lines);
    lh_err stopped = lh_journalctl_stop(&journal, err == 0 ? info : NULL);
    return err != 0 ? err : stopped;
}

bool lh_journalctl_usable(void)
{
    static const char *const directories[] = {"/var/log/journal", "/run/log/journal"};
    for (size_t i = 0; i < LH_ARRAY_LEN(directories); i++) {
        if (access(directories[i], R_OK | X_OK) == 0)
            return true;
    }
    return false;
}
