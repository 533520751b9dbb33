// SPDX-License-Identifier: Apache-2.0
//
// How it works. The state directory holds
//   record       what is under way and what was there before (sshdcfg/ritual.h); replaced by rename
//   before       the record of the run before, until the new one has changed something
//   lock         held (fcntl) by the command at work; the kernel names its holder and lets go of it
//                when that dies
//   timer.lock   held by the timer as long as it lives
//   ID/          a folder a run: copies of every file in each of its texts, the key of the proof
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "sshdapply/tree.h"
#include "sshdritual/ritual_internal.h"
#include "sys/clock.h"

#define LOCK_TRIES 200 // of 100 ms

void lh_store_path(const struct lh_ritual *ritual, const char *name, char out[LH_RITUAL_PATH])
{
    (void)snprintf(out, LH_RITUAL_PATH, "%s/%s", ritual->options->state, name);
}

void lh_run_path(const struct lh_ritual *ritual, const char *name, char out[LH_RITUAL_PATH])
{
    (void)snprintf(out, LH_RITUAL_PATH, "%s/%s/%s", ritual->options->state, ritual->record->id,
                   name);
}

// --- Directory and locks ---

// Makes a directory and those above it.
static int make_directories(const char *path)
{
    char part[LH_RITUAL_PATH];

    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    return mkdir(part, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

int lh_store_lock(const struct lh_ritual *ritual, const char *name)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[LH_RITUAL_PATH];

    lh_store_path(ritual, name, path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && fcntl(fd, F_SETLK, &lock) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

pid_t lh_store_holder(const struct lh_ritual *ritual, const char *name)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[LH_RITUAL_PATH];

    lh_store_path(ritual, name, path);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    bool asked = fcntl(fd, F_GETLK, &lock) == 0;
    (void)close(fd);
    return asked && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

lh_err lh_store_open(struct lh_ritual *ritual, bool create)
{
    const struct timespec pause = {.tv_nsec = (long)(100 * LH_MS)};
    const char *state = ritual->options->state;
    struct stat facts;

    ritual->lock_fd = -1;
    ritual->record = calloc(1, sizeof *ritual->record);
    if (ritual->record == NULL)
        return LH_E_NOMEM;
    if (create && make_directories(state) != 0)
        return lh_fail_errno(ritual->info, errno, 0, "cannot make %s", state);
    if (lstat(state, &facts) != 0)
        return errno == ENOENT ? LH_NONE
                               : lh_fail_errno(ritual->info, errno, 0, "cannot look at %s", state);
    if (LH_GUARD(RITUAL_STATE_OWNER, !S_ISDIR(facts.st_mode) || facts.st_uid != geteuid() ||
                                         (facts.st_mode & 022) != 0))
        return lh_fail(ritual->info, LH_E_PATH, 0,
                       "%s must be a directory of root that nobody else can write to", state);
    // The timer, or a command that is just ending: whoever wants to confirm or go back waits for
    // it.
    for (unsigned tries = create ? 1 : LOCK_TRIES; tries > 0; tries--) {
        ritual->lock_fd = lh_store_lock(ritual, "lock");
        if (ritual->lock_fd >= 0)
            return 0;
        if (tries > 1 && (errno == EAGAIN || errno == EACCES))
            (void)nanosleep(&pause, NULL);
    }
    if (errno == EAGAIN || errno == EACCES)
        return lh_fail(ritual->info, LH_E_BUSY, 0,
                       "another lhctl sshd (process %d) is at work with %s",
                       (int)lh_store_holder(ritual, "lock"), state);
    return lh_fail_errno(ritual->info, errno, 0, "cannot lock %s", state);
}

void lh_store_close(struct lh_ritual *ritual)
{
    if (ritual->lock_fd >= 0)
        (void)close(ritual->lock_fd);
    ritual->lock_fd = -1;
    free(ritual->record);
    ritual->record = NULL;
}

// --- The record ---

static lh_err load(struct lh_ritual *ritual, const char *name)
{
    char path[LH_RITUAL_PATH];
    struct stat facts;
    char *text;
    size_t len;

    *ritual->record = (struct lh_record){0};
    lh_store_path(ritual, name, path);
    if (lstat(path, &facts) != 0 && errno == ENOENT)
        return 0;
    lh_err err = lh_root_read("/", path, LH_RECORD_TEXT_MAX, &text, &len, ritual->info);
    if (err != 0)
        return err;
    err = lh_record_parse(text, len, ritual->record);
    free(text);
    if (err == LH_E_INVALID)
        return lh_fail(ritual->info, LH_E_CORRUPT, 0,
                       "%s is damaged: the copies of the old files are in the folders beside it",
                       path);
    return err;
}

lh_err lh_store_load(struct lh_ritual *ritual)
{
    return load(ritual, "record");
}

static lh_err save(struct lh_ritual *ritual, const char *name)
{
    char path[LH_RITUAL_PATH], fresh[LH_RITUAL_PATH];
    char *text;
    size_t len;

    lh_err err = lh_record_print(ritual->record, &text, &len);
    if (err != 0)
        return lh_fail(ritual->info, err, 0, "the record cannot be written: %s", lh_err_name(err));
    lh_store_path(ritual, name, path);
    lh_store_path(ritual, "record.new", fresh);
    err = lh_place_write(&(struct lh_place){.path = fresh,
                                            .text = text,
                                            .len = len,
                                            .uid = geteuid(),
                                            .gid = getegid(),
                                            .mode = 0600},
                         ritual->info);
    free(text);
    if (err == 0 && rename(fresh, path) != 0)
        err = lh_fail_errno(ritual->info, errno, 0, "cannot rename %s", fresh);
    if (err == 0)
        err = lh_place_sync_folder(path, ritual->info);
    return err;
}

lh_err lh_store_save(struct lh_ritual *ritual, enum lh_ritual_phase phase)
{
    enum lh_ritual_phase before = ritual->record->phase;

    ritual->record->phase = phase;
    lh_err err = save(ritual, "record");
    if (err != 0)
        ritual->record->phase = before;
    return err;
}

lh_err lh_store_remember(struct lh_ritual *ritual)
{
    return ritual->record->phase == LH_RITUAL_NONE ? 0 : save(ritual, "before");
}

bool lh_store_recall(struct lh_ritual *ritual)
{
    char before[LH_RITUAL_PATH], path[LH_RITUAL_PATH];

    lh_store_path(ritual, "before", before);
    lh_store_path(ritual, "record", path);
    bool recalled = rename(before, path) == 0;
    if (!recalled)
        (void)unlink(path);
    (void)!lh_place_sync_folder(path, NULL);
    return recalled;
}

void lh_store_forget_old(struct lh_ritual *ritual)
{
    struct lh_ritual old = *ritual;
    char before[LH_RITUAL_PATH];

    old.info = NULL;
    old.record = calloc(1, sizeof *old.record);
    if (old.record != NULL && load(&old, "before") == 0 && old.record->phase != LH_RITUAL_NONE &&
        strcmp(old.record->id, ritual->record->id) != 0)
        lh_store_remove_folder(ritual, old.record->id);
    free(old.record);
    lh_store_path(ritual, "before", before);
    (void)unlink(before);
}

// --- Time ---

static void read_boot_id(char out[40])
{
    char *text;
    size_t len;

    out[0] = '\0';
    if (lh_root_read("/", "/proc/sys/kernel/random/boot_id", 100, &text, &len, NULL) != 0)
        return;
    (void)snprintf(out, 40, "%.*s", (int)strcspn(text, "\n"), text);
    free(text);
}

bool lh_store_expired(const struct lh_ritual *ritual)
{
    char boot[40];

    read_boot_id(boot);
    return strcmp(boot, ritual->record->boot) != 0 || lh_clock_boot() >= ritual->record->deadline;
}

void lh_store_set_deadline(struct lh_ritual *ritual, unsigned seconds)
{
    read_boot_id(ritual->record->boot);
    ritual->record->deadline = lh_clock_boot() + seconds * LH_SECOND;
}

// --- Folders of runs ---

lh_err lh_store_make_folder(struct lh_ritual *ritual)
{
    char path[LH_RITUAL_PATH];

    lh_store_path(ritual, ritual->record->id, path);
    if (mkdir(path, 0700) != 0)
        return lh_fail_errno(ritual->info, errno, 0, "cannot make %s", path);
    return 0;
}

void lh_store_remove_folder(const struct lh_ritual *ritual, const char *id)
{
    char path[LH_RITUAL_PATH];
    struct dirent *entry;

    if (strlen(id) != 32) // never the state directory itself
        return;
    lh_store_path(ritual, id, path);
    DIR *folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder != NULL)
        (void)closedir(folder);
    (void)rmdir(path);
}
