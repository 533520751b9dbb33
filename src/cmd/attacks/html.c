// SPDX-License-Identifier: Apache-2.0
//
// How it works. One page that needs nothing from elsewhere: style in its head, the picture as SVG
// in its body, no script. The picture shows tries over time as bars, logins below, and a row of
// marks for each of the first sources. Everything that strangers chose is escaped twice: controls
// by lh_escape, then HTML's own signs. Colours are readable in light and dark and not the only
// carrier of a meaning.
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/text.h"
#include "cmd/attacks/attacks.h"

#define WIDTH 960 // of the picture
#define LEFT  190 // where the time axis begins: names stand before it
#define PLOT  (WIDTH - LEFT - 10)
#define TALL  120 // of the bars
#define ROW   18
#define BARS  110
#define ROWS  15 // sources with a row of their own

static void html_text(const char *text, FILE *out)
{
    char escaped[1024];
    lh_escape(text, strlen(text), escaped, sizeof escaped);
    for (const char *at = escaped; *at != '\0'; at++) {
        switch (*at) {
        case '<':
            (void)fputs("&lt;", out);
            break;
        case '>':
            (void)fputs("&gt;", out);
            break;
        case '&':
            (void)fputs("&amp;", out);
            break;
        case '"':
            (void)fputs("&quot;", out);
            break;
        case '\'':
            (void)fputs("&#39;", out);
            break;
        default:
            (void)fputc(*at, out);
        }
    }
}

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ink:#1d2430;--soft:#5b6675;--line:#d7dde5;--paper:#fff;--card:#f5f7fa;"
    "--try:#c4462f;--login:#2b7a5b;--alarm:#a3141f}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#39424f;--paper:#"
    "14181e;"
    "--card:#1d232c;--try:#ef7d65;--login:#5cc39a;--alarm:#ff7b83}}"
    "body{font:15px/1.45 system-ui,'DejaVu "
    "Sans',sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;"
    "max-width:60rem;padding:0 1rem}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .6rem}"
    "p.sub{color:var(--soft);margin:.2rem 0 1.2rem}"
    ".figures{display:flex;gap:1rem;flex-wrap:wrap;margin:1rem 0}"
    ".figures div{background:var(--card);border:1px solid "
    "var(--line);border-radius:8px;padding:.5rem .9rem;min-width:6.5rem}"
    ".figures b{display:block;font-size:1.35rem}.figures span{color:var(--soft);font-size:.85rem}"
    ".alarm{border:2px solid var(--alarm);border-radius:8px;padding:.7rem 1rem;margin:.8rem 0}"
    ".alarm b{color:var(--alarm)}"
    "table{border-collapse:collapse;width:100%;font-size:.9rem}th{text-align:left;color:var(--soft)"
    ";font-weight:600}"
    "th,td{padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}"
    "td.w,td.s "
    "code{white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{"
    "font-size:.92em;overflow-"
    "wrap:anywhere}"
    "th.k{min-width:9rem}small{color:var(--soft)}svg{width:100%;height:auto;background:var(--card);"
    "border:1px solid "
    "var(--line);border-radius:8px}"
    "svg text{fill:var(--soft);font:11px system-ui,'DejaVu "
    "Sans',sans-serif}.t{fill:var(--try)}.l{fill:var(--login)}"
    ".g{stroke:var(--line);stroke-width:1}";

static char *short_time(int64_t time, char out[LH_CIVIL_TEXT])
{
    lh_civil_format(time, out);
    out[10] = ' ';
    out[16] = '\0';
    return out;
}

// Bars of one timeline whose feet stand at `foot` and whose largest is `tall` high. Returns what
// that one stands for.
static uint64_t svg_bars(const struct lh_attacks *a,
                         const struct lh_timeline *line,
                         unsigned foot,
                         unsigned tall,
                         const char *class_name,
                         FILE *out)
{
    const struct lh_watch_totals *t = &a->watch->totals;
    uint64_t columns[BARS];
    uint64_t most = 1;
    lh_timeline_columns(line, t->first, t->last, columns, BARS);
    for (unsigned i = 0; i < BARS; i++)
        most = LH_MAX(most, columns[i]);
    for (unsigned i = 0; i < BARS; i++) {
        if (columns[i] == 0)
            continue;
        unsigned height = (unsigned)LH_MAX(lh_muldiv(columns[i], tall, most), UINT64_C(2));
        (void)fprintf(out, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"/>",
                      class_name, LEFT + i * PLOT / BARS, foot - height, PLOT / BARS, height);
    }
    return most;
}

