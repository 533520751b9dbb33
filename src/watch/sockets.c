// SPDX-License-Identifier: Apache-2.0
//
// How it works. Lines of the kernel's table are read by base/tcptable; IPv4 peers of an IPv6 socket
// come in mapped form, which is our form of all. Looks are sorted by peer and port, so that one
// walk finds peers, runs of ports and what is new.
#include "watch/sockets.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/tcptable.h"

bool lh_socket_parse(struct lh_span line, struct lh_socket *out_socket)
{
    struct lh_tcp_row row;

    if (!lh_tcp_row_parse(line.at, line.len, &row) || row.state >= LH_TCP_N_)
        return false;
    memcpy(out_socket->local.addr.bytes, row.local, sizeof row.local);
    memcpy(out_socket->peer.addr.bytes, row.peer, sizeof row.peer);
    out_socket->local.port = row.local_port;
    out_socket->peer.port = row.peer_port;
    out_socket->state = row.state == LH_TCP_NEW_SYN_RECV ? LH_TCP_SYN_RECV : row.state;
    return true;
}

lh_err lh_look_add(struct lh_look *look, const struct lh_socket *socket)
{
    if (look->count == LH_SOCKETS_MAX) {
        look->dropped++;
        return 0;
    }
    // Grows by doubling, whenever the count is a power of two.
    if ((look->count & (look->count - 1)) == 0) {
        size_t room = look->count == 0 ? 1 : 2 * look->count;
        struct lh_socket *items = realloc(look->items, room * sizeof *items);
        if (items == NULL)
            return LH_E_NOMEM;
        look->items = items;
    }
    look->items[look->count++] = *socket;
    return 0;
}

void lh_look_fini(struct lh_look *look)
{
    free(look->items);
    *look = (struct lh_look){0};
}

static int compare(const void *a, const void *b)
{
    const struct lh_socket *x = a;
    const struct lh_socket *y = b;
    int order = memcmp(x->peer.addr.bytes, y->peer.addr.bytes, sizeof x->peer.addr.bytes);
    return order != 0 ? order : (x->peer.port > y->peer.port) - (x->peer.port < y->peer.port);
}

void lh_look_sort(struct lh_look *look)
{
    if (look->count > 1)
        qsort(look->items, look->count, sizeof *look->items, compare);
}

static const struct lh_socket *find(const struct lh_look *look, const struct lh_socket *socket)
{
    return look->count == 0
               ? NULL
               : bsearch(socket, look->items, look->count, sizeof *look->items, compare);
}

bool lh_look_next(const struct lh_look *first,
                  const struct lh_look *second,
                  size_t *at,
                  struct lh_peer_sockets *out_peer)
{
    struct lh_peer_sockets peer = {.total = 0};
    uint32_t run = 0;
    uint16_t run_low = 0;
    const struct lh_socket *before = NULL;

    if (*at >= second->count)
        return false;
    peer.addr = second->items[*at].peer.addr;
    for (; *at < second->count; ++*at) {
        const struct lh_socket *socket = &second->items[*at];
        if (!lh_watch_addr_equal(&socket->peer.addr, &peer.addr))
            break;
        const struct lh_socket *earlier = find(first, socket);
        LH_DASSERT(socket->state < LH_TCP_N_);
        peer.states[socket->state]++;
        peer.total++;
        peer.fresh += earlier == NULL;
        peer.staying += earlier != NULL && earlier->state == LH_TCP_ESTABLISHED &&
                        socket->state == LH_TCP_ESTABLISHED;
        bool goes_on = before != NULL && socket->peer.port - before->peer.port <= 2;
        run = goes_on ? run + 1 : 1;
        run_low = goes_on ? run_low : socket->peer.port;
        if (run > peer.port_run) {
            peer.port_run = run;
            peer.port_low = run_low;
        }
        before = socket;
    }
    *out_peer = peer;
    return true;
}

const char *lh_tcp_state_name(unsigned state)
{
    static const char *const names[LH_TCP_N_] = {
        "?",     "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",   "TIME_WAIT",
        "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "CLOSING",   "NEW_SYN_RECV"};
    LH_ASSERT(state < LH_TCP_N_);
    return names[state];
}
