// SPDX-License-Identifier: Apache-2.0
//
// A line of a system log, taken apart as far as the message.
#ifndef LH_WATCH_LINE_H
#define LH_WATCH_LINE_H

#include <stdint.h>

#include "watch/span.h"
#include "watch/stamp.h"

// sshd's messages are cut at 1,024 bytes by itself; a longer line is somebody else's.
#define LH_WATCH_LINE_MAX 8192

// Who wrote a message.
enum lh_watch_writer {
    LH_WATCH_WRITER_SSHD, // sshd, sshd-session, sshd-auth
    LH_WATCH_WRITER_PAM,  // "sshd(pam_unix)" of old systems: the message is the module's
};

struct lh_watch_record {
    int64_t time;    // seconds since 1970
    uint64_t host;   // a hash of the host's name: with pid it names a process
    uint32_t pid;    // 0: unknown
    uint32_t repeat; // how often it happened: 1, or N of "message repeated N times"
    enum lh_watch_writer writer;
    struct lh_span message; // lies inside the line
};

enum lh_watch_line {
    LH_WATCH_LINE_OTHER, // not sshd's, or no log line at all
    LH_WATCH_LINE_SSHD,
    LH_WATCH_LINE_REPEAT, // "last message repeated N times": only repeat, time and host are set
};

// `line` without its newline. Nothing is copied; the cost is linear in the line's head.
enum lh_watch_line lh_watch_line_parse(struct lh_stamp_reader *stamps,
                                       struct lh_span line,
                                       struct lh_watch_record *out_record);

// Only when it was written. False for a line without a stamp.
bool lh_watch_line_time(struct lh_stamp_reader *stamps, struct lh_span line, int64_t *out_time);

// "message repeated N times: [ TEXT]" becomes TEXT, and N is returned; else 1.
uint32_t lh_watch_take_repeat(struct lh_span *message);

// Whether `name` is a name under which sshd logs: sshd, sshd-session or sshd-auth, with or without
// a path.
bool lh_watch_is_sshd(struct lh_span name);

#endif
