// SPDX-License-Identifier: Apache-2.0
//
// How it works. As in world.c, time jumps from one thing that happens to the next. Every flow has a
// link of its own (sim_link) whose bottleneck is that of the first: the queue is the time until
// that one has sent all it holds, whoever sent it. The way back has delay alone.
#include "company.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "end.h"
#include "link.h"
#include "tcp_flow.h"
#include "udp/route.h"

#define START_TIME    LH_SECOND
#define IP_OVERHEAD   28u
#define BATCH_ROOM    65536u
#define RECV_BATCH    64u
#define GRID          (20 * LH_US) // arrivals at an engine are handed over in batches, as GRO does
#define PAYLOAD_SHARE 952u
#define SAMPLE_EVERY  (2 * LH_MS)
#define SAMPLE_UNIT   (100 * LH_US)
#define SAMPLES       20000u
#define TRACE_EVERY   (500 * LH_MS)
#define SPIN_MAX      10000u
#define BLOCK         (UINT64_C(1) << 20)

struct flow {
    const struct company_flow_config *config;
    struct sim_link up, down;
    struct sim_plan plan, no_plan;
    struct sim_end ends[2]; // sender, receiver
    struct tcp_flow tcp;
    bool is_started;
    lh_ns next;
    uint64_t measured, traced; // bytes received when measuring (tracing) began
};

struct company {
    const struct company_config *config;
    struct flow flows[COMPANY_FLOWS_MAX];
    lh_ns now, sample_at, trace_at;
    bool is_measuring;
    uint64_t dropped_before;
    uint32_t samples[SAMPLES]; // a histogram of the queue
    uint64_t samples_count;
    lh_ns queue_least, queue_most; // since the last line of the trace
    lh_ns in_company;
    struct sim_failure failure;
    uint8_t buffer[BATCH_ROOM];
};

// --- A Longhaul session --------------------------------------------------------------------------

static unsigned lanes_of(const struct flow *flow)
{
    return LH_MAX(flow->config->lanes, 1u);
}

static void session_start(struct company *company, struct flow *flow, uint64_t seed)
{
    struct sim_end_config config = {
        .aead = &lh_aead_null,
        .cc = flow->config->cc,
        .limits.rate_target = flow->config->rate_target,
        .session_id = (uint32_t)seed,
        .block_max = BLOCK + LH_BLOCK_HEADER_MAX,
        .receive_budget = LH_MEMORY_DEFAULT,
        .epoch_shift = LH_EPOCH_SHIFT,
        .rtt_hint = flow->config->rtt,
        .udp_lanes = lanes_of(flow),
    };
    uint64_t seconds = company->config->until / LH_SECOND + 1;
    flow->plan = (struct sim_plan){
        .blocks = (uint32_t)(company->config->rate * seconds / BLOCK) + 100,
        .block_min = BLOCK,
        .block_max = BLOCK,
        .is_light = true,
    };
    for (unsigned i = 0; i < 2; i++) {
        flow->ends[i] = (struct sim_end){
            .name = i == 0 ? "sender" : "receiver",
            .is_client = i == 0,
            .failure = &company->failure,
            .clock_offset = i == 0 ? 0 : 3600 * LH_SECOND,
            .plan = i == 0 ? &flow->plan : &flow->no_plan,
            .peer_plan = i == 0 ? &flow->no_plan : &flow->plan,
            .seed = seed,
        };
        sim_end_init(&flow->ends[i], &config, company->now);
    }
}

// One run of a lane; false when there is nothing to send.
static bool
lane_send(struct company *company, struct sim_end *end, struct sim_link *link, uint8_t lane)
{
    struct lh_batch batch = {
        .buffer = company->buffer, .room = sizeof company->buffer, .segments_max = 44};
    sim_end_pump(end, company->now);
    lh_transport_send(end->transport, lane, &batch, company->now + end->clock_offset);
    for (size_t at = 0; at < batch.len; at += batch.segment_size)
        sim_link_send(link, batch.buffer + at, LH_MIN(batch.segment_size, batch.len - at), 1,
                      batch.ecn, company->now);
    return batch.segments > 0;
}