static void svg_axis(const struct lh_attacks *a, unsigned top, unsigned bottom, FILE *out)
{
    const struct lh_watch_totals *t = &a->watch->totals;
    char text[LH_CIVIL_TEXT];
    for (unsigned i = 0; i <= 4; i++) {
        unsigned x = LEFT + i * PLOT / 4;
        const char *anchor = i == 0 ? "start" : i == 4 ? "end" : "middle";
        (void)fprintf(out, "<line class=\"g\" x1=\"%u\" y1=\"%u\" x2=\"%u\" y2=\"%u\"/>", x, top, x,
                      bottom);
        (void)fprintf(out, "<text x=\"%u\" y=\"%u\" text-anchor=\"%s\">%s</text>", x, bottom + 14,
                      anchor, short_time(t->first + (t->last - t->first) * (int64_t)i / 4, text));
    }
}

static void html_picture(const struct lh_attacks *a, FILE *out)
{
    const struct lh_judgement *j = a->judgement;
    unsigned rows = (unsigned)LH_MIN(j->sources, (size_t)ROWS);
    unsigned bars_foot = 16 + TALL;
    unsigned rows_top = bars_foot + 36;
    unsigned height = rows_top + rows * ROW + 30;
    char subject[LH_VERDICT_SUBJECT];
    unsigned row = 0;

    (void)fprintf(
        out, "<svg viewBox=\"0 0 %u %u\" role=\"img\" aria-label=\"tries and logins over time\">",
        WIDTH, height);
    svg_axis(a, 10, height - 24, out);
    (void)fprintf(out, "<text x=\"10\" y=\"%u\">tries</text><text x=\"10\" y=\"%u\">logins</text>",
                  bars_foot, bars_foot + 22);
    uint64_t most = svg_bars(a, &a->watch->totals.tries, bars_foot, TALL, "t", out);
    // Tries are counted in halves.
    (void)fprintf(out,
                  "<text x=\"%u\" y=\"%u\" text-anchor=\"end\">%" PRIu64 "</text>"
                  "<text x=\"%u\" y=\"%u\" text-anchor=\"end\">0</text>",
                  LEFT - 6, bars_foot - TALL + 8, (most + 1) / 2, LEFT - 6, bars_foot);
    (void)svg_bars(a, &a->watch->totals.logins, bars_foot + 24, 14, "l", out);
    for (size_t i = 0; i < j->count && row < rows; i++) {
        const struct lh_verdict *v = &j->verdicts[i];
        if (v->source == NULL)
            continue;
        unsigned foot = rows_top + row * ROW + ROW - 4;
        (void)fprintf(out, "<text x=\"10\" y=\"%u\">%s</text>", foot,
                      lh_verdict_subject(v, subject));
        (void)svg_bars(a, &v->source->timeline, foot, ROW - 6, "t", out);
        row++;
    }
    (void)fputs("</svg>\n", out);
}

static void html_alarms(const struct lh_attacks *a, FILE *out)
{
    char text[LH_ATTACKS_PLACE_TEXT];
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (v->source == NULL || v->severity != LH_SEVERITY_ALARM)
            continue;
        const struct lh_breach *breach = &v->source->breach;
        (void)fprintf(out, "<div class=\"alarm\"><b>Alarm:</b> <code>%s</code> ",
                      lh_verdict_subject(v, text));
        if (breach->time == 0) {
            (void)fprintf(out, "made a process of sshd's crash, %" PRIu32 " %s.</div>\n",
                          v->source->counts[LH_COUNT_CRASHES],
                          lh_plural(v->source->counts[LH_COUNT_CRASHES], "time", "times"));
            continue;
        }
        (void)fputs("logged in as <code>", out);
        html_text(breach->user, out);
        (void)fprintf(out, "</code> at %s UTC by %s", short_time(breach->time, text),
                      lh_watch_method_name(breach->method));
        (void)fprintf(out, ", after %" PRIu32 " %s", breach->tries,
                      lh_plural(breach->tries, "failure", "failures"));
        if (breach->others > 0)
            (void)fprintf(out, "; %" PRIu32 " addresses had tried this user before",
                          breach->others);
        if (v->source->counts[LH_COUNT_PENALTIES] > 0)
            (void)fputs("; what it tried while penalties shut it out is not logged", out);
        (void)fputs(".<br><small>", out);
        html_text(lh_attacks_place(a, &breach->place, true, text), out);
        if (lh_verdict_guard(v) != NULL) {
            (void)fputs("<br>--block leaves this address out: ", out);
            html_text(lh_verdict_guard(v), out);
            (void)fputs(". If it was not the user, shut it out by hand.", out);
        }
        (void)fputs("</small></div>\n", out);
    }
}

