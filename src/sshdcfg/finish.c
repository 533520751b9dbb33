// SPDX-License-Identifier: Apache-2.0
//
// How it works. For every keyword that `sshd -T` prints, what the second reading set wins over what
// the first one set (where the keyword may stand in Match), and that over the binary's default.
// Most values are printed as they were kept; a table names those that need more: lists in one line,
// addresses and ports, algorithms, amounts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "sshdcfg/evaluate_internal.h"

#define ADDRESSES_MAX 16 // of one ListenAddress

struct finish {
    struct lh_sshd_evaluation *ev;
    const struct lh_sshd_keyword *keyword;
    const struct lh_sshd_values *from; // where values of the keyword are; NULL: nowhere
};

static void add(struct finish *finish, const char *text, const struct lh_sshd_value *origin)
{
    lh_err err =
        lh_sshd_values_add(&finish->ev->effective->values, finish->keyword->name, text,
                           origin == NULL ? NULL : origin->doc, origin == NULL ? 0 : origin->line);
    if (err != 0)
        finish->ev->err = err;
}

static const struct lh_sshd_value *at(const struct finish *finish, size_t index)
{
    return lh_sshd_values_find(finish->from, finish->keyword->name, index);
}

static void finish_plain(struct finish *finish)
{
    const struct lh_sshd_value *value;
    for (size_t i = 0; (value = at(finish, i)) != NULL; i++)
        add(finish, value->text, value);
}

