// SPDX-License-Identifier: Apache-2.0
//
// The client's login in the background: while a session goes on over UDP, makes it another SSH
// channel in the place of the one it lost. Everything happens in handlers of the event loop and
// nothing waits; the same options, fingerprints, keys and password hold as for the first login, and
// no person is ever asked.
//
// Life: new; begin when the channel is gone; turn in every turn of the loop; when it is done (it
// says so by on_channel) or given up, it may begin again; free.
#ifndef LH_RUN_RELOGIN_H
#define LH_RUN_RELOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "crypto/attach.h"
#include "run/lhcp_options.h"
#include "run/loop.h"
#include "ssh/spawn.h"

#define LH_RELOGIN_PAUSE_FIRST LH_SECOND
#define LH_RELOGIN_PAUSE_MAX   (16 * LH_SECOND)
#define LH_RELOGIN_PATIENCE    (30 * LH_SECOND) // for one login

struct lh_relogin;

// What a login gave. All of it is the callee's.
struct lh_relogin_channel {
    struct lh_ssh *ssh;
    int in_fd, out_fd;
    const uint8_t *leftover; // bytes behind the server's HELLO; valid during the call
    size_t leftover_len;
};

struct lh_relogin_config {
    struct lh_loop *loop;
    const struct lhcp_options *options; // borrowed
    const struct lh_password *password; // borrowed; NULL = none
    uint32_t session_id;
    const struct lh_secret *master; // of the session; not kept
    void (*on_channel)(void *user, const struct lh_relogin_channel *channel, lh_ns now);
    // A login failed. `is_final`: trying again would not help; nothing more is tried.
    void (*on_failure)(void *user, const char *why, bool is_final);
    void *user;
};

lh_err lh_relogin_new(const struct lh_relogin_config *config,
                      struct lh_relogin **out_relogin) LH_MUST_CHECK;
// Ends what runs. Accepts NULL. Waits for an ssh that was killed to be gone (milliseconds).
void lh_relogin_free(struct lh_relogin *relogin);

// Logs in, until it works or lh_relogin_stop. `old`: the ssh that is of no use any more, NULL =
// none; taken over.
void lh_relogin_begin(struct lh_relogin *relogin, struct lh_ssh *old, lh_ns now);
void lh_relogin_stop(struct lh_relogin *relogin, lh_ns now);
bool lh_relogin_is_busy(const struct lh_relogin *relogin);
lh_ns lh_relogin_turn(struct lh_relogin *relogin, lh_ns now); // the next deadline

#endif
