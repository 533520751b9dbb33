// SPDX-License-Identifier: Apache-2.0
//
// What the sender, the receiver and the dialogue around them share: the job's options, its ledger,
// its messages out, its events. Inside src/transfer only.
#ifndef LH_TRANSFER_JOB_INTERNAL_H
#define LH_TRANSFER_JOB_INTERNAL_H

#include "file/digest.h"
#include "job/inbox.h"
#include "transfer/job.h"
#include "transfer/outbox.h"

struct lh_sender;
struct lh_receiver;

struct lh_job_source {
    char *path; // as asked; owned
    char *name; // below DEST: "" or components; owned
};

enum lh_job_state {
    LH_JOB_STATE_NEW,
    LH_JOB_STATE_WAIT_JOB,     // server: for JOB
    LH_JOB_STATE_WAIT_SOURCES, // server: for the rest of its SOURCEs
    LH_JOB_STATE_PREPARING,    // receiver: DEST and journal are looked at
    LH_JOB_STATE_WAIT_READY,   // client: for JOB_READY
    LH_JOB_STATE_RUNNING,
    LH_JOB_STATE_ENDING, // receiver: JOB_END sent, the sender's is awaited
    LH_JOB_STATE_ENDED   // on_finished was called
};

struct lh_job {
    struct lh_job_host host;
    bool is_client;
    enum lh_job_state state;
    enum lh_job_direction direction;
    enum lh_overwrite overwrite;
    uint16_t flags;
    uint64_t run_id; // of the request
    char *dest;      // owned
    struct lh_job_source *sources;
    size_t source_count;
    size_t sources_known; // server: SOURCE messages read

    struct lh_inbox inbox;
    struct lh_outbox outbox;
    struct lh_job_counts counts;
    uint16_t failed_code; // what all failures so far share, 27 where they differ, 0 = none
    struct lh_job_status status;
    char current[LH_PATH_TEXT_MAX + 1]; // what status.name points to

    // The verdict, once state is ENDED.
    lh_err verdict_err;
    uint16_t verdict_code;
    bool verdict_delivered;
    char verdict_text[LH_REASON_MAX + 1];

    bool in_turn, turn_again;
    struct lh_sender *sender; // one of the two, once running
    struct lh_receiver *receiver;
};

static inline bool lh_job_is_sender(const struct lh_job *job)
{
    return (job->direction == LH_JOB_UPLOAD) == job->is_client;
}

static inline bool lh_job_ended(const struct lh_job *job)
{
    return job->state == LH_JOB_STATE_ENDED;
}

static inline uint64_t lh_block_count(uint64_t size, uint32_t block_size)
{
    return size / block_size + (size % block_size != 0);
}

static inline uint32_t lh_block_length(uint64_t size, uint32_t block_size, uint64_t index)
{
    uint64_t left = size - index * block_size;
    return left < block_size ? (uint32_t)left : block_size;
}

// Files up to this many bytes travel in bundles, and are one block.
static inline uint32_t lh_small_max(uint32_t block_size)
{
    return block_size < LH_SMALL_FILE_MAX ? block_size : LH_SMALL_FILE_MAX;
}

static inline struct lh_text lh_text_of(const char *text, size_t len_max)
{
    size_t len = strnlen(text, len_max);
    return (struct lh_text){.data = text, .len = len};
}

// --- Offered by job.c to both roles ---

// Queues a message. Failures end the job.
void lh_job_say(struct lh_job *job, const struct lh_message *message);

// Tells the user here; PROBLEM_FAILED also counts as a failed file where `counts` says so.
void lh_job_problem(struct lh_job *job, const struct lh_job_problem *problem);
// The same, and tells the other side, which counts it too.
void lh_job_tell_problem(struct lh_job *job, const struct lh_job_problem *problem);

// One file's fate, for the ledger and the user. A failure is told by lh_job_problem too.
void lh_job_settle(struct lh_job *job,
                   enum lh_job_outcome outcome,
                   const char *path,
                   uint64_t size);
void lh_job_settle_failed(struct lh_job *job, const char *path, uint16_t code, const char *text);

// Ends the job: it cannot go on. `text` is for the user. With err == 0 the other side is told by
// JOB_END; with an lh_err the transport is to be closed.
void lh_job_abort(struct lh_job *job, lh_err err, uint16_t code, const char *text);
// For the peer's breach of the protocol: what it did, for the log.
void lh_job_breach(struct lh_job *job, lh_err err, const char *what);
// Ends the job well (by its counts). Sender: after it has answered JOB_END.
void lh_job_conclude(struct lh_job *job);

// Moves everything on; called at the end of every input and of every task's done().
void lh_job_turn(struct lh_job *job);

// The receiver is ready for entries.
void lh_job_prepared(struct lh_job *job, const char *notice);

// --- Offered by the roles to job.c ---

lh_err lh_sender_new(struct lh_job *job, struct lh_sender **out_sender) LH_MUST_CHECK;
void lh_sender_free(struct lh_sender *sender);
lh_err lh_sender_on_message(struct lh_sender *sender,
                            const struct lh_message *message) LH_MUST_CHECK;
void lh_sender_on_block_acked(struct lh_sender *sender, uint32_t number);
void lh_sender_on_block_wanted(struct lh_sender *sender, uint32_t number);
void lh_sender_pump(struct lh_sender *sender);
bool lh_sender_is_full(const struct lh_sender *sender); // host.read_ahead is used up

// Begins to look at DEST at once (a task); ends in lh_job_prepared or lh_job_abort.
lh_err lh_receiver_new(struct lh_job *job, struct lh_receiver **out_receiver) LH_MUST_CHECK;
void lh_receiver_free(struct lh_receiver *receiver);
lh_err lh_receiver_on_message(struct lh_receiver *receiver,
                              const struct lh_message *message) LH_MUST_CHECK;
// Takes the block over: releases it in the end. A failure is the peer's breach.
lh_err lh_receiver_on_block(struct lh_receiver *receiver, uint32_t block, uint8_t *data, size_t len)
    LH_MUST_CHECK;
enum lh_take lh_receiver_on_block_begin(
    struct lh_receiver *receiver, uint32_t block, const uint8_t *head, size_t head_len, size_t len);
void lh_receiver_on_block_run(
    struct lh_receiver *receiver, uint32_t block, size_t offset, const uint8_t *data, size_t len);
void lh_receiver_on_block_end(struct lh_receiver *receiver, uint32_t block);
void lh_receiver_pump(struct lh_receiver *receiver);

#endif
