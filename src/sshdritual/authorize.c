// SPDX-License-Identifier: Apache-2.0
//
// How it works. A line is put at the head of a file of authorized keys and taken out again. The
// file lies in a folder that a user may own and change at any time, so all of it is done by a child
// process with the rights of that folder's owner: what the user could not do cannot be done to
// others through the user's links.
//
// The file as it was stays beside the new one as a second link; taking the line out is renaming it
// back, which needs no space on the disk. Where somebody has changed the file meanwhile, the lines
// that end in our mark are taken out of it instead, and every other byte stays. Both names hold the
// record's id, so that what a killed run left is known and removed.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdritual/ritual_internal.h"

#define KEYS_FILE_MAX ((size_t)4 << 20)

void lh_authorize_mark(const struct lh_ritual *ritual, char out[64])
{
    (void)snprintf(out, 64, "lhctl-proof-%s", ritual->record->id);
}

struct edit {
    const char *path; // without symbolic links
    const char *line; // to be added; NULL: lines with the mark are taken out
    char mark[64];
    char temporary[80]; // the new file until it is renamed
    char original[80];  // the file as it was
};

// --- In the child ---

static char *read_all(int fd, size_t size, size_t *out_len)
{
    char *text = size > KEYS_FILE_MAX ? NULL : malloc(size + 1);
    size_t len = 0;
    ssize_t got = 1;

    while (text != NULL && len < size && (got = read(fd, text + len, size - len)) > 0)
        len += (size_t)got;
    *out_len = len;
    return text;
}

// Takes out every line that ends in the mark. Whether there was one.
static bool take_out(char *text, size_t *len, const char *mark)
{
    size_t mark_len = strlen(mark), kept = 0;

    for (size_t at = 0; at < *len;) {
        const char *end = memchr(text + at, '\n', *len - at);
        size_t part = end == NULL ? *len - at : (size_t)(end - (text + at)) + 1;
        size_t body = part - (end != NULL);
        bool ours = body > mark_len && memcmp(text + at + body - mark_len, mark, mark_len) == 0;
        if (!ours) {
            memmove(text + kept, text + at, part);
            kept += part;
        }
        at += part;
    }
    bool found = kept != *len;
    *len = kept;
    return found;
}

static bool put(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, text, len);
        if (done <= 0)
            return false;
        text += done;
        len -= (size_t)done;
    }
    return true;
}

static char *read_file(int folder, const char *name, struct stat *facts, size_t *out_len)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    char *text = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, facts) != 0)
        errno = EIO;
    else if (!S_ISREG(facts->st_mode))
        errno = ELOOP;
    else if ((text = read_all(fd, (size_t)facts->st_size, out_len)) == NULL)
        errno = ENOMEM;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return text;
}

// Renames the original back, if the file holds nothing but it and our line. False where it does
// not.
static bool put_original_back(
    int folder, const char *name, const struct edit *edit, const char *text, size_t len)
{
    struct stat facts;
    size_t original_len;
    char *original = read_file(folder, edit->original, &facts, &original_len);

    const char *end = memchr(text, '\n', len);
    size_t line = end == NULL ? len : (size_t)(end - text) + 1;
    bool same = original != NULL && len - line == original_len &&
                memcmp(text + line, original, original_len) == 0;
    free(original);
    return same && renameat(folder, edit->original, folder, name) == 0 && fsync(folder) == 0;
}

