// SPDX-License-Identifier: Apache-2.0
//
// How it works. The readers and the judge of `lhctl attacks` do the work: each line goes to its
// state, which says who attacked; and once more through the parser of messages, for logins with
// passwords and uses of SFTP. Ansible shows by the word that it has sudo print. Below a root other
// than "/" there is no journal to ask, and the files below it are read.
#include "cmd/sshd/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/attacks/attacks.h"
#include "sys/clock.h"
#include "watch/feed.h"
#include "watchio/journalctl.h"

#define DAY 86400

struct reading {
    struct lh_sshd_log *log;
    struct lh_watch watch;
    struct lh_feed feed;
    struct lh_stamp_reader stamps;
    struct lh_journal_entry entry;
    int64_t since;
};

static void add_user(struct lh_sshd_log_users *users, struct lh_span name)
{
    char shown[64];

    users->lines++;
    lh_escape(name.at, name.len, shown, sizeof shown);
    for (unsigned i = 0; i < users->named; i++) {
        if (strcmp(users->names[i], shown) == 0)
            return;
    }
    if (users->named < LH_SSHD_LOG_NAMES)
        memcpy(users->names[users->named++], shown, sizeof shown);
}

static void take_message(struct reading *reading, struct lh_span message)
{
    static const struct lh_span sftp = LH_SPAN("subsystem request for sftp by user ");
    struct lh_watch_event event;

    reading->log->lines++;
    if (lh_span_starts(message, sftp)) {
        struct lh_span rest = lh_span_skip(message, sftp.len);
        const char *end = memchr(rest.at, ',', rest.len);
        add_user(&reading->log->sftp,
                 lh_span_head(rest, end == NULL ? rest.len : (size_t)(end - rest.at)));
        return;
    }
    if (lh_watch_message_parse(message, &event) == LH_WATCH_ACCEPTED && event.has_user &&
        (event.method == LH_WATCH_METHOD_PASSWORD || event.method == LH_WATCH_METHOD_KEYBOARD))
        add_user(&reading->log->passwords, event.user);
}

static lh_err take_line(void *context, struct lh_span line, uint64_t number)
{
    struct reading *reading = context;
    struct lh_watch_record record;
    enum lh_watch_line kind;

    (void)lh_feed_line(&reading->feed, line, number);
    if (line.len > 0 && *line.at == '{') {
        kind = lh_watch_journal_parse(line, &reading->entry);
        record = reading->entry.record;
    } else {
        kind = lh_watch_line_parse(&reading->stamps, line, &record);
    }
    if (kind == LH_WATCH_LINE_SSHD && record.time >= reading->since)
        take_message(reading, record.message);
    else if (memmem(line.at, line.len, "BECOME-SUCCESS-", 15) != NULL)
        reading->log->ansible++;
    return 0;
}

// The log files below the root, oldest first.
static void find_files(const char *root, int64_t now, struct lh_logs *logs)
{
    static const char *const stems[] = {"/var/log/auth.log", "/var/log/secure"};
    char path[4096];

    for (size_t i = 0; i < LH_ARRAY_LEN(stems); i++) {
        if ((size_t)snprintf(path, sizeof path, "%s%s", strcmp(root, "/") == 0 ? "" : root,
                             stems[i]) < sizeof path)
            (void)lh_logs_add_family(logs, path, now);
    }
    lh_logs_sort(logs);
}

static void say_searched(const struct lh_logs *logs, size_t read, struct lh_sshd_log *log)
{
    const char *newest = logs->items[logs->count - 1].path;
    char more[64] = "";

    if (logs->count > 1)
        (void)snprintf(more, sizeof more, " and %zu older %s", logs->count - 1,
                       lh_plural(logs->count - 1, "file", "files"));
    (void)snprintf(log->searched, sizeof log->searched, "%.150s%s%s", newest, more,
                   read < logs->count ? " (not all could be read)" : "");
}

