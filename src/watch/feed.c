// SPDX-License-Identifier: Apache-2.0
#include "watch/feed.h"

#include "base/math.h"

void lh_feed_begin(struct lh_feed *feed, const struct lh_watch_zone *zone, uint32_t file)
{
    feed->stamps = (struct lh_stamp_reader){.zone = *zone};
    feed->file = file;
    feed->by_time = false;
    feed->last_is_ours = false;
}

static bool in_window(const struct lh_feed *feed, int64_t time)
{
    return (feed->since == 0 || time >= feed->since) && (feed->until == 0 || time <= feed->until);
}

static enum lh_watch_family take(struct lh_feed *feed,
                                 const struct lh_watch_record *record,
                                 struct lh_span line,
                                 uint64_t number)
{
    struct lh_place place = {.file = feed->file, .line = number};
    struct lh_watch_addr addr;

    if (!in_window(feed, record->time))
        return LH_WATCH_NOTHING;
    enum lh_watch_family family = lh_watch_take(feed->watch, record, &place, &addr);
    if (feed->seen != NULL && family != LH_WATCH_NOTHING &&
        lh_watch_addr_scope(&addr) != LH_WATCH_SCOPE_NONE)
        feed->seen(feed->context, &addr, line);
    return family;
}

// Keeps what a line "last message repeated N times" would repeat.
static void keep(struct lh_feed *feed, const struct lh_watch_record *record)
{
    size_t len = LH_MIN(record->message.len, sizeof feed->last_text);
    memcpy(feed->last_text, record->message.at, len);
    feed->last = *record;
    feed->last.message = lh_span_of(feed->last_text, len);
    feed->last_is_ours = true;
}

static enum lh_watch_family repeat(struct lh_feed *feed,
                                   const struct lh_watch_record *record,
                                   struct lh_span line,
                                   uint64_t number)
{
    if (!feed->last_is_ours || feed->last.host != record->host)
        return LH_WATCH_NOTHING;
    feed->last.time = record->time;
    feed->last.repeat = LH_MAX(record->repeat, 1u);
    return take(feed, &feed->last, line, number);
}

bool lh_feed_time(struct lh_feed *feed, struct lh_span line, int64_t *out_time)
{
    if (line.len == 0 || line.at[0] != '{')
        return lh_watch_line_time(&feed->stamps, line, out_time);
    if (lh_watch_journal_parse(line, &feed->entry) != LH_WATCH_LINE_SSHD)
        return false;
    *out_time = feed->entry.record.time;
    return true;
}

enum lh_watch_family lh_feed_line(struct lh_feed *feed, struct lh_span line, uint64_t number)
{
    struct lh_watch_record record;

    feed->watch->totals.lines++;
    if (line.len > 0 && line.at[0] == '{') {
        feed->last_is_ours = false;
        if (lh_watch_journal_parse(line, &feed->entry) != LH_WATCH_LINE_SSHD)
            return LH_WATCH_NOTHING;
        return take(feed, &feed->entry.record, line,
                    feed->by_time ? feed->entry.microseconds : number);
    }
    switch (lh_watch_line_parse(&feed->stamps, line, &record)) {
    case LH_WATCH_LINE_SSHD:
        keep(feed, &record);
        return take(feed, &record, line, number);
    case LH_WATCH_LINE_REPEAT:
        return repeat(feed, &record, line, number);
    case LH_WATCH_LINE_OTHER:
        break;
    }
    feed->last_is_ours = false;
    return LH_WATCH_NOTHING;
}
