// SPDX-License-Identifier: Apache-2.0
//
// The controller of the SSH lane. How it works: the pipe's own TCP does congestion control, so this
// one only bounds what lies between the two engines, with a constant window, and sends as fast as
// the pipe takes it. A target rate that a person gave holds here too: it is about the line, not the
// lane.
#include "base/math.h"
#include "cc/cc.h"

// Enough for ssh's own 2 MiB channel window and the socket buffers around it.
#define PIPE_WINDOW ((uint64_t)4 << 20)

struct pipe_state {
    struct lh_cc_limits limits;
};

static void pipe_init(
    void *state, uint32_t packet_size, const struct lh_cc_limits *limits, lh_ns rtt_hint, lh_ns now)
{
    struct pipe_state *pipe = state;
    (void)packet_size, (void)rtt_hint, (void)now;
    pipe->limits = *limits;
}

static void pipe_set_limits(void *state, const struct lh_cc_limits *limits, lh_ns now)
{
    struct pipe_state *pipe = state;
    (void)now;
    pipe->limits = *limits;
}

static void pipe_on_feedback(void *state, const struct lh_cc_feedback *feedback)
{
    (void)state, (void)feedback;
}

static void pipe_on_path_change(void *state, lh_ns now)
{
    (void)state, (void)now;
}

static uint64_t pipe_pacing_rate(const void *state)
{
    const struct pipe_state *pipe = state;
    return pipe->limits.rate_target > 0 ? LH_MIN(pipe->limits.rate_target, LH_CC_RATE_MAX)
                                        : LH_CC_RATE_MAX;
}

static uint64_t pipe_cwnd(const void *state)
{
    (void)state;
    return PIPE_WINDOW;
}

static const char *pipe_phase(const void *state)
{
    (void)state;
    return "pipe";
}

const struct lh_cc_type lh_cc_pipe = {
    .name = "pipe",
    .size = sizeof(struct pipe_state),
    .init = pipe_init,
    .set_limits = pipe_set_limits,
    .on_feedback = pipe_on_feedback,
    .on_path_change = pipe_on_path_change,
    .pacing_rate = pipe_pacing_rate,
    .cwnd = pipe_cwnd,
    .phase = pipe_phase,
};
