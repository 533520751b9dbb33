// SPDX-License-Identifier: Apache-2.0
//
// What the tests of src/udp share: packets of a session, free ports, waiting for a descriptor.
#ifndef LH_TESTS_UDP_HELP_H
#define LH_TESTS_UDP_HELP_H

#include <poll.h>

#include "base/bytes.h"
#include "check.h"
#include "udp/socket.h"

// A packet with a valid header and a body that depends on `seed`.
static inline size_t make_packet(uint8_t *out, size_t len, uint32_t session_id, uint8_t seed)
{
    struct lh_writer writer = lh_writer_of(out, len);

    lh_write_u8(&writer, 0x11); // lane 1
    lh_write_u32(&writer, session_id);
    lh_write_u24(&writer, seed);
    for (size_t i = 8; i < len; i++)
        out[i] = (uint8_t)(seed + i);
    return len;
}

static inline struct lh_udp_addr loopback(int family, uint16_t port)
{
    struct lh_udp_addr addr;

    check_ok(lh_udp_addr_parse(family == AF_INET ? "127.0.0.1" : "::1", port, &addr));
    return addr;
}

static inline bool readable(int fd, int timeout_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, timeout_ms) == 1;
}

// Does this machine have IPv6 on its loopback?
static inline bool have_ipv6(void)
{
    struct lh_udp_config config = {.family = AF_INET6, .local = loopback(AF_INET6, 0)};
    struct lh_udp_socket *socket = NULL;
    bool have = lh_udp_open(&config, &socket, NULL) == LH_OK;

    lh_udp_close(socket);
    return have;
}

// A port that was free a moment ago.
static inline uint16_t free_port(void)
{
    struct lh_udp_config config = {.family = AF_INET, .local = loopback(AF_INET, 0)};
    struct lh_udp_socket *socket = NULL;
    struct lh_udp_addr addr;

    check_ok(lh_udp_open(&config, &socket, NULL));
    check_ok(lh_udp_local(socket, &addr, NULL));
    lh_udp_close(socket);
    return lh_udp_addr_port(&addr);
}

#endif
