// SPDX-License-Identifier: Apache-2.0
#include "transport/sealing.h"

#include <assert.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/math.h"
#include "transport/packet.h"

static_assert(LH_PACKET_HEADER >= sizeof(uint64_t), "a number fits in the place of the header");

void lh_sealing_fini(struct lh_sealing *sealing)
{
    lh_lane_keys_fini(&sealing->seal);
    lh_lane_keys_fini(&sealing->open);
}

lh_err lh_sealing_run(struct lh_sealing *sealing, uint8_t *data, size_t len, size_t segment_size)
{
    LH_ASSERT(segment_size > LH_PACKET_HEADER + LH_PACKET_TAG);
    for (size_t at = 0; at < len; at += segment_size) {
        uint8_t *packet = data + at, *text = packet + LH_PACKET_HEADER;
        size_t packet_len = LH_MIN(segment_size, len - at);
        struct lh_packet_header header;
        lh_err err = lh_packet_header_read(packet, packet_len, sealing->seal.seal_next, &header);
        LH_ASSERT(err == 0); // our own engine wrote it
        err = lh_lane_keys_seal(&sealing->seal, header.pn, packet, LH_PACKET_HEADER, text,
                                packet_len - LH_PACKET_HEADER - LH_PACKET_TAG, text);
        if (err != 0)
            return err;
    }
    return 0;
}

lh_err lh_sealing_open(struct lh_sealing *sealing, uint8_t *data, size_t len, lh_ns now, lh_ns pto)
{
    uint8_t *text = data + LH_PACKET_HEADER;
    struct lh_packet_header header;
    lh_err err = lh_packet_header_read(data, len, sealing->opened_next, &header);

    if (err != 0 || header.lane != sealing->lane || header.session_id != sealing->session_id)
        return LH_NONE;
    err = lh_lane_keys_open(&sealing->open, header.pn, data, LH_PACKET_HEADER, text,
                            len - LH_PACKET_HEADER, text, now, pto);
    if (err != 0)
        return err;
    sealing->opened_next = LH_MAX(sealing->opened_next, header.pn + 1);
    lh_le64_store(data, header.pn);
    return 0;
}

uint64_t lh_sealing_number(const uint8_t *data, size_t len)
{
    LH_ASSERT(len >= LH_PACKET_HEADER + LH_PACKET_TAG);
    return lh_le64_load(data);
}
