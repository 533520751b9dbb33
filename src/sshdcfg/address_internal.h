// SPDX-License-Identifier: Apache-2.0
#ifndef LH_SSHDCFG_ADDRESS_INTERNAL_H
#define LH_SSHDCFG_ADDRESS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lh_sshd_address {
    unsigned bits; // 32 or 128
    uint8_t bytes[16];
};

// A numeric address, in the forms that the C library reads: IPv4 also with fewer than four parts,
// hexadecimal or octal; IPv6 without a zone.
bool lh_sshd_address_parse(const char *text, size_t len, struct lh_sshd_address *out_address);

#define LH_SSHD_NETWORK      0
#define LH_SSHD_NETWORK_NONE 1 // neither an address nor a network
#define LH_SSHD_NETWORK_BAD  2 // a length that does not fit, or host bits set

int lh_sshd_network_parse(const char *text,
                          size_t len,
                          struct lh_sshd_address *out_network,
                          unsigned *out_bits);
bool lh_sshd_network_holds(const struct lh_sshd_address *network,
                           unsigned bits,
                           const struct lh_sshd_address *address);

#endif
