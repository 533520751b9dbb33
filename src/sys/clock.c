// SPDX-License-Identifier: Apache-2.0
#include "sys/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"

static lh_ns read_clock(clockid_t id)
{
    struct timespec now;
    LH_ASSERT(clock_gettime(id, &now) == 0);
    return (lh_ns)now.tv_sec * LH_SECOND + (lh_ns)now.tv_nsec;
}

lh_ns lh_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

lh_ns lh_clock_boot(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

void lh_clock_sleep_until(lh_ns until)
{
    struct timespec at = {.tv_sec = (time_t)(until / LH_SECOND),
                          .tv_nsec = (long)(until % LH_SECOND)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

int64_t lh_clock_wall_seconds(void)
{
    return (int64_t)(read_clock(CLOCK_REALTIME) / LH_SECOND);
}

void lh_entropy_fill(void *data, size_t len)
{
    uint8_t *at = data;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            LH_ASSERT(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}
