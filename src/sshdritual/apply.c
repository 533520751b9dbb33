// SPDX-License-Identifier: Apache-2.0
//
// How it works. Recover what an earlier run left; make the plan twice, with the old ports open
// besides and without; refuse if anything stands in the way. Then, each phase being on disk before
// its first change: copy every text beside its file, arm the timer, write the files with both
// ports, ask sshd whether they mean what was planned, have sshd read them, prove it by logins, and
// return. A failure on the way puts the old state back at once.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sshdritual/ritual_internal.h"
#include "sys/clock.h"

struct applying {
    struct lh_ritual *ritual;
    const struct lh_sshd_plan_options *options;
    struct lh_sshd_plan final;
    struct lh_sshd_plan both; // with the old ports besides
};

const char *lh_ritual_way_name(enum lh_ritual_way way)
{
    static const char *const names[LH_RITUAL_WAY_N_] = {
        [LH_RITUAL_AUTO] = "auto",
        [LH_RITUAL_SYSTEMD] = "systemd",
        [LH_RITUAL_SERVICE] = "service",
        [LH_RITUAL_SIGNAL] = "signal",
    };
    LH_ASSERT(way < LH_RITUAL_WAY_N_);
    return names[way];
}

void lh_ritual_say(const struct lh_ritual *ritual,
                   enum lh_ritual_news news,
                   const char *format,
                   ...)
{
    va_list arguments;
    char *text = NULL;

    if (ritual->options->say == NULL)
        return;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0)
        return;
    ritual->options->say(ritual->options->context, news, text);
    free(text);
}

void lh_ritual_object(struct lh_ritual *ritual,
                      const char *rule,
                      const char *is,
                      const char *want,
                      const char *why,
                      const char *mend)
{
    if (ritual->report != NULL)
        (void)!lh_sshd_report_add(ritual->report,
                                  &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_HIGH,
                                                           .rule = rule,
                                                           .is = is,
                                                           .want = want,
                                                           .why = why,
                                                           .mend = mend});
}

// --- Interruptions ---

// Ctrl-C and the end of the terminal must not end us between two steps: the way back is walked.
void lh_ritual_hold_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGPIPE);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

lh_err lh_ritual_go_on(struct lh_ritual *ritual)
{
    sigset_t set;

    // Somebody wants us to stop. A terminal that is gone is no such wish: the timer decides then.
    (void)sigpending(&set);
    if (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1)
        return lh_fail(ritual->info, LH_E_CANCELED, 0, "interrupted");
    if (lh_store_expired(ritual))
        return lh_fail(ritual->info, LH_E_TIMEOUT, 0, "the time was over before it was proved");
    lh_store_set_deadline(ritual, ritual->record->seconds);
    return lh_store_save(ritual, ritual->record->phase);
}

// --- Preparing ---

static void make_id(char out[33])
{
    uint8_t bytes[16];

    lh_entropy_fill(bytes, sizeof bytes);
    (void)lh_format_hex(bytes, sizeof bytes, out);
}

static const struct lh_sshd_planned *find_file(const struct lh_sshd_plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        if (plan->files[i].changed && strcmp(plan->files[i].path, path) == 0)
            return &plan->files[i];
    }
    return NULL;
}

// Adds a file of the plan; its own texts are `one`, that of the other plan may be missing: then the
// file stays as it is there.
static lh_err keep_file(struct applying *applying, const char *path)
{
    struct lh_ritual *ritual = applying->ritual;
    struct lh_record *record = ritual->record;
    const struct lh_sshd_planned *final = find_file(&applying->final, path);
    const struct lh_sshd_planned *both = find_file(&applying->both, path);
    const struct lh_sshd_planned *any = final != NULL ? final : both;
    size_t index = record->file_count;
    char real[LH_RITUAL_PATH];

    if (index == LH_RECORD_FILES_MAX || realpath(path, real) == NULL ||
        strlen(real) >= LH_RECORD_PATH_MAX || strchr(real, '\n') != NULL)
        return lh_fail(ritual->info, LH_E_LIMIT, 0, "%s cannot be changed: too many or odd names",
                       path);
    struct lh_record_file *file = &record->files[record->file_count++];
    (void)snprintf(file->path, sizeof file->path, "%.1023s", real);
    lh_err err = lh_place_describe(ritual, index);
    if (err == 0)
        err = lh_place_keep(ritual, index, LH_RITUAL_OLD, any->before, any->before_len);
    if (err == 0)
        err = both == NULL
                  ? lh_place_keep(ritual, index, LH_RITUAL_TWO, any->before, any->before_len)
                  : lh_place_keep(ritual, index, LH_RITUAL_TWO, both->text, both->len);
    if (err == 0)
        err = final == NULL
                  ? lh_place_keep(ritual, index, LH_RITUAL_NEW, any->before, any->before_len)
                  : lh_place_keep(ritual, index, LH_RITUAL_NEW, final->text, final->len);
    return err;
}

