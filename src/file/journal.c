// SPDX-License-Identifier: Apache-2.0
//
// How it works. In memory there is a table from path to place. Of a completed file, the place is
// the offset of its COMPLETE record, which is read again when asked for: a million files cost 16 to
// 32 MB. Of a file under way, the place is the number of its `struct under_way`, with bitmap and
// digests. BLOCK and RUN records name that number, which counts the BEGIN records of this file of
// records.
//
// Opening: lock, check the header, read every record in order and apply it, cut what is torn.
// Applying is the same when reading and when appending, so what a restart sees is what the session
// saw, or a prefix of it.
//
// Compaction writes the live records to a new file, locked before it takes the name by rename, then
// loads that. Death at any point leaves the old file or the new one, both whole; a leftover new
// file is removed by the next compaction. The lock belongs to the file and not to the name, so
// after locking the name must still be that file, else we try again.
//
// What comes from the disk is checked like anything foreign: a record of a sound CRC that
// contradicts the rest (a block beyond the end, a number that was never begun) changes nothing.
// Bitmaps and digests come from calloc, so that a file that claims terabytes takes memory only as
// its blocks arrive.
#include "file/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "file/journal_internal.h"
#include "file/partial_internal.h"
#include "file/state.h"
#include "sys/clock.h"

#define LOCK_TRIES      16
#define COMPACT_SLACK   64 // superseded records that are never worth a compaction
#define FILES_BEGUN_MAX ((uint32_t)1 << 26)
#define NAME_ROOM       64

struct under_way {
    char *path; // owned, terminated
    size_t path_len;
    uint8_t *have;             // owned
    struct lh_digest *digests; // owned
    uint64_t have_count;
    struct lh_journal_partial partial; // have and digests lead to the two above
};

struct lh_journal {
    struct lh_journal_config config; // directory is not kept
    int dir_fd;
    int fd; // holds the lock
    char name[NAME_ROOM];
    struct lh_record_writer writer;
    struct lh_path_table table;
    struct under_way **begun; // by number; NULL where superseded
    uint32_t begun_count;
    size_t begun_room;
    uint64_t records; // in the file and the buffer
    uint64_t live;    // of these, not superseded
    uint8_t *scratch; // LH_RECORD_MAX bytes: records encoded, or read again
    uint8_t seed[16]; // of the table's hash, so that nobody can choose names that collide
};

