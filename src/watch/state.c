// SPDX-License-Identifier: Apache-2.0
//
// How it works. A head (magic, version, sizes of all structs, seed, progress, totals), then for
// each table the number of its used places and for each of them its index and the entry. The last
// eight bytes are a hash of all before. The sketch is left out: it holds estimates of what is not
// listed, and begins anew.
#include "watch/state.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "watch/watch_internal.h"

#define MAGIC   UINT64_C(0x314b434154544148) // "LHATTCK1"
#define VERSION 1
#define SEED    UINT64_C(0x5354415445)

struct table {
    struct lh_slots *slots;
    bool (*sane)(const void *entry);
};

static bool text_ends(const char *text, size_t room)
{
    return memchr(text, '\0', room) != NULL;
}

static bool timeline_is_sane(const struct lh_timeline *line)
{
    return line->width <= UINT32_MAX / 2 + 1;
}

static bool source_is_sane(const void *entry)
{
    const struct lh_source *s = entry;
    bool names = s->names_count <= LH_WATCH_NAMES && text_ends(s->last_user, sizeof s->last_user) &&
                 text_ends(s->breach.user, sizeof s->breach.user);
    for (unsigned i = 0; i < LH_WATCH_NAMES; i++)
        names = names && text_ends(s->names[i], sizeof s->names[i]);
    return names && s->recent_at < LH_WATCH_RECENT && s->evidence_at < LH_WATCH_EVIDENCE_MAX / 2 &&
           (unsigned)s->breach.method < LH_WATCH_METHOD_N_ && timeline_is_sane(&s->timeline);
}

static bool network_is_sane(const void *entry)
{
    (void)entry; // counts and bits: every value has a meaning
    return true;
}

static bool user_is_sane(const void *entry)
{
    const struct lh_user *user = entry;
    return text_ends(user->name, sizeof user->name);
}

static bool connection_is_sane(const void *entry)
{
    const struct lh_connection *c = entry;
    return text_ends(c->name, sizeof c->name);
}

static void tables_of(struct lh_watch *watch, struct table out[4])
{
    out[0] = (struct table){&watch->sources, source_is_sane};
    out[1] = (struct table){&watch->networks, network_is_sane};
    out[2] = (struct table){&watch->users, user_is_sane};
    out[3] = (struct table){&watch->connections, connection_is_sane};
}

static size_t used_of(const struct lh_slots *slots)
{
    size_t used = 0;
    for (size_t i = 0; i < slots->sets * LH_SLOTS_WAYS; i++)
        used += lh_slots_at(slots, i)->hash != 0;
    return used;
}

static void
write_head(struct lh_writer *out, const struct lh_watch *watch, const struct lh_progress *progress)
{
    lh_write_le(out, MAGIC, 8);
    lh_write_u32(out, VERSION);
    lh_write_u32(out, sizeof(struct lh_source));
    lh_write_u32(out, sizeof(struct lh_network));
    lh_write_u32(out, sizeof(struct lh_user));
    lh_write_u32(out, sizeof(struct lh_connection));
    lh_write_u32(out, sizeof(struct lh_watch_totals));
    lh_write_le(out, watch->seed, 8);
    lh_write_bytes(out, progress, sizeof *progress);
    lh_write_bytes(out, &watch->totals, sizeof watch->totals);
}

static bool
read_head(struct lh_reader *in, struct lh_watch *watch, struct lh_progress *out_progress)
{
    bool same = lh_read_le(in, 8) == MAGIC && lh_read_u32(in) == VERSION;
    same = same && lh_read_u32(in) == sizeof(struct lh_source);
    same = same && lh_read_u32(in) == sizeof(struct lh_network);
    same = same && lh_read_u32(in) == sizeof(struct lh_user);
    same = same && lh_read_u32(in) == sizeof(struct lh_connection);
    same = same && lh_read_u32(in) == sizeof(struct lh_watch_totals);
    if (!same)
        return false;
    watch->seed = lh_read_le(in, 8);
    const uint8_t *progress = lh_read_bytes(in, sizeof *out_progress);
    const uint8_t *totals = lh_read_bytes(in, sizeof watch->totals);
    if (progress == NULL || totals == NULL)
        return false;
    memcpy(out_progress, progress, sizeof *out_progress);
    memcpy(&watch->totals, totals, sizeof watch->totals);
    return true;
}

