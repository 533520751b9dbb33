// SPDX-License-Identifier: Apache-2.0
//
// Makes sshd_config files by chance: keywords, layouts, Match blocks and included files, most of
// which sshd accepts.
#ifndef LH_TESTS_SSHD_CONFIG_MAKER_H
#define LH_TESTS_SSHD_CONFIG_MAKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/prng.h"

struct config_text {
    char text[16384];
    size_t len;
};

// A file; `folder` (NULL: none) is where Include lines find "extra*.conf". `in_match`: mostly only
// what may stand in a Match block.
void config_make(struct lh_prng *prng, const char *folder, bool in_match, struct config_text *out);

#endif
