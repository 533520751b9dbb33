// SPDX-License-Identifier: Apache-2.0
#include "job/block.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/math.h"

// `content`: bytes that follow the header.
static lh_err file_read(struct lh_reader *reader, size_t content, struct lh_block_header *header)
{
    uint32_t zero = (uint32_t)lh_read_le(reader, 3);
    (void)lh_read_u32(reader);
    header->index = lh_read_u32(reader);
    uint32_t length = lh_read_u32(reader);
    (void)lh_read_bytes(reader, LH_JOB_DIGEST);
    if (reader->bad || zero != 0 || length == 0)
        return LH_E_PROTO;
    if (LH_GUARD(JOB_BLOCK_LENGTH, length != content))
        return LH_E_PROTO;
    header->count = 1;
    header->header_len = LH_BLOCK_FILE_HEADER;
    return LH_OK;
}

static lh_err bundle_read(struct lh_reader *reader, struct lh_block_header *header)
{
    uint8_t zero = lh_read_u8(reader);
    uint16_t count = lh_read_u16(reader);
    if (reader->bad || zero != 0 || count == 0 || count > LH_BUNDLE_FILES_MAX)
        return LH_E_PROTO;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        (void)lh_read_u32(reader);
        total += lh_read_u32(reader);
        (void)lh_read_bytes(reader, LH_JOB_DIGEST);
    }
    if (reader->bad)
        return LH_E_PROTO;
    if (LH_GUARD(JOB_BUNDLE_LENGTH, total != lh_reader_left(reader)))
        return LH_E_PROTO;
    header->count = count;
    header->header_len = lh_bundle_header_len(count);
    return LH_OK;
}

lh_err lh_block_read(const uint8_t *data, size_t len, struct lh_block_header *out_header)
{
    struct lh_reader reader = lh_reader_of(data, len);
    struct lh_block_header header = {.kind = lh_read_u8(&reader)};
    lh_err err = LH_E_PROTO;
    if (header.kind == LH_BLOCK_FILE)
        err = file_read(&reader, lh_sub_sat(len, LH_BLOCK_FILE_HEADER), &header);
    else if (header.kind == LH_BLOCK_BUNDLE)
        err = bundle_read(&reader, &header);
    if (err == LH_OK)
        *out_header = header;
    return err;
}

lh_err lh_block_read_file(const uint8_t head[LH_BLOCK_FILE_HEADER],
                          size_t len,
                          struct lh_block_header *out_header)
{
    struct lh_reader reader = lh_reader_of(head, LH_BLOCK_FILE_HEADER);
    struct lh_block_header header = {.kind = lh_read_u8(&reader)};
    if (header.kind != LH_BLOCK_FILE || len < LH_BLOCK_FILE_HEADER)
        return LH_E_PROTO;
    lh_err err = file_read(&reader, len - LH_BLOCK_FILE_HEADER, &header);
    if (err == LH_OK)
        *out_header = header;
    return err;
}

void lh_block_item(const uint8_t *data, size_t i, struct lh_block_item *out_item)
{
    struct lh_reader reader = lh_reader_of(data, LH_BLOCK_FILE_HEADER);
    if (data[0] == LH_BLOCK_FILE) {
        (void)lh_read_u32(&reader);
        out_item->id = lh_read_u32(&reader);
        (void)lh_read_u32(&reader); // the index
    } else {
        reader = lh_reader_of(data + LH_BUNDLE_HEADER + i * LH_BUNDLE_ITEM, LH_BUNDLE_ITEM);
        out_item->id = lh_read_u32(&reader);
    }
    out_item->length = lh_read_u32(&reader);
    const uint8_t *digest = lh_read_bytes(&reader, LH_JOB_DIGEST);
    LH_ASSERT(digest != NULL);
    memcpy(out_item->digest, digest, LH_JOB_DIGEST);
}

void lh_block_write_file(uint8_t out[LH_BLOCK_FILE_HEADER],
                         const struct lh_block_item *item,
                         uint32_t index)
{
    struct lh_writer writer = lh_writer_of(out, LH_BLOCK_FILE_HEADER);
    lh_write_u32(&writer, LH_BLOCK_FILE);
    lh_write_u32(&writer, item->id);
    lh_write_u32(&writer, index);
    lh_write_u32(&writer, item->length);
    lh_write_bytes(&writer, item->digest, LH_JOB_DIGEST);
    LH_ASSERT(!writer.bad && writer.at == writer.end);
}

void lh_bundle_write(uint8_t *out, const struct lh_block_item *items, size_t count)
{
    LH_ASSERT(count >= 1 && count <= LH_BUNDLE_FILES_MAX);
    struct lh_writer writer = lh_writer_of(out, lh_bundle_header_len(count));
    lh_write_u8(&writer, LH_BLOCK_BUNDLE);
    lh_write_u8(&writer, 0);
    lh_write_u16(&writer, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        lh_write_u32(&writer, items[i].id);
        lh_write_u32(&writer, items[i].length);
        lh_write_bytes(&writer, items[i].digest, LH_JOB_DIGEST);
    }
    LH_ASSERT(!writer.bad && writer.at == writer.end);
}
