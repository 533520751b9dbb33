// SPDX-License-Identifier: Apache-2.0
//
// How it works. The transport knows addresses as small numbers (udp/paths.h); this file translates.
// A client does not know at first which of the server's addresses works, so until the lane is up
// every packet goes to every candidate: the copies carry the same packet number, the server takes
// the first that arrives and drops the others as replays. The address whose echo authenticates
// first is settled on. A server sends nothing before a packet has authenticated (no amplification,
// threat T16).
//
// Lanes take turns in sending, a run each. All share one table of paths, since an address is the
// same for every lane, and one buffer for what the session's thread receives: packets are dealt
// with before the next are received. Lanes with a thread have more buffers there; see
// udp_lane_thread.c.
//
// A run that the socket did not take whole is kept and tried again: its packets count as sent
// already, and dropping them here would look like loss to the congestion controller.
#include "run/udp_lane_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/assert.h"
#include "base/math.h"
#include "job/code.h"

#define RUN_RETRY          LH_MS
#define WATCH_RETRY        (10 * LH_MS)
#define SETTLE_RETRY_FIRST (50 * LH_MS) // twice as long each time it fails again
#define SETTLE_RETRY_MAX   (2 * LH_SECOND)

// --- Life ---

lh_err lh_udp_lanes_init(struct lh_udp_lanes *lanes,
                         struct lh_loop *loop,
                         struct lh_udp_client *client,
                         struct lh_port *port,
                         struct lh_errinfo *info)
{
    LH_ASSERT((client == NULL) != (port == NULL));
    *lanes = (struct lh_udp_lanes){.loop = loop,
                                   .port = port,
                                   .io = client != NULL ? &lh_udp_io_client : &lh_udp_io_port,
                                   .watch_again_at = LH_NEVER,
                                   .wake = {-1}};
    lanes->lanes[0].client = client;
    lh_udp_paths_init(&lanes->paths);
    if (lh_udp_rx_new(LH_UDP_RX_BUFFERS, &lanes->rx) != 0) {
        lh_udp_lanes_fini(lanes);
        return lh_fail(info, LH_E_NOMEM, LH_CODE_NO_MEMORY, "no memory for UDP buffers");
    }
    return 0;
}

static void unwatch(struct lh_udp_lanes *lanes, struct lh_udp_watch *watch)
{
    lh_loop_remove(lanes->loop, watch->fd);
    *watch = (struct lh_udp_watch){0};
}

static void unwatch_all(struct lh_udp_lanes *lanes)
{
    for (size_t i = 0; i < LH_UDP_FDS_MAX; i++) {
        if (lanes->watches[i].lane != NULL)
            unwatch(lanes, &lanes->watches[i]);
    }
}

void lh_udp_lanes_fini(struct lh_udp_lanes *lanes)
{
    unwatch_all(lanes);
    if (lanes->wake.fd >= 0 && lanes->loop != NULL)
        lh_loop_remove(lanes->loop, lanes->wake.fd);
    for (size_t i = 0; i < LH_UDP_LANES_MAX; i++) {
        struct lh_udp_lane *lane = &lanes->lanes[i];
        if (lane->thread != NULL)
            lh_udp_lane_end_thread(lane);
        else
            lh_lane_run_free(lane->run);
        lh_udp_client_close(lane->client);
    }
    lh_port_close(lanes->port);
    lh_udp_rx_free(lanes->rx);
    lh_wake_fini(&lanes->wake);
    *lanes = (struct lh_udp_lanes){.wake = {-1}};
}

static void on_readable(void *user, uint32_t events, lh_ns now);

// Takes `watch` out of the `count` wanted ones, where it is among them.
static bool
take_wanted(struct lh_udp_watch *wanted, size_t *count, const struct lh_udp_watch *watch)
{
    for (size_t i = 0; i < *count; i++) {
        if (wanted[i].fd == watch->fd && wanted[i].lane == watch->lane) {
            wanted[i] = wanted[--*count];
            return true;
        }
    }
    return false;
}

static lh_err watch_socket(struct lh_udp_lanes *lanes, const struct lh_udp_watch *wanted)
{
    struct lh_udp_watch *watch = lanes->watches;

    while (watch->lane != NULL)
        watch++;
    LH_ASSERT(watch < lanes->watches + LH_UDP_FDS_MAX);
    lh_err err = lh_loop_add(lanes->loop, wanted->fd, EPOLLIN, on_readable, watch);
    if (err == 0)
        *watch = *wanted;
    return err;
}

