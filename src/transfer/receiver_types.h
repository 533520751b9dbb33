// SPDX-License-Identifier: Apache-2.0
//
// What the receiver knows: of directories, of files on their way here, of itself. Inside
// src/transfer/receiver*.c only.
#ifndef LH_TRANSFER_RECEIVER_TYPES_H
#define LH_TRANSFER_RECEIVER_TYPES_H

#include <sys/stat.h>

#include "base/list.h"
#include "file/faux.h"
#include "file/journal.h"
#include "file/partial.h"
#include "file/tree.h"
#include "job/block.h"
#include "transfer/idmap.h"
#include "transfer/job_internal.h"

#define LH_DECIDE_BATCH   256                 // entries a deciding task takes
#define LH_HASH_BATCH     16                  // blocks a comparing task reads
#define LH_HASHES_MAX     2                   // comparing tasks at once
#define LH_ANSWER_WAITING ((size_t)1 << 20)   // bytes of messages beyond which comparing pauses
#define LH_WRITTEN_STEP   ((uint64_t)4 << 20) // bytes between two WRITTEN messages

// A directory of the target tree that entries may name as their parent.
struct lh_in_dir {
    struct lh_idnode node;    // in receiver->dir_ids, but for those that have no id
    struct lh_link link;      // in receiver->dirs, parents first
    struct lh_in_dir *parent; // NULL: the root
    struct lh_dir *dir;       // a reference; NULL: it could not be made, or nothing is to be made
    bool failed;              // nothing can be put into it
    bool made;                // by us, now
    bool begun;               // the journal knows that it is made for this job
    bool was_begun;           // it knew when the entry came: an earlier run made it
    bool announced;           // its attributes are known
    uint16_t mode;
    int64_t mtime_ns, atime_ns;
    unsigned depth;
    struct lh_in_dir *implied_first, *implied_next; // those in it that only names of sources imply
    char name[];
};

// One entry on its way here.
//
//   ARRIVED ---decided (task)---> settled                                    (directory, symlink,
//   skip) ARRIVED ---> WAITING, COMPARING (HAVE goes on) ---data---> WAITING ... FINISHING (task)
//   ---> settled any ---failure---> settled at once, or LOST: its blocks still come and are dropped
enum lh_incoming_state {
    LH_INCOMING_ARRIVED,
    LH_INCOMING_COMPARING, // digests of what is there are being told
    LH_INCOMING_WAITING,   // for data, or its end
    LH_INCOMING_UNPACKING, // small: in a bundle's task
    LH_INCOMING_FINISHING,
    LH_INCOMING_LOST // failed here and told; FILE_END and its blocks are still to come
};

// A partial that a journal names.
struct lh_known_partial {
    char name[32]; // as in lh_journal_partial
    dev_t dev;
    ino_t ino;
    bool usable; // of the same source: its blocks may be used
};

// A file with more than one bundle's content, or one that is compared with what is there.
struct lh_large_in {
    struct lh_task compare_task; // may go on while blocks are written
    struct lh_task task;         // creating, finishing
    struct lh_receiver *receiver;
    struct lh_incoming *file;
    struct lh_partial partial;
    uint32_t block_count;
    uint8_t *got;              // in the partial: arrived now, or found there and agreed
    uint8_t *kept;             // of HAVE: in the resumed partial
    uint8_t *target_has;       // of HAVE: in the present target
    uint8_t *same;             // SAME: the sender agreed to the target's
    struct lh_digest *digests; // of blocks in any of these
    uint32_t known;            // blocks told about by HAVE
    uint32_t settled_count;    // bits in got and same
    uint32_t blocks_in;        // FILE blocks that arrived, dropped ones included
    uint32_t writing;          // blocks in tasks
    bool has_target;           // `target` is a regular file that may be compared with
    struct stat target;
    bool resumed; // the partial is one that the journal knew
    bool comparing, creating, created, finishing;
    struct stat placed; // the file in place, out of finishing
    lh_err err;         // of the task
    struct lh_errinfo info;
    struct lh_link pending;            // lh_in_write that wait for the partial
    uint32_t chunk_first, chunk_count; // of the running comparing task
};

struct lh_incoming {
    struct lh_idnode node;
    struct lh_link link; // in a queue
    enum lh_incoming_state state;
    uint8_t kind;
    bool again;
    bool end_seen;
    bool trails; // counted in receiver->trailing
    uint8_t end_status;
    uint32_t blocks_sent; // of FILE_END
    uint64_t held;        // bytes of it in status.bytes_held
    uint16_t mode;
    struct lh_source_id source;
    int64_t atime_ns;
    struct lh_digest end_digest;
    struct lh_in_dir *parent;
    struct lh_in_dir *self;           // directories
    struct lh_known_partial *known;   // what the journal says; owned
    struct lh_journal_complete *done; // the same; owned
    struct lh_large_in *large;
    char *target_text; // symlinks; owned
    char name[];
};

