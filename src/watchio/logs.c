// SPDX-License-Identifier: Apache-2.0
//
// How it works. Rotated logs have many naming schemes, so their order is not read from names: the
// first stamp in each file decides. Stamps without a year are read by the file's time of change,
// which packers keep. A family of files is listed by its directory.
#include "watchio/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/math.h"
#include "watch/journal.h"
#include "watchio/unpack.h"

LH_DEFINE_FREEP(struct lh_unpack, lh_unpack_free)

static int64_t zone_to_utc(void *context, const struct lh_civil *local)
{
    struct tm tm = {.tm_year = local->year - 1900,
                    .tm_mon = local->month - 1,
                    .tm_mday = local->day,
                    .tm_hour = local->hour,
                    .tm_min = local->minute,
                    .tm_sec = local->second,
                    .tm_isdst = -1};
    (void)context;
    return (int64_t)mktime(&tm);
}

struct lh_watch_zone lh_logs_zone(int64_t latest)
{
    return (struct lh_watch_zone){.to_utc = zone_to_utc, .latest = latest};
}

void lh_folder_of(const char *path, char *out, size_t room)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        (void)snprintf(out, room, ".");
    else
        (void)snprintf(out, room, "%.*s", (int)LH_MAX(slash - path, (ptrdiff_t)1), path);
}

static lh_err open_log(const char *path, int *out_fd, struct lh_errinfo *info)
{
    if (strcmp(path, "-") == 0) {
        *out_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        return *out_fd < 0 ? lh_fail_errno(info, errno, 0, "cannot read standard input") : 0;
    }
    *out_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return *out_fd < 0 ? lh_fail_errno(info, errno, 0, "cannot read %s", path) : 0;
}

static lh_err read_all(int fd,
                       const char *path,
                       uint64_t offset,
                       uint64_t line,
                       const struct lh_line_sink *sink,
                       struct lh_errinfo *info)
{
    LH_CLEANUP(lh_unpack_freep) struct lh_unpack *unpack = NULL;
    struct lh_lines *lines = malloc(sizeof *lines);
    lh_err err = lines == NULL ? lh_fail(info, LH_E_NOMEM, 0, "out of memory") : 0;

    if (err == 0)
        err = lh_unpack_new(fd, path, &unpack, info);
    if (err == 0)
        lh_lines_init(lines);
    for (uint64_t left = offset; err == 0 && left > 0;) {
        size_t room;
        size_t len = 0;
        char *at = lh_lines_room(lines, &room);
        err = lh_unpack_read(unpack, at, (size_t)LH_MIN(left, (uint64_t)room), &len, info);
        left -= len;
    }
    if (err == 0) {
        lines->offset = offset;
        lines->number = line;
    }
    while (err == 0) {
        size_t room;
        size_t len = 0;
        char *at = lh_lines_room(lines, &room);
        err = lh_unpack_read(unpack, at, room, &len, info);
        if (err == 0)
            err = lh_lines_take(lines, len, sink);
    }
    if (err == LH_EOF)
        err = lh_lines_end(lines, sink);
    free(lines);
    return err;
}

lh_err lh_log_read_behind(const char *path,
                          uint64_t offset,
                          uint64_t line,
                          const struct lh_line_sink *sink,
                          struct lh_errinfo *info)
{
    int fd;
    lh_err err = open_log(path, &fd, info);
    if (err != 0)
        return err;
    err = read_all(fd, path, offset, line, sink, info);
    (void)close(fd);
    return err;
}

lh_err lh_log_read(const char *path, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    return lh_log_read_behind(path, 0, 0, sink, info);
}

size_t lh_log_head(const char *path, void *out, size_t room)
{
    LH_CLEANUP(lh_unpack_freep) struct lh_unpack *unpack = NULL;
    uint8_t *to = out;
    size_t have = 0;
    int fd;
    if (open_log(path, &fd, NULL) != 0)
        return 0;
    lh_err err = lh_unpack_new(fd, path, &unpack, NULL);
    while (err == 0 && have < room) {
        size_t len = 0;
        err = lh_unpack_read(unpack, to + have, room - have, &len, NULL);
        have += len;
    }
    (void)close(fd);
    return have;
}

// Looks for the first stamp; ends the reading by LH_NONE once it is found or seems not to come.
struct stamp_search {
    struct lh_stamp_reader stamps;
    struct lh_journal_entry entry;
    int64_t found;
};

