// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/assert.h"
#include "file/journal_internal.h"

#define REMOVED    1
#define FIRST_SIZE 1024
#define SIZE_MAX_  ((size_t)1 << 27) // slots, 2 GiB

void lh_path_table_fini(struct lh_path_table *table)
{
    free(table->slots);
    *table = (struct lh_path_table){0};
}

struct lh_path_slot *lh_path_table_find(const struct lh_path_table *table,
                                        uint64_t hash,
                                        lh_path_same *same,
                                        const void *context,
                                        const char *path,
                                        size_t len)
{
    if (table->size == 0)
        return NULL;
    for (size_t at = hash & (table->size - 1);; at = (at + 1) & (table->size - 1)) {
        struct lh_path_slot *slot = &table->slots[at];
        if (slot->place == 0)
            return NULL;
        if (slot->place != REMOVED && slot->hash == hash && same(context, slot->place, path, len))
            return slot;
    }
}

static void insert(struct lh_path_table *table, uint64_t hash, uint64_t place)
{
    size_t at = hash & (table->size - 1);
    while (table->slots[at].place >= LH_PLACE_MIN)
        at = (at + 1) & (table->size - 1);
    if (table->slots[at].place == 0)
        table->used++;
    table->slots[at] = (struct lh_path_slot){hash, place};
    table->live++;
}

lh_err lh_path_table_reserve(struct lh_path_table *table)
{
    struct lh_path_table grown = {.size = table->size == 0 ? FIRST_SIZE : table->size};
    if (table->size > 0 && (table->used + 1) * 4 <= table->size * 3)
        return LH_OK;
    if ((table->live + 1) * 2 >
        grown.size) // else it is full of tombstones: same size, without them
        grown.size *= 2;
    if (grown.size > SIZE_MAX_)
        return LH_E_LIMIT;
    grown.slots = calloc(grown.size, sizeof *grown.slots);
    if (grown.slots == NULL)
        return LH_E_NOMEM;
    for (size_t i = 0; i < table->size; i++) {
        if (table->slots[i].place >= LH_PLACE_MIN)
            insert(&grown, table->slots[i].hash, table->slots[i].place);
    }
    free(table->slots);
    *table = grown;
    return LH_OK;
}

void lh_path_table_add(struct lh_path_table *table, uint64_t hash, uint64_t place)
{
    LH_ASSERT(place >= LH_PLACE_MIN);
    LH_ASSERT(table->used < table->size);
    insert(table, hash, place);
}

void lh_path_table_remove(struct lh_path_table *table, struct lh_path_slot *slot)
{
    LH_ASSERT(slot->place >= LH_PLACE_MIN);
    slot->place = REMOVED;
    table->live--;
}
