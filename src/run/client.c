// SPDX-License-Identifier: Apache-2.0
//
// How it works. A run is a series of attempts: connect, one session, its end. What a session left
// unfinished, the journal remembers, so an attempt after a broken one sends only what is missing.
// Only errors that trying again can cure are tried again, only after a session once stood (a first
// connection that fails ends at once and says why), with growing pauses, and not longer than
// --retry-timeout after the last progress.
//
// Signals come through a descriptor: the first asks for an end in good order, a second one ends at
// once.
#include "run/client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/text.h"
#include "file/state.h"
#include "run/check.h"
#include "run/connect.h"
#include "run/meter.h"
#include "run/relogin.h"
#include "run/session.h"
#include "run/trace_file.h"
#include "sys/clock.h"
#include "sys/harden.h"

#define BACKOFF_FIRST   LH_SECOND
#define UDP_LOSSES_TOLD 3
#define BACKOFF_MAX     (60 * LH_SECOND)

struct client {
    const struct lhcp_options *options;
    const struct lhcp_report *report;
    struct lhcp_result *result;
    struct lh_loop *loop;
    int signal_fd;
    unsigned signals;
    sigset_t old_mask;
    struct lh_password *password; // from ASPERA_SCP_PASS; NULL = none
    char state_dir[LH_PATH_TEXT_MAX];
    bool has_state_dir;
    uint64_t run_id;                              // of this command, in all of its sessions
    char peer[LHCP_USER_MAX + LHCP_HOST_MAX + 2]; // "user@host", for the journal's identity
    struct lh_connection connection;
    struct lh_session session;
    struct lh_relogin *relogin; // of the session; NULL where that cannot be
    bool has_given_up_login;    // no further login in this session
    unsigned login_failures;    // since the SSH channel was lost
    struct lh_meter meter;
    // In force, and what this side's person asked for: the command line at first, then as a running
    // session was changed. Holds in the sessions that follow.
    struct lh_msg_pace pace, own_pace;
    struct lh_trace_file *trace_file; // NULL: nobody looks
    char shown_peer[LH_LOCAL_TEXT];   // peer, escaped
    lh_ns began;
    lh_ns session_began;
    bool is_checked; // --check has said all it found
    lh_ns reported_at;
    lh_ns progress_at;               // when bytes last arrived, for --retry-timeout
    uint64_t most_files, most_bytes; // done in any session so far
    bool is_memory_told;
    bool is_detour_told;
    uint64_t braked_least; // bits/s that fixed has been seen to fall back to, since it did
    bool is_udp_silent;    // and the person knows
    unsigned udp_losses;   // told; after UDP_LOSSES_TOLD of them no more is said
};

// --- Reporting ---

static void report_status(struct client *client, enum lhcp_phase phase, lh_ns now)
{
    struct lhcp_status *status = &client->result->status;

    status->phase = phase;
    status->elapsed = now - client->began;
    client->reported_at = now;
    // Only what no session had before is progress: a file that is read and refused again and again,
    // or a server that always breaks at the same place, uses the retry budget up.
    if (status->files_done > client->most_files || status->bytes_done > client->most_bytes) {
        client->most_files = LH_MAX(client->most_files, status->files_done);
        client->most_bytes = LH_MAX(client->most_bytes, status->bytes_done);
        client->progress_at = now;
    }
    client->report->status(client->report->user, status, now);
    status->name = NULL; // valid during the call only
}

static void report_notice(struct client *client, const char *text)
{
    struct lhcp_problem problem = {.kind = LHCP_PROBLEM_NOTICE, .text = text};
    client->report->problem(client->report->user, &problem);
}

static void report_connection_notice(void *user, const char *text)
{
    report_notice(user, text);
}

static enum lhcp_phase session_phase(const struct lhcp_status *status)
{
    if (status->totals_known && status->bytes_done == status->bytes_total)
        return LHCP_PHASE_FINISHING;
    return LHCP_PHASE_TRANSFERRING;
}

