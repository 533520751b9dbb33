// SPDX-License-Identifier: Apache-2.0
//
// How it works. Both descriptors are non-blocking, so a full pipe here can never stop the loop and
// two ends can never wait for each other. Packets are built straight into the frame writer's
// buffer. A broken pipe takes lane 0 out of the transport, which sends what was under way over the
// other lanes.
#include "run/pipe_lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "job/code.h"

#define PIPE_BUFFER ((size_t)2 * LH_FRAME_MAX)

static lh_err make_nonblocking(int fd, struct lh_errinfo *info)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return lh_fail_errno(info, errno, LH_CODE_NO_CONNECTION, "cannot prepare the SSH channel");
    return 0;
}

lh_err lh_pipe_lane_init(
    struct lh_pipe_lane *lane, struct lh_loop *loop, int in_fd, int out_fd, struct lh_errinfo *info)
{
    lh_err err;

    LH_ASSERT(in_fd != out_fd); // each is watched on its own
    *lane = (struct lh_pipe_lane){.loop = loop, .in_fd = in_fd, .out_fd = out_fd};
    lane->in_buffer = malloc(PIPE_BUFFER);
    lane->out_buffer = malloc(PIPE_BUFFER);
    if (lane->in_buffer == NULL || lane->out_buffer == NULL) {
        lh_pipe_lane_fini(lane);
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "no memory for the SSH channel");
    }
    lh_frame_reader_init(&lane->reader, lane->in_buffer, PIPE_BUFFER);
    lh_frame_writer_init(&lane->writer, lane->out_buffer, PIPE_BUFFER);
    err = make_nonblocking(in_fd, info);
    if (err == 0)
        err = make_nonblocking(out_fd, info);
    if (err != 0)
        lh_pipe_lane_fini(lane);
    return err;
}

static void close_descriptors(struct lh_pipe_lane *lane)
{
    if (lane->is_reading && lane->in_fd >= 0)
        lh_loop_remove(lane->loop, lane->in_fd);
    if (lane->is_waiting && lane->out_fd >= 0)
        lh_loop_remove(lane->loop, lane->out_fd);
    lane->is_reading = lane->is_waiting = false;
    if (lane->out_fd >= 0)
        (void)close(lane->out_fd);
    if (lane->in_fd >= 0)
        (void)close(lane->in_fd);
    lane->in_fd = lane->out_fd = -1;
}

void lh_pipe_lane_fini(struct lh_pipe_lane *lane)
{
    close_descriptors(lane);
    free(lane->in_buffer);
    free(lane->out_buffer);
    lane->in_buffer = lane->out_buffer = NULL;
}

void lh_pipe_lane_break(struct lh_pipe_lane *lane, lh_ns now)
{
    if (lane->is_broken)
        return;
    lane->is_broken = true;
    close_descriptors(lane);
    if (lane->transport != NULL) // not where it never started
        lh_transport_remove_lane(lane->transport, LH_LANE_SSH, now);
}

// Hands every whole frame to the transport.
static void deliver(struct lh_pipe_lane *lane, lh_ns now)
{
    for (;;) {
        uint8_t *packet;
        size_t len;
        lh_err err = lh_frame_reader_next(&lane->reader, &packet, &len);
        if (err == LH_AGAIN)
            return;
        if (err != 0) {
            lh_pipe_lane_break(lane, now);
            return;
        }
        struct lh_dgram dgram = {.data = packet, .len = len};
        lh_transport_recv(lane->transport, LH_LANE_SSH, &dgram, 1, now);
    }
}

static void on_readable(void *user, uint32_t events, lh_ns now)
{
    struct lh_pipe_lane *lane = user;
    size_t room;
    uint8_t *space = lh_frame_reader_space(&lane->reader, &room);
    ssize_t got = read(lane->in_fd, space, room);

    (void)events;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lh_pipe_lane_break(lane, now);
        return;
    }
    lane->bytes_in += (uint64_t)got;
    lh_frame_reader_added(&lane->reader, (size_t)got);
    deliver(lane, now);
}

lh_err lh_pipe_lane_start(struct lh_pipe_lane *lane,
                          struct lh_transport *transport,
                          const void *leftover,
                          size_t leftover_len,
                          lh_ns now)
{
    lh_err err;

    lane->transport = transport;
    err = lh_frame_reader_put(&lane->reader, leftover, leftover_len);
    if (err != 0)
        return err;
    err = lh_loop_add(lane->loop, lane->in_fd, EPOLLIN, on_readable, lane);
    if (err != 0)
        return err;
    lane->is_reading = true;
    deliver(lane, now);
    return 0;
}

static void on_pipe_writable(void *user, uint32_t events, lh_ns now)
{
    struct lh_pipe_lane *lane = user;

    (void)events;
    lh_pipe_lane_flush(lane, now);
}

static void wait_until_writable(struct lh_pipe_lane *lane, bool wait, lh_ns now)
{
    if (wait == lane->is_waiting)
        return;
    lh_transport_set_blocked(lane->transport, LH_LANE_SSH, wait);
    if (!wait) {
        lh_loop_remove(lane->loop, lane->out_fd);
        lane->is_waiting = false;
        return;
    }
    if (lh_loop_add(lane->loop, lane->out_fd, EPOLLOUT, on_pipe_writable, lane) == 0)
        lane->is_waiting = true;
    else
        lh_pipe_lane_break(lane, now);
}

// Builds one more frame. False when the transport has nothing for this lane.
static bool fill_frame(struct lh_pipe_lane *lane, lh_ns now)
{
    uint8_t *space;
    struct lh_batch batch;

    if (lh_frame_writer_reserve(&lane->writer, &space) != 0)
        return false;
    batch = (struct lh_batch){.buffer = space, .room = LH_SSH_FRAME_MAX, .segments_max = 1};
    lh_transport_send(lane->transport, LH_LANE_SSH, &batch, now);
    lh_frame_writer_commit(&lane->writer, batch.segments == 0 ? 0 : batch.len);
    return batch.segments > 0;
}

void lh_pipe_lane_flush(struct lh_pipe_lane *lane, lh_ns now)
{
    while (!lane->is_broken) {
        size_t len;
        const uint8_t *bytes = lh_frame_writer_pending(&lane->writer, &len);
        if (len == 0) {
            if (fill_frame(lane, now))
                continue;
            wait_until_writable(lane, false, now);
            return;
        }
        ssize_t sent = write(lane->out_fd, bytes, len);
        if (sent >= 0) {
            lane->bytes_out += (uint64_t)sent;
            lh_frame_writer_sent(&lane->writer, (size_t)sent);
        } else if (errno == EAGAIN) {
            wait_until_writable(lane, true, now);
            return;
        } else if (errno != EINTR) {
            lh_pipe_lane_break(lane, now);
        }
    }
}
