// SPDX-License-Identifier: Apache-2.0
//
// How it works. sshd -t first: a sshd that is told to read files that it refuses ends. Then sshd is
// told, by systemd, by the service command or by SIGHUP, after which it starts itself anew with the
// same process number, and sessions go on: they are processes of their own. Whether it has done so
// is seen in the kernel: it listens on the wanted ports, on sockets that were not there before, and
// not on the others any more.
//
// A sshd that is gone is started again the way it was started before.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdapply/listeners.h"
#include "sshdapply/run.h"
#include "sshdapply/sshd.h"
#include "sshdapply/tree.h"
#include "sshdritual/ritual_internal.h"
#include "sys/clock.h"

#define PATIENCE_MS  20000
#define LISTEN_WAIT  (10 * LH_SECOND)
#define LISTEN_PAUSE (50 * LH_MS)
#define CMDLINE_MAX  65536
#define SOCKETS_MAX  64

// --- How it was started ---

static bool is_sshd(pid_t pid)
{
    char path[64];
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    if (pid <= 1 || lh_root_read("/", path, 64, &text, &len, NULL) != 0)
        return false;
    bool is = strcmp(text, "sshd\n") == 0;
    free(text);
    return is;
}

void lh_server_note(struct lh_ritual *ritual, pid_t pid)
{
    struct lh_record *record = ritual->record;
    char path[64];
    char *text;
    size_t len;

    record->pid = (uint32_t)pid;
    record->argument_count = 0;
    if (!is_sshd(pid)) // systemd, of ssh.socket
        return;
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    if (lh_root_read("/", path, CMDLINE_MAX, &text, &len, NULL) != 0)
        return;
    // sshd writes its title over its arguments: "sshd: /usr/sbin/sshd -f FILE [listener] 0 of ..."
    bool title = strncmp(text, "sshd: ", 6) == 0;
    char *end = title ? strstr(text, " [listener]") : NULL;
    if (end != NULL)
        len = (size_t)(end - text);
    for (size_t i = 0; title && i < len; i++)
        text[i] = text[i] == ' ' ? '\0' : text[i];
    text[len] = '\0';
    for (size_t at = title ? 6 : 0; at < len && record->argument_count < LH_RECORD_ARGUMENTS_MAX;
         at += strlen(text + at) + 1) {
        const char *word = text + at;
        bool first = record->argument_count == 0;
        // In the foreground it would never come back to us.
        if (*word == '\0' || strcmp(word, "-D") == 0 || strchr(word, '\n') != NULL ||
            strlen(word) >= sizeof record->arguments[0])
            continue;
        (void)snprintf(record->arguments[record->argument_count++], sizeof record->arguments[0],
                       "%s", first && *word != '/' ? LH_SSHD_PROGRAM : word);
    }
    free(text);
}

// --- What the kernel shows ---

struct sockets {
    uint64_t inodes[SOCKETS_MAX];
    uint16_t ports[SOCKETS_MAX];
    size_t count;
};

// The listening sockets of sshd, or, of ssh.socket, of systemd.
static lh_err look(struct sockets *out, struct lh_errinfo *info)
{
    LH_CLEANUP(lh_listeners_fini) struct lh_listeners listeners = {0};

    lh_err err = lh_listeners_read("/proc", &listeners, info);
    *out = (struct sockets){0};
    for (size_t i = 0; err == 0 && i < listeners.count && out->count < SOCKETS_MAX; i++) {
        const struct lh_listener *one = &listeners.items[i];
        if (strcmp(one->name, "sshd") != 0 && strcmp(one->name, "systemd") != 0)
            continue;
        out->inodes[out->count] = one->inode;
        out->ports[out->count++] = one->port;
    }
    return err;
}

static bool has_port(const struct sockets *sockets, uint16_t port)
{
    return lh_record_has_port(sockets->ports, sockets->count, port);
}

// Whether sshd listens on what is wanted and not on what it had before besides; `*out_port` is the
// first that is not so.
static bool as_wanted(const struct lh_ritual *ritual,
                      const struct sockets *now,
                      const uint16_t *ports,
                      size_t count,
                      uint16_t *out_port)
{
    const struct lh_record *record = ritual->record;

    for (size_t i = 0; i < count; i++) {
        *out_port = ports[i];
        if (!has_port(now, ports[i]))
            return false;
    }
    for (size_t i = 0; i <= record->old_port_count; i++) {
        *out_port = i < record->old_port_count ? record->old_ports[i] : record->port;
        if (!lh_record_has_port(ports, count, *out_port) && has_port(now, *out_port))
            return false;
    }
    return true;
}