// UDP that carried data and fell silent: what goes on is slower, and somebody may want to know why.
static void tell_udp(struct client *client, lh_ns now)
{
    const struct lh_session *session = &client->session;
    uint8_t lane = lh_session_data_lane(session);

    if (client->is_udp_silent && lane == LH_LANE_UDP) {
        client->is_udp_silent = false;
        report_notice(client, "UDP answers again; data goes over UDP");
    } else if (!client->is_udp_silent && client->udp_losses < UDP_LOSSES_TOLD &&
               session->was_udp_up && !session->is_closing && lane == LH_LANE_SSH &&
               now >= session->udp_missed_since + LH_UDP_GIVE_UP) {
        client->is_udp_silent = true;
        client->udp_losses++;
        report_notice(client, "UDP fell silent; data goes over SSH until UDP answers again");
    }
}

// UDP gets through, and next to nothing by it.
static void tell_detour(struct client *client)
{
    if (client->is_detour_told || !client->session.was_detoured)
        return;
    client->is_detour_told = true;
    report_notice(client, "UDP is held back on the way here; data goes over SSH as well");
}

// The policy fixed has found out that the path does not carry its target, or carries it again.
static void tell_brake(struct client *client)
{
    struct lhcp_status *status = &client->result->status;
    const struct lh_msg_paced *paced = &client->session.live.paced;
    uint64_t before = status->braked_to;
    char text[LH_ERRINFO_TEXT], target[24], rate[24];

    status->braked_to = 8 * LH_MIN(paced->braked_to, UINT64_MAX / 8);
    bool is_new_low = status->braked_to > 0 && status->braked_to < client->braked_least;
    if (status->braked_to == 0)
        client->braked_least = UINT64_MAX;
    else
        client->braked_least = LH_MIN(client->braked_least, status->braked_to);
    if (status->braked_to == before)
        return;
    status->brakes += before == 0;
    (void)lh_format_rate(8 * LH_MIN(paced->pace.rate_target, UINT64_MAX / 8), target,
                         sizeof target);
    (void)lh_format_rate(status->braked_to, rate, sizeof rate);
    if (is_new_low)
        (void)snprintf(text, sizeof text,
                       "less than half of what is sent arrives: the way does not carry %s; sending "
                       "at %s (policy fixed)",
                       target, rate);
    else
        (void)snprintf(text, sizeof text, "the way carries more again; sending at %s", target);
    if (is_new_low || status->braked_to == 0)
        report_notice(client, text);
}

static void report_session(struct client *client, lh_ns now)
{
    tell_udp(client, now);
    tell_detour(client);
    tell_brake(client);
    lh_meter_read(&client->meter, &client->session, client->options->direction == LHCP_SEND, now,
                  &client->result->status);
    report_status(client, session_phase(&client->result->status), now);
}

static void on_problem(void *user, const struct lh_job_problem *in)
{
    static const enum lhcp_problem_kind kinds[] = {
        [LH_PROBLEM_NOTICE] = LHCP_PROBLEM_NOTICE,
        [LH_PROBLEM_SKIPPED] = LHCP_PROBLEM_SKIPPED,
        [LH_PROBLEM_FAILED] = LHCP_PROBLEM_FAILED,
    };
    struct client *client = user;
    struct lhcp_problem problem = {.kind = kinds[in->severity],
                                   .name = in->path[0] == '\0' ? NULL : in->path,
                                   .exit_code = in->code,
                                   .text = in->text};
    client->report->problem(client->report->user, &problem);
}

static void on_file(void *user, const struct lh_job_file *file)
{
    struct client *client = user;
    struct lhcp_problem line = {.kind = LHCP_PROBLEM_NOTICE, .name = file->path};

    if (client->options->action != LHCP_DRY_RUN || file->outcome == LH_JOB_FAILED)
        return;
    line.text = file->outcome == LH_JOB_WOULD_SEND ? "would be sent" : "is there, unchanged";
    client->report->problem(client->report->user, &line);
}

