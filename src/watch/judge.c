// SPDX-License-Identifier: Apache-2.0
//
// How it works. A source's counters become a set of kinds, by the rules of `rules`; the gravest
// names the verdict, the surest gives its confidence. Before that it is asked whether the source is
// somebody who works here: who logs in, and fails little beside it, is no attacker. Only then do
// networks and users count: a source with one try is reported where it is one of many that try the
// same user, or one of many of its network, and nobody ever logged in from it.
//
// Thresholds: 5 tries within 10 min is what fail2ban bans by, so that nothing it finds is missed; 5
// in 10 s, 10 in 10 min, 8 slow ones, 5 users. Order of user names: among n steps between random
// names the number of rising ones has mean n/2 and variance (n+2)/12 (Eulerian numbers); three
// deviations are taken as "alphabetical".
#include "watch/judge.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "watch/watch_internal.h"

#define USERS_MANY     5 // different users: a dictionary
#define SLOW_TRIES     8
#define SLOW_SPAN      LH_WATCH_HOUR
#define MANY_SOURCES   5 // that try one user
#define MANY_TRIES     8
#define NET_SOURCES    3
#define NET_TRIES      10
#define FLOOD_DROPS    10
#define FLOOD_AT_ONCE  50 // connections that came within the second of the one before
#define STALL_TIMEOUTS 3
#define STALL_AGE      (10 * LH_WATCH_MINUTE) // longer than LoginGraceTime is anywhere
#define CHECK_CONNECTS 5
#define GUARD_DAYS     30
#define BLOCK_MIN      60 // percent

static bool is_alphabetical(const struct lh_source *s)
{
    int64_t steps = s->user_steps;
    int64_t surplus = 2 * (int64_t)s->user_rises - steps;
    return steps >= 4 && surplus > 0 && surplus * surplus > 3 * (steps + 2);
}

static uint32_t gap_count(const struct lh_source *s)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < LH_WATCH_GAPS; i++)
        sum += s->gaps[i];
    return sum;
}

// Three quarters of the gaps lie within a factor of four.
static bool is_regular(const struct lh_source *s)
{
    uint32_t sum = gap_count(s);
    uint32_t best = 0;
    for (unsigned i = 0; i + 1 < LH_WATCH_GAPS; i++)
        best = LH_MAX(best, s->gaps[i] + s->gaps[i + 1]);
    return sum >= 4 && 4 * (uint64_t)best >= 3 * (uint64_t)sum;
}

// Connections that came within the second of the one before.
static uint32_t at_once(const struct lh_source *s)
{
    return (uint32_t)lh_sub_sat(s->counts[LH_COUNT_CONNECTIONS], (uint64_t)gap_count(s) + 1);
}

// --- Rules: each adds its kind, or not, and returns the confidence it has in it ------------------

static unsigned rule_breach(const struct lh_source *s, const struct lh_verdict *v)
{
    if (s->breach.time == 0)
        return 0;
    if (s->counts[LH_COUNT_INVALID] > 0 || v->users >= USERS_MANY || s->breach.others > 0)
        return 90;
    return 70 + LH_MIN(s->breach.tries, 20u);
}

static unsigned rule_crash(const struct lh_source *s, const struct lh_verdict *v)
{
    (void)v;
    return s->counts[LH_COUNT_CRASHES] > 0 ? 80 : 0;
}

static bool is_spray(const struct lh_source *s, const struct lh_verdict *v)
{
    return v->users >= USERS_MANY && v->tries <= 2 * v->users &&
           2 * s->counts[LH_COUNT_INVALID] < v->users;
}

static unsigned rule_dictionary(const struct lh_source *s, const struct lh_verdict *v)
{
    if (v->users < USERS_MANY || v->tries < USERS_MANY || is_spray(s, v))
        return 0;
    return v->alphabetical ? 98 : 92;
}

static unsigned rule_spray(const struct lh_source *s, const struct lh_verdict *v)
{
    return v->tries >= USERS_MANY && is_spray(s, v) ? 85 : 0;
}

static unsigned rule_burst(const struct lh_source *s, const struct lh_verdict *v)
{
    return (s->pace & LH_PACE_BURST) != 0 && v->tries >= 5 ? 85 : 0;
}

static unsigned rule_steady(const struct lh_source *s, const struct lh_verdict *v)
{
    if ((s->pace & LH_PACE_FAST) != 0)
        return 90;
    return (s->pace & LH_PACE_STEADY) != 0 && v->tries >= 5 ? 70 : 0;
}

