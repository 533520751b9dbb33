// SPDX-License-Identifier: Apache-2.0
//
// The keywords of sshd_config: one table says how each is read, where it may stand, whether the
// first value wins, and how sshd -T names it.
#ifndef LH_SSHDCFG_KEYWORD_H
#define LH_SSHDCFG_KEYWORD_H

#include <stdbool.h>
#include <stddef.h>

enum lh_sshd_kind {
    LH_SSHD_CHOICE,       // one word of a table, in any case
    LH_SSHD_NUMBER,       // 0 to 2^31 - 1
    LH_SSHD_SECONDS,      // a span of time
    LH_SSHD_WORD,         // one word as it is
    LH_SSHD_PATH,         // one file name, relative ones made absolute, or "none"
    LH_SSHD_TILDE,        // one file name, "~" expanded
    LH_SSHD_REST,         // the rest of the line as it stands, comments included
    LH_SSHD_COMMAND,      // the same, an absolute path or "none"
    LH_SSHD_ALGORITHMS,   // a list of algorithms with '+', '-' or '^'
    LH_SSHD_WORDS_ADD,    // words that add up over lines, one value each
    LH_SSHD_WORDS_FIRST,  // words of the first line that has any, one value
    LH_SSHD_VALUES_FIRST, // words of the first line that has any, one value each
    LH_SSHD_SPECIAL,      // has a reader of its own
    LH_SSHD_IGNORED,      // deprecated or not built in: sshd reads past it
    LH_SSHD_MATCH,
    LH_SSHD_INCLUDE,
    LH_SSHD_UNKNOWN // not in the table: sshd of the release we know would refuse it
};

// Which list of algorithms the binary knows a keyword chooses from (struct lh_sshd_target).
enum lh_sshd_algorithms {
    LH_SSHD_ALGO_CIPHER,
    LH_SSHD_ALGO_MAC,
    LH_SSHD_ALGO_KEX,
    LH_SSHD_ALGO_KEY,       // host key and user key algorithms, `ssh -Q key-sig`
    LH_SSHD_ALGO_SIGNATURE, // of certificates, `ssh -Q sig`
    LH_SSHD_ALGO_N_
};

struct lh_sshd_choice {
    const char *word;
    const char *prints; // as sshd -T names it
};

struct lh_sshd_keyword {
    const char *name;   // lower case
    const char *prints; // the name that sshd -T uses, NULL: the same
    enum lh_sshd_kind kind;
    bool in_match;                        // may stand in a Match block
    bool last_wins;                       // rather than the first
    const struct lh_sshd_choice *choices; // LH_SSHD_CHOICE, terminated by a NULL word
    enum lh_sshd_algorithms algorithms;   // LH_SSHD_ALGORITHMS
};

extern const struct lh_sshd_keyword lh_sshd_keywords[];
extern const size_t lh_sshd_keyword_count;

// The row of a name in any case; NULL where there is none.
const struct lh_sshd_keyword *lh_sshd_keyword_find(const char *name);
// The row that holds the value: the one itself, or what its `prints` names.
size_t lh_sshd_keyword_slot(const struct lh_sshd_keyword *keyword);
// What a word of LH_SSHD_CHOICE prints as; NULL where it is no choice.
const char *lh_sshd_choice_find(const struct lh_sshd_choice *choices, const char *word);

#endif
