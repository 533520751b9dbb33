// SPDX-License-Identifier: Apache-2.0
//
// What is in force for one persona: every keyword that `sshd -T -C ...` would print, with its
// value and the line it comes from, and what is odd about the files.
#ifndef LH_SSHDCFG_EFFECTIVE_H
#define LH_SSHDCFG_EFFECTIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "sshdcfg/document.h"
#include "sshdcfg/keyword.h"
#include "sshdcfg/match.h"
#include "sshdcfg/values.h"

// What the installed sshd brings with it: the same file gives other values with another binary.
struct lh_sshd_target {
    unsigned version;                      // major * 100 + minor (902 for 9.2); 0: the newest
    const struct lh_sshd_values *defaults; // `sshd -T` of an empty file
    const char *known[LH_SSHD_ALGO_N_];    // all it knows, comma-separated (`ssh -Q`); NULL: only
                                           // what is in the default list
};

#define LH_SSHD_ADDRESS_TEXT 64

// What else sshd asks the machine. Every call may be NULL; then numbers, absolute paths and numeric
// addresses are still understood.
struct lh_sshd_world {
    void *context;
    const char *directory; // relative file names begin here; NULL: "/"
    // TCP port of a service's name, -1 where there is none.
    int (*service_port)(void *context, const char *name);
    // Home of `user` ("" = the user who runs sshd), from the heap; NULL where there is none.
    char *(*home)(void *context, const char *user);
    // The addresses of `host` (NULL: the wildcard) as text, IPv6 in brackets, in the order in which
    // getaddrinfo gives them. `family` is "any", "inet" or "inet6". Returns how many, at most
    // `room`.
    size_t (*resolve)(void *context,
                      const char *host,
                      const char *family,
                      char (*out)[LH_SSHD_ADDRESS_TEXT],
                      size_t room);
};

struct lh_sshd_input {
    const struct lh_sshd_doc *file;         // the main file with what it includes
    const struct lh_sshd_doc *command_line; // options of the running sshd as lines; NULL: none
    bool ports_from_command_line;           // it was started with -p: Port in the file is ignored
};

enum lh_sshd_problem_kind {
    LH_SSHD_REFUSED,         // sshd refuses the file because of this line
    LH_SSHD_UNKNOWN_KEYWORD, // not a keyword we know; sshd 9.2 would refuse the file
    LH_SSHD_OBSOLETE,        // sshd reads past it with a warning
    LH_SSHD_UNSEEN,          // a quote in the keyword: sshd skips the line without a word
    LH_SSHD_DEAD             // without effect: an earlier line of the same scope has set it already
};

struct lh_sshd_problem {
    enum lh_sshd_problem_kind kind;
    const struct lh_sshd_doc *doc;
    size_t line; // index
    const char
        *keyword; // "" where there is none; the rows' name, or LH_SSHD_UNKNOWN_KEYWORD's text
    char text[160];
};

struct lh_sshd_effective {
    struct lh_sshd_values values;
    struct lh_sshd_problem *problems;
    size_t problem_count;
    size_t problem_room;
};

// Evaluates the files. Everything in the result that names a document points into `input`'s.
// 0 also where sshd would refuse the files: then a problem of the kind LH_SSHD_REFUSED or
// LH_SSHD_UNKNOWN_KEYWORD says why, and the values are those of the lines that were understood.
// LH_E_NOMEM.
lh_err lh_sshd_evaluate(const struct lh_sshd_input *input,
                        const struct lh_sshd_target *target,
                        const struct lh_sshd_world *world,
                        const struct lh_sshd_persona *persona,
                        struct lh_sshd_effective *out_effective) LH_MUST_CHECK;
void lh_sshd_effective_fini(struct lh_sshd_effective *effective); // idempotent

// The patterns of an Include line: the words of line `index`, relative ones below `ssh_directory`
// ("/etc/ssh"). Fills `*out_patterns` (NULL-terminated, one allocation, the caller frees it).
// LH_NONE where the line is no Include; LH_E_NOMEM.
lh_err lh_sshd_include_patterns(const struct lh_sshd_doc *doc,
                                size_t index,
                                const char *ssh_directory,
                                char ***out_patterns) LH_MUST_CHECK;

#endif
