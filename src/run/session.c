// SPDX-License-Identifier: Apache-2.0
//
// How it works. The loop's handlers (pipe, sockets, disk work) feed the transport and the job; both
// only note what there is to do. Once all handlers of a turn have run, lh_session_turn lets the
// transport's deadlines fire and moves packets into lanes. Lane 0 exists from the start, so the
// job's first messages leave with the first turn.
//
// The end. The job comes to a verdict on both sides; the client then closes the transport, the
// server waits for that. CLOSE is repeated by the transport for a moment, so the session lingers
// until the pipe has taken everything. A session whose SSH channel dies goes on over UDP for a
// while (LH_ORPHAN_MAX, or less by --udp-alone) as long as it hears the other side; one that hears
// nothing ends within LH_ORPHAN_SILENT, so that a killed client's server lets go of the journal
// soon.
#include "run/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"
#include "run/cipher.h"
#include "sys/clock.h"

#define DISK_THREADS 2
#define LINGER_MAX   LH_SECOND
#define FLUSH_MAX    (3 * LH_SECOND) // for the last words of a job

// --- The job's channel is the transport ---

static lh_err channel_send_block(void *ctx, uint8_t *data, size_t len, uint32_t *out_block)
{
    struct lh_session *session = ctx;
    return lh_transport_send_block(session->transport, data, len, out_block);
}

static bool channel_block_unload(void *ctx, uint32_t block)
{
    struct lh_session *session = ctx;
    return lh_transport_block_unload(session->transport, block);
}

static bool channel_block_supply(void *ctx, uint32_t block, uint8_t *data)
{
    struct lh_session *session = ctx;
    return lh_transport_block_supply(session->transport, block, data);
}

static void channel_block_release(void *ctx, uint32_t block)
{
    struct lh_session *session = ctx;
    lh_live_on_release(&session->live);
    lh_transport_block_release(session->transport, block);
}

static void channel_runs_release(void *ctx, size_t bytes)
{
    struct lh_session *session = ctx;
    lh_transport_runs_release(session->transport, bytes);
}

static lh_err channel_stream_write(void *ctx, const void *data, size_t len)
{
    struct lh_session *session = ctx;
    return lh_transport_stream_write(session->transport, data, len);
}

static void channel_stream_consumed(void *ctx, size_t len)
{
    struct lh_session *session = ctx;
    lh_transport_stream_consumed(session->transport, len);
}

// --- The transport's events go to the job ---

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct lh_session *session = user;
    lh_live_on_block(&session->live, len);
    if (session->job != NULL)
        lh_job_on_block(session->job, block, data, len);
    else
        lh_transport_block_release(session->transport, block);
}

static void on_block_acked(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct lh_session *session = user;
    LH_ASSERT(session->job != NULL); // who else would have sent it
    lh_job_on_block_acked(session->job, block, data, len);
}

static lh_err on_message_without_job(void *user, const struct lh_message *message)
{
    struct lh_session *session = user;
    if (message->type == LH_MESSAGE_UDP_HEARD) {
        session->is_udp_known = true;
        session->udp_heard = message->as.udp_heard;
    }
    return 0;
}

static void on_stream(void *user, const uint8_t *data, size_t len)
{
    struct lh_session *session = user;
    if (session->job != NULL) {
        lh_job_on_stream(session->job, data, len);
        return;
    }
    lh_transport_stream_consumed(session->transport, len);
    if (session->inbox != NULL &&
        lh_inbox_take(session->inbox, data, len, on_message_without_job, session) != 0) {
        free(session->inbox); // nonsense: hear no more of it
        session->inbox = NULL;
    }
}

static void on_writable(void *user)
{
    struct lh_session *session = user;
    if (session->job != NULL)
        lh_job_on_writable(session->job);
}

static void ask_ssh(struct lh_session *session, lh_ns now)
{
    session->ssh_asked_at = now;
    lh_transport_ping(session->transport, LH_LANE_SSH, now);
}

