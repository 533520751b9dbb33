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
#include "watch/addr.h"
#include "watch/journal.h"
#include "watchio/unpack.h"

LH_DEFINE_FREEP(struct lh_unpack, lh_unpack_free)
LH_DEFINE_FREEP(struct lh_log_reader, lh_log_close)

struct lh_log_reader {
    int fd;
    struct lh_unpack *unpack;
    struct lh_lines lines;
};

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

// Takes `fd` over.
static lh_err
open_reader(int fd, const char *name, struct lh_log_reader **out, struct lh_errinfo *info)
{
    LH_CLEANUP(lh_log_closep) struct lh_log_reader *reader = malloc(sizeof *reader);
    if (reader == NULL) {
        (void)close(fd);
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    }
    reader->fd = fd;
    reader->unpack = NULL;
    lh_lines_init(&reader->lines);
    lh_err err = lh_unpack_new(fd, name, &reader->unpack, info);
    if (err == 0)
        *out = lh_steal(&reader);
    return err;
}

lh_err lh_log_open(const char *path, struct lh_log_reader **out, struct lh_errinfo *info)
{
    int fd;
    lh_err err = open_log(path, &fd, info);
    return err != 0 ? err : open_reader(fd, path, out, info);
}

void lh_log_close(struct lh_log_reader *reader)
{
    if (reader == NULL)
        return;
    lh_unpack_free(reader->unpack);
    if (reader->fd >= 0)
        (void)close(reader->fd);
    free(reader);
}

lh_err lh_log_next(struct lh_log_reader *reader,
                   struct lh_span *out_line,
                   uint64_t *out_number,
                   struct lh_errinfo *info)
{
    struct lh_lines *lines = &reader->lines;
    lh_err err = 0;
    while (err == 0 && !lh_lines_next(lines, out_line)) {
        size_t room;
        size_t len = 0;
        char *at = lh_lines_room(lines, &room);
        err = lh_unpack_read(reader->unpack, at, room, &len, info);
        lh_lines_add(lines, len);
    }
    if (err == LH_EOF && lh_lines_last(lines, out_line))
        err = 0;
    *out_number = lines->number;
    return err;
}

static lh_err
skip_to(struct lh_log_reader *reader, const struct lh_log_place *place, struct lh_errinfo *info)
{
    struct lh_lines *lines = &reader->lines;
    lh_err err = 0;
    for (uint64_t left = place->offset; err == 0 && left > 0;) {
        size_t room;
        size_t len = 0;
        char *at = lh_lines_room(lines, &room);
        err = lh_unpack_read(reader->unpack, at, (size_t)LH_MIN(left, (uint64_t)room), &len, info);
        left -= len;
    }
    lines->offset = place->offset;
    lines->number = place->line;
    return err;
}

lh_err lh_log_read_open(int fd,
                        const char *name,
                        struct lh_log_place *place,
                        const struct lh_line_sink *sink,
                        struct lh_errinfo *info)
{
    LH_CLEANUP(lh_log_closep) struct lh_log_reader *reader = NULL;
    struct lh_span text;
    uint64_t number;
    lh_err err = open_reader(fd, name, &reader, info);
    if (err != 0)
        return err;
    err = skip_to(reader, place, info);
    while (err == 0 && (err = lh_log_next(reader, &text, &number, info)) == 0)
        err = sink->line(sink->context, text, number);
    *place = (struct lh_log_place){reader->lines.offset, reader->lines.number};
    return err == LH_EOF ? 0 : err;
}

