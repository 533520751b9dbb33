// SPDX-License-Identifier: Apache-2.0
//
// How it works. The path is taken component by component from "/", each opened O_NOFOLLOW below the
// one before. Where a component is a symlink that root or we own, its target takes its place in
// front of the rest of the path; at most LINKS_MAX times. So no symlink of another user is ever
// followed, not even one that is swapped in meanwhile.
#include "file/state.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"

#define LINKS_MAX 40 // as Linux allows in one path

struct walk {
    int fd;                          // where we are
    unsigned links;                  // followed so far
    char rest[2 * LH_PATH_TEXT_MAX]; // what is still to be walked
    struct lh_errinfo *info;
    const char *path; // as given, for messages
};

static lh_err fail_sys(const struct walk *walk, int error)
{
    return lh_fail_errno(walk->info, error, 0, "cannot use directory %.140s", walk->path);
}

static int move_to(struct walk *walk, int fd)
{
    if (fd < 0)
        return errno;
    (void)close(walk->fd);
    walk->fd = fd;
    return 0;
}

// Cuts the first component off `rest`; false at the end.
static bool next_component(struct walk *walk, char out[LH_NAME_MAX + 1], bool *out_too_long)
{
    size_t skip = strspn(walk->rest, "/");
    size_t len = strcspn(walk->rest + skip, "/");
    *out_too_long = len > LH_NAME_MAX;
    if (len == 0 || *out_too_long)
        return false;
    memcpy(out, walk->rest + skip, len);
    out[len] = '\0';
    memmove(walk->rest, walk->rest + skip + len, strlen(walk->rest + skip + len) + 1);
    return true;
}

// Puts the target of the symlink `name` in front of the rest.
static lh_err follow(struct walk *walk, const char *name)
{
    char target[LH_PATH_TEXT_MAX];
    struct stat link;
    size_t rest_len = strlen(walk->rest);
    int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_sys(walk, errno);
    ssize_t len = readlinkat(fd, "", target, sizeof target - 1);
    int error = len < 0 || fstat(fd, &link) != 0 ? errno : 0;
    (void)close(fd);
    if (error != 0)
        return fail_sys(walk, error == ENOENT ? ENOTDIR : error); // ENOENT: no symlink after all
    if (LH_GUARD(LINK_OWNER, link.st_uid != 0 && link.st_uid != geteuid()))
        return lh_fail(walk->info, LH_E_PATH, 0, "%.120s: a symlink of another user on the way",
                       walk->path);
    if (++walk->links > LINKS_MAX || (size_t)len + 1 + rest_len >= sizeof walk->rest)
        return fail_sys(walk, ELOOP);
    memmove(walk->rest + len + 1, walk->rest, rest_len + 1);
    memcpy(walk->rest, target, (size_t)len);
    walk->rest[len] = '/';
    if (target[0] != '/')
        return LH_OK;
    error = move_to(walk, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return error != 0 ? fail_sys(walk, error) : LH_OK;
}

static lh_err step(struct walk *walk, const char *name)
{
    // O_PATH for the way, which may go through directories that we can search but not read.
    int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(walk->fd, name, flags);
    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(walk->fd, name, 0700) != 0 && errno != EEXIST)
            return fail_sys(walk, errno);
        fd = openat(walk->fd, name, flags);
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return follow(walk, name);
    int error = move_to(walk, fd);
    return error != 0 ? fail_sys(walk, error) : LH_OK;
}

// What the walk ended at must be ours alone.
static lh_err take_over(struct walk *walk, int *out_fd)
{
    struct stat found;
    int error = move_to(walk, openat(walk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (error != 0 || fstat(walk->fd, &found) != 0)
        return fail_sys(walk, error != 0 ? error : errno);
    if (LH_GUARD(STATE_OWNER, found.st_uid != geteuid()))
        return lh_fail(walk->info, LH_E_PATH, 0, "%.120s: belongs to another user (uid %u)",
                       walk->path, (unsigned)found.st_uid);
    if ((found.st_mode & 022) != 0 && fchmod(walk->fd, found.st_mode & 0755) != 0)
        return fail_sys(walk, errno);
    *out_fd = walk->fd;
    walk->fd = -1;
    return LH_OK;
}

lh_err lh_owned_dir_open(const char *path, int *out_fd, struct lh_errinfo *info)
{
    struct walk walk = {.info = info, .path = path};
    char name[LH_NAME_MAX + 1];
    bool too_long = false;
    lh_err err = LH_OK;
    size_t len = strnlen(path, LH_PATH_TEXT_MAX);
    if (path[0] != '/' || len == LH_PATH_TEXT_MAX)
        return lh_fail(info, LH_E_PATH, 0, "%.120s: not an absolute path, or too long", path);
    memcpy(walk.rest, path, len + 1);
    walk.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (walk.fd < 0)
        return fail_sys(&walk, errno);
    while (err == 0 && next_component(&walk, name, &too_long))
        err = step(&walk, name);
    if (err == 0 && too_long)
        err = fail_sys(&walk, ENAMETOOLONG);
    if (err == 0)
        err = take_over(&walk, out_fd);
    if (walk.fd >= 0)
        (void)close(walk.fd);
    return err;
}

lh_err lh_state_dir(char *out, size_t room, struct lh_errinfo *info)
{
    const char *base = getenv("XDG_STATE_HOME");
    const char *below = "";
    int fd = -1;
    if (base == NULL || base[0] != '/') { // a relative one is invalid, says the XDG specification
        const struct passwd *user = NULL;
        base = getenv("HOME");
        if (base == NULL || base[0] != '/')
            user = getpwuid(geteuid());
        if (user != NULL)
            base = user->pw_dir;
        below = "/.local/state";
    }
    if (base == NULL || base[0] != '/')
        return lh_fail(info, LH_E_PATH, 0, "no home directory: set HOME or XDG_STATE_HOME");
    int len = snprintf(out, room, "%s%s/longhaul", base, below);
    if (len < 0 || (size_t)len >= room)
        return lh_fail(info, LH_E_PATH, 0, "%.120s: path too long", base);
    lh_err err = lh_owned_dir_open(out, &fd, info);
    if (err != 0)
        return err;
    (void)close(fd);
    return LH_OK;
}
