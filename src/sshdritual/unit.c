// SPDX-License-Identifier: Apache-2.0
//
// How it works. Where systemd runs the machine, the timer is a unit on disk besides the process: it
// survives a reboot, after which it counts from the boot. Both do the same under the same lock, so
// that it does not matter which of them comes first.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sshdapply/run.h"
#include "sshdritual/ritual_internal.h"

#define UNIT_FOLDER "/etc/systemd/system"
#define PATIENCE_MS 20000

static const char *const endings[] = {"service", "timer"};

bool lh_unit_wanted(void)
{
    return access("/run/systemd/system", F_OK) == 0;
}

void lh_unit_paths(struct lh_ritual *ritual)
{
    struct lh_record *record = ritual->record;

    for (size_t i = 0; lh_unit_wanted() && i < LH_ARRAY_LEN(endings); i++)
        (void)snprintf(record->absent[record->absent_count++], LH_RECORD_PATH_MAX, "%s/%s.%s",
                       UNIT_FOLDER, LH_RITUAL_TIMER_UNIT, endings[i]);
}

static lh_err systemctl(const struct lh_ritual *ritual, const char *const words[3])
{
    LH_CLEANUP(lh_run_result_fini) struct lh_run_result result = {0};
    char program[512];
    const char *const argv[] = {program, words[0], words[1], words[2], NULL};

    (void)lh_run_find(ritual->options->tools, "systemctl", program, sizeof program);
    lh_err err = lh_run(&(struct lh_run_options){.argv = argv, .timeout_ms = PATIENCE_MS}, &result,
                        ritual->info);
    if (err == 0 && result.status != 0)
        err = lh_fail(ritual->info, LH_E_SYS, 0, "systemctl %s: %.*s", words[0],
                      (int)strcspn(result.err, "\n"), result.err);
    return err;
}

static lh_err write_unit(struct lh_ritual *ritual, const char *path, const char *text)
{
    lh_err err = lh_place_write(
        &(struct lh_place){.path = path, .text = text, .len = strlen(text), .mode = 0644},
        ritual->info);
    return err != 0 ? err : lh_place_sync_folder(path, ritual->info);
}

lh_err lh_unit_arm(struct lh_ritual *ritual)
{
    static const char *const reload[] = {"daemon-reload", NULL, NULL};
    static const char *const enable[] = {"enable", "--now", LH_RITUAL_TIMER_UNIT ".timer"};
    const struct lh_record *record = ritual->record;
    const char *tools = ritual->options->tools;
    char program[LH_RITUAL_PATH], text[4 * LH_RITUAL_PATH];

    if (record->absent_count < LH_ARRAY_LEN(endings))
        return 0; // no systemd
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    program[len > 0 ? len : 0] = '\0';
    if (len <= 0 || strpbrk(program, "\"%\\\n") != NULL ||
        strpbrk(ritual->options->state, "\"%\\\n") != NULL ||
        (tools != NULL && strpbrk(tools, "\"%\\\n") != NULL))
        return lh_fail(ritual->info, LH_E_PATH, 0, "a unit cannot name %s or %s", program,
                       ritual->options->state);
    (void)snprintf(text, sizeof text,
                   "# Written by lhctl sshd apply, removed by confirm and rollback.\n[Unit]\n"
                   "Description=Restore the SSH server's configuration\n\n[Service]\n"
                   "Type=oneshot\nTimeoutStartSec=infinity\n"
                   "ExecStart=\"%s\" sshd timer --state \"%s\" --id %s --reload %s%s%s%s\n",
                   program, ritual->options->state, record->id,
                   lh_ritual_way_name(ritual->options->way), tools == NULL ? "" : " --tools \"",
                   tools == NULL ? "" : tools, tools == NULL ? "" : "\"");
    lh_err err = write_unit(ritual, record->absent[0], text);
    (void)snprintf(text, sizeof text,
                   "# Written by lhctl sshd apply, removed by confirm and rollback.\n[Unit]\n"
                   "Description=Restore the SSH server's configuration unless that is "
                   "confirmed\n\n[Timer]\nOnActiveSec=%u\nOnBootSec=%u\nAccuracySec=1\n\n"
                   "[Install]\nWantedBy=timers.target\n",
                   record->seconds, record->seconds);
    if (err == 0)
        err = write_unit(ritual, record->absent[1], text);
    if (err == 0)
        err = systemctl(ritual, reload);
    return err != 0 ? err : systemctl(ritual, enable);
}

void lh_unit_disarm(struct lh_ritual *ritual)
{
    static const char *const reload[] = {"daemon-reload", NULL, NULL};
    static const char *const disable[] = {"disable", "--now", LH_RITUAL_TIMER_UNIT ".timer"};
    struct lh_ritual quiet = *ritual;
    bool there = false;

    quiet.info = NULL;
    for (size_t i = 0; i < ritual->record->absent_count; i++)
        there = there || access(ritual->record->absent[i], F_OK) == 0;
    if (!there)
        return;
    (void)systemctl(&quiet, disable);
    for (size_t i = 0; i < ritual->record->absent_count; i++) {
        (void)unlink(ritual->record->absent[i]);
        (void)!lh_place_sync_folder(ritual->record->absent[i], NULL);
    }
    (void)systemctl(&quiet, reload);
}
