// SPDX-License-Identifier: Apache-2.0
//
// A private directory for a test, and short ways to put things into it. Every failure fails the
// test.
#ifndef LH_TESTS_TEMPDIR_H
#define LH_TESTS_TEMPDIR_H

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct tempdir {
    char path[256];
    int fd;
};

static inline void tempdir_make_in_(struct tempdir *temp, const char *parent)
{
    (void)snprintf(temp->path, sizeof temp->path, "%s/lh-test-XXXXXX", parent);
    assert_non_null(mkdtemp(temp->path));
    temp->fd = open(temp->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(temp->fd >= 0);
}

// In TMPDIR or /tmp: on a disk, most often.
static inline void tempdir_make(struct tempdir *temp)
{
    const char *parent = getenv("TMPDIR");
    tempdir_make_in_(temp, parent != NULL ? parent : "/tmp");
}

// In memory where that is possible, for tests that make thousands of entries.
static inline void tempdir_make_fast(struct tempdir *temp)
{
    bool in_memory = getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0;
    if (in_memory)
        tempdir_make_in_(temp, "/dev/shm");
    else
        tempdir_make(temp);
}

// Empties the directory `name` below `fd` without recursion: what is inside a subdirectory is moved
// up first, so that any depth does.
static inline void tempdir_clear_(int fd)
{
    unsigned number = 0;
    for (bool again = true; again;) {
        DIR *stream = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct dirent *entry;
        assert_non_null(stream);
        again = false;
        while ((entry = readdir(stream)) != NULL) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            again = true;
            if (unlinkat(fd, entry->d_name, 0) == 0 ||
                unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0)
                continue;
            int sub_fd = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            DIR *sub = sub_fd < 0 ? NULL : fdopendir(sub_fd);
            struct dirent *inner;
            while (sub != NULL && (inner = readdir(sub)) != NULL) {
                char moved[32];
                (void)snprintf(moved, sizeof moved, "~%u", number++);
                if (strcmp(inner->d_name, ".") == 0 || strcmp(inner->d_name, "..") == 0 ||
                    unlinkat(sub_fd, inner->d_name, 0) == 0)
                    continue;
                (void)!fchmodat(sub_fd, inner->d_name, 0700, 0); // it is a directory
                check_int(renameat(sub_fd, inner->d_name, fd, moved), 0);
            }
            if (sub != NULL)
                (void)closedir(sub);
            else
                (void)!fchmodat(fd, entry->d_name, 0700, 0);
        }
        (void)closedir(stream);
    }
}

static inline void tempdir_remove(struct tempdir *temp)
{
    tempdir_clear_(temp->fd);
    (void)close(temp->fd);
    check_int(rmdir(temp->path), 0);
}

static inline char *
tempdir_path(const struct tempdir *temp, const char *name, char *out, size_t room)
{
    assert_true((size_t)snprintf(out, room, "%s/%s", temp->path, name) < room);
    return out;
}

static inline void tempdir_mkdir(const struct tempdir *temp, const char *path, mode_t mode)
{
    check_int(mkdirat(temp->fd, path, mode), 0);
}

static inline void tempdir_symlink(const struct tempdir *temp, const char *target, const char *path)
{
    check_int(symlinkat(target, temp->fd, path), 0);
}

static inline void tempdir_rename(const struct tempdir *temp, const char *from, const char *to)
{
    check_int(renameat(temp->fd, from, temp->fd, to), 0);
}

static inline void tempdir_unlink(const struct tempdir *temp, const char *path)
{
    check_int(unlinkat(temp->fd, path, 0), 0);
}

static inline void
tempdir_write_bytes(const struct tempdir *temp, const char *path, const void *data, size_t len)
{
    (void)unlinkat(temp->fd, path, 0); // truncating makes ext4 wait for the disk
    int fd = openat(temp->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    check_int(write(fd, data, len), len);
    check_int(close(fd), 0);
}

static inline void tempdir_write(const struct tempdir *temp, const char *path, const char *text)
{
    tempdir_write_bytes(temp, path, text, strlen(text));
}

// Reads at most `room` bytes; returns how many. Fails the test where the file is missing.
static inline size_t
tempdir_read(const struct tempdir *temp, const char *path, void *out, size_t room)
{
    int fd = openat(temp->fd, path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, out, room);
    assert_true(got >= 0);
    check_int(close(fd), 0);
    return (size_t)got;
}

// Entries of a directory, "." and ".." not counted.
static inline size_t tempdir_count(const struct tempdir *temp, const char *path)
{
    DIR *stream = fdopendir(openat(temp->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    size_t count = 0;
    assert_non_null(stream);
    while (readdir(stream) != NULL)
        count++;
    (void)closedir(stream);
    return count - 2;
}

#endif
