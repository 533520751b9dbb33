// SPDX-License-Identifier: Apache-2.0
//
// How it works. The dialogue around a transfer is a short line of states (enum lh_job_state):
//
//   client, upload     NEW -> WAIT_READY -> RUNNING -> ENDED
//   client, download   NEW -> PREPARING -> WAIT_READY -> RUNNING -> ENDING -> ENDED
//   server, upload     WAIT_JOB -> WAIT_SOURCES -> PREPARING -> RUNNING -> ENDING -> ENDED
//   server, download   WAIT_JOB -> WAIT_SOURCES -> RUNNING -> ENDED
//
// From any of them a failure, the peer's JOB_END with a code, or lh_job_cancel leads to ENDED. The
// receiver looks at DEST before it lets the other side begin, so a wrong DEST is said at once.
//
// Every input ends in lh_job_turn, which lets the role do what has become possible, writes what the
// stream takes, and delivers the verdict once there is one: so callbacks never run inside half-done
// work.
#include "transfer/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "file/faux.h"
#include "job/dest.h"
#include "transfer/job_internal.h"
#include "transfer/verdict.h"

LH_DEFINE_FREEP(struct lh_job, lh_job_free)

static uint8_t log2_of(uint32_t power)
{
    return (uint8_t)__builtin_ctz(power);
}

static lh_err
job_new(const struct lh_job_host *host, struct lh_job **out_job, struct lh_errinfo *info)
{
    if (host->block_size == 0 || (host->block_size & (host->block_size - 1)) != 0 ||
        log2_of(host->block_size) < LH_BLOCK_LOG2_MIN ||
        log2_of(host->block_size) > LH_BLOCK_LOG2_MAX)
        return lh_fail(info, LH_E_INVALID, LH_CODE_USAGE, "block size %u is not possible",
                       host->block_size);
    struct lh_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "out of memory");
    job->host = *host;
    if (job->host.read_ahead == 0)
        job->host.read_ahead = LH_READ_AHEAD_DEFAULT;
    lh_inbox_init(&job->inbox);
    *out_job = job;
    return LH_OK;
}

// The name that a source keeps below DEST.
static lh_err source_name(const char *path,
                          const char *base,
                          char out[LH_PATH_TEXT_MAX + 1],
                          struct lh_errinfo *info)
{
    if (lh_faux_is(path)) {
        struct lh_faux faux;
        lh_err err = lh_faux_parse(path, &faux, info);
        if (err == LH_OK)
            snprintf(out, LH_PATH_TEXT_MAX + 1, "%s", faux.name);
        return err;
    }
    lh_err err = lh_source_name(path, strlen(path), base, out);
    if (err != LH_OK)
        return lh_fail(info, err, LH_CODE_BAD_PATH,
                       base == NULL ? "source path %s is not possible"
                                    : "source %s is not below the source base %s",
                       path, base);
    return LH_OK;
}

static lh_err
copy_request(struct lh_job *job, const struct lh_job_request *request, struct lh_errinfo *info)
{
    if (request->source_count == 0 || request->source_count > LH_SOURCES_MAX)
        return lh_fail(info, LH_E_LIMIT, LH_CODE_USAGE, "1 to %d sources are possible",
                       LH_SOURCES_MAX);
    if (strlen(request->dest) > LH_PATH_TEXT_MAX)
        return lh_fail(info, LH_E_PATH, LH_CODE_PATH_TOO_LONG, "the destination path is too long");
    job->direction = request->direction;
    job->overwrite = request->overwrite;
    job->flags = request->flags & LH_JOB_FLAGS;
    job->run_id = request->run_id;
    job->dest = strdup(request->dest);
    job->sources = calloc(request->source_count, sizeof *job->sources);
    if (job->dest == NULL || job->sources == NULL)
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "out of memory");
    job->source_count = request->source_count;
    for (size_t i = 0; i < request->source_count; i++) {
        char name[LH_PATH_TEXT_MAX + 1];
        lh_err err = source_name(request->sources[i], request->source_base, name, info);
        if (err != LH_OK)
            return err;
        job->sources[i].path = strdup(request->sources[i]);
        job->sources[i].name = strdup(name);
        if (job->sources[i].path == NULL || job->sources[i].name == NULL)
            return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "out of memory");
    }
    return LH_OK;
}

lh_err lh_job_new_client(const struct lh_job_host *host,
                         const struct lh_job_request *request,
                         struct lh_job **out_job,
                         struct lh_errinfo *info)
{
    LH_CLEANUP(lh_job_freep) struct lh_job *job = NULL;
    lh_err err = job_new(host, &job, info);
    if (err != LH_OK)
        return err;
    job->is_client = true;
    job->state = LH_JOB_STATE_NEW;
    err = copy_request(job, request, info);
    if (err == LH_OK)
        *out_job = lh_steal(&job);
    return err;
}

