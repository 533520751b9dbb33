// SPDX-License-Identifier: Apache-2.0
//
// The host keys that a server offers, from its files and from its port.
#ifndef LH_SSHDAPPLY_OFFERED_H
#define LH_SSHDAPPLY_OFFERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sshdapply/hostkey.h"
#include "sshdcfg/asperaconf.h"

struct lh_offered_key {
    char *path;               // of the private key, below the root; "" for a key seen on the port
    struct lh_public_key key; // empty where it could not be read
    bool usable;              // its public half was read, and HostKeyAlgorithms allows its type
    char why_not[LH_ERRINFO_TEXT]; // "" where it is usable
};

struct lh_offered_keys {
    struct lh_offered_key *items;
    size_t count;
};

struct lh_offered_options {
    const char *root;    // "/" is this machine
    const char *config;  // of the main file, below the root
    const char *program; // sshd; NULL: the usual one
};

// The keys that the files give, in the order of the files. Negative where the main file cannot be
// read; `info` says why.
lh_err lh_offered_read(const struct lh_offered_options *options,
                       struct lh_offered_keys *out_keys,
                       struct lh_errinfo *info) LH_MUST_CHECK;

// The keys that whatever listens on this machine's `port` shows, by ssh-keyscan. LH_NONE where
// nothing answers.
lh_err lh_offered_scan(uint16_t port, struct lh_offered_keys *out_keys) LH_MUST_CHECK;

// aspera.conf of an installed HSTS below `root`, ended by lh_aspera_conf_fini. False where there is
// none, and `*out_path` is NULL, or where it is not well-formed.
bool lh_aspera_conf_read(const char *root, struct lh_aspera_conf *out_conf, const char **out_path);

void lh_offered_fini(struct lh_offered_keys *keys); // idempotent

#endif
