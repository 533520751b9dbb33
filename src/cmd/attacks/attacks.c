// SPDX-License-Identifier: Apache-2.0
//
// How it works. Inputs are found and put in order, every line is fed to the state, the state is
// judged, and one of the outputs writes it down. What is found decides the exit status.
#include "cmd/attacks/attacks.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/attacks/again.h"
#include "cmd/attacks/connections.h"
#include "cmd/attacks/follow.h"
#include "sys/clock.h"
#include "watch/feed.h"
#include "watchio/journalctl.h"

#define STATUS_NOTHING 0
#define STATUS_ATTACKS 1
#define STATUS_ALARM   2
#define STATUS_USAGE   64
#define STATUS_FAILED  70

// Everything that one run holds.
struct run {
    struct lh_attacks_args args;
    struct lh_logs logs;
    struct lh_watch watch;
    struct lh_feed *feed;
    struct lh_judgement judgement;
    struct lh_attacks attacks;
    struct lh_connections connections;
    char host[256];
};

// The logs under their usual names, with what was rotated away; to follow, the first that is there,
// which is the one that grows.
static size_t find_usual(struct run *run)
{
    static const char *const stems[] = {"/var/log/auth.log", "/var/log/secure"};
    size_t found = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(stems); i++) {
        if (!run->args.follow)
            found += lh_logs_add_family(&run->logs, stems[i], run->args.now);
        else if (found == 0)
            found += lh_logs_add(&run->logs, stems[i], run->args.now, NULL) == 0;
    }
    return found;
}

static void tell_copy(const char *dropped, const char *kept)
{
    struct lh_errinfo info = {0};
    (void)lh_fail(&info, LH_NONE, 0, "%s holds nothing that %s does not: left out", dropped, kept);
    lh_attacks_complain(&info);
}

// The journal where it is to be had; else the logs under their usual names.
static lh_err find_inputs(struct run *run, struct lh_errinfo *info)
{
    struct lh_attacks_args *args = &run->args;
    lh_err err = 0;
    for (size_t i = 0; i < args->file_count && err == 0; i++)
        err = lh_logs_add(&run->logs, args->files[i], args->now, info);
    if (err != 0)
        return err;
    if (args->file_count == 0 && !args->journal) {
        args->journal = lh_journalctl_usable();
        if (!args->journal && find_usual(run) == 0)
            return lh_fail(
                info, LH_E_INVALID, 0,
                "no log of sshd can be read here (journal, /var/log/auth.log, /var/log/secure): "
                "name a file, or run as root");
    }
    lh_logs_sort(&run->logs);
    lh_logs_drop_copies(&run->logs, tell_copy);
    return 0;
}

static void apply_guards(struct run *run)
{
    for (size_t i = 0; i < run->judgement.count; i++) {
        struct lh_verdict *verdict = &run->judgement.verdicts[i];
        const char *reason = verdict->source == NULL
                                 ? NULL
                                 : lh_guards_reason(&run->args.guards, &verdict->source->addr);
        if (reason == NULL)
            continue;
        verdict->guard = LH_GUARDED_LIST;
        verdict->guard_reason = reason;
    }
}

static lh_err judge(struct run *run, struct lh_errinfo *info)
{
    lh_err err = lh_judge(&run->watch, &run->judgement);
    if (err != 0)
        return lh_fail(info, err, 0, "out of memory");
    lh_guards_add_host(&run->args.guards);
    apply_guards(run);
    const char *codeset = nl_langinfo(CODESET);
    run->attacks = (struct lh_attacks){
        .watch = &run->watch,
        .judgement = &run->judgement,
        .logs = &run->logs,
        .host = run->args.mask ? "(withheld)" : run->host,
        .own_host = run->host,
        .now = run->args.now,
        .top = run->args.all ? 0 : run->args.top,
        .harmless = run->args.harmless,
        .plain = run->args.ascii || strcmp(codeset, "UTF-8") != 0,
        .port = run->args.port,
    };
    return 0;
}

static void free_text(char **slot)
{
    free(*slot);
}

// The abuse report as a heap text, the caller's: it may fail, and must not have emptied
// args->output by then. NULL where none is asked for.
static lh_err make_abuse(struct run *run, char **out_text, struct lh_errinfo *info)
{
    char *text = NULL;
    size_t len;
    *out_text = NULL;
    if (run->args.abuse == NULL)
        return 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    lh_err err = lh_attacks_abuse(&run->attacks, &run->args, out, info);
    if (fclose(out) != 0 && err == 0)
        err = lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    if (err == 0)
        *out_text = text;
    else
        free(text);
    return err;
}

