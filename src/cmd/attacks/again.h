// SPDX-License-Identifier: Apache-2.0
//
// The inputs read once more, for the lines themselves: what was kept of the first time are numbers.
#ifndef LH_CMD_ATTACKS_AGAIN_H
#define LH_CMD_ATTACKS_AGAIN_H

#include "cmd/attacks/args.h"
#include "cmd/attacks/attacks.h"
#include "watch/feed.h"

// Feeds all inputs to `feed`, as they were found. LH_E_INVALID for standard input.
lh_err lh_attacks_read(const struct lh_attacks_args *args,
                       const struct lh_logs *logs,
                       struct lh_feed *feed,
                       struct lh_errinfo *info) LH_MUST_CHECK;

// Lines about sources, in the order of the log.
struct lh_wanted {
    struct lh_watch_addr addr;
    FILE *out;    // where its lines go; not owned
    bool raw;     // byte for byte; else by lh_attacks_show_line
    size_t most;  // lines
    size_t count; // lines written
};
// Reads the inputs again and writes the lines about each of `wanted`.
lh_err lh_attacks_lines(const struct lh_attacks_args *args,
                        const struct lh_logs *logs,
                        struct lh_wanted *wanted,
                        size_t count,
                        struct lh_errinfo *info) LH_MUST_CHECK;

// A line for people: escaped; of an entry of the journal what syslog would show, without the fields
// that tell of this machine. Ends with a newline.
void lh_attacks_show_line(struct lh_span line, FILE *out);

// Writes the bundle into the new directory `args->evidence`.
lh_err lh_attacks_evidence(const struct lh_attacks *attacks,
                           const struct lh_attacks_args *args,
                           struct lh_errinfo *info) LH_MUST_CHECK;

// Prints a report on args->abuse for those who answer for its network: mail, or X-ARF with
// args->xarf.
lh_err lh_attacks_abuse(const struct lh_attacks *attacks,
                        const struct lh_attacks_args *args,
                        FILE *out,
                        struct lh_errinfo *info) LH_MUST_CHECK;

// `lines` are the log's lines about the source.
struct lh_abuse {
    const struct lh_attacks *attacks;
    const struct lh_attacks_args *args;
    const struct lh_verdict *verdict;
    const char *contact; // found by --lookup, or NULL
    const char *lines;
    size_t lines_len;
};
void lh_abuse_mail(const struct lh_abuse *abuse, FILE *out);
lh_err lh_abuse_xarf(const struct lh_abuse *abuse,
                     FILE *out) LH_MUST_CHECK; // LH_E_NOMEM, LH_E_CRYPTO

// Prints what blocks what was found, for the tool that args->block names.
void lh_attacks_block(const struct lh_attacks *attacks,
                      const struct lh_attacks_args *args,
                      FILE *out);

#endif
