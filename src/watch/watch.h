// SPDX-License-Identifier: Apache-2.0
//
// The rolling state of `lhctl attacks`: what is known of sources, networks, users and connections.
//
// It is fed with events in the order of the log and keeps within a fixed amount of memory (about 45
// MB), whatever comes. judge.h reads it. No clock: time is that of the log.
#ifndef LH_WATCH_WATCH_H
#define LH_WATCH_WATCH_H

#include "base/err.h"
#include "watch/distinct.h"
#include "watch/line.h"
#include "watch/message.h"
#include "watch/slots.h"
#include "watch/timeline.h"

#define LH_WATCH_SOURCE_SETS  4096 // of eight: 32,768 sources
#define LH_WATCH_NET_SETS     1024
#define LH_WATCH_USER_SETS    1024
#define LH_WATCH_CONN_SETS    2048
#define LH_WATCH_NAMES        6 // user names kept of a source
#define LH_WATCH_NAME_MAX     32
#define LH_WATCH_EVIDENCE_MAX 8 // the first half and the last half
#define LH_WATCH_RECENT       10
#define LH_WATCH_GAPS         24 // powers of two of seconds

// Where an event stands.
struct lh_place {
    uint32_t file; // number of the input
    uint32_t port; // remote port, where known
    uint64_t line; // from 1; of the journal: microseconds since 1970
};

// What is counted of a source. Tries are counted in halves: an agent that offers a key of a user
// who exists makes half a try.
enum lh_watch_count {
    LH_COUNT_CONNECTIONS,
    LH_COUNT_HALF_TRIES,
    LH_COUNT_PASSWORDS,     // of which failed passwords
    LH_COUNT_KEYS,          // failed keys of users who exist
    LH_COUNT_INVALID,       // connections that named a user who does not exist
    LH_COUNT_ROOT,          // connections that named root
    LH_COUNT_NOISE,         // not the protocol
    LH_COUNT_NEGOTIATE,     // no common algorithm
    LH_COUNT_BARE,          // said nothing
    LH_COUNT_TIMEOUTS,      // never logged in, until LoginGraceTime
    LH_COUNT_DROPS,         // thrown out by MaxStartups or PerSourceMaxStartups
    LH_COUNT_PENALTY_DROPS, // thrown out by a penalty
    LH_COUNT_IDLE_DROPS,    // of which the penalty was for connections without a try
    LH_COUNT_PENALTIES,     // penalties that became active, for tries
    LH_COUNT_CRASHES,
    LH_COUNT_SUCCESSES,
    LH_COUNT_N_
};

enum lh_watch_pace {
    LH_PACE_BURST = 1,  // 5 tries within 10 s
    LH_PACE_FAST = 2,   // 10 within 10 min
    LH_PACE_STEADY = 4, // 5 within 10 min
};

struct lh_breach {
    int64_t time;    // 0: none
    uint32_t tries;  // failures of the source before it
    uint32_t others; // sources that had failed with the same user
    enum lh_watch_method method;
    struct lh_place place;
    char user[LH_WATCH_NAME_MAX];
};

