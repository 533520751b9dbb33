// SPDX-License-Identifier: Apache-2.0
//
// Lines of the kernel's tables of TCP sockets (/proc/net/tcp and tcp6).
#ifndef LH_BASE_TCPTABLE_H
#define LH_BASE_TCPTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_TCP_STATE_LISTEN 10 // as the kernel numbers states

// Addresses are IPv6; those of IPv4 in mapped form (::ffff:a.b.c.d).
struct lh_tcp_row {
    uint8_t local[16];
    uint8_t peer[16];
    uint16_t local_port;
    uint16_t peer_port;
    uint8_t state;  // 1 or more
    bool ipv6;      // of the table of IPv6
    uint64_t inode; // 0 where the line ends before it
};

// One line without its newline. False for the head and for anything else.
bool lh_tcp_row_parse(const char *line, size_t len, struct lh_tcp_row *out_row);

// Whether an address is 127.0.0.0/8 or ::1.
bool lh_tcp_loopback(const uint8_t address[16]);

#endif
