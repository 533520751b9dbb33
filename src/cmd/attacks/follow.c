// SPDX-License-Identifier: Apache-2.0
//
// How it works. Lines come from a file that is followed, or from journalctl --follow. After new
// lines, but at most once in args->interval seconds, everything is judged and what is new is told:
// a source's kinds that were not told before. The state is written together with the place up to
// which it holds, so that after kill -9 the next run reads on from exactly there: no line is
// counted twice, none is lost. What was told is part of the state, which is therefore written at
// once when something was; else once a minute and at the end, since it may be tens of megabytes.
#include "cmd/attacks/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/clock.h"
#include "watchio/follow.h"
#include "watchio/journalctl.h"
#include "watchio/statefile.h"

#define SAVE_EVERY (60 * LH_SECOND)

static volatile sig_atomic_t stop_asked;

static void ask_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

struct following {
    const struct lh_attacks_args *args;
    struct lh_attacks attacks;
    struct lh_feed *feed;
    struct lh_progress progress;
    bool changed;     // since the last judgement
    bool unsaved;     // something is known that the state's file does not say
    bool save_failed; // the last time; it was told
    lh_ns next_judge; // not before
    lh_ns next_save;  // at the latest
    struct lh_errinfo *info;
};

static lh_err feed_line(void *context, struct lh_span line, uint64_t number)
{
    struct following *f = context;
    (void)lh_feed_line(f->feed, line, number);
    if (line.len > 0 && line.at[0] == '{' && f->feed->entry.cursor[0] != '\0')
        memcpy(f->progress.cursor, f->feed->entry.cursor, sizeof f->progress.cursor);
    f->changed = f->unsaved = true;
    return 0;
}

static void tell(const struct following *f, const struct lh_verdict *v)
{
    static const char *const words[] = {[LH_SEVERITY_LOOK] = "look",
                                        [LH_SEVERITY_ATTACK] = "attack",
                                        [LH_SEVERITY_ALARM] = "ALARM"};
    char subject[LH_VERDICT_SUBJECT];
    char kinds[128];
    char when[LH_CIVIL_TEXT];
    char user[4 * LH_WATCH_NAME_MAX];

    if (f->args->json) {
        lh_verdict_json(&f->attacks, v, stdout);
        return;
    }
    (void)printf("%s %s %s: %s, %" PRIu32 " %s, %" PRIu32 " %s, %u %%",
                 lh_civil_format(v->last, when), words[v->severity], lh_verdict_subject(v, subject),
                 lh_verdict_kinds(v, kinds, sizeof kinds), v->tries,
                 lh_plural(v->tries, "try", "tries"), v->users,
                 lh_plural(v->users, "user", "users"), v->confidence);
    if (v->source->breach.time != 0)
        (void)printf(
            ", logged in as \"%s\"",
            lh_escape(v->source->breach.user, strlen(v->source->breach.user), user, sizeof user));
    (void)printf("%s%s\n", lh_verdict_guard(v) != NULL ? "; never blocked: " : "",
                 lh_verdict_guard(v) != NULL ? lh_verdict_guard(v) : "");
}

// Returns whether there was anything.
static bool tell_news(struct following *f, struct lh_judgement *judgement)
{
    bool any = false;
    for (size_t i = 0; i < judgement->count; i++) {
        struct lh_verdict *v = &judgement->verdicts[i];
        struct lh_source *source =
            v->source == NULL ? NULL : lh_watch_source(f->feed->watch, &v->source->addr);
        if (source == NULL || (v->kinds & ~source->told) == 0)
            continue;
        const char *reason = lh_guards_reason(&f->args->guards, &source->addr);
        if (reason != NULL) {
            v->guard = LH_GUARDED_LIST;
            v->guard_reason = reason;
        }
        tell(f, v);
        source->told |= v->kinds;
        any = true;
    }
    (void)fflush(stdout);
    return any;
}

// A state that cannot be written (a disk that an attack has filled) ends no watch: it is told once,
// and tried again in a minute. With `last` it is an error.
static lh_err save(struct following *f, bool last)
{
    struct lh_errinfo why = {0};
    if (f->args->state == NULL || !f->unsaved)
        return 0;
    lh_err err = lh_statefile_write(f->args->state, f->feed->watch, &f->progress, &why);
    f->next_save = lh_clock_now() + SAVE_EVERY;
    f->unsaved = err != 0;
    if (err != 0 && last)
        return lh_fail(f->info, err, 0, "%s", why.text);
    if (err != 0 && !f->save_failed)
        lh_attacks_complain(&why);
    f->save_failed = err != 0;
    return 0;
}

