// SPDX-License-Identifier: Apache-2.0
//
// A line of TAP for each kernel behaviour that Longhaul relies on, and networks to prove them in.
#ifndef LH_TESTS_PLATFORM_TAP_H
#define LH_TESTS_PLATFORM_TAP_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct tap {
    int count, failed;
};

static inline bool
tap_line(struct tap *tap, bool ok, const char *directive, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

static inline bool
tap_line(struct tap *tap, bool ok, const char *directive, const char *format, va_list args)
{
    tap->count++;
    tap->failed += !ok;
    printf("%s %d - ", ok ? "ok" : "not ok", tap->count);
    (void)vprintf(format, args);
    printf("%s\n", directive);
    (void)fflush(stdout);
    return ok;
}

// "ok N - what is proved", or "not ok" where it does not hold.
__attribute__((format(printf, 3, 4))) static inline bool
tap_ok(struct tap *tap, bool ok, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)tap_line(tap, ok, "", format, args);
    va_end(args);
    return ok;
}

// Says what cannot be proved here; the text ends with the reason.
__attribute__((format(printf, 2, 3))) static inline void
tap_skip(struct tap *tap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)tap_line(tap, true, " # SKIP", format, args);
    va_end(args);
}

static inline int tap_done(const struct tap *tap)
{
    printf("1..%d\n", tap->count);
    return tap->failed == 0 ? 0 : 1;
}

// A set-up step that must work.
static inline void tap_need(bool ok, const char *what)
{
    if (ok)
        return;
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

// A network of our own with a loopback of `mtu` bytes: as root simply, else inside a user namespace
// of our own (where the caller then is its only user). False where the system allows neither.
static inline bool own_network(int mtu)
{
    struct ifreq request = {.ifr_name = "lo"};
    char map[64];
    uid_t uid = geteuid();
    bool ok;
    int fd;

    if (uid == 0) {
        ok = unshare(CLONE_NEWNET) == 0;
    } else {
        ok = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
        (void)snprintf(map, sizeof map, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
        ok = ok && write_text("/proc/self/uid_map", map);
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (!ok || fd < 0)
        return false;
    request.ifr_mtu = mtu;
    ok = ioctl(fd, SIOCSIFMTU, &request) == 0;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ok = ok && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    (void)close(fd);
    return ok;
}

#endif
