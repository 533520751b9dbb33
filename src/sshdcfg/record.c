// SPDX-License-Identifier: Apache-2.0
//
// How it works. The record is a list of lines "KEY VALUE", one table of which says how each key is
// read and written; a key that may come several times adds to its list. What belongs to a file
// ("xattr") follows the file's line. The last line is "end", so that a text that was cut is known
// as one. Values hold any byte but line ends and zero.
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sshdcfg/ritual.h"

#define HEAD "lhctl-sshd-record 1"

struct writer {
    const struct lh_record *record;
    char *text;
    size_t len;
    lh_err err;
};

static void put(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    size_t room = LH_RECORD_TEXT_MAX - writer->len;

    if (writer->err != 0)
        return;
    va_start(arguments, format);
    int len = vsnprintf(writer->text + writer->len, room, format, arguments);
    va_end(arguments);
    if (len < 2 || (size_t)len >= room)
        writer->err = LH_E_LIMIT;
    else if (memchr(writer->text + writer->len, '\n', (size_t)len - 1) != NULL)
        writer->err = LH_E_INVALID;
    else
        writer->len += (size_t)len;
}

// --- Values ---

static bool take_text(const char *value, char *out, size_t room)
{
    size_t len = strlen(value);
    if (len >= room)
        return false;
    memcpy(out, value, len + 1);
    return true;
}

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") == len && strlen(text) == len;
}

static bool take_number(const char *value, uint64_t low, uint64_t high, uint64_t *out)
{
    return lh_parse_number(value, low, high, out) == 0;
}