static void html_figures(const struct lh_attacks *a, FILE *out)
{
    const struct lh_watch_totals *t = &a->watch->totals;
    const struct {
        uint64_t value;
        const char *label;
    } figures[] = {
        {a->judgement->sources, "sources attack"},
        {t->half_tries / 2, "tries"},
        {t->successes, "logins"},
        {a->judgement->alarms, "alarms"},
        {t->families[LH_WATCH_DROP] + t->families[LH_WATCH_DROP_PENALTY] + t->throttled,
         "dropped by sshd"},
        {a->judgement->harmless_count, "harmless sources"},
    };
    (void)fputs("<div class=\"figures\">", out);
    for (size_t i = 0; i < LH_ARRAY_LEN(figures); i++)
        (void)fprintf(out, "<div><b>%" PRIu64 "</b><span>%s</span></div>", figures[i].value,
                      figures[i].label);
    (void)fputs("</div>\n", out);
}

// The lines of one file under its name, each on a line of its own where the file changes.
static void html_evidence(const struct lh_attacks *a, const struct lh_source *s, FILE *out)
{
    char text[LH_ATTACKS_PLACE_TEXT];
    const struct lh_place *before = NULL;
    for (unsigned i = 0; i < LH_WATCH_EVIDENCE_MAX; i++) {
        const struct lh_place *place = lh_source_evidence(s, i);
        if (place->line == 0)
            continue;
        bool journal = place->file >= a->logs->count;
        bool same = before != NULL && before->file == place->file;
        if (same && journal && before->line / 1000000 == place->line / 1000000)
            continue;
        lh_attacks_place(a, place, false, text);
        (void)fputs(before == NULL ? "" : same ? ", " : "<br>", out);
        html_text(same ? 1 + (journal ? strchr(text, 'T') : strrchr(text, ':')) : text, out);
        before = place;
    }
}

static void html_source_row(const struct lh_attacks *a, const struct lh_verdict *v, FILE *out)
{
    char text[LH_ATTACKS_PLACE_TEXT];
    const struct lh_source *s = v->source;
    (void)fprintf(out, "<tr><td class=\"s\"><code>%s</code>", lh_verdict_subject(v, text));
    if (lh_verdict_guard(v) != NULL) {
        (void)fputs("<br><small>never blocked: ", out);
        html_text(lh_verdict_guard(v), out);
        (void)fputs("</small>", out);
    }
    (void)fprintf(out, "</td><td class=\"n\">%" PRIu32 "</td><td>%s", v->tries,
                  lh_verdict_kinds(v, text, sizeof text));
    (void)fprintf(out, "<br><small>%u %%%s%s</small></td>", v->confidence,
                  v->alphabetical ? ", alphabetical" : "", v->regular ? ", regular" : "");
    (void)fputs("<td>", out);
    for (unsigned i = 0; i < s->names_count; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        html_text(s->names[i][0] != '\0' ? s->names[i] : "(empty)", out);
    }
    if (v->users > s->names_count)
        (void)fprintf(out, " <small>and others, %" PRIu32 " in all</small>", v->users);
    (void)fprintf(out, "</td><td class=\"w\">%s<br>", short_time(v->first, text));
    (void)fprintf(out, "%s</td><td><small>", short_time(v->last, text));
    html_evidence(a, s, out);
    (void)fputs("</small></td></tr>\n", out);
}

