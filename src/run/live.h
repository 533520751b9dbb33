// SPDX-License-Identifier: Apache-2.0
//
// A session that is watched and changed while it runs: its pace, its private socket (`lhctl
// session`), its events, and the account of what held its data back.
//
// Where a change is made does not matter: the sender carries it out; a receiver asks it to (message
// PACE). A server may slow a client down, never push it beyond what the person at the client asked
// for.
#ifndef LH_RUN_LIVE_H
#define LH_RUN_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "cc/cc.h"
#include "job/message.h"
#include "local/local.h"
#include "local/request.h"
#include "run/held.h"
#include "run/trace_file.h"
#include "transport/transport.h"

struct lh_session;

struct lh_live_config {
    struct lh_msg_pace pace;          // to begin with
    struct lh_msg_pace own;           // what this side's person asked for
    struct lh_trace_file *trace_file; // client: where events go; NULL: nobody looks
    const char *peer;                 // who is at the other end, as a person may see it (escaped)
    const char *state_dir;            // NULL: none
    uint32_t session_id;
};

struct lh_live {
    struct lh_session *session;
    struct lh_msg_pace pace; // in force, as far as this side knows
    struct lh_msg_pace own;  // what this side's person asked for
    char peer[LH_LOCAL_TEXT];
    uint32_t session_id;
    lh_ns began;

    struct lh_local_server *socket; // NULL: there is none
    struct lh_errinfo no_socket;    // why

    struct lh_trace_file *trace_file;
    struct lh_trace remote; // server: events go to the client
    lh_ns traced_at;        // the newest `held` event

    struct lh_held held;
    bool is_held_counted; // data has begun to flow, and has not ended
    lh_ns told_at;        // HELD
    struct lh_msg_held peer_held;
    lh_ns looked_at;           // at what PACED says
    struct lh_msg_paced paced; // of the sender, whichever end that is: as it was told last
    bool has_news;             // something was told that waits for the stream
    lh_ns rate_at[2];          // two readings of the content that has crossed, for the rate now
    uint64_t rate_bytes[2];
    uint64_t blocks_waiting, blocks_seen, block_bytes_seen; // receiver: delivered, not released yet
};

// LH_E_* never: a session without a private socket is none the worse.
void lh_live_init(struct lh_live *live,
                  struct lh_session *session,
                  const struct lh_live_config *config,
                  lh_ns now);
void lh_live_fini(struct lh_live *live); // harmless twice, and after memset to 0

// At the end of every turn of the loop, once everything that could be sent is; the next deadline.
lh_ns lh_live_turn(struct lh_live *live, lh_ns now);
void lh_live_on_news(struct lh_live *live, const struct lh_message *message);
void lh_live_on_block(struct lh_live *live, size_t len); // delivered to the job
void lh_live_on_release(struct lh_live *live);           // and done with

// Adds this session to the account of the whole run.
void lh_live_add_shares(const struct lh_live *live, struct lh_held_shares *shares);

// The controller of an enum lh_pace_policy, whose numbers enum lh_hello_policy shares.
const struct lh_cc_type *lh_pace_controller(uint8_t policy);
// The rules of a change, for themselves: what `asked` of the other side becomes at a client whose
// person asked for `own`.
struct lh_msg_pace lh_pace_within(const struct lh_msg_pace *own, const struct lh_msg_pace *asked);
// Puts a request on top of the pace in force. LH_E_INVALID: `info` says why not.
lh_err lh_pace_change(const struct lh_msg_pace *now,
                      const struct lh_local_request *request,
                      struct lh_msg_pace *out_pace,
                      struct lh_errinfo *info) LH_MUST_CHECK;

#endif
