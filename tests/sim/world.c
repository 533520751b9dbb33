// SPDX-License-Identifier: Apache-2.0
//
// How it works. Time jumps from one thing that happens to the next: an arrival, a deadline of an
// engine, something the application does, an event of the scenario. At each stop everything due is
// handled, and the ends that were touched then send until they have nothing more. Nothing reads a
// real clock and all randomness comes from the seed, so a run can be repeated exactly.
//
// Asserted in every run:
//   - every block arrives once, with the bytes that were sent, and so does the stream (end.c)
//   - there is always something that will happen next, and the scenario ends within its time
//   - held memory stays within the budget
//   - packet numbers only grow on each lane, so no number is sealed twice under one key
//   - no engine wakes up again and again for nothing
//   - an end that only receives sends little
//   - close reaches the other end, or where the path loses it, silence does its work
// and what the scenario asks for: goodput, overhead, which lane carried the bytes.
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "transport/packet.h"

#define IP_OVERHEAD    28u
#define BATCH_ROOM     65536u
#define BATCH_SEGMENTS 44u
#define PAYLOAD_SHARE  952u         // of a 1,500-byte datagram, per thousand
#define ARRIVAL_GRID   (20 * LH_US) // arrivals are handed over in batches, as GRO does
#define SAME_TIME_MAX  10000u
#define RECV_BATCH     64u
#define CLOSE_TIME     (LH_IDLE_TIMEOUT + 10 * LH_SECOND)
#define JUNK_PATH      9u
#define START_TIME     LH_SECOND
#define FEEDBACK_SLACK 40000u   // bytes a second, for probes and lanes that carry little
#define FEEDBACK_MOST  80u      // bytes a packet received
#define REPEAT_SLACK   1000000u // tail repetition, a start that overshoots
#define SPARE_BLOCKS   9u       // a sender may have beyond its memory (end.c)
#define SERVER_OFFSET  (3600 * LH_SECOND)

struct world {
    const struct sim_scenario *scenario;
    const struct sim_options *options;
    struct lh_prng prng;
    lh_ns now;
    struct sim_end ends[2];   // client, server
    struct sim_link links[2]; // from ends[i]
    struct sim_pipe pipes[2]; // from ends[i]
    lh_ns wake_at[2];         // deadline of the engine, in world time, lateness included
    lh_ns deadline_seen[2];   // what wake_at was made from
    bool is_pipe_full[2];
    uint32_t client_port; // the path under which the server sees the client
    lh_ns next_junk;
    uint64_t junk_sent;
    bool has_rebound, has_given_up, has_broken;
    uint32_t session_id;
    uint64_t fingerprint;
    lh_ns done_at, trace_at;
    lh_ns finished_at[2]; // when ends[i] had received all
    bool is_measuring;
    struct sim_probe probe;
    struct sim_totals totals; // when measuring began
    struct sim_failure failure;
    FILE *trace_file;
    uint8_t buffer[BATCH_ROOM];
};

static struct lh_transport *transport_of(struct world *world, unsigned i)
{
    return world->ends[i].transport;
}

static lh_ns local(const struct world *world, unsigned i)
{
    return world->now + world->ends[i].clock_offset;
}

static unsigned lane_count(const struct world *world)
{
    return world->scenario->udp_lanes != 0 ? world->scenario->udp_lanes : 1;
}

// --- Sending -------------------------------------------------------------------------------------

static void
note_packet(struct world *world, unsigned i, uint8_t lane, const uint8_t *data, size_t len)
{
    struct sim_end *end = &world->ends[i];
    struct lh_packet_header header;
    if (lh_packet_header_read(data, len, end->pn_next[lane], &header) != 0 || header.lane != lane) {
        sim_fail(&world->failure, "%s: a packet without a header of its lane", end->name);
        return;
    }
    uint64_t pn = header.pn;
    if (pn < end->pn_next[lane])
        sim_fail(&world->failure, "%s: lane %u: packet number %llu was used before", end->name,
                 lane, (unsigned long long)pn);
    end->pn_next[lane] = pn + 1;
    end->packets_out++;
    end->sealed_bytes[lane] += len;
    world->fingerprint ^= world->now + pn * 31 + len * 131 + lane + i * 7 + data[len - 1];
    world->fingerprint *= UINT64_C(0x100000001b3);
}

// A packet under way bears its path and, above, its lane, as an address does with its port.
static uint32_t address(uint32_t path, uint8_t lane)
{
    return path | (uint32_t)lane << 16;
}

