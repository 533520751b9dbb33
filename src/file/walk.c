// SPDX-License-Identifier: Apache-2.0
//
// How it works. A stack of frames, one a directory on the way down. A frame is listed when the walk
// first needs an entry of it: one reading of the whole directory, names packed into one buffer,
// then sorted with directories last. Entries are examined (fstatat) when they are handed out, so
// `stat` is fresh. A directory among them is opened and pushed; it is walked before its later
// sisters.
//
// A frame's memory is what its names need; descriptors are the tree's business (LRU), so neither
// depth nor breadth costs any. An entry that turned from file to directory since the listing, or
// back, is taken for what it is now. What vanished meanwhile is an LH_WALK_ERROR, for the user to
// know.
#include "file/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "file/tree_internal.h"

#define ENTRIES_MAX ((size_t)1 << 26) // names of one directory

struct item {
    size_t at; // of the name in the frame's text
    bool is_directory;
};

struct frame {
    struct lh_dir *dir; // owned
    uint64_t number;
    bool listed;
    char *text;
    size_t text_used;
    size_t text_room;
    struct item *items;
    size_t count;
    size_t room;
    size_t next;
};

struct lh_walk {
    struct lh_tree *tree;
    bool started;
    bool root_is_file;
    char root_name[LH_NAME_MAX + 1];
    struct frame *frames;
    size_t depth; // frames in use
    size_t frames_room;
    uint64_t numbers; // given out so far
    char *link_target;
};

// --- Listing ---

static void frame_fini(struct frame *frame)
{
    free(frame->text);
    free(frame->items);
    lh_dir_unref(frame->dir);
    *frame = (struct frame){0};
}

// Makes room for `wanted` elements of `size` bytes in `*slot`; false when out of memory.
static bool grow(void **slot, size_t *room, size_t wanted, size_t size)
{
    if (wanted <= *room)
        return true;
    size_t more = *room * 2 > wanted ? *room * 2 : wanted + 64;
    void *moved = reallocarray(*slot, more, size);
    if (moved == NULL)
        return false;
    *slot = moved;
    *room = more;
    return true;
}

static lh_err add_item(struct frame *frame, const char *name, bool is_directory)
{
    size_t len = strlen(name) + 1;
    void *text = frame->text;
    void *items = frame->items;
    if (frame->count >= ENTRIES_MAX)
        return LH_E_LIMIT;
    bool fits = grow(&text, &frame->text_room, frame->text_used + len, 1);
    frame->text = text;
    fits = fits && grow(&items, &frame->room, frame->count + 1, sizeof *frame->items);
    frame->items = items;
    if (!fits)
        return LH_E_NOMEM;
    memcpy(frame->text + frame->text_used, name, len);
    frame->items[frame->count++] = (struct item){frame->text_used, is_directory};
    frame->text_used += len;
    return LH_OK;
}

static bool entry_is_directory(DIR *stream, const struct dirent *entry)
{
    struct stat found;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(stream), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(found.st_mode);
}

static lh_err read_entries(struct frame *frame, DIR *stream, struct lh_errinfo *info)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (entry == NULL && errno != 0)
            return lh_dir_fail(info, errno, frame->dir, NULL, "cannot read directory");
        if (entry == NULL)
            return LH_OK;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        lh_err err = add_item(frame, entry->d_name, entry_is_directory(stream, entry));
        if (err != 0)
            return lh_fail(info, err, 0, "%s",
                           err == LH_E_LIMIT ? "too many entries in a directory" : "out of memory");
    }
}

static int compare_items(const void *left, const void *right, void *context)
{
    const struct item *a = left;
    const struct item *b = right;
    const char *text = context;
    if (a->is_directory != b->is_directory)
        return a->is_directory ? 1 : -1;
    return strcmp(text + a->at, text + b->at);
}

// Fills the frame; with an error, what was read so far stays and is walked.
static lh_err list(struct frame *frame, struct lh_errinfo *info)
{
    int dir_fd;
    frame->listed = true;
    lh_err err = lh_dir_pin(frame->dir, &dir_fd, info);
    if (err != 0)
        return err;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    lh_dir_unpin(frame->dir);
    if (fd < 0)
        return lh_dir_fail(info, error, frame->dir, NULL, "cannot read directory");
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        (void)close(fd);
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    }
    err = read_entries(frame, stream, info);
    (void)closedir(stream);
    if (frame->count > 0)
        qsort_r(frame->items, frame->count, sizeof *frame->items, compare_items, frame->text);
    return err;
}

// --- Opening ---

// Takes over the reference on `dir`.
static lh_err push(struct lh_walk *walk, struct lh_dir *dir)
{
    void *frames = walk->frames;
    bool fits = grow(&frames, &walk->frames_room, walk->depth + 1, sizeof *walk->frames);
    walk->frames = frames;
    if (!fits) {
        lh_dir_unref(dir);
        return LH_E_NOMEM;
    }
    walk->frames[walk->depth++] = (struct frame){.dir = dir, .number = ++walk->numbers};
    return LH_OK;
}

// `real` is an absolute path without symlinks; cuts it for a file into its directory and name.
static lh_err open_root(struct lh_walk *walk, char *real, struct lh_errinfo *info)
{
    struct stat found;
    char *slash = strrchr(real, '/');
    if (stat(real, &found) != 0)
        return lh_fail_errno(info, errno, 0, "%.120s", real);
    if (!S_ISDIR(found.st_mode) && !S_ISREG(found.st_mode))
        return lh_fail(info, LH_E_PATH, 0, "%.120s is a special file; name a file or a directory",
                       real);
    LH_ASSERT(slash != NULL && strlen(slash + 1) <= LH_NAME_MAX);
    memcpy(walk->root_name, slash + 1, strlen(slash + 1) + 1);
    walk->root_is_file = S_ISREG(found.st_mode);
    if (!walk->root_is_file)
        return lh_tree_open(real, &walk->tree, info);
    *slash = '\0';
    return lh_tree_open(*real == '\0' ? "/" : real, &walk->tree, info);
}

