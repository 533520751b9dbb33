// SPDX-License-Identifier: Apache-2.0
//
// How it works. The file names come from AuthorizedKeysFile with its tokens expanded. With
// StrictModes sshd refuses files that others can write, along the whole path up to the home, and so
// each part is looked at. Each line is a key with options in front; the options decide whether the
// key lets its holder work.
#include "sshdapply/keyfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "sshdapply/tree.h"
#include "sshdcfg/match.h"
#include "sys/clock.h"

#define KEYS_FILE_MAX ((size_t)4 << 20)
#define DEFAULT_FILES ".ssh/authorized_keys .ssh/authorized_keys2"
#define EXPIRY_MARGIN 3600 // seconds: a key must outlive what is being done

// Whether a comma-separated list names the algorithm.
static bool list_names(const char *list, const char *name)
{
    size_t len = strlen(name);

    while (*list != '\0') {
        size_t part = strcspn(list, ",");
        if (part == len && strncmp(list, name, len) == 0)
            return true;
        list += part + (list[part] == ',');
    }
    return false;
}

bool lh_key_accepted(const struct lh_sshd_values *values, const struct lh_public_key *key)
{
    const char *accepted = lh_sshd_values_text(values, "pubkeyacceptedalgorithms");
    const char *bits = lh_sshd_values_text(values, "requiredrsasize");

    if (*accepted == '\0')
        return true; // not known without sshd's defaults
    if (strcmp(key->type, "ssh-rsa") != 0)
        return list_names(accepted, key->type);
    return key->bits >= strtoul(bits, NULL, 10) &&
           (list_names(accepted, "rsa-sha2-256") || list_names(accepted, "rsa-sha2-512") ||
            list_names(accepted, "ssh-rsa"));
}

bool lh_keys_others_write(const char *root,
                          const struct lh_account *account,
                          const char *path,
                          char out[LH_KEYS_FACT_MAX])
{
    char part[4096];
    struct stat facts;

    (void)snprintf(part, sizeof part, "%s", path);
    for (;;) {
        const char *shown = *part == '\0' ? "/" : part;
        if (lh_root_stat(root, shown, &facts) &&
            ((facts.st_uid != 0 && facts.st_uid != account->uid) ||
             (!S_ISLNK(facts.st_mode) && (facts.st_mode & 022) != 0))) {
            (void)snprintf(out, LH_KEYS_FACT_MAX, "%.4000s has owner %u and mode %04o", shown,
                           (unsigned)facts.st_uid, (unsigned)(facts.st_mode & 07777));
            return true;
        }
        char *slash = strrchr(part, '/');
        if (*part == '\0' || strcmp(part, account->home) == 0 || slash == NULL)
            return false;
        *slash = '\0';
    }
}

bool lh_keys_path(
    const char *pattern, size_t len, const struct lh_account *account, char *out, size_t room)
{
    size_t used = 0;

    if (*pattern != '/' && strncmp(pattern, "%h", 2) != 0)
        used = (size_t)snprintf(out, room, "%s/", account->home);
    for (size_t i = 0; i < len && used < room; i++) {
        char letter = pattern[i] == '%' && i + 1 < len ? pattern[++i] : '\0';
        int added = letter == 'h'   ? snprintf(out + used, room - used, "%s", account->home)
                    : letter == 'u' ? snprintf(out + used, room - used, "%s", account->name)
                    : letter == 'U'
                        ? snprintf(out + used, room - used, "%u", (unsigned)account->uid)
                        : snprintf(out + used, room - used, "%c", pattern[i]);
        used += added > 0 ? (size_t)added : 0;
    }
    return used < room;
}

// --- Options of a key ---

// Whether "YYYYMMDD[HHMM[SS]][Z]" is over within the hour; what cannot be read is over.
static bool expires(const char *text, size_t len)
{
    time_t soon = (time_t)lh_clock_wall_seconds() + EXPIRY_MARGIN;
    bool utc = len > 0 && (text[len - 1] == 'Z' || text[len - 1] == 'z');
    char limit[16] = "00000000000000", now[16];
    struct tm parts;

    len -= utc;
    if (len < 8 || len > 14)
        return true;
    memcpy(limit, text, len);
    if ((utc ? gmtime_r(&soon, &parts) : localtime_r(&soon, &parts)) == NULL ||
        strftime(now, sizeof now, "%Y%m%d%H%M%S", &parts) == 0)
        return true;
    return strcmp(limit, now) <= 0;
}

// Length of one option; commas inside double quotes do not end it.
static size_t option_len(const char *text, size_t len)
{
    bool quoted = false;
    size_t at = 0;

    for (; at < len && (quoted || text[at] != ','); at++) {
        if (text[at] == '\\' && at + 1 < len && text[at + 1] == '"')
            at++;
        else if (text[at] == '"')
            quoted = !quoted;
    }
    return at;
}

