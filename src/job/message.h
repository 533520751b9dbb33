// SPDX-License-Identifier: Apache-2.0
//
// The messages of a job, as they travel on the control stream (longhaul-protocol(5), "The job").
//
//   type u8, flags u8 (bit 0: critical), length u16 of the body; body
//
// Unknown messages are skipped by their length unless critical. Every length and count is capped
// and every name checked here; what the numbers mean (is this id known?) is the job's to check.
//
// Who says what, in order:
//   client    JOB, SOURCE...                  what is asked for
//   server    JOB_READY                       accepted
//   sender    ENTRY...  LIST_END              files, directories, symlinks; ids count up from 0,
//                                             parents before children
//   receiver  DECIDE                          per file: send it, or skipped (it is there,
//   unchanged) receiver  HAVE...                         instead of DECIDE: digests of blocks that
//   are there sender    SAME, FILE_END                  what agrees with HAVE; the end of each
//   file's blocks receiver  RESULT / FAILED                 exactly one for every id that was not
//   skipped both      PROBLEM                         what has no id: unreadable, special,
//   attributes receiver  WRITTEN                         bytes verified and written so far
//   (optional) receiver, then sender  JOB_END            counts; the client then closes
//
// About the session and not the job, at any time, all optional: UDP_HEARD, PACE (how fast to send
// to me from now on), TRACE (client: tell me your events), TRACED (server: one of them), HELD
// (either: what held the data back here), PACED (sender: how fast it may send now).
#ifndef LH_JOB_MESSAGE_H
#define LH_JOB_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "job/news.h"

#define LH_MESSAGE_HEADER   4
#define LH_MESSAGE_CRITICAL 1u // flags, bit 0
#define LH_JOB_DIGEST       16 // bytes of a digest

enum lh_message_type {
    LH_MESSAGE_JOB = 1,
    LH_MESSAGE_SOURCE,
    LH_MESSAGE_JOB_READY,
    LH_MESSAGE_ENTRY,
    LH_MESSAGE_PROBLEM,
    LH_MESSAGE_LIST_END,
    LH_MESSAGE_DECIDE,
    LH_MESSAGE_HAVE,
    LH_MESSAGE_SAME,
    LH_MESSAGE_FILE_END,
    LH_MESSAGE_RESULT,
    LH_MESSAGE_FAILED,
    LH_MESSAGE_WRITTEN,
    LH_MESSAGE_JOB_END,
    LH_MESSAGE_UDP_HEARD,
    LH_MESSAGE_PACE,
    LH_MESSAGE_TRACE,
    LH_MESSAGE_TRACED,
    LH_MESSAGE_HELD,
    LH_MESSAGE_PACED,
    LH_MESSAGE_N_
};

// A list inside a message. Writing: `array` points to `count` elements. Reading: the elements are
// in `wire`, checked already, and are taken out one by one with lh_run_next / lh_have_next.
struct lh_run {
    uint32_t first;
    uint32_t count; // at least 1; first + count does not wrap
};
struct lh_runs {
    uint16_t count;
    const struct lh_run *array;
    struct lh_reader wire;
};
struct lh_have_item {
    uint32_t block;
    uint8_t digest[LH_JOB_DIGEST];
};
struct lh_have_items {
    uint16_t count;
    const struct lh_have_item *array;
    struct lh_reader wire;
};
bool lh_run_next(struct lh_runs *runs, struct lh_run *out_run); // false at the end
bool lh_have_next(struct lh_have_items *items, struct lh_have_item *out_item);
#define LH_RUNS_MAX ((size_t)((LH_MESSAGE_MAX - 64) / 8))  // in one message
#define LH_HAVE_MAX ((size_t)((LH_MESSAGE_MAX - 64) / 20)) // in one message

enum lh_job_direction {
    LH_JOB_UPLOAD,  // the client sends
    LH_JOB_DOWNLOAD // the client receives
};

enum lh_overwrite {
    LH_OVERWRITE_DIFF,  // rewrite where content differs
    LH_OVERWRITE_NEVER, // leave what is there
    LH_OVERWRITE_ALWAYS,
    LH_OVERWRITE_OLDER,      // rewrite what is older than its source
    LH_OVERWRITE_DIFF_OLDER, // rewrite where content differs and the target is older
    LH_OVERWRITE_N_
};

#define LH_JOB_PRESERVE       1u // -p: mode, mtime, atime
#define LH_JOB_MAKE_DIRECTORY 2u // -d
#define LH_JOB_SKIP_SYMLINKS  4u
#define LH_JOB_NO_RESUME      8u
#define LH_JOB_DRY_RUN        16u // say what would be sent; change nothing
#define LH_JOB_FLAGS          31u // all of them

struct lh_msg_job {
    uint8_t direction; // enum lh_job_direction
    uint8_t overwrite; // enum lh_overwrite
    uint16_t flags;    // LH_JOB_*
    uint8_t block_log2;
    uint16_t source_count; // 1 .. LH_SOURCES_MAX SOURCE messages follow
    struct lh_text dest;
    uint64_t run_id; // one number for all sessions of a command, 0 = none
};

struct lh_msg_source {
    uint16_t index;      // 0, 1, 2...
    struct lh_text path; // as the user wrote it
    struct lh_text name; // below DEST: "" or plain components joined by '/'. Upload only
};

