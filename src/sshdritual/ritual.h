// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd apply, confirm and rollback: changes the configuration of a running sshd so that
// nobody is locked out. What happens in which order, and what any run does with what a killed one
// left, is said in sshdcfg/ritual.h.
#ifndef LH_SSHDRITUAL_RITUAL_H
#define LH_SSHDRITUAL_RITUAL_H

#include <stdbool.h>

#include "base/err.h"
#include "sshdapply/plan.h"
#include "sshdcfg/report.h"

#define LH_RITUAL_STATE_DIR   "/var/lib/longhaul/sshd"
#define LH_RITUAL_TIMER_UNIT  "longhaul-sshd-deadman"
#define LH_RITUAL_SECONDS     300 // of the timer
#define LH_RITUAL_SECONDS_MIN 5
#define LH_RITUAL_SECONDS_MAX 86400

enum lh_ritual_news {
    LH_RITUAL_STEP, // a step is done
    LH_RITUAL_BAD,  // a step failed; what is done about it follows
    LH_RITUAL_NOTE, // worth knowing
    LH_RITUAL_TEXT  // a text of several lines, to be shown as it is
};

enum lh_ritual_way { // how sshd is told to read its files again
    LH_RITUAL_AUTO,  // by systemd where that runs the machine, else by a signal
    LH_RITUAL_SYSTEMD,
    LH_RITUAL_SERVICE,
    LH_RITUAL_SIGNAL,
    LH_RITUAL_WAY_N_
};

// "auto", ...; never NULL.
const char *lh_ritual_way_name(enum lh_ritual_way way);

struct lh_ritual_options {
    const char *state;   // directory; LH_RITUAL_STATE_DIR
    const char *tools;   // folder in which programs are looked for first; NULL: none
    const char *program; // sshd; NULL: the usual one
    unsigned seconds;    // until the timer restores the old state
    enum lh_ritual_way way;
    bool force;     // rollback: also where files have changed since
    const char *id; // timer: of the run that it watches over; NULL: any
    int ready_fd;   // timer: a byte is written here once it is armed; -1: none
    void (*say)(void *context, enum lh_ritual_news news, const char *text);
    void *context;
};

enum lh_ritual_result {
    LH_RITUAL_OK,
    LH_RITUAL_REFUSED, // nothing was changed; the report or `info` says why
    LH_RITUAL_FAILED   // `info` says what failed and what holds now
};

// Carries the plan out up to the point where a person must confirm. `plan->check.root` is "/".
enum lh_ritual_result lh_ritual_apply(const struct lh_ritual_options *options,
                                      const struct lh_sshd_plan_options *plan,
                                      struct lh_sshd_report *out_report,
                                      struct lh_errinfo *info);

// Closes the old port, if the session that this process belongs to came over the new one.
enum lh_ritual_result lh_ritual_confirm(const struct lh_ritual_options *options,
                                        struct lh_sshd_report *out_report,
                                        struct lh_errinfo *info);

// Puts back what the last apply changed.
enum lh_ritual_result lh_ritual_rollback(const struct lh_ritual_options *options,
                                         struct lh_sshd_report *out_report,
                                         struct lh_errinfo *info);

// The dead man's hand: waits until the deadline is over and puts the old state back, unless that is
// not needed any more. Does not return before.
enum lh_ritual_result lh_ritual_watch(const struct lh_ritual_options *options,
                                      struct lh_errinfo *info);

#endif
