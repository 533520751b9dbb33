// SPDX-License-Identifier: Apache-2.0
//
// Entries of the systemd journal as `journalctl -o json` prints them, one object a line.
//
// Only fields that journald sets itself are believed (their names begin with "_"): an entry counts
// as sshd's where _UID is 0 and _EXE names sshd, or _COMM where there is no _EXE. Its process is
// _PID, its host _MACHINE_ID and its time __REALTIME_TIMESTAMP. SYSLOG_IDENTIFIER, SYSLOG_PID and
// other fields that any process may choose are not looked at.
#ifndef LH_WATCH_JOURNAL_H
#define LH_WATCH_JOURNAL_H

#include "watch/line.h"

#define LH_WATCH_JOURNAL_LINE_MAX 65536 // a longer entry is not sshd's
#define LH_WATCH_CURSOR_MAX       256

struct lh_journal_entry {
    struct lh_watch_record record;    // record.message lies in `text`
    uint64_t microseconds;            // since 1970
    char cursor[LH_WATCH_CURSOR_MAX]; // __CURSOR, "" where it is missing or too long
    char text[LH_WATCH_LINE_MAX];
};

// LH_WATCH_LINE_SSHD or LH_WATCH_LINE_OTHER; the cursor is set in both cases where the line is an
// object. A field that stands there twice with different values, or as a list of values, is not
// believed. One pass, no recursion.
enum lh_watch_line lh_watch_journal_parse(struct lh_span line, struct lh_journal_entry *out_entry);

#endif
