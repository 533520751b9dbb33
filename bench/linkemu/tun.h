// SPDX-License-Identifier: Apache-2.0
//
// Network namespaces and the TUN device in each.
#ifndef LH_BENCH_LINKEMU_TUN_H
#define LH_BENCH_LINKEMU_TUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LH_EMU_DEVICE "wan0"

struct lh_emu_end {
    int ns_fd;    // the namespace
    int tun_fd;   // non-blocking
    bool has_uso; // the kernel gives and takes UDP super-packets
};

struct lh_emu_end_options {
    const char
        *ns_path;     // an existing namespace (/run/netns/NAME, /proc/PID/ns/net), NULL = make one
    const char *ipv4; // "10.99.0.1", a /24
    const char *ipv6; // "fd99::1", a /64
    uint32_t mtu;
    bool offload; // let the kernel hand over super-packets
};

// Makes or enters the namespace, brings up lo and a TUN device with its addresses, and returns to
// the namespace of before. Both descriptors belong to the caller; the device lives as long as them.
lh_err lh_emu_end_open(struct lh_emu_end *end,
                       const struct lh_emu_end_options *options,
                       struct lh_errinfo *info) LH_MUST_CHECK;

struct lh_emu_device_drops {
    uint64_t tx; // the kernel had no room in the device's queue: we were too slow
    uint64_t rx; // the kernel refused what we wrote
};

// What the device itself has dropped. Zeros where that cannot be read.
struct lh_emu_device_drops lh_emu_end_drops(const struct lh_emu_end *end);

#endif