struct lh_msg_job_ready {
    uint8_t block_log2; // what the server settles for, at most what was asked
    struct lh_text notice;
};

enum lh_entry_kind { LH_ENTRY_FILE, LH_ENTRY_DIRECTORY, LH_ENTRY_SYMLINK, LH_ENTRY_N_ };

#define LH_PARENT_SOURCE 0 // `parent` is the index of a SOURCE; its name is the receiver's to know
#define LH_PARENT_ENTRY  1 // `parent` is the id of a directory

struct lh_msg_entry {
    uint32_t id; // 0, 1, 2...
    uint8_t parent_kind;
    uint32_t parent;
    uint8_t kind; // enum lh_entry_kind
    uint8_t
        again; // 1: takes the place of a file that LH_FILE_END_AGAIN ended; allowed after LIST_END
    uint16_t mode; // permission bits, 07777 at most
    uint64_t size; // bytes of a file, else 0; at most INT64_MAX
    int64_t mtime_ns, ctime_ns, atime_ns;
    struct lh_text name;   // one plain component; empty where the parent is a source
    struct lh_text target; // symlink: 1 .. LH_SYMLINK_MAX - 1 bytes, else empty
};

enum lh_problem_severity {
    LH_PROBLEM_NOTICE,  // for the user to know; nothing was lost
    LH_PROBLEM_SKIPPED, // left out on purpose: a special file, a symlink when asked so
    LH_PROBLEM_FAILED,  // something asked for is not transferred
    LH_PROBLEM_N_
};

struct lh_msg_problem {
    uint8_t severity;
    uint16_t code; // job/code.h
    struct lh_text where, reason;
};

// What was announced; entries with `again` not counted.
struct lh_msg_list_end {
    uint64_t files, directories, symlinks, bytes;
};

enum lh_decision {
    LH_DECIDE_SEND,
    LH_DECIDE_SKIP,
    LH_DECIDE_WOULD_SEND, // dry run
    LH_DECIDE_N_
};

struct lh_msg_decide {
    uint8_t decision;
    struct lh_runs ids;
};

// Blocks below `known` have all been told about: those in `items` (of this or an earlier message)
// are there, the others missing. Sending may begin up to `known`. A first message may have known ==
// 0.
struct lh_msg_have {
    uint32_t id;
    uint32_t known;
    struct lh_have_items items; // ascending, at or above the last message's `known`
};

struct lh_msg_same {
    uint32_t id;
    struct lh_runs blocks;
};

enum lh_file_end {
    LH_FILE_END_DIGEST, // `digest` is the file's
    LH_FILE_END_FAILED, // `code` and `reason` say why
    LH_FILE_END_AGAIN,  // it changed; a later ENTRY takes its place and this id does not count
    LH_FILE_END_N_
};

// Follows every file of more than one block and every file that was not sent in a bundle.
struct lh_msg_file_end {
    uint32_t id;
    uint8_t status;
    uint32_t blocks_sent; // FILE blocks of this id that have been or will be delivered
    uint8_t digest[LH_JOB_DIGEST];
    uint16_t code;
    struct lh_text reason;
};

enum lh_outcome_kind {
    LH_RESULT_COMPLETE,
    LH_RESULT_REPLACED, // the answer to LH_FILE_END_AGAIN
    LH_RESULT_N_
};

struct lh_msg_result {
    uint8_t outcome;
    struct lh_runs ids;
};

struct lh_msg_failed {
    uint32_t id;
    uint16_t code;
    struct lh_text reason;
};

struct lh_job_counts {
    uint64_t files_complete, files_skipped, files_failed; // failed: PROBLEM_FAILED included
    uint64_t directories, symlinks;
    uint64_t bytes_complete, bytes_skipped; // sizes of those files
    uint64_t bytes_sent;                    // of content, in blocks: what was not there already
};

struct lh_msg_job_end {
    uint16_t code; // 0: ran to its end (counts tell how well); else why it could not
    struct lh_job_counts counts;
    struct lh_text reason;
};

struct lh_message {
    uint8_t type;
    union {
        struct lh_msg_job job;
        struct lh_msg_source source;
        struct lh_msg_job_ready job_ready;
        struct lh_msg_entry entry;
        struct lh_msg_problem problem;
        struct lh_msg_list_end list_end;
        struct lh_msg_decide decide;
        struct lh_msg_have have;
        struct lh_msg_same same;
        struct lh_msg_file_end file_end;
        struct lh_msg_result result;
        struct lh_msg_failed failed;
        uint64_t written;
        uint64_t udp_heard;
        struct lh_msg_pace pace;
        struct lh_msg_trace trace;
        struct lh_msg_traced traced;
        struct lh_msg_held held;
        struct lh_msg_paced paced;
        struct lh_msg_job_end job_end;
    } as;
};

// Appends the message. `writer` turns bad where the room does not do; LH_MESSAGE_MAX always does.
// The message must obey the rules that reading enforces (asserted where cheap).
void lh_message_write(struct lh_writer *writer, const struct lh_message *message);

// Reads one body. Texts and lists borrow from it.
// LH_NONE: an unknown message that may be skipped. LH_E_PATH: a name that is not a plain component.
// LH_E_PROTO: anything else that is not allowed.
lh_err lh_message_read(uint8_t type,
                       uint8_t flags,
                       const uint8_t *body,
                       size_t len,
                       struct lh_message *out_message) LH_MUST_CHECK;

#endif
