// SPDX-License-Identifier: Apache-2.0
//
// Linked into the programs in ThreadSanitizer builds only.
//
// ThreadSanitizer follows descriptors: it takes making and closing one as writes, and using it as a
// read. It knows open, socket and pipe, but not openat and openat2, from which all our files come;
// so a number that was closed as a socket and given out again as a file looks like a race of the
// file's user with the socket's maker. These definitions take the place of its own and do nothing
// but the system call: it then sees no making and no closing, and has nothing to mistake. What it
// says of memory, locks and threads is untouched; order that came from a descriptor alone (a byte
// through a pipe) is no longer seen, and our code does not rely on it.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_SIGSET_BYTES 8 // what the kernel calls a signal set

int close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

int closedir(DIR *dir)
{
    int (*of_libc)(DIR *);
    void *found = dlsym(RTLD_NEXT, "closedir");
    memcpy(&of_libc, &found, sizeof of_libc);
    return of_libc(dir);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int dup2(int from, int to)
{
    return (int)syscall(SYS_dup2, from, to);
}

int pipe2(int fds[2], int flags)
{
    return (int)syscall(SYS_pipe2, fds, flags);
}

int socket(int domain, int type, int protocol)
{
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return (int)syscall(SYS_connect, fd, address, len);
}

int bind(int fd, const struct sockaddr *address, socklen_t len)
{
    return (int)syscall(SYS_bind, fd, address, len);
}

int listen(int fd, int backlog)
{
    return (int)syscall(SYS_listen, fd, backlog);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return (int)syscall(SYS_accept4, fd, address, len, flags);
}

int epoll_create1(int flags)
{
    return (int)syscall(SYS_epoll_create1, flags);
}

int eventfd(unsigned int value, int flags)
{
    return (int)syscall(SYS_eventfd2, value, flags);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
    return (int)syscall(SYS_signalfd4, fd, mask, (size_t)KERNEL_SIGSET_BYTES, flags);
}
