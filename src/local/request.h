// SPDX-License-Identifier: Apache-2.0
//
// Requests and answers of a session's private socket, as JSON (local.h).
#ifndef LH_LOCAL_REQUEST_H
#define LH_LOCAL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LH_LOCAL_RATE_MAX UINT64_C(1000000000000) // bits/s: 1 Tbit/s

enum lh_local_command { LH_LOCAL_SHOW, LH_LOCAL_SET };

struct lh_local_request {
    enum lh_local_command command;
    bool has_rate, has_min, has_policy;
    uint64_t rate, min; // bits/s; 0 takes the limit away
    char policy[16];    // fair, high, fixed or low; checked by whoever carries it out
};

// LH_E_INVALID: not a request; `info` says what is wrong with it.
lh_err lh_local_request_parse(const char *text,
                              size_t len,
                              struct lh_local_request *out_request,
                              struct lh_errinfo *info) LH_MUST_CHECK;
// Terminated; LH_LOCAL_REQUEST_MAX always does.
void lh_local_request_write(const struct lh_local_request *request, char *out, size_t room);

// What a session says about itself. Texts are printable (escaped by whoever fills them in).
#define LH_LOCAL_TEXT 160
struct lh_local_session {
    char id[16];              // as `lhctl session` wants it
    char side[8];             // client or server
    char direction[12];       // sends or receives: seen from this side
    char peer[LH_LOCAL_TEXT]; // user@host, or user and address
    char lane[8];             // udp, ssh or none
    char policy[16];          // "" where the other side does not say
    char held_by[20];         // what held the data back most so far
    uint64_t pid;
    uint64_t rate_target, rate_min; // bits/s, 0 = none
    uint64_t rate;                  // content bits/s now
    uint64_t bytes_done, bytes_total, files_done, files_total;
    uint64_t elapsed_ms, rtt_us;
};

// `error` NULL: all went well. Gives the length; LH_LOCAL_REPLY_MAX - 1 always does.
size_t lh_local_reply_write(const struct lh_local_session *session,
                            const char *error,
                            char *out,
                            size_t room);

struct lh_local_reply {
    bool is_ok;
    char error[LH_LOCAL_TEXT];
    struct lh_local_session session;
};
// LH_E_PROTO: not an answer. Unknown members are skipped, missing ones are empty.
lh_err lh_local_reply_parse(const char *text, struct lh_local_reply *out_reply) LH_MUST_CHECK;

#endif
