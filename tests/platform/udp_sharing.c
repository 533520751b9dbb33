// SPDX-License-Identifier: Apache-2.0
//
// Proves how Linux shares a UDP port between the sockets of several users (src/udp/port.c relies on
// it).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include "tap.h"

#define PORT     33001
#define ALICE    10001
#define BOB      10002
#define NO_SHARE 0

static struct sockaddr_in v4(const char *text, uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    tap_need(inet_pton(AF_INET, text, &addr.sin_addr) == 1, text);
    return addr;
}

// A socket that belongs to `uid` (where we may be others), bound to `text`:PORT with `share`
// (SO_REUSEADDR, SO_REUSEPORT or NO_SHARE). -1 and errno where bind refuses.
static int bound_as(uid_t uid, const char *text, int share)
{
    struct sockaddr_in addr = v4(text, PORT);
    int one = 1;
    bool root = geteuid() == 0;
    int fd;

    tap_need(!root || seteuid(uid) == 0, "seteuid");
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    tap_need(fd >= 0, "socket");
    if (share != NO_SHARE)
        tap_need(setsockopt(fd, SOL_SOCKET, share, &one, sizeof one) == 0, "setsockopt");
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        int saved = errno;
        (void)close(fd);
        fd = -1;
        errno = saved;
    }
    int saved = errno;
    tap_need(!root || seteuid(0) == 0, "seteuid");
    errno = saved;
    return fd;
}

static bool got_one(int fd)
{
    char byte;
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, 200) == 1 && recv(fd, &byte, 1, 0) == 1;
}

static bool got_none(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) < 0;
}

// Sends a byte from `client` to 127.0.0.1:PORT and tells whether `winner` and nobody else got it.
static bool only_gets(int client, int winner, int loser)
{
    struct sockaddr_in to = v4("127.0.0.1", PORT);
    tap_need(sendto(client, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1, "sendto");
    return got_one(winner) && got_none(loser);
}

static void prove_sharing(struct tap *tap, bool root)
{
    int one = bound_as(ALICE, "0.0.0.0", SO_REUSEADDR);
    int two = bound_as(BOB, "0.0.0.0", SO_REUSEADDR);

    tap_ok(tap, one >= 0 && two >= 0, "SO_REUSEADDR lets %s share a UDP port",
           root ? "two users" : "two sockets");
    (void)close(two);
    two = bound_as(BOB, "0.0.0.0", NO_SHARE);
    tap_ok(tap, two < 0 && errno == EADDRINUSE,
           "a bind without SO_REUSEADDR to a shared port fails with EADDRINUSE");
    (void)close(one);
    one = bound_as(ALICE, "127.0.0.1", NO_SHARE);
    two = bound_as(BOB, "0.0.0.0", SO_REUSEADDR);
    tap_ok(tap, one >= 0 && two < 0 && errno == EADDRINUSE,
           "who holds the port on one address without sharing keeps everyone off the wildcard");
    two = bound_as(BOB, "127.0.0.2", SO_REUSEADDR);
    tap_ok(tap, two >= 0, "and leaves other addresses free");
    (void)close(one);
    (void)close(two);
    one = bound_as(ALICE, "0.0.0.0", SO_REUSEPORT);
    two = bound_as(BOB, "0.0.0.0", SO_REUSEPORT);
    if (root)
        tap_ok(tap, one >= 0 && two < 0, "SO_REUSEPORT refuses a second user");
    else
        tap_skip(tap, "SO_REUSEPORT refuses a second user: needs root");
    (void)close(one);
    (void)close(two);
}

static void prove_who_gets_it(struct tap *tap, int client)
{
    int first = bound_as(ALICE, "0.0.0.0", SO_REUSEADDR);
    int second = bound_as(BOB, "0.0.0.0", SO_REUSEADDR);
    tap_need(first >= 0 && second >= 0, "bind");
    tap_ok(tap, only_gets(client, second, first),
           "of two unconnected sockets the one bound last gets a stranger's datagram");
    int third = bound_as(ALICE, "0.0.0.0", SO_REUSEADDR);
    tap_need(third >= 0, "bind");
    (void)close(first);
    tap_ok(tap, only_gets(client, third, second), "binding afresh makes a session the last again");
    int address = bound_as(BOB, "127.0.0.1", SO_REUSEADDR);
    int later = bound_as(ALICE, "0.0.0.0", SO_REUSEADDR);
    tap_need(address >= 0 && later >= 0, "bind");
    tap_ok(tap, only_gets(client, address, later),
           "a socket bound to the address is preferred to every wildcard, even a later one");
    int address2 = bound_as(ALICE, "127.0.0.1", SO_REUSEADDR);
    tap_need(address2 >= 0, "bind");
    tap_ok(tap, only_gets(client, address2, address), "among those, too, the last one wins");
    (void)close(address);
    (void)close(address2);
    (void)close(second);
    (void)close(third);
    (void)close(later);
}

static void prove_connected(struct tap *tap, int client, int other_client)
{
    struct sockaddr_in peer = {0}, other = {0};
    socklen_t len = sizeof peer;
    int lane = bound_as(ALICE, "127.0.0.1", SO_REUSEADDR);

    tap_need(lane >= 0, "bind");
    tap_need(getsockname(client, (struct sockaddr *)&peer, &len) == 0, "getsockname");
    tap_need(getsockname(other_client, (struct sockaddr *)&other, &len) == 0, "getsockname");
    tap_need(connect(lane, (struct sockaddr *)&peer, sizeof peer) == 0, "connect");
    int address = bound_as(BOB, "127.0.0.1", SO_REUSEADDR);
    tap_need(address >= 0, "bind");
    tap_ok(tap, only_gets(client, lane, address),
           "a connected socket gets its peer's datagrams, whoever binds the port later");
    tap_ok(tap, only_gets(other_client, address, lane), "and nobody else's");
    tap_need(connect(lane, (struct sockaddr *)&other, sizeof other) == 0, "connect");
    tap_ok(tap, only_gets(other_client, lane, address) && only_gets(client, address, lane),
           "connected again elsewhere it follows");
    (void)close(lane);
    (void)close(address);
}

// The moment between bind and connect: what came then stays queued, from whoever it is.
static void prove_window(struct tap *tap, int client, int other_client)
{
    struct sockaddr_in peer = {0}, to = v4("127.0.0.1", PORT);
    socklen_t len = sizeof peer;
    int lane = bound_as(ALICE, "127.0.0.1", SO_REUSEADDR);

    tap_need(lane >= 0, "bind");
    tap_need(getsockname(client, (struct sockaddr *)&peer, &len) == 0, "getsockname");
    tap_need(sendto(other_client, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1, "sendto");
    tap_need(connect(lane, (struct sockaddr *)&peer, sizeof peer) == 0, "connect");
    tap_ok(
        tap, got_one(lane),
        "a stranger's datagram queued before connect() is still read after it (so it is sorted)");
    (void)close(lane);
}

int main(void)
{
    struct tap tap = {0};
    struct sockaddr_in any = v4("127.0.0.1", 0);
    bool root = geteuid() == 0;

    if (!own_network(65536)) {
        tap_skip(&tap, "no network of our own: needs root or user namespaces");
        return tap_done(&tap);
    }
    prove_sharing(&tap, root);
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int other_client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tap_need(bind(client, (struct sockaddr *)&any, sizeof any) == 0, "bind");
    tap_need(bind(other_client, (struct sockaddr *)&any, sizeof any) == 0, "bind");
    prove_who_gets_it(&tap, client);
    prove_connected(&tap, client, other_client);
    prove_window(&tap, client, other_client);
    return tap_done(&tap);
}
