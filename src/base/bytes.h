// SPDX-License-Identifier: Apache-2.0
//
// Readers and writers of wire bytes. All integers are little endian (longhaul-protocol(5)).
//
// How it works. Both carry a sticky `bad` flag instead of returning an error from every call: a
// reader that has run over its end yields zeros and stays bad, a writer that has run out of room
// drops what does not fit and stays bad. A parser reads a whole message and checks once. Neither
// can touch a byte outside its range. Structs are never laid over wire bytes.
#ifndef LH_BASE_BYTES_H
#define LH_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Little-endian integers in memory, one plain access each.
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LH_LE16(value) __builtin_bswap16(value)
#define LH_LE32(value) __builtin_bswap32(value)
#define LH_LE64(value) __builtin_bswap64(value)
#else
#define LH_LE16(value) (value)
#define LH_LE32(value) (value)
#define LH_LE64(value) (value)
#endif

static inline uint16_t lh_le16_load(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return LH_LE16(value);
}

static inline uint32_t lh_le32_load(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return LH_LE32(value);
}

static inline uint64_t lh_le64_load(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return LH_LE64(value);
}

static inline void lh_le16_store(uint8_t *at, uint16_t value)
{
    value = LH_LE16(value);
    memcpy(at, &value, sizeof value);
}

static inline void lh_le32_store(uint8_t *at, uint32_t value)
{
    value = LH_LE32(value);
    memcpy(at, &value, sizeof value);
}

static inline void lh_le64_store(uint8_t *at, uint64_t value)
{
    value = LH_LE64(value);
    memcpy(at, &value, sizeof value);
}

struct lh_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad; // something was read past the end, or a value was refused
};

struct lh_writer {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool bad; // something did not fit
};

static inline struct lh_reader lh_reader_of(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    return (struct lh_reader){.at = bytes, .end = len == 0 ? bytes : bytes + len};
}

static inline size_t lh_reader_left(const struct lh_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

// The next `len` bytes, or NULL (and bad) when fewer are left. They belong to the buffer's owner.
static inline const uint8_t *lh_read_bytes(struct lh_reader *reader, size_t len)
{
    const uint8_t *bytes = reader->at;
    if (reader->bad || lh_reader_left(reader) < len) {
        reader->bad = true;
        return NULL;
    }
    reader->at += len;
    return bytes;
}

static inline uint64_t lh_read_le(struct lh_reader *reader, size_t width)
{
    const uint8_t *bytes = lh_read_bytes(reader, width);
    uint64_t value = 0;
    if (bytes == NULL)
        return 0;
    for (size_t i = width; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static inline uint8_t lh_read_u8(struct lh_reader *reader)
{
    return (uint8_t)lh_read_le(reader, 1);
}

static inline uint16_t lh_read_u16(struct lh_reader *reader)
{
    const uint8_t *bytes = lh_read_bytes(reader, 2);
    return bytes == NULL ? 0 : (uint16_t)lh_le16_load(bytes);
}

static inline uint32_t lh_read_u24(struct lh_reader *reader)
{
    const uint8_t *bytes = lh_read_bytes(reader, 3);
    return bytes == NULL ? 0 : lh_le16_load(bytes) | (uint32_t)bytes[2] << 16;
}

static inline uint32_t lh_read_u32(struct lh_reader *reader)
{
    const uint8_t *bytes = lh_read_bytes(reader, 4);
    return bytes == NULL ? 0 : lh_le32_load(bytes);
}

static inline uint64_t lh_read_u48(struct lh_reader *reader)
{
    const uint8_t *bytes = lh_read_bytes(reader, 6);
    return bytes == NULL ? 0 : lh_le32_load(bytes) | (uint64_t)lh_le16_load(bytes + 4) << 32;
}

static inline uint64_t lh_read_u64(struct lh_reader *reader)
{
    const uint8_t *bytes = lh_read_bytes(reader, 8);
    return bytes == NULL ? 0 : lh_le64_load(bytes);
}

static inline struct lh_writer lh_writer_of(void *data, size_t room)
{
    uint8_t *bytes = data;
    return (struct lh_writer){.start = bytes, .at = bytes, .end = room == 0 ? bytes : bytes + room};
}

static inline size_t lh_writer_used(const struct lh_writer *writer)
{
    return (size_t)(writer->at - writer->start);
}

static inline size_t lh_writer_left(const struct lh_writer *writer)
{
    return (size_t)(writer->end - writer->at);
}

// Room for `len` bytes that the caller fills, or NULL (and bad) when there is less.
static inline uint8_t *lh_write_reserve(struct lh_writer *writer, size_t len)
{
    uint8_t *bytes = writer->at;
    if (writer->bad || lh_writer_left(writer) < len) {
        writer->bad = true;
        return NULL;
    }
    writer->at += len;
    return bytes;
}

static inline void lh_write_le(struct lh_writer *writer, uint64_t value, size_t width)
{
    uint8_t *bytes = lh_write_reserve(writer, width);
    if (bytes == NULL)
        return;
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static inline void lh_write_u8(struct lh_writer *writer, uint8_t value)
{
    lh_write_le(writer, value, 1);
}

static inline void lh_write_u16(struct lh_writer *writer, uint16_t value)
{
    uint8_t *bytes = lh_write_reserve(writer, 2);
    if (bytes != NULL)
        lh_le16_store(bytes, value);
}

static inline void lh_write_u24(struct lh_writer *writer, uint32_t value)
{
    uint8_t *bytes = lh_write_reserve(writer, 3);
    if (bytes == NULL)
        return;
    lh_le16_store(bytes, (uint16_t)value);
    bytes[2] = (uint8_t)(value >> 16);
}

static inline void lh_write_u32(struct lh_writer *writer, uint32_t value)
{
    uint8_t *bytes = lh_write_reserve(writer, 4);
    if (bytes != NULL)
        lh_le32_store(bytes, value);
}

static inline void lh_write_u48(struct lh_writer *writer, uint64_t value)
{
    uint8_t *bytes = lh_write_reserve(writer, 6);
    if (bytes == NULL)
        return;
    lh_le32_store(bytes, (uint32_t)value);
    lh_le16_store(bytes + 4, (uint16_t)(value >> 32));
}

static inline void lh_write_u64(struct lh_writer *writer, uint64_t value)
{
    uint8_t *bytes = lh_write_reserve(writer, 8);
    if (bytes != NULL)
        lh_le64_store(bytes, value);
}

static inline void lh_write_bytes(struct lh_writer *writer, const void *data, size_t len)
{
    uint8_t *bytes = lh_write_reserve(writer, len);
    if (bytes != NULL && len > 0)
        memcpy(bytes, data, len);
}

// LEB128 variable-length integers, at most 10 bytes; a longer or over-large one makes the reader
// bad.
uint64_t lh_read_varint(struct lh_reader *reader);
void lh_write_varint(struct lh_writer *writer, uint64_t value);

#endif
