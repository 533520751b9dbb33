// SPDX-License-Identifier: Apache-2.0
//
// How it works. A list of algorithms is the whole list, or a change of the default one: '+' adds
// at the end, '^' puts in front, '-' removes what matches. Elements may be patterns where sshd
// allows it; each is replaced by what it matches among the algorithms that the binary knows, in the
// binary's order, and nothing is named twice.
// Reference: OpenSSH's kex.c, kex_assemble_names and kex_names_cat.
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sshdcfg/evaluate_internal.h"

// Whether `list` names exactly these `len` bytes.
static bool list_names(const char *list, const char *name, size_t len)
{
    while (*list != '\0') {
        size_t part = strcspn(list, ",");
        if (part == len && strncmp(list, name, len) == 0)
            return true;
        list += part + (list[part] == ',');
    }
    return false;
}

// Appends what `list` does not name yet. Stops at an empty element of `more`, as sshd does.
static void append_new(char *list, const char *more)
{
    size_t used = strlen(list);

    if (used == 0) {
        memcpy(list, more, strlen(more) + 1);
        return;
    }
    while (*more != '\0' && *more != ',') {
        size_t part = strcspn(more, ",");
        if (!list_names(list, more, part)) {
            list[used++] = ',';
            memcpy(list + used, more, part);
            used += part;
            list[used] = '\0';
        }
        more += part + (more[part] == ',');
    }
}

// Copies the elements of `from` that match the pattern list (`keep`), or that do not.
static void filter(const char *from, const char *patterns, bool keep, char *scratch, char *out)
{
    size_t used = 0;

    out[0] = '\0';
    while (*from != '\0') {
        size_t part = strcspn(from, ",");
        memcpy(scratch, from, part);
        scratch[part] = '\0';
        if ((lh_sshd_pattern_list(scratch, patterns, false) == 1) == keep) {
            if (used > 0)
                out[used++] = ',';
            memcpy(out + used, scratch, part + 1);
            used += part;
        }
        from += part + (from[part] == ',');
    }
}

char *lh_sshd_algorithms(const char *text, const char *defaults, const char *known)
{
    size_t text_len = strlen(text), defaults_len = strlen(defaults);
    size_t room = text_len + defaults_len + strlen(known) + 2;
    char *memory = malloc(5 * room);

    if (memory == NULL)
        return NULL;
    char *result = memory, *list = memory + room, *pattern = memory + 2 * room;
    char *matching = memory + 3 * room, *scratch = memory + 4 * room;
    result[0] = '\0';
    if (*text == '-') {
        filter(defaults, text + 1, false, scratch, result);
    } else {
        memcpy(list,
               *text == '+'   ? defaults
               : *text == '^' ? text + 1
                              : text,
               1 + (*text == '+'   ? defaults_len
                    : *text == '^' ? text_len - 1
                                   : text_len));
        if (*text == '+')
            append_new(list, text + 1);
        if (*text == '^')
            append_new(list, defaults);
        for (const char *at = list; *at != '\0';) {
            size_t part = strcspn(at, ",");
            memcpy(pattern, at, part);
            pattern[part] = '\0';
            filter(known, pattern, true, scratch, matching);
            append_new(result, matching);
            at += part + (at[part] == ',');
        }
    }
    return result;
}