static void carry(struct world *world,
                  unsigned i,
                  uint8_t lane,
                  const uint8_t *data,
                  size_t len,
                  const struct lh_batch *batch)
{
    if (i == 0) // the client sends to the server's only address
        sim_link_send(&world->links[0], data, len, address(world->client_port, lane), batch->ecn,
                      world->now);
    else if (batch->path == world->client_port)
        sim_link_send(&world->links[1], data, len, address(1, lane), batch->ecn, world->now);
    else
        world->links[1].dropped_outage++; // the NAT has forgotten that port
}

// Everything that a UDP lane may send now; gives the number of packets.
static uint64_t send_udp(struct world *world, unsigned i, uint8_t lane)
{
    for (uint64_t packets = 0;;) {
        struct lh_batch batch = {
            .buffer = world->buffer, .room = sizeof world->buffer, .segments_max = BATCH_SEGMENTS};
        lh_transport_send(transport_of(world, i), lane, &batch, local(world, i));
        if (batch.segments == 0 || world->failure.is_set)
            return packets;
        size_t at = 0;
        for (uint32_t n = 0; n < batch.segments; n++) {
            size_t len = LH_MIN(batch.segment_size, batch.len - at);
            note_packet(world, i, lane, batch.buffer + at, len);
            carry(world, i, lane, batch.buffer + at, len, &batch);
            at += len;
        }
        if (at != batch.len)
            sim_fail(&world->failure, "%s: a batch does not add up", world->ends[i].name);
        packets += batch.segments;
    }
}

static uint64_t send_ssh(struct world *world, unsigned i)
{
    struct sim_pipe *pipe = &world->pipes[i];
    for (uint64_t packets = 0;; packets++) {
        world->is_pipe_full[i] = sim_pipe_writable(pipe, world->now) > world->now;
        lh_transport_set_blocked(transport_of(world, i), LH_LANE_SSH, world->is_pipe_full[i]);
        if (world->is_pipe_full[i])
            return packets;
        struct lh_batch batch = {
            .buffer = world->buffer, .room = sizeof world->buffer, .segments_max = 1};
        lh_transport_send(transport_of(world, i), LH_LANE_SSH, &batch, local(world, i));
        if (batch.segments == 0 || world->failure.is_set)
            return packets;
        note_packet(world, i, LH_LANE_SSH, batch.buffer, batch.len);
        sim_pipe_send(pipe, batch.buffer, batch.len, world->now);
    }
}

static uint64_t send_all(struct world *world, unsigned i)
{
    uint64_t sum = 0;
    for (;;) {
        uint64_t sent = 0;
        for (uint8_t lane = SIM_LANE_UDP; lane < SIM_LANE_UDP + lane_count(world); lane++)
            sent += send_udp(world, i, lane);
        if (world->scenario->pipe.rate > 0 && !world->has_broken)
            sent += send_ssh(world, i);
        if (sent == 0 || world->failure.is_set)
            return sum;
        sum += sent;
        sim_end_pump(&world->ends[i], world->now);
    }
}

// --- Receiving -----------------------------------------------------------------------------------

// Packets that came for one lane, as its socket would hand them over.
struct arrivals {
    uint8_t lane;
    size_t count;
    struct lh_dgram dgrams[RECV_BATCH];
    uint8_t *buffers[RECV_BATCH];
};

static void hand_over(struct world *world, unsigned i, struct arrivals *arrivals)
{
    struct sim_end *end = &world->ends[i];
    if (arrivals->count == 0)
        return; // its clock stays: sim_end_next tells by it what is new
    end->packets_in += arrivals->count;
    end->now = world->now;
    lh_transport_recv(end->transport, arrivals->lane, arrivals->dgrams, arrivals->count,
                      local(world, i));
    for (size_t n = 0; n < arrivals->count; n++)
        free(arrivals->buffers[n]);
    arrivals->count = 0;
}

static bool receive(struct world *world, unsigned i, bool is_udp, struct sim_link *from)
{
    struct arrivals arrivals = {.lane = LH_LANE_SSH};
    bool got_any = false;
    struct sim_packet packet;
    while (sim_link_take(from, world->now, &packet)) {
        uint8_t lane = is_udp ? (uint8_t)(packet.path >> 16) : LH_LANE_SSH;
        if (arrivals.count == RECV_BATCH || lane != arrivals.lane)
            hand_over(world, i, &arrivals);
        got_any = true;
        arrivals.lane = lane;
        arrivals.buffers[arrivals.count] = packet.data;
        arrivals.dgrams[arrivals.count++] =
            (struct lh_dgram){packet.data, packet.len, packet.path & UINT16_MAX, packet.ecn};
    }
    hand_over(world, i, &arrivals);
    return got_any;
}