lh_err
lh_job_new_server(const struct lh_job_host *host, struct lh_job **out_job, struct lh_errinfo *info)
{
    lh_err err = job_new(host, out_job, info);
    if (err == LH_OK)
        (*out_job)->state = LH_JOB_STATE_WAIT_JOB;
    return err;
}

void lh_job_free(struct lh_job *job)
{
    if (job == NULL)
        return;
    lh_sender_free(job->sender);
    lh_receiver_free(job->receiver);
    for (size_t i = 0; job->sources != NULL && i < job->source_count; i++) {
        free(job->sources[i].path);
        free(job->sources[i].name);
    }
    free(job->sources);
    free(job->dest);
    lh_outbox_fini(&job->outbox);
    free(job);
}

enum lh_job_direction lh_job_direction(const struct lh_job *job)
{
    return job->direction;
}

const char *lh_job_dest(const struct lh_job *job)
{
    return job->dest == NULL ? "" : job->dest;
}

// --- Messages out ---

void lh_job_say(struct lh_job *job, const struct lh_message *message)
{
    if (lh_job_ended(job))
        return;
    lh_err err = lh_outbox_put(&job->outbox, message);
    if (err != LH_OK)
        lh_job_abort(job, err, LH_CODE_NO_MEMORY,
                     err == LH_E_LIMIT ? "the other side does not read its messages"
                                       : "out of memory");
}

static void say_job(struct lh_job *job)
{
    lh_job_say(job, &(struct lh_message){.type = LH_MESSAGE_JOB,
                                         .as.job = {.direction = (uint8_t)job->direction,
                                                    .overwrite = (uint8_t)job->overwrite,
                                                    .flags = job->flags,
                                                    .block_log2 = log2_of(job->host.block_size),
                                                    .source_count = (uint16_t)job->source_count,
                                                    .dest = lh_text_of(job->dest, LH_PATH_TEXT_MAX),
                                                    .run_id = job->run_id}});
    for (size_t i = 0; i < job->source_count; i++) {
        struct lh_message source = {.type = LH_MESSAGE_SOURCE};
        source.as.source.index = (uint16_t)i;
        source.as.source.path = lh_text_of(job->sources[i].path, LH_PATH_TEXT_MAX);
        if (job->direction == LH_JOB_UPLOAD)
            source.as.source.name = lh_text_of(job->sources[i].name, LH_PATH_TEXT_MAX);
        lh_job_say(job, &source);
    }
}

static void say_ready(struct lh_job *job, const char *notice)
{
    lh_job_say(job,
               &(struct lh_message){.type = LH_MESSAGE_JOB_READY,
                                    .as.job_ready = {.block_log2 = log2_of(job->host.block_size),
                                                     .notice = lh_text_of(notice, LH_REASON_MAX)}});
}

static void notice(struct lh_job *job, const char *text)
{
    if (text[0] != '\0')
        lh_job_problem(
            job, &(struct lh_job_problem){.severity = LH_PROBLEM_NOTICE, .path = "", .text = text});
}

// --- The dialogue ---

static void become_sender(struct lh_job *job)
{
    lh_err err = lh_sender_new(job, &job->sender);
    if (err != LH_OK) {
        lh_job_abort(job, 0, LH_CODE_NO_MEMORY, "out of memory");
        return;
    }
    job->state = LH_JOB_STATE_RUNNING;
    job->status.started = true;
}

static void become_receiver(struct lh_job *job)
{
    job->state = LH_JOB_STATE_PREPARING;
    lh_err err = lh_receiver_new(job, &job->receiver);
    if (err != LH_OK)
        lh_job_abort(job, 0, LH_CODE_NO_MEMORY, "out of memory");
}

void lh_job_prepared(struct lh_job *job, const char *text)
{
    if (job->state != LH_JOB_STATE_PREPARING)
        return;
    if (job->is_client) {
        notice(job, text);
        say_job(job);
        job->state = LH_JOB_STATE_WAIT_READY;
    } else {
        say_ready(job, text);
        job->state = LH_JOB_STATE_RUNNING;
        job->status.started = true;
    }
}

void lh_job_start(struct lh_job *job)
{
    if (job->state == LH_JOB_STATE_NEW && lh_job_is_sender(job)) {
        say_job(job);
        job->state = LH_JOB_STATE_WAIT_READY;
    } else if (job->state == LH_JOB_STATE_NEW) {
        become_receiver(job);
    }
    lh_job_turn(job);
}

