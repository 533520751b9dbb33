// SPDX-License-Identifier: Apache-2.0
//
// Log files: which there are, in which order, and their lines.
#ifndef LH_WATCHIO_LOGS_H
#define LH_WATCHIO_LOGS_H

#include "watch/stamp.h"
#include "watchio/lines.h"

#define LH_LOGS_MAX 1024 // files of one run

struct lh_log {
    char *path;      // owned; "-" is standard input
    int64_t changed; // seconds since 1970; now, for standard input
    int64_t first;   // its first stamp, 0 where none is found
    uint64_t device, inode;
    bool found;  // in the family; else named by somebody
    bool packed; // by gzip, xz or zstd
    bool roomy;  // needs megabytes to unpack
    bool held;   // is read in any case: never dropped as a copy
};

struct lh_logs {
    struct lh_log *items; // owned
    size_t count;
};
#define LH_LOGS_NULL                                                                               \
    (struct lh_logs)                                                                               \
    {                                                                                              \
        0                                                                                          \
    }

// Adds a file; one that is there already (also by another name) is not added again. LH_E_SYS where
// it cannot be read, LH_E_LIMIT.
lh_err lh_logs_add(struct lh_logs *logs, const char *path, int64_t now, struct lh_errinfo *info)
    LH_MUST_CHECK;

// Adds all regular files whose path begins with `stem` and goes on with nothing, "." or "-": a log
// and what was rotated away. Returns how many were added; what cannot be read is left out.
size_t lh_logs_add_family(struct lh_logs *logs, const char *stem, int64_t now);

// A number for what these files are now: names, inodes, and of all but `stem` itself sizes. Where
// it is the same before and after, nothing was renamed, made or packed in between.
uint64_t lh_logs_family_mark(const char *stem);

// When it begins: its first stamp, or else when it was changed.
int64_t lh_log_begin(const struct lh_log *log);

// Oldest first, by lh_log_begin.
void lh_logs_sort(struct lh_logs *logs);

// Of files that begin in the same second: where one holds all that another does (a copy, packed or
// not, perhaps one that is just being made), the other is dropped, after `told` was called (NULL:
// nobody is told). To be called when they are sorted.
void lh_logs_drop_copies(struct lh_logs *logs, void (*told)(const char *dropped, const char *kept));

void lh_logs_fini(struct lh_logs *logs);

// The lines of a file one by one, unpacked where it is packed.
struct lh_log_reader;
lh_err
lh_log_open(const char *path, struct lh_log_reader **out, struct lh_errinfo *info) LH_MUST_CHECK;
// The next line, which is there until the next call. LH_EOF, or what lh_unpack_read returns.
lh_err lh_log_next(struct lh_log_reader *reader,
                   struct lh_span *out_line,
                   uint64_t *out_number,
                   struct lh_errinfo *info) LH_MUST_CHECK;
void lh_log_close(struct lh_log_reader *reader); // accepts NULL

// Reads all lines of a file, unpacking it where it is packed.
lh_err lh_log_read(const char *path,
                   const struct lh_line_sink *sink,
                   struct lh_errinfo *info) LH_MUST_CHECK;

// Where reading is, in unpacked bytes and the lines they hold.
struct lh_log_place {
    uint64_t offset, line;
};
// The same of a file that is open, at its beginning, from `place` on, which becomes where reading
// ended, also by an error. Takes `fd` over; `name` is for messages.
lh_err lh_log_read_open(int fd,
                        const char *name,
                        struct lh_log_place *place,
                        const struct lh_line_sink *sink,
                        struct lh_errinfo *info) LH_MUST_CHECK;

// The first `room` bytes, unpacked, or all where there are fewer. Returns how many; 0 where it
// cannot be read.
size_t lh_log_head(const char *path, void *out, size_t room);

// The folder that `path` is in, "." for a name alone.
void lh_folder_of(const char *path, char *out, size_t room);

// This machine's zone, for stamps without one (TZ is obeyed).
struct lh_watch_zone lh_logs_zone(int64_t latest);

#endif