lh_err lh_log_read(const char *path, const struct lh_line_sink *sink, struct lh_errinfo *info)
{
    struct lh_log_place place = {0};
    int fd;
    lh_err err = open_log(path, &fd, info);
    return err != 0 ? err : lh_log_read_open(fd, path, &place, sink, info);
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
        (void)lh_watch_line_time(&search->stamps, line, &search->found);
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

// xz and zstd keep a window of megabytes; gzip one of 32 KiB.
static void look_at_packing(struct lh_log *log)
{
    uint8_t magic[2] = {0};
    int fd;
    if (open_log(log->path, &fd, NULL) != 0)
        return;
    bool read_both = read(fd, magic, sizeof magic) == (ssize_t)sizeof magic;
    log->roomy = read_both &&
                 ((magic[0] == 0xfd && magic[1] == '7') || (magic[0] == 0x28 && magic[1] == 0xb5));
    log->packed = log->roomy || (read_both && magic[0] == 0x1f && magic[1] == 0x8b);
    (void)close(fd);
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
    if (!is_stdin && S_ISREG(st.st_mode)) {
        log->first = first_stamp(path, log->changed);
        look_at_packing(log);
    }
    logs->count++;
    return 0;
}

// Calls `each` with every regular file of the family.
static void walk_family(const char *stem,
                        void (*each)(void *context, const char *path, const struct stat *st),
                        void *context)
{
    const char *slash = strrchr(stem, '/');
    char path[LH_PATH_TEXT_MAX];
    if (slash == NULL || slash[1] == '\0')
        return;
    (void)snprintf(path, sizeof path, "%.*s", (int)(slash - stem + 1), stem);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat st;
        size_t len = strlen(slash + 1);
        if (strncmp(entry->d_name, slash + 1, len) != 0 || strchr(".-", entry->d_name[len]) == NULL)
            continue;
        (void)snprintf(path, sizeof path, "%.*s%s", (int)(slash - stem + 1), stem, entry->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            each(context, path, &st);
    }
    (void)closedir(directory);
}

struct adding {
    struct lh_logs *logs;
    int64_t now;
};

static void add_one(void *context, const char *path, const struct stat *st)
{
    const struct adding *adding = context;
    (void)st;
    (void)!lh_logs_add(adding->logs, path, adding->now, NULL);
}

size_t lh_logs_add_family(struct lh_logs *logs, const char *stem, int64_t now)
{
    struct adding adding = {logs, now};
    size_t before = logs->count;
    walk_family(stem, add_one, &adding);
    for (size_t i = before; i < logs->count; i++)
        logs->items[i].found = true;
    return logs->count - before;
}

struct marking {
    const char *stem;
    uint64_t mark;
};

static void mark_one(void *context, const char *path, const struct stat *st)
{
    struct marking *marking = context;
    uint64_t file[3] = {st->st_dev, st->st_ino,
                        strcmp(path, marking->stem) == 0 ? 0 : (uint64_t)st->st_size};
    // A sum: the order in which a folder names its files means nothing.
    marking->mark += lh_watch_hash(path, strlen(path), lh_watch_hash(file, sizeof file, 0));
}

uint64_t lh_logs_family_mark(const char *stem)
{
    struct marking marking = {.stem = stem};
    walk_family(stem, mark_one, &marking);
    return marking.mark;
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

// --- Copies ---

// Bytes of a file, unpacked, as many as there are room for; fewer only at its end or where it is
// damaged.
static size_t read_whole(struct lh_unpack *unpack, uint8_t *out, size_t room)
{
    size_t have = 0;
    lh_err err = 0;
    while (err == 0 && have < room) {
        size_t len = 0;
        err = lh_unpack_read(unpack, out + have, room - have, &len, NULL);
        have += len;
    }
    return have;
}

enum likeness { LIKE_NOT, LIKE_ALL, LIKE_FIRST_SHORTER, LIKE_SECOND_SHORTER };

// Whether one of them is the beginning of the other.
static enum likeness compare_text(struct lh_unpack *first, struct lh_unpack *second)
{
    enum { PART = 64 << 10 };
    uint8_t *bytes = malloc((size_t)2 * PART);
    enum likeness like = bytes == NULL ? LIKE_NOT : LIKE_ALL;
    size_t most = bytes == NULL ? 0 : PART;
    size_t n = most;
    size_t m = most;
    while (most > 0 && like == LIKE_ALL && n == most && m == most) {
        n = read_whole(first, bytes, PART);
        m = read_whole(second, bytes + PART, PART);
        if (memcmp(bytes, bytes + PART, LH_MIN(n, m)) != 0)
            like = LIKE_NOT;
        else if (n != m)
            like = n < m ? LIKE_FIRST_SHORTER : LIKE_SECOND_SHORTER;
    }
    free(bytes);
    return like;
}

static enum likeness compare_files(const char *first, const char *second)
{
    LH_CLEANUP(lh_log_closep) struct lh_log_reader *a = NULL;
    LH_CLEANUP(lh_log_closep) struct lh_log_reader *b = NULL;
    if (lh_log_open(first, &a, NULL) != 0 || lh_log_open(second, &b, NULL) != 0)
        return LIKE_NOT;
    return compare_text(a->unpack, b->unpack);
}

static void drop(struct lh_logs *logs, size_t index)
{
    free(logs->items[index].path);
    logs->count--;
    memmove(&logs->items[index], &logs->items[index + 1],
            (logs->count - index) * sizeof *logs->items);
}

void lh_logs_drop_copies(struct lh_logs *logs, void (*told)(const char *dropped, const char *kept))
{
    for (size_t i = 0; i < logs->count; i++) {
        for (size_t k = i + 1; k < logs->count && logs->items[i].first != 0 &&
                               logs->items[k].first == logs->items[i].first;) {
            const char *first = logs->items[i].path;
            const char *second = logs->items[k].path;
            enum likeness like = compare_files(first, second);
            bool first_goes =
                !logs->items[i].held && (like == LIKE_FIRST_SHORTER || logs->items[k].held);
            if (like != LIKE_NOT && told != NULL)
                told(first_goes ? first : second, first_goes ? second : first);
            if (like == LIKE_NOT) {
                k++;
            } else {
                drop(logs, first_goes ? i : k);
                k = i + 1;
            }
        }
    }
}

void lh_logs_fini(struct lh_logs *logs)
{
    for (size_t i = 0; i < logs->count; i++)
        free(logs->items[i].path);
    free(logs->items);
    *logs = LH_LOGS_NULL;
}
