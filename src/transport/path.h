// SPDX-License-Identifier: Apache-2.0
//
// Where one lane's packets go. A path is the caller's number for a peer address.
//
// A newest authenticated packet from another path (a NAT gave the peer a new port, or it roamed)
// makes that path the candidate: a PATH_CHALLENGE goes there, and the lane moves when the token
// comes back. Until then the old path is used. Before a path is validated, we send at most three
// times the bytes received from it (RFC 9000, 8.1).
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

struct lh_path_budget {
    uint64_t received, sent; // bytes
};

struct lh_path {
    uint32_t current; // LH_PATH_NONE: nobody known
    bool validated;
    struct lh_path_budget current_budget; // counts until validated

    uint32_t candidate; // LH_PATH_NONE: none
    struct lh_path_budget candidate_budget;
    uint64_t token;
    uint32_t tries;
    lh_ns challenge_at;

    struct lh_path_response { // answers owed, each to where the challenge came from
        uint32_t path;
        uint64_t token;
    } responses[LH_PATH_RESPONSES];
    uint32_t response_count;
};

void lh_path_init(struct lh_path *path);
void lh_path_set(struct lh_path *path, uint32_t to, bool validated);
// An authenticated packet of `bytes` came from `from`. True where a challenge is due now.
void lh_path_on_packet(struct lh_path *path,
                       uint32_t from,
                       bool is_newest,
                       size_t bytes,
                       struct lh_random *random,
                       lh_ns now);
// An echo proved that what we send to the current path arrives.
void lh_path_on_echo(struct lh_path *path);
void lh_path_on_challenge(struct lh_path *path, uint32_t from, uint64_t token);
// True where the lane moved.
bool lh_path_on_response(struct lh_path *path, uint64_t token);

// True where a challenge is to be sent to `candidate` now (and its budget allows `bytes`).
bool lh_path_challenge_due(struct lh_path *path, size_t bytes, lh_ns now);
void lh_path_challenge_sent(struct lh_path *path, size_t bytes, lh_ns rtt, lh_ns now);
lh_ns lh_path_deadline(const struct lh_path *path);
// Bytes that may go to the current path now.
uint64_t lh_path_allowance(const struct lh_path *path);
void lh_path_sent(struct lh_path *path, size_t bytes);

#endif
