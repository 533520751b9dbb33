// SPDX-License-Identifier: Apache-2.0
//
// How it works. A table of settings of sshd's, each with a test on what was seen and a sentence
// with the figures. Nothing is said that the log does not support.
#include <inttypes.h>

#include "base/cleanup.h"
#include "cmd/attacks/attacks.h"

// Writes the reason to `out->why` and returns true where the setting would have helped.
typedef bool advise(const struct lh_attacks *a, struct lh_advice *out);

static uint64_t seen(const struct lh_attacks *a, enum lh_watch_family family)
{
    return a->watch->totals.families[family];
}

static uint64_t passwords(const struct lh_attacks *a)
{
    const uint64_t *failed = a->watch->totals.failed;
    return failed[LH_WATCH_METHOD_PASSWORD] + failed[LH_WATCH_METHOD_KEYBOARD];
}

static size_t with_kind(const struct lh_attacks *a, enum lh_attack kind)
{
    size_t count = 0;
    for (size_t i = 0; i < a->judgement->count; i++)
        count += a->judgement->verdicts[i].source != NULL &&
                 (a->judgement->verdicts[i].kinds & 1u << kind) != 0;
    return count;
}

static bool log_level(const struct lh_attacks *a, struct lh_advice *out)
{
    if (seen(a, LH_WATCH_CONNECTED) > 0 || a->watch->totals.messages == 0)
        return false;
    (void)snprintf(out->why, sizeof out->why,
                   "At INFO sshd does not log a wrong key of a user who exists, nor who connected: "
                   "a try shows only in the last line of its connection, if at all.");
    return true;
}

static bool no_passwords(const struct lh_attacks *a, struct lh_advice *out)
{
    if (passwords(a) == 0 || a->judgement->sources == 0)
        return false;
    (void)snprintf(out->why, sizeof out->why,
                   "%" PRIu64 " %s tried. Keys cannot be guessed. %" PRIu64
                   " %s by password would need a key first.",
                   passwords(a), lh_plural(passwords(a), "password was", "passwords were"),
                   a->watch->totals.password_successes,
                   lh_plural(a->watch->totals.password_successes, "login", "logins"));
    return true;
}

static bool no_root(const struct lh_attacks *a, struct lh_advice *out)
{
    if (a->watch->totals.root_tries == 0 || a->judgement->sources == 0)
        return false;
    (void)snprintf(out->why, sizeof out->why, "%" PRIu64 " %s tried to log in as root.",
                   a->watch->totals.root_tries,
                   lh_plural(a->watch->totals.root_tries, "connection", "connections"));
    return true;
}

static bool allow_users(const struct lh_attacks *a, struct lh_advice *out)
{
    if (with_kind(a, LH_ATTACK_DICTIONARY) + with_kind(a, LH_ATTACK_SPRAY) +
            with_kind(a, LH_ATTACK_MANY) ==
        0)
        return false;
    (void)snprintf(out->why, sizeof out->why,
                   "Many user names were tried. A list of those who transfer files here leaves no "
                   "others to guess.");
    return true;
}

static bool max_auth_tries(const struct lh_attacks *a, struct lh_advice *out)
{
    if (seen(a, LH_WATCH_MAX_TRIES) == 0)
        return false;
    (void)snprintf(
        out->why, sizeof out->why,
        "%" PRIu64
        " %s all tries. Those with more than three keys in their agent then need IdentitiesOnly.",
        seen(a, LH_WATCH_MAX_TRIES),
        lh_plural(seen(a, LH_WATCH_MAX_TRIES), "line tells of a connection that used up",
                  "lines tell of connections that used up"));
    return true;
}

static bool grace_time(const struct lh_attacks *a, struct lh_advice *out)
{
    // OpenSSH before 9.8 does not say that the time ran out: then the log ends after the
    // connection.
    uint64_t held = 0;
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (v->source != NULL && (v->kinds & 1u << LH_ATTACK_STALL) != 0)
            held += (uint64_t)v->source->counts[LH_COUNT_TIMEOUTS] + v->silent;
    }
    if (held == 0)
        return false;
    (void)snprintf(out->why, sizeof out->why,
                   "%" PRIu64 " %s held open without a login until time ran out.", held,
                   lh_plural(held, "connection was", "connections were"));
    return true;
}