static void on_finished(void *user, const struct lh_job_verdict *verdict)
{
    (void)user;
    (void)verdict; // the session keeps it
}

static const struct lh_job_events job_events = {on_problem, on_file, on_finished};

// --- One session ---

static void on_signal(void *user, uint32_t events, lh_ns now)
{
    struct client *client = user;
    struct signalfd_siginfo signal_info;

    (void)events;
    if (read(client->signal_fd, &signal_info, sizeof signal_info) != sizeof signal_info)
        return;
    if (++client->signals == 1)
        lh_session_cancel(&client->session, now);
    else
        lh_loop_stop(client->loop);
}

// ssh stops moving data when nobody reads its messages; they also say why it died.
static void on_ssh_message(void *user, uint32_t events, lh_ns now)
{
    struct client *client = user;
    const char *text;
    size_t len;
    int fd = lh_ssh_messages_fd(client->connection.ssh);

    (void)events;
    (void)now;
    if (lh_ssh_messages_ready(client->connection.ssh, &text, &len) == LH_EOF)
        lh_loop_remove(client->loop, fd);
}

static void unwatch_messages(struct client *client)
{
    if (client->connection.ssh != NULL)
        lh_loop_remove(client->loop, lh_ssh_messages_fd(client->connection.ssh));
}

// The SSH connection broke and the session goes on: makes it another one meanwhile.
static lh_ns look_after_ssh(struct client *client, lh_ns now)
{
    const struct lh_session *session = &client->session;
    bool is_wanted = session->orphaned_since != 0 && session->end == LH_SESSION_RUNNING &&
                     !session->is_closing && !session->is_finished && client->signals == 0;

    if (client->relogin == NULL)
        return LH_NEVER;
    if (!is_wanted && lh_relogin_is_busy(client->relogin)) {
        lh_relogin_stop(client->relogin, now);
    } else if (is_wanted && !client->has_given_up_login && !lh_relogin_is_busy(client->relogin) &&
               lh_session_data_lane(session) == LH_LANE_UDP) {
        client->login_failures = 0;
        report_notice(client, "the SSH connection was lost; the transfer goes on over UDP while "
                              "lhcp logs in again");
        unwatch_messages(client);
        lh_relogin_begin(client->relogin, client->connection.ssh, now);
        client->connection.ssh = NULL;
    }
    return lh_relogin_turn(client->relogin, now);
}

static void on_login(void *user, const struct lh_relogin_channel *channel, lh_ns now)
{
    struct client *client = user;
    int messages_fd = lh_ssh_messages_fd(channel->ssh);
    lh_err err;

    client->connection.ssh = channel->ssh;
    if (messages_fd >= 0 &&
        lh_loop_add(client->loop, messages_fd, EPOLLIN, on_ssh_message, client) != 0)
        report_notice(client, "what ssh says is not read");
    err = lh_session_attach(&client->session, channel->in_fd, channel->out_fd, channel->leftover,
                            channel->leftover_len, now);
    if (err != 0)
        return; // the session is over, or the channel was lost again: turn sees to it
    client->result->status.ssh_logins++;
    report_notice(client, "logged in again; the SSH connection is back");
}

static void on_login_failure(void *user, const char *why, bool is_final)
{
    struct client *client = user;
    char shown[160];
    char text[LH_ERRINFO_TEXT];

    lh_escape(why, strlen(why), shown, sizeof shown);
    client->has_given_up_login = is_final;
    if (is_final)
        (void)snprintf(text, sizeof text,
                       "cannot log in again while the transfer goes on (%s); it has %u s to end "
                       "over UDP, then it begins anew where it stopped",
                       shown, (unsigned)(client->session.orphan_max / LH_SECOND));
    else if (client->login_failures++ == 0)
        (void)snprintf(text, sizeof text, "the login failed (%s); lhcp tries again", shown);
    else
        return;
    report_notice(client, text);
}

