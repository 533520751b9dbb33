// SPDX-License-Identifier: Apache-2.0
//
// How it works. Output for programs: JSON, one object a line (a head, then verdicts), and CSV with
// the same figures. Everything that strangers chose is escaped before it is quoted, so that a name
// can end neither a string nor a line.
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/attacks/attacks.h"

static const struct {
    const char *name;
    enum lh_watch_count count;
} columns[] = {
    {"connections", LH_COUNT_CONNECTIONS},
    {"passwords", LH_COUNT_PASSWORDS},
    {"keys", LH_COUNT_KEYS},
    {"invalid_users", LH_COUNT_INVALID},
    {"root", LH_COUNT_ROOT},
    {"noise", LH_COUNT_NOISE},
    {"no_common_algorithm", LH_COUNT_NEGOTIATE},
    {"bare", LH_COUNT_BARE},
    {"timeouts", LH_COUNT_TIMEOUTS},
    {"dropped", LH_COUNT_DROPS},
    {"dropped_by_penalty", LH_COUNT_PENALTY_DROPS},
    {"penalties", LH_COUNT_PENALTIES},
    {"crashes", LH_COUNT_CRASHES},
    {"logins", LH_COUNT_SUCCESSES},
};

static const char *const severities[] = {
    [LH_SEVERITY_LOOK] = "look", [LH_SEVERITY_ATTACK] = "attack", [LH_SEVERITY_ALARM] = "alarm"};

static void member_text(const char *name, const char *text, FILE *out)
{
    (void)fprintf(out, ",\"%s\":", name);
    lh_json_text(text, strlen(text), out);
}

static void member_time(const char *name, int64_t time, FILE *out)
{
    char text[LH_CIVIL_TEXT];
    (void)fprintf(out, ",\"%s\":\"%s\"", name, lh_civil_format(time, text));
}

static void json_breach(const struct lh_attacks *a, const struct lh_breach *breach, FILE *out)
{
    char text[LH_CIVIL_TEXT];
    char place[LH_ATTACKS_PLACE_TEXT];
    if (breach->time == 0)
        return;
    (void)fprintf(out, ",\"breach\":{\"time\":\"%s\"", lh_civil_format(breach->time, text));
    member_text("user", breach->user, out);
    member_text("method", lh_watch_method_name(breach->method), out);
    (void)fprintf(out, ",\"failures\":%" PRIu32 ",\"other_sources\":%" PRIu32, breach->tries,
                  breach->others);
    member_text("place", lh_attacks_place(a, &breach->place, true, place), out);
    (void)fputc('}', out);
}

static void json_source(const struct lh_attacks *a, const struct lh_verdict *v, FILE *out)
{
    const struct lh_source *s = v->source;
    char text[LH_ATTACKS_PLACE_TEXT];
    const char *comma = "";

    for (size_t i = 0; i < LH_ARRAY_LEN(columns); i++)
        (void)fprintf(out, ",\"%s\":%" PRIu32, columns[i].name, s->counts[columns[i].count]);
    (void)fprintf(out, ",\"alphabetical\":%s,\"regular\":%s,\"user_names\":[",
                  v->alphabetical ? "true" : "false", v->regular ? "true" : "false");
    for (unsigned i = 0; i < s->names_count; i++) {
        (void)fputs(comma, out);
        lh_json_text(s->names[i], strlen(s->names[i]), out);
        comma = ",";
    }
    (void)fputs("],\"evidence\":[", out);
    comma = "";
    for (unsigned i = 0; i < LH_WATCH_EVIDENCE_MAX; i++) {
        const struct lh_place *place = lh_source_evidence(s, i);
        if (place->line == 0)
            continue;
        (void)fputs(comma, out);
        lh_attacks_place(a, place, true, text);
        lh_json_text(text, strlen(text), out);
        comma = ",";
    }
    (void)fputs("]", out);
    json_breach(a, &s->breach, out);
}

void lh_verdict_json(const struct lh_attacks *a, const struct lh_verdict *v, FILE *out)
{
    char subject[LH_VERDICT_SUBJECT];
    const char *kind = v->source != NULL ? "source" : v->network != NULL ? "network" : "user";
    const char *comma = "";

    (void)fprintf(out, "{\"type\":\"%s\"", kind);
    member_text(v->source != NULL ? "address" : kind, lh_verdict_subject(v, subject), out);
    member_text("kind", lh_attack_name(v->kind), out);
    (void)fputs(",\"kinds\":[", out);
    for (unsigned i = 0; i < LH_ATTACK_N_; i++) {
        if ((v->kinds & 1u << i) == 0)
            continue;
        (void)fprintf(out, "%s\"%s\"", comma, lh_attack_name(i));
        comma = ",";
    }
    (void)fprintf(
        out, "],\"severity\":\"%s\",\"confidence\":%u,\"tries\":%" PRIu32 ",\"users\":%" PRIu32,
        severities[v->severity], v->confidence, v->tries, v->users);
    if (v->source == NULL)
        (void)fprintf(out, ",\"sources\":%" PRIu32, v->sources);
    member_time("first", v->first, out);
    member_time("last", v->last, out);
    const char *guard = lh_verdict_guard(v);
    if (guard != NULL)
        member_text("never_blocked", guard, out);
    if (v->source != NULL) {
        json_source(a, v, out);
    } else {
        char place[LH_ATTACKS_PLACE_TEXT];
        lh_attacks_place(a, v->user != NULL ? &v->user->place : &v->network->place, true, place);
        (void)fputs(",\"evidence\":[", out);
        lh_json_text(place, strlen(place), out);
        (void)fputc(']', out);
    }
    (void)fputs("}\n", out);
}

