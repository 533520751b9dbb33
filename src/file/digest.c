// SPDX-License-Identifier: Apache-2.0
#include "file/digest.h"

#include <string.h>

// The size of the hash state, to have one on the stack. Its layout is part of libxxhash's ABI since
// 0.8.0.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef LH_HAVE_XXH_DISPATCH // AVX2 or AVX-512 where the processor has it: several times faster
#include <xxh_x86dispatch.h>
#endif

#include "base/assert.h"
#include "base/bytes.h"
#include "base/vector.h"

_Static_assert(sizeof(XXH128_canonical_t) == LH_DIGEST_LEN, "XXH3-128 is 16 bytes");

static void store(XXH128_hash_t hash, struct lh_digest *out)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(out->bytes, canonical.digest, LH_DIGEST_LEN);
}

void lh_digest_block(const void *data, size_t len, struct lh_digest *out)
{
    store(XXH3_128bits(data, len), out);
    lh_vector_rest();
}

_Static_assert(sizeof(struct lh_digest_state) >= sizeof(XXH3_state_t), "the state has room");
_Static_assert(_Alignof(struct lh_digest_state) >= _Alignof(XXH3_state_t), "and is aligned");

static XXH3_state_t *state_of(struct lh_digest_state *state)
{
    return (XXH3_state_t *)(void *)state->opaque;
}

void lh_digest_begin(struct lh_digest_state *state)
{
    XXH3_INITSTATE(state_of(state));
    LH_ASSERT(XXH3_128bits_reset(state_of(state)) == XXH_OK);
}

void lh_digest_add(struct lh_digest_state *state, const void *data, size_t len)
{
    LH_ASSERT(XXH3_128bits_update(state_of(state), data, len) == XXH_OK);
    lh_vector_rest();
}

void lh_digest_end(struct lh_digest_state *state, struct lh_digest *out)
{
    store(XXH3_128bits_digest(state_of(state)), out);
}

void lh_digest_file(uint64_t size,
                    uint32_t block_size,
                    const struct lh_digest *blocks,
                    uint64_t count,
                    struct lh_digest *out)
{
    XXH3_state_t state;
    uint8_t head[12];
    struct lh_writer writer = lh_writer_of(head, sizeof head);

    LH_ASSERT(block_size > 0);
    LH_ASSERT(count == size / block_size + (size % block_size != 0));
    lh_write_u64(&writer, size);
    lh_write_u32(&writer, block_size);
    XXH3_INITSTATE(&state);
    LH_ASSERT(XXH3_128bits_reset(&state) == XXH_OK);
    LH_ASSERT(XXH3_128bits_update(&state, head, sizeof head) == XXH_OK);
    if (count > 0)
        LH_ASSERT(XXH3_128bits_update(&state, blocks, count * LH_DIGEST_LEN) == XXH_OK);
    store(XXH3_128bits_digest(&state), out);
    lh_vector_rest();
}

bool lh_digest_equal(const struct lh_digest *a, const struct lh_digest *b)
{
    return memcmp(a->bytes, b->bytes, LH_DIGEST_LEN) == 0;
}