// Whether one of the sockets of these ports was there before.
static bool any_stayed(const struct sockets *before,
                       const struct sockets *now,
                       const uint16_t *ports,
                       size_t count)
{
    for (size_t i = 0; i < now->count; i++) {
        for (size_t n = 0; n < before->count; n++) {
            if (now->inodes[i] == before->inodes[n] &&
                lh_record_has_port(ports, count, now->ports[i]))
                return true;
        }
    }
    return false;
}

// The process that is told: the one noted, or, where that is gone, whichever sshd has the ports
// now.
static void find_again(struct lh_ritual *ritual)
{
    LH_CLEANUP(lh_listeners_fini) struct lh_listeners listeners = {0};
    struct lh_record *record = ritual->record;

    if (lh_listeners_read("/proc", &listeners, NULL) != 0)
        return;
    // Its number alone proves nothing: after a reboot it may be that of a session.
    for (size_t i = 0; i < listeners.count; i++) {
        if (listeners.items[i].pid == (pid_t)record->pid && is_sshd((pid_t)record->pid))
            return;
    }
    for (size_t i = 0; i < listeners.count; i++) {
        const struct lh_listener *one = &listeners.items[i];
        bool ours = one->port == record->port ||
                    lh_record_has_port(record->old_ports, record->old_port_count, one->port);
        if (ours && strcmp(one->name, "sshd") == 0) {
            record->pid = (uint32_t)one->pid;
            record->pid_given = false;
            return;
        }
    }
}

static lh_err wait_for(struct lh_ritual *ritual,
                       const struct sockets *before,
                       const uint16_t *ports,
                       size_t count)
{
    pid_t pid = (pid_t)ritual->record->pid;
    bool lived = is_sshd(pid);
    const struct timespec pause = {.tv_nsec = (long)LISTEN_PAUSE};
    lh_ns deadline = lh_clock_boot() + LISTEN_WAIT;
    struct sockets now;
    uint16_t port = 0;

    while (lh_clock_boot() < deadline) {
        lh_err err = look(&now, ritual->info);
        if (err != 0)
            return err;
        bool wanted = as_wanted(ritual, &now, ports, count, &port);
        if (wanted && (before == NULL || !any_stayed(before, &now, ports, count)))
            return 0;
        (void)nanosleep(&pause, NULL);
        if (lived && !is_sshd(pid) && now.count == 0)
            return lh_fail(ritual->info, LH_E_CLOSED, 0, "sshd (process %d) has ended", (int)pid);
    }
    return lh_fail(
        ritual->info, LH_E_TIMEOUT, 0,
        "after %u s sshd %s port %u, or has not read its files again",
        (unsigned)(LISTEN_WAIT / LH_SECOND),
        lh_record_has_port(ports, count, port) ? "does not listen on" : "still listens on", port);
}

// --- The ways ---

static lh_err call(struct lh_ritual *ritual, const char *const *words)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    const char *argv[8];
    char program[512];
    size_t count = 1;

    (void)lh_run_find(ritual->options->tools, words[0], program, sizeof program);
    argv[0] = program;
    for (; words[count] != NULL && count < LH_ARRAY_LEN(argv) - 1; count++)
        argv[count] = words[count];
    argv[count] = NULL;
    lh_err err = lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result,
                        ritual->info);
    if (err == 0 && result.status != 0)
        err = lh_fail(ritual->info, LH_E_SYS, 0, "%s %s %s: exit status %d: %.*s", words[0],
                      count > 1 ? words[1] : "", count > 2 ? words[2] : "", result.status,
                      (int)strcspn(result.err, "\n"), result.err);
    return err;
}

static bool works(struct lh_ritual *ritual, const char *const *words)
{
    struct lh_ritual quiet = *ritual;

    quiet.info = NULL;
    return call(&quiet, words) == 0;
}

// One row a way: the commands that reload, and that start what is gone. A row with a test is taken
// only where that succeeds.
struct way {
    enum lh_ritual_way way;
    const char *test[4];
    const char *reload[2][4];
    const char *start[4];
};

