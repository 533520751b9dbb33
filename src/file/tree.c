// SPDX-License-Identifier: Apache-2.0
//
// How it works. Nodes form a tree by their parent pointers; each holds a reference on its parent,
// so a chain up to the root is always there to reopen from. The root's descriptor stays open for
// the tree's life, which ends with the last reference on the root. Of the others at most
// LH_DIR_FDS_MAX are open: `idle` lists those that are open and not pinned, least recently used
// first, and opening one more closes the first of them. Pinned ones are never closed (a worker pins
// one for the length of a few calls, so they are few).
//
// Descriptors are O_PATH: they need no read permission, and serve every *at() call. All calls name
// one component and follow no symlink, so whatever a hostile peer or local user puts under a name,
// we act on that directory's own entry or are refused. A directory that is moved while we hold it
// stays the directory we opened: we go on writing into it, never into what took its place.
//
// Depth is bounded (LH_DEPTH_MAX) where nodes are made; nothing here recurses.
#include "file/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/math.h"
#include "file/tree_internal.h"
#include "sys/clock.h"

struct lh_tree {
    pthread_mutex_t lock; // guards every field below and of every node
    struct lh_dir *root;
    struct lh_link idle;
    size_t open_fds;
    size_t fds_max; // LH_DIR_FDS_MAX, or fewer where the process may open few
    bool walk_only; // the kernel has no openat2, or a test wants the walk
    mode_t umask;
    char mark[LH_TEMP_MARK_MAX + 1]; // of temporary names; "" = none
};

struct lh_dir {
    struct lh_tree *tree;
    struct lh_dir *parent; // NULL for the root
    unsigned depth;
    unsigned refs;
    unsigned pins;
    int fd;              // -1 while closed
    struct lh_link idle; // in tree->idle while open and not pinned
    dev_t dev;
    ino_t ino;
    char name[]; // "" for the root
};

// --- Names and messages ---