static void finish_joined(struct finish *finish)
{
    const struct lh_sshd_value *value, *first = at(finish, 0);
    size_t room = 1;

    for (size_t i = 0; (value = at(finish, i)) != NULL; i++)
        room += strlen(value->text) + 1;
    char *text = malloc(room);
    if (text == NULL) {
        finish->ev->err = LH_E_NOMEM;
        return;
    }
    size_t used = 0;
    for (size_t i = 0; (value = at(finish, i)) != NULL; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%s", i == 0 ? "" : " ", value->text);
    // For everybody "none" clears ChannelTimeout, and then sshd prints nothing.
    bool cleared = strcmp(finish->keyword->name, "channeltimeout") == 0 &&
                   finish->from == &finish->ev->set[LH_SSHD_PASS_ALL] &&
                   strcasecmp(text, "none") == 0;
    if (!cleared)
        add(finish, text, first);
    free(text);
}

static void finish_algorithms(struct finish *finish)
{
    const struct lh_sshd_value *value = at(finish, 0);
    const char *defaults = lh_sshd_values_text(finish->ev->target->defaults, finish->keyword->name);
    const char *known = finish->ev->target->known[finish->keyword->algorithms];
    char *text = lh_sshd_algorithms(value->text, defaults, known == NULL ? defaults : known);

    if (text == NULL)
        finish->ev->err = LH_E_NOMEM;
    // sshd applies the list for everybody a second time, and then takes an empty one for none.
    else if (*text == '\0' && finish->from == &finish->ev->set[LH_SSHD_PASS_ALL])
        add(finish, defaults, value);
    else
        add(finish, text, value);
    free(text);
}

static void finish_rekey(struct finish *finish)
{
    const struct lh_sshd_values *all = &finish->ev->set[LH_SSHD_PASS_ALL];
    const struct lh_sshd_values *match = &finish->ev->set[LH_SSHD_PASS_MATCH];
    const struct lh_sshd_value *parts[2] = {NULL, NULL};
    static const char *const names[2] = {"rekeylimit", LH_SSHD_REKEY_TIME};
    char text[64];

    for (size_t i = 0; i < 2; i++) {
        parts[i] = lh_sshd_values_find(match, names[i], 0);
        if (parts[i] == NULL)
            parts[i] = lh_sshd_values_find(all, names[i], 0);
    }
    (void)snprintf(text, sizeof text, "%s %s", parts[0] == NULL ? "0" : parts[0]->text,
                   parts[1] == NULL ? "0" : parts[1]->text);
    add(finish, text, parts[0]);
}

// "begin:rate:max"; where only single numbers were given, the rate is the default.
static void finish_startups(struct finish *finish)
{
    const struct lh_sshd_value *value = at(finish, 0);
    const char *unknown = strstr(value->text, ":-1:");
    const char *defaults = lh_sshd_values_text(finish->ev->target->defaults, "maxstartups");
    char text[96];

    if (unknown == NULL) {
        add(finish, value->text, value);
        return;
    }
    const char *rate = strchr(defaults, ':');
    int rate_len = rate == NULL ? 0 : (int)strcspn(rate + 1, ":");
    (void)snprintf(text, sizeof text, "%.*s:%.*s:%s", (int)(unknown - value->text), value->text,
                   rate_len == 0 ? 2 : rate_len, rate_len == 0 ? "30" : rate + 1, unknown + 4);
    add(finish, text, value);
}

// Adds what one host and port become, in the order in which sshd prints: the last address first.
static void add_addresses(struct finish *finish,
                          const char *host,
                          const char *port,
                          const struct lh_sshd_value *origin)
{
    const struct lh_sshd_world *world = finish->ev->world;
    char addresses[ADDRESSES_MAX][LH_SSHD_ADDRESS_TEXT];
    const char *family = lh_sshd_values_text(&finish->ev->set[LH_SSHD_PASS_ALL], "addressfamily");
    char text[LH_SSHD_ADDRESS_TEXT + 300];
    size_t count = 0;

    if (world->resolve != NULL)
        count = world->resolve(world->context, host, *family == '\0' ? "any" : family, addresses,
                               ADDRESSES_MAX);
    while (count > 0) {
        (void)snprintf(text, sizeof text, "%s:%s", addresses[--count], port);
        add(finish, text, origin);
    }
    if (world->resolve == NULL && host != NULL) { // as it stands
        (void)snprintf(text, sizeof text, strchr(host, ':') != NULL ? "[%.250s]:%s" : "%.250s:%s",
                       host, port);
        add(finish, text, origin);
    }
}

// One line of ListenAddress ("PORT HOST"), or none at all (NULL): every Port, or its own.
static void finish_listen(struct finish *finish, const struct lh_sshd_value *value)
{
    const struct lh_sshd_values *set = &finish->ev->set[LH_SSHD_PASS_ALL];
    const char *host = value == NULL ? NULL : strchr(value->text, ' ') + 1;
    const struct lh_sshd_value *port;
    char own[16];

    if (value != NULL && *value->text != '0') {
        (void)snprintf(own, sizeof own, "%.*s", (int)strcspn(value->text, " "), value->text);
        add_addresses(finish, host, own, value);
        return;
    }
    if (lh_sshd_values_find(set, "port", 0) == NULL)
        add_addresses(finish, host, "22", value);
    for (size_t i = 0; (port = lh_sshd_values_find(set, "port", i)) != NULL; i++)
        add_addresses(finish, host, port->text, value == NULL ? port : value);
}

static void finish_addresses(struct finish *finish)
{
    const struct lh_sshd_value *value;
    const struct lh_sshd_values *set = &finish->ev->set[LH_SSHD_PASS_ALL];

    if (lh_sshd_values_find(set, "listenaddress", 0) == NULL)
        finish_listen(finish, NULL);
    for (size_t i = 0; (value = lh_sshd_values_find(set, "listenaddress", i)) != NULL; i++)
        finish_listen(finish, value);
}

static const struct {
    const char *name;
    void (*finish)(struct finish *finish);
} finishers[] = {
    {"authenticationmethods", finish_joined},
    {"authorizedkeysfile", finish_joined},
    {"channeltimeout", finish_joined},
    {"logverbose", finish_joined},
    {"maxstartups", finish_startups},
    {"permitlisten", finish_joined},
    {"permitopen", finish_joined},
};

static void finish_set(struct finish *finish)
{
    if (finish->keyword->kind == LH_SSHD_ALGORITHMS) {
        finish_algorithms(finish);
        return;
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(finishers); i++) {
        if (strcmp(finishers[i].name, finish->keyword->name) == 0) {
            finishers[i].finish(finish);
            return;
        }
    }
    finish_plain(finish);
}

static void finish_defaults(struct finish *finish)
{
    const struct lh_sshd_value *value;
    const struct lh_sshd_values *defaults = finish->ev->target->defaults;

    for (size_t i = 0; (value = lh_sshd_values_find(defaults, finish->keyword->name, i)) != NULL;
         i++)
        add(finish, value->text, NULL);
}

static void finish_keyword(struct lh_sshd_evaluation *ev, const struct lh_sshd_keyword *keyword)
{
    struct finish finish = {.ev = ev, .keyword = keyword};
    // The one keyword that may not stand in Match and yet comes through `Match all`: the list of
    // variables, but not yes or no.
    bool variables = strcmp(keyword->name, "permituserenvironment") == 0;
    const struct lh_sshd_value *match =
        lh_sshd_values_find(&ev->set[LH_SSHD_PASS_MATCH], keyword->name, 0);

    if (match != NULL && (keyword->in_match || (variables && strcmp(match->text, "yes") != 0 &&
                                                strcmp(match->text, "no") != 0)))
        finish.from = &ev->set[LH_SSHD_PASS_MATCH];
    else if (lh_sshd_values_find(&ev->set[LH_SSHD_PASS_ALL], keyword->name, 0) != NULL)
        finish.from = &ev->set[LH_SSHD_PASS_ALL];
    if (strcmp(keyword->name, "listenaddress") == 0)
        finish_addresses(&finish);
    else if (strcmp(keyword->name, "rekeylimit") == 0)
        finish_rekey(&finish);
    else if (finish.from == NULL)
        finish_defaults(&finish);
    else
        finish_set(&finish);
}

// What the binary prints and our table does not know: the first line that sets it, else its
// default.
static void finish_unknown(struct lh_sshd_evaluation *ev, const struct lh_sshd_value *value)
{
    const struct lh_sshd_value *set = NULL;

    for (int pass = LH_SSHD_PASS_N_ - 1; pass >= 0 && set == NULL; pass--) {
        for (size_t i = 0; i < ev->set[pass].count && set == NULL; i++) {
            if (strcmp(ev->set[pass].items[i].keyword, value->keyword) == 0)
                set = &ev->set[pass].items[i];
        }
    }
    lh_err err = lh_sshd_values_add(&ev->effective->values, value->keyword,
                                    set == NULL ? value->text : set->text,
                                    set == NULL ? NULL : set->doc, set == NULL ? 0 : set->line);
    if (err != 0)
        ev->err = err;
}

void lh_sshd_finish(struct lh_sshd_evaluation *ev)
{
    for (size_t i = 0; i < lh_sshd_keyword_count; i++) {
        const struct lh_sshd_keyword *keyword = &lh_sshd_keywords[i];
        if (keyword->prints == NULL && keyword->kind != LH_SSHD_IGNORED &&
            keyword->kind != LH_SSHD_MATCH && keyword->kind != LH_SSHD_INCLUDE)
            finish_keyword(ev, keyword);
    }
    const struct lh_sshd_values *defaults = ev->target->defaults;
    for (size_t i = 0; i < defaults->count; i++) {
        if (lh_sshd_keyword_find(defaults->items[i].keyword) == NULL)
            finish_unknown(ev, &defaults->items[i]);
    }
}