static void json_head(const struct lh_attacks *a, FILE *out)
{
    const struct lh_watch_totals *t = &a->watch->totals;
    const struct lh_judgement *j = a->judgement;

    (void)fprintf(out, "{\"type\":\"summary\",\"version\":1");
    member_text("host", a->host, out);
    member_time("generated", a->now, out);
    if (t->messages > 0) {
        member_time("first", t->first, out);
        member_time("last", t->last, out);
    }
    (void)fprintf(out,
                  ",\"lines\":%" PRIu64 ",\"sshd_lines\":%" PRIu64 ",\"tries\":%" PRIu64
                  ",\"logins\":%" PRIu64 ",\"ambiguous\":%" PRIu64 ",\"throttled\":%" PRIu64
                  ",\"sources\":%zu,\"networks\":%zu,\"users\":%zu"
                  ",\"alarms\":%zu,\"harmless\":%zu}\n",
                  t->lines, t->messages, t->half_tries / 2, t->successes, t->ambiguous,
                  t->throttled, j->sources, j->networks, j->users, j->alarms, j->harmless_count);
}

static void json_harmless(const struct lh_harmless_row *row, FILE *out)
{
    char text[LH_WATCH_ADDR_TEXT];
    const struct lh_source *s = row->source;
    (void)fprintf(
        out, "{\"type\":\"harmless\",\"address\":\"%s\",\"kind\":\"%s\",\"tries\":%" PRIu32,
        lh_watch_addr_format(&s->addr, text), lh_harmless_name(row->kind), lh_source_tries(s));
    for (size_t i = 0; i < LH_ARRAY_LEN(columns); i++)
        (void)fprintf(out, ",\"%s\":%" PRIu32, columns[i].name, s->counts[columns[i].count]);
    member_time("first", s->first, out);
    member_time("last", s->last, out);
    (void)fputs("}\n", out);
}

static void json_advice(const struct lh_attacks *a, FILE *out)
{
    struct lh_advice advice[LH_ADVICE_MAX];
    size_t count = lh_attacks_advise(a, advice);
    for (size_t i = 0; i < count; i++) {
        (void)fputs("{\"type\":\"advice\"", out);
        member_text("setting", advice[i].setting, out);
        member_text("why", advice[i].why, out);
        (void)fputs("}\n", out);
    }
}

void lh_attacks_json(const struct lh_attacks *a, FILE *out)
{
    const struct lh_judgement *j = a->judgement;
    json_head(a, out);
    for (size_t i = 0; i < j->count; i++)
        lh_verdict_json(a, &j->verdicts[i], out);
    for (size_t i = 0; a->harmless && i < j->harmless_count; i++)
        json_harmless(&j->harmless[i], out);
    json_advice(a, out);
}

// A field in quotes, which are doubled inside; a text that a spreadsheet would take for a formula
// gets an apostrophe.
static void csv_text(const char *text, FILE *out)
{
    char escaped[1024];
    lh_escape(text, strlen(text), escaped, sizeof escaped);
    (void)fputc('"', out);
    if (strchr("=+-@", escaped[0]) != NULL && escaped[0] != '\0')
        (void)fputc('\'', out);
    for (const char *at = escaped; *at != '\0'; at++) {
        if (*at == '"')
            (void)fputc('"', out);
        (void)fputc(*at, out);
    }
    (void)fputc('"', out);
}

static void csv_names(const struct lh_source *s, FILE *out)
{
    char names[LH_WATCH_NAMES * (LH_WATCH_NAME_MAX + 1) + 1] = "";
    size_t used = 0;
    for (unsigned i = 0; i < s->names_count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? " " : "",
                                 s->names[i]);
    csv_text(names, out);
}

void lh_attacks_csv(const struct lh_attacks *a, FILE *out)
{
    const struct lh_judgement *j = a->judgement;
    char text[128];
    char time[LH_CIVIL_TEXT];

    (void)fputs(
        "type,subject,kind,kinds,severity,confidence,tries,users,sources,first,last,never_blocked",
        out);
    for (size_t i = 0; i < LH_ARRAY_LEN(columns); i++)
        (void)fprintf(out, ",%s", columns[i].name);
    (void)fputs(",user_names\r\n", out);
    for (size_t i = 0; i < j->count; i++) {
        const struct lh_verdict *v = &j->verdicts[i];
        (void)fprintf(out, "%s,",
                      v->source != NULL    ? "source"
                      : v->network != NULL ? "network"
                                           : "user");
        csv_text(lh_verdict_subject(v, text), out);
        (void)fprintf(out, ",%s,", lh_attack_name(v->kind));
        csv_text(lh_verdict_kinds(v, text, sizeof text), out);
        (void)fprintf(out, ",%s,%u,%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%s", severities[v->severity],
                      v->confidence, v->tries, v->users, v->source != NULL ? 1 : v->sources,
                      lh_civil_format(v->first, time));
        (void)fprintf(out, ",%s,", lh_civil_format(v->last, time));
        csv_text(lh_verdict_guard(v) != NULL ? lh_verdict_guard(v) : "", out);
        for (size_t k = 0; k < LH_ARRAY_LEN(columns); k++)
            (void)fprintf(out, ",%" PRIu32,
                          v->source != NULL ? v->source->counts[columns[k].count] : 0);
        (void)fputc(',', out);
        if (v->source != NULL)
            csv_names(v->source, out);
        (void)fputs("\r\n", out);
    }
}
