// SPDX-License-Identifier: Apache-2.0
//
// How it works. The parser walks argv once with a cursor. A word is one of: "--" (everything after
// it is an operand), "--name[=value]", "-letters" (flags cluster; the first letter that takes an
// argument takes the rest of the word, or the next word), or an operand. "-" alone is an operand.
// Every option is looked up in the table and its row's parser stores the value; the parser itself
// knows no option.
//
// Messages name the option as it was written and quote the value escaped, since a script may pass
// anything on.
//
// Not handled on purpose: abbreviated long names (a later option could make a script's abbreviation
// ambiguous) and optional arguments (they make "-k 3" mean two things).
#include "cmd/options.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/text.h"

#define EXIT_CODE_USAGE 8

struct cursor {
    const struct lh_option_table *table;
    int argc;
    char **argv;
    int at; // next word
    void *target;
    struct lh_errinfo *info;
};

static const struct lh_option *
find_long(const struct lh_option_table *table, const char *name, size_t len)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *known = table->options[i].name;
        if (known != NULL && strlen(known) == len && memcmp(known, name, len) == 0)
            return &table->options[i];
    }
    return NULL;
}

static const struct lh_option *find_short(const struct lh_option_table *table, char letter)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].letter == letter)
            return &table->options[i];
    }
    return NULL;
}

// Writes the option as the person wrote it, escaped.
static char *shown_option(const char *dashes, const char *name, size_t len, char *out, size_t room)
{
    char escaped[64];
    (void)snprintf(out, room, "%s%s", dashes, lh_escape(name, len, escaped, sizeof escaped));
    return out;
}

static lh_err refuse(struct cursor *cursor, const char *shown, const struct lh_option *option)
{
    bool says_why = option->help != NULL;
    return lh_fail(cursor->info, LH_E_INVALID, EXIT_CODE_USAGE,
                   "option %s is not supported by this version%s%s", shown, says_why ? ": " : "",
                   says_why ? option->help : "");
}

static lh_err
apply(struct cursor *cursor, const struct lh_option *option, const char *shown, const char *value)
{
    struct lh_errinfo why = {0};
    char escaped[96];

    LH_ASSERT(option->parse != NULL);
    lh_err err = option->parse(cursor->target, option, value, &why);
    if (err == 0)
        return 0;
    if (value == NULL)
        return lh_fail(cursor->info, err, EXIT_CODE_USAGE, "option %s: %s", shown, why.text);
    return lh_fail(cursor->info, err, EXIT_CODE_USAGE, "option %s: \"%s\" %s", shown,
                   lh_escape(value, strlen(value), escaped, sizeof escaped), why.text);
}

// The argument of an option whose word ended: the next word.
static lh_err next_word(struct cursor *cursor,
                        const struct lh_option *option,
                        const char *shown,
                        const char **out_value)
{
    if (cursor->at >= cursor->argc)
        return lh_fail(cursor->info, LH_E_INVALID, EXIT_CODE_USAGE,
                       "option %s needs an argument (%s)", shown, option->arg);
    *out_value = cursor->argv[cursor->at++];
    return 0;
}

static lh_err parse_long(struct cursor *cursor, const char *word)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct lh_option *option = find_long(cursor->table, name, len);
    const char *value = NULL;
    char shown[80];

    (void)shown_option("--", name, len, shown, sizeof shown);
    if (option == NULL)
        return lh_fail(cursor->info, LH_E_INVALID, EXIT_CODE_USAGE,
                       "unknown option %s (%s --help lists them)", shown, cursor->table->program);
    if (option->show == LH_OPTION_REFUSED)
        return refuse(cursor, shown, option);
    if (option->arg == NULL && equals != NULL)
        return lh_fail(cursor->info, LH_E_INVALID, EXIT_CODE_USAGE, "option %s takes no argument",
                       shown);
    if (option->arg != NULL) {
        value = equals != NULL ? equals + 1 : NULL;
        lh_err err = value == NULL ? next_word(cursor, option, shown, &value) : 0;
        if (err != 0)
            return err;
    }
    return apply(cursor, option, shown, value);
}

static lh_err parse_short(struct cursor *cursor, const char *word)
{
    for (const char *at = word + 1; *at != '\0'; at++) {
        const struct lh_option *option = find_short(cursor->table, *at);
        const char *value = NULL;
        char shown[80];
        lh_err err;

        (void)shown_option("-", at, 1, shown, sizeof shown);
        if (option == NULL)
            return lh_fail(cursor->info, LH_E_INVALID, EXIT_CODE_USAGE,
                           "unknown option %s (%s --help lists them; a name that begins with '-' "
                           "is written ./-name)",
                           shown, cursor->table->program);
        if (option->show == LH_OPTION_REFUSED)
            return refuse(cursor, shown, option);
        if (option->arg == NULL) {
            err = apply(cursor, option, shown, NULL);
            if (err != 0)
                return err;
            continue;
        }
        value = at[1] != '\0' ? at + 1 : NULL;
        err = value == NULL ? next_word(cursor, option, shown, &value) : 0;
        return err != 0 ? err : apply(cursor, option, shown, value);
    }
    return 0;
}

lh_err lh_options_parse(const struct lh_option_table *table,
                        int argc,
                        char **argv,
                        void *target,
                        struct lh_operands *operands,
                        struct lh_errinfo *info)
{
    struct cursor cursor = {
        .table = table, .argc = argc, .argv = argv, .at = 1, .target = target, .info = info};
    bool options_ended = false;

