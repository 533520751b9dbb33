// SPDX-License-Identifier: Apache-2.0
//
// A password or passphrase, in a page of its own that is locked in memory, left out of core dumps
// and wiped at the end.
#ifndef LH_SSH_PASSWORD_H
#define LH_SSH_PASSWORD_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

struct lh_password;

// Takes the value of the environment variable `name`, overwrites every copy of it in the
// environment block (/proc/self/environ) and removes the variable. Single-threaded programs only:
// at the start of main. LH_NONE where it is unset or empty; LH_E_LIMIT beyond LH_PASSWORD_MAX
// (removed all the same); LH_E_NOMEM.
lh_err lh_password_take(const char *name, struct lh_password **out_password) LH_MUST_CHECK;
void lh_password_free(struct lh_password *password); // accepts NULL
LH_DEFINE_FREEP(struct lh_password, lh_password_free)

// Its bytes, not terminated.
const char *lh_password_bytes(const struct lh_password *password, size_t *out_len);

#endif
