// SPDX-License-Identifier: Apache-2.0
//
// How it works. The report for people, 80 columns wide: alarms first, then a block of three or four
// lines for each source, then networks and users, what was taken for harmless, and advice. All
// timelines cover the same time, so that they can be compared by eye.
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/text.h"
#include "cmd/attacks/attacks.h"

#define WIDTH   80
#define COLUMNS 60 // of a timeline
#define INDENT  9

static char *time_text(int64_t time, char out[LH_CIVIL_TEXT])
{
    lh_civil_format(time, out);
    out[10] = ' ';
    out[16] = '\0';
    return out;
}

// With seconds; of the same day as `before` only the clock.
static char *clock_text(int64_t time, char out[LH_CIVIL_TEXT])
{
    lh_civil_format(time, out);
    out[10] = ' ';
    out[19] = '\0';
    return out;
}

static const char *later_text(int64_t before, int64_t time, char out[LH_CIVIL_TEXT])
{
    bool same_day = before / LH_WATCH_DAY == time / LH_WATCH_DAY;
    clock_text(time, out);
    return same_day ? out + 11 : out;
}

// "3 d", "12 min", "8 s".
static char *span_text(int64_t seconds, char *out, size_t room)
{
    if (seconds >= 2 * LH_WATCH_DAY)
        (void)snprintf(out, room, "%" PRId64 " d", seconds / LH_WATCH_DAY);
    else if (seconds >= 2 * LH_WATCH_HOUR)
        (void)snprintf(out, room, "%" PRId64 " h", seconds / LH_WATCH_HOUR);
    else if (seconds >= 2 * LH_WATCH_MINUTE)
        (void)snprintf(out, room, "%" PRId64 " min", seconds / LH_WATCH_MINUTE);
    else
        (void)snprintf(out, room, "%" PRId64 " s", seconds);
    return out;
}

static void print_timeline(const struct lh_attacks *a, const struct lh_timeline *line, FILE *out)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {" ", ".", ":", "-", "=", "+", "*", "%", "#"};
    const struct lh_watch_totals *totals = &a->watch->totals;
    const char *const *signs = a->plain ? ascii : blocks;
    uint64_t columns[COLUMNS];
    uint64_t most = 1;

    lh_timeline_columns(line, totals->first, totals->last, columns, COLUMNS);
    for (unsigned i = 0; i < COLUMNS; i++)
        most = LH_MAX(most, columns[i]);
    (void)fprintf(out, "%*s|", INDENT - 1, "");
    for (unsigned i = 0; i < COLUMNS; i++) {
        uint64_t height = columns[i] == 0 ? 0 : 1 + lh_muldiv(columns[i], 7, most);
        (void)fputs(signs[height], out);
    }
    (void)fputs("|\n", out);
}

// Words separated by ", ", broken into lines before the right border.
struct flow {
    FILE *out;
    unsigned column;
    bool first;
};

static void flow_begin(struct flow *flow, FILE *out, const char *head)
{
    (void)fprintf(out, "%*s%s", INDENT, "", head);
    *flow = (struct flow){.out = out, .column = (unsigned)(INDENT + strlen(head)), .first = true};
}

static void flow_put(struct flow *flow, const char *word)
{
    unsigned len = (unsigned)strlen(word);
    if (!flow->first) {
        (void)fputs(",", flow->out);
        flow->column++;
    }
    if (flow->column + len + 2 > WIDTH) {
        (void)fprintf(flow->out, "\n%*s", INDENT, "");
        flow->column = INDENT;
    } else if (!flow->first) {
        (void)fputs(" ", flow->out);
        flow->column++;
    }
    (void)fputs(word, flow->out);
    flow->column += len;
    flow->first = false;
}

static void flow_end(const struct flow *flow)
{
    (void)fputc('\n', flow->out);
}

