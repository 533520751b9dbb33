// SPDX-License-Identifier: Apache-2.0
#include "cmd/attacks/args.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmd/options.h"
#include "watchio/logs.h"

lh_err lh_attacks_parse_time(const char *text, int64_t now, int64_t *out_time)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1},
                 {'m', LH_WATCH_MINUTE},
                 {'h', LH_WATCH_HOUR},
                 {'d', LH_WATCH_DAY},
                 {'w', 7 * LH_WATCH_DAY}};
    struct lh_span rest = lh_span_of(text, strlen(text));
    uint64_t number;
    char full[40];

    if (lh_span_take_number(&rest, 1000000, &number) && rest.len == 1) {
        for (size_t i = 0; i < LH_ARRAY_LEN(units); i++) {
            if (units[i].unit != rest.at[0])
                continue;
            *out_time = now - (int64_t)number * units[i].seconds;
            return 0;
        }
        return LH_E_INVALID;
    }
    // What is left out of the clock is zero.
    static const char clock[] = "0000-00-00 00:00:00";
    size_t len = strlen(text);
    bool utc = len > 0 && text[len - 1] == 'Z';
    len -= utc;
    if (len != 10 && len != 16 && len != 19)
        return LH_E_INVALID;
    (void)snprintf(full, sizeof full, "%.*s%s%s ", (int)len, text, clock + len, utc ? "Z" : "");
    struct lh_stamp_reader stamps = {.zone = lh_logs_zone(now)};
    rest = lh_span_of(full, strlen(full));
    return lh_stamp_take(&stamps, &rest, out_time) && rest.len == 0 ? 0 : LH_E_INVALID;
}

static lh_err
set_time(void *target, const struct lh_option *option, const char *value, struct lh_errinfo *info)
{
    struct lh_attacks_args *args = target;
    int64_t *field = (int64_t *)(void *)((char *)target + option->offset);
    if (lh_attacks_parse_time(value, args->now, field) == 0)
        return 0;
    return lh_fail(info, LH_E_INVALID, 8,
                   "give a time like 2026-11-23, \"2026-11-23 04:30\", 12h or 7d, not \"%s\"",
                   value);
}

static lh_err
set_guard(void *target, const struct lh_option *option, const char *value, struct lh_errinfo *info)
{
    struct lh_attacks_args *args = target;
    (void)option;
    return lh_guards_add(&args->guards, value, "guarded by --guard", info);
}

static lh_err
set_number(void *target, const struct lh_option *option, const char *value, struct lh_errinfo *info)
{
    uint64_t *field = (uint64_t *)(void *)((char *)target + option->offset);
    if (lh_parse_number(value, option->low, option->high, field) == 0)
        return 0;
    return lh_fail(info, LH_E_INVALID, 8, "give a whole number from %llu to %llu, not \"%s\"",
                   (unsigned long long)option->low, (unsigned long long)option->high, value);
}

static lh_err
set_port(void *target, const struct lh_option *option, const char *value, struct lh_errinfo *info)
{
    ((struct lh_attacks_args *)target)->port_given = true;
    return lh_option_port(target, option, value, info);
}

static const struct lh_choice blocks[] = {{"nft", LH_BLOCK_NFT},
                                          {"fail2ban", LH_BLOCK_FAIL2BAN},
                                          {"crowdsec", LH_BLOCK_CROWDSEC},
                                          {"penalties", LH_BLOCK_PENALTIES},
                                          {NULL, 0}};

#define FIELD(name) .offset = offsetof(struct lh_attacks_args, name)
static const struct lh_option options[] = {
    {'h', "help", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(help), .help = "this help"},
    {0, "journal", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(journal),
     .help = "read the journal of systemd"},
    {0, "since", "TIME", LH_OPTION_SHOWN, set_time, FIELD(since),
     .help = "nothing older: 2026-11-23, 12h, 7d"},
    {0, "until", "TIME", LH_OPTION_SHOWN, set_time, FIELD(until), .help = "nothing younger"},
    {0, "json", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(json),
     .help = "JSON, one object a line"},
    {0, "csv", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(csv), .help = "CSV"},
    {0, "html", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(html),
     .help = "one page for a browser, with a picture"},
    {0, "block", "HOW", LH_OPTION_SHOWN, lh_option_choice, FIELD(block), .choices = blocks,
     .help = "print text for nft, fail2ban, crowdsec or penalties"},
    {0, "block-hours", "N", LH_OPTION_SHOWN, set_number, FIELD(block_hours), .low = 1, .high = 8760,
     .help = "how long they are shut out: 24"},
    {0, "abuse", "ADDR", LH_OPTION_SHOWN, lh_option_text, FIELD(abuse),
     .help = "print a report on ADDR to its network, as mail"},
    {0, "xarf", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(xarf),
     .help = "with --abuse: as X-ARF"},
    {0, "from", "MAIL", LH_OPTION_SHOWN, lh_option_text, FIELD(from),
     .help = "who reports, for --abuse and --evidence"},
    {0, "lookup", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(lookup),
     .help = "with --abuse: ask DNS whom to write to"},
    {0, "mask", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(mask),
     .help = "leave this machine's addresses and name out of reports"},
    {0, "evidence", "DIR", LH_OPTION_SHOWN, lh_option_text, FIELD(evidence),
     .help = "write all reports and the log's lines to a new DIR"},
    {0, "port", "N", LH_OPTION_SHOWN, set_port, FIELD(port),
     .help = "sshd's port: 33001 (and 22, for --connections)"},
    {0, "follow", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(follow),
     .help = "watch the log, tell attacks as they come"},
    {0, "state", "FILE", LH_OPTION_SHOWN, lh_option_text, FIELD(state),
     .help = "with --follow: keep there what is known"},
    {0, "connections", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(connections),
     .help = "look at the kernel's connections too, twice"},
    {0, "interval", "SECONDS", LH_OPTION_SHOWN, set_number, FIELD(interval), .low = 1, .high = 3600,
     .help = "between two looks, or two judgements of --follow: 5"},
    {0, "all", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(all),
     .help = "every source, not only the first 20"},
    {0, "harmless", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(harmless),
     .help = "also list what is not reported, and why"},
    {0, "ascii", NULL, LH_OPTION_SHOWN, lh_option_flag, FIELD(ascii),
     .help = "draw with ASCII only"},
    {0, "guard", "ADDR[/BITS]", LH_OPTION_SHOWN, set_guard,
     .help = "never block this (may be given again)"},
    {'o', "output", "FILE", LH_OPTION_SHOWN, lh_option_text, FIELD(output), .help = "write there"},
};

