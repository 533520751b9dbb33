// SPDX-License-Identifier: Apache-2.0
#include "transport_pair.h"
#include "check.h"

#include "base/math.h"

uint32_t pair_block_len(const struct pair_end *end, uint32_t block)
{
    if (end->block_len != 0)
        return end->block_len;
    struct lh_prng prng = {end->pair->seed ^ (block * 2654435761u)};
    uint64_t kind = lh_prng_below(&prng, 4);
    return (uint32_t)(1 + (kind == 0 ? lh_prng_below(&prng, 300) : lh_prng_below(&prng, 60000)));
}

void pair_block_fill(uint64_t seed, int from, uint32_t block, uint8_t *data, size_t len)
{
    struct lh_prng prng = {seed ^ (uint64_t)from << 60 ^ block};
    lh_prng_fill(&prng, data, len);
}

static uint8_t stream_byte(int from, uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16) + (uint64_t)from * 101);
}

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct pair_end *end = user;
    struct pair_end *peer = &end->pair->ends[1 - end->index];
    check_uint(len, pair_block_len(peer, block));
    uint8_t *expected = malloc(len);
    pair_block_fill(end->pair->seed, peer->index, block, expected, len);
    if (memcmp(expected, data, len) != 0)
        fail_msg("block %u differs", block);
    free(expected);
    end->blocks_received++;
    end->bytes_received += len;
    if (end->hold)
        end->held[end->held_count++] = block;
    else
        lh_transport_block_release(end->transport, block);
}

static void on_block_acked(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct pair_end *end = user;
    (void)len;
    assert_ptr_equal(end->unacked[block], data);
    end->unacked[block] = NULL;
    free(data);
    end->blocks_acked++;
}

static void on_stream(void *user, const uint8_t *data, size_t len)
{
    struct pair_end *end = user;
    for (size_t i = 0; i < len; i++) {
        if (data[i] != stream_byte(1 - end->index, end->stream_received + i))
            fail_msg("stream differs at %llu", (unsigned long long)(end->stream_received + i));
    }
    end->stream_received += len;
    if (end->hold)
        end->stream_held += len;
    else
        lh_transport_stream_consumed(end->transport, len);
}

static void on_writable(void *user)
{
    pair_push(user);
}

static void on_lane_state(void *user, uint8_t lane, enum lh_lane_state state)
{
    struct pair_end *end = user;
    end->lane_state[lane] = state;
}

static void on_closed(void *user, int code, const char *reason, size_t reason_len)
{
    struct pair_end *end = user;
    end->closed = true;
    end->close_code = code;
    if (reason_len > 0)
        memcpy(end->close_reason, reason, LH_MIN(reason_len, sizeof end->close_reason - 1));
}

static const struct lh_transport_events events = {
    .on_block = on_block,
    .on_block_acked = on_block_acked,
    .on_stream = on_stream,
    .on_writable = on_writable,
    .on_lane_state = on_lane_state,
    .on_closed = on_closed,
};

void pair_init(struct pair *pair, const struct pair_options *options)
{
    memset(pair, 0, sizeof *pair);
    pair->seed = options->seed;
    pair->prng.state = options->seed ^ 0x5eed;
    pair->now = 7 * LH_SECOND;
    pair->keys_outside = options->keys_outside;
    for (int i = 0; i < 2; i++) {
        struct pair_end *end = &pair->ends[i];
        end->pair = pair;
        end->index = i;
        struct lh_transport_config config = {
            .is_client = i == 0,
            .session_id = 0x1234567,
            .aead = options->aead != NULL ? options->aead : &lh_aead_aes128_gcm,
            .epoch_shift = options->epoch_shift != 0 ? options->epoch_shift : LH_EPOCH_SHIFT,
            .block_max = options->block_max != 0 ? options->block_max : 65536,
            .block_full = 65536,
            .receive_budget = options->receive_budget != 0 ? options->receive_budget : 16u << 20,
            .forgery_limit = options->forgery_limit,
            .seed = options->seed * 2 + (uint64_t)i,
            .events = &events,
            .user = end,
        };
        memset(config.master.bytes, 0x42, sizeof config.master.bytes);
        check_ok(lh_transport_new(&config, pair->now, &end->transport));
    }
}

void pair_drop_packets(struct pair *pair)
{
    for (size_t i = 0; i < pair->heap_count; i++)
        free(pair->heap[i].data);
    pair->heap_count = 0;
}

void pair_fini(struct pair *pair)
{
    pair_drop_packets(pair);
    free(pair->heap);
    for (int i = 0; i < 2; i++) {
        struct pair_end *end = &pair->ends[i];
        lh_transport_free(end->transport);
        for (uint32_t block = 0; block < end->blocks_pushed; block++)
            free(end->unacked[block]);
        free(end->unacked);
        for (int lane = 0; lane < LH_LANES_MAX; lane++)
            lh_sealing_fini(&pair->sealing[i][lane]);
    }
}

