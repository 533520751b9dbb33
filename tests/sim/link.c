// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"

#define PPM         1000000u
#define FULL_PACKET 1500
#define ZEROS_MIN   64

void sim_link_init(struct sim_link *link,
                   const struct sim_link_config *config,
                   uint32_t ip_overhead,
                   uint64_t seed)
{
    *link = (struct sim_link){.config = *config, .prng = {seed}, .ip_overhead = ip_overhead};
}

void sim_link_fini(struct sim_link *link)
{
    for (size_t i = 0; i < link->count; i++)
        free(link->heap[i].data);
    free(link->heap);
    *link = (struct sim_link){0};
}

static bool chance(struct sim_link *link, uint32_t ppm)
{
    return ppm > 0 && lh_prng_below(&link->prng, PPM) < ppm;
}

// --- A heap by arrival ---------------------------------------------------------------------------

static bool is_before(const struct sim_packet *a, const struct sim_packet *b)
{
    return a->arrives != b->arrives ? a->arrives < b->arrives : a->order < b->order;
}

static void swap(struct sim_packet *a, struct sim_packet *b)
{
    struct sim_packet kept = *a;
    *a = *b;
    *b = kept;
}

// Content that is zeros, in packets that are not encrypted, takes no memory while it is under way:
// that is what lets a long fat path fit into a small machine. Gives the length of the run that ends
// where the tag begins; 0 where it is short.
static size_t zeros_of(const uint8_t *data, size_t len)
{
    size_t end = len > SIM_TAIL ? len - SIM_TAIL : 0, at = end;
    uint64_t word;
    while (at >= sizeof word) {
        memcpy(&word, data + at - sizeof word, sizeof word);
        if (word != 0)
            break;
        at -= sizeof word;
    }
    return end - at >= ZEROS_MIN ? end - at : 0;
}

static void expand(struct sim_packet *packet)
{
    size_t head = packet->len - packet->zeros - SIM_TAIL;
    uint8_t *whole = calloc(1, packet->len);
    LH_ASSERT(whole != NULL);
    memcpy(whole, packet->data, head);
    memcpy(whole + head + packet->zeros, packet->data + head, SIM_TAIL);
    free(packet->data);
    packet->data = whole;
    packet->zeros = 0;
}