static bool take_u32(const char *value, uint64_t high, uint32_t *out)
{
    uint64_t number;
    if (!take_number(value, 0, high, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool take_ports(const char *value, uint16_t *ports, size_t *count)
{
    uint64_t number;
    if (*count == LH_RECORD_PORTS_MAX || !take_number(value, 1, 65535, &number))
        return false;
    ports[(*count)++] = (uint16_t)number;
    return true;
}

// The next word of `*text`, cut off where it ends; NULL at the end.
static char *next_word(char **text)
{
    char *word = *text;
    char *blank = strchr(word, ' ');

    if (blank == NULL || blank == word)
        return NULL;
    *blank = '\0';
    *text = blank + 1;
    return word;
}

// --- Keys ---

static bool take_id(struct lh_record *record, char *value)
{
    return is_hex(value, sizeof record->id - 1) && take_text(value, record->id, sizeof record->id);
}

static bool take_phase(struct lh_record *record, char *value)
{
    for (int i = LH_RITUAL_PREPARING; i < LH_RITUAL_PHASE_N_; i++) {
        if (strcmp(lh_ritual_phase_name((enum lh_ritual_phase)i), value) != 0)
            continue;
        record->phase = (enum lh_ritual_phase)i;
        return true;
    }
    return false;
}

static bool take_boot(struct lh_record *record, char *value)
{
    return take_text(value, record->boot, sizeof record->boot);
}

static bool take_deadline(struct lh_record *record, char *value)
{
    return take_number(value, 0, INT64_MAX, &record->deadline);
}

static bool take_opened(struct lh_record *record, char *value)
{
    return take_number(value, 0, INT64_MAX, &record->opened);
}

static bool take_seconds(struct lh_record *record, char *value)
{
    return take_u32(value, UINT32_MAX, &record->seconds);
}

static bool take_port(struct lh_record *record, char *value)
{
    uint64_t number;
    if (!take_number(value, 1, 65535, &number))
        return false;
    record->port = (uint16_t)number;
    return true;
}

static bool take_old_port(struct lh_record *record, char *value)
{
    return take_ports(value, record->old_ports, &record->old_port_count);
}

static bool take_new_port(struct lh_record *record, char *value)
{
    return take_ports(value, record->new_ports, &record->new_port_count);
}

static bool take_config(struct lh_record *record, char *value)
{
    return *value == '/' && take_text(value, record->config, sizeof record->config);
}

static bool take_user(struct lh_record *record, char *value)
{
    return take_text(value, record->user, sizeof record->user);
}

static bool take_mover(struct lh_record *record, char *value)
{
    return take_text(value, record->mover, sizeof record->mover);
}

static bool take_pid(struct lh_record *record, char *value)
{
    return take_u32(value, INT32_MAX, &record->pid);
}

static bool take_pid_given(struct lh_record *record, char *value)
{
    record->pid_given = strcmp(value, "yes") == 0;
    return record->pid_given || strcmp(value, "no") == 0;
}

static bool take_argument(struct lh_record *record, char *value)
{
    return record->argument_count < LH_RECORD_ARGUMENTS_MAX &&
           take_text(value, record->arguments[record->argument_count++],
                     sizeof record->arguments[0]);
}

// "UID GID MODE OLD TWO NEW PATH"
static bool take_file(struct lh_record *record, char *value)
{
    if (record->file_count == LH_RECORD_FILES_MAX)
        return false;
    struct lh_record_file *file = &record->files[record->file_count];
    const char *uid = next_word(&value), *gid = next_word(&value), *mode = next_word(&value);
    if (uid == NULL || gid == NULL || mode == NULL || !take_u32(uid, UINT32_MAX, &file->uid) ||
        !take_u32(gid, UINT32_MAX, &file->gid) || !take_u32(mode, 07777, &file->mode))
        return false;
    for (size_t i = 0; i < LH_RITUAL_TEXT_N_; i++) {
        const char *digest = next_word(&value);
        if (digest == NULL || !is_hex(digest, 64) ||
            !take_text(digest, file->digest[i], sizeof file->digest[i]))
            return false;
    }
    record->file_count++;
    return *value == '/' && take_text(value, file->path, sizeof file->path);
}

// "NAME VALUE", of the last file
static bool take_xattr(struct lh_record *record, char *value)
{
    const char *name = next_word(&value);
    if (name == NULL || record->file_count == 0)
        return false;
    struct lh_record_file *file = &record->files[record->file_count - 1];
    if (file->xattr_count == LH_RECORD_XATTRS_MAX)
        return false;
    struct lh_record_xattr *xattr = &file->xattrs[file->xattr_count++];
    return take_text(name, xattr->name, sizeof xattr->name) && strlen(value) % 2 == 0 &&
           is_hex(value, strlen(value)) && take_text(value, xattr->value, sizeof xattr->value);
}

static bool take_key(struct lh_record *record, char *value)
{
    return record->key_count < LH_RECORD_KEYS_MAX && *value == '/' &&
           take_text(value, record->keys[record->key_count++].path, LH_RECORD_PATH_MAX);
}

static bool take_absent(struct lh_record *record, char *value)
{
    return record->absent_count < LH_RECORD_ABSENT_MAX && *value == '/' &&
           take_text(value, record->absent[record->absent_count++], LH_RECORD_PATH_MAX);
}

static const struct {
    const char *key;
    bool (*take)(struct lh_record *record, char *value);
    bool several;
} keys[] = {
    {"id", take_id, false},
    {"phase", take_phase, false},
    {"boot", take_boot, false},
    {"deadline", take_deadline, false},
    {"opened", take_opened, false},
    {"seconds", take_seconds, false},
    {"port", take_port, false},
    {"old-port", take_old_port, true},
    {"new-port", take_new_port, true},
    {"config", take_config, false},
    {"user", take_user, false},
    {"mover", take_mover, false},
    {"pid", take_pid, false},
    {"pid-given", take_pid_given, false},
    {"argument", take_argument, true},
    {"file", take_file, true},
    {"xattr", take_xattr, true},
    {"key", take_key, true},
    {"absent", take_absent, true},
};

// --- Writing ---

static void put_lists(struct writer *writer)
{
    const struct lh_record *record = writer->record;

    for (size_t i = 0; i < record->old_port_count; i++)
        put(writer, "old-port %u\n", record->old_ports[i]);
    for (size_t i = 0; i < record->new_port_count; i++)
        put(writer, "new-port %u\n", record->new_ports[i]);
    for (size_t i = 0; i < record->argument_count; i++)
        put(writer, "argument %s\n", record->arguments[i]);
    for (size_t i = 0; i < record->file_count; i++) {
        const struct lh_record_file *file = &record->files[i];
        put(writer, "file %u %u %u %s %s %s %s\n", file->uid, file->gid, file->mode,
            file->digest[LH_RITUAL_OLD], file->digest[LH_RITUAL_TWO], file->digest[LH_RITUAL_NEW],
            file->path);
        for (size_t n = 0; n < file->xattr_count; n++)
            put(writer, "xattr %s %s\n", file->xattrs[n].name, file->xattrs[n].value);
    }
    for (size_t i = 0; i < record->key_count; i++)
        put(writer, "key %s\n", record->keys[i].path);
    for (size_t i = 0; i < record->absent_count; i++)
        put(writer, "absent %s\n", record->absent[i]);
}

lh_err lh_record_print(const struct lh_record *record, char **out_text, size_t *out_len)
{
    struct writer writer = {.record = record, .text = malloc(LH_RECORD_TEXT_MAX)};

    LH_ASSERT(record->phase != LH_RITUAL_NONE);
    if (writer.text == NULL)
        return LH_E_NOMEM;
    put(&writer, HEAD "\n");
    put(&writer, "id %s\n", record->id);
    put(&writer, "phase %s\n", lh_ritual_phase_name(record->phase));
    put(&writer, "boot %s\n", record->boot);
    put(&writer, "deadline %llu\n", (unsigned long long)record->deadline);
    put(&writer, "opened %llu\n", (unsigned long long)record->opened);
    put(&writer, "seconds %u\n", record->seconds);
    put(&writer, "port %u\n", record->port);
    put(&writer, "config %s\n", record->config);
    put(&writer, "user %s\n", record->user);
    put(&writer, "mover %s\n", record->mover);
    put(&writer, "pid %u\n", record->pid);
    put(&writer, "pid-given %s\n", record->pid_given ? "yes" : "no");
    put_lists(&writer);
    put(&writer, "end\n");
    if (writer.err != 0) {
        free(writer.text);
        return writer.err;
    }
    *out_text = writer.text;
    *out_len = writer.len;
    return 0;
}

// --- Reading ---

static bool take_line(struct lh_record *record, char *line, unsigned *seen)
{
    char *value = strchr(line, ' ');

    if (value == NULL)
        return false;
    *value++ = '\0';
    for (unsigned i = 0; i < LH_ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].key, line) != 0)
            continue;
        bool again = !keys[i].several && (*seen & 1u << i) != 0;
        *seen |= 1u << i;
        return !again && keys[i].take(record, value);
    }
    return false;
}

