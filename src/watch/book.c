// SPDX-License-Identifier: Apache-2.0
//
// How it works. What one event changes of its source, network and user. Everything has a fixed
// size: users and sources are counted by sets that are exact while they are small (distinct.h), of
// names the first few are kept, of times the last ten tries and a histogram of gaps. Alphabetical
// order is measured as steps between different users that go up, of all steps.
#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "watch/watch_internal.h"

#define BREACH_HALVES  10 // five tries
#define PENALTY_HALVES 4  // what a penalty stands for: the tries that it kept from being logged
#define BREACH_OTHERS  5  // sources that failed with the user
#define BREACH_WITHIN  (7 * LH_WATCH_DAY)
// What a person's errors look like: see is_typing_error.
#define TYPING_HALVES       10 // five tries: what a connection allows before the one that succeeds
#define TYPING_HALVES_KNOWN 18 // nine, where the same user logged in from the same place before
#define TYPING_WITHIN       LH_WATCH_HOUR

uint64_t lh_watch_addr_key(const struct lh_watch *watch, const struct lh_watch_addr *addr)
{
    return lh_watch_hash(addr->bytes, sizeof addr->bytes, watch->seed);
}

uint64_t lh_watch_user_key(const struct lh_watch *watch, struct lh_span name)
{
    return lh_watch_hash(name.at, name.len, watch->seed ^ 0x75736572);
}

static void raise_weight(struct lh_slot *slot, uint32_t by)
{
    slot->weight = by > UINT32_MAX - slot->weight ? UINT32_MAX : slot->weight + by;
}

static void copy_name(char out[LH_WATCH_NAME_MAX], struct lh_span name)
{
    size_t len = LH_MIN(name.len, (size_t)LH_WATCH_NAME_MAX - 1);
    memcpy(out, name.at, len);
    out[len] = '\0';
}

static void add_evidence(struct lh_source *source, const struct lh_place *place)
{
    size_t half = LH_WATCH_EVIDENCE_MAX / 2;
    const struct lh_place *newest =
        &source->evidence[half + (source->evidence_at + half - 1) % half];
    if (newest->line == place->line && newest->file == place->file)
        return;
    for (size_t i = 0; i < half; i++) {
        if (source->evidence[i].line == place->line && source->evidence[i].file == place->file)
            return;
        if (source->evidence[i].line == 0) {
            source->evidence[i] = *place;
            return;
        }
    }
    source->evidence[half + source->evidence_at] = *place;
    source->evidence_at = (uint8_t)((source->evidence_at + 1) % half);
}

struct lh_source *lh_book_source(struct lh_watch *watch,
                                 const struct lh_watch_addr *addr,
                                 int64_t time,
                                 const struct lh_place *place)
{
    bool is_new;
    uint64_t key = lh_watch_addr_key(watch, addr);
    struct lh_source *source = lh_slots_get(&watch->sources, key, time, &is_new);
    if (is_new) {
        source->addr = *addr;
        source->first = time;
    }
    source->first = LH_MIN(source->first, time);
    source->last = LH_MAX(source->last, time);
    add_evidence(source, place);
    return source;
}

struct lh_network *lh_book_network(struct lh_watch *watch,
                                   const struct lh_watch_addr *addr,
                                   int64_t time,
                                   const struct lh_place *place)
{
    bool is_new;
    struct lh_watch_addr net = lh_watch_addr_network(addr);
    struct lh_network *network =
        lh_slots_get(&watch->networks, lh_watch_addr_key(watch, &net), time, &is_new);
    if (is_new) {
        network->addr = net;
        network->first = time;
        network->place = *place;
    }
    network->last = LH_MAX(network->last, time);
    lh_distinct_add(&network->sources, lh_watch_addr_key(watch, addr));
    return network;
}

void lh_book_connection(struct lh_source *source, int64_t time, uint16_t port)
{
    int64_t gap = time - source->last_connection;
    if (source->last_connection != 0 && gap > 0) {
        size_t power = 63 - (size_t)__builtin_clzll((uint64_t)gap);
        source->gaps[LH_MIN(power, (size_t)LH_WATCH_GAPS - 1)]++;
    }
    source->last_connection = time;
    if (port != 0 && source->last_port != 0 && port != source->last_port) {
        unsigned distance = (unsigned)(port > source->last_port ? port - source->last_port
                                                                : source->last_port - port);
        source->port_steps++;
        source->port_near += distance <= 8;
    }
    if (port != 0)
        source->last_port = port;
    source->counts[LH_COUNT_CONNECTIONS]++;
}

// Whether the ring's `count`th last try was at most `within` seconds before `time`.
static bool
recent_within(const struct lh_source *source, unsigned count, int64_t time, int64_t within)
{
    uint32_t then = source->recent[(source->recent_at + LH_WATCH_RECENT - count) % LH_WATCH_RECENT];
    // Logs of several hosts may go back in time: that is no short while either.
    int64_t passed = time > (int64_t)then ? time - (int64_t)then : (int64_t)then - time;
    return then != 0 && passed <= within;
}

