// SPDX-License-Identifier: Apache-2.0
//
// Fifty sessions of ten users on one UDP port, five of them stopped in set-up, an unrelated program
// on the same port, strangers' junk, and every client moving once: each client's datagrams reach
// its own session.
//
// Every session is a process of its own uid that runs lh_port with a minimal "transport": it takes
// its session's packets as authentic, connects the lane to where the newest came from, and answers
// each. The parent plays all clients over one poll loop. A client sends a probe every PROBE_MS
// until its answer comes; how many tries that took is what is judged.
#include <arpa/inet.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "sys/clock.h"
#include "tap.h"
#include "udp/port.h"

#define SESSIONS  50
#define USERS     10
#define STOPPED   5
#define PORT      33001
#define PROBE_MS  20
#define PROBE_LEN 1200
#define TRIES_MAX                                                                                  \
    100 // 2 s; each lost try is one that a stopped session or the unrelated program got
#define FIRST_UID 20000
#define SILENCE   (200 * LH_MS) // a session that hears nothing for so long waits for a stranger again

struct session {
    pid_t pid;
    uint32_t id;
    bool stopped;
};

struct client {
    struct lh_udp_socket *socket;
    unsigned tries;
    bool answered;
};

static struct lh_udp_addr server_addr(int family)
{
    struct lh_udp_addr addr;
    tap_need(lh_udp_addr_parse(family == AF_INET ? "127.0.0.1" : "::1", PORT, &addr) == 0,
             "address");
    return addr;
}

static void make_probe(uint8_t *packet, uint32_t session_id, uint64_t number)
{
    struct lh_writer writer = lh_writer_of(packet, PROBE_LEN);
    memset(packet, 0, PROBE_LEN);
    lh_write_u8(&writer, 1); // lane
    lh_write_u32(&writer, session_id);
    lh_write_u48(&writer, number);
}

// --- A session -----------------------------------------------------------------------------------

static void answer(struct lh_port *port, const struct lh_udp_batch *batch, lh_ns *heard_at)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct lh_udp_dgram *dgram = &batch->dgrams[i];
        struct lh_udp_run run = {dgram->data, dgram->len, dgram->len, &dgram->path};
        struct lh_udp_sent sent;
        lh_ns now = lh_clock_now();
        *heard_at = now;
        if (lh_port_connect(port, dgram->lane, &dgram->path, now, NULL) == LH_OK)
            lh_port_set_waiting(port, false, now);
        (void)(lh_port_send(port, dgram->lane, &run, &sent) == LH_OK);
    }
}

static void serve_readable(struct lh_port *port,
                           struct lh_udp_rx *rx,
                           const struct pollfd *polled,
                           size_t count,
                           lh_ns *heard_at)
{
    for (size_t i = 0; i < count; i++) {
        struct lh_udp_batch batch;
        if (polled[i].revents == 0)
            continue;
        while (lh_port_recv(port, polled[i].fd, rx, lh_clock_now(), &batch) == LH_OK)
            answer(port, &batch, heard_at);
    }
}

// Lives until its parent dies or kills it. Says through `ready` that the port is open.
static void run_session(uint32_t session_id, uid_t uid, int ready)
{
    struct lh_port_config config = {
        .port = PORT, .session_id = session_id, .locals = {server_addr(AF_INET)}, .local_count = 1};
    struct lh_errinfo info = {0};
    struct lh_port *port = NULL;
    struct lh_udp_rx *rx = NULL;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (geteuid() == 0)
        tap_need(setgroups(0, NULL) == 0 && setgid(uid) == 0 && setuid(uid) == 0, "setuid");
    tap_need(lh_udp_rx_new(LH_UDP_RX_BUFFERS, &rx) == 0, "rx");
    if (lh_port_open(&config, lh_clock_now(), &port, &info) != LH_OK) {
        printf("# session %08x: %s\n", session_id, info.text);
        exit(1);
    }
    tap_need(write(ready, "r", 1) == 1, "ready");
    lh_ns heard_at = lh_clock_now();
    for (;;) {
        struct pollfd polled[LH_PORT_FDS_MAX];
        int fds[LH_PORT_FDS_MAX];
        size_t count = lh_port_fds(port, fds);
        lh_ns now = lh_clock_now();
        lh_ns deadline = lh_ns_min(lh_port_next_deadline(port), now + SILENCE);
        for (size_t i = 0; i < count; i++)
            polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        if (poll(polled, count, (int)(lh_ns_since(deadline, now) / LH_MS) + 1) < 0 &&
            errno != EINTR)
            exit(1);
        serve_readable(port, rx, polled, count, &heard_at);
        now = lh_clock_now();
        if (lh_ns_since(now, heard_at) > SILENCE)
            lh_port_set_waiting(port, true, now);
        lh_port_on_deadline(port, now);
    }
}

