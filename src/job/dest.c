// SPDX-License-Identifier: Apache-2.0
#include "job/dest.h"

#include <string.h>

#include "base/name.h"

enum lh_dest_plan lh_dest_plan(const struct lh_dest_facts *facts)
{
    if (facts->dest == LH_DEST_IS_DIRECTORY)
        return LH_DEST_INTO;
    if (facts->make_directory)
        return facts->dest == LH_DEST_IS_MISSING ? LH_DEST_MAKE_AND_INTO : LH_DEST_NOT_A_DIRECTORY;
    if (facts->source_count != 1)
        return facts->dest == LH_DEST_IS_MISSING ? LH_DEST_NOT_THERE : LH_DEST_NOT_A_DIRECTORY;
    return facts->parent_is_directory ? LH_DEST_RENAME : LH_DEST_NO_PARENT;
}

// The length of `path` without trailing slashes and "/." parts; "/" and "." stay.
static size_t trimmed_length(const char *path, size_t len)
{
    for (;;) {
        if (len > 1 && path[len - 1] == '/')
            len--;
        else if (len > 2 && path[len - 1] == '.' && path[len - 2] == '/')
            len--;
        else if (len == 2 && path[0] == '/' && path[1] == '.')
            len--;
        else
            return len;
    }
}

lh_err lh_dest_split(const char *dest, size_t len, struct lh_dest_split *out_split)
{
    if (len > LH_PATH_TEXT_MAX || memchr(dest, '\0', len) != NULL)
        return LH_E_PATH;
    len = trimmed_length(dest, len);
    const char *slash = len == 0 ? NULL : memrchr(dest, '/', len);
    size_t name_at = slash == NULL ? 0 : (size_t)(slash - dest) + 1;
    if (len - name_at > LH_NAME_MAX)
        return LH_E_PATH;

    *out_split = (struct lh_dest_split){.parent = "."};
    if (!lh_component_ok(dest + name_at, len - name_at)) {
        if (len > 0) {
            memcpy(out_split->parent, dest, len);
            out_split->parent[len] = '\0';
        }
        return LH_OK;
    }
    memcpy(out_split->name, dest + name_at, len - name_at);
    if (slash != NULL) {
        size_t parent_len = trimmed_length(dest, name_at);
        memcpy(out_split->parent, dest, parent_len);
        out_split->parent[parent_len] = '\0';
    }
    return LH_OK;
}

// Copies the components of [from, from + len) joined by single slashes, leaving out "" and ".".
static lh_err copy_components(const char *from, size_t len, char *out)
{
    size_t used = 0;
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(from + at, '/', len - at);
        size_t part = slash == NULL ? len - at : (size_t)(slash - (from + at));
        bool is_nothing = part == 0 || (part == 1 && from[at] == '.');
        if (!is_nothing && !lh_component_ok(from + at, part))
            return LH_E_PATH;
        if (!is_nothing) {
            if (used > 0)
                out[used++] = '/';
            memcpy(out + used, from + at, part);
            used += part;
        }
        at += part + 1;
    }
    out[used] = '\0';
    return LH_OK;
}

lh_err lh_source_name(const char *source,
                      size_t len,
                      const char *base,
                      char out_name[LH_PATH_TEXT_MAX + 1])
{
    if (len > LH_PATH_TEXT_MAX || memchr(source, '\0', len) != NULL)
        return LH_E_PATH;
    if (base != NULL) {
        size_t base_len = trimmed_length(base, strlen(base));
        bool is_root = base_len == 1 && base[0] == '/';
        if (base_len == 0 || (base_len == 1 && base[0] == '.'))
            return LH_E_PATH;
        if (base_len > len || memcmp(source, base, base_len) != 0)
            return LH_E_PATH;
        if (!is_root && base_len < len && source[base_len] != '/')
            return LH_E_PATH;
        return copy_components(source + base_len, len - base_len, out_name);
    }

    // "d/." asks for the content of d, "d/" for d itself.
    bool is_content = len >= 2 && source[len - 1] == '.' && source[len - 2] == '/';
    len = trimmed_length(source, len);
    const char *slash = len == 0 ? NULL : memrchr(source, '/', len);
    size_t name_at = slash == NULL ? 0 : (size_t)(slash - source) + 1;
    if (len - name_at > LH_NAME_MAX)
        return LH_E_PATH;
    bool has_name = !is_content && lh_component_ok(source + name_at, len - name_at);
    size_t name_len = has_name ? len - name_at : 0;
    memcpy(out_name, source + name_at, name_len);
    out_name[name_len] = '\0';
    return LH_OK;
}

bool lh_relative_path_ok(const char *path, size_t len)
{
    if (len > LH_PATH_TEXT_MAX)
        return false;
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t part = slash == NULL ? len - at : (size_t)(slash - (path + at));
        if (!lh_component_ok(path + at, part) || at + part + 1 == len)
            return false;
        at += part + 1;
    }
    return true;
}
