// SPDX-License-Identifier: Apache-2.0
//
// What a hardened server's configuration should say: a profile and a person's choices become a list
// of settings for everybody and of Match blocks for some.
#ifndef LH_SSHDCFG_PROFILE_H
#define LH_SSHDCFG_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sshdcfg/effective.h"

enum lh_sshd_profile {
    LH_SSHD_MODERN,   // everything of today, and what libraries of yesterday need
    LH_SSHD_ASPERA_4, // ECDSA host key alone, as clients of HSTS 4 expect
    LH_SSHD_ASPERA_3, // RSA host key alone: clients up to Connect 3.10, Drive 3.2, CLI 3.9,
                      // Cargo 3.2
    LH_SSHD_FIPS,     // approved algorithms only
    LH_SSHD_PROFILE_N_
};

// The profile of a name ("aspera-4"); LH_SSHD_PROFILE_N_ where there is none.
enum lh_sshd_profile lh_sshd_profile_find(const char *name);
const char *lh_sshd_profile_name(enum lh_sshd_profile profile);

// Kinds of host keys that are there.
struct lh_sshd_host_files {
    const char *ed25519; // paths, NULL where there is none
    const char *ecdsa;
    const char *rsa;
};

struct lh_sshd_choices {
    enum lh_sshd_profile profile;
    uint16_t port;
    bool keep_port_22;
    const uint16_t *also_ports; // open besides, for a while
    size_t also_port_count;
    bool strict;                    // drop what only older libraries need
    bool keep_passwords;            // PasswordAuthentication stays as it is; empty ones are refused
    const char *const *allow_users; // NULL-terminated, may be NULL: everybody
    const char *const *allow_groups;
    const char *const *sftp_users; // the only ones with SFTP; NULL: nobody
    const char *forwarding_group;  // its members may forward TCP; NULL: nobody
    struct lh_sshd_host_files host_keys;
};

struct lh_sshd_setting {
    char *keyword; // as people write it
    char *value;
    bool in_match; // of the block that the last setting with the keyword Match began
};

struct lh_sshd_settings {
    struct lh_sshd_setting *items;
    size_t count;
    size_t room;
};

// Fills the settings in the order in which they are written: for everybody first, then blocks, each
// begun by a setting "Match", the last one "Match all". Algorithms and keywords that the binary
// does not know are left out. LH_NONE with `info` where the profile cannot be had (a host key is
// missing); LH_E_NOMEM.
lh_err lh_sshd_profile_settings(const struct lh_sshd_choices *choices,
                                const struct lh_sshd_target *target,
                                struct lh_sshd_settings *out_settings,
                                struct lh_errinfo *info) LH_MUST_CHECK;
void lh_sshd_settings_fini(struct lh_sshd_settings *settings); // idempotent

// Whether the settings manage a keyword (the name that sshd -T prints).
bool lh_sshd_settings_manage(const struct lh_sshd_settings *settings, const char *keyword);

#endif
