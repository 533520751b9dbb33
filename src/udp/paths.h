// SPDX-License-Identifier: Apache-2.0
//
// Small numbers for paths: the transport knows an address only as the caller's number
// (lh_dgram.path).
//
// How it works. A fixed table. A path that is seen gets the number of its slot; where it has none,
// the slot that was used longest ago and is not pinned is given to it. The caller pins the numbers
// that the transport may still ask for (a lane's path, a path under challenge), so that strangers
// who send from any number of forged addresses cannot push them out. There are more unpinned slots
// than messages in one receive batch: every number given out for a batch is good until the batch
// was handled.
#ifndef LH_UDP_PATHS_H
#define LH_UDP_PATHS_H

#include "base/limits.h"
#include "udp/addr.h"
#include "udp/socket.h"

#define LH_PATHS_PINS  (4 * LH_LANES_MAX) // of each lane its path, and what it may ask for
#define LH_PATHS_SLOTS (LH_PATHS_PINS + 2 * LH_UDP_RX_BUFFERS)

struct lh_udp_paths {
    struct lh_udp_path slots[LH_PATHS_SLOTS];
    uint64_t used_at[LH_PATHS_SLOTS]; // counter of lookups; 0 = free
    uint64_t lookups;
    int pins[LH_PATHS_PINS]; // slot or -1
    uint32_t newest;         // slot of the last lookup: the next packet is mostly on it
};

void lh_udp_paths_init(struct lh_udp_paths *paths);
// The number of `path`, given now where it has none.
uint32_t lh_udp_paths_number(struct lh_udp_paths *paths, const struct lh_udp_path *path);
// The path of a number that was given out, NULL for any other.
const struct lh_udp_path *lh_udp_paths_get(const struct lh_udp_paths *paths, uint32_t number);
// Pin `pin` (0 .. LH_PATHS_PINS-1, what for is the caller's) holds `number` from now on, and lets
// go what it held.
void lh_udp_paths_pin(struct lh_udp_paths *paths, size_t pin, uint32_t number);

#endif
