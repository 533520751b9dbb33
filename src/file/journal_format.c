// SPDX-License-Identifier: Apache-2.0
//
// The journal's bytes, as longhaul-journal(5) specifies them. Everything read here may have been
// written by a broken machine or a hostile hand: each length is checked before it is used, and a
// record that is not exactly as it must be is no record.
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "file/crc32c.h"
#include "file/journal_internal.h"

static const char MAGIC[8] = "LHJOURN1";

#define HEADER_SIZE_AT 18 // offsets in the header
#define HEADER_CRC_AT  44

// --- Header ---

void lh_journal_header_encode(const struct lh_journal_config *config, uint8_t *out)
{
    uint8_t header[LH_JOURNAL_HEADER];
    struct lh_writer writer = lh_writer_of(header, sizeof header);
    lh_write_bytes(&writer, MAGIC, sizeof MAGIC);
    lh_write_u16(&writer, LH_JOURNAL_VERSION);
    lh_write_u16(&writer, LH_JOURNAL_BYTE_ORDER);
    lh_write_u32(&writer, config->block_size);
    lh_write_u16(&writer, LH_DIGEST_XXH3128);
    LH_ASSERT(lh_writer_used(&writer) == HEADER_SIZE_AT);
    lh_write_u16(&writer, LH_JOURNAL_HEADER);
    lh_write_bytes(&writer, config->job_id, sizeof config->job_id);
    lh_write_u64(&writer, 0);
    LH_ASSERT(lh_writer_used(&writer) == HEADER_CRC_AT);
    lh_write_u32(&writer, lh_crc32c(0, header, HEADER_CRC_AT));
    LH_ASSERT(!writer.bad && lh_writer_left(&writer) == 0);
    memcpy(out, header, sizeof header);
}

lh_err lh_journal_header_check(const struct lh_journal_config *config,
                               const uint8_t header[LH_JOURNAL_HEADER],
                               const char **out_why)
{
    uint8_t wanted[LH_JOURNAL_HEADER];
    struct lh_reader reader = lh_reader_of(header, LH_JOURNAL_HEADER);
    const uint8_t *magic = lh_read_bytes(&reader, sizeof MAGIC);
    uint16_t version = lh_read_u16(&reader);
    uint16_t order = lh_read_u16(&reader);

    *out_why = "it is not a journal";
    if (memcmp(magic, MAGIC, sizeof MAGIC) != 0)
        return LH_E_CORRUPT;
    *out_why = "its format version is unknown to this program";
    if (version != LH_JOURNAL_VERSION)
        return LH_E_VERSION;
    *out_why = "it has another byte order";
    if (order != LH_JOURNAL_BYTE_ORDER)
        return LH_E_VERSION;
    struct lh_reader tail = lh_reader_of(header + HEADER_CRC_AT, 4);
    *out_why = "its header is damaged";
    if (lh_read_u32(&tail) != lh_crc32c(0, header, HEADER_CRC_AT))
        return LH_E_CORRUPT;
    lh_journal_header_encode(config, wanted);
    *out_why = "it was written with another block size or digest";
    if (memcmp(header + 12, wanted + 12, 8) != 0) // block size, digest id, header length
        return LH_E_VERSION;
    *out_why = "it belongs to another job";
    if (LH_GUARD(JOURNAL_JOB, memcmp(header + 20, config->job_id, sizeof config->job_id) != 0))
        return LH_E_AUTH;
    *out_why = "";
    return LH_OK;
}

// --- Records: writing ---

static void write_source(struct lh_writer *writer, const struct lh_source_id *id)
{
    lh_write_u64(writer, id->size);
    lh_write_u64(writer, (uint64_t)id->mtime_ns);
    lh_write_u64(writer, (uint64_t)id->ctime_ns);
}

static void write_path(struct lh_writer *writer, const struct lh_record *record)
{
    LH_ASSERT(record->path_len >= 1 && record->path_len <= LH_JOURNAL_PATH_MAX);
    lh_write_u16(writer, (uint16_t)record->path_len);
    lh_write_bytes(writer, record->path, record->path_len);
}

static void write_begin(struct lh_writer *writer, const struct lh_record *record)
{
    size_t name_len = strnlen(record->partial.name, sizeof record->partial.name);
    lh_write_u32(writer, record->number);
    write_source(writer, &record->partial.source);
    lh_write_u64(writer, record->partial.dev);
    lh_write_u64(writer, record->partial.ino);
    lh_write_u64(writer, record->partial.block_count);
    lh_write_u8(writer, (uint8_t)name_len);
    lh_write_bytes(writer, record->partial.name, name_len);
    write_path(writer, record);
}

