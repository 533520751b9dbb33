// SPDX-License-Identifier: Apache-2.0
//
// How it works. One object per session holds the child, the private folder, the askpass socket and
// the command line, which is built once: a restart for the next family of host keys changes one
// option.
//
// Pinned hosts. A server shows one key per connection, of the first family of our offer that it
// has. Where that is not an expected one, ssh ends before authentication and lh-known-hosts has
// noted what it saw. Then the next connection offers only the families behind it. Three families,
// three connections at most; each ends before a user name crosses the wire.
//
// Messages are kept in two halves: the beginning (where the reason mostly is) and a sliding end.
#include "ssh/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "ssh/helper.h"
#include "ssh/ssh_internal.h"

#define MESSAGES_HALF      (LH_SSH_MESSAGES_MAX / 2)
#define SSH_WITH_PINS      805 // KnownHostsCommand
#define SSH_WITH_ASKPASS   804 // SSH_ASKPASS_REQUIRE
#define PIPE_BYTES         262144
#define PATIENCE_AFTER_EOF 2000 // milliseconds for ssh to end once its output has

struct lh_ssh {
    struct lh_child child;
    struct lh_ssh_args args;
    struct lh_ssh_dir dir;
    struct lh_askpass askpass;
    char host[256];
    uint16_t port;
    struct lh_pin pins[LH_PINS_MAX];
    size_t pin_count;
    unsigned connections; // made so far
    size_t seen_before;   // keys noted by earlier connections
    bool was_reached;     // before, by whoever starts us
    bool retry_helps;
    bool messages_ended;
    size_t messages_len; // kept in `messages`
    char messages[LH_SSH_MESSAGES_MAX + 1];
    char chunk[4096]; // what lh_ssh_messages_ready hands out
};

static lh_err
need_version(const char *program, unsigned least, const char *why, struct lh_errinfo *info)
{
    unsigned version;
    lh_err err = lh_ssh_version(program, &version);

    if (err == LH_NONE)
        return lh_fail(info, LH_E_INVALID, 12,
                       "cannot find OpenSSH's ssh on this machine: install openssh-client");
    if (err != 0)
        return err;
    if (LH_GUARD(SSH_VERSION, version < least))
        return lh_fail(info, LH_E_INVALID, 12,
                       "ssh on this machine is OpenSSH %u.%u; %s needs %u.%u or newer",
                       version / 100, version % 100, why, least / 100, least % 100);
    return 0;
}

// Our environment, and what makes ssh ask us. `*out_envp` is one allocation; its strings are not
// copies but `extra`'s and ours.
static lh_err make_environment(const char *const *extra, size_t extra_count, char ***out_envp)
{
    size_t count = 0, used = 0;
    char **envp;

    while (environ[count] != NULL)
        count++;
    envp = calloc(count + extra_count + 1, sizeof *envp);
    if (envp == NULL)
        return LH_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        bool is_replaced = false;
        for (size_t j = 0; j < extra_count; j++)
            is_replaced |= strncmp(environ[i], extra[j], strcspn(extra[j], "=") + 1) == 0;
        if (!is_replaced)
            envp[used++] = environ[i];
    }
    for (size_t j = 0; j < extra_count; j++)
        envp[used++] = (char *)(uintptr_t)extra[j]; // execve does not write to them
    *out_envp = envp;
    return 0;
}

