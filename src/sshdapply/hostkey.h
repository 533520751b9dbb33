// SPDX-License-Identifier: Apache-2.0
//
// Public keys in files: type, size, fingerprints. Host keys and lines of authorized_keys.
#ifndef LH_SSHDAPPLY_HOSTKEY_H
#define LH_SSHDAPPLY_HOSTKEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LH_PUBLIC_BLOB_MAX 8192

struct lh_public_key {
    char type[64]; // "ssh-ed25519"
    unsigned bits; // of RSA and DSA keys; 256, 384 or 521 for curves; 0 where we do not know
    uint8_t blob[LH_PUBLIC_BLOB_MAX];
    size_t blob_len;
    char base64[LH_PUBLIC_BLOB_MAX * 4 / 3 + 4];
    char sha1[41];       // lower-case hexadecimal, as ascp takes it
    char sha256[52];     // "SHA256:" and base64, as OpenSSH prints it
    char sha256_hex[65]; // the same digest as DNS has it
};

// Reads one line: [options] type base64 [comment]. `*out_options` (may be NULL) is the length of
// the options in front, 0 where there are none. LH_NONE for a blank line or a comment, LH_E_INVALID
// for what is no key, LH_E_CRYPTO.
lh_err lh_public_key_parse(const char *line,
                           size_t len,
                           struct lh_public_key *out_key,
                           size_t *out_options) LH_MUST_CHECK;

// The public half of the host key `path` below `root`: `path`.pub. LH_E_SYS, LH_E_INVALID with
// `info`.
lh_err lh_host_key_read(const char *root,
                        const char *path,
                        struct lh_public_key *out_key,
                        struct lh_errinfo *info) LH_MUST_CHECK;

// Number of the key's algorithm in SSHFP records (RFC 4255, 6594, 7479): 1 RSA, 2 DSA, 3 ECDSA,
// 4 Ed25519; 0 for others.
unsigned lh_public_key_sshfp(const struct lh_public_key *key);

#endif
