// SPDX-License-Identifier: Apache-2.0
//
// How it works. A second state is fed with the same lines under the same rules; whenever it knows
// at once whose line it is, and the source is wanted, the line is written. Lines that only a later
// one gave an address are missing here, but named by number in the report.
#include "cmd/attacks/again.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "watchio/journalctl.h"
#include "watchio/merge.h"

static lh_err feed_line(void *context, struct lh_span line, uint64_t number)
{
    (void)lh_feed_line(context, line, number);
    return 0;
}

struct reading {
    const struct lh_feed *feed;
    struct lh_errinfo *info;
};

// One file that is damaged must not hide what the others say, unless it was asked for.
static lh_err tell_damaged(void *context, const struct lh_log *log, lh_err err)
{
    struct reading *reading = context;
    if (!log->found)
        return err;
    if (reading->feed->seen == NULL) // the first time the inputs are read
        lh_attacks_complain(reading->info);
    *reading->info = (struct lh_errinfo){0};
    return 0;
}

lh_err lh_attacks_read(const struct lh_attacks_args *args,
                       const struct lh_logs *logs,
                       struct lh_feed *feed,
                       struct lh_errinfo *info)
{
    struct lh_line_sink sink = {feed_line, feed};
    struct lh_watch_zone zone = lh_logs_zone(args->now);
    struct reading reading = {feed, info};

    feed->stamps.zone = zone;
    lh_err err = lh_merge_read(logs, feed, tell_damaged, &reading, info);
    if (err == 0 && args->journal) {
        lh_feed_begin(feed, &zone, (uint32_t)logs->count);
        feed->by_time = true;
        err = lh_journalctl_read(args->since, &sink, info);
    }
    return err;
}

void lh_attacks_show_line(struct lh_span line, FILE *out)
{
    struct lh_journal_entry entry;
    char shown[2048];
    char when[LH_CIVIL_TEXT];
    if (line.len > 0 && line.at[0] == '{' &&
        lh_watch_journal_parse(line, &entry) == LH_WATCH_LINE_SSHD) {
        (void)fprintf(out, "%s sshd[%" PRIu32 "]: ", lh_civil_format(entry.record.time, when),
                      entry.record.pid);
        line = entry.record.message;
    }
    (void)fprintf(out, "%s\n", lh_escape(line.at, line.len, shown, sizeof shown));
}

struct pick {
    struct lh_wanted *wanted;
    size_t count;
};

static void pick_line(void *context, const struct lh_watch_addr *addr, struct lh_span line)
{
    const struct pick *pick = context;
    for (size_t i = 0; i < pick->count; i++) {
        struct lh_wanted *w = &pick->wanted[i];
        if (!lh_watch_addr_equal(&w->addr, addr))
            continue;
        if (w->count >= w->most)
            return;
        if (!w->raw) {
            lh_attacks_show_line(line, w->out);
        } else {
            (void)fwrite(line.at, 1, line.len, w->out);
            (void)fputc('\n', w->out);
        }
        w->count++;
        return;
    }
}

lh_err lh_attacks_lines(const struct lh_attacks_args *args,
                        const struct lh_logs *logs,
                        struct lh_wanted *wanted,
                        size_t count,
                        struct lh_errinfo *info)
{
    struct lh_watch watch;
    struct pick pick = {wanted, count};
    for (size_t i = 0; i < logs->count; i++) {
        if (strcmp(logs->items[i].path, "-") == 0)
            return lh_fail(info, LH_E_INVALID, 0,
                           "this reads the log twice: name a file instead of standard input");
    }
    struct lh_feed *feed = calloc(1, sizeof *feed);
    lh_err err = feed == NULL ? LH_E_NOMEM : lh_watch_init_lines(&watch, 1);
    if (err != 0) {
        free(feed);
        return lh_fail(info, err, 0, "out of memory");
    }
    *feed = (struct lh_feed){.watch = &watch,
                             .since = args->since,
                             .until = args->until,
                             .seen = pick_line,
                             .context = &pick};
    err = lh_attacks_read(args, logs, feed, info);
    lh_watch_fini(&watch);
    free(feed);
    return err;
}
