// SPDX-License-Identifier: Apache-2.0
#ifndef LH_CMD_ATTACKS_FOLLOW_H
#define LH_CMD_ATTACKS_FOLLOW_H

#include "cmd/attacks/args.h"
#include "cmd/attacks/attacks.h"
#include "watch/feed.h"

// Watches args' file or journal until SIGTERM or SIGINT, and prints each verdict when it is first
// reached, as a line or as JSON. With args->state what is known is kept there, and the next run
// goes on with it.
lh_err lh_attacks_follow(const struct lh_attacks_args *args,
                         const struct lh_logs *logs,
                         struct lh_feed *feed,
                         const char *host,
                         struct lh_errinfo *info) LH_MUST_CHECK;

#endif
