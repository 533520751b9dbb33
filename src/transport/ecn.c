// SPDX-License-Identifier: Apache-2.0
//
// How it works. Every packet we mark comes back as ECT(0) or CE in the peer's counts, or does not
// come at all; so the sum of both can never be below the number of marked packets acknowledged.
// The counts are told with every report, so they are never older than the acknowledgements. Packets
// that expect none (PINGs, reports) are counted too, which only makes the check milder. A path that
// marks everything CE from the first packet on says nothing either.
#include "transport/ecn.h"
#include "base/assert.h"
#include "base/math.h"

void lh_ecn_init(struct lh_ecn *ecn, bool is_agreed)
{
    *ecn = (struct lh_ecn){.state = is_agreed ? LH_ECN_IDLE : LH_ECN_OFF};
}

static void begin_test(struct lh_ecn *ecn)
{
    ecn->state = LH_ECN_TESTING;
    ecn->base = ecn->ect0 + ecn->ce;
    ecn->base_ect0 = ecn->ect0;
    ecn->base_ect1 = ecn->ect1;
    ecn->acked = 0;
    ecn->timeouts = 0;
}

void lh_ecn_on_up(struct lh_ecn *ecn)
{
    if (ecn->state == LH_ECN_IDLE)
        begin_test(ecn);
}

void lh_ecn_on_path_change(struct lh_ecn *ecn)
{
    if (ecn->state == LH_ECN_TESTING || ecn->state == LH_ECN_CAPABLE)
        begin_test(ecn);
}

uint8_t lh_ecn_mark(const struct lh_ecn *ecn)
{
    return lh_ecn_counts(ecn) ? LH_ECN_ECT0 : LH_ECN_NOT_ECT;
}

bool lh_ecn_counts(const struct lh_ecn *ecn)
{
    return ecn->state == LH_ECN_TESTING || ecn->state == LH_ECN_CAPABLE;
}

static bool fits(const struct lh_ecn *ecn)
{
    bool all_ce = ecn->ect0 == ecn->base_ect0;

    if (ecn->ect1 != ecn->base_ect1 || ecn->ect0 + ecn->ce - ecn->base < ecn->acked)
        return false;
    return ecn->state != LH_ECN_TESTING || ecn->acked < LH_ECN_TEST_PACKETS || !all_ce;
}

static void judge(struct lh_ecn *ecn)
{
    if (!lh_ecn_counts(ecn))
        return;
    if (!fits(ecn))
        ecn->state = LH_ECN_FAILED;
    else if (ecn->acked >= LH_ECN_TEST_PACKETS)
        ecn->state = LH_ECN_CAPABLE;
}

lh_err lh_ecn_on_counts(struct lh_ecn *ecn, const struct lh_frame_ecn *counts, uint64_t sent)
{
    if (LH_GUARD(ECN_COUNTS,
                 ecn->state == LH_ECN_OFF || counts->ect0 + counts->ect1 + counts->ce > sent))
        return LH_E_PROTO;
    ecn->ect0 = LH_MAX(ecn->ect0, counts->ect0);
    ecn->ect1 = LH_MAX(ecn->ect1, counts->ect1);
    ecn->ce = LH_MAX(ecn->ce, counts->ce);
    return 0;
}

void lh_ecn_on_acked(struct lh_ecn *ecn, uint64_t count)
{
    ecn->acked += count;
    if (count > 0)
        ecn->timeouts = 0;
    judge(ecn);
}

void lh_ecn_on_timeout(struct lh_ecn *ecn)
{
    if (ecn->state == LH_ECN_TESTING && ecn->acked == 0 && ++ecn->timeouts >= LH_ECN_TEST_LOST)
        ecn->state = LH_ECN_FAILED;
}

const char *lh_ecn_name(const struct lh_ecn *ecn)
{
    static const char *const names[LH_ECN_STATES_] = {
        [LH_ECN_OFF] = "off",         [LH_ECN_IDLE] = "off",      [LH_ECN_TESTING] = "testing",
        [LH_ECN_CAPABLE] = "capable", [LH_ECN_FAILED] = "failed",
    };
    return names[ecn->state];
}