// A user's name as one word: in quotes where it is more than that, with dots where it was cut.
static void flow_name(struct flow *flow, const char *name)
{
    char escaped[4 * LH_WATCH_NAME_MAX];
    char shown[4 * LH_WATCH_NAME_MAX + 8];
    bool cut = strlen(name) == LH_WATCH_NAME_MAX - 1;
    bool plain = name[0] != '\0' && strpbrk(name, " ,\"'") == NULL;

    lh_escape(name, strlen(name), escaped, sizeof escaped);
    (void)snprintf(shown, sizeof shown, "%s%s%s%s", plain ? "" : "\"", escaped, plain ? "" : "\"",
                   cut ? "..." : "");
    flow_put(flow, shown);
}

static void print_names(const struct lh_verdict *v, FILE *out)
{
    const struct lh_source *s = v->source;
    char head[64];
    struct flow flow;

    if (s->names_count == 0)
        return;
    (void)snprintf(head, sizeof head, v->users > 1 ? "%u users%s: " : "user ", v->users,
                   v->alphabetical ? " in alphabetical order" : "");
    flow_begin(&flow, out, head);
    for (unsigned i = 0; i < s->names_count; i++)
        flow_name(&flow, s->names[i]);
    if (v->users > s->names_count)
        flow_put(&flow, "...");
    flow_end(&flow);
}

// What else was counted, in words.
static void print_facts(const struct lh_verdict *v, FILE *out)
{
    static const struct {
        enum lh_watch_count count;
        const char *one;
        const char *more;
    } facts[] = {
        {LH_COUNT_PENALTY_DROPS, "shut out by a penalty", "shut out by penalties"},
        {LH_COUNT_DROPS, "dropped by MaxStartups", "dropped by MaxStartups"},
        {LH_COUNT_PENALTIES, "penalty", "penalties"},
        {LH_COUNT_TIMEOUTS, "login never finished", "logins never finished"},
        {LH_COUNT_NOISE, "not the SSH protocol", "not the SSH protocol"},
        {LH_COUNT_NEGOTIATE, "no common algorithm", "no common algorithm"},
        {LH_COUNT_BARE, "connected and left", "connected and left"},
        {LH_COUNT_CRASHES, "crash", "crashes"},
        {LH_COUNT_SUCCESSES, "login", "logins"},
    };
    const struct lh_source *s = v->source;
    char text[96];
    struct flow flow;

    (void)snprintf(text, sizeof text, "%" PRIu32 " connection%s", s->counts[LH_COUNT_CONNECTIONS],
                   s->counts[LH_COUNT_CONNECTIONS] == 1 ? "" : "s");
    flow_begin(&flow, out, text);
    flow.first = false;
    for (size_t i = 0; i < LH_ARRAY_LEN(facts); i++) {
        if (s->counts[facts[i].count] == 0)
            continue;
        uint32_t number = s->counts[facts[i].count];
        (void)snprintf(text, sizeof text, "%" PRIu32 " %s", number,
                       number == 1 ? facts[i].one : facts[i].more);
        flow_put(&flow, text);
    }
    if (s->port_steps >= 5 && 4 * s->port_near >= 3 * s->port_steps)
        flow_put(&flow, "contiguous ports");
    if (v->regular)
        flow_put(&flow, "regular gaps");
    flow_end(&flow);
}

// The first two and the last two lines, those of one file under its name.
static void print_evidence(const struct lh_attacks *a, const struct lh_source *s, FILE *out)
{
    char text[LH_ATTACKS_PLACE_TEXT];
    struct lh_place places[4];
    unsigned half = LH_WATCH_EVIDENCE_MAX / 2;
    unsigned count = 0;
    struct flow flow;

    for (unsigned i = 0; i < half && s->evidence[i].line != 0 && count < 2; i++)
        places[count++] = s->evidence[i];
    for (unsigned i = LH_WATCH_EVIDENCE_MAX - 2; i < LH_WATCH_EVIDENCE_MAX; i++) {
        const struct lh_place *place = lh_source_evidence(s, i);
        if (place->line != 0)
            places[count++] = *place;
    }
    flow_begin(&flow, out, "see ");
    for (unsigned i = 0; i < count; i++) {
        bool same_file = i > 0 && places[i].file == places[i - 1].file;
        bool journal = places[i].file >= a->logs->count;
        lh_attacks_place(a, &places[i], false, text);
        // Of the journal a place is its second: which several have.
        if (same_file && journal && places[i].line / 1000000 == places[i - 1].line / 1000000)
            continue;
        const char *shown = text;
        if (same_file)
            shown = 1 + (journal ? strchr(text, 'T') : strrchr(text, ':'));
        flow_put(&flow, shown);
    }
    flow_end(&flow);
}