static unsigned rule_slow(const struct lh_source *s, const struct lh_verdict *v)
{
    if (v->tries < SLOW_TRIES || s->pace != 0 || s->last - s->first < SLOW_SPAN)
        return 0;
    return v->regular ? 85 : 70;
}

static unsigned rule_penalty(const struct lh_source *s, const struct lh_verdict *v)
{
    uint32_t drops = s->counts[LH_COUNT_PENALTY_DROPS] - s->counts[LH_COUNT_IDLE_DROPS];
    (void)v;
    if (drops >= 3)
        return 85;
    // sshd gives one for four failures in a row; what follows is dropped, mostly unlogged.
    return s->counts[LH_COUNT_PENALTIES] > 0 ? 70 : 0;
}

// Two health checks in the same second, day after day, make many connections at once, but only
// every other one: in a flood it is nearly all of them.
static unsigned rule_flood(const struct lh_source *s, const struct lh_verdict *v)
{
    uint32_t together = at_once(s);
    bool mostly = 4 * (uint64_t)together >= 3 * (uint64_t)s->counts[LH_COUNT_CONNECTIONS];
    (void)v;
    return s->counts[LH_COUNT_DROPS] >= FLOOD_DROPS || (together >= FLOOD_AT_ONCE && mostly) ? 75
                                                                                             : 0;
}

static unsigned rule_stall(const struct lh_source *s, const struct lh_verdict *v)
{
    return s->counts[LH_COUNT_TIMEOUTS] + v->silent >= STALL_TIMEOUTS ? 70 : 0;
}

static unsigned rule_scan(const struct lh_source *s, const struct lh_verdict *v)
{
    (void)v;
    if (s->counts[LH_COUNT_NOISE] > 0)
        return s->counts[LH_COUNT_NOISE] >= 3 ? 75 : 60;
    return s->counts[LH_COUNT_NEGOTIATE] >= 3 ? 50 : 0;
}

static const struct rule {
    enum lh_attack kind;
    enum lh_severity severity;
    unsigned (*confidence)(const struct lh_source *source, const struct lh_verdict *verdict);
} rules[] = {
    // The gravest first: the first that fits names the verdict.
    {LH_ATTACK_BREACH, LH_SEVERITY_ALARM, rule_breach},
    {LH_ATTACK_CRASH, LH_SEVERITY_ALARM, rule_crash},
    {LH_ATTACK_DICTIONARY, LH_SEVERITY_ATTACK, rule_dictionary},
    {LH_ATTACK_SPRAY, LH_SEVERITY_ATTACK, rule_spray},
    {LH_ATTACK_BURST, LH_SEVERITY_ATTACK, rule_burst},
    {LH_ATTACK_STEADY, LH_SEVERITY_ATTACK, rule_steady},
    {LH_ATTACK_SLOW, LH_SEVERITY_ATTACK, rule_slow},
    {LH_ATTACK_PENALTY, LH_SEVERITY_ATTACK, rule_penalty},
    {LH_ATTACK_FLOOD, LH_SEVERITY_ATTACK, rule_flood},
    {LH_ATTACK_STALL, LH_SEVERITY_ATTACK, rule_stall},
    {LH_ATTACK_SCAN, LH_SEVERITY_LOOK, rule_scan},
};

static void
add_kind(struct lh_verdict *v, enum lh_attack kind, enum lh_severity severity, unsigned confidence)
{
    if (v->kinds == 0)
        v->kind = kind;
    v->kinds |= 1u << kind;
    v->severity = LH_MAX(v->severity, severity);
    v->confidence = LH_MAX(v->confidence, confidence);
}

// --- Who works here ------------------------------------------------------------------------------

// Logs in, and what fails beside it is what people and programs do. A login as one user is no
// excuse for guesses at another: somebody with an account here would hide them so.
static bool works_here(const struct lh_source *s, const struct lh_verdict *v)
{
    uint32_t logins = s->counts[LH_COUNT_SUCCESSES];
    if (logins == 0 || s->breach.time != 0 || s->counts[LH_COUNT_CRASHES] > 0)
        return false;
    return s->halves_since_success / 2 < 20 && v->users < 10 + 4 * logins &&
           v->tries < 20 + 4 * logins && s->strange_halves / 2 < 20 + logins / 4;
}