static lh_err on_job(struct lh_job *job, const struct lh_msg_job *asked)
{
    if (job->state != LH_JOB_STATE_WAIT_JOB)
        return LH_E_PROTO;
    if (asked->block_log2 != log2_of(job->host.block_size))
        return LH_E_PROTO;
    job->direction = asked->direction;
    job->overwrite = asked->overwrite;
    job->flags = asked->flags;
    job->run_id = asked->run_id;
    job->dest = strndup(asked->dest.data, asked->dest.len);
    job->sources = calloc(asked->source_count, sizeof *job->sources);
    if (job->dest == NULL || job->sources == NULL)
        return LH_E_NOMEM;
    job->source_count = asked->source_count;
    job->state = LH_JOB_STATE_WAIT_SOURCES;
    return LH_OK;
}

static lh_err on_source(struct lh_job *job, const struct lh_msg_source *source)
{
    if (job->state != LH_JOB_STATE_WAIT_SOURCES || source->index != job->sources_known)
        return LH_E_PROTO;
    struct lh_job_source *known = &job->sources[job->sources_known++];
    known->path = strndup(source->path.data, source->path.len);
    known->name = strndup(source->name.data, source->name.len);
    if (known->path == NULL || known->name == NULL)
        return LH_E_NOMEM;
    if (job->sources_known < job->source_count)
        return LH_OK;
    if (lh_job_is_sender(job)) {
        say_ready(job, "");
        become_sender(job);
    } else {
        become_receiver(job);
    }
    return LH_OK;
}

static lh_err on_ready(struct lh_job *job, const struct lh_msg_job_ready *ready)
{
    if (job->state != LH_JOB_STATE_WAIT_READY || ready->block_log2 != log2_of(job->host.block_size))
        return LH_E_PROTO;
    char text[LH_REASON_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)ready->notice.len, ready->notice.data);
    notice(job, text);
    if (lh_job_is_sender(job)) {
        become_sender(job);
    } else {
        job->state = LH_JOB_STATE_RUNNING;
        job->status.started = true;
    }
    return LH_OK;
}

static lh_err on_problem(struct lh_job *job, const struct lh_msg_problem *problem)
{
    char where[LH_PATH_TEXT_MAX + 1], text[LH_REASON_MAX + 1];
    snprintf(where, sizeof where, "%.*s", (int)problem->where.len, problem->where.data);
    snprintf(text, sizeof text, "%.*s", (int)problem->reason.len, problem->reason.data);
    lh_job_problem(job, &(struct lh_job_problem){.severity = problem->severity,
                                                 .code = problem->code,
                                                 .path = where,
                                                 .text = text});
    return LH_OK;
}

static lh_err on_peer_stopped(struct lh_job *job, const struct lh_msg_job_end *end)
{
    char text[LH_REASON_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)end->reason.len, end->reason.data);
    lh_job_end_by_peer(job, end->code, text);
    return LH_OK;
}

static lh_err on_message(void *ctx, const struct lh_message *message)
{
    struct lh_job *job = ctx;
    if (lh_job_ended(job))
        return LH_OK;
    switch (message->type) {
    case LH_MESSAGE_JOB:
        return on_job(job, &message->as.job);
    case LH_MESSAGE_SOURCE:
        return on_source(job, &message->as.source);
    case LH_MESSAGE_JOB_READY:
        return on_ready(job, &message->as.job_ready);
    case LH_MESSAGE_UDP_HEARD:
        return LH_OK; // news for a check (run/check.c); the transport knows better by now
    case LH_MESSAGE_PACE:
    case LH_MESSAGE_TRACE:
    case LH_MESSAGE_TRACED:
    case LH_MESSAGE_HELD:
    case LH_MESSAGE_PACED:
        if (job->host.events->on_news != NULL)
            job->host.events->on_news(job->host.user, message);
        return LH_OK;
    case LH_MESSAGE_JOB_END:
        if (message->as.job_end.code != 0)
            return on_peer_stopped(job, &message->as.job_end);
        break;
    default:
        break;
    }
    if (job->state != LH_JOB_STATE_RUNNING && job->state != LH_JOB_STATE_ENDING)
        return LH_E_PROTO;
    if (message->type == LH_MESSAGE_PROBLEM)
        return on_problem(job, &message->as.problem);
    return lh_job_is_sender(job) ? lh_sender_on_message(job->sender, message)
                                 : lh_receiver_on_message(job->receiver, message);
}