static lh_err keep_files(struct applying *applying)
{
    lh_err err = 0;

    // Both plans have the same files, the main one first.
    for (size_t i = 0; err == 0 && i < applying->both.file_count; i++) {
        const char *path = applying->both.files[i].path;
        if (find_file(&applying->both, path) != NULL || find_file(&applying->final, path) != NULL)
            err = keep_file(applying, path);
    }
    return err;
}

static void fill_record(struct applying *applying)
{
    struct lh_record *record = applying->ritual->record;
    const struct lh_sshd_choices *choices = &applying->options->choices;

    *record = (struct lh_record){.seconds = applying->ritual->options->seconds,
                                 .port = choices->port,
                                 .pid_given = applying->options->pid != 0};
    make_id(record->id);
    lh_store_set_deadline(applying->ritual, record->seconds);
    (void)snprintf(record->config, sizeof record->config, "%.1023s", applying->final.config);
    (void)snprintf(record->user, sizeof record->user, "%s", applying->final.admin);
    (void)snprintf(record->mover, sizeof record->mover, "%s", applying->final.mover);
    for (size_t i = 0; i < applying->final.port_count && i < LH_RECORD_PORTS_MAX; i++)
        record->old_ports[record->old_port_count++] = applying->final.ports[i];
    record->new_ports[record->new_port_count++] = choices->port;
    if (choices->keep_port_22 && choices->port != 22)
        record->new_ports[record->new_port_count++] = 22;
    lh_server_note(applying->ritual, applying->final.pid);
    lh_unit_paths(applying->ritual);
}

static lh_err prepare(struct applying *applying)
{
    struct lh_ritual *ritual = applying->ritual;

    lh_err err = lh_store_remember(ritual);
    if (err != 0)
        return err;
    fill_record(applying);
    // The name of the run is on disk before anything is made that bears it.
    err = lh_store_save(ritual, LH_RITUAL_PREPARING);
    if (err == 0)
        err = lh_store_make_folder(ritual);
    if (err == 0)
        err = keep_files(applying);
    if (err == 0)
        err = lh_store_save(ritual, LH_RITUAL_PREPARING);
    for (size_t i = 0; err == 0 && i < ritual->record->file_count; i++) {
        for (int text = 0; err == 0 && text < LH_RITUAL_TEXT_N_; text++)
            err = lh_place_stage(ritual, i, (enum lh_ritual_text)text);
        if (err == 0)
            err = lh_place_sync_folder(ritual->record->files[i].path, ritual->info);
    }
    if (err == 0)
        lh_ritual_say(ritual, LH_RITUAL_STEP, "%zu files are kept below %s/%s",
                      ritual->record->file_count, ritual->options->state, ritual->record->id);
    return err;
}

// --- Opening ---

// Whether the files in place are what the plan with both ports wants, by our reckoning and sshd's.
static lh_err check_written(struct applying *applying, const struct lh_sshd_plan_options *options)
{
    LH_CLEANUP(lh_sshd_plan_fini) struct lh_sshd_plan again = {0};
    struct lh_errinfo *info = applying->ritual->info;

    lh_err err = lh_sshd_plan_make(options, &again, info);
    if (err != 0)
        return err == LH_NONE ? LH_E_INVALID : err;
    if (*again.difference != '\0')
        return lh_fail(info, LH_E_CHANGED, 0, "the files are not what was written");
    for (size_t i = 0; i < again.affected.count; i++) {
        if (again.affected.items[i].grade == LH_SSHD_GRADE_HIGH)
            return lh_fail(info, LH_E_INVALID, 0, "with the new files: %s",
                           again.affected.items[i].is);
    }
    return 0;
}

