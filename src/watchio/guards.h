// SPDX-License-Identifier: Apache-2.0
//
// Addresses that are never blocked, whatever the log says of them.
#ifndef LH_WATCHIO_GUARDS_H
#define LH_WATCHIO_GUARDS_H

#include <stddef.h>

#include "base/err.h"
#include "watch/addr.h"

#define LH_GUARDS_MAX 256

struct lh_guards {
    struct lh_guard_row {
        struct lh_watch_addr addr;
        unsigned bits; // of IPv4: 0 to 32
        const char *reason;
    } rows[LH_GUARDS_MAX];
    size_t count;
};

// Adds an address or ADDRESS/BITS from a person. LH_E_INVALID, LH_E_LIMIT.
lh_err lh_guards_add(struct lh_guards *guards,
                     const char *text,
                     const char *reason,
                     struct lh_errinfo *info) LH_MUST_CHECK;

// Adds this machine's addresses, loopback, gateways, name servers, and where people are logged in
// from now (utmp, SSH_CONNECTION). What cannot be read is left out.
void lh_guards_add_host(struct lh_guards *guards);

// Why `addr` is never blocked, or NULL.
const char *lh_guards_reason(const struct lh_guards *guards, const struct lh_watch_addr *addr);

#endif
