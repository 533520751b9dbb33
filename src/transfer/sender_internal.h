// SPDX-License-Identifier: Apache-2.0
//
// The parts of the sender: inside src/transfer/sender*.c only.
#ifndef LH_TRANSFER_SENDER_INTERNAL_H
#define LH_TRANSFER_SENDER_INTERNAL_H

#include <sys/stat.h>

#include "base/list.h"
#include "file/faux.h"
#include "file/tree.h"
#include "file/walk.h"
#include "job/block.h"
#include "transfer/idmap.h"
#include "transfer/job_internal.h"

#define LH_WALK_BATCH       256              // entries a walking task brings
#define LH_WALK_QUEUE       2048             // entries that wait to be announced, at most
#define LH_ANNOUNCE_WAITING ((size_t)131072) // bytes of messages that may wait for the stream
#define LH_READS_MAX        8                // reading tasks at once
#define LH_READY_MAX        12 // blocks that wait for the transport, being read included: in the cache
#define LH_LARGE_LOOKAHEAD  4 // large files open at once
#define LH_READ_TRIES       2 // readings of a file that changes, before it has failed

// What a file was when it was announced; anything else when it is read means that it changed.
struct lh_stat_id {
    uint64_t size;
    int64_t mtime_ns, ctime_ns, atime_ns;
    dev_t dev;
    ino_t ino;
    mode_t mode;
};

// One entry of a source on its way: announced, decided, read, answered.
//
//   FOUND ---ENTRY---> ANNOUNCED ---RESULT---> settled                      (directory, symlink)
//   ANNOUNCED ---DECIDE skip---> settled
//   ANNOUNCED ---DECIDE send, HAVE---> QUEUED -> READING ---all handed over---> DONE ---RESULT--->
//   settled QUEUED, READING ---FAILED by the receiver---> REFUSED -> DONE (settled at once where it
//   is small)
enum lh_outgoing_state {
    LH_OUTGOING_FOUND,
    LH_OUTGOING_ANNOUNCED,
    LH_OUTGOING_QUEUED,
    LH_OUTGOING_READING,
    LH_OUTGOING_REFUSED, // the receiver does not want it any more; its reading ends
    LH_OUTGOING_DONE,    // its last block or FILE_END has been handed over
    LH_OUTGOING_AGAIN    // announced anew under another id; waits for LH_RESULT_REPLACED
};

enum lh_read_status {
    LH_READ_OK,
    LH_READ_SAME,    // the receiver has these bytes
    LH_READ_CHANGED, // the file is not what was announced
    LH_READ_FAILED
};

// The receiver's blocks, as HAVE told them.
struct lh_have {
    uint32_t known;
    uint8_t *bitmap;
    struct lh_digest *digests;
};

// A file with blocks of its own, while it is read.
struct lh_large_out {
    struct lh_task task; // opening, closing
    struct lh_sender *sender;
    struct lh_outgoing *file;
    int fd; // -1: not open
    bool opening, opened, closing;
    uint32_t block_count, next_block;
    uint32_t reading;     // blocks in tasks
    uint32_t blocks_sent; // handed over for sending, or waiting for that
    struct lh_digest *digests;
    enum lh_read_status status; // the first thing that went wrong
    struct lh_errinfo info;
    struct lh_run same;       // not told yet; count 0 = none
    enum lh_read_status lost; // what went wrong when a block was read again
    struct lh_errinfo lost_info;
    struct lh_stat_id lost_id; // where it is another file now: which
    bool end_waits;            // for acknowledgements of all blocks, to be told (sender_again.c)
    struct lh_digest digest;   // then: of the file
};

