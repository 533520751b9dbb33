// SPDX-License-Identifier: Apache-2.0
//
// The parts of the receiver: inside src/transfer/receiver*.c only.
#ifndef LH_TRANSFER_RECEIVER_INTERNAL_H
#define LH_TRANSFER_RECEIVER_INTERNAL_H

#include "transfer/receiver_types.h"

static inline bool lh_bit(const uint8_t *bitmap, uint32_t i)
{
    return (bitmap[i / 8] >> (i % 8) & 1) != 0;
}

static inline void lh_bit_set(uint8_t *bitmap, uint32_t i)
{
    bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
}

static inline void lh_bit_clear(uint8_t *bitmap, uint32_t i)
{
    bitmap[i / 8] &= (uint8_t) ~(1u << (i % 8));
}

static inline bool lh_incoming_is_small(const struct lh_receiver *receiver,
                                        const struct lh_incoming *file)
{
    return file->source.size <= lh_small_max(receiver->job->host.block_size);
}

static inline void lh_times_of(int64_t atime_ns, int64_t mtime_ns, struct timespec out[2])
{
    const int64_t in[2] = {atime_ns, mtime_ns};
    for (int i = 0; i < 2; i++) {
        int64_t seconds = in[i] / 1000000000, rest = in[i] % 1000000000;
        if (rest < 0) {
            rest += 1000000000;
            seconds--;
        }
        out[i] = (struct timespec){.tv_sec = seconds, .tv_nsec = rest};
    }
}

static inline struct lh_source_id lh_source_id_of(const struct stat *stat)
{
    return (struct lh_source_id){
        .size = (uint64_t)stat->st_size,
        .mtime_ns = (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)stat->st_ctim.tv_sec * 1000000000 + stat->st_ctim.tv_nsec};
}

// receiver.c
struct lh_incoming *lh_incoming_find(const struct lh_receiver *receiver, uint32_t id);
void lh_incoming_free(struct lh_incoming *file);
// The path below DEST, of any length. NULL: out of memory, or longer than `len_max`.
char *lh_incoming_path(const struct lh_in_dir *parent, const char *name, size_t len_max);
// Ends of files: tell the sender, the ledger and the user, and let go of the file.
void lh_incoming_complete(struct lh_receiver *receiver, struct lh_incoming *file);
void lh_incoming_failed(struct lh_receiver *receiver,
                        struct lh_incoming *file,
                        lh_err err,
                        const struct lh_errinfo *info,
                        uint16_t usual);
void lh_incoming_skipped(struct lh_receiver *receiver, struct lh_incoming *file);
void lh_incoming_would_send(struct lh_receiver *receiver, struct lh_incoming *file);
// FILE_END or a last block came for a file that will not be completed.
void lh_incoming_drop_when_over(struct lh_receiver *receiver, struct lh_incoming *file);
// So many bytes of the file's content are here; they count no more when it fails or is replaced.
void lh_incoming_note_held(struct lh_receiver *receiver, struct lh_incoming *file, uint64_t bytes);
void lh_receiver_release(struct lh_receiver *receiver, uint32_t block);
void lh_receiver_flush_runs(struct lh_receiver *receiver);

// receiver_setup.c
void lh_receiver_setup(struct lh_receiver *receiver);
struct lh_in_dir *
lh_in_dir_new(struct lh_receiver *receiver, struct lh_in_dir *parent, const char *name);

// receiver_seen.c
lh_err lh_seen_add(struct lh_receiver *receiver,
                   const struct lh_incoming *file,
                   bool *out_twice) LH_MUST_CHECK;

// receiver_sweep.c: for workers, one at a time
void lh_sweeping_init(struct lh_receiver *receiver, const struct lh_digest *identity);
void lh_sweep(struct lh_receiver *receiver, struct lh_dir *dir);
void lh_sweep_at_end(struct lh_receiver *receiver);
void lh_sweeping_fini(struct lh_receiver *receiver);

// receiver_journal.c: all on the loop's thread; every failure only costs resume
// The path under which the journal knows that a single source which is a directory gets the name
// DEST: under way from before DEST is made to the good end of the job. No file can have it.
#define LH_JOURNAL_TREE "/"
void lh_journaling_begin_tree(struct lh_receiver *receiver);
void lh_journaling_complete_tree(struct lh_receiver *receiver);
// A directory that its owner may not read, write or enter is open to us until the end of the job.
// The journal knows it from before it is made until it has its mode, by its path and a '/' behind
// it (no file can have that), so that a run after a kill still gives it its mode.
void lh_journaling_begin_directory(struct lh_receiver *receiver, struct lh_in_dir *dir);
void lh_journaling_end_directory(struct lh_receiver *receiver, struct lh_in_dir *dir);
void lh_journaling_begin(struct lh_receiver *receiver, const struct lh_incoming *file);
void lh_journaling_block(struct lh_receiver *receiver,
                         const struct lh_incoming *file,
                         uint32_t index);
