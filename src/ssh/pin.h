// SPDX-License-Identifier: Apache-2.0
//
// Host-key fingerprints (--check-sshfp) and how they are compared. Pure but for the hash.
//
// Enforcement: ssh asks the user's known_hosts files nothing. It runs our KnownHostsCommand with
// the key that the server has just proved to hold, before it sends a user name or any proof of
// ours, and that command (ssh/helper.h) prints the key as known exactly when its fingerprint is
// expected.
#ifndef LH_SSH_PIN_H
#define LH_SSH_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

enum lh_pin_kind {
    LH_PIN_SHA1 = 0,  // 40 hexadecimal digits of the key blob's SHA-1, as ascp writes it
    LH_PIN_SHA256 = 1 // "SHA256:" and base64, as OpenSSH prints it
};

struct lh_pin {
    enum lh_pin_kind kind;
    uint8_t digest[32]; // 20 bytes of it for SHA-1
};

#define LH_PIN_TEXT 64 // bytes that lh_pin_format needs

// Reads one fingerprint. Colons between the pairs of hexadecimal digits and '=' at the end of
// base64 are accepted, nothing else is. LH_E_INVALID.
lh_err lh_pin_parse(const char *text, struct lh_pin *out_pin) LH_MUST_CHECK;
char *lh_pin_format(const struct lh_pin *pin, char *out, size_t room);

// The fingerprint of a key blob. LH_E_CRYPTO.
lh_err lh_pin_of(enum lh_pin_kind kind, const void *blob, size_t len, struct lh_pin *out_pin)
    LH_MUST_CHECK;

// Whether `blob` is one of the expected keys. False too when hashing fails: it fails closed.
bool lh_pin_matches(const struct lh_pin *pins, size_t count, const void *blob, size_t len);

// Families of host-key algorithms, in the order we offer them. A server shows one key, of the first
// family that it has; to see the others one must leave out the families before and that one itself.
enum lh_key_family { LH_KEY_ED25519, LH_KEY_ECDSA, LH_KEY_RSA, LH_KEY_FAMILY_N_ };

// Family of a key type as ssh names it ("ssh-rsa"), LH_KEY_FAMILY_N_ where we know none.
enum lh_key_family lh_key_family_of(const char *type);

// The value of HostKeyAlgorithms for `first` and the families behind it; "" for LH_KEY_FAMILY_N_.
const char *lh_key_algorithms_from(enum lh_key_family first);

#endif
