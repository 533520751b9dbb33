// SPDX-License-Identifier: Apache-2.0
//
// Drives the set-up dialogue (control/hello.h) over two descriptors, before there is an event loop.
#ifndef LH_RUN_HANDSHAKE_H
#define LH_RUN_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "control/hello.h"
#include "crypto/keys.h"

// Something else to look after meanwhile: ssh's messages, questions for a password.
struct lh_handshake_side {
    int (*fd)(void *user); // -1 = nothing to watch
    void (*ready)(void *user);
    void *user;
};
#define LH_HANDSHAKE_SIDES 2

struct lh_handshake {
    struct lh_hello *hello; // borrowed
    int in_fd, out_fd;      // borrowed
    int stop_fd;            // readable = stop (signals); -1 = none
    lh_ns deadline;         // LH_NEVER: none until the first byte has arrived
    lh_ns answer_time;      // from the first byte on, so long at most; 0 = only `deadline` counts
    lh_ns silence_max;      // ends when nothing stirs on any descriptor for so long; 0 = no limit
    lh_ns notice_after;     // on_slow is called once when the peer is silent for so long; 0 = never
    void (*on_slow)(void *user);
    void *user; // of on_slow
    struct lh_handshake_side sides[LH_HANDSHAKE_SIDES];
    size_t side_count;
    lh_ns began, stirred_at; // set by lh_handshake_run
    bool is_heard;           // the peer's first byte has arrived
    bool is_slow_told;
    uint8_t leftover[65536]; // bytes behind the peer's HELLO: frames of lane 0
    size_t leftover_len;
};

// Exchanges bytes until the peer's HELLO is complete. On a client that is the end of the dialogue;
// a server then answers (lh_hello_answer) and calls lh_handshake_flush. LH_E_CLOSED: the other end
// closed first (ssh or the client died). LH_E_TIMEOUT. LH_E_CANCELED: stop_fd. LH_E_PROTO,
// LH_E_VERSION, LH_E_LIMIT: the dialogue failed; `info` says how in a person's words.
lh_err lh_handshake_run(struct lh_handshake *handshake, struct lh_errinfo *info) LH_MUST_CHECK;
// Sends what the dialogue still has to say.
lh_err lh_handshake_flush(struct lh_handshake *handshake, struct lh_errinfo *info) LH_MUST_CHECK;

// The session's master secret from a finished dialogue.
lh_err lh_handshake_master(const struct lh_hello *hello,
                           struct lh_secret *out_master,
                           struct lh_errinfo *info) LH_MUST_CHECK;

#endif