// Descriptors come and go (re-binding, settling); the loop follows. A number that was closed and
// given out again is another descriptor. One that could not be watched is tried again soon:
// otherwise nothing that comes by it would ever be read.
static void follow_descriptors(struct lh_udp_lanes *lanes, lh_ns now)
{
    struct lh_udp_watch wanted[LH_UDP_FDS_MAX];
    uint32_t generation = lanes->io->generation(lanes);

    if (lanes->is_watching && generation == lanes->generation && now < lanes->watch_again_at)
        return;
    lanes->is_watching = true;
    lanes->generation = generation;
    lanes->watch_again_at = LH_NEVER;
    size_t count = lanes->io->watches(lanes, wanted);
    for (size_t i = 0; i < LH_UDP_FDS_MAX; i++) {
        struct lh_udp_watch *watch = &lanes->watches[i];
        if (watch->lane == NULL)
            continue;
        if (!lh_loop_has(lanes->loop, watch->fd) || !take_wanted(wanted, &count, watch))
            unwatch(lanes, watch);
    }
    for (size_t i = 0; i < count; i++) {
        if (watch_socket(lanes, &wanted[i]) != 0)
            lanes->watch_again_at = now + WATCH_RETRY;
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

void lh_udp_lane_deliver(struct lh_udp_lane *lane,
                         const struct lh_udp_dgram *dgrams,
                         size_t count,
                         lh_ns now)
{
    struct lh_udp_paths *paths = &lane->all->paths;
    struct lh_dgram batch[64];

    while (count > 0) {
        size_t part = LH_MIN(count, LH_ARRAY_LEN(batch));
        for (size_t i = 0; i < part; i++)
            batch[i] = (struct lh_dgram){.data = dgrams[i].data,
                                         .len = dgrams[i].len,
                                         .path = lh_udp_paths_number(paths, &dgrams[i].path),
                                         .ecn = dgrams[i].ecn};
        lh_transport_recv(lane->all->transport, lane->id, batch, part, now);
        dgrams += part;
        count -= part;
    }
    pin_asked(lane);
}

// Sorts a batch into stretches of packets of one lane.
static void sort_out(struct lh_udp_lanes *lanes, const struct lh_udp_batch *batch, lh_ns now)
{
    size_t from = 0;

    for (size_t i = 0; i < batch->count; i++) {
        uint8_t id = batch->dgrams[i].lane;
        if (i + 1 < batch->count && batch->dgrams[i + 1].lane == id)
            continue;
        if (id != LH_LANE_SSH && id <= lanes->count) {
            struct lh_udp_lane *lane = &lanes->lanes[id - 1];
            if (lane->thread != NULL)
                lh_udp_lane_pass(lane, batch->dgrams + from, i + 1 - from, now);
            else
                lh_udp_lane_deliver(lane, batch->dgrams + from, i + 1 - from, now);
        }
        from = i + 1;
    }
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
    lane->has_gso = lh_gso_health_allows(&lane->gso, now);
    if (socket != NULL)
        lh_udp_set_gso(socket, lane->has_gso);
}

void lh_udp_lane_size_packets(struct lh_udp_lane *lane,
                              const struct lh_udp_path *path,
                              size_t too_large)
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
    if (number == lane->settled_path && (lane->is_settled || now < lane->settle_again_at))
        return;
    if (number != lane->settled_path)
        lane->settle_failures = 0;
    lh_udp_paths_pin(&lanes->paths, lane->id, number);
    lane->settled_path = number;
    lh_udp_lane_size_packets(lane, path, LH_PACKET_MAX);
    lanes->io->settle(lane, path, now);
    if (lane->is_settled) {
        lane->settle_failures = 0;
    } else { // data goes by unconnected sockets meanwhile
        lh_ns pause = SETTLE_RETRY_FIRST << LH_MIN(lane->settle_failures, 10u);
        lane->settle_again_at = now + LH_MIN(pause, SETTLE_RETRY_MAX);
        lane->settle_failures++;
    }
    lh_udp_lane_lend(lane);
}

void lh_udp_lanes_after_receiving(struct lh_udp_lanes *lanes, lh_ns now)
{
    for (size_t i = 0; i < lanes->count; i++) {
        struct lh_udp_lane *lane = &lanes->lanes[i];
        uint64_t seen = lanes->io->socket_drops(lane); // by the socket that it has now
        lane->socket_drops += seen >= lane->drops_seen ? seen - lane->drops_seen : seen;
        lane->drops_seen = seen;
        uint64_t drops = lane->socket_drops + lane->thread_drops + lane->own_drops;
        lh_transport_socket_drops(lanes->transport, lane->id, drops);
        follow_path(lane, now);
        watch_gso(lane, now);
    }
    follow_descriptors(lanes, now);
}

// Packets that come one by one would wake us one by one.
static void rest_from_packets(struct lh_udp_lanes *lanes, lh_ns now)
{
    struct lh_udp_socket *socket = lanes->io->socket(&lanes->lanes[0]);
    struct lh_udp_stats stats = {0};
    struct lh_lane_stats lane;

    if (socket != NULL)
        lh_udp_get_stats(socket, &stats);
    lh_transport_lane_stats(lanes->transport, lanes->lanes[0].id, &lane);
    lh_loop_rest(lanes->loop, lh_rest_until(&lanes->rest, lane.rtt_smoothed, stats.rcvbuf, now));
}

static void on_readable(void *user, uint32_t events, lh_ns now)
{
    const struct lh_udp_watch watch = *(const struct lh_udp_watch *)user;
    struct lh_udp_lanes *lanes = watch.lane->all;
    bool more = true;

    (void)events;
    for (int turn = 0; more && turn < LH_LANE_BATCHES_PER_EVENT; turn++) {
        struct lh_udp_batch batch = {0};
        if (lanes->io->recv(&watch, now, &batch) != 0)
            break;
        now = lh_loop_refresh(lanes->loop);
        sort_out(lanes, &batch, now);
        lh_rest_on_batch(&lanes->rest, &batch);
        more = batch.more;
    }
    lh_udp_lanes_after_receiving(lanes, now);
    rest_from_packets(lanes, now);
}

// Lane `id`, with sockets where it is a client's: those of lane 1 are there already.
static lh_err add_lane(struct lh_udp_lanes *lanes, uint8_t id)
{
    struct lh_udp_lane *lane = &lanes->lanes[id - 1];
    const struct lh_udp_client *first = lanes->lanes[0].client;

    lane->all = lanes;
    lane->id = id;
    lane->retry_at = LH_NEVER;
    lane->has_gso = true;
    lh_gso_health_init(&lane->gso);
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
        if (err == 0 && count > 1)
            lh_udp_lane_start_thread(&lanes->lanes[config.lane - 1]);
        if (err == 0 && lanes->lanes[config.lane - 1].thread == NULL)
            err = lh_lane_run_new(&lanes->lanes[config.lane - 1].run);
    }
    if (err == 0)
        err = lh_udp_lanes_watch_threads(lanes);
    if (err != 0)
        return err;
    if (lanes->port != NULL)
        lh_port_set_waiting(lanes->port, true, now);
    follow_descriptors(lanes, now);
    return 0;
}

