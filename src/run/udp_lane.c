// SPDX-License-Identifier: Apache-2.0
//
// How it works. The transport knows addresses as small numbers (udp/paths.h); this file translates.
// A client does not know at first which of the server's addresses works, so until the lane is up
// every packet goes to every candidate: the copies carry the same packet number, the server takes
// the first that arrives and drops the others as replays. The address whose echo authenticates
// first is settled on. A server sends nothing before a packet has authenticated (no amplification,
// threat T16).
//
// A run that the socket did not take whole is kept and tried again: its packets count as sent
// already, and dropping them here would look like loss to the congestion controller.
#include "run/udp_lane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/assert.h"
#include "base/math.h"
#include "job/code.h"

#define RECEIVES_PER_EVENT 4 // batches taken before others get their turn
#define RUN_RETRY          LH_MS

struct lh_udp_io {
    size_t (*fds)(struct lh_udp_lane *lane, int *fds);
    lh_err (*recv)(struct lh_udp_lane *lane, int fd, lh_ns now, struct lh_udp_batch *out_batch);
    lh_err (*send)(struct lh_udp_lane *lane,
                   const struct lh_udp_run *run,
                   struct lh_udp_sent *out_sent);
    void (*settle)(struct lh_udp_lane *lane, const struct lh_udp_path *path, lh_ns now);
    void (*unsettle)(struct lh_udp_lane *lane, lh_ns now);
    uint64_t (*socket_drops)(struct lh_udp_lane *lane);
    uint32_t (*generation)(const struct lh_udp_lane *lane); // changes with the descriptors
    struct lh_udp_socket *(*socket)(
        struct lh_udp_lane *lane); // that data leaves by; NULL = none yet
};

// --- The client's sockets ---

static size_t client_fds(struct lh_udp_lane *lane, int *fds)
{
    return lh_udp_client_fds(lane->client, fds);
}

static lh_err
client_recv(struct lh_udp_lane *lane, int fd, lh_ns now, struct lh_udp_batch *out_batch)
{
    (void)now;
    return lh_udp_client_recv(lane->client, fd, lane->rx, out_batch);
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
    lane->client_generation++;
}

static void client_unsettle(struct lh_udp_lane *lane, lh_ns now)
{
    (void)now;
    if (lh_udp_client_restart(lane->client, NULL) == 0)
        lane->is_settled = false;
    lane->client_generation++;
}

static uint64_t client_drops(struct lh_udp_lane *lane)
{
    struct lh_udp_stats stats;
    lh_udp_client_get_stats(lane->client, &stats);
    return stats.socket_drops;
}

static uint32_t client_generation(const struct lh_udp_lane *lane)
{
    return lane->client_generation;
}

static struct lh_udp_socket *client_socket(struct lh_udp_lane *lane)
{
    return lh_udp_client_socket(lane->client);
}

static const struct lh_udp_io client_io = {client_fds,        client_recv,     client_send,
                                           client_settle,     client_unsettle, client_drops,
                                           client_generation, client_socket};

// --- The server's shared port ---

static size_t port_fds(struct lh_udp_lane *lane, int *fds)
{
    return lh_port_fds(lane->port, fds);
}

static lh_err port_recv(struct lh_udp_lane *lane, int fd, lh_ns now, struct lh_udp_batch *out_batch)
{
    return lh_port_recv(lane->port, fd, lane->rx, now, out_batch);
}

static lh_err
port_send(struct lh_udp_lane *lane, const struct lh_udp_run *run, struct lh_udp_sent *out_sent)
{
    return lh_port_send(lane->port, lane->lane, run, out_sent);
}

static void port_settle(struct lh_udp_lane *lane, const struct lh_udp_path *path, lh_ns now)
{
    lane->is_settled = lh_port_connect(lane->port, lane->lane, path, now, NULL) == 0;
    lh_port_set_waiting(lane->port, !lane->is_settled, now);
}

static void port_unsettle(struct lh_udp_lane *lane, lh_ns now)
{
    lane->is_settled = false; // settling again ends the waiting
    lh_port_set_waiting(lane->port, true, now);
}

static uint64_t port_drops(struct lh_udp_lane *lane)
{
    struct lh_port_stats stats;
    lh_port_get_stats(lane->port, &stats);
    return stats.socket_drops;
}

static uint32_t port_generation(const struct lh_udp_lane *lane)
{
    return lh_port_generation(lane->port);
}

static struct lh_udp_socket *port_socket(struct lh_udp_lane *lane)
{
    return lh_port_lane(lane->port, lane->lane);
}

static const struct lh_udp_io port_io = {port_fds,      port_recv,  port_send,       port_settle,
                                         port_unsettle, port_drops, port_generation, port_socket};

// --- Common ---