struct lh_in_batch;

// One FILE block being checked and written; early: its runs are still coming, or being written.
struct lh_in_write {
    struct lh_task task;
    struct lh_idnode node; // early: in receiver->early, by `block`, until all has come
    uint32_t batches;      // early: that hold runs of it
    uint64_t newest;       // early: number of the last that got one
    bool has_ended;        // early: all has come
    struct lh_link link;   // in large->pending or receiver->writes (early: from the beginning)
    struct lh_incoming *file;
    struct lh_receiver *receiver;
    uint32_t block;         // the transport's number
    const uint8_t *content; // NULL: early
    uint32_t len, index;
    struct lh_digest digest;
    lh_err err;
    struct lh_errinfo info;
};

struct lh_unpacked {
    struct lh_incoming *file;
    struct lh_digest digest; // of the content
    const uint8_t *content;
    lh_err err;
    struct lh_errinfo *info; // owned; NULL = no more to say
    struct stat placed;
};
// One bundle being unpacked.
struct lh_in_bundle {
    struct lh_task task;
    struct lh_link link; // in receiver->bundles
    struct lh_receiver *receiver;
    uint32_t block;
    size_t count;
    struct lh_unpacked items[];
};

enum lh_in_decision {
    LH_IN_SEND,
    LH_IN_SKIP,
    LH_IN_WOULD_SEND,
    LH_IN_COMPARE,  // large: comparing begins; small: has_target, digests[0] is the target's
    LH_IN_COMPLETE, // directory or symlink in place
    LH_IN_FAILED
};
struct lh_deciding {
    struct lh_incoming *file;
    enum lh_in_decision decision;
    bool forget;        // what the journal said of a partial no longer holds
    bool retouched;     // LH_IN_SKIP: the file got the attributes that -p asks for
    struct stat placed; // then: the file since
    struct lh_errinfo info;
};

// What an earlier run of the job may have left behind.
struct lh_sweeping {
    bool active, failed, job_is_done;
    char job_mark[8], session_mark[8];
    struct lh_known_partial *known; // the journal's when it was opened, sorted by name; owned
    size_t known_count, known_room;
};

struct lh_receiver {
    struct lh_job *job;
    bool is_sink, is_dry;
    struct lh_faux_pace sink_pace;
    bool preserve;
    struct lh_idmap ids;
    struct lh_idmap dir_ids;
    uint32_t next_id;
    uint32_t
        trailing; // of ids, LOST and ended: the sender has forgotten them, some blocks are late
    uint32_t dir_count, dirs_max;
    uint32_t again_due; // files that will be announced anew
    bool list_ended;
    struct lh_msg_list_end announced, totals;

    // Where things go (receiver_setup.c).
    struct lh_task setup_task;
    struct lh_tree *tree;
    struct lh_journal *journal;
    bool journal_failed; // nothing more is written into it; its lock is kept
    char *rename;        // the name that the single source gets; NULL: its own
    char notice[LH_REASON_MAX];
    unsigned busy_count; // attempts that found the journal held
    struct lh_errinfo setup_info;
    lh_err setup_err;
    bool tree_begun; // the journal knows LH_JOURNAL_TREE: DEST itself is ours to make and to finish
    struct lh_sweeping sweeping;
    struct lh_link dirs;
    struct lh_in_dir *root;
    uint8_t roots_seen[LH_SOURCES_MAX / 8];
    char name[LH_NAME_MAX + 1]; // scratch of arriving entries
    uint64_t *seen;             // hashes of the paths of files, where several sources could meet
    size_t seen_count, seen_room;

    // Deciding (receiver_decide.c).
    struct lh_link arrived;
    struct lh_task decide_task;
    bool deciding;
    struct lh_deciding batch[LH_DECIDE_BATCH];
    size_t batch_count;

    struct lh_link to_compare; // files that wait for a comparing task
    size_t comparing;
    struct lh_link writes;  // lh_in_write in tasks
    struct lh_link bundles; // lh_in_bundle in tasks

    // Blocks that are taken early (receiver_early.c).
    struct lh_idmap early;       // lh_in_write of which runs still come
    struct lh_in_batch *filling; // NULL: none
    struct lh_link batches;      // in tasks
    uint64_t batch_number;       // of the newest; from 1 on

    // Answers that wait for the end of the turn, to become runs.
    struct lh_run *runs[2]; // by LH_RESULT_*; LH_RUNS_MAX each
    size_t run_counts[2];
    uint64_t written_told;

    struct lh_task end_task;
    bool ending;
    char *end_failures[16]; // directories whose attributes could not be set
    size_t end_failure_count, end_failures_untold;
};

#endif
