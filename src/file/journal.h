// SPDX-License-Identifier: Apache-2.0
//
// The receiver's journal: what has arrived and what is complete, so that the same command again
// sends only what is missing (longhaul-journal(5)). One append-only file per job in the state
// directory
// (${XDG_STATE_HOME:-~/.local/state}/longhaul/journal/, 0700), named by the job's identity.
//
//   header   magic "LHJOURN1", format version, byte order mark, block size, digest id, job identity
//   record   type u16, length u16, CRC32C u32 over type, length and body; body
//
// A block is recorded only after its data was written. Reading stops at a torn tail (which is cut
// off), skips records of unknown type, sets a journal of unknown version aside (renamed, with a
// message) and refuses one whose job identity differs. A second session on the same job gets
// LH_E_BUSY (flock). Compacted on open when superseded records outnumber live ones.
//
// Files are known by their path below the job's destination ("a/b/c", as bytes).
#ifndef LH_FILE_JOURNAL_H
#define LH_FILE_JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "file/digest.h"

struct lh_journal;

// What identifies a source file's content without reading it, as its sender announced it.
struct lh_source_id {
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
};

// A file under way: where its partial lies and which blocks it holds.
struct lh_journal_partial {
    char name[32]; // of the partial, in its target's directory
    dev_t dev;
    ino_t ino;
    struct lh_source_id source;
    uint64_t block_count;
    const uint8_t *have;             // bitmap, owned by the journal, valid until the next append
    const struct lh_digest *digests; // of blocks in `have`
};

// A completed file: the digest, and what source and target looked like then.
struct lh_journal_complete {
    struct lh_source_id source;
    struct lh_source_id target; // size, mtime, ctime of the file in place
    struct lh_digest digest;
};

struct lh_journal_config {
    const char *directory; // state directory; made (0700) where missing
    uint8_t job_id[16];    // from lh_digest_block over the job's description
    uint32_t block_size;
};

// LH_E_BUSY: another session has it. LH_E_SYS: the directory cannot be used.
// `notice` (may be NULL) gets a line for the user where something was set aside.
lh_err lh_journal_open(const struct lh_journal_config *config,
                       struct lh_journal **out_journal,
                       char *notice,
                       size_t notice_room,
                       struct lh_errinfo *info) LH_MUST_CHECK;
void lh_journal_free(struct lh_journal *journal); // closes; the file stays

// LH_NONE where the journal knows nothing of the path. Lookups are O(1) in the number of files.
lh_err lh_journal_find_partial(const struct lh_journal *journal,
                               const char *path,
                               struct lh_journal_partial *out_partial) LH_MUST_CHECK;
lh_err lh_journal_find_complete(const struct lh_journal *journal,
                                const char *path,
                                struct lh_journal_complete *out_complete) LH_MUST_CHECK;

// Appends; buffered at most 64 KiB / until lh_journal_flush (call it at least once a second and
// before reporting anything as done). A full disk is LH_E_NOSPC; the transfer goes on without it.
lh_err lh_journal_begin(struct lh_journal *journal,
                        const char *path,
                        const struct lh_journal_partial *partial,
                        struct lh_errinfo *info) LH_MUST_CHECK;
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

#endif