static void print_source(const struct lh_attacks *a, const struct lh_verdict *v, FILE *out)
{
    char subject[LH_VERDICT_SUBJECT];
    char kinds[128];
    char first[LH_CIVIL_TEXT];
    char last[LH_CIVIL_TEXT];
    char span[24];

    (void)fprintf(out, "%7" PRIu32 "  %-40s %s, %u %%\n", v->tries, lh_verdict_subject(v, subject),
                  lh_attack_name(v->kind), v->confidence);
    (void)fprintf(out, "%*s%s to %s UTC (%s)\n", INDENT, "", clock_text(v->first, first),
                  later_text(v->first, v->last, last),
                  span_text(v->last - v->first, span, sizeof span));
    const char *others = strchr(lh_verdict_kinds(v, kinds, sizeof kinds), ' ');
    if (others != NULL)
        (void)fprintf(out, "%*salso %s\n", INDENT, "", others + 1);
    print_names(v, out);
    print_facts(v, out);
    print_timeline(a, &v->source->timeline, out);
    print_evidence(a, v->source, out);
    const char *guard = lh_verdict_guard(v);
    if (guard != NULL)
        (void)fprintf(out, "%*snever blocked: %s\n", INDENT, "", guard);
    (void)fputc('\n', out);
}

// Prints `text` in lines behind `indent` blanks.
static void print_wrapped(const char *text, unsigned indent, FILE *out)
{
    unsigned column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > WIDTH - indent) {
            (void)fputc('\n', out);
            column = 0;
        }
        if (column == 0)
            (void)fprintf(out, "%*s", (int)indent, "");
        (void)fprintf(out, "%s%.*s", column > 0 ? " " : "", (int)word, text);
        column += (unsigned)word + (column > 0);
        text += word;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

static void print_alarm(const struct lh_attacks *a, const struct lh_verdict *v, FILE *out)
{
    const struct lh_breach *breach = &v->source->breach;
    char subject[LH_VERDICT_SUBJECT];
    char when[LH_CIVIL_TEXT];
    char place[LH_ATTACKS_PLACE_TEXT];
    char user[4 * LH_WATCH_NAME_MAX];
    char text[512];

    lh_verdict_subject(v, subject);
    if (breach->time == 0) {
        uint32_t crashes = v->source->counts[LH_COUNT_CRASHES];
        (void)fprintf(out, "ALARM  %s\n       made a process of sshd's crash, %" PRIu32 " %s.\n\n",
                      subject, crashes, lh_plural(crashes, "time", "times"));
        return;
    }
    lh_escape(breach->user, strlen(breach->user), user, sizeof user);
    (void)fprintf(out, "ALARM  %s logged in\n", subject);
    (void)snprintf(
        text, sizeof text, "as \"%s\" at %s UTC by %s, after %" PRIu32 " %s%s.%s See %s.", user,
        time_text(breach->time, when), lh_watch_method_name(breach->method), breach->tries,
        lh_plural(breach->tries, "failure", "failures"), breach->others > 0 ? " of its own" : "",
        v->source->counts[LH_COUNT_PENALTIES] > 0
            ? " Penalties shut it out in between: what it tried then is not logged."
            : "",
        lh_attacks_place(a, &breach->place, false, place));
    print_wrapped(text, 7, out);
    if (breach->others > 0)
        (void)fprintf(out, "       %" PRIu32 " addresses had tried this user before.\n",
                      breach->others);
    (void)fputs("       Ask the user; until then end the sessions (loginctl terminate-user)\n"
                "       and lock the account (usermod -L -e 1).\n",
                out);
    const char *guard = lh_verdict_guard(v);
    if (guard != NULL) {
        (void)snprintf(text, sizeof text,
                       "--block leaves this address out: %s. If it was not the user, shut it out "
                       "by hand.",
                       guard);
        print_wrapped(text, 7, out);
    }
    (void)fputc('\n', out);
}

