// SPDX-License-Identifier: Apache-2.0
//
// How it works. A line is built from fields of fixed width, so that nothing jumps while figures
// change:
//
//     dir/some-file.bin   45%  1.2 GB/2.6 GB    940 Mbit/s  00:12 ETA  RTT 100 ms  loss 1.0%
//
// Fields are added in the order of their worth (percent, rate, time left, bytes, RTT, loss) as long
// as the name keeps at least NAME_MIN columns; the name gets what is left and loses its front where
// it is too long, since the end of a path says more.
//
// A redraw is one write: back to the start of the line, the new text, erase to the end. Nothing is
// erased first, so nothing flickers. The width is asked of the terminal at every redraw, which
// makes a signal handler for resizes needless; a line drawn for a wider window is found again by
// counting the rows into which the narrower one has broken it.
#include "cmd/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"
#include "base/text.h"

#define NAME_MIN      8u
#define COLUMNS_USUAL 80u
#define COLUMNS_MAX   400u
#define NAME_ROOM     (2 * COLUMNS_MAX + 4)
#define FIELD_ROOM    64
#define FIELDS_MAX    6
#define ESCAPED_NAME  (4 * LH_PATH_TEXT_MAX + 1)

// --- Text in columns -----------------------------------------------------------------------------

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

// Columns of the character that begins with `lead`: exact for ASCII and two-byte scripts; all
// others count double, which is right for the wide ones and merely leaves room beside the rest.
static size_t columns_of(char lead)
{
    return (unsigned char)lead >= 0xe0 ? 2 : 1;
}

size_t lh_progress_columns(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0'; text++) {
        if (starts_character(*text))
            columns += columns_of(*text);
    }
    return columns;
}

// The end of `name` that fits into `columns`, with "..." in front where something was cut.
static void fit_name(const char *name, size_t columns, char *out, size_t room)
{
    size_t used = lh_progress_columns(name);
    const char *at = name;
    bool cut = used > columns;
    size_t allowed = cut ? columns - 3 : columns;

    while (used > allowed || (cut && !starts_character(*at))) {
        if (starts_character(*at))
            used -= columns_of(*at);
        at++;
    }
    size_t front = cut ? 3 : 0;
    size_t len = strlen(at);
    LH_ASSERT(front + len < room); // two bytes a column at most
    memcpy(out, "...", front);
    memcpy(out + front, at, len + 1);
}

// --- Fields --------------------------------------------------------------------------------------

// 100 only when nothing is left to do; "known so far" while the listing goes on.
static unsigned percent_of(const struct lhcp_status *status)
{
    uint64_t percent = 0;
    bool complete = status->totals_known && status->files_done >= status->files_total;

    if (complete)
        return 100;
    if (status->bytes_total > 0)
        percent = lh_muldiv(status->bytes_done, 100, status->bytes_total);
    else if (status->files_total > 0)
        percent = lh_muldiv(status->files_done, 100, status->files_total);
    return (unsigned)LH_MIN(percent, (uint64_t)99);
}

static lh_ns time_left(const struct lhcp_status *status)
{
    uint64_t left = lh_sub_sat(status->bytes_total, status->bytes_done);

    if (!status->totals_known || status->rate == 0)
        return LH_NEVER;
    uint64_t seconds = lh_muldiv(left, 8, status->rate);
    return seconds > 999 * 3600 ? LH_NEVER : seconds * LH_SECOND;
}

static void format_percent(const struct lhcp_status *status, char *out)
{
    (void)snprintf(out, FIELD_ROOM, "%3u%%", percent_of(status));
}

static void format_rate(const struct lhcp_status *status, char *out)
{
    char rate[24];
    (void)snprintf(out, FIELD_ROOM, "%11s", lh_format_rate(status->rate, rate, sizeof rate));
}

static void format_left(const struct lhcp_status *status, char *out)
{
    char left[24];
    (void)snprintf(out, FIELD_ROOM, "%8s ETA",
                   lh_format_duration(time_left(status), left, sizeof left));
}

static void format_bytes(const struct lhcp_status *status, char *out)
{
    char done[24];
    char total[24];
    (void)snprintf(out, FIELD_ROOM, "%7s/%-7s",
                   lh_format_bytes(status->bytes_done, done, sizeof done),
                   lh_format_bytes(status->bytes_total, total, sizeof total));
}

static void format_rtt(const struct lhcp_status *status, char *out)
{
    uint64_t tenths = status->rtt / (LH_MS / 10);
    if (status->rtt == 0)
        (void)snprintf(out, FIELD_ROOM, "RTT    - ms");
    else if (tenths < 100)
        (void)snprintf(out, FIELD_ROOM, "RTT %2llu.%llu ms", (unsigned long long)(tenths / 10),
                       (unsigned long long)(tenths % 10));
    else
        (void)snprintf(out, FIELD_ROOM, "RTT %4llu ms", (unsigned long long)(tenths / 10));
}

static void format_loss(const struct lhcp_status *status, char *out)
{
    unsigned tenths = (status->loss_ppm + 500) / 1000;
    if (status->lane == LHCP_LANE_SSH)
        (void)snprintf(out, FIELD_ROOM, "over SSH  ");
    else if (!status->loss_known)
        (void)snprintf(out, FIELD_ROOM, "loss    -%%");
    else
        (void)snprintf(out, FIELD_ROOM, "loss %2u.%u%%", tenths / 10, tenths % 10);
}

