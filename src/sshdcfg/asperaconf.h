// SPDX-License-Identifier: Apache-2.0
//
// What aspera.conf of an installed HSTS says about logins: the fingerprint that it promises, and
// the folders to which it confines users. Everything else in it is passed over.
#ifndef LH_SSHDCFG_ASPERACONF_H
#define LH_SSHDCFG_ASPERACONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LH_ASPERA_RULES_MAX 4096

// A user, or a group, with settings of its own.
struct lh_aspera_rule {
    char *name;
    char *docroot;   // "" where none is set
    bool restricted; // has restrictions of paths
    bool group;
};

struct lh_aspera_conf {
    char *docroot; // the default, "" where none is set
    bool restricted;
    char *fingerprint; // "" where none is set
    char *key_path;    // of the host key, "" where none is set
    struct lh_aspera_rule *rules;
    size_t count;
};

// Reads `len` bytes of XML. LH_E_INVALID for what is not well-formed, LH_E_LIMIT for too deep or
// too many, LH_E_NOMEM.
lh_err
lh_aspera_conf_parse(const char *text, size_t len, struct lh_aspera_conf *out_conf) LH_MUST_CHECK;
void lh_aspera_conf_fini(struct lh_aspera_conf *conf); // idempotent

#endif
