// SPDX-License-Identifier: Apache-2.0
//
// Is GSO good on this path? Asked of the kernel once, then of the losses all the time.
//
// Some devices and hypervisors accept a batch (UDP_SEGMENT) and lose every packet of it but the
// first, or the last. That looks like a lossy network. So the fate of packets is counted by their
// position in their batch; where a position hardly ever arrives although the first does, GSO goes
// off for ten minutes. Pure logic but for lh_gso_kernel_has(); integers only.
//
// A full queue in the network looks a little like it: it takes the first packets of a batch, for
// which there is room by now, and drops the others. But it takes more than one of twenty, and it
// does not take all but the last.
#ifndef LH_UDP_GSO_H
#define LH_UDP_GSO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

// Does this kernel know UDP_SEGMENT? Tries it on a socket of its own.
bool lh_gso_kernel_has(void);

#define LH_GSO_RETRY       (600 * LH_SECOND) // off for so long, then tried again
#define LH_GSO_BAD_PERCENT 95                // a class is bad when it loses so many
#define LH_GSO_FACTOR      5                 // and at least so many times the first's rate
#define LH_GSO_SAMPLES_MIN 128               // known fates of a class before it is judged
#define LH_GSO_SAMPLES_MAX 1024              // then its counts are halved: old news fades
// The last is judged only where the middle loses no more than so many more than the first.
#define LH_GSO_EQUAL_PERCENT 1

enum lh_gso_class {
    LH_GSO_FIRST,  // position 0, and packets that were sent alone
    LH_GSO_MIDDLE, // positions 1 ..
    LH_GSO_LAST,   // the last of a batch whose packets are all of equal size
    LH_GSO_CLASSES_
};

struct lh_gso_count {
    uint32_t arrived, lost;
};

struct lh_gso_health {
    struct lh_gso_count counts[LH_GSO_CLASSES_];
    lh_ns off_until; // 0: on
    uint32_t times_latched;
};

void lh_gso_health_init(struct lh_gso_health *health);

enum lh_gso_class lh_gso_class_of(size_t position, size_t segments, bool last_is_equal);

// One packet's fate, sent in a batch by GSO. Returns true when this report turned GSO off.
bool lh_gso_health_report(struct lh_gso_health *health,
                          enum lh_gso_class class,
                          bool arrived,
                          lh_ns now);

// May GSO be used at `now`? Once the ten minutes are over, counting starts afresh.
bool lh_gso_health_allows(struct lh_gso_health *health, lh_ns now);

#endif