static void session_send(struct company *company, struct flow *flow, unsigned from)
{
    struct sim_end *end = &flow->ends[from];
    struct sim_link *link = from == 0 ? &flow->up : &flow->down;
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < lanes_of(flow); i++)
            more |= lane_send(company, end, link, (uint8_t)(SIM_LANE_UDP + i));
    }
}

static void session_receive(struct company *company, struct sim_end *end, struct sim_link *link)
{
    for (;;) {
        struct lh_dgram dgrams[RECV_BATCH];
        uint8_t *buffers[RECV_BATCH];
        size_t count = 0, from = 0;
        struct sim_packet packet;
        while (count < RECV_BATCH && sim_link_take(link, company->now, &packet)) {
            buffers[count] = packet.data;
            dgrams[count++] = (struct lh_dgram){packet.data, packet.len, packet.path, packet.ecn};
        }
        if (count == 0)
            return;
        end->now = company->now;
        for (size_t i = 0; i < count; i++) { // in stretches of one lane, which the header names
            if (i + 1 < count &&
                lh_route_lane(dgrams[i + 1].data, 1) == lh_route_lane(dgrams[i].data, 1))
                continue;
            lh_transport_recv(end->transport, lh_route_lane(dgrams[i].data, 1), dgrams + from,
                              i + 1 - from, company->now + end->clock_offset);
            from = i + 1;
        }
        for (size_t i = 0; i < count; i++)
            free(buffers[i]);
    }
}

static lh_ns on_grid(lh_ns time)
{
    return time == LH_NEVER ? time : (time + GRID - 1) / GRID * GRID;
}

static lh_ns session_step(struct company *company, struct flow *flow)
{
    lh_ns next = LH_NEVER;
    for (unsigned i = 0; i < 2; i++) {
        struct sim_end *end = &flow->ends[i];
        struct sim_link *in = i == 0 ? &flow->down : &flow->up;
        lh_ns local = company->now + end->clock_offset;
        end->now = company->now;
        session_receive(company, end, in);
        if (lh_transport_next_deadline(end->transport) <= local)
            lh_transport_on_deadline(end->transport, local);
        session_send(company, flow, i);
        if (end->is_closed)
            sim_fail(&company->failure, "%s: closed with code %d", end->name, end->close_code);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct sim_end *end = &flow->ends[i];
        lh_ns deadline = lh_transport_next_deadline(end->transport);
        if (deadline != LH_NEVER)
            next = lh_ns_min(next, lh_ns_since(deadline, end->clock_offset));
        next = lh_ns_min(next, sim_end_next(end));
        next = lh_ns_min(next, on_grid(sim_link_next(i == 0 ? &flow->down : &flow->up)));
    }
    return lh_ns_max(next, company->now);
}

// --- A TCP connection ----------------------------------------------------------------------------

static void tcp_ack(struct company *company, struct flow *flow, const struct tcp_ack *ack)
{
    sim_link_send(&flow->down, (const uint8_t *)ack, sizeof *ack, 1, 0, company->now);
}

static lh_ns tcp_step(struct company *company, struct flow *flow)
{
    struct sim_packet arrived;
    struct tcp_packet packet;
    struct tcp_ack ack;
    while (sim_link_take(&flow->up, company->now, &arrived)) {
        memcpy(&packet, arrived.data, sizeof packet);
        free(arrived.data);
        if (tcp_flow_on_packet(&flow->tcp, &packet, &ack, company->now))
            tcp_ack(company, flow, &ack);
    }
    while (sim_link_take(&flow->down, company->now, &arrived)) {
        memcpy(&ack, arrived.data, sizeof ack);
        free(arrived.data);
        tcp_flow_on_ack(&flow->tcp, &ack, company->now);
    }
    if (tcp_flow_on_timer(&flow->tcp, &ack, company->now))
        tcp_ack(company, flow, &ack);
    bool is_over = flow->config->stop != 0 && company->now >= START_TIME + flow->config->stop;
    while (!is_over && tcp_flow_send(&flow->tcp, &packet, company->now)) {
        memcpy(company->buffer, &packet, sizeof packet);
        sim_link_send(&flow->up, company->buffer, TCP_PACKET_IP - IP_OVERHEAD, 1, 0, company->now);
    }
    lh_ns next = is_over ? LH_NEVER : lh_ns_max(tcp_flow_next(&flow->tcp), company->now + 1);
    return lh_ns_min(next, lh_ns_min(sim_link_next(&flow->up), sim_link_next(&flow->down)));
}

