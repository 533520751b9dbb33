// SPDX-License-Identifier: Apache-2.0
#include "sshdcfg/ritual.h"

#include <string.h>

#include "base/assert.h"

static const char *const phase_names[LH_RITUAL_PHASE_N_] = {
    [LH_RITUAL_NONE] = "none",           [LH_RITUAL_PREPARING] = "preparing",
    [LH_RITUAL_ARMED] = "armed",         [LH_RITUAL_OPENING] = "opening",
    [LH_RITUAL_PROVING] = "proving",     [LH_RITUAL_AWAITING] = "awaiting",
    [LH_RITUAL_CLOSING] = "closing",     [LH_RITUAL_DONE] = "done",
    [LH_RITUAL_RESTORING] = "restoring", [LH_RITUAL_RESTORED] = "restored",
};

const char *lh_ritual_phase_name(enum lh_ritual_phase phase)
{
    LH_ASSERT(phase < LH_RITUAL_PHASE_N_);
    return phase_names[phase];
}

// What each command does in each phase while the deadline is not over.
static const enum lh_ritual_step steps[LH_RITUAL_PHASE_N_][LH_RITUAL_COMMAND_N_] = {
    //                       apply               confirm            rollback           timer
    [LH_RITUAL_NONE] = {LH_RITUAL_BEGIN, LH_RITUAL_NOTHING, LH_RITUAL_NOTHING, LH_RITUAL_NOTHING},
    [LH_RITUAL_PREPARING] = {LH_RITUAL_FORGET, LH_RITUAL_FORGET, LH_RITUAL_FORGET,
                             LH_RITUAL_FORGET},
    [LH_RITUAL_ARMED] = {LH_RITUAL_RESTORE, LH_RITUAL_RESTORE, LH_RITUAL_RESTORE, LH_RITUAL_WAIT},
    [LH_RITUAL_OPENING] = {LH_RITUAL_RESTORE, LH_RITUAL_RESTORE, LH_RITUAL_RESTORE, LH_RITUAL_WAIT},
    [LH_RITUAL_PROVING] = {LH_RITUAL_RESTORE, LH_RITUAL_RESTORE, LH_RITUAL_RESTORE, LH_RITUAL_WAIT},
    [LH_RITUAL_AWAITING] = {LH_RITUAL_OCCUPIED, LH_RITUAL_CLOSE, LH_RITUAL_RESTORE, LH_RITUAL_WAIT},
    // A confirm that died: the person who confirmed may do so again, anybody else takes it back.
    [LH_RITUAL_CLOSING] = {LH_RITUAL_RESTORE, LH_RITUAL_CLOSE, LH_RITUAL_RESTORE, LH_RITUAL_WAIT},
    [LH_RITUAL_DONE] = {LH_RITUAL_BEGIN, LH_RITUAL_ALREADY, LH_RITUAL_RESTORE, LH_RITUAL_NOTHING},
    [LH_RITUAL_RESTORING] = {LH_RITUAL_RESTORE, LH_RITUAL_RESTORE, LH_RITUAL_RESTORE,
                             LH_RITUAL_WAIT},
    [LH_RITUAL_RESTORED] = {LH_RITUAL_BEGIN, LH_RITUAL_NOTHING, LH_RITUAL_NOTHING,
                            LH_RITUAL_NOTHING},
};

enum lh_ritual_step
lh_ritual_decide(enum lh_ritual_command command, enum lh_ritual_phase phase, bool expired)
{
    LH_ASSERT(phase < LH_RITUAL_PHASE_N_);
    LH_ASSERT(command < LH_RITUAL_COMMAND_N_);
    bool runs = phase >= LH_RITUAL_ARMED && phase <= LH_RITUAL_CLOSING;
    // Once the time is over nothing but the old state is right, whoever comes first.
    if (LH_GUARD(RITUAL_EXPIRED, expired && (runs || phase == LH_RITUAL_RESTORING)))
        return LH_RITUAL_RESTORE;
    return steps[phase][command];
}

enum lh_ritual_text lh_record_text_of(const struct lh_record_file *file, const char *digest)
{
    int text = 0;
    while (text < LH_RITUAL_TEXT_N_ && strcmp(file->digest[text], digest) != 0)
        text++;
    return (enum lh_ritual_text)text;
}

bool lh_record_has_port(const uint16_t *ports, size_t count, uint16_t port)
{
    for (size_t i = 0; i < count; i++) {
        if (ports[i] == port)
            return true;
    }
    return false;
}
