// SPDX-License-Identifier: Apache-2.0
//
// Records in and out of a file, in order. The reader stops where the first record is not whole and
// sound: what lies behind it was never known to be written, so it does not count. The writer
// gathers whole records and writes them at a place of its own choosing, so that after a failed
// write (a full disk) the same bytes go to the same place again, and the file always is a row of
// whole records with at most one torn tail.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "file/journal_internal.h"
#include "file/partial_internal.h"

#define READ_ROOM  (4 * LH_RECORD_MAX)
#define WRITE_ROOM (65536 + LH_RECORD_MAX)
#define WRITE_AT   65536 // flushed by itself from here on

// --- Reader ---

lh_err lh_record_reader_init(struct lh_record_reader *reader, int fd)
{
    *reader = (struct lh_record_reader){.fd = fd, .offset = LH_JOURNAL_HEADER};
    reader->buffer = malloc(READ_ROOM);
    return reader->buffer == NULL ? LH_E_NOMEM : LH_OK;
}

void lh_record_reader_fini(struct lh_record_reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

// Fills the buffer from the file.
static lh_err fill(struct lh_record_reader *reader)
{
    size_t have = reader->end - reader->start;
    memmove(reader->buffer, reader->buffer + reader->start, have);
    reader->start = 0;
    reader->end = have;
    while (reader->end < READ_ROOM) {
        ssize_t got = pread(reader->fd, reader->buffer + reader->end, READ_ROOM - reader->end,
                            (off_t)(reader->offset + reader->end));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return LH_E_SYS;
        if (got == 0) {
            reader->at_end = true;
            return LH_OK;
        }
        reader->end += (size_t)got;
    }
    return LH_OK;
}

lh_err lh_record_reader_next(struct lh_record_reader *reader,
                             const uint8_t **out_record,
                             size_t *out_len,
                             uint64_t *out_offset)
{
    if (!reader->at_end && reader->end - reader->start < LH_RECORD_MAX) {
        lh_err err = fill(reader);
        if (err != 0)
            return err;
    }
    const uint8_t *record = reader->buffer + reader->start;
    size_t len = lh_record_check(record, reader->end - reader->start);
    if (len == 0)
        return LH_EOF;
    *out_record = record;
    *out_len = len;
    *out_offset = reader->offset;
    reader->start += len;
    reader->offset += len;
    return LH_OK;
}

// --- Writer ---

lh_err lh_record_writer_init(struct lh_record_writer *writer, int fd, uint64_t end)
{
    *writer = (struct lh_record_writer){.fd = fd, .flushed = end};
    writer->buffer = malloc(WRITE_ROOM);
    return writer->buffer == NULL ? LH_E_NOMEM : LH_OK;
}

void lh_record_writer_fini(struct lh_record_writer *writer)
{
    free(writer->buffer);
    writer->buffer = NULL;
}

lh_err lh_record_writer_flush(struct lh_record_writer *writer, struct lh_errinfo *info)
{
    if (writer->used == 0)
        return LH_OK;
    int error = lh_write_all(writer->fd, writer->buffer, writer->used, writer->flushed);
    if (error != 0) {
        // A torn tail would be cut when reading; without it another program reads more easily.
        (void)!ftruncate(writer->fd, (off_t)writer->flushed);
        return lh_fail_errno(info, error, 0, "cannot write the journal");
    }
    writer->flushed += writer->used;
    writer->used = 0;
    return LH_OK;
}

lh_err lh_record_writer_add(struct lh_record_writer *writer,
                            const uint8_t *records,
                            size_t len,
                            uint64_t *out_offset,
                            struct lh_errinfo *info)
{
    LH_ASSERT(len <= LH_RECORD_MAX);
    if (writer->used + len > WRITE_ROOM) {
        lh_err err = lh_record_writer_flush(writer, info);
        if (err != 0)
            return err;
    }
    memcpy(writer->buffer + writer->used, records, len);
    if (out_offset != NULL)
        *out_offset = writer->flushed + writer->used;
    writer->used += len;
    return writer->used >= WRITE_AT ? lh_record_writer_flush(writer, info) : LH_OK;
}
