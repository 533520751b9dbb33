// SPDX-License-Identifier: Apache-2.0
//
// How it works. Everything here hangs beside the data path: it is looked at once a turn of the
// loop, after what could be sent was sent, and speaks to the other side in small optional messages
// behind the job's own. An older peer skips them: then its half of the account is missing, its
// events do not come, and a change asked of it has no effect but is shown as asked.
#include "run/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "base/text.h"
#include "run/session.h"
#include "transfer/job.h"

#define TELL_HELD       (500 * LH_MS)
#define TELL_PACED      (200 * LH_MS)
#define TRACE_HELD      LH_SECOND
#define REMOTE_INTERVAL (50 * LH_MS) // the other side's samples cross the network: fewer
#define RATE_SPAN       LH_SECOND
#define WAITING_SHARE   4 // of the budget waits to be written: the disk is behind

static bool sends(const struct lh_live *live)
{
    return live->session->job != NULL && lh_job_sends(live->session->job);
}

// --- Pace ----------------------------------------------------------------------------------------

static const struct {
    const char *word;
    const struct lh_cc_type *controller;
} policies[LH_PACE_N_] = {
    [LH_PACE_FAIR] = {"fair", &lh_cc_fair},
    [LH_PACE_HIGH] = {"high", &lh_cc_high},
    [LH_PACE_FIXED] = {"fixed", &lh_cc_fixed},
    [LH_PACE_LOW] = {"low", &lh_cc_low},
};

const struct lh_cc_type *lh_pace_controller(uint8_t policy)
{
    LH_ASSERT(policy < LH_PACE_N_);
    return policies[policy].controller;
}

// From the one that leaves most to others to the one that leaves least.
static unsigned greed(uint8_t policy)
{
    static const unsigned grades[LH_PACE_N_] = {
        [LH_PACE_LOW] = 0, [LH_PACE_FAIR] = 1, [LH_PACE_HIGH] = 2, [LH_PACE_FIXED] = 3};
    return grades[policy];
}

struct lh_msg_pace lh_pace_within(const struct lh_msg_pace *own, const struct lh_msg_pace *asked)
{
    struct lh_msg_pace pace = *asked;
    if (own->rate_target != 0 &&
        LH_GUARD(PACE_TARGET, asked->rate_target == 0 || asked->rate_target > own->rate_target))
        pace.rate_target = own->rate_target;
    if (LH_GUARD(PACE_POLICY, greed(asked->policy) > greed(own->policy)))
        pace.policy = own->policy;
    if (LH_GUARD(PACE_MINIMUM, pace.rate_min > own->rate_min))
        pace.rate_min = own->rate_min;
    if (pace.rate_target != 0)
        pace.rate_min = LH_MIN(pace.rate_min, pace.rate_target);
    return pace;
}

lh_err lh_pace_change(const struct lh_msg_pace *now,
                      const struct lh_local_request *request,
                      struct lh_msg_pace *out_pace,
                      struct lh_errinfo *info)
{
    struct lh_msg_pace pace = *now;
    bool is_known = !request->has_policy;
    if (request->has_rate)
        pace.rate_target = request->rate / 8;
    if (request->has_min)
        pace.rate_min = request->min / 8;
    for (uint8_t i = 0; i < LH_PACE_N_ && request->has_policy; i++) {
        if (strcmp(policies[i].word, request->policy) == 0) {
            pace.policy = i;
            is_known = true;
        }
    }
    if (!is_known)
        return lh_fail(info, LH_E_INVALID, 0, "policies are fair, high, low and fixed");
    if (pace.policy == LH_PACE_FIXED && pace.rate_target == 0)
        return lh_fail(info, LH_E_INVALID, 0, "the policy fixed needs a rate");
    if (pace.rate_target != 0 && pace.rate_min > pace.rate_target)
        return lh_fail(info, LH_E_INVALID, 0, "the minimum would be above the target rate");
    *out_pace = pace;
    return 0;
}

