// SPDX-License-Identifier: Apache-2.0
//
// From lines to the state: text of syslog and entries of the journal, mixed as they come.
#ifndef LH_WATCH_FEED_H
#define LH_WATCH_FEED_H

#include "watch/journal.h"
#include "watch/watch.h"

struct lh_feed {
    struct lh_watch *watch; // not owned
    struct lh_stamp_reader stamps;
    int64_t since, until; // what is older or younger is left out; 0: no border
    uint32_t file;        // number of the input
    // Entries are placed by their time in microseconds, not by the number of their line: those of
    // the journal itself, whose lines have no lasting number.
    bool by_time;
    // Called for each of sshd's lines whose source is known at once; may be NULL.
    void (*seen)(void *context, const struct lh_watch_addr *addr, struct lh_span line);
    void *context;
    // The line before, if it was sshd's: "last message repeated N times" is about it.
    struct lh_watch_record last;
    bool last_is_ours;
    char last_text[LH_WATCH_MESSAGE_MAX + 1];
    struct lh_journal_entry entry;
};

// A new input begins: its stamps are read by `zone`. Its places are line numbers until by_time is
// set.
void lh_feed_begin(struct lh_feed *feed, const struct lh_watch_zone *zone, uint32_t file);

// When a line was written, as lh_feed_line would read it. False where it does not say.
bool lh_feed_time(struct lh_feed *feed, struct lh_span line, int64_t *out_time);

// One line, without its newline. Returns its family, LH_WATCH_NOTHING for what is not sshd's.
enum lh_watch_family lh_feed_line(struct lh_feed *feed, struct lh_span line, uint64_t number);

#endif
