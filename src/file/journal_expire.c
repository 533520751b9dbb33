// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each command has a journal of its own, and most commands are never given again. So
// whoever opens a journal removes those that nobody has opened for LH_JOURNAL_DAYS_MAX days. "Now"
// is the time that the file system gave the journal just opened, so that the two clocks of a
// network file system are not compared.
//
// A journal is removed only under its own lock: one that is at work stays. Who opened the file but
// had not locked it yet finds that the name is gone and begins anew (journal.c, "lock").
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "file/journal_internal.h"

#define ID_DIGITS   32
#define DAY_SECONDS ((int64_t)24 * 60 * 60)

// A journal, one that was set aside, or the rest of a compaction.
static bool is_journal_name(const char *name)
{
    static const char *const endings[] = {".journal", ".journal.aside", ".journal.new"};
    if (strspn(name, "0123456789abcdef") != ID_DIGITS)
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcmp(name + ID_DIGITS, endings[i]) == 0)
            return true;
    return false;
}

static bool is_old(const struct stat *found, int64_t now)
{
    return S_ISREG(found->st_mode) && found->st_uid == geteuid() &&
           (int64_t)found->st_mtim.tv_sec < now - LH_JOURNAL_DAYS_MAX * DAY_SECONDS;
}

static void remove_if_idle(int dir_fd, const char *name, int64_t now)
{
    struct stat held, named;
    int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 && is_old(&held, now) &&
        fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == held.st_ino &&
        named.st_dev == held.st_dev)
        (void)unlinkat(dir_fd, name, 0);
    (void)close(fd);
}

void lh_journals_expire(int dir_fd, int journal_fd)
{
    struct stat found;
    if (futimens(journal_fd, NULL) != 0 || fstat(journal_fd, &found) != 0)
        return;
    int64_t now = found.st_mtim.tv_sec;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (is_journal_name(entry->d_name) &&
            fstatat(dir_fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 && is_old(&found, now))
            remove_if_idle(dir_fd, entry->d_name, now);
    (void)closedir(stream);
}
