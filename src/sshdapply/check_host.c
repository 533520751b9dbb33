// SPDX-License-Identifier: Apache-2.0
//
// How it works. What runs, against what is written: the options of the running sshd are turned into
// lines that win over the files; its age is held against the age of the files; the sockets in the
// kernel are held against the ports that the files give.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/tree.h"

struct lines {
    char text[8192];
    size_t len;
};

static void add_line(struct lines *lines, const char *keyword, const char *value)
{
    int len = snprintf(lines->text + lines->len, sizeof lines->text - lines->len, "%s%s%s\n",
                       keyword, *keyword == '\0' ? "" : " ", value);
    if (len > 0 && lines->len + (size_t)len < sizeof lines->text)
        lines->len += (size_t)len;
}

// One option of sshd's command line as a line; `value` is its argument.
static void add_option(struct lh_check *check, struct lines *lines, char option, const char *value)
{
    switch (option) {
    case 'o':
        add_line(lines, "", value);
        break;
    case 'p':
        add_line(lines, "Port", value);
        check->ports_from_command_line = true;
        break;
    case 'h':
        add_line(lines, "HostKey", value);
        break;
    case 'c':
        add_line(lines, "HostCertificate", value);
        break;
    case 'g':
        add_line(lines, "LoginGraceTime", value);
        break;
    case 'f':
        if (strcmp(check->config, "/etc/ssh/sshd_config") == 0)
            check->config = value;
        break;
    default:
        break;
    }
}

void lh_check_command_line(struct lh_check *check)
{
    static const char with_value[] = "CEbcfghkopu";
    struct lh_sshd_process *process = &check->process;
    struct lines lines = {.len = 0};
    size_t kept = 0; // arguments that sshd -T is to get too, moved to the front

    for (size_t i = 0; check->running && i < process->count; i++) {
        const char *argument = process->arguments[i];
        if (argument[0] != '-' || argument[1] == '\0')
            continue;
        bool wanted = strchr("46ophcg", argument[1]) != NULL;
        bool apart = argument[2] == '\0' && strchr(with_value, argument[1]) != NULL;
        if (argument[1] == '4' || argument[1] == '6')
            add_line(&lines, "AddressFamily", argument[1] == '4' ? "inet" : "inet6");
        if (wanted)
            process->arguments[kept++] = argument;
        if (strchr(with_value, argument[1]) == NULL || (apart && i + 1 == process->count))
            continue;
        const char *value = apart ? process->arguments[++i] : argument + 2;
        if (wanted && apart)
            process->arguments[kept++] = value;
        add_option(check, &lines, argument[1], value);
    }
    process->arguments[kept] = NULL;
    process->count = kept;
    if (lines.len > 0 &&
        lh_sshd_doc_parse("command line of sshd", lines.text, lines.len, &check->command_line) != 0)
        check->command_line = NULL;
}

// --- The process ---

// The process of the PidFile, and when it was written.
static bool read_pid_file(const struct lh_check *check, pid_t *out_pid, struct timespec *out_when)
{
    const char *path = lh_sshd_values_text(lh_check_server(check), "pidfile");
    struct stat facts;
    char *text;
    size_t len;

    if (*path != '/')
        path = "/run/sshd.pid";
    if (!lh_root_stat("/", path, &facts) || lh_root_read("/", path, 64, &text, &len, NULL) != 0)
        return false;
    *out_pid = (pid_t)strtol(text, NULL, 10);
    *out_when = facts.st_mtim;
    free(text);
    return true;
}

struct timespec lh_check_last_read(const struct lh_check *check)
{
    struct timespec when;
    pid_t pid;

    // sshd writes the file at its start and whenever it is told to read its files again.
    if (read_pid_file(check, &pid, &when) && pid == check->process.pid)
        return when;
    return (struct timespec){.tv_sec = (time_t)check->process.started + 1, .tv_nsec = 999999999};
}

bool lh_check_younger(const struct lh_check *check,
                      const struct lh_sshd_doc *doc,
                      char *out,
                      size_t room)
{
    struct timespec read = lh_check_last_read(check);
    const struct lh_sshd_doc *docs[1024] = {doc};
    size_t count = 1;
    struct stat facts;

    for (size_t done = 0; done < count; done++) {
        for (size_t i = 0; i < docs[done]->count; i++) {
            const struct lh_sshd_line *line = &docs[done]->lines[i];
            for (size_t n = 0; n < line->include_count && count < LH_ARRAY_LEN(docs); n++)
                docs[count++] = line->includes[n];
        }
        if (lh_root_stat("/", docs[done]->path, &facts) &&
            (facts.st_mtim.tv_sec > read.tv_sec ||
             (facts.st_mtim.tv_sec == read.tv_sec && facts.st_mtim.tv_nsec > read.tv_nsec))) {
            (void)snprintf(out, room, "%s", docs[done]->path);
            return true;
        }
    }
    return false;
}

static void check_process(struct lh_check *check)
{
    char is[4300], path[4096];

    if (check->process.program_replaced)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_MEDIUM,
                                .rule = "R4",
                                .is = "the running sshd is older than the program on disk",
                                .want = "a restart after an update",
                                .why = "the faults that the update mends are still there",
                                .mend = "systemctl restart ssh",
                            });
    if (check->process.started == 0 || !lh_check_younger(check, check->doc, path, sizeof path))
        return;
    (void)snprintf(is, sizeof is, "%s was changed after sshd read it", path);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = LH_SSHD_GRADE_LOW,
                            .rule = "R4",
                            .is = is,
                            .want = "a reload after a change, if there was none",
                            .why = "what is judged here may not be what runs; the next restart may "
                                   "be the first time that it is read",
                            .mend = "sshd -t && systemctl reload ssh",
                        });
}

