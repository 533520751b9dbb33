// SPDX-License-Identifier: Apache-2.0
//
// How it works. `wanted` is what was asked for, `candidates` those of a family that has a socket.
// The sockets stay unconnected until the caller knows which address answers: an answer from any of
// them must be heard. Settling connects one socket in place, so that its port, and with it a NAT's
// mapping, stays, and closes the other family's. Restarting makes fresh sockets, which have fresh
// ports and the address that the machine has now, before it closes the old ones: where none can be
// made, all is as it was. Counters of closed sockets are added up in `closed`, so that sums only
// grow.
#include "udp/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"

enum { V4, V6, FAMILIES_ };

struct lh_udp_client {
    struct lh_client_config config; // `candidates` points to nothing after open
    struct lh_udp_path wanted[LH_CLIENT_CANDIDATES_MAX];
    size_t wanted_count;
    struct lh_udp_path candidates[LH_CLIENT_CANDIDATES_MAX]; // those whose family has a socket
    size_t candidate_count;
    struct lh_udp_socket *sockets[FAMILIES_];
    struct lh_udp_socket *settled; // one of them, connected
    struct lh_udp_stats closed;    // sums of sockets that are gone
};

LH_DEFINE_FREEP(struct lh_udp_client, lh_udp_client_close)

static int family_index(const struct lh_udp_addr *addr)
{
    return lh_udp_addr_family(addr) == AF_INET6 ? V6 : V4;
}

static void add_counts(struct lh_udp_stats *sum, const struct lh_udp_stats *more)
{
    sum->packets_in += more->packets_in;
    sum->bytes_in += more->bytes_in;
    sum->packets_out += more->packets_out;
    sum->bytes_out += more->bytes_out;
    sum->calls_in += more->calls_in;
    sum->calls_out += more->calls_out;
    sum->socket_drops += more->socket_drops;
    sum->icmp_errors += more->icmp_errors;
    sum->send_errors += more->send_errors;
    sum->malformed += more->malformed;
    if (more->last_send_errno != 0)
        sum->last_send_errno = more->last_send_errno;
}

static void close_family(struct lh_udp_client *client, int index)
{
    struct lh_udp_stats stats;

    if (client->sockets[index] == NULL)
        return;
    lh_udp_get_stats(client->sockets[index], &stats);
    add_counts(&client->closed, &stats);
    lh_udp_close(client->sockets[index]);
    client->sockets[index] = NULL;
}

static void list_wanted(struct lh_udp_client *client)
{
    const struct lh_client_config *config = &client->config;

    for (size_t i = 0; i < config->candidate_count; i++) {
        const struct lh_udp_addr *addr = &config->candidates[i];
        bool listed = !lh_udp_addr_is_unicast(addr);
        for (size_t j = 0; j < client->wanted_count; j++)
            listed = listed || lh_udp_addr_equal(&client->wanted[j].peer, addr);
        if (!listed && client->wanted_count < LH_CLIENT_CANDIDATES_MAX)
            client->wanted[client->wanted_count++].peer = *addr;
    }
}

static bool family_is_wanted(const struct lh_udp_client *client, int index)
{
    for (size_t i = 0; i < client->wanted_count; i++) {
        if (family_index(&client->wanted[i].peer) == index)
            return true;
    }
    return false;
}

// Fresh sockets for every family that is wanted, into `fresh`. Fails where none could be made.
static lh_err open_families(const struct lh_udp_client *client,
                            struct lh_udp_socket *fresh[FAMILIES_],
                            struct lh_errinfo *info)
{
    struct lh_errinfo first = {0};
    size_t opened = 0;

    for (int index = V4; index < FAMILIES_; index++) {
        struct lh_udp_config config = {
            .family = index == V4 ? AF_INET : AF_INET6,
            .no_gso = client->config.no_gso,
            .no_gro = client->config.no_gro,
            .ecn = client->config.ecn,
        };
        if (family_is_wanted(client, index) && lh_udp_open(&config, &fresh[index], &first) == LH_OK)
            opened++;
    }
    if (opened > 0)
        return LH_OK;
    if (first.code == 0)
        return lh_fail(info, LH_E_SYS, 0, "no address of the server to send UDP to");
    if (info != NULL && info->code == 0)
        *info = first;
    return LH_E_SYS;
}

static void list_candidates(struct lh_udp_client *client)
{
    client->candidate_count = 0;
    for (size_t i = 0; i < client->wanted_count; i++) {
        if (client->sockets[family_index(&client->wanted[i].peer)] != NULL)
            client->candidates[client->candidate_count++] = client->wanted[i];
    }
}

lh_err lh_udp_client_open(const struct lh_client_config *config,
                          struct lh_udp_client **out_client,
                          struct lh_errinfo *info)
{
    LH_CLEANUP(lh_udp_client_closep) struct lh_udp_client *client = calloc(1, sizeof *client);
    lh_err err;

