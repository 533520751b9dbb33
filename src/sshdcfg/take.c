// SPDX-License-Identifier: Apache-2.0
//
// How it works. What one statement says, by the kind of its keyword: a table of readers. A reader
// looks at the words whether or not lines count at this place, because sshd checks the syntax of
// blocks that do not hold too; it sets a value only where they count. What sshd would refuse is
// noted as a problem, and reading goes on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "sshdcfg/evaluate_internal.h"
#include "sshdcfg/number_internal.h"

struct take {
    struct lh_sshd_evaluation *ev;
    const struct lh_sshd_keyword *keyword;
    const char *name; // under which the value is kept
    const char *rest; // of the line
    char **words;     // those not taken yet
    bool ok;          // false: a problem has been noted
};

// The next word; notes a problem where there is none or it is empty.
static const char *next_word(struct take *take)
{
    const char *word = *take->words;

    if (word == NULL || *word == '\0') {
        lh_sshd_problem(take->ev, LH_SSHD_REFUSED, take->keyword->name, "an argument is missing");
        take->ok = false;
        return NULL;
    }
    take->words++;
    return word;
}

static void refuse(struct take *take, const char *what, const char *word)
{
    lh_sshd_problem(take->ev, LH_SSHD_REFUSED, take->keyword->name, "%s: \"%.60s\"", what, word);
    take->ok = false;
}

static void store(struct take *take, const char *text)
{
    bool last = take->keyword->last_wins;
    // Until 9.4 sshd asked the other command whether this one was set already.
    if (strcmp(take->name, "authorizedprincipalscommand") == 0 && take->ev->target->version != 0 &&
        take->ev->target->version < 904) {
        if (lh_sshd_values_find(&take->ev->set[take->ev->pass], "authorizedkeyscommand", 0) != NULL)
            return;
        last = true;
    }
    if (last && take->ev->active)
        lh_sshd_reset(take->ev, take->name, text);
    else if (lh_sshd_is_free(take->ev, take->name, take->keyword->name))
        lh_sshd_set(take->ev, take->name, text);
}

static void take_choice(struct take *take)
{
    const char *word = next_word(take);
    const char *prints = word == NULL ? NULL : lh_sshd_choice_find(take->keyword->choices, word);

    if (prints != NULL)
        store(take, prints);
    else if (word != NULL)
        refuse(take, "not one of its values", word);
}

static void store_number(struct take *take, long long number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", number);
    store(take, text);
}

static void take_number(struct take *take)
{
    const char *word = next_word(take);
    long long number;

    if (word != NULL && lh_sshd_number(word, 0, 2147483647, &number))
        store_number(take, number);
    else if (word != NULL)
        refuse(take, "not a number in its range", word);
}

static void take_seconds(struct take *take)
{
    const char *word = next_word(take);
    long long seconds;

    if (word != NULL && lh_sshd_seconds(word, &seconds))
        store_number(take, seconds);
    else if (word != NULL)
        refuse(take, "not a span of time", word);
}

static void take_word(struct take *take)
{
    const char *word = next_word(take);
    if (word != NULL)
        store(take, word);
}

static void take_path(struct take *take)
{
    const char *word = next_word(take);
    char *path =
        word == NULL ? NULL : lh_sshd_absolute(take->ev, word, take->keyword->kind == LH_SSHD_PATH);
    if (path != NULL)
        store(take, path);
    free(path);
}

static void take_rest(struct take *take)
{
    const char *rest = take->rest + strspn(take->rest, " \t\r\n");
    bool command = take->keyword->kind == LH_SSHD_COMMAND;

    take->words += take->words[0] == NULL ? 0 : 1;
    while (*take->words != NULL)
        take->words++;
    if (command && *rest != '/' && strcasecmp(rest, "none") != 0) {
        refuse(take, "not an absolute path", rest);
        return;
    }
    store(take, rest);
}

static void take_algorithms(struct take *take)
{
    const char *word = next_word(take);
    if (word != NULL)
        store(take, word);
}

static void take_words_add(struct take *take)
{
    for (; *take->words != NULL; take->words++) {
        if (**take->words == '\0')
            refuse(take, "an empty word", "");
        else if (take->ev->active)
            lh_sshd_set(take->ev, take->name, *take->words);
    }
}

// Words of the first line that has any: they become one value each. finish.c joins them again
// where sshd prints them in one line.
static void take_words_first(struct take *take)
{
    bool expand = strcmp(take->name, "authorizedkeysfile") == 0;
    bool once = *take->words != NULL && lh_sshd_is_free(take->ev, take->name, take->keyword->name);

    for (; *take->words != NULL; take->words++) {
        char *path = NULL;
        if (**take->words == '\0')
            refuse(take, "an empty word", "");
        else if (expand && (path = lh_sshd_absolute(take->ev, *take->words, false)) == NULL)
            take->ok = false;
        else if (once)
            lh_sshd_set(take->ev, take->name, expand ? path : *take->words);
        free(path);
    }
}

static void take_special(struct take *take)
{
    take->ok = lh_sshd_take_special(take->ev, take->keyword, &take->words);
}

static void take_nothing(struct take *take)
{
    lh_sshd_problem(take->ev, LH_SSHD_OBSOLETE, take->keyword->name,
                    "obsolete, sshd reads past it");
    while (*take->words != NULL)
        take->words++;
}

static void (*const readers[LH_SSHD_UNKNOWN + 1])(struct take *take) = {
    [LH_SSHD_CHOICE] = take_choice,
    [LH_SSHD_NUMBER] = take_number,
    [LH_SSHD_SECONDS] = take_seconds,
    [LH_SSHD_WORD] = take_word,
    [LH_SSHD_PATH] = take_path,
    [LH_SSHD_TILDE] = take_path,
    [LH_SSHD_REST] = take_rest,
    [LH_SSHD_COMMAND] = take_rest,
    [LH_SSHD_ALGORITHMS] = take_algorithms,
    [LH_SSHD_WORDS_ADD] = take_words_add,
    [LH_SSHD_WORDS_FIRST] = take_words_first,
    [LH_SSHD_SPECIAL] = take_special,
    [LH_SSHD_IGNORED] = take_nothing,
};

void lh_sshd_take(struct lh_sshd_evaluation *ev,
                  const struct lh_sshd_keyword *keyword,
                  struct lh_sshd_statement *statement)
{
    struct take take = {.ev = ev,
                        .keyword = keyword,
                        .name = keyword->prints != NULL ? keyword->prints : keyword->name,
                        .rest = statement->rest,
                        .words = statement->words,
                        .ok = true};

    LH_ASSERT(readers[keyword->kind] != NULL);
    readers[keyword->kind](&take);
    if (take.ok && *take.words != NULL)
        refuse(&take, "more arguments than it takes", *take.words);
}
