// SPDX-License-Identifier: Apache-2.0
//
// How it works. Fates are counted in three classes. A class is judged against the first position,
// which is a packet like any other on its way through the network: random loss hits all classes
// alike. Rates are compared as cross products; the counts are small enough for 64 bits.
#include "udp/gso.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"

bool lh_gso_kernel_has(void)
{
    int size = 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    bool has;

    if (fd < 0)
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0)
        return false;
    has = setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size) == 0;
    (void)close(fd);
    return has;
}

void lh_gso_health_init(struct lh_gso_health *health)
{
    *health = (struct lh_gso_health){0};
}

enum lh_gso_class lh_gso_class_of(size_t position, size_t segments, bool last_is_equal)
{
    LH_ASSERT(position < segments);
    if (position == 0)
        return LH_GSO_FIRST;
    return position == segments - 1 && last_is_equal ? LH_GSO_LAST : LH_GSO_MIDDLE;
}

static uint64_t known(const struct lh_gso_count *count)
{
    return (uint64_t)count->arrived + count->lost;
}

// Is hardly anything of `class` left, while the first position arrives?
static bool is_bad(const struct lh_gso_health *health, enum lh_gso_class class)
{
    const struct lh_gso_count *first = &health->counts[LH_GSO_FIRST];
    const struct lh_gso_count *other = &health->counts[class];

    return known(first) >= LH_GSO_SAMPLES_MIN && known(other) >= LH_GSO_SAMPLES_MIN &&
           (uint64_t)other->lost * 100 >= LH_GSO_BAD_PERCENT * known(other) &&
           other->lost * known(first) >= LH_GSO_FACTOR * first->lost * known(other);
}

// Does the middle lose hardly more than the first?
static bool is_middle_equal(const struct lh_gso_health *health)
{
    const struct lh_gso_count *first = &health->counts[LH_GSO_FIRST];
    const struct lh_gso_count *middle = &health->counts[LH_GSO_MIDDLE];

    return 100 * middle->lost * known(first) <=
           (100 * first->lost + LH_GSO_EQUAL_PERCENT * known(first)) * known(middle);
}

bool lh_gso_health_report(struct lh_gso_health *health,
                          enum lh_gso_class class,
                          bool arrived,
                          lh_ns now)
{
    struct lh_gso_count *count = &health->counts[class];

    LH_ASSERT(class < LH_GSO_CLASSES_);
    if (health->off_until != 0)
        return false; // fates of batches sent before the latch
    if (arrived)
        count->arrived++;
    else
        count->lost++;
    if (known(count) >= LH_GSO_SAMPLES_MAX) {
        count->arrived /= 2;
        count->lost /= 2;
    }
    if (!is_bad(health, LH_GSO_MIDDLE) && !(is_bad(health, LH_GSO_LAST) && is_middle_equal(health)))
        return false;
    memset(health->counts, 0, sizeof health->counts);
    health->off_until = lh_add_sat(now, LH_GSO_RETRY);
    health->times_latched++;
    return true;
}

bool lh_gso_health_allows(struct lh_gso_health *health, lh_ns now)
{
    if (health->off_until != 0 && now >= health->off_until)
        health->off_until = 0;
    return health->off_until == 0;
}
