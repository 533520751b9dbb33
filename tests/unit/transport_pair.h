// SPDX-License-Identifier: Apache-2.0
//
// Two transports joined by links in memory and virtual time: the smallest world in which the engine
// lives. Deterministic from one seed. The full network simulator is tests/sim.
#ifndef LH_TESTS_TRANSPORT_PAIR_H
#define LH_TESTS_TRANSPORT_PAIR_H

#include "base/prng.h"
#include "transport/sealing.h"
#include "transport/transport.h"

#define PAIR_PATHS 4

struct pair;

struct pair_link { // one lane, both directions
    bool exists, cut;
    lh_ns delay, jitter;
    uint32_t loss_ppm, duplicate_ppm, corrupt_ppm;
    uint64_t rate;             // bytes/s, 0 = no limit
    uint32_t behind_first_ppm; // loss of packets behind the first of their batch
    uint32_t mtu;              // larger UDP payloads vanish; 0 = none
    lh_ns busy[2];             // until when each direction transmits
    uint64_t sent[2];          // datagrams by each end
};

struct pair_end {
    struct pair *pair;
    int index;
    struct lh_transport *transport;
    // What to send.
    uint32_t blocks_wanted, blocks_pushed, blocks_acked;
    uint32_t block_len; // 0: sizes vary
    uint64_t stream_wanted, stream_written;
    uint8_t **unacked; // by block number; NULL once acknowledged
    size_t unacked_capacity;
    // What came.
    uint32_t blocks_received;
    uint64_t bytes_received, stream_received;
    bool hold; // do not release blocks nor consume the stream
    uint32_t held[4096];
    uint32_t held_count;
    uint64_t stream_held;
    bool closed;
    int close_code;
    char close_reason[64];
    enum lh_lane_state lane_state[LH_LANES_MAX];
    uint32_t path_of_peer; // the path number under which the other end sees us
};

struct pair_packet {
    lh_ns at;
    uint64_t order;
    int to;
    uint8_t lane;
    uint32_t path;
    size_t len;
    uint8_t *data;
};

struct pair {
    struct pair_end ends[2]; // 0: client
    struct pair_link links[LH_LANES_MAX];
    struct pair_packet *heap;
    size_t heap_count, heap_capacity;
    uint64_t order;
    lh_ns now;
    lh_ns late; // wake-ups come at multiples of this, as timers do on a busy machine; 0 = in time
    struct lh_prng prng;
    uint64_t seed;
    uint64_t digest; // of every byte sent, in order
    // Sees each datagram before it is sent; may change it; false drops it.
    bool (*tap)(struct pair *pair, int from, uint8_t lane, uint8_t *data, size_t len);
    void *tap_user;
    uint32_t sending_to; // path that the datagram which the tap sees goes to
    bool keys_outside;
    struct lh_sealing sealing[2][LH_LANES_MAX];
    // Somebody between the ends who is faster: a copy of each datagram of the client comes from
    // this path, ahead of the datagram itself. 0 = nobody. Hands on what the server sends there.
    uint32_t copier;
};

struct pair_options {
    uint64_t seed;
    const struct lh_aead_type *aead; // NULL: AES-128-GCM
    uint8_t epoch_shift;             // 0: LH_EPOCH_SHIFT
    uint32_t block_max;              // 0: 64 KiB
    uint64_t receive_budget;         // 0: 16 MiB
    uint64_t forgery_limit;
    bool keys_outside; // of UDP lanes: taken from the transports, used here
};

void pair_init(struct pair *pair, const struct pair_options *options);
void pair_fini(struct pair *pair);
// Adds the lane to both ends. `rate`: of lh_cc_fixed, bytes/s (UDP lanes).
void pair_add_lane(struct pair *pair, uint8_t lane, lh_ns delay, uint64_t rate);
// Gives a packet of the peer's, as the network brought it, to end `to`.
void pair_recv(struct pair *pair, int to, uint8_t lane, struct lh_dgram *dgram);
// Runs until `done` says so or `limit` of virtual time has passed. True for done.
bool pair_run(struct pair *pair, bool (*done)(const struct pair *pair), lh_ns limit);
bool pair_all_done(const struct pair *pair); // everything wanted has been received and acknowledged
bool pair_any_closed(const struct pair *pair);
bool pair_never(const struct pair *pair);
void pair_push(struct pair_end *end);      // offers what is wanted to the transport
void pair_drop_packets(struct pair *pair); // everything under way is lost
void pair_release_all(struct pair_end *end);
// The content of blocks and stream, from their numbers.
void pair_block_fill(uint64_t seed, int from, uint32_t block, uint8_t *data, size_t len);
uint32_t pair_block_len(const struct pair_end *end, uint32_t block);

#endif