static void on_lane_state(void *user, uint8_t lane, enum lh_lane_state state)
{
    struct lh_session *session = user;

    if (lane != LH_LANE_SSH && session->has_udp) {
        // The way changed: does the other one still work?
        if (state == LH_LANE_UP && session->was_udp_up)
            ask_ssh(session, lh_loop_now(session->loop));
        session->was_udp_up |= state == LH_LANE_UP;
        session->udp_missed_since = lh_loop_now(session->loop);
        lh_udp_lanes_on_state(&session->udp, lane, state, lh_loop_now(session->loop));
    }
    if (lane == LH_LANE_SSH && state == LH_LANE_DEAD) {
        session->orphaned_since = lh_loop_now(session->loop);
        session->heard_at = session->orphaned_since;
    }
}

static void on_closed(void *user, int code, const char *reason, size_t reason_len)
{
    struct lh_session *session = user;
    size_t len = LH_MIN(reason_len, sizeof session->reason - 1);

    if (session->end != LH_SESSION_RUNNING || session->is_closing)
        return;
    session->close_code = code;
    if (session->is_finished && code >= 0) {
        session->end = LH_SESSION_FINISHED;
        return;
    }
    memcpy(session->reason, reason, len);
    session->reason[len] = '\0';
    if (code >= 0)
        session->end = LH_SESSION_CLOSED;
    else
        session->end = code == LH_E_TIMEOUT ? LH_SESSION_BROKEN : LH_SESSION_FAILED;
}

static enum lh_early
on_block_begin(void *user, uint32_t block, const uint8_t *head, size_t head_len, size_t len)
{
    static const enum lh_early answers[] = {
        [LH_TAKE_NEVER] = LH_EARLY_NEVER,
        [LH_TAKE_LATER] = LH_EARLY_LATER,
        [LH_TAKE_NOW] = LH_EARLY_TAKEN,
    };
    struct lh_session *session = user;
    if (session->job == NULL)
        return LH_EARLY_NEVER;
    return answers[lh_job_on_block_begin(session->job, block, head, head_len, len)];
}

static void on_block_run(void *user, uint32_t block, size_t offset, const uint8_t *data, size_t len)
{
    struct lh_session *session = user;
    lh_job_on_block_run(session->job, block, offset, data, len);
}

static void on_block_end(void *user, uint32_t block, size_t len)
{
    struct lh_session *session = user;
    lh_live_on_block(&session->live, len);
    lh_job_on_block_end(session->job, block);
}

static void on_block_wanted(void *user, uint32_t block)
{
    struct lh_session *session = user;
    lh_job_on_block_wanted(session->job, block);
}

static const struct lh_transport_events transport_events = {
    .on_block = on_block,
    .on_block_acked = on_block_acked,
    .on_stream = on_stream,
    .on_writable = on_writable,
    .on_lane_state = on_lane_state,
    .on_closed = on_closed,
    .on_block_begin = on_block_begin,
    .on_block_run = on_block_run,
    .on_block_end = on_block_end,
    .on_block_wanted = on_block_wanted,
};

// --- The job's events pass through to the caller ---

static void pass_problem(void *user, const struct lh_job_problem *problem)
{
    struct lh_session *session = user;
    session->events->on_problem(session->user, problem);
}

static void pass_file(void *user, const struct lh_job_file *file)
{
    struct lh_session *session = user;
    if (session->events->on_file != NULL)
        session->events->on_file(session->user, file);
}

static void on_job_finished(void *user, const struct lh_job_verdict *verdict)
{
    struct lh_session *session = user;
    size_t len = strnlen(verdict->text, sizeof session->reason - 1);

    session->is_finished = true;
    session->verdict_code = verdict->code;
    session->verdict_resumable = verdict->resumable;
    session->counts = verdict->counts;
    memcpy(session->reason, verdict->text, len);
    session->reason[len] = '\0';
    session->events->on_finished(session->user, verdict);
    // What the job said last must arrive before CLOSE, which ends everything; a server waits for
    // that CLOSE, unless it is the server that cannot go on.
    if (verdict->err == 0)
        session->close_by = lh_loop_now(session->loop) + FLUSH_MAX;
    else
        lh_session_close(session, verdict->code, session->reason, lh_loop_now(session->loop));
}