struct lh_source {
    struct lh_slot slot;
    struct lh_watch_addr addr;
    int64_t first, last;
    int64_t last_try, last_success;
    uint32_t counts[LH_COUNT_N_];
    uint32_t told;   // kinds of attack that were told already (--follow)
    uint32_t missed; // tries before it was listed (an estimate)
    uint32_t halves_since_success;
    uint32_t penalties_since_success; // for failures
    uint32_t strange_halves;          // guesses at users who never logged in from here
    int64_t failing_since;            // first try since the last login; 0: none
    uint64_t failing_user;            // hash of the one user tried since; 0: not known
    uint8_t failing_mixed;            // more than one user was: 0 or 1
    uint8_t failing_fast;             // at a program's pace: 0 or 1
    uint8_t pace;                     // enum lh_watch_pace
    uint8_t names_count;              // of names
    uint8_t recent_at;                // next place in recent
    uint8_t evidence_at;              // next place in the second half of evidence
    uint32_t recent[LH_WATCH_RECENT]; // times of the last tries
    struct lh_distinct users;         // that were tried
    struct lh_known logged_in;        // users
    uint32_t user_steps, user_rises;  // changes of the user tried; those that went up the alphabet
    uint32_t run, run_longest;        // users in alphabetical order
    uint32_t port_steps, port_near;   // changes of the remote port; those by at most 8
    uint16_t last_port;
    uint32_t gaps[LH_WATCH_GAPS]; // between connections, by powers of two of seconds
    int64_t last_connection;
    char names[LH_WATCH_NAMES][LH_WATCH_NAME_MAX]; // as sshd escaped them, cut
    char last_user[LH_WATCH_NAME_MAX];
    struct lh_place evidence[LH_WATCH_EVIDENCE_MAX]; // line 0: none
    struct lh_breach breach;
    struct lh_timeline timeline;
};

struct lh_network {
    struct lh_slot slot;
    struct lh_watch_addr addr;
    int64_t first, last, last_success;
    uint32_t half_tries, successes, penalties, drops;
    struct lh_distinct sources, users;
    struct lh_place place; // first
};

struct lh_user {
    struct lh_slot slot;
    int64_t first, last, last_success;
    uint32_t half_tries, successes;
    struct lh_distinct sources; // that tried it
    bool invalid;
    char name[LH_WATCH_NAME_MAX];
    struct lh_place place; // first
};

// Of the whole log.
struct lh_watch_totals {
    int64_t first, last;
    uint64_t lines;                        // read, sshd's or not
    uint64_t messages;                     // sshd's
    uint64_t families[LH_WATCH_FAMILY_N_]; // of which understood
    uint64_t failed[LH_WATCH_METHOD_N_];   // "Failed" lines by method
    uint64_t half_tries, successes, root_tries, password_successes;
    uint64_t
        ambiguous; // lines that can be read in more than one way, and whose process is not known
    uint64_t unjoined;  // lines without an address whose process is not known
    uint64_t throttled; // connections dropped of which only the number is logged
    struct lh_timeline tries, logins;
};

struct lh_watch {
    uint64_t seed;
    struct lh_slots sources, networks, users, connections;
    struct lh_sketch sketch;
    struct lh_watch_totals totals;
};

// `seed` should be secret, so that nobody can choose sources that share a set. LH_E_NOMEM.
lh_err lh_watch_init(struct lh_watch *watch, uint64_t seed) LH_MUST_CHECK;
// The same with room for a handful of sources, networks and users: for those who read lines once
// more and only ask whose each is.
lh_err lh_watch_init_lines(struct lh_watch *watch, uint64_t seed) LH_MUST_CHECK;
void lh_watch_fini(struct lh_watch *watch);

// Takes one of sshd's messages in. Returns its family; `out_addr` becomes the source that it is
// about, or all zeros where that is not known (yet).
enum lh_watch_family lh_watch_take(struct lh_watch *watch,
                                   const struct lh_watch_record *record,
                                   const struct lh_place *place,
                                   struct lh_watch_addr *out_addr);

struct lh_source *lh_watch_source(const struct lh_watch *watch, const struct lh_watch_addr *addr);
struct lh_user *lh_watch_user(const struct lh_watch *watch, struct lh_span name);

// Whether the log tells of a login over the connection from `peer`, lately.
bool lh_watch_logged_in(const struct lh_watch *watch, const struct lh_endpoint *peer);

// The `index`th of the lines kept of a source, in the order of the log: the first ones, then the
// last ones. Line 0: there are fewer.
const struct lh_place *lh_source_evidence(const struct lh_source *source, unsigned index);

// Whole tries of a source, with those before it was listed.
uint32_t lh_source_tries(const struct lh_source *source);

#endif
