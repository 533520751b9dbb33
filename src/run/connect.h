// SPDX-License-Identifier: Apache-2.0
//
// From a host name to a session that both ends agreed on: starts ssh, exchanges HELLO, finds the
// addresses that UDP may reach the server at.
#ifndef LH_RUN_CONNECT_H
#define LH_RUN_CONNECT_H

#include <stdbool.h>

#include "base/err.h"
#include "control/hello.h"
#include "crypto/keys.h"
#include "run/handshake.h"
#include "run/lhcp_options.h"
#include "ssh/spawn.h"
#include "udp/client.h"

struct lh_connection {
    struct lh_ssh *ssh; // the running ssh; owned
    int in_fd, out_fd;  // the channel; owned until a session takes them over (then -1)
    struct lh_hello hello;
    struct lh_handshake handshake;
    char host_key[128]; // type and fingerprint as ssh showed them, for a check; "" = not known
    struct lh_secret master;
    struct lh_udp_client *udp; // owned; NULL: no UDP (see udp_note)
    char udp_note[LH_ERRINFO_TEXT];
};

struct lh_connect_config {
    const struct lhcp_options *options;
    const struct lh_password *password; // answers ssh's questions; NULL = none. Outlives us
    const struct lh_hello_pace *pace;   // asked of the server; NULL: what `options` say
    bool is_again;                      // this command had a session before
    int stop_fd;                        // readable = stop (signals)
    // Something a person should read that is no failure (one line, escaped). May come at any time
    // during lh_connection_open.
    void (*on_notice)(void *user, const char *text);
    void *user;
    // How long the server may be silent. 0 = the usual: LH_ANSWER_* below.
    lh_ns answer_max, notice_after;
};

// ssh limits the time for connecting only; what hangs behind it (a home directory, a login script)
// is ours to notice. Nobody there to type: so long from the start to the answer.
#define LH_ANSWER_ALONE (30 * LH_SECOND)
// With a terminal ssh may be asking a person: so long without a sign of life of anybody.
#define LH_ANSWER_PERSON (120 * LH_SECOND)
#define LH_ANSWER_NOTICE (10 * LH_SECOND) // with a terminal: when to say that we still wait

// Connects. Blocks until the server has answered, the connection failed, or stop_fd became readable
// (LH_E_CANCELED). `info` holds the ascp-compatible code and a text that says what to do.
// *out_retryable: a later try may succeed (the network), as opposed to: never (keys, versions).
lh_err lh_connection_open(struct lh_connection *connection,
                          const struct lh_connect_config *config,
                          bool *out_retryable,
                          struct lh_errinfo *info) LH_MUST_CHECK;
// For a login while the session lives (run/relogin.h): what we say in HELLO, and ssh as
// lh_connection_open starts it, but that nobody is asked. Neither blocks.
struct lh_hello_info lh_connect_offer(const struct lhcp_options *options);
lh_err lh_connect_start_ssh(const struct lhcp_options *options,
                            const struct lh_password *password,
                            struct lh_ssh **out_ssh,
                            struct lh_errinfo *info) LH_MUST_CHECK;

void lh_connection_close(struct lh_connection *connection); // ends ssh; harmless twice

#endif