lh_err lh_udp_lane_init(struct lh_udp_lane *lane,
                        struct lh_loop *loop,
                        struct lh_udp_client *client,
                        struct lh_port *port,
                        struct lh_errinfo *info)
{
    LH_ASSERT((client == NULL) != (port == NULL));
    *lane = (struct lh_udp_lane){.loop = loop,
                                 .client = client,
                                 .port = port,
                                 .io = client != NULL ? &client_io : &port_io,
                                 .retry_at = LH_NEVER};
    lh_udp_paths_init(&lane->paths);
    lh_gso_health_init(&lane->gso);
    lane->run_buffer = malloc(LH_UDP_RUN_BYTES);
    if (lane->run_buffer == NULL || lh_udp_rx_new(&lane->rx) != 0) {
        lh_udp_lane_fini(lane);
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "no memory for UDP buffers");
    }
    return 0;
}

static void unwatch_all(struct lh_udp_lane *lane)
{
    for (size_t i = 0; i < lane->watch_count; i++)
        lh_loop_remove(lane->loop, lane->watches[i].fd);
    lane->watch_count = 0;
}

void lh_udp_lane_fini(struct lh_udp_lane *lane)
{
    unwatch_all(lane);
    lh_udp_client_close(lane->client);
    lh_port_close(lane->port);
    lh_udp_rx_free(lane->rx);
    free(lane->run_buffer);
    *lane = (struct lh_udp_lane){.retry_at = LH_NEVER};
}

static void on_readable(void *user, uint32_t events, lh_ns now);

// Descriptors come and go (re-binding, settling); the loop follows. All are watched anew: a number
// that was closed and given out again would otherwise pass for the old one.
static void follow_descriptors(struct lh_udp_lane *lane)
{
    int open_now[LH_UDP_LANE_FDS];
    uint32_t generation = lane->io->generation(lane);

    if (lane->watch_count > 0 && generation == lane->generation)
        return;
    unwatch_all(lane);
    lane->generation = generation;
    size_t count = lane->io->fds(lane, open_now);
    for (size_t i = 0; i < count; i++) {
        struct lh_udp_watch *watch = &lane->watches[lane->watch_count];
        *watch = (struct lh_udp_watch){.lane = lane, .fd = open_now[i]};
        if (lh_loop_add(lane->loop, watch->fd, EPOLLIN, on_readable, watch) == 0)
            lane->watch_count++;
    }
}

// Numbers that the transport may still use stay what they are, however many strangers send.
static void pin_asked(struct lh_udp_lane *lane)
{
    uint32_t asked[LH_LANE_ASKED_MAX];
    size_t count = lh_transport_lane_asked(lane->transport, lane->lane, asked);

    for (size_t i = 0; i < count; i++) {
        if (lh_udp_paths_get(&lane->paths, asked[i]) != NULL)
            lh_udp_paths_pin(&lane->paths, LH_LANES_MAX + i, asked[i]);
    }
}

static void deliver(struct lh_udp_lane *lane, const struct lh_udp_batch *batch, lh_ns now)
{
    struct lh_dgram dgrams[64];
    size_t count = 0;

    for (size_t i = 0; i < batch->count; i++) {
        const struct lh_udp_dgram *in = &batch->dgrams[i];
        dgrams[count++] = (struct lh_dgram){.data = in->data,
                                            .len = in->len,
                                            .path = lh_udp_paths_number(&lane->paths, &in->path),
                                            .ecn = in->ecn};
        if (count == LH_ARRAY_LEN(dgrams) || i + 1 == batch->count) {
            lh_transport_recv(lane->transport, lane->lane, dgrams, count, now);
            count = 0;
        }
    }
    pin_asked(lane);
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
    struct lh_udp_socket *socket = lane->io->socket(lane);

    lh_transport_lane_fates(lane->transport, lane->lane, &fates);
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
    uint32_t most = LH_MIN(payload.most, lane->packet_max);

    if (too_large > LH_PACKET_MIN_MTU)
        most = LH_MIN(most, (uint32_t)too_large - 1);
    lh_transport_set_packet_size(lane->transport, lane->lane, LH_MAX(most, LH_PACKET_MIN_MTU),
                                 payload.overhead);
}

// The transport may have followed the peer to a new address.
static void follow_path(struct lh_udp_lane *lane, lh_ns now)
{
    uint32_t number = lh_transport_lane_path(lane->transport, lane->lane);
    const struct lh_udp_path *path = lh_udp_paths_get(&lane->paths, number);

    if (lh_transport_lane_state(lane->transport, lane->lane) != LH_LANE_UP || path == NULL)
        return;
    if (lane->is_settled && number == lane->settled_path)
        return;
    lh_udp_paths_pin(&lane->paths, lane->lane, number);
    lane->settled_path = number;
    size_packets(lane, path, LH_PACKET_MAX);
    lane->io->settle(lane, path, now);
}

