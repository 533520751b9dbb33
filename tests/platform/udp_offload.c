// SPDX-License-Identifier: Apache-2.0
//
// Proves GSO, GRO and the MTU behaviour that src/udp/{send,recv,socket}.c rely on, on a loopback of
// MTU 1,500 that belongs to this program alone.
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>

#include "tap.h"
#include "udp/gso.h"
#include "udp/socket.h"

static struct lh_udp_addr loopback(int family)
{
    struct lh_udp_addr addr;
    tap_need(lh_udp_addr_parse(family == AF_INET ? "127.0.0.1" : "::1", 0, &addr) == 0, "address");
    return addr;
}

struct pair {
    struct lh_udp_socket *from, *to;
};

static bool open_pair(int family, bool no_gro, struct pair *pair)
{
    struct lh_udp_config config = {.family = family, .local = loopback(family), .no_gro = no_gro};

    *pair = (struct pair){0};
    if (lh_udp_open(&config, &pair->to, NULL) != 0)
        return false;
    tap_need(lh_udp_local(pair->to, &config.peer, NULL) == 0, "getsockname");
    tap_need(lh_udp_open(&config, &pair->from, NULL) == 0, "connect");
    return true;
}

static void close_pair(struct pair *pair)
{
    lh_udp_close(pair->from);
    lh_udp_close(pair->to);
}

static uint8_t data[65000];

// The length of the first message waiting, read into `room` bytes; 0 on nothing.
static size_t first_message(int fd, size_t room, int *out_flags)
{
    static uint8_t buffer[65536];
    struct iovec iov = {buffer, room};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    ssize_t got = poll(&pollfd, 1, 500) == 1 ? recvmsg(fd, &header, MSG_DONTWAIT) : 0;

    *out_flags = header.msg_flags;
    return got > 0 ? (size_t)got : 0;
}

static void prove_offload(struct tap *tap)
{
    struct pair pair;
    struct lh_udp_run run = {.data = data, .len = 44 * 1400, .segment_size = 1400};
    struct lh_udp_sent sent;
    struct lh_udp_stats stats;
    int flags;

    if (!lh_gso_kernel_has()) {
        tap_skip(tap, "UDP_SEGMENT: not in this kernel; single packets are sent instead");
        return;
    }
    tap_need(open_pair(AF_INET, false, &pair), "IPv4");
    tap_need(lh_udp_send(pair.from, &run, &sent) == 0, "send");
    lh_udp_get_stats(pair.from, &stats);
    tap_ok(tap, sent.segments == 44 && stats.calls_out == 1 && stats.gso,
           "one sendmsg with UDP_SEGMENT takes 44 packets of 1,400 bytes");
    size_t len = first_message(lh_udp_fd(pair.to), 65536, &flags);
    tap_ok(tap, len == run.len && (flags & MSG_TRUNC) == 0,
           "UDP_GRO hands them over as one message of 61,600 bytes: 64-KiB buffers are needed");
    tap_need(lh_udp_send(pair.from, &run, &sent) == 0, "send");
    (void)first_message(lh_udp_fd(pair.to), 24576, &flags);
    tap_ok(tap, (flags & MSG_TRUNC) != 0, "a smaller buffer loses packets (MSG_TRUNC)");
    close_pair(&pair);
    tap_need(open_pair(AF_INET, true, &pair), "IPv4");
    tap_need(lh_udp_send(pair.from, &run, &sent) == 0, "send");
    len = first_message(lh_udp_fd(pair.to), 65536, &flags);
    tap_ok(tap, len == 1400, "without UDP_GRO the same send arrives packet by packet");
    close_pair(&pair);
}

