// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each file has three texts: as it was, with both ports, as it will be. Before the
// first change each text is written twice: into this run's folder, and beside the file itself under
// a hidden name with the file's owner, mode and attributes. From then on every step is a rename,
// which needs no space: a full disk stops the ritual before it has begun, and never on the way
// back. Which text a file holds is told by its digest, so that each step can be done again.
//
// Hidden names begin with a dot, which the patterns of Include do not match.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "sshdapply/tree.h"
#include "sshdcfg/document.h"
#include "sshdcfg/plan.h"
#include "sshdritual/ritual_internal.h"

static const char *const endings[LH_RITUAL_TEXT_N_] = {
    [LH_RITUAL_OLD] = "old", [LH_RITUAL_TWO] = "two", [LH_RITUAL_NEW] = "new"};

// --- One file ---

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, text, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        text += done;
        len -= (size_t)done;
    }
    return true;
}

static unsigned nibble(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static bool set_xattrs(int fd, const struct lh_record_file *file)
{
    unsigned char value[sizeof file->xattrs[0].value / 2];

    for (size_t i = 0; file != NULL && i < file->xattr_count; i++) {
        const char *hex = file->xattrs[i].value;
        size_t len = strlen(hex) / 2;
        for (size_t n = 0; n < len; n++)
            value[n] = (unsigned char)(nibble(hex[2 * n]) << 4 | nibble(hex[2 * n + 1]));
        if (fsetxattr(fd, file->xattrs[i].name, value, len, 0) != 0)
            return false;
    }
    return true;
}

lh_err lh_place_write(const struct lh_place *place, struct lh_errinfo *info)
{
    if (unlink(place->path) != 0 && errno != ENOENT)
        return lh_fail_errno(info, errno, 0, "cannot remove %s", place->path);
    int fd = open(place->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot make %s", place->path);
    bool good = write_all(fd, place->text, place->len) && fchown(fd, place->uid, place->gid) == 0 &&
                fchmod(fd, place->mode) == 0 && set_xattrs(fd, place->xattrs) && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) != 0 && good) {
        saved = errno;
        good = false;
    }
    if (good)
        return 0;
    (void)unlink(place->path);
    return lh_fail_errno(info, saved, 0, "cannot write %s", place->path);
}

// The folder of a path: everything before the last slash.
static void folder_of(const char *path, char out[LH_RITUAL_PATH])
{
    (void)snprintf(out, LH_RITUAL_PATH, "%s", path);
    char *slash = strrchr(out, '/');
    LH_ASSERT(slash != NULL);
    slash[slash == out ? 1 : 0] = '\0';
}