static void start_sessions(struct session *sessions, uint64_t seed)
{
    struct lh_prng prng = {.state = seed};
    int ready[2];

    tap_need(pipe(ready) == 0, "pipe");
    for (unsigned i = 0; i < SESSIONS; i++) {
        char byte;
        sessions[i] = (struct session){.id = (uint32_t)lh_prng_next(&prng), .stopped = i % 10 == 9};
        (void)fflush(stdout);
        sessions[i].pid = fork();
        tap_need(sessions[i].pid >= 0, "fork");
        if (sessions[i].pid == 0) {
            (void)close(ready[0]);
            run_session(sessions[i].id, FIRST_UID + i % USERS, ready[1]);
        }
        tap_need(read(ready[0], &byte, 1) == 1, "session");
        // Stopped right after binding: until somebody else binds, all strangers land there.
        if (sessions[i].stopped)
            tap_need(kill(sessions[i].pid, SIGSTOP) == 0, "SIGSTOP");
    }
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void end_sessions(struct session *sessions)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        (void)kill(sessions[i].pid, SIGKILL);
    for (unsigned i = 0; i < SESSIONS; i++)
        (void)waitpid(sessions[i].pid, NULL, 0);
}

// --- The clients ---------------------------------------------------------------------------------

static void open_client(struct client *client, int family)
{
    struct lh_udp_config config = {.family = family};

    lh_udp_close(client->socket);
    *client = (struct client){0};
    tap_need(lh_udp_open(&config, &client->socket, NULL) == 0, "client");
}

static void send_probe(struct client *client, uint32_t session_id, int family)
{
    uint8_t packet[PROBE_LEN];
    struct lh_udp_path path = {.peer = server_addr(family)};
    struct lh_udp_run run = {packet, PROBE_LEN, PROBE_LEN, &path};
    struct lh_udp_sent sent;

    make_probe(packet, session_id, client->tries++);
    (void)(lh_udp_send(client->socket, &run, &sent) == LH_OK);
}

// Takes the answers of one client; an answer of another session would be a failure of the whole
// idea.
static void take_answers(struct client *client, struct lh_udp_rx *rx, uint32_t session_id)
{
    struct lh_udp_batch batch;

    while (lh_udp_recv(client->socket, rx, &batch) == LH_OK) {
        for (size_t i = 0; i < batch.count; i++) {
            struct lh_reader reader = lh_reader_of(batch.dgrams[i].data + 1, 4);
            tap_need(lh_read_u32(&reader) == session_id, "answer of a foreign session");
            client->answered = true;
        }
    }
}

static void send_junk(struct lh_udp_socket *socket, struct lh_prng *prng, int family)
{
    uint8_t packet[PROBE_LEN];
    struct lh_udp_path path = {.peer = server_addr(family)};
    struct lh_udp_run run = {packet, 0, PROBE_LEN, &path};
    struct lh_udp_sent sent;

    lh_prng_fill(prng, packet, sizeof packet);
    for (unsigned i = 0; i < 50; i++) {
        packet[0] = 1;
        packet[1] = (uint8_t)i;
        run.len = 1 + lh_prng_below(prng, PROBE_LEN);
        (void)(lh_udp_send(socket, &run, &sent) == LH_OK);
    }
}