static const struct way ways[] = {
    {LH_RITUAL_SYSTEMD,
     {"systemctl", "is-active", "ssh.socket"},
     {{"systemctl", "daemon-reload"}, {"systemctl", "restart", "ssh.socket"}},
     {"systemctl", "restart", "ssh.socket"}},
    {LH_RITUAL_SYSTEMD,
     {"systemctl", "is-active", "ssh"},
     {{"systemctl", "reload", "ssh"}},
     {"systemctl", "restart", "ssh"}},
    {LH_RITUAL_SYSTEMD,
     {"systemctl", "is-active", "sshd"},
     {{"systemctl", "reload", "sshd"}},
     {"systemctl", "restart", "sshd"}},
    {LH_RITUAL_SYSTEMD,
     {"systemctl", "cat", "ssh"},
     {{"systemctl", "restart", "ssh"}},
     {"systemctl", "restart", "ssh"}},
    {LH_RITUAL_SYSTEMD,
     {"systemctl", "cat", "sshd"},
     {{"systemctl", "restart", "sshd"}},
     {"systemctl", "restart", "sshd"}},
    {LH_RITUAL_SERVICE, {NULL}, {{"service", "ssh", "reload"}}, {"service", "ssh", "start"}},
};

// NULL: by a signal.
static const struct way *choose(struct lh_ritual *ritual)
{
    enum lh_ritual_way wanted = ritual->options->way;

    if (ritual->record->pid_given || wanted == LH_RITUAL_SIGNAL)
        return NULL;
    if (wanted == LH_RITUAL_AUTO && access("/run/systemd/system", F_OK) == 0)
        wanted = LH_RITUAL_SYSTEMD;
    for (size_t i = 0; i < LH_ARRAY_LEN(ways); i++) {
        if (ways[i].way == wanted && (ways[i].test[0] == NULL || works(ritual, ways[i].test)))
            return &ways[i];
    }
    return NULL;
}

// Starts sshd the way it was started before.
static lh_err start_again(struct lh_ritual *ritual)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    const char *argv[LH_RECORD_ARGUMENTS_MAX + 1] = {LH_SSHD_PROGRAM, NULL};

    for (size_t i = 0; i < ritual->record->argument_count; i++) {
        argv[i] = ritual->record->arguments[i];
        argv[i + 1] = NULL;
    }
    lh_err err = lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result,
                        ritual->info);
    if (err == 0 && result.status != 0)
        err = lh_fail(ritual->info, LH_E_SYS, 0, "sshd does not start: %.*s",
                      (int)strcspn(result.err, "\n"), result.err);
    return err;
}

static lh_err tell(struct lh_ritual *ritual)
{
    const struct way *way = choose(ritual);
    pid_t pid = (pid_t)ritual->record->pid;
    lh_err err = 0;

    if (way == NULL && !LH_GUARD(RITUAL_PID, !is_sshd(pid))) {
        if (kill(pid, SIGHUP) != 0)
            return lh_fail_errno(ritual->info, errno, 0, "cannot signal sshd, process %d", pid);
        lh_ritual_say(ritual, LH_RITUAL_STEP, "sshd (process %d) reads its files again", (int)pid);
        return 0;
    }
    if (way == NULL) {
        err = start_again(ritual);
        if (err == 0)
            lh_ritual_say(ritual, LH_RITUAL_NOTE, "sshd was gone and is started again");
        return err;
    }
    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(way->reload) && way->reload[i][0] != NULL;
         i++) {
        err = call(ritual, way->reload[i]);
        if (err == 0)
            lh_ritual_say(ritual, LH_RITUAL_STEP, "%s %s %s", way->reload[i][0], way->reload[i][1],
                          way->reload[i][2] == NULL ? "" : way->reload[i][2]);
    }
    if (err != 0 && works(ritual, way->start))
        err = 0;
    return err;
}

static lh_err test_files(struct lh_ritual *ritual)
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    const char *program =
        ritual->options->program != NULL ? ritual->options->program : LH_SSHD_PROGRAM;
    const char *const argv[] = {program, "-t", "-f", ritual->record->config, NULL};

    lh_err err = lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result,
                        ritual->info);
    if (err == 0 && result.status != 0)
        err = lh_fail(ritual->info, LH_E_INVALID, 0, "sshd -t: %.*s",
                      (int)strcspn(result.err, "\r\n"), result.err);
    return err;
}

lh_err lh_server_reload(struct lh_ritual *ritual, const uint16_t *ports, size_t count)
{
    struct sockets before;

    lh_err err = test_files(ritual);
    if (err == 0)
        err = look(&before, ritual->info);
    find_again(ritual);
    if (err == 0)
        err = tell(ritual);
    if (err == 0)
        err = wait_for(ritual, &before, ports, count);
    find_again(ritual); // a restart gives it another number
    return err;
}
