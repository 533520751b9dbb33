// SPDX-License-Identifier: Apache-2.0
//
// How it works. What stands between a client and the port: the kernel giving the port to somebody
// else, now or after the next boot, SELinux, the firewall. Below a root only files are asked. The
// firewall is asked through its own front end where it has one (ufw, firewalld); a bare nftables
// set is only searched for the port, which is a hint and is said to be one. Load balancers and
// clouds are not seen.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/tree.h"

#define SMALL_MAX ((size_t)4 << 20)

// --- The reserved port ---

// Notes in the bool at `context` whether a file of sysctl settings reserves the port.
static void note_reserved(struct lh_check *check, const char *path, void *context)
{
    static const char name[] = "ip_local_reserved_ports";
    bool *reserves = context;
    char *text;
    size_t len;

    if (lh_root_read(check->options->root, path, SMALL_MAX, &text, &len, NULL) != 0)
        return;
    for (char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        char after = line[part];
        line[part] = '\0';
        const char *found = *line == '#' || *line == ';' ? NULL : strstr(line, name);
        if (found != NULL &&
            lh_port_list_holds(found + sizeof name - 1, (uint16_t)check->options->port))
            *reserves = true;
        line += part + (after == '\n');
    }
    free(text);
}

// Whether the port is reserved after the next boot too.
static bool files_reserve(struct lh_check *check)
{
    static const char *const folders[] = {"/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d"};
    bool reserve = false;

    note_reserved(check, "/etc/sysctl.conf", &reserve);
    for (size_t i = 0; i < LH_ARRAY_LEN(folders); i++)
        lh_check_each_conf(check, folders[i], note_reserved, &reserve);
    return reserve;
}

// What the kernel holds now: its list, without the newline, the caller's; NULL where it cannot be
// read.
static char *kernel_list(const struct lh_check *check)
{
    char path[256];
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "%s/sys/net/ipv4/ip_local_reserved_ports",
                   check->options->proc);
    if (lh_root_read("/", path, 65536, &text, &len, NULL) != 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void check_reserved(struct lh_check *check)
{
    unsigned port = check->options->port;
    bool lasting = files_reserve(check);
    char *list = check->live ? kernel_list(check) : NULL;
    bool now = list == NULL ? lasting : lh_port_list_holds(list, (uint16_t)port);
    char is[160], ports[256], mend[1000];

    if (check->live && list == NULL)
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_UNKNOWN,
                                .rule = "P2",
                                .is = "the kernel's list of reserved ports could not be read"});
    (void)snprintf(is, sizeof is, "port %u is %sreserved for servers (TCP and UDP)%s", port,
                   now ? "" : "not ", now && !lasting ? ", but only until the next boot" : "");
    bool kept = list != NULL && *list != '\0'; // what others reserved stays so
    if (kept && now)
        (void)snprintf(ports, sizeof ports, "%.200s", list);
    else
        (void)snprintf(ports, sizeof ports, "%.200s%s%u", kept ? list : "", kept ? "," : "", port);
    (void)snprintf(mend, sizeof mend,
                   "%s%.200s%secho 'net.ipv4.ip_local_reserved_ports = %s' > "
                   "%.200s/etc/sysctl.d/60-ssh-port.conf%s",
                   check->live ? "" : "mkdir -p ", check->rule_input.prefix,
                   check->live ? "" : "/etc/sysctl.d && ", ports, check->rule_input.prefix,
                   check->live ? " && sysctl --system" : "");
    free(list);
    bool good = now && lasting;
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = good ? LH_SSHD_GRADE_OK : LH_SSHD_GRADE_LOW,
                            .rule = "P2",
                            .is = is,
                            .want = good ? "" : "the port in ip_local_reserved_ports",
                            .why = "an outgoing connection may hold the port when sshd or a "
                                   "transfer wants it",
                            .mend = good ? "" : mend,
                        });
}

// --- SELinux ---

// Whether a line of `semanage port -l` or of the local policy lets sshd have the port.
static bool label_holds(const char *text, unsigned port)
{
    for (const char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        char copy[1024];
        (void)snprintf(copy, sizeof copy, "%.*s", (int)part, line);
        const char *tcp = strstr(copy, "tcp");
        if (strstr(copy, "ssh_port_t") != NULL && tcp != NULL &&
            lh_port_list_holds(tcp, (uint16_t)port))
            return true;
        line += part + (line[part] == '\n');
    }
    return false;
}