bool lh_udp_lane_push(struct lh_udp_lane *lane, struct lh_lane_run *sending, lh_ns now)
{
    struct lh_udp_lanes *lanes = lane->all;

    while (sending->sent < sending->batch.len) {
        const struct lh_udp_path *path = lh_udp_paths_get(&lanes->paths, sending->batch.path);
        struct lh_udp_run run = {.data = sending->memory + sending->sent,
                                 .len = sending->batch.len - sending->sent,
                                 .segment_size = sending->batch.segment_size,
                                 .path = path};
        struct lh_udp_sent sent = {0};
        struct lh_udp_socket *socket = lanes->io->socket(lane);
        if (path == NULL)
            break; // the path is gone: so are the packets
        if (socket != NULL)
            lh_udp_set_ecn(socket, sending->batch.ecn);
        lh_err err = lanes->io->send(lane, &run, &sent);
        sending->sent =
            LH_MIN(sending->batch.len, sending->sent + sent.segments * run.segment_size);
        if (err == LH_AGAIN) {
            lane->retry_at = now + RUN_RETRY;
            lh_transport_set_blocked(lanes->transport, lane->id, true);
            return false;
        }
        if (err == LH_TOO_LARGE) {
            lh_udp_lane_size_packets(lane, path, sent.too_large);
            break;
        }
        if (err != 0)
            break; // lost; loss detection repairs it
    }
    if (lane->retry_at != LH_NEVER)
        lh_transport_set_blocked(lanes->transport, lane->id, false);
    lane->retry_at = LH_NEVER;
    return true;
}

// One run of `lane`; false when it has nothing more to send, or must wait.
static bool flush_run(struct lh_udp_lane *lane, lh_ns now)
{
    struct lh_lane_run *run = lane->run;

    if (lane->thread != NULL)
        return lh_udp_lane_flush_thread(lane, now);
    if (run->batch.segments == 0)
        lh_transport_send(lane->all->transport, lane->id, &run->batch, now);
    if (run->batch.segments == 0 || !lh_udp_lane_push(lane, run, now))
        return false;
    lh_lane_run_reset(run);
    return true;
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
    struct lh_udp_lane *lane = &lanes->lanes[id - 1];
    if (state == LH_LANE_UP)
        follow_path(lane, now);
    else if (state == LH_LANE_SILENT)
        lanes->io->unsettle(lane, now);
    lh_udp_lane_lend(lane);
    follow_descriptors(lanes, now);
}

lh_ns lh_udp_lanes_next_deadline(const struct lh_udp_lanes *lanes)
{
    lh_ns deadline = LH_NEVER;
    for (size_t i = 0; i < lanes->count; i++)
        deadline = lh_ns_min(deadline, lanes->lanes[i].retry_at);
    if (lanes->port != NULL)
        deadline = lh_ns_min(deadline, lh_port_next_deadline(lanes->port));
    return lh_ns_min(deadline, lanes->watch_again_at);
}

void lh_udp_lanes_on_deadline(struct lh_udp_lanes *lanes, lh_ns now)
{
    if (lanes->port != NULL && lh_port_next_deadline(lanes->port) <= now)
        lh_port_on_deadline(lanes->port, now);
    follow_descriptors(lanes, now);
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
