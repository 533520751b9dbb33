// SPDX-License-Identifier: Apache-2.0
#include "transport/random.h"

#include <string.h>

#include "base/wipe.h"

lh_err lh_random_init(struct lh_random *random, uint64_t seed)
{
    struct lh_secret secret = {{0}};
    memset(random, 0, sizeof *random);
    memcpy(secret.bytes, "lh1 random", 10);
    for (unsigned i = 0; i < 8; i++)
        secret.bytes[16 + i] = (uint8_t)(seed >> (8 * i));
    lh_err err = lh_lane_keys_init(&random->keys, &lh_aead_aes128_gcm, &secret,
                                   LH_DIR_CLIENT_TO_SERVER, 0, true, LH_EPOCH_SHIFT);
    lh_secret_fini(&secret);
    return err;
}

void lh_random_fini(struct lh_random *random)
{
    lh_lane_keys_fini(&random->keys);
    lh_wipe(random, sizeof *random);
}

uint64_t lh_random_next(struct lh_random *random)
{
    if (random->left == 0) {
        uint8_t stream[sizeof random->pool + LH_PACKET_TAG] = {0};
        lh_err err = lh_lane_keys_seal(&random->keys, random->refills++, NULL, 0, stream,
                                       sizeof random->pool, stream);
        if (err != 0)
            random->err = err;
        memcpy(random->pool, stream, sizeof random->pool);
        random->left = LH_RANDOM_POOL;
    }
    return random->pool[--random->left];
}

uint64_t lh_random_below(struct lh_random *random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)lh_random_next(random) * bound) >> 64);
}
