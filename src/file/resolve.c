// SPDX-License-Identifier: Apache-2.0
//
// Two ways to open a directory some components below a descriptor.
//
// How it works. openat2 lets the kernel refuse symlinks and ".." on the whole way in one call. The
// walk opens one component after another with O_NOFOLLOW | O_DIRECTORY, which needs no new kernel
// and no limit on the path's length. A component that is a symlink is refused by both. Neither
// guards against a directory that is moved elsewhere meanwhile: the caller compares (dev, ino) with
// what it opened first. Callers pass plain components only (lh_name_check), so ".." never comes
// here.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "file/tree_internal.h"

#define DIRECTORY_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int lh_resolve_openat2(int base_fd, const char *path, int *out_fd)
{
    struct open_how how = {
        .flags = DIRECTORY_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    if (strlen(path) >= PATH_MAX)
        return ENAMETOOLONG;
    do {
        fd = syscall(SYS_openat2, base_fd, path, &how, sizeof how);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    *out_fd = (int)fd;
    return 0;
}

// Opens the component of `len` bytes at `component` below `fd`.
static int step(int fd, const char *component, size_t len, int *out_fd)
{
    char name[LH_NAME_MAX + 1];
    int flags = DIRECTORY_FLAGS & ~(LH_GUARD(WALK_NOFOLLOW, true) ? 0 : O_NOFOLLOW);
    int next;
    if (len == 0 || len > LH_NAME_MAX)
        return EINVAL;
    memcpy(name, component, len);
    name[len] = '\0';
    do {
        next = openat(fd, name, flags);
    } while (next < 0 && errno == EINTR);
    if (next < 0)
        return errno;
    *out_fd = next;
    return 0;
}

int lh_resolve_walk(int base_fd, const char *path, int *out_fd)
{
    int fd = base_fd;
    for (;;) {
        const char *slash = strchrnul(path, '/');
        int next = -1;
        int error = step(fd, path, (size_t)(slash - path), &next);
        if (fd != base_fd)
            (void)close(fd);
        if (error != 0)
            return error;
        fd = next;
        if (*slash == '\0')
            break;
        path = slash + 1;
    }
    *out_fd = fd;
    return 0;
}
