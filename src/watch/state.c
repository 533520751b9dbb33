// SPDX-License-Identifier: Apache-2.0
//
// How it works. A head (magic, version, sizes of all structs, seed, progress, totals), then for
// each table the number of its used places and for each of them its index and the entry. The last
// eight bytes are a hash of all before, each piece hashed under the hash of those before it:
// entries go from the tables to the caller and back one by one, and no second copy of them is ever
// made. The sketch is left out: it holds estimates of what is not listed, and begins anew.
#include "watch/state.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "watch/watch_internal.h"

#define MAGIC   UINT64_C(0x314b434154544148) // "LHATTCK1"
#define VERSION 5
#define SEED    UINT64_C(0x5354415445)
#define HEAD    (8 + 4 * 6 + 8)

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
    bool sets = lh_distinct_is_sane(&s->users) && lh_known_is_sane(&s->logged_in);
    return names && sets && s->recent_at < LH_WATCH_RECENT &&
           s->evidence_at < LH_WATCH_EVIDENCE_MAX / 2 &&
           (unsigned)s->breach.method < LH_WATCH_METHOD_N_ && timeline_is_sane(&s->timeline);
}

static bool network_is_sane(const void *entry)
{
    const struct lh_network *network = entry;
    return lh_distinct_is_sane(&network->sources) && lh_distinct_is_sane(&network->users);
}

static bool user_is_sane(const void *entry)
{
    const struct lh_user *user = entry;
    return text_ends(user->name, sizeof user->name) && lh_distinct_is_sane(&user->sources);
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

// The bytes on their way, with the hash of those that passed.
struct packing {
    const struct lh_state_sink *sink;
    uint64_t hash;
    lh_err err; // the first
};
struct unpacking {
    const struct lh_state_source *source;
    uint64_t hash;
    bool bad; // they ended too early
};

static void put(struct packing *out, const void *data, size_t len)
{
    out->hash = lh_watch_hash(data, len, out->hash);
    if (out->err == 0)
        out->err = out->sink->put(out->sink->context, data, len);
}

static void get(struct unpacking *in, void *out, size_t len)
{
    in->bad = in->bad || in->source->get(in->source->context, out, len) != len;
    if (in->bad)
        memset(out, 0, len);
    in->hash = lh_watch_hash(out, len, in->hash);
}

static void put_le(struct packing *out, uint64_t value, size_t width)
{
    uint8_t bytes[8];
    struct lh_writer writer = lh_writer_of(bytes, sizeof bytes);
    lh_write_le(&writer, value, width);
    put(out, bytes, width);
}

static uint64_t get_le(struct unpacking *in, size_t width)
{
    uint8_t bytes[8];
    get(in, bytes, width);
    struct lh_reader reader = lh_reader_of(bytes, width);
    return lh_read_le(&reader, width);
}

// What tells this version's states of this machine from all others.
static void make_head(uint8_t out[HEAD], uint64_t seed)
{
    struct lh_writer writer = lh_writer_of(out, HEAD);
    lh_write_le(&writer, MAGIC, 8);
    lh_write_u32(&writer, VERSION);
    lh_write_u32(&writer, sizeof(struct lh_source));
    lh_write_u32(&writer, sizeof(struct lh_network));
    lh_write_u32(&writer, sizeof(struct lh_user));
    lh_write_u32(&writer, sizeof(struct lh_connection));
    lh_write_u32(&writer, sizeof(struct lh_watch_totals));
    lh_write_le(&writer, seed, 8);
    LH_ASSERT(!writer.bad && lh_writer_left(&writer) == 0);
}

static bool read_head(struct unpacking *in, struct lh_watch *watch)
{
    uint8_t head[HEAD];
    uint8_t ours[HEAD];
    get(in, head, sizeof head);
    make_head(ours, 0);
    if (in->bad || memcmp(head, ours, HEAD - 8) != 0)
        return false;
    watch->seed = lh_le64_load(head + HEAD - 8);
    return true;
}

lh_err lh_state_pack(const struct lh_watch *watch,
                     const struct lh_progress *progress,
                     const struct lh_state_sink *sink)
{
    struct table tables[4];
    uint8_t head[HEAD];
    struct lh_watch view = *watch; // the tables' owners stay where they are
    struct packing out = {.sink = sink, .hash = SEED};

    tables_of(&view, tables);
    make_head(head, watch->seed);
    put(&out, head, sizeof head);
    put(&out, progress, sizeof *progress);
    put(&out, &watch->totals, sizeof watch->totals);
    for (size_t i = 0; i < LH_ARRAY_LEN(tables) && out.err == 0; i++) {
        const struct lh_slots *slots = tables[i].slots;
        const struct lh_slot *slot;
        put_le(&out, used_of(slots), 4);
        for (size_t k = 0; out.err == 0 && (slot = lh_slots_at(slots, k)) != NULL; k++) {
            if (slot->hash == 0)
                continue;
            put_le(&out, k, 4);
            put(&out, slot, slots->entry_size);
        }
    }
    put_le(&out, out.hash, 8);
    return out.err;
}

static bool read_table(struct unpacking *in, const struct table *table)
{
    struct lh_slots *slots = table->slots;
    uint64_t count = get_le(in, 4);
    for (uint64_t i = 0; i < count; i++) {
        size_t index = get_le(in, 4);
        struct lh_slot *slot = lh_slots_at(slots, index);
        if (in->bad || slot == NULL || slot->hash != 0)
            return false;
        get(in, slot, slots->entry_size);
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

// The hash, and nothing behind it.
static bool ends_well(struct unpacking *in)
{
    uint8_t more;
    uint64_t hash = in->hash;
    return get_le(in, 8) == hash && !in->bad && in->source->get(in->source->context, &more, 1) == 0;
}

lh_err lh_state_unpack(struct lh_watch *watch,
                       struct lh_progress *out_progress,
                       const struct lh_state_source *source)
{
    struct table tables[4];
    struct lh_progress progress;
    uint64_t seed = watch->seed;
    struct unpacking in = {.source = source, .hash = SEED};

    tables_of(watch, tables);
    empty(tables);
    memset(&watch->totals, 0, sizeof watch->totals);
    if (!read_head(&in, watch))
        return LH_E_VERSION;
    get(&in, &progress, sizeof progress);
    get(&in, &watch->totals, sizeof watch->totals);
    bool good = !in.bad && text_ends(progress.cursor, sizeof progress.cursor) &&
                timeline_is_sane(&watch->totals.tries) && timeline_is_sane(&watch->totals.logins);
    for (size_t i = 0; good && i < LH_ARRAY_LEN(tables); i++)
        good = read_table(&in, &tables[i]);
    if (good && ends_well(&in)) {
        *out_progress = progress;
        return 0;
    }
    empty(tables);
    watch->seed = seed;
    memset(&watch->totals, 0, sizeof watch->totals);
    return LH_E_CORRUPT;
}
