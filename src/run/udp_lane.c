// SPDX-License-Identifier: Apache-2.0
//
// How it works. The transport knows addresses as small numbers (udp/paths.h); this file translates.
// A client does not know at first which of the server's addresses works, so until the lane is up
// every packet goes to every candidate: the copies carry the same packet number, the server takes
// the first that arrives and drops the others as replays. The address whose echo authenticates
// first is settled on. A server sends nothing before a packet has authenticated (no amplification,
// threat T16).
//
// Lanes take turns in sending, a run each. All share one buffer for receiving and one table of
// paths: packets are dealt with before the next are received, and an address is the same for every
// lane.
//
// A run that the socket did not take whole is kept and tried again: its packets count as sent
// already, and dropping them here would look like loss to the congestion controller.
#include "run/udp_lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/assert.h"
#include "base/math.h"
#include "job/code.h"

#define RECEIVES_PER_EVENT 4 // batches taken before others get their turn
#define RUN_RETRY          LH_MS

struct lh_udp_io {
    // Fills `watches`; returns how many.
    size_t (*watches)(struct lh_udp_lanes *lanes, struct lh_udp_watch *watches);
    lh_err (*recv)(const struct lh_udp_watch *watch, lh_ns now, struct lh_udp_batch *out_batch);
    lh_err (*send)(struct lh_udp_lane *lane,
                   const struct lh_udp_run *run,
                   struct lh_udp_sent *out_sent);
    void (*settle)(struct lh_udp_lane *lane, const struct lh_udp_path *path, lh_ns now);
    void (*unsettle)(struct lh_udp_lane *lane, lh_ns now);
    uint64_t (*socket_drops)(const struct lh_udp_lane *lane);
    uint32_t (*generation)(const struct lh_udp_lanes *lanes); // changes with the descriptors
    // The socket that data leaves by; NULL = none yet.
    struct lh_udp_socket *(*socket)(const struct lh_udp_lane *lane);
};

// --- The client's sockets ---

static size_t client_watches(struct lh_udp_lanes *lanes, struct lh_udp_watch *watches)
{
    size_t count = 0;

    for (size_t i = 0; i < lanes->count; i++) {
        int fds[LH_CLIENT_FDS_MAX];
        size_t more = lh_udp_client_fds(lanes->lanes[i].client, fds);
        for (size_t j = 0; j < more; j++)
            watches[count++] = (struct lh_udp_watch){&lanes->lanes[i], fds[j]};
    }
    return count;
}

static lh_err
client_recv(const struct lh_udp_watch *watch, lh_ns now, struct lh_udp_batch *out_batch)
{
    (void)now;
    return lh_udp_client_recv(watch->lane->client, watch->fd, watch->lane->all->rx, out_batch);
}

static lh_err
client_send(struct lh_udp_lane *lane, const struct lh_udp_run *run, struct lh_udp_sent *out_sent)
{
    const struct lh_udp_path *candidates;
    size_t count;

    if (lane->is_settled)
        return lh_udp_client_send(lane->client, run, out_sent);
    count = lh_udp_client_candidates(lane->client, &candidates);
    for (size_t i = 0; i < count; i++) {
        struct lh_udp_run copy = *run;
        struct lh_udp_sent ignored;
        copy.path = &candidates[i];
        lh_err err = lh_udp_client_send(lane->client, &copy, &ignored);
        (void)err; // probes may be lost; they are repeated
    }
    *out_sent =
        (struct lh_udp_sent){.segments = (run->len + run->segment_size - 1) / run->segment_size};
    return 0;
}

static void client_settle(struct lh_udp_lane *lane, const struct lh_udp_path *path, lh_ns now)
{
    (void)now;
    lane->is_settled = lh_udp_client_settle(lane->client, &path->peer) == 0;
    lane->all->client_generation++;
}

static void client_unsettle(struct lh_udp_lane *lane, lh_ns now)
{
    (void)now;
    if (lh_udp_client_restart(lane->client, NULL) == 0)
        lane->is_settled = false;
    lane->all->client_generation++;
}

