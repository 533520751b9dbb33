// SPDX-License-Identifier: Apache-2.0
//
// What sshd's messages say: one event a message family, OpenSSH 7 to 10.5.
//
// An address is taken only from a place where sshd alone can have written it. User names, banners,
// certificates and reasons come from strangers and may look like any message; where a line can be
// read in more than one way, the event lists the readings as `alternatives` and names no address:
// watch.h then decides by what it knows of the process, or not at all.
#ifndef LH_WATCH_MESSAGE_H
#define LH_WATCH_MESSAGE_H

#include "watch/addr.h"
#include "watch/span.h"

enum lh_watch_family {
    LH_WATCH_NOTHING,      // not known, or of no interest
    LH_WATCH_FAILED,       // Failed METHOD for ...
    LH_WATCH_INVALID,      // Invalid user ...
    LH_WATCH_NOT_ALLOWED,  // User U [from A] not allowed because ..., ROOT LOGIN REFUSED
    LH_WATCH_CLOSE,        // Connection closed, reset, timed out, Disconnected: before a login
    LH_WATCH_DISCONNECT,   // Disconnecting ...: sshd ended it
    LH_WATCH_MAX_TRIES,    // maximum authentication attempts exceeded
    LH_WATCH_NEGOTIATE,    // Unable to negotiate
    LH_WATCH_NOISE,        // not the SSH protocol, or broken on purpose
    LH_WATCH_BARE,         // a connection that ended without a word of the protocol
    LH_WATCH_TIMEOUT,      // Timeout before authentication
    LH_WATCH_DROP,         // drop connection ... past MaxStartups, PerSourceMaxStartups
    LH_WATCH_DROP_PENALTY, // drop connection ... penalty: ...
    LH_WATCH_PENALTY,      // srclimit_penalise: ...
    LH_WATCH_THROTTLED,    // N connections dropped, of whom is not said
    LH_WATCH_PAM,          // pam_...: authentication failure, PAM N more authentication failures
    LH_WATCH_PAM_ERROR,    // error: PAM: ... for U from A
    LH_WATCH_REFUSED,      // refused connect from (wrappers)
    LH_WATCH_ACCEPTED,     // Accepted METHOD for ...
    LH_WATCH_CONNECTED,    // Connection from A port P (LogLevel VERBOSE)
    LH_WATCH_GONE,         // ends or goes on without a failure: of use for the address only
    LH_WATCH_CRASH,        // sshd's own process died on this connection
    LH_WATCH_FORGED_NAME,  // Nasty PTR record
    LH_WATCH_FAMILY_N_
};

enum lh_watch_method {
    LH_WATCH_METHOD_OTHER,
    LH_WATCH_METHOD_PASSWORD,
    LH_WATCH_METHOD_KEYBOARD,
    LH_WATCH_METHOD_PUBLICKEY,
    LH_WATCH_METHOD_HOSTBASED,
    LH_WATCH_METHOD_GSSAPI,
    LH_WATCH_METHOD_NONE,
    LH_WATCH_METHOD_N_
};

// Why sshd penalises a source.
enum lh_watch_penalty {
    LH_WATCH_PENALTY_OTHER,
    LH_WATCH_PENALTY_AUTH,    // failed authentication
    LH_WATCH_PENALTY_INVALID, // attempted authentication by invalid user
    LH_WATCH_PENALTY_NOAUTH,  // connections without attempting authentication
    LH_WATCH_PENALTY_GRACE,   // exceeded LoginGraceTime
    LH_WATCH_PENALTY_CRASH,   // caused crash
    LH_WATCH_PENALTY_REFUSE,  // connection prohibited by RefuseConnection
    LH_WATCH_PENALTY_N_
};

struct lh_endpoint {
    struct lh_watch_addr addr;
    uint16_t port; // 0: not said
};

#define LH_WATCH_ALTERNATIVES_MAX 4

struct lh_watch_event {
    enum lh_watch_family family;
    enum lh_watch_method method;
    enum lh_watch_penalty penalty;
    bool has_peer;
    bool whole_network; // `peer` is a network of `network_bits`, as penalties name it
    uint8_t network_bits;
    bool invalid_user; // sshd says that there is no such user
    bool has_user;
    bool preauth;        // before a login
    bool cut;            // as long as sshd's messages get: its end may be missing
    bool authenticating; // a close whose line names the user that was trying
    bool deferred;       // a penalty that is below sshd's threshold and shuts nobody out (yet)
    bool single;         // a penalty that is the source's only one: none before it was running
    uint32_t count;      // tries or connections that the line stands for
    uint32_t child;      // the process that a listener's line speaks of; 0: its own
    struct lh_endpoint peer;
    struct lh_span user;                                        // as sshd escaped it; may be empty
    struct lh_endpoint alternatives[LH_WATCH_ALTERNATIVES_MAX]; // of an ambiguous line
    uint8_t alternative_count; // 0, or 2 and more; more readings than fit are as good as none
};

#define LH_WATCH_MESSAGE_MAX 500 // sshd hands no more to syslog

// Reads one message of sshd's, without stamp and tag. Returns its family (LH_WATCH_NOTHING where
// it is none of interest), which is also in `out_event`. `out_event->user` lies in `message`.
enum lh_watch_family lh_watch_message_parse(struct lh_span message,
                                            struct lh_watch_event *out_event);

// "password", "publickey", ...
const char *lh_watch_method_name(enum lh_watch_method method);
// A short name of a family for machines, "failed", "invalid-user", ...
const char *lh_watch_family_name(enum lh_watch_family family);

#endif
