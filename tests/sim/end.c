// SPDX-License-Identifier: Apache-2.0
#include "end.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/prng.h"

#define STREAM_WRITE_MAX 8192u

void sim_fail(struct sim_failure *failure, const char *format, ...)
{
    va_list args;
    if (failure->is_set)
        return; // the first one is the cause
    failure->is_set = true;
    va_start(args, format);
    vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
}

// --- Content that both ends can make -------------------------------------------------------------

static uint64_t mix(uint64_t a, uint64_t b)
{
    struct lh_prng prng = {a ^ (b * UINT64_C(0xd6e8feb86659fd93))};
    return lh_prng_next(&prng);
}

uint32_t sim_block_len(const struct sim_plan *plan, uint64_t seed, uint32_t block)
{
    uint32_t span = plan->block_max - plan->block_min + 1;
    return plan->block_min + (uint32_t)(mix(seed, block) % span);
}

uint64_t sim_plan_bytes(const struct sim_plan *plan, uint64_t seed)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan->blocks; i++)
        sum += sim_block_len(plan, seed, i);
    return sum;
}

static uint8_t stream_byte(uint64_t seed, uint64_t offset)
{
    return (uint8_t)(mix(~seed, offset / 8) >> (offset % 8 * 8));
}

// The seed of what this end sends; the other end asks with `of_peer`.
static uint64_t content_seed(const struct sim_end *end, bool of_peer)
{
    return mix(end->seed, end->is_client != of_peer ? 1 : 2);
}

static bool
block_is_right(const struct sim_end *end, uint32_t block, const uint8_t *data, size_t len)
{
    uint8_t expected[4096];
    struct lh_prng prng = {mix(content_seed(end, true), (uint64_t)block << 32)};
    len = end->peer_plan->is_light ? LH_MIN(len, sizeof expected) : len;
    for (size_t at = 0; at < len; at += sizeof expected) {
        size_t part = LH_MIN(len - at, sizeof expected);
        lh_prng_fill(&prng, expected, sizeof expected);
        if (memcmp(data + at, expected, part) != 0)
            return false;
    }
    return true;
}

static uint8_t *block_make(const struct sim_end *end, uint32_t block, size_t len)
{
    size_t room = (len + 4095) / 4096 * 4096; // filled in the units of block_is_right
    uint8_t *data = malloc(room);
    struct lh_prng prng = {mix(content_seed(end, false), (uint64_t)block << 32)};
    LH_ASSERT(data != NULL);
    if (end->plan->is_light) {
        memset(data, 0, room);
        room = 4096;
    }
    for (size_t at = 0; at < room; at += 4096)
        lh_prng_fill(&prng, data + at, 4096);
    return data;
}

// --- Events --------------------------------------------------------------------------------------

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct sim_end *end = user;
    const struct sim_plan *plan = end->peer_plan;
    if (block >= plan->blocks || end->received[block])
        sim_fail(end->failure, "%s: block %u came twice or was never sent", end->name, block);
    else if (len != sim_block_len(plan, content_seed(end, true), block))
        sim_fail(end->failure, "%s: block %u has length %zu", end->name, block, len);
    else if (!block_is_right(end, block, data, len))
        sim_fail(end->failure, "%s: block %u has other content than sent", end->name, block);
    if (end->failure->is_set)
        return;
    end->received[block] = true;
    end->received_blocks++;
    end->received_bytes += len;

    lh_ns due = end->now + end->plan->release_delay;
    if (end->plan->release_rate > 0) {
        end->release_free_at = lh_ns_max(end->release_free_at, end->now) +
                               lh_muldiv(len, LH_SECOND, end->plan->release_rate);
        due = lh_ns_max(due, end->release_free_at);
    }
    end->releases[end->releases_end++] = (struct sim_release){due, block};
}

static void on_block_acked(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct sim_end *end = user;
    if (block >= end->next_block || end->sending[block] != data ||
        len != sim_block_len(end->plan, content_seed(end, false), block)) {
        sim_fail(end->failure, "%s: block %u acknowledged wrongly", end->name, block);
        return;
    }
    free(data);
    end->sending[block] = NULL;
    end->acked_blocks++;
}