static uint64_t client_drops(const struct lh_udp_lane *lane)
{
    struct lh_udp_stats stats;
    lh_udp_client_get_stats(lane->client, &stats);
    return stats.socket_drops;
}

static uint32_t client_generation(const struct lh_udp_lanes *lanes)
{
    return lanes->client_generation;
}

static struct lh_udp_socket *client_socket(const struct lh_udp_lane *lane)
{
    return lh_udp_client_socket(lane->client);
}

static const struct lh_udp_io client_io = {client_watches,    client_recv,     client_send,
                                           client_settle,     client_unsettle, client_drops,
                                           client_generation, client_socket};

// --- The server's shared port ---

static size_t port_watches(struct lh_udp_lanes *lanes, struct lh_udp_watch *watches)
{
    int fds[LH_PORT_FDS_MAX];
    size_t count = lh_port_fds(lanes->port, fds);

    for (size_t i = 0; i < count; i++)
        watches[i] = (struct lh_udp_watch){&lanes->lanes[0], fds[i]};
    return count;
}

static lh_err port_recv(const struct lh_udp_watch *watch, lh_ns now, struct lh_udp_batch *out_batch)
{
    struct lh_udp_lanes *lanes = watch->lane->all;
    return lh_port_recv(lanes->port, watch->fd, lanes->rx, now, out_batch);
}

static lh_err
port_send(struct lh_udp_lane *lane, const struct lh_udp_run *run, struct lh_udp_sent *out_sent)
{
    return lh_port_send(lane->all->port, lane->id, run, out_sent);
}

// Strangers are waited for while any lane has no peer.
static void port_wait(struct lh_udp_lanes *lanes, lh_ns now)
{
    bool waiting = false;

    for (size_t i = 0; i < lanes->count; i++)
        waiting |= !lanes->lanes[i].is_settled;
    lh_port_set_waiting(lanes->port, waiting, now);
}

static void port_settle(struct lh_udp_lane *lane, const struct lh_udp_path *path, lh_ns now)
{
    lane->is_settled = lh_port_connect(lane->all->port, lane->id, path, now, NULL) == 0;
    port_wait(lane->all, now);
}

static void port_unsettle(struct lh_udp_lane *lane, lh_ns now)
{
    lane->is_settled = false; // settling again ends the waiting
    port_wait(lane->all, now);
}

static uint64_t port_drops(const struct lh_udp_lane *lane)
{
    struct lh_udp_socket *socket = lh_port_lane(lane->all->port, lane->id);
    struct lh_port_stats port;
    struct lh_udp_stats own = {0};

    if (lane->all->count > 1) { // only what this lane has lost
        if (socket != NULL)
            lh_udp_get_stats(socket, &own);
        return own.socket_drops;
    }
    lh_port_get_stats(lane->all->port, &port);
    return port.socket_drops;
}

static uint32_t port_generation(const struct lh_udp_lanes *lanes)
{
    return lh_port_generation(lanes->port);
}

static struct lh_udp_socket *port_socket(const struct lh_udp_lane *lane)
{
    return lh_port_lane(lane->all->port, lane->id);
}

static const struct lh_udp_io port_io = {port_watches,  port_recv,  port_send,       port_settle,
                                         port_unsettle, port_drops, port_generation, port_socket};

// --- Common ---

lh_err lh_udp_lanes_init(struct lh_udp_lanes *lanes,
                         struct lh_loop *loop,
                         struct lh_udp_client *client,
                         struct lh_port *port,
                         struct lh_errinfo *info)
{
    LH_ASSERT((client == NULL) != (port == NULL));
    *lanes = (struct lh_udp_lanes){
        .loop = loop, .port = port, .io = client != NULL ? &client_io : &port_io};
    lanes->lanes[0].client = client;
    lh_udp_paths_init(&lanes->paths);
    if (lh_udp_rx_new(&lanes->rx) != 0) {
        lh_udp_lanes_fini(lanes);
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "no memory for UDP buffers");
    }
    return 0;
}

