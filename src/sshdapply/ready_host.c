// SPDX-License-Identifier: Apache-2.0
//
// How it works. What must hold before a plan is carried out, as far as it is about the machine: the
// installed sshd gives everybody who matters the values planned, on a copy of the new files; a sshd
// runs that can be told to read them; the port is free for it, reserved for servers, and SELinux
// lets it be opened; the files can be written.
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/copies.h"
#include "sshdapply/plan.h"
#include "sshdapply/tree.h"
#include "sshdcfg/plan.h"

// --- Values ---

static void check_subject(struct lh_check *check,
                          const struct lh_check_intent *intent,
                          const char *config,
                          size_t index)
{
    LH_CLEANUP(lh_sshd_effective_fini) struct lh_sshd_effective ideal = {0};
    LH_CLEANUP(lh_sshd_values_fini) struct lh_sshd_values theirs = {0};
    const struct lh_sshd_persona *persona = &check->subjects[index].persona;
    struct lh_sshd_input input = {.file = intent->ideal};
    struct lh_errinfo info = {0};
    const char *keyword = "";
    char is[512];

    check->err = lh_sshd_evaluate(&input, &check->judge.target, &lh_sshd_machine, persona, &ideal);
    lh_err err = check->err;
    if (err == 0)
        err = lh_sshd_judge_ask(&check->judge, config, check->process.arguments, persona, &theirs,
                                &info);
    if (check->err != 0 ||
        (err == 0 && lh_sshd_plan_holds(intent->settings, &ideal.values, &theirs, &keyword)))
        return;
    if (err == 0)
        (void)snprintf(is, sizeof is, "by sshd -T, %s would not be as planned for %.64s", keyword,
                       persona->name);
    else
        (void)snprintf(is, sizeof is, "sshd does not take the new files: %.300s", info.text);
    lh_check_refuse(check, "L6", is, "the planned values in force",
                    "the plan would not take effect", "");
}

static void check_values(struct lh_check *check, const struct lh_check_intent *intent)
{
    struct lh_sshd_copies copies;

    if (!check->judged || lh_sshd_copies_make(&copies, check->doc, NULL) != 0) {
        lh_check_refuse(check, "L6", "the installed sshd could not be asked about the new files",
                        "an installed sshd and a writable /tmp", "nothing is applied unseen", "");
        return;
    }
    LH_CLEANUP(lh_sshd_values_fini) struct lh_sshd_values now = {0};
    struct lh_errinfo info = {0};
    char is[512];
    if (lh_sshd_judge_ask(&check->judge, check->config, check->process.arguments,
                          &check->subjects[0].persona, &now, &info) != 0) {
        (void)snprintf(is, sizeof is, "sshd refuses the files as they are: %.400s", info.text);
        lh_check_refuse(check, "L6", is, "files that sshd takes",
                        "it would not start with them; mend this first", "sshd -t");
    }
    for (size_t i = 0; i < check->subject_count && check->err == 0; i++)
        check_subject(check, intent, copies.main, i);
    lh_sshd_copies_remove(&copies);
}

// --- The process and the port ---

// The sshd that listens on one of the ports that the files open now.
static pid_t find_server(const struct lh_check *check, const struct lh_sshd_plan *plan)
{
    for (size_t i = 0; i < check->listeners.count; i++) {
        const struct lh_listener *one = &check->listeners.items[i];
        // systemd holds the sockets of ssh.socket.
        bool may = strcmp(one->name, "sshd") == 0 ||
                   (strcmp(one->name, "systemd") == 0 && access("/run/systemd/system", F_OK) == 0);
        for (size_t n = 0; may && n < plan->port_count; n++) {
            if (one->port == plan->ports[n])
                return one->pid;
        }
    }
    return 0;
}

static bool is_listener(const struct lh_check *check, pid_t pid)
{
    for (size_t i = 0; i < check->listeners.count; i++) {
        if (check->listeners.items[i].pid == pid &&
            strcmp(check->listeners.items[i].name, "sshd") == 0)
            return true;
    }
    return false;
}

