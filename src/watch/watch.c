// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each line of sshd's belongs to a connection, named by host and process id. Several
// lines may tell of one try (PAM's, "Invalid user", "Failed password", the close), so a connection
// keeps what each kind of line amounts to and books the largest, never the sum; what was booked
// before is taken off. Lines without an address are kept with the connection until another line of
// its process brings one. Listener's lines (drops, penalties, timeouts) speak of other processes.
//
// An ambiguous line (message.h) counts for an address only if that is the one its process is known
// by; else nothing is counted and `totals.ambiguous` says so. A process id is used again sooner or
// later: another address or port, or a login that is over for a day, begins a new connection. So
// does a line without an address ten minutes after the last of its process: it must not be counted
// for whoever had the process id before.
#include "watch/watch.h"

#include "base/assert.h"
#include "base/math.h"
#include "watch/watch_internal.h"

#define CONNECTION_AGE LH_WATCH_DAY
// Longer than LoginGraceTime is anywhere: so far apart are a process's lines before a login at
// most.
#define JOIN_AGE (10 * LH_WATCH_MINUTE)

// Sources, networks and users get at most `most` sets each.
static lh_err init(struct lh_watch *watch, uint64_t seed, size_t most)
{
    *watch = (struct lh_watch){.seed = seed};
    lh_err err = lh_slots_init(&watch->sources, sizeof(struct lh_source),
                               LH_MIN((size_t)LH_WATCH_SOURCE_SETS, most));
    if (err == 0)
        err = lh_slots_init(&watch->networks, sizeof(struct lh_network),
                            LH_MIN((size_t)LH_WATCH_NET_SETS, most));
    if (err == 0)
        err = lh_slots_init(&watch->users, sizeof(struct lh_user),
                            LH_MIN((size_t)LH_WATCH_USER_SETS, most));
    if (err == 0)
        err = lh_slots_init(&watch->connections, sizeof(struct lh_connection), LH_WATCH_CONN_SETS);
    if (err == 0)
        err = lh_sketch_init(&watch->sketch);
    if (err != 0)
        lh_watch_fini(watch);
    return err;
}

lh_err lh_watch_init(struct lh_watch *watch, uint64_t seed)
{
    return init(watch, seed, SIZE_MAX);
}

lh_err lh_watch_init_lines(struct lh_watch *watch, uint64_t seed)
{
    return init(watch, seed, 1);
}

void lh_watch_fini(struct lh_watch *watch)
{
    lh_slots_fini(&watch->sources);
    lh_slots_fini(&watch->networks);
    lh_slots_fini(&watch->users);
    lh_slots_fini(&watch->connections);
    lh_sketch_fini(&watch->sketch);
}

struct lh_source *lh_watch_source(const struct lh_watch *watch, const struct lh_watch_addr *addr)
{
    return lh_slots_find(&watch->sources, lh_watch_addr_key(watch, addr));
}

struct lh_user *lh_watch_user(const struct lh_watch *watch, struct lh_span name)
{
    return lh_slots_find(&watch->users, lh_watch_user_key(watch, name));
}

bool lh_watch_logged_in(const struct lh_watch *watch, const struct lh_endpoint *peer)
{
    const struct lh_slot *slot;
    for (size_t i = 0; (slot = lh_slots_at(&watch->connections, i)) != NULL; i++) {
        const struct lh_connection *c = (const void *)slot;
        if (slot->hash != 0 && c->logged_in && c->peer.port == peer->port &&
            lh_watch_addr_equal(&c->peer.addr, &peer->addr))
            return true;
    }
    return false;
}

// What all functions below look at.
struct taking {
    struct lh_watch *watch;
    const struct lh_watch_record *record;
    struct lh_place place;
    struct lh_watch_event event;
    struct lh_connection *connection;
    struct lh_watch_addr *out_addr;
};

static bool same_peer(const struct lh_endpoint *a, const struct lh_endpoint *b)
{
    return lh_watch_addr_equal(&a->addr, &b->addr) &&
           (a->port == b->port || a->port == 0 || b->port == 0);
}

