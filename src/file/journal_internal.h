// SPDX-License-Identifier: Apache-2.0
//
// The journal's parts: the format (encode, decode), reading a file of records, writing one, and the
// table of paths. longhaul-journal(5) specifies the format; tests use these to make odd files.
#ifndef LH_FILE_JOURNAL_INTERNAL_H
#define LH_FILE_JOURNAL_INTERNAL_H

#include "base/bytes.h"
#include "file/journal.h"

#define LH_JOURNAL_VERSION    1
#define LH_JOURNAL_HEADER     48
#define LH_JOURNAL_BYTE_ORDER 0xfeff
#define LH_RECORD_HEADER      8
#define LH_RECORD_BODY_MAX    65535
#define LH_RECORD_MAX         (LH_RECORD_HEADER + LH_RECORD_BODY_MAX)

// --- Format ---

enum lh_record_type {
    LH_RECORD_BEGIN = 1,    // a file's partial
    LH_RECORD_BLOCK = 2,    // one block of a partial
    LH_RECORD_RUN = 3,      // consecutive blocks of a partial
    LH_RECORD_COMPLETE = 4, // a file in place
    LH_RECORD_FORGET = 5    // the path is unknown again
};

#define LH_RECORD_RUN_FIXED 14 // bytes of a RUN before its digests
#define LH_RECORD_RUN_MAX   ((LH_RECORD_BODY_MAX - LH_RECORD_RUN_FIXED) / LH_DIGEST_LEN)

// A record taken apart. Which fields mean something depends on `type`; pointers lead into the bytes
// that were decoded.
struct lh_record {
    uint16_t type;
    uint32_t number;  // BEGIN, BLOCK, RUN: counts the BEGIN records of this file, from 0
    const char *path; // BEGIN, COMPLETE, FORGET; not terminated
    size_t path_len;
    struct lh_journal_partial partial;   // BEGIN, without have and digests
    struct lh_journal_complete complete; // COMPLETE
    uint64_t block;                      // BLOCK, RUN: the first
    uint16_t count;                      // BLOCK (1), RUN
    const uint8_t *digests;              // BLOCK, RUN: count * LH_DIGEST_LEN bytes
};

// `out` has LH_JOURNAL_HEADER bytes.
void lh_journal_header_encode(const struct lh_journal_config *config, uint8_t *out);
// LH_E_VERSION, LH_E_CORRUPT: set it aside, *out_why says why. LH_E_AUTH: another job's.
lh_err lh_journal_header_check(const struct lh_journal_config *config,
                               const uint8_t header[LH_JOURNAL_HEADER],
                               const char **out_why) LH_MUST_CHECK;

// Appends a whole record; the writer goes bad where it does not fit.
void lh_record_encode(struct lh_writer *writer, const struct lh_record *record);
// Takes the body of a record apart. False for an unknown type or a body that is not as it must be.
bool lh_record_decode(uint16_t type, const uint8_t *body, size_t len, struct lh_record *out_record);
// Checks length and CRC of the record that begins at `data`; its whole length, or 0 where no whole
// and sound record is there.
size_t lh_record_check(const uint8_t *data, size_t len);

// --- Age ---

// Marks the journal as opened now, and removes others in its directory that nobody has opened for
// LH_JOURNAL_DAYS_MAX days and nobody has locked. What cannot be removed stays.
void lh_journals_expire(int dir_fd, int journal_fd);

// --- Reading and writing records in order ---

struct lh_record_reader {
    int fd;
    uint64_t offset; // of the next record in the file
    uint8_t *buffer; // owned
    size_t start;
    size_t end;
    bool at_end; // the buffer holds all there is
};
lh_err lh_record_reader_init(struct lh_record_reader *reader, int fd) LH_MUST_CHECK;
void lh_record_reader_fini(struct lh_record_reader *reader);
// The next record's bytes, valid until the next call, and its offset. LH_EOF at the end or at the
// first that is torn; reader->offset then is where the sound part ends. LH_E_SYS where reading
// fails.
lh_err lh_record_reader_next(struct lh_record_reader *reader,
                             const uint8_t **out_record,
                             size_t *out_len,
                             uint64_t *out_offset) LH_MUST_CHECK;

struct lh_record_writer {
    int fd;
    uint64_t flushed; // bytes of the file that are whole records
    uint8_t *buffer;  // owned
    size_t used;
};
lh_err lh_record_writer_init(struct lh_record_writer *writer, int fd, uint64_t end) LH_MUST_CHECK;
void lh_record_writer_fini(struct lh_record_writer *writer);
// Adds bytes of whole records. On failure of the disk they are kept where the buffer has room, else
// dropped; *out_offset (may be NULL) is where they are or will be, untouched when dropped.
lh_err lh_record_writer_add(struct lh_record_writer *writer,
                            const uint8_t *records,
                            size_t len,
                            uint64_t *out_offset,
                            struct lh_errinfo *info) LH_MUST_CHECK;
lh_err lh_record_writer_flush(struct lh_record_writer *writer,
                              struct lh_errinfo *info) LH_MUST_CHECK;

// --- The table from path to where it is known ---
//
// A slot holds the path's hash and a place; whether the path is really the same, `same` tells from
// the place. Open addressing with tombstones.

struct lh_path_slot {
    uint64_t hash;
    uint64_t place; // 0 empty, 1 removed
};
#define LH_PLACE_MIN 2

struct lh_path_table {
    struct lh_path_slot *slots; // owned
    size_t size;                // a power of two, or 0
    size_t used;                // with tombstones
    size_t live;
};

typedef bool lh_path_same(const void *context, uint64_t place, const char *path, size_t len);

void lh_path_table_fini(struct lh_path_table *table);
// The slot of `path`, or NULL.
struct lh_path_slot *lh_path_table_find(const struct lh_path_table *table,
                                        uint64_t hash,
                                        lh_path_same *same,
                                        const void *context,
                                        const char *path,
                                        size_t len);
// Room for one more, so that the next lh_path_table_add cannot fail. LH_E_NOMEM, LH_E_LIMIT.
lh_err lh_path_table_reserve(struct lh_path_table *table) LH_MUST_CHECK;
void lh_path_table_add(struct lh_path_table *table, uint64_t hash, uint64_t place);
void lh_path_table_remove(struct lh_path_table *table, struct lh_path_slot *slot);

#endif
