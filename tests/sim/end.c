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
#define LIGHT_CONTENT    4096u
#define UNLOAD_TRIES     16u
#define TRACE_INTERVAL   (10 * LH_MS)
#define RELOADS_SPARE    8u // blocks that may be reloaded beyond send_memory: so it always goes on

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

// So much of a block is looked at.
static size_t looked_at(const struct sim_end *end, size_t len)
{
    return end->peer_plan->is_light ? LH_MIN(len, (size_t)LIGHT_CONTENT) : len;
}

static bool
block_is_right(const struct sim_end *end, uint32_t block, const uint8_t *data, size_t len)
{
    uint8_t expected[LIGHT_CONTENT];
    struct lh_prng prng = {mix(content_seed(end, true), (uint64_t)block << 32)};
    len = looked_at(end, len);
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
    // Filled in the units of block_is_right.
    size_t room = (len + LIGHT_CONTENT - 1) / LIGHT_CONTENT * LIGHT_CONTENT;
    uint8_t *data = end->plan->is_light ? calloc(1, room) : malloc(room);
    struct lh_prng prng = {mix(content_seed(end, false), (uint64_t)block << 32)};
    LH_ASSERT(data != NULL);
    if (end->plan->is_light)
        room = LIGHT_CONTENT;
    for (size_t at = 0; at < room; at += LIGHT_CONTENT)
        lh_prng_fill(&prng, data + at, LIGHT_CONTENT);
    return data;
}

// --- Events --------------------------------------------------------------------------------------

static void queue_push(struct sim_queue *queue, struct sim_release item)
{
    if (queue->count == queue->room) {
        size_t room = LH_MAX(2 * queue->room, (size_t)64);
        struct sim_release *items = malloc(room * sizeof *items);
        LH_ASSERT(items != NULL);
        for (size_t i = 0; i < queue->count; i++)
            items[i] = queue->items[(queue->first + i) % queue->room];
        free(queue->items);
        *queue = (struct sim_queue){.items = items, .count = queue->count, .room = room};
    }
    queue->items[(queue->first + queue->count++) % queue->room] = item;
}

static bool queue_take(struct sim_queue *queue, lh_ns now, struct sim_release *out)
{
    if (queue->count == 0 || queue->items[queue->first].due > now)
        return false;
    *out = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->room;
    queue->count--;
    return true;
}

static lh_ns queue_next(const struct sim_queue *queue)
{
    return queue->count == 0 ? LH_NEVER : queue->items[queue->first].due;
}

// What the disk has to do before so many bytes are released.
static lh_ns written_at(struct sim_end *end, size_t len)
{
    lh_ns due = end->now + end->plan->release_delay;
    if (end->plan->release_rate > 0) {
        end->release_free_at = lh_ns_max(end->release_free_at, end->now) +
                               lh_muldiv(len, LH_SECOND, end->plan->release_rate);
        due = lh_ns_max(due, end->release_free_at);
    }
    lh_ns stalled_from = end->start + end->plan->stall.from;
    lh_ns stalled_until = end->start + end->plan->stall.until;
    return due >= stalled_from && due < stalled_until ? stalled_until : due;
}

static void check_block(struct sim_end *end, uint32_t block, const uint8_t *data, size_t len)
{
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
}

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct sim_end *end = user;
    check_block(end, block, data, len);
    queue_push(&end->releases, (struct sim_release){written_at(end, len), block, 0});
}

// As where bundles travel between the blocks of large files, some may only come whole.
static bool must_come_whole(const struct sim_end *end, uint32_t block)
{
    return mix(end->seed, block) % 8 == 0;
}

static enum lh_early
on_block_begin(void *user, uint32_t block, const uint8_t *head, size_t head_len, size_t len)
{
    struct sim_end *end = user;
    if (block >= end->peer_plan->blocks || end->early[block] != NULL || end->received[block])
        sim_fail(end->failure, "%s: block %u begins twice", end->name, block);
    if (!end->plan->takes_early || end->failure->is_set ||
        (!end->peer_plan->is_light && must_come_whole(end, block)))
        return LH_EARLY_NEVER;
    struct sim_early *early = calloc(1, sizeof *early + looked_at(end, len));
    LH_ASSERT(early != NULL);
    early->len = len;
    early->got = head_len;
    memcpy(early->data, head, head_len);
    end->early[block] = early;
    return LH_EARLY_TAKEN;
}

