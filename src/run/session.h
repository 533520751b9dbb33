// SPDX-License-Identifier: Apache-2.0
//
// One end of an established session: transport, lanes and job, joined on an event loop. The same on
// both sides; what differs (who started ssh, who retries, who logs) is in run/client.c and
// run/server.c.
//
// Life: init, then lh_session_turn in every turn of the loop until lh_session_is_over; then `end`
// and what stands beside it tell what became of it; fini.
#ifndef LH_RUN_SESSION_H
#define LH_RUN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "control/hello.h"
#include "job/inbox.h"
#include "run/live.h"
#include "run/loop.h"
#include "run/pipe_lane.h"
#include "run/udp_lane.h"
#include "transfer/job.h"
#include "transport/transport.h"

#define LH_LANE_UDP 1 // the first UDP lane; stands for all of them

// How long a session that lost its SSH channel goes on while its UDP lane is heard, and how long
// without hearing anything (the other side was killed). The latter is enough for a client whose
// address changed: its lane falls silent (3 s at most) and looks for the server again.
#define LH_ORPHAN_MAX    LH_UDP_ALONE_MAX // a client's person may want less
#define LH_ORPHAN_SILENT (5 * LH_SECOND)

// An SSH channel that does not answer for so long, while UDP works, is dead: TCP may take many
// minutes to notice that its address is gone. Asked when UDP was silent for a while, and when
// nothing came for LH_SSH_ASK_AFTER (keep-alives come every LH_KEEPALIVE).
#define LH_SSH_SILENT    (10 * LH_SECOND)
#define LH_SSH_ASK_AFTER (20 * LH_SECOND)

// Without UDP for so long, SSH carries all it can (UDP is still probed).
#define LH_UDP_GIVE_UP (3 * LH_SECOND)

// A server that was asked for nothing by then tells the client (which checks) what UDP brought
// here.
#define LH_UDP_TELL_AFTER (1500 * LH_MS)

enum lh_session_end {
    LH_SESSION_RUNNING,
    LH_SESSION_FINISHED, // the job came to its verdict
    LH_SESSION_CLOSED,   // the other side closed it before, with a code and a reason
    LH_SESSION_BROKEN,   // lost: nothing heard any more. Trying again may help
    LH_SESSION_FAILED    // a protocol error, a forged flood, no memory: trying again would not help
};

struct lh_session_config {
    struct lh_loop *loop;
    const struct lh_session_params *params;
    const struct lh_secret *master;

    int pipe_in, pipe_out; // taken over
    const void *leftover;  // bytes behind HELLO
    size_t leftover_len;
    struct lh_udp_client *udp_client; // taken over; NULL on a server, or where UDP is off
    struct lh_port *udp_port;         // taken over; NULL on a client, or where the port is not ours

    const struct lh_cc_type *cc; // of the UDP lane
    struct lh_cc_limits limits;
    struct lh_live_config live; // pace: what cc and limits are; session_id is filled in

    lh_ns orphan_max; // at most LH_ORPHAN_MAX; 0 = that

    const struct lh_job_request
        *request;                       // client: what to do; NULL = nothing (a check), or a server
    const char *state_dir;              // for the journal; NULL = no resume
    const char *peer;                   // client: "user@host", part of the journal's identity
    const struct lh_job_events *events; // on_finished is called too
    void *user;
};

struct lh_session {
    struct lh_loop *loop;
    struct lh_transport *transport;
    struct lh_pipe_lane pipe;
    struct lh_udp_lanes udp;
    bool has_udp;
    bool was_udp_up;        // data crossed UDP at some time
    bool was_detoured;      // UDP was so slow at some time that SSH carried data, too
    lh_ns udp_missed_since; // began, or the UDP lane's last change of state
    struct lh_ioq *ioq;
    struct lh_channel channel;
    struct lh_job *job;
    struct lh_job_host host;
    struct lh_job_events job_events; // ours, in front of the caller's
    const struct lh_job_events *events;
    void *user;
    bool is_client;
    bool can_attach; // both sides know how to replace a lost SSH channel
    uint64_t receive_budget;
    struct lh_live live;

    enum lh_session_end end;
    bool is_closing; // CLOSE is under way
    lh_ns closing_since;
    bool is_finished; // the verdict is there
    lh_ns close_by;   // when the client closes at the latest once it is; 0 = not yet
    uint16_t verdict_code;
    bool verdict_resumable;
    struct lh_job_counts counts;
    int close_code;
    char reason[LH_REASON_MAX + 1]; // from the verdict or the peer; not escaped
    lh_ns began;
    bool is_udp_told;       // server: the client of a check knows what UDP brought here
    struct lh_inbox *inbox; // client without a job: reads what the server tells; owned
    bool is_udp_known;      // client without a job: the server told
    uint64_t udp_heard;     // packets of ours that reached it over UDP
    lh_ns orphaned_since;   // lane 0 died; 0 = it lives
    lh_ns orphan_max;
    struct lh_cc_limits ssh_limits; // of lane 0, whenever it is made
    uint64_t ssh_packets;           // that came over lane 0 when it was looked at last
    lh_ns ssh_heard_at, ssh_asked_at;
    unsigned attached; // SSH channels that took the place of a lost one
    lh_ns heard_at;    // last authenticated packet
    uint64_t heard_packets;
};

// Takes over pipes and sockets, also on failure. LH_E_*: `info` says why.
lh_err lh_session_init(struct lh_session *session,
                       const struct lh_session_config *config,
                       lh_ns now,
                       struct lh_errinfo *info) LH_MUST_CHECK;
void lh_session_fini(struct lh_session *session); // harmless twice

// One turn of the loop: deadlines, sends. Returns the next deadline.
lh_ns lh_session_turn(struct lh_session *session, lh_ns now);
bool lh_session_is_over(const struct lh_session *session);
// Ends in good order: cancels the job; the verdict (code 28) follows.
void lh_session_cancel(struct lh_session *session, lh_ns now);
// Closes without a job (check), code 0.
void lh_session_close(struct lh_session *session, int code, const char *reason, lh_ns now);

// Another SSH channel in the place of lane 0, which is dead or is left for it. Takes over both
// descriptors, also on failure; the lane is then dead.
lh_err lh_session_attach(struct lh_session *session,
                         int in_fd,
                         int out_fd,
                         const void *leftover,
                         size_t leftover_len,
                         lh_ns now) LH_MUST_CHECK;

// Which way data goes now: LH_LANE_UDP (whichever of them), LH_LANE_SSH, or LH_LANES_MAX for none.
uint8_t lh_session_data_lane(const struct lh_session *session);

#endif
