// SPDX-License-Identifier: Apache-2.0
//
// How it works. One way back from wherever the ritual was: the keys of the proof go, every file
// gets its old text and attributes, sshd reads them, and once it listens as before, the timer and
// the hidden copies go. The digests say what is already as it was, so that a second run goes on
// where a killed one stopped. Nothing of it needs space on a disk; where even the record cannot be
// written, the files are restored all the same.
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdritual/ritual_internal.h"

#define ROLLBACK_SECONDS 30u // at most, of the timer that finishes a rollback that dies

void lh_ritual_sweep(struct lh_ritual *ritual)
{
    lh_timer_disarm(ritual);
    lh_proof_clean(ritual);
    lh_place_unstage_all(ritual);
}

static lh_err forget(struct lh_ritual *ritual)
{
    char id[33];

    (void)snprintf(id, sizeof id, "%s", ritual->record->id);
    lh_place_unstage_all(ritual);
    lh_store_remove_folder(ritual, id);
    (void)lh_store_recall(ritual);
    lh_ritual_say(ritual, LH_RITUAL_NOTE,
                  "an earlier run had died before it changed anything; its copies are removed");
    return lh_store_load(ritual);
}

// Puts the texts back and has sshd read them.
static lh_err put_back(struct lh_ritual *ritual, enum lh_ritual_phase phase)
{
    const struct lh_record *record = ritual->record;
    bool changed;

    lh_err err = lh_place_install(ritual, LH_RITUAL_OLD, &changed);
    if (err != 0)
        return err;
    if (changed)
        lh_ritual_say(ritual, LH_RITUAL_STEP, "%zu files are as they were before",
                      record->file_count);
    // In the phase "armed" sshd has not been told of anything.
    if (!changed && phase == LH_RITUAL_ARMED)
        return 0;
    err = lh_server_reload(ritual, record->old_ports, record->old_port_count);
    if (err == 0)
        lh_ritual_say(ritual, LH_RITUAL_STEP, "sshd listens on port %u as before",
                      record->old_ports[0]);
    return err;
}

lh_err lh_ritual_restore(struct lh_ritual *ritual)
{
    enum lh_ritual_phase phase = ritual->record->phase;
    struct lh_ritual quiet = *ritual;

    lh_ritual_hold_signals();
    quiet.info = NULL; // a full disk is no reason to leave the files as they are
    LH_ASSERT(phase >= LH_RITUAL_ARMED && phase < LH_RITUAL_RESTORED);
    if (phase == LH_RITUAL_DONE) {
        // Long after confirm no timer runs: this one finishes the way back if we die on it.
        lh_store_set_deadline(ritual, ritual->record->seconds < ROLLBACK_SECONDS
                                          ? ritual->record->seconds
                                          : ROLLBACK_SECONDS);
        lh_err err = lh_store_save(ritual, LH_RITUAL_RESTORING);
        if (err == 0)
            err = lh_timer_arm(ritual);
        if (err != 0)
            return err;
    } else {
        (void)!lh_store_save(&quiet, LH_RITUAL_RESTORING);
    }
    lh_proof_clean(ritual);
    lh_place_keep_changed(ritual);
    lh_err err = put_back(ritual, phase);
    if (err != 0)
        return err;
    lh_place_unstage_all(ritual);
    // Where there is no space for that, no record says the same.
    if (lh_store_save(&quiet, LH_RITUAL_RESTORED) != 0)
        (void)lh_store_recall(ritual);
    lh_timer_disarm(ritual);
    return 0;
}

lh_err lh_ritual_recover(struct lh_ritual *ritual,
                         enum lh_ritual_command command,
                         enum lh_ritual_step *out_step)
{
    for (unsigned i = 0; i < LH_RITUAL_PHASE_N_; i++) {
        enum lh_ritual_phase phase = ritual->record->phase;
        bool expired = phase != LH_RITUAL_NONE && lh_store_expired(ritual);
        enum lh_ritual_step step = lh_ritual_decide(command, phase, expired);
        lh_err err = 0;

        *out_step = step;
        if (step == LH_RITUAL_FORGET) {
            err = forget(ritual);
        } else if (step == LH_RITUAL_RESTORE && command != LH_RITUAL_ROLLBACK) {
            if (!ritual->options->force && !lh_place_untouched(ritual))
                return lh_fail(ritual->info, LH_E_CHANGED, 0,
                               "an earlier run must be taken back first, and files have changed");
            lh_ritual_say(ritual, LH_RITUAL_NOTE, "%s (%s): the old state is put back first",
                          expired ? "the time of an earlier run is over"
                                  : "an earlier run had died",
                          lh_ritual_phase_name(phase));
            err = lh_ritual_restore(ritual);
        } else {
            // A run that died behind its last record has left its copies and its timer.
            if (phase == LH_RITUAL_DONE || phase == LH_RITUAL_RESTORED)
                lh_ritual_sweep(ritual);
            return 0;
        }
        if (err != 0)
            return err;
    }
    LH_UNREACHABLE();
}

enum lh_ritual_result lh_ritual_rollback(const struct lh_ritual_options *options,
                                         struct lh_sshd_report *out_report,
                                         struct lh_errinfo *info)
{
    struct lh_ritual ritual = {.options = options, .report = out_report, .info = info};
    enum lh_ritual_result result = LH_RITUAL_FAILED;
    enum lh_ritual_step step;

    lh_err err = lh_store_open(&ritual, false);
    if (err == 0)
        err = lh_store_load(&ritual);
    if (err == 0)
        err = lh_ritual_recover(&ritual, LH_RITUAL_ROLLBACK, &step);
    if (err == LH_NONE || (err == 0 && step == LH_RITUAL_NOTHING)) {
        lh_ritual_say(&ritual, LH_RITUAL_NOTE, "there is nothing to take back");
        result = LH_RITUAL_OK;
    } else if (err == LH_E_BUSY) {
        result = LH_RITUAL_REFUSED;
    } else if (err == 0 && !options->force && !lh_place_untouched(&ritual)) {
        result = LH_RITUAL_REFUSED;
        (void)lh_fail(info, LH_E_CHANGED, 0, "files have changed since; nothing was taken back");
    } else if (err == 0) {
        err = lh_ritual_restore(&ritual);
        result = err == 0 ? LH_RITUAL_OK : LH_RITUAL_FAILED;
        if (err == 0)
            lh_ritual_say(&ritual, LH_RITUAL_STEP, "the old state is back, byte for byte");
    }
    lh_store_close(&ritual);
    return result;
}