// In the order of the line, and the order in which they are wanted.
static void (*const fields[FIELDS_MAX])(const struct lhcp_status *status, char *out) = {
    format_percent, format_bytes, format_rate, format_left, format_rtt, format_loss};
static const size_t fields_by_worth[FIELDS_MAX] = {0, 2, 3, 1, 4, 5};

static void phase_text(const struct lhcp_status *status, char *out, size_t room)
{
    if (status->phase == LHCP_PHASE_CONNECTING)
        (void)snprintf(out, room, "connecting ...");
    else
        (void)snprintf(out, room, "connection lost, trying again (%u) ...", status->retries + 1);
}

// Formats the fields and marks those that fit; the first that does not fit ends it, so that no less
// wanted field takes its place. Returns the columns they take.
static size_t choose_fields(const struct lhcp_status *status,
                            size_t room,
                            char texts[FIELDS_MAX][FIELD_ROOM],
                            bool shown[FIELDS_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < FIELDS_MAX; i++) {
        size_t field = fields_by_worth[i];
        fields[field](status, texts[field]);
        size_t needed = strlen(texts[field]) + 2;
        if (used + needed + (i == 0 ? 0 : NAME_MIN) > room)
            break;
        shown[field] = true;
        used += needed;
    }
    return used;
}

char *lh_progress_line(const struct lhcp_status *status, unsigned columns, char *out, size_t room)
{
    char texts[FIELDS_MAX][FIELD_ROOM];
    bool shown[FIELDS_MAX] = {false};
    static const char no_name[] = "";
    char escaped[ESCAPED_NAME];
    char name[NAME_ROOM];
    size_t free_columns = LH_CLAMP(columns, 1u, COLUMNS_MAX) - 1;

    LH_ASSERT(room >= LH_PROGRESS_LINE);
    if (status->phase == LHCP_PHASE_CONNECTING || status->phase == LHCP_PHASE_RETRYING) {
        phase_text(status, out, room);
        out[LH_MIN(strlen(out), free_columns)] = '\0';
        return out;
    }
    free_columns -= choose_fields(status, free_columns, texts, shown);
    const char *given = status->name != NULL ? status->name : no_name;
    if (status->phase == LHCP_PHASE_FINISHING)
        given = "finishing";
    (void)lh_escape(given, strlen(given), escaped, sizeof escaped);
    name[0] = '\0';
    if (free_columns >= NAME_MIN)
        fit_name(escaped, free_columns, name, sizeof name);
    size_t used = (size_t)snprintf(out, room, "%s", name);
    for (size_t pad = lh_progress_columns(name); pad < free_columns && used + 1 < room; pad++)
        out[used++] = ' ';
    out[used] = '\0';
    for (size_t i = 0; i < FIELDS_MAX && used < room; i++) {
        if (shown[i])
            used += (size_t)snprintf(out + used, room - used, "  %s", texts[i]);
    }
    return out;
}

// --- The terminal --------------------------------------------------------------------------------

char *lh_progress_erase(size_t drawn, unsigned columns, char *out)
{
    size_t rows_up = drawn == 0 || columns == 0 ? 0 : (drawn - 1) / columns;

    if (rows_up == 0)
        (void)snprintf(out, 32, "\r");
    else
        (void)snprintf(out, 32, "\r\x1b[%zuA\x1b[J", LH_MIN(rows_up, (size_t)999));
    return out;
}

static unsigned terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_USUAL;
    return LH_MIN((unsigned)size.ws_col, COLUMNS_MAX);
}

// A terminal that takes nothing now (stopped, hung up) is no reason to stop a transfer.
static void write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, text, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        text += written;
        len -= (size_t)written;
    }
}

void lh_progress_init(struct lh_progress *progress, int fd, bool wanted)
{
    const char *kind = getenv("TERM");
    bool understands = kind != NULL && strcmp(kind, "dumb") != 0 && *kind != '\0';

    *progress = (struct lh_progress){.fd = fd, .enabled = wanted && understands && isatty(fd) == 1};
}

void lh_progress_draw(struct lh_progress *progress, const struct lhcp_status *status, lh_ns now)
{
    char line[LH_PROGRESS_LINE];
    char text[LH_PROGRESS_LINE + 64];
    char back[32];

    if (!progress->enabled || now < progress->next)
        return;
    progress->next = now + LH_PROGRESS_INTERVAL;
    unsigned columns = terminal_columns(progress->fd);
    (void)lh_progress_line(status, columns, line, sizeof line);
    bool broken = progress->drawn > columns;
    if (strcmp(line, progress->last) == 0 && progress->drawn > 0 && !broken)
        return;
    (void)lh_progress_erase(progress->drawn, columns, back);
    int len = snprintf(text, sizeof text, "%s%s\x1b[K", back, line);
    write_all(progress->fd, text, LH_MIN((size_t)len, sizeof text - 1));
    memcpy(progress->last, line, sizeof line);
    progress->drawn = LH_MAX(lh_progress_columns(line), (size_t)1);
}

void lh_progress_clear(struct lh_progress *progress)
{
    char text[64];
    char back[32];

    if (!progress->enabled || progress->drawn == 0)
        return;
    (void)lh_progress_erase(progress->drawn, terminal_columns(progress->fd), back);
    int len = snprintf(text, sizeof text, "%s\x1b[K", back);
    write_all(progress->fd, text, (size_t)len);
    progress->drawn = 0;
    progress->next = 0;
}

void lh_progress_finish(struct lh_progress *progress)
{
    if (progress->enabled && progress->drawn > 0)
        write_all(progress->fd, "\n", 1);
    progress->drawn = 0;
}