// --- All of them ---------------------------------------------------------------------------------

static uint64_t received(const struct flow *flow)
{
    if (!flow->is_started)
        return 0;
    uint64_t content =
        flow->config->is_tcp ? flow->tcp.received_bytes : flow->ends[1].received_bytes;
    return flow->config->is_tcp ? content * TCP_PACKET_IP / TCP_PAYLOAD
                                : lh_muldiv(content, 1000, PAYLOAD_SHARE);
}

static void
init_flows(struct company *company, const struct company_config *config, struct lh_prng *prng)
{
    for (uint32_t i = 0; i < config->flows; i++) {
        struct flow *flow = &company->flows[i];
        struct sim_link_config up = {
            .rate = config->rate,
            .queue_bytes = config->queue_bytes,
            .delay = config->flow[i].rtt / 2,
            .loss_ppm = config->loss_ppm,
            .burst_ppm = config->burst_ppm,
            .burst_packets = config->burst_packets,
            .jitter = config->jitter,
        };
        struct sim_link_config down = {.delay = config->flow[i].rtt / 2,
                                       .loss_ppm = config->loss_ppm,
                                       .jitter = config->jitter};
        flow->config = &config->flow[i];
        sim_link_init(&flow->up, &up, IP_OVERHEAD, lh_prng_next(prng));
        sim_link_init(&flow->down, &down, IP_OVERHEAD, lh_prng_next(prng));
        flow->up.shares_with = i == 0 ? NULL : &company->flows[0].up;
        flow->next = START_TIME + flow->config->start;
    }
}

static void fini_flow(struct flow *flow)
{
    if (flow->is_started && flow->config->is_tcp)
        tcp_flow_fini(&flow->tcp);
    for (unsigned i = 0; flow->is_started && !flow->config->is_tcp && i < 2; i++)
        sim_end_fini(&flow->ends[i]);
    sim_link_fini(&flow->up);
    sim_link_fini(&flow->down);
}

static void step(struct company *company, struct flow *flow, struct lh_prng *prng)
{
    if (!flow->is_started) {
        flow->is_started = true;
        if (flow->config->is_tcp)
            tcp_flow_init(&flow->tcp, flow->config->cc, flow->config->cc != &lh_cc_cubic,
                          company->now);
        else
            session_start(company, flow, lh_prng_next(prng));
    }
    flow->next = flow->config->is_tcp ? tcp_step(company, flow) : session_step(company, flow);
}

static void sample(struct company *company)
{
    lh_ns queue = lh_ns_since(company->flows[0].up.free_at, company->now);
    company->sample_at += SAMPLE_EVERY;
    company->queue_least = lh_ns_min(company->queue_least, queue);
    company->queue_most = lh_ns_max(company->queue_most, queue);
    if (!company->is_measuring)
        return;
    company->samples[LH_MIN(queue / SAMPLE_UNIT, (uint64_t)SAMPLES - 1)]++;
    company->samples_count++;
    const struct flow *flow = &company->flows[0];
    if (!flow->is_started || flow->config->is_tcp)
        return;
    struct lh_lane_stats lane;
    lh_transport_lane_stats(flow->ends[0].transport, SIM_LANE_UDP, &lane);
    if (lane.cc_phase != NULL && strncmp(lane.cc_phase, "company", 7) == 0)
        company->in_company += SAMPLE_EVERY;
}

