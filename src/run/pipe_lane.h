// SPDX-License-Identifier: Apache-2.0
//
// Lane 0: the SSH channel as a lane. Frames packets into a byte pipe and out of it, and never holds
// more than two frames of its own: what waits, waits in the transport, where it can still go
// another way.
#ifndef LH_RUN_PIPE_LANE_H
#define LH_RUN_PIPE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"
#include "control/frame.h"
#include "run/loop.h"
#include "transport/transport.h"

struct lh_pipe_lane {
    struct lh_loop *loop;
    struct lh_transport *transport; // borrowed
    int in_fd, out_fd;              // owned; -1 when closed; two descriptors
    bool is_reading;                // in_fd is in the loop
    bool is_waiting;                // for EPOLLOUT
    bool is_broken;                 // end of file or an error: the lane is gone
    uint64_t bytes_in, bytes_out;
    uint8_t *in_buffer, *out_buffer; // owned
    struct lh_frame_reader reader;
    struct lh_frame_writer writer;
};

// Takes over both descriptors (made non-blocking), also on failure. `leftover` are the bytes that
// followed HELLO.
lh_err lh_pipe_lane_init(struct lh_pipe_lane *lane,
                         struct lh_loop *loop,
                         int in_fd,
                         int out_fd,
                         struct lh_errinfo *info) LH_MUST_CHECK;
// Begins: hands `leftover` and whatever arrives to `transport`, which has lane 0.
lh_err lh_pipe_lane_start(struct lh_pipe_lane *lane,
                          struct lh_transport *transport,
                          const void *leftover,
                          size_t leftover_len,
                          lh_ns now) LH_MUST_CHECK;
void lh_pipe_lane_fini(struct lh_pipe_lane *lane); // harmless twice
// Gives the lane up, as if the pipe had broken: removes it from the transport. Harmless twice.
void lh_pipe_lane_break(struct lh_pipe_lane *lane, lh_ns now);
// Writes what the transport has for lane 0 until the pipe is full or nothing is left.
void lh_pipe_lane_flush(struct lh_pipe_lane *lane, lh_ns now);

#endif
