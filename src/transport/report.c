// SPDX-License-Identifier: Apache-2.0
//
// How it works. The writer looks at one span of the replay window at a time (eight words), joins
// neighbouring spans that are wholly received or wholly missing, and codes a mixed span both ways
// in its head: the list costs a byte or two for each missing number, the bitmap one bit for each
// number.
#include "transport/report.h"
#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"

enum coding { CODING_NONE = 0, CODING_ALL = 1, CODING_LIST = 2, CODING_BITMAP = 3 };

#define LIST_MAX 255

static uint64_t low_bits(uint64_t count)
{
    return count >= 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
}

// Loads the span [start, start + len) as bits; returns how many are missing.
static uint64_t
load(const struct lh_replay *replay, uint64_t start, uint64_t len, uint64_t bits[LH_REPORT_WORDS])
{
    uint64_t missing = 0;
    for (uint64_t i = 0; i * 64 < len; i++) {
        uint64_t wanted = low_bits(len - i * 64);
        bits[i] = lh_replay_word(replay, start + i * 64) & wanted;
        missing += (uint64_t)__builtin_popcountll(~bits[i] & wanted);
    }
    return missing;
}

static size_t varint_len(uint64_t value)
{
    return value < 0x80 ? 1 : value < 0x4000 ? 2 : 3;
}

static size_t list_len(const uint64_t bits[LH_REPORT_WORDS], uint64_t len)
{
    size_t bytes = 1;
    uint64_t before = 0;
    for (uint64_t i = 0; i * 64 < len; i++) {
        uint64_t missing = ~bits[i] & low_bits(len - i * 64);
        for (; missing != 0; missing &= missing - 1) {
            uint64_t at = i * 64 + (uint64_t)__builtin_ctzll(missing);
            bytes += varint_len(at - before);
            before = at;
        }
    }
    return bytes;
}

static void write_list(struct lh_writer *writer,
                       const uint64_t bits[LH_REPORT_WORDS],
                       uint64_t len,
                       uint64_t count)
{
    uint64_t before = 0;
    lh_write_u8(writer, (uint8_t)count);
    for (uint64_t i = 0; i * 64 < len; i++) {
        uint64_t missing = ~bits[i] & low_bits(len - i * 64);
        for (; missing != 0; missing &= missing - 1) {
            uint64_t at = i * 64 + (uint64_t)__builtin_ctzll(missing);
            lh_write_varint(writer, at - before);
            before = at;
        }
    }
}

static void write_mixed(struct lh_writer *writer,
                        const uint64_t bits[LH_REPORT_WORDS],
                        uint64_t len,
                        uint64_t missing)
{
    uint64_t bitmap_len = (len + 7) / 8;
    if (missing <= LIST_MAX && list_len(bits, len) < bitmap_len) {
        lh_write_varint(writer, len << 2 | CODING_LIST);
        write_list(writer, bits, len, missing);
        return;
    }
    lh_write_varint(writer, len << 2 | CODING_BITMAP);
    for (uint64_t i = 0; i < bitmap_len; i++)
        lh_write_u8(writer, (uint8_t)(bits[i / 8] >> (i % 8 * 8)));
}

void lh_report_write(struct lh_writer *writer,
                     const struct lh_replay *replay,
                     uint64_t *cursor,
                     uint64_t end)
{
    uint64_t at = *cursor;
    uint64_t run = 0; // numbers before `at` that wait to be joined to one ALL or NONE record
    enum coding run_coding = CODING_ALL;
    LH_ASSERT(at % 64 == 0);
    while (at < end && lh_writer_left(writer) >= 2 * LH_REPORT_RECORD_MAX) {
        uint64_t bits[LH_REPORT_WORDS];
        uint64_t len = LH_MIN(end - at, (uint64_t)LH_REPORT_SPAN);
        uint64_t missing = load(replay, at, len, bits);
        enum coding coding = missing == 0 ? CODING_ALL : CODING_NONE;
        bool mixed = missing != 0 && missing != len;
        if (run > 0 && (mixed || coding != run_coding)) {
            lh_write_varint(writer, run << 2 | run_coding);
            run = 0;
        }
        if (mixed) {
            write_mixed(writer, bits, len, missing);
        } else {
            run_coding = coding;
            run += len;
        }
        at += len;
    }
    if (run > 0)
        lh_write_varint(writer, run << 2 | run_coding);
    LH_DASSERT(!writer->bad);
    *cursor = at;
}

static bool read_list(struct lh_reader *reader, struct lh_report_span *span)
{
    uint64_t at = 0;
    unsigned count = lh_read_u8(reader);
    for (uint64_t i = 0; i * 64 < span->len; i++)
        span->bits[i] = low_bits(span->len - i * 64);
    for (unsigned i = 0; i < count; i++) {
        uint64_t step = lh_read_varint(reader);
        if (reader->bad || step >= span->len - at || (step == 0 && i > 0))
            return false;
        at += step;
        span->bits[at / 64] &= ~((uint64_t)1 << (at % 64));
    }
    return count > 0 && !reader->bad;
}

static bool read_bitmap(struct lh_reader *reader, struct lh_report_span *span)
{
    uint64_t bytes = (span->len + 7) / 8;
    for (uint64_t i = 0; i < LH_REPORT_WORDS; i++)
        span->bits[i] = 0;
    for (uint64_t i = 0; i < bytes; i++)
        span->bits[i / 8] |= (uint64_t)lh_read_u8(reader) << (i % 8 * 8);
    uint64_t last = (span->len - 1) / 64;
    return !reader->bad && (span->bits[last] & ~low_bits(span->len - last * 64)) == 0;
}

lh_err lh_report_read(struct lh_reader *reader, uint64_t start, struct lh_report_span *out_span)
{
    if (lh_reader_left(reader) == 0)
        return LH_EOF;
    uint64_t head = lh_read_varint(reader);
    enum coding coding = (enum coding)(head & 3);
    bool good = true;
    out_span->start = start;
    out_span->len = head >> 2;
    if (reader->bad || out_span->len == 0 || out_span->len > LH_PN_MAX - start + 1)
        return LH_E_PROTO;
    if (coding >= CODING_LIST && out_span->len > LH_REPORT_SPAN)
        return LH_E_PROTO;
    out_span->kind = coding == CODING_NONE  ? LH_REPORT_NONE
                     : coding == CODING_ALL ? LH_REPORT_ALL
                                            : LH_REPORT_SOME;
    if (coding == CODING_LIST)
        good = read_list(reader, out_span);
    else if (coding == CODING_BITMAP)
        good = read_bitmap(reader, out_span);
    return good ? 0 : LH_E_PROTO;
}