lh_err lh_place_sync_folder(const char *path, struct lh_errinfo *info)
{
    char folder[LH_RITUAL_PATH];

    folder_of(path, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    return good ? 0 : lh_fail_errno(info, saved, 0, "cannot write %s to disk", folder);
}

static lh_err digest_of(const void *text, size_t len, char out[65])
{
    uint8_t digest[LH_SHA256_LEN];

    lh_err err = lh_sha256(text, len, digest);
    if (err == 0)
        (void)lh_format_hex(digest, sizeof digest, out);
    return err;
}

void lh_place_digest(const char *path, char out[65])
{
    struct stat facts;
    char *text;
    size_t len;

    out[0] = '\0';
    if (lstat(path, &facts) != 0 || !S_ISREG(facts.st_mode) ||
        lh_root_read("/", path, LH_SSHD_FILE_MAX, &text, &len, NULL) != 0)
        return;
    if (digest_of(text, len, out) != 0)
        out[0] = '\0';
    free(text);
}

// --- Attributes ---

static lh_err describe_xattr(struct lh_record_file *file, const char *name, struct lh_errinfo *info)
{
    uint8_t value[sizeof file->xattrs[0].value / 2];
    ssize_t len = getxattr(file->path, name, value, sizeof value);

    if (len < 0 && (errno == ENODATA || errno == ENOTSUP))
        return 0;
    if (len < 0 || file->xattr_count == LH_RECORD_XATTRS_MAX || strchr(name, ' ') != NULL ||
        strlen(name) >= sizeof file->xattrs[0].name)
        return lh_fail(info, LH_E_LIMIT, 0, "%s: the attribute %.60s cannot be kept", file->path,
                       name);
    struct lh_record_xattr *xattr = &file->xattrs[file->xattr_count++];
    (void)snprintf(xattr->name, sizeof xattr->name, "%s", name);
    (void)lh_format_hex(value, (size_t)len, xattr->value);
    return 0;
}

lh_err lh_place_describe(struct lh_ritual *ritual, size_t index)
{
    struct lh_record_file *file = &ritual->record->files[index];
    struct stat facts;
    char names[4096];
    lh_err err = 0;

    if (lstat(file->path, &facts) != 0)
        return lh_fail_errno(ritual->info, errno, 0, "cannot look at %s", file->path);
    if (!S_ISREG(facts.st_mode))
        return lh_fail(ritual->info, LH_E_PATH, 0, "%s is not an ordinary file", file->path);
    file->uid = facts.st_uid;
    file->gid = facts.st_gid;
    file->mode = facts.st_mode & 07777;
    ssize_t len = listxattr(file->path, names, sizeof names);
    for (ssize_t at = 0; err == 0 && at < len; at += (ssize_t)strlen(names + at) + 1)
        err = describe_xattr(file, names + at, ritual->info);
    return err;
}

// --- Texts ---

static void kept_path(const struct lh_ritual *ritual,
                      size_t index,
                      enum lh_ritual_text text,
                      char out[LH_RITUAL_PATH])
{
    char name[32];
    (void)snprintf(name, sizeof name, "%zu.%s", index, endings[text]);
    lh_run_path(ritual, name, out);
}

static void staged_path(const struct lh_ritual *ritual,
                        size_t index,
                        enum lh_ritual_text text,
                        char out[LH_RITUAL_PATH])
{
    char folder[LH_RITUAL_PATH];

    folder_of(ritual->record->files[index].path, folder);
    (void)snprintf(out, LH_RITUAL_PATH, "%.3900s/.lhctl-%s-%zu.%s", folder, ritual->record->id,
                   index, endings[text]);
}

lh_err lh_place_keep(
    struct lh_ritual *ritual, size_t index, enum lh_ritual_text text, const void *bytes, size_t len)
{
    char path[LH_RITUAL_PATH];

    lh_err err = digest_of(bytes, len, ritual->record->files[index].digest[text]);
    if (err != 0)
        return err;
    kept_path(ritual, index, text, path);
    return lh_place_write(&(struct lh_place){.path = path,
                                             .text = bytes,
                                             .len = len,
                                             .uid = geteuid(),
                                             .gid = getegid(),
                                             .mode = 0600},
                          ritual->info);
}

lh_err lh_place_stage(struct lh_ritual *ritual, size_t index, enum lh_ritual_text text)
{
    const struct lh_record_file *file = &ritual->record->files[index];
    char kept[LH_RITUAL_PATH], staged[LH_RITUAL_PATH], digest[65];
    char *bytes;
    size_t len;

    kept_path(ritual, index, text, kept);
    staged_path(ritual, index, text, staged);
    lh_err err = lh_root_read("/", kept, LH_SSHD_FILE_MAX, &bytes, &len, ritual->info);
    if (err != 0)
        return err;
    err = digest_of(bytes, len, digest);
    if (err == 0 && LH_GUARD(RITUAL_DIGEST, strcmp(digest, file->digest[text]) != 0))
        err = lh_fail(ritual->info, LH_E_CORRUPT, 0, "%s is not what was kept there", kept);
    if (err == 0)
        err = lh_place_write(&(struct lh_place){.path = staged,
                                                .text = bytes,
                                                .len = len,
                                                .uid = file->uid,
                                                .gid = file->gid,
                                                .mode = file->mode,
                                                .xattrs = file},
                             ritual->info);
    free(bytes);
    return err;
}

void lh_place_unstage_all(struct lh_ritual *ritual)
{
    char path[LH_RITUAL_PATH];

    for (size_t i = 0; i < ritual->record->file_count; i++) {
        for (int text = 0; text < LH_RITUAL_TEXT_N_; text++) {
            staged_path(ritual, i, (enum lh_ritual_text)text, path);
            (void)unlink(path);
        }
        (void)!lh_place_sync_folder(ritual->record->files[i].path, NULL);
    }
}

// --- All files ---

static bool holds(const struct lh_ritual *ritual, size_t index, enum lh_ritual_text text)
{
    const struct lh_record_file *file = &ritual->record->files[index];
    struct stat facts;
    char digest[65];

    lh_place_digest(file->path, digest);
    return strcmp(digest, file->digest[text]) == 0 && lstat(file->path, &facts) == 0 &&
           facts.st_uid == file->uid && facts.st_gid == file->gid &&
           (facts.st_mode & 07777) == file->mode;
}

static lh_err install(struct lh_ritual *ritual, size_t index, enum lh_ritual_text text)
{
    const char *path = ritual->record->files[index].path;
    char staged[LH_RITUAL_PATH];

    staged_path(ritual, index, text, staged);
    if (rename(staged, path) != 0)
        return lh_fail_errno(ritual->info, errno, 0, "cannot rename %s", staged);
    return lh_place_sync_folder(path, ritual->info);
}

lh_err lh_place_install(struct lh_ritual *ritual, enum lh_ritual_text text, bool *out_changed)
{
    size_t count = ritual->record->file_count;
    bool wanted[LH_RECORD_FILES_MAX];
    char staged[LH_RITUAL_PATH], digest[65];
    lh_err err = 0;

    *out_changed = false;
    // Everything is beside its file before the first one is replaced.
    for (size_t i = 0; err == 0 && i < count; i++) {
        wanted[i] = !holds(ritual, i, text);
        *out_changed = *out_changed || wanted[i];
        staged_path(ritual, i, text, staged);
        lh_place_digest(staged, digest);
        if (wanted[i] && strcmp(digest, ritual->record->files[i].digest[text]) != 0)
            err = lh_place_stage(ritual, i, text);
    }
    for (size_t n = 0; err == 0 && n < count; n++) {
        size_t index = text == LH_RITUAL_OLD ? n : count - 1 - n;
        if (wanted[index])
            err = install(ritual, index, text);
    }
    return err;
}

// --- What others changed ---

// The difference between what we wrote last and what is there.
static void show_difference(struct lh_ritual *ritual, size_t index)
{
    const char *path = ritual->record->files[index].path;
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *ours = NULL;
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *theirs = NULL;
    enum lh_ritual_text text = ritual->record->phase == LH_RITUAL_DONE       ? LH_RITUAL_NEW
                               : ritual->record->phase == LH_RITUAL_AWAITING ? LH_RITUAL_TWO
                                                                             : LH_RITUAL_OLD;
    char kept[LH_RITUAL_PATH];
    char *bytes = NULL, *difference;
    size_t len;

    kept_path(ritual, index, text, kept);
    if (lh_root_read("/", kept, LH_SSHD_FILE_MAX, &bytes, &len, NULL) != 0)
        return;
    lh_err err = lh_sshd_doc_parse(path, bytes, len, &ours);
    free(bytes);
    if (err != 0 || lh_root_read("/", path, LH_SSHD_FILE_MAX, &bytes, &len, NULL) != 0)
        return;
    err = lh_sshd_doc_parse(path, bytes, len, &theirs);
    free(bytes);
    if (err != 0 || lh_sshd_text_difference(path, ours, theirs, &difference) != 0)
        return;
    lh_ritual_say(ritual, LH_RITUAL_TEXT, "%s", difference);
    free(difference);
}

bool lh_place_untouched(struct lh_ritual *ritual)
{
    char digest[65], is[LH_RECORD_PATH_MAX + 64];
    bool untouched = true;

    for (size_t i = 0; i < ritual->record->file_count; i++) {
        const struct lh_record_file *file = &ritual->record->files[i];
        lh_place_digest(file->path, digest);
        if (lh_record_text_of(file, digest) != LH_RITUAL_TEXT_N_)
            continue;
        untouched = false;
        show_difference(ritual, i);
        (void)snprintf(is, sizeof is, "%s was changed by somebody else since", file->path);
        lh_ritual_object(ritual, "L8", is, "the text that lhctl wrote", "that change would be lost",
                         "lhctl sshd rollback --force");
    }
    return untouched;
}

void lh_place_keep_changed(struct lh_ritual *ritual)
{
    char digest[65], name[32], path[LH_RITUAL_PATH];
    char *bytes;
    size_t len;

    for (size_t i = 0; i < ritual->record->file_count; i++) {
        const struct lh_record_file *file = &ritual->record->files[i];
        lh_place_digest(file->path, digest);
        if (lh_record_text_of(file, digest) != LH_RITUAL_TEXT_N_ ||
            lh_root_read("/", file->path, LH_SSHD_FILE_MAX, &bytes, &len, NULL) != 0)
            continue;
        (void)snprintf(name, sizeof name, "%zu.changed", i);
        lh_run_path(ritual, name, path);
        lh_err err = lh_place_write(&(struct lh_place){.path = path,
                                                       .text = bytes,
                                                       .len = len,
                                                       .uid = geteuid(),
                                                       .gid = getegid(),
                                                       .mode = 0600},
                                    NULL);
        free(bytes);
        if (err == 0)
            lh_ritual_say(ritual, LH_RITUAL_NOTE, "%s had been changed; that text is kept in %s",
                          file->path, path);
    }
}
