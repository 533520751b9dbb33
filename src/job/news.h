// SPDX-License-Identifier: Apache-2.0
//
// Messages about the session rather than the job (job/message.h): how fast to send, what happens,
// what held the data back. All are optional; a peer that does not know them skips them.
#ifndef LH_JOB_NEWS_H
#define LH_JOB_NEWS_H

#include <stddef.h>
#include <stdint.h>

// Bytes that are a name, a path or a reason: any but NUL. Borrowed.
struct lh_text {
    const char *data;
    size_t len;
};

enum lh_pace_policy { LH_PACE_FAIR, LH_PACE_HIGH, LH_PACE_FIXED, LH_PACE_LOW, LH_PACE_N_ };

// Each is a whole: what it does not name is none.
struct lh_msg_pace {
    uint8_t policy;       // enum lh_pace_policy; FIXED needs a target
    uint64_t rate_target; // bytes/s of IP datagrams, 0 = none
    uint64_t rate_min;    // likewise; at most rate_target where that is given
};

// What a sender says of itself when it changes, so that the other end can show it.
struct lh_msg_paced {
    struct lh_msg_pace pace; // in force
    uint64_t braked_to;      // bytes/s that the policy fixed fell back to; 0 = it did not
    uint8_t is_detoured;     // 1: blocks go over SSH as well, because UDP is crippled
};

struct lh_msg_trace {
    uint32_t interval_us; // samples at least so far apart; the server may make it longer
};

#define LH_TRACED_MAX 1280 // bytes of text

struct lh_msg_traced {
    uint64_t at_us;      // since the server's session began
    struct lh_text text; // the fields of a JSON object, without braces and time; printable ASCII
};

// Time by what held the data back at this end, since its session began, in microseconds.
struct lh_msg_held {
    uint64_t network, policy, window, disk, cpu, idle;
    uint64_t socket_drops; // datagrams that our own sockets dropped
};

#endif
