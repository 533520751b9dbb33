// SPDX-License-Identifier: Apache-2.0
//
// Between effective.c (which lines count) and take.c (what a line says).
#ifndef LH_SSHDCFG_EVALUATE_INTERNAL_H
#define LH_SSHDCFG_EVALUATE_INTERNAL_H

#include "sshdcfg/effective.h"
#include "sshdcfg/split.h"

// sshd reads the files twice: for everybody (blocks of Match do not hold), then for one persona
// (only blocks of Match hold); what the second reading sets replaces what the first one set.
enum lh_sshd_pass { LH_SSHD_PASS_ALL, LH_SSHD_PASS_MATCH, LH_SSHD_PASS_N_ };

struct lh_sshd_evaluation {
    const struct lh_sshd_input *input;
    const struct lh_sshd_target *target;
    const struct lh_sshd_world *world;
    const struct lh_sshd_persona *persona;
    struct lh_sshd_effective *effective;
    // What each keyword was set to, in each pass. Special values have texts of their own:
    //   listenaddress "PORT HOST" (port 0: every Port), rekeylimit "amount" and "rekeylimit.time",
    //   maxstartups "begin:rate:max" as far as known.
    struct lh_sshd_values set[LH_SSHD_PASS_N_];
    enum lh_sshd_pass pass;
    bool active; // lines count
    const struct lh_sshd_doc *doc;
    size_t line;
    lh_err err; // LH_E_NOMEM, sticky
};

#define LH_SSHD_REKEY_TIME "rekeylimit.time"

// Notes a problem of the line at hand. Only the first pass notes any.
void lh_sshd_problem(struct lh_sshd_evaluation *ev,
                     enum lh_sshd_problem_kind kind,
                     const char *keyword,
                     const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

// Reads a statement that is neither Match nor Include, and sets what it says if lines count.
void lh_sshd_take(struct lh_sshd_evaluation *ev,
                  const struct lh_sshd_keyword *keyword,
                  struct lh_sshd_statement *statement);

// Whether lines count and `name` has no value yet in this pass; notes a dead line otherwise.
bool lh_sshd_is_free(struct lh_sshd_evaluation *ev, const char *name, const char *keyword);
void lh_sshd_set(struct lh_sshd_evaluation *ev, const char *name, const char *text);   // appends
void lh_sshd_reset(struct lh_sshd_evaluation *ev, const char *name, const char *text); // replaces

// Readers of the keywords of kind LH_SSHD_SPECIAL (special.c). Each takes the words it understands
// off `words`, moves `*words` on and returns false after noting why sshd would refuse the line.
bool lh_sshd_take_special(struct lh_sshd_evaluation *ev,
                          const struct lh_sshd_keyword *keyword,
                          char ***words);

// A file name made absolute, from the heap; NULL (and a problem noted, or `err`) where it cannot.
char *lh_sshd_absolute(struct lh_sshd_evaluation *ev, const char *path, bool make_absolute);

// Gives the values that were set the form of `sshd -T` (finish.c).
void lh_sshd_finish(struct lh_sshd_evaluation *ev);

// `text` ('+', '-' or '^' and a list, or a list) applied to the defaults, from the heap; NULL where
// there is no memory. `known` is what the binary knows.
char *lh_sshd_algorithms(const char *text, const char *defaults, const char *known);

#endif