void pair_add_lane(struct pair *pair, uint8_t lane, lh_ns delay, uint64_t rate)
{
    pair->links[lane] = (struct pair_link){.exists = true, .delay = delay};
    for (int i = 0; i < 2; i++) {
        struct lh_lane_config config = {
            .lane = lane,
            .cc = lane == LH_LANE_SSH ? &lh_cc_pipe : &lh_cc_fixed,
            .limits = {.rate_target = rate},
            .payload_max = lane == LH_LANE_SSH ? 16384 : LH_PACKET_IPV4_1500,
            .ip_overhead = lane == LH_LANE_SSH ? 0 : 28,
            .inflight_max = lane == LH_LANE_SSH ? LH_SSH_PIPE_EARLY : 0,
        };
        check_ok(lh_transport_add_lane(pair->ends[i].transport, &config, pair->now));
        if (pair->keys_outside && lane != LH_LANE_SSH)
            lh_transport_take_keys(pair->ends[i].transport, lane, &pair->sealing[i][lane]);
    }
}

static bool before(const struct pair_packet *a, const struct pair_packet *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct pair *pair, struct pair_packet packet)
{
    if (pair->heap_count == pair->heap_capacity) {
        pair->heap_capacity = pair->heap_capacity * 2 + 256;
        pair->heap = realloc(pair->heap, pair->heap_capacity * sizeof *pair->heap);
    }
    size_t at = pair->heap_count++;
    packet.order = pair->order++;
    while (at > 0 && before(&packet, &pair->heap[(at - 1) / 2])) {
        pair->heap[at] = pair->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    pair->heap[at] = packet;
}

static struct pair_packet heap_pop(struct pair *pair)
{
    struct pair_packet top = pair->heap[0];
    struct pair_packet last = pair->heap[--pair->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= pair->heap_count)
            break;
        if (child + 1 < pair->heap_count && before(&pair->heap[child + 1], &pair->heap[child]))
            child++;
        if (!before(&pair->heap[child], &last))
            break;
        pair->heap[at] = pair->heap[child];
        at = child;
    }
    pair->heap[at] = last;
    return top;
}

static bool chance(struct pair *pair, uint32_t ppm)
{
    return ppm > 0 && lh_prng_below(&pair->prng, 1000000) < ppm;
}

static void transmit(struct pair *pair, int from, uint8_t lane, const uint8_t *data, size_t len)
{
    struct pair_link *link = &pair->links[lane];
    uint8_t copy[LH_SSH_FRAME_MAX];
    memcpy(copy, data, len);
    link->sent[from]++;
    for (size_t i = 0; i < len; i++)
        pair->digest = (pair->digest ^ data[i]) * 0x100000001b3u;
    if (pair->tap != NULL && !pair->tap(pair, from, lane, copy, len))
        return;
    if (link->cut || chance(pair, link->loss_ppm) || (link->mtu != 0 && len > link->mtu))
        return;
    lh_ns start = LH_MAX(pair->now, link->busy[from]);
    link->busy[from] = start + (link->rate == 0 ? 0 : lh_muldiv(len + 28, LH_SECOND, link->rate));
    int copies = chance(pair, link->duplicate_ppm) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        struct pair_packet packet = {
            .at = link->busy[from] + link->delay +
                  (link->jitter == 0 ? 0 : lh_prng_below(&pair->prng, link->jitter)),
            .to = 1 - from,
            .lane = lane,
            .path = pair->ends[from].path_of_peer,
            .len = len,
            .data = malloc(len),
        };
        memcpy(packet.data, copy, len);
        if (from == 0 && pair->copier != 0 && lane != LH_LANE_SSH) {
            struct pair_packet theirs = packet;
            theirs.path = pair->copier;
            theirs.data = malloc(len);
            memcpy(theirs.data, copy, len);
            heap_push(pair, theirs);
        }
        if (chance(pair, link->corrupt_ppm))
            packet.data[lh_prng_below(&pair->prng, len)] ^= 1 << lh_prng_below(&pair->prng, 8);
        heap_push(pair, packet);
    }
}

// Sends all that the end may send now.
static void flush(struct pair *pair, int index)
{
    static uint8_t buffer[LH_SSH_FRAME_MAX];
    for (uint8_t lane = 0; lane < LH_LANES_MAX; lane++) {
        if (!pair->links[lane].exists)
            continue;
        for (;;) {
            struct lh_batch batch = {.buffer = buffer, .room = sizeof buffer, .segments_max = 16};
            lh_transport_send(pair->ends[index].transport, lane, &batch, pair->now);
            if (batch.segments == 0)
                break;
            pair->sending_to = batch.path;
            if (pair->keys_outside && lane != LH_LANE_SSH)
                check_ok(lh_sealing_run(&pair->sealing[index][lane], buffer, batch.len,
                                        batch.segment_size));
            for (size_t at = 0; at < batch.len; at += batch.segment_size) {
                if (at > 0 && chance(pair, pair->links[lane].behind_first_ppm))
                    continue;
                transmit(pair, index, lane, buffer + at,
                         LH_MIN((size_t)batch.segment_size, batch.len - at));
            }
        }
    }
}

