// SPDX-License-Identifier: Apache-2.0
//
// How it works. One walk over the tags keeps the path of elements that are open
// ("CONF/default/...") and where the text of the innermost one began. When an element closes, the
// end of its path says whether its text is wanted. Attributes, comments and declarations are passed
// over; of entities the five that XML has are known. No schema is checked: it is the owner's file,
// and HSTS reads it.
#include "sshdcfg/asperaconf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PATH_ROOM 1024
#define TEXT_ROOM 4096

struct walk {
    const char *at;
    const char *end;
    char path[PATH_ROOM]; // "/CONF/default"
    size_t path_len;
    const char *text; // where the content of the innermost element begins
    struct lh_aspera_conf conf;
    struct lh_aspera_rule rule; // of the user or group that is open
};

static void rule_fini(struct lh_aspera_rule *rule)
{
    free(rule->name);
    free(rule->docroot);
    *rule = (struct lh_aspera_rule){0};
}

void lh_aspera_conf_fini(struct lh_aspera_conf *conf)
{
    for (size_t i = 0; i < conf->count; i++)
        rule_fini(&conf->rules[i]);
    free(conf->rules);
    free(conf->docroot);
    free(conf->fingerprint);
    free(conf->key_path);
    *conf = (struct lh_aspera_conf){0};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The content between `from` and `to` without blanks around it, entities replaced.
static lh_err take_text(const char *from, const char *to, char **slot)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char out[TEXT_ROOM];
    size_t used = 0;

    while (from < to && is_blank(*from))
        from++;
    while (to > from && is_blank(to[-1]))
        to--;
    while (from < to && used + 1 < sizeof out) {
        size_t step = 1;
        out[used] = *from;
        for (size_t i = 0; *from == '&' && i < LH_ARRAY_LEN(entities); i++) {
            size_t len = strlen(entities[i].name);
            if ((size_t)(to - from) >= len && memcmp(from, entities[i].name, len) == 0) {
                out[used] = entities[i].c;
                step = len;
            }
        }
        used++;
        from += step;
    }
    out[used] = '\0';
    char *copy = strdup(out);
    if (copy == NULL)
        return LH_E_NOMEM;
    free(*slot);
    *slot = copy;
    return 0;
}

static bool path_ends(const struct walk *walk, const char *tail)
{
    size_t len = strlen(tail);
    return walk->path_len >= len && strcmp(walk->path + walk->path_len - len, tail) == 0;
}

static bool inside(const struct walk *walk, const char *part)
{
    return strstr(walk->path, part) != NULL;
}

static lh_err end_rule(struct walk *walk)
{
    struct lh_aspera_conf *conf = &walk->conf;

    if (walk->rule.name == NULL) {
        rule_fini(&walk->rule);
        return 0;
    }
    if (conf->count == LH_ASPERA_RULES_MAX)
        return LH_E_LIMIT;
    struct lh_aspera_rule *rules = realloc(conf->rules, (conf->count + 1) * sizeof *rules);
    if (rules == NULL)
        return LH_E_NOMEM;
    conf->rules = rules;
    walk->rule.group = path_ends(walk, "/group");
    if (walk->rule.docroot == NULL && (walk->rule.docroot = strdup("")) == NULL)
        return LH_E_NOMEM;
    rules[conf->count++] = walk->rule;
    walk->rule = (struct lh_aspera_rule){0};
    return 0;
}

// The innermost element ends; its content ends at `to`.
static lh_err end_element(struct walk *walk, const char *to)
{
    bool user = inside(walk, "/users/user/") || inside(walk, "/groups/group/");
    char **docroot = user ? &walk->rule.docroot : &walk->conf.docroot;
    bool *restricted = user ? &walk->rule.restricted : &walk->conf.restricted;

    if (path_ends(walk, "/users/user") || path_ends(walk, "/groups/group"))
        return end_rule(walk);
    if (path_ends(walk, "/users/user/name") || path_ends(walk, "/groups/group/name"))
        return take_text(walk->text, to, &walk->rule.name);
    if (!user && !inside(walk, "/default/") && !inside(walk, "/server/"))
        return 0;
    if (path_ends(walk, "/paths/path/absolute"))
        return take_text(walk->text, to, docroot);
    if (path_ends(walk, "/restrictions/restriction"))
        *restricted = true;
    if (path_ends(walk, "/server/ssh_host_key_fingerprint"))
        return take_text(walk->text, to, &walk->conf.fingerprint);
    if (path_ends(walk, "/server/ssh_host_key_path"))
        return take_text(walk->text, to, &walk->conf.key_path);
    return 0;
}