static lh_err open_port(struct applying *applying, const struct lh_sshd_plan_options *both)
{
    struct lh_ritual *ritual = applying->ritual;
    struct lh_record *record = ritual->record;
    uint16_t ports[2 * LH_RECORD_PORTS_MAX];
    size_t count = 0;
    bool changed;

    for (size_t i = 0; i < record->new_port_count; i++)
        ports[count++] = record->new_ports[i];
    for (size_t i = 0; i < record->old_port_count; i++) {
        if (!lh_record_has_port(ports, count, record->old_ports[i]))
            ports[count++] = record->old_ports[i];
    }
    lh_err err = lh_store_save(ritual, LH_RITUAL_OPENING);
    if (err == 0)
        err = lh_place_install(ritual, LH_RITUAL_TWO, &changed);
    if (err == 0)
        err = check_written(applying, both);
    if (err == 0)
        lh_ritual_say(ritual, LH_RITUAL_STEP,
                      "the files are written; sshd -T gives the values "
                      "planned");
    if (err == 0)
        err = lh_ritual_go_on(ritual);
    if (err == 0)
        err = lh_server_reload(ritual, ports, count);
    record->opened = lh_clock_boot();
    if (err == 0)
        err = lh_ritual_go_on(ritual);
    if (err != 0)
        return err;
    lh_ritual_say(ritual, LH_RITUAL_STEP, "port %u is open%s", record->port,
                  count > 1 ? ", beside the old one" : "");
    return 0;
}

// From the first change to the last step before a person must confirm.
static lh_err change(struct applying *applying, const struct lh_sshd_plan_options *both)
{
    struct lh_ritual *ritual = applying->ritual;

    lh_err err = lh_timer_arm(ritual);
    if (err != 0)
        return err;
    lh_ritual_say(ritual, LH_RITUAL_STEP,
                  "the timer is armed: %u s after the last step the old state comes back",
                  ritual->record->seconds);
    err = open_port(applying, both);
    if (err == 0)
        err = lh_proof_make(ritual, true);
    if (err == 0)
        err = lh_ritual_go_on(ritual);
    return err == 0 ? lh_store_save(ritual, LH_RITUAL_AWAITING) : err;
}

static enum lh_ritual_result go_back(struct lh_ritual *ritual)
{
    struct lh_ritual second = *ritual;
    struct lh_errinfo other = {0};

    second.info = &other;
    lh_ritual_say(ritual, LH_RITUAL_BAD, "%s", ritual->info->text);
    if (lh_ritual_restore(&second) == 0)
        lh_ritual_say(ritual, LH_RITUAL_NOTE, "the old state is back; nothing else was changed");
    else
        lh_ritual_say(ritual, LH_RITUAL_BAD, "%s; the timer is armed and restores the old state",
                      other.text);
    return LH_RITUAL_FAILED;
}

static void say_waiting(struct lh_ritual *ritual)
{
    const struct lh_record *record = ritual->record;
    lh_ns now = lh_clock_boot();
    unsigned left = record->deadline > now ? (unsigned)((record->deadline - now) / LH_SECOND) : 0;

    lh_ritual_say(ritual, LH_RITUAL_NOTE,
                  "Within %u s log in anew on port %u and confirm, or the old state comes back:",
                  left, record->port);
    lh_ritual_say(
        ritual, LH_RITUAL_TEXT, "    ssh -p %u %s@HOST\n    sudo lhctl sshd confirm%s%s\n",
        record->port, record->user,
        strcmp(ritual->options->state, LH_RITUAL_STATE_DIR) == 0 ? "" : " --state ",
        strcmp(ritual->options->state, LH_RITUAL_STATE_DIR) == 0 ? "" : ritual->options->state);
}

