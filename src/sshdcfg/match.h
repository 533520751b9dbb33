// SPDX-License-Identifier: Apache-2.0
//
// Patterns, address lists and the criteria of a Match line, as sshd compares them.
#ifndef LH_SSHDCFG_MATCH_H
#define LH_SSHDCFG_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Who connects, from where, to what: `sshd -T -C user=,host=,addr=,laddr=,lport=`. A NULL is an
// attribute that is not known; criteria about it do not match.
struct lh_sshd_persona {
    const char *name; // for people: "administrator"
    const char *user;
    bool user_exists;          // without it no Group matches, as sshd looks groups up by the user
    const char *const *groups; // names, the primary one included
    size_t group_count;
    const char *host;          // client's name; sshd knows it with UseDNS only, else the address
    const char *address;       // client's address
    const char *local_address; // server's address
    uint16_t local_port;       // 0: not known
    const char *rdomain;
};

// Whether `text` matches `pattern`, in which '*' is any run and '?' any one character.
bool lh_sshd_pattern(const char *text, const char *pattern);

// A comma-separated list of patterns, '!' in front excluding. 1 matches, 0 does not, -1 excluded.
// `fold`: the pattern is compared in lower case (host names).
int lh_sshd_pattern_list(const char *text, const char *list, bool fold);

// The same for the name of a host, in lower case on both sides.
int lh_sshd_host_list(const char *host, const char *list);

// An address against a list of networks ("10.0.0.0/8"), addresses and patterns. 1, 0 and -1 as
// above; -2 for a list that sshd refuses (an empty element, host bits set). `address` NULL: only
// whether the list is acceptable, 0 or -2.
int lh_sshd_address_list(const char *address, const char *list);

#define LH_SSHD_MATCH_BAD (-1) // sshd refuses the line

// The criteria in `*text`, which is changed and moved on to what was not read. `persona` NULL: the
// syntax only; then only "all" matches. `service_port` turns a service's name into a port (-1 where
// there is none) and may be NULL. 1 matches, 0 does not, LH_SSHD_MATCH_BAD.
int lh_sshd_match_line(char **text,
                       const struct lh_sshd_persona *persona,
                       int (*service_port)(void *context, const char *name),
                       void *context);

// A port as sshd reads it: a number or the name of a service. -1 for anything else.
int lh_sshd_port(const char *text,
                 int (*service_port)(void *context, const char *name),
                 void *context);

#endif