static bool name_is_plain(const char *name, size_t len)
{
    if (len == 0 || len > LH_NAME_MAX)
        return false;
    if (memchr(name, '/', len) != NULL || memchr(name, '\0', len) != NULL)
        return false;
    return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

lh_err lh_name_check(const char *name, size_t len)
{
    if (LH_GUARD(NAME_CHECK, !name_is_plain(name, len)))
        return LH_E_PATH;
    return LH_OK;
}

static lh_err check_name(const char *name, struct lh_errinfo *info)
{
    lh_err err = lh_name_check(name, strnlen(name, LH_NAME_MAX + 1));
    if (err != 0)
        return lh_fail(info, err, 0, "%.64s: not an acceptable file name", name);
    return LH_OK;
}

char *lh_dir_path(const struct lh_dir *dir, const char *name, char *out, size_t room)
{
    char *at = out + room - 1;
    const char *part = name;
    LH_ASSERT(room >= 8);
    *at = '\0';
    for (; dir != NULL; dir = dir->parent) {
        if (part == NULL || *part == '\0') {
            part = dir->name;
            continue;
        }
        size_t len = strlen(part);
        size_t slash = *at == '\0' ? 0 : 1;
        if ((size_t)(at - out) < len + slash + 3) {
            at -= 3;
            memcpy(at, "...", 3);
            part = NULL;
            break;
        }
        if (slash != 0)
            *--at = '/';
        at -= len;
        memcpy(at, part, len);
        part = dir->name;
    }
    if (*at == '\0')
        *--at = '.';
    memmove(out, at, (size_t)(out + room - at));
    return out;
}

lh_err lh_dir_fail(struct lh_errinfo *info,
                   int saved_errno,
                   const struct lh_dir *dir,
                   const char *name,
                   const char *what)
{
    char path[128];
    if (info == NULL)
        return lh_fail_errno(NULL, saved_errno, 0, "%s", what);
    return lh_fail_errno(info, saved_errno, 0, "%s %s", what,
                         lh_dir_path(dir, name, path, sizeof path));
}

// The same for something that is there but not of the kind it must be.
static lh_err
fail_kind(struct lh_errinfo *info, const struct lh_dir *dir, const char *name, const char *is)
{
    char path[128];
    return lh_fail(info, LH_E_PATH, 0, "%s: %s", lh_dir_path(dir, name, path, sizeof path), is);
}

void lh_tree_mark_temps(struct lh_tree *tree, const char *mark)
{
    size_t len = strlen(mark);
    LH_ASSERT(len <= LH_TEMP_MARK_MAX);
    memcpy(tree->mark, mark, len + 1);
}

void lh_temp_name(const struct lh_dir *dir, char out[LH_TEMP_NAME_LEN + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[LH_TEMP_NAME_LEN - 4];
    lh_entropy_fill(random, sizeof random);
    memcpy(out, ".lh-", 4);
    for (size_t i = 0; i < sizeof random; i++)
        out[4 + i] = digits[random[i] & 63];
    memcpy(out + 4, dir->tree->mark, strlen(dir->tree->mark));
    out[LH_TEMP_NAME_LEN] = '\0';
}

// --- Nodes and their descriptors (the lock is held in all of these) ---

static struct lh_dir *node_new(struct lh_tree *tree, struct lh_dir *parent, const char *name)
{
    size_t len = strlen(name);
    struct lh_dir *dir = calloc(1, sizeof *dir + len + 1);
    if (dir == NULL)
        return NULL;
    dir->tree = tree;
    dir->parent = parent;
    dir->depth = parent == NULL ? 0 : parent->depth + 1;
    dir->refs = 1;
    dir->fd = -1;
    lh_list_init(&dir->idle);
    memcpy(dir->name, name, len + 1);
    return dir;
}

static void node_close(struct lh_dir *dir)
{
    LH_ASSERT(dir->pins == 0);
    lh_list_remove(&dir->idle);
    if (dir->fd >= 0) {
        (void)close(dir->fd);
        dir->fd = -1;
        dir->tree->open_fds--;
    }
}

// Takes over `fd`, pinned or not, and keeps the number of open ones in bounds.
static void node_adopt(struct lh_dir *dir, int fd)
{
    struct lh_tree *tree = dir->tree;
    LH_ASSERT(dir->fd < 0);
    while (tree->open_fds >= tree->fds_max && !lh_list_empty(&tree->idle))
        node_close(LH_CONTAINER_OF(lh_list_first(&tree->idle), struct lh_dir, idle));
    dir->fd = fd;
    tree->open_fds++;
}

static void node_touch(struct lh_dir *dir)
{
    lh_list_remove(&dir->idle);
    if (dir->parent != NULL && dir->fd >= 0 && dir->pins == 0)
        lh_list_append(&dir->tree->idle, &dir->idle);
}

// "b/c" from `base` down to `dir`; the caller frees it. NULL when out of memory.
static char *path_from(const struct lh_dir *base, const struct lh_dir *dir)
{
    size_t len = 0;
    for (const struct lh_dir *at = dir; at != base; at = at->parent)
        len += strlen(at->name) + 1;
    char *path = malloc(len);
    if (path == NULL)
        return NULL;
    char *end = path + len;
    for (const struct lh_dir *at = dir; at != base; at = at->parent) {
        size_t part = strlen(at->name);
        *--end = at == dir ? '\0' : '/';
        end -= part;
        memcpy(end, at->name, part);
    }
    LH_ASSERT(end == path);
    return path;
}

// Whether the failure may be openat2's own: not there, filtered by an old sandbox, or too long.
static bool needs_walk(int error)
{
    return error == ENOSYS || error == EPERM || error == EINVAL || error == E2BIG ||
           error == EAGAIN || error == ENAMETOOLONG;
}

static int resolve(struct lh_tree *tree, int base_fd, const char *path, int *out_fd)
{
    if (!tree->walk_only) {
        int error = lh_resolve_openat2(base_fd, path, out_fd);
        if (!needs_walk(error))
            return error;
        if (error == ENOSYS)
            tree->walk_only = true;
    }
    return lh_resolve_walk(base_fd, path, out_fd);
}

static lh_err node_reopen(struct lh_dir *dir, struct lh_errinfo *info)
{
    struct lh_dir *base = dir->parent;
    struct stat found;
    int fd = -1;

    while (base->fd < 0)
        base = base->parent; // the root is always open
    char *path = path_from(base, dir);
    if (path == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    int error = resolve(dir->tree, base->fd, path, &fd);
    free(path);
    if (error == ELOOP || error == ENOTDIR)
        return fail_kind(info, dir, NULL, "is no longer a directory");
    if (error != 0)
        return lh_dir_fail(info, error, dir, NULL, "cannot reopen directory");
    if (fstat(fd, &found) != 0) {
        error = errno;
        (void)close(fd);
        return lh_dir_fail(info, error, dir, NULL, "cannot examine directory");
    }
    if (LH_GUARD(DIR_IDENTITY, found.st_dev != dir->dev || found.st_ino != dir->ino)) {
        (void)close(fd);
        return fail_kind(info, dir, NULL, "was replaced by another directory");
    }
    node_adopt(dir, fd);
    return LH_OK;
}

lh_err lh_dir_pin(struct lh_dir *dir, int *out_fd, struct lh_errinfo *info)
{
    struct lh_tree *tree = dir->tree;
    lh_err err = LH_OK;

    pthread_mutex_lock(&tree->lock);
    if (dir->fd < 0)
        err = node_reopen(dir, info);
    if (err == 0) {
        dir->pins++;
        node_touch(dir);
        *out_fd = dir->fd;
    }
    pthread_mutex_unlock(&tree->lock);
    return err;
}

void lh_dir_unpin(struct lh_dir *dir)
{
    struct lh_tree *tree = dir->tree;
    pthread_mutex_lock(&tree->lock);
    LH_ASSERT(dir->pins > 0);
    dir->pins--;
    node_touch(dir);
    pthread_mutex_unlock(&tree->lock);
}

struct lh_dir *lh_dir_ref(struct lh_dir *dir)
{
    pthread_mutex_lock(&dir->tree->lock);
    dir->refs++;
    pthread_mutex_unlock(&dir->tree->lock);
    return dir;
}

static void tree_destroy(struct lh_tree *tree)
{
    LH_ASSERT(tree->open_fds == 0);
    (void)pthread_mutex_destroy(&tree->lock);
    free(tree);
}

void lh_dir_unref(struct lh_dir *dir)
{
    if (dir == NULL)
        return;
    struct lh_tree *tree = dir->tree;
    pthread_mutex_lock(&tree->lock);
    while (dir != NULL) {
        LH_ASSERT(dir->refs > 0);
        if (--dir->refs > 0)
            break;
        struct lh_dir *parent = dir->parent;
        node_close(dir);
        free(dir);
        dir = parent;
    }
    pthread_mutex_unlock(&tree->lock);
    if (dir == NULL) // the root went, and with it the last that may use the tree
        tree_destroy(tree);
}

// --- Trees ---

// The umask without changing it, where /proc tells; else by setting the strictest for an instant.
static mode_t read_umask(void)
{
    char line[128];
    unsigned found = 0;
    bool known = false;
    FILE *status = fopen("/proc/self/status", "re");
    if (status != NULL) {
        while (!known && fgets(line, sizeof line, status) != NULL)
            known = sscanf(line, "Umask: %o", &found) == 1;
        (void)fclose(status);
    }
    if (!known) {
        found = umask(0777);
        (void)umask((mode_t)found);
    }
    return (mode_t)(found & 0777);
}

// A quarter of what the process may open is the tree's at most; the rest is for files and sockets.
static size_t decide_fds_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return LH_DIR_FDS_MAX;
    return (size_t)LH_CLAMP(limit.rlim_cur / 4, 2, LH_DIR_FDS_MAX);
}

static lh_err open_root(const char *path, struct lh_dir *root, struct lh_errinfo *info)
{
    struct stat found;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot open directory %.120s", path);
    if (fstat(fd, &found) != 0) {
        int error = errno;
        (void)close(fd);
        return lh_fail_errno(info, error, 0, "cannot examine directory %.120s", path);
    }
    root->dev = found.st_dev;
    root->ino = found.st_ino;
    node_adopt(root, fd);
    return LH_OK;
}

lh_err lh_tree_open(const char *path, struct lh_tree **out_tree, struct lh_errinfo *info)
{
    struct lh_tree *tree = calloc(1, sizeof *tree);
    if (tree == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    lh_list_init(&tree->idle);
    tree->fds_max = decide_fds_max();
    tree->root = node_new(tree, NULL, "");
    if (tree->root == NULL) {
        free(tree);
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    }
    lh_err err = open_root(path, tree->root, info);
    if (err != 0) {
        free(tree->root);
        free(tree);
        return err;
    }
    tree->umask = read_umask();
    LH_ASSERT(pthread_mutex_init(&tree->lock, NULL) == 0);
    *out_tree = tree;
    return LH_OK;
}

void lh_tree_free(struct lh_tree *tree)
{
    if (tree != NULL)
        lh_dir_unref(tree->root);
}

struct lh_dir *lh_tree_root(struct lh_tree *tree)
{
    return lh_dir_ref(tree->root);
}

void lh_tree_force_walk(struct lh_tree *tree)
{
    pthread_mutex_lock(&tree->lock);
    tree->walk_only = true;
    pthread_mutex_unlock(&tree->lock);
}

void lh_tree_drop_fds(struct lh_tree *tree)
{
    pthread_mutex_lock(&tree->lock);
    while (!lh_list_empty(&tree->idle))
        node_close(LH_CONTAINER_OF(lh_list_first(&tree->idle), struct lh_dir, idle));
    pthread_mutex_unlock(&tree->lock);
}

size_t lh_tree_open_fds(struct lh_tree *tree)
{
    pthread_mutex_lock(&tree->lock);
    size_t count = tree->open_fds;
    pthread_mutex_unlock(&tree->lock);
    return count;
}

mode_t lh_dir_umask(const struct lh_dir *dir)
{
    return dir->tree->umask;
}

unsigned lh_dir_depth(const struct lh_dir *dir)
{
    return dir->depth;
}

void lh_dir_identity(const struct lh_dir *dir, dev_t *out_dev, ino_t *out_ino)
{
    *out_dev = dir->dev;
    *out_ino = dir->ino;
}

// --- Directories ---

// Makes (where asked) and opens `name` below `parent_fd`; fills dev and ino of `dir`.
static lh_err enter(struct lh_dir *dir,
                    int parent_fd,
                    bool make,
                    bool *out_made,
                    int *out_fd,
                    struct lh_errinfo *info)
{
    int nofollow = LH_GUARD(DIR_NOFOLLOW, true) ? O_NOFOLLOW : 0;
    struct stat found;
    bool made = false;

    if (make) {
        made = mkdirat(parent_fd, dir->name, 0700) == 0;
        if (!made && errno != EEXIST)
            return lh_dir_fail(info, errno, dir, NULL, "cannot make directory");
    }
    int fd = openat(parent_fd, dir->name, O_PATH | O_DIRECTORY | O_CLOEXEC | nofollow);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return fail_kind(info, dir, NULL, "is in the way: not a directory");
    if (fd < 0)
        return lh_dir_fail(info, errno, dir, NULL, "cannot open directory");
    if (fstat(fd, &found) != 0) {
        int error = errno;
        (void)close(fd);
        return lh_dir_fail(info, error, dir, NULL, "cannot examine directory");
    }
    dir->dev = found.st_dev;
    dir->ino = found.st_ino;
    *out_made = made;
    *out_fd = fd;
    return LH_OK;
}

lh_err lh_dir_open(struct lh_dir *parent,
                   const char *name,
                   bool make,
                   struct lh_dir **out_dir,
                   bool *out_made,
                   struct lh_errinfo *info)
{
    int parent_fd = -1;
    int fd = -1;
    bool made = false;
    lh_err err = check_name(name, info);
    if (err != 0)
        return err;
    if (parent->depth >= LH_DEPTH_MAX)
        return lh_fail(info, LH_E_LIMIT, 0, "directories more than %d deep", LH_DEPTH_MAX);
    struct lh_dir *dir = node_new(parent->tree, parent, name);
    if (dir == NULL)
        return lh_fail(info, LH_E_NOMEM, 0, "out of memory");
    err = lh_dir_pin(parent, &parent_fd, info);
    if (err == 0) {
        err = enter(dir, parent_fd, make, &made, &fd, info);
        lh_dir_unpin(parent);
    }
    if (err != 0) {
        free(dir);
        return err;
    }
    pthread_mutex_lock(&dir->tree->lock);
    parent->refs++;
    node_adopt(dir, fd);
    node_touch(dir);
    pthread_mutex_unlock(&dir->tree->lock);
    *out_dir = dir;
    if (out_made != NULL)
        *out_made = made;
    return LH_OK;
}

// --- Acting on entries ---

// Checks the name and pins the directory; the caller unpins.
static lh_err begin(struct lh_dir *dir, const char *name, int *out_fd, struct lh_errinfo *info)
{
    lh_err err = check_name(name, info);
    if (err != 0)
        return err;
    return lh_dir_pin(dir, out_fd, info);
}

lh_err
lh_dir_stat(struct lh_dir *dir, const char *name, struct stat *out_stat, struct lh_errinfo *info)
{
    int dir_fd;
    lh_err err = begin(dir, name, &dir_fd, info);
    if (err != 0)
        return err;
    if (fstatat(dir_fd, name, out_stat, AT_SYMLINK_NOFOLLOW) != 0)
        err = errno == ENOENT ? (lh_err)LH_NONE
                              : lh_dir_fail(info, errno, dir, name, "cannot examine");
    lh_dir_unpin(dir);
    return err;
}

lh_err lh_dir_stat_self(struct lh_dir *dir, struct stat *out_stat, struct lh_errinfo *info)
{
    int dir_fd;
    lh_err err = lh_dir_pin(dir, &dir_fd, info);
    if (err != 0)
        return err;
    if (fstat(dir_fd, out_stat) != 0)
        err = lh_dir_fail(info, errno, dir, NULL, "cannot examine");
    lh_dir_unpin(dir);
    return err;
}

lh_err lh_dir_open_file(struct lh_dir *dir,
                        const char *name,
                        int *out_fd,
                        struct stat *out_stat,
                        struct lh_errinfo *info)
{
    int nofollow = LH_GUARD(FILE_NOFOLLOW, true) ? O_NOFOLLOW : 0;
    struct stat found;
    int dir_fd;
    lh_err err = begin(dir, name, &dir_fd, info);
    if (err != 0)
        return err;
    int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | nofollow);
    int error = errno;
    lh_dir_unpin(dir);
    if (fd < 0 && (error == ELOOP || error == ENXIO || error == ENODEV))
        return fail_kind(info, dir, name, "is not a regular file");
    if (fd < 0)
        return lh_dir_fail(info, error, dir, name, "cannot open");
    if (fstat(fd, &found) != 0) {
        err = lh_dir_fail(info, errno, dir, name, "cannot examine");
        (void)close(fd);
        return err;
    }
    if (LH_GUARD(REGULAR_FILE, !S_ISREG(found.st_mode))) {
        (void)close(fd);
        return fail_kind(info, dir, name, "is not a regular file");
    }
    *out_fd = fd;
    *out_stat = found;
    return LH_OK;
}

// Makes the link under a temporary name and moves it over what is there.
static int replace_by_symlink(struct lh_dir *dir, int dir_fd, const char *name, const char *target)
{
    char temp[LH_TEMP_NAME_LEN + 1];
    lh_temp_name(dir, temp);
    if (symlinkat(target, dir_fd, temp) != 0)
        return errno;
    if (renameat(dir_fd, temp, dir_fd, name) != 0) {
        int error = errno;
        (void)unlinkat(dir_fd, temp, 0);
        return error;
    }
    return 0;
}

lh_err
lh_dir_symlink(struct lh_dir *dir, const char *name, const char *target, struct lh_errinfo *info)
{
    int dir_fd;
    lh_err err;
    if (*target == '\0' || strnlen(target, LH_SYMLINK_MAX + 1) > LH_SYMLINK_MAX)
        return lh_fail(info, LH_E_PATH, 0, "%.64s: target of a symlink is empty or too long", name);
    err = begin(dir, name, &dir_fd, info);
    if (err != 0)
        return err;
    int error = symlinkat(target, dir_fd, name) == 0 ? 0 : errno;
    if (error == EEXIST)
        error = replace_by_symlink(dir, dir_fd, name, target);
    lh_dir_unpin(dir);
    if (error == EISDIR || error == ENOTEMPTY)
        return fail_kind(info, dir, name, "is a directory and in the way of a symlink");
    if (error != 0)
        return lh_dir_fail(info, error, dir, name, "cannot make symlink");
    return LH_OK;
}

lh_err lh_dir_read_link(
    struct lh_dir *dir, const char *name, char *out, size_t room, struct lh_errinfo *info)
{
    int dir_fd;
    lh_err err = begin(dir, name, &dir_fd, info);
    if (err != 0)
        return err;
    ssize_t len = readlinkat(dir_fd, name, out, room);
    int error = errno;
    lh_dir_unpin(dir);
    if (len < 0 && error == EINVAL)
        return fail_kind(info, dir, name, "is not a symlink");
    if (len < 0)
        return lh_dir_fail(info, error, dir, name, "cannot read symlink");
    if ((size_t)len >= room)
        return lh_fail(info, LH_E_LIMIT, 0, "%.64s: target of the symlink is too long", name);
    out[len] = '\0';
    return LH_OK;
}

lh_err lh_dir_unlink(struct lh_dir *dir, const char *name, struct lh_errinfo *info)
{
    int dir_fd;
    lh_err err = begin(dir, name, &dir_fd, info);
    if (err != 0)
        return err;
    int error = unlinkat(dir_fd, name, 0) == 0 ? 0 : errno;
    lh_dir_unpin(dir);
    if (error == ENOENT)
        return LH_NONE;
    if (error == EISDIR)
        return fail_kind(info, dir, name, "is a directory");
    if (error != 0)
        return lh_dir_fail(info, error, dir, name, "cannot remove");
    return LH_OK;
}

#define NR_FCHMODAT2 452 // the same on every architecture; too new for the headers we build with

// chmod of exactly what `fd` (O_PATH) holds; a descriptor of this kind has no fchmod of its own
// before Linux 6.6, its entry in /proc has.
static int chmod_held(int fd, mode_t mode)
{
    char self[32];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (chmod(self, mode) == 0)
        return 0;
    if (errno != ENOENT) // ENOENT: no /proc here, as in a chroot
        return errno;
    return syscall(NR_FCHMODAT2, fd, "", mode, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

static int
set_held(int fd, const struct stat *found, const mode_t *mode, const struct timespec times[2])
{
    if (mode != NULL && !S_ISLNK(found->st_mode)) {
        mode_t wanted = *mode & (LH_GUARD(NO_SETID, true) ? 0777u : 07777u);
        if (S_ISDIR(found->st_mode))
            wanted |= found->st_mode & (S_ISUID | S_ISGID | S_ISVTX);
        int error = chmod_held(fd, wanted);
        if (error != 0)
            return error;
    }
    if (times != NULL && utimensat(fd, "", times, AT_EMPTY_PATH) != 0)
        return errno;
    return 0;
}

lh_err lh_dir_set_attributes(struct lh_dir *dir,
                             const char *name,
                             const mode_t *mode,
                             const struct timespec times[2],
                             struct lh_errinfo *info)
{
    struct stat found;
    int dir_fd;
    int fd;
    int error;
    lh_err err = name == NULL ? lh_dir_pin(dir, &dir_fd, info) : begin(dir, name, &dir_fd, info);
    if (err != 0)
        return err;
    fd = name == NULL ? dir_fd : openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    error = fd < 0 || fstat(fd, &found) != 0 ? errno : 0;
    if (error != 0)
        err = lh_dir_fail(info, error, dir, name, "cannot examine");
    else if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode) && !S_ISLNK(found.st_mode))
        err = fail_kind(info, dir, name, "is a special file");
    else if ((error = set_held(fd, &found, mode, times)) != 0)
        err = lh_dir_fail(info, error, dir, name, "cannot set attributes of");
    if (name != NULL && fd >= 0)
        (void)close(fd);
    lh_dir_unpin(dir);
    return err;
}
