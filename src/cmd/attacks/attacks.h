// SPDX-License-Identifier: Apache-2.0
//
// lhctl attacks: what the outputs share.
#ifndef LH_CMD_ATTACKS_ATTACKS_H
#define LH_CMD_ATTACKS_ATTACKS_H

#include <stdbool.h>
#include <stdio.h>

#include "watch/judge.h"
#include "watchio/logs.h"

#define LH_ATTACKS_PLACE_TEXT 300

// What was read and found, for those that write it down.
struct lh_attacks {
    const struct lh_watch *watch;
    const struct lh_judgement *judgement;
    const struct lh_logs *logs; // file numbers of places are indices; behind the last: the journal
    const char *host;           // this machine's name, or what stands for it with --mask
    const char *own_host;       // its name all the same: to be blotted out
    int64_t now;                // seconds since 1970
    size_t top;                 // sources shown by reports for people; 0: all
    bool harmless;              // show what is no attack too
    bool plain;                 // no characters beyond ASCII
    uint16_t port;              // sshd's
};

// The command; argv[0] is its name. Returns the exit status: 0 nothing found, 1 attacks, 2 a
// possible breach, 64 a wrong command line, 70 a failure.
int lh_attacks_main(int argc, char **argv);

// One line about it on standard error.
void lh_attacks_complain(const struct lh_errinfo *info);

// --- Outputs ---
void lh_attacks_text(const struct lh_attacks *attacks, FILE *out);
void lh_attacks_json(const struct lh_attacks *attacks, FILE *out); // a line an object
void lh_attacks_csv(const struct lh_attacks *attacks, FILE *out);  // RFC 4180
void lh_attacks_html(const struct lh_attacks *attacks,
                     FILE *out); // one page, nothing from elsewhere

// --- Pieces that outputs share ---
// The word that goes with `number`: "1 try", "2 tries".
const char *lh_plural(uint64_t number, const char *one, const char *more);
#define LH_VERDICT_SUBJECT 80
// "203.0.113.7", "203.0.113.0/24" or the user's name, escaped.
char *lh_verdict_subject(const struct lh_verdict *verdict, char out[LH_VERDICT_SUBJECT]);
// "dictionary, burst": the kinds of a verdict, the one that names it first.
char *lh_verdict_kinds(const struct lh_verdict *verdict, char *out, size_t room);
// "auth.log:17", or the time of an entry of the journal.
char *lh_attacks_place(const struct lh_attacks *attacks,
                       const struct lh_place *place,
                       bool whole_path,
                       char out[LH_ATTACKS_PLACE_TEXT]);
// A JSON string with quotes. Any bytes; what is not UTF-8 is escaped as lh_escape does.
void lh_json_text(const char *text, size_t len, FILE *out);
// One verdict as a line of JSON.
void lh_verdict_json(const struct lh_attacks *attacks, const struct lh_verdict *verdict, FILE *out);
// A reason why the verdict's source is not blocked, or NULL.
const char *lh_verdict_guard(const struct lh_verdict *verdict);

// --- Advice: what the log cannot show, and settings that would have stopped what was seen ---
struct lh_advice {
    const char *setting; // "LogLevel VERBOSE"
    char why[200];
};
#define LH_ADVICE_MAX 12
// Returns how many it wrote.
size_t lh_attacks_advise(const struct lh_attacks *attacks, struct lh_advice out[LH_ADVICE_MAX]);

#endif
