// SPDX-License-Identifier: Apache-2.0
//
// Files of authorized keys: where they are, whether sshd would read them, which keys in them work.
#ifndef LH_SSHDAPPLY_KEYFILE_H
#define LH_SSHDAPPLY_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "sshdapply/accounts.h"
#include "sshdapply/hostkey.h"
#include "sshdcfg/values.h"

#define LH_KEYS_FACT_MAX 4200 // bytes of a sentence about a path

// One pattern of AuthorizedKeysFile (`len` bytes) with %h, %u, %U and %% expanded, below the home
// where it is relative. False where it does not fit.
bool lh_keys_path(
    const char *pattern, size_t len, const struct lh_account *account, char *out, size_t room);

// Whether the server takes keys of this type and size. True where its list is not known.
bool lh_key_accepted(const struct lh_sshd_values *values, const struct lh_public_key *key);

// Whether others can write the path or a folder above it, as sshd judges with StrictModes: up to
// the home where the path is below it, else up to the top. Fills `out` with the first such part.
bool lh_keys_others_write(const char *root,
                          const struct lh_account *account,
                          const char *path,
                          char out[LH_KEYS_FACT_MAX]);

struct lh_keys_question {
    const char *root;
    const struct lh_sshd_values *values; // in force for this user
    const struct lh_account *account;
    const char *address; // from which the user comes, for from="..."; NULL: such keys do not count
    const char *sha256;  // a key that is asked about ("SHA256:..."); NULL: none
};

struct lh_keys_answer {
    unsigned good;      // keys with which this user can log in and work
    char path[4096];    // of a file that holds one
    char why_not[160];  // why a key that is there does not count; "" where none was passed over
    bool asked_good;    // the key asked about is a good one
    bool asked_refused; // it is there and does not count
};

// Looks at every key of every file. Keys with a forced command, of authorities, bound to other
// addresses or expired within the hour do not count: nobody could look after the server with them.
void lh_keys_answer(const struct lh_keys_question *question, struct lh_keys_answer *out_answer);

#endif