static void add_recent(struct lh_source *source, int64_t time, uint32_t tries)
{
    for (uint32_t i = 0; i < LH_MIN(tries, (uint32_t)LH_WATCH_RECENT); i++) {
        source->recent[source->recent_at] = (uint32_t)time;
        source->recent_at = (uint8_t)((source->recent_at + 1) % LH_WATCH_RECENT);
    }
    if (recent_within(source, 5, time, 10)) {
        source->pace |= LH_PACE_BURST;
        source->failing_fast = 1;
    }
    if (recent_within(source, 5, time, 600))
        source->pace |= LH_PACE_STEADY;
    if (recent_within(source, 10, time, 600))
        source->pace |= LH_PACE_FAST;
}

static void add_name(struct lh_source *source, struct lh_span user)
{
    char name[LH_WATCH_NAME_MAX];
    copy_name(name, user);
    for (unsigned i = 0; i < source->names_count; i++) {
        if (strcmp(source->names[i], name) == 0)
            return;
    }
    if (source->names_count < LH_WATCH_NAMES)
        memcpy(source->names[source->names_count++], name, sizeof name);
}

// A user was tried, perhaps the one before again.
static void add_user(struct lh_source *source, struct lh_span user, uint64_t hash)
{
    char name[LH_WATCH_NAME_MAX];
    copy_name(name, user);
    lh_distinct_add(&source->users, hash);
    add_name(source, user);
    if (source->last_user[0] != '\0') {
        int order = strcmp(name, source->last_user);
        if (order == 0)
            return;
        source->user_steps++;
        source->user_rises += order > 0;
        source->run = order > 0 ? source->run + 1 : 1;
    } else {
        source->run = 1;
    }
    source->run_longest = LH_MAX(source->run_longest, source->run);
    memcpy(source->last_user, name, sizeof name);
}

static void book_user(struct lh_watch *watch, const struct lh_booking *booking)
{
    bool is_new;
    struct lh_user *user = lh_slots_get(&watch->users, booking->user_hash, booking->time, &is_new);
    if (is_new) {
        user->first = booking->time;
        user->place = booking->place;
        copy_name(user->name, booking->user);
    }
    user->invalid = booking->invalid;
    user->last = LH_MAX(user->last, booking->time);
    user->half_tries += booking->halves;
    lh_distinct_add(&user->sources, lh_watch_addr_key(watch, &booking->addr));
    raise_weight(&user->slot, booking->halves);
}

// Which user is tried between two logins, and since when.
static void note_failing(struct lh_source *source, const struct lh_booking *booking)
{
    if (source->failing_since == 0)
        source->failing_since = booking->time;
    if (booking->tried == 0)
        return;
    if (source->failing_user != 0 && source->failing_user != booking->tried)
        source->failing_mixed = 1;
    source->failing_user = booking->tried;
}

void lh_book_tries(struct lh_watch *watch, const struct lh_booking *booking)
{
    struct lh_source *source =
        lh_book_source(watch, &booking->addr, booking->time, &booking->place);
    struct lh_network *network =
        lh_book_network(watch, &booking->addr, booking->time, &booking->place);

    if (booking->user.len > 0) {
        add_user(source, booking->user, booking->user_hash);
        lh_distinct_add(&network->users, booking->user_hash);
        book_user(watch, booking);
    }
    if (booking->halves == 0)
        return;
    uint32_t before = source->counts[LH_COUNT_HALF_TRIES];
    uint32_t estimate = lh_sketch_add(&watch->sketch, source->slot.hash, booking->halves);
    source->counts[LH_COUNT_HALF_TRIES] += booking->halves;
    if (before == 0 && estimate > lh_sketch_noise(&watch->sketch))
        source->missed = (estimate - booking->halves) / 2;
    source->halves_since_success += booking->halves;
    note_failing(source, booking);
    if (booking->guessed != 0 && !lh_known_has(&source->logged_in, booking->guessed))
        source->strange_halves += booking->halves;
    source->last_try = LH_MAX(source->last_try, booking->time);
    add_recent(source, booking->time, (before % 2 + booking->halves) / 2);
    lh_timeline_add(&source->timeline, booking->time, booking->halves);
    lh_timeline_add(&watch->totals.tries, booking->time, booking->halves);
    raise_weight(&source->slot, booking->halves + (before == 0 ? source->missed : 0));
    network->half_tries += booking->halves;
    raise_weight(&network->slot, booking->halves);
    watch->totals.half_tries += booking->halves;
}

