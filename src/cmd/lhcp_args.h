// SPDX-License-Identifier: Apache-2.0
//
// lhcp's command line: the option table, the operands, and what follows from them together.
#ifndef LH_CMD_LHCP_ARGS_H
#define LH_CMD_LHCP_ARGS_H

#include <stdio.h>

#include "base/err.h"
#include "run/lhcp_options.h"

#define LHCP_NOTICES_MAX 8

// Lines for the user about options that mean something else here than in ascp. Constant texts.
struct lhcp_notices {
    const char *lines[LHCP_NOTICES_MAX];
    size_t count;
};

// Fills `out_options` from argv, which must outlive it. LH_E_INVALID with a whole message and exit
// code 8 in `info`; LH_E_NOMEM. lhcp_options_fini afterwards in either case.
lh_err lhcp_args_parse(int argc,
                       char **argv,
                       struct lhcp_options *out_options,
                       struct lhcp_notices *out_notices,
                       struct lh_errinfo *info) LH_MUST_CHECK;
void lhcp_options_fini(struct lhcp_options *options);

// `all`: compatible and refused options too (-hh).
void lhcp_args_help(bool all, FILE *out);

// --- One operand (here for its tests) ------------------------------------------------------------
struct lhcp_operand {
    bool remote;
    char host[LHCP_HOST_MAX + 1];
    char user[LHCP_USER_MAX + 1]; // "" = not given
    const char *path;             // points into the operand's text
};

// "[[user@]host:]path". Remote when a ':' comes before any '/' and not first; faux:// is local; an
// IPv6 address stands in brackets. LH_E_INVALID for users and hosts that ssh or a shell could take
// for something else, and for schemes of ascp that this version has not.
lh_err lhcp_operand_parse(const char *text,
                          struct lhcp_operand *out_operand,
                          struct lh_errinfo *info) LH_MUST_CHECK;

#endif