static bool per_source_startups(const struct lh_attacks *a, struct lh_advice *out)
{
    if (with_kind(a, LH_ATTACK_FLOOD) == 0)
        return false;
    (void)snprintf(
        out->why, sizeof out->why,
        "%zu %s opened connections in masses; a bound for each source leaves room for the others.",
        with_kind(a, LH_ATTACK_FLOOD),
        lh_plural(with_kind(a, LH_ATTACK_FLOOD), "source", "sources"));
    return true;
}

static bool penalties(const struct lh_attacks *a, struct lh_advice *out)
{
    if (seen(a, LH_WATCH_PENALTY) + seen(a, LH_WATCH_DROP_PENALTY) > 0 ||
        a->judgement->sources == 0)
        return false;
    (void)snprintf(out->why, sizeof out->why,
                   "OpenSSH 9.8 and later shut a source out after a few failures by itself; the "
                   "log shows none of it. "
                   "Print settings with --block penalties.");
    return true;
}

static bool penalty_exempt(const struct lh_attacks *a, struct lh_advice *out)
{
    char text[LH_WATCH_ADDR_TEXT];
    for (size_t i = 0; i < a->judgement->harmless_count; i++) {
        const struct lh_source *s = a->judgement->harmless[i].source;
        if (s->counts[LH_COUNT_PENALTY_DROPS] == 0)
            continue;
        (void)snprintf(
            out->why, sizeof out->why, "%s looks harmless (%s), and was shut out %" PRIu32 " %s.",
            lh_watch_addr_format(&s->addr, text), lh_harmless_name(a->judgement->harmless[i].kind),
            s->counts[LH_COUNT_PENALTY_DROPS],
            lh_plural(s->counts[LH_COUNT_PENALTY_DROPS], "time", "times"));
        return true;
    }
    return false;
}

static bool max_startups(const struct lh_attacks *a, struct lh_advice *out)
{
    for (size_t i = 0; i < a->judgement->harmless_count; i++) {
        const struct lh_source *s = a->judgement->harmless[i].source;
        if (s->counts[LH_COUNT_DROPS] == 0)
            continue;
        (void)snprintf(out->why, sizeof out->why,
                       "%" PRIu32
                       " %s dropped, of users who do log in: many sessions begin at a time here.",
                       s->counts[LH_COUNT_DROPS],
                       lh_plural(s->counts[LH_COUNT_DROPS], "connection was", "connections were"));
        return true;
    }
    return false;
}

size_t lh_attacks_advise(const struct lh_attacks *attacks, struct lh_advice out[LH_ADVICE_MAX])
{
    static const struct {
        const char *setting;
        advise *when;
    } rows[] = {
        {"LogLevel VERBOSE", log_level},
        {"PasswordAuthentication no, KbdInteractiveAuthentication no", no_passwords},
        {"PermitRootLogin no", no_root},
        {"AllowUsers (or AllowGroups) with those who transfer files", allow_users},
        {"MaxAuthTries 3", max_auth_tries},
        {"LoginGraceTime 30", grace_time},
        {"PerSourceMaxStartups 10", per_source_startups},
        {"PerSourcePenalties", penalties},
        {"PerSourcePenaltyExemptList", penalty_exempt},
        {"MaxStartups 100:30:200", max_startups},
    };
    size_t count = 0;
    _Static_assert(LH_ARRAY_LEN(rows) <= LH_ADVICE_MAX, "room for all advice");
    for (size_t i = 0; i < LH_ARRAY_LEN(rows); i++) {
        out[count].setting = rows[i].setting;
        if (rows[i].when(attacks, &out[count]))
            count++;
    }
    return count;
}