    operands->count = 0;
    while (cursor.at < argc) {
        const char *word = argv[cursor.at++];
        lh_err err = 0;
        if (options_ended || word[0] != '-' || word[1] == '\0')
            operands->words[operands->count++] = word;
        else if (strcmp(word, "--") == 0)
            options_ended = true;
        else if (word[1] == '-')
            err = parse_long(&cursor, word);
        else
            err = parse_short(&cursor, word);
        if (err != 0)
            return err;
    }
    return 0;
}

// --- Help ---------------------------------------------------------------------------------------

static void print_option(const struct lh_option *option, FILE *out)
{
    char left[64];
    size_t used = 0;

    if (option->letter != '\0')
        used = (size_t)snprintf(left, sizeof left, "-%c%s", option->letter,
                                option->name != NULL ? ", " : "");
    else
        used = (size_t)snprintf(left, sizeof left, "    ");
    if (option->name != NULL)
        used += (size_t)snprintf(left + used, sizeof left - used, "--%s", option->name);
    if (option->arg != NULL)
        (void)snprintf(left + used, sizeof left - used, "%s%s", option->name != NULL ? "=" : " ",
                       option->arg);
    const char *help = option->help != NULL ? option->help : "";
    if (strlen(left) > 27)
        (void)fprintf(out, "  %s\n%31s%s\n", left, "", help);
    else
        (void)fprintf(out, "  %-27s  %s\n", left, help);
}

static void print_section(const struct lh_option_table *table,
                          enum lh_option_show show,
                          const char *title,
                          FILE *out)
{
    bool titled = false;

    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].show != show)
            continue;
        if (!titled)
            (void)fprintf(out, "\n%s\n", title);
        titled = true;
        print_option(&table->options[i], out);
    }
}

void lh_options_help(const struct lh_option_table *table, bool all, FILE *out)
{
    (void)fprintf(out, "Usage: %s", table->usage);
    print_section(table, LH_OPTION_SHOWN, "Options:", out);
    if (all) {
        print_section(table, LH_OPTION_COMPAT, "Understood for scripts written for ascp:", out);
        print_section(table, LH_OPTION_REFUSED, "Known, refused by this version:", out);
    }
    if (table->epilogue != NULL)
        (void)fprintf(out, "\n%s", table->epilogue);
}

// --- Parsers ------------------------------------------------------------------------------------

static void *field_of(void *target, const struct lh_option *option)
{
    return (char *)target + option->offset;
}

lh_err lh_option_flag(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info)
{
    (void)value;
    (void)info;
    *(bool *)field_of(target, option) = true;
    return 0;
}

lh_err lh_option_count(void *target,
                       const struct lh_option *option,
                       const char *value,
                       struct lh_errinfo *info)
{
    unsigned *count = field_of(target, option);
    (void)value;
    (void)info;
    if (*count < 1000)
        ++*count;
    return 0;
}

lh_err lh_option_text(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info)
{
    if (*value == '\0')
        return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE, "is empty");
    *(const char **)field_of(target, option) = value;
    return 0;
}

lh_err lh_option_port(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info)
{
    uint64_t port;
    lh_err err = lh_parse_number(value, 1, 65535, &port);
    if (err != 0)
        return lh_fail(info, err, EXIT_CODE_USAGE, "is not a port (1 to 65535)");
    *(uint16_t *)field_of(target, option) = (uint16_t)port;
    return 0;
}

lh_err lh_option_rate(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info)
{
    uint64_t *rate = field_of(target, option);
    uint64_t parsed;

    if (option->low == 0 && strcmp(value, "0") == 0) {
        *rate = 0;
        return 0;
    }
    if (strpbrk(value, "%pP") != NULL)
        return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE,
                       "is a share of a configured bandwidth, which this version has not; give a "
                       "rate, such as 300m");
    lh_err err = lh_parse_rate(value, &parsed);
    if (err != 0)
        return lh_fail(info, err, EXIT_CODE_USAGE,
                       "is not a rate: a number with K, M or G (bits per second; without a letter "
                       "kilobits), such as 300m or 1.5g");
    *rate = parsed;
    return 0;
}

lh_err lh_option_size(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info)
{
    uint64_t size;
    lh_err err = lh_parse_size(value, &size);
    if (err == 0 && (size < option->low || size > option->high))
        err = LH_E_INVALID;
    if (err != 0)
        return lh_fail(info, err, EXIT_CODE_USAGE,
                       "is not a size from %lluk to %lluk (k, m, g: "
                       "powers of two)",
                       (unsigned long long)(option->low >> 10),
                       (unsigned long long)(option->high >> 10));
    *(uint64_t *)field_of(target, option) = size;
    return 0;
}

lh_err lh_option_choice(void *target,
                        const struct lh_option *option,
                        const char *value,
                        struct lh_errinfo *info)
{
    char words[128] = "";
    size_t used = 0;

    for (const struct lh_choice *choice = option->choices; choice->word != NULL; choice++) {
        if (strcmp(choice->word, value) == 0) {
            *(int *)field_of(target, option) = choice->value;
            return 0;
        }
        if (used < sizeof words)
            used += (size_t)snprintf(words + used, sizeof words - used, "%s%s",
                                     used == 0 ? "" : ", ", choice->word);
    }
    return lh_fail(info, LH_E_INVALID, EXIT_CODE_USAGE, "is none of: %s", words);
}
