// SPDX-License-Identifier: Apache-2.0
//
// How it works. A partial is known by its directory's node and by (dev, ino), never by its name
// alone: before we rename or remove the name, it must still be our inode, and one that a journal
// names must also be ours by owner, mode and link count. So a file that somebody put in its place
// is left alone, and never becomes the target.
//
// There is an instant between that check and the rename in which someone who may write into the
// directory could swap the name. He could as well swap the target afterwards; nothing outside the
// directory is ever reached.
//
// Order in commit: size, then mode (the data is whole by now), then times (which the earlier steps
// would spoil), then the name. The caller has verified the digests before.
#include "file/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/math.h"
#include "base/text.h"
#include "file/partial_internal.h"
#include "file/tree_internal.h"

_Static_assert(LH_PARTIAL_NAME_LEN == LH_TEMP_NAME_LEN, "a partial's name is a temporary name");

#define PREALLOCATE_MIN LH_SMALL_FILE_MAX
#define CREATE_TRIES    4 // 132 random bits: a second try is never needed unless someone plays

bool lh_partial_is_name(const char *name)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return strncmp(name, ".lh-", 4) == 0 &&
           strnlen(name, LH_PARTIAL_NAME_LEN + 1) == LH_PARTIAL_NAME_LEN &&
           strspn(name + 4, digits) == LH_PARTIAL_NAME_LEN - 4;
}

// --- Room ---

static lh_err
fail_room(uint64_t size, uint64_t room, const struct lh_dir *dir, struct lh_errinfo *info)
{
    char needed[32];
    char there[32];
    char path[96];
    return lh_fail_errno(info, ENOSPC, 0, "%s: %s (%llu bytes) needed, %s (%llu bytes) free",
                         lh_dir_path(dir, NULL, path, sizeof path),
                         lh_format_bytes(size, needed, sizeof needed), (unsigned long long)size,
                         lh_format_bytes(room, there, sizeof there), (unsigned long long)room);
}

// Looks before it allocates: a claim of terabytes shall not fill the disk first and fail then.
static lh_err preallocate(struct lh_partial *partial, uint64_t size, struct lh_errinfo *info)
{
    struct statfs fs = {0};
    int error;
    if (size > INT64_MAX)
        return lh_fail(info, LH_E_LIMIT, 0, "a file of more than 2^63 bytes");
    if (size <= PREALLOCATE_MIN || fstatfs(partial->fd, &fs) != 0)
        return LH_OK;
    uint64_t room = lh_muldiv((uint64_t)fs.f_bavail, (uint64_t)fs.f_bsize, 1);
    if (fs.f_blocks > 0 && size > room)
        return fail_room(size, room, partial->dir, info);
    if ((unsigned long)fs.f_type == TMPFS_MAGIC)
        return LH_OK;
    do {
        error = fallocate(partial->fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
    } while (error == EINTR);
    if (error == EOPNOTSUPP || error == ENOSYS || error == EINVAL)
        return LH_OK;
    if (error == ENOSPC || error == EDQUOT)
        return fail_room(size, room, partial->dir, info);
    if (error != 0)
        return lh_fail_errno(info, error, 0, "cannot preallocate %llu bytes",
                             (unsigned long long)size);
    return LH_OK;
}

// --- Life ---

int lh_temp_create(const struct lh_dir *dir,
                   int dir_fd,
                   int extra_flags,
                   mode_t mode,
                   char name[LH_TEMP_NAME_LEN + 1],
                   int *out_fd)
{
    int error = EEXIST;
    for (int i = 0; i < CREATE_TRIES && error == EEXIST; i++) {
        lh_temp_name(dir, name);
        int fd =
            openat(dir_fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | extra_flags, mode);
        error = fd < 0 ? errno : 0;
        if (fd >= 0)
            *out_fd = fd;
    }
    return error;
}

int lh_nameless_create(int dir_fd, int access, int *out_fd)
{
    int fd = openat(dir_fd, ".", O_TMPFILE | O_CLOEXEC | access, 0600);
    if (fd >= 0) {
        *out_fd = fd;
        return 0;
    }
    // Kernels and file systems without O_TMPFILE see an attempt to write to a directory.
    return errno == EISDIR || errno == ENOENT ? EOPNOTSUPP : errno;
}

int lh_nameless_link(int fd, int dir_fd, const char *name)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return errno == ENOENT ? EOPNOTSUPP : errno; // no /proc here
}

