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
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/text.h"
#include "cmd/attacks_again.h"
#include "crypto/hash.h"

#define SOURCES_MAX 300   // with lines of their own
#define LINES_MAX   10000 // of a source

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

// Writes a file and its line in the manifest.
static lh_err put_file(struct bundle *b, const char *name, const char *data, size_t len)
{
    uint8_t digest[LH_SHA256_LEN];
    char hex[2 * LH_SHA256_LEN + 1];
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
    lh_err err = lh_sha256(data, len, digest);
    if (err == 0 && b->manifest != NULL)
        (void)fprintf(b->manifest, "%s  %s\n", lh_format_hex(digest, sizeof digest, hex), name);
    return err;
}

static lh_err put_reports(struct bundle *b)
{
    static const struct {
        const char *name;
        void (*write)(const struct lh_attacks *attacks, FILE *out);
    } reports[] = {{"report.txt", lh_attacks_text},
                   {"report.json", lh_attacks_json},
                   {"report.csv", lh_attacks_csv},
                   {"report.html", lh_attacks_html}};
    for (size_t i = 0; i < LH_ARRAY_LEN(reports); i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        if (out == NULL)
            return lh_fail(b->info, LH_E_NOMEM, 0, "out of memory");
        reports[i].write(b->attacks, out);
        (void)fclose(out);
        lh_err err = put_file(b, reports[i].name, text, len);
        free(text);
        if (err != 0)
            return err;
    }
    return 0;
}

// What one source gets: its lines, and a report in two forms.
struct part {
    const struct lh_verdict *verdict;
    char *lines;
    size_t len;
};

static lh_err put_abuse(struct bundle *b, const struct part *part, const char *subject)
{
    char name[96];
    char *text = NULL;
    size_t len = 0;
    struct lh_abuse abuse = {b->attacks, b->args,     part->verdict,
                             NULL,       part->lines, LH_MIN(part->len, (size_t)4000)};
    // Whole lines only.
    while (abuse.lines_len > 0 && part->lines[abuse.lines_len - 1] != '\n')
        abuse.lines_len--;
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
        (void)snprintf(name, sizeof name, "%s.%s", subject, xarf != 0 ? "xarf.json" : "mail.txt");
        if (err == 0)
            err = put_file(b, name, text, len);
        free(text);
        text = NULL;
        if (err != 0)
            return err;
    }
    return 0;
}

static lh_err put_parts(struct bundle *b, struct part *parts, size_t count)
{
    lh_err err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        char subject[LH_VERDICT_SUBJECT];
        char name[96];
        lh_verdict_subject(parts[i].verdict, subject);
        for (char *at = subject; *at != '\0'; at++)
            *at = *at == ':' ? '-' : *at; // names that every system takes
        (void)snprintf(name, sizeof name, "%s.log", subject);
        err = put_file(b, name, parts[i].lines, parts[i].len);
        if (err == 0 && parts[i].verdict->guard == LH_GUARDED_NOT && b->args->from != NULL)
            err = put_abuse(b, &parts[i], subject);
    }
    return err;
}

static lh_err put_sources(struct bundle *b)
{
    const struct lh_judgement *j = b->attacks->judgement;
    size_t most = b->args->all ? SOURCES_MAX : b->attacks->top;
    struct part *parts = calloc(SOURCES_MAX, sizeof *parts);
    struct lh_wanted *wanted = calloc(SOURCES_MAX, sizeof *wanted);
    size_t count = 0;
    lh_err err = parts == NULL || wanted == NULL ? LH_E_NOMEM : 0;

    for (size_t i = 0; err == 0 && i < j->count && count < most; i++) {
        if (j->verdicts[i].source == NULL)
            continue;
        FILE *out = open_memstream(&parts[count].lines, &parts[count].len);
        if (out == NULL) {
            err = LH_E_NOMEM;
            break;
        }
        parts[count].verdict = &j->verdicts[i];
        wanted[count] = (struct lh_wanted){
            .addr = j->verdicts[i].source->addr, .out = out, .raw = true, .most = LINES_MAX};
        count++;
    }
    if (err == 0)
        err = lh_attacks_lines(b->args, b->attacks->logs, wanted, count, b->info);
    for (size_t i = 0; i < count; i++)
        (void)fclose(wanted[i].out);
    if (err == 0)
        err = put_parts(b, parts, count);
    for (size_t i = 0; i < count; i++)
        free(parts[i].lines);
    free(parts);
    free(wanted);
    return err == LH_E_NOMEM ? lh_fail(b->info, err, 0, "out of memory") : err;
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