// Whether failures and then a login read as somebody who mistyped his own password: one user, whose
// login it then is; no more tries than fit into the connection that succeeds (more where he has
// logged in from there before); all within an hour, none at a program's pace, and none so close
// that sshd shut the source out. A guesser who keeps to all of that has five guesses.
static bool
is_typing_error(const struct lh_source *source, const struct lh_booking *booking, uint32_t halves)
{
    bool own = source->failing_mixed == 0 &&
               (source->failing_user == 0 || source->failing_user == booking->user_hash);
    bool known = lh_known_has(&source->logged_in, booking->user_hash);
    int64_t took = booking->time - source->failing_since;
    return own && halves <= (known ? TYPING_HALVES_KNOWN : TYPING_HALVES) && took >= 0 &&
           took <= TYPING_WITHIN && source->penalties_since_success == 0 &&
           source->failing_fast == 0;
}

// A login after failures of the same source, or with a user whom many sources had tried, one of
// them this. Keys that the same connection offered before are an agent's.
static void look_for_breach(struct lh_watch *watch,
                            struct lh_source *source,
                            const struct lh_booking *booking,
                            enum lh_watch_method method,
                            uint32_t own_key_halves)
{
    uint32_t halves = (uint32_t)lh_sub_sat(
        source->halves_since_success + 2 * (uint64_t)source->missed, own_key_halves);
    const struct lh_user *user = lh_slots_find(&watch->users, booking->user_hash);
    uint32_t others = 0;
    if (user != NULL && user->half_tries > 0)
        others = lh_distinct_count(&user->sources);
    uint32_t unseen = source->penalties_since_success > 0 ? PENALTY_HALVES : 0;
    bool alone = halves + unseen >= BREACH_HALVES &&
                 booking->time - source->last_try <= BREACH_WITHIN &&
                 !is_typing_error(source, booking, halves);
    bool many = others >= BREACH_OTHERS && halves >= 2 && source->counts[LH_COUNT_SUCCESSES] == 0;
    if (!alone && !many)
        return;
    if (source->breach.time != 0 && source->breach.tries >= halves / 2)
        return;
    source->breach = (struct lh_breach){.time = booking->time,
                                        .tries = halves / 2,
                                        .others = many ? others : 0,
                                        .method = method,
                                        .place = booking->place};
    copy_name(source->breach.user, booking->user);
}

// Who logs in for the first time made his errors before it. Where more come and go than can be kept
// in mind he may be no newcomer: then only what is surely his own is forgiven.
static void forgive_newcomer(struct lh_source *source, uint64_t user)
{
    if (!lh_known_has(&source->logged_in, user)) {
        bool own = source->failing_mixed == 0 && source->failing_user == user;
        if (source->logged_in.count < LH_KNOWN_MAX)
            source->strange_halves = 0;
        else if (own)
            source->strange_halves =
                (uint32_t)lh_sub_sat(source->strange_halves, source->halves_since_success);
    }
    lh_known_add(&source->logged_in, user);
}

void lh_book_success(struct lh_watch *watch,
                     const struct lh_booking *booking,
                     const struct lh_watch_event *event,
                     uint32_t own_key_halves)
{
    bool is_new;
    struct lh_source *source =
        lh_book_source(watch, &booking->addr, booking->time, &booking->place);
    look_for_breach(watch, source, booking, event->method, own_key_halves);
    forgive_newcomer(source, booking->user_hash);
    source->counts[LH_COUNT_SUCCESSES]++;
    source->halves_since_success = 0;
    source->penalties_since_success = 0;
    source->failing_since = 0;
    source->failing_user = 0;
    source->failing_mixed = source->failing_fast = 0;
    source->last_success = LH_MAX(source->last_success, booking->time);
    raise_weight(&source->slot, 16);
    struct lh_user *user = lh_slots_get(&watch->users, booking->user_hash, booking->time, &is_new);
    if (is_new) {
        user->first = booking->time;
        user->place = booking->place;
        copy_name(user->name, booking->user);
    }
    user->last_success = LH_MAX(user->last_success, booking->time);
    user->successes++;
    raise_weight(&user->slot, 16);
    struct lh_network *network =
        lh_book_network(watch, &booking->addr, booking->time, &booking->place);
    network->last_success = LH_MAX(network->last_success, booking->time);
    network->successes++;
    lh_timeline_add(&watch->totals.logins, booking->time, 1);
    watch->totals.successes++;
    watch->totals.password_successes += event->method == LH_WATCH_METHOD_PASSWORD;
}

const struct lh_place *lh_source_evidence(const struct lh_source *source, unsigned index)
{
    unsigned half = LH_WATCH_EVIDENCE_MAX / 2;
    LH_ASSERT(index < LH_WATCH_EVIDENCE_MAX);
    return &source->evidence[index < half ? index : half + (source->evidence_at + index) % half];
}

uint32_t lh_source_tries(const struct lh_source *source)
{
    return source->counts[LH_COUNT_HALF_TRIES] / 2 + source->missed;
}
