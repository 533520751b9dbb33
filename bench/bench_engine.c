// SPDX-License-Identifier: Apache-2.0
//
// What the engine costs without sockets: two transports in one thread, blocks from one to the other
// through memory, AES-128-GCM by the fastest library and all. Prints bits of block content and
// nanoseconds a packet, by processor time of both ends together.
//
//   bench_engine [GIBIBYTES [LOSS_PER_MILLE [AEAD [BLOCK_BYTES]]]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/prng.h"
#include "base/text.h"
#include "transport/transport.h"

#define BATCH_ROOM 65535
#define BATCHES    64
#define POOL_BYTES ((size_t)64 << 20) // in blocks that wait or are under way

struct bench {
    struct lh_transport *ends[2];
    uint8_t *pool;
    size_t block_len;
    size_t free_count;
    uint8_t **free_blocks;
    uint64_t left, received;
    bool closed;
    struct lh_prng prng;
    uint64_t loss_per_mille;
};

static void on_block(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct bench *bench = user;
    (void)data;
    bench->received += len;
    lh_transport_block_release(bench->ends[1], block);
}

static void on_block_acked(void *user, uint32_t block, uint8_t *data, size_t len)
{
    struct bench *bench = user;
    (void)block;
    (void)len;
    bench->free_blocks[bench->free_count++] = data;
}

static void on_stream(void *user, const uint8_t *data, size_t len)
{
    (void)user;
    (void)data;
    (void)len;
}

static void on_writable(void *user)
{
    (void)user;
}

static void on_lane_state(void *user, uint8_t lane, enum lh_lane_state state)
{
    (void)user;
    (void)lane;
    (void)state;
}

static void on_closed(void *user, int code, const char *reason, size_t reason_len)
{
    struct bench *bench = user;
    (void)reason;
    (void)reason_len;
    fprintf(stderr, "closed: %d\n", code);
    bench->closed = true;
}

static const struct lh_transport_events events = {
    on_block, on_block_acked, on_stream, on_writable, on_lane_state, on_closed,
};

static lh_ns clock_now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (lh_ns)at.tv_sec * LH_SECOND + (lh_ns)at.tv_nsec;
}

static void start(struct bench *bench, const struct lh_aead_type *aead, lh_ns now)
{
    for (int i = 0; i < 2; i++) {
        struct lh_transport_config config = {
            .is_client = i == 0,
            .session_id = 1,
            .aead = aead,
            .epoch_shift = LH_EPOCH_SHIFT,
            .block_max = 4096 + (1u << LH_BLOCK_LOG2_MAX),
            .block_full = (uint32_t)bench->block_len,
            .receive_budget = 256u << 20,
            .seed = 42 + (uint64_t)i,
            .events = &events,
            .user = bench,
        };
        struct lh_lane_config lane = {
            .lane = 1,
            .cc = &lh_cc_fixed,
            .limits = {.rate_target = UINT64_C(5000000000)},
            .payload_max = LH_PACKET_IPV4_1500,
            .ip_overhead = 28,
        };
        lh_err err = lh_transport_new(&config, now, &bench->ends[i]);
        LH_ASSERT(err == 0);
        err = lh_transport_add_lane(bench->ends[i], &lane, now);
        LH_ASSERT(err == 0);
    }
}

// Moves what one end may send to the other; true where anything went.
static bool pump(struct bench *bench, int from, lh_ns now)
{
    static uint8_t buffer[BATCH_ROOM];
    bool any = false;
    for (int i = 0; i < BATCHES; i++) {
        struct lh_batch batch = {.buffer = buffer, .room = sizeof buffer, .segments_max = 44};
        struct lh_dgram dgrams[44];
        size_t count = 0;
        lh_transport_send(bench->ends[from], 1, &batch, now);
        if (batch.segments == 0)
            break;
        any = true;
        for (size_t at = 0; at < batch.len; at += batch.segment_size) {
            if (lh_prng_below(&bench->prng, 1000) < bench->loss_per_mille)
                continue;
            size_t len = LH_MIN((size_t)batch.segment_size, batch.len - at);
            dgrams[count++] = (struct lh_dgram){.data = buffer + at, .len = len};
        }
        lh_transport_recv(bench->ends[1 - from], 1, dgrams, count, now);
    }
    return any;
}