// --- Events of the scenario ----------------------------------------------------------------------

// A packet with a right header and nothing else, from the true path or from elsewhere.
static void inject_junk(struct world *world)
{
    uint8_t junk[200];
    unsigned target = lh_prng_below(&world->prng, 2) != 0;
    size_t len = 1 + lh_prng_below(&world->prng, sizeof junk);
    lh_prng_fill(&world->prng, junk, sizeof junk);
    uint64_t pn = world->ends[1 - target].pn_next[SIM_LANE_UDP] + lh_prng_below(&world->prng, 1000);
    if (lh_prng_below(&world->prng, 4) != 0) {
        const struct lh_packet_header header = {SIM_LANE_UDP, world->session_id, pn};
        lh_packet_header_write(&header, junk);
    }
    uint32_t true_path = target == 1 ? world->client_port : 1;
    uint32_t path = lh_prng_below(&world->prng, 2) != 0 ? JUNK_PATH : true_path;
    sim_link_inject(&world->links[1 - target], junk, len, address(path, SIM_LANE_UDP), world->now);
    world->junk_sent++;
    world->next_junk = world->now + world->scenario->junk_every;
}

static bool any_udp_is_up(const struct world *world, unsigned i)
{
    bool is_up = false;
    for (unsigned lane = SIM_LANE_UDP; lane < SIM_LANE_UDP + lane_count(world); lane++)
        is_up |= world->ends[i].lane_state[lane] == LH_LANE_UP;
    return is_up;
}

// `time` of the options in the world's; LH_NEVER while it counts from something that did not
// happen.
static lh_ns measured_time(const struct world *world, lh_ns time)
{
    if (!world->options->is_from_data)
        return START_TIME + time;
    return world->probe.first_data == 0 ? LH_NEVER : world->probe.first_data + time;
}

static struct sim_totals totals_of(struct world *world)
{
    struct lh_transport_stats sender, receiver;
    struct lh_lane_stats lane;
    lh_transport_stats(transport_of(world, 0), &sender);
    lh_transport_stats(transport_of(world, 1), &receiver);
    lh_transport_lane_stats(transport_of(world, 0), SIM_LANE_UDP, &lane);
    return (struct sim_totals){
        .acked = sender.block_bytes_acked,
        .sent = world->links[0].sent_bytes,
        .returned = world->links[1].sent_bytes,
        .arrived = world->links[0].arrived_bytes,
        .duplicates = receiver.duplicate_block_bytes,
        .spurious = lane.packets_lost_spurious,
        .lost = lane.packets_lost,
        .packets = lane.packets_sent,
        .dropped_queue = world->links[0].dropped_queue + world->links[0].dropped_policed,
    };
}

static lh_ns script_next(const struct world *world)
{
    const struct sim_scenario *scenario = world->scenario;
    lh_ns next = LH_NEVER;
    if (scenario->rebind_at > 0 && !world->has_rebound)
        next = lh_ns_min(next, START_TIME + scenario->rebind_at);
    if (scenario->give_up_udp_at > 0 && !world->has_given_up)
        next = lh_ns_min(next, START_TIME + scenario->give_up_udp_at);
    if (scenario->pipe.breaks_at > 0 && !world->has_broken)
        next = lh_ns_min(next, START_TIME + scenario->pipe.breaks_at);
    if (scenario->junk_every > 0)
        next = lh_ns_min(next, world->next_junk);
    if (world->options->measure_until > 0)
        next = lh_ns_min(next,
                         measured_time(world, world->is_measuring ? world->options->measure_until
                                                                  : world->options->measure_from));
    return next;
}

static void script_step(struct world *world)
{
    const struct sim_scenario *scenario = world->scenario;
    lh_ns since = world->now - START_TIME;
    if (scenario->rebind_at > 0 && !world->has_rebound && since >= scenario->rebind_at) {
        world->has_rebound = true;
        world->client_port++;
    }
    if (scenario->give_up_udp_at > 0 && !world->has_given_up && since >= scenario->give_up_udp_at) {
        world->has_given_up = true;
        for (unsigned i = 0; i < 2; i++)
            if (!any_udp_is_up(world, i))
                lh_transport_set_inflight_max(transport_of(world, i), LH_LANE_SSH, 0);
    }
    if (scenario->pipe.breaks_at > 0 && !world->has_broken && since >= scenario->pipe.breaks_at) {
        world->has_broken = true;
        for (unsigned i = 0; i < 2; i++) {
            world->pipes[i].is_broken = true;
            lh_transport_remove_lane(transport_of(world, i), LH_LANE_SSH, local(world, i));
        }
    }
    if (scenario->junk_every > 0 && world->now >= world->next_junk)
        inject_junk(world);
    if (world->options->measure_until > 0 && !world->is_measuring &&
        world->now >= measured_time(world, world->options->measure_from)) {
        world->is_measuring = true;
        world->probe.from = world->now;
        world->totals = totals_of(world);
    }
}

