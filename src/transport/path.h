// SPDX-License-Identifier: Apache-2.0
//
// Where one lane's packets go. A path is the caller's number for a peer address.
//
// A newest authenticated packet from another path (a NAT gave the peer a new port, or it roamed)
// makes that path the candidate: a PATH_CHALLENGE goes there. But a packet proves only that
// somebody can send copies from there: one who sits on the way and is faster can do that with every
// packet, and can pass our challenge on as well. So the path that we have is asked at the same
// time. It wins as long as it answers, for peers leave a path for good (RFC 9000, 9.3.3); the lane
// moves when the candidate has answered and the old path had two round trips to do so and did not.
// It is asked for a while after that, too: an answer brings the lane back. What turned out to be a
// copier's path is not looked at for LH_PATH_REFUSED.
//
// Before a path is validated, we send at most three times the bytes received from it (RFC 9000,
// 8.1).
#ifndef LH_TRANSPORT_PATH_H
#define LH_TRANSPORT_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "transport/random.h"

#define LH_PATH_NONE      UINT32_MAX
#define LH_PATH_RESPONSES 4
#define LH_PATH_TRIES     8
#define LH_PATH_AMPLIFY   3
#define LH_PATH_REFUSED   (10 * LH_SECOND)

struct lh_path_budget {
    uint64_t received, sent; // bytes
};

// One path that is being asked, and when to ask again.
struct lh_path_question {
    uint32_t path; // LH_PATH_NONE: none
    uint64_t token;
    uint32_t tries;
    lh_ns asked_at; // first
    lh_ns next_at;  // LH_NEVER: no more
};

struct lh_path {
    uint32_t current; // LH_PATH_NONE: nobody known
    bool validated;
    struct lh_path_budget current_budget; // counts until validated

    struct lh_path_question candidate;
    struct lh_path_budget candidate_budget;
    bool candidate_answered; // it waits for the old path's silence
    lh_ns move_at;           // LH_NEVER: not decided by time

    struct lh_path_question old; // the current one, or the one that we left for it
    uint32_t refused;            // a copier's
    lh_ns refused_until;

    struct lh_path_response { // answers owed, each to where the challenge came from
        uint32_t path;
        uint64_t token;
    } responses[LH_PATH_RESPONSES];
    uint32_t response_count;
};

void lh_path_init(struct lh_path *path);
// Goes there without asking anybody.
void lh_path_set(struct lh_path *path, uint32_t to, bool validated);
// An authenticated packet of `bytes` came from `from`.
void lh_path_on_packet(struct lh_path *path,
                       uint32_t from,
                       bool is_newest,
                       size_t bytes,
                       struct lh_random *random,
                       lh_ns now);
// An echo proved that what we send to the current path arrives.
void lh_path_on_echo(struct lh_path *path);
// Nothing comes back on the current path any more: whoever has a better one is welcome.
void lh_path_on_silence(struct lh_path *path);
void lh_path_on_challenge(struct lh_path *path, uint32_t from, uint64_t token);
// True where the lane moved.
bool lh_path_on_response(struct lh_path *path, uint64_t token, lh_ns now);
// Moves where the old path has been silent for long enough; true where it did.
bool lh_path_on_deadline(struct lh_path *path, lh_ns now);

// True where a challenge of `bytes` is to be sent now: which token, to where.
bool lh_path_challenge_due(
    struct lh_path *path, size_t bytes, lh_ns now, uint32_t *out_to, uint64_t *out_token);
void lh_path_challenge_sent(struct lh_path *path, uint32_t to, size_t bytes, lh_ns rtt, lh_ns now);
lh_ns lh_path_deadline(const struct lh_path *path);
// Bytes that may go to the current path now.
uint64_t lh_path_allowance(const struct lh_path *path);
void lh_path_sent(struct lh_path *path, size_t bytes);

#endif
