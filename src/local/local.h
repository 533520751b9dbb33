// SPDX-License-Identifier: Apache-2.0
//
// The private Unix socket of a running session: who may see it and change it while it runs.
//
// One request, one answer, each one line of JSON; then the connection is over:
//   {"command":"show"}
//   {"command":"set","rate":300000000,"min":10000000,"policy":"low"}     bits/s; any of the three
//   {"ok":true,"session":{...}}    or    {"ok":false,"error":"..."}
//
// Only the user whose session it is, and root, are heard: the socket lies in a directory of mode
// 0700, and the kernel says who is at the other end (SO_PEERCRED). Whatever a client does, it holds
// at most one of LH_LOCAL_CLIENTS_MAX descriptors for LH_LOCAL_PATIENCE, and never the session.
#ifndef LH_LOCAL_LOCAL_H
#define LH_LOCAL_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/time.h"

#define LH_LOCAL_REQUEST_MAX 1024 // bytes of a request, its newline included
#define LH_LOCAL_REPLY_MAX   4096 // bytes of an answer: one send takes it, so nothing waits
#define LH_LOCAL_CLIENTS_MAX 8    // at a time; the oldest goes when another one comes
#define LH_LOCAL_PATIENCE    (5 * LH_SECOND)
#define LH_LOCAL_NAME_MAX    40   // bytes of a socket's name
#define LH_LOCAL_LIST_MAX    1024 // sockets looked at in one directory
#define LH_LOCAL_PATH_MAX    4096

// --- Where sockets are ---------------------------------------------------------------------------

// Directories in which a user's sockets may lie, best first: $XDG_RUNTIME_DIR/longhaul, /run/user/
// UID/longhaul, STATE/run.
#define LH_LOCAL_PLACES 3
struct lh_local_places {
    char paths[LH_LOCAL_PLACES][LH_LOCAL_PATH_MAX];
    size_t count;
};
// `runtime_dir` (XDG_RUNTIME_DIR) and `state_dir` may be NULL.
void lh_local_places(struct lh_local_places *places,
                     uid_t uid,
                     const char *runtime_dir,
                     const char *state_dir);

// --- The session's side --------------------------------------------------------------------------

struct lh_local_server;

// Answers the request in `text` (no newline, any bytes) with at most `room` bytes in `out`; gives
// their number. The newline is added.
typedef size_t (*lh_local_answer)(void *user, const char *text, size_t len, char *out, size_t room);

// Makes the socket NAME in the first of `places` that can be had, and removes those that lie there
// without anybody behind them. LH_E_SYS, LH_E_PATH, LH_E_NOMEM: no place; `info` has the first
// reason.
lh_err lh_local_listen(const struct lh_local_places *places,
                       const char *name,
                       lh_local_answer answer,
                       void *user,
                       struct lh_local_server **out_server,
                       struct lh_errinfo *info) LH_MUST_CHECK;
void lh_local_close(struct lh_local_server *server);   // removes the socket; accepts NULL
int lh_local_fd(const struct lh_local_server *server); // readable: lh_local_ready has work
void lh_local_ready(struct lh_local_server *server, lh_ns now);
lh_ns lh_local_deadline(const struct lh_local_server *server); // then lh_local_ready too; LH_NEVER

// --- The asking side -----------------------------------------------------------------------------

struct lh_local_socket {
    uid_t owner;
    char directory[LH_LOCAL_PATH_MAX];
    char name[LH_LOCAL_NAME_MAX + 1];
};

// Calls `found` for every socket of `uid` in these places, in order of name within a place, until
// it gives false. A directory that is not that user's, or that others may write to, is passed over;
// so is what nobody answers at, which is removed where it is ours.
void lh_local_list(const struct lh_local_places *places,
                   uid_t uid,
                   bool (*found)(void *user, const struct lh_local_socket *socket),
                   void *user);

// Asks and waits for the answer, at most LH_LOCAL_PATIENCE. `reply` (`room` >= LH_LOCAL_REPLY_MAX +
// 1) is terminated, without its newline. LH_E_AUTH: the one who listens there is not the owner.
lh_err lh_local_ask(const struct lh_local_socket *socket,
                    const char *request,
                    char *reply,
                    size_t room,
                    struct lh_errinfo *info) LH_MUST_CHECK;

#endif
