// SPDX-License-Identifier: Apache-2.0
//
// How it works. A new directory gets the report in all its forms, the log's lines about each of the
// first sources, an abuse report for each that is not guarded, and a list of SHA-256 sums that
// `sha256sum -c` checks. Directory and files are for their owner only. An existing directory is
// refused: evidence is not mixed.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/attacks/again.h"
#include "crypto/hash.h"

#define SOURCES_MAX 300   // with lines of their own
#define LINES_MAX   10000 // of a source
#define SAMPLES     10    // of them in an abuse report

struct bundle {
    const struct lh_attacks *attacks;
    const struct lh_attacks_args *args;
    int directory;
    FILE *manifest;
    struct lh_errinfo *info;
};

static void close_directory(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static lh_err fail_file(const struct bundle *b, const char *name)
{
    return lh_fail_errno(b->info, errno, 0, "cannot write %s/%s", b->args->evidence, name);
}

// A file's line in the manifest.
static lh_err list_file(const struct bundle *b, const char *name, const char *data, size_t len)
{
    uint8_t digest[LH_SHA256_LEN];
    char hex[2 * LH_SHA256_LEN + 1];
    lh_err err = lh_sha256(data, len, digest);
    if (err == 0 && b->manifest != NULL)
        (void)fprintf(b->manifest, "%s  %s\n", lh_format_hex(digest, sizeof digest, hex), name);
    return err;
}

// Writes a file and its line in the manifest.
static lh_err put_file(const struct bundle *b, const char *name, const char *data, size_t len)
{
    int fd = openat(b->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_file(b, name);
    for (size_t at = 0; at < len;) {
        ssize_t put = write(fd, data + at, len - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            lh_err err = fail_file(b, name);
            (void)close(fd);
            return err;
        }
        at += (size_t)put;
    }
    bool bad = fsync(fd) != 0;
    bad |= close(fd) != 0;
    if (bad)
        return fail_file(b, name);
    return list_file(b, name, data, len);
}

// The bytes of a file that was written.
struct mapping {
    char *data;
    size_t len;
};

static void unmap(const struct mapping *mapping)
{
    if (mapping->len > 0)
        (void)munmap(mapping->data, mapping->len);
}

static lh_err map_file(const struct bundle *b, const char *name, struct mapping *out)
{
    struct stat st;
    int fd = openat(b->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail_file(b, name);
    void *data = MAP_FAILED;
    bool good = fstat(fd, &st) == 0;
    if (good && st.st_size > 0)
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    good = good && (st.st_size == 0 || data != MAP_FAILED);
    lh_err err = good ? 0 : fail_file(b, name);
    (void)close(fd);
    if (good && st.st_size > 0)
        *out = (struct mapping){data, (size_t)st.st_size};
    return err;
}

// Makes a new file.
static lh_err open_file(const struct bundle *b, const char *name, FILE **out)
{
    int fd = openat(b->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (*out != NULL)
        return 0;
    lh_err err = fail_file(b, name);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

static lh_err close_file(const struct bundle *b, const char *name, FILE *file)
{
    bool bad = fflush(file) != 0 || ferror(file) != 0 || fsync(fileno(file)) != 0;
    bad |= fclose(file) != 0;
    return bad ? fail_file(b, name) : 0;
}

static lh_err put_report(const struct bundle *b,
                         const char *name,
                         void (*write)(const struct lh_attacks *attacks, FILE *out))
{
    LH_CLEANUP(unmap) struct mapping text = {.data = (char *)"", .len = 0};
    FILE *out;
    lh_err err = open_file(b, name, &out);
    if (err != 0)
        return err;
    write(b->attacks, out);
    err = close_file(b, name, out);
    if (err == 0)
        err = map_file(b, name, &text);
    return err != 0 ? err : list_file(b, name, text.data, text.len);
}

static lh_err put_reports(const struct bundle *b)
{
    static const struct {
        const char *name;
        void (*write)(const struct lh_attacks *attacks, FILE *out);
    } reports[] = {{"report.txt", lh_attacks_text},
                   {"report.json", lh_attacks_json},
                   {"report.csv", lh_attacks_csv},
                   {"report.html", lh_attacks_html}};
    lh_err err = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(reports) && err == 0; i++)
        err = put_report(b, reports[i].name, reports[i].write);
    return err;
}

// What one source gets: its lines, and a report in two forms.
struct part {
    const struct lh_verdict *verdict;
    FILE *lines;                      // its file, while lines are written
    char subject[LH_VERDICT_SUBJECT]; // its files' names begin so
};

// The first lines of a source as people read them; a heap text, the caller's, or NULL.
static char *samples_of(struct lh_span lines)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return NULL;
    for (unsigned i = 0; i < SAMPLES && lines.len > 0; i++) {
        const char *newline = memchr(lines.at, '\n', lines.len);
        size_t line = newline != NULL ? (size_t)(newline - lines.at) : lines.len;
        lh_attacks_show_line(lh_span_head(lines, line), out);
        lines = lh_span_skip(lines, line + 1);
    }
    (void)fclose(out);
    return text;
}

static lh_err put_abuse(struct bundle *b, const struct part *part, const char *samples)
{
    char name[96];
    char *text = NULL;
    size_t len = 0;
    struct lh_abuse abuse = {b->attacks, b->args, part->verdict, NULL, samples, strlen(samples)};
    for (unsigned xarf = 0; xarf < 2; xarf++) {
        lh_err err = 0;
        FILE *out = open_memstream(&text, &len);
        if (out == NULL)
            return lh_fail(b->info, LH_E_NOMEM, 0, "out of memory");
        if (xarf != 0)
            err = lh_abuse_xarf(&abuse, out);
        else
            lh_abuse_mail(&abuse, out);
        (void)fclose(out);
        (void)snprintf(name, sizeof name, "%s.%s", part->subject,
                       xarf != 0 ? "xarf.json" : "mail.txt");
        if (err == 0)
            err = put_file(b, name, text, len);
        free(text);
        text = NULL;
        if (err != 0)
            return err;
    }
    return 0;
}

static lh_err open_part(const struct bundle *b, const struct lh_verdict *verdict, struct part *part)
{
    char name[96];
    part->verdict = verdict;
    lh_verdict_subject(verdict, part->subject);
    for (char *at = part->subject; *at != '\0'; at++)
        *at = *at == ':' ? '-' : *at; // names that every system takes
    (void)snprintf(name, sizeof name, "%s.log", part->subject);
    return open_file(b, name, &part->lines);
}

static lh_err put_part(struct bundle *b, const struct part *part)
{
    char name[96];
    LH_CLEANUP(unmap) struct mapping lines = {.data = (char *)"", .len = 0};
    (void)snprintf(name, sizeof name, "%s.log", part->subject);
    lh_err err = map_file(b, name, &lines);
    if (err == 0)
        err = list_file(b, name, lines.data, lines.len);
    if (err != 0 || part->verdict->guard != LH_GUARDED_NOT || b->args->from == NULL)
        return err;
    char *samples = samples_of(lh_span_of(lines.data, lines.len));
    err = samples == NULL ? lh_fail(b->info, LH_E_NOMEM, 0, "out of memory")
                          : put_abuse(b, part, samples);
    free(samples);
    return err;
}

// The lines go straight to their files: there may be more than memory should hold.
static lh_err write_parts(struct bundle *b, struct part *parts, struct lh_wanted *wanted)
{
    const struct lh_judgement *j = b->attacks->judgement;
    size_t most = b->args->all ? SOURCES_MAX : b->attacks->top;
    size_t count = 0;
    lh_err err = 0;

    for (size_t i = 0; err == 0 && i < j->count && count < most; i++) {
        if (j->verdicts[i].source == NULL)
            continue;
        err = open_part(b, &j->verdicts[i], &parts[count]);
        wanted[count] = (struct lh_wanted){.addr = j->verdicts[i].source->addr,
                                           .out = parts[count].lines,
                                           .raw = true,
                                           .most = LINES_MAX};
        count += err == 0;
    }
    if (err == 0)
        err = lh_attacks_lines(b->args, b->attacks->logs, wanted, count, b->info);
    for (size_t i = 0; i < count; i++) {
        lh_err closed = close_file(b, parts[i].subject, parts[i].lines);
        err = err != 0 ? err : closed;
    }
    for (size_t i = 0; err == 0 && i < count; i++)
        err = put_part(b, &parts[i]);
    return err;
}

static lh_err put_sources(struct bundle *b)
{
    struct part *parts = calloc(SOURCES_MAX, sizeof *parts);
    struct lh_wanted *wanted = calloc(SOURCES_MAX, sizeof *wanted);
    lh_err err = parts == NULL || wanted == NULL ? lh_fail(b->info, LH_E_NOMEM, 0, "out of memory")
                                                 : write_parts(b, parts, wanted);
    free(parts);
    free(wanted);
    return err;
}

lh_err lh_attacks_evidence(const struct lh_attacks *attacks,
                           const struct lh_attacks_args *args,
                           struct lh_errinfo *info)
{
    LH_CLEANUP(close_directory) int directory = -1;
    char *manifest = NULL;
    size_t len = 0;

    if (mkdir(args->evidence, 0700) != 0)
        return lh_fail_errno(info, errno, 0, "cannot make the new directory %s", args->evidence);
    directory = open(args->evidence, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory < 0)
        return lh_fail_errno(info, errno, 0, "cannot open %s", args->evidence);
    struct bundle bundle = {attacks, args, directory, open_memstream(&manifest, &len), info};
    if (bundle.manifest == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    lh_err err = put_reports(&bundle);
    if (err == 0)
        err = put_sources(&bundle);
    (void)fclose(bundle.manifest);
    bundle.manifest = NULL;
    if (err == 0)
        err = put_file(&bundle, "SHA256SUMS", manifest, len);
    free(manifest);
    return err;
}