// --- The loop ------------------------------------------------------------------------------------

static lh_ns on_grid(lh_ns time)
{
    return time == LH_NEVER ? time : (time + ARRIVAL_GRID - 1) / ARRIVAL_GRID * ARRIVAL_GRID;
}

// The engine's deadline in world time; a late timer stays as late as it was drawn.
static lh_ns wake_time(struct world *world, unsigned i)
{
    lh_ns deadline = lh_transport_next_deadline(transport_of(world, i));
    if (deadline == LH_NEVER)
        return LH_NEVER;
    lh_ns time = lh_ns_max(lh_ns_since(deadline, world->ends[i].clock_offset), world->now);
    if (deadline != world->deadline_seen[i]) {
        lh_ns late = world->scenario->wake_late > 0
                         ? lh_prng_below(&world->prng, world->scenario->wake_late)
                         : 0;
        world->deadline_seen[i] = deadline;
        world->wake_at[i] = time + late;
    }
    return lh_ns_max(world->wake_at[i], world->now);
}

static lh_ns next_time(struct world *world)
{
    lh_ns next = script_next(world);
    for (unsigned i = 0; i < 2; i++) {
        lh_ns own = lh_ns_min(wake_time(world, i), sim_end_next(&world->ends[i]));
        own = lh_ns_min(own, on_grid(sim_link_next(&world->links[1 - i])));
        if (!world->has_broken)
            own = lh_ns_min(own, on_grid(sim_link_next(&world->pipes[1 - i].queue)));
        if (world->is_pipe_full[i])
            own = lh_ns_min(own, sim_pipe_writable(&world->pipes[i], world->now));
        next = lh_ns_min(next, sim_end_awake_at(&world->ends[i], own));
    }
    return next;
}

static void step_end(struct world *world, unsigned i)
{
    struct sim_end *end = &world->ends[i];
    if (sim_end_awake_at(end, world->now) > world->now)
        return;
    bool got = receive(world, i, true, &world->links[1 - i]);
    if (!world->has_broken)
        got |= receive(world, i, false, &world->pipes[1 - i].queue);
    bool is_due = wake_time(world, i) <= world->now;
    bool has_work = sim_end_next(end) <= world->now;
    bool can_write =
        world->is_pipe_full[i] && sim_pipe_writable(&world->pipes[i], world->now) <= world->now;
    if (!got && !is_due && !has_work && !can_write && world->now != START_TIME)
        return;
    end->now = world->now;
    if (is_due) {
        world->deadline_seen[i] = LH_NEVER;
        lh_transport_on_deadline(end->transport, local(world, i));
    }
    sim_end_pump(end, world->now);
    uint64_t sent = send_all(world, i);
    if (is_due) {
        end->wakeups++;
        end->idle_wakeups += sent == 0 && !got && !has_work;
    }
    if (world->finished_at[i] == 0 && end->received_blocks == end->peer_plan->blocks)
        world->finished_at[i] = world->now;
}

static void trace(struct world *world)
{
    if (!world->options->is_traced || world->now < world->trace_at)
        return;
    world->trace_at = world->now + 100 * LH_MS;
    for (unsigned i = 0; i < 2; i++) {
        struct lh_lane_stats lane;
        struct lh_transport_stats stats;
        lh_transport_lane_stats(transport_of(world, i), SIM_LANE_UDP, &lane);
        lh_transport_stats(transport_of(world, i), &stats);
        struct lh_lane_stats ssh;
        lh_transport_lane_stats(transport_of(world, i), LH_LANE_SSH, &ssh);
        printf("# %10.3f ms %s: %-9s pace %8.3f Mbit/s cwnd %8.1f kB inflight %8.1f kB rtt %6.2f "
               "queue %6.2f ms sent %llu lost %llu spurious %llu acked %.1f MB mtu %u%s%s; SSH "
               "sent %llu inflight %llu%s\n",
               (double)world->now / 1e6, world->ends[i].name,
               lane.cc_phase != NULL ? lane.cc_phase : "-", (double)lane.pacing_rate / 125000.0,
               (double)lane.cwnd / 1e3, (double)lane.inflight / 1e3,
               (double)lane.rtt_smoothed / 1e6, (double)lane.queue_delay / 1e6,
               (unsigned long long)lane.packets_sent, (unsigned long long)lane.packets_lost,
               (unsigned long long)lane.packets_lost_spurious,
               (double)stats.block_bytes_acked / 1e6, lane.payload_max,
               stats.window_limited ? " window" : "", stats.app_limited ? " idle" : "",
               (unsigned long long)ssh.packets_sent, (unsigned long long)ssh.inflight,
               world->is_pipe_full[i] ? " full" : "");
    }
}

