// SPDX-License-Identifier: Apache-2.0
//
// Where several sources go into one directory, two files could get the same path: the second must
// be refused, or one would silently take the place of the other (N4). Paths are remembered by 64
// bits of their digest, in a table that grows; with one source the sender cannot meet this
// honestly, and the table stays empty.
#include <stdlib.h>

#include "base/assert.h"
#include "transfer/receiver_internal.h"

static bool insert(uint64_t *table, size_t room, uint64_t hash)
{
    size_t at = (size_t)hash & (room - 1);
    while (table[at] != 0 && table[at] != hash)
        at = (at + 1) & (room - 1);
    bool is_new = table[at] == 0;
    table[at] = hash;
    return is_new;
}

static lh_err grow(struct lh_receiver *receiver)
{
    size_t room = receiver->seen_room == 0 ? 1024 : 2 * receiver->seen_room;
    uint64_t *table = calloc(room, sizeof *table);
    if (table == NULL)
        return LH_E_NOMEM;
    for (size_t i = 0; i < receiver->seen_room; i++)
        if (receiver->seen[i] != 0)
            (void)insert(table, room, receiver->seen[i]);
    free(receiver->seen);
    receiver->seen = table;
    receiver->seen_room = room;
    return LH_OK;
}

lh_err lh_seen_add(struct lh_receiver *receiver, const struct lh_incoming *file, bool *out_twice)
{
    if (2 * receiver->seen_count >= receiver->seen_room) {
        lh_err err = grow(receiver);
        if (err != LH_OK)
            return err;
    }
    char *path = lh_incoming_path(file->parent, file->name, SIZE_MAX);
    if (path == NULL)
        return LH_E_NOMEM;
    struct lh_digest digest;
    uint64_t hash;
    lh_digest_block(path, strlen(path), &digest);
    free(path);
    memcpy(&hash, digest.bytes, sizeof hash);
    hash |= hash == 0; // 0 marks an empty place
    *out_twice = !insert(receiver->seen, receiver->seen_room, hash);
    receiver->seen_count += !*out_twice;
    return LH_OK;
}
