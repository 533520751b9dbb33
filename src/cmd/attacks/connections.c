// SPDX-License-Identifier: Apache-2.0
//
// How it works. The kernel's table is looked at twice; what stayed, what is new and in which state
// tells how a peer behaves now. Each peer is joined with the log: by address with its verdict, by
// address and port with the logins that the log knows. The words are chosen to explain, never to
// accuse.
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/math.h"
#include "cmd/attacks/connections.h"

#define SHOWN     20
#define PILE      16 // connections of one peer in one state that deserve words
#define PORTS_RUN 8

lh_err lh_connections_look(const struct lh_attacks_args *args,
                           struct lh_connections *out,
                           struct lh_errinfo *info)
{
    static const uint16_t usual[] = {22, LH_SSH_PORT_DEFAULT};
    const uint16_t *ports = args->port_given ? &args->port : usual;
    size_t count = args->port_given ? 1 : 2;
    struct timespec pause = {.tv_sec = (time_t)args->interval};

    *out = (struct lh_connections){.seconds = args->interval};
    lh_err err = lh_proc_look("/proc/net", ports, count, &out->first, info);
    if (err != 0)
        return err;
    while (nanosleep(&pause, &pause) != 0) {
        // a signal that is not deadly came: sleep on
    }
    return lh_proc_look("/proc/net", ports, count, &out->second, info);
}

void lh_connections_fini(struct lh_connections *connections)
{
    lh_look_fini(&connections->first);
    lh_look_fini(&connections->second);
}