static void on_stream(void *user, const uint8_t *data, size_t len)
{
    struct sim_end *end = user;
    uint64_t seed = content_seed(end, true);
    for (size_t i = 0; i < len; i++) {
        if (data[i] != stream_byte(seed, end->stream_read + i)) {
            sim_fail(end->failure, "%s: stream byte %llu is wrong", end->name,
                     (unsigned long long)(end->stream_read + i));
            return;
        }
    }
    end->stream_read += len;
    if (end->stream_read > end->peer_plan->stream_bytes)
        sim_fail(end->failure, "%s: the stream is longer than what was sent", end->name);
    lh_transport_stream_consumed(end->transport, len);
}

static void on_writable(void *user)
{
    (void)user; // the pump tries at every step
}

static void on_lane_state(void *user, uint8_t lane, enum lh_lane_state state)
{
    static const char *const names[] = {"idle", "up", "silent", "dead"};
    struct sim_end *end = user;
    if (lane < SIM_LANES_MAX)
        end->lane_state[lane] = state;
    if (end->is_traced)
        printf("# %10.3f ms %s: lane %u is %s\n", (double)end->now / 1e6, end->name, lane,
               names[state]);
}

static void on_closed(void *user, int code, const char *reason, size_t reason_len)
{
    struct sim_end *end = user;
    end->is_closed = true;
    end->close_code = code;
    if (end->is_traced)
        printf("# %10.3f ms %s: closed, code %d, \"%.*s\"\n", (double)end->now / 1e6, end->name,
               code, (int)reason_len, reason);
}

static const struct lh_transport_events events = {
    .on_block = on_block,
    .on_block_acked = on_block_acked,
    .on_stream = on_stream,
    .on_writable = on_writable,
    .on_lane_state = on_lane_state,
    .on_closed = on_closed,
};

// --- Life ----------------------------------------------------------------------------------------

static void add_lanes(struct sim_end *end, const struct sim_end_config *config, lh_ns now)
{
    struct lh_lane_config ssh = {
        .lane = LH_LANE_SSH,
        .cc = &lh_cc_pipe,
        .limits = config->limits,
        .payload_max = LH_SSH_FRAME_MAX,
        .inflight_max = LH_SSH_PIPE_EARLY,
    };
    struct lh_lane_config udp = {
        .lane = SIM_LANE_UDP,
        .cc = config->cc,
        .limits = config->limits,
        .payload_max = LH_PACKET_IPV4_1500,
        .ip_overhead = 28,
    };
    if (config->has_ssh && lh_transport_add_lane(end->transport, &ssh, now) != 0)
        sim_fail(end->failure, "%s: no SSH lane", end->name);
    for (; udp.lane < SIM_LANE_UDP + config->udp_lanes; udp.lane++) {
        if (lh_transport_add_lane(end->transport, &udp, now) != 0)
            sim_fail(end->failure, "%s: no UDP lane %u", end->name, udp.lane);
        if (end->is_client)
            lh_transport_set_lane_path(end->transport, udp.lane, 1); // the server's address
    }
}

void sim_end_init(struct sim_end *end, const struct sim_end_config *config, lh_ns now)
{
    struct lh_transport_config transport = {
        .is_client = end->is_client,
        .session_id = config->session_id,
        .aead = config->aead,
        .epoch_shift = config->epoch_shift,
        .rtt_hint = config->rtt_hint,
        .has_ecn = true,
        .block_max = config->block_max,
        .receive_budget = config->receive_budget,
        .seed = content_seed(end, false),
        .events = &events,
        .user = end,
    };
    memset(transport.master.bytes, 0x5a, sizeof transport.master.bytes);
    memcpy(transport.master.bytes, &end->seed, sizeof end->seed);
    end->sending = calloc(end->plan->blocks + 1, sizeof *end->sending);
    end->received = calloc(end->peer_plan->blocks + 1, sizeof *end->received);
    end->releases = calloc(end->peer_plan->blocks + 1, sizeof *end->releases);
    LH_ASSERT(end->sending != NULL && end->received != NULL && end->releases != NULL);
    end->start = now;
    end->now = now;
    if (lh_transport_new(&transport, now + end->clock_offset, &end->transport) != 0) {
        sim_fail(end->failure, "%s: no transport", end->name);
        return;
    }
    add_lanes(end, config, now + end->clock_offset);
}

