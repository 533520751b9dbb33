// SPDX-License-Identifier: Apache-2.0
//
// Sealing and opening outside of the engine. The keys of a lane can be taken out of it
// (lh_transport_take_keys): the engine then lays packets out and reads them, and whoever has the
// keys does the costly part, in a thread of its own. Nothing here is shared with the engine.
//
// What changes for a peer: nothing. What changes here: the tag is looked at before the replay
// window, so a repeated packet costs an opening; the window still decides.
#ifndef LH_TRANSPORT_SEALING_H
#define LH_TRANSPORT_SEALING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "crypto/keys.h"

struct lh_sealing {
    struct lh_lane_keys seal, open;
    uint32_t session_id;
    uint8_t lane;
    uint64_t opened_next; // number after the largest opened so far
};

void lh_sealing_fini(struct lh_sealing *sealing); // wipes the keys; harmless twice

// Seals a run of packets in place, each of `segment_size` bytes but the last, which may be shorter;
// as lh_transport_send() has left them, in that order. LH_E_LIMIT, LH_E_CRYPTO: as
// lh_lane_keys_seal; the run must not be sent.
lh_err lh_sealing_run(struct lh_sealing *sealing, uint8_t *data, size_t len, size_t segment_size)
    LH_MUST_CHECK;

// Opens a packet in place, for lh_transport_recv(): its number, of which the header has the low
// bits only, then stands in the place of the header. `pto` as in lh_lane_keys_open. LH_NONE: it is
// no packet of this lane. LH_E_AUTH: forged. Both are counted by lh_transport_note_forged, and
// dropped.
lh_err lh_sealing_open(struct lh_sealing *sealing, uint8_t *data, size_t len, lh_ns now, lh_ns pto)
    LH_MUST_CHECK;
// The number of a packet that was opened.
uint64_t lh_sealing_number(const uint8_t *data, size_t len);

#endif
