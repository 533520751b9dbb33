// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into every program of a test's world (/etc/ld.so.preload): the time of day is off by as
// many seconds as /run/clock-jump says at the moment. Other clocks are left alone, as the kernel
// leaves them alone where somebody sets the time.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t jump(void)
{
    char text[32];

    int fd = open("/run/clock-jump", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    return (time_t)strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *out_time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, out_time);

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out_time->tv_sec += jump();
    return result;
}

int gettimeofday(struct timeval *restrict out_time, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    out_time->tv_sec = now.tv_sec;
    out_time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out_time)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out_time != NULL)
        *out_time = now.tv_sec;
    return now.tv_sec;
}