static enum lh_harmless name_harmless(const struct lh_source *s, const struct lh_verdict *v)
{
    const uint32_t *c = s->counts;
    if (c[LH_COUNT_SUCCESSES] > 0) {
        if (c[LH_COUNT_DROPS] + c[LH_COUNT_PENALTY_DROPS] > 0 ||
            (c[LH_COUNT_SUCCESSES] >= 10 && at_once(s) >= 5))
            return LH_HARMLESS_PARALLEL;
        if (v->tries > 0 && s->logged_in.count >= 3)
            return LH_HARMLESS_OFFICE;
        if (c[LH_COUNT_KEYS] > 0 && c[LH_COUNT_PASSWORDS] == 0)
            return LH_HARMLESS_AGENT;
        return c[LH_COUNT_HALF_TRIES] > 0 ? LH_HARMLESS_TYPO : LH_HARMLESS_LOGIN;
    }
    if (c[LH_COUNT_KEYS] > 0 && c[LH_COUNT_PASSWORDS] == 0)
        return LH_HARMLESS_AGENT;
    if (c[LH_COUNT_HALF_TRIES] > 0)
        return LH_HARMLESS_QUIET;
    if (c[LH_COUNT_BARE] + c[LH_COUNT_PENALTY_DROPS] > 0)
        return LH_HARMLESS_CHECK;
    return c[LH_COUNT_NEGOTIATE] > 0 ? LH_HARMLESS_CLIENT : LH_HARMLESS_QUIET;
}

// All keys of one user in a few connections: an agent whose right key comes too late, or is not
// there.
static bool is_agent(const struct lh_source *s, const struct lh_verdict *v)
{
    const uint32_t *c = s->counts;
    return c[LH_COUNT_KEYS] > 0 && c[LH_COUNT_PASSWORDS] == 0 && c[LH_COUNT_INVALID] == 0 &&
           v->users <= 1 && c[LH_COUNT_PENALTIES] == 0 && c[LH_COUNT_CONNECTIONS] <= 3 &&
           v->tries < 10 && c[LH_COUNT_CRASHES] == 0;
}

// --- Networks and users --------------------------------------------------------------------------

struct judging {
    const struct lh_watch *watch;
    uint32_t *members; // of each place in the table of networks: sources that are listed
    uint32_t *silent;  // of each place in the table of sources: connections that never said more
    uint32_t *
        outsiders; // of each place in the table of users: sources that tried it and never logged in
};

static size_t source_index(const struct lh_watch *watch, const struct lh_source *source)
{
    return (size_t)((const uint8_t *)source - watch->sources.entries) / watch->sources.entry_size;
}

// OpenSSH before 9.8 says nothing when the time for a login is over. At LogLevel VERBOSE the
// connection is there, and nothing after it.
static void count_silent(const struct judging *j)
{
    const struct lh_slot *slot;
    for (size_t i = 0; (slot = lh_slots_at(&j->watch->connections, i)) != NULL; i++) {
        const struct lh_connection *c = (const void *)slot;
        if (slot->hash == 0 || !c->silent || !c->has_peer ||
            j->watch->totals.last - slot->last < STALL_AGE)
            continue;
        const struct lh_source *source = lh_watch_source(j->watch, &c->peer.addr);
        if (source != NULL)
            j->silent[source_index(j->watch, source)]++;
    }
}

static size_t user_index(const struct lh_watch *watch, const struct lh_user *user)
{
    return (size_t)((const uint8_t *)user - watch->users.entries) / watch->users.entry_size;
}

static size_t network_index(const struct lh_watch *watch, const struct lh_network *network)
{
    return (size_t)((const uint8_t *)network - watch->networks.entries) /
           watch->networks.entry_size;
}

static const struct lh_network *network_of(const struct lh_watch *watch,
                                           const struct lh_source *source)
{
    struct lh_watch_addr net = lh_watch_addr_network(&source->addr);
    return lh_slots_find(&watch->networks, lh_watch_hash(net.bytes, sizeof net.bytes, watch->seed));
}

static const struct lh_user *named_user(const struct lh_watch *watch, const char *name)
{
    return lh_watch_user(watch, lh_span_of(name, strlen(name)));
}