static void html_sources(const struct lh_attacks *a, FILE *out)
{
    size_t shown = 0;
    size_t most = a->top == 0 ? SIZE_MAX : 10 * a->top;
    if (a->judgement->sources == 0)
        return;
    (void)fputs("<h2>Sources</h2><table><tr><th>Source</th><th "
                "class=\"n\">Tries</th><th class=\"k\">What</th><th>Users</th>"
                "<th>First, last (UTC)</th><th>Evidence</th></tr>\n",
                out);
    for (size_t i = 0; i < a->judgement->count && shown < most; i++) {
        if (a->judgement->verdicts[i].source != NULL) {
            html_source_row(a, &a->judgement->verdicts[i], out);
            shown++;
        }
    }
    (void)fputs("</table>\n", out);
    if (shown < a->judgement->sources)
        (void)fprintf(out, "<p><small>and %zu more (--all)</small></p>\n",
                      a->judgement->sources - shown);
}

static void html_groups(const struct lh_attacks *a, FILE *out)
{
    char text[LH_VERDICT_SUBJECT];
    if (a->judgement->networks + a->judgement->users == 0)
        return;
    (void)fputs("<h2>Networks and users with many sources</h2><table><tr><th>What</th><th "
                "class=\"n\">Tries</th>"
                "<th class=\"n\">Addresses</th><th>First, last (UTC)</th></tr>\n",
                out);
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (v->source != NULL)
            continue;
        (void)fprintf(out, "<tr><td>%s <code>", v->user != NULL ? "user" : "network");
        html_text(lh_verdict_subject(v, text), out);
        (void)fprintf(out,
                      "</code></td><td class=\"n\">%" PRIu32 "</td><td class=\"n\">%" PRIu32
                      "</td><td>%s to ",
                      v->tries, v->sources, short_time(v->first, text));
        (void)fprintf(out, "%s</td></tr>\n", short_time(v->last, text));
    }
    (void)fputs("</table>\n", out);
}

static void html_rest(const struct lh_attacks *a, FILE *out)
{
    struct lh_advice advice[LH_ADVICE_MAX];
    size_t counts[LH_HARMLESS_N_] = {0};
    size_t count = lh_attacks_advise(a, advice);

    for (size_t i = 0; i < a->judgement->harmless_count; i++)
        counts[a->judgement->harmless[i].kind]++;
    if (a->judgement->harmless_count > 0)
        (void)fputs("<h2>Not reported</h2><table>\n", out);
    for (unsigned kind = 0; kind < LH_HARMLESS_N_; kind++) {
        if (counts[kind] > 0)
            (void)fprintf(out, "<tr><td class=\"n\">%zu</td><td>%s</td><td>%s</td></tr>\n",
                          counts[kind], lh_harmless_name(kind), lh_harmless_words(kind));
    }
    if (a->judgement->harmless_count > 0)
        (void)fputs("</table>\n", out);
    if (count > 0)
        (void)fputs("<h2>Advice</h2><table>\n", out);
    for (size_t i = 0; i < count; i++) {
        (void)fputs("<tr><td><code>", out);
        html_text(advice[i].setting, out);
        (void)fputs("</code></td><td>", out);
        html_text(advice[i].why, out);
        (void)fputs("</td></tr>\n", out);
    }
    if (count > 0)
        (void)fputs("</table>\n", out);
}

void lh_attacks_html(const struct lh_attacks *a, FILE *out)
{
    const struct lh_watch_totals *t = &a->watch->totals;
    char first[LH_CIVIL_TEXT];
    char last[LH_CIVIL_TEXT];
    char now[LH_CIVIL_TEXT];

    (void)fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width\">"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                "style-src 'unsafe-inline'\">"
                "<title>Attacks on sshd</title><style>",
                out);
    (void)fputs(style, out);
    (void)fputs("</style></head><body>\n<h1>Attacks on sshd at ", out);
    html_text(a->host, out);
    (void)fprintf(out, "</h1>\n<p class=\"sub\">%s to %s UTC, made %s UTC by lhctl attacks</p>\n",
                  short_time(t->first, first), short_time(t->last, last), short_time(a->now, now));
    html_alarms(a, out);
    html_figures(a, out);
    if (t->messages > 0)
        html_picture(a, out);
    html_sources(a, out);
    html_groups(a, out);
    html_rest(a, out);
    (void)fputs("</body></html>\n", out);
}