// The sender's part: the transport gets it.
static void apply(struct lh_live *live, const struct lh_msg_pace *pace)
{
    struct lh_cc_limits limits = {.rate_target = LH_MIN(pace->rate_target, LH_CC_RATE_MAX),
                                  .rate_min = LH_MIN(pace->rate_min, LH_CC_RATE_MAX)};
    struct lh_transport *transport = live->session->transport;
    lh_ns now = lh_loop_now(live->session->loop);
    live->session->ssh_limits = limits; // of the SSH lane, should it be made anew
    lh_transport_set_policy(transport, lh_pace_controller(pace->policy), &limits, now);
    live->pace = *pace;
}

static lh_err change(struct lh_live *live, const struct lh_msg_pace *pace, struct lh_errinfo *info)
{
    struct lh_message message = {.type = LH_MESSAGE_PACE, .as.pace = *pace};
    if (live->session->job == NULL || live->session->is_finished)
        return lh_fail(info, LH_E_CLOSED, 0, "the transfer is over");
    if (sends(live)) {
        apply(live, pace);
    } else if (!lh_job_tell(live->session->job, &message)) {
        return lh_fail(info, LH_E_BUSY, 0, "the other side cannot be told now");
    } else {
        live->pace = *pace;
    }
    live->own = *pace;
    return 0;
}

static void on_pace(struct lh_live *live, const struct lh_msg_pace *asked)
{
    struct lh_msg_pace pace = *asked;
    if (!sends(live))
        return;
    if (live->session->is_client)
        pace = lh_pace_within(&live->own, asked);
    apply(live, &pace);
}

// The sender's part: tells the other end what has changed, which shows it there.
static void tell_paced(struct lh_live *live, lh_ns now)
{
    struct lh_transport_stats stats;
    if (!sends(live) || live->session->is_finished || now < live->looked_at + TELL_PACED)
        return;
    live->looked_at = now;
    lh_transport_stats(live->session->transport, &stats);
    struct lh_msg_paced paced = {
        .pace = live->pace,
        .braked_to = stats.braked_to,
        .is_detoured = lh_transport_is_detoured(live->session->transport),
    };
    const struct lh_msg_paced *told = &live->paced;
    if (paced.pace.policy == told->pace.policy &&
        paced.pace.rate_target == told->pace.rate_target &&
        paced.pace.rate_min == told->pace.rate_min && paced.braked_to == told->braked_to &&
        paced.is_detoured == told->is_detoured)
        return;
    struct lh_message message = {.type = LH_MESSAGE_PACED, .as.paced = paced};
    if (!lh_job_tell(live->session->job, &message))
        return; // again next time
    live->paced = paced;
    live->has_news = true;
}

static void on_paced(struct lh_live *live, const struct lh_msg_paced *paced)
{
    if (sends(live))
        return;
    live->paced = *paced;
    live->pace = paced->pace;
    live->session->was_detoured |= paced->is_detoured != 0;
}

// --- The private socket --------------------------------------------------------------------------

static void fill_job(const struct lh_live *live, struct lh_local_session *out)
{
    struct lh_job_status status;
    if (live->session->job == NULL)
        return;
    lh_job_status(live->session->job, &status);
    out->bytes_done = status.bytes_held;
    out->bytes_total = status.bytes_total;
    out->files_done = status.files_done;
    out->files_total = status.files_total;
}

static uint64_t content_bytes(const struct lh_live *live)
{
    struct lh_transport_stats stats;
    lh_transport_stats(live->session->transport, &stats);
    return sends(live) ? stats.block_bytes_acked : stats.block_bytes_delivered;
}

