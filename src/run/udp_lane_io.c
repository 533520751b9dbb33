// SPDX-License-Identifier: Apache-2.0
//
// The sockets of UDP lanes: a client's own, and a server's shared port.
#include "run/udp_lane_internal.h"

// --- The client's sockets ---

static size_t client_watches(struct lh_udp_lanes *lanes, struct lh_udp_watch *watches)
{
    size_t count = 0;

    for (size_t i = 0; i < lanes->count; i++) {
        int fds[LH_CLIENT_FDS_MAX];
        size_t more = lh_udp_client_fds(lanes->lanes[i].client, fds);
        for (size_t j = 0; j < more; j++) {
            if (!lh_udp_lane_has_lent(&lanes->lanes[i], fds[j]))
                watches[count++] = (struct lh_udp_watch){&lanes->lanes[i], fds[j]};
        }
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
    lane->all->changes++;
}

static void client_unsettle(struct lh_udp_lane *lane, lh_ns now)
{
    (void)now;
    if (lh_udp_client_restart(lane->client, NULL) == 0)
        lane->is_settled = false;
    lane->all->changes++;
}

static uint64_t client_drops(const struct lh_udp_lane *lane)
{
    struct lh_udp_stats stats;
    lh_udp_client_get_stats(lane->client, &stats);
    return stats.socket_drops;
}

static uint32_t client_generation(const struct lh_udp_lanes *lanes)
{
    return lanes->changes;
}

static struct lh_udp_socket *client_socket(const struct lh_udp_lane *lane)
{
    return lh_udp_client_socket(lane->client);
}

const struct lh_udp_io lh_udp_io_client = {client_watches,    client_recv,     client_send,
                                           client_settle,     client_unsettle, client_drops,
                                           client_generation, client_socket};

// --- The server's shared port ---

static size_t port_watches(struct lh_udp_lanes *lanes, struct lh_udp_watch *watches)
{
    int fds[LH_PORT_FDS_MAX];
    size_t all = lh_port_fds(lanes->port, fds), count = 0;

    for (size_t i = 0; i < all; i++) {
        bool is_lent = false;
        for (size_t j = 0; j < lanes->count; j++)
            is_lent |= lh_udp_lane_has_lent(&lanes->lanes[j], fds[i]);
        if (!is_lent)
            watches[count++] = (struct lh_udp_watch){&lanes->lanes[0], fds[i]};
    }
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
    struct lh_udp_stats own = {0};

    // Not those of the sockets that strangers reach: whoever floods the port would have the lane's
    // losses taken for its receiver's.
    if (socket != NULL)
        lh_udp_get_stats(socket, &own);
    return own.socket_drops;
}

static uint32_t port_generation(const struct lh_udp_lanes *lanes)
{
    return lh_port_generation(lanes->port) + lanes->changes; // neither ever falls
}

static struct lh_udp_socket *port_socket(const struct lh_udp_lane *lane)
{
    return lh_port_lane(lane->all->port, lane->id);
}

const struct lh_udp_io lh_udp_io_port = {port_watches,  port_recv,  port_send,       port_settle,
                                         port_unsettle, port_drops, port_generation, port_socket};