static void unwatch_all(struct lh_udp_lanes *lanes)
{
    for (size_t i = 0; i < lanes->watch_count; i++)
        lh_loop_remove(lanes->loop, lanes->watches[i].fd);
    lanes->watch_count = 0;
}

void lh_udp_lanes_fini(struct lh_udp_lanes *lanes)
{
    unwatch_all(lanes);
    for (size_t i = 0; i < LH_UDP_LANES_MAX; i++) {
        lh_udp_client_close(lanes->lanes[i].client);
        free(lanes->lanes[i].run_buffer);
    }
    lh_port_close(lanes->port);
    lh_udp_rx_free(lanes->rx);
    *lanes = (struct lh_udp_lanes){0};
}

static void on_readable(void *user, uint32_t events, lh_ns now);

// Descriptors come and go (re-binding, settling); the loop follows. All are watched anew: a number
// that was closed and given out again would otherwise pass for the old one.
static void follow_descriptors(struct lh_udp_lanes *lanes)
{
    struct lh_udp_watch wanted[LH_UDP_FDS_MAX];
    uint32_t generation = lanes->io->generation(lanes);

    if (lanes->watch_count > 0 && generation == lanes->generation)
        return;
    unwatch_all(lanes);
    lanes->generation = generation;
    size_t count = lanes->io->watches(lanes, wanted);
    for (size_t i = 0; i < count; i++) {
        struct lh_udp_watch *watch = &lanes->watches[lanes->watch_count];
        *watch = wanted[i];
        if (lh_loop_add(lanes->loop, watch->fd, EPOLLIN, on_readable, watch) == 0)
            lanes->watch_count++;
    }
}

// Numbers that the transport may still use stay what they are, however many strangers send.
static void pin_asked(struct lh_udp_lane *lane)
{
    struct lh_udp_paths *paths = &lane->all->paths;
    uint32_t asked[LH_LANE_ASKED_MAX];
    size_t count = lh_transport_lane_asked(lane->all->transport, lane->id, asked);

    static_assert((1 + LH_LANE_ASKED_MAX) * LH_LANES_MAX <= LH_PATHS_PINS, "a pin for each");
    for (size_t i = 0; i < count; i++) {
        if (lh_udp_paths_get(paths, asked[i]) != NULL)
            lh_udp_paths_pin(paths, (1 + i) * LH_LANES_MAX + lane->id, asked[i]);
    }
}

// Hands a batch to the transport, in stretches of packets of one lane.
static void deliver(struct lh_udp_lanes *lanes, const struct lh_udp_batch *batch, lh_ns now)
{
    struct lh_dgram dgrams[64];
    size_t count = 0;

    for (size_t i = 0; i < batch->count; i++) {
        const struct lh_udp_dgram *in = &batch->dgrams[i];
        bool is_last = i + 1 == batch->count || batch->dgrams[i + 1].lane != in->lane;
        dgrams[count++] = (struct lh_dgram){.data = in->data,
                                            .len = in->len,
                                            .path = lh_udp_paths_number(&lanes->paths, &in->path),
                                            .ecn = in->ecn};
        if (count == LH_ARRAY_LEN(dgrams) || is_last) {
            if (in->lane != LH_LANE_SSH)
                lh_transport_recv(lanes->transport, in->lane, dgrams, count, now);
            count = 0;
        }
    }
    for (size_t i = 0; i < lanes->count; i++)
        pin_asked(&lanes->lanes[i]);
}

static void
tell_gso(struct lh_udp_lane *lane, enum lh_gso_class class, bool arrived, uint64_t count, lh_ns now)
{
    for (uint64_t i = 0; i < count; i++)
        (void)lh_gso_health_report(&lane->gso, class, arrived, now);
}