static lh_ns turn(void *user, lh_ns now)
{
    struct client *client = user;
    lh_ns deadline = lh_session_turn(&client->session, now);

    deadline = lh_ns_min(deadline, look_after_ssh(client, now));

    if (client->options->action == LHCP_CHECK && !client->is_checked &&
        lh_check_is_done(&client->session, client->session_began, now)) {
        client->is_checked = true;
        lh_check_report(&client->session, &client->connection, client->options, client->report);
        lh_session_close(&client->session, 0, "", now);
    }
    if (now >= client->reported_at + LH_METER_STEP)
        report_session(client, now);
    if (lh_session_is_over(&client->session))
        lh_loop_stop(client->loop);
    return lh_ns_min(deadline, client->reported_at + LH_METER_STEP);
}

static struct lh_job_request make_request(const struct lhcp_options *options)
{
    static const enum lh_overwrite overwrites[] = {
        [LHCP_OVERWRITE_DIFF] = LH_OVERWRITE_DIFF,
        [LHCP_OVERWRITE_ALWAYS] = LH_OVERWRITE_ALWAYS,
        [LHCP_OVERWRITE_NEVER] = LH_OVERWRITE_NEVER,
        [LHCP_OVERWRITE_OLDER] = LH_OVERWRITE_OLDER,
        [LHCP_OVERWRITE_DIFF_OLDER] = LH_OVERWRITE_DIFF_OLDER,
    };
    struct lh_job_request request = {
        .direction = options->direction == LHCP_SEND ? LH_JOB_UPLOAD : LH_JOB_DOWNLOAD,
        .overwrite = overwrites[options->overwrite],
        .sources = options->sources,
        .source_count = options->source_count,
        .dest = options->destination,
    };

    request.flags |= options->preserve ? LH_JOB_PRESERVE : 0;
    request.flags |= options->create_destination ? LH_JOB_MAKE_DIRECTORY : 0;
    request.flags |= options->symlinks == LHCP_SYMLINKS_SKIP ? LH_JOB_SKIP_SYMLINKS : 0;
    request.flags |= options->resume ? 0 : LH_JOB_NO_RESUME;
    request.flags |= options->action == LHCP_DRY_RUN ? LH_JOB_DRY_RUN : 0;
    return request;
}

static lh_err make_relogin(struct client *client, struct lh_errinfo *info)
{
    struct lh_connection *connection = &client->connection;
    struct lh_relogin_config config = {
        .loop = client->loop,
        .options = client->options,
        .password = client->password,
        .session_id = lh_hello_params(&connection->hello)->session_id,
        .master = &connection->master,
        .on_channel = on_login,
        .on_failure = on_login_failure,
        .user = client,
    };
    lh_err err = lh_relogin_new(&config, &client->relogin);

    client->has_given_up_login = false;
    if (err != 0)
        return lh_fail(info, err, LH_CODE_INTERNAL, "cannot prepare for a second login: %s",
                       lh_err_name(err));
    return 0;
}

static struct lh_msg_pace make_pace(const struct lhcp_options *options)
{
    static const uint8_t policies[] = {[LHCP_POLICY_FAIR] = LH_PACE_FAIR,
                                       [LHCP_POLICY_HIGH] = LH_PACE_HIGH,
                                       [LHCP_POLICY_LOW] = LH_PACE_LOW,
                                       [LHCP_POLICY_FIXED] = LH_PACE_FIXED};
    return (struct lh_msg_pace){.policy = policies[options->policy],
                                .rate_target = options->rate_target / 8,
                                .rate_min = options->rate_min / 8};
}

