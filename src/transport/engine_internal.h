// SPDX-License-Identifier: Apache-2.0
//
// What the three files of the engine share: engine.c (the coordinator, public functions),
// assemble.c (packets out), receive.c (packets in).
#ifndef LH_TRANSPORT_ENGINE_INTERNAL_H
#define LH_TRANSPORT_ENGINE_INTERNAL_H

#include "transport/block_rx.h"
#include "transport/block_tx.h"
#include "transport/detour.h"
#include "transport/lane.h"
#include "transport/stream.h"
#include "transport/transport.h"

struct lh_transport {
    struct lh_transport_config config;
    struct lh_random random;
    struct lh_lane *lanes[LH_LANES_MAX];
    struct lh_cc_limits limits; // of the session: UDP lanes that are up share them
    struct lh_block_tx block_tx;
    struct lh_block_rx block_rx;
    struct lh_detour detour;
    struct lh_stream_tx stream_tx;
    struct lh_stream_rx stream_rx;

    uint8_t leading; // lane whose controller coupled lanes go by (couple.c); LH_LANE_SSH: none

    const struct lh_trace *trace; // NULL: nobody looks

    lh_ns now;           // of the newest call that brought one
    lh_ns last_received; // authenticated, on any lane
    lh_ns udp_since;     // when the first UDP lane was added: blocks leave SSH to it for a while

    uint64_t forged, forgery_limit;
    uint64_t told_grant_bytes, told_grant_block, told_grant_stream; // newest grants sent

    bool closed;  // over: nothing is sent or delivered any more
    bool closing; // we said CLOSE: only that is sent any more
    uint32_t close_code;
    uint16_t close_reason_len;
    uint8_t close_reason[LH_REASON_MAX];
};

// What a lane may carry now.
bool lh_engine_carries_blocks(const struct lh_transport *transport, const struct lh_lane *lane);
bool lh_engine_carries_stream(const struct lh_transport *transport, const struct lh_lane *lane);
bool lh_engine_has_data_for(const struct lh_transport *transport, const struct lh_lane *lane);
// True where a data packet could be sent on `lane` as far as state, window and numbers go (not
// pace).
bool lh_engine_may_send(const struct lh_transport *transport, const struct lh_lane *lane);
// Unacknowledged packets may be repeated from `*out_at` on: nothing new is there to be sent.
bool lh_engine_tail_from(const struct lh_transport *transport,
                         const struct lh_lane *lane,
                         lh_ns *out_at);

struct lh_loss_sink lh_engine_sink(struct lh_transport *transport);
// Ends the session with on_closed. `code`: a CLOSE's code or an lh_err.
void lh_engine_finish(struct lh_transport *transport,
                      int code,
                      const char *reason,
                      size_t reason_len);
// Ends the session for an error < 0 (and does nothing for 0). True where it is over.
bool lh_engine_check(struct lh_transport *transport, lh_err err);
// The lane's packets go to another path now.
void lh_engine_path_changed(struct lh_transport *transport, struct lh_lane *lane, lh_ns now);
void lh_engine_set_lane_state(struct lh_transport *transport,
                              struct lh_lane *lane,
                              enum lh_lane_state state);
// Lanes came, went or changed their controller: says who follows whom (couple.c).
void lh_engine_couple(struct lh_transport *transport, lh_ns now);
// A lane that followed another one is on a path of its own: it goes by its own controller.
void lh_engine_set_apart(struct lh_transport *transport, struct lh_lane *lane, lh_ns now);
// Calls on_writable where room appeared for what was refused.
void lh_engine_notify(struct lh_transport *transport);

// Events (tracing.c). Each does nothing where nobody looks.
void lh_engine_trace_slow(struct lh_transport *transport, struct lh_lane *lane);
static inline void lh_engine_trace(struct lh_transport *transport, struct lh_lane *lane)
{
    if (transport->trace != NULL)
        lh_engine_trace_slow(transport, lane); // samples, not more often than asked for
}
void lh_engine_trace_event(const struct lh_transport *transport,
                           enum lh_event_kind kind,
                           const void *event);
void lh_engine_trace_state(const struct lh_transport *transport, const struct lh_lane *lane);
void lh_engine_trace_timeout(struct lh_transport *transport, struct lh_lane *lane);
void lh_engine_trace_limits(const struct lh_transport *transport, const struct lh_lane *lane);

static inline struct lh_lane *lh_engine_lane(const struct lh_transport *transport, uint8_t id)
{
    struct lh_lane *lane = id < LH_LANES_MAX ? transport->lanes[id] : NULL;
    return lane != NULL && lane->state != LH_LANE_DEAD ? lane : NULL;
}

#endif