static void on_readable(void *user, uint32_t events, lh_ns now)
{
    const struct lh_udp_watch *watch = user;
    struct lh_udp_lane *lane = watch->lane;
    bool more = true;

    (void)events;
    for (int turn = 0; more && turn < RECEIVES_PER_EVENT; turn++) {
        struct lh_udp_batch batch = {0};
        if (lane->io->recv(lane, watch->fd, now, &batch) != 0)
            break;
        now = lh_loop_refresh(lane->loop);
        deliver(lane, &batch, now);
        more = batch.more;
    }
    lh_transport_socket_drops(lane->transport, lane->lane, lane->io->socket_drops(lane));
    follow_path(lane, now);
    follow_descriptors(lane);
    watch_gso(lane, now);
}

lh_err lh_udp_lane_start(struct lh_udp_lane *lane,
                         struct lh_transport *transport,
                         const struct lh_lane_config *wanted,
                         lh_ns now)
{
    struct lh_udp_payload payload = {.most = LH_PACKET_MIN_MTU, .overhead = 28};
    struct lh_lane_config config = *wanted;
    const struct lh_udp_path *candidates;
    lh_err err;

    lane->transport = transport;
    lane->lane = wanted->lane;
    lane->packet_max = wanted->payload_max;
    if (lane->client != NULL && lh_udp_client_candidates(lane->client, &candidates) > 0)
        payload = lh_udp_payload_towards(&candidates[0].peer);
    config.payload_max = LH_MIN(payload.most, wanted->payload_max);
    config.ip_overhead = payload.overhead;
    err = lh_transport_add_lane(transport, &config, now);
    if (err != 0)
        return err;
    if (lane->client != NULL) {
        uint32_t number = lh_udp_paths_number(&lane->paths, &candidates[0]);
        lh_udp_paths_pin(&lane->paths, 0, number);
        lh_transport_set_lane_path(transport, lane->lane, number);
    } else {
        lh_port_set_waiting(lane->port, true, now);
    }
    follow_descriptors(lane);
    return 0;
}

// Sends what is left of the run. False when it must wait.
static bool push_run(struct lh_udp_lane *lane, lh_ns now)
{
    while (lane->run_sent < lane->run.len) {
        const struct lh_udp_path *path = lh_udp_paths_get(&lane->paths, lane->run.path);
        struct lh_udp_run run = {.data = lane->run_buffer + lane->run_sent,
                                 .len = lane->run.len - lane->run_sent,
                                 .segment_size = lane->run.segment_size,
                                 .path = path};
        struct lh_udp_sent sent = {0};
        struct lh_udp_socket *socket = lane->io->socket(lane);
        if (path == NULL)
            break; // the path is gone: so are the packets
        if (socket != NULL)
            lh_udp_set_ecn(socket, lane->run.ecn);
        lh_err err = lane->io->send(lane, &run, &sent);
        lane->run_sent = LH_MIN(lane->run.len, lane->run_sent + sent.segments * run.segment_size);
        if (err == LH_AGAIN) {
            lane->retry_at = now + RUN_RETRY;
            lh_transport_set_blocked(lane->transport, lane->lane, true);
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
        lh_transport_set_blocked(lane->transport, lane->lane, false);
    lane->retry_at = LH_NEVER;
    return true;
}

void lh_udp_lane_flush(struct lh_udp_lane *lane, lh_ns now)
{
    if (lane->run.segments > 0 && !push_run(lane, now))
        return;
    for (;;) {
        lane->run = (struct lh_batch){.buffer = lane->run_buffer,
                                      .room = LH_UDP_RUN_BYTES,
                                      .segments_max = LH_UDP_RUN_SEGMENTS};
        lane->run_sent = 0;
        lh_transport_send(lane->transport, lane->lane, &lane->run, now);
        if (lane->run.segments == 0 || !push_run(lane, now))
            return;
    }
}

void lh_udp_lane_on_state(struct lh_udp_lane *lane, enum lh_lane_state state, lh_ns now)
{
    if (state == LH_LANE_UP)
        follow_path(lane, now);
    else if (state == LH_LANE_SILENT)
        lane->io->unsettle(lane, now);
    follow_descriptors(lane);
}

lh_ns lh_udp_lane_next_deadline(const struct lh_udp_lane *lane)
{
    lh_ns deadline = lane->retry_at;
    if (lane->port != NULL)
        deadline = lh_ns_min(deadline, lh_port_next_deadline(lane->port));
    return deadline;
}

void lh_udp_lane_on_deadline(struct lh_udp_lane *lane, lh_ns now)
{
    if (lane->port == NULL || lh_port_next_deadline(lane->port) > now)
        return;
    lh_port_on_deadline(lane->port, now);
    follow_descriptors(lane);
}