static void on_news(void *user, const struct lh_message *message)
{
    struct lh_session *session = user;
    lh_live_on_news(&session->live, message);
}

static void on_disk_work_done(void *user, uint32_t events, lh_ns now)
{
    struct lh_session *session = user;
    (void)events;
    (void)now;
    (void)lh_ioq_reap(session->ioq);
}

// --- Making one ---

static lh_err add_ssh_lane(struct lh_session *session, lh_ns now)
{
    struct lh_lane_config lane = {.lane = LH_LANE_SSH,
                                  .cc = &lh_cc_pipe,
                                  .limits = session->ssh_limits,
                                  .payload_max = LH_SSH_FRAME_MAX,
                                  .inflight_max = LH_SSH_PIPE_EARLY};

    session->ssh_heard_at = now;
    session->ssh_packets = 0;
    return lh_transport_add_lane(session->transport, &lane, now);
}

static lh_err make_transport(struct lh_session *session,
                             const struct lh_session_config *config,
                             lh_ns now,
                             struct lh_errinfo *info)
{
    const struct lh_session_params *params = config->params;
    struct lh_transport_config transport = {
        .is_client = params->is_client,
        .session_id = params->session_id,
        .aead = lh_cipher_fastest(params->aead),
        .master = *config->master,
        .epoch_shift = params->epoch_shift,
        .block_max = ((uint32_t)1 << params->block_log2) + LH_BLOCK_HEADER_MAX,
        .block_full = ((uint32_t)1 << params->block_log2) + LH_BLOCK_HEAD, // of a large file
        .receive_budget = params->own_receive_budget,
        .has_ecn = (params->features & LH_FEATURE_ECN) != 0,
        .events = &transport_events,
        .user = session,
    };
    lh_err err;

    session->ssh_limits = config->limits;
    LH_ASSERT(transport.aead != NULL);
    lh_entropy_fill(&transport.seed, sizeof transport.seed);
    err = lh_transport_new(&transport, now, &session->transport);
    lh_secret_fini(&transport.master);
    if (err == 0)
        err = add_ssh_lane(session, now);
    if (err != 0)
        return lh_fail(info, err, LH_CODE_INTERNAL, "cannot set up the transport: %s",
                       lh_err_name(err));
    session->channel = (struct lh_channel){.ctx = session,
                                           .send_block = channel_send_block,
                                           .block_unload = channel_block_unload,
                                           .block_supply = channel_block_supply,
                                           .block_release = channel_block_release,
                                           .runs_release = channel_runs_release,
                                           .stream_write = channel_stream_write,
                                           .stream_consumed = channel_stream_consumed};
    return 0;
}

static lh_err make_udp_lanes(struct lh_session *session,
                             const struct lh_session_config *config,
                             lh_ns now,
                             struct lh_errinfo *info)
{
    lh_err err;

    if (config->udp_client == NULL && config->udp_port == NULL)
        return 0;
    session->has_udp = true; // from here on the sockets are the lane's, also when it fails
    err =
        lh_udp_lanes_init(&session->udp, session->loop, config->udp_client, config->udp_port, info);
    if (err != 0)
        return err;
    struct lh_lane_config lane = {
        .cc = config->cc, .limits = config->limits, .payload_max = config->params->packet_max};
    err = lh_udp_lanes_start(&session->udp, session->transport, &lane,
                             LH_MAX(config->params->lanes_max, 2) - 1u, now);
    if (err != 0)
        return lh_fail(info, err, LH_CODE_UDP_SETUP, "cannot set up the UDP lanes: %s",
                       lh_err_name(err));
    return 0;
}