static void print_group(const struct lh_attacks *a, const struct lh_verdict *v, FILE *out)
{
    char subject[LH_VERDICT_SUBJECT];
    char first[LH_CIVIL_TEXT];
    char last[LH_CIVIL_TEXT];
    char place[LH_ATTACKS_PLACE_TEXT];
    const struct lh_place *first_place = v->user != NULL ? &v->user->place : &v->network->place;

    (void)fprintf(out, "%7" PRIu32 "  %s%-*s %u addresses, %u %%\n", v->tries,
                  v->user != NULL ? "user " : "", v->user != NULL ? 35 : 40,
                  lh_verdict_subject(v, subject), v->sources, v->confidence);
    (void)fprintf(out, "%*s%s to %s UTC", INDENT, "", clock_text(v->first, first),
                  later_text(v->first, v->last, last));
    if (v->network != NULL)
        (void)fprintf(out, ", %" PRIu32 " user%s", v->users, v->users == 1 ? "" : "s");
    (void)fprintf(out, "\n%*sfrom %s on\n", INDENT, "",
                  lh_attacks_place(a, first_place, false, place));
}

static void print_groups(const struct lh_attacks *a, FILE *out)
{
    const struct lh_judgement *j = a->judgement;
    size_t shown = 0;
    if (j->networks + j->users == 0)
        return;
    (void)fprintf(out, "Networks and users with many sources\n\n");
    for (size_t i = 0; i < j->count && (a->top == 0 || shown < a->top); i++) {
        if (j->verdicts[i].source == NULL) {
            print_group(a, &j->verdicts[i], out);
            shown++;
        }
    }
    if (shown < j->networks + j->users)
        (void)fprintf(out, "%*sand %zu more (--all)\n", INDENT, "", j->networks + j->users - shown);
    (void)fputc('\n', out);
}

static void print_harmless(const struct lh_attacks *a, FILE *out)
{
    const struct lh_judgement *j = a->judgement;
    size_t counts[LH_HARMLESS_N_] = {0};
    char text[LH_WATCH_ADDR_TEXT];

    for (size_t i = 0; i < j->harmless_count; i++)
        counts[j->harmless[i].kind]++;
    if (j->harmless_count > 0)
        (void)fprintf(out, "Not reported\n\n");
    for (unsigned kind = 0; kind < LH_HARMLESS_N_; kind++) {
        if (counts[kind] > 0)
            (void)fprintf(out, "%7zu  %-14s %s\n", counts[kind], lh_harmless_name(kind),
                          lh_harmless_words(kind));
    }
    for (size_t i = 0; a->harmless && i < j->harmless_count; i++) {
        const struct lh_source *s = j->harmless[i].source;
        uint32_t connections = s->counts[LH_COUNT_CONNECTIONS];
        uint32_t logins = s->counts[LH_COUNT_SUCCESSES];
        (void)fprintf(out, "%*s%-14s %s: %" PRIu32 " %s, %" PRIu32 " %s, %" PRIu32 " %s\n", INDENT,
                      "", lh_harmless_name(j->harmless[i].kind),
                      lh_watch_addr_format(&s->addr, text), connections,
                      lh_plural(connections, "connection", "connections"), lh_source_tries(s),
                      lh_plural(lh_source_tries(s), "try", "tries"), logins,
                      lh_plural(logins, "login", "logins"));
    }
    if (j->harmless_count > 0)
        (void)fputc('\n', out);
}

