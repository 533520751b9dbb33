// SPDX-License-Identifier: Apache-2.0
//
// How it works. SSH_CONNECTION can be set by anybody and is lost in sudo, so the kernel is asked:
// one of the processes above this one is a sshd of root that holds the session's connection. Its
// local port is the port that the person came over. The process must be younger than the opening of
// the port: an old session proves nothing.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/tcptable.h"
#include "sshdapply/tree.h"
#include "sshdritual/ritual_internal.h"

#define STATE_ESTABLISHED 1 // as the kernel numbers states
#define DEPTH_MAX         64
#define TEXT_MAX          ((size_t)16 << 20)

// Parent and start (ns since boot) of a process.
static bool read_stat(pid_t pid, pid_t *out_parent, lh_ns *out_start)
{
    char path[64];
    char *text;
    size_t len;
    int parent;
    unsigned long long ticks;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (lh_root_read("/", path, 65536, &text, &len, NULL) != 0)
        return false;
    const char *after_name = strrchr(text, ')');
    bool good = after_name != NULL &&
                sscanf(after_name + 1,
                       " %*c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                       "%*s %llu",
                       &parent, &ticks) == 2;
    free(text);
    if (!good)
        return false;
    *out_parent = parent;
    *out_start = ticks * (LH_SECOND / (lh_ns)sysconf(_SC_CLK_TCK));
    return true;
}

static bool is_root_sshd(pid_t pid)
{
    char path[64], program[1024];
    struct stat facts;

    (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &facts) != 0 || facts.st_uid != 0)
        return false;
    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t len = readlink(path, program, sizeof program - 1);
    if (len <= 0)
        return false;
    program[len] = '\0';
    program[strcspn(program, " ")] = '\0'; // "... (deleted)" after an update
    const char *name = strrchr(program, '/');
    return name != NULL && (strcmp(name, "/sshd") == 0 || strcmp(name, "/sshd-session") == 0);
}

struct connection {
    unsigned local_port;
    bool loopback;
};

// The established connection with this inode in one of the kernel's tables.
static bool
find_connection(pid_t pid, const char *table, unsigned long long inode, struct connection *out)
{
    char path[64];
    char *text;
    size_t len;
    bool found = false;

    (void)snprintf(path, sizeof path, "/proc/%d/net/%s", (int)pid, table);
    if (lh_root_read("/", path, TEXT_MAX, &text, &len, NULL) != 0)
        return false;
    for (const char *line = text; *line != '\0' && !found;) {
        size_t part = strcspn(line, "\n");
        struct lh_tcp_row row;
        if (lh_tcp_row_parse(line, part, &row) && row.inode == inode &&
            row.state == STATE_ESTABLISHED) {
            *out = (struct connection){.local_port = row.local_port,
                                       .loopback = lh_tcp_loopback(row.peer)};
            found = true;
        }
        line += part + (line[part] == '\n');
    }
    free(text);
    return found;
}

// The connection that a sshd holds.
static bool connection_of(pid_t pid, struct connection *out)
{
    char path[64], link[400], target[64];
    struct dirent *entry;
    bool found = false;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
        unsigned long long inode;
        (void)snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
        ssize_t len = readlink(link, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        if (sscanf(target, "socket:[%llu]", &inode) == 1)
            found =
                find_connection(pid, "tcp", inode, out) || find_connection(pid, "tcp6", inode, out);
    }
    if (folder != NULL)
        (void)closedir(folder);
    return found;
}

bool lh_session_is_new(const struct lh_ritual *ritual, bool *out_loopback, char why[200])
{
    const struct lh_record *record = ritual->record;
    lh_ns tick = LH_SECOND / (lh_ns)sysconf(_SC_CLK_TCK);
    struct connection connection;
    pid_t pid = getpid(), parent;
    lh_ns start;

    for (unsigned depth = 0; depth < DEPTH_MAX && read_stat(pid, &parent, &start); depth++) {
        if (is_root_sshd(pid) && connection_of(pid, &connection)) {
            *out_loopback = connection.loopback;
            if (LH_GUARD(CONFIRM_PORT, connection.local_port != record->port)) {
                (void)snprintf(why, 200, "this session came over port %u, not over port %u",
                               connection.local_port, record->port);
                return false;
            }
            if (LH_GUARD(CONFIRM_FRESH, start + tick < record->opened)) {
                (void)snprintf(why, 200, "this session is older than the opening of port %u",
                               record->port);
                return false;
            }
            return true;
        }
        pid = parent;
        if (pid <= 1)
            break;
    }
    (void)snprintf(why, 200,
                   "this command does not run in a session of SSH (inside of tmux or "
                   "screen that cannot be seen)");
    return false;
}