static lh_err start_session(struct client *client, struct lh_errinfo *info)
{
    const struct lhcp_options *options = client->options;
    struct lh_connection *connection = &client->connection;
    struct lh_job_request request = make_request(options);
    request.run_id = client->run_id;
    lh_err err;

    struct lh_session_config config = {
        .loop = client->loop,
        .params = lh_hello_params(&connection->hello),
        .master = &connection->master,
        .pipe_in = connection->in_fd,
        .pipe_out = connection->out_fd,
        .leftover = connection->handshake.leftover,
        .leftover_len = connection->handshake.leftover_len,
        .udp_client = connection->udp,
        .orphan_max = options->udp_alone,
        .cc = lh_pace_controller(client->pace.policy),
        .limits = {.rate_target = LH_MIN(client->pace.rate_target, LH_CC_RATE_MAX),
                   .rate_min = LH_MIN(client->pace.rate_min, LH_CC_RATE_MAX)},
        .live = {.pace = client->pace,
                 .own = client->own_pace,
                 .trace_file = client->trace_file,
                 .peer = client->shown_peer,
                 .state_dir = client->has_state_dir ? client->state_dir : NULL},
        .request = options->action == LHCP_CHECK ? NULL : &request,
        .state_dir = client->has_state_dir ? client->state_dir : NULL,
        .peer = client->peer,
        .events = &job_events,
        .user = client,
    };
    connection->in_fd = connection->out_fd = -1; // the session's now
    connection->udp = NULL;
    err = lh_session_init(&client->session, &config, lh_clock_now(), info);
    if (err == 0 && client->session.can_attach && client->session.has_udp)
        err = make_relogin(client, info);
    lh_secret_fini(&connection->master);
    return err;
}

static void note_peer(struct client *client)
{
    const struct lh_session_params *params = lh_hello_params(&client->connection.hello);
    const struct lh_aead_type *aead = lh_aead_by_id(params->aead);

    (void)snprintf(client->result->cipher, sizeof client->result->cipher, "%s", aead->name);
    lh_escape(params->peer_software, strlen(params->peer_software), client->result->peer_version,
              sizeof client->result->peer_version);
    memcpy(client->result->udp_note, client->connection.udp_note, sizeof client->result->udp_note);
}

// What the server holds in memory is its own to say, too.
static void note_memory(struct client *client)
{
    uint64_t budget = lh_hello_params(&client->connection.hello)->peer_receive_budget;
    char text[160];

    if (budget >= client->options->memory || client->is_memory_told)
        return;
    client->is_memory_told = true;
    (void)snprintf(text, sizeof text,
                   "the server holds at most %u MiB in memory; --memory of %u MiB is for this side "
                   "alone",
                   (unsigned)(budget >> 20), (unsigned)(client->options->memory >> 20));
    report_notice(client, text);
}

// Whether UDP had its chance: a session that ended at once, or moved nothing, says nothing about
// firewalls.
static bool udp_was_awaited(const struct client *client)
{
    return client->result->status.bytes_ssh > 0 ||
           lh_ns_since(lh_clock_now(), client->session_began) >= LH_CHECK_UDP_WAIT;
}

// Why no UDP carried anything, once the session is over.
static void note_udp(struct client *client)
{
    struct lhcp_result *result = client->result;

    if (!client->session.was_udp_up && result->status.bytes_udp == 0)
        result->cipher[0] = '\0';
    if (client->is_detour_told) {
        (void)snprintf(result->udp_note, sizeof result->udp_note,
                       "UDP was held back on the way; have UDP/%u let through at full speed",
                       client->options->udp_port);
    } else if (client->udp_losses > 0) {
        (void)snprintf(result->udp_note, sizeof result->udp_note,
                       "UDP fell silent for a while during the transfer");
    } else if (client->session.was_udp_up) {
        result->udp_note[0] = '\0';
    } else if (result->udp_note[0] == '\0' && udp_was_awaited(client)) {
        (void)snprintf(result->udp_note, sizeof result->udp_note,
                       "no UDP packet came back from port %u of the server: a firewall blocks it, "
                       "or it is not open there; open UDP/%u",
                       lh_hello_params(&client->connection.hello)->udp_port,
                       client->options->udp_port);
    }
}