static lh_err look_at_line(void *context, struct lh_span line, uint64_t number)
{
    struct stamp_search *search = context;
    if (line.len > 0 && line.at[0] == '{') {
        if (lh_watch_journal_parse(line, &search->entry) == LH_WATCH_LINE_SSHD)
            search->found = search->entry.record.time;
    } else {
        (void)lh_stamp_take(&search->stamps, &line, &search->found);
    }
    return search->found != 0 || number > 1000 ? LH_NONE : 0;
}

static int64_t first_stamp(const char *path, int64_t changed)
{
    struct stamp_search *search = calloc(1, sizeof *search);
    if (search == NULL)
        return 0;
    search->stamps.zone = lh_logs_zone(changed);
    struct lh_line_sink sink = {look_at_line, search};
    // A file that cannot be read says so when it is read in earnest.
    (void)!lh_log_read(path, &sink, NULL);
    int64_t found = search->found;
    free(search);
    return found;
}

static bool is_known(const struct lh_logs *logs, const struct stat *st)
{
    for (size_t i = 0; i < logs->count; i++) {
        if (logs->items[i].device == st->st_dev && logs->items[i].inode == st->st_ino)
            return true;
    }
    return false;
}

lh_err lh_logs_add(struct lh_logs *logs, const char *path, int64_t now, struct lh_errinfo *info)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct stat st = {0};

    if (logs->count == LH_LOGS_MAX)
        return lh_fail(info, LH_E_LIMIT, 0, "more than %d log files", LH_LOGS_MAX);
    if ((is_stdin ? fstat(STDIN_FILENO, &st) : stat(path, &st)) != 0)
        return lh_fail_errno(info, errno, 0, "cannot read %s", path);
    if (S_ISDIR(st.st_mode))
        return lh_fail(info, LH_E_INVALID, 0, "%s is a directory: name log files", path);
    if (!is_stdin && access(path, R_OK) != 0)
        return lh_fail_errno(info, errno, 0, "cannot read %s", path);
    if (is_known(logs, &st))
        return 0;
    struct lh_log *items = realloc(logs->items, (logs->count + 1) * sizeof *items);
    if (items == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    logs->items = items;
    struct lh_log *log = &items[logs->count];
    *log = (struct lh_log){.path = strdup(path),
                           .changed = is_stdin ? now : (int64_t)st.st_mtime,
                           .device = st.st_dev,
                           .inode = st.st_ino};
    if (log->path == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    if (!is_stdin && S_ISREG(st.st_mode))
        log->first = first_stamp(path, log->changed);
    logs->count++;
    return 0;
}

size_t lh_logs_add_family(struct lh_logs *logs, const char *stem, int64_t now)
{
    const char *slash = strrchr(stem, '/');
    char path[LH_PATH_TEXT_MAX];
    size_t before = logs->count;
    if (slash == NULL || slash[1] == '\0')
        return 0;
    (void)snprintf(path, sizeof path, "%.*s", (int)(slash - stem + 1), stem);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat st;
        size_t len = strlen(slash + 1);
        if (strncmp(entry->d_name, slash + 1, len) != 0 || strchr(".-", entry->d_name[len]) == NULL)
            continue;
        (void)snprintf(path, sizeof path, "%.*s%s", (int)(slash - stem + 1), stem, entry->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            (void)!lh_logs_add(logs, path, now, NULL);
    }
    (void)closedir(directory);
    for (size_t i = before; i < logs->count; i++)
        logs->items[i].found = true;
    return logs->count - before;
}

int64_t lh_log_begin(const struct lh_log *log)
{
    return log->first != 0 ? log->first : log->changed;
}

static int compare_logs(const void *a, const void *b)
{
    const struct lh_log *x = a;
    const struct lh_log *y = b;
    if (lh_log_begin(x) != lh_log_begin(y))
        return lh_log_begin(x) < lh_log_begin(y) ? -1 : 1;
    return x->changed < y->changed ? -1 : x->changed > y->changed;
}

void lh_logs_sort(struct lh_logs *logs)
{
    if (logs->count > 1)
        qsort(logs->items, logs->count, sizeof *logs->items, compare_logs);
}

void lh_logs_fini(struct lh_logs *logs)
{
    for (size_t i = 0; i < logs->count; i++)
        free(logs->items[i].path);
    free(logs->items);
    *logs = LH_LOGS_NULL;
}