static void probe(struct world *world)
{
    struct lh_lane_stats lane = {.block_bytes_sent = 1};
    if (world->probe.first_data == 0)
        lh_transport_lane_stats(transport_of(world, 0), SIM_LANE_UDP, &lane);
    bool has_data = lane.block_bytes_sent > 0;
    sim_probe_step(&world->probe, &world->links[0], has_data, world->now);
}

static bool everything_is_done(const struct world *world)
{
    return sim_end_is_done(&world->ends[0]) && sim_end_is_done(&world->ends[1]);
}

static void check_step(struct world *world)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct sim_end *end = &world->ends[i];
        if (end->is_closed && world->done_at == 0)
            sim_fail(&world->failure, "%s: closed with code %d before the end", end->name,
                     end->close_code);
    }
    lh_ns limit =
        world->done_at > 0 ? world->done_at + CLOSE_TIME : START_TIME + world->scenario->time_limit;
    if (world->now > limit)
        sim_fail(&world->failure,
                 "not done in time: client sent %u of %u blocks (%u acknowledged), server got %u; "
                 "server sent %u of %u, client got %u",
                 world->ends[0].next_block, world->scenario->client.blocks,
                 world->ends[0].acked_blocks, world->ends[1].received_blocks,
                 world->ends[1].next_block, world->scenario->server.blocks,
                 world->ends[0].received_blocks);
}

static bool is_over(struct world *world)
{
    if (world->failure.is_set)
        return true;
    if (world->options->measure_until > 0)
        return world->is_measuring &&
               world->now >= measured_time(world, world->options->measure_until);
    if (world->done_at == 0 && everything_is_done(world)) {
        world->done_at = world->now;
        lh_transport_close(transport_of(world, 0), 0, "done", local(world, 0));
        send_all(world, 0);
    }
    if (world->done_at == 0 || !world->ends[1].is_closed)
        return false;
    // CLOSE is said three times; where no pipe carries it and all are lost, silence ends the
    // session.
    bool may_miss_it = world->scenario->pipe.rate == 0 || world->has_broken;
    if (world->ends[1].close_code != 0 &&
        !(may_miss_it && world->ends[1].close_code == LH_E_TIMEOUT))
        sim_fail(&world->failure, "server: closed with code %d", world->ends[1].close_code);
    return true;
}

static void run(struct world *world)
{
    unsigned at_same_time = 0;
    for (;;) {
        script_step(world);
        for (unsigned i = 0; i < 2; i++)
            step_end(world, i);
        probe(world);
        trace(world);
        check_step(world);
        if (is_over(world))
            return;
        lh_ns next = next_time(world);
        if (next == LH_NEVER) {
            sim_fail(&world->failure, "nothing will ever happen again");
            return;
        }
        at_same_time = next == world->now ? at_same_time + 1 : 0;
        if (at_same_time > SAME_TIME_MAX) {
            sim_fail(&world->failure, "an end asks to be woken at once for ever");
            return;
        }
        world->now = next;
    }
}

// --- Before and after ----------------------------------------------------------------------------