static struct lh_connection *find_connection(const struct taking *t, uint32_t pid)
{
    bool is_new;
    if (pid == 0)
        return NULL;
    uint64_t key = lh_watch_hash(&pid, sizeof pid, t->watch->seed ^ t->record->host);
    struct lh_connection *connection = lh_slots_find(&t->watch->connections, key);
    bool joins = connection != NULL && !t->event.has_peer && !connection->logged_in;
    bool stale =
        connection != NULL && t->record->time - connection->slot.last >
                                  (LH_GUARD(JOIN_STALE, joins) ? JOIN_AGE : CONNECTION_AGE);
    bool other = connection != NULL && t->event.has_peer && !t->event.whole_network &&
                 connection->has_peer && !same_peer(&connection->peer, &t->event.peer);
    // "Accepted" may be followed by nothing else of its process: the next login is another's.
    bool again =
        connection != NULL && connection->logged_in && t->event.family == LH_WATCH_CONNECTED;
    if (stale || other || again)
        memset((char *)connection + sizeof connection->slot, 0,
               sizeof *connection - sizeof connection->slot);
    return lh_slots_get(&t->watch->connections, key, t->record->time, &is_new);
}

// The peer that the line is about, or NULL.
static const struct lh_endpoint *settle_peer(struct taking *t)
{
    struct lh_connection *connection = t->connection;
    const struct lh_watch_event *event = &t->event;

    if (event->has_peer) {
        if (connection != NULL && !event->whole_network) {
            connection->peer.addr = event->peer.addr;
            if (event->peer.port != 0)
                connection->peer.port = event->peer.port;
            connection->has_peer = true;
        }
        return &event->peer;
    }
    bool known = connection != NULL && connection->has_peer;
    if (event->alternative_count > 0) {
        bool among = false;
        for (unsigned i = 0; known && i < event->alternative_count; i++)
            among |= same_peer(&event->alternatives[i], &connection->peer);
        if (LH_GUARD(JOIN_AMBIGUOUS, !among)) {
            t->watch->totals.ambiguous++;
            return NULL;
        }
    }
    return known ? &connection->peer : NULL;
}

// What the line amounts to, in half tries, by its kind of evidence.
static void weigh(const struct taking *t, struct lh_connection *c)
{
    const struct lh_watch_event *event = &t->event;
    uint32_t times = t->record->repeat;
    uint32_t other = 0;

    switch (event->family) {
    case LH_WATCH_FAILED:
        if (event->method == LH_WATCH_METHOD_NONE)
            break;
        if (event->method == LH_WATCH_METHOD_PUBLICKEY && !event->invalid_user) {
            c->failed += times;
            c->key_halves += times;
        } else {
            c->failed += 2 * times;
        }
        break;
    case LH_WATCH_PAM:
        c->pam += 2 * times * event->count;
        break;
    case LH_WATCH_INVALID:
    case LH_WATCH_NOT_ALLOWED:
    case LH_WATCH_REFUSED:
    case LH_WATCH_PAM_ERROR:
        other = 2;
        break;
    case LH_WATCH_CLOSE:
    case LH_WATCH_DISCONNECT:
        other = event->authenticating ? 2 : 0;
        break;
    case LH_WATCH_MAX_TRIES:
        other = event->invalid_user ? 12 : 6;
        break;
    default:
        break;
    }
    c->other = LH_MAX(c->other, other);
}

// Counts that are not tries; what a line of the family adds.
static void count_family(const struct taking *t, uint32_t counts[LH_COUNT_N_])
{
    static const uint8_t simple[LH_WATCH_FAMILY_N_] = {
        [LH_WATCH_NEGOTIATE] = LH_COUNT_NEGOTIATE, [LH_WATCH_NOISE] = LH_COUNT_NOISE,
        [LH_WATCH_BARE] = LH_COUNT_BARE,           [LH_WATCH_TIMEOUT] = LH_COUNT_TIMEOUTS,
        [LH_WATCH_DROP] = LH_COUNT_DROPS,          [LH_WATCH_DROP_PENALTY] = LH_COUNT_PENALTY_DROPS,
        [LH_WATCH_CRASH] = LH_COUNT_CRASHES,
    };
    const struct lh_watch_event *event = &t->event;
    uint32_t times = t->record->repeat;

    if (simple[event->family] != 0)
        counts[simple[event->family]] += times;
    if (event->family == LH_WATCH_FAILED && event->method == LH_WATCH_METHOD_PUBLICKEY &&
        !event->invalid_user)
        counts[LH_COUNT_KEYS] += times;
    if (event->family == LH_WATCH_FAILED &&
        (event->method == LH_WATCH_METHOD_PASSWORD || event->method == LH_WATCH_METHOD_KEYBOARD))
        counts[LH_COUNT_PASSWORDS] += times;
    // Who waits too long at a prompt tried nothing; up to 9.9 that alone shuts him out for 90 s.
    // From 10.0 on it takes several in a row, as any penalty does by default.
    bool waited = event->penalty == LH_WATCH_PENALTY_GRACE &&
                  (event->single || event->family == LH_WATCH_DROP_PENALTY);
    bool idle = event->penalty == LH_WATCH_PENALTY_NOAUTH || waited;
    if (event->family == LH_WATCH_DROP_PENALTY && idle)
        counts[LH_COUNT_IDLE_DROPS] += times;
    if (event->family == LH_WATCH_PENALTY && !idle && !event->deferred)
        counts[LH_COUNT_PENALTIES] += times;
    if (event->family == LH_WATCH_PENALTY && event->penalty == LH_WATCH_PENALTY_CRASH)
        counts[LH_COUNT_CRASHES] += times;
    // A close before the login that names no user: nobody tried anything.
    if (event->family == LH_WATCH_CLOSE && !event->authenticating && t->connection != NULL &&
        !t->connection->bare &&
        t->connection->failed + t->connection->pam + t->connection->other == 0)
        counts[LH_COUNT_BARE] += times;
    if (t->connection != NULL)
        t->connection->bare |= counts[LH_COUNT_BARE] > 0;
}