struct lh_outgoing {
    struct lh_idnode node; // in sender->ids once announced
    struct lh_link link;   // in a queue
    enum lh_outgoing_state state;
    uint8_t kind; // enum lh_entry_kind; LH_ENTRY_N_: a problem to tell, not an entry
    uint8_t tries;
    bool again;
    bool is_root; // a source itself: its name is the receiver's to know
    enum lh_problem_severity severity;
    uint16_t code;
    size_t source;
    uint64_t parent_number, dir_number; // the walk's
    uint32_t parent_id;                 // of its directory; set when it is announced
    uint64_t faux_index;
    struct lh_dir *dir; // where it lies, a reference; NULL: synthetic, or a source's own directory
    struct lh_stat_id id; // as announced; where a reading finds it changed, as it is then
    uint64_t size;        // as announced; a worker may change `id`, never this
    struct lh_large_out *large;
    struct lh_have *have;
    struct lh_link blocks; // lh_out_block in flight, by file_link
    uint32_t unacked;      // blocks handed over or ready
    uint32_t unloaded;     // of those, unloaded or being read again
    uint32_t rereading;    // tasks that read it again
    bool is_gone;          // forgotten; those tasks keep it
    char *text;            // symlink: target; problem: what. Owned, else NULL
    char name[];           // its component, to open it by
};

// One block of the transport, and the reading that fills it.
//
//   reading -> ready -> in flight, loaded <-> in flight, unloaded -> wanted -> reading again
//   acknowledged from any of the last four: gone
struct lh_out_item {
    struct lh_outgoing *file;
    enum lh_read_status status;
    struct lh_digest digest;
    struct lh_errinfo *info; // owned; where status is FAILED
};
struct lh_out_block {
    struct lh_link link;      // in one of: reading, ready, in_flight, unloaded, wanted, spare
    struct lh_link file_link; // in file->blocks, in flight
    struct lh_idnode node;    // in sender->by_number, in flight
    struct lh_task task;
    struct lh_sender *sender;
    struct lh_outgoing *file; // of a FILE block; NULL: a bundle, or the file is settled
    uint32_t id, index;       // of a FILE block
    bool is_unloaded;         // counted in file->unloaded
    bool is_reading;          // again, in a task
    bool is_acked;            // meanwhile
    struct lh_stat_id seen;   // the file as it was, and as that task found it
    size_t content;           // bytes of the read-ahead that are charged
    size_t room;              // of data
    size_t len;               // of data that is to be sent
    enum lh_read_status status;
    struct lh_digest digest;
    struct lh_errinfo info;
    struct lh_out_item *items; // of a bundle; owned
    size_t item_count;
    uint64_t content_sent; // bytes of files in it, for the ledger
    uint8_t *data;         // owned; NULL: unloaded
};

struct lh_walking {
    struct lh_task task;
    struct lh_sender *sender;
    struct lh_walk *walk;
    struct lh_link found; // what the task brought; handed over in done
    size_t found_count;
    size_t source;
    bool running, source_ended, failed_open;
    struct lh_errinfo info;
    uint32_t *dir_ids; // by the walk's number of the directory
    size_t dir_ids_room;
    uint64_t faux_next; // faux directory: 0 = the directory itself, then its files
};

struct lh_sender {
    struct lh_job *job;
    struct lh_idmap ids;
    uint32_t next_id;
    uint32_t unsettled;
    bool list_ended, end_received;
    struct lh_msg_list_end totals;
    struct lh_faux *faux; // by source, where it is one

    struct lh_walking walking;
    struct lh_link announce; // FOUND
    size_t announce_count;
    struct lh_link small, large; // QUEUED (large: also READING)
    size_t small_count;
    uint64_t small_bytes;

    struct lh_link reading, ready, in_flight, unloaded, wanted, spare; // lh_out_block
    struct lh_idmap by_number;                                         // in flight
    struct lh_link gone; // lh_outgoing that only rereading tasks keep
    size_t reads_running, bundles_running, ready_count;
    uint64_t charged; // bytes of blocks from the beginning of reading to the ack
    size_t spare_count;
    bool lacks_room; // to read on
};

// sender.c
struct lh_outgoing *lh_outgoing_new(size_t source, uint8_t kind, const char *name);
void lh_outgoing_free(struct lh_outgoing *file);
// The path as the user knows it: the source as asked, then what is below.
void lh_outgoing_path(const struct lh_sender *sender,
                      const struct lh_outgoing *file,
                      char *out,
                      size_t room);
