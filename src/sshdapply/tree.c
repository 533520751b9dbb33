// SPDX-License-Identifier: Apache-2.0
//
// How it works. The main file is parsed; each Include line's patterns are matched below the root
// and what they match is parsed and attached, in the order of glob(3), which is sshd's. A stack of
// documents under work replaces recursion. Below a root other than "/", files are opened with
// openat2 so that an absolute symbolic link means what it means inside that root.
#include "sshdapply/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "sshdcfg/effective.h"

#define FILES_MAX 1024

static int open_below(const char *root, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

    if (strcmp(root, "/") == 0)
        return open(path, flags | O_CLOEXEC);
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -1;
    int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    int saved = errno;
    (void)close(root_fd);
    errno = saved;
    return fd;
}

lh_err lh_root_read(const char *root,
                    const char *path,
                    size_t limit,
                    char **out_text,
                    size_t *out_len,
                    struct lh_errinfo *info)
{
    size_t len = 0, room = 0;
    char *text = NULL;
    ssize_t got = 1;
    int fd = open_below(root, path, O_RDONLY | O_NOCTTY);

    if (fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot open %s", path);
    while (got > 0 && len <= limit) {
        if (room - len < 2) {
            room = room == 0 ? 8192 : 2 * room;
            char *larger = realloc(text, room);
            if (larger == NULL) {
                free(text);
                (void)close(fd);
                return LH_E_NOMEM;
            }
            text = larger;
        }
        got = read(fd, text + len, room - len - 1);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            len += (size_t)got;
    }
    int saved = errno;
    (void)close(fd);
    if (got < 0 || len > limit) {
        free(text);
        return got < 0 ? lh_fail_errno(info, saved, 0, "cannot read %s", path)
                       : lh_fail(info, LH_E_LIMIT, 0, "%s: larger than %zu bytes", path, limit);
    }
    text[len] = '\0';
    *out_text = text;
    *out_len = len;
    return 0;
}

bool lh_root_stat(const char *root, const char *path, struct stat *out)
{
    int fd = open_below(root, path, O_PATH | O_NOFOLLOW);

    if (fd < 0)
        return false;
    bool good = fstat(fd, out) == 0;
    (void)close(fd);
    return good;
}

static int compare_names(const void *one, const void *two)
{
    return strcmp(*(char *const *)one, *(char *const *)two);
}

size_t lh_root_list(const char *root, const char *path, char ***out_names)
{
    int fd = open_below(root, path, O_RDONLY | O_DIRECTORY);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    char **names = NULL;
    size_t count = 0;

    if (stream == NULL && fd >= 0)
        (void)close(fd);
    while (stream != NULL && count < FILES_MAX && (entry = readdir(stream)) != NULL) {
        if (*entry->d_name == '.')
            continue;
        char **more = realloc((void *)names, (count + 1) * sizeof *names);
        if (more == NULL)
            break;
        names = more;
        names[count] = strdup(entry->d_name);
        if (names[count] == NULL)
            break;
        count++;
    }
    if (stream != NULL)
        (void)closedir(stream);
    if (count > 0)
        qsort((void *)names, count, sizeof *names, compare_names);
    if (count == 0) {
        free((void *)names);
        names = NULL;
    }
    *out_names = names;
    return count;
}

static lh_err
read_document(const char *root, const char *path, struct lh_sshd_doc **out, struct lh_errinfo *info)
{
    char *text;
    size_t len;

    lh_err err = lh_root_read(root, path, LH_SSHD_FILE_MAX, &text, &len, info);
    if (err != 0)
        return err;
    err = lh_sshd_doc_parse(path, text, len, out);
    free(text);
    if (err == LH_E_INVALID)
        return lh_fail(info, err, 0, "%s: holds a zero byte, which makes sshd join two lines",
                       path);
    return err;
}

// `root` and `pattern` as one pattern; the root's own characters stand for themselves.
static char *join_pattern(const char *root, const char *pattern)
{
    size_t room = 2 * strlen(root) + strlen(pattern) + 1;
    char *joined = malloc(room);
    char *to = joined;

    if (joined == NULL)
        return NULL;
    for (const char *at = strcmp(root, "/") == 0 ? "" : root; *at != '\0'; at++) {
        if (strchr("*?[]\\", *at) != NULL)
            *to++ = '\\';
        *to++ = *at;
    }
    memcpy(to, pattern, strlen(pattern) + 1);
    return joined;
}

struct reading {
    const char *root;
    const char *ssh_directory;
    size_t files;
    struct lh_errinfo *info;
};

// Attaches the files that one pattern matches to line `index`.
static lh_err
attach_matches(struct reading *reading, struct lh_sshd_doc *doc, size_t index, const char *pattern)
{
    size_t skip = strcmp(reading->root, "/") == 0 ? 0 : strlen(reading->root);
    char *joined = join_pattern(reading->root, pattern);
    glob_t found = {0};
    lh_err err = 0;

    if (joined == NULL)
        return LH_E_NOMEM;
    int status = glob(joined, 0, NULL, &found);
    free(joined);
    if (status != 0 && status != GLOB_NOMATCH)
        err = lh_fail(reading->info, LH_E_SYS, 0, "cannot look for %s", pattern);
    for (size_t i = 0; err == 0 && status == 0 && i < found.gl_pathc; i++) {
        struct lh_sshd_doc *child = NULL;
        if (++reading->files > FILES_MAX)
            err = lh_fail(reading->info, LH_E_LIMIT, 0, "%s: more than %d files are included",
                          doc->path, FILES_MAX);
        if (err == 0)
            err = read_document(reading->root, found.gl_pathv[i] + skip, &child, reading->info);
        if (err == 0)
            err = lh_sshd_doc_attach(doc, index, child);
    }
    globfree(&found);
    return err;
}

// Attaches all files of line `index`, if it is an Include.
static lh_err attach_line(struct reading *reading, struct lh_sshd_doc *doc, size_t index)
{
    char **patterns = NULL;

    lh_err err = lh_sshd_include_patterns(doc, index, reading->ssh_directory, &patterns);
    if (err == LH_NONE)
        return 0;
    for (size_t i = 0; err == 0 && patterns[i] != NULL; i++)
        err = attach_matches(reading, doc, index, patterns[i]);
    free((void *)patterns);
    return err;
}

struct work {
    struct lh_sshd_doc *doc;
    size_t line;
    size_t child;
};

lh_err lh_sshd_tree_read(const char *root,
                         const char *path,
                         const char *ssh_directory,
                         struct lh_sshd_doc **out_doc,
                         struct lh_errinfo *info)
{
    struct reading reading = {.root = root, .ssh_directory = ssh_directory, .info = info};
    LH_CLEANUP(lh_sshd_doc_freep) struct lh_sshd_doc *doc = NULL;
    struct work stack[LH_SSHD_DEPTH_MAX + 1];
    size_t depth = 0;

    lh_err err = read_document(root, path, &doc, info);
    if (err != 0)
        return err;
    stack[depth++] = (struct work){.doc = doc};
    while (depth > 0) {
        struct work *top = &stack[depth - 1];
        if (top->line == top->doc->count) {
            depth--;
            continue;
        }
        if (top->child == 0 && (err = attach_line(&reading, top->doc, top->line)) != 0)
            return err;
        const struct lh_sshd_line *line = &top->doc->lines[top->line];
        if (top->child < line->include_count && depth == LH_ARRAY_LEN(stack))
            return lh_fail(info, LH_E_LIMIT, 0, "%s: files include files more than %d deep", path,
                           LH_SSHD_DEPTH_MAX);
        if (top->child < line->include_count) {
            stack[depth++] = (struct work){.doc = line->includes[top->child++]};
        } else {
            top->line++;
            top->child = 0;
        }
    }
    *out_doc = lh_steal(&doc);
    return 0;
}
