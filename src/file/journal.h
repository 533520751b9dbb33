// SPDX-License-Identifier: Apache-2.0
//
// The receiver's journal: what has arrived and what is complete, so that the same command again
// sends only what is missing (longhaul-journal(5)). One append-only file per job in a state
// directory (lh_state_dir of file/state.h and "/journal"; 0700), named by the job's identity.
//
//   header   magic "LHJOURN1", format version, byte order mark, block size, digest id, job identity
//   record   type u16, length u16, CRC32C u32 over type, length and body; body
//
// A block is recorded only after its data was written. Reading stops at a torn tail (which is cut
// off), skips records of unknown type, sets a journal of unknown version, of another block size or
// with a damaged header aside (renamed, with a message) and refuses one whose job identity differs.
// Opening one removes those that nobody has opened for LH_JOURNAL_DAYS_MAX days.
// A second session on the same job gets LH_E_BUSY (flock). Compacted on open when superseded
// records outnumber live ones.
//
// Files are known by their path below the job's destination ("a/b/c", as bytes). Not thread-safe:
// one thread, or tasks under one key of file/ioq.h.
#ifndef LH_FILE_JOURNAL_H
#define LH_FILE_JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "file/digest.h"

#define LH_JOURNAL_PATH_MAX   32767               // bytes of a path
#define LH_JOURNAL_BLOCKS_MAX ((uint64_t)1 << 26) // blocks of one file: 64 TiB of 1 MiB blocks

struct lh_journal;

// What identifies a source file's content without reading it, as its sender announced it.
struct lh_source_id {
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
};
bool lh_source_id_equal(const struct lh_source_id *a, const struct lh_source_id *b);

// A file under way: where its partial lies and which blocks it holds.
struct lh_journal_partial {
    char name[32]; // of the partial, in its target's directory
    dev_t dev;
    ino_t ino;
    struct lh_source_id source;
    uint64_t block_count; // ceil(source.size / block size)
    const uint8_t *have;  // bitmap (block i: byte i / 8, bit i % 8), owned by the journal,
                          // valid until the path is begun anew, completed or forgotten
    const struct lh_digest *digests; // by block; those of blocks in `have` mean something
};

// A completed file: the digest, and what source and target looked like then.
struct lh_journal_complete {
    struct lh_source_id source;
    struct lh_source_id target; // size, mtime, ctime of the file in place
    struct lh_digest digest;
    uint64_t run_id; // of the command that put it there (lh_job_request), 0 = unknown
};

struct lh_journal_config {
    const char *directory; // absolute; made (0700) where missing
    uint8_t job_id[16];    // from lh_digest_block over the job's description
    uint32_t block_size;
    bool read_only; // only look: nothing is made, locked or changed, and nothing may be appended
};

// LH_E_BUSY: another session has it. LH_E_AUTH: the file there is another job's. LH_E_PATH,
// LH_E_SYS: the directory cannot be used. LH_NONE: read_only, and there is no journal that could be
// read. `notice` (may be NULL) gets a line for the user where
// something was set aside, else "".
lh_err lh_journal_open(const struct lh_journal_config *config,
                       struct lh_journal **out_journal,
                       char *notice,
                       size_t notice_room,
                       struct lh_errinfo *info) LH_MUST_CHECK;
// Flushes what it can and closes; the file stays. NULL is fine.
void lh_journal_free(struct lh_journal *journal);

// LH_NONE where the journal knows nothing of the path. Lookups are O(1) in the number of files.
lh_err lh_journal_find_partial(const struct lh_journal *journal,
                               const char *path,
                               struct lh_journal_partial *out_partial) LH_MUST_CHECK;
lh_err lh_journal_find_complete(const struct lh_journal *journal,
                                const char *path,
                                struct lh_journal_complete *out_complete) LH_MUST_CHECK;

// Appends; buffered at most 64 KiB / until lh_journal_flush (call it at least once a second and
// before reporting anything as done). A full disk is LH_E_NOSPC, a path or file beyond the limits
// above LH_E_LIMIT; the transfer goes on without the record, and only resuming suffers.
//
// A path is either under way or complete: each call replaces what was known. In `begin`, `have` and
// `digests` may be NULL (nothing yet), or name blocks that the partial holds already (not the
// journal's own memory of the same path); a block_count that does not follow from the size is
// LH_E_INVALID.
lh_err lh_journal_begin(struct lh_journal *journal,
                        const char *path,
                        const struct lh_journal_partial *partial,
                        struct lh_errinfo *info) LH_MUST_CHECK;
// A block of a path that is not under way (its begin did not fit) is ignored.
lh_err lh_journal_block(struct lh_journal *journal,
                        const char *path,
                        uint64_t block,
                        const struct lh_digest *digest,
                        struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_journal_complete_file(struct lh_journal *journal,
                                const char *path,
                                const struct lh_journal_complete *complete,
                                struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_journal_forget(struct lh_journal *journal,
                         const char *path,
                         struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_journal_flush(struct lh_journal *journal, struct lh_errinfo *info) LH_MUST_CHECK;

// Calls `each` for every partial known, in no order: to remove what a job left behind. `each` must
// not append.
void lh_journal_each_partial(const struct lh_journal *journal,
                             void (*each)(void *context,
                                          const char *path,
                                          const struct lh_journal_partial *partial),
                             void *context);

#endif