void pair_recv(struct pair *pair, int to, uint8_t lane, struct lh_dgram *dgram)
{
    struct lh_transport *transport = pair->ends[to].transport;
    lh_err err = 0;

    if (pair->keys_outside && lane != LH_LANE_SSH)
        err = lh_sealing_open(&pair->sealing[to][lane], dgram->data, dgram->len, pair->now,
                              lh_transport_lane_pto(transport, lane));
    if (err == 0)
        lh_transport_recv(transport, lane, dgram, 1, pair->now);
    else
        lh_transport_note_forged(transport, lane, err < 0, err == LH_NONE);
}

static void deliver(struct pair *pair)
{
    while (pair->heap_count > 0 && pair->heap[0].at <= pair->now) {
        struct pair_packet packet = heap_pop(pair);
        struct lh_dgram dgram = {.data = packet.data, .len = packet.len, .path = packet.path};
        pair_recv(pair, packet.to, packet.lane, &dgram);
        free(packet.data);
    }
}

bool pair_run(struct pair *pair, bool (*done)(const struct pair *pair), lh_ns limit)
{
    lh_ns end = pair->now + limit;
    unsigned stuck = 0;
    for (;;) {
        for (int i = 0; i < 2; i++) {
            pair_push(&pair->ends[i]);
            flush(pair, i);
        }
        if (done(pair))
            return true;
        lh_ns next = pair->heap_count > 0 ? pair->heap[0].at : LH_NEVER;
        for (int i = 0; i < 2; i++)
            next = LH_MIN(next, lh_transport_next_deadline(pair->ends[i].transport));
        // A deadline that has passed although everything was sent must not come again and again.
        stuck = next <= pair->now ? stuck + 1 : 0;
        if (stuck > 1000)
            fail_msg("deadlines do not move on");
        if (pair->late != 0)
            next = (next + pair->late - 1) / pair->late * pair->late;
        if (next >= end) {
            pair->now = end;
            return false;
        }
        pair->now = LH_MAX(pair->now, next);
        deliver(pair);
        for (int i = 0; i < 2; i++)
            lh_transport_on_deadline(pair->ends[i].transport, pair->now);
    }
}

bool pair_all_done(const struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        const struct pair_end *end = &pair->ends[i], *peer = &pair->ends[1 - i];
        if (end->blocks_acked < end->blocks_wanted || peer->blocks_received < end->blocks_wanted ||
            peer->stream_received < end->stream_wanted || !lh_transport_is_flushed(end->transport))
            return false;
    }
    return true;
}

bool pair_any_closed(const struct pair *pair)
{
    return pair->ends[0].closed || pair->ends[1].closed;
}

bool pair_never(const struct pair *pair)
{
    (void)pair;
    return false;
}

void pair_push(struct pair_end *end)
{
    while (!end->closed && end->blocks_pushed < end->blocks_wanted) {
        uint32_t len = pair_block_len(end, end->blocks_pushed), number;
        uint8_t *data = malloc(len);
        pair_block_fill(end->pair->seed, end->index, end->blocks_pushed, data, len);
        lh_err err = lh_transport_send_block(end->transport, data, len, &number);
        if (err != 0) {
            free(data);
            assert_true(err == LH_AGAIN || err == LH_E_CLOSED);
            break;
        }
        check_uint(number, end->blocks_pushed);
        if (number >= end->unacked_capacity) {
            end->unacked_capacity = end->unacked_capacity * 2 + 64;
            end->unacked = realloc(end->unacked, end->unacked_capacity * sizeof *end->unacked);
        }
        end->unacked[number] = data;
        end->blocks_pushed++;
    }
    while (!end->closed && end->stream_written < end->stream_wanted) {
        uint8_t bytes[977];
        size_t len = LH_MIN(sizeof bytes, end->stream_wanted - end->stream_written);
        for (size_t i = 0; i < len; i++)
            bytes[i] = stream_byte(end->index, end->stream_written + i);
        if (lh_transport_stream_write(end->transport, bytes, len) != 0)
            break;
        end->stream_written += len;
    }
}

void pair_release_all(struct pair_end *end)
{
    for (uint32_t i = 0; i < end->held_count; i++)
        lh_transport_block_release(end->transport, end->held[i]);
    end->held_count = 0;
    lh_transport_stream_consumed(end->transport, end->stream_held);
    end->stream_held = 0;
}