bool lh_source_id_equal(const struct lh_source_id *a, const struct lh_source_id *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

// --- Places ---

static uint64_t place_of_begun(uint32_t number)
{
    return (uint64_t)number << 2 | 3;
}

static uint64_t place_of_record(uint64_t offset)
{
    return offset << 2 | 2;
}

static bool place_is_begun(uint64_t place)
{
    return (place & 3) == 3;
}

// Reads the COMPLETE record of a place again, from the file or the buffer.
static bool record_at(const struct lh_journal *journal, uint64_t place, struct lh_record *out)
{
    const struct lh_record_writer *writer = &journal->writer;
    uint64_t offset = place >> 2;
    const uint8_t *record = journal->scratch;
    size_t len;
    if (offset >= writer->flushed && writer->buffer != NULL) {
        record = writer->buffer + (offset - writer->flushed);
        len = writer->used - (size_t)(offset - writer->flushed);
    } else {
        ssize_t got = pread(journal->fd, journal->scratch, 512, (off_t)offset);
        len = got < 0 ? 0 : (size_t)got;
        if (len == 512 && lh_record_check(record, len) == 0) {
            got = pread(journal->fd, journal->scratch, LH_RECORD_MAX, (off_t)offset);
            len = got < 0 ? 0 : (size_t)got;
        }
    }
    len = lh_record_check(record, len);
    return len > 0 && lh_record_decode(LH_RECORD_COMPLETE, record + LH_RECORD_HEADER,
                                       len - LH_RECORD_HEADER, out);
}

static bool place_has_path(const void *context, uint64_t place, const char *path, size_t len)
{
    const struct lh_journal *journal = context;
    struct lh_record record;
    if (place_is_begun(place)) {
        const struct under_way *file = journal->begun[place >> 2];
        return file->path_len == len && memcmp(file->path, path, len) == 0;
    }
    return record_at(journal, place, &record) && record.path_len == len &&
           memcmp(record.path, path, len) == 0;
}

static uint64_t hash_path(const struct lh_journal *journal, const char *path, size_t len)
{
    struct lh_digest digest;
    uint64_t hash;
    uint8_t *text = journal->scratch;
    LH_ASSERT(len <= LH_JOURNAL_PATH_MAX);
    memcpy(text, journal->seed, sizeof journal->seed);
    memcpy(text + sizeof journal->seed, path, len);
    lh_digest_block(text, sizeof journal->seed + len, &digest);
    memcpy(&hash, digest.bytes, sizeof hash);
    return hash;
}

static struct lh_path_slot *find(const struct lh_journal *journal, const char *path, size_t len)
{
    uint64_t hash = hash_path(journal, path, len);
    return lh_path_table_find(&journal->table, hash, place_has_path, journal, path, len);
}

// --- Files under way ---

static void under_way_free(struct under_way *file)
{
    if (file == NULL)
        return;
    free(file->path);
    free(file->have);
    free(file->digests);
    free(file);
}
LH_DEFINE_FREEP(struct under_way, under_way_free)

static bool count_follows(const struct lh_journal *journal, uint64_t size, uint64_t count)
{
    uint32_t block_size = journal->config.block_size;
    return count == size / block_size + (size % block_size != 0);
}

// A file under way without blocks. NULL when out of memory.
static struct under_way *under_way_new(const struct lh_record *record)
{
    uint64_t count = record->partial.block_count;
    LH_CLEANUP(under_way_freep) struct under_way *file = calloc(1, sizeof *file);
    LH_ASSERT(count <= LH_JOURNAL_BLOCKS_MAX);
    if (file == NULL)
        return NULL;
    file->path = strndup(record->path, record->path_len);
    file->path_len = record->path_len;
    file->have = calloc(1, (size_t)(count + 7) / 8 + 1);
    file->digests = calloc((size_t)count + 1, sizeof *file->digests);
    if (file->path == NULL || file->have == NULL || file->digests == NULL)
        return NULL;
    file->partial = record->partial;
    file->partial.have = file->have;
    file->partial.digests = file->digests;
    return lh_steal(&file);
}

static bool has_block(const uint8_t *have, uint64_t block)
{
    return (have[block / 8] >> (block % 8) & 1) != 0;
}

static void take_block(struct under_way *file, uint64_t block, const uint8_t *digest)
{
    if (!has_block(file->have, block)) {
        file->have[block / 8] |= (uint8_t)(1u << (block % 8));
        file->have_count++;
    }
    memcpy(file->digests[block].bytes, digest, LH_DIGEST_LEN);
}

static lh_err reserve_begun(struct lh_journal *journal)
{
    if (journal->begun_count >= FILES_BEGUN_MAX)
        return LH_E_LIMIT;
    if (journal->begun_count < journal->begun_room)
        return LH_OK;
    size_t room = journal->begun_room * 2 + 64;
    void *moved = reallocarray(journal->begun, room, sizeof *journal->begun);
    if (moved == NULL)
        return LH_E_NOMEM;
    journal->begun = moved;
    journal->begun_room = room;
    return LH_OK;
}

// --- Applying records ---

// Forgets what was known of a path.
static void drop(struct lh_journal *journal, const char *path, size_t len)
{
    struct lh_path_slot *slot = find(journal, path, len);
    if (slot == NULL)
        return;
    journal->live--;
    if (place_is_begun(slot->place)) {
        struct under_way **file = &journal->begun[slot->place >> 2];
        journal->live -= (*file)->have_count;
        under_way_free(*file);
        *file = NULL;
    }
    lh_path_table_remove(&journal->table, slot);
}

// Puts a path at a place; there is room in the table.
static void place_path(struct lh_journal *journal, const char *path, size_t len, uint64_t place)
{
    drop(journal, path, len);
    lh_path_table_add(&journal->table, hash_path(journal, path, len), place);
    journal->live++;
}

static lh_err apply_begin(struct lh_journal *journal, const struct lh_record *record, uint64_t at)
{
    (void)at;
    if (record->number != journal->begun_count ||
        record->partial.block_count > LH_JOURNAL_BLOCKS_MAX ||
        !count_follows(journal, record->partial.source.size, record->partial.block_count))
        return LH_OK;
    lh_err err = reserve_begun(journal);
    if (err != 0)
        return err;
    struct under_way *file = under_way_new(record);
    if (file == NULL)
        return LH_E_NOMEM;
    journal->begun[journal->begun_count] = file;
    place_path(journal, file->path, file->path_len, place_of_begun(journal->begun_count));
    journal->begun_count++;
    return LH_OK;
}

static lh_err apply_blocks(struct lh_journal *journal, const struct lh_record *record, uint64_t at)
{
    (void)at;
    if (record->number >= journal->begun_count || journal->begun[record->number] == NULL)
        return LH_OK;
    struct under_way *file = journal->begun[record->number];
    uint64_t count = file->partial.block_count;
    if (LH_GUARD(JOURNAL_BLOCK, record->block >= count || record->count > count - record->block))
        return LH_OK;
    journal->live -= file->have_count;
    for (uint16_t i = 0; i < record->count; i++)
        take_block(file, record->block + i, record->digests + (size_t)i * LH_DIGEST_LEN);
    journal->live += file->have_count;
    return LH_OK;
}

static lh_err
apply_complete(struct lh_journal *journal, const struct lh_record *record, uint64_t at)
{
    place_path(journal, record->path, record->path_len, place_of_record(at));
    return LH_OK;
}

static lh_err apply_forget(struct lh_journal *journal, const struct lh_record *record, uint64_t at)
{
    (void)at;
    drop(journal, record->path, record->path_len);
    return LH_OK;
}

// Takes in a record that is or will be at `offset`. Fails only for want of memory or beyond a
// limit, and then changes nothing.
static lh_err apply(struct lh_journal *journal, const struct lh_record *record, uint64_t offset)
{
    static lh_err (*const appliers[])(struct lh_journal *, const struct lh_record *, uint64_t) = {
        [LH_RECORD_BEGIN] = apply_begin,   [LH_RECORD_BLOCK] = apply_blocks,
        [LH_RECORD_RUN] = apply_blocks,    [LH_RECORD_COMPLETE] = apply_complete,
        [LH_RECORD_FORGET] = apply_forget,
    };
    lh_err err = lh_path_table_reserve(&journal->table);
    return err != 0 ? err : appliers[record->type](journal, record, offset);
}

// --- Loading ---

static void forget_all(struct lh_journal *journal)
{
    for (uint32_t i = 0; i < journal->begun_count; i++)
        under_way_free(journal->begun[i]);
    journal->begun_count = 0;
    lh_path_table_fini(&journal->table);
    journal->records = 0;
    journal->live = 0;
}

static lh_err load_records(struct lh_journal *journal, struct lh_record_reader *reader)
{
    const uint8_t *bytes;
    size_t len;
    uint64_t offset;
    lh_err err;
    while ((err = lh_record_reader_next(reader, &bytes, &len, &offset)) == 0) {
        struct lh_record record;
        uint16_t type = (uint16_t)(bytes[0] | bytes[1] << 8);
        journal->records++;
        if (!lh_record_decode(type, bytes + LH_RECORD_HEADER, len - LH_RECORD_HEADER, &record))
            continue; // unknown, perhaps of a later version: not ours to judge
        err = apply(journal, &record, offset);
        if (err != 0)
            return err;
    }
    return err == LH_EOF ? LH_OK : err;
}

static lh_err load(struct lh_journal *journal, struct lh_errinfo *info)
{
    struct lh_record_reader reader;
    struct stat found;
    forget_all(journal);
    lh_record_writer_fini(&journal->writer);
    lh_err err = lh_record_reader_init(&reader, journal->fd);
    if (err == 0)
        err = load_records(journal, &reader);
    uint64_t end = reader.offset;
    lh_record_reader_fini(&reader);
    if (err == 0 && journal->config.read_only)
        return LH_OK;
    if (err == 0)
        err = lh_record_writer_init(&journal->writer, journal->fd, end);
    if (err == LH_E_SYS)
        return lh_fail(info, err, 0, "cannot read the journal %s", journal->name);
    if (err != 0)
        return lh_fail(info, err, 0, "cannot hold the journal %s in memory", journal->name);
    if (fstat(journal->fd, &found) != 0 ||
        ((uint64_t)found.st_size > end && ftruncate(journal->fd, (off_t)end) != 0))
        return lh_fail_errno(info, errno, 0, "cannot cut the torn tail of journal %s",
                             journal->name);
    return LH_OK;
}

// --- Appending ---

static lh_err
append(struct lh_journal *journal, const struct lh_record *record, struct lh_errinfo *info)
{
    struct lh_writer bytes = lh_writer_of(journal->scratch, LH_RECORD_MAX);
    uint64_t offset = 0;
    LH_ASSERT(!journal->config.read_only);
    lh_record_encode(&bytes, record);
    LH_ASSERT(!bytes.bad);
    size_t len = lh_writer_used(&bytes);
    lh_err err = lh_record_writer_add(&journal->writer, journal->scratch, len, &offset, info);
    if (offset == 0)
        return err; // dropped
    journal->records++;
    lh_err applied = apply(journal, record, offset);
    if (applied != 0)
        return lh_fail(info, applied, 0, "cannot hold the journal in memory");
    return err;
}

// The blocks of a file under way, as runs, into `writer`.
static lh_err append_runs(struct lh_journal *journal,
                          struct lh_record *run,
                          const uint8_t *have,
                          const struct lh_digest *digests,
                          uint64_t count,
                          struct lh_errinfo *info)
{
    lh_err err = LH_OK;
    run->type = LH_RECORD_RUN;
    for (uint64_t block = 0; err == 0 && block < count;) {
        uint64_t end = block;
        while (end < count && has_block(have, end) && end - block < LH_RECORD_RUN_MAX)
            end++;
        run->block = block;
        run->count = (uint16_t)(end - block);
        run->digests = digests[block].bytes;
        block = end == block ? block + 1 : end;
        if (run->count > 0)
            err = append(journal, run, info);
    }
    return err;
}

static lh_err check_path(const char *path, size_t *out_len, struct lh_errinfo *info)
{
    size_t len = strnlen(path, LH_JOURNAL_PATH_MAX + 1);
    if (len == 0 || len > LH_JOURNAL_PATH_MAX)
        return lh_fail(info, LH_E_LIMIT, 0, "a path of more than %d bytes is not journalled",
                       LH_JOURNAL_PATH_MAX);
    *out_len = len;
    return LH_OK;
}

lh_err lh_journal_begin(struct lh_journal *journal,
                        const char *path,
                        const struct lh_journal_partial *partial,
                        struct lh_errinfo *info)
{
    struct lh_record record = {.type = LH_RECORD_BEGIN, .path = path, .partial = *partial};
    lh_err err = check_path(path, &record.path_len, info);
    if (err != 0)
        return err;
    if (!count_follows(journal, partial->source.size, partial->block_count))
        return lh_fail(info, LH_E_INVALID, 0, "block count and size of a file disagree");
    if (partial->block_count > LH_JOURNAL_BLOCKS_MAX)
        return lh_fail(info, LH_E_LIMIT, 0, "a file of too many blocks is not journalled");
    LH_ASSERT(strnlen(partial->name, sizeof partial->name) < sizeof partial->name);
    const struct lh_path_slot *slot = find(journal, path, record.path_len);
    if (slot != NULL && place_is_begun(slot->place)) // append would free it before it is read
        LH_ASSERT(partial->have != journal->begun[slot->place >> 2]->have);
    record.number = journal->begun_count;
    err = append(journal, &record, info);
    if (err != 0 || partial->have == NULL)
        return err;
    return append_runs(journal, &record, partial->have, partial->digests, partial->block_count,
                       info);
}

lh_err lh_journal_block(struct lh_journal *journal,
                        const char *path,
                        uint64_t block,
                        const struct lh_digest *digest,
                        struct lh_errinfo *info)
{
    struct lh_record record = {
        .type = LH_RECORD_BLOCK, .block = block, .count = 1, .digests = digest->bytes};
    size_t len = 0;
    lh_err err = check_path(path, &len, info);
    if (err != 0)
        return err;
    const struct lh_path_slot *slot = find(journal, path, len);
    if (slot == NULL || !place_is_begun(slot->place))
        return LH_OK;
    record.number = (uint32_t)(slot->place >> 2);
    LH_ASSERT(block < journal->begun[record.number]->partial.block_count);
    return append(journal, &record, info);
}

lh_err lh_journal_complete_file(struct lh_journal *journal,
                                const char *path,
                                const struct lh_journal_complete *complete,
                                struct lh_errinfo *info)
{
    struct lh_record record = {.type = LH_RECORD_COMPLETE, .path = path, .complete = *complete};
    lh_err err = check_path(path, &record.path_len, info);
    return err != 0 ? err : append(journal, &record, info);
}

lh_err lh_journal_forget(struct lh_journal *journal, const char *path, struct lh_errinfo *info)
{
    struct lh_record record = {.type = LH_RECORD_FORGET, .path = path};
    lh_err err = check_path(path, &record.path_len, info);
    if (err != 0 || find(journal, path, record.path_len) == NULL)
        return err;
    return append(journal, &record, info);
}

lh_err lh_journal_flush(struct lh_journal *journal, struct lh_errinfo *info)
{
    return lh_record_writer_flush(&journal->writer, info);
}

// --- Asking ---

lh_err lh_journal_find_partial(const struct lh_journal *journal,
                               const char *path,
                               struct lh_journal_partial *out_partial)
{
    size_t len = 0;
    if (check_path(path, &len, NULL) != 0)
        return LH_NONE;
    const struct lh_path_slot *slot = find(journal, path, len);
    if (slot == NULL || !place_is_begun(slot->place))
        return LH_NONE;
    *out_partial = journal->begun[slot->place >> 2]->partial;
    return LH_OK;
}

lh_err lh_journal_find_complete(const struct lh_journal *journal,
                                const char *path,
                                struct lh_journal_complete *out_complete)
{
    struct lh_record record;
    size_t len = 0;
    if (check_path(path, &len, NULL) != 0)
        return LH_NONE;
    const struct lh_path_slot *slot = find(journal, path, len);
    if (slot == NULL || place_is_begun(slot->place) || !record_at(journal, slot->place, &record))
        return LH_NONE;
    *out_complete = record.complete;
    return LH_OK;
}

void lh_journal_each_partial(const struct lh_journal *journal,
                             void (*each)(void *context,
                                          const char *path,
                                          const struct lh_journal_partial *partial),
                             void *context)
{
    for (uint32_t i = 0; i < journal->begun_count; i++) {
        if (journal->begun[i] != NULL)
            each(context, journal->begun[i]->path, &journal->begun[i]->partial);
    }
}

// --- Compaction ---

// Copies the COMPLETE records of `journal` that count into `fresh`.
static lh_err
copy_complete(struct lh_journal *journal, struct lh_journal *fresh, struct lh_errinfo *info)
{
    struct lh_record_reader reader;
    const uint8_t *bytes;
    size_t len;
    uint64_t offset;
    lh_err err = lh_record_reader_init(&reader, journal->fd);
    while (err == 0 && (err = lh_record_reader_next(&reader, &bytes, &len, &offset)) == 0) {
        struct lh_record record;
        if (bytes[0] != LH_RECORD_COMPLETE || bytes[1] != 0 ||
            !lh_record_decode(LH_RECORD_COMPLETE, bytes + LH_RECORD_HEADER, len - LH_RECORD_HEADER,
                              &record))
            continue;
        const struct lh_path_slot *slot = find(journal, record.path, record.path_len);
        if (slot != NULL && slot->place == place_of_record(offset))
            err = lh_record_writer_add(&fresh->writer, bytes, len, NULL, info);
    }
    lh_record_reader_fini(&reader);
    return err == LH_EOF ? LH_OK : err;
}

// Writes the live records of `journal` into `fresh`, which has an empty file.
static lh_err
copy_live(struct lh_journal *journal, struct lh_journal *fresh, struct lh_errinfo *info)
{
    lh_err err = copy_complete(journal, fresh, info);
    for (uint32_t i = 0; err == 0 && i < journal->begun_count; i++) {
        const struct under_way *file = journal->begun[i];
        if (file != NULL)
            err = lh_journal_begin(fresh, file->path, &file->partial, info);
    }
    if (err == 0)
        err = lh_journal_flush(fresh, info);
    return err;
}

static lh_err write_header(const struct lh_journal *journal, int fd, struct lh_errinfo *info)
{
    uint8_t header[LH_JOURNAL_HEADER];
    lh_journal_header_encode(&journal->config, header);
    int error = ftruncate(fd, 0) == 0 ? lh_write_all(fd, header, sizeof header, 0) : errno;
    if (error != 0)
        return lh_fail_errno(info, error, 0, "cannot write the journal %s", journal->name);
    return LH_OK;
}

static void journal_fini(struct lh_journal *journal)
{
    forget_all(journal);
    free(journal->begun);
    lh_record_writer_fini(&journal->writer);
    free(journal->scratch);
    if (journal->fd >= 0)
        (void)close(journal->fd);
    if (journal->dir_fd >= 0)
        (void)close(journal->dir_fd);
}

// Makes `fresh` a journal of the same job in the new file `name`, locked.
static lh_err fresh_init(struct lh_journal *fresh,
                         const struct lh_journal *journal,
                         const char *name,
                         struct lh_errinfo *info)
{
    *fresh = (struct lh_journal){.config = journal->config, .dir_fd = -1, .fd = -1};
    memcpy(fresh->name, journal->name, sizeof fresh->name);
    memcpy(fresh->seed, journal->seed, sizeof fresh->seed);
    fresh->scratch = malloc(LH_RECORD_MAX);
    if (fresh->scratch == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    (void)unlinkat(journal->dir_fd, name, 0); // of a compaction that was killed
    fresh->fd =
        openat(journal->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fresh->fd < 0 || flock(fresh->fd, LOCK_EX | LOCK_NB) != 0)
        return lh_fail_errno(info, errno, 0, "cannot make a new journal");
    lh_err err = write_header(fresh, fresh->fd, info);
    if (err == 0)
        err = lh_record_writer_init(&fresh->writer, fresh->fd, LH_JOURNAL_HEADER);
    return err;
}

// Replaces the file by one of live records only. Where that fails the old one does as well.
static lh_err compact(struct lh_journal *journal, struct lh_errinfo *info)
{
    struct lh_journal fresh;
    char name[NAME_ROOM + 8];
    (void)snprintf(name, sizeof name, "%s.new", journal->name);
    lh_err err = fresh_init(&fresh, journal, name, NULL);
    if (err == 0)
        err = copy_live(journal, &fresh, NULL);
    if (err == 0 && (fdatasync(fresh.fd) != 0 ||
                     renameat(journal->dir_fd, name, journal->dir_fd, journal->name) != 0))
        err = LH_E_SYS;
    if (err != 0) {
        (void)unlinkat(journal->dir_fd, name, 0);
        journal_fini(&fresh);
        return LH_OK;
    }
    (void)close(journal->fd);
    journal->fd = fresh.fd;
    fresh.fd = -1;
    journal_fini(&fresh);
    return load(journal, info);
}

// --- Opening ---

// Opens and locks the file of that name. LH_AGAIN where the name became another file meanwhile.
static lh_err lock(struct lh_journal *journal, struct lh_errinfo *info)
{
    struct stat held;
    struct stat named;
    if (journal->fd >= 0)
        (void)close(journal->fd);
    journal->fd = openat(journal->dir_fd, journal->name,
                         O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (journal->fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot open the journal %s", journal->name);
    if (LH_GUARD(JOURNAL_LOCK, flock(journal->fd, LOCK_EX | LOCK_NB) != 0)) {
        if (errno == EWOULDBLOCK)
            return lh_fail(info, LH_E_BUSY, 0, "another session is doing the same job");
        return lh_fail_errno(info, errno, 0, "cannot lock the journal %s", journal->name);
    }
    if (fstat(journal->fd, &held) != 0)
        return lh_fail_errno(info, errno, 0, "cannot examine the journal %s", journal->name);
    if (!S_ISREG(held.st_mode) || held.st_uid != geteuid())
        return lh_fail(info, LH_E_PATH, 0, "the journal %s is not a file of ours", journal->name);
    if (fstatat(journal->dir_fd, journal->name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != held.st_ino || named.st_dev != held.st_dev)
        return LH_AGAIN;
    return LH_OK;
}

// Gives the file another name, out of the way. LH_AGAIN: open a new one.
static lh_err set_aside(struct lh_journal *journal,
                        const char *why,
                        char *notice,
                        size_t notice_room,
                        struct lh_errinfo *info)
{
    char name[NAME_ROOM + 8];
    (void)snprintf(name, sizeof name, "%s.aside", journal->name);
    if (renameat(journal->dir_fd, journal->name, journal->dir_fd, name) != 0)
        return lh_fail_errno(info, errno, 0, "cannot set the journal %s aside", journal->name);
    (void)snprintf(notice, notice_room,
                   "the journal of this job could not be used (%s) and was set aside as %s; "
                   "files are compared instead",
                   why, name);
    return LH_AGAIN;
}

// Checks the header, or writes one where there is none. LH_AGAIN: set aside.
static lh_err
check_header(struct lh_journal *journal, char *notice, size_t notice_room, struct lh_errinfo *info)
{
    uint8_t header[LH_JOURNAL_HEADER];
    const char *why = "";
    ssize_t got = pread(journal->fd, header, sizeof header, 0);
    if (got < 0)
        return lh_fail_errno(info, errno, 0, "cannot read the journal %s", journal->name);
    if ((size_t)got < sizeof header) // new, or killed before its first record
        return write_header(journal, journal->fd, info);
    lh_err err = lh_journal_header_check(&journal->config, header, &why);
    if (err == LH_E_AUTH)
        return lh_fail(info, err, 0, "the journal %s is unusable: %s", journal->name, why);
    if (err != 0)
        return set_aside(journal, why, notice, notice_room, info);
    return LH_OK;
}

static lh_err
open_and_load(struct lh_journal *journal, char *notice, size_t notice_room, struct lh_errinfo *info)
{
    lh_err err = LH_AGAIN;
    for (int i = 0; i < LOCK_TRIES && err == LH_AGAIN; i++) {
        err = lock(journal, info);
        if (err == 0)
            err = check_header(journal, notice, notice_room, info);
    }
    if (err == LH_AGAIN)
        return lh_fail(info, LH_E_BUSY, 0, "another session is doing the same job");
    if (err == 0)
        err = load(journal, info);
    if (err == 0 && journal->records > 2 * journal->live + COMPACT_SLACK)
        err = compact(journal, info);
    return err;
}

// Loads what is there, without a lock: another session may append meanwhile, and what it has not
// written whole does not count. A journal that is not as it must be is none.
static lh_err look(struct lh_journal *journal, const char *directory, struct lh_errinfo *info)
{
    uint8_t header[LH_JOURNAL_HEADER];
    struct stat found;
    const char *why;
    journal->dir_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (journal->dir_fd < 0)
        return LH_NONE;
    journal->fd =
        openat(journal->dir_fd, journal->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (journal->fd < 0 || fstat(journal->fd, &found) != 0 || !S_ISREG(found.st_mode) ||
        found.st_uid != geteuid())
        return LH_NONE;
    if (pread(journal->fd, header, sizeof header, 0) != (ssize_t)sizeof header ||
        lh_journal_header_check(&journal->config, header, &why) != LH_OK)
        return LH_NONE;
    return load(journal, info);
}

lh_err lh_journal_open(const struct lh_journal_config *config,
                       struct lh_journal **out_journal,
                       char *notice,
                       size_t notice_room,
                       struct lh_errinfo *info)
{
    char id[2 * sizeof config->job_id + 1];
    char unused[1];
    LH_ASSERT(config->block_size > 0);
    if (notice == NULL || notice_room == 0) {
        notice = unused;
        notice_room = sizeof unused;
    }
    notice[0] = '\0';
    struct lh_journal *journal = calloc(1, sizeof *journal);
    uint8_t *scratch = malloc(LH_RECORD_MAX);
    if (journal == NULL || scratch == NULL) {
        free(journal);
        free(scratch);
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    }
    *journal = (struct lh_journal){.config = *config, .dir_fd = -1, .fd = -1, .scratch = scratch};
    journal->config.directory = NULL;
    (void)snprintf(journal->name, sizeof journal->name, "%s.journal",
                   lh_format_hex(config->job_id, sizeof config->job_id, id));
    lh_entropy_fill(journal->seed, sizeof journal->seed);
    lh_err err = config->read_only ? look(journal, config->directory, info)
                                   : lh_owned_dir_open(config->directory, &journal->dir_fd, info);
    if (err == 0 && !config->read_only)
        err = open_and_load(journal, notice, notice_room, info);
    if (err == 0 && !config->read_only)
        lh_journals_expire(journal->dir_fd, journal->fd);
    if (err != 0) {
        journal_fini(journal);
        free(journal);
        return err;
    }
    *out_journal = journal;
    return LH_OK;
}

void lh_journal_free(struct lh_journal *journal)
{
    if (journal == NULL)
        return;
    if (!journal->config.read_only && lh_record_writer_flush(&journal->writer, NULL) != 0) {
        // The full disk keeps the last records; resuming sends those blocks again.
    }
    journal_fini(journal);
    free(journal);
}