static lh_err read_files(struct reading *reading, const struct lh_logs *logs, int64_t now)
{
    const struct lh_line_sink sink = {take_line, reading};
    struct lh_watch_zone zone = lh_logs_zone(now);
    size_t read = 0;

    for (size_t i = 0; i < logs->count; i++) {
        if (logs->items[i].changed < reading->since) {
            read++; // older than the days asked for
            continue;
        }
        zone.latest = logs->items[i].changed;
        lh_feed_begin(&reading->feed, &zone, (uint32_t)i);
        reading->stamps = (struct lh_stamp_reader){.zone = zone};
        read += lh_log_read(logs->items[i].path, &sink, NULL) == 0;
    }
    if (logs->count == 0 || read == 0)
        return LH_NONE;
    say_searched(logs, read, reading->log);
    return 0;
}

static lh_err read_journal(struct reading *reading, int64_t now)
{
    const struct lh_line_sink sink = {take_line, reading};
    struct lh_watch_zone zone = lh_logs_zone(now);

    lh_feed_begin(&reading->feed, &zone, 0);
    reading->feed.by_time = true;
    if (lh_journalctl_read(reading->since, &sink, NULL) != 0)
        return LH_NONE;
    (void)snprintf(reading->log->searched, sizeof reading->log->searched, "the journal");
    return 0;
}

static lh_err judge(const struct reading *reading, struct lh_sshd_log *log)
{
    struct lh_judgement judgement;
    char subject[LH_VERDICT_SUBJECT];

    lh_err err = lh_judge(&reading->watch, &judgement);
    if (err != 0)
        return err;
    for (size_t i = 0; i < judgement.count; i++)
        log->attackers += judgement.verdicts[i].severity != LH_SEVERITY_LOOK;
    log->alarms = judgement.alarms;
    if (judgement.count > 0)
        (void)snprintf(log->worst, sizeof log->worst, "%s: %s",
                       lh_verdict_subject(&judgement.verdicts[0], subject),
                       lh_attack_words(judgement.verdicts[0].kind));
    lh_judgement_fini(&judgement);
    return 0;
}

lh_err lh_sshd_log_read(const char *root, unsigned days, struct lh_sshd_log *out_log)
{
    struct reading *reading = calloc(1, sizeof *reading);
    struct lh_sshd_log log = {.lines = 0};
    struct lh_logs logs = LH_LOGS_NULL;
    int64_t now = lh_clock_wall_seconds();
    uint64_t seed;

    lh_entropy_fill(&seed, sizeof seed);
    if (reading == NULL || lh_watch_init(&reading->watch, seed) != 0) {
        free(reading);
        return LH_E_NOMEM;
    }
    reading->log = &log;
    reading->since = now - (int64_t)days * DAY;
    reading->feed.watch = &reading->watch;
    reading->feed.since = reading->since;
    lh_err err = LH_NONE;
    if (strcmp(root, "/") == 0 && lh_journalctl_usable())
        err = read_journal(reading, now);
    if (err == LH_NONE) {
        find_files(root, now, &logs);
        err = read_files(reading, &logs, now);
    }
    if (err == 0)
        err = judge(reading, &log);
    lh_logs_fini(&logs);
    lh_watch_fini(&reading->watch);
    free(reading);
    if (err == 0)
        *out_log = log;
    return err;
}

// --- Findings ---

static lh_err add_nothing_read(struct lh_sshd_report *report, const char *rule, const char *why)
{
    return lh_sshd_report_add(
        report, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_UNKNOWN,
                                         .rule = rule,
                                         .is = "no log of sshd could be read (journal, "
                                               "/var/log/auth.log, /var/log/secure)",
                                         .why = why});
}

