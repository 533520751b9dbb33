// SPDX-License-Identifier: Apache-2.0
//
// One direction between two TUN devices: reads frames, asks the link model about every packet in
// them, writes what is due, and counts.
#ifndef LH_BENCH_LINKEMU_PATH_H
#define LH_BENCH_LINKEMU_PATH_H

#include "bench/linkemu/link.h"
#include "bench/linkemu/queue.h"

enum lh_emu_protocol { LH_EMU_TCP, LH_EMU_UDP, LH_EMU_OTHER, LH_EMU_PROTOCOLS_ };

struct lh_emu_count {
    uint64_t packets;
    uint64_t bytes; // of IP
};

// A histogram with 16 steps to each power of two: within 7 % of the truth.
#define LH_EMU_HISTOGRAM 1024
struct lh_emu_histogram {
    uint64_t counts[LH_EMU_HISTOGRAM];
    uint64_t total;
    uint64_t max;
};

void lh_emu_histogram_add(struct lh_emu_histogram *histogram, uint64_t value, uint64_t times);
// The value that `permille` thousandths of the samples do not exceed.
uint64_t lh_emu_histogram_at(const struct lh_emu_histogram *histogram, uint32_t permille);

struct lh_emu_path {
    struct lh_emu_link link;
    struct lh_emu_queue queue;
    int in_fd;
    int out_fd;
    bool coalesce;     // write what leaves together as one frame
    bool coalesce_udp; // UDP too: the kernel takes such frames
    uint64_t corrupt_index;

    struct lh_emu_count offered[LH_EMU_PROTOCOLS_];   // read from the sending side
    struct lh_emu_count forwarded[LH_EMU_PROTOCOLS_]; // given to the receiving side
    uint64_t fates[LH_EMU_FATES_];
    struct lh_emu_count dropped_full; // our own memory was full: the run is worth nothing
    uint64_t malformed;
    uint64_t write_errors;
    uint64_t corrupted;
    uint64_t corrupted_hidden;
    uint64_t marked_ce;
    uint64_t duplicated;
    uint64_t reordered;
    uint64_t frames_in;
    uint64_t frames_out;
    struct lh_emu_histogram late; // ns between due and written
};

// Reads what waits, at most `frames` frames; returns how many.
uint32_t lh_emu_path_read(struct lh_emu_path *path, uint32_t frames);

// Writes all that is due; returns how many packets.
uint32_t lh_emu_path_deliver(struct lh_emu_path *path);

// When the next packet is due, LH_NEVER for none.
lh_ns lh_emu_path_next(const struct lh_emu_path *path);

#endif