static void set_canceled(struct client *client)
{
    client->result->exit_code = LH_CODE_CANCELED;
    (void)snprintf(client->result->text, sizeof client->result->text,
                   "stopped; the same command again goes on from here");
    client->result->resumable = true;
}

static void judge_check(struct client *client)
{
    struct lhcp_result *result = client->result;

    result->resumable = false;
    if (client->session.was_udp_up || client->options->udp == LHCP_UDP_OFF)
        return;
    result->exit_code = LH_CODE_UDP_SETUP;
    (void)snprintf(result->text, sizeof result->text, "%s",
                   result->udp_note[0] != 0 ? result->udp_note : "UDP does not work");
}

// Codes whose cause is the session and not a file: only those may be cured by another one. (A file
// that failed was read twice already.)
static bool code_ends_sessions(uint16_t code)
{
    static const uint16_t codes[] = {
        LH_CODE_NO_CONNECTION,   LH_CODE_TIMEOUT,     LH_CODE_UDP_SETUP,      LH_CODE_UDP_TIMEOUT,
        LH_CODE_CONNECTION_LOST, LH_CODE_CANNOT_SEND, LH_CODE_CANNOT_RECEIVE, LH_CODE_PEER_ABORTED,
        LH_CODE_DATA_TIMEOUT,    LH_CODE_PMTU,        LH_CODE_BANDWIDTH};

    for (size_t i = 0; i < LH_ARRAY_LEN(codes); i++) {
        if (codes[i] == code)
            return true;
    }
    return false;
}

// Puts the end of a session into the result. True where another attempt makes sense.
static bool judge_session(struct client *client)
{
    const struct lh_session *session = &client->session;
    struct lhcp_result *result = client->result;
    char reason[160];

    lh_escape(session->reason, strlen(session->reason), reason, sizeof reason);
    result->resumable = true;
    if (client->signals > 0 && session->end != LH_SESSION_FINISHED) {
        set_canceled(client);
        return false;
    }
    switch (session->end) {
    case LH_SESSION_FINISHED:
        result->exit_code = session->verdict_code;
        result->resumable = session->verdict_resumable;
        (void)snprintf(result->text, sizeof result->text, "%s", reason);
        return code_ends_sessions(session->verdict_code);
    case LH_SESSION_CLOSED:
        if (client->is_checked && session->close_code == 0) { // a check ends by closing
            judge_check(client);
            return false;
        }
        result->exit_code =
            session->close_code > 0 ? (uint16_t)session->close_code : LH_CODE_CONNECTION_LOST;
        (void)snprintf(result->text, sizeof result->text, "the server ended the session: %s",
                       reason);
        return code_ends_sessions(result->exit_code);
    case LH_SESSION_FAILED:
        result->exit_code =
            session->close_code == LH_E_NOMEM ? LH_CODE_NO_MEMORY : LH_CODE_PROTOCOL;
        (void)snprintf(result->text, sizeof result->text, "the session failed (%s): %s",
                       lh_err_name(session->close_code), reason);
        return false;
    case LH_SESSION_BROKEN:
    case LH_SESSION_RUNNING:
        break;
    }
    result->exit_code = LH_CODE_CONNECTION_LOST;
    struct lh_errinfo why = {0};
    if (client->connection.ssh != NULL) {
        lh_err err = lh_ssh_why(client->connection.ssh, &why);
        (void)err; // its text is what is wanted
    } else {
        (void)snprintf(why.text, sizeof why.text, "the connection was lost");
    }
    lh_escape(why.text, strlen(why.text), reason, sizeof reason);
    (void)snprintf(result->text, sizeof result->text, "%s", reason);
    return true;
}

// The next session goes on as this one was told to; beyond what the person here allows the other
// side cannot push it.
static void keep_pace(struct client *client)
{
    const struct lh_live *live = &client->session.live;

    client->own_pace = live->own;
    client->pace = lh_pace_within(&live->own, &live->pace);
}