static void on_block_run(void *user, uint32_t block, size_t offset, const uint8_t *data, size_t len)
{
    struct sim_end *end = user;
    struct sim_early *early = end->early[block];
    if (early == NULL || offset + len > early->len || early->got + len > early->len) {
        sim_fail(end->failure, "%s: block %u: a run that cannot be", end->name, block);
        return;
    }
    size_t kept = looked_at(end, early->len);
    if (offset < kept)
        memcpy(early->data + offset, data, LH_MIN(len, kept - offset));
    early->got += len;
    queue_push(&end->releases, (struct sim_release){written_at(end, len), block, (uint32_t)len});
}

static void on_block_end(void *user, uint32_t block, size_t len)
{
    struct sim_end *end = user;
    struct sim_early *early = end->early[block];
    if (early == NULL || early->got != early->len || len != early->len) {
        sim_fail(end->failure, "%s: block %u ends before it is whole", end->name, block);
        return;
    }
    check_block(end, block, early->data, early->len);
    free(early);
    end->early[block] = NULL;
    queue_push(&end->releases, (struct sim_release){written_at(end, 0), block, 0});
}

static void load(struct sim_end *end, uint32_t block, uint32_t len)
{
    end->sending[block].data = block_make(end, block, len);
    lh_list_append(&end->loaded, &end->sending[block].link);
    end->loaded_bytes += len;
    end->loaded_peak = LH_MAX(end->loaded_peak, end->loaded_bytes);
}

static void unload(struct sim_end *end, uint32_t block, uint32_t len)
{
    lh_list_remove(&end->sending[block].link);
    free(end->sending[block].data);
    end->sending[block].data = NULL;
    end->loaded_bytes -= len;
}

static void on_block_acked(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct sim_end *end = user;
    if (block >= end->next_block || end->sending[block].data != data ||
        len != sim_block_len(end->plan, content_seed(end, false), block)) {
        sim_fail(end->failure, "%s: block %u acknowledged wrongly", end->name, block);
        return;
    }
    if (data != NULL)
        unload(end, block, (uint32_t)len);
    end->acked_blocks++;
}

static void on_block_wanted(void *user, uint32_t block)
{
    struct sim_end *end = user;
    if (end->sending[block].data != NULL)
        sim_fail(end->failure, "%s: block %u is wanted and was there", end->name, block);
    queue_push(&end->reloads, (struct sim_release){end->now + end->plan->reload_delay, block, 0});
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
    .on_block_begin = on_block_begin,
    .on_block_run = on_block_run,
    .on_block_end = on_block_end,
    .on_block_wanted = on_block_wanted,
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
        .block_full = (uint32_t)lh_sub_sat(config->block_max, LH_BLOCK_HEADER_MAX),
        .receive_budget = config->receive_budget,
        .seed = content_seed(end, false),
        .events = &events,
        .user = end,
    };
    memset(transport.master.bytes, 0x5a, sizeof transport.master.bytes);
    memcpy(transport.master.bytes, &end->seed, sizeof end->seed);
    end->sending = calloc(end->plan->blocks + 1, sizeof *end->sending);
    end->received = calloc(end->peer_plan->blocks + 1, sizeof *end->received);
    end->early = calloc(end->peer_plan->blocks + 1, sizeof *end->early);
    LH_ASSERT(end->sending != NULL && end->received != NULL && end->early != NULL);
    lh_list_init(&end->loaded);
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
        free(end->sending[i].data);
    for (uint32_t i = 0; end->early != NULL && i < end->peer_plan->blocks; i++)
        free(end->early[i]);
    free(end->sending);
    free(end->early);
    free(end->reloads.items);
    free(end->received);
    free(end->releases.items);
    memset(end, 0, sizeof *end);
}

static void write_event(void *user, enum lh_event_kind kind, const void *event, lh_ns now)
{
    struct sim_end *end = user;
    char line[LH_EVENT_LINE];
    lh_ns since = lh_ns_since(lh_ns_since(now, end->clock_offset), end->start);
    size_t len = lh_event_render(kind, event, since, end->name, line, sizeof line);
    (void)fwrite(line, 1, len, end->trace_file);
}

void sim_end_trace_to(struct sim_end *end, FILE *file)
{
    end->trace_file = file;
    end->trace = (struct lh_trace){write_event, end, TRACE_INTERVAL};
    lh_transport_set_trace(end->transport, &end->trace);
}