static lh_err
examine_new(struct lh_partial *made, struct lh_dir *dir, uint64_t size, struct lh_errinfo *info)
{
    struct stat found;
    lh_err err;
    made->dir = lh_dir_ref(dir);
    if (fstat(made->fd, &found) != 0) {
        err = lh_dir_fail(info, errno, dir, made->name, "cannot examine");
        lh_partial_close(made);
        return err;
    }
    made->dev = found.st_dev;
    made->ino = found.st_ino;
    err = preallocate(made, size, info);
    if (err != 0)
        lh_partial_discard(made);
    return err;
}

lh_err lh_partial_create_nameless(struct lh_partial *partial,
                                  struct lh_dir *dir,
                                  uint64_t size,
                                  struct lh_errinfo *info)
{
    struct lh_partial made = LH_PARTIAL_NULL;
    int dir_fd;

    LH_ASSERT(partial->fd < 0);
    lh_err err = lh_dir_pin(dir, &dir_fd, info);
    if (err != 0)
        return err;
    made.is_nameless = true;
    lh_temp_name(dir, made.name);
    int error = lh_nameless_create(dir_fd, O_RDWR, &made.fd);
    if (error == EOPNOTSUPP) {
        made.is_nameless = false;
        error = lh_temp_create(dir, dir_fd, O_RDWR, 0600, made.name, &made.fd);
    }
    lh_dir_unpin(dir);
    if (error != 0)
        return lh_dir_fail(info, error, dir, NULL, "cannot create a file in");
    err = examine_new(&made, dir, size, info);
    if (err == 0)
        *partial = made;
    return err;
}

lh_err lh_partial_link(struct lh_partial *partial, struct lh_errinfo *info)
{
    int dir_fd;

    LH_ASSERT(partial->fd >= 0);
    if (!partial->is_nameless)
        return LH_OK;
    lh_err err = lh_dir_pin(partial->dir, &dir_fd, info);
    if (err != 0)
        return err;
    int error = lh_nameless_link(partial->fd, dir_fd, partial->name);
    lh_dir_unpin(partial->dir);
    if (error != 0)
        return lh_dir_fail(info, error, partial->dir, partial->name, "cannot name");
    partial->is_nameless = false;
    return LH_OK;
}

lh_err lh_partial_create(struct lh_partial *partial,
                         struct lh_dir *dir,
                         uint64_t size,
                         struct lh_errinfo *info)
{
    lh_err err = lh_partial_create_nameless(partial, dir, size, info);
    if (err != 0)
        return err;
    err = lh_partial_link(partial, info);
    if (err != 0)
        lh_partial_discard(partial);
    return err;
}

static bool is_ours(const struct stat *found, dev_t dev, ino_t ino)
{
    return S_ISREG(found->st_mode) && found->st_dev == dev && found->st_ino == ino &&
           found->st_nlink == 1 && found->st_uid == geteuid() && (found->st_mode & 07777) == 0600;
}

lh_err lh_partial_reopen(struct lh_partial *partial,
                         struct lh_dir *dir,
                         const char *name,
                         dev_t dev,
                         ino_t ino,
                         struct lh_errinfo *info)
{
    struct stat found;
    int dir_fd;

    LH_ASSERT(partial->fd < 0);
    if (LH_GUARD(PARTIAL_NAME, !lh_partial_is_name(name)))
        return LH_NONE;
    lh_err err = lh_dir_pin(dir, &dir_fd, info);
    if (err != 0)
        return err;
    int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    lh_dir_unpin(dir);
    if (fd < 0)
        return LH_NONE; // gone, a link, or not ours to open: foreign in any case
    if (fstat(fd, &found) != 0 || LH_GUARD(PARTIAL_OURS, !is_ours(&found, dev, ino))) {
        (void)close(fd);
        return LH_NONE;
    }
    *partial = (struct lh_partial){.dir = lh_dir_ref(dir), .fd = fd, .dev = dev, .ino = ino};
    memcpy(partial->name, name, LH_PARTIAL_NAME_LEN + 1);
    return LH_OK;
}

void lh_partial_close(struct lh_partial *partial)
{
    if (partial->fd >= 0)
        (void)close(partial->fd);
    lh_dir_unref(partial->dir);
    *partial = LH_PARTIAL_NULL;
}