// Judges and tells, where there is something new and it is time; saves what was told, and in its
// time what else is known. With `now` all of it is due.
static lh_err settle(struct following *f, bool now)
{
    struct lh_judgement judgement;
    bool any = false;
    if (f->changed && (now || lh_clock_now() >= f->next_judge)) {
        lh_err err = lh_judge(f->feed->watch, &judgement);
        if (err != 0)
            return lh_fail(f->info, err, 0, "out of memory");
        any = tell_news(f, &judgement);
        lh_judgement_fini(&judgement);
        if (ferror(stdout) != 0)
            return lh_fail_errno(f->info, errno, 0, "cannot write what was found");
        f->changed = false;
        f->next_judge = lh_clock_now() + f->args->interval * LH_SECOND;
    }
    bool due = any && !f->save_failed;
    return due || now || lh_clock_now() >= f->next_save ? save(f, now) : 0;
}

static lh_err load(struct following *f)
{
    struct lh_errinfo why = {0};
    if (f->args->state == NULL)
        return 0;
    lh_err err = lh_statefile_read(f->args->state, f->feed->watch, &f->progress, &why);
    if (err < 0)
        return lh_fail(f->info, err, 0, "%s", why.text);
    if (why.code != 0)
        (void)fprintf(stderr, "lhctl attacks: the state of another version, or a damaged one, is "
                              "not used: beginning anew\n");
    return 0;
}

// Rotated files that are damaged are named and left.
static lh_err read_file(struct following *f, struct lh_follow *follow)
{
    struct lh_line_sink sink = {feed_line, f};
    lh_err err;
    const int64_t *last = &f->feed->watch->totals.last;
    while ((err = lh_follow_read(follow, *last, &sink, f->info)) == LH_NONE) {
        lh_attacks_complain(f->info);
        *f->info = (struct lh_errinfo){0};
    }
    return err;
}

static lh_err follow_file(struct following *f, const char *path)
{
    struct lh_follow *follow;
    lh_err err = lh_follow_new(path, &f->progress, f->feed->watch->totals.last, &follow, f->info);
    if (err != 0)
        return err;
    while (err == 0 && stop_asked == 0) {
        struct lh_watch_zone zone = lh_logs_zone(lh_clock_wall_seconds());
        f->feed->stamps.zone = zone;
        err = read_file(f, follow);
        lh_follow_progress(follow, &f->progress);
        if (err == 0)
            err = settle(f, false);
        if (err == 0 && stop_asked == 0)
            lh_follow_wait(follow, f->changed ? 200 : 1000);
    }
    if (err == 0)
        err = settle(f, true);
    lh_follow_free(follow);
    return err;
}

static lh_err
read_journal(struct following *f, const struct lh_journalctl *journal, struct lh_lines *lines)
{
    struct lh_line_sink sink = {feed_line, f};
    struct pollfd poll_fd = {.fd = journal->fd, .events = POLLIN};
    size_t room;
    if (poll(&poll_fd, 1, f->changed ? 200 : 1000) <= 0)
        return 0;
    char *at = lh_lines_room(lines, &room);
    ssize_t got = read(journal->fd, at, room);
    if (got < 0)
        return errno == EINTR ? 0 : lh_fail_errno(f->info, errno, 0, "cannot read from journalctl");
    if (got == 0)
        return lh_fail(f->info, LH_E_SYS, 0, "journalctl ended");
    return lh_lines_take(lines, (size_t)got, &sink);
}

static lh_err follow_journal(struct following *f)
{
    struct lh_journalctl journal;
    struct lh_lines *lines = malloc(sizeof *lines);
    if (lines == NULL)
        return lh_fail(f->info, LH_E_NOMEM, 0, "out of memory");
    lh_lines_init(lines);
    lh_err err = lh_journalctl_start(&journal, f->args->since, f->progress.cursor, true, f->info);
    while (err == 0 && stop_asked == 0) {
        err = read_journal(f, &journal, lines);
        if (err == 0)
            err = settle(f, false);
    }
    if (err == 0)
        err = settle(f, true);
    free(lines);
    if (journal.pid != 0) {
        (void)kill(journal.pid, SIGTERM);
        (void)lh_journalctl_stop(&journal, NULL);
    }
    return err;
}

lh_err lh_attacks_follow(const struct lh_attacks_args *args,
                         const struct lh_logs *logs,
                         struct lh_feed *feed,
                         const char *host,
                         struct lh_errinfo *info)
{
    struct following f = {.args = args, .feed = feed, .info = info};
    struct sigaction action = {.sa_handler = ask_stop};

    f.attacks =
        (struct lh_attacks){.watch = feed->watch, .logs = logs, .host = host, .port = args->port};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    struct lh_watch_zone zone = lh_logs_zone(args->now);
    lh_feed_begin(feed, &zone, args->journal ? (uint32_t)logs->count : 0);
    feed->by_time = args->journal;
    lh_err err = load(&f);
    f.next_save = lh_clock_now() + SAVE_EVERY;
    if (err != 0)
        return err;
    return args->journal ? follow_journal(&f) : follow_file(&f, logs->items[0].path);
}