// Probes for every client until all whose session runs have their answer, or TRIES_MAX rounds.
static unsigned
play(struct client *clients, const struct session *sessions, int family, struct lh_prng *prng)
{
    struct lh_udp_rx *rx = NULL;
    struct client junk = {0};
    unsigned missing = SESSIONS;

    tap_need(lh_udp_rx_new(LH_UDP_RX_BUFFERS, &rx) == 0, "rx");
    open_client(&junk, family);
    for (unsigned round = 0; round < TRIES_MAX && missing > 0; round++) {
        missing = 0;
        send_junk(junk.socket, prng, family);
        for (unsigned i = 0; i < SESSIONS; i++) {
            if (!clients[i].answered)
                send_probe(&clients[i], sessions[i].id, family);
        }
        (void)poll(NULL, 0, PROBE_MS);
        for (unsigned i = 0; i < SESSIONS; i++) {
            take_answers(&clients[i], rx, sessions[i].id);
            missing += !clients[i].answered && !sessions[i].stopped;
        }
    }
    lh_udp_close(junk.socket);
    lh_udp_rx_free(rx);
    return missing;
}

static void print_tries(const struct client *clients, const struct session *sessions)
{
    unsigned most = 0;
    unsigned sum = 0;

    for (unsigned i = 0; i < SESSIONS; i++) {
        if (sessions[i].stopped)
            continue;
        sum += clients[i].tries;
        most = clients[i].tries > most ? clients[i].tries : most;
    }
    printf("# tries of %d ms: mean %.1f, most %u\n", PROBE_MS, (double)sum / (SESSIONS - STOPPED),
           most);
}

static void open_clients(struct client *clients, int family)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        open_client(&clients[i], family);
}

// --- The scenes ----------------------------------------------------------------------------------

static void play_family(struct tap *tap, int family, uint64_t seed)
{
    static struct session sessions[SESSIONS];
    static struct client clients[SESSIONS];
    struct lh_prng prng = {.state = seed};
    struct lh_udp_config unrelated_config = {
        .family = family, .local = server_addr(family), .reuse = true};
    struct lh_udp_socket *unrelated = NULL;
    int version = family == AF_INET ? 4 : 6;

    if (lh_udp_open(&unrelated_config, &unrelated, NULL) != LH_OK) {
        tap_skip(tap, "IPv%d: no such address here", version);
        return;
    }
    lh_udp_close(unrelated);
    start_sessions(sessions, seed);
    // An unrelated program, bound last and to the very address: it gets what comes until others
    // bind.
    unrelated_config.local =
        family == AF_INET ? server_addr(family) : lh_udp_addr_any(family, PORT);
    tap_need(lh_udp_open(&unrelated_config, &unrelated, NULL) == LH_OK, "unrelated holder");
    open_clients(clients, family);
    tap_ok(tap, play(clients, sessions, family, &prng) == 0,
           "IPv%d: 45 running sessions of 10 users answer, with 5 stopped, junk and a holder",
           version);
    print_tries(clients, sessions);

    open_clients(clients, family); // all at once from new ports, and everyone is connected already
    tap_ok(tap, play(clients, sessions, family, &prng) == 0,
           "IPv%d: after a NAT rebinding of all clients they are heard again", version);
    print_tries(clients, sessions);

    for (unsigned i = 0; i < SESSIONS; i++) {
        if (sessions[i].stopped)
            tap_need(kill(sessions[i].pid, SIGCONT) == 0, "SIGCONT");
        sessions[i].stopped = false;
    }
    tap_ok(tap, play(clients, sessions, family, &prng) == 0,
           "IPv%d: the 5 answer too once they go on", version);
    end_sessions(sessions);
    for (unsigned i = 0; i < SESSIONS; i++) {
        lh_udp_close(clients[i].socket);
        clients[i].socket = NULL;
    }
    lh_udp_close(unrelated);
}

int main(void)
{
    struct tap tap = {0};
    const char *given = getenv("LH_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 4711;

    printf("# seed %llu, %s\n", (unsigned long long)seed,
           geteuid() == 0 ? "10 users" : "one user only: not root");
    if (!own_network(65536)) {
        tap_skip(&tap, "no network of our own: needs root or user namespaces");
        return tap_done(&tap);
    }
    play_family(&tap, AF_INET, seed);
    play_family(&tap, AF_INET6, seed + 1);
    return tap_done(&tap);
}