static lh_err write_report(struct run *run, struct lh_errinfo *info)
{
    const struct lh_attacks_args *args = &run->args;
    LH_CLEANUP(free_text) char *abuse = NULL;
    lh_err err = make_abuse(run, &abuse, info);
    if (err != 0)
        return err;
    FILE *out = args->output == NULL ? stdout : fopen(args->output, "we");
    if (out == NULL)
        return lh_fail_errno(info, errno, 0, "cannot write %s", args->output);
    if (abuse != NULL)
        (void)fputs(abuse, out);
    else if (args->block != LH_BLOCK_NONE)
        lh_attacks_block(&run->attacks, args, out);
    else if (args->json)
        lh_attacks_json(&run->attacks, out);
    else if (args->csv)
        lh_attacks_csv(&run->attacks, out);
    else if (args->html)
        lh_attacks_html(&run->attacks, out);
    else
        lh_attacks_text(&run->attacks, out);
    if (args->connections && args->json)
        lh_connections_json(&run->attacks, &run->connections, out);
    else if (args->connections)
        lh_connections_text(&run->attacks, &run->connections, out);
    bool failed = fflush(out) != 0 || ferror(out) != 0;
    if (out != stdout)
        failed |= fclose(out) != 0;
    return failed ? lh_fail_errno(info, errno, 0, "cannot write %s",
                                  args->output != NULL ? args->output : "the report")
                  : 0;
}

static lh_err run_all(struct run *run, struct lh_errinfo *info)
{
    uint64_t seed;
    lh_entropy_fill(&seed, sizeof seed);
    run->feed = calloc(1, sizeof *run->feed);
    lh_err err = run->feed == NULL ? LH_E_NOMEM : lh_watch_init(&run->watch, seed);
    if (err != 0)
        return lh_fail(info, err, 0, "out of memory");
    run->feed->watch = &run->watch;
    run->feed->since = run->args.since;
    run->feed->until = run->args.until;
    err = find_inputs(run, info);
    if (err == 0 && run->args.follow) {
        lh_guards_add_host(&run->args.guards);
        return lh_attacks_follow(&run->args, &run->logs, run->feed, run->host, info);
    }
    if (err == 0)
        err = lh_attacks_read(&run->args, &run->logs, run->feed, info);
    if (err == 0 && run->args.journal && run->watch.totals.lines == 0)
        (void)fprintf(stderr, "lhctl attacks: the journal shows nothing of sshd's%s\n",
                      geteuid() == 0 ? "" : " to this user: run it as root");
    if (err == 0)
        err = judge(run, info);
    if (err == 0 && run->args.connections)
        err = lh_connections_look(&run->args, &run->connections, info);
    if (err == 0 && run->args.evidence != NULL)
        err = lh_attacks_evidence(&run->attacks, &run->args, info);
    return err != 0 ? err : write_report(run, info);
}

static int status_of(const struct run *run)
{
    if (run->judgement.alarms > 0)
        return STATUS_ALARM;
    return run->judgement.count > 0 ? STATUS_ATTACKS : STATUS_NOTHING;
}

static int complain(const struct lh_errinfo *info, int status)
{
    lh_attacks_complain(info);
    return status;
}

int lh_attacks_main(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof *run);
    struct lh_errinfo info = {0};
    int status = STATUS_NOTHING;

    if (run == NULL)
        return STATUS_FAILED;
    (void)setlocale(LC_CTYPE, "");
    (void)gethostname(run->host, sizeof run->host - 1);
    lh_err err = lh_attacks_args_parse(argc, argv, lh_clock_wall_seconds(), &run->args, &info);
    if (err != 0) {
        status = complain(&info, STATUS_USAGE);
    } else if (run->args.help) {
        lh_attacks_args_help(stdout);
    } else {
        err = run_all(run, &info);
        status = err != 0 ? complain(&info, STATUS_FAILED) : status_of(run);
    }
    lh_connections_fini(&run->connections);
    lh_judgement_fini(&run->judgement);
    lh_watch_fini(&run->watch);
    lh_logs_fini(&run->logs);
    lh_attacks_args_fini(&run->args);
    free(run->feed);
    free(run);
    return status;
}
