// SPDX-License-Identifier: Apache-2.0
//
// Digests: XXH3-128 per block, and per file over (size, block size, block digests in order), so
// that blocks may be hashed in any order and a file's digest needs no second reading. Canonical
// (big endian) form, 16 bytes. xxHash stays behind this header.
#ifndef LH_FILE_DIGEST_H
#define LH_FILE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_DIGEST_LEN     16
#define LH_DIGEST_XXH3128 1 // id in HELLO and journal

struct lh_digest {
    uint8_t bytes[LH_DIGEST_LEN];
};

void lh_digest_block(const void *data, size_t len, struct lh_digest *out);

// The same in pieces, for whoever makes a block piece by piece: a piece that has just been written
// is still in the processor's cache.
struct lh_digest_state {
    _Alignas(64) uint8_t opaque[576];
};
void lh_digest_begin(struct lh_digest_state *state);
void lh_digest_add(struct lh_digest_state *state, const void *data, size_t len);
void lh_digest_end(struct lh_digest_state *state, struct lh_digest *out);

// `count` = ceil(size / block_size) digests; 0 for an empty file, whose `blocks` may be NULL.
// Hashed: size u64, block_size u32 (both little endian), then the digests in order.
void lh_digest_file(uint64_t size,
                    uint32_t block_size,
                    const struct lh_digest *blocks,
                    uint64_t count,
                    struct lh_digest *out);
bool lh_digest_equal(const struct lh_digest *a, const struct lh_digest *b);

#endif
