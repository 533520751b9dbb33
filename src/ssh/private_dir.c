// SPDX-License-Identifier: Apache-2.0
//
// ssh is to run our helpers by a path that needs no quoting in its configuration and that names the
// very program that runs now. So: a folder that nobody else can enter, with links to
// /proc/self/exe's target. What a killed process leaves there is a few links and a dead socket, no
// secret.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ssh/helper.h"
#include "ssh/ssh_internal.h"

static const char *const names[] = {LH_HELPER_KNOWN_HOSTS, LH_HELPER_ASKPASS, LH_SSH_DIR_SEEN,
                                    LH_SSH_DIR_SOCKET};

char *lh_ssh_dir_file(const char *dir, const char *name, char *out, size_t room)
{
    (void)snprintf(out, room, "%s/%s", dir, name);
    return out;
}

// Whether `path` can stand in an option of ssh as it is, and leaves room for our names.
static bool is_plain(const char *path)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./";
    return path[0] == '/' && strlen(path) < LH_SSH_DIR_MAX - 16 &&
           strspn(path, plain) == strlen(path);
}

// The user's own run-time folder where there is one, for it is on tmpfs and closed to others.
static const char *parent_dir(void)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    struct stat about;

    if (dir != NULL && is_plain(dir) && stat(dir, &about) == 0 && S_ISDIR(about.st_mode) &&
        about.st_uid == geteuid() && (about.st_mode & 077) == 0)
        return dir;
    dir = getenv("TMPDIR");
    if (dir != NULL && is_plain(dir) && access(dir, W_OK | X_OK) == 0)
        return dir;
    return "/tmp";
}

lh_err lh_ssh_dir_make(struct lh_ssh_dir *dir, struct lh_errinfo *info)
{
    char self[PATH_MAX];
    char link[LH_SSH_DIR_MAX + 32];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (len <= 0)
        return lh_fail_errno(info, errno, 12, "cannot find out which program this is");
    self[len] = '\0';
    (void)snprintf(dir->path, sizeof dir->path, "%s/lhcp.XXXXXX", parent_dir());
    if (mkdtemp(dir->path) == NULL) {
        int saved = errno;
        lh_err err = lh_fail_errno(info, saved, 12, "cannot make a private folder %s", dir->path);
        dir->path[0] = '\0';
        return err;
    }
    for (size_t i = 0; i < 2; i++) {
        if (symlink(self, lh_ssh_dir_file(dir->path, names[i], link, sizeof link)) != 0) {
            int saved = errno;
            lh_ssh_dir_remove(dir);
            return lh_fail_errno(info, saved, 12, "cannot make a link in a private folder");
        }
    }
    return 0;
}

void lh_ssh_dir_remove(struct lh_ssh_dir *dir)
{
    char path[LH_SSH_DIR_MAX + 32];

    if (dir->path[0] == '\0')
        return;
    for (size_t i = 0; i < LH_ARRAY_LEN(names); i++)
        (void)unlink(lh_ssh_dir_file(dir->path, names[i], path, sizeof path));
    (void)rmdir(dir->path);
    dir->path[0] = '\0';
}