static enum lh_ritual_result carry_out(struct applying *applying,
                                       const struct lh_sshd_plan_options *both)
{
    struct lh_ritual *ritual = applying->ritual;

    lh_ritual_hold_signals();
    lh_err err = prepare(applying);
    if (err == 0)
        err = lh_store_save(ritual, LH_RITUAL_ARMED);
    if (err != 0) {
        lh_ritual_say(ritual, LH_RITUAL_BAD, "%s", ritual->info->text);
        lh_place_unstage_all(ritual);
        lh_store_remove_folder(ritual, ritual->record->id);
        (void)lh_store_recall(ritual);
        lh_ritual_say(ritual, LH_RITUAL_NOTE, "nothing was changed");
        return LH_RITUAL_FAILED;
    }
    lh_store_forget_old(ritual);
    if (change(applying, both) != 0)
        return go_back(ritual);
    say_waiting(ritual);
    return LH_RITUAL_OK;
}

// --- Deciding ---

// Gives the findings that stand in the way to the caller. Whether there are any.
static bool barred(struct applying *applying, struct lh_sshd_plan *plan)
{
    if (lh_sshd_report_count(&plan->affected, LH_SSHD_GRADE_HIGH) == 0)
        return false;
    lh_sshd_report_fini(applying->ritual->report);
    *applying->ritual->report = plan->affected;
    plan->affected = (struct lh_sshd_report){0};
    return true;
}

static enum lh_ritual_result decide(struct applying *applying)
{
    struct lh_ritual *ritual = applying->ritual;
    struct lh_sshd_plan_options options = *applying->options;

    options.carry_out = true;
    options.tools = ritual->options->tools;
    lh_err err = lh_sshd_plan_make(&options, &applying->final, ritual->info);
    if (err != 0)
        return LH_RITUAL_REFUSED;
    if (barred(applying, &applying->final))
        return LH_RITUAL_REFUSED;
    if (*applying->final.difference == '\0') {
        lh_ritual_say(ritual, LH_RITUAL_NOTE, "the files are as planned already: nothing to do");
        return LH_RITUAL_OK;
    }
    options.choices.also_ports = applying->final.ports;
    options.choices.also_port_count = applying->final.port_count;
    err = lh_sshd_plan_make(&options, &applying->both, ritual->info);
    if (err != 0 || barred(applying, &applying->both))
        return LH_RITUAL_REFUSED;
    options.carry_out = false;
    return carry_out(applying, &options);
}

enum lh_ritual_result lh_ritual_apply(const struct lh_ritual_options *options,
                                      const struct lh_sshd_plan_options *plan,
                                      struct lh_sshd_report *out_report,
                                      struct lh_errinfo *info)
{
    struct lh_ritual ritual = {.options = options, .report = out_report, .info = info};
    struct applying *applying = calloc(1, sizeof *applying);
    enum lh_ritual_result result = LH_RITUAL_REFUSED;
    enum lh_ritual_step step = LH_RITUAL_BEGIN;

    LH_ASSERT(strcmp(plan->check.root, "/") == 0);
    if (applying == NULL)
        return LH_RITUAL_REFUSED;
    applying->ritual = &ritual;
    applying->options = plan;
    // The lock is taken before anything is looked at: two at a time would plan over each other.
    lh_err err = lh_store_open(&ritual, true);
    if (err == 0)
        err = lh_store_load(&ritual);
    if (err == 0)
        err = lh_ritual_recover(&ritual, LH_RITUAL_APPLY, &step);
    if (err == 0 && step == LH_RITUAL_OCCUPIED) {
        lh_ritual_object(&ritual, "L0", "an earlier apply waits for confirm", "one at a time",
                         "the timer of that run would take this one back, too",
                         "lhctl sshd confirm, or: lhctl sshd rollback");
    } else if (err == 0) {
        result = decide(applying);
    }
    lh_sshd_plan_fini(&applying->final);
    lh_sshd_plan_fini(&applying->both);
    free(applying);
    lh_store_close(&ritual);
    return result;
}
