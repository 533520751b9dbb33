// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each open file has its next line ready, with the time of its stamp; the earliest is
// fed, lines without a stamp together with the one before. A file is opened when the others have
// come to its first stamp, so files that follow each other are never open together. The last file
// alone goes without comparing. Where a file goes back in time (a clock that was set), its lines
// come as they stand there.
#include "watchio/merge.h"

#include <stdlib.h>

#include "base/assert.h"

struct input {
    const struct lh_log *log;
    struct lh_log_reader *reader;
    struct lh_feed *feed; // with the file's own stamps and repeated lines
    struct lh_span line;
    uint64_t number;
    int64_t time;
};

struct merge {
    const struct lh_logs *logs;
    const struct lh_feed *pattern;
    lh_err (*damaged)(void *context, const struct lh_log *log, lh_err err);
    void *context;
    struct lh_errinfo *info;
    struct input inputs[LH_MERGE_MAX];
    size_t count; // of inputs
    size_t next;  // of logs
};

static void close_input(struct merge *m, size_t index)
{
    lh_log_close(m->inputs[index].reader);
    free(m->inputs[index].feed);
    m->inputs[index] = m->inputs[--m->count];
}

// Gets the next line of an input ready. At its end it is closed and LH_EOF returned.
static lh_err advance(struct merge *m, size_t index)
{
    struct input *input = &m->inputs[index];
    int64_t time;
    lh_err err = lh_log_next(input->reader, &input->line, &input->number, m->info);
    if (err != 0) {
        if (err != LH_EOF)
            err = m->damaged(m->context, input->log, err);
        else
            err = 0;
        close_input(m, index);
        return err != 0 ? err : LH_EOF;
    }
    bool alone = m->count == 1 && m->next == m->logs->count;
    if (!alone && lh_feed_time(input->feed, input->line, &time))
        input->time = time;
    return 0;
}

static lh_err open_next(struct merge *m)
{
    LH_ASSERT(m->count < LH_MERGE_MAX);
    size_t index = m->next++;
    const struct lh_log *log = &m->logs->items[index];
    struct lh_watch_zone zone = m->pattern->stamps.zone;
    struct input *input = &m->inputs[m->count];
    *input = (struct input){.log = log, .time = lh_log_begin(log)};
    input->feed = malloc(sizeof *input->feed);
    if (input->feed == NULL)
        return lh_fail(m->info, LH_E_NOMEM, 0, "out of memory");
    lh_err err = lh_log_open(log->path, &input->reader, m->info);
    if (err != 0) {
        free(input->feed);
        return m->damaged(m->context, log, err);
    }
    *input->feed = *m->pattern;
    zone.latest = log->changed;
    lh_feed_begin(input->feed, &zone, (uint32_t)index);
    m->count++;
    err = advance(m, m->count - 1);
    return err == LH_EOF ? 0 : err;
}

static size_t earliest(const struct merge *m)
{
    size_t best = 0;
    for (size_t i = 1; i < m->count; i++) {
        const struct input *a = &m->inputs[i];
        const struct input *b = &m->inputs[best];
        if (a->time < b->time || (a->time == b->time && a->log < b->log))
            best = i;
    }
    return best;
}

// Whether the next file is due, and may be opened.
static bool may_open(const struct merge *m)
{
    size_t roomy = 0;
    if (m->next == m->logs->count)
        return false;
    if (m->count == 0)
        return true;
    for (size_t i = 0; i < m->count; i++)
        roomy += m->inputs[i].log->roomy;
    const struct lh_log *log = &m->logs->items[m->next];
    return m->count < LH_MERGE_MAX && (!log->roomy || roomy < LH_MERGE_ROOMY) &&
           lh_log_begin(log) <= m->inputs[earliest(m)].time;
}

lh_err lh_merge_read(const struct lh_logs *logs,
                     const struct lh_feed *feed,
                     lh_err (*damaged)(void *context, const struct lh_log *log, lh_err err),
                     void *context,
                     struct lh_errinfo *info)
{
    struct merge m = {
        .logs = logs, .pattern = feed, .damaged = damaged, .context = context, .info = info};
    lh_err err = 0;
    while (err == 0 && (m.count > 0 || m.next < logs->count)) {
        if (may_open(&m)) {
            err = open_next(&m);
            continue;
        }
        size_t index = earliest(&m);
        const struct input *input = &m.inputs[index];
        (void)lh_feed_line(input->feed, input->line, input->number);
        err = advance(&m, index);
        err = err == LH_EOF ? 0 : err;
    }
    while (m.count > 0)
        close_input(&m, 0);
    return err;
}
