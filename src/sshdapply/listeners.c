// SPDX-License-Identifier: Apache-2.0
//
// How it works. /proc/net/tcp and tcp6 give the listening sockets with their inodes; the links in
// /proc/PID/fd give the inodes that each process holds. sshd writes its title over its arguments
// ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"), so those are taken from the title.
#include "sshdapply/listeners.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tcptable.h"
#include "sshdapply/tree.h"

#define FILE_MAX ((size_t)64 << 20)

void lh_listeners_fini(struct lh_listeners *listeners)
{
    free(listeners->items);
    *listeners = (struct lh_listeners){0};
}

// False where the line is not that of a listening socket.
static bool read_socket(const char *line, size_t len, struct lh_listener *out)
{
    struct lh_tcp_row row;

    if (!lh_tcp_row_parse(line, len, &row) || row.state != LH_TCP_STATE_LISTEN)
        return false;
    *out = (struct lh_listener){
        .port = row.local_port,
        .ipv6 = row.ipv6,
        .inode = row.inode,
        .loopback_only = lh_tcp_loopback(row.local),
    };
    return true;
}

static lh_err add_sockets(const char *proc, const char *name, struct lh_listeners *listeners)
{
    char path[256];
    char *text;
    size_t len;
    lh_err err = 0;

    (void)snprintf(path, sizeof path, "%s/net/%s", proc, name);
    if (lh_root_read("/", path, FILE_MAX, &text, &len, NULL) != 0)
        return LH_NONE;
    for (const char *line = text; err == 0 && *line != '\0';) {
        struct lh_listener socket;
        size_t part = strcspn(line, "\n");
        if (read_socket(line, part, &socket)) {
            struct lh_listener *items =
                realloc(listeners->items, (listeners->count + 1) * sizeof *items);
            if (items == NULL) {
                err = LH_E_NOMEM;
                break;
            }
            listeners->items = items;
            items[listeners->count++] = socket;
        }
        line += part + (line[part] == '\n');
    }
    free(text);
    return err;
}

static void read_name(const char *proc, pid_t pid, char *out, size_t room)
{
    char path[256];
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "%s/%d/comm", proc, (int)pid);
    out[0] = '\0';
    if (lh_root_read("/", path, 4096, &text, &len, NULL) != 0)
        return;
    (void)snprintf(out, room, "%.*s", (int)strcspn(text, "\n"), text);
    free(text);
}

// Notes `pid` as the owner of every listening socket among its descriptors.
static void add_owner(const char *proc, pid_t pid, struct lh_listeners *listeners)
{
    char path[256], link[600], target[64];
    struct dirent *entry;

    (void)snprintf(path, sizeof path, "%s/%d/fd", proc, (int)pid);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        listeners->owners_seen = false;
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        unsigned long long inode;
        (void)snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
        ssize_t got = readlink(link, target, sizeof target - 1);
        if (got <= 0)
            continue;
        target[got] = '\0';
        if (sscanf(target, "socket:[%llu]", &inode) != 1)
            continue;
        for (size_t i = 0; i < listeners->count; i++) {
            struct lh_listener *one = &listeners->items[i];
            // systemd keeps the sockets of ssh.socket open too: sshd, the later process, wins.
            if (one->inode == inode && pid > one->pid) {
                one->pid = pid;
                read_name(proc, pid, one->name, sizeof one->name);
            }
        }
    }
    (void)closedir(folder);
}

lh_err
lh_listeners_read(const char *proc, struct lh_listeners *out_listeners, struct lh_errinfo *info)
{
    struct lh_listeners listeners = {.owners_seen = true};
    struct dirent *entry;

    lh_err four = add_sockets(proc, "tcp", &listeners);
    lh_err six = four < 0 ? four : add_sockets(proc, "tcp6", &listeners);
    DIR *folder = opendir(proc);
    if (six < 0 || (four == LH_NONE && six == LH_NONE) || folder == NULL) {
        lh_listeners_fini(&listeners);
        if (folder != NULL)
            (void)closedir(folder);
        return six < 0 ? six : lh_fail(info, LH_E_SYS, 0, "%s shows no TCP sockets", proc);
    }
    while ((entry = readdir(folder)) != NULL) {
        if (isdigit((unsigned char)*entry->d_name))
            add_owner(proc, (pid_t)strtol(entry->d_name, NULL, 10), &listeners);
    }
    (void)closedir(folder);
    *out_listeners = listeners;
    return 0;
}