static void trace(struct company *company)
{
    company->trace_at += TRACE_EVERY;
    printf("# %7.2f s  queue %6.1f .. %6.1f ms ", (double)(company->now - START_TIME) / 1e9,
           (double)company->queue_least / 1e6, (double)company->queue_most / 1e6);
    company->queue_least = LH_NEVER;
    company->queue_most = 0;
    for (uint32_t i = 0; i < company->config->flows; i++) {
        struct flow *flow = &company->flows[i];
        uint64_t bytes = received(flow);
        printf(" | %6.1f Mbit/s",
               (double)(bytes - flow->traced) * 8 / 1e6 / ((double)TRACE_EVERY / 1e9));
        flow->traced = bytes;
        if (!flow->is_started)
            continue;
        if (flow->config->is_tcp) {
            printf(" cwnd %6.0f kB %s", (double)flow->tcp.cc->cwnd(flow->tcp.cc_state) / 1e3,
                   flow->tcp.cc->phase(flow->tcp.cc_state));
            continue;
        }
        struct lh_lane_stats lane;
        lh_transport_lane_stats(flow->ends[0].transport, SIM_LANE_UDP, &lane);
        printf(" pace %6.1f cwnd %6.0f q %5.1f rtt %5.1f lost %llu %s",
               (double)lane.pacing_rate / 125000.0, (double)lane.cwnd / 1e3,
               (double)lane.queue_delay / 1e6, (double)lane.rtt_smoothed / 1e6,
               (unsigned long long)lane.packets_lost, lane.cc_phase != NULL ? lane.cc_phase : "-");
    }
    printf("\n");
}

static uint64_t dropped(const struct company *company)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < company->config->flows; i++)
        sum += company->flows[i].up.dropped_queue;
    return sum;
}

static void run(struct company *company, struct lh_prng *prng, bool is_traced)
{
    const struct company_config *config = company->config;
    unsigned spins = 0;
    while (company->now < START_TIME + config->until && !company->failure.is_set) {
        if (!company->is_measuring && company->now >= START_TIME + config->measure_from) {
            company->is_measuring = true;
            company->dropped_before = dropped(company);
            for (uint32_t i = 0; i < config->flows; i++)
                company->flows[i].measured = received(&company->flows[i]);
        }
        lh_ns next = company->sample_at;
        for (uint32_t i = 0; i < config->flows; i++) {
            struct flow *flow = &company->flows[i];
            if (flow->next <= company->now)
                step(company, flow, prng);
            next = lh_ns_min(next, flow->next);
        }
        if (company->sample_at <= company->now)
            sample(company);
        if (is_traced && company->trace_at <= company->now)
            trace(company);
        spins = next <= company->now ? spins + 1 : 0;
        if (spins > SPIN_MAX)
            sim_fail(&company->failure, "a flow asks to be woken at once for ever");
        company->now = lh_ns_max(next, company->now);
    }
}

static lh_ns percentile(const struct company *company, uint64_t percent)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        seen += company->samples[i];
        if (seen * 100 >= company->samples_count * percent)
            return i * SAMPLE_UNIT;
    }
    return LH_NEVER;
}

static struct company_result conclude(const struct company *company)
{
    const struct company_config *config = company->config;
    struct company_result result = {.is_ok = !company->failure.is_set};
    lh_ns span = config->until - config->measure_from;
    uint64_t could = lh_muldiv(config->rate, span, LH_SECOND), sum = 0, squares = 0;
    memcpy(result.failure, company->failure.text, sizeof result.failure);
    for (uint32_t i = 0; i < config->flows; i++) {
        const struct flow *flow = &company->flows[i];
        result.share[i] = (uint32_t)lh_muldiv(received(flow) - flow->measured, 1000, could);
        sum += result.share[i];
        squares += (uint64_t)result.share[i] * result.share[i];
    }
    if (squares > 0)
        result.jain = (uint32_t)(sum * sum * 1000 / (config->flows * squares));
    result.queue_median = percentile(company, 50);
    result.queue_high = percentile(company, 95);
    result.dropped = dropped(company) - company->dropped_before;
    result.in_company = company->in_company;
    return result;
}

struct company_result
company_run(const struct company_config *config, uint64_t seed, bool is_traced)
{
    struct company *company = calloc(1, sizeof *company);
    struct lh_prng prng = {seed};
    LH_ASSERT(company != NULL);
    company->config = config;
    company->now = company->sample_at = company->trace_at = START_TIME;
    company->queue_least = LH_NEVER;
    init_flows(company, config, &prng);
    run(company, &prng, is_traced);
    struct company_result result = conclude(company);
    for (uint32_t i = 0; i < config->flows; i++)
        fini_flow(&company->flows[i]);
    free(company);
    return result;
}