static void write_body(struct lh_writer *writer, const struct lh_record *record)
{
    switch (record->type) {
    case LH_RECORD_BEGIN:
        write_begin(writer, record);
        break;
    case LH_RECORD_BLOCK:
        lh_write_u32(writer, record->number);
        lh_write_u64(writer, record->block);
        lh_write_bytes(writer, record->digests, LH_DIGEST_LEN);
        break;
    case LH_RECORD_RUN:
        LH_ASSERT(record->count >= 1 && record->count <= LH_RECORD_RUN_MAX);
        lh_write_u32(writer, record->number);
        lh_write_u64(writer, record->block);
        lh_write_u16(writer, record->count);
        lh_write_bytes(writer, record->digests, (size_t)record->count * LH_DIGEST_LEN);
        break;
    case LH_RECORD_COMPLETE:
        write_source(writer, &record->complete.source);
        write_source(writer, &record->complete.target);
        lh_write_bytes(writer, record->complete.digest.bytes, LH_DIGEST_LEN);
        lh_write_u64(writer, record->complete.run_id);
        write_path(writer, record);
        break;
    case LH_RECORD_FORGET:
        write_path(writer, record);
        break;
    default:
        LH_UNREACHABLE();
    }
}

// CRC over type, length and body, which lie around the place of the CRC itself.
static uint32_t record_crc(const uint8_t *record, size_t len)
{
    uint32_t crc = lh_crc32c(0, record, 4);
    return lh_crc32c(crc, record + LH_RECORD_HEADER, len - LH_RECORD_HEADER);
}

void lh_record_encode(struct lh_writer *writer, const struct lh_record *record)
{
    uint8_t *start = lh_write_reserve(writer, LH_RECORD_HEADER);
    if (start == NULL)
        return;
    write_body(writer, record);
    if (writer->bad)
        return;
    size_t len = (size_t)(writer->at - start);
    LH_ASSERT(len <= LH_RECORD_MAX);
    struct lh_writer header = lh_writer_of(start, LH_RECORD_HEADER);
    lh_write_u16(&header, record->type);
    lh_write_u16(&header, (uint16_t)(len - LH_RECORD_HEADER));
    lh_write_u32(&header, record_crc(start, len));
}

// --- Records: reading ---

size_t lh_record_check(const uint8_t *data, size_t len)
{
    struct lh_reader reader = lh_reader_of(data, len);
    (void)lh_read_u16(&reader);
    size_t whole = LH_RECORD_HEADER + (size_t)lh_read_u16(&reader);
    uint32_t crc = lh_read_u32(&reader);
    if (reader.bad || whole > len)
        return 0;
    if (LH_GUARD(JOURNAL_CRC, crc != record_crc(data, whole)))
        return 0;
    return whole;
}

static void read_source(struct lh_reader *reader, struct lh_source_id *out)
{
    out->size = lh_read_u64(reader);
    out->mtime_ns = (int64_t)lh_read_u64(reader);
    out->ctime_ns = (int64_t)lh_read_u64(reader);
}

static void read_path(struct lh_reader *reader, struct lh_record *out)
{
    out->path_len = lh_read_u16(reader);
    out->path = (const char *)lh_read_bytes(reader, out->path_len);
    if (reader->bad || out->path_len == 0 || out->path_len > LH_JOURNAL_PATH_MAX ||
        memchr(out->path, '\0', out->path_len) != NULL)
        reader->bad = true;
}

static void read_begin(struct lh_reader *reader, struct lh_record *out)
{
    out->number = lh_read_u32(reader);
    read_source(reader, &out->partial.source);
    out->partial.dev = lh_read_u64(reader);
    out->partial.ino = lh_read_u64(reader);
    out->partial.block_count = lh_read_u64(reader);
    size_t name_len = lh_read_u8(reader);
    const uint8_t *name = lh_read_bytes(reader, name_len);
    if (name == NULL || name_len >= sizeof out->partial.name) {
        reader->bad = true;
        return;
    }
    memcpy(out->partial.name, name, name_len);
    read_path(reader, out);
}

static void read_blocks(struct lh_reader *reader, struct lh_record *out)
{
    out->number = lh_read_u32(reader);
    out->block = lh_read_u64(reader);
    out->count = out->type == LH_RECORD_BLOCK ? 1 : lh_read_u16(reader);
    out->digests = lh_read_bytes(reader, (size_t)out->count * LH_DIGEST_LEN);
    if (out->count == 0)
        reader->bad = true;
}

static void read_complete(struct lh_reader *reader, struct lh_record *out)
{
    read_source(reader, &out->complete.source);
    read_source(reader, &out->complete.target);
    const uint8_t *digest = lh_read_bytes(reader, LH_DIGEST_LEN);
    if (digest != NULL)
        memcpy(out->complete.digest.bytes, digest, LH_DIGEST_LEN);
    out->complete.run_id = lh_read_u64(reader);
    read_path(reader, out);
}

bool lh_record_decode(uint16_t type, const uint8_t *body, size_t len, struct lh_record *out_record)
{
    static void (*const readers[])(struct lh_reader *, struct lh_record *) = {
        [LH_RECORD_BEGIN] = read_begin, [LH_RECORD_BLOCK] = read_blocks,
        [LH_RECORD_RUN] = read_blocks,  [LH_RECORD_COMPLETE] = read_complete,
        [LH_RECORD_FORGET] = read_path,
    };
    struct lh_reader reader = lh_reader_of(body, len);
    *out_record = (struct lh_record){.type = type};
    if (type == 0 || type >= sizeof readers / sizeof *readers)
        return false;
    readers[type](&reader, out_record);
    return !reader.bad && lh_reader_left(&reader) == 0;
}