// Tells the health check of GSO what became of packets by their place in a batch, and follows its
// verdict.
static void watch_gso(struct lh_udp_lane *lane, lh_ns now)
{
    static const enum lh_gso_class classes[] = {[LH_PLACE_FIRST] = LH_GSO_FIRST,
                                                [LH_PLACE_MIDDLE] = LH_GSO_MIDDLE,
                                                [LH_PLACE_LAST] = LH_GSO_LAST};
    struct lh_place_fates fates;
    struct lh_udp_socket *socket = lane->all->io->socket(lane);

    lh_transport_lane_fates(lane->all->transport, lane->id, &fates);
    for (unsigned place = 0; place < LH_PLACES_; place++) {
        tell_gso(lane, classes[place], true, fates.arrived[place] - lane->fates.arrived[place],
                 now);
        tell_gso(lane, classes[place], false, fates.lost[place] - lane->fates.lost[place], now);
    }
    lane->fates = fates;
    if (socket != NULL)
        lh_udp_set_gso(socket, lh_gso_health_allows(&lane->gso, now));
}

// Packets towards `path` as large as its first hop carries, and smaller than `too_large`, which it
// did not carry. The transport's probing finds what the rest of the path carries.
static void size_packets(struct lh_udp_lane *lane, const struct lh_udp_path *path, size_t too_large)
{
    struct lh_udp_payload payload = lh_udp_payload_towards(&path->peer);
    uint32_t most = LH_MIN(payload.most, lane->all->packet_max);

    if (too_large > LH_PACKET_MIN_MTU)
        most = LH_MIN(most, (uint32_t)too_large - 1);
    lh_transport_set_packet_size(lane->all->transport, lane->id, LH_MAX(most, LH_PACKET_MIN_MTU),
                                 payload.overhead);
}

// The transport may have followed the peer to a new address.
static void follow_path(struct lh_udp_lane *lane, lh_ns now)
{
    struct lh_udp_lanes *lanes = lane->all;
    uint32_t number = lh_transport_lane_path(lanes->transport, lane->id);
    const struct lh_udp_path *path = lh_udp_paths_get(&lanes->paths, number);

    if (lh_transport_lane_state(lanes->transport, lane->id) != LH_LANE_UP || path == NULL)
        return;
    if (lane->is_settled && number == lane->settled_path)
        return;
    lh_udp_paths_pin(&lanes->paths, lane->id, number);
    lane->settled_path = number;
    size_packets(lane, path, LH_PACKET_MAX);
    lanes->io->settle(lane, path, now);
}

static void on_readable(void *user, uint32_t events, lh_ns now)
{
    const struct lh_udp_watch watch = *(const struct lh_udp_watch *)user;
    struct lh_udp_lanes *lanes = watch.lane->all;
    bool more = true;

    (void)events;
    for (int turn = 0; more && turn < RECEIVES_PER_EVENT; turn++) {
        struct lh_udp_batch batch = {0};
        if (lanes->io->recv(&watch, now, &batch) != 0)
            break;
        now = lh_loop_refresh(lanes->loop);
        deliver(lanes, &batch, now);
        more = batch.more;
    }
    for (size_t i = 0; i < lanes->count; i++) {
        struct lh_udp_lane *lane = &lanes->lanes[i];
        lh_transport_socket_drops(lanes->transport, lane->id, lanes->io->socket_drops(lane));
        follow_path(lane, now);
        watch_gso(lane, now);
    }
    follow_descriptors(lanes);
}

// Lane `id`, with sockets where it is a client's: those of lane 1 are there already.
static lh_err add_lane(struct lh_udp_lanes *lanes, uint8_t id)
{
    struct lh_udp_lane *lane = &lanes->lanes[id - 1];
    const struct lh_udp_client *first = lanes->lanes[0].client;

    lane->all = lanes;
    lane->id = id;
    lane->retry_at = LH_NEVER;
    lh_gso_health_init(&lane->gso);
    lane->run_buffer = malloc(LH_UDP_RUN_BYTES);
    if (lane->run_buffer == NULL)
        return LH_E_NOMEM;
    if (first != NULL && id > 1) {
        lh_err err = lh_udp_client_like(first, &lane->client);
        if (err != 0)
            return err;
    }
    lanes->count = id;
    return 0;
}