// Moves behind `mark`, which is looked for from `from` on.
static lh_err skip_behind(struct walk *walk, size_t from, const char *mark)
{
    size_t left = (size_t)(walk->end - walk->at);
    const char *found =
        left < from ? NULL : memmem(walk->at + from, left - from, mark, strlen(mark));

    if (found == NULL)
        return LH_E_INVALID;
    walk->at = found + strlen(mark);
    return 0;
}

static bool starts(const struct walk *walk, const char *head)
{
    size_t len = strlen(head);
    return (size_t)(walk->end - walk->at) >= len && memcmp(walk->at, head, len) == 0;
}

static size_t name_len(const char *at, const char *end)
{
    size_t len = 0;
    while (at + len < end && !is_blank(at[len]) && at[len] != '>' && at[len] != '/')
        len++;
    return len;
}

// "</name>"
static lh_err close_tag(struct walk *walk)
{
    const char *tag = walk->at;
    size_t len = name_len(tag + 2, walk->end);
    char *slash = strrchr(walk->path, '/');

    if (slash == NULL || strlen(slash + 1) != len || memcmp(slash + 1, tag + 2, len) != 0)
        return LH_E_INVALID;
    lh_err err = end_element(walk, tag);
    if (err == 0)
        err = skip_behind(walk, 2, ">");
    walk->path_len = (size_t)(slash - walk->path);
    *slash = '\0';
    walk->text = walk->at;
    return err;
}

// "<name a="b">" or "<name/>"; an attribute may hold '>'.
static lh_err open_tag(struct walk *walk)
{
    const char *name = walk->at + 1;
    size_t len = name_len(name, walk->end);
    char quote = '\0';
    const char *at = name + len;

    if (len == 0 || walk->path_len + len + 2 > sizeof walk->path || memchr(name, '\0', len) != NULL)
        return len == 0 ? LH_E_INVALID : LH_E_LIMIT;
    for (; at < walk->end && (quote != '\0' || *at != '>'); at++) {
        if (quote != '\0')
            quote = *at == quote ? '\0' : quote;
        else if (*at == '"' || *at == '\'')
            quote = *at;
    }
    if (at == walk->end)
        return LH_E_INVALID;
    walk->at = at + 1;
    if (at[-1] == '/')
        return 0;
    walk->path[walk->path_len] = '/';
    memcpy(walk->path + walk->path_len + 1, name, len);
    walk->path_len += len + 1;
    walk->path[walk->path_len] = '\0';
    walk->text = walk->at;
    return 0;
}

static lh_err step(struct walk *walk)
{
    if (*walk->at != '<') {
        walk->at++;
        return 0;
    }
    if (starts(walk, "<!--"))
        return skip_behind(walk, 4, "-->");
    if (starts(walk, "<?"))
        return skip_behind(walk, 2, "?>");
    if (starts(walk, "<!"))
        return skip_behind(walk, 2, ">");
    return starts(walk, "</") ? close_tag(walk) : open_tag(walk);
}

lh_err lh_aspera_conf_parse(const char *text, size_t len, struct lh_aspera_conf *out_conf)
{
    struct walk walk = {.at = text, .end = text + len, .text = text};
    char **const texts[] = {&walk.conf.docroot, &walk.conf.fingerprint, &walk.conf.key_path};
    lh_err err = 0;

    while (err == 0 && walk.at < walk.end)
        err = step(&walk);
    if (err == 0 && walk.path_len > 0)
        err = LH_E_INVALID;
    for (size_t i = 0; err == 0 && i < LH_ARRAY_LEN(texts); i++) {
        if (*texts[i] == NULL && (*texts[i] = strdup("")) == NULL)
            err = LH_E_NOMEM;
    }
    rule_fini(&walk.rule);
    if (err != 0)
        lh_aspera_conf_fini(&walk.conf);
    else
        *out_conf = walk.conf;
    return err;
}
