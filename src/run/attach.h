// SPDX-License-Identifier: Apache-2.0
//
// Another SSH channel for a session that lost its own (longhaul-protocol(5), "Attaching").
//
// The session lives in one lhserver. When its client logs in again, sshd starts another lhserver;
// that one hands its channel, standard input and output, to the first over a private Unix socket
// and then stays until the channel is no longer used, because sshd closes a channel whose process
// has ended.
//
// Who may attach: a process of the same user, whose name for the socket and whose proof follow from
// the session's secret, with a count higher than any before. The socket's name is abstract: it
// leaves no file, and belongs to nobody once the session is over; so the one who connects looks at
// the other's user as well.
#ifndef LH_RUN_ATTACH_H
#define LH_RUN_ATTACH_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/time.h"
#include "control/hello.h"
#include "crypto/attach.h"
#include "run/loop.h"

#define LH_ATTACH_PENDING  4               // connections that have not attached yet
#define LH_ATTACH_PATIENCE (5 * LH_SECOND) // that each of them has for it

// --- In the lhserver where the session lives ---

struct lh_attach_point;

struct lh_attach_config {
    struct lh_loop *loop;
    const struct lh_secret *secret; // lh_attach_secret; copied
    uint32_t session_id;
    uid_t owner; // who may attach: geteuid()
    // Another channel: the descriptors are the callee's now.
    void (*on_channel)(void *user, int in_fd, int out_fd, lh_ns now);
    void *user;
};

// LH_E_SYS where there can be no such socket: the session then goes on without. LH_E_NOMEM.
lh_err lh_attach_point_open(const struct lh_attach_config *config,
                            struct lh_attach_point **out_point,
                            struct lh_errinfo *info) LH_MUST_CHECK;
void lh_attach_point_close(struct lh_attach_point *point); // accepts NULL
// The channel that was handed over last has ended: its lhserver may end too.
void lh_attach_point_dismiss(struct lh_attach_point *point);
lh_ns lh_attach_point_deadline(const struct lh_attach_point *point);
void lh_attach_point_on_deadline(struct lh_attach_point *point, lh_ns now);

// The socket's name from lh_attach_name; gives the length for bind and connect.
struct sockaddr_un;
unsigned lh_attach_address(const uint8_t name[LH_ATTACH_NAME_LEN], struct sockaddr_un *out_address);

// --- In the lhserver that was started for the client's new login; blocks, bounded ---

// Offers the channel. On success `*out_fd` is the connection, the caller's, and `out_proof` what
// the client is to be shown. LH_E_CLOSED: nobody is there, or it refused; LH_E_AUTH: somebody else
// listens there; LH_E_TIMEOUT; LH_E_SYS.
lh_err lh_attach_offer_channel(const struct lh_hello_attach *attach,
                               const int channel[2],
                               uid_t owner,
                               int *out_fd,
                               uint8_t out_proof[LH_ATTACH_PROOF_LEN],
                               struct lh_errinfo *info) LH_MUST_CHECK;
// The client has been told: the session may use the channel. Returns when it does so no more.
void lh_attach_keep(int fd);

#endif