// --- The application -----------------------------------------------------------------------------

static uint64_t offered(const struct sim_end *end, lh_ns now)
{
    if (end->plan->offer_rate == 0)
        return UINT64_MAX;
    return lh_muldiv(now - end->start, end->plan->offer_rate, LH_SECOND);
}

// Room for another block: unloads what was sent last, which is asked for last.
static bool make_room(struct sim_end *end, uint32_t len, uint64_t beyond)
{
    uint64_t most = end->plan->send_memory + beyond;
    struct lh_link *link = end->loaded.prev;
    if (end->plan->send_memory == 0)
        return true;
    for (unsigned i = 0; i < UNLOAD_TRIES && end->loaded_bytes + len > most; i++) {
        if (link == &end->loaded)
            break;
        struct sim_sending *sending = LH_CONTAINER_OF(link, struct sim_sending, link);
        uint32_t block = (uint32_t)(sending - end->sending);
        link = link->prev;
        if (block < end->next_block && lh_transport_block_unload(end->transport, block))
            unload(end, block, sim_block_len(end->plan, content_seed(end, false), block));
    }
    return end->loaded_bytes + len <= most || end->loaded_bytes == 0;
}

static void pump_reloads(struct sim_end *end, lh_ns now)
{
    struct sim_release reload;
    while (queue_next(&end->reloads) <= now) {
        uint32_t block = end->reloads.items[end->reloads.first].block;
        uint32_t len = sim_block_len(end->plan, content_seed(end, false), block);
        if (!make_room(end, len, (uint64_t)RELOADS_SPARE * end->plan->block_max))
            return;
        if (!queue_take(&end->reloads, now, &reload))
            return;
        load(end, block, len);
        end->reloaded++;
        if (!lh_transport_block_supply(end->transport, block, end->sending[block].data))
            unload(end, block, len);
    }
}

static void pump_blocks(struct sim_end *end, lh_ns now)
{
    while (end->next_block < end->plan->blocks) {
        uint32_t number = end->next_block, given = UINT32_MAX;
        uint32_t len = sim_block_len(end->plan, content_seed(end, false), number);
        if (end->bytes_offered + len > offered(end, now))
            return;
        if (end->sending[number].data == NULL) {
            if (!make_room(end, len, 0))
                return;
            load(end, number, len);
        }
        lh_err err =
            lh_transport_send_block(end->transport, end->sending[number].data, len, &given);
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
    struct sim_release release;
    while (queue_take(&end->releases, now, &release)) {
        if (release.run > 0) {
            lh_transport_runs_release(end->transport, release.run);
            continue;
        }
        lh_transport_block_release(end->transport, release.block);
        end->released_blocks++;
    }
    if (end->is_closed)
        return;
    pump_reloads(end, now);
    pump_blocks(end, now);
    pump_stream(end);
}

lh_ns sim_end_next(const struct sim_end *end)
{
    lh_ns next = queue_next(&end->releases), reload = queue_next(&end->reloads);
    if (reload > end->now) // else it waits for room, which something else brings
        next = lh_ns_min(next, reload);
    if (end->plan->offer_rate > 0 && end->next_block < end->plan->blocks) {
        uint32_t len = sim_block_len(end->plan, content_seed(end, false), end->next_block);
        uint64_t needed = end->bytes_offered + len;
        lh_ns due = end->start + lh_muldiv(needed, LH_SECOND, end->plan->offer_rate) + 1;
        if (due > end->now)
            next = lh_ns_min(next, due);
    }
    return next;
}

lh_ns sim_end_awake_at(const struct sim_end *end, lh_ns time)
{
    lh_ns on = end->plan->starved.on, period = end->plan->starved.period;
    lh_ns until = end->start + end->plan->starved.until;
    if (period == 0 || time < end->start || time >= until)
        return time;
    lh_ns phase = (time - end->start) % period;
    return phase < on ? time : lh_ns_min(time - phase + period, until);
}

bool sim_end_is_done(const struct sim_end *end)
{
    return end->acked_blocks == end->plan->blocks &&
           end->released_blocks == end->peer_plan->blocks &&
           end->stream_written == end->plan->stream_bytes &&
           end->stream_read == end->peer_plan->stream_bytes &&
           lh_transport_is_flushed(end->transport);
}
