// SPDX-License-Identifier: Apache-2.0
//
// What a block of the transport holds: a job header, then content.
//
//   FILE    kind u8 (1), 3 zero bytes, id u32, block index u32, length u32, digest 16; content
//   BUNDLE  kind u8 (2), 1 zero byte, count u16, then per file id u32, length u32, digest 16;
//           then the contents in the same order
#ifndef LH_JOB_BLOCK_H
#define LH_JOB_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "job/message.h"

#define LH_BLOCK_FILE_HEADER LH_BLOCK_HEAD
#define LH_BUNDLE_HEADER     4
#define LH_BUNDLE_ITEM       24 // bytes of header per file
#define LH_BUNDLE_FILES_MAX  1024

enum lh_block_kind { LH_BLOCK_FILE = 1, LH_BLOCK_BUNDLE = 2 };

struct lh_block_item {
    uint32_t id;
    uint32_t length;
    uint8_t digest[LH_JOB_DIGEST];
};

struct lh_block_header {
    uint8_t kind;
    uint16_t count;    // files; 1 for LH_BLOCK_FILE
    uint32_t index;    // block of the file; LH_BLOCK_FILE only
    size_t header_len; // content begins here
};

// Checks the header and that the lengths add up to exactly `len`. LH_E_PROTO.
lh_err
lh_block_read(const uint8_t *data, size_t len, struct lh_block_header *out_header) LH_MUST_CHECK;
// The same of a FILE block of `len` bytes of which only the header is here.
lh_err lh_block_read_file(const uint8_t head[LH_BLOCK_FILE_HEADER],
                          size_t len,
                          struct lh_block_header *out_header) LH_MUST_CHECK;
// Item `i` < count of a block that lh_block_read accepted.
void lh_block_item(const uint8_t *data, size_t i, struct lh_block_item *out_item);

void lh_block_write_file(uint8_t out[LH_BLOCK_FILE_HEADER],
                         const struct lh_block_item *item,
                         uint32_t index);
static inline size_t lh_bundle_header_len(size_t count)
{
    return LH_BUNDLE_HEADER + count * LH_BUNDLE_ITEM;
}
// `out` holds lh_bundle_header_len(count) bytes; 1 <= count <= LH_BUNDLE_FILES_MAX.
void lh_bundle_write(uint8_t *out, const struct lh_block_item *items, size_t count);

#endif
