// SPDX-License-Identifier: Apache-2.0
#ifndef LH_TRANSFER_REASON_H
#define LH_TRANSFER_REASON_H

#include <stdint.h>

#include "base/err.h"

// The ascp-compatible code of a failure: the one `info` names, else that of its errno, else that of
// `err`, else `usual`.
uint16_t lh_reason_code(lh_err err, const struct lh_errinfo *info, uint16_t usual);

// What to tell a person: the text of `info`, or the name of `err` where there is none.
const char *lh_reason_text(lh_err err, const struct lh_errinfo *info);

#endif