// --- Processes ---

pid_t lh_process_find(const char *proc, const char *name)
{
    DIR *folder = opendir(proc);
    struct dirent *entry;
    char own[32];
    pid_t found = 0;

    if (folder == NULL)
        return 0;
    while ((entry = readdir(folder)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 0 || (found != 0 && pid > found))
            continue;
        read_name(proc, pid, own, sizeof own);
        if (strcmp(own, name) == 0)
            found = pid;
    }
    (void)closedir(folder);
    return found;
}

// Splits the title or the arguments into `process->arguments`.
static void read_arguments(const char *proc, struct lh_sshd_process *process)
{
    char path[256];
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "%s/%d/cmdline", proc, (int)process->pid);
    if (lh_root_read("/", path, FILE_MAX, &text, &len, NULL) != 0)
        return;
    bool title = strncmp(text, "sshd: ", 6) == 0;
    size_t skip = title ? 6 : 0, used = len - skip;
    if (used >= sizeof process->text)
        used = sizeof process->text - 1;
    memcpy(process->text, text + skip, used);
    free(text);
    if (title) {
        char *end = strstr(process->text, " [listener]");
        if (end != NULL)
            used = (size_t)(end - process->text);
        for (size_t i = 0; i < used; i++)
            process->text[i] = process->text[i] == ' ' ? '\0' : process->text[i];
    }
    process->text[used] = '\0';
    bool first = true;
    for (size_t at = 0; at < used && process->count < LH_SSHD_ARGUMENTS_MAX;
         at += strlen(process->text + at) + 1) {
        if (!first && process->text[at] != '\0')
            process->arguments[process->count++] = process->text + at;
        first = false;
    }
}

// The kernel's boot time, and the process's ticks since then.
int64_t lh_process_started(const char *proc, pid_t pid)
{
    char path[256];
    char *text;
    size_t len;
    unsigned long long ticks = 0, boot = 0;

    (void)snprintf(path, sizeof path, "%s/%d/stat", proc, (int)pid);
    if (lh_root_read("/", path, FILE_MAX, &text, &len, NULL) != 0)
        return 0;
    const char *after_name = strrchr(text, ')');
    bool good = after_name != NULL &&
                sscanf(after_name + 1,
                       " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                       "%*s %llu",
                       &ticks) == 1;
    free(text);
    (void)snprintf(path, sizeof path, "%s/stat", proc);
    if (!good || lh_root_read("/", path, FILE_MAX, &text, &len, NULL) != 0)
        return 0;
    const char *line = strstr(text, "btime ");
    good = line != NULL && sscanf(line, "btime %llu", &boot) == 1;
    free(text);
    return good ? (int64_t)(boot + ticks / (unsigned long long)sysconf(_SC_CLK_TCK)) : 0;
}

lh_err lh_sshd_process_find(const char *proc,
                            const struct lh_listeners *listeners,
                            struct lh_sshd_process *out_process)
{
    char path[256], target[512];
    pid_t pid = 0;

    for (size_t i = 0; i < listeners->count && pid == 0; i++) {
        if (strcmp(listeners->items[i].name, "sshd") == 0)
            pid = listeners->items[i].pid;
    }
    if (pid == 0)
        return LH_NONE;
    *out_process = (struct lh_sshd_process){.pid = pid, .started = lh_process_started(proc, pid)};
    (void)snprintf(path, sizeof path, "%s/%d/exe", proc, (int)pid);
    ssize_t got = readlink(path, target, sizeof target - 1);
    target[got > 0 ? got : 0] = '\0';
    out_process->program_replaced = got > 0 && strstr(target, " (deleted)") != NULL;
    read_arguments(proc, out_process);
    return 0;
}