static void world_init(struct world *world,
                       const struct sim_scenario *scenario,
                       const struct sim_options *options)
{
    static const char *const names[] = {"client", "server"};
    *world = (struct world){
        .scenario = scenario,
        .options = options,
        .prng = {options->seed},
        .now = START_TIME,
        .client_port = 1,
        .next_junk = START_TIME,
        .deadline_seen = {LH_NEVER, LH_NEVER},
        .fingerprint = UINT64_C(0xcbf29ce484222325),
    };
    struct sim_pipe_config no_pipe = {.rate = 1};
    world->session_id = (uint32_t)lh_prng_next(&world->prng);
    struct sim_end_config config = {
        .aead = scenario->aead != NULL ? scenario->aead : &lh_aead_aes128_gcm,
        .cc = scenario->cc != NULL ? scenario->cc : &lh_cc_lt,
        .limits = scenario->limits,
        .session_id = world->session_id,
        .block_max =
            scenario->block_max != 0 ? scenario->block_max : (1u << 20) + LH_BLOCK_HEADER_MAX,
        .receive_budget =
            scenario->receive_budget != 0 ? scenario->receive_budget : (uint64_t)64 << 20,
        .epoch_shift = scenario->epoch_shift != 0 ? scenario->epoch_shift : LH_EPOCH_SHIFT,
        .rtt_hint = scenario->up.delay + scenario->down.delay,
        .udp_lanes = lane_count(world),
        .has_ssh = scenario->pipe.rate > 0,
    };
    sim_probe_init(&world->probe, &scenario->up, scenario->up.delay + scenario->down.delay);
    world->probe.next = START_TIME;
    for (unsigned i = 0; i < 2; i++) {
        struct sim_link_config link = i == 0 ? scenario->up : scenario->down;
        for (unsigned n = 0; n < SIM_OUTAGES_MAX; n++) { // given since the start
            link.outages[n].from = lh_add_sat(link.outages[n].from, START_TIME);
            link.outages[n].until = lh_add_sat(link.outages[n].until, START_TIME);
        }
        sim_link_init(&world->links[i], &link, IP_OVERHEAD, lh_prng_next(&world->prng));
        sim_pipe_init(&world->pipes[i], scenario->pipe.rate > 0 ? &scenario->pipe : &no_pipe);
        world->ends[i] = (struct sim_end){
            .name = names[i],
            .is_client = i == 0,
            .failure = &world->failure,
            .clock_offset = i == 0 ? 0 : SERVER_OFFSET,
            .plan = i == 0 ? &scenario->client : &scenario->server,
            .peer_plan = i == 0 ? &scenario->server : &scenario->client,
            .seed = options->seed,
            .is_traced = options->is_traced,
        };
        sim_end_init(&world->ends[i], &config, START_TIME);
    }
}

// Thousandths of the content that the link could have carried in `span`.
static uint64_t efficiency(const struct sim_link_config *link, uint64_t bytes, lh_ns span)
{
    uint64_t rate = link->police_rate != 0 ? LH_MIN(link->rate, link->police_rate) : link->rate;
    uint64_t could = lh_muldiv(rate, span, LH_SECOND);
    could = lh_muldiv(could, PAYLOAD_SHARE, 1000);
    could = lh_muldiv(could, 1000000 - link->loss_ppm, 1000000);
    could = lh_muldiv(could, 1000000 - link->burst_ppm, 1000000);
    return could == 0 ? 0 : lh_muldiv(bytes, 1000, could);
}

static void check_direction(struct world *world, unsigned i, const struct lh_lane_stats *lane)
{
    const struct sim_scenario *scenario = world->scenario;
    const struct sim_link_config *link = i == 0 ? &scenario->up : &scenario->down;
    uint64_t bytes = world->ends[1 - i].received_bytes;
    if (bytes == 0)
        return;
    lh_ns took = world->finished_at[1 - i] - START_TIME;
    uint64_t reached = efficiency(link, bytes, lh_ns_since(took, scenario->allowance));
    if (scenario->goodput_permille > 0 && took > scenario->allowance &&
        reached < scenario->goodput_permille)
        sim_fail(&world->failure, "%s: goodput is %llu of 1000, %u wanted", world->ends[i].name,
                 (unsigned long long)reached, scenario->goodput_permille);
    uint64_t needed = lh_muldiv(bytes, 1000, PAYLOAD_SHARE);
    needed = lh_muldiv(needed, 1000000, 1000000 - link->loss_ppm);
    needed = lh_muldiv(needed, 1000000, 1000000 - link->burst_ppm);
    if (scenario->overhead_permille > 0 &&
        lane->bytes_sent > lh_muldiv(needed, scenario->overhead_permille, 1000))
        sim_fail(&world->failure, "%s: sent %llu bytes where %llu were needed", world->ends[i].name,
                 (unsigned long long)lane->bytes_sent, (unsigned long long)needed);
    if (scenario->udp_permille > 0 &&
        lane->block_bytes_sent < lh_muldiv(bytes, scenario->udp_permille, 1000))
        sim_fail(&world->failure, "%s: only %llu of %llu bytes went over UDP", world->ends[i].name,
                 (unsigned long long)lane->block_bytes_sent, (unsigned long long)bytes);
}