// Whether the files, as they are, open this port over IPv6, or over IPv4.
static bool files_open(const struct lh_sshd_plan *plan, uint16_t port, bool ipv6)
{
    for (size_t i = 0; i < plan->port_count; i++) {
        if (plan->ports[i] == port)
            return ipv6 ? plan->ipv6 : plan->ipv4;
    }
    return false;
}

// Whether the running sshd listens where its files say. Where it does not, it has not read them,
// and what would come back after a rollback is not what is there now.
static void check_read(struct lh_check *check, const struct lh_sshd_plan *plan)
{
    char is[200];
    bool found[LH_SSHD_PLAN_PORTS_MAX] = {false}, good = true;

    for (size_t i = 0; i < check->listeners.count; i++) {
        const struct lh_listener *one = &check->listeners.items[i];
        if (one->pid != plan->pid)
            continue;
        good = good && files_open(plan, one->port, one->ipv6);
        for (size_t n = 0; n < plan->port_count; n++)
            found[n] = found[n] || plan->ports[n] == one->port;
    }
    for (size_t n = 0; n < plan->port_count; n++)
        good = good && found[n];
    (void)snprintf(is, sizeof is, "sshd (process %d) does not listen where its files say",
                   (int)plan->pid);
    if (!good)
        lh_check_refuse(
            check, "L5", is, "a sshd that has read these files",
            "they were changed and not read since: what works now could not be brought back",
            "sshd -t && systemctl reload ssh, or: kill -HUP PID");
}

// Whether a file has changed since the running sshd read it, as far as that can be seen.
static void check_unread(struct lh_check *check, const struct lh_sshd_plan *plan)
{
    char is[4400], path[4096];

    if (check->process.pid != plan->pid || !lh_check_younger(check, check->doc, path, sizeof path))
        return;
    (void)snprintf(is, sizeof is, "%s was changed after sshd read it", path);
    lh_check_refuse(
        check, "L5", is, "a sshd that has read its files",
        "nothing shows that it goes on with these files: the way back would lead to them",
        "sshd -t && systemctl reload ssh, or: kill -HUP PID; then log in anew");
}

// Whether this machine has an address of ListenAddress ("ADDRESS:PORT").
static bool is_up(const char *text)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(text, ':');
    size_t bracket = *text == '[';
    struct addrinfo *found;
    char address[128];

    if (colon == NULL)
        return true;
    (void)snprintf(address, sizeof address, "%.*s", (int)((size_t)(colon - text) - 2 * bracket),
                   text + bracket);
    if (getaddrinfo(address, "0", &hints, &found) != 0)
        return false;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    if (fd >= 0)
        (void)close(fd);
    freeaddrinfo(found);
    return up;
}

// sshd ends where it can listen on no address at all.
static void check_addresses(struct lh_check *check)
{
    const struct lh_sshd_values *values = lh_check_server(check);
    const struct lh_sshd_value *value;
    size_t count = 0, up = 0;

    for (; (value = lh_sshd_values_find(values, "listenaddress", count)) != NULL; count++)
        up += is_up(value->text);
    if (count > 0 && up == 0)
        lh_check_refuse(check, "L3", "this machine has none of the addresses of ListenAddress",
                        "an address that is up", "sshd would end when it reads its files",
                        "ip address");
}

static bool can_bind(uint16_t port, int family)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int one = 1;

    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; // no such family here
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    int failed = family == AF_INET ? bind(fd, (struct sockaddr *)&four, sizeof four)
                                   : bind(fd, (struct sockaddr *)&six, sizeof six);
    if (failed == 0)
        failed = listen(fd, 1);
    bool taken = failed != 0 && errno == EADDRINUSE;
    (void)close(fd);
    return !taken;
}

static void check_port(struct lh_check *check, const struct lh_check_intent *intent)
{
    uint16_t port = check->options->port;
    char is[200], mend[64];

    for (size_t i = 0; i < check->listeners.count; i++) {
        const struct lh_listener *one = &check->listeners.items[i];
        if (one->port != port)
            continue;
        if (one->pid == intent->plan->pid && one->pid != 0)
            return; // ours already
        (void)snprintf(is, sizeof is, "port %u is held by %s (process %d)", port,
                       *one->name == '\0' ? "another program" : one->name, (int)one->pid);
        (void)snprintf(mend, sizeof mend, "ss -Htlnp sport = %u", port);
        lh_check_refuse(check, "L3", is, "the port free", "sshd could not open it", mend);
        return;
    }
    (void)snprintf(is, sizeof is, "port %u is held by a connection", port);
    (void)snprintf(mend, sizeof mend, "ss -K sport = %u", port);
    if (!can_bind(port, AF_INET) || !can_bind(port, AF_INET6))
        lh_check_refuse(check, "L3", is, "the port free", "sshd could not open it", mend);
}