static void fill_session(const struct lh_live *live, struct lh_local_session *out)
{
    static const char *const lanes[] = {[LH_LANE_SSH] = "ssh", [LH_LANE_UDP] = "udp"};
    struct lh_held_shares shares = {{0}};
    struct lh_lane_stats lane = {0};
    lh_ns now = lh_loop_now(live->session->loop);
    uint8_t id = lh_session_data_lane(live->session);

    lh_live_add_shares(live, &shares);
    *out = (struct lh_local_session){
        .pid = (uint64_t)getpid(),
        .rate_target = LH_MIN(live->pace.rate_target, LH_CC_RATE_MAX) * 8,
        .rate_min = LH_MIN(live->pace.rate_min, LH_CC_RATE_MAX) * 8,
        .elapsed_ms = lh_ns_since(now, live->began) / LH_MS,
    };
    (void)snprintf(out->id, sizeof out->id, "%08x", live->session_id);
    (void)snprintf(out->side, sizeof out->side, "%s",
                   live->session->is_client ? "client" : "server");
    (void)snprintf(out->direction, sizeof out->direction, "%s", sends(live) ? "sends" : "receives");
    (void)snprintf(out->peer, sizeof out->peer, "%s", live->peer);
    (void)snprintf(out->lane, sizeof out->lane, "%s",
                   id < LH_ARRAY_LEN(lanes) ? lanes[id] : "none");
    (void)snprintf(out->policy, sizeof out->policy, "%s", policies[live->pace.policy].word);
    (void)snprintf(out->held_by, sizeof out->held_by, "%s",
                   lh_bottleneck_name(lh_held_bottleneck(&shares)));
    if (id < LH_LANES_MAX)
        lh_transport_lane_stats(live->session->transport, id, &lane);
    out->rtt_us = lane.rtt_smoothed / LH_US;
    if (now > live->rate_at[0])
        out->rate = lh_muldiv(lh_sub_sat(content_bytes(live), live->rate_bytes[0]), 8 * LH_SECOND,
                              now - live->rate_at[0]);
    fill_job(live, out);
}

static size_t answer(void *user, const char *text, size_t len, char *out, size_t room)
{
    struct lh_live *live = user;
    struct lh_local_request request;
    struct lh_local_session session;
    struct lh_errinfo info = {0};
    struct lh_msg_pace pace;

    lh_err err = lh_local_request_parse(text, len, &request, &info);
    if (err == 0 && request.command == LH_LOCAL_SET) {
        err = lh_pace_change(&live->pace, &request, &pace, &info);
        if (err == 0)
            err = change(live, &pace, &info);
    }
    if (err != 0)
        return lh_local_reply_write(NULL, info.text, out, room);
    fill_session(live, &session);
    return lh_local_reply_write(&session, NULL, out, room);
}

static void on_socket(void *user, uint32_t events, lh_ns now)
{
    struct lh_live *live = user;
    (void)events;
    lh_local_ready(live->socket, now);
}

static void open_socket(struct lh_live *live, const char *state_dir)
{
    char name[LH_LOCAL_NAME_MAX + 1];
    struct lh_local_places *places = calloc(1, sizeof *places);
    if (places == NULL)
        return;
    lh_local_places(places, geteuid(), getenv("XDG_RUNTIME_DIR"), state_dir);
    (void)snprintf(name, sizeof name, "%08x.%x", live->session_id, (unsigned)getpid());
    lh_err err = lh_local_listen(places, name, answer, live, &live->socket, &live->no_socket);
    free(places);
    if (err == 0 && lh_loop_add(live->session->loop, lh_local_fd(live->socket), EPOLLIN, on_socket,
                                live) != 0) {
        lh_local_close(live->socket);
        live->socket = NULL;
    }
}

// --- Events --------------------------------------------------------------------------------------

static void on_remote_event(void *user, enum lh_event_kind kind, const void *event, lh_ns now)
{
    struct lh_live *live = user;
    char fields[LH_EVENT_LINE];
    struct lh_message message = {.type = LH_MESSAGE_TRACED};
    message.as.traced.at_us = lh_ns_since(now, live->began) / LH_US;
    message.as.traced.text.data = fields;
    message.as.traced.text.len = lh_event_fields(kind, event, fields, sizeof fields);
    live->has_news |= lh_job_tell(live->session->job, &message);
}