lh_err lh_sshd_log_check(const struct lh_sshd_args *args, struct lh_sshd_report *report)
{
    struct lh_sshd_log log;
    char is[700];

    if (args->days == 0)
        return 0;
    lh_err err = lh_sshd_log_read(args->root, args->days, &log);
    if (err == LH_NONE)
        return add_nothing_read(report, "L1", "whether somebody attacks is not known");
    if (err != 0)
        return err;
    if (log.attackers + log.alarms == 0)
        (void)snprintf(is, sizeof is, "no attack in the last %u days in %s", args->days,
                       log.searched);
    else
        (void)snprintf(is, sizeof is, "%zu attackers in the last %u days in %s; %s", log.attackers,
                       args->days, log.searched, log.worst);
    bool calm = log.attackers + log.alarms == 0;
    return lh_sshd_report_add(
        report, &(struct lh_sshd_remark){.grade = log.alarms > 0 ? LH_SSHD_GRADE_HIGH
                                                  : calm         ? LH_SSHD_GRADE_OK
                                                                 : LH_SSHD_GRADE_LOW,
                                         .rule = "L1",
                                         .is = is,
                                         .want = calm ? "" : "a look at who they are",
                                         .why = log.alarms > 0 ? "perhaps somebody got in"
                                                               : "guessing goes on until it is "
                                                                 "blocked",
                                         .mend = calm ? "" : "lhctl attacks"});
}

static void join_users(const struct lh_sshd_log_users *users, char *out, size_t room)
{
    size_t used = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < users->named && used + 70 < room; i++)
        used +=
            (size_t)snprintf(out + used, room - used, "%s%s", i == 0 ? "" : ", ", users->names[i]);
}

static bool is_named(const struct lh_sshd_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

static lh_err add_sftp(const struct lh_sshd_args *args,
                       const struct lh_sshd_log *log,
                       struct lh_sshd_report *report)
{
    struct lh_sshd_log_users losing = {.lines = log->sftp.lines};
    char is[400], who[1200];

    for (unsigned i = 0; i < log->sftp.named; i++) {
        if (!is_named(&args->sftp_users, log->sftp.names[i]))
            memcpy(losing.names[losing.named++], log->sftp.names[i], sizeof losing.names[0]);
    }
    if (losing.named == 0 && log->ansible == 0)
        return 0;
    join_users(&losing, who, sizeof who);
    (void)snprintf(is, sizeof is, "%s names %" PRIu64 " %s of SFTP%s", log->searched,
                   log->sftp.lines, lh_plural(log->sftp.lines, "use", "uses"),
                   log->ansible > 0 ? ", and Ansible" : "");
    return lh_sshd_report_add(
        report, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_MEDIUM,
                                         .rule = "B3",
                                         .is = is,
                                         .why = "only those named with --sftp-users keep SFTP; scp "
                                                "(as of OpenSSH 9.0) and Ansible use it too",
                                         .who = who});
}

lh_err lh_sshd_log_affected(const struct lh_sshd_args *args, struct lh_sshd_report *report)
{
    struct lh_sshd_log log;
    char is[400], who[1200];

    if (args->days == 0)
        return 0;
    lh_err err = lh_sshd_log_read(args->root, args->days, &log);
    if (err == LH_NONE)
        return add_nothing_read(report, "B3", "who uses SFTP, Ansible or passwords is not known");
    if (err == 0)
        err = add_sftp(args, &log, report);
    if (err == 0 && log.passwords.lines > 0 && args->passwords == NULL) {
        join_users(&log.passwords, who, sizeof who);
        (void)snprintf(is, sizeof is, "%s names %" PRIu64 " %s with a password", log.searched,
                       log.passwords.lines, lh_plural(log.passwords.lines, "login", "logins"));
        err = lh_sshd_report_add(
            report, &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_MEDIUM,
                                             .rule = "B2",
                                             .is = is,
                                             .why = "these need a key, or --passwords keep",
                                             .who = who});
    }
    if (err != 0 || log.sftp.lines + log.passwords.lines + log.ansible > 0)
        return err;
    (void)snprintf(is, sizeof is, "%s names no use of SFTP or Ansible and no login with a password",
                   log.searched);
    return lh_sshd_report_add(report,
                              &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_INFO,
                                                       .rule = "B3",
                                                       .is = is,
                                                       .why = "in the days that were read"});
}
