// SPDX-License-Identifier: Apache-2.0
//
// How it works. A line of the kernel's table has the addresses as 32-bit words in the byte order of
// the machine, printed in hexadecimal; IPv4 peers of an IPv6 socket come in mapped form, which is
// our form of all. Looks are sorted by peer and port, so that one walk finds peers, runs of ports
// and what is new.
#include "watch/sockets.h"

#include <stdlib.h>

#include "base/assert.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_hex(struct lh_span *text, unsigned digits, uint32_t *out_value)
{
    uint32_t value = 0;
    if (text->len < digits)
        return false;
    for (unsigned i = 0; i < digits; i++) {
        int digit = hex_value(text->at[i]);
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    *text = lh_span_skip(*text, digits);
    *out_value = value;
    return true;
}

// "0100007F:80E9" or 32 digits and the port; of the port the high byte comes first.
static bool take_address(struct lh_span *text, struct lh_endpoint *out)
{
    struct lh_watch_addr addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    const char *colon = memchr(text->at, ':', text->len < 40 ? text->len : 40);
    uint32_t word;
    size_t digits = colon == NULL ? 0 : (size_t)(colon - text->at);
    if (digits != 8 && digits != 32)
        return false;
    for (size_t at = digits == 8 ? 12 : 0; at < 16; at += 4) {
        if (!take_hex(text, 8, &word))
            return false;
        memcpy(addr.bytes + at, &word, 4); // in the machine's order, as it was printed
    }
    if (!lh_span_take(text, LH_SPAN(":")) || !take_hex(text, 4, &word))
        return false;
    out->addr = addr;
    out->port = (uint16_t)word;
    return true;
}

static void skip_blanks(struct lh_span *text)
{
    while (lh_span_take(text, LH_SPAN(" "))) {
        // columns are right-aligned
    }
}

bool lh_socket_parse(struct lh_span line, struct lh_socket *out_socket)
{
    struct lh_socket socket;
    uint64_t number;
    uint32_t state;

    skip_blanks(&line);
    if (!lh_span_take_number(&line, UINT32_MAX, &number) || !lh_span_take(&line, LH_SPAN(": ")))
        return false;
    if (!take_address(&line, &socket.local) || !lh_span_take(&line, LH_SPAN(" ")) ||
        !take_address(&line, &socket.peer) || !lh_span_take(&line, LH_SPAN(" ")) ||
        !take_hex(&line, 2, &state))
        return false;
    if (state == 0 || state >= LH_TCP_N_ || (line.len > 0 && line.at[0] != ' '))
        return false;
    socket.state = (uint8_t)(state == LH_TCP_NEW_SYN_RECV ? LH_TCP_SYN_RECV : state);
    *out_socket = socket;
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