static void print_advice(const struct lh_attacks *a, FILE *out)
{
    struct lh_advice advice[LH_ADVICE_MAX];
    size_t count = lh_attacks_advise(a, advice);
    if (count > 0)
        (void)fprintf(out, "Advice\n\n");
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(out, "  %s\n", advice[i].setting);
        print_wrapped(advice[i].why, 4, out);
    }
    if (count > 0)
        (void)fputc('\n', out);
}

static void print_head(const struct lh_attacks *a, FILE *out)
{
    const struct lh_watch_totals *t = &a->watch->totals;
    const struct lh_judgement *j = a->judgement;
    char first[LH_CIVIL_TEXT];
    char last[LH_CIVIL_TEXT];
    char span[24];

    (void)fprintf(out, "Attacks on sshd");
    if (t->messages == 0) {
        (void)fprintf(out, ": no message of sshd's in %" PRIu64 " lines.\n", t->lines);
        return;
    }
    (void)fprintf(out, ", %s to %s UTC (%s)\n", time_text(t->first, first),
                  time_text(t->last, last), span_text(t->last - t->first, span, sizeof span));
    (void)fprintf(
        out, "%" PRIu64 " %s, %" PRIu64 " of sshd's: %" PRIu64 " %s, %" PRIu64 " %s, %zu %s.\n",
        t->lines, lh_plural(t->lines, "line", "lines"), t->messages, t->half_tries / 2,
        lh_plural(t->half_tries / 2, "try", "tries"), t->successes,
        lh_plural(t->successes, "login", "logins"), j->sources,
        lh_plural(j->sources, "source attacks", "sources attack"));
    if (t->ambiguous > 0)
        (void)fprintf(out, "%" PRIu64 " %s for nobody.\n", t->ambiguous,
                      lh_plural(t->ambiguous, "line can be read in two ways and is counted",
                                "lines can be read in two ways and are counted"));
    if (t->throttled > 0)
        (void)fprintf(out, "%" PRIu64 " more %s dropped; the log does not say whose.\n",
                      t->throttled, lh_plural(t->throttled, "connection was", "connections were"));
    uint64_t forgotten = a->watch->sources.forgotten;
    if (forgotten > 0)
        (void)fprintf(
            out, "%" PRIu64 " %s forgotten to save memory.\n", forgotten,
            lh_plural(forgotten, "source with few tries was", "sources with few tries were"));
    (void)fputc('\n', out);
}

// With what the timelines cover.
static void print_sources_head(const struct lh_attacks *a, FILE *out)
{
    const struct lh_watch_totals *t = &a->watch->totals;
    char first[LH_CIVIL_TEXT];
    char last[LH_CIVIL_TEXT];
    bool same_day = t->first / LH_WATCH_DAY == t->last / LH_WATCH_DAY;

    time_text(t->first, first);
    time_text(t->last, last);
    const char *end = same_day ? last + 11 : last;
    (void)fprintf(out, "  Tries  %-40s What, how sure\n", "Source");
    (void)fprintf(out, "%*s%s%*s\n\n", INDENT, "", first, COLUMNS - (int)strlen(first), end);
}

void lh_attacks_text(const struct lh_attacks *a, FILE *out)
{
    const struct lh_judgement *j = a->judgement;
    size_t shown = 0;

    print_head(a, out);
    for (size_t i = 0; i < j->count; i++) {
        if (j->verdicts[i].source != NULL && j->verdicts[i].severity == LH_SEVERITY_ALARM)
            print_alarm(a, &j->verdicts[i], out);
    }
    if (j->sources > 0)
        print_sources_head(a, out);
    for (size_t i = 0; i < j->count && (a->top == 0 || shown < a->top); i++) {
        if (j->verdicts[i].source != NULL) {
            print_source(a, &j->verdicts[i], out);
            shown++;
        }
    }
    if (shown < j->sources)
        (void)fprintf(out, "%*sand %zu more sources (--all)\n\n", INDENT, "", j->sources - shown);
    print_groups(a, out);
    print_harmless(a, out);
    print_advice(a, out);
}