static void offer(struct bench *bench)
{
    while (bench->left > 0 && bench->free_count > 0) {
        uint32_t number;
        uint8_t *data = bench->free_blocks[bench->free_count - 1];
        if (lh_transport_send_block(bench->ends[0], data, bench->block_len, &number) != 0)
            break;
        bench->free_count--;
        bench->left -= LH_MIN(bench->left, (uint64_t)bench->block_len);
    }
}

static void run(struct bench *bench)
{
    while (!bench->closed && (bench->left > 0 || !lh_transport_is_flushed(bench->ends[0]))) {
        lh_ns now = clock_now();
        offer(bench);
        pump(bench, 0, now);
        pump(bench, 1, now);
        for (int i = 0; i < 2; i++) {
            if (lh_transport_next_deadline(bench->ends[i]) <= now)
                lh_transport_on_deadline(bench->ends[i], now);
        }
    }
}

static uint64_t argument(int argc, char **argv, int index, uint64_t usual)
{
    uint64_t value = usual;
    if (argc > index && lh_parse_number(argv[index], 0, UINT64_C(1) << 40, &value) != 0)
        exit(2);
    return value;
}

int main(int argc, char **argv)
{
    struct bench bench = {.prng = {1}};
    const struct lh_aead_type *aead = lh_aead_by_name(argc > 3 ? argv[3] : "aes128");
    LH_ASSERT(aead != NULL);
    aead = lh_aead_fastest(aead->id, clock_now, NULL);
    bench.left = argument(argc, argv, 1, 4) << 30;
    bench.loss_per_mille = argument(argc, argv, 2, 0);
    bench.block_len = argument(argc, argv, 4, 1 << 20);
    if (bench.block_len == 0 || bench.block_len > POOL_BYTES)
        return 2;
    size_t blocks = POOL_BYTES / bench.block_len;
    bench.pool = malloc(POOL_BYTES);
    bench.free_blocks = malloc(blocks * sizeof(void *));
    if (bench.pool == NULL || bench.free_blocks == NULL)
        return 1;
    memset(bench.pool, 'b', POOL_BYTES);
    while (bench.free_count < blocks) {
        bench.free_blocks[bench.free_count] = bench.pool + bench.free_count * bench.block_len;
        bench.free_count++;
    }
    lh_ns begin = clock_now();
    start(&bench, aead, begin);
    run(&bench);
    lh_ns took = clock_now() - begin;
    struct lh_lane_stats stats;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    lh_transport_lane_stats(bench.ends[0], 1, &stats);
    char rate[32];
    // Processor time, so that what else runs on the machine counts little.
    took = ((lh_ns)usage.ru_utime.tv_sec + (lh_ns)usage.ru_stime.tv_sec) * LH_SECOND +
           ((lh_ns)usage.ru_utime.tv_usec + (lh_ns)usage.ru_stime.tv_usec) * LH_US;
    printf("%s by %s, %zu-byte blocks, loss %llu/1000: %s of content a processor second, %llu "
           "packets, "
           "%.0f ns/packet for both ends together, rtt %.3f ms, %llu lost, max RSS %ld MB\n",
           aead->name, aead->library, bench.block_len, (unsigned long long)bench.loss_per_mille,
           lh_format_rate(lh_muldiv(bench.received, 8 * LH_SECOND, took), rate, sizeof rate),
           (unsigned long long)stats.packets_sent, (double)took / (double)stats.packets_sent,
           (double)stats.rtt_smoothed / 1e6, (unsigned long long)stats.packets_lost,
           usage.ru_maxrss / 1024);
    lh_transport_free(bench.ends[0]);
    lh_transport_free(bench.ends[1]);
    free(bench.pool);
    free(bench.free_blocks);
    return bench.closed ? 1 : 0;
}