static const struct lh_option_table table = {
    .program = "lhctl attacks",
    .usage = "lhctl attacks [OPTION...] [LOGFILE...]\n\n"
             "Says who attacks sshd here, from its log. Without LOGFILE: the journal, or\n"
             "/var/log/auth.log and /var/log/secure with what was rotated away.\n",
    .options = options,
    .count = LH_ARRAY_LEN(options),
    .epilogue = "Changes nothing, blocks nobody and sends nothing: it prints. Exit status 0: no\n"
                "attack, 1: attacks, 2: perhaps somebody got in. More: lhctl-attacks(8).\n",
};

void lh_attacks_args_help(FILE *out)
{
    lh_options_help(&table, false, out);
}

static lh_err check(const struct lh_attacks_args *args, struct lh_errinfo *info)
{
    if (args->json + args->csv + args->html > 1)
        return lh_fail(info, LH_E_INVALID, 8, "--json, --csv and --html: choose one");
    if (args->journal && args->file_count > 0)
        return lh_fail(info, LH_E_INVALID, 8,
                       "the journal and log files hold the same messages, which would count twice: "
                       "choose one");
    if (args->abuse != NULL && (args->from == NULL || strchr(args->from, '@') == NULL))
        return lh_fail(info, LH_E_INVALID, 8,
                       "--abuse needs to know who reports: --from=you@example.org");
    if (args->abuse == NULL && (args->xarf || args->lookup))
        return lh_fail(info, LH_E_INVALID, 8, "--xarf and --lookup go with --abuse");
    if ((args->abuse != NULL) + (args->block != LH_BLOCK_NONE) +
            (args->json || args->csv || args->html) >
        1)
        return lh_fail(info, LH_E_INVALID, 8,
                       "--abuse, --block and the forms of the report: choose one");
    if (args->follow &&
        (args->csv || args->html || args->abuse != NULL || args->block != LH_BLOCK_NONE ||
         args->evidence != NULL || args->connections || args->output != NULL || args->until != 0))
        return lh_fail(info, LH_E_INVALID, 8,
                       "--follow tells lines of text or --json, and nothing else");
    if (args->follow &&
        (args->file_count > 1 || (args->file_count == 1 && strcmp(args->files[0], "-") == 0)))
        return lh_fail(info, LH_E_INVALID, 8, "--follow watches the journal or one file");
    if (!args->follow && args->state != NULL)
        return lh_fail(info, LH_E_INVALID, 8, "--state goes with --follow");
    if (args->connections &&
        (args->csv || args->html || args->abuse != NULL || args->block != LH_BLOCK_NONE))
        return lh_fail(info, LH_E_INVALID, 8,
                       "--connections goes with the report as text or --json");
    if (args->since != 0 && args->until != 0 && args->since > args->until)
        return lh_fail(info, LH_E_INVALID, 8, "--since is later than --until");
    return 0;
}

lh_err lh_attacks_args_parse(
    int argc, char **argv, int64_t now, struct lh_attacks_args *out, struct lh_errinfo *info)
{
    struct lh_operands operands;
    *out = (struct lh_attacks_args){
        .now = now, .port = LH_SSH_PORT_DEFAULT, .top = 20, .block_hours = 24, .interval = 5};
    operands.words = calloc((size_t)argc + 1, sizeof *operands.words);
    if (operands.words == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    lh_err err = lh_options_parse(&table, argc, argv, out, &operands, info);
    out->files = operands.words;
    out->file_count = operands.count;
    return err != 0 || out->help ? err : check(out, info);
}

void lh_attacks_args_fini(struct lh_attacks_args *args)
{
    free((void *)args->files);
    args->files = NULL;
}
