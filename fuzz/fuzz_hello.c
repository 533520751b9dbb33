// SPDX-License-Identifier: Apache-2.0
//
// The first byte picks the role and the size of the pieces; the rest is what the peer sends: the
// set-up dialogue, then frames.
#include <stdlib.h>

#include "base/assert.h"
#include "control/frame.h"
#include "control/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct lh_hello_info offer = {
    .aeads = {1, 2, 3},
    .aead_count = 3,
    .digests = {1},
    .digest_count = 1,
    .lanes_max = 4,
    .block_log2_max = 20,
    .epoch_shift_max = LH_EPOCH_SHIFT,
    .packet_max = 9000,
    .receive_budget = LH_MEMORY_DEFAULT,
    .udp_port = 33001,
    .software = "longhaul",
};

static void read_frames(const uint8_t *data, size_t len)
{
    static uint8_t buffer[LH_FRAME_MAX];
    struct lh_frame_reader reader;
    lh_err err = LH_AGAIN;

    lh_frame_reader_init(&reader, buffer, sizeof buffer);
    while (err == LH_AGAIN && len > 0) {
        size_t room, packet_len;
        uint8_t *packet;
        (void)lh_frame_reader_space(&reader, &room);
        size_t part = len < room ? len : room;
        LH_ASSERT(part > 0 && lh_frame_reader_put(&reader, data, part) == 0);
        data += part;
        len -= part;
        while ((err = lh_frame_reader_next(&reader, &packet, &packet_len)) == 0)
            LH_ASSERT(packet_len >= 1 && packet_len <= LH_SSH_FRAME_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct lh_hello hello;
    lh_err err = LH_AGAIN;
    size_t step, used;

    if (len == 0)
        return 0;
    lh_hello_init(&hello, (data[0] & 1) != 0 ? LH_ROLE_SERVER : LH_ROLE_CLIENT, &offer);
    step = (size_t)(data[0] >> 1) * 8 + 1;
    for (data++, len--; err == LH_AGAIN && len > 0; data += used, len -= used) {
        err = lh_hello_feed(&hello, data, len < step ? len : step, &used);
        LH_ASSERT(err == 0 || used > 0);
    }
    if (err == 0) {
        if (hello.role == LH_ROLE_SERVER)
            lh_hello_answer(&hello, 1, 0, NULL, 0);
        const struct lh_session_params *params = lh_hello_params(&hello);
        LH_ASSERT(params != NULL && params->session_id != 0 && params->lanes_max >= 1);
        LH_ASSERT(params->lanes_max <= LH_LANES_MAX && params->packet_max <= LH_PACKET_MAX);
        LH_ASSERT(params->block_log2 <= LH_BLOCK_LOG2_MAX);
        read_frames(data, len);
    }
    lh_hello_fini(&hello);
    return 0;
}