static lh_err make_job(struct lh_session *session,
                       const struct lh_session_config *config,
                       struct lh_errinfo *info)
{
    if (config->params->is_client && config->request == NULL) {
        session->inbox = malloc(sizeof *session->inbox);
        if (session->inbox == NULL)
            return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "no memory for the session");
        lh_inbox_init(session->inbox);
        return 0;
    }
    session->job_events = (struct lh_job_events){pass_problem, pass_file, on_job_finished, on_news};
    session->host = (struct lh_job_host){
        .channel = &session->channel,
        .ioq = session->ioq,
        .block_size = (uint32_t)1 << config->params->block_log2,
        .read_ahead = config->params->own_receive_budget,
        .state_dir = config->state_dir,
        .peer = config->peer,
        .events = &session->job_events,
        .user = session,
    };
    if (config->params->is_client)
        return lh_job_new_client(&session->host, config->request, &session->job, info);
    return lh_job_new_server(&session->host, &session->job, info);
}

lh_err lh_session_init(struct lh_session *session,
                       const struct lh_session_config *config,
                       lh_ns now,
                       struct lh_errinfo *info)
{
    lh_err err;

    *session = (struct lh_session){
        .loop = config->loop,
        .receive_budget = config->params->own_receive_budget,
        .events = config->events,
        .user = config->user,
        .is_client = config->params->is_client,
        .can_attach = (config->params->features & LH_FEATURE_ATTACH) != 0,
        .orphan_max = config->orphan_max != 0 ? config->orphan_max : LH_ORPHAN_MAX,
        .began = now,
        .udp_missed_since = now,
        .heard_at = now};
    err = lh_pipe_lane_init(&session->pipe, config->loop, config->pipe_in, config->pipe_out, info);
    if (err == 0)
        err = lh_ioq_new(DISK_THREADS, &session->ioq, info);
    if (err == 0)
        err =
            lh_loop_add(config->loop, lh_ioq_fd(session->ioq), EPOLLIN, on_disk_work_done, session);
    if (err == 0)
        err = make_transport(session, config, now, info);
    if (err == 0)
        err = make_udp_lanes(session, config, now, info);
    if (!session->has_udp) {
        lh_udp_client_close(config->udp_client);
        lh_port_close(config->udp_port);
    }
    if (err == 0)
        err = make_job(session, config, info);
    if (err == 0)
        err = lh_pipe_lane_start(&session->pipe, session->transport, config->leftover,
                                 config->leftover_len, now);
    if (err != 0) {
        lh_session_fini(session);
        return lh_fail(info, err, LH_CODE_INTERNAL, "cannot set up the session: %s",
                       lh_err_name(err));
    }
    struct lh_live_config live = config->live;
    live.session_id = config->params->session_id;
    lh_live_init(&session->live, session, &live, now);
    if (session->job != NULL)
        lh_job_start(session->job);
    return 0;
}

void lh_session_fini(struct lh_session *session)
{
    lh_live_fini(&session->live);
    if (session->ioq != NULL) {
        lh_loop_remove(session->loop, lh_ioq_fd(session->ioq));
        lh_ioq_free(session->ioq); // waits for running tasks, which use the job
        session->ioq = NULL;
    }
    if (session->has_udp)
        lh_udp_lanes_fini(&session->udp);
    session->has_udp = false;
    lh_pipe_lane_fini(&session->pipe);
    lh_transport_free(session->transport);
    session->transport = NULL;
    lh_job_free(session->job);
    session->job = NULL;
    free(session->inbox);
    session->inbox = NULL;
}

// --- Running ---

// Notes when the other side was last heard, by the count of authenticated packets.
static void listen_for_life(struct lh_session *session, lh_ns now)
{
    struct lh_lane_stats ssh, udp = {0};

    lh_transport_lane_stats(session->transport, LH_LANE_SSH, &ssh);
    if (session->has_udp)
        lh_udp_lanes_stats(&session->udp, &udp);
    uint64_t packets = ssh.packets_received + udp.packets_received;
    if (packets != session->heard_packets) {
        session->heard_packets = packets;
        session->heard_at = now;
    }
}

