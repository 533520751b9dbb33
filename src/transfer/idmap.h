// SPDX-License-Identifier: Apache-2.0
//
// Finds what belongs to an id of a message. Intrusive chains in a table of fixed size: nothing is
// allocated but the table, and ids, which count up, spread evenly over it.
#ifndef LH_TRANSFER_IDMAP_H
#define LH_TRANSFER_IDMAP_H

#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"

#define LH_IDMAP_BUCKETS 32768u

struct lh_idnode {
    struct lh_idnode *next;
    uint32_t id;
};

struct lh_idmap {
    struct lh_idnode **buckets; // owned; LH_IDMAP_BUCKETS
    uint32_t count;
};

static inline lh_err lh_idmap_init(struct lh_idmap *map)
{
    map->count = 0;
    map->buckets = calloc(LH_IDMAP_BUCKETS, sizeof *map->buckets);
    return map->buckets == NULL ? LH_E_NOMEM : LH_OK;
}

static inline void lh_idmap_fini(struct lh_idmap *map)
{
    free(map->buckets);
    map->buckets = NULL;
}

static inline void lh_idmap_add(struct lh_idmap *map, struct lh_idnode *node)
{
    struct lh_idnode **bucket = &map->buckets[node->id % LH_IDMAP_BUCKETS];
    node->next = *bucket;
    *bucket = node;
    map->count++;
}

static inline struct lh_idnode *lh_idmap_find(const struct lh_idmap *map, uint32_t id)
{
    struct lh_idnode *node = map->buckets[id % LH_IDMAP_BUCKETS];
    while (node != NULL && node->id != id)
        node = node->next;
    return node;
}

static inline void lh_idmap_remove(struct lh_idmap *map, struct lh_idnode *node)
{
    struct lh_idnode **at = &map->buckets[node->id % LH_IDMAP_BUCKETS];
    while (*at != NULL && *at != node)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = node->next;
    map->count--;
}

// Takes any one element out, or returns NULL: for emptying the map. `*cursor` begins at 0.
static inline struct lh_idnode *lh_idmap_pop(struct lh_idmap *map, uint32_t *cursor)
{
    for (; map->buckets != NULL && *cursor < LH_IDMAP_BUCKETS; ++*cursor) {
        struct lh_idnode *node = map->buckets[*cursor];
        if (node == NULL)
            continue;
        map->buckets[*cursor] = node->next;
        map->count--;
        return node;
    }
    return NULL;
}

#endif
