// SPDX-License-Identifier: Apache-2.0
//
// One job of one session, at either end: what run/ drives. It makes the sender or the receiver that
// the job's direction needs, and speaks the messages that come before and after them.
//
// How to use it:
//   1. lh_job_new_client or lh_job_new_server, then lh_job_start;
//   2. hand every event of the transport to lh_job_on_*, and call lh_ioq_reap when the ioq's
//   descriptor
//      is readable: finished disk work moves the job on;
//   3. wait for on_finished, called exactly once. Then, on the client, close the transport (code
//   0);
//      the server waits for that.
// Nothing here blocks: all disk work is in tasks of the ioq. Single-threaded but for those.
//
// Freeing: free the ioq first (it waits for running tasks), then the job. A job that is freed
// before it has finished leaves its partials and its journal for resume, as a killed process would.
#ifndef LH_TRANSFER_JOB_H
#define LH_TRANSFER_JOB_H

#include "base/err.h"
#include "file/ioq.h"
#include "job/code.h"
#include "job/message.h"
#include "transfer/channel.h"
#include <stdbool.h>

#define LH_READ_AHEAD_DEFAULT ((uint64_t)64 << 20)

struct lh_job;

// Something to tell the user, or the log. Texts may hold any byte (escape them) and are valid
// during the call.
struct lh_job_problem {
    enum lh_problem_severity severity;
    uint16_t code;    // job/code.h, 0 = none
    const char *path; // below the source or DEST as the user knows it, "" = about no file
    const char *text;
};

enum lh_job_outcome {
    LH_JOB_COMPLETE,  // in place, verified
    LH_JOB_SKIPPED,   // was there, or may not be overwritten
    LH_JOB_FAILED,    // told by on_problem before
    LH_JOB_WOULD_SEND // dry run
};

// The fate of one file (directories and symlinks are only counted).
struct lh_job_file {
    enum lh_job_outcome outcome;
    const char *path; // as in lh_job_problem
    uint64_t size;
};

// The end. `code` 0: both sides agree that everything asked for is complete or skipped. 27: some
// files failed, each told by on_problem. Anything else: the job could not go on; `text` says why.
struct lh_job_verdict {
    uint16_t code;
    lh_err err; // LH_E_PROTO, LH_E_PATH, LH_E_CORRUPT...: close the transport with `code`; else 0
    bool resumable;   // partials and journal lie ready for the same command
    const char *text; // one line, "" where code is 0
    struct lh_job_counts counts;
};

struct lh_job_events {
    void (*on_problem)(void *user, const struct lh_job_problem *problem);
    void (*on_file)(void *user, const struct lh_job_file *file); // may be NULL
    // Called once. The job takes no further part in the session but may only be freed later (not
    // from inside the call).
    void (*on_finished)(void *user, const struct lh_job_verdict *verdict);
    // A message about the session: PACE, TRACE, TRACED, HELD. May be NULL. May not free the job.
    void (*on_news)(void *user, const struct lh_message *message);
};

// What a job runs on. All borrowed; must live as long as the job.
struct lh_job_host {
    const struct lh_channel *channel;
    struct lh_ioq *ioq;
    uint32_t block_size;   // agreed in HELLO: a power of two, LH_BLOCK_LOG2_MIN .. MAX; the
                           // transport's block_max is this + LH_BLOCK_HEADER_MAX
    uint64_t read_ahead;   // sender: bytes of blocks held at most; 0 = LH_READ_AHEAD_DEFAULT
    const char *state_dir; // for journals; NULL = no resume, which a notice says
    const char *peer;      // client: who the other end is ("user@host"), part of the journal's
                           // identity; NULL = none
    const struct lh_job_events *events;
    void *user;
};

struct lh_job_request {
    enum lh_job_direction direction;
    enum lh_overwrite overwrite;
    uint16_t flags;             // LH_JOB_*
    const char *const *sources; // paths or faux:// URLs at the sending side; copied
    size_t source_count;        // 1 .. LH_SOURCES_MAX
    const char *source_base;    // --src-base, NULL = none; copied
    const char *dest;           // path or "faux://" at the receiving side; copied
    uint64_t run_id; // random, the same in all sessions of one command: files that one of them
                     // completed are not sent by the next, even where all are to be replaced.
                     // 0 = none
};

// LH_E_INVALID, LH_E_PATH, LH_E_NOMEM.
lh_err lh_job_new_client(const struct lh_job_host *host,
                         const struct lh_job_request *request,
                         struct lh_job **out_job,
                         struct lh_errinfo *info) LH_MUST_CHECK;
// Paths of the request are relative to the current directory.
lh_err lh_job_new_server(const struct lh_job_host *host,
                         struct lh_job **out_job,
                         struct lh_errinfo *info) LH_MUST_CHECK;
void lh_job_free(struct lh_job *job); // accepts NULL

void lh_job_start(struct lh_job *job);
void lh_job_on_stream(struct lh_job *job, const uint8_t *data, size_t len);
void lh_job_on_block(struct lh_job *job, uint32_t block, uint8_t *data, size_t len);
// Blocks taken early, while the transport is short of memory: transport.h, on_block_begin.
enum lh_take lh_job_on_block_begin(
    struct lh_job *job, uint32_t block, const uint8_t *head, size_t head_len, size_t len);
void lh_job_on_block_run(
    struct lh_job *job, uint32_t block, size_t offset, const uint8_t *data, size_t len);
void lh_job_on_block_end(struct lh_job *job, uint32_t block);
void lh_job_on_block_acked(struct lh_job *job, uint32_t block, uint8_t *data, size_t len);
void lh_job_on_block_wanted(struct lh_job *job, uint32_t block);
void lh_job_on_writable(struct lh_job *job);
// Stops in good order: no new disk work, then on_finished with code 28. Idempotent.
void lh_job_cancel(struct lh_job *job);

// Sends a message about the session, behind the job's own, with the next lh_job_on_* or turn. False
// where the job has ended, or so much waits already that news would only get old.
#define LH_JOB_TELL_WAITING ((size_t)65536)
bool lh_job_tell(struct lh_job *job, const struct lh_message *message);

// A snapshot for progress displays. Totals grow until `totals_known`.
struct lh_job_status {
    bool started; // the other side accepted the job
    bool totals_known;
    uint64_t files_total, files_done, files_skipped, files_failed; // done: skipped included
    uint64_t bytes_total;                                          // content of files_total
    uint64_t bytes_held;     // content that the receiver holds: written, resumed or skipped
    uint64_t bytes_verified; // of files_done
    uint64_t bytes_sent;     // content handed to (or taken from) the transport in blocks
    const char *name;        // a file under way, or NULL; valid until the next call
};
void lh_job_status(struct lh_job *job, struct lh_job_status *out_status);

// What this end is. Neither before the JOB has come.
bool lh_job_sends(const struct lh_job *job);
// Sender: as much is read and not yet acknowledged as may be (host.read_ahead).
bool lh_job_is_read_ahead_full(const struct lh_job *job);

// For the server's log line, once the JOB has come: direction and DEST as asked ("" before).
enum lh_job_direction lh_job_direction(const struct lh_job *job);
const char *lh_job_dest(const struct lh_job *job);

#endif