static void on_trace(struct lh_live *live, const struct lh_msg_trace *wanted)
{
    lh_ns interval = LH_MAX(wanted->interval_us * LH_US, REMOTE_INTERVAL);
    if (live->session->is_client)
        return; // a server has no business with our events
    live->remote = (struct lh_trace){on_remote_event, live, interval};
    lh_transport_set_trace(live->session->transport, &live->remote);
}

static void on_traced(struct lh_live *live, const struct lh_msg_traced *traced)
{
    lh_ns since = LH_MIN(traced->at_us, UINT64_MAX / LH_US / 4) * LH_US;
    if (live->trace_file != NULL)
        lh_trace_file_other(live->trace_file, traced->text.data, traced->text.len,
                            live->began + since);
}

static void trace_held(struct lh_live *live, lh_ns now)
{
    struct lh_held_shares shares = {{0}};
    if (live->trace_file == NULL || now < live->traced_at + TRACE_HELD)
        return;
    live->traced_at = now;
    lh_live_add_shares(live, &shares);
    struct lh_event_held event = {
        .network = shares.time[LH_BOTTLENECK_NETWORK],
        .policy = shares.time[LH_BOTTLENECK_POLICY],
        .sender_disk = shares.time[LH_BOTTLENECK_SENDER_DISK],
        .receiver_disk = shares.time[LH_BOTTLENECK_RECEIVER_DISK],
        .cpu = shares.time[LH_BOTTLENECK_CPU],
        .window = shares.time[LH_BOTTLENECK_WINDOW],
        .idle = shares.time[LH_BOTTLENECK_NONE],
    };
    lh_trace_file_event(live->trace_file, LH_EVENT_held, &event, now);
}

// --- The account ---------------------------------------------------------------------------------

static enum lh_held_cause source_cause(const struct lh_session *session)
{
    if (lh_ioq_pending(session->ioq) > 0)
        return LH_HELD_DISK;
    return lh_job_is_read_ahead_full(session->job) ? LH_HELD_WINDOW : LH_HELD_IDLE;
}

static enum lh_held_cause sender_cause(const struct lh_session *session)
{
    switch (lh_transport_held_by(session->transport)) {
    case LH_HELD_BY_POLICY:
        return LH_HELD_POLICY;
    case LH_HELD_BY_WINDOW:
        return LH_HELD_WINDOW;
    case LH_HELD_BY_SOURCE:
        return source_cause(session);
    case LH_HELD_BY_NOTHING:
        return LH_HELD_CPU; // there is work, and the loop goes on with it at once
    default:
        return LH_HELD_NETWORK;
    }
}

// A receiver has nothing to say but that its disk is behind; the processor shows by itself.
static enum lh_held_cause receiver_cause(const struct lh_live *live)
{
    uint64_t mean = live->blocks_seen == 0 ? 0 : live->block_bytes_seen / live->blocks_seen;
    uint64_t budget = live->session->receive_budget;
    return live->blocks_waiting * mean >= budget / WAITING_SHARE ? LH_HELD_DISK : LH_HELD_NETWORK;
}

static void account(struct lh_live *live, lh_ns now)
{
    struct lh_session *session = live->session;
    if (session->job == NULL)
        return;
    if (!live->is_held_counted && !session->is_finished) {
        struct lh_transport_stats stats;
        lh_transport_stats(session->transport, &stats);
        live->is_held_counted = live->blocks_seen > 0 || (sends(live) && !stats.app_limited);
        if (live->is_held_counted) {
            lh_held_fini(&live->held);
            lh_held_init(&live->held, now);
        }
    }
    if (!live->is_held_counted)
        return;
    lh_held_note(&live->held, sends(live) ? sender_cause(session) : receiver_cause(live), now);
    live->is_held_counted = !session->is_finished;
}

static void tell_held(struct lh_live *live, lh_ns now)
{
    struct lh_message message = {.type = LH_MESSAGE_HELD};
    if (!live->is_held_counted || now < live->told_at + TELL_HELD)
        return;
    live->told_at = now;
    lh_held_say(&live->held, &message.as.held);
    live->has_news |= lh_job_tell(live->session->job, &message);
}