// Ports that were added to the policy by hand, from its file.
static char *local_labels(const struct lh_check *check)
{
    static const char *const paths[] = {"/var/lib/selinux/targeted/active/ports.local",
                                        "/var/lib/selinux/default/active/ports.local",
                                        "/var/lib/selinux/mls/active/ports.local"};
    char *text;
    size_t len;

    for (size_t i = 0; i < LH_ARRAY_LEN(paths); i++) {
        if (lh_root_read(check->options->root, paths[i], SMALL_MAX, &text, &len, NULL) == 0)
            return text;
    }
    return check->live ? NULL : strdup("");
}

enum enforcement { NOT_USED, PERMISSIVE, ENFORCING };

static enum enforcement find_selinux(const struct lh_check *check)
{
    char path[256];
    char *text;
    size_t len;
    enum enforcement state = NOT_USED;

    (void)snprintf(path, sizeof path, "%s/fs/selinux/enforce", check->options->sys);
    if (check->live) {
        if (lh_root_read("/", path, 16, &text, &len, NULL) != 0)
            return NOT_USED;
        state = *text == '1' ? ENFORCING : PERMISSIVE;
    } else {
        if (lh_root_read(check->options->root, "/etc/selinux/config", SMALL_MAX, &text, &len,
                         NULL) != 0)
            return NOT_USED;
        state = strstr(text, "\nSELINUX=enforcing") != NULL ||
                        strncmp(text, "SELINUX=enforcing", 17) == 0
                    ? ENFORCING
                : strstr(text, "SELINUX=permissive") != NULL ? PERMISSIVE
                                                             : NOT_USED;
    }
    free(text);
    return state;
}

static void check_selinux(struct lh_check *check)
{
    static const char *const semanage[] = {"/usr/sbin/semanage", "port", "-l", NULL};
    enum enforcement state = find_selinux(check);
    char mend[100];

    if (state == NOT_USED)
        return;
    char *ports = check->live ? lh_check_output(semanage) : NULL;
    if (ports == NULL)
        ports = local_labels(check);
    bool labelled = ports != NULL && label_holds(ports, check->options->port);
    (void)snprintf(mend, sizeof mend, "semanage port -a -t ssh_port_t -p tcp %u",
                   check->options->port);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = ports == NULL        ? LH_SSHD_GRADE_UNKNOWN
                                     : labelled           ? LH_SSHD_GRADE_OK
                                     : state == ENFORCING ? LH_SSHD_GRADE_HIGH
                                                          : LH_SSHD_GRADE_LOW,
                            .rule = "P3",
                            .is = ports == NULL ? "SELinux is in use; its ports could not be listed"
                                  : labelled    ? "SELinux lets sshd use the port"
                                                : "SELinux does not let sshd use the port",
                            .want = labelled ? "" : "the port labelled ssh_port_t",
                            .why = "sshd cannot open a port without the label, and would not start",
                            .mend = labelled ? "" : mend,
                        });
    free(ports);
}

// --- Firewalls ---

struct firewall {
    const char *name;
    const char *const argv[6];
    const char *active; // in its output where it is in force; "" = whenever it answers
    // Below a root, where it cannot be asked:
    const char *switched_on; // this file is there...
    const char *switch_text; // ...and holds this
    const char *rules;       // file
    const char *mend;        // %u is the port
};

static const struct firewall firewalls[] = {
    {.name = "ufw",
     .argv = {"/usr/sbin/ufw", "status", NULL},
     .active = "Status: active",
     .switched_on = "/etc/ufw/ufw.conf",
     .switch_text = "ENABLED=yes",
     .rules = "/etc/ufw/user.rules",
     .mend = "ufw allow %u/tcp && ufw allow %u/udp"},
    {.name = "firewalld",
     .argv = {"/usr/bin/firewall-cmd", "--list-ports", NULL},
     .active = "",
     .switched_on = "/etc/firewalld/zones/public.xml",
     .switch_text = "",
     .rules = "/etc/firewalld/zones/public.xml",
     .mend = "firewall-cmd --permanent --add-port=%u/tcp --add-port=%u/udp && firewall-cmd "
             "--reload"},
    {.name = "nftables",
     .argv = {"/usr/sbin/nft", "list", "ruleset", NULL},
     .active = "policy drop",
     .switched_on = "/etc/nftables.conf",
     .switch_text = "policy drop",
     .rules = "/etc/nftables.conf",
     .mend = "nft insert rule inet filter input tcp dport %u accept && "
             "nft insert rule inet filter input udp dport %u accept"},
};