// Exact where all sources are still listed.
static void count_members(const struct judging *j)
{
    const struct lh_slot *slot;
    for (size_t i = 0; (slot = lh_slots_at(&j->watch->sources, i)) != NULL; i++) {
        const struct lh_source *s = (const void *)slot;
        const struct lh_network *network = slot->hash == 0 ? NULL : network_of(j->watch, s);
        if (network != NULL && s->counts[LH_COUNT_HALF_TRIES] > 0)
            j->members[network_index(j->watch, network)]++;
    }
}

// Errors of those who work here make no target of a user, however many they are.
static void count_outsiders(const struct judging *j)
{
    const struct lh_slot *slot;
    for (size_t i = 0; (slot = lh_slots_at(&j->watch->sources, i)) != NULL; i++) {
        const struct lh_source *s = (const void *)slot;
        if (slot->hash == 0 || s->counts[LH_COUNT_SUCCESSES] > 0)
            continue;
        for (unsigned k = 0; k < s->names_count; k++) {
            const struct lh_user *user = named_user(j->watch, s->names[k]);
            if (user != NULL)
                j->outsiders[user_index(j->watch, user)]++;
        }
    }
}

static bool user_is_target(const struct judging *j, const struct lh_user *user)
{
    return user != NULL && user->half_tries >= 2 * MANY_TRIES &&
           j->outsiders[user_index(j->watch, user)] >= MANY_SOURCES;
}

static uint32_t network_sources(const struct judging *j, const struct lh_network *network)
{
    return LH_MAX(lh_distinct_count(&network->sources),
                  j->members[network_index(j->watch, network)]);
}

static bool network_attacks(const struct judging *j, const struct lh_network *network)
{
    return network != NULL && network->successes == 0 && network->half_tries >= 2 * NET_TRIES &&
           network_sources(j, network) >= NET_SOURCES;
}

static void judge_company(const struct judging *j, const struct lh_source *s, struct lh_verdict *v)
{
    for (unsigned i = 0; i < s->names_count; i++) {
        const struct lh_user *user = named_user(j->watch, s->names[i]);
        if (user_is_target(j, user))
            add_kind(v, LH_ATTACK_MANY, LH_SEVERITY_ATTACK, user->invalid ? 70 : 60);
    }
    if (network_attacks(j, network_of(j->watch, s)))
        add_kind(v, LH_ATTACK_NETWORK, LH_SEVERITY_ATTACK, 65);
}

// Hosts change their IPv6 address within a /64 from day to day: a login guards all of it.
static enum lh_guard guard_of(const struct judging *j, const struct lh_source *source)
{
    int64_t last = source->last_success;
    const struct lh_network *network =
        lh_watch_addr_is_v4(&source->addr) ? NULL : network_of(j->watch, source);
    if (network != NULL)
        last = LH_MAX(last, network->last_success);
    bool recent = last != 0 && j->watch->totals.last - last <= GUARD_DAYS * LH_WATCH_DAY;
    return recent ? LH_GUARDED_LOGIN : LH_GUARDED_NOT;
}

static bool judge_source(const struct judging *j,
                         const struct lh_source *source,
                         struct lh_verdict *out_verdict,
                         enum lh_harmless *out_harmless)
{
    struct lh_verdict v = {
        .source = source,
        .tries = lh_source_tries(source),
        .silent = j->silent[source_index(j->watch, source)],
        .users = lh_distinct_count(&source->users),
        .first = source->first,
        .last = source->last,
        .alphabetical = is_alphabetical(source),
        .regular = is_regular(source),
    };
    if (works_here(source, &v) || is_agent(source, &v)) {
        *out_harmless = name_harmless(source, &v);
        return false;
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(rules); i++) {
        unsigned confidence = rules[i].confidence(source, &v);
        if (confidence > 0)
            add_kind(&v, rules[i].kind, rules[i].severity, confidence);
    }
    if (source->counts[LH_COUNT_HALF_TRIES] > 0 && source->counts[LH_COUNT_SUCCESSES] == 0)
        judge_company(j, source, &v);
    if (v.kinds == 0) {
        *out_harmless = name_harmless(source, &v);
        return false;
    }
    if (v.tries >= 50)
        v.confidence = LH_MIN(v.confidence + 5, 99u);
    v.guard = guard_of(j, source);
    *out_verdict = v;
    return true;
}

