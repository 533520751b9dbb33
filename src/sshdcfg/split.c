// SPDX-License-Identifier: Apache-2.0
//
// How it works. sshd reads a line in two ways, and both are done here on one private copy:
//   lh_sshd_next_token   destructive, knows white space, double quotes and '='. It gives the
//   keyword
//                        and, on Match lines, the criteria.
//   split_words          knows blanks, tabs, both quotes, backslashes and comments. It gives the
//                        arguments of everything else.
// The two disagree about much (a carriage return in the middle, a quote inside a word); since sshd
// does so, we do. Reference: OpenSSH's misc.c, functions strdelim and argv_split; servconf.c.
#include "sshdcfg/split.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define WHITESPACE " \t\r\n"

char *lh_sshd_next_token(char **text)
{
    char *start = *text;
    bool equals = false;

    if (start == NULL)
        return NULL;
    char *end = strpbrk(start, WHITESPACE "\"=");
    if (end == NULL) {
        *text = NULL;
        return start;
    }
    if (*end == '"') {
        memmove(end, end + 1, strlen(end));
        end = strchr(end, '"');
        if (end == NULL) {
            *text = NULL;
            return NULL;
        }
        *end = '\0';
        *text = end + 1 + strspn(end + 1, WHITESPACE);
        return start;
    }
    equals = *end == '=';
    *end = '\0';
    end += 1 + strspn(end + 1, WHITESPACE);
    if (!equals && *end == '=')
        end += 1 + strspn(end + 1, WHITESPACE);
    *text = end;
    return start;
}

// Copies one word from `*at` to `*out`, both of which it moves on. False where a quote stays open.
static bool copy_word(const char **at, char **out)
{
    const char *in = *at;
    char *to = *out;
    char quote = '\0';

    for (; *in != '\0'; in++) {
        if (*in == '\\' && in[1] != '\0' &&
            (strchr("'\"\\", in[1]) != NULL || (quote == '\0' && in[1] == ' ')))
            *to++ = *++in;
        else if (quote == '\0' && (*in == ' ' || *in == '\t'))
            break;
        else if (quote == '\0' && (*in == '"' || *in == '\''))
            quote = *in;
        else if (quote != '\0' && *in == quote)
            quote = '\0';
        else
            *to++ = *in;
    }
    *to++ = '\0';
    *at = in;
    *out = to;
    return quote == '\0';
}

// Fills `words` from `rest`; `out` has room for every word with its zero byte.
static void split_words(struct lh_sshd_statement *statement, const char *rest, char *out)
{
    const char *at = rest;

    for (;;) {
        at += strspn(at, " \t");
        if (*at == '\0' || *at == '#')
            break;
        statement->words[statement->count++] = out;
        if (!copy_word(&at, &out)) {
            statement->bad_quotes = true;
            statement->count = 0;
            break;
        }
    }
    statement->words[statement->count] = NULL;
}

// The keyword of the line in `text`, which it changes, and where the rest begins.
static enum lh_sshd_line_kind take_keyword(char *text, char **out_keyword, char **out_rest)
{
    bool comment = *text == '#';
    char *rest = text;
    char *keyword = lh_sshd_next_token(&rest);

    if (keyword == NULL) // sshd skips both, but a comment is meant to be skipped
        return comment ? LH_SSHD_COMMENT : LH_SSHD_SKIPPED;
    if (*keyword == '\0') {
        keyword = lh_sshd_next_token(&rest);
        if (keyword == NULL)
            return rest == NULL && *text == '\0' ? LH_SSHD_BLANK : LH_SSHD_SKIPPED;
    }
    if (*keyword == '\0')
        return LH_SSHD_BLANK;
    if (*keyword == '#')
        return LH_SSHD_COMMENT;
    *out_keyword = keyword;
    *out_rest = rest;
    return LH_SSHD_STATEMENT;
}

lh_err lh_sshd_split(const char *line,
                     size_t len,
                     enum lh_sshd_line_kind *out_kind,
                     struct lh_sshd_statement *out_statement)
{
    struct lh_sshd_statement statement = {0};

    LH_ASSERT(len == 0 || memchr(line, '\0', len) == NULL);
    while (len > 0 && strchr(" \t\r", *line) != NULL) {
        line++;
        len--;
    }
    while (len > 1 && strchr(WHITESPACE "\f", line[len - 1]) != NULL)
        len--;
    // The pointers of at most len + 2 words, the copy that is cut up, and the words themselves.
    size_t pointers = (len + 2) * sizeof *statement.words;
    statement.memory = malloc(pointers + 2 * (len + 2) + len);
    if (statement.memory == NULL)
        return LH_E_NOMEM;
    statement.words = (char **)(void *)statement.memory;
    char *copy = statement.memory + pointers;
    if (len > 0)
        memcpy(copy, line, len);
    copy[len] = '\0';
    *out_kind = take_keyword(copy, &statement.keyword, &statement.rest);
    if (*out_kind != LH_SSHD_STATEMENT) {
        free(statement.memory);
        return 0;
    }
    statement.words[0] = NULL;
    if (statement.rest != NULL)
        split_words(&statement, statement.rest, copy + len + 1);
    *out_statement = statement;
    return 0;
}

void lh_sshd_statement_fini(struct lh_sshd_statement *statement)
{
    free(statement->memory);
    *statement = (struct lh_sshd_statement){0};
}