// Starts ssh with the command line of the moment.
static lh_err connect_once(struct lh_ssh *ssh, struct lh_errinfo *info)
{
    char askpass[LH_SSH_DIR_MAX + 64];
    const char *extra[3] = {askpass, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=longhaul:0"};
    // DISPLAY is only there for ssh to consider asking us; without a display of their own, people
    // keep it.
    size_t extra_count = ssh->askpass.fd < 0 ? 0 : getenv("DISPLAY") != NULL ? 2 : 3;
    char **envp = NULL;
    lh_err err;

    (void)snprintf(askpass, sizeof askpass, "SSH_ASKPASS=%s/%s", ssh->dir.path, LH_HELPER_ASKPASS);
    err = make_environment(extra, extra_count, &envp);
    if (err != 0)
        return lh_fail(info, err, 12, "out of memory");
    ssh->messages_len = 0;
    ssh->messages_ended = false;
    ssh->connections++;
    err = lh_child_start(ssh->args.argv, envp, &ssh->child, info);
    free(envp);
    if (err == 0) {
        // Fewer wake-ups per byte; a kernel that refuses leaves 64 KiB.
        (void)fcntl(ssh->child.input, F_SETPIPE_SZ, PIPE_BYTES);
        (void)fcntl(ssh->child.output, F_SETPIPE_SZ, PIPE_BYTES);
    }
    return err;
}

// Whether ssh could put a question to a person. Without one it would offer the server empty
// passwords, which count as failed logins (threat T8).
static bool can_ask(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0 || (getenv("SSH_ASKPASS") != NULL && getenv("DISPLAY") != NULL);
}

static lh_err
prepare(struct lh_ssh *ssh, const struct lh_ssh_options *options, struct lh_errinfo *info)
{
    bool needs_dir = options->pin_count > 0 || options->password != NULL;
    struct lh_ssh_options checked = *options;
    lh_err err = 0;

    checked.batch = options->batch || !can_ask();

    if (options->version_is_known)
        err = 0;
    else if (options->pin_count > 0)
        err = need_version(options->program, SSH_WITH_PINS, "--check-sshfp", info);
    else if (options->password != NULL)
        err = need_version(options->program, SSH_WITH_ASKPASS, "ASPERA_SCP_PASS", info);
    if (err == 0 && needs_dir)
        err = lh_ssh_dir_make(&ssh->dir, info);
    if (err == 0 && options->password != NULL)
        err = lh_askpass_open(&ssh->askpass, ssh->dir.path, options->password,
                              options->identity_count > 0, info);
    if (err == 0)
        err = lh_ssh_args_build(&checked, needs_dir ? ssh->dir.path : NULL, &ssh->args, info);
    return err;
}

lh_err
lh_ssh_start(const struct lh_ssh_options *options, struct lh_ssh **out_ssh, struct lh_errinfo *info)
{
    lh_err err = lh_ssh_names_check(options->host, options->user, info);
    struct lh_ssh *ssh;

    if (err != 0)
        return err;
    if (strlen(options->host) >= sizeof ssh->host || options->pin_count > LH_PINS_MAX)
        return lh_fail(info, LH_E_LIMIT, 8,
                       "the host name or the list of fingerprints is too long");
    ssh = calloc(1, sizeof *ssh);
    if (ssh == NULL)
        return lh_fail(info, LH_E_NOMEM, 12, "out of memory");
    ssh->child = LH_CHILD_NONE;
    ssh->askpass.fd = -1;
    ssh->port = options->port;
    ssh->was_reached = options->was_reached;
    memcpy(ssh->host, options->host, strlen(options->host) + 1);
    ssh->pin_count = options->pin_count;
    for (size_t i = 0; i < options->pin_count; i++)
        ssh->pins[i] = options->pins[i];

    err = prepare(ssh, options, info);
    if (err == 0)
        err = connect_once(ssh, info);
    if (err != 0 && info != NULL && info->sys_errno == ENOENT)
        (void)snprintf(info->text, sizeof info->text,
                       "there is no ssh on this machine: install openssh-client");
    if (err != 0) {
        lh_ssh_close(ssh, 0);
        return err;
    }
    *out_ssh = ssh;
    return 0;
}

void lh_ssh_close(struct lh_ssh *ssh, unsigned patience_ms)
{
    if (ssh == NULL)
        return;
    lh_child_end(&ssh->child, patience_ms);
    lh_askpass_close(&ssh->askpass);
    lh_ssh_dir_remove(&ssh->dir);
    free(ssh);
}

void lh_ssh_stop(struct lh_ssh *ssh, bool hard)
{
    lh_child_close_fd(&ssh->child.input);
    lh_child_close_fd(&ssh->child.output);
    if (ssh->child.pid != 0 && !lh_child_wait(&ssh->child, 0))
        (void)kill(ssh->child.pid, hard ? SIGKILL : SIGTERM);
}

bool lh_ssh_has_ended(struct lh_ssh *ssh)
{
    return ssh->child.pid == 0 || lh_child_wait(&ssh->child, 0);
}

int lh_ssh_input_fd(const struct lh_ssh *ssh)
{
    return ssh->child.input;
}

int lh_ssh_output_fd(const struct lh_ssh *ssh)
{
    return ssh->child.output;
}

int lh_ssh_messages_fd(const struct lh_ssh *ssh)
{
    return ssh->messages_ended ? -1 : ssh->child.messages;
}

int lh_ssh_askpass_fd(const struct lh_ssh *ssh)
{
    return ssh->askpass.fd;
}

void lh_ssh_end_input(struct lh_ssh *ssh)
{
    lh_child_close_fd(&ssh->child.input);
}

void lh_ssh_login_done(struct lh_ssh *ssh)
{
    lh_askpass_close(&ssh->askpass);
    // ssh asks for the key once only: at later key exchanges it compares with the one it accepted.
    // So a transfer that is killed leaves no folder behind.
    lh_ssh_dir_remove(&ssh->dir);
}

bool lh_ssh_retry_helps(const struct lh_ssh *ssh)
{
    return ssh->retry_helps;
}

static void keep_message(struct lh_ssh *ssh, const char *text, size_t len)
{
    size_t part = LH_MIN(len, LH_SSH_MESSAGES_MAX - ssh->messages_len);

    memcpy(ssh->messages + ssh->messages_len, text, part);
    ssh->messages_len += part;
    text += part;
    len -= part;
    while (len > 0) { // full: the second half slides
        part = LH_MIN(len, (size_t)MESSAGES_HALF);
        memmove(ssh->messages + MESSAGES_HALF, ssh->messages + MESSAGES_HALF + part,
                MESSAGES_HALF - part);
        memcpy(ssh->messages + LH_SSH_MESSAGES_MAX - part, text, part);
        text += part;
        len -= part;
    }
}

lh_err lh_ssh_messages_ready(struct lh_ssh *ssh, const char **out_text, size_t *out_len)
{
    ssize_t got;

    *out_text = ssh->chunk;
    *out_len = 0;
    if (ssh->messages_ended)
        return LH_EOF;
    got = read(ssh->child.messages, ssh->chunk, sizeof ssh->chunk);
    if (got > 0) {
        // NUL bytes would hide the rest from the search for ssh's reasons.
        for (ssize_t i = 0; i < got; i++)
            if (ssh->chunk[i] == '\0')
                ssh->chunk[i] = ' ';
        *out_len = (size_t)got;
        keep_message(ssh, ssh->chunk, (size_t)got);
        return 0;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    ssh->messages_ended = true; // closed with the rest: a poll set may still hold it
    return LH_EOF;
}

void lh_ssh_askpass_ready(struct lh_ssh *ssh)
{
    if (ssh->askpass.fd >= 0)
        lh_askpass_serve(&ssh->askpass, ssh->child.pid);
}

// Ends the child and reads its last words. A background process of ssh may hold the pipe open, so
// its end is not waited for.
static void bury(struct lh_ssh *ssh)
{
    const char *text;
    size_t len;

    lh_child_close_fd(&ssh->child.input);
    lh_child_close_fd(&ssh->child.output);
    (void)lh_child_wait(&ssh->child, PATIENCE_AFTER_EOF);
    do {
        if (lh_ssh_messages_ready(ssh, &text, &len) == LH_EOF)
            break;
    } while (len > 0);
    lh_child_end(&ssh->child, 0);
    ssh->messages[ssh->messages_len] = '\0';
}

static lh_err explain(struct lh_ssh *ssh, bool was_established, struct lh_errinfo *info)
{
    const struct lh_ssh_end end = {
        .host = ssh->host,
        .port = ssh->port,
        .status = ssh->child.status,
        .was_established = was_established,
        .was_reached = ssh->was_reached,
        .messages = ssh->messages,
    };
    return lh_ssh_explain(&end, &ssh->retry_helps, info);
}

lh_err lh_ssh_again(struct lh_ssh *ssh, struct lh_errinfo *info)
{
    struct lh_seen_key keys[LH_SEEN_MAX];
    enum lh_key_family next;
    size_t count;

    bury(ssh);
    if (ssh->pin_count == 0)
        return explain(ssh, false, info);
    count = ssh->dir.path[0] != '\0' ? lh_seen_read(ssh->dir.path, keys) : 0;
    if (count == 0 || keys[count - 1].is_match)
        return explain(ssh, false, info); // it did not get as far as a key, or further
    if (count > ssh->seen_before) {
        // It showed another key: is there one of a family behind that?
        ssh->seen_before = count;
        next = lh_key_family_of(keys[count - 1].type) + 1;
        if (next < LH_KEY_FAMILY_N_ && ssh->connections < LH_KEY_FAMILY_N_) {
            lh_ssh_args_set_families(&ssh->args, next);
            return connect_once(ssh, info);
        }
    }
    ssh->retry_helps = false;
    return lh_seen_mismatch(ssh->pins, ssh->pin_count, keys, count, info);
}

lh_err lh_ssh_why(struct lh_ssh *ssh, struct lh_errinfo *info)
{
    bury(ssh);
    return explain(ssh, true, info);
}

// --- Questions to ssh without a connection -------------------------------------------------------

lh_err lh_ssh_hostname(const struct lh_ssh_options *options, char *out, size_t room)
{
    static const char key[] = "hostname ";
    LH_CLEANUP(lh_ssh_args_freep) struct lh_ssh_args *args = calloc(1, sizeof *args);
    char answer[16384];
    struct lh_ssh_options plain = *options;
    char *line, *rest = answer;

    plain.pin_count = 0;
    plain.password = NULL;
    plain.batch = false;
    if (args == NULL)
        return LH_E_NOMEM;
    lh_err err = lh_ssh_args_build(&plain, NULL, args, NULL);
    if (err == 0)
        err = lh_ssh_args_only_ask(args, "-G");
    if (err == 0)
        err = lh_child_capture(args->argv, answer, sizeof answer);
    if (err != 0)
        return LH_NONE; // a missing ssh shows when it is to connect
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        line += strlen(key);
        if (strlen(line) >= room || line[0] == '\0')
            return LH_NONE;
        memcpy(out, line, strlen(line) + 1);
        return 0;
    }
    return LH_NONE;
}

lh_err lh_ssh_version(const char *program, unsigned *out_version)
{
    char *const argv[] = {(char *)(uintptr_t)(program != NULL ? program : "ssh"),
                          (char *)(uintptr_t) "-V", NULL};
    char answer[512];
    unsigned major, minor;

    if (lh_child_capture(argv, answer, sizeof answer) != 0)
        return LH_NONE;
    if (sscanf(answer, "OpenSSH_%3u.%2u", &major, &minor) != 2 || minor > 99)
        return LH_NONE;
    *out_version = major * 100 + minor;
    return 0;
}
