// SPDX-License-Identifier: Apache-2.0
//
// Where the time of a transfer goes: at every moment something keeps the data from flowing faster,
// and the one that did so longest is the bottleneck that the summary names.
#ifndef LH_RUN_HELD_H
#define LH_RUN_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "job/news.h"

// What holds back one end, as that end sees it.
enum lh_held_cause {
    LH_HELD_NETWORK, // sender: the controller's window or pace
    LH_HELD_POLICY,  // sender: the pace is the target rate
    LH_HELD_WINDOW,  // sender: the receiver's memory, or our own read-ahead, is full
    LH_HELD_DISK,    // sender: blocks wait to be read; receiver: to be written
    LH_HELD_CPU,     // a thread of ours is busy, or waits for a processor, all the time
    LH_HELD_IDLE,    // nothing is to be done
    LH_HELD_N_
};

// Processor time of one thread of ours, running and waiting to run.
#define LH_HELD_THREADS 32
struct lh_held_thread {
    uint32_t id; // 0 = free
    uint64_t busy;
    bool is_seen;
};

struct lh_held {
    int machine_fd; // /proc/stat, -1 = not to be had
    struct lh_held_thread threads[LH_HELD_THREADS];
    uint64_t machine_idle, machine_all; // of /proc/stat, in ticks

    lh_ns accounted;               // up to this time
    enum lh_held_cause cause;      // since then
    lh_ns step_began;              // steps of LH_HELD_STEP are judged one by one
    lh_ns step_waited[LH_HELD_N_]; // of this step
    lh_ns total[LH_HELD_N_];
};
#define LH_HELD_STEP (600 * LH_MS) // two round trips of a long path: what happens in each shows

void lh_held_init(struct lh_held *held, lh_ns now);
void lh_held_fini(struct lh_held *held);
// Until now it was what was said last; from now on it is `cause`.
void lh_held_note(struct lh_held *held, enum lh_held_cause cause, lh_ns now);
void lh_held_say(const struct lh_held *held, struct lh_msg_held *out_said);

// Of a whole transfer, both ends seen together.
enum lh_bottleneck {
    LH_BOTTLENECK_NETWORK,
    LH_BOTTLENECK_POLICY,
    LH_BOTTLENECK_SENDER_DISK,
    LH_BOTTLENECK_RECEIVER_DISK,
    LH_BOTTLENECK_CPU,
    LH_BOTTLENECK_WINDOW,
    LH_BOTTLENECK_NONE, // idle most of the time, or too short to tell
    LH_BOTTLENECK_N_
};
struct lh_held_shares {
    lh_ns time[LH_BOTTLENECK_N_]; // NONE: idle
};

// Adds what both ends said of one session. A receiver that nothing is known of has said nothing.
void lh_held_join(struct lh_held_shares *shares,
                  const struct lh_msg_held *sender,
                  const struct lh_msg_held *receiver);
enum lh_bottleneck lh_held_bottleneck(const struct lh_held_shares *shares);
// "network", "policy", "sender disk", ... : for people and for --json.
const char *lh_bottleneck_name(enum lh_bottleneck bottleneck);

#endif