// Blocks that lie in the SSH pipe cannot go another way any more, so little may lie there while UDP
// may still come; once UDP is given up, or where there is none, as much as the pipe's window needs.
static void size_pipe(struct lh_session *session, lh_ns now)
{
    bool udp_may_come = session->has_udp;

    if (session->has_udp && !lh_udp_lanes_are_up(&session->udp))
        udp_may_come = now < session->udp_missed_since + LH_UDP_GIVE_UP;
    if (lh_transport_is_detoured(session->transport)) {
        session->was_detoured = true;
        udp_may_come = false;
    }
    lh_transport_set_inflight_max(session->transport, LH_LANE_SSH,
                                  udp_may_come ? LH_SSH_PIPE_EARLY : 0);
}

// When nobody has asked for anything, the client checks the connection: which way UDP fails it can
// only learn from us.
static void tell_udp(struct lh_session *session, lh_ns now)
{
    struct lh_message message = {.type = LH_MESSAGE_UDP_HEARD};
    struct lh_lane_stats stats;
    uint8_t bytes[64];
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    struct lh_job_status status;

    if (session->is_udp_told || session->is_client || now < session->began + LH_UDP_TELL_AFTER)
        return;
    session->is_udp_told = true;
    lh_job_status(session->job, &status);
    if (status.started || !session->has_udp)
        return;
    lh_udp_lanes_stats(&session->udp, &stats);
    message.as.udp_heard = stats.packets_received;
    lh_message_write(&writer, &message);
    lh_err err = lh_transport_stream_write(session->transport, bytes, lh_writer_used(&writer));
    (void)err; // it cannot be full: nothing was written before; a closed session needs no news
}

// Notices an SSH channel that is dead without saying so. Only where UDP shows that the other side
// lives, and only the client: it can log in again.
static void check_ssh(struct lh_session *session, lh_ns now)
{
    struct lh_lane_stats ssh;

    if (!session->is_client || !session->can_attach || session->is_closing ||
        lh_transport_lane_state(session->transport, LH_LANE_SSH) != LH_LANE_UP ||
        lh_session_data_lane(session) != LH_LANE_UDP)
        return;
    lh_transport_lane_stats(session->transport, LH_LANE_SSH, &ssh);
    if (ssh.packets_received != session->ssh_packets) {
        session->ssh_packets = ssh.packets_received;
        session->ssh_heard_at = now;
    }
    if (session->ssh_asked_at > session->ssh_heard_at) {
        if (now >= session->ssh_asked_at + LH_MAX(LH_SSH_SILENT, 4 * ssh.rtt_smoothed))
            lh_pipe_lane_break(&session->pipe, now);
    } else if (now >= session->ssh_heard_at + LH_SSH_ASK_AFTER) {
        ask_ssh(session, now);
    }
}

static void check_orphan(struct lh_session *session, lh_ns now)
{
    if (session->orphaned_since == 0 || session->end != LH_SESSION_RUNNING)
        return;
    if (session->is_finished && !session->is_closing) {
        // The other side hung up after the verdict; or its last words come over UDP.
        if (lh_session_data_lane(session) != LH_LANE_UDP || now >= session->close_by)
            session->end = LH_SESSION_FINISHED;
        return;
    }
    if (now >= session->orphaned_since + session->orphan_max ||
        now >= session->heard_at + LH_ORPHAN_SILENT)
        session->end = LH_SESSION_BROKEN;
}

static bool has_lingered(const struct lh_session *session, lh_ns now)
{
    size_t waiting = 0;

    if (now >= session->closing_since + LINGER_MAX || session->pipe.is_broken)
        return true;
    (void)lh_frame_writer_pending(&session->pipe.writer, &waiting);
    return waiting == 0 && lh_transport_next_deadline(session->transport) == LH_NEVER;
}

// While the pacer sends every moment, what comes in between can wait for it.
static void rest(struct lh_session *session, lh_ns deadline, lh_ns now)
{
    struct lh_lane_stats udp;

    if (session->is_closing || deadline > now + LH_REST_MAX ||
        lh_session_data_lane(session) != LH_LANE_UDP || session->udp.count > 1)
        return; // lanes' threads want answers
    lh_transport_lane_stats(session->transport, LH_LANE_UDP, &udp);
    if (deadline <= now + lh_rest_most(udp.rtt_smoothed))
        lh_loop_rest(session->loop, deadline);
}

