// SPDX-License-Identifier: Apache-2.0
//
// How it works. Match lines hold criteria ("User", "Group", "Host", "Address", "LocalAddress",
// "LocalPort", "RDomain", "Invalid-user", "all") that must all hold. A table maps each to a
// function of the persona and its argument. What sshd does is followed to the letter: the first
// excluded element ends a list, groups are each held against the whole list and one exclusion
// wins, a network with host bits set is an error, and what is no network is a pattern.
// Reference: OpenSSH's match.c, addrmatch.c, groupaccess.c and match_cfg_line in servconf.c.
#include "sshdcfg/match.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "sshdcfg/address_internal.h"
#include "sshdcfg/number_internal.h"
#include "sshdcfg/split.h"

#define SUBPATTERN_MAX 1023 // longer ones never match, in sshd neither

// The part of a list up to the next comma: `len` characters at `text`.
struct element {
    const char *text;
    size_t len;
    bool negated;
};

static bool match_span(const char *text, struct element pattern, bool fold)
{
    const char *at = pattern.text;
    const char *end = pattern.text + pattern.len;
    const char *star = NULL;   // where the pattern goes on behind the last '*' ...
    const char *resume = NULL; // ... and the text that the '*' has not taken yet

    while (*text != '\0') {
        char want = at < end ? *at : '\0';
        if (fold)
            want = (char)tolower((unsigned char)want);
        if (at < end && want == '*') {
            star = ++at;
            resume = text;
        } else if (at < end && (want == '?' || want == *text)) {
            at++;
            text++;
        } else if (star != NULL) {
            at = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (at < end && *at == '*')
        at++;
    return at == end;
}

bool lh_sshd_pattern(const char *text, const char *pattern)
{
    return match_span(text, (struct element){.text = pattern, .len = strlen(pattern)}, false);
}

// Takes the next element off `*list`; false at the end.
static bool next_element(const char **list, struct element *element)
{
    if (**list == '\0')
        return false;
    element->negated = **list == '!';
    if (element->negated)
        (*list)++;
    element->text = *list;
    element->len = strcspn(*list, ",");
    *list += element->len;
    if (**list == ',')
        (*list)++;
    return true;
}

int lh_sshd_pattern_list(const char *text, const char *list, bool fold)
{
    struct element element;
    int found = 0;

    while (next_element(&list, &element)) {
        if (element.len >= SUBPATTERN_MAX)
            return 0;
        if (!match_span(text, element, fold))
            continue;
        if (element.negated)
            return -1;
        found = 1;
    }
    return found;
}

int lh_sshd_address_list(const char *address, const char *list)
{
    struct lh_sshd_address ours, network;
    unsigned bits;
    int found = 0;

    if (address != NULL && !lh_sshd_address_parse(address, strlen(address), &ours))
        return 0;
    for (bool more = true; more;) {
        struct element element = {.negated = *list == '!'};
        element.text = list + (element.negated ? 1 : 0);
        element.len = strcspn(element.text, ",");
        more = element.text[element.len] == ',';
        list = element.text + element.len + (more ? 1 : 0);
        if (element.len == 0)
            return -2;
        int kind = lh_sshd_network_parse(element.text, element.len, &network, &bits);
        if (kind == LH_SSHD_NETWORK_BAD)
            return -2;
        if (address == NULL)
            continue;
        bool holds = kind == LH_SSHD_NETWORK ? lh_sshd_network_holds(&network, bits, &ours)
                                             : match_span(address, element, false);
        if (holds && element.negated)
            return -1;
        if (holds)
            found = 1;
    }
    return found;
}

int lh_sshd_port(const char *text,
                 int (*service_port)(void *context, const char *name),
                 void *context)
{
    long long number;

    if (lh_sshd_number(text, 0, 65535, &number))
        return (int)number;
    return service_port == NULL ? -1 : service_port(context, text);
}

// --- Criteria ---

struct criterion_input {
    const struct lh_sshd_persona *persona; // NULL: syntax only
    const char *argument;
    int (*service_port)(void *context, const char *name);
    void *context;
};

static int match_user(const struct criterion_input *in)
{
    if (in->persona == NULL || in->persona->user == NULL)
        return 0;
    return lh_sshd_pattern_list(in->persona->user, in->argument, false) == 1;
}

static int match_group(const struct criterion_input *in)
{
    int found = 0;

    if (in->persona == NULL || in->persona->user == NULL || !in->persona->user_exists)
        return 0;
    for (size_t i = 0; i < in->persona->group_count; i++) {
        int one = lh_sshd_pattern_list(in->persona->groups[i], in->argument, false);
        if (one < 0)
            return 0;
        found |= one;
    }
    return found;
}

int lh_sshd_host_list(const char *host, const char *list)
{
    char folded[256];
    size_t len = 0;

    for (; host[len] != '\0' && len < sizeof folded - 1; len++)
        folded[len] = (char)tolower((unsigned char)host[len]);
    folded[len] = '\0';
    return lh_sshd_pattern_list(folded, list, true);
}

static int match_host(const struct criterion_input *in)
{
    if (in->persona == NULL || in->persona->host == NULL)
        return 0;
    return lh_sshd_host_list(in->persona->host, in->argument) == 1;
}

static int match_addresses(const char *address, const char *list)
{
    int found = lh_sshd_address_list(address, list);
    if (found == -2)
        return LH_SSHD_MATCH_BAD;
    return found == 1;
}

static int match_address(const struct criterion_input *in)
{
    return match_addresses(in->persona == NULL ? NULL : in->persona->address, in->argument);
}

static int match_local_address(const struct criterion_input *in)
{
    return match_addresses(in->persona == NULL ? NULL : in->persona->local_address, in->argument);
}

static int match_local_port(const struct criterion_input *in)
{
    int port = lh_sshd_port(in->argument, in->service_port, in->context);

    if (port < 0)
        return LH_SSHD_MATCH_BAD;
    return in->persona != NULL && in->persona->local_port != 0 && in->persona->local_port == port;
}

static int match_rdomain(const struct criterion_input *in)
{
    if (in->persona == NULL || in->persona->rdomain == NULL)
        return 0;
    return lh_sshd_pattern_list(in->persona->rdomain, in->argument, false) == 1;
}

static int match_invalid_user(const struct criterion_input *in)
{
    return in->persona != NULL && in->persona->user != NULL && !in->persona->user_exists;
}

static const struct {
    const char *name;
    int (*match)(const struct criterion_input *in);
    bool alone; // has no argument
} criteria[] = {
    {"user", match_user, false},
    {"group", match_group, false},
    {"host", match_host, false},
    {"address", match_address, false},
    {"localaddress", match_local_address, false},
    {"localport", match_local_port, false},
    {"rdomain", match_rdomain, false},
    {"invalid-user", match_invalid_user, true},
};

// "all": alone, or followed by a comment.
static int match_all(char **text, size_t others)
{
    char *after = lh_sshd_next_token(text);

    if (others > 0 || (after != NULL && *after != '\0' && *after != '#'))
        return LH_SSHD_MATCH_BAD;
    if (after != NULL && *after == '#')
        *text = NULL;
    return 1;
}

// One criterion with its argument taken off `*text`.
static int match_criterion(const char *name, char **text, struct criterion_input *in)
{
    for (size_t i = 0; i < LH_ARRAY_LEN(criteria); i++) {
        if (strcasecmp(name, criteria[i].name) != 0)
            continue;
        in->argument = criteria[i].alone ? "" : lh_sshd_next_token(text);
        if (!criteria[i].alone &&
            (in->argument == NULL || *in->argument == '\0' || *in->argument == '#'))
            return LH_SSHD_MATCH_BAD;
        return criteria[i].match(in);
    }
    return LH_SSHD_MATCH_BAD;
}

int lh_sshd_match_line(char **text,
                       const struct lh_sshd_persona *persona,
                       int (*service_port)(void *context, const char *name),
                       void *context)
{
    struct criterion_input in = {
        .persona = persona, .service_port = service_port, .context = context};
    size_t count = 0;
    int result = 1;
    char *name;

    while ((name = lh_sshd_next_token(text)) != NULL && *name != '\0') {
        if (*name == '#') {
            *text = NULL;
            break;
        }
        if (strcasecmp(name, "all") == 0)
            return match_all(text, count);
        int one = match_criterion(name, text, &in);
        if (one == LH_SSHD_MATCH_BAD)
            return one;
        result &= one;
        count++;
    }
    if (count == 0)
        return LH_SSHD_MATCH_BAD;
    // Without a persona nothing but "all" is known to hold.
    return persona == NULL ? 0 : result;
}