static void prove_mtu(struct tap *tap, int family)
{
    int version = family == AF_INET ? 4 : 6;
    size_t fits = 1500 - (family == AF_INET ? 28 : 48);
    struct pair pair;
    struct lh_udp_run run = {.data = data, .len = fits, .segment_size = fits};
    struct lh_udp_sent sent;

    if (!open_pair(family, false, &pair)) {
        tap_skip(tap, "MTU of IPv%d: no such address here", version);
        return;
    }
    tap_ok(tap, lh_udp_send(pair.from, &run, &sent) == 0,
           "IPv%d: %zu bytes of payload fit an MTU of 1,500", version, fits);
    run.len = run.segment_size = fits + 1;
    tap_ok(tap, lh_udp_send(pair.from, &run, &sent) == LH_TOO_LARGE && sent.too_large == fits + 1,
           "IPv%d: one more is EMSGSIZE, never a fragment", version);
    run.len = 4 * (fits + 1);
    tap_ok(tap,
           lh_udp_send(pair.from, &run, &sent) == LH_TOO_LARGE && sent.too_large == fits + 1 &&
               sent.segments == 0,
           "IPv%d: so it is in a batch", version);
    run.segment_size = fits;
    run.len = 4 * fits;
    tap_ok(tap,
           lh_udp_send(pair.from, &run, &sent) == 0 &&
               lh_udp_gso_is_on(pair.from) == lh_gso_kernel_has(),
           "IPv%d: a batch that was too large does not turn GSO off", version);
    struct lh_udp_payload payload = lh_udp_payload_towards(lh_udp_peer(pair.from));
    tap_ok(tap, payload.start == fits && payload.most == fits,
           "IPv%d: the route's MTU gives the first payload size, %u", version, payload.start);
    close_pair(&pair);
}

// A device on which every packet waits for ever: an Ethernet whose only other host never answers
// ARP.
static int open_silent_device(void)
{
    struct ifreq request = {.ifr_name = "silent", .ifr_flags = IFF_TAP | IFF_NO_PI};
    struct lh_udp_addr addr;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && control >= 0 && ioctl(fd, TUNSETIFF, &request) == 0 &&
              lh_udp_addr_parse("10.9.0.1", 0, &addr) == 0;

    memcpy(&request.ifr_addr, &addr.v4, sizeof addr.v4);
    ok = ok && ioctl(control, SIOCSIFADDR, &request) == 0;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ok = ok && ioctl(control, SIOCSIFFLAGS, &request) == 0;
    (void)close(control);
    if (ok)
        return fd;
    (void)close(fd);
    return -1;
}

static void prove_full(struct tap *tap)
{
    struct lh_udp_config config = {.family = AF_INET, .no_gso = true, .sndbuf = 32768};
    struct lh_udp_socket *socket = NULL;
    struct lh_udp_run run = {.data = data, .len = 44 * 1400, .segment_size = 1400};
    struct lh_udp_sent sent, again;
    int device = open_silent_device();

    if (device < 0) {
        tap_skip(tap, "a full send buffer: no /dev/net/tun here");
        return;
    }
    tap_need(lh_udp_addr_parse("10.9.0.2", 9, &config.peer) == 0, "address");
    tap_need(lh_udp_open(&config, &socket, NULL) == 0, "connect");
    lh_err err = lh_udp_send(socket, &run, &sent);
    tap_ok(tap, err == LH_AGAIN && sent.segments > 0 && sent.segments < 44,
           "a full send buffer takes %zu of 44 packets and says so", sent.segments);
    tap_ok(tap, lh_udp_send(socket, &run, &again) == LH_AGAIN && again.segments == 0,
           "and then none");
    lh_udp_close(socket);
    config.no_gso = false;
    tap_need(lh_udp_open(&config, &socket, NULL) == 0, "connect");
    err = LH_OK;
    for (int i = 0; i < 100 && err == LH_OK; i++)
        err = lh_udp_send(socket, &run, &sent);
    tap_ok(tap, err == LH_AGAIN && sent.segments == 0,
           "with GSO a batch goes out whole or not at all");
    lh_udp_close(socket);
    (void)close(device);
}

int main(void)
{
    struct tap tap = {0};

    if (!own_network(1500)) {
        tap_skip(&tap, "no network of our own: needs root or user namespaces");
        return tap_done(&tap);
    }
    prove_offload(&tap);
    prove_mtu(&tap, AF_INET);
    prove_mtu(&tap, AF_INET6);
    prove_full(&tap);
    return tap_done(&tap);
}
