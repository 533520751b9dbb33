// SPDX-License-Identifier: Apache-2.0
//
// Lanes of a session as one flow.
//
// How it works. Policies promise something about a session: `fair` takes what one connection would.
// Several lanes, each with a controller that does so, would take several shares. So all UDP lanes
// that are up and run a coupled controller (lh_cc_type.is_coupled) go by that of one of them, their
// leader: each sends at its pace and with its window. The leader's controller knows how many
// they are (lh_cc_feedback.lanes), so that it grows as a part of a flow grows; it hears of the
// losses of all; and when it cuts its window to learn its share of the link, all cut theirs, and
// what it sees is the session's.
//
// This is right where lanes share a bottleneck. Where they do not (several links), a lane whose
// path carries more than the leader's is used less than it could be, and one whose path carries
// less loses more, all the time: it is set apart, for good, and goes by its own controller.
//
// Each lane's own controller runs on meanwhile, unheard. When the leader falls silent, the next
// lane takes over with what the leader knew.
//
// Reference: RFC 8699 couples flows between two hosts likewise, by sharing a rate among them.
#include "transport/engine_internal.h"

static bool is_coupled(const struct lh_lane *lane)
{
    return lane != NULL && lane->is_udp && lane->state == LH_LANE_UP &&
           lane->config.cc->is_coupled && !lane->is_apart;
}

void lh_engine_couple(struct lh_transport *transport, lh_ns now)
{
    struct lh_lane *leader = lh_engine_lane(transport, transport->leading);
    uint32_t group = 0;
    if (!is_coupled(leader))
        leader = NULL;
    for (uint8_t i = LH_LANE_SSH + 1; i < LH_LANES_MAX; i++) {
        struct lh_lane *lane = lh_engine_lane(transport, i);
        if (!is_coupled(lane))
            continue;
        leader = leader == NULL ? lane : leader;
        group++;
    }
    if (leader != NULL && leader->leader != NULL)
        lh_lane_succeed(leader, leader->leader, now);
    transport->leading = leader != NULL ? leader->id : LH_LANE_SSH;
    for (uint8_t i = LH_LANE_SSH + 1; i < LH_LANES_MAX; i++) {
        struct lh_lane *lane = lh_engine_lane(transport, i);
        if (lane == NULL)
            continue;
        lane->leader = is_coupled(lane) && lane != leader ? leader : NULL;
        lane->group = is_coupled(lane) ? group : 1;
    }
}

void lh_engine_set_apart(struct lh_transport *transport, struct lh_lane *lane, lh_ns now)
{
    lane->is_apart = true;
    lh_lane_succeed(lane, lane, now);
    lh_engine_couple(transport, now);
}
