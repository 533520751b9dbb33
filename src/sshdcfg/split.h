// SPDX-License-Identifier: Apache-2.0
//
// One line of sshd_config as sshd takes it apart: keyword, the rest as it stands, and the rest as
// words.
//
// The rules are OpenSSH's, odd ones included: the keyword ends at white space, a quote or one '=';
// a keyword with an opening quote and no closing one makes sshd skip the line in silence; words are
// split at blanks and tabs only, with quotes and backslashes; '#' at the start of a word ends them.
#ifndef LH_SSHDCFG_SPLIT_H
#define LH_SSHDCFG_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

struct lh_sshd_statement {
    char *keyword;   // as written, quotes removed; never ""
    char *rest;      // what follows the keyword, comments included; NULL or "" = nothing
    char **words;    // NULL-terminated; what is left of the rest without quotes and comment
    size_t count;    // words
    bool bad_quotes; // a quote without its partner: there are no words, and sshd refuses the file
    char *memory;    // everything above points into here
};

enum lh_sshd_line_kind {
    LH_SSHD_BLANK,     // nothing, or white space
    LH_SSHD_COMMENT,   // begins with '#'
    LH_SSHD_SKIPPED,   // a quote in the keyword without its partner: sshd skips it without a word
    LH_SSHD_STATEMENT, // a keyword, with or without arguments
};

// Takes one line apart (`len` bytes without '\n', no zero byte). `*out_statement` is filled for
// LH_SSHD_STATEMENT only, and the caller frees it. LH_E_NOMEM.
lh_err lh_sshd_split(const char *line,
                     size_t len,
                     enum lh_sshd_line_kind *out_kind,
                     struct lh_sshd_statement *out_statement) LH_MUST_CHECK;
void lh_sshd_statement_fini(struct lh_sshd_statement *statement); // idempotent

// The next token of `*text`, which it changes: ends at white space, a quote or one '='. NULL at the
// end and where a quote has no partner (`*text` is NULL then too). The criteria of a Match line are
// read with it.
char *lh_sshd_next_token(char **text);

#endif
