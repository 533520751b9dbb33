// SPDX-License-Identifier: Apache-2.0
//
// How it works. A list of networks with a reason each, gathered from where the kernel and the
// system keep them. Private networks are not on it as such: an attacker may sit there too.
#include "watchio/guards.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <utmpx.h>

#include "base/text.h"

static void add_row(struct lh_guards *guards,
                    const struct lh_watch_addr *addr,
                    unsigned bits,
                    const char *reason)
{
    struct lh_watch_addr net = lh_watch_addr_mask(addr, bits);
    for (size_t i = 0; i < guards->count; i++) {
        const struct lh_guard_row *row = &guards->rows[i];
        if (row->bits == bits && row->reason == reason && lh_watch_addr_equal(&row->addr, &net))
            return;
    }
    if (guards->count < LH_GUARDS_MAX)
        guards->rows[guards->count++] = (struct lh_guard_row){net, bits, reason};
}

static unsigned whole(const struct lh_watch_addr *addr)
{
    return lh_watch_addr_is_v4(addr) ? 32 : 128;
}

lh_err lh_guards_add(struct lh_guards *guards,
                     const char *text,
                     const char *reason,
                     struct lh_errinfo *info)
{
    struct lh_watch_addr addr;
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    uint64_t bits;

    if (guards->count == LH_GUARDS_MAX)
        return lh_fail(info, LH_E_LIMIT, 0, "more than %d addresses to guard", LH_GUARDS_MAX);
    if (!lh_watch_addr_parse(lh_span_of(text, len), &addr))
        return lh_fail(info, LH_E_INVALID, 0,
                       "\"%s\" is no address: give 192.0.2.7, 192.0.2.0/24 or the like", text);
    bits = whole(&addr);
    if (slash != NULL && lh_parse_number(slash + 1, 0, bits, &bits) != 0)
        return lh_fail(info, LH_E_INVALID, 0, "\"%s\": the number behind / is not one of 0 to %u",
                       text, whole(&addr));
    add_row(guards, &addr, (unsigned)bits, reason);
    return 0;
}

// Where somebody sits: an IPv6 host changes its address within a /64 from day to day.
static void add_seat(struct lh_guards *guards, const struct lh_watch_addr *addr, const char *reason)
{
    add_row(guards, addr, lh_watch_addr_is_v4(addr) ? 32 : 64, reason);
}

static bool from_sockaddr(const struct sockaddr *sa, struct lh_watch_addr *out)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (sa == NULL)
        return false;
    if (sa->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, text,
                        sizeof text);
    else if (sa->sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, text,
                        sizeof text);
    return lh_watch_addr_parse(lh_span_of(text, strlen(text)), out);
}

static void add_interfaces(struct lh_guards *guards)
{
    struct ifaddrs *all = NULL;
    struct lh_watch_addr addr;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        if (from_sockaddr(one->ifa_addr, &addr))
            add_row(guards, &addr, whole(&addr), "this machine's own address");
    }
    freeifaddrs(all);
}

// The gateway column of /proc/net/route: IPv4 in hexadecimal, as the machine keeps it.
static void add_gateways(struct lh_guards *guards)
{
    char line[512];
    FILE *file = fopen("/proc/net/route", "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        char *at = line;
        char *end;
        for (unsigned column = 0; column < 2 && at != NULL; column++) {
            at = strchr(at, '\t');
            at = at != NULL ? at + 1 : NULL;
        }
        unsigned long raw = at != NULL ? strtoul(at, &end, 16) : 0;
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = (in_addr_t)raw};
        struct lh_watch_addr addr;
        if (raw != 0 && from_sockaddr((const struct sockaddr *)&in, &addr))
            add_row(guards, &addr, 32, "a gateway");
    }
    (void)fclose(file);
}

// The fifth column of /proc/net/ipv6_route: the next hop, 32 hexadecimal digits.
static void add_gateways6(struct lh_guards *guards)
{
    char line[512];
    FILE *file = fopen("/proc/net/ipv6_route", "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        struct lh_watch_addr addr;
        char hop[33];
        char text[64];
        size_t used = 0;
        if (sscanf(line, "%*s %*s %*s %*s %32s", hop) != 1 || strlen(hop) != 32 ||
            strspn(hop, "0") == 32)
            continue;
        for (size_t i = 0; i < 32; i += 4)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.4s", i > 0 ? ":" : "",
                                     hop + i);
        if (lh_watch_addr_parse(lh_span_of(text, used), &addr))
            add_row(guards, &addr, 128, "a gateway");
    }
    (void)fclose(file);
}

// Those of a file like resolv.conf(5).
static void add_name_servers(struct lh_guards *guards, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        char *at = line + strspn(line, " \t");
        struct lh_watch_addr addr;
        if (strncmp(at, "nameserver", 10) != 0)
            continue;
        at += 10;
        at += strspn(at, " \t");
        if (lh_watch_addr_parse(lh_span_of(at, strcspn(at, " \t\r\n")), &addr))
            add_row(guards, &addr, whole(&addr), "a name server");
    }
    (void)fclose(file);
}

static void add_logged_in(struct lh_guards *guards)
{
    const char *connection = getenv("SSH_CONNECTION");
    const struct utmpx *entry;
    struct lh_watch_addr addr;
    if (connection != NULL &&
        lh_watch_addr_parse(lh_span_of(connection, strcspn(connection, " ")), &addr))
        add_seat(guards, &addr, "you are logged in from there");
    setutxent();
    while ((entry = getutxent()) != NULL) {
        char text[INET6_ADDRSTRLEN] = "";
        bool v4 =
            entry->ut_addr_v6[1] == 0 && entry->ut_addr_v6[2] == 0 && entry->ut_addr_v6[3] == 0;
        if (entry->ut_type != USER_PROCESS || entry->ut_addr_v6[0] == 0)
            continue;
        (void)inet_ntop(v4 ? AF_INET : AF_INET6, entry->ut_addr_v6, text, sizeof text);
        if (lh_watch_addr_parse(lh_span_of(text, strlen(text)), &addr))
            add_seat(guards, &addr, "somebody is logged in from there");
    }
    endutxent();
}

void lh_guards_add_host(struct lh_guards *guards)
{
    struct lh_watch_addr addr;
    if (lh_watch_addr_parse(LH_SPAN("127.0.0.0"), &addr))
        add_row(guards, &addr, 8, "loopback");
    if (lh_watch_addr_parse(LH_SPAN("::1"), &addr))
        add_row(guards, &addr, 128, "loopback");
    // Those come first without whom nobody gets in again: a host may have very many addresses.
    add_logged_in(guards);
    add_name_servers(guards, "/etc/resolv.conf");
    // Where systemd-resolved answers on loopback, those that it asks.
    add_name_servers(guards, "/run/systemd/resolve/resolv.conf");
    add_gateways(guards);
    add_gateways6(guards);
    add_interfaces(guards);
}

const char *lh_guards_reason(const struct lh_guards *guards, const struct lh_watch_addr *addr)
{
    for (size_t i = 0; i < guards->count; i++) {
        const struct lh_guard_row *row = &guards->rows[i];
        struct lh_watch_addr net = lh_watch_addr_mask(addr, row->bits);
        bool same_family = lh_watch_addr_is_v4(addr) == lh_watch_addr_is_v4(&row->addr);
        if (same_family && lh_watch_addr_equal(&net, &row->addr))
            return row->reason;
    }
    return NULL;
}