// The first UDP lane's figures with all lanes' counters.
static struct lh_lane_stats udp_stats(const struct world *world, unsigned i)
{
    struct lh_lane_stats sum, lane;
    const struct lh_transport *transport = world->ends[i].transport;
    lh_transport_lane_stats(transport, SIM_LANE_UDP, &sum);
    for (unsigned n = 1; n < lane_count(world); n++) {
        lh_transport_lane_stats(transport, (uint8_t)(SIM_LANE_UDP + n), &lane);
        sum.packets_sent += lane.packets_sent;
        sum.bytes_sent += lane.bytes_sent;
        sum.packets_received += lane.packets_received;
        sum.bytes_received += lane.bytes_received;
        sum.block_bytes_sent += lane.block_bytes_sent;
        sum.block_bytes_received += lane.block_bytes_received;
        sum.packets_lost += lane.packets_lost;
        sum.packets_lost_spurious += lane.packets_lost_spurious;
        sum.retransmitted_bytes += lane.retransmitted_bytes;
        sum.duplicate_packets += lane.duplicate_packets;
        sum.forged_packets += lane.forged_packets;
    }
    return sum;
}

// An end without anything to send sends feedback and probes: a little for each packet, and a little
// for the time.
static void check_feedback(struct world *world, unsigned i, const struct lh_lane_stats *lane)
{
    const struct sim_plan *plan = world->ends[i].plan;
    uint64_t seconds = (world->now - START_TIME) / LH_SECOND + 1;
    // Where the window is small, each small step of it has to be told.
    uint64_t budget = world->scenario->receive_budget;
    uint64_t share = budget != 0 && budget < (1u << 20) ? 1 : 10;
    uint64_t most = lane->bytes_received / share + FEEDBACK_MOST * lane->packets_received +
                    FEEDBACK_SLACK * seconds;
    if (plan->blocks == 0 && plan->stream_bytes == 0 && lane->bytes_sent > most)
        sim_fail(&world->failure, "%s: %llu bytes of feedback for %llu received",
                 world->ends[i].name, (unsigned long long)lane->bytes_sent,
                 (unsigned long long)lane->bytes_received);
}

static void check_repeats(struct world *world, unsigned i, const struct lh_lane_stats *lane)
{
    const struct sim_link_config *link = i == 0 ? &world->scenario->up : &world->scenario->down;
    uint64_t bytes = world->ends[1 - i].received_bytes;
    uint64_t lost = lh_muldiv(bytes, link->loss_ppm, 1000000 - link->loss_ppm);
    uint64_t most = lost + lost / 2 + bytes / 30 + REPEAT_SLACK + 3 * link->queue_bytes;
    if (world->scenario->few_repeats && lane->retransmitted_bytes > most)
        sim_fail(&world->failure, "%s: sent %llu bytes again where %llu were lost",
                 world->ends[i].name, (unsigned long long)lane->retransmitted_bytes,
                 (unsigned long long)lost);
}

static void check_end(struct world *world, struct sim_result *result)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sim_end *end = &world->ends[i];
        uint64_t budget = world->scenario->receive_budget != 0 ? world->scenario->receive_budget
                                                               : (uint64_t)64 << 20;
        result->udp[i] = udp_stats(world, i);
        lh_transport_stats(end->transport, &result->stats[i]);
        result->loaded_peak[i] = end->loaded_peak;
        result->reloaded[i] = end->reloaded;
        uint64_t most = end->plan->send_memory + SPARE_BLOCKS * (uint64_t)end->plan->block_max;
        if (end->plan->send_memory > 0 && end->loaded_peak > most)
            sim_fail(&world->failure, "%s: had %llu bytes loaded, %llu allowed", end->name,
                     (unsigned long long)end->loaded_peak, (unsigned long long)most);
        if (result->stats[i].receive_memory_peak > budget)
            sim_fail(&world->failure, "%s: held %llu bytes, %llu allowed", end->name,
                     (unsigned long long)result->stats[i].receive_memory_peak,
                     (unsigned long long)budget);
        // Half of all packets, and a thousand a second, are more than any timer needs.
        uint64_t seconds = (world->now - START_TIME) / LH_SECOND + 1;
        if (end->idle_wakeups > (end->packets_in + end->packets_out) / 2 + 1000 * seconds)
            sim_fail(&world->failure, "%s: %llu wake-ups for nothing in %llu s", end->name,
                     (unsigned long long)end->idle_wakeups, (unsigned long long)seconds);
        if (world->scenario->no_udp && result->udp[i].packets_received > 0)
            sim_fail(&world->failure, "%s: something came over UDP", end->name);
        if (i == 0 && world->scenario->ecn != NULL &&
            strcmp(result->udp[i].ecn, world->scenario->ecn) != 0)
            sim_fail(&world->failure, "%s: ECN is %s, %s expected", end->name, result->udp[i].ecn,
                     world->scenario->ecn);
        if (i == 0 && world->links[0].marked_ce < world->scenario->marked_min)
            sim_fail(&world->failure, "%s: %llu packets marked CE", end->name,
                     (unsigned long long)world->links[0].marked_ce);
        if (i == 0 && result->udp[i].ce_reported < world->scenario->marked_min)
            sim_fail(&world->failure, "%s: the server reported %llu packets marked CE", end->name,
                     (unsigned long long)result->udp[i].ce_reported);
        if (world->junk_sent > 100 && result->udp[i].forged_packets == 0)
            sim_fail(&world->failure, "%s: no forged packet was noticed", end->name);
        if (world->options->measure_until == 0)
            check_direction(world, i, &result->udp[i]);
        check_feedback(world, i, &result->udp[i]);
        check_repeats(world, i, &result->udp[i]);
    }
}

