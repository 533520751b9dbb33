// SPDX-License-Identifier: Apache-2.0
//
// The codec of packets: the 8 header bytes in clear, and the frames of the plaintext.
//
//   header  type:4 lane:4 | session id 32 | low 24 bits of the packet number        (little endian)
//   then    ciphertext of frames, 16 bytes tag
//
// What a full packet of content says besides its content is 16 bytes, and the tag: header, frame
// type, block, offset. Lengths go without saying where they can.
//
// Frames are `flags:4 type:4, fields`. An unknown type, a field out of range or a frame cut short
// is LH_E_PROTO: the peer is authenticated, so it is broken or hostile.
#ifndef LH_TRANSPORT_PACKET_H
#define LH_TRANSPORT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/time.h"

#define LH_PACKET_TYPE 1 // the only outer type of protocol version 1

struct lh_packet_header {
    uint8_t lane; // below LH_LANES_MAX
    uint32_t session_id;
    uint64_t pn;
};

void lh_packet_header_write(const struct lh_packet_header *header, uint8_t out[LH_PACKET_HEADER]);
// `next` is the number after the largest received so far: the number read is the one next to it
// that has the low bits given. (A sender is never 2^23 packets ahead of what it knows to have
// arrived, nor does the replay window reach so far back.)
// LH_E_AUTH for what is no packet of ours (too short, another type).
lh_err lh_packet_header_read(const uint8_t *data,
                             size_t len,
                             uint64_t next,
                             struct lh_packet_header *out_header) LH_MUST_CHECK;

enum lh_frame_type {
    LH_FRAME_PAD = 0, // the rest of the packet is padding
    LH_FRAME_DATA = 1,
    LH_FRAME_STREAM = 2,
    LH_FRAME_FEEDBACK = 3,
    LH_FRAME_PING = 4,
    LH_FRAME_PONG = 5,
    LH_FRAME_PATH_CHALLENGE = 6,
    LH_FRAME_PATH_RESPONSE = 7,
    LH_FRAME_CLOSE = 8,
    LH_FRAME_STATE = 9,
    LH_FRAME_ACK_NOW = 10, // the sender pauses after this packet: report at once
    LH_FRAME_ECN = 11,     // only where both sides agreed on it (control/hello.h)
    LH_FRAME_N_
};

// Flags of DATA, in the upper half of its type byte.
#define LH_DATA_HAS_LEN       0x10 // else its bytes go on to the end of the packet
#define LH_DATA_HAS_BLOCK_LEN 0x20 // else it is that of a full block (lh_transport_config)
#define LH_DATA_ACK_NOW       0x40 // as LH_FRAME_ACK_NOW

struct lh_frame_data {
    uint32_t block;
    uint32_t offset;
    uint32_t block_len; // the same in every frame of the block; 0: that of a full block
    const uint8_t *bytes;
    uint16_t len;
    bool to_end;  // nothing follows in the packet: `len` goes without saying
    bool ack_now; // the sender pauses after this packet: report at once
};
#define LH_FRAME_DATA_HEADER    8 // with neither length
#define LH_FRAME_DATA_BLOCK_LEN 3
#define LH_FRAME_DATA_LEN       2

struct lh_frame_stream {
    uint64_t offset;
    const uint8_t *bytes;
    uint16_t len;
};
#define LH_FRAME_STREAM_HEADER 9

// What one end tells the other about a lane, and what it grants the session.
struct lh_frame_feedback {
    uint32_t number;      // counts the FEEDBACK frames of this lane
    uint64_t top;         // largest packet number received + 1
    uint64_t clock_us;    // receiver's clock when this was written
    uint64_t top_age_us;  // how long before clock_us the packet top - 1 arrived
    uint64_t last_age_us; // and the newest of all packets: the moment the counters hold for
    // Counters since the lane began: authenticated, distinct packets and their UDP payload bytes.
    uint64_t packets, bytes, duplicates, ce, socket_drops;
    // Session-wide grants (cumulative). grant_block: first block number that may not be used yet.
    uint64_t grant_bytes, grant_block, grant_stream;
    uint64_t start; // the report covers [start, start + what the records say)
    const uint8_t *records;
    uint16_t records_len;
};
#define LH_FRAME_FEEDBACK_HEADER_MAX 160 // without the records

struct lh_frame_close {
    uint32_t code;
    const uint8_t *reason;
    uint16_t reason_len; // <= LH_REASON_MAX
};

// From sender to receiver of packets: what need not be reported any more, and how often to report.
struct lh_frame_state {
    uint64_t floor;       // every lower packet number is settled
    uint32_t interval_us; // wished time between feedbacks
};
#define LH_FRAME_STATE_LEN 11

// Packets of this lane that arrived with each mark, cumulative; goes in front of FEEDBACK.
struct lh_frame_ecn {
    uint64_t ect0, ect1, ce;
};
#define LH_FRAME_ECN_MAX 31

struct lh_frame {
    enum lh_frame_type type;
    uint8_t flags; // LH_DATA_...
    union {
        struct lh_frame_data data;
        struct lh_frame_stream stream;
        struct lh_frame_feedback feedback;
        struct lh_frame_close close;
        struct lh_frame_state state;
        struct lh_frame_ecn ecn;
        uint64_t token; // PING, PONG, PATH_CHALLENGE, PATH_RESPONSE
    };
};
#define LH_FRAME_TOKEN_LEN 9

// Reads the next frame; its pointers point into the reader's buffer.
// LH_EOF at the end of the packet (or its padding); LH_E_PROTO.
lh_err lh_frame_read(struct lh_reader *reader, struct lh_frame *out_frame) LH_MUST_CHECK;

// Writers. Each leaves the writer bad where the frame does not fit. DATA, STREAM and FEEDBACK write
// the bytes too; `frame->len` (`records_len`) says how many.
void lh_frame_write_data(struct lh_writer *writer, const struct lh_frame_data *frame);
void lh_frame_write_stream(struct lh_writer *writer, const struct lh_frame_stream *frame);
void lh_frame_write_feedback(struct lh_writer *writer, const struct lh_frame_feedback *frame);
void lh_frame_write_token(struct lh_writer *writer, enum lh_frame_type type, uint64_t token);
void lh_frame_write_close(struct lh_writer *writer, const struct lh_frame_close *frame);
void lh_frame_write_state(struct lh_writer *writer, const struct lh_frame_state *frame);
void lh_frame_write_ecn(struct lh_writer *writer, const struct lh_frame_ecn *frame);

#endif
