// SPDX-License-Identifier: Apache-2.0
//
// A token bucket that turns a rate into send times (quicly's pacer states its bound in the same
// form).
//
//   sent(t0, t1) <= burst + rate * (t1 - t0)       burst = max(2 quanta, rate * 2 ms)
//
// The quantum is what gathers before anything goes out: clamp(rate * time, 1 packet, 256 KB). It
// goes out in runs of one system call each, 64 KB at most. The time is 0.5 ms; on long paths, whose
// queues hold more, a sixteenth of the round trip, up to 1 ms: half as many wake-ups.
#ifndef LH_CC_PACER_H
#define LH_CC_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

struct lh_pacer {
    uint64_t rate;        // bytes/s
    uint64_t packet_size; // bytes
    lh_ns quantum_time;
    int64_t credit;  // bytes that may go now; negative after a batch that overshot
    uint64_t missed; // bytes, ever: credit that nobody took in time and that was dropped
    lh_ns updated;
    bool is_open; // a quantum had gathered, and there is enough left for a run
    bool is_held; // nothing may go for another reason: credit does not gather
};

void lh_pacer_init(struct lh_pacer *pacer, uint64_t packet_size, lh_ns now);
void lh_pacer_set_rate(struct lh_pacer *pacer, uint64_t bytes_per_second, lh_ns now);
// The path's round trip without queue.
void lh_pacer_set_rtt(struct lh_pacer *pacer, lh_ns rtt);
// Bytes that may be sent now, 0 when it is too early.
uint64_t lh_pacer_available(struct lh_pacer *pacer, lh_ns now);
void lh_pacer_consume(struct lh_pacer *pacer, uint64_t bytes);
// The window is full: what could not go meanwhile is not made up for, but for one quantum.
void lh_pacer_hold(struct lh_pacer *pacer, lh_ns now);
// When a quantum will be available; `now` if it is already.
lh_ns lh_pacer_next(const struct lh_pacer *pacer, lh_ns now);
uint64_t lh_pacer_quantum(const struct lh_pacer *pacer);

#endif