void sim_end_fini(struct sim_end *end)
{
    lh_transport_free(end->transport);
    for (uint32_t i = 0; end->sending != NULL && i < end->plan->blocks; i++)
        free(end->sending[i]);
    free(end->sending);
    free(end->received);
    free(end->releases);
    memset(end, 0, sizeof *end);
}

// --- The application -----------------------------------------------------------------------------

static uint64_t offered(const struct sim_end *end, lh_ns now)
{
    if (end->plan->offer_rate == 0)
        return UINT64_MAX;
    return lh_muldiv(now - end->start, end->plan->offer_rate, LH_SECOND);
}

static void pump_blocks(struct sim_end *end, lh_ns now)
{
    while (end->next_block < end->plan->blocks) {
        uint32_t number = end->next_block, given = UINT32_MAX;
        uint32_t len = sim_block_len(end->plan, content_seed(end, false), number);
        if (end->bytes_offered + len > offered(end, now))
            return;
        if (end->sending[number] == NULL)
            end->sending[number] = block_make(end, number, len);
        lh_err err = lh_transport_send_block(end->transport, end->sending[number], len, &given);
        if (err == LH_AGAIN)
            return;
        if (err != 0 || given != number) {
            sim_fail(end->failure, "%s: send_block gave %d, block %u", end->name, err, given);
            return;
        }
        end->next_block++;
        end->bytes_offered += len;
    }
}

static void pump_stream(struct sim_end *end)
{
    uint64_t seed = content_seed(end, false);
    while (end->stream_written < end->plan->stream_bytes) {
        uint8_t bytes[STREAM_WRITE_MAX];
        uint64_t left = end->plan->stream_bytes - end->stream_written;
        size_t len = 1 + (size_t)(mix(seed, end->stream_written) % STREAM_WRITE_MAX);
        len = LH_MIN(len, left);
        for (size_t i = 0; i < len; i++)
            bytes[i] = stream_byte(seed, end->stream_written + i);
        lh_err err = lh_transport_stream_write(end->transport, bytes, len);
        if (err == LH_AGAIN)
            return;
        if (err != 0) {
            sim_fail(end->failure, "%s: stream_write gave %d", end->name, err);
            return;
        }
        end->stream_written += len;
    }
}

void sim_end_pump(struct sim_end *end, lh_ns now)
{
    end->now = now;
    while (end->releases_first < end->releases_end &&
           end->releases[end->releases_first].due <= now) {
        lh_transport_block_release(end->transport, end->releases[end->releases_first++].block);
        end->released_blocks++;
    }
    if (end->is_closed)
        return;
    pump_blocks(end, now);
    pump_stream(end);
}

lh_ns sim_end_next(const struct sim_end *end)
{
    lh_ns next = LH_NEVER;
    if (end->releases_first < end->releases_end)
        next = end->releases[end->releases_first].due;
    if (end->plan->offer_rate > 0 && end->next_block < end->plan->blocks) {
        uint32_t len = sim_block_len(end->plan, content_seed(end, false), end->next_block);
        uint64_t needed = end->bytes_offered + len;
        lh_ns due = end->start + lh_muldiv(needed, LH_SECOND, end->plan->offer_rate) + 1;
        if (due > end->now)
            next = lh_ns_min(next, due);
    }
    return next;
}

bool sim_end_is_done(const struct sim_end *end)
{
    return end->acked_blocks == end->plan->blocks &&
           end->released_blocks == end->peer_plan->blocks &&
           end->stream_written == end->plan->stream_bytes &&
           end->stream_read == end->peer_plan->stream_bytes &&
           lh_transport_is_flushed(end->transport);
}
