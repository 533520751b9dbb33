// SPDX-License-Identifier: Apache-2.0
//
// One option parser for all programs, driven by one table a program.
//
// A row names an option, what argument it takes, how that is checked and where it goes, what it is
// for, and whether it is shown, merely understood (scripts written for ascp have it) or refused.
// Nothing is accepted and ignored: an option that this version cannot honour stands in the table as
// refused, so that its message can name it and say what to do.
//
// Understood: -l300m  -l 300m  -QT  -QQ  -P33001  --policy=fair  --policy fair  "--" ends options.
// Options and operands may be mixed. Long options are not abbreviated.
#ifndef LH_CMD_OPTIONS_H
#define LH_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum lh_option_show {
    LH_OPTION_SHOWN,  // in --help
    LH_OPTION_COMPAT, // works; for scripts written for ascp; only in -hh
    LH_OPTION_REFUSED // known, not supported: a clear error, never silence
};

// One word of a fixed choice and the value it stands for.
struct lh_choice {
    const char *word; // NULL ends a list
    int value;
};

struct lh_option {
    char letter;      // 0 = none
    const char *name; // long name without "--", NULL = none
    const char *arg;  // what the argument is called in --help; NULL = the option takes none
    enum lh_option_show show;
    // Checks `value` (NULL for an option without argument) and stores it in `target`. On failure it
    // fills `info` with what would have been right; the parser puts the option's name in front.
    // NULL where show is LH_OPTION_REFUSED.
    lh_err (*parse)(void *target,
                    const struct lh_option *option,
                    const char *value,
                    struct lh_errinfo *info);
    size_t offset;                   // of the field in `target`, for the parsers below
    uint64_t low, high;              // range, for the parsers below
    const struct lh_choice *choices; // for lh_option_choice
    const char *help; // one line; where refused: why, or what to do instead (or NULL)
};

struct lh_option_table {
    const char *program;
    const char *usage; // lines after "Usage: ", each ending in \n
    const struct lh_option *options;
    size_t count;
    const char *epilogue; // after the options; may be NULL
};

// What is not an option, in argv's order. The caller gives room for argc pointers.
struct lh_operands {
    const char **words;
    size_t count;
};

// Splits argv into options, which go to `target`, and operands. On failure `info->text` is a whole
// message and the exit code in it is 8 (USAGE).
lh_err lh_options_parse(const struct lh_option_table *table,
                        int argc,
                        char **argv,
                        void *target,
                        struct lh_operands *operands,
                        struct lh_errinfo *info) LH_MUST_CHECK;

// Prints usage and the shown options, with `all` the compatible and the refused ones too.
void lh_options_help(const struct lh_option_table *table, bool all, FILE *out);

// --- Parsers for the usual kinds of argument -----------------------------------------------------
lh_err lh_option_flag(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info); // bool = true
lh_err lh_option_count(void *target,
                       const struct lh_option *option,
                       const char *value,
                       struct lh_errinfo *info); // unsigned, +1 each time
lh_err lh_option_text(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info); // const char *, not empty
lh_err lh_option_port(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info); // uint16_t, 1 .. 65535
lh_err lh_option_rate(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info); // uint64_t bits/s; "0" only where low is 0
lh_err lh_option_size(void *target,
                      const struct lh_option *option,
                      const char *value,
                      struct lh_errinfo *info); // uint64_t bytes in [low, high]
lh_err lh_option_choice(void *target,
                        const struct lh_option *option,
                        const char *value,
                        struct lh_errinfo *info); // int (or an enum), one of choices

#endif