static bool
judge_network(const struct judging *j, const struct lh_network *network, struct lh_verdict *out)
{
    if (!network_attacks(j, network))
        return false;
    *out = (struct lh_verdict){
        .network = network,
        .tries = network->half_tries / 2,
        .users = lh_distinct_count(&network->users),
        .sources = network_sources(j, network),
        .first = network->first,
        .last = network->last,
    };
    add_kind(out, LH_ATTACK_NETWORK, LH_SEVERITY_ATTACK, LH_MIN(60 + 2 * out->sources, 95u));
    return true;
}

static bool judge_user(const struct judging *j, const struct lh_user *user, struct lh_verdict *out)
{
    if (!user_is_target(j, user))
        return false;
    *out = (struct lh_verdict){
        .user = user,
        .tries = user->half_tries / 2,
        .users = 1,
        .sources = j->outsiders[user_index(j->watch, user)],
        .first = user->first,
        .last = user->last,
    };
    add_kind(out, LH_ATTACK_MANY, LH_SEVERITY_ATTACK, LH_MIN(60 + out->sources, 95u));
    return true;
}

// --- All of it -----------------------------------------------------------------------------------

static int compare_verdicts(const void *a, const void *b)
{
    const struct lh_verdict *x = a;
    const struct lh_verdict *y = b;
    if (x->severity != y->severity)
        return x->severity > y->severity ? -1 : 1;
    if (x->tries != y->tries)
        return x->tries > y->tries ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->source != NULL && y->source != NULL)
        return memcmp(x->source->addr.bytes, y->source->addr.bytes, sizeof x->source->addr.bytes);
    return (x->source == NULL) - (y->source == NULL);
}

static int compare_harmless(const void *a, const void *b)
{
    const struct lh_harmless_row *x = a;
    const struct lh_harmless_row *y = b;
    uint32_t n = x->source->counts[LH_COUNT_CONNECTIONS];
    uint32_t m = y->source->counts[LH_COUNT_CONNECTIONS];
    if (n != m)
        return n > m ? -1 : 1;
    return memcmp(x->source->addr.bytes, y->source->addr.bytes, sizeof x->source->addr.bytes);
}

static size_t used_slots(const struct lh_slots *slots)
{
    size_t used = 0;
    for (size_t i = 0; i < slots->sets * LH_SLOTS_WAYS; i++)
        used += lh_slots_at(slots, i)->hash != 0;
    return used;
}

static void judge_sources(const struct judging *j, struct lh_judgement *out)
{
    const struct lh_slot *slot;
    for (size_t i = 0; (slot = lh_slots_at(&j->watch->sources, i)) != NULL; i++) {
        const struct lh_source *source = (const void *)slot;
        enum lh_harmless harmless;
        if (slot->hash == 0)
            continue;
        if (judge_source(j, source, &out->verdicts[out->count], &harmless)) {
            out->alarms += out->verdicts[out->count++].severity == LH_SEVERITY_ALARM;
            out->sources++;
        } else {
            out->harmless[out->harmless_count++] = (struct lh_harmless_row){source, harmless};
        }
    }
}

static void judge_all(const struct judging *j, struct lh_judgement *out)
{
    const struct lh_slot *slot;
    count_members(j);
    count_outsiders(j);
    count_silent(j);
    judge_sources(j, out);
    for (size_t i = 0; (slot = lh_slots_at(&j->watch->networks, i)) != NULL; i++) {
        if (slot->hash != 0 && judge_network(j, (const void *)slot, &out->verdicts[out->count])) {
            out->count++;
            out->networks++;
        }
    }
    for (size_t i = 0; (slot = lh_slots_at(&j->watch->users, i)) != NULL; i++) {
        if (slot->hash != 0 && judge_user(j, (const void *)slot, &out->verdicts[out->count])) {
            out->count++;
            out->users++;
        }
    }
    if (out->count > 1)
        qsort(out->verdicts, out->count, sizeof *out->verdicts, compare_verdicts);
    if (out->harmless_count > 1)
        qsort(out->harmless, out->harmless_count, sizeof *out->harmless, compare_harmless);
}

