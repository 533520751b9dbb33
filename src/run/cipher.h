// SPDX-License-Identifier: Apache-2.0
//
// Which cipher suites this side offers, and which library does them here: by a measurement of well
// below a millisecond a suite when a session is set up. What is fast on one machine is slow on
// another, and changes with the processor's instructions and with what is installed.
#ifndef LH_RUN_CIPHER_H
#define LH_RUN_CIPHER_H

#include <stdint.h>

#include "control/hello.h"
#include "crypto/aead.h"

// What a client wants, most wanted first. AES-128-GCM leads unless another 128-bit suite is clearly
// faster here; AES-128-OCB is named only where it is, AES-256-GCM and ChaCha20-Poly1305 always.
void lh_cipher_offer(struct lh_hello_info *offer);

// What a server accepts: every suite of this build.
void lh_cipher_accept(struct lh_hello_info *offer);

// The fastest implementation of suite `id`; NULL where this build has none.
const struct lh_aead_type *lh_cipher_fastest(uint8_t id);

#endif