// Whether every key that must be there was.
static bool complete(unsigned seen)
{
    for (unsigned i = 0; i < LH_ARRAY_LEN(keys); i++) {
        if (!keys[i].several && (seen & 1u << i) == 0)
            return false;
    }
    return true;
}

lh_err lh_record_parse(const char *text, size_t len, struct lh_record *out_record)
{
    static_assert(LH_ARRAY_LEN(keys) <= 32, "`seen` has a bit for each");
    struct lh_record *record = calloc(1, sizeof *record);
    char *copy = malloc(len + 1);
    unsigned seen = 0, number = 0;
    bool good = record != NULL && copy != NULL && len > 0 && text[len - 1] == '\n' &&
                memchr(text, '\0', len) == NULL,
         ended = false;

    if (good)
        memcpy(copy, text, len);
    for (size_t at = 0; good && at < len; number++) {
        char *line = copy + at;
        size_t part = (size_t)((char *)memchr(line, '\n', len - at) - line);
        line[part] = '\0';
        at += part + 1;
        if (number == 0)
            good = strcmp(line, HEAD) == 0;
        else if (strcmp(line, "end") == 0 && at == len)
            ended = true;
        else
            good = take_line(record, line, &seen);
    }
    bool no_memory = record == NULL || copy == NULL;
    if (good && ended && complete(seen))
        *out_record = *record;
    free(copy);
    free(record);
    return no_memory ? LH_E_NOMEM : good && ended && complete(seen) ? 0 : LH_E_INVALID;
}