static void measure_span(struct world *world, struct sim_result *result)
{
    const struct sim_totals was = world->totals, is = totals_of(world);
    result->before = was;
    result->span = sim_totals_since(&is, &was);
    result->queue_median = sim_probe_queue(&world->probe, 500);
    result->queue_max = world->probe.queue_max;
}

static void measure(struct world *world, struct sim_result *result)
{
    unsigned to = world->ends[1].received_bytes >= world->ends[0].received_bytes ? 1 : 0;
    const struct sim_link_config *link = to == 1 ? &world->scenario->up : &world->scenario->down;
    uint64_t bytes = world->ends[to].received_bytes;
    lh_ns span = world->finished_at[to] - START_TIME;
    if (world->options->measure_until > 0) {
        measure_span(world, result);
        bytes = result->span.acked;
        span = world->options->measure_until - world->options->measure_from;
    }
    result->dropped_queue = world->links[0].dropped_queue;
    if (world->probe.first_data > 0)
        result->first_data = world->probe.first_data - START_TIME;
    if (world->probe.full_at > 0)
        result->full_after = world->probe.full_at - world->probe.first_data;
    result->took = world->done_at > 0 ? world->done_at - START_TIME : world->now - START_TIME;
    result->bytes = world->ends[0].received_bytes + world->ends[1].received_bytes;
    result->goodput = span > 0 && span < LH_NEVER / 2 ? lh_muldiv(bytes, LH_SECOND, span) : 0;
    result->efficiency_permille = span > 0 ? efficiency(link, bytes, span) : 0;
    result->fingerprint = world->fingerprint;
}

// --- Events to a file ----------------------------------------------------------------------------

static void open_trace(struct world *world)
{
    const char *path = world->options->trace_file;
    if (path == NULL)
        return;
    world->trace_file = fopen(path, "we");
    if (world->trace_file == NULL) {
        sim_fail(&world->failure, "cannot write %s", path);
        return;
    }
    for (unsigned i = 0; i < 2; i++)
        sim_end_trace_to(&world->ends[i], world->trace_file);
}

static void close_trace(struct world *world)
{
    if (world->trace_file != NULL && fclose(world->trace_file) != 0)
        sim_fail(&world->failure, "cannot write %s", world->options->trace_file);
}

struct sim_result sim_run(const struct sim_scenario *scenario, const struct sim_options *options)
{
    struct sim_result result = {0};
    struct world *world = calloc(1, sizeof *world);
    LH_ASSERT(world != NULL);
    world_init(world, scenario, options);
    if (!world->failure.is_set)
        open_trace(world);
    if (!world->failure.is_set)
        run(world);
    close_trace(world);
    if (!world->failure.is_set) {
        check_end(world, &result);
        measure(world, &result);
    }
    result.is_ok = !world->failure.is_set;
    memcpy(result.failure, world->failure.text, sizeof result.failure);
    for (unsigned i = 0; i < 2; i++) {
        sim_end_fini(&world->ends[i]);
        sim_link_fini(&world->links[i]);
        sim_pipe_fini(&world->pipes[i]);
    }
    free(world);
    return result;
}