lh_err lh_walk_open(const char *path, struct lh_walk **out_walk, struct lh_errinfo *info)
{
    char *real = realpath(path, NULL);
    if (real == NULL)
        return lh_fail_errno(info, errno, 0, "%.120s", path);
    struct lh_walk *walk = calloc(1, sizeof *walk);
    lh_err err = walk == NULL ? lh_fail(info, LH_E_NOMEM, 0, "out of memory") : LH_OK;
    if (err == 0)
        err = open_root(walk, real, info);
    if (err == 0)
        err = push(walk, lh_tree_root(walk->tree));
    free(real);
    if (err != 0) {
        lh_walk_free(walk);
        return err;
    }
    *out_walk = walk;
    return LH_OK;
}

void lh_walk_free(struct lh_walk *walk)
{
    if (walk == NULL)
        return;
    while (walk->depth > 0)
        frame_fini(&walk->frames[--walk->depth]);
    free(walk->frames);
    free(walk->link_target);
    lh_tree_free(walk->tree);
    free(walk);
}

// --- Walking ---

static lh_err take_link(struct lh_walk *walk, struct lh_dir *dir, struct lh_walk_entry *entry)
{
    if (walk->link_target == NULL)
        walk->link_target = malloc(LH_SYMLINK_MAX + 1);
    if (walk->link_target == NULL)
        return lh_fail(&entry->info, LH_E_NOMEM, 0, "out of memory");
    entry->link_target = walk->link_target;
    return lh_dir_read_link(dir, entry->name, walk->link_target, LH_SYMLINK_MAX + 1, &entry->info);
}

// Enters a directory: its node goes onto the stack and into `entry`.
static lh_err take_directory(struct lh_walk *walk, struct lh_dir *dir, struct lh_walk_entry *entry)
{
    lh_err err = lh_dir_open(dir, entry->name, false, &entry->self, NULL, &entry->info);
    if (err != 0)
        return err;
    err = push(walk, entry->self);
    if (err != 0)
        return lh_fail(&entry->info, err, 0, "out of memory");
    entry->dir_number = walk->numbers;
    return LH_OK;
}

static lh_err examine(struct lh_walk *walk, struct lh_dir *dir, struct lh_walk_entry *entry)
{
    lh_err err = lh_dir_stat(dir, entry->name, &entry->stat, &entry->info);
    if (err == LH_NONE)
        return lh_dir_fail(&entry->info, ENOENT, dir, entry->name, "vanished:");
    if (err != 0)
        return err;
    switch (entry->stat.st_mode & S_IFMT) {
    case S_IFREG:
        entry->kind = LH_WALK_FILE;
        return LH_OK;
    case S_IFLNK:
        entry->kind = LH_WALK_SYMLINK;
        return take_link(walk, dir, entry);
    case S_IFDIR:
        entry->kind = LH_WALK_DIR;
        return take_directory(walk, dir, entry);
    default:
        entry->kind = LH_WALK_SPECIAL;
        return LH_OK;
    }
}

// What cannot be examined is an entry of its own; only the want of memory ends the walk.
static lh_err settle(lh_err err, struct lh_walk_entry *entry)
{
    if (err == LH_E_NOMEM)
        return err;
    if (err != 0)
        entry->kind = LH_WALK_ERROR;
    return LH_OK;
}

static lh_err first_entry(struct lh_walk *walk, struct lh_walk_entry *entry)
{
    struct frame *root = &walk->frames[0];
    walk->started = true;
    entry->name = walk->root_name;
    if (walk->root_is_file) {
        root->listed = true; // the directory it lies in is not walked
        entry->parent = root->dir;
        walk->numbers = 0;
        lh_err err = examine(walk, root->dir, entry);
        if (err == 0 && entry->kind != LH_WALK_FILE)
            err = lh_fail(&entry->info, LH_E_CHANGED, 0, "%s is no longer a file", entry->name);
        return settle(err, entry);
    }
    entry->kind = LH_WALK_DIR;
    entry->self = root->dir;
    entry->dir_number = root->number;
    return settle(lh_dir_stat_self(root->dir, &entry->stat, &entry->info), entry);
}

// The frame's own directory could not be read: said under its name, after it was handed out.
static lh_err unreadable(const struct lh_walk *walk, lh_err err, struct lh_walk_entry *entry)
{
    const struct frame *parent = walk->depth > 1 ? &walk->frames[walk->depth - 2] : NULL;
    entry->name = walk->root_name;
    if (parent != NULL) {
        entry->parent = parent->dir;
        entry->parent_number = parent->number;
        entry->name = parent->text + parent->items[parent->next - 1].at;
    }
    return settle(err, entry);
}

lh_err lh_walk_next(struct lh_walk *walk, struct lh_walk_entry *out_entry)
{
    struct lh_walk_entry *entry = out_entry;
    *entry = (struct lh_walk_entry){0};
    if (!walk->started)
        return first_entry(walk, entry);
    while (walk->depth > 0) {
        struct frame *top = &walk->frames[walk->depth - 1];
        if (!top->listed) {
            lh_err err = list(top, &entry->info);
            if (err != 0)
                return unreadable(walk, err, entry);
        }
        if (top->next == top->count) {
            frame_fini(top);
            walk->depth--;
            continue;
        }
        entry->name = top->text + top->items[top->next++].at;
        entry->parent = top->dir;
        entry->parent_number = top->number;
        return settle(examine(walk, top->dir, entry), entry);
    }
    return LH_EOF;
}
