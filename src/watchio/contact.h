// SPDX-License-Identifier: Apache-2.0
//
// Whom to tell of an address: the abuse contact of its network.
#ifndef LH_WATCHIO_CONTACT_H
#define LH_WATCHIO_CONTACT_H

#include "base/err.h"
#include "watch/addr.h"

#define LH_CONTACT_NAME 128
#define LH_CONTACT_MAX  512

// The DNS name whose TXT record is the contact, "7.113.0.203.abuse-contacts.abusix.zone".
char *lh_contact_name(const struct lh_watch_addr *addr, char out[LH_CONTACT_NAME]);

// Asks DNS for it. The answer comes from strangers: only what looks like a mail address is taken;
// of several, "a@example.net, b@example.net". LH_E_SYS where there is none, or no answer.
lh_err lh_contact_lookup(const struct lh_watch_addr *addr,
                         char out[LH_CONTACT_MAX],
                         struct lh_errinfo *info) LH_MUST_CHECK;

// The mail addresses in the first TXT record of a DNS answer that has any. For its tests.
bool lh_contact_from_answer(const uint8_t *answer, size_t len, char out[LH_CONTACT_MAX]);

#endif