// Gives the copy, so that it can be damaged; `len - zeros` bytes of it.
static uint8_t *
push(struct sim_link *link, const uint8_t *data, size_t len, uint32_t path, lh_ns arrives)
{
    LH_ASSERT(len > 0);
    if (link->count == link->room) {
        link->room = LH_MAX(2 * link->room, (size_t)256);
        link->heap = realloc(link->heap, link->room * sizeof *link->heap);
        LH_ASSERT(link->heap != NULL);
    }
    size_t at = link->count++, zeros = zeros_of(data, len);
    link->heap[at] = (struct sim_packet){
        .arrives = arrives,
        .order = link->sent,
        .data = malloc(len - zeros),
        .len = len,
        .zeros = zeros,
        .path = path,
        .ecn = link->ecn,
    };
    uint8_t *copy = link->heap[at].data;
    LH_ASSERT(copy != NULL);
    if (zeros == 0) {
        memcpy(copy, data, len);
    } else {
        memcpy(copy, data, len - zeros - SIM_TAIL);
        memcpy(copy + len - zeros - SIM_TAIL, data + len - SIM_TAIL, SIM_TAIL);
    }
    for (; at > 0 && is_before(&link->heap[at], &link->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&link->heap[at], &link->heap[(at - 1) / 2]);
    return copy;
}

bool sim_link_take(struct sim_link *link, lh_ns now, struct sim_packet *out_packet)
{
    if (link->count == 0 || link->heap[0].arrives > now)
        return false;
    *out_packet = link->heap[0];
    if (out_packet->zeros > 0)
        expand(out_packet);
    link->arrived_bytes += out_packet->len + link->ip_overhead;
    link->heap[0] = link->heap[--link->count];
    for (size_t at = 0;;) {
        size_t least = at, child = 2 * at + 1;
        for (size_t i = child; i < child + 2 && i < link->count; i++)
            if (is_before(&link->heap[i], &link->heap[least]))
                least = i;
        if (least == at)
            return true;
        swap(&link->heap[at], &link->heap[least]);
        at = least;
    }
}

lh_ns sim_link_next(const struct sim_link *link)
{
    return link->count == 0 ? LH_NEVER : link->heap[0].arrives;
}

// --- What happens to a packet --------------------------------------------------------------------

static bool is_out(const struct sim_link *link, lh_ns now)
{
    for (size_t i = 0; i < SIM_OUTAGES_MAX; i++)
        if (now >= link->config.outages[i].from && now < link->config.outages[i].until)
            return true;
    return false;
}

static bool is_lost(struct sim_link *link, lh_ns now)
{
    const struct sim_link_config *config = &link->config;
    // A run of losses takes the time of so many packets at full rate: a thin stream, as feedback
    // is, meets no more of it than its share.
    lh_ns run = config->rate == 0
                    ? 0
                    : lh_muldiv(config->burst_packets, FULL_PACKET * LH_SECOND, config->rate);
    if (now > link->last_seen + run)
        link->is_bad = false;
    link->last_seen = now;
    if (config->burst_ppm > 0) {
        // Mean length L of the bad state and share p of it fix both transitions.
        uint64_t stay = config->burst_packets;
        if (link->is_bad)
            link->is_bad = lh_prng_below(&link->prng, stay) != 0;
        else
            link->is_bad = lh_prng_below(&link->prng, (uint64_t)(PPM - config->burst_ppm) * stay) <
                           config->burst_ppm;
        if (link->is_bad)
            return true;
    }
    return chance(link, config->loss_ppm);
}

static struct sim_link *bottleneck_of(struct sim_link *link)
{
    return link->shares_with != NULL ? link->shares_with : link;
}

// A token bucket, by the time it takes to fill: it is short of tokens by what came since.
static bool is_policed(struct sim_link *link, size_t ip_len, lh_ns now)
{
    const struct sim_link_config *config = &link->config;
    if (config->police_rate == 0)
        return false;
    lh_ns full_at = lh_ns_max(link->police_full_at, now);
    lh_ns takes = lh_muldiv(ip_len, LH_SECOND, config->police_rate);
    if (full_at + takes > now + lh_muldiv(config->police_burst, LH_SECOND, config->police_rate))
        return true;
    link->police_full_at = full_at + takes;
    return false;
}

// Passes the bottleneck; false where the queue is full.
static bool enqueue(struct sim_link *link, size_t ip_len, lh_ns now)
{
    if (link->config.rate == 0) {
        link->free_at = now;
        return true;
    }
    struct sim_link *at = bottleneck_of(link);
    lh_ns start = lh_ns_max(now, at->free_at);
    uint64_t waiting = lh_muldiv(start - now, at->config.rate, LH_SECOND);
    if (waiting + ip_len > at->config.queue_bytes)
        return false;
    at->free_at = start + lh_muldiv(ip_len, LH_SECOND, at->config.rate);
    link->free_at = at->free_at;
    return true;
}

static void deliver(struct sim_link *link, const uint8_t *data, size_t len, uint32_t path)
{
    const struct sim_link_config *config = &link->config;
    lh_ns arrives = link->free_at + config->delay;
    if (config->jitter > 0) {
        arrives += lh_prng_below(&link->prng, config->jitter);
        arrives = link->last_arrival = lh_ns_max(arrives, link->last_arrival);
    }
    if (chance(link, config->reorder_ppm))
        arrives += config->reorder_delay;
    if (chance(link, config->corrupt_ppm)) {
        struct lh_prng *prng = &link->prng;
        uint8_t *bytes = push(link, data, len, path, arrives);
        bytes[lh_prng_below(prng, len - zeros_of(data, len))] ^=
            (uint8_t)(1 << lh_prng_below(prng, 8));
        link->corrupted++;
    } else {
        push(link, data, len, path, arrives);
    }
    if (chance(link, config->duplicate_ppm)) {
        push(link, data, len, path,
             arrives + lh_prng_below(&link->prng, config->duplicate_delay + 1));
        link->duplicated++;
    }
}

// The mark that a packet arrives with which enters the queue now.
static uint8_t mark(struct sim_link *link, uint8_t ecn, lh_ns now)
{
    const struct sim_link_config *config = &link->config;
    bool is_queue_long =
        config->ce_above > 0 && bottleneck_of(link)->free_at > now + config->ce_above;

    if (config->clears_ecn)
        return 0;
    if (ecn != 2 || !(is_queue_long || chance(link, config->ce_ppm)))
        return ecn;
    link->marked_ce++;
    return 3;
}

void sim_link_send(
    struct sim_link *link, const uint8_t *data, size_t len, uint32_t path, uint8_t ecn, lh_ns now)
{
    size_t ip_len = len + link->ip_overhead;
    link->sent++;
    link->sent_bytes += ip_len;
    link->ecn = mark(link, ecn, now);
    if (link->config.ip_max > 0 && ip_len > link->config.ip_max)
        link->dropped_mtu++;
    else if (is_out(link, now))
        link->dropped_outage++;
    else if (is_policed(link, ip_len, now))
        link->dropped_policed++;
    else if (!enqueue(link, ip_len, now))
        link->dropped_queue++;
    else if (is_lost(link, now))
        link->dropped_loss++;
    else
        deliver(link, data, len, path);
}

void sim_link_inject(
    struct sim_link *link, const uint8_t *data, size_t len, uint32_t path, lh_ns arrives)
{
    link->ecn = 0;
    push(link, data, len, path, arrives);
}

// --- The pipe ------------------------------------------------------------------------------------

void sim_pipe_init(struct sim_pipe *pipe, const struct sim_pipe_config *config)
{
    static const struct sim_link_config nothing_special;
    *pipe = (struct sim_pipe){.config = *config};
    LH_ASSERT(config->rate > 0);
    sim_link_init(&pipe->queue, &nothing_special, 0, 0);
}

void sim_pipe_fini(struct sim_pipe *pipe)
{
    sim_link_fini(&pipe->queue);
}

lh_ns sim_pipe_writable(const struct sim_pipe *pipe, lh_ns now)
{
    if (pipe->is_broken)
        return LH_NEVER;
    lh_ns backlog = lh_muldiv(pipe->config.buffer, LH_SECOND, pipe->config.rate);
    return lh_ns_max(now, lh_ns_since(pipe->free_at, backlog));
}

void sim_pipe_send(struct sim_pipe *pipe, const uint8_t *data, size_t len, lh_ns now)
{
    pipe->free_at = lh_ns_max(pipe->free_at, now) + lh_muldiv(len, LH_SECOND, pipe->config.rate);
    pipe->sent_bytes += len;
    pipe->queue.sent++;
    push(&pipe->queue, data, len, 0, pipe->free_at + pipe->config.delay);
}