struct lh_stat_id lh_stat_id_of(const struct stat *stat);
bool lh_stat_id_same(const struct lh_stat_id *a, const struct lh_stat_id *b);
// The end of a file that cannot go on as it is: tells FILE_END. CHANGED: tries again where it may.
void lh_sender_file_failed(struct lh_sender *sender,
                           struct lh_outgoing *file,
                           enum lh_read_status status,
                           const struct lh_errinfo *info);
void lh_sender_file_end(struct lh_sender *sender,
                        struct lh_outgoing *file,
                        uint8_t status,
                        const struct lh_digest *digest);
void lh_sender_say_same(struct lh_sender *sender, uint32_t id, struct lh_run run);
static inline struct lh_faux *lh_outgoing_faux(const struct lh_sender *sender,
                                               const struct lh_outgoing *file)
{
    struct lh_faux *faux = &sender->faux[file->source];
    return faux->count > 0 ? faux : NULL;
}
static inline bool lh_have_covers(const struct lh_have *have, uint32_t block)
{
    return have == NULL || block < have->known;
}
static inline const struct lh_digest *lh_have_find(const struct lh_have *have, uint32_t block)
{
    if (have == NULL || (have->bitmap[block / 8] >> (block % 8) & 1) == 0)
        return NULL;
    return &have->digests[block];
}

// sender_walk.c
lh_err lh_walking_init(struct lh_sender *sender);
void lh_walking_fini(struct lh_sender *sender);
void lh_walking_pump(struct lh_sender *sender); // finds and announces

// sender_block.c
struct lh_out_block *lh_out_block_new(struct lh_sender *sender, size_t room);
void lh_out_block_free(struct lh_sender *sender, struct lh_out_block *block); // uncharges
void lh_out_blocks_fini(struct lh_sender *sender);
void lh_out_block_ready(struct lh_sender *sender, struct lh_out_block *block);
void lh_out_blocks_drop(struct lh_sender *sender, struct lh_outgoing *file); // of those ready
void lh_out_blocks_send(struct lh_sender *sender);
// Opens the file to read it. LH_AGAIN is an outcome: not what was announced (file->id is now what
// it is).
lh_err
lh_outgoing_open(struct lh_outgoing *file, int *out_fd, struct lh_errinfo *info) LH_MUST_CHECK;
// The same check of an open file, at its end.
lh_err lh_outgoing_recheck(struct lh_outgoing *file, int fd, struct lh_errinfo *info) LH_MUST_CHECK;

// Room for one more full block? Unloads what was sent last to make it. `is_fresh`: a part of the
// memory is kept for blocks that have to be read again.
bool lh_out_blocks_have_room(struct lh_sender *sender, bool is_fresh);
uint8_t *lh_out_buffer_new(struct lh_sender *sender, size_t room); // charges; NULL: no memory
void lh_out_buffer_free(struct lh_sender *sender, struct lh_out_block *block);

// sender_again.c
bool lh_out_block_may_unload(const struct lh_out_block *block);
void lh_out_block_unloaded(struct lh_sender *sender, struct lh_out_block *block);
void lh_again_dispatch(struct lh_sender *sender); // starts reading wanted blocks
// The file is settled or given up: its blocks need it no more.
void lh_again_let_go(struct lh_sender *sender, struct lh_outgoing *file);
// All of the file was read: is its end to be told now? Else it will be when all is acknowledged.
bool lh_again_may_end(struct lh_sender *sender, struct lh_large_out *large);
void lh_again_on_acked(struct lh_sender *sender, struct lh_outgoing *file);

// sender_large.c
// Something is wrong with the file after blocks of it were sent, which cannot be read again.
void lh_large_lost(struct lh_sender *sender,
                   struct lh_outgoing *file,
                   const struct lh_out_block *block);
enum lh_read_status
lh_read_all(int fd, uint8_t *data, size_t len, uint64_t offset, struct lh_errinfo *info);
bool lh_large_dispatch(struct lh_sender *sender); // starts one reading; false: none possible now
void lh_large_stop(struct lh_sender *sender, struct lh_outgoing *file); // refused by the receiver
void lh_large_free(struct lh_large_out *large);

// sender_bundle.c
bool lh_bundle_dispatch(struct lh_sender *sender); // starts one bundle; false: not now

#endif