// Half tries that a drop stands for: a connection that would have tried on.
static uint32_t drop_halves(const struct lh_watch_event *event)
{
    bool tries =
        event->family == LH_WATCH_DROP_PENALTY &&
        (event->penalty == LH_WATCH_PENALTY_AUTH || event->penalty == LH_WATCH_PENALTY_INVALID ||
         event->penalty == LH_WATCH_PENALTY_OTHER);
    return tries ? 2 : 0;
}

static void add_counts(struct lh_source *source, uint32_t counts[LH_COUNT_N_])
{
    for (unsigned i = 0; i < LH_COUNT_N_; i++) {
        source->counts[i] += counts[i];
        counts[i] = 0;
    }
}

// The name goes to the connection, so that it is known when the address comes.
static void remember_user(const struct taking *t, struct lh_connection *c)
{
    const struct lh_watch_event *event = &t->event;
    if (!event->has_user)
        return;
    uint64_t hash = lh_watch_user_key(t->watch, event->user);
    if (hash != c->user)
        c->named_user = false;
    c->user = hash;
    size_t len = LH_MIN(event->user.len, sizeof c->name - 1);
    memcpy(c->name, event->user.at, len);
    c->name[len] = '\0';
    c->invalid |= event->invalid_user;
}

// Everything the connection has gathered goes to the peer's source.
static void book(struct taking *t, struct lh_connection *c, const struct lh_endpoint *peer)
{
    struct lh_booking booking = {
        .time = t->record->time, .addr = peer->addr, .place = t->place, .invalid = c->invalid};
    uint32_t evidence = LH_MAX(LH_MAX(c->failed, c->pam), c->other);
    bool drop = t->event.family == LH_WATCH_DROP || t->event.family == LH_WATCH_DROP_PENALTY;
    struct lh_source *source = lh_book_source(t->watch, &peer->addr, booking.time, &booking.place);

    if (!c->counted) {
        c->counted = true;
        if (c->place.line != 0 && c->place.line != booking.place.line)
            (void)lh_book_source(t->watch, &peer->addr, booking.time, &c->place);
        if (t->event.family != LH_WATCH_PENALTY)
            lh_book_connection(source, booking.time, peer->port);
    }
    booking.halves = evidence > c->booked ? evidence - c->booked : 0;
    c->booked = LH_MAX(evidence, c->booked);
    if (drop)
        booking.halves += drop_halves(&t->event) * t->record->repeat;
    if (evidence > 0 && !c->named_user && c->user != 0) {
        c->named_user = true;
        booking.user = lh_span_of(c->name, strlen(c->name));
        booking.user_hash = c->user;
        source->counts[LH_COUNT_INVALID] += c->invalid;
        source->counts[LH_COUNT_ROOT] += strcmp(c->name, "root") == 0;
        t->watch->totals.root_tries += strcmp(c->name, "root") == 0;
    }
    if (c->invalid || c->pam > 0 || c->failed > c->key_halves)
        booking.guessed = c->user;
    booking.tried = c->user;
    if (booking.halves > 0 || booking.user.len > 0)
        lh_book_tries(t->watch, &booking);
    source->penalties_since_success += c->waiting[LH_COUNT_PENALTIES];
    // A crash is told twice: by a line of its own, and as the reason of a penalty.
    if (t->event.family == LH_WATCH_PENALTY && source->counts[LH_COUNT_CRASHES] > 0)
        c->waiting[LH_COUNT_CRASHES] = 0;
    add_counts(source, c->waiting);
    if (source->slot.weight == 0)
        source->slot.weight = 1;
}

