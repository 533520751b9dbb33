// SPDX-License-Identifier: Apache-2.0
//
// Users as the login sees them, below a root: name, home, shell, groups, whether sudo knows them.
#ifndef LH_SSHDAPPLY_ACCOUNTS_H
#define LH_SSHDAPPLY_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define LH_ACCOUNTS_MAX 65536

enum lh_sudo { LH_SUDO_NO, LH_SUDO_WITH_PASSWORD, LH_SUDO_WITHOUT_PASSWORD };
enum lh_password_state {
    LH_PASSWORD_UNKNOWN,
    LH_PASSWORD_SET,
    LH_PASSWORD_LOCKED,
    LH_PASSWORD_NONE
};

struct lh_account {
    char *name;
    char *home;
    char *shell;
    uid_t uid;
    gid_t gid;
    char **groups; // names, the primary one included
    size_t group_count;
    enum lh_sudo sudo;
    enum lh_password_state password; // of /etc/shadow; unknown where that cannot be read
    bool expired;
};

struct lh_accounts {
    struct lh_account *items;
    size_t count;
    bool shadow_seen;  // /etc/shadow could be read
    bool sudoers_seen; // /etc/sudoers could be read
};

// Reads /etc/passwd, group, shadow and sudoers below `root`. For this machine ("/") the users in
// `extra` (NULL-terminated, may be NULL) are looked up by name too, which finds those of LDAP and
// domains. LH_E_SYS where there is no passwd, LH_E_LIMIT, LH_E_NOMEM.
lh_err lh_accounts_read(const char *root,
                        const char *const *extra,
                        struct lh_accounts *out_accounts,
                        struct lh_errinfo *info) LH_MUST_CHECK;
void lh_accounts_fini(struct lh_accounts *accounts); // idempotent

const struct lh_account *lh_accounts_find(const struct lh_accounts *accounts, const char *name);
bool lh_account_in_group(const struct lh_account *account, const char *group);

// Whether the shell lets its user work interactively: not nologin, not false, not a transfer shell.
bool lh_account_has_shell(const struct lh_account *account);
// Whether the shell is one that only moves files (lhsh, aspshell).
bool lh_account_transfers(const struct lh_account *account);

#endif
