// SPDX-License-Identifier: Apache-2.0
//
// What a running transfer says about itself. run/ fills plain snapshots and calls the functions of
// a `struct lhcp_report`; cmd/ turns them into a progress line, a summary or JSON. So the display
// is tested without a session, and the session without a terminal.
//
// Names and texts may hold any byte (they may come from the peer): whoever shows them escapes them.
#ifndef LH_RUN_STATUS_H
#define LH_RUN_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "run/held.h"

enum lhcp_phase {
    LHCP_PHASE_CONNECTING,   // ssh logs in, HELLO is exchanged
    LHCP_PHASE_TRANSFERRING, // listing, comparing and sending go on at once
    LHCP_PHASE_FINISHING,    // all bytes are there; verdicts and attributes are under way
    LHCP_PHASE_RETRYING,     // the session broke; waiting to connect again
    LHCP_PHASE_ENDED,
    LHCP_PHASE_N_
};

enum lhcp_lane { // which way the data goes now
    LHCP_LANE_NONE,
    LHCP_LANE_SSH,
    LHCP_LANE_UDP,
    LHCP_LANE_N_
};

struct lhcp_status {
    enum lhcp_phase phase;
    enum lhcp_lane lane;
    lh_ns elapsed; // since the program began

    // Of the whole job, this run and what an earlier one left included.
    bool totals_known;      // the listing is complete: the totals no longer grow
    uint64_t files_total;   // found so far; directories and symlinks are not files
    uint64_t files_done;    // in place, complete and verified (those skipped as unchanged included)
    uint64_t files_skipped; // of those: were there already, nothing was sent
    uint64_t files_failed;  // not transferred; each was reported as a problem
    uint64_t bytes_total;   // content bytes of files_total
    uint64_t bytes_done;    // content bytes that the receiver holds: sent now, resumed or skipped
    uint64_t bytes_verified; // of files_done

    // Of this run.
    uint64_t bytes_sent;          // content bytes that crossed the wire, repetitions not counted
    uint64_t bytes_retransmitted; // content bytes that crossed it again
    uint64_t bytes_udp;  // block bytes that this side sent or took over UDP, repetitions included
    uint64_t bytes_ssh;  // and over the SSH lane
    uint64_t rate;       // content bits/s, over about the last second
    lh_ns rtt;           // smoothed; 0 = not known
    uint64_t ce_packets; // marked CE by the path, in the direction of the data, in this run
    uint32_t loss_ppm;   // packets lost of packets sent in the last second, in millionths
    bool loss_known;     // false: nothing was sent, or on a lane that loses nothing
    uint64_t braked_to;  // bits/s: the policy fixed sends so much only, because less than half of
                         // its target arrives; 0 = it sends at its target, or there is none
    unsigned brakes;     // times that began, in this run
    unsigned retries;    // sessions after the first
    unsigned ssh_logins; // SSH connections made again while a session went on

    const char *name; // file under way, path below the job; NULL = none. Valid during the call only
};

enum lhcp_problem_kind {
    LHCP_PROBLEM_FAILED,  // the file or directory is not in place; the exit status will be 1
    LHCP_PROBLEM_SKIPPED, // left out on purpose (symlinks=skip, special file): not an error
    LHCP_PROBLEM_NOTICE   // worth a line; about no file where name is NULL
};

struct lhcp_problem {
    enum lhcp_problem_kind kind;
    const char *name;   // path as the user knows it, or NULL
    uint16_t exit_code; // ascp-compatible, 0 = none
    const char *text;   // what happened, why, what to do; one line
};

// The end of a run.
struct lhcp_result {
    struct lhcp_status status;  // last figures
    uint16_t exit_code;         // ascp-compatible; 0 exactly when all that was asked for is done
    char text[LH_ERRINFO_TEXT]; // why not; "" where exit_code is 0
    char udp_note[LH_ERRINFO_TEXT]; // why data went over SSH (blocked, --udp off); "" where UDP
                                    // carried it
    char cipher[32];                // of the UDP lane ("aes-128-gcm"), "" = none
    char peer_version[32];          // of lhserver, as it says
    struct lh_held_shares held;     // what the time went to
    bool resumable;                 // the same command again goes on where this one stopped
};

struct lhcp_report {
    void *user;
    // About five times a second while the session lives, and at each change of phase.
    void (*status)(void *user, const struct lhcp_status *status, lh_ns now);
    void (*problem)(void *user, const struct lhcp_problem *problem);
};

#endif