static char *read_text(const struct lh_check *check, const char *path)
{
    char *text;
    size_t len;

    return lh_root_read(check->options->root, path, SMALL_MAX, &text, &len, NULL) == 0 ? text
                                                                                       : NULL;
}

// The rules of a firewall that is in force; NULL where it is not.
static char *rules_of(const struct lh_check *check, const struct firewall *wall)
{
    char *text;

    if (check->live) {
        text = lh_check_output(wall->argv);
        if (text != NULL && strstr(text, wall->active) != NULL)
            return text;
        free(text);
        return NULL;
    }
    text = read_text(check, wall->switched_on);
    bool on = text != NULL && strstr(text, wall->switch_text) != NULL;
    free(text);
    return on ? read_text(check, wall->rules) : NULL;
}

// Whether one line is about this port and protocol: "33001/tcp", or the port and perhaps the
// protocol somewhere else on the line. Ranges ("33000-33010", "33000:33010") hold what they span.
static bool line_names(const char *line, unsigned port, const char *protocol)
{
    bool tcp = strstr(line, "tcp") != NULL, udp = strstr(line, "udp") != NULL;
    bool own = (!tcp && !udp) || strstr(line, protocol) != NULL;

    for (const char *at = line + strcspn(line, "0123456789"); *at != '\0';
         at += strcspn(at, "0123456789")) {
        char *end;
        unsigned long low = strtoul(at, &end, 10), high = low;
        if ((*end == '-' || *end == ':') && end[1] >= '0' && end[1] <= '9')
            high = strtoul(end + 1, &end, 10);
        bool holds = low <= port && port <= high;
        at = end;
        if (holds && (*end == '/' ? strncmp(end + 1, protocol, 3) == 0 : own))
            return true;
    }
    return false;
}

static bool rules_name(const char *text, unsigned port, const char *protocol)
{
    for (const char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        char copy[1024];
        (void)snprintf(copy, sizeof copy, "%.*s", (int)part, line);
        if (line_names(copy, port, protocol))
            return true;
        line += part + (line[part] == '\n');
    }
    return false;
}

static void add_firewall(struct lh_check *check, const struct firewall *wall, const char *rules)
{
    unsigned port = check->options->port;
    bool tcp = rules_name(rules, port, "tcp"), udp = rules_name(rules, port, "udp");
    bool both = tcp && udp;
    char is[160], mend[300];

    (void)snprintf(is, sizeof is, "the firewall (%s) %s port %u%s", wall->name,
                   tcp || udp ? "names" : "does not name", port,
                   tcp == udp ? ""
                   : tcp      ? " for TCP only"
                              : " for UDP only");
    size_t used = 0;
    for (const char *at = wall->mend; *at != '\0' && used + 8 < sizeof mend; at++) {
        bool number = at[0] == '%' && at[1] == 'u';
        if (number)
            used += (size_t)snprintf(mend + used, sizeof mend - used, "%u", port);
        else
            mend[used++] = *at;
        at += number;
    }
    mend[used] = '\0';
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = both ? LH_SSHD_GRADE_INFO : LH_SSHD_GRADE_MEDIUM,
                            .rule = "P3",
                            .is = is,
                            .want = both ? "" : "the port open for TCP and UDP",
                            .why = "a hint only: rules were searched for the port, not followed",
                            .mend = both ? "" : mend,
                        });
}

static void check_firewall(struct lh_check *check)
{
    for (size_t i = 0; i < LH_ARRAY_LEN(firewalls); i++) {
        char *rules = rules_of(check, &firewalls[i]);
        if (rules == NULL)
            continue;
        add_firewall(check, &firewalls[i], rules);
        free(rules);
        return;
    }
    if (check->live)
        lh_check_add(check,
                     &(struct lh_sshd_remark){
                         .grade = geteuid() == 0 ? LH_SSHD_GRADE_INFO : LH_SSHD_GRADE_UNKNOWN,
                         .rule = "P3",
                         .is = "no firewall on this machine was seen",
                         .why = "others on the way (routers, clouds) are not seen from here"});
}

void lh_check_network(struct lh_check *check)
{
    check_reserved(check);
    check_selinux(check);
    check_firewall(check);
}