lh_err lh_judge(const struct lh_watch *watch, struct lh_judgement *out)
{
    size_t most = used_slots(&watch->sources);
    size_t room = most + used_slots(&watch->networks) + used_slots(&watch->users);
    struct judging judging = {.watch = watch};

    *out = (struct lh_judgement){0};
    judging.outsiders = calloc(watch->users.sets * LH_SLOTS_WAYS, sizeof *judging.outsiders);
    out->verdicts = calloc(room + 1, sizeof *out->verdicts);
    out->harmless = calloc(most + 1, sizeof *out->harmless);
    judging.members = calloc(watch->networks.sets * LH_SLOTS_WAYS, sizeof *judging.members);
    judging.silent = calloc(watch->sources.sets * LH_SLOTS_WAYS, sizeof *judging.silent);
    bool enough = judging.outsiders != NULL && judging.silent != NULL && judging.members != NULL &&
                  out->verdicts != NULL && out->harmless != NULL;
    if (enough)
        judge_all(&judging, out);
    else
        lh_judgement_fini(out);
    LH_ASSERT(out->count <= room);
    free(judging.outsiders);
    free(judging.silent);
    free(judging.members);
    return enough ? 0 : LH_E_NOMEM;
}

void lh_judgement_fini(struct lh_judgement *judgement)
{
    free(judgement->verdicts);
    free(judgement->harmless);
    *judgement = (struct lh_judgement){0};
}

bool lh_verdict_blocks(const struct lh_verdict *verdict)
{
    if (verdict->source == NULL || verdict->severity < LH_SEVERITY_ATTACK ||
        verdict->confidence < BLOCK_MIN)
        return false;
    enum lh_watch_scope scope = lh_watch_addr_scope(&verdict->source->addr);
    bool never = scope == LH_WATCH_SCOPE_LOOPBACK || scope == LH_WATCH_SCOPE_NONE ||
                 scope == LH_WATCH_SCOPE_LINK_LOCAL;
    return !LH_GUARD(BLOCK_GUARDED, verdict->guard != LH_GUARDED_NOT) && !never;
}

static const struct {
    const char *name;
    const char *words;
} attacks[LH_ATTACK_N_] = {
    [LH_ATTACK_BREACH] = {"breach", "a login after failures"},
    [LH_ATTACK_CRASH] = {"crash", "killed a process of sshd's"},
    [LH_ATTACK_DICTIONARY] = {"dictionary", "many user names"},
    [LH_ATTACK_SPRAY] = {"spray", "few tries on many users"},
    [LH_ATTACK_BURST] = {"burst", "tries in quick succession"},
    [LH_ATTACK_STEADY] = {"steady", "tries without a pause"},
    [LH_ATTACK_SLOW] = {"slow", "tries over hours to weeks"},
    [LH_ATTACK_PENALTY] = {"penalty", "shut out by sshd's penalties"},
    [LH_ATTACK_FLOOD] = {"flood", "connections in masses"},
    [LH_ATTACK_STALL] = {"stall", "logins that are never finished"},
    [LH_ATTACK_MANY] = {"many-sources", "one user, from many addresses"},
    [LH_ATTACK_NETWORK] = {"network", "many addresses of one network"},
    [LH_ATTACK_SCAN] = {"scan", "looks, does not log in"},
};

static const struct {
    const char *name;
    const char *words;
} harmless[LH_HARMLESS_N_] = {
    [LH_HARMLESS_QUIET] = {"few-failures", "a few failures"},
    [LH_HARMLESS_TYPO] = {"typing-error", "failures, then a login"},
    [LH_HARMLESS_AGENT] = {"agent", "an agent that offers many keys"},
    [LH_HARMLESS_OFFICE] = {"office", "several users behind one address"},
    [LH_HARMLESS_PARALLEL] = {"parallel", "many sessions at a time, which log in"},
    [LH_HARMLESS_CHECK] = {"health-check", "connects and leaves"},
    [LH_HARMLESS_CLIENT] = {"old-client", "no common algorithm"},
    [LH_HARMLESS_LOGIN] = {"login", "logs in"},
};

const char *lh_attack_name(enum lh_attack kind)
{
    LH_ASSERT((unsigned)kind < LH_ATTACK_N_);
    return attacks[kind].name;
}

const char *lh_attack_words(enum lh_attack kind)
{
    LH_ASSERT((unsigned)kind < LH_ATTACK_N_);
    return attacks[kind].words;
}

const char *lh_harmless_name(enum lh_harmless kind)
{
    LH_ASSERT((unsigned)kind < LH_HARMLESS_N_);
    return harmless[kind].name;
}

const char *lh_harmless_words(enum lh_harmless kind)
{
    LH_ASSERT((unsigned)kind < LH_HARMLESS_N_);
    return harmless[kind].words;
}
