// SPDX-License-Identifier: Apache-2.0
#ifndef LH_CMD_ATTACKS_CONNECTIONS_H
#define LH_CMD_ATTACKS_CONNECTIONS_H

#include "base/limits.h"
#include "cmd/attacks/args.h"
#include "cmd/attacks/attacks.h"
#include "watchio/proc.h"

struct lh_connections {
    struct lh_look first, second;
    uint64_t seconds; // between them
};

// Looks twice, args->interval seconds apart.
lh_err lh_connections_look(const struct lh_attacks_args *args,
                           struct lh_connections *out,
                           struct lh_errinfo *info) LH_MUST_CHECK;
void lh_connections_fini(struct lh_connections *connections);

void lh_connections_text(const struct lh_attacks *attacks,
                         const struct lh_connections *connections,
                         FILE *out);
void lh_connections_json(const struct lh_attacks *attacks,
                         const struct lh_connections *connections,
                         FILE *out);

#endif