// Whether the partial's name is still our inode.
static bool still_named(const struct lh_partial *partial, int dir_fd)
{
    struct stat found;
    return fstatat(dir_fd, partial->name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           found.st_dev == partial->dev && found.st_ino == partial->ino;
}

void lh_partial_discard(struct lh_partial *partial)
{
    int dir_fd;
    if (partial->dir != NULL && !partial->is_nameless &&
        lh_dir_pin(partial->dir, &dir_fd, NULL) == 0) {
        if (!LH_GUARD(DISCARD_OURS, !still_named(partial, dir_fd)))
            (void)unlinkat(dir_fd, partial->name, 0);
        lh_dir_unpin(partial->dir);
    }
    lh_partial_close(partial);
}

// --- Content ---

int lh_write_all(int fd, const void *data, size_t len, uint64_t offset)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t wrote = pwrite(fd, at, len, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return errno;
        if (wrote == 0)
            return EIO;
        at += wrote;
        len -= (size_t)wrote;
        offset += (uint64_t)wrote;
    }
    return 0;
}

lh_err lh_partial_write(struct lh_partial *partial,
                        const void *data,
                        size_t len,
                        uint64_t offset,
                        struct lh_errinfo *info)
{
    LH_ASSERT(partial->fd >= 0);
    int error = lh_write_all(partial->fd, data, len, offset);
    if (error != 0)
        return lh_dir_fail(info, error, partial->dir, partial->name, "cannot write");
    return LH_OK;
}

lh_err lh_partial_read(
    struct lh_partial *partial, void *data, size_t len, uint64_t offset, struct lh_errinfo *info)
{
    uint8_t *at = data;
    LH_ASSERT(partial->fd >= 0);
    while (len > 0) {
        ssize_t got = pread(partial->fd, at, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lh_dir_fail(info, errno, partial->dir, partial->name, "cannot read");
        if (got == 0)
            return lh_fail(info, LH_E_CORRUPT, 0, "%s is shorter than recorded", partial->name);
        at += got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return LH_OK;
}

// --- Commit ---

int lh_finish_file(int fd,
                   const struct lh_dir *dir,
                   const mode_t *mode,
                   const struct timespec times[2])
{
    mode_t wanted = mode != NULL ? *mode : 0666 & ~lh_dir_umask(dir);
    if (LH_GUARD(NO_SETID, true))
        wanted &= 0777;
    if (wanted != 0600 && fchmod(fd, wanted) != 0)
        return errno;
    if (times != NULL && futimens(fd, times) != 0)
        return errno;
    return 0;
}

lh_err
lh_rename_fail(struct lh_errinfo *info, int error, const struct lh_dir *dir, const char *name)
{
    char path[128];
    if (error == EISDIR || error == ENOTEMPTY || error == EEXIST)
        return lh_fail(info, LH_E_PATH, 0, "%s: is a directory and in the way of a file",
                       lh_dir_path(dir, name, path, sizeof path));
    return lh_dir_fail(info, error, dir, name, "cannot put in place");
}

static lh_err put_in_place(struct lh_partial *partial,
                           const char *name,
                           struct stat *out_stat,
                           struct lh_errinfo *info)
{
    struct lh_dir *dir = partial->dir;
    int dir_fd;
    lh_err err = lh_dir_pin(dir, &dir_fd, info);
    if (err != 0)
        return err;
    if (LH_GUARD(COMMIT_OURS, !still_named(partial, dir_fd)))
        err = lh_fail(info, LH_E_CHANGED, 0, "%s was replaced by somebody else", partial->name);
    else if (renameat(dir_fd, partial->name, dir_fd, name) != 0)
        err = lh_rename_fail(info, errno, dir, name);
    else if (fstat(partial->fd, out_stat) != 0) // after the rename, which changes ctime
        err = lh_dir_fail(info, errno, dir, name, "cannot examine");
    lh_dir_unpin(dir);
    return err;
}

lh_err lh_partial_commit(struct lh_partial *partial,
                         const char *name,
                         uint64_t size,
                         const mode_t *mode,
                         const struct timespec times[2],
                         struct stat *out_stat,
                         struct lh_errinfo *info)
{
    LH_ASSERT(partial->fd >= 0);
    lh_err err = lh_name_check(name, strnlen(name, LH_NAME_MAX + 1));
    if (err != 0)
        return lh_fail(info, err, 0, "%.64s: not an acceptable file name", name);
    int error = ftruncate(partial->fd, (off_t)size) == 0 ? 0 : errno;
    if (error == 0)
        error = lh_finish_file(partial->fd, partial->dir, mode, times);
    if (error != 0)
        return lh_dir_fail(info, error, partial->dir, name, "cannot set size or attributes of");
    err = lh_partial_link(partial, info);
    if (err != 0)
        return err;
    err = put_in_place(partial, name, out_stat, info);
    if (err != 0)
        return err;
    lh_partial_close(partial);
    return LH_OK;
}