// Runs one session on the connection. True where another attempt makes sense.
static bool run_session(struct client *client)
{
    struct lh_errinfo info = {0};
    lh_err err = start_session(client, &info);
    bool again = false;

    if (err == 0) {
        note_peer(client);
        note_memory(client);
        err = lh_loop_add(client->loop, client->signal_fd, EPOLLIN, on_signal, client);
    }
    int messages_fd = lh_ssh_messages_fd(client->connection.ssh);
    if (err == 0 && messages_fd >= 0)
        err = lh_loop_add(client->loop, messages_fd, EPOLLIN, on_ssh_message, client);
    client->session_began = lh_clock_now();
    if (err == 0)
        err = lh_loop_run(client->loop, turn, client, &info);
    lh_loop_remove(client->loop, client->signal_fd);
    unwatch_messages(client);
    lh_relogin_free(client->relogin);
    client->relogin = NULL;
    if (err == 0) {
        keep_pace(client);
        report_session(client, lh_clock_now());
        note_udp(client);
        again = judge_session(client);
        lh_live_add_shares(&client->session.live, &client->result->held);
        lh_meter_end_session(&client->meter, &client->result->status);
    } else {
        client->result->exit_code = info.exit_code != 0 ? info.exit_code : LH_CODE_INTERNAL;
        (void)snprintf(client->result->text, sizeof client->result->text, "%s", info.text);
    }
    lh_session_fini(&client->session);
    return again;
}

// --- Attempts ---

// Waits; LH_E_CANCELED when a signal came.
static lh_err pause_between(struct client *client, lh_ns pause)
{
    struct pollfd stop = {.fd = client->signal_fd, .events = POLLIN};
    lh_ns until = lh_clock_now() + pause;

    for (lh_ns now = lh_clock_now(); now < until; now = lh_clock_now()) {
        report_status(client, LHCP_PHASE_RETRYING, now);
        if (poll(&stop, 1, (int)(lh_ns_min(until - now, LH_METER_STEP) / LH_MS + 1)) > 0)
            return LH_E_CANCELED;
    }
    return 0;
}

// One attempt. True where another one makes sense.
static bool attempt(struct client *client, bool is_first)
{
    struct lh_errinfo info = {0};
    bool retryable = false;
    lh_err err;
    bool again;

    report_status(client, is_first ? LHCP_PHASE_CONNECTING : LHCP_PHASE_RETRYING, lh_clock_now());
    struct lh_hello_pace pace = {.policy = client->pace.policy,
                                 .rate_target = client->pace.rate_target,
                                 .rate_min = client->pace.rate_min};
    struct lh_connect_config config = {.options = client->options,
                                       .password = client->password,
                                       .pace = &pace,
                                       .is_again = !is_first,
                                       .stop_fd = client->signal_fd,
                                       .on_notice = report_connection_notice,
                                       .user = client};
    err = lh_connection_open(&client->connection, &config, &retryable, &info);
    if (err == 0) {
        again = run_session(client);
    } else if (err == LH_E_CANCELED) {
        set_canceled(client);
        again = false;
    } else {
        client->result->exit_code = info.exit_code != 0 ? info.exit_code : LH_CODE_NO_CONNECTION;
        (void)snprintf(client->result->text, sizeof client->result->text, "%s", info.text);
        client->result->resumable = !is_first;
        again = retryable && !is_first;
    }
    lh_connection_close(&client->connection);
    return again && client->signals == 0;
}

