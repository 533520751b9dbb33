// SPDX-License-Identifier: Apache-2.0
//
// Lane 0: packets on the SSH channel after HELLO, each behind its length:
//     length u32 (1 .. LH_SSH_FRAME_MAX), packet
// Reader and writer work in buffers that the caller owns, so that read(2) and the transport put
// bytes where they stay: nothing is copied but what a compaction moves.
#ifndef LH_CONTROL_FRAME_H
#define LH_CONTROL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

#define LH_FRAME_HEADER 4
#define LH_FRAME_MAX    (LH_FRAME_HEADER + LH_SSH_FRAME_MAX)

struct lh_frame_reader {
    uint8_t *buffer; // the caller's
    size_t room;
    size_t start; // bytes before are done with
    size_t end;   // bytes from start to end are unread
};

// `room` is at least LH_FRAME_MAX (asserted); more means fewer system calls.
void lh_frame_reader_init(struct lh_frame_reader *reader, uint8_t *buffer, size_t room);

// Where to read(2) to, and how much; never 0 bytes once next() has said LH_AGAIN. Moves unread
// bytes: frames handed out before are no longer valid. Then added() with what came.
uint8_t *lh_frame_reader_space(struct lh_frame_reader *reader, size_t *out_room);
void lh_frame_reader_added(struct lh_frame_reader *reader, size_t len);

// Copies bytes in: what was left over after HELLO. LH_E_LIMIT where they do not fit.
lh_err
lh_frame_reader_put(struct lh_frame_reader *reader, const void *data, size_t len) LH_MUST_CHECK;

// The next frame, which the caller may change in place and which is valid until the next space() or
// put(). LH_AGAIN: more bytes are needed. LH_E_PROTO: a length out of range; the channel is lost.
lh_err lh_frame_reader_next(struct lh_frame_reader *reader,
                            uint8_t **out_packet,
                            size_t *out_len) LH_MUST_CHECK;

struct lh_frame_writer {
    uint8_t *buffer; // the caller's
    size_t room;
    size_t start; // bytes before have been written
    size_t end;   // bytes from start to end wait
};

void lh_frame_writer_init(struct lh_frame_writer *writer, uint8_t *buffer, size_t room);

// A place for one packet of up to LH_SSH_FRAME_MAX bytes, or LH_AGAIN until sent() has made room.
// Moves waiting bytes. commit() then makes it a frame; len 0 takes it back.
lh_err lh_frame_writer_reserve(struct lh_frame_writer *writer, uint8_t **out_packet) LH_MUST_CHECK;
void lh_frame_writer_commit(struct lh_frame_writer *writer, size_t len);

// Raw bytes in front of the first frame: the HELLO output. LH_AGAIN where they do not fit.
lh_err
lh_frame_writer_put(struct lh_frame_writer *writer, const void *data, size_t len) LH_MUST_CHECK;

// Bytes to write(2), *out_len 0 when none; and how many went.
const uint8_t *lh_frame_writer_pending(const struct lh_frame_writer *writer, size_t *out_len);
void lh_frame_writer_sent(struct lh_frame_writer *writer, size_t len);

#endif
