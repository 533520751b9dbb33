// SPDX-License-Identifier: Apache-2.0
//
// Who attacks: verdicts on sources, networks and users, and what looks like an attack but is none.
#ifndef LH_WATCH_JUDGE_H
#define LH_WATCH_JUDGE_H

#include "watch/watch.h"

enum lh_attack {
    LH_ATTACK_BREACH,     // a login after failures: perhaps they got in
    LH_ATTACK_CRASH,      // a connection killed a process of sshd's
    LH_ATTACK_DICTIONARY, // many user names
    LH_ATTACK_SPRAY,      // many users who exist, few tries each
    LH_ATTACK_BURST,      // 5 tries within 10 s
    LH_ATTACK_STEADY,     // 5 tries within 10 min
    LH_ATTACK_SLOW,       // 8 tries over hours to weeks
    LH_ATTACK_PENALTY,    // sshd shut it out by penalties
    LH_ATTACK_FLOOD,      // connections in masses
    LH_ATTACK_STALL,      // connections that never log in, until LoginGraceTime
    LH_ATTACK_MANY,       // one user from many sources: one of them
    LH_ATTACK_NETWORK,    // many sources of one network: one of them
    LH_ATTACK_SCAN,       // does not speak the protocol, or only looks
    LH_ATTACK_N_
};

// Why a source that fails is not reported.
enum lh_harmless {
    LH_HARMLESS_QUIET,    // a few failures
    LH_HARMLESS_TYPO,     // failures, then a login
    LH_HARMLESS_AGENT,    // an agent that offers many keys
    LH_HARMLESS_OFFICE,   // several users behind one address, who log in
    LH_HARMLESS_PARALLEL, // many sessions at a time, which log in
    LH_HARMLESS_CHECK,    // connects and leaves: a monitor's health check, or a passing scanner
    LH_HARMLESS_CLIENT,   // no common algorithm: an old client
    LH_HARMLESS_LOGIN,    // logs in, and nothing else
    LH_HARMLESS_N_
};

enum lh_severity {
    LH_SEVERITY_LOOK,   // worth a look, no more
    LH_SEVERITY_ATTACK, //
    LH_SEVERITY_ALARM   // act now
};

enum lh_guard {
    LH_GUARDED_NOT,
    LH_GUARDED_LOGIN, // somebody logged in from there, of IPv6 from its /64, within 30 days
    LH_GUARDED_LIST,  // the caller's list (own addresses, gateway, ...)
};

struct lh_verdict {
    // One of them: what the verdict is on.
    const struct lh_source *source;
    const struct lh_network *network;
    const struct lh_user *user;

    enum lh_attack kind; // the gravest
    uint32_t kinds;      // all, as bits
    enum lh_severity severity;
    unsigned confidence; // percent
    uint32_t tries;
    uint32_t users;   // different ones
    uint32_t sources; // of networks and users
    uint32_t silent;  // connections of which the log tells no end
    int64_t first, last;
    bool alphabetical; // user names rose more often than by chance (less than 1 in 700)
    bool regular;      // the gaps are alike: a program's
    enum lh_guard guard;
    const char *guard_reason; // of LH_GUARDED_LIST
};

struct lh_judgement {
    struct lh_verdict *verdicts; // owned; the gravest first
    size_t count;
    size_t sources, networks, users, alarms; // of which
    struct lh_harmless_row {
        const struct lh_source *source;
        enum lh_harmless kind;
    } * harmless; // owned; those with most connections first
    size_t harmless_count;
};

// Judges everything known. The result points into `watch`. LH_E_NOMEM.
lh_err lh_judge(const struct lh_watch *watch, struct lh_judgement *out) LH_MUST_CHECK;
void lh_judgement_fini(struct lh_judgement *judgement);

// Whether the verdict's source should be shut out: an attack of 60 % confidence at least, of a
// source that is not guarded and can be on the network.
bool lh_verdict_blocks(const struct lh_verdict *verdict);

const char *lh_attack_name(enum lh_attack kind);     // "dictionary"
const char *lh_attack_words(enum lh_attack kind);    // "many user names"
const char *lh_harmless_name(enum lh_harmless kind); // "health-check"
const char *lh_harmless_words(enum lh_harmless kind);

#endif