lh_err lh_udp_lanes_start(struct lh_udp_lanes *lanes,
                          struct lh_transport *transport,
                          const struct lh_lane_config *wanted,
                          size_t count,
                          lh_ns now)
{
    struct lh_udp_payload payload = {.most = LH_PACKET_MIN_MTU, .overhead = 28};
    struct lh_lane_config config = *wanted;
    const struct lh_udp_path *candidates = NULL;
    uint32_t number = UINT32_MAX;
    lh_err err = 0;

    LH_ASSERT(count >= 1 && count <= LH_UDP_LANES_MAX);
    lanes->transport = transport;
    lanes->packet_max = wanted->payload_max;
    if (lanes->lanes[0].client != NULL &&
        lh_udp_client_candidates(lanes->lanes[0].client, &candidates) > 0) {
        payload = lh_udp_payload_towards(&candidates[0].peer);
        number = lh_udp_paths_number(&lanes->paths, &candidates[0]);
        lh_udp_paths_pin(&lanes->paths, 0, number);
    }
    config.payload_max = LH_MIN(payload.most, wanted->payload_max);
    config.ip_overhead = payload.overhead;
    for (config.lane = 1; err == 0 && config.lane <= count; config.lane++) {
        err = add_lane(lanes, config.lane);
        if (err == 0)
            err = lh_transport_add_lane(transport, &config, now);
        if (err == 0 && candidates != NULL)
            lh_transport_set_lane_path(transport, config.lane, number);
    }
    if (err != 0)
        return err;
    if (lanes->port != NULL)
        lh_port_set_waiting(lanes->port, true, now);
    follow_descriptors(lanes);
    return 0;
}

// Sends what is left of the run. False when it must wait.
static bool push_run(struct lh_udp_lane *lane, lh_ns now)
{
    struct lh_udp_lanes *lanes = lane->all;

    while (lane->run_sent < lane->run.len) {
        const struct lh_udp_path *path = lh_udp_paths_get(&lanes->paths, lane->run.path);
        struct lh_udp_run run = {.data = lane->run_buffer + lane->run_sent,
                                 .len = lane->run.len - lane->run_sent,
                                 .segment_size = lane->run.segment_size,
                                 .path = path};
        struct lh_udp_sent sent = {0};
        struct lh_udp_socket *socket = lanes->io->socket(lane);
        if (path == NULL)
            break; // the path is gone: so are the packets
        if (socket != NULL)
            lh_udp_set_ecn(socket, lane->run.ecn);
        lh_err err = lanes->io->send(lane, &run, &sent);
        lane->run_sent = LH_MIN(lane->run.len, lane->run_sent + sent.segments * run.segment_size);
        if (err == LH_AGAIN) {
            lane->retry_at = now + RUN_RETRY;
            lh_transport_set_blocked(lanes->transport, lane->id, true);
            return false;
        }
        if (err == LH_TOO_LARGE) {
            size_packets(lane, path, sent.too_large);
            break;
        }
        if (err != 0)
            break; // lost; loss detection repairs it
    }
    lane->run = (struct lh_batch){0};
    lane->run_sent = 0;
    if (lane->retry_at != LH_NEVER)
        lh_transport_set_blocked(lanes->transport, lane->id, false);
    lane->retry_at = LH_NEVER;
    return true;
}

// One run of `lane`; false when it has nothing more to send, or must wait.
static bool flush_run(struct lh_udp_lane *lane, lh_ns now)
{
    if (lane->run.segments > 0)
        return push_run(lane, now);
    lane->run = (struct lh_batch){
        .buffer = lane->run_buffer, .room = LH_UDP_RUN_BYTES, .segments_max = LH_UDP_RUN_SEGMENTS};
    lane->run_sent = 0;
    lh_transport_send(lane->all->transport, lane->id, &lane->run, now);
    return lane->run.segments > 0 && push_run(lane, now);
}