// The first connection of a peer; they are sorted by peer.
static size_t first_of(const struct lh_look *look, const struct lh_watch_addr *addr)
{
    size_t low = 0;
    size_t high = look->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(look->items[middle].peer.addr.bytes, addr->bytes, sizeof addr->bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Connections of a peer that are open and of which the log knows a login. Most peers never logged
// in: only for the others are connections looked at one by one.
static uint32_t logged_in(const struct lh_attacks *a,
                          const struct lh_connections *c,
                          const struct lh_watch_addr *addr)
{
    const struct lh_source *source = lh_watch_source(a->watch, addr);
    uint32_t count = 0;
    if (source == NULL || source->counts[LH_COUNT_SUCCESSES] == 0)
        return 0;
    for (size_t i = first_of(&c->second, addr); i < c->second.count; i++) {
        const struct lh_socket *socket = &c->second.items[i];
        if (!lh_watch_addr_equal(&socket->peer.addr, addr))
            break;
        if (socket->state == LH_TCP_ESTABLISHED)
            count += lh_watch_logged_in(a->watch, &socket->peer);
    }
    return count;
}

// The largest first; a short list kept by insertion.
struct top {
    struct lh_peer_sockets peers[SHOWN];
    size_t count;
    size_t all;
};

static void keep_top(struct top *top, const struct lh_peer_sockets *peer)
{
    size_t at = LH_MIN(top->count, (size_t)SHOWN);
    top->all++;
    if (at == SHOWN && top->peers[SHOWN - 1].total >= peer->total)
        return;
    if (at == SHOWN)
        at--;
    for (; at > 0 && top->peers[at - 1].total < peer->total; at--)
        top->peers[at] = top->peers[at - 1];
    top->peers[at] = *peer;
    top->count = LH_MIN(top->count + 1, (size_t)SHOWN);
}

static void find_top(const struct lh_connections *c, struct top *top)
{
    struct lh_peer_sockets peer;
    *top = (struct top){.count = 0};
    for (size_t at = 0; lh_look_next(&c->first, &c->second, &at, &peer);)
        keep_top(top, &peer);
}

static const struct lh_verdict *verdict_on(const struct lh_attacks *a,
                                           const struct lh_watch_addr *addr)
{
    if (lh_watch_source(a->watch, addr) == NULL)
        return NULL;
    for (size_t i = 0; i < a->judgement->count; i++) {
        const struct lh_verdict *v = &a->judgement->verdicts[i];
        if (v->source != NULL && lh_watch_addr_equal(&v->source->addr, addr))
            return v;
    }
    return NULL;
}

static void explain(const struct lh_attacks *a,
                    const struct lh_connections *c,
                    const struct lh_peer_sockets *p,
                    FILE *out)
{
    static const struct {
        unsigned state;
        const char *words;
    } piles[] = {
        {LH_TCP_SYN_RECV, "half open: a flood of SYNs, or a path that loses the answers"},
        {LH_TCP_TIME_WAIT, "closed by sshd first: refused, out of tries or out of time"},
        {LH_TCP_CLOSE_WAIT, "closed by the peer, sshd has not noticed yet"},
        {LH_TCP_FIN_WAIT2, "closed by sshd, the peer does not answer"},
    };
    const struct lh_verdict *v = verdict_on(a, &p->addr);
    uint32_t known = logged_in(a, c, &p->addr);

    for (size_t i = 0; i < sizeof piles / sizeof *piles; i++) {
        if (p->states[piles[i].state] >= PILE)
            (void)fprintf(out, "         %" PRIu32 " %s\n", p->states[piles[i].state],
                          piles[i].words);
    }
    if (p->port_run >= PORTS_RUN)
        (void)fprintf(out,
                      "         %" PRIu32
                      " ports in a row from %u: one program, one connection after the other\n",
                      p->port_run, p->port_low);
    if (p->staying > known)
        (void)fprintf(out,
                      "         %" PRIu32
                      " open all the time without a login in the log: slow, or logged in earlier\n",
                      p->staying - known);
    if (v != NULL)
        (void)fprintf(out, "         in the log: %s, %" PRIu32 " %s\n", lh_attack_name(v->kind),
                      v->tries, lh_plural(v->tries, "try", "tries"));
    else if (known > 0)
        (void)fprintf(out, "         in the log: %" PRIu32 " logged in\n", known);
}

void lh_connections_text(const struct lh_attacks *a, const struct lh_connections *c, FILE *out)
{
    char text[LH_WATCH_ADDR_TEXT];
    struct top top;

    find_top(c, &top);
    (void)fprintf(out, "Connections now: %zu of %zu %s, two looks %" PRIu64 " s apart\n\n",
                  c->second.count, top.all, lh_plural(top.all, "peer", "peers"), c->seconds);
    if (top.all > 0)
        (void)fprintf(
            out, "  Total  Peer                                 Open  Half  Wait  Other  New/s\n");
    for (size_t i = 0; i < top.count; i++) {
        const struct lh_peer_sockets *p = &top.peers[i];
        uint32_t other = p->total - p->states[LH_TCP_ESTABLISHED] - p->states[LH_TCP_SYN_RECV] -
                         p->states[LH_TCP_TIME_WAIT];
        uint64_t tenths = c->seconds == 0 ? 0 : 10ull * p->fresh / c->seconds;
        (void)fprintf(out,
                      "%7" PRIu32 "  %-36s%5" PRIu32 " %5" PRIu32 " %5" PRIu32 " %6" PRIu32
                      " %4" PRIu64 ".%" PRIu64 "\n",
                      p->total, lh_watch_addr_format(&p->addr, text), p->states[LH_TCP_ESTABLISHED],
                      p->states[LH_TCP_SYN_RECV], p->states[LH_TCP_TIME_WAIT], other, tenths / 10,
                      tenths % 10);
        explain(a, c, p, out);
    }
    if (top.all > top.count)
        (void)fprintf(out, "         and %zu more %s\n", top.all - top.count,
                      lh_plural(top.all - top.count, "peer", "peers"));
    (void)fputs(
        "\nA state alone accuses nobody: monitors, offices behind one address and parallel\n"
        "transfers look like this too.\n\n",
        out);
}

void lh_connections_json(const struct lh_attacks *a, const struct lh_connections *c, FILE *out)
{
    struct lh_peer_sockets p;
    char text[LH_WATCH_ADDR_TEXT];
    for (size_t at = 0; lh_look_next(&c->first, &c->second, &at, &p);) {
        const struct lh_verdict *v = verdict_on(a, &p.addr);
        (void)fprintf(out,
                      "{\"type\":\"connections\",\"address\":\"%s\",\"total\":%" PRIu32
                      ",\"new\":%" PRIu32 ",\"seconds\":%" PRIu64 ",\"staying\":%" PRIu32
                      ",\"ports_in_a_row\":%" PRIu32 ",\"logged_in\":%" PRIu32 ",\"states\":{",
                      lh_watch_addr_format(&p.addr, text), p.total, p.fresh, c->seconds, p.staying,
                      p.port_run, logged_in(a, c, &p.addr));
        const char *comma = "";
        for (unsigned state = 1; state < LH_TCP_N_; state++) {
            if (p.states[state] == 0)
                continue;
            (void)fprintf(out, "%s\"%s\":%" PRIu32, comma, lh_tcp_state_name(state),
                          p.states[state]);
            comma = ",";
        }
        (void)fprintf(out, "}%s%s%s}\n", v != NULL ? ",\"verdict\":\"" : "",
                      v != NULL ? lh_attack_name(v->kind) : "", v != NULL ? "\"" : "");
    }
}