// --- Ports ---

static bool listens_on(const struct lh_check *check, unsigned port, const char **out_name)
{
    for (size_t i = 0; i < check->listeners.count; i++) {
        if (check->listeners.items[i].port == port && !check->listeners.items[i].loopback_only) {
            *out_name = check->listeners.items[i].name;
            return true;
        }
    }
    return false;
}

// Whether the files open this port.
static bool files_open(const struct lh_check *check, unsigned port)
{
    const struct lh_sshd_value *value;

    for (size_t i = 0;
         (value = lh_sshd_values_find(lh_check_server(check), "listenaddress", i)) != NULL; i++) {
        const char *colon = strrchr(value->text, ':');
        if (colon != NULL && strtoul(colon + 1, NULL, 10) == port)
            return true;
    }
    return false;
}

static void check_written_ports(struct lh_check *check)
{
    unsigned port = check->options->port;
    char is[96], want[96], value_text[16], mend[4400], where[4200];
    const struct lh_sshd_value *value = lh_sshd_values_find(lh_check_server(check), "port", 0);

    (void)snprintf(want, sizeof want, "Port %u", port);
    (void)snprintf(is, sizeof is, "the files open TCP port %u", port);
    lh_sshd_where(&check->rule_input, value, where, sizeof where);
    if (files_open(check, port)) {
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_OK, .rule = "P1", .is = is, .where = where});
    } else {
        (void)snprintf(is, sizeof is, "the files do not open TCP port %u", port);
        (void)snprintf(value_text, sizeof value_text, "%u", port);
        lh_sshd_mend_value(&check->rule_input, NULL, "Port", value_text, mend, sizeof mend);
        lh_check_add(
            check, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_MEDIUM,
                                            .rule = "P1",
                                            .is = is,
                                            .want = want,
                                            .why = "clients of transfer servers come to this port",
                                            .where = where,
                                            .mend = mend});
    }
    if (port != 22 && files_open(check, 22))
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_LOW,
                                .rule = "P1",
                                .is = "the files open TCP port 22",
                                .want = "the transfer port alone, once everybody uses it",
                                .why = "most guessing of passwords goes to port 22",
                                .where = where,
                            });
}

static void check_kernel_port(struct lh_check *check, unsigned port)
{
    const char *name = "";
    bool open = listens_on(check, port, &name), written = files_open(check, port);
    char is[160];

    if (open && written && (*name == '\0' || strcmp(name, "sshd") == 0)) {
        (void)snprintf(is, sizeof is, "TCP port %u is open, as the files say", port);
        lh_check_add(check,
                     &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_OK, .rule = "P4", .is = is});
    } else if (open && written) {
        (void)snprintf(is, sizeof is, "TCP port %u is held by %s, not by sshd", port, name);
        bool socket_unit = strcmp(name, "systemd") == 0;
        lh_check_add(check,
                     &(struct lh_sshd_remark){
                         .grade = socket_unit ? LH_SSHD_GRADE_INFO : LH_SSHD_GRADE_MEDIUM,
                         .rule = "P4",
                         .is = is,
                         .want = socket_unit ? "" : "sshd on this port",
                         .why = socket_unit ? "ssh.socket opens it; after a change of ports run "
                                              "systemctl daemon-reload and restart ssh.socket"
                                            : "sshd cannot open a port that another program holds",
                     });
    } else if (open != written && (written || strcmp(name, "sshd") == 0)) {
        (void)snprintf(is, sizeof is, "TCP port %u is %s, and the files say otherwise", port,
                       open ? "open" : "closed");
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_MEDIUM,
                                .rule = "P4",
                                .is = is,
                                .want = "what the files say",
                                .why = "sshd does not run, or has not read them yet",
                                .mend = "sshd -t && systemctl reload-or-restart ssh",
                            });
    }
}

void lh_check_kernel(struct lh_check *check)
{
    check_written_ports(check);
    if (!check->live)
        return;
    if (!check->listeners_seen) {
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_UNKNOWN,
                                .rule = "P4",
                                .is = "the kernel's listening sockets could not be read",
                                .why = "whether sshd listens is not known"});
        return;
    }
    if (!check->running)
        lh_check_add(
            check,
            &(struct lh_sshd_remark){
                .grade = check->listeners.owners_seen ? LH_SSHD_GRADE_INFO : LH_SSHD_GRADE_UNKNOWN,
                .rule = "R4",
                .is = check->listeners.owners_seen ? "no sshd listens"
                                                   : "which process is sshd could not be found out",
                .why = "options on its command line win over the files; run as "
                       "root to see them"});
    check_kernel_port(check, check->options->port);
    if (check->options->port != 22)
        check_kernel_port(check, 22);
    if (check->running)
        check_process(check);
    if (check->command_line != NULL)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_INFO,
                                .rule = "C8",
                                .is = "sshd was started with options that win over the files",
                                .why = "they are counted here; see the unit, /etc/default/ssh or "
                                       "/etc/sysconfig/sshd"});
}