static void book_login(struct taking *t, struct lh_connection *c, const struct lh_endpoint *peer)
{
    struct lh_booking booking = {
        .time = t->record->time, .addr = peer->addr, .place = t->place, .user = t->event.user};
    booking.user_hash = lh_watch_user_key(t->watch, t->event.user);
    c->logged_in = true;
    lh_book_success(t->watch, &booking, &t->event, c->key_halves);
}

// A penalty against a whole network says nothing of one address.
static void book_network_penalty(struct taking *t)
{
    struct lh_network *network =
        lh_book_network(t->watch, &t->event.peer.addr, t->record->time, &t->place);
    if (!t->event.deferred)
        network->penalties += t->record->repeat;
    network->slot.weight += t->record->repeat;
}

static void count_totals(struct taking *t)
{
    struct lh_watch_totals *totals = &t->watch->totals;
    const struct lh_watch_event *event = &t->event;

    totals->families[event->family] += t->record->repeat;
    if (totals->messages++ == 0)
        totals->first = totals->last = t->record->time;
    totals->first = LH_MIN(totals->first, t->record->time);
    totals->last = LH_MAX(totals->last, t->record->time);
    if (event->family == LH_WATCH_FAILED)
        totals->failed[event->method] += t->record->repeat;
    if (event->family == LH_WATCH_THROTTLED)
        totals->throttled += event->count;
}

// Whether the line is the listener's, about connections that have no process, or another one.
static bool is_listeners(const struct lh_watch_event *event)
{
    return event->family == LH_WATCH_DROP || event->family == LH_WATCH_DROP_PENALTY ||
           event->family == LH_WATCH_PENALTY || event->family == LH_WATCH_REFUSED;
}

static bool is_idle_family(enum lh_watch_family family)
{
    return family == LH_WATCH_NOTHING || family == LH_WATCH_THROTTLED;
}

// Takes the line in for `c`, which is the connection or a nameless one.
static void take_for(struct taking *t, struct lh_connection *c)
{
    const struct lh_endpoint *peer = settle_peer(t);
    if (t->event.alternative_count > 0 && peer == NULL)
        return;
    if (peer != NULL)
        *t->out_addr = peer->addr;
    c->silent = t->event.family == LH_WATCH_CONNECTED;
    weigh(t, c);
    count_family(t, c->waiting);
    remember_user(t, c);
    // A line that only tells the address, of a connection of which nothing else is known.
    if (t->event.family == LH_WATCH_GONE && c->place.line == 0 && !c->counted)
        return;
    if (peer != NULL) {
        t->place.port = peer->port;
        book(t, c, peer);
        if (t->event.family == LH_WATCH_ACCEPTED)
            book_login(t, c, peer);
    } else if (c->place.line == 0) {
        c->place = t->place;
        t->watch->totals.unjoined += t->connection == NULL;
    }
}

enum lh_watch_family lh_watch_take(struct lh_watch *watch,
                                   const struct lh_watch_record *record,
                                   const struct lh_place *place,
                                   struct lh_watch_addr *out_addr)
{
    struct taking t = {.watch = watch, .record = record, .place = *place, .out_addr = out_addr};

    LH_DASSERT(record->repeat > 0);
    memset(out_addr, 0, sizeof *out_addr);
    (void)lh_watch_message_parse(record->message, &t.event);
    count_totals(&t);
    if (is_idle_family(t.event.family))
        return t.event.family;
    t.place.port = t.event.peer.port;
    if (t.event.family == LH_WATCH_PENALTY && t.event.whole_network) {
        book_network_penalty(&t);
        return t.event.family;
    }
    if (!is_listeners(&t.event))
        t.connection = find_connection(&t, t.event.child != 0 ? t.event.child : record->pid);
    // After a login nothing is a failure: transfers that break off are no attack.
    if (t.connection != NULL && t.connection->logged_in && t.event.family != LH_WATCH_ACCEPTED &&
        t.event.family != LH_WATCH_CRASH)
        return t.event.family;
    if (t.connection != NULL) {
        take_for(&t, t.connection);
    } else {
        struct lh_connection nameless = {.slot = {.hash = 1}};
        take_for(&t, &nameless);
    }
    return t.event.family;
}