lh_ns lh_session_turn(struct lh_session *session, lh_ns now)
{
    lh_ns deadline;

    if (session->has_udp)
        lh_udp_lanes_on_deadline(&session->udp, now);
    tell_udp(session, now);
    size_pipe(session, now);
    if (lh_transport_next_deadline(session->transport) <= now)
        lh_transport_on_deadline(session->transport, now);
    if (session->has_udp)
        lh_udp_lanes_flush(&session->udp, now);
    lh_pipe_lane_flush(&session->pipe, now);
    check_ssh(session, now);
    if (session->orphaned_since != 0) {
        listen_for_life(session, now);
        check_orphan(session, now);
    }
    if (session->is_client && session->close_by != 0 &&
        (now >= session->close_by || lh_transport_is_flushed(session->transport)))
        lh_session_close(session, session->verdict_code, session->reason, now);
    if (session->is_closing && has_lingered(session, now))
        session->end = session->is_finished ? LH_SESSION_FINISHED : LH_SESSION_CLOSED;

    deadline = lh_live_turn(&session->live, now);
    deadline = lh_ns_min(deadline, lh_transport_next_deadline(session->transport));
    if (session->has_udp)
        deadline = lh_ns_min(deadline, lh_udp_lanes_next_deadline(&session->udp));
    if (session->is_client && session->close_by != 0)
        deadline = lh_ns_min(deadline, session->close_by);
    if (!session->is_udp_told && !session->is_client)
        deadline = lh_ns_min(deadline, session->began + LH_UDP_TELL_AFTER);
    if (session->is_client && session->can_attach)
        deadline = lh_ns_min(deadline, now + LH_SECOND); // looks at the SSH channel
    if (session->is_closing || session->orphaned_since != 0)
        deadline = lh_ns_min(deadline, now + 100 * LH_MS);
    rest(session, deadline, now);
    return deadline;
}

lh_err lh_session_attach(struct lh_session *session,
                         int in_fd,
                         int out_fd,
                         const void *leftover,
                         size_t leftover_len,
                         lh_ns now)
{
    lh_err err;

    if (session->end != LH_SESSION_RUNNING || session->is_closing) {
        (void)close(in_fd);
        (void)close(out_fd);
        return LH_E_CLOSED;
    }
    lh_pipe_lane_break(&session->pipe, now);
    lh_pipe_lane_fini(&session->pipe);
    err = lh_pipe_lane_init(&session->pipe, session->loop, in_fd, out_fd, NULL);
    if (err == 0)
        err = add_ssh_lane(session, now);
    if (err == 0)
        err = lh_pipe_lane_start(&session->pipe, session->transport, leftover, leftover_len, now);
    if (err != 0) {
        lh_pipe_lane_break(&session->pipe, now);
        return err;
    }
    if (session->pipe.is_broken)
        return LH_E_CLOSED;
    session->orphaned_since = 0;
    session->attached++;
    return 0;
}

bool lh_session_is_over(const struct lh_session *session)
{
    return session->end != LH_SESSION_RUNNING;
}

void lh_session_cancel(struct lh_session *session, lh_ns now)
{
    if (session->job != NULL && !session->is_finished)
        lh_job_cancel(session->job);
    else
        lh_session_close(session, 0, "", now);
}

void lh_session_close(struct lh_session *session, int code, const char *reason, lh_ns now)
{
    if (session->is_closing || session->end != LH_SESSION_RUNNING)
        return;
    session->is_closing = true;
    session->closing_since = now;
    session->close_code = code;
    lh_transport_close(session->transport, code, reason, now);
}

uint8_t lh_session_data_lane(const struct lh_session *session)
{
    if (session->has_udp && lh_udp_lanes_are_up(&session->udp))
        return LH_LANE_UDP;
    if (lh_transport_lane_state(session->transport, LH_LANE_SSH) == LH_LANE_UP)
        return LH_LANE_SSH;
    return LH_LANES_MAX;
}