lh_err lh_state_pack(const struct lh_watch *watch,
                     const struct lh_progress *progress,
                     uint8_t **out_data,
                     size_t *out_len)
{
    struct table tables[4];
    size_t room = 8 + 4 * 6 + 8 + sizeof *progress + sizeof watch->totals + 8;
    struct lh_watch view = *watch; // the tables' owners stay where they are

    tables_of(&view, tables);
    for (size_t i = 0; i < LH_ARRAY_LEN(tables); i++)
        room += 4 + used_of(tables[i].slots) * (4 + tables[i].slots->entry_size);
    uint8_t *data = malloc(room);
    if (data == NULL)
        return LH_E_NOMEM;
    struct lh_writer out = lh_writer_of(data, room);
    write_head(&out, watch, progress);
    for (size_t i = 0; i < LH_ARRAY_LEN(tables); i++) {
        const struct lh_slots *slots = tables[i].slots;
        const struct lh_slot *slot;
        lh_write_u32(&out, (uint32_t)used_of(slots));
        for (size_t k = 0; (slot = lh_slots_at(slots, k)) != NULL; k++) {
            if (slot->hash == 0)
                continue;
            lh_write_u32(&out, (uint32_t)k);
            lh_write_bytes(&out, slot, slots->entry_size);
        }
    }
    lh_write_le(&out, lh_watch_hash(data, lh_writer_used(&out), SEED), 8);
    LH_ASSERT(!out.bad && lh_writer_used(&out) == room);
    *out_data = data;
    *out_len = room;
    return 0;
}

static bool read_table(struct lh_reader *in, const struct table *table)
{
    struct lh_slots *slots = table->slots;
    uint32_t count = lh_read_u32(in);
    for (uint32_t i = 0; i < count; i++) {
        size_t index = lh_read_u32(in);
        const uint8_t *bytes = lh_read_bytes(in, slots->entry_size);
        struct lh_slot *slot = lh_slots_at(slots, index);
        if (bytes == NULL || slot == NULL || slot->hash != 0)
            return false;
        memcpy(slot, bytes, slots->entry_size);
        bool placed = slot->hash != 0 && (slot->hash & (slots->sets - 1)) == index / LH_SLOTS_WAYS;
        if (LH_GUARD(STATE_SANE, !placed || !table->sane(slot)))
            return false;
    }
    lh_slots_refresh(slots);
    return !in->bad;
}

static void empty(const struct table tables[4])
{
    for (size_t i = 0; i < 4; i++) {
        struct lh_slots *slots = tables[i].slots;
        memset(slots->entries, 0, slots->sets * LH_SLOTS_WAYS * slots->entry_size);
        lh_slots_refresh(slots);
    }
}

lh_err lh_state_unpack(struct lh_watch *watch,
                       struct lh_progress *out_progress,
                       const uint8_t *data,
                       size_t len)
{
    struct table tables[4];
    uint64_t seed = watch->seed;
    struct lh_reader in = lh_reader_of(data, len < 8 ? 0 : len - 8);

    tables_of(watch, tables);
    if (!read_head(&in, watch, out_progress)) {
        watch->seed = seed;
        memset(&watch->totals, 0, sizeof watch->totals);
        return LH_E_VERSION;
    }
    struct lh_reader tail = lh_reader_of(data + len - 8, 8);
    bool good = lh_read_le(&tail, 8) == lh_watch_hash(data, len - 8, SEED) &&
                text_ends(out_progress->cursor, sizeof out_progress->cursor) &&
                timeline_is_sane(&watch->totals.tries) && timeline_is_sane(&watch->totals.logins);
    empty(tables);
    for (size_t i = 0; good && i < LH_ARRAY_LEN(tables); i++)
        good = read_table(&in, &tables[i]);
    if (good && lh_reader_left(&in) == 0)
        return 0;
    empty(tables);
    watch->seed = seed;
    memset(&watch->totals, 0, sizeof watch->totals);
    return LH_E_CORRUPT;
}