    if (client == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "no memory for UDP sockets");
    client->config = *config;
    list_wanted(client);
    client->config.candidates = NULL;
    err = open_families(client, client->sockets, info);
    if (err != LH_OK)
        return err;
    list_candidates(client);
    *out_client = lh_steal(&client);
    return LH_OK;
}

lh_err lh_udp_client_like(const struct lh_udp_client *client, struct lh_udp_client **out_client)
{
    struct lh_udp_addr wanted[LH_CLIENT_CANDIDATES_MAX];
    struct lh_client_config config = client->config;

    for (size_t i = 0; i < client->wanted_count; i++)
        wanted[i] = client->wanted[i].peer;
    config.candidates = wanted;
    config.candidate_count = client->wanted_count;
    return lh_udp_client_open(&config, out_client, NULL);
}

void lh_udp_client_close(struct lh_udp_client *client)
{
    if (client == NULL)
        return;
    for (int index = V4; index < FAMILIES_; index++)
        lh_udp_close(client->sockets[index]);
    free(client);
}

size_t lh_udp_client_candidates(const struct lh_udp_client *client,
                                const struct lh_udp_path **out_paths)
{
    *out_paths = client->candidates;
    return client->candidate_count;
}

size_t lh_udp_client_fds(const struct lh_udp_client *client, int fds[LH_CLIENT_FDS_MAX])
{
    size_t count = 0;

    for (int index = V4; index < FAMILIES_; index++) {
        if (client->sockets[index] != NULL)
            fds[count++] = lh_udp_fd(client->sockets[index]);
    }
    return count;
}

lh_err lh_udp_client_recv(struct lh_udp_client *client,
                          int fd,
                          struct lh_udp_rx *rx,
                          struct lh_udp_batch *out_batch)
{
    *out_batch = (struct lh_udp_batch){0};
    for (int index = V4; index < FAMILIES_; index++) {
        struct lh_udp_socket *socket = client->sockets[index];
        if (socket != NULL && lh_udp_fd(socket) == fd)
            return lh_udp_recv(socket, rx, out_batch);
    }
    return LH_AGAIN;
}

lh_err lh_udp_client_send(struct lh_udp_client *client,
                          const struct lh_udp_run *run,
                          struct lh_udp_sent *out_sent)
{
    LH_ASSERT(run->path != NULL);
    struct lh_udp_socket *socket = client->sockets[family_index(&run->path->peer)];
    struct lh_udp_run connected = *run;

    *out_sent = (struct lh_udp_sent){0};
    if (socket == NULL)
        return LH_NONE;
    if (lh_udp_addr_equal(lh_udp_peer(socket), &run->path->peer))
        connected.path = NULL;
    return lh_udp_send(socket, &connected, out_sent);
}

lh_err lh_udp_client_settle(struct lh_udp_client *client, const struct lh_udp_addr *peer)
{
    int index = family_index(peer);
    lh_err err;

    if (client->sockets[index] == NULL || lh_udp_addr_family(peer) == AF_UNSPEC)
        return LH_NONE;
    if (client->settled != NULL && lh_udp_addr_equal(lh_udp_peer(client->settled), peer))
        return LH_OK;
    err = lh_udp_connect(client->sockets[index], peer);
    if (err != LH_OK)
        return err;
    client->settled = client->sockets[index];
    close_family(client, index == V4 ? V6 : V4);
    return LH_OK;
}

struct lh_udp_socket *lh_udp_client_socket(const struct lh_udp_client *client)
{
    return client->settled;
}

lh_err lh_udp_client_restart(struct lh_udp_client *client, struct lh_errinfo *info)
{
    struct lh_udp_socket *fresh[FAMILIES_] = {0};
    lh_err err = open_families(client, fresh, info);

    if (err != LH_OK)
        return err;
    for (int index = V4; index < FAMILIES_; index++) {
        close_family(client, index);
        client->sockets[index] = fresh[index];
    }
    client->settled = NULL;
    list_candidates(client);
    return LH_OK;
}

void lh_udp_client_get_stats(const struct lh_udp_client *client, struct lh_udp_stats *out_stats)
{
    *out_stats = client->closed;
    for (int index = V4; index < FAMILIES_; index++) {
        struct lh_udp_stats stats;
        if (client->sockets[index] == NULL)
            continue;
        lh_udp_get_stats(client->sockets[index], &stats);
        add_counts(out_stats, &stats);
        out_stats->gso = stats.gso;
        out_stats->gro = stats.gro;
        out_stats->rcvbuf = stats.rcvbuf;
        out_stats->sndbuf = stats.sndbuf;
    }
}