// --- Inputs ---

void lh_job_on_stream(struct lh_job *job, const uint8_t *data, size_t len)
{
    const struct lh_channel *channel = job->host.channel;
    if (!lh_job_ended(job)) {
        lh_err err = lh_inbox_take(&job->inbox, data, len, on_message, job);
        if (err != LH_OK)
            lh_job_breach(job, err, "a message");
    }
    channel->stream_consumed(channel->ctx, len);
    lh_job_turn(job);
}

void lh_job_on_block(struct lh_job *job, uint32_t block, uint8_t *data, size_t len)
{
    const struct lh_channel *channel = job->host.channel;
    bool wanted = job->receiver != NULL && job->state == LH_JOB_STATE_RUNNING;
    if (wanted) {
        lh_err err = lh_receiver_on_block(job->receiver, block, data, len);
        if (err != LH_OK)
            lh_job_breach(job, err, "a block");
    } else {
        channel->block_release(channel->ctx, block);
        if (!lh_job_ended(job))
            lh_job_breach(job, LH_E_PROTO, "a block that nobody expects");
    }
    lh_job_turn(job);
}

enum lh_take lh_job_on_block_begin(
    struct lh_job *job, uint32_t block, const uint8_t *head, size_t head_len, size_t len)
{
    if (job->receiver == NULL || job->state != LH_JOB_STATE_RUNNING)
        return LH_TAKE_NEVER;
    return lh_receiver_on_block_begin(job->receiver, block, head, head_len, len);
}

void lh_job_on_block_run(
    struct lh_job *job, uint32_t block, size_t offset, const uint8_t *data, size_t len)
{
    lh_receiver_on_block_run(job->receiver, block, offset, data, len);
}

void lh_job_on_block_end(struct lh_job *job, uint32_t block)
{
    lh_receiver_on_block_end(job->receiver, block);
    lh_job_turn(job);
}

void lh_job_on_block_acked(struct lh_job *job, uint32_t block, uint8_t *data, size_t len)
{
    (void)data;
    (void)len;
    if (job->sender != NULL)
        lh_sender_on_block_acked(job->sender, block);
    lh_job_turn(job);
}

void lh_job_on_block_wanted(struct lh_job *job, uint32_t block)
{
    if (job->sender != NULL)
        lh_sender_on_block_wanted(job->sender, block);
    lh_job_turn(job);
}

void lh_job_on_writable(struct lh_job *job)
{
    lh_job_turn(job);
}

bool lh_job_tell(struct lh_job *job, const struct lh_message *message)
{
    if (lh_job_ended(job) || lh_outbox_waiting(&job->outbox) > LH_JOB_TELL_WAITING)
        return false;
    lh_job_say(job, message);
    return !lh_job_ended(job);
}

bool lh_job_sends(const struct lh_job *job)
{
    return job->sender != NULL;
}

bool lh_job_is_read_ahead_full(const struct lh_job *job)
{
    return job->sender != NULL && lh_sender_is_full(job->sender);
}

void lh_job_cancel(struct lh_job *job)
{
    if (!lh_job_ended(job))
        lh_job_abort(job, 0, LH_CODE_CANCELED, "stopped; the same command again goes on from here");
    lh_job_turn(job);
}

void lh_job_turn(struct lh_job *job)
{
    if (job->in_turn) {
        job->turn_again = true;
        return;
    }
    job->in_turn = true;
    do {
        job->turn_again = false;
        if (job->sender != NULL && job->state == LH_JOB_STATE_RUNNING)
            lh_sender_pump(job->sender);
        if (job->receiver != NULL && job->state == LH_JOB_STATE_RUNNING)
            lh_receiver_pump(job->receiver);
        lh_err err = lh_outbox_flush(&job->outbox, job->host.channel);
        if (err != LH_OK && !lh_job_ended(job))
            lh_job_abort(job, err, LH_CODE_CONNECTION_LOST, "the session is closed");
    } while (job->turn_again);
    job->in_turn = false;
    lh_job_deliver_verdict(job);
}

void lh_job_status(struct lh_job *job, struct lh_job_status *out_status)
{
    const struct lh_job_counts *counts = &job->counts;
    struct lh_job_status *status = &job->status;
    status->files_done = counts->files_complete + counts->files_skipped;
    status->files_skipped = counts->files_skipped;
    status->files_failed = counts->files_failed;
    status->bytes_verified = counts->bytes_complete + counts->bytes_skipped;
    status->bytes_sent = counts->bytes_sent;
    status->name = job->current[0] == '\0' ? NULL : job->current;
    *out_status = *status;
}