void lh_journaling_complete(struct lh_receiver *receiver,
                            const struct lh_incoming *file,
                            const struct lh_digest *digest,
                            const struct stat *placed);
void lh_journaling_forget(struct lh_receiver *receiver, const struct lh_incoming *file);
void lh_journaling_flush(struct lh_receiver *receiver);
// Fills file->known and file->done.
lh_err lh_journaling_look_up(struct lh_receiver *receiver, struct lh_incoming *file) LH_MUST_CHECK;

// receiver_decide.c
lh_err lh_receiver_on_entry(struct lh_receiver *receiver,
                            const struct lh_msg_entry *entry) LH_MUST_CHECK;
void lh_deciding_pump(struct lh_receiver *receiver);

// receiver_compare.c
lh_err lh_large_in_new(struct lh_receiver *receiver, struct lh_incoming *file) LH_MUST_CHECK;
void lh_large_in_free(struct lh_large_in *large);
// Both are for workers.
lh_err
lh_large_resume(struct lh_large_in *large, bool *out_forget, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_comparing_hash_small(struct lh_large_in *large);
void lh_comparing_pump(struct lh_receiver *receiver);
void lh_comparing_tell_small(struct lh_receiver *receiver, struct lh_incoming *file);
lh_err lh_receiver_on_same(struct lh_receiver *receiver, struct lh_msg_same same) LH_MUST_CHECK;

// receiver_write.c
// Says in `info` how many bytes a file of `bytes` needs and how many there are, where `err` is
// LH_E_NOSPC. Returns `err`. For workers.
lh_err lh_receiver_no_space(lh_err err, struct lh_dir *dir, uint64_t bytes, struct lh_errinfo *info)
    LH_MUST_CHECK;
lh_err lh_receiver_on_file_block(struct lh_receiver *receiver,
                                 uint32_t block,
                                 const uint8_t *data,
                                 const struct lh_block_header *header) LH_MUST_CHECK;
void lh_pending_release(struct lh_receiver *receiver, struct lh_large_in *large);
// May this block come? LH_E_PROTO.
lh_err lh_in_write_check(const struct lh_receiver *receiver,
                         const struct lh_incoming *file,
                         const struct lh_block_item *item,
                         uint32_t index) LH_MUST_CHECK;
// Notes that it comes. NULL: out of memory.
struct lh_in_write *lh_in_write_new(struct lh_receiver *receiver,
                                    struct lh_incoming *file,
                                    uint32_t block,
                                    const struct lh_block_item *item,
                                    uint32_t index);
// The end of a block's task, after it was written and its digest checked (or neither: its err).
void lh_in_write_done(struct lh_task *task);
// Begins to make the partial where nobody did.
void lh_large_create(struct lh_large_in *large);

// receiver_early.c; the rest stands in job_internal.h
void lh_early_fini(struct lh_receiver *receiver);

// receiver_bundle.c
lh_err lh_receiver_on_bundle(struct lh_receiver *receiver,
                             uint32_t block,
                             const uint8_t *data,
                             const struct lh_block_header *header) LH_MUST_CHECK;
// The mode that a file gets: umask or -p.
mode_t lh_incoming_mode(const struct lh_receiver *receiver, const struct lh_incoming *file);

// receiver_finish.c
// Begins to finish the file if all of it is there. LH_E_PROTO: all came, and something is missing.
lh_err lh_large_finish_when_whole(struct lh_receiver *receiver,
                                  struct lh_incoming *file) LH_MUST_CHECK;

// receiver_end.c
// True where its mode, as announced, would keep its owner from something.
static inline bool lh_in_dir_is_closed(const struct lh_in_dir *dir)
{
    return dir->announced && (dir->mode & 0700) != 0700;
}
void lh_receiver_end_when_over(struct lh_receiver *receiver);
lh_err lh_receiver_on_job_end(struct lh_receiver *receiver,
                              const struct lh_msg_job_end *end) LH_MUST_CHECK;
lh_err lh_receiver_on_list_end(struct lh_receiver *receiver,
                               const struct lh_msg_list_end *end) LH_MUST_CHECK;

#endif