void lh_live_on_block(struct lh_live *live, size_t len)
{
    live->blocks_seen++;
    live->blocks_waiting++;
    live->block_bytes_seen += len;
}

void lh_live_on_release(struct lh_live *live)
{
    live->blocks_waiting = lh_sub_sat(live->blocks_waiting, 1);
}

void lh_live_add_shares(const struct lh_live *live, struct lh_held_shares *shares)
{
    struct lh_msg_held own = {0};
    lh_held_say(&live->held, &own);
    if (sends(live))
        lh_held_join(shares, &own, &live->peer_held);
    else
        lh_held_join(shares, &live->peer_held, &own);
}

// --- The whole -----------------------------------------------------------------------------------

void lh_live_init(struct lh_live *live,
                  struct lh_session *session,
                  const struct lh_live_config *config,
                  lh_ns now)
{
    *live = (struct lh_live){.session = session,
                             .pace = config->pace,
                             .own = config->own,
                             .paced = {.pace = config->pace},
                             .session_id = config->session_id,
                             .trace_file = config->trace_file,
                             .began = now,
                             .rate_at = {now, now}};
    (void)snprintf(live->peer, sizeof live->peer, "%s", config->peer != NULL ? config->peer : "");
    lh_held_init(&live->held, now);
    open_socket(live, config->state_dir);
    if (live->trace_file == NULL || session->job == NULL)
        return;
    const struct lh_trace *sink = lh_trace_file_sink(live->trace_file);
    struct lh_message message = {.type = LH_MESSAGE_TRACE};
    message.as.trace.interval_us = (uint32_t)LH_MIN(sink->interval / LH_US, (lh_ns)UINT32_MAX);
    lh_transport_set_trace(session->transport, sink);
    live->has_news = lh_job_tell(session->job, &message);
}

void lh_live_fini(struct lh_live *live)
{
    if (live->session == NULL)
        return;
    if (live->socket != NULL)
        lh_loop_remove(live->session->loop, lh_local_fd(live->socket));
    lh_local_close(live->socket);
    lh_held_fini(&live->held);
    if (live->session->transport != NULL)
        lh_transport_set_trace(live->session->transport, NULL);
    live->socket = NULL;
    live->session = NULL;
}

void lh_live_on_news(struct lh_live *live, const struct lh_message *message)
{
    switch (message->type) {
    case LH_MESSAGE_PACE:
        on_pace(live, &message->as.pace);
        break;
    case LH_MESSAGE_TRACE:
        on_trace(live, &message->as.trace);
        break;
    case LH_MESSAGE_TRACED:
        on_traced(live, &message->as.traced);
        break;
    case LH_MESSAGE_HELD:
        live->peer_held = message->as.held;
        break;
    case LH_MESSAGE_PACED:
        on_paced(live, &message->as.paced);
        break;
    default:
        break;
    }
}

lh_ns lh_live_turn(struct lh_live *live, lh_ns now)
{
    lh_ns deadline = LH_NEVER;
    if (live->session == NULL)
        return deadline;
    account(live, now);
    tell_held(live, now);
    tell_paced(live, now);
    trace_held(live, now);
    if (now >= live->rate_at[1] + RATE_SPAN) {
        live->rate_at[0] = live->rate_at[1];
        live->rate_bytes[0] = live->rate_bytes[1];
        live->rate_at[1] = now;
        live->rate_bytes[1] = content_bytes(live);
    }
    if (live->has_news) {
        live->has_news = false;
        lh_job_on_writable(live->session->job); // writes what waits for the stream
    }
    if (live->socket != NULL) {
        if (lh_local_deadline(live->socket) <= now)
            lh_local_ready(live->socket, now);
        deadline = lh_local_deadline(live->socket);
    }
    if (live->is_held_counted)
        deadline = lh_ns_min(deadline, live->told_at + TELL_HELD);
    if (live->is_held_counted && sends(live))
        deadline = lh_ns_min(deadline, live->looked_at + TELL_PACED);
    return deadline;
}
