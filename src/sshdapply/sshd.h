// SPDX-License-Identifier: Apache-2.0
//
// The installed sshd as the judge: its version, its defaults, what it makes of a configuration.
#ifndef LH_SSHDAPPLY_SSHD_H
#define LH_SSHDAPPLY_SSHD_H

#include "base/err.h"
#include "sshdcfg/effective.h"

#define LH_SSHD_PROGRAM "/usr/sbin/sshd"

struct lh_sshd_judge {
    char program[256];
    char version_text[128]; // "OpenSSH_9.2p1 Debian-2+deb12u3"
    char folder[64];        // holds a host key made for asking; removed by _fini
    char key[80];           // that key
    bool private_run;       // sshd misses /run/sshd: it is given one of its own
    struct lh_sshd_values defaults;
    char *known[LH_SSHD_ALGO_N_];
    struct lh_sshd_target target; // points into the above
};

// Looks at `program` (NULL: LH_SSHD_PROGRAM). A throw-away host key lets anybody ask, root or not.
// LH_NONE where there is no such program; LH_E_SYS, LH_E_NOMEM with `info`.
lh_err lh_sshd_judge_init(struct lh_sshd_judge *judge,
                          const char *program,
                          struct lh_errinfo *info) LH_MUST_CHECK;
void lh_sshd_judge_fini(struct lh_sshd_judge *judge); // idempotent

// What sshd says is in force for `persona` with the file `config` (a path on this machine) and
// `options` (NULL-terminated arguments such as "-o" "Port=22"; NULL: none).
//   0        `out_values`
//   LH_NONE  sshd refuses the configuration; `info` holds its message
//   negative it could not be asked
lh_err lh_sshd_judge_ask(const struct lh_sshd_judge *judge,
                         const char *config,
                         const char *const *options,
                         const struct lh_sshd_persona *persona,
                         struct lh_sshd_values *out_values,
                         struct lh_errinfo *info) LH_MUST_CHECK;

// The machine that names and addresses are looked up on.
extern const struct lh_sshd_world lh_sshd_machine;

#endif
