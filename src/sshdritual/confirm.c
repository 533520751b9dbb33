// SPDX-License-Identifier: Apache-2.0
//
// How it works. The person who confirms shows by the session itself that the new port can be
// reached. Then the old port is closed in the same way as the new one was opened: the timer gets a
// new deadline first, the files are written, sshd reads them, a login proves it; only then does the
// timer go. A confirm that dies leaves the timer armed and can be given again.
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdritual/ritual_internal.h"

// Whether confirm may go on. Adds findings otherwise.
static bool may_close(struct lh_ritual *ritual)
{
    char why[200] = "", mend[120];
    bool loopback = false;

    if (!lh_session_is_new(ritual, &loopback, why)) {
        (void)snprintf(mend, sizeof mend, "ssh -p %u HOST sudo lhctl sshd confirm",
                       ritual->record->port);
        lh_ritual_object(ritual, "L9", why, "a session that came over the new port",
                         "only that shows that you can still log in", mend);
        return false;
    }
    if (loopback)
        lh_ritual_say(
            ritual, LH_RITUAL_NOTE,
            "this session came from this machine itself, which says nothing of firewalls");
    return lh_place_untouched(ritual);
}

static lh_err close_old(struct lh_ritual *ritual)
{
    struct lh_record *record = ritual->record;
    bool changed;

    lh_store_set_deadline(ritual, record->seconds);
    lh_err err = lh_store_save(ritual, LH_RITUAL_CLOSING);
    if (err == 0 && !lh_timer_alive(ritual))
        err = lh_timer_arm(ritual);
    if (err == 0)
        err = lh_place_install(ritual, LH_RITUAL_NEW, &changed);
    if (err == 0)
        err = lh_server_reload(ritual, record->new_ports, record->new_port_count);
    if (err == 0)
        err = lh_ritual_go_on(ritual);
    if (err == 0)
        err = lh_proof_make(ritual, false);
    return err == 0 ? lh_store_save(ritual, LH_RITUAL_DONE) : err;
}

static void say_done(struct lh_ritual *ritual)
{
    const struct lh_record *record = ritual->record;

    for (size_t i = 0; i < record->old_port_count; i++) {
        bool kept =
            lh_record_has_port(record->new_ports, record->new_port_count, record->old_ports[i]);
        lh_ritual_say(ritual, LH_RITUAL_STEP, "port %u is %s", record->old_ports[i],
                      kept ? "open, as wanted" : "closed");
    }
    lh_ritual_say(ritual, LH_RITUAL_STEP, "the timer is gone: this is for good");
    lh_ritual_say(ritual, LH_RITUAL_NOTE, "lhctl sshd rollback still takes it back");
}

static enum lh_ritual_result close_or_restore(struct lh_ritual *ritual)
{
    struct lh_ritual second = *ritual;
    struct lh_errinfo other = {0};

    lh_ritual_hold_signals();
    lh_err err = close_old(ritual);
    if (err == 0) {
        lh_ritual_sweep(ritual);
        say_done(ritual);
        return LH_RITUAL_OK;
    }
    lh_ritual_say(ritual, LH_RITUAL_BAD, "%s", ritual->info->text);
    if (ritual->record->phase != LH_RITUAL_CLOSING)
        return LH_RITUAL_FAILED; // nothing was changed, the timer is armed
    second.info = &other;
    if (lh_ritual_restore(&second) == 0)
        lh_ritual_say(ritual, LH_RITUAL_NOTE, "the old state is back");
    else
        lh_ritual_say(ritual, LH_RITUAL_BAD, "%s; the timer is armed and tries again", other.text);
    return LH_RITUAL_FAILED;
}

enum lh_ritual_result lh_ritual_confirm(const struct lh_ritual_options *options,
                                        struct lh_sshd_report *out_report,
                                        struct lh_errinfo *info)
{
    struct lh_ritual ritual = {.options = options, .report = out_report, .info = info};
    enum lh_ritual_result result = LH_RITUAL_REFUSED;
    enum lh_ritual_step step = LH_RITUAL_NOTHING;

    lh_err err = lh_store_open(&ritual, false);
    if (err == 0)
        err = lh_store_load(&ritual);
    enum lh_ritual_phase before = ritual.record == NULL ? LH_RITUAL_NONE : ritual.record->phase;
    if (err == 0)
        err = lh_ritual_recover(&ritual, LH_RITUAL_CONFIRM, &step);
    if (err < 0) {
        result = err == LH_E_BUSY || err == LH_E_CHANGED ? LH_RITUAL_REFUSED : LH_RITUAL_FAILED;
    } else if (step == LH_RITUAL_ALREADY) {
        lh_ritual_say(&ritual, LH_RITUAL_NOTE, "it was confirmed before");
        result = LH_RITUAL_OK;
    } else if (step == LH_RITUAL_CLOSE) {
        result = may_close(&ritual) ? close_or_restore(&ritual) : LH_RITUAL_REFUSED;
        if (result == LH_RITUAL_REFUSED)
            (void)lh_fail(info, LH_E_INVALID, 0, "not confirmed; the timer goes on");
    } else if (before >= LH_RITUAL_ARMED && before < LH_RITUAL_RESTORED) {
        result = LH_RITUAL_FAILED;
        (void)lh_fail(info, LH_E_TIMEOUT, 0, "too late: the old state is back");
    } else {
        (void)lh_fail(info, LH_E_INVALID, 0, "there is nothing to confirm");
    }
    lh_store_close(&ritual);
    return result;
}