// The value of "NAME=..." without its quotes; NULL where the option is another one.
static const char *option_value(const char *option, size_t len, const char *name, size_t *out_len)
{
    size_t name_len = strlen(name);

    if (len <= name_len || strncasecmp(option, name, name_len) != 0 || option[name_len] != '=')
        return NULL;
    const char *value = option + name_len + 1;
    *out_len = len - name_len - 1;
    if (*out_len >= 2 && value[0] == '"' && value[*out_len - 1] == '"') {
        value++;
        *out_len -= 2;
    }
    return value;
}

// Why a key with this option is of no use to somebody who comes from `address`; NULL: it is.
static const char *option_objection(const char *option, size_t len, const char *address)
{
    char list[1024];
    const char *value;
    size_t value_len;

    if (len == strlen("cert-authority") && strncasecmp(option, "cert-authority", len) == 0)
        return "belongs to an authority for certificates";
    if (option_value(option, len, "command", &value_len) != NULL)
        return "runs one command only";
    value = option_value(option, len, "expiry-time", &value_len);
    if (value != NULL && expires(value, value_len))
        return "has expired, or does within the hour";
    value = option_value(option, len, "from", &value_len);
    if (value == NULL)
        return NULL;
    if (address == NULL || value_len >= sizeof list)
        return "is bound to addresses (from=...)";
    memcpy(list, value, value_len);
    list[value_len] = '\0';
    return lh_sshd_address_list(address, list) == 1 ? NULL : "is bound to other addresses (from=)";
}

static const char *line_objection(const char *line, size_t options_len, const char *address)
{
    while (*line == ' ' || *line == '\t')
        line++;
    for (size_t at = 0; at < options_len;) {
        size_t part = option_len(line + at, options_len - at);
        const char *objection = option_objection(line + at, part, address);
        if (objection != NULL)
            return objection;
        at += part + 1;
    }
    return NULL;
}

// --- Files ---

static void answer_line(const struct lh_keys_question *question,
                        const char *line,
                        size_t len,
                        const char *spoiled,
                        struct lh_keys_answer *answer)
{
    struct lh_public_key *key = calloc(1, sizeof *key);
    size_t options_len = 0;

    if (key == NULL || lh_public_key_parse(line, len, key, &options_len) != 0) {
        free(key);
        return;
    }
    const char *objection = spoiled;
    if (objection == NULL && !lh_key_accepted(question->values, key))
        objection = "is of a type or size that is refused";
    if (objection == NULL)
        objection = line_objection(line, options_len, question->address);
    bool asked = question->sha256 != NULL && strcmp(question->sha256, key->sha256) == 0;
    answer->good += objection == NULL;
    answer->asked_good = answer->asked_good || (asked && objection == NULL);
    answer->asked_refused = answer->asked_refused || (asked && objection != NULL);
    if (objection != NULL)
        (void)snprintf(answer->why_not, sizeof answer->why_not, "the %.40s key %.100s", key->type,
                       objection);
    free(key);
}

static void answer_file(const struct lh_keys_question *question,
                        const char *path,
                        struct lh_keys_answer *answer)
{
    bool strict = strcmp(lh_sshd_values_text(question->values, "strictmodes"), "no") != 0;
    char fact[LH_KEYS_FACT_MAX], spoiled[120];
    unsigned before = answer->good;
    char *text;
    size_t len;

    if (lh_root_read(question->root, path, KEYS_FILE_MAX, &text, &len, NULL) != 0)
        return;
    bool open = strict && lh_keys_others_write(question->root, question->account, path, fact);
    if (open)
        (void)snprintf(spoiled, sizeof spoiled, "is ignored: %.100s", fact);
    for (const char *line = text; *line != '\0';) {
        size_t part = strcspn(line, "\n");
        answer_line(question, line, part, open ? spoiled : NULL, answer);
        line += part + (line[part] == '\n');
    }
    if (before == 0 && answer->good > 0)
        (void)snprintf(answer->path, sizeof answer->path, "%s", path);
    free(text);
}

void lh_keys_answer(const struct lh_keys_question *question, struct lh_keys_answer *out_answer)
{
    const char *patterns = lh_sshd_values_text(question->values, "authorizedkeysfile");
    char path[4096];

    *out_answer = (struct lh_keys_answer){0};
    if (*patterns == '\0')
        patterns = DEFAULT_FILES;
    for (const char *at = patterns; *at != '\0';) {
        size_t part = strcspn(at, " ");
        if (lh_keys_path(at, part, question->account, path, sizeof path))
            answer_file(question, path, out_answer);
        at += part;
        at += strspn(at, " ");
    }
}