static void check_reserved(struct lh_check *check)
{
    char path[256], is[128], mend[300];
    uint16_t port = check->options->port;
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "%s/sys/net/ipv4/ip_local_reserved_ports",
                   check->options->proc);
    if (port < 1024 || lh_root_read("/", path, 65536, &text, &len, NULL) != 0)
        return;
    bool reserved = lh_port_list_holds(text, port);
    text[strcspn(text, "\n")] = '\0';
    (void)snprintf(is, sizeof is, "port %u is not reserved for servers", port);
    (void)snprintf(mend, sizeof mend, "sysctl -w net.ipv4.ip_local_reserved_ports=%.128s%s%u", text,
                   *text == '\0' ? "" : ",", port);
    free(text);
    if (!reserved)
        lh_check_refuse(check, "L4", is,
                        "the port in ip_local_reserved_ports, also in /etc/sysctl.d",
                        "an outgoing connection may hold the port when sshd wants it", mend);
}

static void check_server(struct lh_check *check, const struct lh_check_intent *intent)
{
    struct lh_sshd_plan *plan = intent->plan;

    plan->pid = find_server(check, plan);
    if (intent->options->pid != 0 &&
        LH_GUARD(READY_PID, !is_listener(check, intent->options->pid))) {
        lh_check_refuse(check, "L5", "the process named by --pid is no sshd that listens",
                        "the number of the sshd that listens", "a signal would end another program",
                        "");
        return;
    }
    if (intent->options->pid != 0)
        plan->pid = intent->options->pid;
    if (plan->pid != 0) {
        check_read(check, plan);
        check_unread(check, plan);
    } else {
        lh_check_refuse(check, "L5", "no sshd listens on the ports that the files open now",
                        "a running sshd that has read these files",
                        "there is nothing that could be told to read the new ones",
                        "systemctl start ssh, or: service ssh start");
    }
}

static void check_file_systems(struct lh_check *check, const struct lh_check_intent *intent)
{
    struct statvfs facts;
    char is[1200];

    for (size_t i = 0; i < intent->plan->file_count; i++) {
        const char *path = intent->plan->files[i].path;
        if (!intent->plan->files[i].changed || statvfs(path, &facts) != 0 ||
            (facts.f_flag & ST_RDONLY) == 0)
            continue;
        (void)snprintf(is, sizeof is, "%.1000s lies on a read-only file system", path);
        lh_check_refuse(check, "L7", is, "a file system that can be written",
                        "the file cannot be changed, and could not be put back",
                        "mount -o remount,rw /");
    }
}

// Where SELinux is in force, a port whose label cannot be seen may be one that sshd cannot open.
static void check_selinux(struct lh_check *check)
{
    char path[256];
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "%s/fs/selinux/enforce", check->options->sys);
    if (lh_root_read("/", path, 16, &text, &len, NULL) != 0)
        return;
    bool enforcing = *text == '1';
    free(text);
    for (size_t i = 0; enforcing && i < check->report->count; i++) {
        const struct lh_sshd_finding *finding = &check->report->items[i];
        if (finding->grade != LH_SSHD_GRADE_UNKNOWN || strstr(finding->is, "SELinux") == NULL)
            continue;
        lh_check_refuse(check, "L3", "SELinux is in force and its ports could not be listed",
                        "semanage, and the port labelled ssh_port_t",
                        "sshd might not be able to open it",
                        "semanage port -l; apt-get install policycoreutils-python-utils");
        return;
    }
}

void lh_check_ready_host(struct lh_check *check, const struct lh_check_intent *intent)
{
    check_values(check, intent);
    check_server(check, intent);
    check_addresses(check);
    check_port(check, intent);
    check_reserved(check);
    check_file_systems(check, intent);
    lh_check_network(check);
    check_selinux(check);
}