static void run_attempts(struct client *client)
{
    lh_ns pause = BACKOFF_FIRST;
    bool is_first = true;

    client->progress_at = lh_clock_now();
    while (attempt(client, is_first)) {
        lh_ns now = lh_clock_now();
        char text[LH_ERRINFO_TEXT + 64];
        if (lh_ns_since(now, client->progress_at) < pause)
            pause = BACKOFF_FIRST; // the last session moved something
        if (client->options->retry_timeout == 0 ||
            now + pause > client->progress_at + client->options->retry_timeout)
            return;
        (void)snprintf(text, sizeof text, "%s; trying again in %u s", client->result->text,
                       (unsigned)(pause / LH_SECOND));
        report_notice(client, text);
        if (pause_between(client, pause) != 0) {
            set_canceled(client);
            return;
        }
        pause = lh_ns_min(2 * pause, BACKOFF_MAX);
        is_first = false;
        client->result->status.retries++;
    }
}

static lh_err take_signals(struct client *client, struct lh_errinfo *info)
{
    sigset_t mask;

    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGINT);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &mask, &client->old_mask) != 0)
        return lh_fail_errno(info, errno, LH_CODE_INTERNAL, "cannot block signals");
    client->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (client->signal_fd < 0)
        return lh_fail_errno(info, errno, LH_CODE_INTERNAL, "cannot receive signals");
    return 0;
}

static lh_err take_password(struct client *client, struct lh_errinfo *info)
{
    lh_err err = lh_password_take("ASPERA_SCP_PASS", &client->password);

    if (err == LH_NONE)
        return 0;
    if (err != 0)
        return lh_fail(info, err, LH_CODE_USAGE, "cannot use ASPERA_SCP_PASS: %s",
                       err == LH_E_LIMIT ? "it is too long" : lh_err_name(err));
    return 0;
}

static void close_trace(struct client *client)
{
    struct lh_errinfo info = {0};
    if (client->trace_file != NULL && lh_trace_file_close(client->trace_file, &info) != 0)
        report_notice(client, info.text);
    client->trace_file = NULL;
}

int lh_client_run(const struct lhcp_options *options,
                  const struct lhcp_report *report,
                  struct lhcp_result *out_result)
{
    struct client *client = calloc(1, sizeof *client);
    struct lh_errinfo info = {0};
    struct lh_errinfo no_state = {0};
    lh_err err;

    *out_result = (struct lhcp_result){0};
    if (client == NULL) {
        (void)snprintf(out_result->text, sizeof out_result->text, "out of memory");
        return out_result->exit_code = LH_CODE_NO_MEMORY;
    }
    client->options = options;
    client->report = report;
    client->result = out_result;
    client->began = lh_clock_now();
    client->signal_fd = -1;
    client->pace = client->own_pace = make_pace(options);
    lh_entropy_fill(&client->run_id, sizeof client->run_id);
    (void)snprintf(client->peer, sizeof client->peer, "%s@%s", options->user, options->host);
    const char *peer = options->user[0] == '\0' ? options->host : client->peer;
    lh_escape(peer, strlen(peer), client->shown_peer, sizeof client->shown_peer);
    client->has_state_dir =
        lh_state_dir(client->state_dir, sizeof client->state_dir, &no_state) == 0;
    lh_secrets_harden();
    err = take_password(client, &info);
    if (err == 0 && options->trace_file != NULL)
        err = lh_trace_file_open(options->trace_file, LH_TRACE_BYTES_MAX, client->began,
                                 &client->trace_file, &info);
    if (err == 0)
        err = lh_loop_new(&client->loop, &info);
    if (err == 0)
        err = take_signals(client, &info);
    if (err == 0) {
        run_attempts(client);
    } else {
        out_result->exit_code = info.exit_code;
        (void)snprintf(out_result->text, sizeof out_result->text, "%s", info.text);
    }
    close_trace(client);
    report_status(client, LHCP_PHASE_ENDED, lh_clock_now());
    if (client->signal_fd >= 0) {
        (void)sigprocmask(SIG_SETMASK, &client->old_mask, NULL);
        (void)close(client->signal_fd);
    }
    lh_loop_free(client->loop);
    lh_password_free(client->password);
    free(client);
    return out_result->exit_code;
}
