// SPDX-License-Identifier: Apache-2.0
//
// How it works. What stands between a client and the port: the kernel giving the port to somebody
// else, SELinux, the firewall. The firewall is asked through its own front end where it has one
// (ufw, firewalld); a bare nftables set is only searched for the port, which is a hint and is said
// to be one. Load balancers and clouds are not seen.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/run.h"
#include "sshdapply/tree.h"

#define PATIENCE_MS 10000

static void check_reserved(struct lh_check *check)
{
    char path[256], is[128], mend[256];
    char *text;
    size_t len;
    unsigned port = check->options->port;

    (void)snprintf(path, sizeof path, "%s/sys/net/ipv4/ip_local_reserved_ports",
                   check->options->proc);
    if (lh_root_read("/", path, 65536, &text, &len, NULL) != 0) {
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_UNKNOWN,
                                .rule = "P2",
                                .is = "the kernel's list of reserved ports could not be read"});
        return;
    }
    bool reserved = lh_port_list_holds(text, (uint16_t)port);
    text[strcspn(text, "\n")] = '\0';
    (void)snprintf(is, sizeof is, "port %u is %sreserved for servers (TCP and UDP)", port,
                   reserved ? "" : "not ");
    (void)snprintf(mend, sizeof mend, "sysctl -w net.ipv4.ip_local_reserved_ports=%.128s%s%u", text,
                   *text == '\0' ? "" : ",", port);
    free(text);
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = reserved ? LH_SSHD_GRADE_OK : LH_SSHD_GRADE_LOW,
                            .rule = "P2",
                            .is = is,
                            .want = reserved ? "" : "the port in ip_local_reserved_ports",
                            .why = "an outgoing connection may hold the port when sshd or a "
                                   "transfer wants it",
                            .mend = reserved ? "" : mend,
                        });
}

// Runs a program and gives what it printed; NULL where it is not there or fails.
static char *output_of(const char *const *argv)
{
    struct lh_run_result result = {0};

    if (access(argv[0], X_OK) != 0 ||
        lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result, NULL) !=
            0)
        return NULL;
    char *out = result.status == 0 ? lh_steal(&result.out) : NULL;
    lh_run_result_fini(&result);
    return out;
}

static void check_selinux(struct lh_check *check)
{
    static const char *const semanage[] = {"/usr/sbin/semanage", "port", "-l", NULL};
    char path[256], port[16];
    char *text;
    size_t len;

    (void)snprintf(path, sizeof path, "%s/fs/selinux/enforce", check->options->sys);
    if (lh_root_read("/", path, 16, &text, &len, NULL) != 0)
        return; // not in use
    bool enforcing = *text == '1';
    free(text);
    char *ports = output_of(semanage);
    (void)snprintf(port, sizeof port, "%u", check->options->port);
    const char *line = ports == NULL ? NULL : strstr(ports, "ssh_port_t");
    bool labelled = line != NULL && memmem(line, strcspn(line, "\n"), port, strlen(port)) != NULL;
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = ports == NULL ? LH_SSHD_GRADE_UNKNOWN
                                     : labelled    ? LH_SSHD_GRADE_OK
                                     : enforcing   ? LH_SSHD_GRADE_HIGH
                                                   : LH_SSHD_GRADE_LOW,
                            .rule = "P3",
                            .is = ports == NULL ? "SELinux is in use; its ports could not be listed"
                                  : labelled    ? "SELinux lets sshd use the port"
                                                : "SELinux does not let sshd use the port",
                            .want = labelled ? "" : "the port labelled ssh_port_t",
                            .why = "sshd cannot open a port without the label, and would not start",
                            .mend = labelled ? "" : "semanage port -a -t ssh_port_t -p tcp 33001",
                        });
    free(ports);
}

struct firewall {
    const char *name;
    const char *const argv[6];
    const char *active; // in its output where it is in force; "" = whenever it answers
    const char *mend;
};

static const struct firewall firewalls[] = {
    {"ufw",
     {"/usr/sbin/ufw", "status", NULL},
     "Status: active",
     "ufw allow 33001/tcp && ufw allow 33001/udp"},
    {"firewalld",
     {"/usr/bin/firewall-cmd", "--list-ports", NULL},
     "",
     "firewall-cmd --permanent --add-port=33001/tcp --add-port=33001/udp && firewall-cmd --reload"},
    {"nftables",
     {"/usr/sbin/nft", "list", "ruleset", NULL},
     "policy drop",
     "nft insert rule inet filter input tcp dport 33001 accept && "
     "nft insert rule inet filter input udp dport 33001 accept"},
};

static void check_firewall(struct lh_check *check)
{
    char port[16], is[160];

    (void)snprintf(port, sizeof port, "%u", check->options->port);
    for (size_t i = 0; i < LH_ARRAY_LEN(firewalls); i++) {
        char *text = output_of(firewalls[i].argv);
        bool active = text != NULL && strstr(text, firewalls[i].active) != NULL;
        bool named = active && strstr(text, port) != NULL;
        free(text);
        if (!active)
            continue;
        (void)snprintf(is, sizeof is, "the firewall (%s) %s port %u", firewalls[i].name,
                       named ? "names" : "does not name", check->options->port);
        lh_check_add(check,
                     &(struct lh_sshd_remark){
                         .grade = named ? LH_SSHD_GRADE_INFO : LH_SSHD_GRADE_MEDIUM,
                         .rule = "P3",
                         .is = is,
                         .want = named ? "" : "the port open for TCP and UDP",
                         .why = "a hint only: rules were searched for the port, not followed",
                         .mend = named ? "" : firewalls[i].mend,
                     });
        return;
    }
    lh_check_add(check, &(struct lh_sshd_remark){
                            .grade = geteuid() == 0 ? LH_SSHD_GRADE_INFO : LH_SSHD_GRADE_UNKNOWN,
                            .rule = "P3",
                            .is = "no firewall on this machine was seen",
                            .why = "others on the way (routers, clouds) are not seen from here"});
}

void lh_check_network(struct lh_check *check)
{
    if (!check->live)
        return;
    check_reserved(check);
    check_selinux(check);
    check_firewall(check);
}