static int replace(int folder,
                   const char *name,
                   const struct edit *edit,
                   const struct stat *facts,
                   const char *text,
                   size_t len)
{
    size_t line_len = edit->line == NULL ? 0 : strlen(edit->line);

    int fd =
        openat(folder, edit->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    bool good = put(fd, edit->line, line_len) && put(fd, text, len) &&
                fchown(fd, facts->st_uid, facts->st_gid) == 0 &&
                fchmod(fd, facts->st_mode & 07777) == 0 && fsync(fd) == 0 &&
                renameat(folder, edit->temporary, folder, name) == 0 && fsync(folder) == 0;
    int saved = good ? 0 : errno;
    if (!good)
        (void)unlinkat(folder, edit->temporary, 0);
    (void)close(fd);
    return saved;
}

static int add_line(int folder,
                    const char *name,
                    const struct edit *edit,
                    const struct stat *facts,
                    char *text,
                    size_t len)
{
    (void)take_out(text, &len, edit->mark);
    (void)unlinkat(folder, edit->original, 0);
    if (linkat(folder, name, folder, edit->original, 0) != 0)
        return errno;
    int failed = replace(folder, name, edit, facts, text, len);
    if (failed != 0)
        (void)unlinkat(folder, edit->original, 0);
    return failed;
}

static int remove_line(int folder,
                       const char *name,
                       const struct edit *edit,
                       const struct stat *facts,
                       char *text,
                       size_t len)
{
    size_t kept = len;
    char *copy = malloc(len + 1);

    if (copy == NULL)
        return ENOMEM;
    memcpy(copy, text, len);
    bool found = take_out(copy, &kept, edit->mark);
    int failed = 0;
    if (found && !put_original_back(folder, name, edit, text, len))
        failed = replace(folder, name, edit, facts, copy, kept);
    if (failed == 0)
        (void)unlinkat(folder, edit->original, 0);
    return failed;
}

// Takes the rights of the folder's owner, for good.
static bool become(const struct stat *folder)
{
    return folder->st_uid == 0 || (setgroups(0, NULL) == 0 &&
                                   setresgid(folder->st_gid, folder->st_gid, folder->st_gid) == 0 &&
                                   setresuid(folder->st_uid, folder->st_uid, folder->st_uid) == 0);
}

// 0, or an errno.
static int edit_in_child(const struct edit *edit)
{
    char parent[LH_RITUAL_PATH];
    struct stat facts;
    size_t len;

    (void)snprintf(parent, sizeof parent, "%s", edit->path);
    char *name = strrchr(parent, '/');
    if (name == NULL || name == parent)
        return EINVAL;
    *name++ = '\0';
    int folder = open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return errno == ENOENT && edit->line == NULL ? 0 : errno;
    if (fstat(folder, &facts) != 0 || LH_GUARD(AUTHORIZE_RIGHTS, !become(&facts)))
        return errno == 0 ? EPERM : errno;
    (void)unlinkat(folder, edit->temporary, 0);
    char *text = read_file(folder, name, &facts, &len);
    if (text == NULL)
        return errno == ENOENT && edit->line == NULL ? 0 : errno;
    return edit->line != NULL ? add_line(folder, name, edit, &facts, text, len)
                              : remove_line(folder, name, edit, &facts, text, len);
}

// --- In the parent ---

static int run_edit(const struct lh_ritual *ritual, struct edit *edit)
{
    int status = 0;

    lh_authorize_mark(ritual, edit->mark);
    (void)snprintf(edit->temporary, sizeof edit->temporary, ".lhctl-%s", ritual->record->id);
    (void)snprintf(edit->original, sizeof edit->original, ".lhctl-%s.old", ritual->record->id);
    pid_t child = fork();
    if (child < 0)
        return errno;
    if (child == 0)
        _exit(edit_in_child(edit));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

lh_err lh_authorize_add(struct lh_ritual *ritual, const char *path, const char *line)
{
    struct edit edit = {.path = path, .line = line};

    int failed = run_edit(ritual, &edit);
    return failed == 0 ? 0
                       : lh_fail_errno(ritual->info, failed, 0, "cannot put a key into %s", path);
}

void lh_authorize_remove_all(struct lh_ritual *ritual)
{
    struct lh_record *record = ritual->record;
    size_t kept = 0;

    for (size_t i = 0; i < record->key_count; i++) {
        struct edit edit = {.path = record->keys[i].path};
        int failed = run_edit(ritual, &edit);
        if (failed == 0)
            continue;
        lh_ritual_say(
            ritual, LH_RITUAL_BAD,
            "the key of the proof could not be removed from %s: %s; it expires by itself, "
            "and the next lhctl sshd tries again",
            edit.path, strerror(failed));
        if (kept != i)
            record->keys[kept] = record->keys[i];
        kept++;
    }
    if (kept < record->key_count)
        memset(&record->keys[kept], 0, (record->key_count - kept) * sizeof record->keys[0]);
    record->key_count = kept;
}