// Lanes take turns, a run each, and begin with another one each time: where content is scarce, all
// of them get some.
void lh_udp_lanes_flush(struct lh_udp_lanes *lanes, lh_ns now)
{
    bool is_done[LH_UDP_LANES_MAX] = {false};
    size_t left = lanes->count;

    for (size_t turn = lanes->first++; left > 0; turn++) {
        size_t index = turn % lanes->count;
        if (is_done[index] || flush_run(&lanes->lanes[index], now))
            continue;
        is_done[index] = true;
        left--;
    }
}

void lh_udp_lanes_on_state(struct lh_udp_lanes *lanes,
                           uint8_t id,
                           enum lh_lane_state state,
                           lh_ns now)
{
    if (id == LH_LANE_SSH || id > lanes->count)
        return;
    if (state == LH_LANE_UP)
        follow_path(&lanes->lanes[id - 1], now);
    else if (state == LH_LANE_SILENT)
        lanes->io->unsettle(&lanes->lanes[id - 1], now);
    follow_descriptors(lanes);
}

lh_ns lh_udp_lanes_next_deadline(const struct lh_udp_lanes *lanes)
{
    lh_ns deadline = LH_NEVER;
    for (size_t i = 0; i < lanes->count; i++)
        deadline = lh_ns_min(deadline, lanes->lanes[i].retry_at);
    if (lanes->port != NULL)
        deadline = lh_ns_min(deadline, lh_port_next_deadline(lanes->port));
    return deadline;
}

void lh_udp_lanes_on_deadline(struct lh_udp_lanes *lanes, lh_ns now)
{
    if (lanes->port == NULL || lh_port_next_deadline(lanes->port) > now)
        return;
    lh_port_on_deadline(lanes->port, now);
    follow_descriptors(lanes);
}

// --- Figures ---

bool lh_udp_lanes_are_up(const struct lh_udp_lanes *lanes)
{
    for (size_t i = 0; i < lanes->count; i++)
        if (lh_transport_lane_state(lanes->transport, lanes->lanes[i].id) == LH_LANE_UP)
            return true;
    return false;
}

static void add_stats(struct lh_lane_stats *sum, const struct lh_lane_stats *more)
{
    sum->packets_sent += more->packets_sent;
    sum->bytes_sent += more->bytes_sent;
    sum->packets_received += more->packets_received;
    sum->bytes_received += more->bytes_received;
    sum->block_bytes_sent += more->block_bytes_sent;
    sum->block_bytes_received += more->block_bytes_received;
    sum->packets_lost += more->packets_lost;
    sum->packets_lost_spurious += more->packets_lost_spurious;
    sum->retransmitted_bytes += more->retransmitted_bytes;
    sum->duplicate_packets += more->duplicate_packets;
    sum->forged_packets += more->forged_packets;
    sum->socket_drops += more->socket_drops;
    sum->ce_packets += more->ce_packets;
    sum->pacing_rate += more->pacing_rate;
    sum->cwnd += more->cwnd;
    sum->inflight += more->inflight;
}

void lh_udp_lanes_stats(const struct lh_udp_lanes *lanes, struct lh_lane_stats *out_stats)
{
    size_t shown = 0;

    LH_ASSERT(lanes->count > 0);
    while (shown + 1 < lanes->count &&
           lh_transport_lane_state(lanes->transport, lanes->lanes[shown].id) != LH_LANE_UP)
        shown++;
    if (lh_transport_lane_state(lanes->transport, lanes->lanes[shown].id) != LH_LANE_UP)
        shown = 0;
    lh_transport_lane_stats(lanes->transport, lanes->lanes[shown].id, out_stats);
    for (size_t i = 0; i < lanes->count; i++) {
        struct lh_lane_stats more;
        if (i == shown)
            continue;
        lh_transport_lane_stats(lanes->transport, lanes->lanes[i].id, &more);
        add_stats(out_stats, &more);
    }
}
